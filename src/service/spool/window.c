/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rows are in memory: those that are due, up to a number in all and to one per lane.
 *
 * For each state a cursor runs through the index of due times. What lies before it has been read:
 * it is in memory, has been settled, or belongs to a lane that is full, which is *parked* then and
 * filled again from an index of its own. Whoever changes rows says so (window_note), and the
 * cursor goes back when it must.
 */
#include "spool_int.h"

#include "sys/clock.h"

enum { CHUNK = 500 };

#define ROW_COLUMNS                                                                                \
	"SELECT r.number, r.rcpt, r.account, r.due, r.crashes, r.nexthop, r.state,"                \
	" m.auth_account, m.sender, m.priority, max(r.routed, m.arrival), m.filter = ''"           \
	" FROM rcpt r JOIN message m ON m.number = r.number "

struct due_row {
	struct spool_key key;
	struct new_entry entry;
};
struct due_rows {
	VEC_FIELDS(struct due_row);
};

/* Filters are chosen when a message comes, and mailboxes of ours do not move: these go as they are.
 */
static bool is_stale(struct db_stmt *st, struct wall_us changed)
{
	return db_col_i64(st, 6) != SPOOL_ROUTING && !db_col_is_null(st, 5) &&
	       db_col_i64(st, 11) != 0 && db_col_i64(st, 10) < changed.v;
}

static int read_rows(struct spool *sp, struct db_stmt *st, struct arena *a, struct due_rows *out,
		     struct fail *why)
{
	struct wall_us changed = {0};
	int r = 0;

	{
		LOCKED(&sp->schedule.lock);
		changed = sp->schedule.changed;
	}
	while ((r = db_step(st, why)) == 1) {
		int64_t priority = db_col_i64(st, 9);
		struct due_row *row = vec_push(out);
		*row = (struct due_row){
			.key = {db_col_u64(st, 0), (uint32_t)db_col_u64(st, 1)},
			.entry = {.account = {db_col_u64(st, 2)},
				  .due = {db_col_i64(st, 3)},
				  .crashes = (unsigned)MIN(db_col_u64(st, 4), UINT64_C(255)),
				  .nexthop = arena_str(a, db_col_text(st, 5)),
				  .state = (enum spool_state)db_col_i64(st, 6),
				  .source = schedule_source((struct account_id){db_col_u64(st, 7)},
							    db_col_text(st, 8)),
				  .priority = (int)MAX(MIN(priority, SPOOL_PRIORITY_MAX),
						       -SPOOL_PRIORITY_MAX),
				  .stale = is_stale(st, changed)}};
		if (!row->entry.nexthop.p) {
			db_reset(st);
			return fail_set(why, FAIL_LIMIT, NULL, "arena full at the schedule");
		}
	}
	return r;
}

/* ---- cursors ---- */

static int compare(struct wall_us due, struct spool_key key, const struct cursor *c)
{
	if (due.v != c->due.v)
		return due.v < c->due.v ? -1 : 1;
	if (key.number != c->key.number)
		return key.number < c->key.number ? -1 : 1;
	return key.rcpt < c->key.rcpt ? -1 : key.rcpt > c->key.rcpt;
}

void window_note(struct spool *sp, enum spool_state state, struct wall_us due, struct spool_key key)
{
	struct cursor *c = &sp->schedule.cursors[state];

	if (compare(due, key, c) <= 0)
		*c = (struct cursor){.due = {MAX(due.v, INT64_MIN + 1) - 1},
				     .key = {INT64_MAX, 0},
				     .next = c->next};
	c->next.v = MIN(c->next.v, due.v);
}

struct wall_us window_next(const struct spool *sp)
{
	struct wall_us next = {INT64_MAX};

	for (unsigned i = 0; i < SPOOL_STATES; i++)
		if (i != SPOOL_HELD)
			next.v = MIN(next.v, sp->schedule.cursors[i].next.v);
	return next;
}

static int first_behind(struct spool *sp, enum spool_state state, struct wall_us due,
			struct wall_us *ret, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(sp->db,
			"SELECT due FROM rcpt WHERE state = ?1 AND due > ?2 ORDER BY due LIMIT 1",
			&st, why);

	if (r < 0)
		return r;
	db_bind_i64(st, 1, state);
	db_bind_i64(st, 2, due.v);
	r = db_step(st, why);
	ret->v = r == 1 ? db_col_i64(st, 0) : INT64_MAX;
	/* A damaged time that is no number sorts behind all numbers: look again in a while. */
	if (ret->v <= due.v)
		ret->v = due.v + SEC_US;
	db_reset(st);
	return MIN(r, 0);
}

