/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_status.c - STATUS (RFC 3501 6.3.10, RFC 9051 6.3.11, RFC 7162 3.1.7), GETQUOTA, GETQUOTAROOT
 * (RFC 9208). [proto, imap]
 */
#include "codec/imap/imap_write.h"
#include "proto/imap/imap_int.h"

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
	}
	return 0;
}

void write_status(const struct imap_session *s, struct imap_out *out, struct str name,
		  uint32_t items, const struct store_counters *c)
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
		buf_add_u64(b, status_value(s, (enum imap_status_item)n->bit, c));
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
	if (status->items & IMAP_STATUS_HIGHESTMODSEQ)
		condstore_enable(s, out);
	write_status(s, out, status->mailbox, status->items, &box.counters);
	return RUN_DONE;
}

/* One root with an empty name for all mailboxes; STORAGE counts units of 1024 bytes. */
static int write_quota(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct store_quota quota;
	struct store_usage usage;
	int r = quota_get(s, &quota, why);
	if (r == 0)
		r = store_account_usage(s->store, s->account, &usage, why);
	if (r < 0)
		return r;
	struct buf *b = &out->text;
	const char *sep = "";
	buf_add(b, STR("* QUOTA \"\" ("));
	if (quota.bytes) {
		buf_addf(b, "STORAGE %llu %llu", (unsigned long long)(usage.bytes + 1023) / 1024,
			 (unsigned long long)quota.bytes / 1024);
		sep = " ";
	}
	if (quota.messages)
		buf_addf(b, "%sMESSAGE %llu %llu", sep, (unsigned long long)usage.messages,
			 (unsigned long long)quota.messages);
	buf_add(b, STR(")\r\n"));
	return RUN_DONE;
}

int cmd_getquota(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	if (s->run.cmd.quota_root.n)
		return fail_set(why, FAIL_NOTFOUND, "No such quota root.", "root=%.*s",
				STR_ARG(s->run.cmd.quota_root));
	return write_quota(s, out, why);
}

int cmd_getquotaroot(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct store_mailbox box;
	struct str name = s->run.cmd.mailbox;
	int r = store_mailbox_find(s->store, s->account, name, &s->run.arena, &box, why);
	if (r < 0)
		return r;
	buf_add(&out->text, STR("* QUOTAROOT "));
	write_name(s, &out->text, name);
	buf_add(&out->text, STR(" \"\"\r\n"));
	return write_quota(s, out, why);
}
