/* SPDX-License-Identifier: Apache-2.0 */
/*
 * annotation.c - values by name that mailboxes and the account have (RFC 5464).
 */
#include "service/store/store_int.h"
#include <stdlib.h>

static bool is_private(struct str entry)
{
	return str_starts(entry, STR("/private/"));
}

/* The mailbox's id, {0} for the empty name. */
static int find(const struct engine_ops *ops, struct engine *e, struct account_id a,
		struct str name, struct mailbox_id *ret, struct fail *why)
{
	char buf[STORE_NAME_MAX + 1];
	struct row_mailbox row = {0};
	struct str normal;
	int r = 1;
	if (name.n > 0)
		r = name_normal(name, buf, &normal, NULL) < 0
			    ? 0
			    : ops->mailbox_find(e, a, normal, &row, why);
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "annotations");
	*ret = row.id;
	return MIN(r, 0);
}

/* ---- reading ------------------------------------------------------------------------------- */

struct taken {
	struct arena *arena;
	VEC(struct store_annotation) v;
};

static int take(void *arg, struct str entry, struct str value)
{
	struct taken *t = arg;
	struct store_annotation a = {
		.entry = arena_str(t->arena, entry),
		.value = value.n ? arena_str(t->arena, value) : STR(""),
	};
	if (!a.entry.p || !a.value.p)
		return -FAIL_LIMIT;
	*(struct store_annotation *)vec_push(&t->v) = a;
	return 0;
}

static int by_entry(const void *a, const void *b)
{
	return str_cmp(((const struct store_annotation *)a)->entry,
		       ((const struct store_annotation *)b)->entry);
}

static int read_all(struct part *p, const struct row_annotation *of, struct str mailbox,
		    struct taken *t, struct fail *why)
{
	struct row_annotation key = *of;
	struct row_account acc;
	int r = p->store->ops->account_get(p->e, of->account, &acc, why);
	if (r == 0)
		r = fail_set(why, FAIL_NOTFOUND, NULL, "no such account");
	if (r > 0)
		r = find(p->store->ops, p->e, of->account, mailbox, &key.mailbox, why);
	if (r == 0)
		r = p->store->ops->annotation_each(p->e, &key, take, t, why);
	return r;
}

