/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - what a backup is taken of: a running server, or the files of one that stands.  [tools]
 */
#ifndef BARID_TOOLS_BARID_SOURCE_H
#define BARID_TOOLS_BARID_SOURCE_H

#include "base/auto.h"
#include "tools/barid/cli.h"
#include "tools/barid/tool.h"

struct source {
	const char *state;
	bool online;
	uint32_t partitions;
	int state_lock; /* offline: keeps a server from starting */
	struct tool_link *queue, **users;
	uint32_t n_users;
	struct db *held; /* offline: the database that is read */
};

/* Connect to the server and hold bodies and receipts, or lock the folder. */
MUST_CHECK int source_open(struct source *s, const char *state, struct fail *why);
/*
 * At the end: have bodies and receipts been held all the time? A queue that was started again in
 * between may have let receipts go whose recipients the copy of the spool still has: a restore
 * would deliver them twice. -FAIL_CONFLICT then.
 */
MUST_CHECK int source_held(struct source *s, struct fail *why);
void source_close(struct source *s);
DEFINE_AUTO(source, struct source, source_close);

/* partition -1 = the spool. *ret_fd is the caller's; 0 = there is none (offline). */
MUST_CHECK int source_freeze(struct source *s, int partition, int *ret_fd, struct fail *why);
/* -FAIL_CONFLICT: read it again. */
MUST_CHECK int source_thaw(struct source *s, int partition, struct fail *why);

#endif
