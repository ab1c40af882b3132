/* SPDX-License-Identifier: Apache-2.0 */
#include "login_cache.h"

#include "base/check.h"
#include "password_int.h"
#include "sys/clock.h"
#include "sys/rand.h"
#include "sys/secret.h"
#include <pthread.h>

enum { TAG_LEN = 32, WAYS = 4, SETS_FIRST = 1024 };

struct entry {
	uint8_t tag[TAG_LEN];
	struct mono_ns until; /* 0 = free */
};

/* A set of WAYS neighbours is chosen by the tag's first bytes; the oldest of a set makes room. */
struct login_cache {
	pthread_mutex_t lock;
	struct secret key;
	struct entry *entries;
	size_t sets, sets_max;
	int64_t ttl_ns;
};

struct login_cache *login_cache_new(unsigned max, unsigned ttl_s)
{
	struct login_cache *c = xcalloc(1, sizeof *c);

	(void)pthread_mutex_init(&c->lock, NULL);
	secret_init(&c->key, TAG_LEN);
	rand_bytes(c->key.p, c->key.n);
	c->sets_max = (max + WAYS - 1) / WAYS;
	c->sets = MIN(c->sets_max, (size_t)SETS_FIRST);
	c->entries = xcalloc(MAX(c->sets, (size_t)1) * WAYS, sizeof *c->entries);
	c->ttl_ns = ttl_s * SEC_NS;
	return c;
}

void login_cache_free(struct login_cache *c)
{
	if (!c)
		return;
	secret_clear(&c->key);
	(void)pthread_mutex_destroy(&c->lock);
	free(c->entries);
	free(c);
}

static bool make_tag(const struct login_cache *c, struct str username, struct str stored,
		     struct str password, uint8_t tag[TAG_LEN])
{
	AUTO(buf) struct buf text = BUF_INIT(8192);

	if (c->sets == 0)
		return false;
	(void)buf_put_u32(&text, (uint32_t)username.n);
	(void)buf_put_u32(&text, (uint32_t)stored.n);
	(void)buf_add(&text, username);
	(void)buf_add(&text, stored);
	(void)buf_add(&text, password);
	bool ok = !text.failed &&
		  digest_hmac(DIGEST_SHA256, secret_str(&c->key), buf_str(&text), tag, NULL) == 0;
	if (text.p)
		explicit_bzero(text.p, text.n);
	return ok;
}

static struct entry *set_of(const struct login_cache *c, const uint8_t tag[TAG_LEN])
{
	uint64_t h;

	memcpy(&h, tag, sizeof h);
	return &c->entries[h % c->sets * WAYS];
}

static bool same_tag(const struct entry *e, const uint8_t tag[TAG_LEN])
{
	return bytes_equal(str_make((const char *)e->tag, TAG_LEN),
			   str_make((const char *)tag, TAG_LEN));
}

/* Where a tag is written: over itself, else what ends first. */
static struct entry *place_of(const struct login_cache *c, const uint8_t tag[TAG_LEN])
{
	struct entry *set = set_of(c, tag);
	struct entry *at = set;
	for (unsigned i = 0; i < WAYS; i++) {
		if (same_tag(&set[i], tag))
			return &set[i];
		if (mono_before(set[i].until, at->until))
			at = &set[i];
	}
	return at;
}

/* Most servers never need the whole table; with the lock held. */
static void grow(struct login_cache *c)
{
	struct entry *old = c->entries;
	size_t n = c->sets * WAYS;
	c->sets = MIN(c->sets * 4, c->sets_max);
	c->entries = xcalloc(c->sets * WAYS, sizeof *c->entries);
	for (size_t i = 0; i < n; i++)
		if (old[i].until.v)
			*place_of(c, old[i].tag) = old[i];
	free(old);
}

bool login_cache_has(struct login_cache *c, struct str username, struct str stored,
		     struct str password)
{
	uint8_t tag[TAG_LEN];
	bool found = false;

	if (!make_tag(c, username, stored, password, tag))
		return false;
	struct mono_ns now = clock_mono();
	(void)pthread_mutex_lock(&c->lock);
	const struct entry *set = set_of(c, tag);
	for (unsigned i = 0; i < WAYS; i++)
		found |= mono_before(now, set[i].until) && same_tag(&set[i], tag);
	(void)pthread_mutex_unlock(&c->lock);
	return found;
}

void login_cache_add(struct login_cache *c, struct str username, struct str stored,
		     struct str password)
{
	uint8_t tag[TAG_LEN];

	if (!make_tag(c, username, stored, password, tag))
		return;
	(void)pthread_mutex_lock(&c->lock);
	struct entry *at = place_of(c, tag);
	if (mono_before(clock_mono(), at->until) && !same_tag(at, tag) && c->sets < c->sets_max) {
		grow(c);
		at = place_of(c, tag);
	}
	memcpy(at->tag, tag, TAG_LEN);
	at->until = (struct mono_ns){clock_mono().v + c->ttl_ns};
	(void)pthread_mutex_unlock(&c->lock);
}
