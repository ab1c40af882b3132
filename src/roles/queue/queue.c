/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue - owns the spool: takes messages in, and hands out what is due until it is delivered.
 *
 * Each user process is a lane. What is due in a lane goes to its process, a bounded number at a
 * time; when the process dies, what it had in hand is due again (the store recognises what it had
 * stored already).
 */
#include "roles/queue/queue.h"
#include "base/check.h"
#include "roles/role/migrating.h"
#include "roles/role/session_protocol.h"
#include "roles/role/task.h"
#include "service/dir/dir.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX	 4
#define RECEIPTS_AT_ONCE 500
#define LOOK_MS		 5000

struct queue queue;

#define OPEN_NOTED 4096u
static VEC(struct spool_body_id) open_bodies;
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- taking messages in
 * --------------------------------------------------------------------------------------------- */

/*
 * Bodies that mta has open: when it dies, nobody else will drop them. An entry whose body was
 * submitted or dropped meanwhile is harmless (the spool does not know the id any more).
 */
static void note_open(struct spool_body_id id)
{
	pthread_mutex_lock(&open_lock);
	if (open_bodies.n >= OPEN_NOTED)
		vec_remove(&open_bodies, 0);
	*vec_push(&open_bodies) = id;
	pthread_mutex_unlock(&open_lock);
}

static void forget_open(struct spool_body_id id)
{
	pthread_mutex_lock(&open_lock);
	for (size_t i = 0; i < open_bodies.n; i++)
		if (memcmp(&open_bodies.p[i], &id, sizeof id) == 0) {
			vec_remove(&open_bodies, i);
			break;
		}
	pthread_mutex_unlock(&open_lock);
}

static void drop_open(void)
{
	pthread_mutex_lock(&open_lock);
	for (size_t i = 0; i < open_bodies.n; i++)
		spool_body_drop(queue.spool, open_bodies.p[i]);
	vec_clear(&open_bodies);
	pthread_mutex_unlock(&open_lock);
}

