/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/vec.h"
#include "service/tlsbook/tlsbook_int.h"
#include <stdlib.h>

#define APPLICATION_ID 0x6264746c /* "bdtl" */

static const struct db_migration steps[] = {
	{.what = "policies of MTA-STS, and how sessions went",
	 .sql = "CREATE TABLE policy(domain TEXT PRIMARY KEY, id TEXT NOT NULL,"
		" fetched_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, text TEXT NOT NULL)"
		" WITHOUT ROWID;"
		"CREATE TABLE sessions(day INTEGER, domain TEXT, policy TEXT, result TEXT, mx TEXT,"
		" ip TEXT, count INTEGER NOT NULL, reason TEXT NOT NULL,"
		" PRIMARY KEY(day, domain, policy, result, mx, ip)) WITHOUT ROWID;"},
	{.what = "reports that were sent",
	 .sql = "CREATE TABLE reported(day INTEGER, domain TEXT, PRIMARY KEY(day, domain))"
		" WITHOUT ROWID;"},
};

unsigned tlsbook_format(void)
{
	return ARRAY_LEN(steps);
}

int tlsbook_open(const char *path, struct fs *fs, struct tlsbook **ret, struct fail *why)
{
	struct tlsbook *b = xcalloc(1, sizeof *b);
	struct db_options o = {.path = path, .fs = fs, .create = true, .exclusive = true};
	(void)pthread_mutex_init(&b->lock, NULL);
	int r = db_open(&o, &b->db, why);
	if (r == 0)
		r = db_migrate(b->db, APPLICATION_ID, steps, ARRAY_LEN(steps), why);
	if (r < 0) {
		db_close(b->db);
		free(b);
		return r;
	}
	*ret = b;
	return 0;
}

void tlsbook_close(struct tlsbook *b)
{
	struct fail why = FAIL_INIT;
	if (!b)
		return;
	if (tlsbook_write_counts(b, (struct wall_us){0}, &why) < 0)
		tlsbook_drop_counts(b); /* nobody is left to hear of it */
	db_close(b->db);
	(void)pthread_mutex_destroy(&b->lock);
	free(b);
}

static int keep(struct tlsbook *b, const struct tlsbook_policy *p, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(b->db, "INSERT OR REPLACE INTO policy VALUES(?1, ?2, ?3, ?4, ?5)", &st,
			why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, p->domain);
	db_bind_text(st, 2, p->id);
	db_bind_i64(st, 3, p->fetched.v);
	db_bind_i64(st, 4, p->expires.v);
	db_bind_text(st, 5, p->text);
	return db_run(st, why);
}

int tlsbook_keep(struct tlsbook *b, const struct tlsbook_policy *p, struct fail *why)
{
	(void)pthread_mutex_lock(&b->lock);
	int r = keep(b, p, why);
	(void)pthread_mutex_unlock(&b->lock);
	return r;
}

static int read_policy(struct db_stmt *st, struct arena *a, struct tlsbook_policy *ret,
		       struct fail *why)
{
	struct str text = db_col_text(st, 4);
	*ret = (struct tlsbook_policy){.domain = arena_str(a, db_col_text(st, 0)),
				       .id = arena_str(a, db_col_text(st, 1)),
				       .fetched = {db_col_i64(st, 2)},
				       .expires = {db_col_i64(st, 3)},
				       .text = arena_str(a, text)};
	if (ret->domain.p && ret->id.p && ret->text.p)
		return 0;
	db_reset(st);
	return fail_set(why, FAIL_LIMIT, NULL, "no room for a policy");
}

static int find(struct tlsbook *b, struct str domain, struct wall_us now, struct arena *a,
		struct tlsbook_policy *ret, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(b->db,
			"SELECT domain, id, fetched_us, expires_us, text FROM policy"
			" WHERE domain = ?1 AND expires_us > ?2",
			&st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, domain);
	db_bind_i64(st, 2, now.v);
	r = db_step(st, why);
	if (r <= 0)
		return r;
	r = read_policy(st, a, ret, why);
	db_reset(st);
	return r < 0 ? r : 1;
}

int tlsbook_find(struct tlsbook *b, struct str domain, struct wall_us now, struct arena *a,
		 struct tlsbook_policy *ret, struct fail *why)
{
	(void)pthread_mutex_lock(&b->lock);
	int r = find(b, domain, now, a, ret, why);
	(void)pthread_mutex_unlock(&b->lock);
	return r;
}

static int list(struct tlsbook *b, size_t max, struct arena *a, struct tlsbook_policy *all,
		size_t *ret_n, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(b->db,
			"SELECT domain, id, fetched_us, expires_us, text FROM policy"
			" ORDER BY domain LIMIT ?1",
			&st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, max);
	while ((r = db_step(st, why)) == 1) {
		r = read_policy(st, a, &all[*ret_n], why);
		if (r < 0)
			return r;
		(*ret_n)++;
	}
	return r;
}

int tlsbook_policies(struct tlsbook *b, size_t max, struct arena *a, struct tlsbook_policy **ret,
		     size_t *ret_n, struct fail *why)
{
	struct tlsbook_policy *all = arena_array(a, struct tlsbook_policy, max);
	*ret_n = 0;
	if (!all)
		return fail_set(why, FAIL_LIMIT, NULL, "no room for policies");
	(void)pthread_mutex_lock(&b->lock);
	int r = list(b, max, a, all, ret_n, why);
	(void)pthread_mutex_unlock(&b->lock);
	*ret = all;
	return r;
}
