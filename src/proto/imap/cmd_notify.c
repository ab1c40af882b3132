/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_notify.c - NOTIFY (RFC 5465 section 3.1).                                [proto, imap]
 */
#include "codec/imap/imap_write.h"
#include "proto/imap/notify.h"

static int refuse(struct imap_session *s, int r, const struct fail *why)
{
	if (r == -FAIL_UNSUPPORTED) {
		reply_no(s,
			 "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName "
			 "SubscriptionChange MailboxMetadataChange ServerMetadataChange)",
			 "Other events are not told here.");
		return RUN_DONE;
	}
	if (r == -FAIL_LIMIT) {
		reply_no(s, "NOTIFICATIONOVERFLOW", why->public);
		return RUN_DONE;
	}
	return r;
}

/* What is told from now on is new; the sync behind it tells the selected mailbox's news once more
 * in full. */
int cmd_notify(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	AUTO(buf) struct buf text = BUF_INIT(NOTIFY_TEXT_MAX);
	AUTO(notify) struct notify *n = NULL;
	if (imap_write_cmd(&text, &s->run.cmd) < 0) {
		reply_no(s, "NOTIFICATIONOVERFLOW", "NOTIFY is too long.");
		return RUN_DONE;
	}
	int r = notify_new(s, buf_str(&text), &n, why);
	if (r < 0)
		return refuse(s, r, why);
	notify_free(s->notify);
	s->notify = TAKE(n);
	return s->run.cmd.notify.status ? notify_tell_status(s, out, why) : RUN_DONE;
}