static void body_open(struct role *role, struct ipc_packet *p)
{
	struct msg_body_open m;
	struct fail why = FAIL_INIT;
	struct spool_body_id id = {0};
	AUTO_FD int fd = -1;
	(void)role;
	if (msg_body_open_read(p, &m) < 0 ||
	    spool_body_create(queue.spool, m.size, &id, &fd, &why) < 0) {
		log_event(LOG_ERROR, "queue.body-open", log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	note_open(id);
	struct msg_body_file reply = {.body_id = {(const char *)id.b, sizeof id.b}, .file = fd};
	(void)ipc_reply(p, IPC_BODY_FILE, &reply);
	CRASH_POINT("queue.body-opened");
}

static bool read_id(struct str s, struct spool_body_id *ret)
{
	if (s.n != sizeof ret->b)
		return false;
	memcpy(ret->b, s.p, sizeof ret->b);
	return true;
}

static void body_seal(struct role *role, struct ipc_packet *p)
{
	struct msg_body_seal m;
	struct fail why = FAIL_INIT;
	struct spool_body_id id;
	struct spool_sealed sealed = {.fd = -1};
	(void)role;
	(void)fail_set(&why, FAIL_PEER, NULL, "bad seal request");
	if (msg_body_seal_read(p, &m) < 0 || !read_id(m.body_id, &id) ||
	    spool_body_seal(queue.spool, id, &sealed, &why) < 0) {
		log_event(LOG_ERROR, "queue.body-seal", log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_body_sealed reply = {
		.size = sealed.size,
		.sha256 = {(const char *)sealed.sha256, sizeof sealed.sha256},
		.file = sealed.fd,
		.still = sealed.still};
	(void)ipc_reply(p, IPC_BODY_SEALED, &reply);
	CRASH_POINT("queue.body-sealed");
	(void)close(sealed.fd);
}

/* ETRN: mta has looked at who asks, and for what. */
static void flush_domain(struct role *role, struct ipc_packet *p)
{
	struct msg_flush_domain m;
	struct fail why = FAIL_INIT;
	(void)role;
	(void)fail_set(&why, FAIL_PEER, NULL, "bad flush request");
	bool good = msg_flush_domain_read(p, &m) == 0 && m.domain.n > 0 &&
		    str_find(m.domain, 0, '*') == m.domain.n &&
		    str_find(m.domain, 0, '?') == m.domain.n;
	struct spool_query q = {.domain = m.domain};
	int r = good ? spool_carry_out(queue.spool, SPOOL_FLUSH, &q, false, &why) : -FAIL_PEER;
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_flushed reply = {.recipients = (uint64_t)r};
	(void)ipc_reply(p, IPC_FLUSHED, &reply);
}

static void body_drop(struct ipc_packet *p)
{
	struct msg_body_drop m;
	struct spool_body_id id;
	if (msg_body_drop_read(p, &m) == 0 && read_id(m.body_id, &id)) {
		forget_open(id);
		spool_body_drop(queue.spool, id);
	}
}

/* A message on its way into the spool: its texts live in the packet. */
struct incoming {
	struct spool_message m;
	struct ipc_packet *p;
	struct spool_rcpt rcpts[];
};

static void submitted(struct spool_message *m, int r, uint64_t number, const struct fail *why)
{
	struct incoming *in = CONTAINER_OF(m, struct incoming, m);
	log_context(m->trace, (struct session_id){0});
	if (r == 0) {
		struct msg_submitted reply = {.number = number};
		log_event(LOG_INFO, "queue.accepted", log_u64("number", number),
			  log_address("from", m->sender), log_u64("rcpts", m->n_rcpts),
			  log_u64("size", m->body_size));
		CRASH_POINT("queue.before-reply");
		(void)ipc_reply(in->p, IPC_SUBMITTED, &reply);
		CRASH_POINT("queue.after-reply");
	} else {
		log_event(LOG_ERROR, "queue.not-accepted", log_fail(why));
		(void)ipc_reply_fail(in->p, why);
	}
	log_context((struct trace_id){0}, (struct session_id){0});
	ipc_packet_free(in->p);
	free(in);
}

static struct spool_wishes wishes(const struct msg_submit *m)
{
	int priority = (int)MIN(m->priority, 2 * SPOOL_PRIORITY_MAX) - SPOOL_PRIORITY_MAX;
	return (struct spool_wishes){.hold_until = {m->hold_until_us},
				     .deliver_by = {m->deliver_by_us},
				     .by = m->deliver_by_mode,
				     .priority = priority,
				     .requiretls = m->requiretls,
				     .tls_optional = m->tls_optional,
				     .login = m->login,
				     .held = m->held,
				     .filter = m->filter,
				     .client = {.ip = m->client.ip,
						.port = m->client.port,
						.name = m->client.rdns,
						.helo = m->client.helo,
						.esmtp = m->client.esmtp}};
}

static void fill(struct incoming *in, const struct msg_submit *m)
{
	in->m = (struct spool_message){.trace = ipc_packet_trace(in->p),
				       .sender = m->sender,
				       .envid = m->envid,
				       .ret = m->ret <= SPOOL_RET_HDRS ? (enum spool_ret)m->ret
								       : SPOOL_RET_NONE,
				       .smtputf8 = m->smtputf8,
				       .eightbit = m->eightbit,
				       .auth_account = {m->auth_account},
				       .language = m->language,
				       .wish = wishes(m),
				       .prefix = m->prefix,
				       .body = m->body,
				       .body_size = m->size,
				       .map = m->map,
				       .arrival = {m->arrival_us},
				       .rcpts = in->rcpts,
				       .n_rcpts = m->recipients_n,
				       .done = submitted};
	memcpy(in->m.sha256, m->sha256.p, sizeof in->m.sha256);
	if (read_id(m->body_id, &in->m.body_id))
		forget_open(in->m.body_id); /* the spool's from now on */
	for (size_t i = 0; i < m->recipients_n; i++) {
		const struct msg_recipient *from = &m->recipients[i];
		in->rcpts[i] = (struct spool_rcpt){.to = {.account = {from->to.account},
							  .address = from->to.address,
							  .detail = from->to.detail,
							  .transport = from->to.transport},
						   .original = from->original,
						   .orcpt = from->orcpt,
						   .notify = from->notify};
	}
}

static void submit(struct ipc_packet *p)
{
	struct msg_submit m;
	struct fail why = FAIL_INIT;
	if (msg_submit_read(p, &m) < 0 || m.sha256.n != SPOOL_HASH_LEN || m.recipients_n == 0) {
		(void)fail_set(&why, FAIL_PEER, NULL, "bad submission");
		(void)ipc_reply_fail(p, &why);
		ipc_packet_free(p);
		return;
	}
	struct incoming *in = xcalloc(1, sizeof *in + m.recipients_n * sizeof in->rcpts[0]);
	in->p = p;
	fill(in, &m);
	spool_submit(queue.spool, &in->m);
}

/* --- what the spool asks
 * -------------------------------------------------------------------------------------------- */

static int copy_dests(const struct msg_route_reply *m, bool again, struct arena *a,
		      struct spool_route *ret, struct fail *why)
{
	struct destination *dests = arena_array(a, struct destination, m->dests_n);
	if (!dests)
		return fail_set(why, FAIL_LIMIT, NULL, "too many destinations");
	for (size_t i = 0; i < m->dests_n; i++)
		dests[i] = (struct destination){.account = {m->dests[i].account},
						.address = arena_str(a, m->dests[i].address),
						.detail = arena_str(a, m->dests[i].detail),
						.transport = arena_str(a, m->dests[i].transport)};
	bool ok =
		m->verdict == DIR_OK || m->verdict == DIR_NOT_OURS || m->verdict == DIR_OVER_QUOTA;
	/* The operator refuses the address: its transport, "error:", says with which words. */
	ok = ok || (again && m->verdict == DIR_REFUSED && m->dests_n > 0);
	*ret = (struct spool_route){.kind = ok ? SPOOL_ROUTE_OK : SPOOL_ROUTE_REFUSED,
				    .dests = dests,
				    .n = m->dests_n,
				    .note = arena_str(a, m->refusal.n ? m->refusal : m->note)};
	return 0;
}

static int ask_dir(struct role *role, const struct spool_question *what, enum dir_mapping mapping,
		   struct arena *a, struct spool_route *ret, struct fail *why)
{
	struct msg_route m = {
		.address = what->address, .sender = what->sender, .mapping = (uint8_t)mapping};
	struct ipc_question q = {.type = IPC_ROUTE, .msg = &m, .want = IPC_ROUTE_REPLY};
	struct msg_route_reply reply;
	struct ipc_packet *p = NULL;
	int r = ipc_call(role_peer(role, "dir", 0), &q, &p, why);
	if (r == 0 && msg_route_reply_read(p, &reply) < 0)
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	if (r == 0 && reply.verdict == DIR_LOOPS)
		r = fail_set(why, FAIL_TEMP, NULL, "the address expands to too many");
	if (r == 0)
		r = copy_dests(&reply, what->again, a, ret, why);
	ipc_packet_free(p);
	return r;
}

/*
 * A report's recipient, or one that is to be routed again: who still has the mailbox gets it there
 * and nowhere else; who has none any more may have become an alias. Runs on the spool's clerk.
 */
int queue_route(void *ctx, const struct spool_question *what, struct arena *a,
		struct spool_route *ret, struct fail *why)
{
	if (what->again) {
		int r = ask_dir(ctx, what, DIR_AS_IT_IS, a, ret, why);
		if (r < 0 || ret->kind == SPOOL_ROUTE_OK)
			return r;
	}
	return ask_dir(ctx, what, DIR_EXPAND, a, ret, why);
}

/* Runs on the spool's clerk, or for an order. */
static int routes_changed(void *ctx, struct wall_us *ret, struct fail *why)
{
	struct msg_routes_look m = {0};
	struct ipc_question q = {.type = IPC_ROUTES_LOOK,
				 .msg = &m,
				 .want = IPC_ROUTES_LOOKED,
				 .deadline_ms = LOOK_MS,
				 .only_while_up = true};
	struct msg_routes_looked reply;
	struct ipc_packet *p = NULL;
	int r = ipc_call(role_peer(ctx, "dir", 0), &q, &p, why);
	if (r == 0)
		r = msg_routes_looked_read(p, &reply);
	if (r == 0)
		ret->v = reply.changed_us;
	ipc_packet_free(p);
	return r;
}

/* A report that the spool wrote is analysed like any other message. Runs on the spool's clerk. */
int queue_map(void *ctx, struct str body, struct arena *a, struct str *ret, struct fail *why)
{
	struct role *role = ctx;
	struct msg_scan m = {.body = body, .file = -1, .size = body.n};
	struct msg_scan_reply reply;
	struct ipc_packet *p = NULL;
	int r = role_ask_scan(role, &m, (struct trace_id){0}, &p, why);
	if (r == 0 && msg_scan_reply_read(p, &reply) < 0)
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of scan");
	if (r == 0) {
		*ret = arena_str(a, reply.map);
		if (!ret->p)
			r = fail_set(why, FAIL_LIMIT, NULL, "the message map is too large");
	}
	ipc_packet_free(p);
	return r;
}

static unsigned lane_of(void *ctx, struct account_id account)
{
	return role_shard(ctx, account);
}

static void lane_is_ready(void *ctx, unsigned lane)
{
	(void)ctx;
	if (lane < queue.lanes)
		deliver_wake(lane);
	else
		send_wake();
}

/* One line for what became of a recipient. Runs on a thread of the spool. */
static void spool_event(void *ctx, const struct spool_event *e)
{
	char next[CLOCK_TEXT_MAX];
	(void)ctx;
	log_context(e->trace, (struct session_id){0});
	if (e->kind == SPOOL_EVENT_DEFERRED)
		log_event(LOG_INFO, "queue.deferred", log_u64("number", e->key.number),
			  log_address("to", str_c(e->address)), log_c("status", e->status),
			  log_c("text", e->text), log_c("server", e->server),
			  log_u64("attempts", e->attempts),
			  log_str("next", clock_iso8601(next, e->next)),
			  log_address("rcpt", str_c(e->original)));
	else if (e->kind == SPOOL_EVENT_FAILED)
		log_event(LOG_WARN, "queue.failed", log_u64("number", e->key.number),
			  log_address("to", str_c(e->address)), log_c("status", e->status),
			  log_c("text", e->text), log_c("server", e->server),
			  log_u64("attempts", e->attempts),
			  log_address("rcpt", str_c(e->original)));
	else if (e->kind == SPOOL_EVENT_REPORT)
		log_event(LOG_INFO, "queue.report", log_u64("number", e->key.number),
			  log_u64("report", e->report), log_address("to", str_c(e->address)),
			  log_c("about", e->about));
	else
		log_event(LOG_WARN, "queue.report-dropped", log_u64("number", e->key.number),
			  log_address("to", str_c(e->address)), log_c("text", e->text));
	log_context((struct trace_id){0}, (struct session_id){0});
}

static void alert(void *ctx, const char *text)
{
	(void)ctx;
	log_event(LOG_ERROR, "queue.alert", log_c("text", text));
}

/* --- figures
 * ---------------------------------------------------------------------------------------- */

COUNTER(queued, "queue.recipients.queued", "recipients that are due or being delivered");
COUNTER(deferred, "queue.recipients.deferred", "recipients that wait for another try");
COUNTER(held, "queue.recipients.held", "recipients that wait for the operator");
COUNTER(routing, "queue.recipients.routing", "reports whose way is not known yet");
COUNTER(in_flight, "queue.in-flight", "recipients under way");
COUNTER(in_memory, "queue.in-memory",
	"recipients that are due or under way, as far as they are in memory");
COUNTER(remote_now, "queue.transactions-open",
	"transactions with other servers that are under way");
COUNTER(hops, "queue.destinations", "destinations elsewhere with mail that is due or under way");
COUNTER(hops_dead, "queue.destinations-dead",
	"those that were found unreachable: their mail waits");
COUNTER(total_submitted, "queue.submitted", "messages taken in");
COUNTER(total_delivered, "queue.outcome.delivered", "recipients delivered");
COUNTER(total_deferred, "queue.outcome.deferred", "tries that were put off");
COUNTER(total_failed, "queue.outcome.failed", "recipients given up");
COUNTER(total_reports, "queue.reports", "reports made");
COUNTER(commits, "queue.commits", "transactions");
COUNTER(commit_failures, "queue.commit-failures", "transactions that failed");
COUNTER(oldest, "queue.oldest", "when the oldest message arrived");

static struct pool_job oldest_job;
static _Atomic bool oldest_posted;

/* Reads the database, so not on the loop: the figure is that of the last time it was asked for. */
static void find_oldest(struct job *job)
{
	struct wall_us arrival = {0};
	struct fail why = FAIL_INIT;
	(void)job;
	int r = spool_oldest(queue.spool, &arrival, &why);
	if (r >= 0)
		counter_set(&oldest, r > 0 ? (uint64_t)(arrival.v / SEC_US) : 0);
	atomic_store(&oldest_posted, false);
}

static void stats(struct role *role)
{
	struct spool_counts n;
	(void)role;
	spool_count(queue.spool, &n);
	counter_set(&queued, n.by_state[SPOOL_QUEUED]);
	counter_set(&deferred, n.by_state[SPOOL_DEFER]);
	counter_set(&held, n.by_state[SPOOL_HELD]);
	counter_set(&routing, n.by_state[SPOOL_ROUTING]);
	counter_set(&in_flight, n.in_flight);
	counter_set(&in_memory, n.in_memory);
	counter_set(&remote_now, n.transactions);
	counter_set(&hops, n.hops);
	counter_set(&hops_dead, n.hops_dead);
	counter_set(&total_submitted, n.submitted);
	counter_set(&total_delivered, n.delivered);
	counter_set(&total_deferred, n.deferred);
	counter_set(&total_failed, n.failed);
	counter_set(&total_reports, n.dsns);
	counter_set(&commits, n.commits);
	counter_set(&commit_failures, n.commit_failures);
	if (!atomic_exchange(&oldest_posted, true)) {
		oldest_job = (struct pool_job){.job.run = find_oldest};
		pool_submit(queue.pool, &oldest_job);
	}
}

/* --- life
 * ---------------------------------------------------------------------------------------------------------------
 */

static struct spool_times times_of(const struct conf *c)
{
	return (struct spool_times){
		.retry_first_s = (unsigned)(c->retry_min_ms / 1000),
		.retry_max_s = (unsigned)(c->retry_max_ms / 1000),
		.lifetime_s = (unsigned)(c->lifetime_ms / 1000),
		.bounce_lifetime_s = (unsigned)(c->bounce_lifetime_ms / 1000),
		.hop_max = (unsigned)c->destination_connections,
		.double_bounce_to = c->double_bounce_to[0] ? c->double_bounce_to : NULL,
		.delay_warning_s = (unsigned)(c->delay_warning_ms / 1000),
		.postmaster_domain = c->postmaster_domain[0] ? c->postmaster_domain : NULL,
		.language = text_find_language(c->language)};
}

static void reconfigure(struct role *role, const struct conf *before)
{
	struct spool_times times = times_of(role->conf);
	(void)before;
	spool_configure(queue.spool, &times, role->conf->hostname);
}

static int open_queue(struct role *role, struct fail *why)
{
	const struct conf *c = role->conf;
	struct spool_config s = spool_config_default();
	queue.role = role;
	queue.lanes = (unsigned)c->user_workers;
	deliver_init();
	send_init();
	reports_init();
	s.folder = "spool";
	s.blob_folder = "blob";
	s.hostname = c->hostname;
	s.inline_max = BODY_INLINE_MAX;
	struct spool_times times = times_of(c);
	s.postmaster_domain = times.postmaster_domain;
	s.retry_first_s = times.retry_first_s;
	s.retry_max_s = times.retry_max_s;
	s.lifetime_s = times.lifetime_s;
	s.bounce_lifetime_s = times.bounce_lifetime_s;
	s.double_bounce_to = times.double_bounce_to;
	s.hop_first = (unsigned)MIN(c->destination_connections, UINT64_C(5));
	s.hop_max = times.hop_max;
	s.hop_rcpts = (unsigned)c->destination_recipients;
	s.delay_warning_s = times.delay_warning_s;
	s.language = times.language;
	s.lanes = queue.lanes;
	s.ctx = role;
	s.lane_of = lane_of;
	s.route = queue_route;
	s.routes_changed = routes_changed;
	s.map = queue_map;
	s.ready = lane_is_ready;
	s.delivered = receipts_finished;
	s.alert = alert;
	s.event = spool_event;
	queue.pool = pool_new("body", THREADS_MAX, 0);
	queue.takers = pool_new("take", 1, 0); /* the database has one reader or writer at a time */
	queue.senders = pool_new("send", 1, 0);
	role_show_migrations(role);
	return spool_open(&s, &queue.spool, why);
}

static void message(struct role *role, struct ipc_channel *from, struct ipc_packet *p)
{
	bool mta = strcmp(ipc_channel_name(from), "mta") == 0;
	enum ipc_type type = ipc_packet_type(p);
	if (mta && type == IPC_SUBMIT) {
		submit(p);
	} else if (mta && type == IPC_BODY_OPEN) {
		role_task(role, queue.pool, p, body_open);
	} else if (mta && type == IPC_BODY_SEAL) {
		role_task(role, queue.pool, p, body_seal);
	} else if (mta && type == IPC_FLUSH_DOMAIN) {
		role_task(role, queue.pool, p, flush_domain);
	} else if (mta && type == IPC_BODY_DROP) {
		body_drop(p);
		ipc_packet_free(p);
	} else {
		role_refuse(from, p, "not its business");
	}
}

static bool is(const struct ipc_channel *peer, const char *name)
{
	return strcmp(ipc_channel_name(peer), name) == 0;
}

static void peer_up(struct role *role, struct ipc_channel *peer)
{
	(void)role;
	if (is(peer, "user"))
		deliver_lane_up(ipc_channel_index(peer));
	if (is(peer, "relay"))
		send_up();
}

static void peer_down(struct role *role, struct ipc_channel *peer)
{
	(void)role;
	if (is(peer, "user"))
		deliver_lane_down(ipc_channel_index(peer));
	if (is(peer, "relay"))
		send_down();
	if (is(peer, "mta"))
		drop_open();
}

static void hold(struct role *role, struct ipc_channel *peer, unsigned how)
{
	(void)role;
	if (how == HOLD_BODIES)
		return;
	ipc_channel_hold(peer, how == HOLD_ALL);
	if (is(peer, "user"))
		deliver_lane_hold(ipc_channel_index(peer), how == HOLD_ALL);
	if (is(peer, "relay"))
		send_hold(how == HOLD_ALL);
}

static bool is_held(struct role *role, struct ipc_channel *peer, unsigned how)
{
	(void)role;
	if (how != HOLD_ALL)
		return true;
	if (is(peer, "relay"))
		return send_quiet();
	return !is(peer, "user") || deliver_lane_quiet(ipc_channel_index(peer));
}

static void admin(struct role *role, struct ipc_packet *p)
{
	role_task(role, queue.pool, p, queue_admin);
}

static void finish(struct role *role)
{
	(void)role;
	reports_end();
	pool_free(queue.pool);
	pool_free(queue.takers);
	pool_free(queue.senders);
	spool_close(queue.spool);
}

static void stop(struct role *role)
{
	queue.stopping = true;
	reports_stop();
	role_stop_aside(role, finish);
}

static const char *const peers[] = {"mta", "user", "dir", "scan", "dns", "relay", NULL};
static const struct sandbox_path paths[] = {{"spool", SANDBOX_WRITE}, {"blob", SANDBOX_WRITE}};
static const struct role_format formats[] = {
	{"format", "spool", spool_format},
	{0},
};
static const struct role_ops ops = {.name = "queue",
				    .formats = formats,
				    .sandbox_flags = SANDBOX_FILES | SANDBOX_THREADS,
				    .peers = peers,
				    .paths = paths,
				    .n_paths = ARRAY_LEN(paths),
				    .open = open_queue,
				    .reconfigure = reconfigure,
				    .message = message,
				    .peer_up = peer_up,
				    .peer_down = peer_down,
				    .admin = admin,
				    .stats = stats,
				    .hold = hold,
				    .held = is_held,
				    .tool = tool_ask,
				    .tool_end = tool_end,
				    .stop = stop};

int main(int argc, char **argv)
{
	return role_main(argc, argv, &ops);
}
