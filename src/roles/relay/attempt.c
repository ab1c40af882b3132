/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request: hosts in their order, until every recipient has an answer.
 *
 * A recipient that a host put off (4xx) is tried with the next host, as one that no host was asked
 * about; never one that a host may have taken (its answer to the message is missing). Which reply
 * leads to what: docs/formats/relay.md.
 */
#include "base/check.h"
#include "codec/mime/sevenbit.h"
#include "codec/smtp/smtp_addr.h"
#include "roles/relay/deliver_by.h"
#include "roles/relay/login.h"
#include "roles/relay/sender.h"
#include "roles/relay/sent.h"
#include "roles/relay/tls_demand.h"
#include "roles/role/relay_protocol.h"
#include "service/spool/spool.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include <stdio.h>
#include <unistd.h>

COUNTER(delivered, "relay.delivered", "recipients that another server has taken over");
COUNTER(deferred, "relay.deferred", "recipients that could not be delivered to now");
COUNTER(failed, "relay.failed", "recipients that another server has refused for good");
COUNTER(unsure_n, "relay.unsure", "messages whose end was sent and never answered");
HISTOGRAM(times, "relay.transaction", "transactions with other servers");

#define SESSIONS_MAX 2 /* hosts that are asked about the message */

#define RESULT_TEXT_MAX 1000u /* relay_result.text */

#define NORMAL_PRIORITY 9 /* RFC 6710: 0 */

/* What queue writes, the client says. */
_Static_assert((int)SPOOL_NOTIFY_NEVER == (int)SMTP_NOTIFY_NEVER &&
		       (int)SPOOL_NOTIFY_DELAY == (int)SMTP_NOTIFY_DELAY &&
		       (int)SPOOL_RET_FULL == (int)SMTP_RET_FULL &&
		       (int)SPOOL_RET_HDRS == (int)SMTP_RET_HDRS,
	       "one numbering");

struct attempt {
	const struct conf *conf;
	struct errand errand;
	const struct msg_relay *m;
	struct str sender; /* that the next server is told */
	struct nexthop hop;
	struct targets targets;
	char key[RELAY_KEY_MAX];
	struct smtp_client_rcpt *rcpts; /* of one session: those that are open */
	size_t *which;			/* their places in results */
	struct msg_relay_result *results;
	char (*status)[12];
	bool *taken;		 /* another server has it, perhaps from before */
	bool *open;		 /* by recipient: to be tried with the next host */
	struct smtp_answer last; /* of those that no host was asked about */
	bool last_said;
	bool all_for_good; /* no host will ever take anything */
	struct msg_relayed reply;
	struct relay_login login;
	char server[RELAY_HOST_MAX], ip[NETADDR_TEXT_MAX], tls_text[200];
	struct arena arena;
};

/* ---- results ---- */

/* Who reads a report should know of the sender that the server has seen. */
static struct str result_text(struct attempt *a, const struct smtp_answer *answer, bool said)
{
	struct str text = {answer->text, answer->n};
	size_t room = RESULT_TEXT_MAX - SMTP_ADDR_MAX - 20;

	if (!said || a->sender.p == a->m->sender.p)
		return arena_str(&a->arena, text);
	return arena_printf(&a->arena, "%.*s (sent as %.*s)", STR_ARG(str_sub(text, 0, room)),
			    STR_ARG(a->sender));
}

static void set_result(struct attempt *a, size_t i, enum spool_outcome outcome,
		       const struct smtp_answer *answer, bool said)
{
	static const char *const general[] = {
		[SPOOL_DELIVERED] = "2.0.0", [SPOOL_DEFERRED] = "4.0.0", [SPOOL_FAILED] = "5.0.0"};
	struct msg_relay_result *r = &a->results[i];
	const char *status = answer->enhanced[0] ? answer->enhanced : general[outcome];
	(void)snprintf(a->status[i], sizeof a->status[i], "%s", status);
	/* A host that refuses us altogether is not the last word on the message. */
	a->status[i][0] = general[outcome][0];
	r->rcpt = a->m->rcpts[i].rcpt;
	r->outcome = (uint8_t)outcome;
	r->status = str_c(a->status[i]);
	r->text = result_text(a, answer, said && outcome != SPOOL_DELIVERED);
	r->said = said;
	a->open[i] = outcome == SPOOL_DEFERRED;
}

