/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator sees and does.
 */
#include "spool_int.h"

#include "sys/clock.h"
#include "sys/crash.h"

enum { LIST_MAX = 1000 };

/* ---- seeing ---- */

static int read_row(struct spool *sp, struct db_stmt *st, struct arena *a, struct spool_row *row,
		    struct fail *why)
{
	struct str detail = db_col_text(st, 6);
	struct str address = db_col_text(st, 5);
	size_t at = str_rfind(address, '@');

	*row = (struct spool_row){
		.key = {db_col_u64(st, 0), (uint32_t)db_col_u64(st, 1)},
		.state = (enum spool_state)db_col_i64(st, 2),
		.sender = arena_str(a, db_col_text(st, 3)),
		.account = {db_col_u64(st, 4)},
		.original = arena_str(a, db_col_text(st, 7)),
		.size = db_col_u64(st, 8),
		.trace = {db_col_u64(st, 9)},
		.arrival = {db_col_i64(st, 10)},
		.next_attempt = {db_col_i64(st, 11)},
		.attempts = (unsigned)db_col_i64(st, 12),
		.status = arena_str(a, db_col_text(st, 13)),
		.text = arena_str(a, db_col_text(st, 14)),
		.rcpt = detail.n
				? arena_printf(a, "%.*s+%.*s%.*s", STR_ARG(str_sub(address, 0, at)),
					       STR_ARG(detail), STR_ARG(str_skip(address, at)))
				: arena_str(a, address),
	};
	if (!row->text.p || !row->rcpt.p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at the queue's list");
	LOCKED(&sp->schedule.lock);
	const struct entry *e = schedule_find(sp, row->key);
	row->in_flight = e && e->in_flight;
	return 0;
}

int spool_list(struct spool *sp, const struct spool_query *q, struct arena *a,
	       struct spool_row **ret, size_t *ret_n, struct fail *why)
{
	struct db_stmt *st = NULL;
	unsigned max = q->max ? q->max : LIST_MAX;
	struct spool_row *rows = arena_array(a, struct spool_row, max);
	size_t n = 0;

	if (!rows)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at the queue's list");
	SPOOL_DB(sp);
	int r = db_stmt(
		sp->db,
		"SELECT r.number, r.rcpt, r.state, m.sender, r.account, r.address, r.detail,"
		" r.original, length(m.prefix) + m.body_size, m.trace, m.arrival, r.due,"
		" r.attempts, r.status, r.text"
		" FROM rcpt r JOIN message m ON m.number = r.number"
		" WHERE (?1 = 0 OR r.number = ?1) AND r.number > ?2 AND (?3 = '' OR"
		" lower(m.sender) = lower(?3) OR lower(r.address) = lower(?3) OR"
		" lower(r.original) = lower(?3)) ORDER BY r.number, r.rcpt LIMIT ?4",
		&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, (int64_t)q->number);
	db_bind_i64(st, 2, (int64_t)q->after);
	db_bind_text(st, 3, q->address);
	db_bind_i64(st, 4, max);
	while ((r = db_step(st, why)) == 1) {
		r = read_row(sp, st, a, &rows[n++], why);
		if (r < 0) {
			db_reset(st);
			return r;
		}
	}
	if (r < 0)
		return r;
	*ret = rows;
	*ret_n = n;
	return 0;
}

static int no_such(uint64_t number, struct fail *why)
{
	return fail_set(why, FAIL_NOTFOUND, "There is no such message in the queue.",
			"no message %llu", (unsigned long long)number);
}

int spool_show(struct spool *sp, uint64_t number, size_t max, struct arena *a, struct str *ret,
	       struct fail *why)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(MIB(16));
	AUTO(fs_file) struct fs_file *f = NULL;
	struct message_row m = {0};
	int r = 0;

	{
		SPOOL_DB(sp);
		r = rows_message(sp, number, true, &scratch, &m, why);
	}
	if (r == 0)
		return no_such(number, why);
	if (r > 0 && body_id_is_set(m.body_id))
		r = body_open(sp, m.body_id, &f, why);
	if (r < 0)
		return r;
	size_t size = (size_t)MIN((uint64_t)m.prefix.n + m.body_size, (uint64_t)max);
	char *text = arena_alloc(a, size + 1);
	if (!text)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at a message");
	size_t n = MIN(m.prefix.n, size);
	memcpy(text, m.prefix.p, n);
	size_t got = MIN(size - n, m.body.n);
	if (f)
		r = fs_pread(f, text + n, size - n, 0, &got, why);
	else
		memcpy(text + n, m.body.p, got);
	if (r < 0)
		return r;
	*ret = str_make(text, n + got);
	return 0;
}

int spool_receipts(struct spool *sp, struct spool_key after, struct spool_receipt *ret, size_t max,
		   struct fail *why)
{
	struct db_stmt *st = NULL;
	size_t n = 0;

