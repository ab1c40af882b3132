/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_status.c - STATUS (RFC 3501 6.3.10, RFC 9051 6.3.11; items of RFC 7162, RFC 7889, RFC 8438,
 * RFC 8474 and RFC 9208).                                                      [proto, imap]
 */
#include "codec/imap/imap_write.h"
#include "proto/imap/imap_int.h"
#include "service/store/store_acl.h"

static uint64_t status_value(const struct imap_session *s, enum imap_status_item item,
			     const struct store_counters *c)
{
	switch (item) {
	case IMAP_STATUS_MESSAGES:
		return c->exists;
	case IMAP_STATUS_RECENT:
		return session_is_rev2(s) ? 0 : c->recent;
	case IMAP_STATUS_UIDNEXT:
		return c->uidnext.v;
	case IMAP_STATUS_UIDVALIDITY:
		return c->uidvalidity;
	case IMAP_STATUS_UNSEEN:
		return c->unseen;
	case IMAP_STATUS_HIGHESTMODSEQ:
		return c->highestmodseq.v;
	case IMAP_STATUS_DELETED:
		return c->deleted;
	case IMAP_STATUS_SIZE:
		return c->size;
	case IMAP_STATUS_APPENDLIMIT:
		return s->config.append_max;
	case IMAP_STATUS_DELETED_STORAGE:
		return c->deleted_size;
	case IMAP_STATUS_MAILBOXID:
		break; /* is no number */
	}
	return 0;
}

static void write_item(const struct imap_session *s, struct buf *b, enum imap_status_item item,
		       const struct store_mailbox *box)
{
	if (item != IMAP_STATUS_MAILBOXID) {
		buf_add_u64(b, status_value(s, item, &box->counters));
		return;
	}
	buf_addc(b, '(');
	write_mailboxid(b, box->id, box->counters.uidvalidity);
	buf_addc(b, ')');
}

void write_status(const struct imap_session *s, struct imap_out *out, struct str name,
		  uint32_t items, const struct store_mailbox *box)
{
	struct buf *b = &out->text;
	const char *sep = "";
	buf_add(b, STR("* STATUS "));
	write_name(s, b, name);
	buf_add(b, STR(" ("));
	for (const struct imap_name *n = imap_status_names; n->name; n++) {
		if (!(items & n->bit))
			continue;
		buf_addf(b, "%s%s ", sep, n->name);
		write_item(s, b, (enum imap_status_item)n->bit, box);
		sep = " ";
	}
	buf_add(b, STR(")\r\n"));
}

int cmd_status(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_status *status = &s->run.cmd.status;
	struct store_mailbox box;
	int r = store_mailbox_find(s->store, s->account, status->mailbox, &s->run.arena, &box, why);
	if (r < 0)
		return r;
	if (box.noselect)
		return fail_set(why, FAIL_NOTFOUND, "The mailbox cannot be selected.", "noselect");
	if (s->guest)
		r = store_unseen_of(s->store, s->account, box.id, s->viewer_id,
				    &box.counters.unseen, why);
	if (r < 0)
		return r;
	if (status->items & IMAP_STATUS_HIGHESTMODSEQ)
		condstore_enable(s, out);
	write_status(s, out, status->mailbox, status->items, &box);
	return RUN_DONE;
}