static bool any_open(const struct attempt *a)
{
	for (size_t i = 0; i < a->m->rcpts_n; i++)
		if (a->open[i])
			return true;
	return false;
}

static void log_result(const struct attempt *a, size_t i)
{
	static const char *const events[] = {[SPOOL_DELIVERED] = "relay.delivered",
					     [SPOOL_DEFERRED] = "relay.deferred",
					     [SPOOL_FAILED] = "relay.failed"};
	const struct msg_relay_result *r = &a->results[i];
	log_event(LOG_INFO, events[r->outcome], log_u64("number", a->m->number),
		  log_address("to", a->m->rcpts[i].address), log_str("status", r->status),
		  log_str("reply", r->text), log_c("server", a->server), log_c("ip", a->ip),
		  log_c("tls", a->tls_text), log_str("nexthop", a->m->nexthop));
	counter_add(r->outcome == SPOOL_DELIVERED  ? &delivered
		    : r->outcome == SPOOL_DEFERRED ? &deferred
						   : &failed,
		    1);
}

/* ---- with one host ---- */

static void remember_host(struct attempt *a, const struct link *l)
{
	(void)snprintf(a->server, sizeof a->server, "%s", l->host);
	(void)snprintf(a->ip, sizeof a->ip, "%s", l->ip);
	(void)snprintf(a->tls_text, sizeof a->tls_text, "%s", l->tls_text);
}

static struct smtp_client_message message_of(struct attempt *a, struct smtp_forward *forward)
{
	const struct msg_relay *m = a->m;
	struct smtp_client_message c = {.sender = a->sender,
					.envid = m->envid,
					.ret = (enum smtp_ret)m->ret,
					.smtputf8 = m->smtputf8,
					.eightbit = m->eightbit,
					.requiretls = m->requiretls,
					.has_priority = m->priority != NORMAL_PRIORITY &&
							m->priority < 2 * NORMAL_PRIORITY + 1,
					.priority = (int)m->priority - NORMAL_PRIORITY,
					.prefix = m->prefix,
					.body = m->body,
					.file = m->file,
					.size = m->size,
					.rcpts = a->rcpts};
	deliver_by_fill(m, clock_wall(), &c);
	if (m->client.ip.n) {
		*forward = (struct smtp_forward){
			.name = m->client.rdns,
			.ip = m->client.ip,
			.port = m->client.port ? arena_printf(&a->arena, "%u", m->client.port)
					       : STR(""),
			.ident = arena_printf(&a->arena, "%llx",
					      (unsigned long long)a->errand.trace.v),
			.helo = m->client.helo,
			.proto = m->client.esmtp ? STR("ESMTP") : STR("SMTP"),
			.remote = !m->client.trusted_client};
		c.forward = forward;
	}
	for (size_t i = 0; i < m->rcpts_n; i++) {
		if (!a->open[i])
			continue;
		a->which[c.n] = i;
		a->rcpts[c.n++] = (struct smtp_client_rcpt){.address = m->rcpts[i].address,
							    .orcpt = m->rcpts[i].orcpt,
							    .notify = m->rcpts[i].notify};
	}
	return c;
}

/* ---- servers that take less ---- */

/* The message as one piece of memory; its length is bound by what mta accepts. */
static int load(const struct smtp_client_message *m, struct buf *out)
{
	buf_add(out, m->prefix);
	if (m->file < 0)
		return buf_add(out, m->body);
	for (uint64_t at = 0; at < m->size;) {
		size_t want = (size_t)MIN(m->size - at, (uint64_t)KIB(64));
		char *to = buf_room(out, want);
		ssize_t n = to ? pread(m->file, to, want, (off_t)at) : -1;
		if (n <= 0)
			return -FAIL_IO;
		buf_added(out, (size_t)n);
		at += (uint64_t)n;
	}
	return 0;
}

/* Addresses and header fields of plain ASCII need no SMTPUTF8, whatever was asked for. */
static bool needs_utf8(const struct smtp_client_message *m, struct str message)
{
	bool plain = sevenbit_is(m->sender) &&
		     sevenbit_is(str_sub(message, 0, str_find_str(message, 0, STR("\r\n\r\n"))));
	for (size_t i = 0; i < m->n; i++)
		plain = plain && sevenbit_is(m->rcpts[i].address);
	return !plain;
}

/*
 * Make of *m what this server takes (RFC 6152 3, RFC 6531 3.4); what it does not take after all,
 * smtp_client_send refuses. `room` holds the new text.
 */
