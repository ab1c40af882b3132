/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator sees.
 */
#include "spool_int.h"

#include "base/buf.h"

enum { LIST_MAX = 1000 };

/* So many message numbers are looked at before others get the database. */
enum { RANGE = 5000 };

/* ---- rows ---- */

struct patterns {
	char address[400], sender[400], rcpt[400], domain[300], nexthop[400], text[400];
};

/* A pattern of SQL's GLOB in lower case; brackets are brackets. */
static bool to_glob(struct str from, bool anywhere, char *to, size_t size)
{
	struct buf b = BUF_INIT(size - 1);

	if (anywhere && from.n)
		buf_add_c(&b, "*");
	for (size_t i = 0; i < from.n; i++)
		if (from.p[i] == '[')
			buf_add_c(&b, "[[]");
		else
			buf_addc(&b, ascii_lower(from.p[i]));
	if (anywhere && from.n)
		buf_add_c(&b, "*");
	bool ok = !b.failed;
	(void)snprintf(to, size, "%.*s", STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return ok;
}

static int read_patterns(const struct spool_query *q, struct patterns *p, struct fail *why)
{
	AUTO(buf) struct buf domain = BUF_INIT(sizeof p->domain - 1);

	if (q->domain.n)
		buf_addf(&domain, "*@%.*s", STR_ARG(q->domain));
	bool ok = !domain.failed && to_glob(q->address, false, p->address, sizeof p->address) &&
		  to_glob(q->sender, false, p->sender, sizeof p->sender) &&
		  to_glob(q->rcpt, false, p->rcpt, sizeof p->rcpt) &&
		  to_glob(buf_str(&domain), false, p->domain, sizeof p->domain) &&
		  to_glob(q->nexthop, false, p->nexthop, sizeof p->nexthop) &&
		  to_glob(q->text, true, p->text, sizeof p->text);
	return ok ? 0 : fail_set(why, FAIL_SYNTAX, "A pattern is too long.", "long pattern");
}

#define LOOK                                                                                       \
	"SELECT r.number, r.rcpt, r.state, m.sender, r.account, r.address, r.detail, r.original,"  \
	" length(m.prefix) + m.body_size, m.trace, m.arrival, r.due, r.attempts, r.status, "       \
	"r.text,"                                                                                  \
	" coalesce(r.nexthop, ''), m.auth_account, r.tried, m.priority, r.server"                  \
	" FROM rcpt r JOIN message m ON m.number = r.number"                                       \
	" WHERE (r.number, r.rcpt) > (?1, ?2) AND r.number <= ?3"                                  \
	" AND (?4 = 0 OR r.number = ?4)"                                                           \
	" AND (?5 = '' OR lower(m.sender) GLOB ?5 OR lower(r.address) GLOB ?5"                     \
	"  OR lower(r.original) GLOB ?5)"                                                          \
	" AND (?6 = '' OR lower(m.sender) GLOB ?6 OR (?6 = '<>' AND m.sender = ''))"               \
	" AND (?7 = '' OR lower(r.address) GLOB ?7 OR lower(r.original) GLOB ?7)"                  \
	" AND (?8 = '' OR lower(r.address) GLOB ?8 OR lower(r.original) GLOB ?8)"                  \
	" AND (?9 = '' OR lower(coalesce(r.nexthop, 'local')) GLOB ?9)"                            \
	" AND (?10 = '' OR lower(r.status || ' ' || r.text || ' ' || r.server) GLOB ?10)"          \
	" AND (?11 = 0 OR ((1 << r.state) & ?11)) AND (?12 = 0 OR m.arrival < ?12)"                \
	" AND (?13 = 0 OR m.arrival >= ?13)"                                                       \
	" AND (?14 = 0 OR length(m.prefix) + m.body_size >= ?14)"                                  \
	" AND (?15 = 0 OR length(m.prefix) + m.body_size <= ?15)"                                  \
	" AND (?16 = 0 OR r.account = ?16 OR m.auth_account = ?16)"                                \
	" ORDER BY r.number, r.rcpt LIMIT ?17"

static void bind(struct db_stmt *st, const struct spool_query *q, const struct patterns *p,
		 struct spool_key after, uint64_t last, int64_t limit)
{
	db_bind_u64(st, 1, after.number);
	db_bind_i64(st, 2, after.rcpt);
	db_bind_u64(st, 3, last);
	db_bind_u64(st, 4, q->number);
	db_bind_text(st, 5, str_c(p->address));
	db_bind_text(st, 6, str_c(p->sender));
	db_bind_text(st, 7, str_c(p->rcpt));
	db_bind_text(st, 8, str_c(p->domain));
	db_bind_text(st, 9, str_c(p->nexthop));
	db_bind_text(st, 10, str_c(p->text));
	db_bind_i64(st, 11, q->states);
	db_bind_i64(st, 12, q->until.v);
	db_bind_i64(st, 13, q->since.v);
	db_bind_u64(st, 14, q->size_min);
	db_bind_u64(st, 15, q->size_max);
	db_bind_u64(st, 16, q->account.v);
	db_bind_i64(st, 17, limit);
}

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
		.nexthop = arena_str(a, db_col_text(st, 15)),
		.auth_account = {db_col_u64(st, 16)},
		.tried = {db_col_i64(st, 17)},
		.priority = (int)db_col_i64(st, 18),
		.server = arena_str(a, db_col_text(st, 19)),
		.rcpt = detail.n
				? arena_printf(a, "%.*s+%.*s%.*s", STR_ARG(str_sub(address, 0, at)),
					       STR_ARG(detail), STR_ARG(str_skip(address, at)))
				: arena_str(a, address),
	};
	row->next_attempt.v = MAX(row->next_attempt.v, row->arrival.v); /* 0: at once */
	if (!row->text.p || !row->rcpt.p || !row->server.p || !row->nexthop.p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at the queue's list");
	LOCKED(&sp->schedule.lock);
	const struct entry *e = schedule_find(sp, row->key);
	row->in_flight = e && e->in_flight;
	return 0;
}

