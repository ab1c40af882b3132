/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP for monitoring: edge reads the head of a request and passes GET and HEAD on to admin. One
 * request at a time; what comes behind it waits. Whatever is not understood ends the connection.
 */
#include "base/check.h"
#include "codec/http/http_head.h"
#include "roles/edge/edge.h"
#include "sys/log.h"

#define IDLE_MS	   60000
#define ANSWER_MAX MIB(4)
#define ASK_MS	   5000

static void init(struct session *s)
{
	s->http = (struct http_edge){.head = BUF_INIT(HTTP_HEAD_MAX)};
}

static void begin(struct session *s)
{
	conn_timeout(s->conn, IDLE_MS);
	conn_resume(s->conn);
}

static void answer(struct session *s, int status, const char *type, struct str body)
{
	AUTO(buf) struct buf out = BUF_INIT(ANSWER_MAX);
	struct http_answer a = {.status = status,
				.type = type,
				.body = body,
				.head_only = s->http.head_only,
				.keep_alive = s->http.keep_alive};
	if (http_answer_write(&a, &out) < 0) {
		session_finish(s);
		return;
	}
	log_event(LOG_DEBUG, "http.answer", log_u64("status", (uint64_t)status),
		  log_u64("size", body.n));
	session_write(s, buf_str(&out));
	if (!s->http.keep_alive)
		session_finish(s);
}

static void complain(struct session *s, int status)
{
	char text[200];
	int n = snprintf(text, sizeof text,
			 status == 405 ? "%d %s: only GET and HEAD are served here.\n"
				       : "%d %s: the request cannot be understood.\n",
			 status, http_reason(status));
	answer(s, status, "text/plain; charset=utf-8", (struct str){text, (size_t)n});
}

static void answered(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct session *s = CONTAINER_OF(a, struct session, http.ask);
	struct msg_metrics_reply m = {0};
	char type[101];
	bool good = r == 0 && msg_metrics_reply_read(p, &m) == 0;
	if (!session_answered(s)) {
		ipc_packet_free(p);
		return;
	}
	log_context(s->trace, s->id);
	s->http.busy = false;
	(void)snprintf(type, sizeof type, "%.*s", STR_ARG(m.type));
	if (good) {
		answer(s, m.status, type, m.text);
	} else {
		log_event(LOG_WARN, "http.unavailable", log_fail(why));
		answer(s, 503, "text/plain; charset=utf-8",
		       STR("503 Service Unavailable: the process `admin` does not answer.\n"));
	}
	ipc_packet_free(p);
	if (s->conn && s->phase != SESSION_ENDING) {
		conn_timeout(s->conn, IDLE_MS);
		conn_flush(s->conn);
		conn_resume(s->conn);
	}
	log_context((struct trace_id){0}, (struct session_id){0});
}

static void ask(struct session *s, struct str target)
{
	struct msg_metrics m = {.target = str_sub(target, 0, 1024)};
	struct ipc_question q = {.type = IPC_METRICS,
				 .msg = &m,
				 .want = IPC_METRICS_REPLY,
				 .trace = s->trace,
				 .deadline_ms = ASK_MS};
	s->http.busy = true;
	s->http.ask.done = answered;
	session_ask(s, role_peer(s->edge->role, "admin", 0), &q, &s->http.ask);
}

static void handle(struct session *s, struct str head)
{
	struct http_request r;
	int status = http_head_parse(head, &r);
	s->http.head_only = status == 0 && r.method == HTTP_HEAD;
	s->http.keep_alive = status == 0 && r.keep_alive && r.method != HTTP_OTHER;
	log_event(LOG_DEBUG, "http.request", log_str("target", status ? STR("") : r.target),
		  log_u64("refused", (uint64_t)status));
	if (status == 0 || status == 413 || status == 501)
		status = r.method == HTTP_OTHER ? 405 : status; /* whatever came with it */
	if (status)
		complain(s, status);
	else
		ask(s, r.target);
}

static void input(struct session *s, struct str *in)
{
	struct http_edge *h = &s->http;
	while (in->n && !h->busy && s->conn && s->phase != SESSION_ENDING) {
		size_t before = h->head.n;
		struct str more = str_sub(*in, 0, HTTP_HEAD_MAX - before);
		(void)buf_add(&h->head, more);
		size_t n = http_head_length(buf_str(&h->head));
		if (n == 0 && h->head.n < HTTP_HEAD_MAX) {
			*in = str_skip(*in, more.n);
			return;
		}
		if (n == 0) {
			*in = STR_NULL;
			h->keep_alive = h->head_only = false;
			complain(s, 431);
			return;
		}
		*in = str_skip(*in, n - before); /* the head ended in this piece */
		AUTO(buf) struct buf head = buf_move(&h->head);
		handle(s, str_sub(buf_str(&head), 0, n));
	}
}

static void timeout(struct session *s)
{
	session_finish(s);
}

static void nothing(struct session *s)
{
	(void)s;
}

static void done(struct session *s, struct ipc_packet *p, const struct msg_session_done *m)
{
	(void)s; /* no backend sends it */
	(void)p;
	(void)m;
}

static bool quiet(const struct session *s)
{
	return !s->http.busy && s->http.head.n == 0;
}

static void clear(struct session *s)
{
	buf_clear(&s->http.head);
}

const struct session_ops edge_http_ops = {.init = init,
					  .begin = begin,
					  .input = input,
					  .secured = nothing,
					  .timeout = timeout,
					  .done = done,
					  .backend_lost = nothing,
					  .backend_back = nothing,
					  .shutdown = session_finish,
					  .quiet = quiet,
					  .clear = clear};
