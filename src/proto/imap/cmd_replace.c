/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_replace.c - REPLACE and UID REPLACE (RFC 8508).                           [proto, imap]
 *
 * The store does both in one transaction (store_view_replace), so there is no moment at which the
 * old message is gone and the new one not there.
 */
#include "proto/imap/append_int.h"
#include "proto/imap/notify.h"
#include "sys/log.h"

/* The UID of the one message that was named. */
static int find_old(struct imap_session *s, struct uid *ret, struct fail *why)
{
	struct store_set set;
	int r = set_resolve(s, &s->run.cmd.replace.set, s->run.cmd.uid, &set, why);
	if (r == 0 && set.n == 0)
		r = fail_set(why, FAIL_CONFLICT, "There is no such message.", "REPLACE of nothing");
	if (r == 0)
		*ret = set.runs[0].first;
	return r;
}

/* RFC 8508 section 4.3: APPENDUID in an untagged OK, before the EXPUNGE that the sync tells. */
static int replace(struct imap_session *s, struct uid old, const struct store_append *append,
		   struct imap_out *out, struct fail *why)
{
	AUTO(buf) struct buf code = BUF_INIT(128);
	struct store_append_result result;
	int r = store_view_replace(s->view, old, append, &result, why);
	if (r < 0)
		return reply_target(s, r, why);
	log_event(LOG_INFO, "imap.replace", log_address("user", str_c(s->address)),
		  log_str("mailbox", append->mailbox), log_u64("uid", result.first.v),
		  log_u64("old_uid", old.v));
	notify_own(s, result.uidvalidity, result.first, 1);
	append_write_uids(&code, &result, 1);
	buf_addf(&out->text, "* OK [%s] Replacement stored\r\n", buf_c(&code));
	s->run.tell_modseq = qresync_is_on(s);
	return RUN_DONE;
}

int cmd_replace(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_append *cmd = &s->run.cmd.replace.append;
	AUTO(appending) struct appending a = APPENDING_INIT;
	struct store_append_message message;
	struct store_append append = {
		.account = s->account, .mailbox = cmd->mailbox, .messages = &message, .n = 1};
	struct uid old;
	int r = append_target(s, cmd->mailbox, why);
	if (r < 0)
		return reply_target(s, r, why);
	r = find_old(s, &old, why);
	if (r == 0)
		r = quota_get(s, &append.quota, why);
	if (r < 0 && r != -FAIL_CONFLICT)
		return r;
	if (r == 0)
		r = append_prepare(s, &cmd->message[0], &message, &a, why);
	if (r == 0)
		r = append_as(s, &append, &message, why);
	if (r == 0)
		r = replace(s, old, &append, out, why);
	else
		r = append_refused(s, r, &a, why);
	if (r != -FAIL_CONFLICT)
		return r;
	reply_no(s, s->run.cmd.uid ? NULL : "EXPUNGEISSUED", why->public);
	return RUN_DONE;
}
