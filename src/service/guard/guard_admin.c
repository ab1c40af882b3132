/* SPDX-License-Identifier: Apache-2.0 */
/* What operators see of the guard, and say to it. */
#include "base/check.h"
#include "service/guard/guard_int.h"

static int list(struct guard *g, size_t max, struct arena *a, struct guard_row *rows, size_t *ret_n,
		struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(g->db,
			"SELECT account, held_us, reason, messages, (SELECT count(*) FROM known k"
			" WHERE k.account = account.account AND k.pending) FROM account"
			" WHERE held_us OR allowed ORDER BY held_us DESC LIMIT ?1",
			&st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, max);
	while ((r = db_step(st, why)) == 1) {
		struct guard_row *row = &rows[(*ret_n)++];
		*row = (struct guard_row){.account = {db_col_u64(st, 0)},
					  .since = {db_col_i64(st, 1)},
					  .reason = arena_str(a, db_col_text(st, 2)),
					  .messages = db_col_u64(st, 3),
					  .strangers = db_col_u64(st, 4)};
	}
	return r;
}

int guard_list(struct guard *g, size_t max, struct arena *a, struct guard_row **ret, size_t *ret_n,
	       struct fail *why)
{
	*ret_n = 0;
	*ret = arena_array(a, struct guard_row, max);
	if (!*ret)
		return fail_set(why, FAIL_LIMIT, NULL, "no room for a list");
	(void)pthread_mutex_lock(&g->lock);
	int r = list(g, max, a, *ret, ret_n, why);
	(void)pthread_mutex_unlock(&g->lock);
	return r;
}

static int list_traffic(struct guard *g, size_t max, int64_t minute, struct guard_traffic *rows,
			size_t *ret_n, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(g->db,
			"SELECT account, sum(iif(minute > ?1 - 60, messages, 0)),"
			" sum(iif(minute > ?1 - 60, recipients, 0)), sum(messages), sum(recipients)"
			" FROM traffic WHERE minute > ?1 - 1440 GROUP BY account"
			" ORDER BY 5 DESC, 1 LIMIT ?2",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, minute);
	db_bind_u64(st, 2, max);
	while ((r = db_step(st, why)) == 1)
		rows[(*ret_n)++] = (struct guard_traffic){.account = {db_col_u64(st, 0)},
							  .hour_messages = db_col_u64(st, 1),
							  .hour_recipients = db_col_u64(st, 2),
							  .day_messages = db_col_u64(st, 3),
							  .day_recipients = db_col_u64(st, 4)};
	return r;
}

int guard_traffic_list(struct guard *g, size_t max, struct wall_us now, struct arena *a,
		       struct guard_traffic **ret, size_t *ret_n, struct fail *why)
{
	*ret_n = 0;
	*ret = arena_array(a, struct guard_traffic, max);
	if (!*ret)
		return fail_set(why, FAIL_LIMIT, NULL, "no room for a list");
	(void)pthread_mutex_lock(&g->lock);
	int r = list_traffic(g, max, now.v / (60 * SEC_US), *ret, ret_n, why);
	(void)pthread_mutex_unlock(&g->lock);
	return r;
}

/* Let it go, and do `then` with what it wrote to meanwhile. */
static int let_go(struct guard *g, struct account_id account, const char *then, int64_t now,
		  struct fail *why)
{
	int64_t v[] = {(int64_t)account.v, now}, held = 0;
	int r = guard_number(g, "SELECT held_us FROM account WHERE account = ?1", v, 1, &held, why);
	if (r == 0 && !held)
		return fail_set(why, FAIL_NOTFOUND, "This account is not held.", "guard: not held");
	if (r == 0)
		r = db_begin(g->db, why);
	if (r < 0)
		return r;
	r = guard_run(g, "UPDATE account SET held_us = 0, messages = 0 WHERE account = ?1", v, 1,
		      why);
	if (r == 0)
		r = guard_run(g, then, v, now ? 2 : 1, why);
	if (r == 0)
		r = guard_run(g, "DELETE FROM account WHERE account = ?1 AND NOT allowed", v, 1,
			      why);
	if (r == 0)
		r = db_commit(g->db, why);
	else
		db_rollback(g->db);
	return r < 0 ? r : db_checkpoint(g->db, why);
}

int guard_release(struct guard *g, struct account_id account, struct wall_us now, struct fail *why)
{
	(void)pthread_mutex_lock(&g->lock);
	/* All of them count as old acquaintances: what was looked at begins anew. */
	int r = let_go(g, account,
		       "UPDATE known SET pending = 0, first_us = 0, last_us = ?2"
		       " WHERE account = ?1",
		       now.v, why);
	networks_forget(&g->networks, account);
	(void)pthread_mutex_unlock(&g->lock);
	return r;
}

int guard_reject(struct guard *g, struct account_id account, struct fail *why)
{
	(void)pthread_mutex_lock(&g->lock);
	int r = let_go(g, account, "DELETE FROM known WHERE account = ?1 AND pending", 0, why);
	networks_forget(&g->networks, account);
	(void)pthread_mutex_unlock(&g->lock);
	return r;
}

int guard_allow(struct guard *g, struct account_id account, bool on, struct fail *why)
{
	int64_t v[] = {(int64_t)account.v, on};
	(void)pthread_mutex_lock(&g->lock);
	int r = guard_run(g,
			  "INSERT INTO account VALUES(?1, 0, ?2, 0, '') ON CONFLICT(account)"
			  " DO UPDATE SET allowed = ?2",
			  v, 2, why);
	if (r == 0)
		r = guard_run(g,
			      "DELETE FROM account WHERE account = ?1 AND NOT allowed"
			      " AND NOT held_us",
			      v, 1, why);
	(void)pthread_mutex_unlock(&g->lock);
	return r;
}