static int rows_behind(struct spool *sp, enum spool_state state, const struct cursor *c,
		       struct wall_us now, struct arena *a, struct due_rows *out, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(sp->db,
			ROW_COLUMNS "WHERE r.state = ?1 AND r.due <= ?2 AND"
				    " (r.due, r.number, r.rcpt) > (?3, ?4, ?5)"
				    " ORDER BY r.due, r.number, r.rcpt LIMIT ?6",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, state);
	db_bind_i64(st, 2, now.v);
	db_bind_i64(st, 3, c->due.v);
	db_bind_u64(st, 4, c->key.number);
	db_bind_i64(st, 5, c->key.rcpt);
	db_bind_i64(st, 6, CHUNK);
	return read_rows(sp, st, a, out, why);
}

/* With the turn held, so that no row changes between reading it and taking it up. */
static int read_on(struct spool *sp, enum spool_state state, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(2));
	struct schedule *s = &sp->schedule;
	struct cursor *c = &s->cursors[state];
	struct wall_us now = clock_wall();
	struct wall_us next = now;
	struct due_rows rows = {0};
	struct cursor from;

	SPOOL_DB(sp);
	{
		LOCKED(&s->lock);
		from = *c;
	}
	int r = rows_behind(sp, state, &from, now, &a, &rows, why);
	bool all = rows.n < CHUNK;
	if (r == 0 && all)
		r = first_behind(sp, state, now, &next, why);
	LOCKED(&s->lock);
	if (compare(from.due, from.key, c) > 0)
		all = false; /* somebody noted an earlier one meanwhile: go on from there */
	else
		for (size_t i = 0; r == 0 && i < rows.n; i++) {
			if (s->by_key.n >= sp->c.window) {
				all = false;
				break;
			}
			c->due = rows.p[i].entry.due;
			c->key = rows.p[i].key;
			(void)schedule_add(sp, rows.p[i].key, &rows.p[i].entry, false);
		}
	if (r == 0 && all)
		*c = (struct cursor){.due = now, .key = {INT64_MAX, 0}, .next = next};
	vec_clear(&rows);
	return r;
}

/* ---- lanes that were full ---- */

static int rows_of_hop(struct spool *sp, struct str name, struct arena *a, struct due_rows *out,
		       struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(sp->db,
			ROW_COLUMNS "WHERE r.nexthop = ?1 AND r.due <= ?2 AND r.state IN (0, 1)"
				    " ORDER BY r.due, r.number, r.rcpt LIMIT ?3",
			&st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, name);
	db_bind_i64(st, 2, clock_wall().v);
	db_bind_i64(st, 3, (int64_t)sp->c.lane_window * 2);
	return read_rows(sp, st, a, out, why);
}

/* A lane that was full and is half empty, or NULL; a next hop's name goes into the arena. */
static struct lane *next_parked(struct spool *sp, struct arena *a, struct str *ret_name)
{
	struct schedule *s = &sp->schedule;

	LOCKED(&s->lock);
	LIST_EACH (&s->parked, n) {
		struct lane *l = CONTAINER_OF(n, struct lane, parked);
		size_t full = l->hop ? sp->c.lane_window : sp->c.window / 2 / sp->c.lanes;
		if (l->n > full / 2 || s->by_key.n >= sp->c.window)
			continue;
		list_remove(&l->parked);
		if (l->hop) {
			*ret_name = arena_str(a, str_c(l->hop->name));
			hop_update(sp, l->hop); /* which may end it: it is made anew */
			return l;
		}
		/* No index tells the rows of a user process: look at all that are due. */
		window_note(sp, SPOOL_QUEUED, (struct wall_us){INT64_MIN + 2},
			    (struct spool_key){0});
		window_note(sp, SPOOL_DEFER, (struct wall_us){INT64_MIN + 2},
			    (struct spool_key){0});
		window_note(sp, SPOOL_ROUTING, (struct wall_us){INT64_MIN + 2},
			    (struct spool_key){0});
		return l;
	}
	return NULL;
}

