/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_memory_note.c - annotations of the in-memory engine: records by account, mailbox, viewer
 * and a number; the bytes are the name, a NUL and the value.
 */
#include "service/store/engine_memory.h"

static struct str entry_of(const struct record *r)
{
	struct str all = str_make(r->p, r->n);
	return str_sub(all, 0, str_find(all, 0, '\0'));
}

static struct str value_of(const struct record *r)
{
	return str_skip(str_make(r->p, r->n), entry_of(r).n + 1);
}

/* The next of a mailbox from *i on; NULL behind the last. */
static struct record *next_of(const struct engine *e, struct account_id a, struct mailbox_id m,
			      size_t *i)
{
	struct record *r = mem_next(e, ANNOTATION, a, i);
	return r && r->key.v[1] == m.v ? r : NULL;
}

int mem_annotation_each(struct engine *e, const struct row_annotation *of, annotation_fn fn,
			void *arg, struct fail *why)
{
	size_t i = mem_lower(e, ANNOTATION, &KEY(of->account.v, of->mailbox.v));
	(void)why;
	for (const struct record *r; (r = next_of(e, of->account, of->mailbox, &i));) {
		if (r->key.v[2] != 0 && r->key.v[2] != of->viewer.v)
			continue;
		int res = fn(arg, entry_of(r), value_of(r));
		if (res < 0)
			return res;
	}
	return 0;
}

static void put(struct engine *e, struct key k, struct str entry, struct str value)
{
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	buf_add(&b, entry);
	buf_addc(&b, '\0');
	buf_add(&b, value);
	CHECK(!b.failed);
	mem_put(e, ANNOTATION, k, buf_str(&b), STR_NULL);
}

int mem_annotation_set(struct engine *e, const struct row_annotation *row, struct fail *why)
{
	size_t i = mem_lower(e, ANNOTATION, &KEY(row->account.v, row->mailbox.v));
	struct key k = KEY(row->account.v, row->mailbox.v, row->viewer.v, e->next_id);
	(void)why;
	for (const struct record *r; (r = next_of(e, row->account, row->mailbox, &i));)
		if (r->key.v[2] == row->viewer.v && str_eq(entry_of(r), row->entry))
			k = r->key;
	if (row->value.p)
		put(e, k, row->entry, row->value);
	else if (k.v[3] != e->next_id)
		mem_drop(e, ANNOTATION, k);
	e->next_id++;
	return 0;
}

int mem_annotation_copy(struct engine *e, struct account_id a, struct mailbox_id from,
			struct mailbox_id to, struct fail *why)
{
	size_t i = mem_lower(e, ANNOTATION, &KEY(a.v, from.v));
	VEC(struct record) v = {0};
	(void)why;
	for (const struct record *r; (r = next_of(e, a, from, &i));)
		*vec_push(&v) = *r;
	for (size_t k = 0; k < v.n; k++)
		mem_put(e, ANNOTATION, KEY(a.v, to.v, v.p[k].key.v[2], e->next_id++),
			str_make(v.p[k].p, v.p[k].n), STR_NULL);
	vec_clear(&v);
	return 0;
}

int mem_annotation_usage(struct engine *e, struct account_id a, struct account_id viewer,
			 uint64_t *ret_n, uint64_t *ret_bytes, struct fail *why)
{
	size_t i = mem_lower(e, ANNOTATION, &KEY(a.v));
	uint64_t n = 0, bytes = 0;
	(void)why;
	for (const struct record *r; (r = mem_next(e, ANNOTATION, a, &i));) {
		if (r->key.v[2] != viewer.v && (viewer.v || r->key.v[2] != a.v))
			continue;
		n++;
		bytes += r->n - 1;
	}
	*ret_n = n;
	*ret_bytes = bytes;
	return 0;
}

void mem_annotation_drop(struct engine *e, struct account_id a, struct mailbox_id m)
{
	struct key first = KEY(a.v, m.v);
	size_t i;
	while ((i = mem_lower(e, ANNOTATION, &first)) < e->t[ANNOTATION].n &&
	       e->t[ANNOTATION].p[i].key.v[0] == a.v && e->t[ANNOTATION].p[i].key.v[1] == m.v)
		mem_drop(e, ANNOTATION, e->t[ANNOTATION].p[i].key);
}
