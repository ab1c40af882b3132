/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir - who exists, where mail goes, and who may log in. Owns the accounts database.
 *
 * This file: its life, who may ask what, and on which thread that is answered.
 */
#include "base/check.h"
#include "roles/dir/internal.h"
#include "roles/role/migrating.h"
#include "roles/role/role.h"
#include "roles/role/session_protocol.h"
#include "roles/role/task.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/log.h"
#include <unistd.h>

#define LOOKUP_THREADS 4
/* For hashes: 17 ms and 16 MiB each. */
#define KNOWN_THREADS	2
#define NEW_THREADS_MAX 4
#define FLUSH_MS	1000
#define BOOK_TURNS	10 /* of them */
#define SWEEP_MS	60000
#define OFFER_MS	1000
#define QUICK_MS	20
#define SLOW_MS		1000

struct dir_role dir_role;

/* --- what is offered
 * ------------------------------------------------------------------------------------------------
 */

/* On a thread: it may look at every account, and every session. */
static void look_now(struct job *job)
{
	struct fail why = FAIL_INIT;
	struct msg_login_offer m = {0};
	(void)job;
	if (dir_sessions_check(dir_role.dir, session_end, NULL, &why) < 0)
		log_event(LOG_WARN, "dir.sessions", log_fail(&why));
	if (dir_offer(dir_role.dir, &m.mechanisms, &why) < 0) {
		log_event(LOG_WARN, "dir.offer", log_fail(&why));
		return;
	}
	if (m.mechanisms == dir_role.offered && !atomic_exchange(&dir_role.offer_again, false))
		return;
	bool told = false;
	for (unsigned i = 0; i < dir_role.role->edge_places; i++)
		told |= ipc_send(role_peer(dir_role.role, "edge", i), (struct trace_id){0},
				 IPC_LOGIN_OFFER, &m) == 0;
	if (told) /* one that is away hears it when it is back */
		dir_role.offered = m.mechanisms;
}

static void offer_due(struct loop_timer *t)
{
	if (lane_idle(&dir_role.offer_lane))
		lane_submit(&dir_role.offer_lane, &dir_role.offer_job);
	loop_timer_in(dir_role.role->loop, t, OFFER_MS);
}

/* --- life
 * ------------------------------------------------------------------------------------------------------------
 */

/* To every process of user: the account may have left something in mailboxes of any other. */
static int tell_gone(struct account_id account, struct fail *why)
{
	int r = 0;
	for (unsigned i = 0; r >= 0 && i < dir_role.role->user_workers; i++) {
		struct msg_account_gone m = {.account = account.v};
		struct ipc_packet *reply = NULL;
		struct ipc_question q = {
			.type = IPC_ACCOUNT_GONE, .msg = &m, .want = IPC_OK, .only_while_up = true};
		r = ipc_call(role_peer(dir_role.role, "user", i), &q, &reply, why);
		ipc_packet_free(reply);
	}
	return r;
}

/* Mail of accounts that were deleted some time ago: its shard removes it, then it is written down.
 */
static void sweep(struct job *job)
{
	struct account_id gone[100];
	struct fail why = FAIL_INIT;
	const struct conf *c = role_conf_hold(dir_role.role);
	uint64_t keep_s = c->undelete_ms / 1000;
	conf_drop(c);
	(void)job;
	int n = dir_accounts_gone(dir_role.dir, keep_s, gone, ARRAY_LEN(gone), &why);
	int r = n;
	for (int i = 0; r >= 0 && i < n; i++) {
		r = tell_gone(gone[i], &why);
		CRASH_POINT("dir.mail-gone");
		if (r >= 0)
			r = dir_account_mail_gone(dir_role.dir, gone[i], &why);
	}
	if (r < 0) /* again in a minute */
		log_event(LOG_WARN, "dir.sweep", log_fail(&why));
}

void sweep_soon(void)
{
	if (lane_idle(&dir_role.sweep_lane))
		lane_submit(&dir_role.sweep_lane, &dir_role.sweep_job);
}

static void sweep_due(struct loop_timer *t)
{
	sweep_soon();
	loop_timer_in(dir_role.role->loop, t, SWEEP_MS);
}

