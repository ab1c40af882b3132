/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid queue list|summary [WHICH] | show N | hold|release|requeue|flush|delete WHICH [--dry-run]
 */
#include "base/map.h"
#include "base/num.h"
#include "base/text.h"
#include "roles/queue/queue.h"
#include "roles/role/scope.h"
#include "sys/clock.h"
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
	"Usage: queue list|summary [WHICH] | show NUMBER | flush [WHICH] | "
	"hold|release|requeue|delete WHICH|all [--dry-run]. WHICH: NUMBER, ADDRESS, --from, --to, "
	"--domain, --nexthop, --state, --older, --newer, --larger, --smaller, --text, --account";

static const char *const columns[] = {"number", "state", "age",	    "size",   "from",
				      "to",	"tries", "next",    "reason", "nexthop",
				      "server", "rcpt",	 "priority"};
#define COLUMNS	   ARRAY_LEN(columns)
#define LIST_USUAL 1000

static struct str duration(struct arena *a, int64_t us)
{
	int64_t s = us > 0 ? us / SEC_US : 0;
	if (s < 120)
		return arena_printf(a, "%llds", (long long)s);
	if (s < 7200)
		return arena_printf(a, "%lldmin", (long long)(s / 60));
	return s < 172800 ? arena_printf(a, "%lldh", (long long)(s / 3600))
			  : arena_printf(a, "%lldd", (long long)(s / 86400));
}

static struct str reason_of(struct arena *a, const struct spool_row *r)
{
	if (r->status.n == 0 || r->state == SPOOL_HELD)
		return r->text;
	return arena_printf(a, "%.*s %.*s", STR_ARG(r->status), STR_ARG(r->text));
}

static void write_row(struct arena *a, const struct spool_row *r, struct msg_text *cells)
{
	struct wall_us now = clock_wall();
	bool waits = r->state == SPOOL_QUEUED || r->state == SPOOL_DEFER;
	cells[0].s = arena_printf(a, "%llu", (unsigned long long)r->key.number);
	cells[1].s = r->in_flight ? STR("in flight") : str_c(spool_state_name(r->state));
	cells[2].s = duration(a, now.v - r->arrival.v);
	cells[3].s = arena_printf(a, "%llu", (unsigned long long)r->size);
	cells[4].s = r->sender.n ? r->sender : STR("<>");
	cells[5].s = r->rcpt;
	cells[6].s = arena_printf(a, "%u", r->attempts);
	cells[7].s = waits && !r->in_flight ? duration(a, r->next_attempt.v - now.v) : STR("");
	cells[8].s = reason_of(a, r);
	cells[9].s = r->nexthop;
	cells[10].s = r->server;
	cells[11].s = arena_printf(a, "%u", r->key.rcpt);
	cells[12].s = arena_printf(a, "%d", r->priority);
}

/* A domain's administrator sees what comes from or goes to the domain. */
static bool concerns(const struct dir_scope *scope, const struct spool_row *r)
{
	const struct str addresses[] = {r->sender, r->rcpt, r->original};
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		struct str domain = str_skip(addresses[i], str_rfind(addresses[i], '@') + 1);
		if (dir_scope_has(scope, domain))
			return true;
	}
	return false;
}

/* Changing a message is for those who may see all of its recipients. */
static int may_change(const struct dir_scope *scope, uint64_t number, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	struct spool_query q = {.number = number, .max = 100000};
	struct spool_row *rows = NULL;
	size_t n = 0;
	if (scope->kind == DIR_SCOPE_GLOBAL)
		return 0;
	if (number == 0)
		return fail_set(why, FAIL_PERM, "Only a global administrator may change all.",
				"order on the whole queue");
	int r = spool_list(queue.spool, &q, &a, &rows, &n, why);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (!concerns(scope, &rows[i]))
			r = fail_set(why, FAIL_PERM,
				     "This message has recipients that are not yours to manage.",
				     "order outside of the scope");
	return r;
}