int store_annotations(struct store *s, struct account_id account, struct str mailbox,
		      struct account_id viewer, struct arena *arena, struct store_notes *ret,
		      struct fail *why)
{
	struct row_annotation of = {.account = account, .viewer = viewer};
	struct taken t = {.arena = arena};
	struct part *p;
	int r = part_of(s, account, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = read_all(p, &of, mailbox, &t, why);
	part_leave(p);
	if (r == -FAIL_LIMIT)
		r = fail_set(why, FAIL_LIMIT, NULL, "annotations: arena full");
	struct store_notes found = {.n = t.v.n};
	if (r == 0 && t.v.n > 0) {
		qsort(t.v.p, t.v.n, sizeof *t.v.p, by_entry);
		found.p = arena_array(arena, struct store_annotation, t.v.n);
		if (found.p)
			memcpy(found.p, t.v.p, t.v.n * sizeof *t.v.p);
		else
			r = fail_set(why, FAIL_LIMIT, NULL, "annotations: arena full");
	}
	if (r == 0)
		*ret = found;
	vec_clear(&t.v);
	return r;
}

/* ---- changing ------------------------------------------------------------------------------ */

struct annotate_job {
	struct store_job job;
	const struct store_annotate *a;
};

/* The owner's room, or a guest's own. */
static int check_room(struct tx *tx, struct account_id a, struct account_id guest, struct fail *why)
{
	uint64_t max = guest.v ? STORE_GUEST_NOTES_MAX : STORE_ANNOTATIONS_MAX;
	uint64_t bytes_max = guest.v ? STORE_GUEST_NOTES_BYTES_MAX : STORE_ANNOTATIONS_BYTES_MAX;
	uint64_t n, bytes;
	int r = tx->ops->annotation_usage(tx->e, a, guest, &n, &bytes, why);
	if (r == 0 && (n > max || bytes > bytes_max))
		return fail_set(why, FAIL_LIMIT, "There are too many annotations.",
				"%llu annotations, %llu bytes", (unsigned long long)n,
				(unsigned long long)bytes);
	return r;
}

static int set_values(struct tx *tx, const struct store_annotate *a, struct mailbox_id mailbox,
		      struct fail *why)
{
	struct account_id guest = a->viewer.v == a->account.v ? (struct account_id){0} : a->viewer;
	bool more = false, more_own = false;
	int r = 0;
	for (size_t i = 0; r == 0 && i < a->n; i++) {
		struct row_annotation row = {.account = a->account,
					     .mailbox = mailbox,
					     .entry = a->set[i].entry,
					     .value = a->set[i].value};
		if (is_private(row.entry))
			row.viewer = a->viewer;
		if (row.viewer.v && guest.v)
			more_own |= row.value.p != NULL;
		else
			more |= row.value.p != NULL;
		r = tx->ops->annotation_set(tx->e, &row, why);
	}
	if (r == 0 && more)
		r = check_room(tx, a->account, (struct account_id){0}, why);
	if (r == 0 && more_own)
		r = check_room(tx, a->account, guest, why);
	return r;
}

/* ---- uses of mailboxes --------------------------------------------------------------------- */

struct users { /* mailboxes that lose a use */
	unsigned use;
	struct mailbox_id but;
	VEC(struct mailbox_id) v;
};

static int take_user(void *arg, struct account_id a, const struct row_mailbox *row, struct str name)
{
	struct users *u = arg;
	(void)a;
	(void)name;
	if ((row->use & u->use) && row->id.v != u->but.v && !row->noselect)
		*(struct mailbox_id *)vec_push(&u->v) = row->id;
	return 0;
}

static int change_use(struct tx *tx, const struct row_account *acc, struct mailbox_id m,
		      unsigned off, unsigned on, struct fail *why)
{
	AUTO(tx_box) struct tx_box b = {0};
	int r = tx_box_by_id(tx, acc->id, m, &b, why);
	if (r < 0)
		return r;
	b.row.use = (b.row.use & ~off) | on;
	return tx_box_end(tx, &b, acc, why);
}

static int set_use(struct tx *tx, const struct row_account *acc, struct mailbox_id m, unsigned use,
		   struct fail *why)
{
	struct users others = {.use = use, .but = m};
	int r = tx->ops->mailbox_each(tx->e, acc->id, take_user, &others, why);
	for (size_t i = 0; r == 0 && i < others.v.n; i++)
		r = change_use(tx, acc, others.v.p[i], use, 0, why);
	vec_clear(&others.v);
	if (r == 0)
		r = change_use(tx, acc, m, ~0u, use, why);
	if (r == 0)
		tx_list_changed(tx, acc);
	return r;
}

static int apply(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct store_annotate *a = CONTAINER_OF(job, struct annotate_job, job)->a;
	struct mailbox_id mailbox;
	struct row_account acc;
	int r = tx_account(tx, job->account, &acc, why);
	if (r == 0)
		r = find(tx->ops, tx->e, job->account, a->mailbox, &mailbox, why);
	if (r == 0)
		r = set_values(tx, a, mailbox, why);
	if (r == 0 && a->n > 0) {
		struct changed_row *row = vec_push(&tx->rows);
		*row = (struct changed_row){.account = a->account,
					    .row = {.id = mailbox},
					    .kinds = STORE_EVENT_NOTES,
					    .modseq = acc.modseq,
					    .notes = a};
	}
	if (r < 0 || !a->has_use)
		return r;
	acc.modseq++;
	return set_use(tx, &acc, mailbox, a->use, why);
}

int store_annotate(struct store *s, const struct store_annotate *a, struct fail *why)
{
	struct annotate_job aj = {.job = {.account = a->account, .apply = apply}, .a = a};
	for (size_t i = 0; i < a->n; i++) {
		struct str entry = a->set[i].entry;
		CHECK(is_private(entry) || str_starts(entry, STR("/shared/")));
		if (entry.n > STORE_ANNOTATION_NAME_MAX ||
		    a->set[i].value.n > STORE_ANNOTATION_VALUE_MAX)
			return fail_set(why, FAIL_TOOBIG, "The value is too large.",
					"annotation of %zu bytes", a->set[i].value.n);
	}
	return job_run(s, &aj.job, why);
}
