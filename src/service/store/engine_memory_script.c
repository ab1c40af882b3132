/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_memory_script.c - Sieve scripts of the in-memory engine: records by account and a number;
 * the bytes are a head and the name, a NUL and the text.
 */
#include "service/store/engine_memory.h"
#include <stdlib.h>

struct head {
	int64_t changed;
	bool active;
};

static struct head head_of(const struct record *r)
{
	struct head h;
	memcpy(&h, r->p, sizeof h);
	return h;
}

static struct str rest_of(const struct record *r)
{
	return str_skip(str_make(r->p, r->n), sizeof(struct head));
}

static struct str name_of(const struct record *r)
{
	struct str all = rest_of(r);
	return str_sub(all, 0, str_find(all, 0, '\0'));
}

static struct str text_of(const struct record *r)
{
	return str_skip(rest_of(r), name_of(r).n + 1);
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(name_of(*(struct record *const *)a), name_of(*(struct record *const *)b));
}

int mem_script_each(struct engine *e, struct account_id a, bool texts, script_fn fn, void *arg,
		    struct fail *why)
{
	VEC(const struct record *) v = {0};
	size_t i = mem_lower(e, SCRIPT, &KEY(a.v));
	int res = 0;
	(void)why;
	for (const struct record *r; (r = mem_next(e, SCRIPT, a, &i));)
		*vec_push(&v) = r;
	if (v.n > 0)
		qsort(v.p, v.n, sizeof *v.p, by_name);
	for (size_t k = 0; res >= 0 && k < v.n; k++) {
		struct head h = head_of(v.p[k]);
		struct str text = text_of(v.p[k]);
		struct row_script row = {.account = a,
					 .name = name_of(v.p[k]),
					 .text = texts ? text : STR_NULL,
					 .size = text.n,
					 .active = h.active,
					 .changed = {h.changed}};
		res = fn(arg, &row);
	}
	vec_clear(&v);
	return MIN(res, 0);
}

static struct record *find(struct engine *e, struct account_id a, struct str name)
{
	size_t i = mem_lower(e, SCRIPT, &KEY(a.v));
	struct record *r;
	while ((r = mem_next(e, SCRIPT, a, &i)) && !str_eq(name_of(r), name))
		continue;
	return r;
}

/* Write a record anew; the texts may be its own. */
static void put(struct engine *e, struct key k, struct head h, struct str name, struct str text)
{
	AUTO(buf) struct buf b = BUF_INIT(MIB(8));
	buf_add(&b, name);
	buf_addc(&b, '\0');
	buf_add(&b, text);
	CHECK(!b.failed);
	mem_put(e, SCRIPT, k, ROW(h), buf_str(&b));
}

int mem_script_put(struct engine *e, const struct row_script *row, struct fail *why)
{
	const struct record *r = find(e, row->account, row->name);
	struct head h;
	(void)why;
	memset(&h, 0, sizeof h);
	h.changed = row->changed.v;
	h.active = row->active;
	put(e, r ? r->key : KEY(row->account.v, e->next_id++), h, row->name, row->text);
	return 0;
}

int mem_script_set_active(struct engine *e, struct account_id a, struct str name, bool on,
			  struct fail *why)
{
	const struct record *r = find(e, a, name);
	(void)why;
	if (!r)
		return 0;
	struct head h = head_of(r);
	h.active = on;
	put(e, r->key, h, name_of(r), text_of(r));
	return 0;
}

int mem_script_rename(struct engine *e, struct account_id a, struct str name, struct str to,
		      struct fail *why)
{
	const struct record *r = find(e, a, name);
	(void)why;
	if (r)
		put(e, r->key, head_of(r), to, text_of(r));
	return 0;
}

int mem_script_remove(struct engine *e, struct account_id a, struct str name, struct fail *why)
{
	const struct record *r = find(e, a, name);
	(void)why;
	if (r)
		mem_drop(e, SCRIPT, r->key);
	return 0;
}
