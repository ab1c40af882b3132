/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports about TLS to other domains (RFC 8460), once a day, when relay.tls_reports is on.
 *
 * dir has the figures of the day, and which domains were told already; DNS says who wants to be
 * told, and where; mail goes out by the spool, with the null sender and "TLS-Required: No" (5.3),
 * HTTPS by relay. How a report itself gets there is not counted, so that none follows from it.
 *
 * The domains of a day are spread over four hours behind its end. What cannot be done now is tried
 * again after five minutes, then ten, twenty, ... (known in memory alone); after two days it is
 * over.
 */
#include "base/check.h"
#include "codec/sts/tlsrpt.h"
#include "roles/queue/queue.h"
#include "roles/role/ask_dns.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/deflate.h"
#include "sys/log.h"
#include "sys/rand.h"
#include "sys/sha256.h"
#include <stdatomic.h>
#include <time.h>

COUNTER(sent, "queue.tls-reports", "reports about TLS that were sent to other domains");

#define LOOK_MS	   (5u * 60 * 1000)
#define SPREAD_S   (4 * 3600)
#define DAYS	   2
#define DAY_US	   (INT64_C(86400) * SEC_US)
#define DNS_MS	   30000
#define POST_MS	   150000 /* relay takes less */
#define JSON_MAX   MIB(1)
#define DOMAIN_MAX 256
#define PAUSES	   1024u /* that are known at a time: of hashes, the newest of two wins */
#define DOUBLINGS  7u	 /* at most ten hours and a half */

/* Of a report that could not be brought: not before `until`. */
struct pause {
	uint64_t what; /* hash of domain and day */
	struct mono_ns until;
	unsigned tries;
};

static struct {
	struct pool *pool; /* a thread of its own: it waits for servers of others */
	struct loop_timer timer;
	struct pool_job job;
	atomic_bool busy, stopping;
	struct pause pauses[PAUSES]; /* of the pool's thread */
} reports;

/* What one report is made of. */
struct report {
	const struct conf *conf;
	uint32_t day;
	struct str domain;
	struct trace_id trace;
	struct arena arena;
	struct tlsrpt_report r;
	struct buf packed;
};

static bool goes_on(void)
{
	return !atomic_load(&reports.stopping);
}

/* ---- places ---- */

/* 1: the domain wants reports; 0: it does not; negative: not known now. */
static int find_record(struct report *r, struct tlsrpt_record *ret, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(256));
	struct dns_answer answer;
	struct dns_errand what = {.name = arena_printf(&a, "_smtp._tls.%.*s", STR_ARG(r->domain)),
				  .type = DNS_TXT,
				  .trace = r->trace,
				  .wait_ms = DNS_MS};
	size_t n = 0;
	int result = role_resolve(queue.role, &what, &a, &answer, why);
	if (result < 0)
		return result;
	if (!dns_is_known(answer.outcome))
		return fail_set(why, FAIL_DNS, NULL, "the name service does not know now");
	for (size_t i = 0; i < answer.n; i++) {
		AUTO(buf) struct buf text = BUF_INIT(KIB(4));
		/* More than one record is none (RFC 8460 3). */
		if (dns_read_txt(answer.records[i], &text) &&
		    str_starts(buf_str(&text), STR("v=TLSRPTv1")))
			n += tlsrpt_record_parse(buf_str(&text), ret) ? 1 : 2;
	}
	return n == 1;
}

static int submit(struct report *r, struct str to, struct str text, struct fail *why)
{
	struct spool_question where = {.address = to};
	struct spool_route route = {0};
	struct str map = STR_NULL;
	uint64_t number = 0;
	int result = queue_route(queue.role, &where, &r->arena, &route, why);
	if (result == 0 && (route.kind != SPOOL_ROUTE_OK || route.n == 0))
		result = fail_set(why, FAIL_NOTFOUND, NULL, "the address leads nowhere");
	if (result == 0)
		result = queue_map(queue.role, text, &r->arena, &map, why);
	struct spool_rcpt *rcpts =
		result == 0 ? arena_array(&r->arena, struct spool_rcpt, route.n) : NULL;
	if (result == 0 && !rcpts)
		result = fail_set(why, FAIL_LIMIT, NULL, "no room for a report");
	if (result < 0)
		return result;
	for (size_t i = 0; i < route.n; i++)
		rcpts[i] = (struct spool_rcpt){
			.to = route.dests[i], .original = to, .notify = SPOOL_NOTIFY_NEVER};
	struct spool_message m = {.trace = r->trace,
				  .sender = STR(""),
				  .wish = {.tls_optional = true},
				  .prefix = STR(""),
				  .body = text,
				  .body_size = text.n,
				  .map = map,
				  .arrival = clock_wall(),
				  .rcpts = rcpts,
				  .n_rcpts = route.n};
	sha256_of(text, m.sha256);
	return spool_submit_wait(queue.spool, &m, &number, why);
}

