/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns - asks the name service for everybody: `resolve` in, `resolved` out.
 *
 * It is the only role with datagram sockets. It has no file (the trust anchor is read before the
 * sandbox), and says nothing of its own accord. A question has a deadline; what is under way is
 * bounded. Nothing here must survive: who asked and heard that this process died asks again.
 */
#include "roles/dns/dns.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include <stdio.h>
#include <sys/epoll.h>

/* Less than an IPC question's deadline: the answer that there is none arrives. */
#define DEADLINE_MS   20000
#define UNDER_WAY_MAX 4096u
#define RECORDS_MAX   500u
#define RDATA_MAX     8192

COUNTER(asked, "dns.questions", "questions to the name service");
COUNTER(found, "dns.found", "answered with records, or that there are none");
COUNTER(failed, "dns.failed", "servers did not answer usefully");
COUNTER(bogus, "dns.bogus", "refused by DNSSEC");
COUNTER(timeouts, "dns.timeout", "not answered in time");
COUNTER(refused, "dns.refused", "not asked: too many under way, or no name");
COUNTER(under_way, "dns.under-way", "questions that wait for an answer");
HISTOGRAM(took, "dns.question", "questions to the name service");

static struct {
	struct role *role;
	struct resolver *resolver;
	struct loop_io io;
	unsigned under_way;
} dns;

static void count(const struct dns_query *q, const struct resolver_result *result)
{
	struct counter *const by_outcome[DNS_OUTCOMES] = {
		[DNS_FOUND] = &found,	[DNS_NODATA] = &found, [DNS_NXDOMAIN] = &found,
		[DNS_FAILED] = &failed, [DNS_BOGUS] = &bogus,  [DNS_TIMEOUT] = &timeouts};
	counter_add(by_outcome[result->outcome], 1);
	histogram_add(took, (uint64_t)(clock_mono().v - q->begun.v) / 1000);
}

static void say(struct dns_query *q, const struct resolver_result *result)
{
	CRASH_POINT("dns.before-reply");
	q->answer(q, result);
}

static void over(struct dns_query *q, const struct resolver_result *result)
{
	loop_timer_clear(dns.role->loop, &q->deadline);
	dns.under_way--;
	count(q, result);
	say(q, result);
}

static void answered(struct resolver_question *question, const struct resolver_result *result)
{
	over(CONTAINER_OF(question, struct dns_query, question), result);
}

static void give_no_answer(struct dns_query *q, enum dns_outcome outcome, const char *why)
{
	static char *const nothing[] = {NULL};
	struct resolver_result result = {
		.outcome = outcome, .canonical = "", .data = nothing, .why = why};
	if (outcome == DNS_TIMEOUT)
		over(q, &result);
	else
		say(q, &result);
}

static void too_late(struct loop_timer *t)
{
	struct dns_query *q = CONTAINER_OF(t, struct dns_query, deadline);
	resolver_cancel(dns.resolver, &q->question);
	give_no_answer(q, DNS_TIMEOUT, "no answer in time");
}

void dns_ask(struct dns_query *q, struct str name, uint16_t type)
{
	char text[DNS_NAME_MAX];
	struct fail why = FAIL_INIT;
	bool ok = dns_name_ok(name) && type != 0;
	if (!ok || dns.under_way >= UNDER_WAY_MAX) {
		counter_add(&refused, 1);
		give_no_answer(q, DNS_FAILED,
			       ok ? "too many questions are under way" : "not a name");
		return;
	}
	(void)snprintf(text, sizeof text, "%.*s", STR_ARG(name));
	q->type = type;
	q->begun = clock_mono();
	q->question = (struct resolver_question){.done = answered};
	q->deadline = (struct loop_timer){.fire = too_late};
	counter_add(&asked, 1);
	if (resolver_ask(dns.resolver, &q->question, text, type, &why) < 0) {
		counter_add(&failed, 1);
		give_no_answer(q, DNS_FAILED, why.detail);
		return;
	}
	dns.under_way++;
	loop_timer_in(dns.role->loop, &q->deadline, DEADLINE_MS);
}

