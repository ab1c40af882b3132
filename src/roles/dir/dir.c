/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir - who exists, where mail goes, and who may log in. Owns the accounts database.
 *
 * Hashing takes 17 ms and 16 MiB a time, and must neither delay a look-up, nor take all memory, nor
 * let those who guess keep others waiting. So look-ups have threads of their own, and a login that
 * needs no hash is one; those that need one wait in three queues: who has logged in to the account
 * from there before, who is new, who is suspected of guessing (one thread, and not all of it).
 * After a successful login dir itself tells the role that
 * will act for the account; edge learns only the shard.
 */
#include "service/dir/dir.h"
#include "base/check.h"
#include "roles/role/migrating.h"
#include "roles/role/role.h"
#include "roles/role/scope.h"
#include "roles/role/session_protocol.h"
#include "roles/role/task.h"
#include "service/dir/dir_admin.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include "sys/login_log.h"
#include "sys/secret.h"
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

HISTOGRAM(login_time, "dir.login", "passwords checked");
COUNTER(logins_ok, "dir.logins", "logins granted");
COUNTER(logins_refused, "dir.logins-refused", "logins refused");
COUNTER(logins_busy, "dir.logins-busy", "logins not looked at: too many guesses wait");
COUNTER(sessions_revoked, "dir.sessions-revoked", "sessions ended because their right did");
COUNTER(routes, "dir.routes", "addresses resolved");

#define LOOKUP_THREADS 4
/* For hashes: 17 ms and 16 MiB each. */
#define KNOWN_THREADS	2
#define NEW_THREADS_MAX 4
/* One who guesses waits behind the others who do. */
#define SUSPECTS_MAX  64
#define SUSPECT_SHARE 3 /* hashing takes one part in so many of a core */
#define ARENA_BYTES   MIB(4)
#define FLUSH_MS      1000
#define SWEEP_MS      60000
#define OFFER_MS      1000
#define QUICK_MS      20
#define SLOW_MS	      1000

struct dir_role {
	struct dir *dir;
	struct pool *lookups;
	struct pool *known, *fresh, *suspects; /* logins that need a hash, by enum dir_turn */
	_Atomic unsigned suspects_wait;
	struct loop_timer flush;
	struct lane flush_lane;
	struct job flush_job;
	struct loop_timer sweep;
	struct lane sweep_lane;
	struct job sweep_job;
	/* What edge was told to offer; looked at anew now and then. */
	struct loop_timer offer;
	struct lane offer_lane;
	struct lane sessions; /* what is said about open sessions, in the order that it came */
	struct job offer_job;
	uint32_t offered;
	atomic_bool offer_again; /* edge is new and knows nothing */
	struct role *role;
	struct mono_ns slow_until; /* look-ups go to their threads */
};
static struct dir_role self;

/* --- look-ups
 * ------------------------------------------------------------------------------------------------
 */