static struct msg_text *names_of(const char *const *list, size_t n, struct msg_text *out)
{
	for (size_t i = 0; i < n; i++)
		out[i].s = str_c(list[i]);
	return out;
}

static int list(struct ipc_packet *p, const struct dir_scope *scope, struct spool_query *q,
		struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	struct spool_row *rows = NULL;
	size_t n = 0;
	char more[160] = "";
	if (q->max == 0)
		q->max = LIST_USUAL;
	int r = spool_list(queue.spool, q, &a, &rows, &n, why);
	if (r < 0)
		return r;
	struct msg_text names[COLUMNS];
	struct msg_text *cells = arena_array(&a, struct msg_text, n * COLUMNS);
	if (!cells)
		return fail_set(why, FAIL_LIMIT, "The queue is too long to list: give an address.",
				"arena full");
	size_t shown = 0;
	for (size_t i = 0; i < n; i++)
		if (concerns(scope, &rows[i]))
			write_row(&a, &rows[i], &cells[shown++ * COLUMNS]);
	if (n == q->max)
		(void)snprintf(more, sizeof more, T("There may be more: --after %llu/%u"),
			       (unsigned long long)rows[n - 1].key.number, rows[n - 1].key.rcpt);
	struct msg_admin_reply reply = {.text = n == q->max ? str_c(more)
						: shown	    ? STR("")
							    : str_c(T("The queue is empty.")),
					.columns = names_of(columns, COLUMNS, names),
					.columns_n = COLUMNS,
					.cells = cells,
					.cells_n = shown * COLUMNS};
	return ipc_reply(p, IPC_ADMIN_REPLY, &reply);
}

/* --- one message --- */

enum { SHOWN_RCPTS = 200, LINES_MAX = SHOWN_RCPTS + 20 };

struct shown {
	struct arena *a;
	struct msg_text *cells;
	size_t n;
};

static void line(struct shown *s, const char *about, struct str value)
{
	if (s->n + 2 > 2 * LINES_MAX || value.n == 0)
		return;
	s->cells[s->n++].s = str_c(about);
	s->cells[s->n++].s = value;
}

static struct str time_text(struct arena *a, struct wall_us t)
{
	char room[CLOCK_TEXT_MAX];
	return t.v ? arena_str(a, clock_iso8601(room, t)) : STR("");
}

static void show_recipient(struct shown *s, const struct spool_row *r)
{
	struct arena *a = s->a;
	bool waits = !r->in_flight && (r->state == SPOOL_QUEUED || r->state == SPOOL_DEFER);
	struct str next = waits ? time_text(a, r->next_attempt) : STR("");
	struct str tried = time_text(a, r->tried);
	line(s, "to", r->rcpt);
	if (!str_eqi(r->original, r->rcpt))
		line(s, "  addressed as", r->original);
	line(s, "  state", r->in_flight ? STR("in flight") : str_c(spool_state_name(r->state)));
	line(s, "  next hop", r->nexthop.n ? r->nexthop : STR("local"));
	line(s, "  tries", arena_printf(a, "%u", r->attempts));
	line(s, "  last try", tried);
	line(s, "  answer of", r->server);
	line(s, "  answer", reason_of(a, r));
	line(s, "  next try", next);
}

