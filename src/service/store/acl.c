/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acl.c - lists of rights: reading, changing, handing on.
 */
#include "service/store/store_acl.h"
#include "service/store/store_int.h"

/* ---- reading ------------------------------------------------------------------------------- */

struct acl_reader {
	struct arena *arena;
	VEC(struct store_acl_entry) v;
};

static int take_entry(void *arg, const struct row_acl *row)
{
	struct acl_reader *r = arg;
	struct store_acl_entry *e = vec_push(&r->v);
	*e = (struct store_acl_entry){row->mailbox, arena_str(r->arena, row->identifier),
				      row->subject, row->rights};
	return e->identifier.p ? 0 : -FAIL_LIMIT;
}

/* {0} for an empty name: all mailboxes. */
static int find_mailbox(struct part *p, struct account_id a, struct str name,
			struct mailbox_id *ret, struct fail *why)
{
	char buf[STORE_NAME_MAX + 1];
	struct row_mailbox row;
	struct str normal;
	*ret = (struct mailbox_id){0};
	if (name.n == 0)
		return 0;
	if (name_normal(name, buf, &normal, NULL) < 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "bad name");
	int r = p->store->ops->mailbox_find(p->e, a, normal, &row, why);
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no mailbox %.*s",
				STR_ARG(normal));
	*ret = row.id;
	return r < 0 ? r : 0;
}

struct acl_of {
	struct account_id account;
	struct str name; /* when `id` is {0}; "" = of all mailboxes */
	struct mailbox_id id;
};

