/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/mta/inquiry.h"
#include "base/check.h"
#include "roles/mta/mta.h"
#include "roles/role/task.h"
#include "runtime/services.h"
#include "sys/counter.h"
#include "sys/log.h"

#define ANSWERS_MAX  KIB(900)
#define AT_ONCE_MAX  KIB(4) /* octets of requests that are answered on the loop */
#define TOGETHER_MAX 64u
#define ANSWER_MAX   KIB(64) /* of one of several */

COUNTER(waited, "inquiry.waited", "requests to internal services that had to ask the directory");

static int ask(const struct inquiry_ask *q, struct str service, struct buf *out, bool *close)
{
	if (str_eq(service, STR("policy")))
		return inquiry_policy(q, out, close);
	if (str_eq(service, STR("quota_status")))
		return inquiry_quota(q, out, close);
	return inquiry_srs(q, str_eq(service, STR("srs_reverse")), out);
}

/* An edge may only pass on what is served. */
static bool is_served(const struct conf *c, struct str service)
{
	static const enum service_kind kinds[] = {SERVICE_SRS_FORWARD, SERVICE_SRS_REVERSE,
						  SERVICE_QUOTA_STATUS, SERVICE_POLICY};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_eq(service, str_c(service_defs[kinds[i]].name)))
			return service_listen(&service_defs[kinds[i]], c)->n > 0;
	return false;
}

static void reply(struct ipc_packet *p, int r, const struct buf *out, bool close)
{
	struct msg_inquired m = {.text = buf_str(out), .close = close};
	struct fail why = FAIL_INIT;

	if (r < 0 || out->failed) {
		(void)fail_set(&why, FAIL_LIMIT, NULL, "an inquiry without an answer");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	(void)ipc_reply(p, IPC_INQUIRED, &m);
}

static void answer_waiting(struct role *role, struct ipc_packet *p)
{
	AUTO(buf) struct buf out = BUF_INIT(ANSWERS_MAX);
	const struct conf *c = role_conf_hold(role);
	struct msg_inquiry m;
	bool close = false;
	int r = msg_inquiry_read(p, &m);

	counter_add(&waited, 1);
	if (r == 0) {
		struct inquiry_ask q = {.role = role,
					.conf = c,
					.input = m.input,
					.trace = ipc_packet_trace(p),
					.wait = true};
		r = ask(&q, m.service, &out, &close);
	}
	reply(p, r, &out, close);
	conf_drop(c);
}

void inquiry(struct role *role, struct ipc_channel *from, struct ipc_packet *p)
{
	AUTO(buf) struct buf out = BUF_INIT(ANSWERS_MAX);
	struct msg_inquiry m;
	bool close = false;
	int r = -FAIL_BUSY;

	if (msg_inquiry_read(p, &m) < 0 || !is_served(role->conf, m.service)) {
		role_refuse(from, p, "not a question for a service that is on");
		return;
	}
	struct inquiry_ask q = {
		.role = role, .conf = role->conf, .input = m.input, .trace = ipc_packet_trace(p)};
	if (m.input.n <= AT_ONCE_MAX)
		r = ask(&q, m.service, &out, &close);
	if (r == -FAIL_BUSY) {
		role_task(role, mta.pool, p, answer_waiting);
		return;
	}
	reply(p, r, &out, close);
	ipc_packet_free(p);
}

/* Those that cannot be told at once are asked again alone. The text of all answers is in one
 * buffer, which may move while it grows: so their ends come first. */
void inquiries(struct role *role, struct ipc_channel *from, struct ipc_packet *p)
{
	AUTO(buf) struct buf all = BUF_INIT(ANSWERS_MAX);
	struct msg_inquired_one one[TOGETHER_MAX] = {0};
	size_t ends[TOGETHER_MAX + 1] = {0};
	struct msg_inquiries m;

	if (msg_inquiries_read(p, &m) < 0 || m.all_n == 0 || m.all_n > TOGETHER_MAX) {
		role_refuse(from, p, "bad questions");
		return;
	}
	for (size_t i = 0; i < m.all_n; i++) {
		AUTO(buf) struct buf out = BUF_INIT(ANSWER_MAX);
		struct inquiry_ask q = {.role = role,
					.conf = role->conf,
					.input = m.all[i].input,
					.trace = ipc_packet_trace(p)};
		one[i].alone = !is_served(role->conf, m.all[i].service) ||
			       ask(&q, m.all[i].service, &out, &one[i].close) < 0 || out.failed ||
			       buf_add(&all, buf_str(&out)) < 0;
		ends[i + 1] = all.n;
	}
	for (size_t i = 0; i < m.all_n; i++)
		one[i].text = str_sub(buf_str(&all), ends[i], ends[i + 1]);
	struct msg_inquiries_reply reply_all = {.all = one, .all_n = m.all_n};
	(void)ipc_reply(p, IPC_INQUIRIES_REPLY, &reply_all);
	ipc_packet_free(p);
}

void inquiry_reconfigure(struct role *role)
{
	(void)role;
	inquiry_srs_reconfigure();
}