static int show(struct ipc_packet *p, uint64_t number, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
	struct spool_query q = {.number = number, .max = SHOWN_RCPTS};
	struct shown s = {.a = &a, .cells = arena_array(&a, struct msg_text, 2 * LINES_MAX)};
	struct spool_row *rows = NULL;
	size_t n = 0;
	struct str text = STR_NULL;
	int r = spool_show(queue.spool, number, KIB(60), &a, &text, why);
	if (r == 0)
		r = spool_list(queue.spool, &q, &a, &rows, &n, why);
	if (r < 0 || !s.cells)
		return r < 0 ? r : fail_set(why, FAIL_LIMIT, NULL, "arena full");
	if (n > 0) {
		line(&s, "number", arena_printf(&a, "%llu", (unsigned long long)number));
		line(&s, "trace", arena_printf(&a, "%016llx", (unsigned long long)rows[0].trace.v));
		line(&s, "arrived", time_text(&a, rows[0].arrival));
		line(&s, "size", arena_printf(&a, "%llu", (unsigned long long)rows[0].size));
		line(&s, "priority", arena_printf(&a, "%d", rows[0].priority));
		line(&s, "from", rows[0].sender.n ? rows[0].sender : STR("<>"));
	}
	/* Of many recipients the first few, so that there is room for the message. */
	for (size_t i = 0; i < n && s.n + 24 < 2 * LINES_MAX; i++)
		show_recipient(&s, &rows[i]);
	line(&s, "message", arena_printf(&a, "\n%.*s", STR_ARG(text)));
	static const char *const about[] = {"about", "value"};
	struct msg_text names[2];
	struct msg_admin_reply reply = {.columns = names_of(about, 2, names),
					.columns_n = 2,
					.cells = s.cells,
					.cells_n = s.n};
	return ipc_reply(p, IPC_ADMIN_REPLY, &reply);
}

/* --- by next hop --- */

struct hop_sum {
	struct str name;
	uint64_t n[SPOOL_STATES];
	uint64_t in_flight;
	uint64_t bytes;
	struct wall_us oldest;
};
struct summary {
	const struct dir_scope *scope;
	struct arena a;
	struct strmap by_name;
	VEC(struct hop_sum *) v;
};

static int sum_row(void *ctx, const struct spool_row *row)
{
	struct summary *s = ctx;
	struct str name = row->nexthop.n ? row->nexthop : STR("local");
	if (!concerns(s->scope, row))
		return 0;
	struct hop_sum *h = strmap_get(&s->by_name, name);
	if (!h) {
		h = arena_new(&s->a, struct hop_sum);
		if (!h)
			return -FAIL_LIMIT;
		*h = (struct hop_sum){.name = arena_str(&s->a, name), .oldest = row->arrival};
		(void)strmap_put(&s->by_name, h->name, h);
		*(struct hop_sum **)vec_push(&s->v) = h;
	}
	h->n[row->state]++;
	h->in_flight += row->in_flight;
	h->bytes += row->size;
	h->oldest.v = MIN(h->oldest.v, row->arrival.v);
	return 0;
}

static uint64_t all_of(const struct hop_sum *h)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < SPOOL_STATES; i++)
		n += h->n[i];
	return n;
}

static int most_first(const void *a, const void *b)
{
	uint64_t x = all_of(*(struct hop_sum *const *)a), y = all_of(*(struct hop_sum *const *)b);
	return x > y ? -1 : x < y;
}

static int send_summary(struct ipc_packet *p, struct summary *s, struct fail *why)
{
	static const char *const head[] = {"nexthop", "recipients", "queued", "deferred",
					   "held",    "routing",    "flying", "oldest"};
	enum { N = ARRAY_LEN(head) };
	size_t rows = MIN(s->v.n, (size_t)QUEUE_LIST_MAX);
	struct msg_text names[N];
	struct msg_text *cells = arena_array(&s->a, struct msg_text, rows * N);
	if (!cells)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at a summary");
	if (s->v.n > 1)
		qsort(s->v.p, s->v.n, sizeof *s->v.p, most_first);
	for (size_t i = 0; i < rows; i++) {
		const struct hop_sum *h = s->v.p[i];
		const uint64_t figures[] = {all_of(h),		 h->n[SPOOL_QUEUED],
					    h->n[SPOOL_DEFER],	 h->n[SPOOL_HELD],
					    h->n[SPOOL_ROUTING], h->in_flight};
		cells[i * N].s = h->name;
		for (size_t k = 0; k < ARRAY_LEN(figures); k++)
			cells[i * N + 1 + k].s =
				arena_printf(&s->a, "%llu", (unsigned long long)figures[k]);
		cells[i * N + N - 1].s = duration(&s->a, clock_wall().v - h->oldest.v);
	}
	struct msg_admin_reply reply = {.text = rows ? STR("") : str_c(T("The queue is empty.")),
					.columns = names_of(head, N, names),
					.columns_n = N,
					.cells = cells,
					.cells_n = rows * N};
	return ipc_reply(p, IPC_ADMIN_REPLY, &reply);
}