/* Counts of sessions can wait a little longer than what accounts take. */
static void flush_book(void)
{
	static unsigned turn;
	struct fail why = FAIL_INIT;
	if (++turn % BOOK_TURNS == 0 && tlsbook_flush(dir_role.tlsbook, clock_wall(), &why) < 0)
		log_event(LOG_WARN, "dir.tlsbook", log_fail(&why));
}

static void flush_now(struct job *job)
{
	struct fail why = FAIL_INIT;
	(void)job;
	flush_book();
	srs_look();
	if (dir_flush(dir_role.dir, &why) < 0)
		log_event(LOG_WARN, "dir.flush", log_fail(&why));
}

static void flush_due(struct loop_timer *t)
{
	if (lane_idle(&dir_role.flush_lane))
		lane_submit(&dir_role.flush_lane, &dir_role.flush_job);
	loop_timer_in(dir_role.role->loop, t, FLUSH_MS);
}

static int open_dir(struct role *role, struct fail *why)
{
	struct dir_config c = dir_config_default();
	c.path = "dir/vmail.db";
	role_show_migrations(role);
	c.scram = strcmp(role->conf->scram, "on") == 0	  ? DIR_SCRAM_ON
		  : strcmp(role->conf->scram, "off") == 0 ? DIR_SCRAM_OFF
							  : DIR_SCRAM_AUTO;
	c.scram_sha1 = strcmp(role->conf->scram_sha1, "on") == 0;
	c.scram_iterations = (unsigned)role->conf->scram_iterations;
	c.master_users = strcmp(role->conf->master_users, "on") == 0;
	c.master_separator = role->conf->master_separator[0];
	/* Copies: a reload gives the role another configuration. */
	c.master_services = str_c(xstrdup(role->conf->master_services));
	AUTO(buf) struct buf keys = BUF_INIT(KIB(1));
	(void)buf_addf(&keys, "dir/%s", role->conf->oauth_keys);
	c.oauth = (struct dir_oauth){.issuer = xstrdup(role->conf->oauth_issuer),
				     .audience = xstrdup(role->conf->oauth_audience),
				     .username = xstrdup(role->conf->oauth_username),
				     .scope = xstrdup(role->conf->oauth_scope),
				     .keys = buf_take(&keys),
				     .leeway_s = role->conf->oauth_leeway_ms / 1000};
	int r = dir_open(&c, &dir_role.dir, why);
	if (r < 0)
		return r;
	r = tlsbook_open("dir/tls.db", NULL, &dir_role.tlsbook, why);
	if (r == 0)
		r = guard_open("dir/guard.db", NULL, &dir_role.guard, why);
	if (r < 0)
		return r;
	dir_configure(dir_role.dir, role->conf->hostname, role->conf->relay_host);
	dir_role.role = role;
	srs_configure(role->conf);
	dir_role.lookups = pool_new("lookup", LOOKUP_THREADS, 0);
	unsigned cores = (unsigned)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	dir_role.known = pool_new("login", KNOWN_THREADS, 0);
	dir_role.fresh = pool_new("login", MIN(cores, NEW_THREADS_MAX), 0);
	dir_role.suspects = pool_new("guess", 1, 0);
	lane_init(&dir_role.flush_lane, dir_role.lookups);
	dir_role.flush_job.run = flush_now;
	dir_role.flush.fire = flush_due;
	lane_init(&dir_role.sweep_lane, dir_role.lookups);
	dir_role.sweep_job.run = sweep;
	dir_role.sweep.fire = sweep_due;
	loop_timer_in(role->loop, &dir_role.sweep, SWEEP_MS / 10);
	loop_timer_in(role->loop, &dir_role.flush, FLUSH_MS);
	lane_init(&dir_role.offer_lane, dir_role.lookups);
	lane_init(&dir_role.sessions, dir_role.lookups);
	dir_role.offer_job.run = look_now;
	dir_role.offer.fire = offer_due;
	dir_role.offer_again = true;
	loop_timer_in(role->loop, &dir_role.offer, 1);
	return 0;
}

static void reconfigure(struct role *role, const struct conf *before)
{
	(void)before;
	dir_configure(dir_role.dir, role->conf->hostname, role->conf->relay_host);
	srs_configure(role->conf);
}

