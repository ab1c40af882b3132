/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed.h - messages into one mailbox of a running server, many in a question.               [tools]
 *
 * A question is under way while the next is filled. Large messages are written by the caller into
 * files that the server opened.
 */
#ifndef BARID_TOOLS_BARID_FEED_H
#define BARID_TOOLS_BARID_FEED_H

#include "base/arena.h"
#include "base/ids.h"
#include "tools/barid/tool.h"

#define FEED_INLINE_MAX KIB(60)

struct feed_message {
	uint32_t uid; /* 0 = any */
	uint32_t flags;
	struct str keywords; /* separated by spaces */
	struct wall_us internaldate;
	struct str key; /* 32 bytes or none */
	struct str prefix, body;
	struct str body_id; /* from feed_file, instead of body */
	uint64_t size;
	const char *name; /* for messages about it; borrowed until its question is answered */
};

struct feed;
struct feed_counts {
	uint64_t added, present, refused;
};

/*
 * Into mailbox `name` (UTF-8), which must exist. uidvalidity and uidnext as in store_import.
 * refused(arg, name of the message, why) is called for what the server could not take.
 */
struct feed_target {
	struct account_id account;
	const char *mailbox;
	uint32_t uidvalidity, uidnext;
	void (*refused)(void *arg, const char *name, const char *why);
	void *arg;
};
struct feed *feed_new(struct tool_link *l, const struct feed_target *t);
/* Copied; sent when enough is together. */
MUST_CHECK int feed_add(struct feed *f, const struct feed_message *m, struct fail *why);
/* A file for a body that is larger than FEED_INLINE_MAX: write it, then add. id: 16 bytes. */
MUST_CHECK int feed_file(struct feed *f, char id[16], int *ret_fd, struct fail *why);
/* Send the rest and wait. `adopted`: the mailbox has the UIDVALIDITY asked for. */
MUST_CHECK int feed_end(struct feed *f, struct feed_counts *counts, bool *adopted,
			struct fail *why);
void feed_free(struct feed *f); /* NULL is fine */
DEFINE_AUTO_PTR(feed, struct feed, feed_free);

#endif