static int adapt(const struct smtp_client *c, struct smtp_client_message *m, struct buf *room)
{
	bool eight = m->eightbit && !(c->offers & SMTP_OFFERS_8BITMIME);
	bool utf8 = m->smtputf8 && !(c->offers & SMTP_OFFERS_SMTPUTF8);
	size_t size = m->prefix.n + (size_t)m->size;
	AUTO(buf) struct buf whole = BUF_INIT(size + 1);
	if (!eight && !utf8)
		return 0;
	int r = load(m, &whole);
	if (r < 0)
		return r;
	if (utf8)
		m->smtputf8 = needs_utf8(m, buf_str(&whole));
	if (!eight)
		return 0;
	room->max = 4 * size + KIB(4);
	r = sevenbit_convert(buf_str(&whole), room);
	if (r == 0) {
		m->prefix = STR("");
		m->body = buf_str(room);
		m->file = -1;
		m->size = room->n;
		m->eightbit = false;
	}
	return r;
}

/* What a transaction's end means for a recipient that has no answer of its own. */
static enum spool_outcome outcome_of(int r)
{
	return r == -FAIL_PERM || r == -FAIL_UNSUPPORTED ? SPOOL_FAILED : SPOOL_DEFERRED;
}

static void take_results(struct attempt *a, const struct smtp_client *c,
			 const struct smtp_client_message *m, int r, bool unsure)
{
	static const enum spool_outcome outcomes[] = {[SMTP_SENT] = SPOOL_DELIVERED,
						      [SMTP_SENT_LATER] = SPOOL_DEFERRED,
						      [SMTP_SENT_REFUSED] = SPOOL_FAILED};
	for (size_t k = 0; k < m->n; k++) {
		const struct smtp_client_rcpt *rcpt = &m->rcpts[k];
		size_t i = a->which[k];
		if (rcpt->sent == SMTP_SENT_NOTHING) {
			set_result(a, i, outcome_of(r), &c->answer, c->answer.code != 0);
			/* The server may have it: asking another one would make two. */
			if (unsure)
				a->open[i] = false;
		} else {
			set_result(a, i, outcomes[rcpt->sent], &rcpt->answer, rcpt->said);
			a->results[i].dsn_passed = rcpt->dsn_passed;
			a->results[i].relaying_told =
				rcpt->sent == SMTP_SENT && deliver_by_is_told(c, a->m);
		}
	}
}

/* A connection that has waited was closed meanwhile: nobody was asked. */
static bool nobody_heard(const struct smtp_client_message *m, const struct smtp_client *c,
			 bool unsure)
{
	for (size_t k = 0; k < m->n; k++)
		if (m->rcpts[k].sent != SMTP_SENT_NOTHING)
			return false;
	return c->broken && c->answer.code == 0 && !unsure;
}

/* A report is not lost because nobody can protect it as its message was (RFC 8689 5). */
static bool demands_requiretls(const struct msg_relay *m)
{
	return m->requiretls && m->sender.n > 0;
}

/* False: the connection was lost before the server said anything. */
static bool session(struct attempt *a, struct link *l)
{
	struct smtp_forward forward;
	struct smtp_client_message m = message_of(a, &forward);
	if (!demands_requiretls(a->m))
		m.requiretls = m.requiretls && l->tls && l->client.offers & SMTP_OFFERS_REQUIRETLS;
	bool unsure = false;
	struct mono_ns begun = clock_mono();
	AUTO(buf) struct buf room = BUF_INIT(0);
	CRASH_POINT("relay.before-send");
	int r = adapt(&l->client, &m, &room);
	if (r < 0) {
		smtp_answer_own(
			&l->client.answer, r == -FAIL_LIMIT ? "5.6.3" : "4.3.0",
			STR("The next server takes seven bits alone, and the message cannot "
			    "be put so."));
		r = r == -FAIL_LIMIT ? -FAIL_UNSUPPORTED : r;
	} else {
		r = deliver_by_check(&l->client, a->m, &m, &l->client.answer);
		if (r == 0)
			r = smtp_client_send(&l->client, &m, &unsure);
	}
	CRASH_POINT("relay.sent");
	histogram_add(times, (uint64_t)(clock_mono().v - begun.v) / 1000);
	remember_host(a, l);
	if (nobody_heard(&m, &l->client, unsure) && l->messages > 0) {
		a->last = l->client.answer;
		return false;
	}
	l->messages++;
	a->reply.contact = l->client.answer.code == 421 ? RELAY_CONTACT_FAILED : RELAY_CONTACT_OK;
	take_results(a, &l->client, &m, r, unsure);
	if (unsure) {
		counter_add(&unsure_n, 1);
		log_event(LOG_WARN, "relay.unsure", log_u64("number", a->m->number),
			  log_c("server", l->host), log_c("ip", l->ip),
			  log_c("why", l->client.answer.text));
	}
	return true;
}

