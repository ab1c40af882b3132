/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an outcome does to a recipient:
 *
 *   delivered           row goes, a receipt row waits for the store to drop its receipt
 *   deferred, young     row stays with a later due time
 *   deferred, too old   as failed
 *   failed              row goes
 *   deferred, untried   as deferred, and it was no attempt
 *
 * and, as NOTIFY asks, a report to the sender, in the same transaction (RFC 3461 5.2).
 */
#include "spool_int.h"

#include "sys/clock.h"

void settled_clear(struct settled *s)
{
	vec_clear(&s->changes);
	vec_clear(&s->receipts);
	vec_clear(&s->bodies);
	vec_clear(&s->events);
	*s = (struct settled){0};
}

/* The recipients of one message to be reported, by kind. */
struct reports {
	VEC(struct report_rcpt) v[REPORTS];
};

static void reports_clear(struct reports *r)
{
	for (unsigned i = 0; i < ARRAY_LEN(r->v); i++)
		vec_clear(&r->v[i]);
}

/* What the outcomes of one message have in common. */
struct common {
	const struct message_row *m;
	struct wall_us now; /* the same for all, so that they are due, and handed out, together */
	struct reports *reports;
	struct settled *out;
};

static bool any(const struct reports *r)
{
	for (unsigned i = 0; i < ARRAY_LEN(r->v); i++)
		if (r->v[i].n > 0)
			return true;
	return false;
}

static void report(struct reports *out, enum report_kind kind, const struct rcpt_row *row,
		   const struct result *res)
{
	*(struct report_rcpt *)vec_push(&out->v[kind]) =
		(struct report_rcpt){.row = *row,
				     .status = res->status,
				     .text = res->text,
				     .server = str_c(res->server)};
}

/* ---- for the log ---- */

static void keep(char *to, size_t size, struct str s)
{
	s = str_sub(s, 0, size - 1);
	if (s.n)
		memcpy(to, s.p, s.n);
	to[s.n] = '\0';
}

void event_fill(struct spool_event *e, const struct message_row *m, const struct rcpt_row *row,
		const char *status, struct str text)
{
	*e = (struct spool_event){.trace = m->trace,
				  .key = row->key,
				  .next = row->due,
				  .attempts = row->attempts,
				  .about = ""};
	keep(e->address, sizeof e->address, row->to.address);
	keep(e->original, sizeof e->original, row->original);
	keep(e->status, sizeof e->status, str_c(status));
	keep(e->text, sizeof e->text, text);
}

static void add_event(struct settled *out, enum spool_event_kind kind, const struct message_row *m,
		      const struct rcpt_row *row, const struct result *res)
{
	struct spool_event *e = vec_push(&out->events);
	event_fill(e, m, row, res->status, res->text);
	keep(e->server, sizeof e->server, str_c(res->server));
	e->kind = kind;
}

/* ---- outcomes ---- */

static bool failure_is_told(unsigned notify)
{
	return notify == 0 || (notify & SPOOL_NOTIFY_FAILURE);
}

static struct wall_us later(struct wall_us t, uint64_t seconds)
{
	int64_t v = 0;

	/* A damaged row says any time. */
	return __builtin_add_overflow(t.v, (int64_t)seconds * SEC_US, &v)
		       ? (struct wall_us){INT64_MAX}
		       : (struct wall_us){v};
}

static uint64_t retry_delay_s(const struct spool *sp, unsigned attempts)
{
	uint64_t s = sp->c.retry_first_s;

	for (unsigned i = 1; i < attempts && s < sp->c.retry_max_s; i++)
		s *= 2;
	return MIN(s, (uint64_t)sp->c.retry_max_s);
}

static void add_change(struct settled *out, enum change_kind kind, const struct rcpt_row *row,
		       enum spool_state from)
{
	*(struct change *)vec_push(&out->changes) = (struct change){
		.kind = kind, .key = row->key, .from = from, .state = row->state, .due = row->due};
}

static int finish_rcpt(struct spool *sp, const struct rcpt_row *row, struct settled *out,
		       struct fail *why)
{
	add_change(out, CHANGE_REMOVE, row, row->state);
	return rows_delete_rcpt(sp, row->key, why);
}

