/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fact is made by whoever asks first, under `lock`; its questions begin on the loop, and their
 * answers come there. Only facts that nobody waits for and nothing is under way for are forgotten.
 */
#include "roles/mta/facts.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "codec/dns/dns.h"
#include "roles/mta/mta.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

COUNTER(known, "door.facts-known", "questions about clients and names whose answer was there");
COUNTER(wanted, "door.facts-asked", "questions about clients and names that went to the DNS");
COUNTER(crowded, "door.facts-crowded",
	"answers of the DNS that were not waited for: too many wait");
COUNTER(late, "door.facts-late", "answers of the DNS that were not waited for any longer");

#define FACTS_MAX     100000u
#define KEEP_MIN_S    60
#define KEEP_MAX_S    3600
#define KEEP_UNSURE_S 30
#define NAMES_MAX     4 /* PTR records that are looked at */
#define SILENT_AFTER  2 /* waits in vain with no answer between: the DNS is silent */
#define SICK_AFTER    3 /* failures of a list in a row: then nobody waits for it */
#define WAITING_MAX   (MTA_THREADS / 2)

enum kind { FACT_NAME = 'n', FACT_CLIENT = 'c', FACT_LISTS = 'l', FACT_PASSED = 'p' };

struct fact {
	struct list link; /* in the order of use */
	struct loop_task task;
	enum kind kind;
	char key[258]; /* kind, then a name or the 16 octets of an address */
	size_t key_n;
	struct netaddr addr;
	bool ready;
	unsigned users; /* who waits, and questions under way */
	unsigned open;	/* questions that are waited for */
	uint32_t ttl;	/* the least that came */
	struct mono_ns until;
	/* what is known */
	enum smtp_name exists;
	bool sure;
	char name[256];
	struct fact_score score;
	int heaviest;
	/* on the way there */
	char names[NAMES_MAX][DNS_NAME_MAX];
	size_t names_n, at;
	struct dnsbl_site *sites;
	size_t sites_n;
};

struct question {
	struct ipc_ask ask;
	struct fact *fact;
	uint16_t type;
	size_t site;
	bool waited_for;
};

/* How a list has done of late, by its zone. */
struct health {
	char zone[200];
	unsigned failures;
};

static struct {
	struct role *role;
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct strmap map;
	struct list order;
	size_t n;
	unsigned in_vain;		      /* waits, since an answer came */
	unsigned waiting;		      /* threads */
	struct health lists[DNSBL_SITES_MAX]; /* loop */
} facts = {.lock = PTHREAD_MUTEX_INITIALIZER, .order = LIST_INIT(facts.order)};

void facts_begin(struct role *role)
{
	pthread_condattr_t a;
	facts.role = role;
	(void)pthread_condattr_init(&a);
	(void)pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&facts.news, &a);
	(void)pthread_condattr_destroy(&a);
}

/* --- keeping, under the lock
 * ------------------------------------------------------------------------------------------ */

static void forget(struct fact *f)
{
	(void)strmap_remove(&facts.map, str_make(f->key, f->key_n));
	list_remove(&f->link);
	facts.n--;
	free(f->sites);
	free(f);
}

static void make_room(void)
{
	LIST_EACH (&facts.order, link) {
		struct fact *f = CONTAINER_OF(link, struct fact, link);
		if (facts.n < FACTS_MAX)
			return;
		if (f->ready && !f->users)
			forget(f);
	}
}

static size_t make_key(enum kind kind, struct str text, char key[258])
{
	size_t n = MIN(text.n, (size_t)256);
	key[0] = (char)kind;
	for (size_t i = 0; i < n; i++)
		key[1 + i] = kind == FACT_NAME ? ascii_lower(text.p[i]) : text.p[i];
	return n + 1;
}

static struct str octets(const struct netaddr *a)
{
	return str_make((const char *)a->bytes, a->family == AF_INET ? 4 : 16);
}

static struct fact *find(enum kind kind, struct str text)
{
	char key[258];
	size_t n = make_key(kind, text, key);
	struct fact *f = strmap_get(&facts.map, str_make(key, n));
	if (f && f->ready && !f->users && !mono_before(clock_mono(), f->until)) {
		forget(f);
		f = NULL;
	}
	if (f) {
		list_remove(&f->link);
		list_append(&facts.order, &f->link);
	}
	return f;
}

