/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hand what is due for other servers, and for filters, to the relay: one message with its
 * recipients of one next hop is one request. The spool says what may begin; here is how much in
 * all, at most relay.connections.
 */
#include "base/check.h"
#include "codec/smtp/nexthop.h"
#include "roles/queue/queue.h"
#include "roles/role/relay_protocol.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include <stdlib.h>

COUNTER(transactions, "queue.transactions", "transactions given to the relay");

#define TAKE_AT_ONCE 64u
/* The relay answers within relay.time_max: this is for one that does not. */
#define DEADLINE_MS (4u * 3600 * 1000)

_Static_assert((int)RELAY_CONTACT_NONE == (int)SPOOL_CONTACT_UNKNOWN &&
		       (int)RELAY_CONTACT_OK == (int)SPOOL_CONTACT_MADE &&
		       (int)RELAY_CONTACT_FAILED == (int)SPOOL_CONTACT_FAILED,
	       "one numbering");

/* As the lanes of deliver.c: what is due is read by a thread, one load at a time. */
static struct {
	size_t in_flight; /* transactions */
	bool held;
	struct pool_job load;
	struct loop_task loaded;
	bool loading;
	bool again;
	bool died;
	size_t want;
	struct spool_batch batch;
	struct loop_task wake;
	_Atomic bool wake_posted;
} out;

struct transaction {
	struct ipc_ask ask;
	uint64_t number;
	struct trace_id trace;
	char nexthop[NEXTHOP_TEXT_MAX + 8];
	size_t n;
	struct {
		uint32_t rcpt;
		char address[321];
	} rcpts[];
};

/* --- outcomes --- */

static const struct msg_relay_result *result_of(const struct msg_relayed *m, uint32_t rcpt)
{
	for (size_t i = 0; i < m->results_n; i++)
		if (m->results[i].rcpt == rcpt)
			return &m->results[i];
	return NULL;
}

/* Every recipient gets an outcome, whatever the answer leaves out. */
static void settle(const struct transaction *t, const struct msg_relayed *m)
{
	struct spool_key *keys = xcalloc(t->n, sizeof *keys);
	struct spool_result *results = xcalloc(t->n, sizeof *results);
	char(*status)[12] = xcalloc(t->n, sizeof *status);
	const struct msg_relay_result *worst = NULL;

	for (size_t i = 0; i < t->n; i++) {
		const struct msg_relay_result *r = result_of(m, t->rcpts[i].rcpt);
		keys[i] = (struct spool_key){t->number, t->rcpts[i].rcpt};
		results[i] = (struct spool_result){.outcome = SPOOL_DEFERRED,
						   .text = STR("the relay said nothing of it")};
		if (!r || r->outcome > SPOOL_FAILED)
			continue;
		if (r->outcome == SPOOL_DEFERRED)
			worst = r;
		(void)snprintf(status[i], sizeof status[i], "%.*s", STR_ARG(r->status));
		results[i] = (struct spool_result){.outcome = (enum spool_outcome)r->outcome,
						   .status = r->status.n ? status[i] : NULL,
						   .text = r->text,
						   .server = r->said ? m->server : STR(""),
						   .dsn_passed = r->dsn_passed,
						   .relaying_told = r->relaying_told};
	}
	spool_done_many(queue.spool, keys, results, t->n);
	char why[12] = "";
	if (worst)
		(void)snprintf(why, sizeof why, "%.*s", STR_ARG(worst->status));
	spool_over(queue.spool, str_c(t->nexthop),
		   m->contact <= RELAY_CONTACT_FAILED ? (enum spool_contact)m->contact
						      : SPOOL_CONTACT_UNKNOWN,
		   why, worst ? worst->text : STR(""));
	free(status);
	free(results);
	free(keys);
}

/* No answer, but the relay lives: it does not keep its word. The outcome is not known. */
static void give_up(const struct transaction *t, const struct fail *why)
{
	struct spool_result r = {
		.outcome = SPOOL_DEFERRED, .status = "4.4.7", .text = str_c(why->public)};

	log_context(t->trace, (struct session_id){0});
	log_event(LOG_WARN, "queue.not-relayed", log_u64("number", t->number),
		  log_c("nexthop", t->nexthop), log_fail(why));
	log_context((struct trace_id){0}, (struct session_id){0});
	for (size_t i = 0; i < t->n; i++)
		spool_done(queue.spool, (struct spool_key){t->number, t->rcpts[i].rcpt}, &r);
}