static int delivered(struct spool *sp, const struct result *res, const struct rcpt_row *row,
		     const struct common *c, struct fail *why)
{
	struct settled *out = c->out;
	int r = finish_rcpt(sp, row, out, why);

	out->delivered++;
	/* RFC 3461 5.2.3: relayed, to a server that does not report itself. */
	if (((row->notify & SPOOL_NOTIFY_SUCCESS) && !res->dsn_passed) ||
	    (res->relaying_told && !(row->notify & SPOOL_NOTIFY_NEVER)))
		report(c->reports,
		       row->to.account.v && !row->nexthop.n ? REPORT_DELIVERED : REPORT_RELAYED,
		       row, res);
	if (r < 0 || row->to.account.v == 0 || row->nexthop.n)
		return r;
	*(struct spool_receipt *)vec_push(&out->receipts) =
		(struct spool_receipt){row->key, row->to.account};
	return rows_run(
		sp, "INSERT OR REPLACE INTO receipt (number, rcpt, account) VALUES (?1, ?2, ?3)",
		(int64_t[]){(int64_t)row->key.number, row->key.rcpt, (int64_t)row->to.account.v}, 3,
		why);
}

static int failed(struct spool *sp, const struct result *res, const struct rcpt_row *row,
		  const struct common *c, struct fail *why)
{
	c->out->failed++;
	add_event(c->out, SPOOL_EVENT_FAILED, c->m, row, res);
	if (failure_is_told(row->notify) || c->m->kind == KIND_REPORT)
		report(c->reports, REPORT_FAILED, row, res);
	return finish_rcpt(sp, row, c->out, why);
}

/* When the next failure is final: the lifetime is over, or the time that the sender gave. */
static struct wall_us end_of(const struct spool *sp, const struct message_row *m)
{
	bool bounce = m->sender.n == 0;
	struct wall_us from = {MAX(m->arrival.v, m->wish.hold_until.v)};
	struct wall_us end = later(from, bounce ? sp->c.bounce_lifetime_s : sp->c.lifetime_s);

	if (m->wish.deliver_by.v && (m->wish.by & 3u) == SPOOL_BY_RETURN)
		end.v = MIN(end.v, m->wish.deliver_by.v);
	return end;
}

/* Once: after delay_warning_s, or when the time is over that the sender gave (RFC 2852 4.1.4). */
static bool delay_is_told(const struct spool *sp, const struct message_row *m,
			  const struct rcpt_row *row, struct wall_us now)
{
	bool by = m->wish.deliver_by.v && (m->wish.by & 3u) == SPOOL_BY_NOTIFY &&
		  now.v >= m->wish.deliver_by.v;
	bool wants =
		(row->notify & SPOOL_NOTIFY_DELAY) || (by && !(row->notify & SPOOL_NOTIFY_NEVER));
	struct wall_us from = {MAX(m->arrival.v, m->wish.hold_until.v)};

	return wants && !row->warned && (by || now.v >= later(from, sp->c.delay_warning_s).v);
}

static int deferred(struct spool *sp, const struct result *res, struct rcpt_row *row,
		    const struct common *c, struct fail *why)
{
	const struct message_row *m = c->m;
	struct wall_us now = c->now;
	struct wall_us end = end_of(sp, m);
	enum spool_state from = row->state;

	if (now.v >= end.v && !res->lasting)
		return failed(sp, res, row, c, why);
	row->attempts += !res->untried;
	if (!res->untried)
		row->tried = now;
	row->due = later(now, retry_delay_s(sp, MAX(row->attempts, 1u)));
	if (!res->lasting)
		row->due.v = MIN(row->due.v, end.v); /* the last try ends the lifetime */
	if (res->routed.v)
		row->routed = res->routed;
	if (row->state != SPOOL_HELD && row->state != SPOOL_ROUTING)
		row->state = SPOOL_DEFER;
	row->crashes = 0;
	row->status = str_c(res->status);
	row->text = res->text;
	row->server = str_c(res->server);
	if (delay_is_told(sp, m, row, now)) {
		row->warned = true;
		report(c->reports, REPORT_DELAYED, row, res);
	}
	c->out->deferred++;
	add_event(c->out, SPOOL_EVENT_DEFERRED, m, row, res);
	add_change(c->out, CHANGE_DEFER, row, from);
	return rows_defer(sp, row, why);
}