	SPOOL_DB(sp);
	int r = db_stmt(sp->db,
			"SELECT number, rcpt, account FROM receipt WHERE (number, rcpt) > (?1, ?2)"
			" ORDER BY number, rcpt LIMIT ?3",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, (int64_t)after.number);
	db_bind_i64(st, 2, after.rcpt);
	db_bind_i64(st, 3, (int64_t)MIN(max, (size_t)INT32_MAX));
	while ((r = db_step(st, why)) == 1)
		ret[n++] = (struct spool_receipt){{db_col_u64(st, 0), (uint32_t)db_col_u64(st, 1)},
						  {db_col_u64(st, 2)}};
	return r < 0 ? r : (int)n;
}

/* ---- doing ---- */

struct chosen {
	VEC(struct spool_key) v;
};

/* The entries of a message (0: of all) that are not in flight. */
static bool choose(struct spool *sp, uint64_t number, struct chosen *out)
{
	bool exists = number == 0;

	LOCKED(&sp->schedule.lock);
	MAP_EACH (&sp->schedule.by_key, i) {
		const struct entry *e = sp->schedule.by_key.slots[i].value;
		if (number != 0 && e->key.number != number)
			continue;
		exists = true;
		if (!e->in_flight)
			*(struct spool_key *)vec_push(&out->v) = e->key;
	}
	return exists;
}

static int write_delete(struct spool *sp, const struct chosen *c, struct settled *out,
			struct fail *why)
{
	int r = db_begin(sp->db, why);

	for (size_t i = 0; r == 0 && i < c->v.n; i++) {
		struct spool_body_id body = {0};
		r = rows_delete_rcpt(sp, c->v.p[i], why);
		if (r == 0)
			r = rows_delete_empty(sp, c->v.p[i].number, &body, why);
		if (r == 1 && body_id_is_set(body))
			*(struct spool_body_id *)vec_push(&out->bodies) = body;
		r = MIN(r, 0);
	}
	CRASH_POINT("spool.before-delete-commit");
	if (r == 0)
		r = db_commit(sp->db, why);
	CRASH_POINT("spool.after-delete-commit");
	if (r < 0)
		db_rollback(sp->db);
	return r;
}

int spool_delete(struct spool *sp, uint64_t number, struct fail *why)
{
	struct chosen c = {0};
	struct settled s = {0};

	if (!choose(sp, number, &c))
		return no_such(number, why);
	SPOOL_DB(sp);
	int r = write_delete(sp, &c, &s, why);
	if (r == 0) {
		LOCKED(&sp->schedule.lock);
		for (size_t i = 0; i < c.v.n; i++) {
			struct entry *e = schedule_find(sp, c.v.p[i]);
			if (e)
				schedule_remove(sp, e);
		}
		r = (int)c.v.n;
	}
	for (size_t i = 0; r >= 0 && i < s.bodies.n; i++)
		body_unlink(sp, s.bodies.p[i]);
	settled_clear(&s);
	vec_clear(&c.v);
	return r;
}

/* Set state and due time of those chosen that are in one of the states `from` (bits). */
static int change(struct spool *sp, uint64_t number, unsigned from, enum spool_state to,
		  struct fail *why)
{
	struct chosen c = {0};
	struct wall_us now = clock_wall();
	int n = 0;

	if (!choose(sp, number, &c))
		return no_such(number, why);
	{
		SPOOL_DB(sp);
		int r = db_begin(sp->db, why);
		for (size_t i = 0; r == 0 && i < c.v.n; i++)
			r = rows_run(sp,
				     "UPDATE rcpt SET state = ?3, due = ?4, crashes = 0"
				     " WHERE number = ?1 AND rcpt = ?2 AND (1 << state) & ?5",
				     (int64_t[]){(int64_t)c.v.p[i].number, c.v.p[i].rcpt, to, now.v,
						 from},
				     5, why);
		CRASH_POINT("spool.before-change-commit");
		if (r == 0)
			r = db_commit(sp->db, why);
		CRASH_POINT("spool.after-change-commit");
		if (r < 0) {
			db_rollback(sp->db);
			vec_clear(&c.v);
			return r;
		}
		LOCKED(&sp->schedule.lock);
		for (size_t i = 0; i < c.v.n; i++) {
			struct entry *e = schedule_find(sp, c.v.p[i]);
			if (!e || e->in_flight || !(1u << e->state & from))
				continue;
			e->crashes = 0;
			schedule_place(sp, e, to, now);
			n++;
		}
	}
	vec_clear(&c.v);
	schedule_announce(sp);
	return n;
}

int spool_flush(struct spool *sp, uint64_t number, struct fail *why)
{
	return change(sp, number, 1u << SPOOL_DEFER, SPOOL_QUEUED, why);
}

int spool_hold(struct spool *sp, uint64_t number, struct fail *why)
{
	return change(sp, number, 1u << SPOOL_QUEUED | 1u << SPOOL_DEFER, SPOOL_HELD, why);
}

int spool_release(struct spool *sp, uint64_t number, struct fail *why)
{
	return change(sp, number, 1u << SPOOL_HELD, SPOOL_QUEUED, why);
}
