/* SPDX-License-Identifier: Apache-2.0 */
/*
 * texts.c - all messages of a partition in the order of their ids, for an index of their texts.
 *
 * The partition is held for a few messages at a time: commits wait for no more than that.
 */
#include "service/store/store_int.h"

#define TEXTS_BYTES KIB(256)
#define TEXTS_MAX   16 /* with the partition held */

struct ids {
	struct account_id account[TEXTS_MAX];
	uint64_t id[TEXTS_MAX];
	size_t n;
};

static int take_id(void *arg, struct account_id a, uint64_t id)
{
	struct ids *ids = arg;
	ids->account[ids->n] = a;
	ids->id[ids->n++] = id;
	return 0;
}

/* 1 = it is there. A body that cannot be had is no failure of the whole. */
static int read_text(struct part *p, struct account_id a, uint64_t id, struct arena *arena,
		     struct store_text *ret, struct fail *why)
{
	const struct engine_ops *ops = p->store->ops;
	struct row_message m;
	struct row_body body;
	int r = ops->message_get(p->e, a, id, STORE_COL_PREFIX | STORE_COL_MAP, &m, why);
	if (r <= 0)
		return r;
	*ret = (struct store_text){.id = {id},
				   .account = a,
				   .size = m.size,
				   .prefix = arena_str(arena, m.prefix),
				   .map = arena_str(arena, m.map),
				   .body = STORE_SOURCE_INIT};
	if ((m.prefix.n && !ret->prefix.p) || (m.map.n && !ret->map.p))
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	r = ops->body_get(p->e, a, m.body, &body, why);
	if (r < 0)
		return r;
	r = r == 0 ? -FAIL_CORRUPT : body_open(p, a, &body, arena, &ret->body, why);
	if (r == -FAIL_LIMIT || r == -FAIL_IO)
		return r;
	ret->unreadable = r < 0;
	return 1;
}

int store_texts(struct store *s, const struct store_span *span, struct arena *arena,
		struct store_text *ret, size_t *ret_n, struct fail *why)
{
	struct part *p;
	struct ids ids = {0};
	size_t n = 0;
	int r = part_by_number(s, span->partition, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = s->ops->message_range(p->e, span->from, span->to, MIN(span->max, (size_t)TEXTS_MAX),
				  take_id, &ids, why);
	for (size_t i = 0; r >= 0 && i < ids.n && arena->used < TEXTS_BYTES; i++) {
		r = read_text(p, ids.account[i], ids.id[i], arena, &ret[n], why);
		n += r > 0;
	}
	part_leave(p);
	for (size_t i = 0; r < 0 && i < n; i++)
		store_source_clear(&ret[i].body);
	*ret_n = n;
	return r < 0 ? r : 0;
}

struct some_ids {
	struct account_id account;
	uint64_t *p;
	size_t n, max;
};

static int take_some(void *arg, struct account_id a, uint64_t id)
{
	struct some_ids *x = arg;
	if (x->n < x->max && (x->account.v == 0 || x->account.v == a.v))
		x->p[x->n++] = id;
	return 0;
}

int store_message_ids(struct store *s, const struct store_span *span, uint64_t *ret, size_t *ret_n,
		      struct fail *why)
{
	struct part *p;
	struct some_ids x = {span->account, ret, 0, span->max};
	int r = part_by_number(s, span->partition, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = s->ops->message_range(p->e, span->from, span->to, x.account.v ? SIZE_MAX : span->max,
				  take_some, &x, why);
	part_leave(p);
	*ret_n = x.n;
	return r < 0 ? r : 0;
}

/* 0 for a partition that was never written. */
static int ask_part(struct store *s, uint64_t partition,
		    int (*fn)(struct engine *e, uint64_t *ret, struct fail *why), uint64_t *ret,
		    struct fail *why)
{
	struct part *p;
	bool there = false;
	*ret = 0;
	int r = part_by_number(s, partition, &p, why);
	if (r < 0 || (r = part_is_there(p, &there, why)) < 0 || !there ||
	    (r = part_enter(p, why)) < 0)
		return r;
	r = fn(p->e, ret, why);
	part_leave(p);
	return r < 0 ? r : 0;
}

int store_message_last(struct store *s, uint64_t partition, uint64_t *ret, struct fail *why)
{
	return ask_part(s, partition, s->ops->message_last, ret, why);
}

int store_partition_identity(struct store *s, uint64_t partition, uint64_t *ret, struct fail *why)
{
	return ask_part(s, partition, s->ops->identity, ret, why);
}
