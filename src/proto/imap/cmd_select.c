/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_select.c - SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3501 6.3.1, 6.4.2; RFC 9051 6.3.2; RFC 3691;
 * QRESYNC of RFC 7162). [proto, imap]
 */
#include "proto/imap/acl_int.h"

static void write_selected(struct imap_session *s, struct imap_out *out)
{
	const struct store_view_info *info = store_view_get_info(s->view);
	struct buf *b = &out->text;
	write_mailbox_flags(s, out);
	buf_addf(b, "* %u EXISTS\r\n", info->exists);
	/* RFC 9051, appendix E, 11 and 12 */
	if (!session_is_rev2(s))
		buf_addf(b, "* %u RECENT\r\n", info->recent);
	if (info->first_unseen && !session_is_rev2(s) && !session_is_uidonly(s))
		buf_addf(b, "* OK [UNSEEN %u] First unseen\r\n", info->first_unseen);
	buf_addf(b, "* OK [UIDVALIDITY %u] UIDs valid\r\n", info->uidvalidity);
	buf_addf(b, "* OK [UIDNEXT %u] Predicted next UID\r\n", info->uidnext.v);
	buf_addf(b, "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
		 (unsigned long long)info->highestmodseq.v);
	buf_add(b, STR("* OK [MAILBOXID ("));
	write_mailboxid(b, info->mailbox, info->uidvalidity);
	buf_add(b, STR(")] Mailbox id\r\n"));
	/* RFC 4467 section 8: whose URLs may be signed. */
	if (s->rights & IMAP_RIGHT_WRITE)
		if (!s->guest)
			buf_add(b, STR("* OK [URLMECH INTERNAL] Signed URLs\r\n"));
}

/* RFC 9051 6.3.2: how the mailbox is listed, by the name that it has. */
static int write_listed(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct str asked = s->run.cmd.select.mailbox;
	struct store_mailbox box;
	int r = store_mailbox_find(s->store, s->account, asked, &s->run.arena, &box, why);
	if (r == 0)
		write_list_of(s, out, &box, str_eq(asked, box.name) ? STR_NULL : asked);
	return r;
}

/* There is no mailbox of the name: is it one as it was? Only for the owner, and read-only. */
static int open_past(struct imap_session *s, int r, struct imap_out *out, struct fail *why)
{
	struct str asked = s->run.cmd.select.mailbox, name;
	struct store_mailbox box;
	struct wall_us at;
	uint32_t rights;
	if (r != -FAIL_NOTFOUND || s->guest || !past_name(asked, &name, &at))
		return r;
	if ((r = acl_rights_of(s, name, &rights, why)) < 0 ||
	    (r = store_mailbox_find(s->store, s->account, name, &s->run.arena, &box, why)) < 0 ||
	    (r = rights & IMAP_ACL_R
			 ? 0
			 : fail_set(why, FAIL_PERM, "You do not have the right to do this.",
				    "rights %x", rights)) < 0 ||
	    (r = store_view_open_past(s->store, s->account, name, at, &s->view, why)) < 0)
		return r;
	s->selected_rights = rights;
	s->rights_known = true;
	write_selected(s, out);
	box.name = asked;
	if (session_is_rev2(s))
		write_list_of(s, out, &box, STR_NULL);
	return 0;
}

static int open_mailbox(struct imap_session *s, struct imap_out *out, bool examine,
			struct fail *why)
{
	const struct imap_select *select = &s->run.cmd.select;
	uint32_t rights;
	/* A failed SELECT leaves no mailbox selected (6.3.1), so the old one goes first. */
	if (s->view) {
		session_deselect(s);
		buf_add(&out->text, STR("* OK [CLOSED] Previous mailbox closed\r\n"));
	}
	if (select->condstore)
		condstore_enable(s, out);
	int r = acl_rights_of(s, select->mailbox, &rights, why);
	if (r < 0)
		return open_past(s, r, out, why);
	struct store_view_as as = acl_view_as(s, rights, examine);
	r = store_view_open_as(s->store, s->account, select->mailbox, &as, &s->view, why);
	if (r < 0)
		return r;
	s->selected_rights = rights;
	s->rights_known = true;
	write_selected(s, out);
	return session_is_rev2(s) ? write_listed(s, out, why) : 0;
}

int cmd_select(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_qresync *q = &s->run.cmd.select.qresync;
	bool examine = s->run.cmd.kind == IMAP_CMD_EXAMINE;
	int r = 0;
	if (q->given && !qresync_is_on(s))
		return fail_set(why, FAIL_SYNTAX, "QRESYNC must be enabled first.", "qresync");
	if (session_is_uidonly(s) && q->match_seq.n) {
		reply_uid_required(s);
		return RUN_DONE;
	}
	if (!s->run.state) /* else the window was full */
		r = open_mailbox(s, out, examine, why);
	/* Of another UIDVALIDITY the client knows nothing (RFC 7162 3.2.5). */
	if (r == 0 && q->given && q->uidvalidity == store_view_get_info(s->view)->uidvalidity)
		r = qresync_step(s, q, out, why);
	if (r < 0)
		session_deselect(s);
	if (r != 0)
		return r;
	if (examine || !acl_is_read_write(s, s->selected_rights))
		reply_ok(s, "READ-ONLY", "Mailbox is open.");
	else
		reply_ok(s, "READ-WRITE", "Mailbox is open.");
	return RUN_DONE;
}

int cmd_unselect(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)out, (void)why;
	session_deselect(s);
	return RUN_DONE;
}

/* Removes what is \Deleted without a word, unless the mailbox is read-only (6.4.2). */
int cmd_close(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)out;
	uint32_t rights;
	int r = acl_selected(s, &rights, why);
	/* RFC 4314 section 4: without the right it only closes. */
	if (r == 0 && (rights & IMAP_ACL_E) && !store_view_get_info(s->view)->read_only)
		r = store_view_expunge(s->view, NULL, NULL, why);
	if (r == -FAIL_GONE)
		r = 0;
	session_deselect(s);
	return r;
}
