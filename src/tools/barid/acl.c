/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid acl list USER [MAILBOX] | rights WHO USER [MAILBOX]
 *       set USER MAILBOX WHOM RIGHTS | delete USER MAILBOX WHOM
 *
 * Who else may do what with the mailboxes of a user (RFC 4314), and why. Public mailboxes belong to
 * a user, too.
 */
#include "base/arena.h"
#include "base/check.h"
#include "base/text.h"
#include "codec/imap/imap_acl.h"
#include "tools/barid/options.h"
#include "tools/barid/tool.h"
#include <string.h>

/* As the role user has them: 0 = look, else 1 + enum store_acl_how. */
enum how { HOW_LOOK, HOW_SET, HOW_ADD, HOW_REMOVE, HOW_DELETE };

struct acl {
	const struct cli *cli;
	const char *state, *owner;
	struct msg_acl_order order;
	bool effective;
	struct arena arena;
};

static struct str letters(struct arena *a, uint32_t rights)
{
	AUTO(buf) struct buf b = BUF_INIT(64);
	if (rights)
		imap_rights_write(&b, rights);
	return rights ? arena_str(a, buf_str(&b)) : STR("-");
}

/* ---- what is printed ---------------------------------------------------------------------------
 */

static void print(const struct acl *x, const struct str *columns, size_t n, struct str *cells,
		  size_t n_cells)
{
	struct cli_table t = {.name = "rows",
			      .columns = columns,
			      .n_columns = n,
			      .cells = cells,
			      .n_cells = n_cells,
			      .message = n_cells ? STR("") : STR("Nothing is shared.")};
	cli_print(x->cli, &t);
}

static void print_lists(struct acl *x, const struct msg_acl_lists *m)
{
	static const struct str columns[] = {{"mailbox", 7}, {"identifier", 10}, {"rights", 6}};
	struct str *cells = arena_array(&x->arena, struct str, m->rows_n * 3 + 1);
	for (size_t i = 0; cells && i < m->rows_n; i++) {
		cells[i * 3] = m->rows[i].mailbox;
		cells[i * 3 + 1] = m->rows[i].identifier;
		cells[i * 3 + 2] = letters(&x->arena, m->rows[i].rights);
	}
	print(x, columns, ARRAY_LEN(columns), cells, cells ? m->rows_n * 3 : 0);
}

/* The entries that speak of him: "$team@example.org lrs, -bob@example.org s". */
static struct str because(struct acl *x, const struct msg_acl_lists *m, struct str mailbox)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	for (size_t i = 0; i < m->rows_n; i++)
		if (m->rows[i].meant && str_eq(m->rows[i].mailbox, mailbox)) {
			struct str rights = letters(&x->arena, m->rows[i].rights);
			buf_addf(&b, "%s%.*s %.*s", b.n ? ", " : "", STR_ARG(m->rows[i].identifier),
				 STR_ARG(rights));
		}
	if (b.n == 0 && str_eqi(x->order.who, str_c(x->owner)))
		return STR("owner");
	return b.n ? arena_str(&x->arena, buf_str(&b)) : STR("-");
}

static void print_rights(struct acl *x, const struct msg_acl_lists *m)
{
	static const struct str columns[] = {{"mailbox", 7}, {"rights", 6}, {"because", 7}};
	struct str *cells = arena_array(&x->arena, struct str, m->boxes_n * 3 + 1);
	size_t n = 0;
	for (size_t i = 0; cells && i < m->boxes_n; i++) {
		if (m->boxes[i].rights == 0 && x->order.mailbox.n == 0)
			continue;
		cells[n++] = m->boxes[i].mailbox;
		cells[n++] = letters(&x->arena, m->boxes[i].rights);
		cells[n++] = because(x, m, m->boxes[i].mailbox);
	}
	print(x, columns, ARRAY_LEN(columns), cells, n);
}

/* ---- asking ------------------------------------------------------------------------------------
 */

static int no_rows(void *arg, const struct str *cells, size_t n)
{
	(void)arg, (void)cells, (void)n;
	return 0;
}

/* An administrator of domains: his own users only, as dir says. */
static int check_scope(const struct acl *x, struct fail *why)
{
	const char *words[] = {"user", "show", x->owner};
	return x->cli->as ? tool_order(x->state, x->cli->as, words, ARRAY_LEN(words), no_rows, NULL,
				       why)
			  : 0;
}

static int run(struct acl *x, struct fail *why)
{
	AUTO(tool_link) struct tool_link *link = NULL;
	struct account_id id;
	struct ipc_packet *p = NULL;
	struct msg_acl_lists m;
	int r = check_scope(x, why);
	if (r < 0 || (r = tool_account(x->state, x->owner, &id, why)) < 0 ||
	    (r = tool_connect_account(x->state, id, &link, why)) < 0)
		return r;
	x->order.account = id.v;
	r = tool_ask(link, IPC_ACL_ORDER, &x->order, IPC_ACL_LISTS, &p, why);
	if (r == 0)
		r = msg_acl_lists_read(p, &m);
	if (r == 0 && x->effective)
		print_rights(x, &m);
	else if (r == 0)
		print_lists(x, &m);
	ipc_packet_free(p);
	return r;
}

/* ---- the command --------------------------------------------------------------------------------
 */

/* "lrs", "+s", "-te" */
static bool take_rights(struct acl *x, const char *text)
{
	struct str rights = str_c(text);
	bool more = str_starts(rights, STR("+")), less = str_starts(rights, STR("-"));
	x->order.how = more ? HOW_ADD : less ? HOW_REMOVE : HOW_SET;
	return imap_rights_parse(str_skip(rights, more || less), &x->order.rights) == 0;
}

static bool take_words(struct acl *x, const char *const *w, size_t n)
{
	if (n < 2)
		return false;
	bool list = strcmp(w[0], "list") == 0, set = strcmp(w[0], "set") == 0;
	x->effective = strcmp(w[0], "rights") == 0;
	size_t owner = x->effective ? 2 : 1;
	if (n <= owner)
		return false;
	x->owner = w[owner];
	if (n > owner + 1)
		x->order.mailbox = str_c(w[owner + 1]);
	if (x->effective)
		x->order.who = str_c(w[1]);
	if (list || x->effective)
		return n <= owner + 2;
	if (n < 4 || x->order.mailbox.n == 0)
		return false;
	x->order.identifier = str_c(w[3]);
	x->order.how = HOW_DELETE;
	return set ? n == 5 && take_rights(x, w[4]) : n == 4 && strcmp(w[0], "delete") == 0;
}

int cli_acl(const struct cli *c)
{
	struct acl x = {.cli = c, .arena = ARENA_INIT(MIB(64))};
	struct fail why = FAIL_INIT;
	int r = -1;
	if (!take_words(&x, (const char *const *)c->args + 1, c->n - 1))
		return cli_usage("acl");
	x.state = cli_state_dir(c);
	if (x.state)
		r = run(&x, &why);
	arena_clear(&x.arena);
	if (!x.state)
		return EXIT_FAILED;
	return r < 0 ? tool_complain(&why) : EXIT_DONE;
}