static struct fact *make(enum kind kind, struct str text)
{
	struct fact *f = xcalloc(1, sizeof *f);
	make_room();
	f->kind = kind;
	f->key_n = make_key(kind, text, f->key);
	f->ttl = KEEP_MAX_S;
	f->exists = SMTP_NAME_UNSURE;
	(void)strmap_put(&facts.map, str_make(f->key, f->key_n), f);
	list_append(&facts.order, &f->link);
	facts.n++;
	return f;
}

static void settle(struct fact *f)
{
	int64_t s = MAX(MIN((int64_t)f->ttl, (int64_t)KEEP_MAX_S), (int64_t)KEEP_MIN_S);
	if (!f->sure)
		s = KEEP_UNSURE_S;
	f->until = mono_add_ms(clock_mono(), (uint64_t)s * 1000);
	f->ready = true;
	(void)pthread_cond_broadcast(&facts.news);
}

/* --- asking, on the loop, under the lock
 * ------------------------------------------------------------------------------ */

static void answered(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why);

static void ask(struct fact *f, struct str name, uint16_t type, size_t site, bool waited_for)
{
	struct question *q = xcalloc(1, sizeof *q);
	struct msg_resolve m = {.name = name, .type = type};
	struct ipc_question i = {.type = IPC_RESOLVE, .msg = &m, .want = IPC_RESOLVED};
	*q = (struct question){.ask.done = answered,
			       .fact = f,
			       .type = type,
			       .site = site,
			       .waited_for = waited_for};
	f->users++;
	f->open += waited_for;
	counter_add(&wanted, 1);
	ipc_ask(role_peer(facts.role, "dns", 0), &i, &q->ask);
}

static struct health *health_of(const char *zone)
{
	for (size_t i = 0; i < DNSBL_SITES_MAX; i++) {
		struct health *h = &facts.lists[i];
		if (!h->zone[0])
			(void)snprintf(h->zone, sizeof h->zone, "%s", zone);
		if (strcmp(h->zone, zone) == 0)
			return h;
	}
	return &facts.lists[0]; /* after many changes of the configuration */
}

static void ask_lists(struct fact *f)
{
	for (size_t i = 0; i < f->sites_n; i++) {
		char name[DNS_NAME_MAX];
		size_t n = f->addr.family == AF_INET ? 4 : 16;
		/* A list that has failed is asked, so that its recovery is seen, but holds up
		 * nobody. */
		bool well = health_of(f->sites[i].zone)->failures < SICK_AFTER;
		if (dns_reverse_name(f->addr.bytes, n, f->sites[i].zone, name))
			ask(f, str_c(name), DNS_A, i, well);
	}
	f->sure = true;
	if (!f->open)
		settle(f);
}

static void begin(struct loop_task *task)
{
	struct fact *f = CONTAINER_OF(task, struct fact, task);
	char name[DNS_NAME_MAX];
	(void)pthread_mutex_lock(&facts.lock);
	size_t n = f->addr.family == AF_INET ? 4 : 16;
	if (f->kind == FACT_LISTS)
		ask_lists(f);
	else if (f->kind == FACT_CLIENT && dns_reverse_name(f->addr.bytes, n, NULL, name))
		ask(f, str_c(name), DNS_PTR, 0, true);
	else
		ask(f, str_make(f->key + 1, f->key_n - 1), DNS_MX, 0, true);
	f->users--; /* the task itself */
	(void)pthread_mutex_unlock(&facts.lock);
}

/* --- answers, on the loop, under the lock
 * ----------------------------------------------------------------------------- */

struct reply {
	enum dns_outcome outcome;
	struct msg_resolved m;
};

static bool is_null_mx(const struct reply *r)
{
	struct dns_mx mx;
	return r->m.records_n == 1 && dns_read_mx(r->m.records[0].b, &mx) && !mx.host[0];
}

