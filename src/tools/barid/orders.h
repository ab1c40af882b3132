/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orders.h - give management orders, to the running server or to the files.             [tools]
 *
 * An order is a list of words ("user", "add", "bob@example.org"); the answer is a table, a message
 * or a refusal. Several orders may be under way at once. While no server runs, orders on accounts
 * are carried out on the directory's database directly. One thread.
 */
#ifndef BARID_TOOLS_BARID_ORDERS_H
#define BARID_TOOLS_BARID_ORDERS_H

#include "service/dir/dir_admin.h"
#include "tools/barid/cli.h"

#define ORDER_WORDS_MAX 200

struct orders;

/* What came of it; everything is borrowed for the time of the call. r < 0: refused, see why. */
struct order_answer {
	int r;
	enum fail_code code; /* not 0: refused, and the table says why */
	struct cli_table table;
	const struct fail *why;
};
typedef void (*order_done)(void *context, const struct order_answer *answer);

/*
 * `accounts`: the orders are about accounts, so that a server that does not run is no obstacle.
 * NULL: there is nobody to give orders to; a message was printed and *exit_code says why.
 */
struct orders *orders_open(const struct cli *c, bool accounts, int *exit_code);
/* Does the server that is meant run? (It answers on its control socket.) */
bool orders_running(const struct cli *c);
/* The server of this state folder; NULL, without a message, when none runs or we may not ask it. */
struct orders *orders_connect(const struct cli *c, const char *state_dir);
/* Give one; `done` is called once, in this call or in orders_wait. The words are copied. */
void orders_give(struct orders *o, const struct str *words, size_t n, order_done done,
		 void *context);
/* Until all are answered. */
void orders_wait(struct orders *o);
void orders_close(struct orders *o); /* NULL is fine */

/* Does this user administrate every domain and the server itself? */
bool orders_global(struct orders *o, const char *address);

/* Print a refusal; the exit code for it. */
int orders_complain(const struct fail *why);

#endif