static int read_acl(struct store *s, const struct acl_of *of, struct arena *arena,
		    struct store_acl *ret, struct fail *why)
{
	struct acl_reader reader = {.arena = arena};
	struct account_id account = of->account;
	struct mailbox_id m = of->id;
	struct part *p;
	int r = part_of(s, account, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = m.v ? 0 : find_mailbox(p, account, of->name, &m, why);
	if (r == 0)
		r = s->ops->acl_each(p->e, account, m, take_entry, &reader, why);
	part_leave(p);
	struct store_acl acl = {arena_array(arena, struct store_acl_entry, reader.v.n + 1),
				reader.v.n};
	if (acl.p && reader.v.n > 0)
		memcpy(acl.p, reader.v.p, reader.v.n * sizeof *acl.p);
	vec_clear(&reader.v);
	if (r == -FAIL_LIMIT || (r == 0 && !acl.p))
		return fail_set(why, FAIL_LIMIT, NULL, "arena full with %zu entries", acl.n);
	if (r == 0)
		*ret = acl;
	return r;
}

int store_acl_get(struct store *s, struct account_id account, struct str mailbox,
		  struct arena *arena, struct store_acl *ret, struct fail *why)
{
	struct acl_of of = {.account = account, .name = mailbox};
	return read_acl(s, &of, arena, ret, why);
}

int store_acl_of(struct store *s, struct account_id account, struct mailbox_id mailbox,
		 struct arena *arena, struct store_acl *ret, struct fail *why)
{
	struct acl_of of = {.account = account, .id = mailbox};
	return read_acl(s, &of, arena, ret, why);
}

int store_unseen_of(struct store *s, struct account_id account, struct mailbox_id mailbox,
		    struct account_id viewer, uint32_t *ret, struct fail *why)
{
	struct row_mailbox row;
	struct part *p;
	uint32_t seen = 0;
	int r = part_of(s, account, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = s->ops->mailbox_get(p->e, account, mailbox, &row, why);
	if (r == 0)
		r = fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "mailbox %llu",
			     (unsigned long long)mailbox.v);
	if (r > 0)
		r = s->ops->overlay_seen(p->e, account, mailbox, viewer, &seen, why);
	part_leave(p);
	if (r == 0)
		*ret = row.exists - MIN(seen, row.exists);
	return r;
}

/* ---- changing ------------------------------------------------------------------------------ */

struct acl_job {
	struct store_job job;
	const struct store_acl_change *c;
	/* what is there */
	size_t n;
	bool found;
	uint32_t rights;
	struct account_id subject;
};

static int look(void *arg, const struct row_acl *row)
{
	struct acl_job *aj = arg;
	aj->n++;
	if (str_eq(row->identifier, aj->c->identifier)) {
		aj->found = true;
		aj->rights = row->rights;
		aj->subject = row->subject;
	}
	return 0;
}

/* What stands under the address was given to somebody else, who had it before. */
static bool is_anothers(const struct acl_job *aj)
{
	const struct store_acl_change *c = aj->c;
	return aj->found && c->how != STORE_ACL_DELETE && aj->subject.v != c->subject.v;
}

static uint32_t new_rights(const struct acl_job *aj)
{
	switch (aj->c->how) {
	case STORE_ACL_ADD:
		return aj->rights | aj->c->rights;
	case STORE_ACL_REMOVE:
		return aj->rights & ~aj->c->rights;
	case STORE_ACL_SET:
	case STORE_ACL_DELETE:
		break;
	}
	return aj->c->rights;
}

static int change_entry(struct tx *tx, struct acl_job *aj, struct mailbox_id m, struct fail *why)
{
	const struct store_acl_change *c = aj->c;
	bool anothers = is_anothers(aj);
	if (anothers)
		aj->rights = 0;
	uint32_t rights = new_rights(aj);
	bool drop = c->how == STORE_ACL_DELETE;
	bool only_found = drop || c->how == STORE_ACL_REMOVE;
	if (!aj->found && only_found)
		return 0;
	if (!aj->found && aj->n >= STORE_ACL_MAX)
		return fail_set(why, FAIL_LIMIT, "The list of rights is too long.", "%zu entries",
				aj->n);
	if (aj->found && !drop && !anothers && rights == aj->rights)
		return 0;
	struct row_acl row = {m, c->identifier, c->subject, rights};
	int r = drop ? tx->ops->acl_drop(tx->e, c->account, m, c->identifier, why)
		     : tx->ops->acl_set(tx->e, c->account, &row, why);
	return r < 0 ? r : 1;
}

static int apply_acl(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct acl_job *aj = CONTAINER_OF(job, struct acl_job, job);
	struct mailbox_id m;
	struct row_account acc;
	aj->n = 0;
	aj->found = false;
	aj->rights = 0;
	int r = find_mailbox(tx->part, job->account, aj->c->mailbox, &m, why);
	if (r < 0 || (r = tx_account(tx, job->account, &acc, why)) < 0 ||
	    (r = tx->ops->acl_each(tx->e, job->account, m, look, aj, why)) < 0 ||
	    (r = change_entry(tx, aj, m, why)) <= 0)
		return r;
	acc.modseq++;
	tx_list_changed(tx, &acc);
	return tx->ops->account_put(tx->e, &acc, why);
}

int store_acl_change(struct store *s, const struct store_acl_change *c, struct fail *why)
{
	struct acl_job aj = {.job = {.account = c->account, .apply = apply_acl}, .c = c};
	if (c->mailbox.n == 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no name");
	if (c->identifier.n == 0 || c->identifier.n > STORE_IDENTIFIER_MAX)
		return fail_set(why, FAIL_SYNTAX, "Not an identifier.", "%zu bytes",
				c->identifier.n);
	return job_run(s, &aj.job, why);
}

/* ---- handing on ---------------------------------------------------------------------------- */

struct inherited {
	struct arena arena;
	VEC(struct row_acl) v;
};

static int take_inherited(void *arg, const struct row_acl *row)
{
	struct inherited *i = arg;
	struct row_acl *e = vec_push(&i->v);
	*e = *row;
	e->identifier = arena_str(&i->arena, row->identifier);
	return e->identifier.p ? 0 : -FAIL_LIMIT;
}

int tx_acl_inherit(struct tx *tx, struct account_id a, struct str name, struct mailbox_id m,
		   struct fail *why)
{
	struct str parent = name_parent(name);
	struct row_mailbox row;
	if (parent.n == 0)
		return 0;
	int r = tx->ops->mailbox_find(tx->e, a, parent, &row, why);
	if (r <= 0)
		return r;
	struct inherited all = {.arena = ARENA_INIT(MIB(1))};
	r = tx->ops->acl_each(tx->e, a, row.id, take_inherited, &all, why);
	for (size_t i = 0; r >= 0 && i < all.v.n; i++) {
		all.v.p[i].mailbox = m;
		r = tx->ops->acl_set(tx->e, a, &all.v.p[i], why);
	}
	vec_clear(&all.v);
	arena_clear(&all.arena);
	return r;
}

/* ---- an account that is gone ---------------------------------------------------------------- */

struct forget_job {
	struct store_job job;
	struct account_id viewer;
};

static int apply_forget(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct forget_job *fj = CONTAINER_OF(job, struct forget_job, job);
	return tx->ops->viewer_forget(tx->e, fj->viewer, why);
}

static int forget_in(void *arg, struct part *p, struct fail *why)
{
	const struct account_id *viewer = arg;
	struct forget_job fj = {.job = {.apply = apply_forget}, .viewer = *viewer};
	return job_run_in(p, &fj.job, why);
}

int store_viewer_forget(struct store *s, struct account_id viewer, struct fail *why)
{
	if (viewer.v == 0)
		return fail_set(why, FAIL_PERM, NULL, "no account");
	return part_every(s, forget_in, &viewer, why);
}
