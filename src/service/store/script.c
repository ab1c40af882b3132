/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.c - Sieve scripts of accounts: names, texts, and which one is active.
 */
#include "service/store/store_int.h"
#include <stdlib.h>

/* ---- reading ------------------------------------------------------------------------------- */

struct found {
	struct arena *arena;
	struct str only; /* {NULL, 0}: all; empty: the active one */
	VEC(struct store_script) v;
};

static int take(void *arg, const struct row_script *row)
{
	struct found *f = arg;
	bool wanted = !f->only.p || (f->only.n ? str_eq(row->name, f->only) : row->active);
	if (!wanted)
		return 0;
	struct store_script s = {.name = arena_str(f->arena, row->name),
				 .text = row->text.n ? arena_str(f->arena, row->text) : row->text,
				 .size = row->size,
				 .active = row->active,
				 .changed = row->changed};
	if (row->text.p && row->text.n == 0)
		s.text = STR("");
	if (!s.name.p || (row->text.p && !s.text.p))
		return -FAIL_LIMIT;
	*(struct store_script *)vec_push(&f->v) = s;
	return 0;
}

static int read_scripts(struct store *s, struct account_id account, struct found *f,
			struct fail *why)
{
	struct part *p;
	int r = part_of(s, account, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = s->ops->script_each(p->e, account, f->only.p != NULL, take, f, why);
	part_leave(p);
	return r == -FAIL_LIMIT ? fail_set(why, FAIL_LIMIT, NULL, "scripts: arena full") : r;
}

int store_scripts(struct store *s, struct account_id account, struct arena *arena,
		  struct store_scripts *ret, struct fail *why)
{
	struct found f = {.arena = arena};
	struct store_scripts all = {0};
	int r = read_scripts(s, account, &f, why);
	if (r == 0 && f.v.n > 0) {
		all.n = f.v.n;
		all.p = arena_array(arena, struct store_script, f.v.n);
		if (all.p)
			memcpy(all.p, f.v.p, f.v.n * sizeof *f.v.p);
		else
			r = fail_set(why, FAIL_LIMIT, NULL, "scripts: arena full");
	}
	if (r == 0)
		*ret = all;
	vec_clear(&f.v);
	return r;
}

int store_script_get(struct store *s, struct account_id account, struct str name,
		     struct arena *arena, struct store_script *ret, struct fail *why)
{
	struct found f = {.arena = arena, .only = name.n ? name : STR("")};
	int r = read_scripts(s, account, &f, why);
	if (r == 0 && f.v.n > 0) {
		*ret = f.v.p[0];
		r = 1;
	}
	vec_clear(&f.v);
	return r;
}

/* ---- changing ------------------------------------------------------------------------------ */

struct script_job {
	struct store_job job;
	struct str name, to;
	const struct store_script_put *put;
	uint64_t size; /* of put's text */
	bool only_look;
};

static int no_such_script(struct fail *why)
{
	return fail_set(why, FAIL_NOTFOUND, "There is no script of that name.", "no such script");
}

/* What there is, as far as it matters to one of them. */
struct survey {
	struct str name, to;
	size_t others; /* than name */
	uint64_t others_bytes;
	bool exists, active; /* name */
	bool to_exists;
};

static int look_at(void *arg, const struct row_script *row)
{
	struct survey *s = arg;
	bool it = str_eq(row->name, s->name);
	s->exists |= it;
	s->active |= it && row->active;
	s->others += !it;
	s->others_bytes += it ? 0 : row->size;
	s->to_exists |= !it && str_eq(row->name, s->to);
	return 0;
}

static int survey(struct tx *tx, const struct script_job *sj, struct survey *ret, struct fail *why)
{
	struct row_account acc;
	*ret = (struct survey){.name = sj->name, .to = sj->to};
	int r = tx_account(tx, sj->job.account, &acc, why);
	if (r == 0)
		r = tx->ops->script_each(tx->e, sj->job.account, false, look_at, ret, why);
	return r;
}

static int apply_put(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct script_job *sj = CONTAINER_OF(job, struct script_job, job);
	const struct store_script_put *p = sj->put;
	struct survey s;
	int r = survey(tx, sj, &s, why);
	if (r < 0)
		return r;
	if (!s.exists && s.others >= p->max_scripts)
		return fail_set(why, FAIL_LIMIT, "There are too many scripts.", "%zu scripts",
				s.others);
	if (sj->size > p->max_bytes || s.others_bytes > p->max_bytes - sj->size)
		return fail_set(why, FAIL_TOOBIG, "There is no room for so much script.",
				"%llu bytes", (unsigned long long)(s.others_bytes + sj->size));
	if (sj->only_look)
		return 0;
	struct row_script row = {.account = p->account,
				 .name = p->name,
				 .text = p->text,
				 .size = p->text.n,
				 .active = s.active,
				 .changed = tx->now};
	return tx->ops->script_put(tx->e, &row, why);
}

static int run_put(struct store *s, const struct store_script_put *p, uint64_t size, bool only_look,
		   struct fail *why)
{
	struct script_job sj = {.job = {.account = p->account, .apply = apply_put},
				.name = p->name,
				.put = p,
				.size = size,
				.only_look = only_look};
	CHECK(p->name.n > 0 && p->name.n <= STORE_SCRIPT_NAME_MAX);
	return job_run(s, &sj.job, why);
}

int store_script_put(struct store *s, const struct store_script_put *p, struct fail *why)
{
	return run_put(s, p, p->text.n, false, why);
}

int store_script_fits(struct store *s, const struct store_script_put *p, uint64_t size,
		      struct fail *why)
{
	return run_put(s, p, size, true, why);
}

struct actives {
	struct arena arena;
	VEC(struct str) v;
};

static int take_active(void *arg, const struct row_script *row)
{
	struct actives *a = arg;
	if (row->active)
		*(struct str *)vec_push(&a->v) = arena_str(&a->arena, row->name);
	return 0;
}

static int apply_activate(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct script_job *sj = CONTAINER_OF(job, struct script_job, job);
	struct actives before = {.arena = ARENA_INIT(KIB(64))};
	struct survey s;
	int r = survey(tx, sj, &s, why);
	if (r == 0 && sj->name.n && !s.exists)
		r = no_such_script(why);
	if (r == 0)
		r = tx->ops->script_each(tx->e, job->account, false, take_active, &before, why);
	for (size_t i = 0; r == 0 && i < before.v.n; i++)
		r = tx->ops->script_set_active(tx->e, job->account, before.v.p[i], false, why);
	if (r == 0 && sj->name.n)
		r = tx->ops->script_set_active(tx->e, job->account, sj->name, true, why);
	vec_clear(&before.v);
	arena_clear(&before.arena);
	return r;
}

int store_script_activate(struct store *s, struct account_id account, struct str name,
			  struct fail *why)
{
	struct script_job sj = {.job = {.account = account, .apply = apply_activate}, .name = name};
	return job_run(s, &sj.job, why);
}

static int apply_delete(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct script_job *sj = CONTAINER_OF(job, struct script_job, job);
	struct survey s;
	int r = survey(tx, sj, &s, why);
	if (r < 0)
		return r;
	if (!s.exists)
		return no_such_script(why);
	if (s.active)
		return fail_set(why, FAIL_CONFLICT, "The active script cannot be deleted.",
				"active");
	return tx->ops->script_remove(tx->e, job->account, sj->name, why);
}

int store_script_delete(struct store *s, struct account_id account, struct str name,
			struct fail *why)
{
	struct script_job sj = {.job = {.account = account, .apply = apply_delete}, .name = name};
	return job_run(s, &sj.job, why);
}

static int apply_rename(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct script_job *sj = CONTAINER_OF(job, struct script_job, job);
	struct survey s;
	int r = survey(tx, sj, &s, why);
	if (r < 0)
		return r;
	if (!s.exists)
		return no_such_script(why);
	if (s.to_exists)
		return fail_set(why, FAIL_EXISTS, "There is a script of that name already.",
				"exists");
	return tx->ops->script_rename(tx->e, job->account, sj->name, sj->to, why);
}

int store_script_rename(struct store *s, struct account_id account, struct str name, struct str to,
			struct fail *why)
{
	struct script_job sj = {
		.job = {.account = account, .apply = apply_rename}, .name = name, .to = to};
	CHECK(to.n > 0 && to.n <= STORE_SCRIPT_NAME_MAX);
	return job_run(s, &sj.job, why);
}
