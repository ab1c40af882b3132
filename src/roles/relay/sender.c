/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/relay/sender.h"
#include "sys/counter.h"
#include "sys/log.h"

COUNTER(rewritten, "relay.rewritten",
	"transactions of forwarded mail with a rewritten sender (SRS)");

static int unknown(const struct msg_relay *m, const struct fail *why, struct smtp_answer *answer)
{
	log_event(LOG_WARN, "relay.no-sender", log_u64("number", m->number), log_fail(why));
	smtp_answer_own(answer, "4.3.0",
			STR("Which sender forwarded mail has to have is not known now."));
	return -FAIL_TEMP;
}

int sender_find(const struct msg_relay *m, struct trace_id trace, struct arena *a, struct str *ret,
		struct smtp_answer *answer)
{
	struct msg_srs_sender ask = {.sender = m->sender, .rcpt = m->rcpts[0].address};
	struct ipc_question q = {
		.type = IPC_SRS_SENDER, .msg = &ask, .want = IPC_SRS_SENDER_REPLY, .trace = trace};
	struct msg_srs_sender_reply reply;
	struct ipc_packet *p = NULL;
	struct fail why = FAIL_INIT;

	*ret = m->sender;
	if (!m->forwarded || m->sender.n == 0)
		return 0;
	int r = ipc_call(role_peer(relay.role, "dir", 0), &q, &p, &why);
	if (r == -FAIL_PEER) /* it died under the question, which changes nothing */
		r = ipc_call(role_peer(relay.role, "dir", 0), &q, &p, &why);
	if (r == 0 && msg_srs_sender_reply_read(p, &reply) < 0)
		r = fail_set(&why, FAIL_PEER, NULL, "bad answer of dir");
	if (r == 0 && reply.sender.n) {
		*ret = arena_str(a, reply.sender);
		if (!ret->p)
			r = fail_set(&why, FAIL_LIMIT, NULL, "arena full");
	}
	ipc_packet_free(p);
	if (r < 0)
		return unknown(m, &why, answer);
	if (ret->p == m->sender.p)
		return 0;
	counter_add(&rewritten, 1);
	log_event(LOG_INFO, "relay.rewritten", log_u64("number", m->number),
		  log_address("from", m->sender), log_address("as", *ret));
	return 0;
}
