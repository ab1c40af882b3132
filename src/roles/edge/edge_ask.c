/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services of questions and answers for other mail servers: look-ups (tcp_table) and policy. Edge
 * finds where requests end and passes on what is whole, all that came together at once; mta
 * answers.
 * One batch of a client is under way at a time, what comes behind it waits. Nothing has to be kept
 * between two requests: when mta dies the batch is asked again.
 *
 * What several clients say in one turn of the loop goes to mta in one message. What mta cannot tell
 * at once is asked again alone, so that nobody waits for what others have asked.
 *
 * A request that has begun has REQUEST_MS to become whole, however its bytes trickle.
 */
#include "base/check.h"
#include "codec/tcp_table/tcp_table.h"
#include "roles/edge/edge.h"
#include "sys/log.h"
#include <stdlib.h>

#define IDLE_MS	    (20 * 60 * 1000u) /* Postfix uses a connection for up to 1,000 s */
#define REQUEST_MS  30000
#define ASK_MS	    20000
#define TRIES	    3
#define BATCH_MAX   KIB(32)
#define INPUT_MAX   KIB(64)
#define ANSWERS_MAX MIB(1)

OFFENCE(slow_request, "slow_request",
	"requests to internal services that were not finished in time");
OFFENCE(long_request, "long_request", "requests to internal services that are too long");

/* How a service's requests end, and what they get when nobody can answer. */
struct dialect {
	/* Octets of the whole requests at the front of `in`, at most `max` but one at least. 0:
	 * none is whole. */
	size_t (*whole)(struct str in, size_t max);
	size_t request_max;
	/* The answers of whole requests; false: silence says it, the connection ends. */
	bool (*unanswered)(struct str requests, struct buf *out);
};

static size_t table_whole(struct str in, size_t max)
{
	size_t n = tcp_table_whole(str_sub(in, 0, max));

	return n ? n : tcp_table_whole(in);
}

static bool table_unanswered(struct str requests, struct buf *out)
{
	struct tcp_table_request r;

	while (tcp_table_next(&requests, &r))
		tcp_table_answer(out, TCP_TABLE_TEMP, STR("not possible now, try again later"));
	return true;
}

/* Empty lines end requests of the policy protocol. */
static size_t policy_whole(struct str in, size_t max)
{
	size_t end = 0;

	for (size_t at = 0; at < in.n && (end == 0 || at < max);) {
		size_t eol = str_find(in, at, '\n');
		bool empty = eol == at || (eol == at + 1 && in.p[at] == '\r');
		if (eol == in.n)
			break;
		at = eol + 1;
		if (empty && (end == 0 || at <= max))
			end = at;
	}
	return end;
}

/* Postfix asks again on a new connection, and then does as its configuration says. */
static bool policy_unanswered(struct str requests, struct buf *out)
{
	(void)requests;
	(void)out;
	return false;
}

static const struct dialect table = {table_whole, TCP_TABLE_LINE_MAX, table_unanswered};
static const struct dialect policy = {policy_whole, KIB(16), policy_unanswered};

static const struct dialect *dialect_of(const struct session *s)
{
	switch (s->service - edge_services) {
	case SERVICE_SRS_FORWARD:
	case SERVICE_SRS_REVERSE:
		return &table;
	default:
		return &policy;
	}
}

/* ---- a batch ---- */

static void go_on(struct session *s);

static void end_if_done(struct session *s)
{
	if (s->conn && s->phase != SESSION_ENDING && !s->ask.busy &&
	    (s->ask.eof || s->edge->stopping))
		session_finish(s);
}

static void deliver(struct session *s, struct str text, bool close)
{
	s->ask.busy = false;
	buf_reset(&s->ask.last);
	session_write(s, text);
	if (close) {
		session_finish(s);
		return;
	}
	conn_timeout(s->conn, s->ask.in.n ? REQUEST_MS : IDLE_MS);
	go_on(s);
	end_if_done(s);
	if (s->conn)
		conn_flush(s->conn);
}