/* --- questions of other roles
 * ------------------------------------------------------------------- */

struct request {
	struct dns_query query;
	struct ipc_packet *packet;
};

/* What is too large for the answer is no answer: nobody shall decide on a part of the records. */
static bool fill(const struct resolver_result *result, struct msg_rdata *records, size_t *ret_n)
{
	size_t n = 0, sum = 0;
	for (; result->data[n]; n++) {
		size_t size = (size_t)result->sizes[n];
		sum += size;
		if (n >= RECORDS_MAX || size > RDATA_MAX || sum > KIB(256))
			return false;
		records[n].b = str_make(result->data[n], size);
	}
	*ret_n = n;
	return true;
}

static void reply(struct dns_query *q, const struct resolver_result *result)
{
	struct request *r = CONTAINER_OF(q, struct request, query);
	struct msg_rdata *records = xcalloc(RECORDS_MAX, sizeof *records);
	struct msg_resolved m = {.outcome = (uint8_t)result->outcome,
				 .secure = result->secure,
				 .ttl = result->ttl,
				 .canonical = str_sub(str_c(result->canonical), 0, 255),
				 .records = records,
				 .why = str_sub(str_c(result->why), 0, 200)};
	if (!fill(result, records, &m.records_n)) {
		m.outcome = DNS_FAILED;
		m.secure = false;
		m.why = STR("too many records");
	}
	(void)ipc_reply(r->packet, IPC_RESOLVED, &m);
	free(records);
	ipc_packet_free(r->packet);
	free(r);
}

static void message(struct role *role, struct ipc_channel *from, struct ipc_packet *p)
{
	struct msg_resolve m;
	(void)role;
	if (ipc_packet_type(p) != IPC_RESOLVE || !ipc_packet_wants_reply(p) ||
	    msg_resolve_read(p, &m) < 0) {
		role_refuse(from, p, "no question about a name");
		return;
	}
	struct request *r = xcalloc(1, sizeof *r);
	*r = (struct request){.query.answer = reply, .packet = p};
	/* Its credit goes back now: UNDER_WAY_MAX bounds how many wait. */
	ipc_packet_accept(p);
	dns_ask(&r->query, m.name, m.type);
}

/* --- the role
 * ---------------------------------------------------------------------------------- */

static void readable(struct loop_io *io, uint32_t events)
{
	(void)io;
	(void)events;
	resolver_serve(dns.resolver);
}

/* The first time this is before the sandbox. Later ones change nothing: [dns] counts at a start. */
static int prepare(struct role *role, const struct conf *fresh, struct fail *why)
{
	dns.role = role;
	return dns.resolver ? 0 : resolver_new(fresh, &dns.resolver, why);
}

/* The resolver's thread begins with a question: it begins now, inside of the sandbox. */
static void first_answer(struct dns_query *q, const struct resolver_result *result)
{
	(void)result;
	free(q);
}

static int dns_open(struct role *role, struct fail *why)
{
	(void)why;
	dns.io = (struct loop_io){.fd = -1, .ready = readable};
	loop_add(role->loop, &dns.io, resolver_fd(dns.resolver), EPOLLIN);
	struct dns_query *q = xcalloc(1, sizeof *q);
	q->answer = first_answer;
	dns_ask(q, STR("1.0.0.127.in-addr.arpa"), DNS_PTR);
	return 0;
}

static void stats(struct role *role)
{
	(void)role;
	counter_set(&under_way, dns.under_way);
}

static const char *const peers[] = {"mta", "queue", "relay", NULL};
static const struct role_ops ops = {.name = "dns",
				    .sandbox_flags = SANDBOX_INET_CONNECT | SANDBOX_THREADS,
				    .peers = peers,
				    .prepare = prepare,
				    .open = dns_open,
				    .message = message,
				    .stats = stats,
				    .admin = dns_admin};

int main(int argc, char **argv)
{
	return role_main(argc, argv, &ops);
}
