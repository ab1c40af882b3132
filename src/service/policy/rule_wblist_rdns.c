/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients by what the DNS calls their address: wblist_rdns has names, and suffixes with a dot in
 * front (".dynamic.example"), which also stand for the name itself. An allowed name wins over a
 * refused one, and says nothing to the other rules.
 */
#include "base/check.h"
#include "base/map.h"
#include "base/vec.h"
#include "service/policy/policy_int.h"

#define ROWS_MAX 1000000u

struct row {
	bool allow;
	struct str rdns;
};
struct table {
	struct arena arena;
	struct strmap rows;
};

static void unload(void *table)
{
	struct table *t = table;
	if (!t)
		return;
	strmap_clear(&t->rows);
	arena_clear(&t->arena);
	free(t);
}
DEFINE_AUTO_PTR(table, struct table, unload);

static int add(struct table *t, struct str rdns, struct str wb, struct fail *why)
{
	struct row *row = arena_new(&t->arena, struct row);
	char *text = arena_c(&t->arena, str_trim(rdns));
	if (!row || !text || t->rows.n >= ROWS_MAX)
		return fail_set(why, FAIL_LIMIT, NULL, "wblist_rdns has too many rows");
	for (char *c = text; *c; c++)
		*c = ascii_lower(*c);
	*row = (struct row){.allow = wb.n && ascii_upper(wb.p[0]) == 'W', .rdns = str_c(text)};
	if (row->rdns.n)
		(void)strmap_put(&t->rows, row->rdns, row);
	return 0;
}

static int load(struct db *db, void **ret, struct fail *why)
{
	AUTO(table) struct table *t = xcalloc(1, sizeof *t);
	struct db_stmt *st;
	t->arena = ARENA_INIT(MIB(256));
	int r = db_stmt(db, "SELECT rdns, wb FROM wblist_rdns WHERE upper(wb) IN ('W', 'B')", &st,
			why);
	while (r == 0 && (r = db_step(st, why)) == 1) {
		r = add(t, db_col_text(st, 0), str_trim(db_col_text(st, 1)), why);
		if (r < 0)
			db_reset(st);
	}
	if (r == 0)
		*ret = TAKE(t);
	return r;
}

const struct policy_part policy_part_rdns = {.name = "wblist_rdns", .load = load, .unload = unload};

/* The exact name, ".name", and each suffix that begins with a dot: of them the first that fits. */
static const struct row *look(const struct table *t, struct str name, bool allow, struct arena *a)
{
	const struct row *row = strmap_get(&t->rows, name);
	struct str dotted = arena_printf(a, ".%.*s", STR_ARG(name));
	for (size_t at = 0; (!row || row->allow != allow) && at < dotted.n;
	     at = str_find(dotted, at + 1, '.'))
		row = strmap_get(&t->rows, str_skip(dotted, at));
	return row && row->allow == allow ? row : NULL;
}

int rule_wblist_rdns(struct policy *p, const struct policy_query *q, struct policy_verdict *ret,
		     struct fail *why)
{
	struct str name = q->reverse_client_name;
	const void *table;
	if (policy_logged_in(q) || q->trusted)
		return policy_dunno(ret, "the client is trusted");
	if (!name.n)
		return policy_dunno(ret, "the client's address has no name");
	int r = policy_table(p, POLICY_PART_RDNS, &table, why);
	if (r < 0)
		return r;
	const struct row *row = look(table, name, true, q->arena);
	if (!row)
		row = look(table, name, false, q->arena);
	if (!row)
		(void)policy_dunno(ret, "%.*s is not listed", STR_ARG(name));
	else if (row->allow)
		(void)policy_dunno(ret, "%.*s is on the white list: %.*s", STR_ARG(name),
				   STR_ARG(row->rdns));
	else
		(void)policy_reject(ret, "Blacklisted", "%.*s is on the black list: %.*s",
				    STR_ARG(name), STR_ARG(row->rdns));
	policy_table_done(p);
	return 0;
}