/* ---- hosts ---- */

/* 521: it takes no mail at all (RFC 7504). What a hello is refused with, it is refused with again.
 */
static bool is_for_good(const struct smtp_answer *answer, enum link_stage stage)
{
	return answer->code == 521 || stage == LINK_LOOP ||
	       (stage == LINK_POLICY && answer->enhanced[0] == '5') ||
	       (stage == LINK_HELLO && smtp_answer_class(answer) == 5);
}

static void note_no_contact(struct attempt *a, const struct target *t, enum link_stage stage)
{
	static const char *const stages[] = {
		[LINK_CONNECT] = "connect", [LINK_GREETING] = "greeting",
		[LINK_LOOP] = "loop",	    [LINK_HELLO] = "hello",
		[LINK_TLS] = "tls",	    [LINK_POLICY] = "tls-policy",
		[LINK_LOGIN] = "login"};
	char ip[NETADDR_TEXT_MAX];
	struct str at = netaddr_text(&t->address, false, ip);
	a->last_said = a->last.code != 0;
	a->all_for_good = a->all_for_good && is_for_good(&a->last, stage);
	if (a->reply.contact == RELAY_CONTACT_NONE && !atomic_load(&relay.cut))
		a->reply.contact = RELAY_CONTACT_FAILED;
	(void)snprintf(a->server, sizeof a->server, "%s", a->last_said ? t->host : "");
	(void)snprintf(a->ip, sizeof a->ip, "%.*s", STR_ARG(at));
	log_event(stage == LINK_LOGIN ? LOG_WARN : LOG_INFO, "relay.no-contact",
		  log_u64("number", a->m->number), log_c("server", t->host), log_str("ip", at),
		  log_u64("port", t->address.port), log_c("stage", stages[stage]),
		  log_c("why", a->last.text));
}

/* What a host's names may fill with answers and a policy. */
#define DEMAND_MAX MIB(1)

/*
 * Where TLS fails and nothing demands it, a new connection goes on without. What is demanded has
 * memory of its own for each host: what came with the hosts before shall not use it up.
 */
static struct link *get_link(struct attempt *a, const struct target *t)
{
	struct link *l = NULL;
	AUTO(arena) struct arena room = ARENA_INIT(DEMAND_MAX);
	enum link_stage stage = LINK_POLICY;
	struct tls_demand demand;
	struct tls_question q = {.conf = a->conf,
				 .errand = &a->errand,
				 .hop = &a->hop,
				 .target = t,
				 .domain_secure = a->targets.secure,
				 .requiretls = demands_requiretls(a->m),
				 .tls_optional = a->m->tls_optional,
				 .unreported = a->m->tls_optional && a->m->sender.n == 0,
				 .login = a->login.user[0] != '\0'};
	struct link_wish w = {.hop = &a->hop,
			      .target = t,
			      .conf = a->conf,
			      .key = a->key,
			      .demand = &demand,
			      .user = str_c(a->login.user),
			      .password = str_c(a->login.password)};
	int r = tls_demand_find(&q, &room, &demand, &a->last);
	if (r == 0)
		r = link_open(&w, &l, &a->last, &stage);
	if (r < 0 && stage == LINK_TLS && demand.level == TLS_MAY) {
		log_event(LOG_INFO, "relay.tls-failed", log_u64("number", a->m->number),
			  log_c("server", t->host), log_c("why", a->last.text));
		demand.level = TLS_NEVER;
		r = link_open(&w, &l, &a->last, &stage);
	}
	if (r == 0)
		return l;
	note_no_contact(a, t, stage);
	return NULL;
}