static void judge_name(struct fact *f, uint16_t type, const struct reply *r)
{
	struct str name = str_make(f->key + 1, f->key_n - 1);
	f->sure = dns_is_known(r->outcome);
	if (r->outcome == DNS_FOUND)
		f->exists = type == DNS_MX && is_null_mx(r) ? SMTP_NAME_NULL_MX : SMTP_NAME_FOUND;
	else if (r->outcome == DNS_NXDOMAIN)
		f->exists = SMTP_NAME_NONE;
	else if (r->outcome == DNS_NODATA && type != DNS_AAAA)
		ask(f, name, type == DNS_MX ? DNS_A : DNS_AAAA, 0, true);
	else if (r->outcome == DNS_NODATA)
		f->exists = SMTP_NAME_NONE;
}

static bool has_address(const struct fact *f, const struct reply *r)
{
	for (size_t i = 0; i < r->m.records_n; i++) {
		uint8_t a[16];
		bool v4 = f->addr.family == AF_INET;
		if ((v4 ? dns_read_a(r->m.records[i].b, a) : dns_read_aaaa(r->m.records[i].b, a)) &&
		    memcmp(a, f->addr.bytes, v4 ? 4 : 16) == 0)
			return true;
	}
	return false;
}

static void ask_next_name(struct fact *f)
{
	uint16_t type = f->addr.family == AF_INET ? DNS_A : DNS_AAAA;
	if (f->at < f->names_n)
		ask(f, str_c(f->names[f->at]), type, 0, true);
}

static void judge_client(struct fact *f, uint16_t type, const struct reply *r)
{
	if (type == DNS_PTR) {
		f->sure = dns_is_known(r->outcome);
		for (size_t i = 0; i < r->m.records_n && f->names_n < NAMES_MAX; i++)
			f->names_n += dns_read_name(r->m.records[i].b, f->names[f->names_n]) &&
				      f->names[f->names_n][0];
		ask_next_name(f);
		return;
	}
	f->sure = f->sure && dns_is_known(r->outcome);
	if (has_address(f, r)) {
		(void)snprintf(f->name, sizeof f->name, "%s", f->names[f->at]);
		f->sure = true;
		return;
	}
	f->at++;
	ask_next_name(f);
}

static void judge_list(struct fact *f, const struct question *q, const struct reply *r)
{
	const struct dnsbl_site *site = &f->sites[q->site];
	struct health *h = health_of(site->zone);
	h->failures = dns_is_known(r->outcome) ? 0 : h->failures + 1;
	for (size_t i = 0; i < r->m.records_n; i++) {
		uint8_t a[4];
		if (!dns_read_a(r->m.records[i].b, a) || !dnsbl_matches(site, a))
			continue;
		f->score.score += site->weight;
		if (site->weight > f->heaviest) {
			f->heaviest = site->weight;
			(void)snprintf(f->score.zone, sizeof f->score.zone, "%s", site->zone);
		}
		return; /* a list counts once */
	}
}

static void answered(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct question *q = CONTAINER_OF(a, struct question, ask);
	struct fact *f = q->fact;
	struct reply reply = {.outcome = DNS_FAILED};
	(void)why;
	if (r == 0 && msg_resolved_read(p, &reply.m) == 0 && reply.m.outcome < DNS_OUTCOMES)
		reply.outcome = (enum dns_outcome)reply.m.outcome;
	if (reply.outcome != DNS_FOUND)
		reply.m.records_n = 0;
	(void)pthread_mutex_lock(&facts.lock);
	if (dns_is_known(reply.outcome)) {
		f->ttl = MIN(f->ttl, reply.m.ttl);
		facts.in_vain = 0;
	}
	if (f->kind == FACT_NAME)
		judge_name(f, q->type, &reply);
	else if (f->kind == FACT_CLIENT)
		judge_client(f, q->type, &reply);
	else
		judge_list(f, q, &reply);
	f->users--;
	f->open -= q->waited_for;
	if (!f->open && !f->ready)
		settle(f);
	(void)pthread_mutex_unlock(&facts.lock);
	ipc_packet_free(p);
	free(q);
}

/* --- wanting, and waiting
 * ---------------------------------------------------------------------------------------------- */

static bool other_lists(const struct fact *f, const struct fact_lists *lists)
{
	return f->sites_n != lists->n ||
	       memcmp(f->sites, lists->sites, lists->n * sizeof *f->sites) != 0;
}

