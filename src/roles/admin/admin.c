/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin - what people and programs ask about the server itself. Figures for monitoring so far.
 *
 * It has no file, no database, no socket but those to edge and master. Edge passes a GET on; admin
 * asks master, which asks everybody, and makes text of the answer.
 */
#include "roles/admin/metrics.h"
#include "roles/role/role.h"
#include "sys/crash.h"
#include "sys/log.h"
#include <stdlib.h>

#define TEXT_MAX    MIB(2)
#define AT_ONCE_MAX 16u /* surveys under way: one asks every role */
#define SURVEY_MS   4000
#define PLAIN	    "text/plain; charset=utf-8"

static unsigned under_way;

/* A GET that waits for master. */
struct question {
	struct ipc_ask ask;
	struct ipc_packet *request;
	bool health;
};

static void reply(struct ipc_packet *p, uint16_t status, const char *type, struct str text)
{
	struct msg_metrics_reply m = {.status = status, .type = str_c(type), .text = text};
	CRASH_POINT("admin.before-reply");
	(void)ipc_reply(p, IPC_METRICS_REPLY, &m);
}

static void tell(const struct question *q, const struct msg_survey_reply *m)
{
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
	if (q->health) {
		bool good = metrics_healthy(m, &text);
		if (good)
			(void)buf_add(&text, STR("ok\n"));
		reply(q->request, good ? 200 : 503, PLAIN, buf_str(&text));
	} else if (metrics_write(m, &text) == 0) {
		reply(q->request, 200, METRICS_TYPE, buf_str(&text));
	} else {
		reply(q->request, 500, PLAIN, STR("500: there are too many figures.\n"));
	}
}

static void surveyed(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct question *q = CONTAINER_OF(a, struct question, ask);
	struct msg_survey_reply m;
	under_way--;
	log_context(ipc_packet_trace(q->request), (struct session_id){0});
	if (r == 0 && msg_survey_reply_read(p, &m) == 0) {
		tell(q, &m);
	} else {
		log_event(LOG_WARN, "admin.no-survey", log_fail(why));
		reply(q->request, 503, PLAIN, STR("503: the server did not answer in time.\n"));
	}
	log_context((struct trace_id){0}, (struct session_id){0});
	ipc_packet_free(p);
	ipc_packet_free(q->request);
	free(q);
}

static void ask_master(struct role *role, struct ipc_packet *p, bool health)
{
	static const struct msg_survey nothing = {0};
	struct ipc_question question = {.type = IPC_SURVEY,
					.msg = &nothing,
					.want = IPC_SURVEY_REPLY,
					.trace = ipc_packet_trace(p),
					.deadline_ms = SURVEY_MS};
	struct question *q = xcalloc(1, sizeof *q);
	*q = (struct question){.ask.done = surveyed, .request = p, .health = health};
	under_way++;
	ipc_ask(role->control, &question, &q->ask);
	CRASH_POINT("admin.survey");
}

static void message(struct role *role, struct ipc_channel *from, struct ipc_packet *p)
{
	struct msg_metrics m;
	if (ipc_packet_type(p) != IPC_METRICS || msg_metrics_read(p, &m) < 0) {
		role_refuse(from, p, "no question about figures");
		return;
	}
	bool health = str_eq(m.target, STR("/health"));
	if (!health && !str_eq(m.target, STR("/metrics"))) {
		reply(p, 404, PLAIN, STR("404: here are /metrics and /health.\n"));
	} else if (under_way >= AT_ONCE_MAX) {
		reply(p, 503, PLAIN, STR("503: too many ask at a time.\n"));
	} else {
		ask_master(role, p, health);
		return; /* the packet lives until the answer */
	}
	ipc_packet_free(p);
}

static int admin_open(struct role *role, struct fail *why)
{
	(void)role;
	(void)why;
	return 0;
}

static const char *const peers[] = {"edge", NULL};
static const struct role_ops ops = {
	.name = "admin", .peers = peers, .open = admin_open, .message = message};

int main(int argc, char **argv)
{
	return role_main(argc, argv, &ops);
}
