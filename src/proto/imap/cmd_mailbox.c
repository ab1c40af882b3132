/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_mailbox.c - CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 6.3.3 to 6.3.7; RFC 6154
 * section 3; response codes of RFC 5530).                                       [proto, imap]
 */
#include "codec/imap/imap_list.h"
#include "proto/imap/imap_int.h"

/* A name that the store does not take is a refusal (NO), not a syntax error of the command. */
static int refuse_name(struct imap_session *s, int r, const struct fail *why)
{
	if (r != -FAIL_SYNTAX)
		return r;
	reply_no(s, "CANNOT", why->public);
	return RUN_DONE;
}

/*
 * RFC 9051 6.3.9.7: the name that a mailbox has now, and the one that the client knew, when they
 * are not the same. A mailbox that is gone again needs no word.
 */
static void tell_name(struct imap_session *s, struct imap_out *out, struct str now, struct str old)
{
	struct fail why = FAIL_INIT;
	struct store_mailbox box;
	if (!session_is_rev2(s) ||
	    store_mailbox_find(s->store, s->account, now, &s->run.arena, &box, &why) < 0)
		return;
	if (!str_eq(box.name, old))
		write_list_of(s, out, &box, old);
}

/* [MAILBOXID (id)] (RFC 8474 4.1); a mailbox that is gone again has none. */
static int reply_created(struct imap_session *s, struct str name)
{
	AUTO(buf) struct buf code = BUF_INIT(128);
	struct fail why = FAIL_INIT;
	struct store_mailbox box;
	if (store_mailbox_find(s->store, s->account, name, &s->run.arena, &box, &why) < 0)
		return RUN_DONE;
	buf_add(&code, STR("MAILBOXID ("));
	write_mailboxid(&code, box.id, box.counters.uidvalidity);
	buf_addc(&code, ')');
	reply_ok(s, buf_c(&code), "CREATE completed.");
	return RUN_DONE;
}

int cmd_create(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_create *create = &s->run.cmd.create;
	struct mailbox_id id;
	int r = mailbox_name_check(s, create->mailbox, why);
	if (r < 0)
		return r;
	/* \All and \Flagged are views over other mailboxes, which nobody can create here. */
	if (create->unknown_use || (create->use & (IMAP_USE_ALL | IMAP_USE_FLAGGED))) {
		reply_no(s, "USEATTR", "This use of a mailbox is not supported.");
		return RUN_DONE;
	}
	r = store_mailbox_create(s->store, s->account, create->mailbox, use_to_store(create->use),
				 &id, why);
	if (r == 0)
		tell_name(s, out, create->mailbox, create->mailbox);
	if (r == 0)
		return reply_created(s, create->mailbox);
	return refuse_name(s, r, why);
}

int cmd_delete(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct str name = s->run.cmd.mailbox;
	struct store_mailbox box;
	int r = store_mailbox_find(s->store, s->account, name, &s->run.arena, &box, why);
	if (r < 0)
		return r;
	r = store_mailbox_delete(s->store, s->account, name, why);
	if (r == -FAIL_PERM || r == -FAIL_CONFLICT) {
		reply_no(s, r == -FAIL_PERM ? "CANNOT" : "HASCHILDREN", why->public);
		return RUN_DONE;
	}
	if (r < 0)
		return r;
	if (s->view && box.id.v && store_view_get_info(s->view)->mailbox.v == box.id.v) {
		session_deselect(s);
		buf_add(&out->text, STR("* OK [CLOSED] The selected mailbox was deleted\r\n"));
	}
	return RUN_DONE;
}

int cmd_rename(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_rename *rename = &s->run.cmd.rename;
	int r = mailbox_name_check(s, rename->to, why);
	if (r < 0)
		return r;
	r = store_mailbox_rename(s->store, s->account, rename->from, rename->to, why);
	if (r == -FAIL_CONFLICT) {
		reply_no(s, "CANNOT", why->public);
		return RUN_DONE;
	}
	/* RENAME of INBOX leaves an INBOX: there is no old name to tell (6.3.6). */
	if (r == 0 && !imap_is_inbox(rename->from))
		tell_name(s, out, rename->to, rename->from);
	return refuse_name(s, r, why);
}

/* SUBSCRIBE takes names that do not exist, as 6.3.6 lets it. */
int cmd_subscribe(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)out;
	bool on = s->run.cmd.kind == IMAP_CMD_SUBSCRIBE;
	int r = store_subscribe(s->store, s->account, s->run.cmd.mailbox, on, why);
	return refuse_name(s, r, why);
}
