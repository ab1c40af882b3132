/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.h - between the files of `barid export`.                                          [tools]
 */
#ifndef BARID_TOOLS_BARID_EXPORT_H
#define BARID_TOOLS_BARID_EXPORT_H

#include "tools/barid/progress.h"
#include "tools/barid/tool.h"

struct export
{
	const char *state, *account, *mailbox, *format, *path;
	struct account_id id;
	struct tool_link *link;
	struct progress progress;
	uint64_t written, present;
	/* of the mailbox at hand */
	const struct msg_box *box;
	uint32_t uidvalidity, uidnext;
};

/* fn gets each message of e->box, oldest first. Descriptors in m are closed behind it. */
MUST_CHECK int export_each(struct export *e, bool bodies,
			   int (*fn)(void *arg, const struct msg_box_message *m, struct fail *why),
			   void *arg, struct fail *why);
/* Hand the message's text to `put` in pieces, CRLF as LF. */
MUST_CHECK int export_text(const struct msg_box_message *m,
			   int (*put)(void *arg, struct str s, struct fail *why), void *arg,
			   struct fail *why);

/* One mailbox (e->box). */
MUST_CHECK int export_maildir(struct export *e, struct fail *why);
MUST_CHECK int export_mbox(struct export *e, struct fail *why);
/* After all: the list of subscriptions. */
MUST_CHECK int export_subscriptions(const struct export *e, const struct msg_boxes_reply *boxes,
				    struct fail *why);

#endif
