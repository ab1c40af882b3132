/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rules want to know of dir, remembered for a moment: the same few domains, lists and logins
 * are asked about again and again. An answer is at most RULES_KEEP_MS old, so an edit by another
 * program counts as soon as everywhere; orders of barid's make all of it forgotten at once.
 */
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "roles/mta/rules.h"
#include "roles/role/ask_dns.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include <pthread.h>
#include <stdlib.h>

COUNTER(remembered, "policy.facts-known",
	"questions of rules about accounts whose answer was there");
COUNTER(wanted, "policy.facts-asked", "questions of rules about accounts that dir was asked");
COUNTER(crowded, "policy.dns-crowded",
	"questions of rules to the DNS that were not waited for: too many wait");

#define FACTS_MAX 20000u
#define KEY_MAX	  700u
#define DIR_MS	  5000u
#define DNS_MAX	  (MTA_THREADS / 4) /* threads that wait for name servers, which are strangers' */

struct fact {
	struct list link; /* the oldest first */
	struct str key;
	struct mono_ns until;
	union {
		struct policy_domain_facts domain;
		struct policy_access_facts access;
		struct policy_login_facts login;
	};
	struct str text; /* domain.target or access.why, behind the struct */
	char bytes[];
};

static struct {
	pthread_mutex_t lock;
	struct strmap map;
	struct list order;
	uint64_t age; /* changes when all was forgotten: an answer that was under way is not kept */
} facts = {.lock = PTHREAD_MUTEX_INITIALIZER, .order = {&facts.order, &facts.order}};

static void forget(struct fact *f)
{
	(void)strmap_remove(&facts.map, f->key);
	list_remove(&f->link);
	free(f);
}

void rules_forget_facts(void)
{
	pthread_mutex_lock(&facts.lock);
	LIST_EACH (&facts.order, it)
		forget(CONTAINER_OF(it, struct fact, link));
	facts.age++;
	pthread_mutex_unlock(&facts.lock);
}

/* A copy of what is known, its text in the arena. */
static bool find(struct str key, struct arena *a, struct fact *ret)
{
	pthread_mutex_lock(&facts.lock);
	struct fact *f = strmap_get(&facts.map, key);
	if (f && mono_before(f->until, clock_mono())) {
		forget(f);
		f = NULL;
	}
	if (f) {
		*ret = *f;
		ret->text = a ? arena_str(a, f->text) : STR("");
	}
	pthread_mutex_unlock(&facts.lock);
	counter_add(f ? &remembered : &wanted, 1);
	return f != NULL;
}

static uint64_t age(void)
{
	pthread_mutex_lock(&facts.lock);
	uint64_t v = facts.age;
	pthread_mutex_unlock(&facts.lock);
	return v;
}

static void keep(struct str key, const struct fact *what, uint64_t asked_at)
{
	struct fact *f = xcalloc(1, sizeof *f + key.n + what->text.n);
	*f = *what;
	memcpy(f->bytes, key.p, key.n);
	if (what->text.n)
		memcpy(f->bytes + key.n, what->text.p, what->text.n);
	f->key = str_make(f->bytes, key.n);
	f->text = str_make(f->bytes + key.n, what->text.n);
	f->until = mono_add_ms(clock_mono(), RULES_KEEP_MS);
	pthread_mutex_lock(&facts.lock);
	struct fact *before = strmap_get(&facts.map, key);
	if (before)
		forget(before);
	if (facts.map.n >= FACTS_MAX)
		forget(CONTAINER_OF(facts.order.next, struct fact, link));
	if (facts.age == asked_at) {
		(void)strmap_put(&facts.map, f->key, f);
		list_append(&facts.order, &f->link);
		f = NULL;
	}
	pthread_mutex_unlock(&facts.lock);
	free(f);
}

/* Names what is asked: a letter, and one or two texts without control characters. */
static bool key_of(struct buf *b, char kind, struct str one, struct str two)
{
	(void)buf_addc(b, kind);
	(void)buf_add(b, one);
	(void)buf_addc(b, '\n');
	return buf_add(b, two) == 0;
}

/* Once more when dir died under it: these questions change nothing. */
static int ask_dir(struct rules_asker *a, struct ipc_question *q, struct ipc_packet **ret,
		   struct fail *why)
{
	struct ipc_channel *dir = role_peer(mta.role, "dir", 0);
	if (a->nowait) {
		a->busy = true;
		return -FAIL_BUSY;
	}
	q->trace = a->trace;
	q->deadline_ms = DIR_MS;
	int r = ipc_call(dir, q, ret, why);
	return r == -FAIL_PEER ? ipc_call(dir, q, ret, why) : r;
}