/* A connection that is there, or NULL. *ret_ok false: nothing can be done now. */
static struct link *waiting_link(struct attempt *a, bool *ret_ok)
{
	bool wants = false;
	char user[RELAY_USER_MAX];
	bool noted = !a->login.known && login_noted(a->m->sender, a->m->nexthop, user);
	const char *mine = a->login.known ? a->login.user : noted ? user : NULL;
	struct link *l = idle_take(a->key, mine, a->conf, &wants);
	*ret_ok = true;
	if (l || !wants || a->login.known)
		return l;
	*ret_ok = login_find(a->m, a->errand.trace, &a->login, &a->last) == 0;
	return *ret_ok ? idle_take(a->key, a->login.user, a->conf, &wants) : NULL;
}

/* Each host in its turn; `asked`: one that needs not be asked again. */
static void try_hosts(struct attempt *a, const char *asked)
{
	unsigned sessions = asked[0] != '\0';
	for (size_t i = 0; i < a->targets.n && any_open(a) && sessions < SESSIONS_MAX; i++) {
		char ip[NETADDR_TEXT_MAX];
		struct str at = netaddr_text(&a->targets.v[i].address, false, ip);
		if (atomic_load(&relay.stopping)) {
			/* Who was not asked has refused nothing. */
			a->all_for_good = false;
			smtp_answer_own(&a->last, "4.3.2", STR("This server is being stopped."));
			a->last_said = false;
			break;
		}
		if (str_eq(at, str_c(asked)))
			continue;
		struct link *l = get_link(a, &a->targets.v[i]);
		if (!l)
			continue;
		a->all_for_good = false;
		(void)session(a, l);
		idle_put(l, a->conf);
		sessions++;
	}
}

/* What no host was asked about. */
static void settle_rest(struct attempt *a, bool for_good)
{
	for (size_t i = 0; i < a->m->rcpts_n; i++)
		if (a->results[i].status.n == 0)
			set_result(a, i, for_good ? SPOOL_FAILED : SPOOL_DEFERRED, &a->last,
				   a->last_said);
}

/*
 * A next hop that the operator wrote, not the sender: a slip in it, or a hole in the name service,
 * is mended there, and the mail waits for that.
 */
static bool is_operators(const struct attempt *a)
{
	struct str to = a->m->rcpts[0].address;
	struct nexthop own;
	if (a->hop.kind != NEXTHOP_DOMAIN)
		return true;
	return nexthop_parse(str_skip(to, str_rfind(to, '@') + 1), &own) < 0 ||
	       strcmp(own.name, a->hop.name) != 0;
}

/* Its hosts; 0, -FAIL_PERM, -FAIL_TEMP. */
static int find_targets(struct attempt *a)
{
	int r = targets_find(&a->hop, a->conf, &a->errand, &a->targets, &a->last);
	if (r != -FAIL_PERM || !is_operators(a))
		return r;
	log_event(LOG_WARN, "relay.bad-nexthop", log_u64("number", a->m->number),
		  log_str("nexthop", a->m->nexthop), log_c("why", a->last.text));
	return -FAIL_TEMP;
}

static void try_all(struct attempt *a)
{
	char asked[NETADDR_TEXT_MAX] = "";
	bool ok = true;
	struct link *l;
	if (!any_open(a))
		return;
	while (!asked[0] && (l = waiting_link(a, &ok))) {
		if (session(a, l))
			(void)snprintf(asked, sizeof asked, "%s", l->ip);
		idle_put(l, a->conf);
	}
	if (!any_open(a))
		return;
	a->all_for_good = !asked[0];
	int r = ok && login_find(a->m, a->errand.trace, &a->login, &a->last) == 0 ? find_targets(a)
										  : -FAIL_TEMP;
	if (r == 0)
		try_hosts(a, asked);
	settle_rest(a, r == -FAIL_PERM || (r == 0 && a->all_for_good && a->targets.n > 0));
}

/* ---- the request ---- */

static const char *bad_request(const struct msg_relay *m)
{
	if (m->rcpts_n == 0)
		return "a message for nobody";
	if (m->file < 0 && m->size != m->body.n)
		return "a body of another size";
	return NULL;
}