static int settle_rcpt(struct spool *sp, const struct result *res, const struct common *c,
		       struct arena *a, struct fail *why)
{
	struct rcpt_row row;
	int r = rows_rcpt(sp, res->key, a, &row, why);

	if (r == 0) {
		row = (struct rcpt_row){.key = res->key};
		add_change(c->out, CHANGE_GONE, &row, SPOOL_QUEUED);
	}
	if (r <= 0)
		return r;
	switch (res->outcome) {
	case SPOOL_DELIVERED:
		return delivered(sp, res, &row, c, why);
	case SPOOL_DEFERRED:
		return deferred(sp, res, &row, c, why);
	case SPOOL_FAILED:
		break;
	}
	return failed(sp, res, &row, c, why);
}

/* Its message is not there (a damaged database): nothing can become of it any more. */
static int gone(struct spool *sp, const struct result *res, struct settled *out, struct arena *a,
		struct fail *why)
{
	struct rcpt_row row = {.key = res->key};
	int r = rows_rcpt(sp, res->key, a, &row, why);

	if (r == 1)
		return finish_rcpt(sp, &row, out, why);
	add_change(out, CHANGE_GONE, &row, SPOOL_QUEUED);
	return r;
}

/* Reports need the message's header; most results need none and do not read it. */
static int send_reports(struct spool *sp, uint64_t number, struct arena *a,
			const struct reports *reports, struct settled *out, struct fail *why)
{
	struct message_row m;
	int r = rows_message(sp, number, true, a, &m, why);

	if (r <= 0)
		return r;
	for (unsigned k = 0; k < ARRAY_LEN(reports->v); k++) {
		struct report_set set = {(enum report_kind)k, reports->v[k].p, reports->v[k].n};
		if (set.n == 0)
			continue;
		if (m.sender.n > 0)
			r = report_insert(sp, &m, &set, out, why);
		else /* RFC 5321 4.5.5: nobody to tell, but our own postmaster */
			r = k == REPORT_FAILED ? notice_insert(sp, &m, &set, out, why) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int settle(struct spool *sp, struct result *const *results, size_t n, struct arena *a,
		  struct reports *reports, struct settled *out, struct fail *why)
{
	uint64_t number = results[0]->key.number;
	struct message_row m = {0};
	struct spool_body_id body = {0};
	struct common c = {.m = &m, .now = clock_wall(), .reports = reports, .out = out};
	int r = rows_message(sp, number, false, a, &m, why);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = gone(sp, results[i], out, a, why);
		if (r < 0 || i + 1 == n)
			return r;
	}
	for (size_t i = 0; i < n; i++) {
		r = settle_rcpt(sp, results[i], &c, a, why);
		if (r < 0)
			return r;
	}
	if (any(reports)) {
		r = send_reports(sp, number, a, reports, out, why);
		if (r < 0)
			return r;
	}
	r = rows_delete_empty(sp, number, &body, why);
	if (r == 1 && body_id_is_set(body))
		*(struct spool_body_id *)vec_push(&out->bodies) = body;
	return MIN(r, 0);
}

static void append(struct settled *to, const struct settled *from)
{
	for (size_t i = 0; i < from->changes.n; i++)
		*(struct change *)vec_push(&to->changes) = from->changes.p[i];
	for (size_t i = 0; i < from->receipts.n; i++)
		*(struct spool_receipt *)vec_push(&to->receipts) = from->receipts.p[i];
	for (size_t i = 0; i < from->bodies.n; i++)
		*(struct spool_body_id *)vec_push(&to->bodies) = from->bodies.p[i];
	for (size_t i = 0; i < from->events.n; i++)
		*(struct spool_event *)vec_push(&to->events) = from->events.p[i];
	to->delivered += from->delivered;
	to->deferred += from->deferred;
	to->failed += from->failed;
	to->dsns += from->dsns;
}

int settle_message(struct spool *sp, struct result *const *results, size_t n, struct settled *out,
		   struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct reports reports = {0};
	struct settled mine = {0};
	int r = settle(sp, results, n, &a, &reports, &mine, why);

	if (r == 0)
		append(out, &mine);
	reports_clear(&reports);
	settled_clear(&mine);
	return r;
}
