/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logins. Hashing takes 17 ms and 16 MiB a time, and must neither delay a look-up, nor take all
 * memory, nor let those who guess keep others waiting. So look-ups have threads of their own, and a
 * login that needs no hash is one; those that need one wait in three queues: who has logged in to
 * the account from there before, who is new, who is suspected of guessing (one thread, and not all
 * of it). After a successful login dir itself tells the role that will act for the account; edge
 * learns only the shard.
 */
#include "base/check.h"
#include "roles/dir/internal.h"
#include "roles/role/session_protocol.h"
#include "roles/role/task.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include "sys/login_log.h"
#include "sys/secret.h"
#include <time.h>

HISTOGRAM(login_time, "dir.login", "passwords checked");
COUNTER(logins_ok, "dir.logins", "logins granted");
COUNTER(logins_refused, "dir.logins-refused", "logins refused");
COUNTER(logins_busy, "dir.logins-busy", "logins not looked at: too many guesses wait");

/* One who guesses waits behind the others who do. */
#define SUSPECTS_MAX  64
#define SUSPECT_SHARE 3 /* hashing takes one part in so many of a core */

/* Whose login it is. */
struct who {
	uint64_t session;
	struct str service;
	const struct msg_peer *peer;
};

static enum dir_service service_of(struct who who)
{
	return str_starts(who.service, STR("imap"))	 ? DIR_IMAP
	       : str_starts(who.service, STR("pop3"))	 ? DIR_POP3
	       : str_eq(who.service, STR("managesieve")) ? DIR_SIEVE
							 : DIR_SMTP;
}

/* Tell the role that will act for the account; it has agreed when this returns 0. */
static int hand_out(struct role *role, struct who who, const struct dir_grant *g, struct str ticket,
		    struct fail *why)
{
	bool mail = service_of(who) != DIR_SMTP;
	struct dir_account account = {0};
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
	struct ipc_packet *reply = NULL;
	int r = dir_account_by_id(dir_role.dir, g->account, &a, &account, why);
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
	/* Once more when it died under the question: its successor is there at once. */
	for (int tries = 0; tries < 2; tries++) {
		r = ipc_call(mail ? role_user_of(role, g->account) : role_peer(role, "mta", 0), &q,
			     &reply, why);
		if (r != -FAIL_PEER)
			break;
	}
	ipc_packet_free(reply);
	return r;
}

static struct dir_place place_of(struct who who)
{
	return (struct dir_place){.service = service_of(who),
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
	int r = dir_session_opened(dir_role.dir, who.session, &place, g, ticket, why);
	if (r < 0)
		return r;
	r = hand_out(role, who, g, buf_str(ticket), why);
	if (r < 0)
		dir_session_closed(dir_role.dir, who.session, anybody, NULL);
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
		/* A master user is the operator's. */
		if (g->granted && !g->master[0])
			guard_login(dir_role.guard, g->account, who.peer->ip, clock_wall());
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
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
	int r = msg_login_read(p, &m);
	struct who who = {m.session, m.service, &m.peer};
	if (r == 0) {
		struct dir_login l = login_of(&m, who);
		struct mono_ns begun = clock_mono();
		r = dir_auth(dir_role.dir, &l, &a, &step.grant, &why);
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
	dir_role.suspects_wait--;
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
	enum dir_turn turn = dir_login_turn(dir_role.dir, m->peer.ip, m->username);
	if (turn == DIR_TURN_KNOWN) {
		role_task_move(dir_role.known, login_by_hash);
	} else if (turn == DIR_TURN_NEW) {
		role_task_move(dir_role.fresh, login_by_hash);
	} else if (dir_role.suspects_wait++ < SUSPECTS_MAX) {
		role_task_move(dir_role.suspects, login_of_suspect);
	} else {
		dir_role.suspects_wait--;
		login_is_not_looked_at(p);
	}
}

void login_by_password(struct role *role, struct ipc_packet *p)
{
	struct msg_login m;
	struct fail why = FAIL_INIT;
	struct dir_step step = {0};
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
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
		r = dir_auth_remembered(dir_role.dir, &l, &a, &step.grant, &why);
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

void login_sasl(struct role *role, struct ipc_packet *p)
{
	struct msg_login_sasl m;
	struct fail why = FAIL_INIT;
	struct dir_step step = {0};
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
	int r = msg_login_sasl_read(p, &m);
	struct who who = {m.session, m.service, &m.peer};
	struct dir_sasl s = {.session = m.session, .mechanism = m.mechanism, .binding = m.binding};
	if (r == 0) {
		s.place = place_of(who);
		r = m.first ? dir_sasl_begin(dir_role.dir, &s, m.message, &a, &step, &why)
			    : dir_sasl_next(dir_role.dir, &s, m.message, &a, &step, &why);
	}
	if (r < 0) {
		login_failed(p, &why);
		return;
	}
	answer_login(role, p, who, &step, &why);
}

void login_drop(struct role *role, struct ipc_packet *p)
{
	struct msg_login_drop m;
	(void)role;
	if (msg_login_drop_read(p, &m) == 0)
		dir_sasl_end(dir_role.dir, m.session);
}