static void fail(struct session *s, const struct fail *why)
{
	AUTO(buf) struct buf out = BUF_INIT(ANSWERS_MAX);
	bool said = dialect_of(s)->unanswered(buf_str(&s->ask.last), &out);

	log_event(LOG_WARN, "ask.unanswered", log_c("service", s->service->def->name),
		  log_fail(why));
	deliver(s, buf_str(&out), !said);
}

static void send_alone(struct session *s);

static void answered(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct session *s = CONTAINER_OF(a, struct session, ask.ask);
	struct msg_inquired m = {0};
	struct fail bad = FAIL_INIT;

	if (!session_answered(s) || s->phase == SESSION_ENDING) {
		ipc_packet_free(p);
		return;
	}
	log_context(s->trace, s->id);
	if (r == 0 && msg_inquired_read(p, &m) < 0) {
		r = fail_set(&bad, FAIL_BUG, NULL, "bad answer of mta");
		why = &bad;
	}
	if (r == 0)
		deliver(s, m.text, m.close);
	else if (r == -FAIL_PEER && ++s->ask.tries < TRIES)
		send_alone(s); /* it changed nothing, or would do the same again */
	else
		fail(s, why);
	ipc_packet_free(p);
	log_context((struct trace_id){0}, (struct session_id){0});
}

static void send_alone(struct session *s)
{
	struct msg_inquiry m = {.service = str_c(s->service->def->name),
				.input = buf_str(&s->ask.last)};
	struct ipc_question q = {.type = IPC_INQUIRY,
				 .msg = &m,
				 .want = IPC_INQUIRED,
				 .trace = s->trace,
				 .deadline_ms = ASK_MS};
	s->ask.ask.done = answered;
	session_ask(s, role_peer(s->edge->role, "mta", 0), &q, &s->ask.ask);
}

/* ---- batches of several clients ---- */

#define TOGETHER_MAX   64u
#define TOGETHER_BYTES 4096u

struct together {
	struct ipc_ask ask;
	size_t n;
	struct session *v[TOGETHER_MAX]; /* each counts this as an answer that is outstanding */
};

static struct {
	struct together *next; /* what is sent at the end of this turn of the loop; or NULL */
	struct loop_task task;
} gathering;

static void told(struct session *s, const struct msg_inquired_one *one)
{
	bool alive = session_answered(s);

	if (!alive || s->phase == SESSION_ENDING)
		return;
	log_context(s->trace, s->id);
	if (one && !one->alone)
		deliver(s, one->text, one->close);
	else
		send_alone(s);
	log_context((struct trace_id){0}, (struct session_id){0});
}

static void told_together(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct together *t = CONTAINER_OF(a, struct together, ask);
	struct msg_inquiries_reply m = {0};
	bool good = r == 0 && msg_inquiries_reply_read(p, &m) == 0 && m.all_n == t->n;

	(void)why; /* whoever is asked about alone hears it again */
	for (size_t i = 0; i < t->n; i++)
		told(t->v[i], good ? &m.all[i] : NULL);
	ipc_packet_free(p);
	free(t);
}

static void send_together(struct loop_task *task)
{
	struct together *t = gathering.next;
	struct msg_inquiry_one all[TOGETHER_MAX];
	struct edge *e = t->v[0]->edge;

	(void)task;
	gathering.next = NULL;
	for (size_t i = 0; i < t->n; i++)
		all[i] = (struct msg_inquiry_one){.service = str_c(t->v[i]->service->def->name),
						  .input = buf_str(&t->v[i]->ask.last)};
	struct msg_inquiries m = {.all = all, .all_n = t->n};
	struct ipc_question q = {.type = IPC_INQUIRIES,
				 .msg = &m,
				 .want = IPC_INQUIRIES_REPLY,
				 .trace = t->v[0]->trace,
				 .deadline_ms = ASK_MS};
	t->ask.done = told_together;
	ipc_ask(role_peer(e->role, "mta", 0), &q, &t->ask);
}