static void relayed(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct transaction *t = CONTAINER_OF(a, struct transaction, ask);
	struct fail bad = FAIL_INIT;
	struct msg_relayed m;

	out.in_flight--;
	CRASH_POINT("queue.relayed");
	if (r == 0 && msg_relayed_read(p, &m) < 0) {
		r = fail_set(&bad, FAIL_PEER, NULL, "bad answer of relay");
		why = &bad;
	}
	if (!queue.stopping && r == 0) {
		settle(t, &m);
	} else if (!queue.stopping) {
		/* A relay that ended says nothing: send_down makes the rows due again. */
		if (r != -FAIL_PEER || why == &bad)
			give_up(t, why);
		spool_over(queue.spool, str_c(t->nexthop), SPOOL_CONTACT_UNKNOWN, NULL, STR(""));
	}
	ipc_packet_free(p);
	free(t);
	send_wake();
}

/* --- handing out --- */

/* A filter gets mailboxes of ours as they were addressed. */
static struct str address_of(const struct spool_due *due, char room[400])
{
	struct str a = due->to.address;
	size_t at = str_rfind(a, '@');

	if (due->to.detail.n == 0)
		return a;
	(void)snprintf(room, 400, "%.*s+%.*s%.*s", STR_ARG(str_sub(a, 0, at)),
		       STR_ARG(due->to.detail), STR_ARG(str_skip(a, at)));
	return str_c(room);
}

static struct transaction *note(const struct spool_delivery *m)
{
	struct transaction *t = xcalloc(1, sizeof *t + m->n_due * sizeof t->rcpts[0]);

	t->ask.done = relayed;
	t->number = m->number;
	t->trace = m->trace;
	t->n = m->n_due;
	(void)snprintf(t->nexthop, sizeof t->nexthop, "%.*s", STR_ARG(m->nexthop));
	for (size_t i = 0; i < m->n_due; i++) {
		char room[400];
		t->rcpts[i].rcpt = m->due[i].rcpt;
		(void)snprintf(t->rcpts[i].address, sizeof t->rcpts[i].address, "%.*s",
			       STR_ARG(address_of(&m->due[i], room)));
	}
	return t;
}

/* A content filter gave it back under the address that it leads to; ORCPT tells the first one. */
static bool is_elsewhere(const struct spool_due *due)
{
	struct str rest = due->orcpt, type;

	return due->orcpt.n > 0 && str_cut(&rest, ';', &type) && str_eqi(type, STR("rfc822")) &&
	       !str_eqi(rest, due->to.address);
}

/*
 * It comes from elsewhere and was led elsewhere, by a row of ours: RCPT named another address, or
 * none at all (copies, of which nobody hears).
 */
static bool is_forwarded(const struct spool_delivery *m)
{
	bool is = false;

	for (size_t i = 0; i < m->n_due; i++)
		is |= !str_eqi(m->due[i].original, m->due[i].to.address) ||
		      m->due[i].notify == SPOOL_NOTIFY_NEVER || is_elsewhere(&m->due[i]);
	return is && m->sender.n > 0 && m->wish.login.n == 0 && m->wish.filter.n == 0;
}

static struct msg_relay request(const struct spool_delivery *m, struct msg_relay_rcpt *rcpts)
{
	const struct spool_wishes *w = &m->wish;