static void route(struct role *role, struct ipc_packet *p)
{
	struct msg_route m;
	struct fail why = FAIL_INIT;
	struct dir_route found = {0};
	AUTO(arena) struct arena a = ARENA_INIT(ARENA_BYTES);
	(void)role;
	if (msg_route_read(p, &m) < 0 ||
	    dir_route(self.dir, &(struct dir_rcpt){.address = m.address, .size = m.size}, &a,
		      &found, &why) < 0) {
		log_event(LOG_WARN, "dir.route-failed", log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_dest *dests = arena_array(&a, struct msg_dest, found.n);
	for (size_t i = 0; dests && i < found.n; i++)
		dests[i] = (struct msg_dest){.account = found.dests[i].account.v,
					     .address = found.dests[i].address,
					     .detail = found.dests[i].detail,
					     .transport = found.dests[i].transport};
	if (!dests) {
		(void)fail_set(&why, FAIL_LIMIT, NULL, "too many destinations");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	counter_add(&routes, 1);
	CRASH_POINT("dir.routed");
	struct msg_route_reply reply = {.verdict = (uint8_t)found.verdict,
					.note = str_sub(found.note, 0, 160),
					.dests = dests,
					.dests_n = found.n};
	(void)ipc_reply(p, IPC_ROUTE_REPLY, &reply);
}

static void sender_allowed(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok yes = {0};
	struct msg_sender_allowed m;
	struct fail why = FAIL_INIT;
	(void)role;
	int r = msg_sender_allowed_read(p, &m);
	if (r == 0)
		r = dir_sender_allowed(self.dir, (struct account_id){m.account}, m.address, &why);
	if (r == 1 && m.credential)
		r = dir_credential_sends(self.dir, m.credential, m.address, &why);
	if (r == 0)
		r = fail_set(&why, FAIL_PERM, NULL, "not an address of this account");
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	else
		(void)ipc_reply(p, IPC_OK, &yes);
}

static void account(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok yes = {0};
	struct msg_account m;
	struct fail why = FAIL_INIT;
	struct dir_account found;
	AUTO(arena) struct arena a = ARENA_INIT(ARENA_BYTES);
	(void)role;
	int r = msg_account_read(p, &m);
	if (r == 0)
		r = dir_account_by_id(self.dir, (struct account_id){m.account}, &a, &found, &why);
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	else
		(void)ipc_reply(p, IPC_OK, &yes);
}

static void usage(struct role *role, struct ipc_packet *p)
{
	struct msg_usage m;
	struct fail why = FAIL_INIT;
	(void)role;
	if (msg_usage_read(p, &m) == 0 &&
	    dir_usage(self.dir, (struct account_id){m.account}, m.bytes, m.messages, &why) < 0)
		log_event(LOG_WARN, "dir.usage", log_fail(&why));
}

/* --- logins
 * ----------------------------------------------------------------------------------------------------
 */

/* Whose login it is. */
struct who {
	uint64_t session;
	struct str service;
	const struct msg_peer *peer;
};

/* Tell the role that will act for the account; it has agreed when this returns 0. */
static int hand_out(struct role *role, struct who who, const struct dir_grant *g, struct str ticket,
		    struct fail *why)
{
	bool mail = str_starts(who.service, STR("imap"));
	struct dir_account account = {0};
	AUTO(arena) struct arena a = ARENA_INIT(ARENA_BYTES);
	struct ipc_packet *reply = NULL;
	int r = dir_account_by_id(self.dir, g->account, &a, &account, why);
	if (r < 0)
		return r;
	struct msg_grant grant = {.session = who.session,
				  .account = g->account.v,
				  .service = who.service,
				  .address = g->address,
				  .quota_bytes = account.quota_bytes,
				  .credential = g->credential,
				  .language = str_sub(account.language, 0, 20),
				  .ticket = ticket};
	struct ipc_question q = {
		.type = IPC_GRANT, .msg = &grant, .want = IPC_OK, .deadline_ms = 5000};
	r = ipc_call(mail ? role_user_of(role, g->account) : role_peer(role, "mta", 0), &q, &reply,
		     why);
	ipc_packet_free(reply);
	return r;
}

static struct dir_place place_of(struct who who)
{
	return (struct dir_place){.service = str_starts(who.service, STR("imap")) ? DIR_IMAP
										  : DIR_SMTP,
				  .channel = who.peer->tls	 ? DIR_TLS
					     : who.peer->trusted ? DIR_SECURED
								 : DIR_CLEAR,
				  .peer = who.peer->ip};
}

static void log_login(struct who who, const struct dir_grant *g)
{
	login_log(&(struct login_line){.outcome = g->granted ? LOGIN_OUTCOME_OK
							     : LOGIN_OUTCOME_REFUSED,
				       .service = who.service,
				       .user = str_c(g->username),
				       .peer = who.peer->ip,
				       .mech = str_c(g->mechanism),
				       .tls = who.peer->tls,
				       .reason = str_c(g->reason),
				       .master = str_c(g->master),
				       .app = str_c(g->label)});
}

static bool anybody(const void *ctx, struct account_id account, enum dir_service service)
{
	(void)ctx;
	(void)account;
	(void)service;
	return true;
}

static uint32_t delay_until(struct mono_ns t)
{
	int64_t ms = (t.v - clock_mono().v) / MS_NS;
	return t.v == 0 || ms <= 0 ? 0 : (uint32_t)MIN(ms, INT64_C(60000));
}

/* It ends when what it was granted by does: it is known before anybody acts by it. */
static int let_in(struct role *role, struct who who, const struct dir_grant *g, struct buf *ticket,
		  struct fail *why)
{
	struct dir_place place = place_of(who);
	int r = dir_session_opened(self.dir, who.session, &place, g, ticket, why);
	if (r < 0)
		return r;
	r = hand_out(role, who, g, buf_str(ticket), why);
	if (r < 0)
		dir_session_closed(self.dir, who.session, anybody, NULL);
	return r;
}

/* What dir decided, to the one who will act for it and to edge. */
static void answer_login(struct role *role, struct ipc_packet *p, struct who who,
			 const struct dir_step *step, struct fail *why)
{
	const struct dir_grant *g = &step->grant;
	AUTO(buf) struct buf ticket = BUF_INIT(DIR_TICKET_MAX);
	struct msg_login_reply reply = {.more = step->more, .challenge = step->challenge};
	bool line = (!step->more || g->reason[0]) && !g->told;
	reply.delay_ms = delay_until(g->not_before);
	if (line && !g->granted)
		log_login(who, g);
	if (!step->more) {
		CRASH_POINT("dir.before-grant");
		int r = g->granted ? let_in(role, who, g, &ticket, why) : 0;
		CRASH_POINT("dir.granted");
		if (r < 0) { /* edge logs the attempt: it is over, and nobody could help it */
			log_event(LOG_ERROR, "dir.login-failed", log_fail(why));
			(void)ipc_reply_fail(p, why);
			return;
		}
		if (line && g->granted)
			log_login(who, g);
		reply.ticket = buf_str(&ticket);
		counter_add(g->granted ? &logins_ok : &logins_refused, 1);
		reply.granted = g->granted;
		reply.shard = role_shard(role, g->account);
	}
	(void)ipc_reply(p, IPC_LOGIN_REPLY, &reply);
	CRASH_POINT("dir.login-answered");
}

/* A proxy that may say who has logged in: by dir's own reading of the configuration. */
static bool may_claim(const struct role *role, struct str service, const struct msg_peer *peer)
{
	struct netaddr proxy;
	struct netcidrs nets;
	/* XCLIENT is SMTP's: nobody's mailbox opens without a proof. */
	if (peer->source != PEER_XCLIENT || !str_starts(service, STR("submission")) ||
	    !netaddr_parse(peer->proxy_ip, &proxy))
		return false;
	conf_networks(&role->conf->xclient_login_from, &nets);
	bool may = netcidrs_have(&nets, &proxy);
	free(nets.p);
	return may;
}

static void login_failed(struct ipc_packet *p, const struct fail *why)
{
	log_event(LOG_ERROR, "dir.login-failed", log_fail(why));
	(void)ipc_reply_fail(p, why);
}

static struct dir_login login_of(const struct msg_login *m, struct who who)
{
	return (struct dir_login){.place = place_of(who),
				  .username = m->username,
				  .password = m->password,
				  .mechanism = m->mechanism,
				  .authzid = m->authzid,
				  .claimed = m->claimed};
}

static void login_by_hash(struct role *role, struct ipc_packet *p)
{
	struct msg_login m;
	struct fail why = FAIL_INIT;
	struct dir_step step = {0};
	AUTO(arena) struct arena a = ARENA_INIT(ARENA_BYTES);
	int r = msg_login_read(p, &m);
	struct who who = {m.session, m.service, &m.peer};
	if (r == 0) {
		struct dir_login l = login_of(&m, who);
		struct mono_ns begun = clock_mono();
		r = dir_auth(self.dir, &l, &a, &step.grant, &why);
		histogram_add(login_time, (uint64_t)(clock_mono().v - begun.v) / 1000);
	}
	if (r < 0)
		login_failed(p, &why);
	else
		answer_login(role, p, who, &step, &why);
	secret_wipe_stack();
}

static void login_is_not_looked_at(struct ipc_packet *p)
{
	static const struct fail busy = {.code = FAIL_LIMIT,
					 .detail = "too many guesses wait to be looked at"};
	counter_add(&logins_busy, 1);
	(void)ipc_reply_fail(p, &busy);
}

/* The thread rests after each, so that others have the machine. */
static void login_of_suspect(struct role *role, struct ipc_packet *p)
{
	struct timespec begun, end;
	self.suspects_wait--;
	if (role->stopping) {
		login_is_not_looked_at(p);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &begun);
	login_by_hash(role, p);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	int64_t took = (end.tv_sec - begun.tv_sec) * SEC_NS + end.tv_nsec - begun.tv_nsec;
	struct timespec rest = {0, MIN(took * (SUSPECT_SHARE - 1), SEC_NS / 5)};
	(void)nanosleep(&rest, NULL);
}

static void queue_for_hash(struct ipc_packet *p, const struct msg_login *m)
{
	enum dir_turn turn = dir_login_turn(self.dir, m->peer.ip, m->username);
	if (turn == DIR_TURN_KNOWN) {
		role_task_move(self.known, login_by_hash);
	} else if (turn == DIR_TURN_NEW) {
		role_task_move(self.fresh, login_by_hash);
	} else if (self.suspects_wait++ < SUSPECTS_MAX) {
		role_task_move(self.suspects, login_of_suspect);
	} else {
		self.suspects_wait--;
		login_is_not_looked_at(p);
	}
}

static void login(struct role *role, struct ipc_packet *p)
{
	struct msg_login m;
	struct fail why = FAIL_INIT;
	struct dir_step step = {0};
	AUTO(arena) struct arena a = ARENA_INIT(ARENA_BYTES);
	int r = msg_login_read(p, &m);
	struct who who = {m.session, m.service, &m.peer};
	if (r == 0 && m.claimed && !may_claim(role, m.service, &m.peer))
		r = fail_set(&why, FAIL_PERM, NULL,
			     "XCLIENT LOGIN from %.*s, which is not in xclient_login_from, or not "
			     "to send",
			     STR_ARG(m.peer.proxy_ip));
	if (r == 0 && m.claimed) { /* no password, no hash */
		login_by_hash(role, p);
		return;
	}
	if (r == 0) {
		struct dir_login l = login_of(&m, who);
		struct mono_ns begun = clock_mono();
		r = dir_auth_remembered(self.dir, &l, &a, &step.grant, &why);
		if (r == 1)
			histogram_add(login_time, (uint64_t)(clock_mono().v - begun.v) / 1000);
	}
	if (r < 0)
		login_failed(p, &why);
	else if (r == 1)
		answer_login(role, p, who, &step, &why);
	else
		queue_for_hash(p, &m);
	secret_wipe_stack();
}

static void login_sasl(struct role *role, struct ipc_packet *p)
{
	struct msg_login_sasl m;
	struct fail why = FAIL_INIT;
	struct dir_step step = {0};
	AUTO(arena) struct arena a = ARENA_INIT(ARENA_BYTES);
	int r = msg_login_sasl_read(p, &m);
	struct who who = {m.session, m.service, &m.peer};
	struct dir_sasl s = {.session = m.session, .mechanism = m.mechanism, .binding = m.binding};
	if (r == 0) {
		s.place = place_of(who);
		r = m.first ? dir_sasl_begin(self.dir, &s, m.message, &a, &step, &why)
			    : dir_sasl_next(self.dir, &s, m.message, &a, &step, &why);
	}
	if (r < 0) {
		login_failed(p, &why);
		return;
	}
	answer_login(role, p, who, &step, &why);
}

static void login_drop(struct role *role, struct ipc_packet *p)
{
	struct msg_login_drop m;
	(void)role;
	if (msg_login_drop_read(p, &m) == 0)
		dir_sasl_end(self.dir, m.session);
}

/* --- sessions that were granted
 * ------------------------------------------------------------------------------------------------
 */

static void tell_over(uint64_t session, struct account_id account, enum dir_service service)
{
	struct msg_session_over m = {.session = session};
	struct role *role = self.role;
	struct ipc_channel *acts =
		service == DIR_IMAP ? role_user_of(role, account) : role_peer(role, "mta", 0);
	/* To who acts first: an edge that is not honest must not matter. */
	(void)ipc_send(acts, (struct trace_id){0}, IPC_SESSION_OVER, &m);
	unsigned edge = session_edge(session);
	if (edge < role->edge_places)
		(void)ipc_send(role_peer(role, "edge", edge), (struct trace_id){0},
			       IPC_SESSION_OVER, &m);
}

static void end_session(void *ctx, uint64_t session, struct account_id account,
			enum dir_service service, const char *reason)
{
	(void)ctx;
	log_context((struct trace_id){0}, (struct session_id){session});
	log_event(LOG_INFO, "login.revoked", log_u64("account", account.v),
		  log_c("reason", reason));
	log_context((struct trace_id){0}, (struct session_id){0});
	counter_add(&sessions_revoked, 1);
	tell_over(session, account, service);
}

/* A process of user or mta holds the sessions that it has open. */
static bool holds(const void *ctx, struct account_id account, enum dir_service service)
{
	const struct ipc_channel *ch = ctx;
	if (service != DIR_IMAP)
		return strcmp(ipc_channel_name(ch), "mta") == 0;
	return strcmp(ipc_channel_name(ch), "user") == 0 &&
	       ipc_channel_index(ch) == role_shard(self.role, account);
}

static bool is_edge(const struct ipc_channel *ch)
{
	return strcmp(ipc_channel_name(ch), "edge") == 0;
}

static void login_over(struct role *role, struct ipc_packet *p)
{
	struct msg_login_over m;
	const struct ipc_channel *from = ipc_packet_from(p);
	(void)role;
	if (msg_login_over_read(p, &m) == 0)
		dir_session_closed(self.dir, m.session, is_edge(from) ? NULL : holds, from);
}

static void login_again(struct role *role, struct ipc_packet *p)
{
	struct msg_login_again m;
	struct fail why = FAIL_INIT;
	bool held = !is_edge(ipc_packet_from(p));
	(void)role;
	if (msg_login_again_read(p, &m) < 0)
		return;
	for (size_t i = 0; i < m.tickets_n; i++)
		if (dir_session_again(self.dir, m.tickets[i].session, m.tickets[i].ticket, held,
				      &why) < 0)
			log_event(LOG_WARN, "dir.ticket", log_fail(&why));
}

/* A session is opened again from its state, which may be older than what has changed since. */
static void login_renew(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_login_renew m;
	struct fail why = FAIL_INIT;
	(void)role;
	int r = msg_login_renew_read(p, &m);
	if (r == 0)
		r = dir_session_renew(self.dir, m.session, (struct account_id){m.account}, m.ticket,
				      &why);
	if (r < 0) {
		log_event(LOG_WARN, "login.not-renewed", log_u64("account", m.account),
			  log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	(void)ipc_reply(p, IPC_OK, &ok);
}

/* --- what is offered
 * ------------------------------------------------------------------------------------------------
 */

/* On a thread: it may look at every account, and every session. */
static void look_now(struct job *job)
{
	struct fail why = FAIL_INIT;
	struct msg_login_offer m = {0};
	(void)job;
	if (dir_sessions_check(self.dir, end_session, NULL, &why) < 0)
		log_event(LOG_WARN, "dir.sessions", log_fail(&why));
	if (dir_offer(self.dir, &m.mechanisms, &why) < 0) {
		log_event(LOG_WARN, "dir.offer", log_fail(&why));
		return;
	}
	if (m.mechanisms == self.offered && !atomic_exchange(&self.offer_again, false))
		return;
	bool told = false;
	for (unsigned i = 0; i < self.role->edge_places; i++)
		told |= ipc_send(role_peer(self.role, "edge", i), (struct trace_id){0},
				 IPC_LOGIN_OFFER, &m) == 0;
	if (told) /* one that is away hears it when it is back */
		self.offered = m.mechanisms;
}

static void offer_due(struct loop_timer *t)
{
	if (lane_idle(&self.offer_lane))
		lane_submit(&self.offer_lane, &self.offer_job);
	loop_timer_in(self.role->loop, t, OFFER_MS);
}

/* --- management
 * ----------------------------------------------------------------------------------------------------
 */

/* Who ordered what; never the values, which may be secrets. */
static void log_order(const struct msg_admin *m, bool ok, const struct fail *why)
{
	struct str word[3] = {STR("-"), STR("-"), STR("-")};
	for (size_t i = 0; i < MIN(m->args_n, ARRAY_LEN(word)); i++) {
		word[i] = m->args[i].s;
		if (str_starts(word[i], STR("--"))) /* --password=SECRET */
			word[i] = str_sub(word[i], 0, str_find(word[i], 0, '='));
	}
	if (ok && (str_eq(word[1], STR("list")) || str_eq(word[1], STR("show"))))
		return; /* nothing changed */
	log_event(LOG_INFO, "admin.order", log_str("by", m->by.n ? m->by : STR("operator")),
		  log_str("noun", word[0]), log_str("verb", word[1]), log_str("name", word[2]),
		  log_c("result", ok ? "ok" : fail_name(why->code)));
}

static void sweep_soon(void)
{
	if (lane_idle(&self.sweep_lane))
		lane_submit(&self.sweep_lane, &self.sweep_job);
}

static void admin_now(struct role *role, struct ipc_packet *p)
{
	struct msg_admin m;
	struct fail why = FAIL_INIT;
	struct dir_table t = {0};
	struct dir_scope scope = {0};
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	(void)role;
	int r = msg_admin_read(p, &m);
	struct str *args = arena_array(&a, struct str, r == 0 ? m.args_n : 0);
	for (size_t i = 0; r == 0 && args && i < m.args_n; i++)
		args[i] = m.args[i].s;
	if (r == 0)
		r = role_scope(&m, &a, &scope, &why);
	role_speak(r == 0 ? &m : NULL);
	if (r == 0)
		r = dir_admin(self.dir, &scope, (struct dir_args){args, m.args_n}, &a, &t, &why);
	role_speak(NULL);
	if (r == 0)
		sweep_soon();
	log_order(&m, r == 0, &why);
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	size_t n = t.n_columns * t.n_rows;
	struct msg_text *columns = arena_array(&a, struct msg_text, t.n_columns);
	struct msg_text *cells = arena_array(&a, struct msg_text, n);
	if (!columns || !cells) {
		(void)fail_set(&why, FAIL_LIMIT, "The answer is too long: ask for less.",
			       "arena full");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	for (size_t i = 0; i < t.n_columns; i++)
		columns[i].s = t.columns[i];
	for (size_t i = 0; i < n; i++)
		cells[i].s = t.cells[i];
	struct msg_admin_reply reply = {.text = t.message,
					.columns = columns,
					.columns_n = t.n_columns,
					.cells = cells,
					.cells_n = n};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &reply);
	CRASH_POINT("dir.order-answered");
}

static void admin(struct role *role, struct ipc_packet *p)
{
	role_task(role, self.known, p, admin_now);
}

/* --- life
 * ------------------------------------------------------------------------------------------------------------
 */

/* Mail of accounts that were deleted some time ago: its shard removes it, then it is written down.
 */
static void sweep(struct job *job)
{
	struct account_id gone[100];
	struct fail why = FAIL_INIT;
	const struct conf *c = role_conf_hold(self.role);
	uint64_t keep_s = c->undelete_ms / 1000;
	conf_drop(c);
	(void)job;
	int n = dir_accounts_gone(self.dir, keep_s, gone, ARRAY_LEN(gone), &why);
	int r = n;
	for (int i = 0; r >= 0 && i < n; i++) {
		struct msg_account_gone m = {.account = gone[i].v};
		struct ipc_packet *reply = NULL;
		struct ipc_question q = {
			.type = IPC_ACCOUNT_GONE, .msg = &m, .want = IPC_OK, .only_while_up = true};
		r = ipc_call(role_user_of(self.role, gone[i]), &q, &reply, &why);
		ipc_packet_free(reply);
		CRASH_POINT("dir.mail-gone");
		if (r >= 0)
			r = dir_account_mail_gone(self.dir, gone[i], &why);
	}
	if (r < 0) /* again in a minute */
		log_event(LOG_WARN, "dir.sweep", log_fail(&why));
}

static void sweep_due(struct loop_timer *t)
{
	sweep_soon();
	loop_timer_in(self.role->loop, t, SWEEP_MS);
}

static void flush_now(struct job *job)
{
	struct fail why = FAIL_INIT;
	(void)job;
	if (dir_flush(self.dir, &why) < 0)
		log_event(LOG_WARN, "dir.flush", log_fail(&why));
}

static void flush_due(struct loop_timer *t)
{
	if (lane_idle(&self.flush_lane))
		lane_submit(&self.flush_lane, &self.flush_job);
	loop_timer_in(self.role->loop, t, FLUSH_MS);
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
	int r = dir_open(&c, &self.dir, why);
	if (r < 0)
		return r;
	self.role = role;
	self.lookups = pool_new("lookup", LOOKUP_THREADS, 0);
	unsigned cores = (unsigned)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	self.known = pool_new("login", KNOWN_THREADS, 0);
	self.fresh = pool_new("login", MIN(cores, NEW_THREADS_MAX), 0);
	self.suspects = pool_new("guess", 1, 0);
	lane_init(&self.flush_lane, self.lookups);
	self.flush_job.run = flush_now;
	self.flush.fire = flush_due;
	lane_init(&self.sweep_lane, self.lookups);
	self.sweep_job.run = sweep;
	self.sweep.fire = sweep_due;
	loop_timer_in(role->loop, &self.sweep, SWEEP_MS / 10);
	loop_timer_in(role->loop, &self.flush, FLUSH_MS);
	lane_init(&self.offer_lane, self.lookups);
	lane_init(&self.sessions, self.lookups);
	self.offer_job.run = look_now;
	self.offer.fire = offer_due;
	self.offer_again = true;
	loop_timer_in(role->loop, &self.offer, 1);
	return 0;
}

static void peer_up(struct role *role, struct ipc_channel *peer)
{
	if (strcmp(ipc_channel_name(peer), "edge") != 0)
		return;
	self.offer_again = true;
	loop_timer_in(role->loop, &self.offer, 1);
}

/* Who may ask what. A role that asks for more is broken, or worse. */
static const struct {
	enum ipc_type type;
	const char *from;
	void (*fn)(struct role *role, struct ipc_packet *p);
	bool quick; /* some rows, read in less time than a thread takes to wake */
} questions[] = {
	{IPC_LOGIN, "edge", login},
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
	{IPC_ROUTE, "mta", route, true},
	{IPC_ROUTE, "queue", route},
	{IPC_SENDER_ALLOWED, "mta", sender_allowed, true},
	{IPC_USAGE, "user", usage},
	{IPC_ACCOUNT, "user", account},
};

/*
 * On the loop, unless it would wait for somebody: for an order that holds the directory, or, as one
 * that took long tells, for the disk or another program.
 */
static bool answer_now(struct role *role, struct ipc_packet *p,
		       void (*fn)(struct role *role, struct ipc_packet *p))
{
	struct mono_ns begun = clock_mono();
	if (begun.v < self.slow_until.v || !dir_is_free(self.dir))
		return false;
	role_task_now(role, p, fn);
	struct mono_ns ended = clock_mono();
	if (ended.v - begun.v > QUICK_MS * MS_NS)
		self.slow_until.v = ended.v + SLOW_MS * MS_NS;
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
	t->fn(self.role, t->p);
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
		role_task(role, self.lookups, p, fn);
		return;
	}
	struct session_task *t = xcalloc(1, sizeof *t);
	*t = (struct session_task){.job.run = run_session_task, .p = p, .fn = fn};
	lane_submit(&self.sessions, &t->job);
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
	uint64_t session = is_edge(from) ? session_of(p) : 0;
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
	if (is_edge(peer))
		dir_sessions_forget(self.dir, ipc_channel_index(peer));
	else
		dir_sessions_let_go(self.dir, holds, peer);
	_Static_assert(SESSION_EDGE_SHIFT == 56, "as service/dir/open_session.c has it");
}

static void finish(struct role *role)
{
	(void)role;
	pool_free(self.lookups); /* it submits to the others */
	pool_free(self.known);
	pool_free(self.fresh);
	pool_free(self.suspects);
	dir_close(self.dir);
}

static void stop(struct role *role)
{
	loop_timer_clear(role->loop, &self.flush);
	loop_timer_clear(role->loop, &self.sweep);
	loop_timer_clear(role->loop, &self.offer);
	role_stop_aside(role, finish);
}

static const char *const peers[] = {"edge", "mta", "queue", "user", NULL};
static const struct sandbox_path paths[] = {{"dir", SANDBOX_WRITE}};
static const struct role_format formats[] = {
	{"format", "vmail", dir_format},
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
				    .peer_up = peer_up,
				    .peer_down = peer_down,
				    .admin = admin,
				    .stop = stop};

int main(int argc, char **argv)
{
	return role_main(argc, argv, &ops);
}
