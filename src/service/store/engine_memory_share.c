/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_memory_share.c - the model of an engine: who may do what with a mailbox, and the flags
 * that a viewer has of his own.
 */
#include "service/store/engine_memory.h"

/* A record is this and the identifier; its key ends with a number of its own. */
struct fixed {
	struct account_id subject;
	uint32_t rights;
};

static struct str acl_identifier(const struct record *r)
{
	return str_make(r->p + sizeof(struct fixed), r->n - sizeof(struct fixed));
}

static int by_identifier(const void *a, const void *b)
{
	const struct record *x = *(struct record *const *)a, *y = *(struct record *const *)b;
	if (x->key.v[1] != y->key.v[1])
		return x->key.v[1] < y->key.v[1] ? -1 : 1;
	return str_cmp(acl_identifier(x), acl_identifier(y));
}

int mem_acl_each(struct engine *e, struct account_id a, struct mailbox_id m, acl_fn fn, void *arg,
		 struct fail *why)
{
	VEC(const struct record *) v = {0};
	size_t i = mem_lower(e, ACL, &KEY(a.v, m.v));
	(void)why;
	for (const struct record *r; (r = mem_next(e, ACL, a, &i));)
		if (m.v == 0 || r->key.v[1] == m.v)
			*vec_push(&v) = r;
	if (v.n > 0)
		qsort(v.p, v.n, sizeof *v.p, by_identifier);
	int res = 0;
	for (size_t k = 0; res >= 0 && k < v.n; k++) {
		struct fixed fixed;
		memcpy(&fixed, v.p[k]->p, sizeof fixed);
		struct row_acl row = {.mailbox = {v.p[k]->key.v[1]},
				      .identifier = acl_identifier(v.p[k]),
				      .subject = fixed.subject,
				      .rights = fixed.rights};
		res = fn(arg, &row);
	}
	vec_clear(&v);
	return res < 0 ? res : 0;
}

int mem_acl_drop(struct engine *e, struct account_id a, struct mailbox_id m, struct str identifier,
		 struct fail *why)
{
	size_t i = mem_lower(e, ACL, &KEY(a.v, m.v));
	(void)why;
	for (const struct record *r; (r = mem_next(e, ACL, a, &i)) && r->key.v[1] == m.v;)
		if (str_eq(acl_identifier(r), identifier)) {
			mem_drop(e, ACL, r->key);
			break;
		}
	return 0;
}

int mem_acl_set(struct engine *e, struct account_id a, const struct row_acl *row, struct fail *why)
{
	struct fixed fixed;
	memset(&fixed, 0, sizeof fixed);
	fixed.subject = row->subject;
	fixed.rights = row->rights;
	(void)mem_acl_drop(e, a, row->mailbox, row->identifier, why);
	mem_put(e, ACL, KEY(a.v, row->mailbox.v, e->next_id++), ROW(fixed), row->identifier);
	return 0;
}

static void drop_below(struct engine *e, enum table t, struct account_id a, struct mailbox_id m)
{
	struct key first = KEY(a.v, m.v);
	size_t i;
	while ((i = mem_lower(e, t, &first)) < e->t[t].n && e->t[t].p[i].key.v[0] == a.v &&
	       e->t[t].p[i].key.v[1] == m.v)
		mem_drop(e, t, e->t[t].p[i].key);
}

int mem_acl_wipe(struct engine *e, struct account_id a, struct mailbox_id m, struct fail *why)
{
	(void)why;
	drop_below(e, ACL, a, m);
	return 0;
}

void mem_overlay_wipe(struct engine *e, struct account_id a, struct mailbox_id m)
{
	drop_below(e, OVERLAY, a, m);
}

void mem_overlay_drop(struct engine *e, struct account_id a, struct mailbox_id m, uint32_t uid)
{
	size_t i = mem_lower(e, OVERLAY, &KEY(a.v, m.v));
	for (const struct record *r; (r = mem_next(e, OVERLAY, a, &i)) && r->key.v[1] == m.v;)
		if (r->key.v[3] == uid) {
			mem_drop(e, OVERLAY, r->key);
			i--;
		}
}

int mem_overlay_each(struct engine *e, const struct uid_range *range, struct account_id viewer,
		     overlay_fn fn, void *arg, struct fail *why)
{
	size_t i = mem_lower(e, OVERLAY,
			     &KEY(range->account.v, range->mailbox.v, viewer.v, range->lo));
	(void)why;
	for (const struct record *r; (r = mem_next(e, OVERLAY, range->account, &i)) &&
				     r->key.v[1] == range->mailbox.v && r->key.v[2] == viewer.v &&
				     r->key.v[3] <= range->hi;) {
		struct row_overlay row;
		memcpy(&row, r->p, sizeof row);
		int res = fn(arg, &row);
		if (res < 0)
			return res;
	}
	return 0;
}

int mem_overlay_set(struct engine *e, struct account_id a, struct mailbox_id m,
		    struct account_id viewer, const struct row_overlay *row, struct fail *why)
{
	(void)why;
	mem_put(e, OVERLAY, KEY(a.v, m.v, viewer.v, row->uid), ROW(*row), STR_NULL);
	return 0;
}

int mem_overlay_seen(struct engine *e, struct account_id a, struct mailbox_id m,
		     struct account_id viewer, uint32_t *ret, struct fail *why)
{
	size_t i = mem_lower(e, OVERLAY, &KEY(a.v, m.v, viewer.v));
	uint32_t n = 0;
	(void)why;
	for (const struct record *r;
	     (r = mem_next(e, OVERLAY, a, &i)) && r->key.v[1] == m.v && r->key.v[2] == viewer.v;) {
		struct row_overlay row;
		struct row_entry entry = {.expunged = 1};
		const struct record *of = mem_find(e, ENTRY, KEY(a.v, m.v, r->key.v[3]));
		memcpy(&row, r->p, sizeof row);
		if (of)
			memcpy(&entry, of->p, sizeof entry);
		n += (row.flags & STORE_SEEN) && entry.expunged == 0;
	}
	*ret = n;
	return 0;
}

static bool is_of_viewer(enum table t, const struct record *r, uint64_t viewer)
{
	struct fixed fixed;
	if (t != ACL)
		return r->key.v[2] == viewer;
	memcpy(&fixed, r->p, sizeof fixed);
	return fixed.subject.v == viewer;
}

int mem_viewer_forget(struct engine *e, struct account_id viewer, struct fail *why)
{
	static const enum table all[] = {OVERLAY, ANNOTATION, ACL};
	(void)why;
	for (size_t t = 0; t < ARRAY_LEN(all); t++)
		for (size_t i = e->t[all[t]].n; i-- > 0;)
			if (is_of_viewer(all[t], &e->t[all[t]].p[i], viewer.v))
				mem_drop(e, all[t], e->t[all[t]].p[i].key);
	return 0;
}
