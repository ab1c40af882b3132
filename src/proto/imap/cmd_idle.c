/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_idle.c - IDLE (RFC 2177): from here on the store's watch wakes the session.  [proto, imap]
 */
#include "proto/imap/imap_int.h"

static void wake(void *arg, const struct store_event *e)
{
	(void)e;
	const struct imap_hooks *hooks = arg;
	if (hooks->wake)
		hooks->wake(hooks->arg);
}

int idle_watch(struct imap_session *s, struct fail *why)
{
	if (!s->view || s->watch || s->notify) /* that has one of its own */
		return 0;
	return store_watch_add(s->store, s->account, store_view_get_info(s->view)->mailbox, wake,
			       &s->hooks, &s->watch, why);
}

/* The watch stands before the sync that follows, so that nothing falls between them. */
int cmd_idle(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	int r = idle_watch(s, why);
	if (r < 0)
		return r;
	buf_add(&out->text, STR("+ idling\r\n"));
	return RUN_PARK;
}
