/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/role/ask_dns.h"
#include "base/list.h"
#include "base/map.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_S	      300u
#define KEEP_FAILED_S 5u
#define CACHE_MAX     MIB(8)
#define TRIES	      3

COUNTER(hits, "dns.cache-hits", "questions that this role knew the answer of");
COUNTER(misses, "dns.cache-misses", "questions that went to the dns role");

/*
 * An answer, in one block of memory: the fields, the key, canonical name and reason, and for each
 * record its size and its bytes.
 */
struct kept {
	struct list link; /* in the order of use */
	struct mono_ns begun, until;
	struct dns_answer answer;
	struct str key;
	size_t size;
};

static struct {
	pthread_mutex_t lock;
	struct strmap map;
	struct list order; /* the least recently used first */
	size_t size;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER, .order = LIST_INIT(cache.order)};

static void drop(struct kept *k)
{
	(void)strmap_remove(&cache.map, k->key);
	list_remove(&k->link);
	cache.size -= k->size;
	free(k);
}

static bool copy(const struct dns_answer *from, struct arena *a, struct dns_answer *ret)
{
	struct dns_answer c = *from;
	c.canonical = arena_str(a, from->canonical);
	c.why = arena_str(a, from->why);
	c.records = arena_array(a, struct str, from->n ? from->n : 1);
	if (!c.records || !c.canonical.p != !from->canonical.p || !c.why.p != !from->why.p)
		return false;
	for (size_t i = 0; i < from->n; i++) {
		c.records[i] = arena_str(a, from->records[i]);
		if (!c.records[i].p && from->records[i].n)
			return false;
	}
	*ret = c;
	return true;
}

static bool look(struct str key, struct arena *a, struct dns_answer *ret)
{
	struct mono_ns now = clock_mono();
	bool good = false;
	(void)pthread_mutex_lock(&cache.lock);
	struct kept *k = strmap_get(&cache.map, key);
	if (k && !mono_before(now, k->until)) {
		drop(k);
		k = NULL;
	}
	if (k && copy(&k->answer, a, ret)) {
		uint64_t old = (uint64_t)((now.v - k->begun.v) / SEC_NS);
		ret->ttl -= (uint32_t)MIN(old, (uint64_t)ret->ttl);
		list_remove(&k->link);
		list_append(&cache.order, &k->link);
		good = true;
	}
	(void)pthread_mutex_unlock(&cache.lock);
	return good;
}

static struct str put(char **at, struct str s)
{
	struct str copied = {*at, s.n};
	memcpy(*at, s.n ? s.p : "", s.n);
	*at += s.n;
	return copied;
}

static struct kept *pack(struct str key, const struct dns_answer *answer)
{
	size_t size = sizeof(struct kept) + key.n + answer->canonical.n + answer->why.n +
		      answer->n * sizeof(struct str);
	for (size_t i = 0; i < answer->n; i++)
		size += answer->records[i].n;
	struct kept *k = xcalloc(1, size);
	struct str *records = (struct str *)(k + 1);
	char *at = (char *)(records + answer->n);
	*k = (struct kept){.answer = *answer, .size = size};
	k->answer.records = records;
	k->key = put(&at, key);
	k->answer.canonical = put(&at, answer->canonical);
	k->answer.why = put(&at, answer->why);
	for (size_t i = 0; i < answer->n; i++)
		records[i] = put(&at, answer->records[i]);
	return k;
}

static void keep(struct str key, const struct dns_answer *answer)
{
	uint32_t seconds = dns_is_known(answer->outcome) ? MIN(answer->ttl, KEEP_S) : KEEP_FAILED_S;
	if (seconds == 0)
		return;
	struct kept *k = pack(key, answer);
	list_init(&k->link);
	k->begun = clock_mono();
	k->until = (struct mono_ns){k->begun.v + (int64_t)seconds * SEC_NS};
	(void)pthread_mutex_lock(&cache.lock);
	struct kept *before = strmap_get(&cache.map, k->key);
	if (before)
		drop(before);
	(void)strmap_put(&cache.map, k->key, k);
	list_append(&cache.order, &k->link);
	cache.size += k->size;
	while (cache.size > CACHE_MAX)
		drop(CONTAINER_OF(cache.order.next, struct kept, link));
	(void)pthread_mutex_unlock(&cache.lock);
}

/* --- asking
 * ------------------------------------------------------------------------------------ */

static int read_answer(struct ipc_packet *p, struct arena *a, struct dns_answer *ret,
		       struct fail *why)
{
	struct msg_resolved m;
	if (msg_resolved_read(p, &m) < 0 || m.outcome >= DNS_OUTCOMES)
		return fail_set(why, FAIL_PEER, NULL, "dns does not answer as it should");
	struct str *records = arena_array(a, struct str, m.records_n ? m.records_n : 1);
	for (size_t i = 0; records && i < m.records_n; i++)
		records[i] = m.records[i].b;
	struct dns_answer borrowed = {.outcome = (enum dns_outcome)m.outcome,
				      .secure = m.secure,
				      .ttl = m.ttl,
				      .canonical = m.canonical,
				      .records = records,
				      .n = m.records_n,
				      .why = m.why};
	if (!records || !copy(&borrowed, a, ret))
		return fail_set(why, FAIL_LIMIT, NULL, "no room for an answer of the name service");
	return 0;
}

static int ask(struct role *role, const struct dns_errand *what, struct arena *a,
	       struct dns_answer *ret, struct fail *why)
{
	struct msg_resolve m = {.name = what->name, .type = what->type};
	struct ipc_question q = {.type = IPC_RESOLVE,
				 .msg = &m,
				 .want = IPC_RESOLVED,
				 .trace = what->trace,
				 .deadline_ms = what->wait_ms};
	struct ipc_packet *p = NULL;
	int r = -FAIL_PEER;
	/* Its death with the question is no news: it is there again at once. */
	for (int i = 0; i < TRIES && r == -FAIL_PEER; i++)
		r = ipc_call(role_peer(role, "dns", 0), &q, &p, why);
	if (r == 0)
		r = read_answer(p, a, ret, why);
	ipc_packet_free(p);
	return r;
}

int role_resolve(struct role *role, const struct dns_errand *what, struct arena *a,
		 struct dns_answer *ret, struct fail *why)
{
	char key[DNS_NAME_MAX + 8];
	struct str name = what->name;
	uint16_t type = what->type;
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (!dns_name_ok(name)) {
		*ret = (struct dns_answer){.outcome = DNS_NXDOMAIN, .why = STR("not a name")};
		return 0;
	}
	memcpy(key, &type, sizeof type);
	for (size_t i = 0; i < name.n; i++)
		key[sizeof type + i] = ascii_lower(name.p[i]);
	struct str k = str_make(key, sizeof type + name.n);
	if (look(k, a, ret)) {
		counter_add(&hits, 1);
		return 0;
	}
	if (what->wait_ms == 0)
		return fail_set(why, FAIL_DEADLINE, NULL, "the name service takes too long");
	counter_add(&misses, 1);
	struct dns_errand plain = *what;
	plain.name = name;
	int r = ask(role, &plain, a, ret, why);
	if (r == 0)
		keep(k, ret);
	return r;
}