/* With the lock held. */
static struct fact *want(enum kind kind, struct str text, const struct netaddr *addr,
			 const struct fact_lists *lists)
{
	struct fact *f = find(kind, text);
	if (f && lists && !f->users && other_lists(f, lists)) { /* of another configuration */
		forget(f);
		f = NULL;
	}
	if (f) {
		counter_add(&known, f->ready);
		return f;
	}
	f = make(kind, text);
	if (addr)
		f->addr = *addr;
	if (lists) {
		f->sites = xcalloc(lists->n + 1, sizeof *f->sites);
		f->sites_n = lists->n;
		memcpy(f->sites, lists->sites, lists->n * sizeof *f->sites);
	}
	f->users++;
	f->task.run = begin;
	loop_post(facts.role->loop, &f->task);
	return f;
}

/* With the lock held; it is let go of meanwhile. */
static void await(struct fact *f, uint64_t ms)
{
	struct timespec t;
	if (facts.in_vain >= SILENT_AFTER)
		ms = 0;
	if (!f->ready && ms && facts.waiting >= WAITING_MAX) {
		counter_add(&crowded, 1);
		return;
	}
	if (f->ready || ms == 0)
		return;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	uint64_t ns = (uint64_t)t.tv_nsec + ms % 1000 * 1000000;
	t.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
	t.tv_nsec = (long)(ns % 1000000000);
	f->users++;
	facts.waiting++;
	while (!f->ready && pthread_cond_timedwait(&facts.news, &facts.lock, &t) == 0)
		;
	f->users--;
	facts.waiting--;
	if (f->ready)
		return;
	facts.in_vain++;
	counter_add(&late, 1);
}

void facts_want_client(const struct netaddr *client)
{
	(void)pthread_mutex_lock(&facts.lock);
	(void)want(FACT_CLIENT, octets(client), client, NULL);
	(void)pthread_mutex_unlock(&facts.lock);
}

void facts_want_lists(const struct netaddr *client, const struct fact_lists *lists)
{
	(void)pthread_mutex_lock(&facts.lock);
	(void)want(FACT_LISTS, octets(client), client, lists);
	(void)pthread_mutex_unlock(&facts.lock);
}

enum smtp_name facts_name(struct str name, uint64_t ms)
{
	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (!dns_name_ok(name))
		return SMTP_NAME_NONE;
	(void)pthread_mutex_lock(&facts.lock);
	struct fact *f = want(FACT_NAME, name, NULL, NULL);
	await(f, ms);
	enum smtp_name exists = f->ready ? f->exists : SMTP_NAME_UNSURE;
	(void)pthread_mutex_unlock(&facts.lock);
	return exists;
}

bool facts_client(const struct netaddr *client, uint64_t ms, struct smtp_client *ret,
		  bool *ret_sure)
{
	(void)pthread_mutex_lock(&facts.lock);
	struct fact *f = want(FACT_CLIENT, octets(client), client, NULL);
	await(f, ms);
	*ret_sure = f->ready && f->sure;
	(void)snprintf(ret->name, sizeof ret->name, "%s", f->ready ? f->name : "");
	(void)snprintf(ret->ptr, sizeof ret->ptr, "%s", f->ready && f->names_n ? f->names[0] : "");
	(void)pthread_mutex_unlock(&facts.lock);
	return ret->name[0];
}

void facts_score(const struct netaddr *client, const struct fact_lists *lists, uint64_t ms,
		 struct fact_score *ret)
{
	(void)pthread_mutex_lock(&facts.lock);
	struct fact *f = want(FACT_LISTS, octets(client), client, lists);
	await(f, ms);
	*ret = f->score; /* of those that have answered */
	(void)pthread_mutex_unlock(&facts.lock);
}

bool facts_passed(const struct netaddr *client)
{
	(void)pthread_mutex_lock(&facts.lock);
	bool passed = find(FACT_PASSED, octets(client)) != NULL;
	(void)pthread_mutex_unlock(&facts.lock);
	return passed;
}

void facts_pass(const struct netaddr *client, uint64_t ms)
{
	(void)pthread_mutex_lock(&facts.lock);
	struct fact *f = find(FACT_PASSED, octets(client));
	if (!f)
		f = make(FACT_PASSED, octets(client));
	f->ready = true;
	f->until = mono_add_ms(clock_mono(), ms);
	(void)pthread_mutex_unlock(&facts.lock);
}