static int send_mail(struct report *r, struct str to, struct fail *why)
{
	AUTO(buf) struct buf text = BUF_INIT(BODY_INLINE_MAX);
	if (tlsrpt_mail_write(&text, &r->r, to, clock_wall(), buf_str(&r->packed)) < 0)
		return fail_set(why, FAIL_LIMIT, NULL, "the report is too large");
	return submit(r, to, buf_str(&text), why);
}

static int post(struct report *r, struct str url, struct fail *why)
{
	struct msg_tls_post m = {.url = url, .body = buf_str(&r->packed)};
	struct ipc_question q = {.type = IPC_TLS_POST,
				 .msg = &m,
				 .want = IPC_OK,
				 .trace = r->trace,
				 .deadline_ms = POST_MS,
				 .only_while_up = true};
	struct ipc_packet *p = NULL;
	int result = ipc_call(role_peer(queue.role, "relay", 0), &q, &p, why);
	ipc_packet_free(p);
	return result;
}

/* To each place; one that has it is enough. */
static int bring(struct report *r, const struct tlsrpt_record *to)
{
	size_t done = 0;
	for (size_t i = 0; i < to->n && goes_on(); i++) {
		struct fail why = FAIL_INIT;
		struct str place = str_c(to->v[i].text);
		int result = to->v[i].https ? post(r, place, &why) : send_mail(r, place, &why);
		log_event(result < 0 ? LOG_WARN : LOG_INFO,
			  result < 0 ? "queue.tls-report-failed" : "queue.tls-report",
			  log_str("domain", r->domain), log_str("to", place), log_fail(&why));
		done += result == 0;
	}
	counter_add(&sent, done);
	return done ? 0 : -FAIL_TEMP;
}

/* ---- one report ---- */

static struct str contact(struct report *r)
{
	const struct conf *c = r->conf;
	if (c->relay_tls_reports_from[0])
		return str_c(c->relay_tls_reports_from);
	return arena_printf(&r->arena, "postmaster@%s",
			    c->postmaster_domain[0] ? c->postmaster_domain : c->hostname);
}

static int pack(struct report *r, const struct msg_tls_counts_reply *m, struct fail *why)
{
	AUTO(buf) struct buf json = BUF_INIT(JSON_MAX);
	struct tlsrpt_count *counts = arena_array(&r->arena, struct tlsrpt_count, m->counts_n);
	for (size_t i = 0; counts && i < m->counts_n; i++)
		counts[i] = (struct tlsrpt_count){.policy = m->counts[i].policy,
						  .result = m->counts[i].result,
						  .mx = m->counts[i].mx,
						  .ip = m->counts[i].ip,
						  .reason = m->counts[i].reason,
						  .n = m->counts[i].count};
	int64_t from = (int64_t)r->day * DAY_US;
	r->r = (struct tlsrpt_report){.organization = str_c(r->conf->hostname),
				      .contact = contact(r),
				      .domain = r->domain,
				      .from = {from},
				      .to = {from + DAY_US - SEC_US},
				      .sts_policy = m->policy,
				      .counts = counts,
				      .n = m->counts_n};
	if (!counts || !r->r.contact.p || tlsrpt_json_write(&json, &r->r) < 0 ||
	    gzip_write(&r->packed, buf_str(&json)) < 0)
		return fail_set(why, FAIL_LIMIT, NULL, "the report is too large");
	return 0;
}

static int make_and_bring(struct report *r, const struct tlsrpt_record *to, struct fail *why)
{
	struct msg_tls_counts m = {.day = r->day, .domain = r->domain};
	struct ipc_question q = {
		.type = IPC_TLS_COUNTS, .msg = &m, .want = IPC_TLS_COUNTS_REPLY, .trace = r->trace};
	struct msg_tls_counts_reply reply;
	struct ipc_packet *p = NULL;
	int result = ipc_call(role_peer(queue.role, "dir", 0), &q, &p, why);
	if (result == 0 && msg_tls_counts_reply_read(p, &reply) < 0)
		result = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	if (result == 0)
		result = pack(r, &reply, why);
	if (result == 0)
		result = bring(r, to); /* its texts are in the packet */
	ipc_packet_free(p);
	return result;
}

static void note_done(const struct report *r)
{
	struct msg_tls_reported m = {.day = r->day, .domain = r->domain};
	struct ipc_question q = {
		.type = IPC_TLS_REPORTED, .msg = &m, .want = IPC_OK, .trace = r->trace};
	struct ipc_packet *p = NULL;
	struct fail why = FAIL_INIT;
	if (ipc_call(role_peer(queue.role, "dir", 0), &q, &p, &why) < 0)
		log_event(LOG_WARN, "queue.tls-report-noted", log_str("domain", r->domain),
			  log_fail(&why));
	ipc_packet_free(p);
}