static void peer_up(struct role *role, struct ipc_channel *peer)
{
	if (strcmp(ipc_channel_name(peer), "edge") != 0)
		return;
	dir_role.offer_again = true;
	loop_timer_in(role->loop, &dir_role.offer, 1);
}

/* Who may ask what. A role that asks for more is broken, or worse. */
static const struct {
	enum ipc_type type;
	const char *from;
	void (*fn)(struct role *role, struct ipc_packet *p);
	bool quick; /* some rows, read in less time than a thread takes to wake */
} questions[] = {
	{IPC_LOGIN, "edge", login_by_password},
	{IPC_LOGIN_SASL, "edge", login_sasl},
	{IPC_LOGIN_DROP, "edge", login_drop},
	{IPC_LOGIN_OVER, "edge", login_over},
	{IPC_LOGIN_AGAIN, "edge", login_again},
	{IPC_LOGIN_OVER, "user", login_over},
	{IPC_LOGIN_AGAIN, "user", login_again},
	{IPC_LOGIN_RENEW, "user", login_renew},
	{IPC_LOGIN_OVER, "mta", login_over},
	{IPC_LOGIN_AGAIN, "mta", login_again},
	{IPC_LOGIN_RENEW, "mta", login_renew},
	{IPC_ROUTE, "mta", lookup_route, true},
	{IPC_ROUTE, "queue", lookup_route},
	{IPC_ROUTES_LOOK, "queue", lookup_changes},
	{IPC_RELAY_LOGIN, "relay", lookup_relay_login},
	{IPC_GUARD, "mta", guard_question},
	{IPC_SRS_SECRETS, "mta", srs_secrets_question},
	{IPC_DOMAIN_OURS, "mta", srs_domain_question, true},
	{IPC_SRS_SENDER, "relay", srs_sender_question, true},
	{IPC_STS_FIND, "relay", tls_find},
	{IPC_STS_KEEP, "relay", tls_keep},
	{IPC_TLS_SESSION, "relay", tls_session},
	{IPC_TLS_DUE, "queue", tls_due},
	{IPC_TLS_COUNTS, "queue", tls_counts},
	{IPC_TLS_REPORTED, "queue", tls_reported},
	{IPC_SENDER_ALLOWED, "mta", lookup_sender_allowed, true},
	{IPC_POLICY_DOMAIN, "mta", policy_ask_domain, true},
	{IPC_POLICY_ACCESS, "mta", policy_ask_access, true},
	{IPC_POLICY_LOGIN, "mta", policy_ask_login, true},
	{IPC_URL_ASK, "mta", session_url},
	{IPC_GUEST_ASK, "user", share_guest},
	{IPC_HOSTS, "user", share_hosts},
	{IPC_ACL_NAME, "user", share_name},
	{IPC_SHARE, "user", share_set},
	{IPC_URL_ASK, "user", session_url},
	{IPC_USAGE, "user", lookup_usage},
	{IPC_ACCOUNT, "user", lookup_account},
};

/*
 * On the loop, unless it would wait for somebody: for an order that holds the directory, or, as one
 * that took long tells, for the disk or another program.
 */
static bool answer_now(struct role *role, struct ipc_packet *p,
		       void (*fn)(struct role *role, struct ipc_packet *p))
{
	struct mono_ns begun = clock_mono();
	if (begun.v < dir_role.slow_until.v || !dir_is_free(dir_role.dir))
		return false;
	role_task_now(role, p, fn);
	struct mono_ns ended = clock_mono();
	if (ended.v - begun.v > QUICK_MS * MS_NS)
		dir_role.slow_until.v = ended.v + SLOW_MS * MS_NS;
	return true;
}

/*
 * A session that ends and is opened again at once: if its renewal passed the news of its end, it
 * would go on without us knowing of it.
 */
struct session_task {
	struct job job;
	struct ipc_packet *p;
	void (*fn)(struct role *role, struct ipc_packet *p);
};

static void run_session_task(struct job *job)
{
	struct session_task *t = CONTAINER_OF(job, struct session_task, job);
	log_context(ipc_packet_trace(t->p), (struct session_id){0});
	t->fn(dir_role.role, t->p);
	log_context((struct trace_id){0}, (struct session_id){0});
	ipc_packet_free(t->p);
	free(t);
}