/* The domain of the first recipient stands for that of all. */
static int find_hop(struct attempt *a)
{
	int r = nexthop_parse(a->m->nexthop, &a->hop);
	if (r == 0 && a->hop.kind == NEXTHOP_RECIPIENT) {
		struct str to = a->m->rcpts[0].address;
		struct nexthop of_domain;
		r = nexthop_parse(str_skip(to, str_rfind(to, '@') + 1), &of_domain);
		if (r == 0 && of_domain.kind > NEXTHOP_ADDRESS)
			r = -FAIL_SYNTAX;
		if (r < 0)
			return r;
		of_domain.protocol = a->hop.protocol;
		if (of_domain.protocol == NEXTHOP_LMTP && of_domain.kind == NEXTHOP_DOMAIN)
			of_domain.kind = NEXTHOP_HOST;
		of_domain.port = a->hop.port;
		a->hop = of_domain;
	}
	return r == 0 && a->hop.kind > NEXTHOP_ADDRESS ? -FAIL_SYNTAX : r;
}

static void begin(struct attempt *a)
{
	size_t n = a->m->rcpts_n;
	a->rcpts = xcalloc(n, sizeof *a->rcpts);
	a->which = xcalloc(n, sizeof *a->which);
	a->results = xcalloc(n, sizeof *a->results);
	a->status = xcalloc(n, sizeof *a->status);
	a->open = xcalloc(n, sizeof *a->open);
	a->taken = xcalloc(n, sizeof *a->taken);
	a->arena = ARENA_INIT(n * 4 * (SMTP_ANSWER_TEXT_MAX + SMTP_ADDR_MAX + 84) + KIB(64));
	a->sender = a->m->sender;
}

static void end(struct attempt *a)
{
	free(a->rcpts);
	free(a->which);
	free(a->results);
	free(a->status);
	free(a->open);
	free(a->taken);
	explicit_bzero(&a->login, sizeof a->login);
	arena_clear(&a->arena);
	conf_drop(a->conf);
}

/* What another server has taken over before, queue has not heard of. */
static void begin_recipients(struct attempt *a)
{
	struct smtp_answer before;
	sent_begin(a->m, a->taken);
	smtp_answer_own(&before, "2.0.0", STR("The next server has had it before."));
	for (size_t i = 0; i < a->m->rcpts_n; i++) {
		a->open[i] = !a->taken[i];
		if (a->taken[i])
			set_result(a, i, SPOOL_DELIVERED, &before, false);
	}
}

static void end_recipients(struct attempt *a)
{
	for (size_t i = 0; i < a->m->rcpts_n; i++)
		a->taken[i] = a->results[i].outcome == SPOOL_DELIVERED;
	sent_end(a->m, a->taken);
}

static void run(struct attempt *a)
{
	AUTO(buf) struct buf key = BUF_INIT(RELAY_KEY_MAX - 1);
	int r = find_hop(a);
	if (r == 0)
		r = nexthop_write(&a->hop, &key);
	buf_addf(&key, " %s", demands_requiretls(a->m) ? "!" : a->m->tls_optional ? "?" : "");
	if (r == 0 && !key.failed) {
		(void)snprintf(a->key, sizeof a->key, "%s", buf_c(&key));
		if (sender_find(a->m, a->errand.trace, &a->arena, &a->sender, &a->last) == 0)
			try_all(a);
		else
			settle_rest(a, false);
	} else {
		smtp_answer_own(&a->last, "5.1.2", STR("The address leads to no place."));
		for (size_t i = 0; i < a->m->rcpts_n; i++)
			if (a->open[i])
				set_result(a, i, SPOOL_FAILED, &a->last, false);
	}
	for (size_t i = 0; i < a->m->rcpts_n; i++)
		log_result(a, i);
}

void attempt_run(struct role *role, struct ipc_packet *p)
{
	struct msg_relay m;
	struct fail why = FAIL_INIT;
	const char *problem = msg_relay_read(p, &m) < 0 ? "a bad request" : bad_request(&m);
	if (problem) {
		(void)fail_set(&why, FAIL_PEER, NULL, "%s", problem);
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct attempt a = {.conf = role_conf_hold(role),
			    .m = &m,
			    .errand = {ipc_packet_trace(p), (int64_t)ERRAND_NAMES_MS * MS_NS}};
	begin(&a);
	begin_recipients(&a);
	run(&a);
	end_recipients(&a);
	a.reply.results = a.results;
	a.reply.results_n = m.rcpts_n;
	a.reply.server = str_c(a.server);
	a.reply.server_ip = str_c(a.ip);
	a.reply.tls_text = str_c(a.tls_text);
	CRASH_POINT("relay.before-reply");
	(void)ipc_reply(p, IPC_RELAYED, &a.reply);
	CRASH_POINT("relay.after-reply");
	end(&a);
}
