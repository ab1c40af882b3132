/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread.c - which messages belong together (RFC 8474 5.2, RFC 8621 section 3).
 *
 * Two messages are in one thread when they share a Message-ID, In-Reply-To or References value and
 * the base subject. Each such pair is a key: the first eight bytes of a hash of both. A message
 * joins the oldest thread that has one of its keys, or begins one; its other keys then lead to the
 * same thread. A thread once given never changes, so two that turn out to belong together stay two.
 */
#include "codec/mime/map.h"
#include "codec/mime/subject.h"
#include "service/store/store_int.h"
#include "sys/sha256.h"

#define SUBJECT_MAX KIB(2)
#define ID_MAX	    998
#define MAP_ARENA   MIB(16)

/* Cut the next "<...>" off *rest. */
static bool next_id(struct str *rest, struct str *ret)
{
	for (;;) {
		size_t open = str_find(*rest, 0, '<');
		size_t end = str_find(*rest, open, '>');
		if (end >= rest->n)
			return false;
		*ret = str_sub(*rest, open + 1, end);
		*rest = str_skip(*rest, end + 1);
		if (ret->n > 0 && ret->n <= ID_MAX)
			return true;
	}
}

static uint64_t key_of(struct str id, struct str subject)
{
	unsigned char sum[SHA256_LEN];
	char text[ID_MAX + 1 + SUBJECT_MAX];
	memcpy(text, id.p, id.n);
	text[id.n] = '\0';
	if (subject.n)
		memcpy(text + id.n + 1, subject.p, subject.n);
	sha256_of(str_make(text, id.n + 1 + subject.n), sum);
	uint64_t key = 0;
	for (unsigned i = 0; i < 8; i++)
		key = key << 8 | sum[i];
	return key;
}

static void add_key(struct thread_keys *keys, size_t max, struct str id, struct str subject)
{
	uint64_t key = key_of(id, subject);
	for (size_t i = 0; i < keys->n; i++)
		if (keys->key[i] == key)
			return;
	if (keys->n < max)
		keys->key[keys->n++] = key;
}

static void add_ids(struct thread_keys *keys, size_t max, struct str text, struct str subject)
{
	struct str id;
	while (keys->n < max && next_id(&text, &id))
		add_key(keys, max, id, subject);
}

/* The root is the first reference and the nearest relatives are the last ones: of many, those. */
static void add_references(struct thread_keys *keys, struct str text, struct str subject)
{
	struct str last[THREAD_KEYS_MAX / 2], id;
	size_t n = 0;
	add_ids(keys, keys->n + 1, text, subject);
	while (next_id(&text, &id))
		last[n++ % ARRAY_LEN(last)] = id;
	for (size_t i = 0; i < MIN(n, ARRAY_LEN(last)); i++)
		add_key(keys, THREAD_KEYS_MAX, last[i], subject);
}

void thread_keys_of(const struct store_content *c, struct thread_keys *ret)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MAP_ARENA);
	AUTO(buf) struct buf subject = BUF_INIT(SUBJECT_MAX);
	struct mime_map *map;
	ret->n = 0;
	/* Without a map that can be read a message stands alone. */
	if (mime_map_read(c->map, c->file ? c->file->size : c->bytes.n, &arena, &map, NULL) < 0)
		return;
	subject_base(&subject, str_sub(map->subject, 0, SUBJECT_MAX - 1));
	struct str base = buf_str(&subject);
	add_ids(ret, 1, map->message_id, base);
	add_ids(ret, THREAD_KEYS_MAX / 4, map->in_reply_to, base);
	add_references(ret, map->references, base);
}

int tx_thread_find(struct tx *tx, struct account_id a, struct thread_keys *keys, uint64_t *ret,
		   struct fail *why)
{
	*ret = 0;
	for (size_t i = 0; i < keys->n; i++) {
		uint64_t *thread = &keys->thread[i];
		int r = tx->ops->thread_find(tx->e, a, keys->key[i], thread, why);
		if (r < 0)
			return r;
		if (*thread && (*ret == 0 || *thread < *ret))
			*ret = *thread;
	}
	return 0;
}

int tx_thread_add(struct tx *tx, struct account_id a, const struct thread_keys *keys,
		  uint64_t thread, struct fail *why)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (keys->thread[i])
			continue;
		int r = tx->ops->thread_add(tx->e, a, keys->key[i], thread, why);
		if (r < 0)
			return r;
	}
	return 0;
}