	return (struct msg_relay){.number = m->number,
				  .nexthop = m->nexthop,
				  .sender = m->sender,
				  .envid = m->envid,
				  .ret = (uint8_t)m->ret,
				  .smtputf8 = m->smtputf8,
				  .eightbit = m->eightbit,
				  .requiretls = w->requiretls,
				  .tls_optional = w->tls_optional,
				  .priority = (uint8_t)(w->priority + SPOOL_PRIORITY_MAX),
				  .deliver_by_us = w->deliver_by.v,
				  .deliver_by_mode = (uint8_t)w->by,
				  .login = w->login,
				  .forwarded = is_forwarded(m),
				  .client = {.ip = w->client.ip,
					     .port = w->client.port,
					     .rdns = w->client.name,
					     .helo = w->client.helo,
					     .esmtp = w->client.esmtp},
				  .prefix = m->prefix,
				  .body = m->body,
				  .file = m->body_fd,
				  .size = m->body_size,
				  .arrival_us = m->arrival.v,
				  .rcpts = rcpts,
				  .rcpts_n = m->n_due};
}

static void hand_out(const struct spool_delivery *m)
{
	struct transaction *t = note(m);
	struct msg_relay_rcpt *rcpts = xcalloc(m->n_due, sizeof *rcpts);

	for (size_t i = 0; i < m->n_due; i++)
		rcpts[i] = (struct msg_relay_rcpt){.rcpt = m->due[i].rcpt,
						   .address = str_c(t->rcpts[i].address),
						   .orcpt = m->due[i].orcpt,
						   .notify = (uint8_t)m->due[i].notify};
	struct msg_relay msg = request(m, rcpts);
	struct ipc_question q = {.type = IPC_RELAY,
				 .msg = &msg,
				 .want = IPC_RELAYED,
				 .trace = m->trace,
				 .deadline_ms = DEADLINE_MS,
				 .only_while_up = true};
	out.in_flight++;
	counter_add(&transactions, 1);
	CRASH_POINT("queue.before-relay");
	ipc_ask(role_peer(queue.role, "relay", 0), &q, &t->ask);
	CRASH_POINT("queue.after-relay");
	free(rcpts);
}

static size_t room(void)
{
	size_t max = (size_t)queue.role->conf->relay_connections;

	if (queue.stopping || out.held || out.in_flight >= max ||
	    !ipc_channel_is_up(role_peer(queue.role, "relay", 0)))
		return 0;
	return MIN(max - out.in_flight, (size_t)TAKE_AT_ONCE);
}

static void load_run(struct job *job)
{
	struct fail why = FAIL_INIT;

	(void)job;
	if (spool_take_remote(queue.spool, out.want, &out.batch, &why) < 0)
		log_event(LOG_ERROR, "queue.take", log_fail(&why));
	loop_post(queue.role->loop, &out.loaded);
}

static void hand_out_due(void)
{
	out.again = out.loading;
	if (out.loading || (out.want = room()) == 0)
		return;
	out.loading = true;
	pool_submit(queue.senders, &out.load);
}

static void loaded(struct loop_task *task)
{
	struct spool_batch *b = &out.batch;
	bool more = b->n > 0 || out.again;

	(void)task;
	out.loading = false;
	if (out.died || room() == 0) {
		if (!queue.stopping)
			spool_return(queue.spool, b);
	} else {
		for (size_t i = 0; i < b->n; i++)
			hand_out(&b->v[i]);
	}
	spool_batch_clear(b);
	if (out.died && !queue.stopping)
		spool_remote_died(queue.spool);
	out.died = false;
	if (more)
		hand_out_due();
}

static void woken(struct loop_task *task)
{
	(void)task;
	atomic_store(&out.wake_posted, false);
	if (!queue.stopping)
		hand_out_due();
}

void send_wake(void)
{
	if (!atomic_exchange(&out.wake_posted, true))
		loop_post(queue.role->loop, &out.wake);
}

/* --- the relay comes and goes --- */

void send_init(void)
{
	out.batch = SPOOL_BATCH_INIT;
	out.load.job.run = load_run;
	out.loaded.run = loaded;
	out.wake.run = woken;
}

void send_hold(bool hold)
{
	out.held = hold;
	if (!hold)
		send_wake();
}

bool send_quiet(void)
{
	return out.in_flight == 0 && !out.loading;
}

void send_up(void)
{
	out.held = false;
	hand_out_due();
}

void send_down(void)
{
	if (out.loading) /* what is being loaded was not handed out: it goes back first */
		out.died = true;
	else
		spool_remote_died(queue.spool);
}