static int summarise(struct ipc_packet *p, const struct dir_scope *scope,
		     const struct spool_query *q, struct fail *why)
{
	struct summary s = {.scope = scope, .a = ARENA_INIT(MIB(64))};
	int r = spool_each(queue.spool, q, sum_row, &s, why);
	if (r == -FAIL_LIMIT)
		r = fail_set(why, FAIL_LIMIT, "Too many destinations for one summary.",
			     "arena full");
	if (r == 0)
		r = send_summary(p, &s, why);
	strmap_clear(&s.by_name);
	vec_clear(&s.v);
	arena_clear(&s.a);
	return r;
}

/* --- orders --- */

static const struct {
	const char *verb;
	enum spool_order order;
	const char *done;
} orders[] = {
	{"delete", SPOOL_DELETE, TX("Deleted recipients:")},
	{"flush", SPOOL_FLUSH, TX("Recipients that will be tried now:")},
	{"hold", SPOOL_HOLD, TX("Held recipients:")},
	{"release", SPOOL_RELEASE, TX("Released recipients:")},
	{"requeue", SPOOL_REQUEUE, TX("Recipients whose way is asked for again:")},
};

static int change(struct ipc_packet *p, size_t which, const struct queue_words *w, struct fail *why)
{
	char text[200];
	int r = spool_carry_out(queue.spool, orders[which].order, &w->q, w->dry_run, why);
	if (r < 0)
		return r;
	if (w->dry_run)
		(void)snprintf(text, sizeof text,
			       T("Nothing was changed. Recipients it concerns: %d"), r);
	else
		(void)snprintf(text, sizeof text, "%s %d", text_of(orders[which].done), r);
	struct msg_admin_reply reply = {.text = str_c(text)};
	return ipc_reply(p, IPC_ADMIN_REPLY, &reply);
}

static int carry_out(struct ipc_packet *p, const struct msg_admin *m, struct fail *why)
{
	struct str verb = m->args_n > 1 ? m->args[1].s : STR("");
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct dir_scope scope = {0};
	struct queue_words w;
	int r = role_scope(m, &a, &scope, why);
	if (r < 0)
		return r;
	if (scope.kind < DIR_SCOPE_DOMAINS)
		return fail_set(why, FAIL_PERM, "The queue is for administrators.", "no scope");
	r = queue_words(m->args + 2, m->args_n > 2 ? m->args_n - 2 : 0, &w, why);
	if (r < 0)
		return r;
	if (str_eq(verb, STR("list")))
		return list(p, &scope, &w.q, why);
	if (str_eq(verb, STR("summary")))
		return summarise(p, &scope, &w.q, why);
	r = may_change(&scope, w.q.number, why);
	if (r < 0)
		return r;
	if (str_eq(verb, STR("show")) && w.q.number)
		return show(p, w.q.number, why);
	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		if (str_eq(verb, str_c(orders[i].verb)) &&
		    (w.narrowed || w.all || orders[i].order == SPOOL_FLUSH))
			return change(p, i, &w, why);
	return fail_set(why, FAIL_SYNTAX, usage, "queue: bad arguments");
}

void queue_admin(struct role *role, struct ipc_packet *p)
{
	struct msg_admin m;
	struct fail why = FAIL_INIT;
	(void)role;
	if (msg_admin_read(p, &m) < 0)
		return;
	role_speak(&m);
	if (carry_out(p, &m, &why) < 0)
		(void)ipc_reply_fail(p, &why);
	role_speak(NULL);
}
