/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool.h - a command's connection to the role that owns the data.                          [tools]
 */
#ifndef BARID_TOOLS_BARID_TOOL_H
#define BARID_TOOLS_BARID_TOOL_H

#include "base/auto.h"
#include "runtime/ipc/ipc.h"
#include "tools/barid/cli.h"

struct tool_server { /* what master says of the server */
	uint32_t partitions, user_workers;
};
struct tool_link;

/*
 * Connect to process `index` of a role ("user", "queue") of the server in `dir`. What the role
 * holds for this command ends with the connection. -FAIL_NOTFOUND: no server runs there;
 * -FAIL_PERM: not for this user.
 */
MUST_CHECK int tool_connect(const char *dir, const char *role, unsigned index,
			    struct tool_link **ret, struct tool_server *ret_server,
			    struct fail *why);
/* To master itself, for orders and surveys. */
MUST_CHECK int tool_connect_master(const char *dir, struct tool_link **ret, struct fail *why);
/* To the user process that has the account. */
MUST_CHECK int tool_connect_account(const char *dir, struct account_id account,
				    struct tool_link **ret, struct fail *why);
void tool_close(struct tool_link *l); /* NULL is fine */
DEFINE_AUTO_PTR(tool_link, struct tool_link, tool_close);

/* Ask and wait; *ret is the caller's, and may be NULL when only success is of interest. */
MUST_CHECK int tool_ask(struct tool_link *l, enum ipc_type type, const void *msg,
			enum ipc_type want, struct ipc_packet **ret, struct fail *why);

/* Ask without waiting, so that the next question is made meanwhile. */
struct tool_pending {
	struct ipc_ask ask;
	bool asked, done;
	int r;
	struct ipc_packet *p;
	struct fail why;
};
void tool_begin(struct tool_link *l, struct tool_pending *q, enum ipc_type type, const void *msg,
		enum ipc_type want);
MUST_CHECK int tool_finish(struct tool_link *l, struct tool_pending *q, struct ipc_packet **ret,
			   struct fail *why);

/* The id of a user of the running server. -FAIL_NOTFOUND: no such user, or (public text) server. */
MUST_CHECK int tool_account(const char *dir, const char *address, struct account_id *ret,
			    struct fail *why);
/* Rows of an answer: fn gets each row's cells. */
MUST_CHECK int tool_each_row(const struct msg_admin_reply *m,
			     int (*fn)(void *arg, const struct str *cells, size_t n), void *arg);
/*
 * Rows of an order of admin ("user list"): fn gets each row's cells. `as`: with this
 * administrator's rights; NULL: with all.
 */
MUST_CHECK int tool_order(const char *dir, const char *as, const char *const *words, size_t n,
			  int (*fn)(void *arg, const struct str *cells, size_t n), void *arg,
			  struct fail *why);

/* Print why something did not work; the exit code for it. */
int tool_complain(const struct fail *why);

#endif