/* The last number of the next range behind `after`; 0: nothing is there. With the turn held. */
static int next_range(struct spool *sp, struct spool_key after, uint64_t *ret, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(sp->db,
			"SELECT number FROM rcpt WHERE (number, rcpt) > (?1, ?2)"
			" ORDER BY number, rcpt LIMIT 1",
			&st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, after.number);
	db_bind_i64(st, 2, after.rcpt);
	r = db_step(st, why);
	*ret = r == 1 ? db_col_u64(st, 0) + RANGE : 0;
	db_reset(st);
	return MIN(r, 0);
}

struct walk {
	const struct spool_query *q;
	struct patterns patterns;
	struct spool_key after; /* what has been seen */
	int64_t limit;
	bool more;
	int (*fn)(void *ctx, const struct spool_row *row);
	void *ctx;
};

static int walk_range(struct spool *sp, struct walk *w, struct fail *why)
{
	struct db_stmt *st = NULL;
	uint64_t last = 0;

	SPOOL_DB(sp);
	int r = next_range(sp, w->after, &last, why);
	w->more = last > 0 && (w->q->number == 0 || last - RANGE <= w->q->number);
	if (r < 0 || !w->more)
		return r;
	r = db_stmt(sp->db, LOOK, &st, why);
	if (r < 0)
		return r;
	bind(st, w->q, &w->patterns, w->after, last, w->limit);
	while ((r = db_step(st, why)) == 1) {
		AUTO(arena) struct arena a = ARENA_INIT(KIB(256));
		struct spool_row row;
		r = read_row(sp, st, &a, &row, why);
		if (r == 0)
			r = w->fn(w->ctx, &row);
		if (r != 0) {
			db_reset(st);
			return r;
		}
	}
	w->after = (struct spool_key){last, UINT32_MAX};
	return r;
}

static int walk(struct spool *sp, struct walk *w, struct fail *why)
{
	int r = read_patterns(w->q, &w->patterns, why);

	w->after = w->q->after;
	w->more = true;
	if (w->q->number > w->after.number) /* straight to it */
		w->after = (struct spool_key){w->q->number - 1, UINT32_MAX};
	while (r == 0 && w->more)
		r = walk_range(sp, w, why);
	return r;
}

int spool_each(struct spool *sp, const struct spool_query *q,
	       int (*fn)(void *ctx, const struct spool_row *row), void *ctx, struct fail *why)
{
	return walk(sp, &(struct walk){.q = q, .limit = INT64_MAX, .fn = fn, .ctx = ctx}, why);
}

struct listing {
	struct arena *a;
	struct spool_row *rows;
	size_t n, max;
	struct fail *why;
};

static int keep_row(void *ctx, const struct spool_row *row)
{
	struct listing *l = ctx;
	struct spool_row *to = &l->rows[l->n];

	*to = *row;
	struct str *texts[] = {&to->sender, &to->rcpt, &to->original, &to->nexthop,
			       &to->status, &to->text, &to->server};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		*texts[i] = arena_str(l->a, *texts[i]);
		if (!texts[i]->p)
			return fail_set(l->why, FAIL_LIMIT, NULL, "arena full at the queue's list");
	}
	return ++l->n == l->max;
}

int spool_list(struct spool *sp, const struct spool_query *q, struct arena *a,
	       struct spool_row **ret, size_t *ret_n, struct fail *why)
{
	struct listing l = {.a = a, .max = q->max ? q->max : LIST_MAX, .why = why};

	l.rows = arena_array(a, struct spool_row, l.max);
	if (!l.rows)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at the queue's list");
	struct walk w = {.q = q, .limit = (int64_t)l.max, .fn = keep_row, .ctx = &l};
	int r = walk(sp, &w, why);
	if (r < 0)
		return r;
	*ret = l.rows;
	*ret_n = l.n;
	return 0;
}

int spool_oldest(struct spool *sp, struct wall_us *ret, struct fail *why)
{
	struct db_stmt *st = NULL;

	SPOOL_DB(sp);
	int r = db_stmt(sp->db, "SELECT arrival FROM message ORDER BY number LIMIT 1", &st, why);
	if (r == 0)
		r = db_step(st, why);
	if (r == 1) {
		ret->v = db_col_i64(st, 0);
		db_reset(st);
	}
	return r;
}

/* ---- content ---- */

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
