/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "codec/sts/tlsrpt.h"
#include "roles/relay/https.h"
#include "sys/counter.h"
#include "sys/log.h"
#include <stdio.h>

COUNTER(posted, "relay.reports-posted", "reports about TLS that were brought to a server by HTTPS");

#define POST_MS	   60000u
#define ANSWER_MAX KIB(16)

/* Answers in time, whatever the server does: queue waits. */
static int post(struct role *role, const struct msg_tls_post *m, struct trace_id trace,
		struct fail *why)
{
	AUTO(buf) struct buf answer = BUF_INIT(ANSWER_MAX);
	struct tlsrpt_url url;
	char host[RELAY_HOST_MAX], path[TLSRPT_PLACE_MAX + 2];
	struct errand errand = {trace, (int64_t)ERRAND_NAMES_MS * MS_NS};

	if (!tlsrpt_url_parse(m->url, &url))
		return fail_set(why, FAIL_PEER, NULL, "not a place for reports");
	(void)snprintf(host, sizeof host, "%.*s", STR_ARG(url.host));
	(void)snprintf(path, sizeof path, "%.*s", STR_ARG(url.path));
	const struct conf *conf = role_conf_hold(role);
	struct https_question q = {.conf = conf,
				   .errand = &errand,
				   .host = host,
				   .port = url.port,
				   .path = path,
				   .type = "application/tlsrpt+gzip",
				   .post = m->body,
				   .time_ms = POST_MS};
	enum https_result r = https_ask(&q, &answer, why);
	conf_drop(conf);
	if (r != HTTPS_DONE)
		return -FAIL_TEMP;
	counter_add(&posted, 1);
	return 0;
}

void post_run(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_tls_post m;
	struct fail why = FAIL_INIT;
	int r = msg_tls_post_read(p, &m);

	if (r == 0)
		r = post(role, &m, ipc_packet_trace(p), &why);
	if (r == 0)
		(void)ipc_reply(p, IPC_OK, &ok);
	else
		(void)ipc_reply_fail(p, &why);
}
