/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of throttle in memory. */
#include "base/check.h"
#include "base/map.h"
#include "service/policy/netset.h"
#include "service/policy/throttle.h"
#include <stdlib.h>

#define ROWS_MAX 500000u

struct entry {
	struct throttle_row row;
	struct entry *next;
};
struct throttle_table {
	struct arena arena;
	struct strmap accounts[THROTTLE_KINDS]; /* struct entry: the first of a chain */
	struct netset nets[THROTTLE_KINDS];
	size_t n;
};

const char *throttle_kind_name(enum throttle_kind k)
{
	static const char *const names[THROTTLE_KINDS] = {"outbound", "external", "inbound"};
	return names[k < THROTTLE_KINDS ? k : THROTTLE_OUTBOUND];
}

static void unload(void *table)
{
	struct throttle_table *t = table;
	if (!t)
		return;
	for (size_t i = 0; i < THROTTLE_KINDS; i++) {
		strmap_clear(&t->accounts[i]);
		netset_clear(&t->nets[i]);
	}
	arena_clear(&t->arena);
	free(t);
}
DEFINE_AUTO_PTR(throttle_table, struct throttle_table, unload);

static bool kind_of(struct str name, enum throttle_kind *ret)
{
	for (enum throttle_kind k = 0; k < THROTTLE_KINDS; k++)
		if (str_eqi(str_trim(name), str_c(throttle_kind_name(k)))) {
			*ret = k;
			return true;
		}
	return false;
}

static int add(struct throttle_table *t, struct db_stmt *st, struct fail *why)
{
	struct entry *e = arena_new(&t->arena, struct entry);
	struct netset_row net = {.value = e};
	if (!e || t->n++ >= ROWS_MAX)
		return fail_set(why, FAIL_LIMIT, NULL, "throttle has too many rows");
	struct throttle_row *row = &e->row;
	if (!kind_of(db_col_text(st, 2), &row->kind) ||
	    !policy_key_normal(db_col_text(st, 1), &t->arena, &row->account))
		return 0; /* it means nobody */
	row->id = db_col_i64(st, 0);
	row->priority = db_col_i64(st, 3);
	row->period_s = db_col_i64(st, 4);
	row->limit[THROTTLE_SIZE] = db_col_i64(st, 5);
	row->limit[THROTTLE_MESSAGES] = db_col_i64(st, 6);
	row->limit[THROTTLE_QUOTA] = db_col_i64(st, 7);
	row->limit[THROTTLE_RCPTS] = db_col_i64(st, 8);
	row->key = policy_key_kind(row->account);
	if (row->key == POLICY_KEY_CIDR && netcidr_parse(row->account, &net.net)) {
		netset_add(&t->nets[row->kind], &net);
		return 0;
	}
	e->next = strmap_get(&t->accounts[row->kind], row->account);
	(void)strmap_put(&t->accounts[row->kind], row->account, e);
	return 0;
}

static int load(struct db *db, void **ret, struct fail *why)
{
	AUTO(throttle_table) struct throttle_table *t = xcalloc(1, sizeof *t);
	struct db_stmt *st;
	t->arena = ARENA_INIT(MIB(256));
	int r = db_stmt(db,
			"SELECT id, account, kind, priority, period, msg_size, max_msgs, max_quota,"
			" max_rcpts FROM throttle",
			&st, why);
	while (r == 0 && (r = db_step(st, why)) == 1) {
		r = add(t, st, why);
		if (r < 0)
			db_reset(st);
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < THROTTLE_KINDS; i++)
		netset_sort(&t->nets[i]);
	*ret = TAKE(t);
	return 0;
}

const struct policy_part policy_part_throttle_rows = {
	.name = "throttle", .load = load, .unload = unload};

bool throttle_any(const struct throttle_table *t, enum throttle_kind kind)
{
	return t->accounts[kind].n > 0 || t->nets[kind].n > 0;
}

struct found {
	struct throttle_row *rows;
	size_t n;
};

/* In order of priority; what has no room is of the lowest. */
static void insert(struct found *f, const struct throttle_row *row)
{
	size_t at = f->n;
	while (at > 0 && f->rows[at - 1].priority < row->priority)
		at--;
	if (at == THROTTLE_ROWS_MAX)
		return;
	size_t keep = MIN(f->n, (size_t)THROTTLE_ROWS_MAX - 1);
	memmove(&f->rows[at + 1], &f->rows[at], (keep - at) * sizeof(*f->rows));
	f->rows[at] = *row;
	f->n = keep + 1;
}

static bool take_net(void *ctx, const struct netset_row *row)
{
	insert(ctx, &((const struct entry *)row->value)->row);
	return true;
}

size_t throttle_rows(const struct throttle_table *t, enum throttle_kind kind,
		     const struct policy_keys *const accounts[2], const struct netaddr *client,
		     struct throttle_row ret[THROTTLE_ROWS_MAX])
{
	struct found f = {.rows = ret};
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; accounts[i] && k < accounts[i]->n; k++) {
			if (i > 0 && policy_keys_have(accounts[0], accounts[i]->v[k]))
				continue; /* "@." is a key of both */
			const struct entry *e = strmap_get(&t->accounts[kind], accounts[i]->v[k]);
			for (; e; e = e->next)
				insert(&f, &e->row);
		}
	if (client->family)
		netset_each(&t->nets[kind], client, take_net, &f);
	return f.n;
}