static void gather(struct session *s)
{
	if (!gathering.next) {
		gathering.next = xcalloc(1, sizeof *gathering.next);
		gathering.task.run = send_together;
		loop_post(s->edge->role->loop, &gathering.task);
	}
	s->asks++;
	gathering.next->v[gathering.next->n++] = s;
}

/* The batch in `last`. */
static void send_batch(struct session *s)
{
	bool full = gathering.next && gathering.next->n == TOGETHER_MAX;

	s->ask.busy = true;
	if (s->ask.last.n > TOGETHER_BYTES || full)
		send_alone(s);
	else
		gather(s);
}

/* ---- input ---- */

static bool may_take(const struct session *s)
{
	return s->conn && s->phase != SESSION_ENDING && !s->ask.busy && session_may_begin(s);
}

static void go_on(struct session *s)
{
	struct ask_edge *a = &s->ask;

	if (!may_take(s))
		return;
	size_t n = dialect_of(s)->whole(buf_str(&a->in), BATCH_MAX);
	if (n > 0) {
		buf_reset(&a->last);
		(void)buf_add(&a->last, str_sub(buf_str(&a->in), 0, n));
		buf_drop(&a->in, n);
		a->tries = 0;
		conn_timeout(s->conn, 0);
		send_batch(s);
	} else if (a->in.n >= dialect_of(s)->request_max) {
		session_offence(s, &long_request, "");
		conn_close(s->conn);
		return;
	}
	if (s->conn && a->in.n < INPUT_MAX / 2)
		conn_resume(s->conn);
}

static void init(struct session *s)
{
	s->ask = (struct ask_edge){.in = BUF_INIT(INPUT_MAX), .last = BUF_INIT(INPUT_MAX)};
}

static void begin(struct session *s)
{
	s->phase = SESSION_RUNNING;
	s->backend = role_peer(s->edge->role, "mta", 0);
	conn_timeout(s->conn, IDLE_MS);
	conn_resume(s->conn);
}

static void input(struct session *s, struct str *in)
{
	struct ask_edge *a = &s->ask;
	struct str piece = str_sub(*in, 0, INPUT_MAX - a->in.n);

	if (a->in.n == 0 && piece.n > 0 && !a->busy)
		conn_timeout(s->conn, REQUEST_MS);
	(void)buf_add(&a->in, piece);
	*in = str_skip(*in, piece.n);
	go_on(s);
}

static void eof(struct session *s)
{
	s->ask.eof = true;
	end_if_done(s);
}

static void timeout(struct session *s)
{
	if (s->ask.in.n)
		session_offence(s, &slow_request, "");
	session_finish(s);
}

static void drained(struct session *s, size_t left)
{
	(void)left;
	go_on(s);
}

static void nothing(struct session *s)
{
	(void)s;
}

static void done(struct session *s, struct ipc_packet *p, const struct msg_session_done *m)
{
	(void)s; /* mta answers in another way */
	(void)p;
	(void)m;
}

static void goodbye(struct session *s)
{
	if (!s->ask.busy)
		session_finish(s);
}

static bool settled(const struct session *s, unsigned how)
{
	return how == HOLD_BODIES || !s->ask.busy;
}

static bool quiet(const struct session *s)
{
	return !s->ask.busy && s->ask.in.n == 0;
}

static void clear(struct session *s)
{
	buf_clear(&s->ask.in);
	buf_clear(&s->ask.last);
}

const struct session_ops edge_ask_ops = {.init = init,
					 .begin = begin,
					 .input = input,
					 .secured = nothing,
					 .timeout = timeout,
					 .drained = drained,
					 .eof = eof,
					 .done = done,
					 .backend_lost = nothing,
					 .backend_back = nothing,
					 .shutdown = goodbye,
					 .revoked = goodbye,
					 .settled = settled,
					 .quiet = quiet,
					 .clear = clear};