static bool fill_parked(struct spool *sp, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct schedule *s = &sp->schedule;
	struct due_rows rows = {0};
	struct str name = STR_NULL;

	if (!next_parked(sp, &a, &name))
		return false;
	if (name.n == 0)
		return true;
	SPOOL_DB(sp);
	int r = rows_of_hop(sp, name, &a, &rows, why);
	LOCKED(&s->lock);
	bool fits = true;
	size_t before = s->by_key.n;
	for (size_t i = 0; r == 0 && fits && i < rows.n; i++)
		fits = schedule_add(sp, rows.p[i].key, &rows.p[i].entry, false);
	/* There may be more than one statement gives, or than there is room for. */
	bool again = r < 0 || !fits || rows.n >= (size_t)sp->c.lane_window * 2;
	if (again) {
		struct hop *h = hop_get(sp, name);
		if (list_empty(&h->lane.parked))
			list_append(&s->parked, &h->lane.parked);
	}
	vec_clear(&rows);
	/* Nothing new: they are all there, in the clerk's own lane, and it has to settle them
	 * first. */
	return r == 0 && fits && (!again || s->by_key.n > before);
}

/* ---- reading ---- */

/*
 * No pause is longer than retry_max_s, or that of what could not be routed. What is due later than
 * that was written while the clock was ahead, and the clock has been put right since: it has waited
 * long enough.
 */
static int64_t longest_pause(const struct spool *sp)
{
	return (int64_t)MAX(sp->c.retry_max_s, (unsigned)ROUTE_AGAIN_S) * SEC_US;
}

static int mend_times(struct spool *sp, enum spool_state state, struct fail *why)
{
	struct wall_us now = clock_wall();
	struct wall_us latest = {now.v + longest_pause(sp)};
	struct cursor *c = &sp->schedule.cursors[state];

	SPOOL_DB(sp);
	int r = rows_run(sp, "UPDATE rcpt SET due = ?2 WHERE state = ?1 AND due > ?3",
			 (int64_t[]){state, now.v, latest.v}, 3, why);
	LOCKED(&sp->schedule.lock);
	*c = (struct cursor){.due = {INT64_MIN}, .next = now};
	return r;
}

static bool is_time(struct spool *sp, enum spool_state state, bool *ret_mend)
{
	struct wall_us now = clock_wall();

	LOCKED(&sp->schedule.lock);
	const struct cursor *c = &sp->schedule.cursors[state];
	*ret_mend = state != SPOOL_QUEUED && c->next.v != INT64_MAX &&
		    c->next.v > now.v + longest_pause(sp);
	return sp->schedule.by_key.n < sp->c.window && (*ret_mend || c->next.v <= now.v);
}

void window_load(struct spool *sp)
{
	struct fail why = FAIL_INIT;
	bool more = true;

	while (more) {
		more = false;
		for (unsigned i = 0; i < SPOOL_STATES; i++) {
			bool mend = false;
			if (i == SPOOL_HELD || !is_time(sp, (enum spool_state)i, &mend))
				continue;
			int r = mend ? mend_times(sp, (enum spool_state)i, &why)
				     : read_on(sp, (enum spool_state)i, &why);
			if (r < 0) {
				spool_alert(sp, "spool: reading what is due: %s", why.detail);
				return;
			}
			more = true;
		}
		more |= fill_parked(sp, &why);
	}
}

int window_open(struct spool *sp, struct fail *why)
{
	struct schedule *s = &sp->schedule;
	struct db_stmt *st = NULL;
	/* Who could not be asked for a way may be there now. */
	int r = rows_run(sp, "UPDATE rcpt SET due = 0 WHERE state = 3 AND due > 0", NULL, 0, why);

	if (r == 0)
		r = db_stmt(sp->db, "SELECT state, count(*) FROM rcpt GROUP BY state", &st, why);

	if (r < 0)
		return r;
	LOCKED(&s->lock);
	while ((r = db_step(st, why)) == 1) {
		int64_t state = db_col_i64(st, 0);
		if (state < 0 || state >= SPOOL_STATES) {
			db_reset(st);
			return fail_set(why, FAIL_CORRUPT, NULL, "recipient in state %lld",
					(long long)state);
		}
		s->counts.by_state[state] = db_col_u64(st, 1);
		s->cursors[state] = (struct cursor){.due = {INT64_MIN}, .next = {INT64_MIN}};
	}
	return r;
}