/* ---- when ---- */

static uint64_t pause_key(uint32_t day, struct str domain)
{
	return str_hash(domain) + day;
}

static bool is_time(uint32_t day, struct str domain)
{
	int64_t over_s = (clock_wall().v - ((int64_t)day + 1) * DAY_US) / SEC_US;
	const struct pause *p = &reports.pauses[pause_key(day, domain) % PAUSES];
	if (p->what == pause_key(day, domain) && mono_before(clock_mono(), p->until))
		return false;
	return over_s >= (int64_t)(str_hash(domain) % SPREAD_S);
}

static void pause_again(uint32_t day, struct str domain)
{
	struct pause *p = &reports.pauses[pause_key(day, domain) % PAUSES];
	unsigned tries = p->what == pause_key(day, domain) ? MIN(p->tries + 1, DOUBLINGS) : 0;
	*p = (struct pause){.what = pause_key(day, domain),
			    .until = mono_add_ms(clock_mono(), (uint64_t)LOOK_MS << tries),
			    .tries = tries};
}

static void report_one(const struct conf *conf, uint32_t day, struct str domain)
{
	struct report r = {.conf = conf,
			   .day = day,
			   .domain = domain,
			   .trace = {rand_u64()},
			   .arena = ARENA_INIT(MIB(4)),
			   .packed = BUF_INIT(KIB(64))};
	struct tlsrpt_record to;
	struct fail why = FAIL_INIT;
	int result = find_record(&r, &to, &why);
	if (result == 1)
		result = make_and_bring(&r, &to, &why);
	if (result == 0)
		note_done(&r);
	else {
		pause_again(day, domain);
		log_event(LOG_DEBUG, "queue.tls-report-later", log_str("domain", domain),
			  log_fail(&why));
	}
	buf_clear(&r.packed);
	arena_clear(&r.arena);
}

/* ---- a day ---- */

/* A part of its domains. The last of them, to go on behind it; empty: that was all. */
static void report_some(const struct conf *conf, uint32_t day, char after[DOMAIN_MAX])
{
	struct msg_tls_due m = {.day = day, .after = str_c(after)};
	struct ipc_question q = {.type = IPC_TLS_DUE, .msg = &m, .want = IPC_TLS_DUE_REPLY};
	struct msg_tls_due_reply reply;
	struct ipc_packet *p = NULL;
	struct fail why = FAIL_INIT;
	int r = ipc_call(role_peer(queue.role, "dir", 0), &q, &p, &why);
	if (r == 0)
		r = msg_tls_due_reply_read(p, &reply);
	after[0] = '\0';
	for (size_t i = 0; r == 0 && i < reply.domains_n && goes_on(); i++) {
		struct str domain = reply.domains[i].s;
		if (is_time(day, domain))
			report_one(conf, day, domain);
		(void)snprintf(after, DOMAIN_MAX, "%.*s", STR_ARG(domain));
	}
	ipc_packet_free(p);
}

static void run(struct job *job)
{
	const struct conf *conf = role_conf_hold(queue.role);
	uint32_t today = (uint32_t)(clock_wall().v / DAY_US);
	(void)job;
	for (uint32_t day = today - DAYS; day < today; day++) {
		char after[DOMAIN_MAX] = "";
		do
			report_some(conf, day, after);
		while (after[0] && goes_on());
	}
	conf_drop(conf);
	atomic_store(&reports.busy, false);
}

/* ---- life ---- */

static void look(struct loop_timer *t)
{
	if (strcmp(queue.role->conf->relay_tls_reports, "on") == 0 &&
	    !atomic_exchange(&reports.busy, true)) {
		if (!reports.pool)
			reports.pool = pool_new("reports", 1, 0);
		reports.job = (struct pool_job){.job.run = run};
		pool_submit(reports.pool, &reports.job);
	}
	loop_timer_in(queue.role->loop, t, LOOK_MS);
}

void reports_init(void)
{
	reports.timer.fire = look;
	loop_timer_in(queue.role->loop, &reports.timer, LOOK_MS);
}

void reports_stop(void)
{
	atomic_store(&reports.stopping, true);
	loop_timer_clear(queue.role->loop, &reports.timer);
}

void reports_end(void)
{
	static const struct timespec moment = {.tv_nsec = 10 * MS_NS};
	if (!reports.pool)
		return;
	while (atomic_load(&reports.busy)) {
		/* Nothing else here waits for these two. */
		ipc_channel_cancel(role_peer(queue.role, "relay", 0));
		ipc_channel_cancel(role_peer(queue.role, "dns", 0));
		(void)nanosleep(&moment, NULL);
	}
	pool_free(reports.pool);
}