static bool in_order(enum ipc_type type)
{
	return type == IPC_LOGIN_OVER || type == IPC_LOGIN_AGAIN || type == IPC_LOGIN_RENEW;
}

static void take(struct role *role, struct ipc_packet *p,
		 void (*fn)(struct role *role, struct ipc_packet *p))
{
	if (!in_order(ipc_packet_type(p))) {
		role_task(role, dir_role.lookups, p, fn);
		return;
	}
	struct session_task *t = xcalloc(1, sizeof *t);
	*t = (struct session_task){.job.run = run_session_task, .p = p, .fn = fn};
	lane_submit(&dir_role.sessions, &t->job);
}

/* 0: it is about none, or about several, each with a ticket of its own. */
static uint64_t session_of(struct ipc_packet *p)
{
	struct msg_login login;
	struct msg_login_sasl sasl;
	struct msg_login_drop drop;
	struct msg_login_over over;
	switch ((int)ipc_packet_type(p)) {
	case IPC_LOGIN:
		return msg_login_read(p, &login) == 0 ? login.session : 0;
	case IPC_LOGIN_SASL:
		return msg_login_sasl_read(p, &sasl) == 0 ? sasl.session : 0;
	case IPC_LOGIN_DROP:
		return msg_login_drop_read(p, &drop) == 0 ? drop.session : 0;
	case IPC_LOGIN_OVER:
		return msg_login_over_read(p, &over) == 0 ? over.session : 0;
	default:
		return 0;
	}
}

/* Edge speaks for its own sessions only. What another role says of one, its handler judges. */
static bool is_theirs(struct ipc_channel *from, struct ipc_packet *p)
{
	uint64_t session = peer_is_edge(from) ? session_of(p) : 0;
	return !session || session_edge(session) == ipc_channel_index(from);
}

static void message(struct role *role, struct ipc_channel *from, struct ipc_packet *p)
{
	for (size_t i = 0; i < ARRAY_LEN(questions); i++)
		if (questions[i].type == ipc_packet_type(p) &&
		    strcmp(questions[i].from, ipc_channel_name(from)) == 0 && is_theirs(from, p)) {
			if (!questions[i].quick || !answer_now(role, p, questions[i].fn))
				take(role, p, questions[i].fn);
			return;
		}
	role_refuse(from, p, "not its question, or not about its session");
}

static void peer_down(struct role *role, struct ipc_channel *peer)
{
	(void)role;
	if (peer_is_edge(peer))
		dir_sessions_forget(dir_role.dir, ipc_channel_index(peer));
	else
		dir_sessions_let_go(dir_role.dir, session_is_of, peer);
	_Static_assert(SESSION_EDGE_SHIFT == 56, "as service/dir/open_session.c has it");
}

static void finish(struct role *role)
{
	(void)role;
	pool_free(dir_role.lookups); /* it submits to the others */
	pool_free(dir_role.known);
	pool_free(dir_role.fresh);
	pool_free(dir_role.suspects);
	dir_close(dir_role.dir);
	tlsbook_close(dir_role.tlsbook);
	guard_close(dir_role.guard);
}

static void stop(struct role *role)
{
	loop_timer_clear(role->loop, &dir_role.flush);
	loop_timer_clear(role->loop, &dir_role.sweep);
	loop_timer_clear(role->loop, &dir_role.offer);
	role_stop_aside(role, finish);
}

static const char *const peers[] = {"edge", "mta", "queue", "user", "relay", NULL};
static const struct sandbox_path paths[] = {{"dir", SANDBOX_WRITE}};
static const struct role_format formats[] = {
	{"format", "vmail", dir_format},
	{"format", "tlsbook", tlsbook_format},
	{"format", "guard", guard_format},
	{0},
};
static const struct role_ops ops = {.name = "dir",
				    .formats = formats,
				    .sandbox_flags = SANDBOX_FILES | SANDBOX_THREADS,
				    .peers = peers,
				    .paths = paths,
				    .n_paths = ARRAY_LEN(paths),
				    .open = open_dir,
				    .message = message,
				    .reconfigure = reconfigure,
				    .peer_up = peer_up,
				    .peer_down = peer_down,
				    .admin = order,
				    .stop = stop};

int main(int argc, char **argv)
{
	return role_main(argc, argv, &ops);
}