static int domain_kind(void *ctx, struct str name, struct arena *a, struct policy_domain_facts *ret,
		       struct fail *why)
{
	AUTO(buf) struct buf key = BUF_INIT(KEY_MAX);
	struct fact f = {0};
	struct msg_policy_domain m = {.domain = name};
	struct msg_policy_domain_reply reply;
	struct ipc_packet *p = NULL;
	struct ipc_question q = {
		.type = IPC_POLICY_DOMAIN, .msg = &m, .want = IPC_POLICY_DOMAIN_REPLY};
	*ret = (struct policy_domain_facts){.kind = POLICY_DOMAIN_FOREIGN};
	if (name.n > 255 || !key_of(&key, 'd', name, STR("")))
		return 0;
	if (find(buf_str(&key), a, &f)) {
		*ret = f.domain;
		ret->target = f.text;
		return 0;
	}
	uint64_t asked_at = age();
	int r = ask_dir(ctx, &q, &p, why);
	if (r == 0 &&
	    (msg_policy_domain_reply_read(p, &reply) < 0 || reply.kind > POLICY_DOMAIN_BACKUP_MX))
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	if (r == 0) {
		f.domain.kind = ret->kind = (enum policy_domain)reply.kind;
		f.text = ret->target = arena_str(a, reply.target);
		keep(buf_str(&key), &f, asked_at);
	}
	ipc_packet_free(p);
	return r;
}

/* Most addresses are no lists: that is remembered whoever writes to them. */
static int list_access(void *ctx, struct str recipient, struct str sender, struct arena *a,
		       struct policy_access_facts *ret, struct fail *why)
{
	AUTO(buf) struct buf anybody = BUF_INIT(KEY_MAX), somebody = BUF_INIT(KEY_MAX);
	struct fact f = {0};
	struct msg_policy_access m = {.recipient = recipient, .sender = sender};
	struct msg_policy_access_reply reply;
	struct ipc_packet *p = NULL;
	struct ipc_question q = {
		.type = IPC_POLICY_ACCESS, .msg = &m, .want = IPC_POLICY_ACCESS_REPLY};
	*ret = (struct policy_access_facts){.access = POLICY_ACCESS_NONE};
	if (recipient.n > 320 || sender.n > 320 || !key_of(&anybody, 'l', recipient, STR("")) ||
	    !key_of(&somebody, 'a', recipient, sender))
		return 0;
	if (find(buf_str(&anybody), a, &f) || find(buf_str(&somebody), a, &f)) {
		*ret = f.access;
		ret->why = f.text;
		return 0;
	}
	uint64_t asked_at = age();
	int r = ask_dir(ctx, &q, &p, why);
	if (r == 0 &&
	    (msg_policy_access_reply_read(p, &reply) < 0 || reply.access > POLICY_ACCESS_DISABLED))
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	if (r == 0) {
		f.access.access = ret->access = (enum policy_access)reply.access;
		f.text = ret->why = arena_str(a, reply.why);
		bool none = ret->access == POLICY_ACCESS_NONE;
		keep(none ? buf_str(&anybody) : buf_str(&somebody), &f, asked_at);
	}
	ipc_packet_free(p);
	return r;
}

static int login_facts(void *ctx, struct str user, struct str sender,
		       struct policy_login_facts *ret, struct fail *why)
{
	AUTO(buf) struct buf key = BUF_INIT(KEY_MAX);
	struct fact f = {0};
	struct msg_policy_login m = {.login = user, .sender = sender};
	struct msg_policy_login_reply reply;
	struct ipc_packet *p = NULL;
	struct ipc_question q = {
		.type = IPC_POLICY_LOGIN, .msg = &m, .want = IPC_POLICY_LOGIN_REPLY};
	*ret = (struct policy_login_facts){0};
	if (user.n > 320 || sender.n > 320 || !key_of(&key, 'u', user, sender))
		return 0;
	if (find(buf_str(&key), NULL, &f)) {
		*ret = f.login;
		return 0;
	}
	uint64_t asked_at = age();
	int r = ask_dir(ctx, &q, &p, why);
	if (r == 0 && msg_policy_login_reply_read(p, &reply) < 0)
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	if (r == 0) {
		*ret = (struct policy_login_facts){.known = reply.known,
						   .may_send = reply.may_send,
						   .list_member = reply.list_member,
						   .password_age_s = reply.password_age_s};
		f.login = *ret;
		keep(buf_str(&key), &f, asked_at);
	}
	ipc_packet_free(p);
	return r;
}

static void dns(void *ctx, struct str name, enum dns_type type, unsigned wait_ms, struct arena *a,
		struct dns_answer *ret)
{
	static _Atomic unsigned waiting;
	struct rules_asker *asker = ctx;
	struct fail why = FAIL_INIT;
	bool full = ++waiting > DNS_MAX;
	struct dns_errand e = {.name = name,
			       .type = (uint16_t)type,
			       .trace = asker->trace,
			       .wait_ms = asker->nowait || full ? 0 : wait_ms};
	int r = role_resolve(mta.role, &e, a, ret, &why);
	waiting--;
	if (r == 0)
		return;
	counter_add(&crowded, full && !asker->nowait);
	*ret = (struct dns_answer){.outcome = DNS_FAILED};
	asker->busy |= asker->nowait;
}

struct policy_ask rules_ask(struct rules_asker *a)
{
	return (struct policy_ask){.ctx = a,
				   .domain = domain_kind,
				   .access = list_access,
				   .login = login_facts,
				   .dns = dns};
}
