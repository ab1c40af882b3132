/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_memory.c - the model of an engine: ordered tables in memory with an undo log.
 */
#include "service/store/engine_memory.h"

static int key_cmp(const struct key *a, const struct key *b)
{
	for (unsigned i = 0; i < 4; i++)
		if (a->v[i] != b->v[i])
			return a->v[i] < b->v[i] ? -1 : 1;
	return 0;
}

size_t mem_lower(const struct engine *e, enum table t, const struct key *k)
{
	size_t lo = 0, hi = e->t[t].n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (key_cmp(&e->t[t].p[mid].key, k) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct record *mem_find(const struct engine *e, enum table t, struct key k)
{
	size_t i = mem_lower(e, t, &k);
	return i < e->t[t].n && key_cmp(&e->t[t].p[i].key, &k) == 0 ? &e->t[t].p[i] : NULL;
}

/* p NULL removes. Takes p; returns what was there. */
static struct record exchange(struct engine *e, enum table t, struct record new)
{
	size_t i = mem_lower(e, t, &new.key);
	struct record old = {.key = new.key};
	if (i < e->t[t].n && key_cmp(&e->t[t].p[i].key, &new.key) == 0) {
		old = e->t[t].p[i];
		if (new.p)
			e->t[t].p[i] = new;
		else
			vec_remove(&e->t[t], i);
		return old;
	}
	if (!new.p)
		return old;
	(void)vec_push(&e->t[t]);
	memmove(&e->t[t].p[i + 1], &e->t[t].p[i], (e->t[t].n - 1 - i) * sizeof new);
	e->t[t].p[i] = new;
	return old;
}

static void change(struct engine *e, enum table t, struct record new)
{
	CHECK(e->in_transaction);
	struct undo *u = vec_push(&e->undo);
	u->table = t;
	u->old = exchange(e, t, new);
}

void mem_put(struct engine *e, enum table t, struct key k, struct str a, struct str b)
{
	struct record r = {k, xcalloc(1, a.n + b.n + 1), a.n + b.n};
	memcpy(r.p, a.p, a.n);
	if (b.n)
		memcpy(r.p + a.n, b.p, b.n);
	change(e, t, r);
}

void mem_drop(struct engine *e, enum table t, struct key k)
{
	change(e, t, (struct record){.key = k});
}

static void undo_to(struct engine *e, size_t mark)
{
	while (e->undo.n > mark) {
		struct undo u = *vec_pop(&e->undo);
		free(exchange(e, u.table, u.old).p);
	}
}

/* ---- life and transactions ----------------------------------------------------------------- */

static int mem_open(const struct engine_options *o, struct engine **ret, struct fail *why)
{
	(void)o;
	(void)why;
	*ret = xcalloc(1, sizeof **ret);
	(*ret)->next_id = 1;
	return 0;
}

static void mem_close(struct engine *e)
{
	undo_to(e, 0);
	for (unsigned t = 0; t < TABLES; t++) {
		for (size_t i = 0; i < e->t[t].n; i++)
			free(e->t[t].p[i].p);
		vec_clear(&e->t[t]);
	}
	vec_clear(&e->undo);
	free(e);
}

static int mem_begin(struct engine *e, struct fail *why)
{
	(void)why;
	e->in_transaction = true;
	return 0;
}

static int mem_commit(struct engine *e, struct fail *why)
{
	(void)why;
	while (e->undo.n > 0)
		free(vec_pop(&e->undo)->old.p);
	e->in_transaction = false;
	return 0;
}

static void mem_rollback(struct engine *e)
{
	undo_to(e, 0);
	e->in_transaction = false;
}

static bool mem_active(struct engine *e)
{
	return e->in_transaction;
}

static int mem_savepoint(struct engine *e, struct fail *why)
{
	(void)why;
	e->mark = e->undo.n;
	return 0;
}

static int mem_release(struct engine *e, struct fail *why)
{
	(void)e;
	(void)why;
	return 0;
}

static int mem_rollback_to(struct engine *e, struct fail *why)
{
	(void)why;
	undo_to(e, e->mark);
	return 0;
}

static uint64_t mem_log_bytes(struct engine *e)
{
	(void)e;
	return 0;
}

static int mem_checkpoint(struct engine *e, struct fail *why)
{
	(void)e;
	(void)why;
	return 0;
}

/* ---- accounts ------------------------------------------------------------------------------ */

static int mem_account_get(struct engine *e, struct account_id a, struct row_account *ret,
			   struct fail *why)
{
	(void)why;
	const struct record *r = mem_find(e, ACCOUNT, KEY(a.v));
	if (r)
		memcpy(ret, r->p, sizeof *ret);
	return r != NULL;
}

static int mem_account_put(struct engine *e, const struct row_account *row, struct fail *why)
{
	(void)why;
	mem_put(e, ACCOUNT, KEY(row->id.v), ROW(*row), STR_NULL);
	return 0;
}

static int mem_account_wipe(struct engine *e, struct account_id a, struct fail *why)
{
	(void)why;
	struct key k = KEY(a.v);
	for (unsigned t = 0; t < TABLES; t++) {
		size_t i;
		while ((i = mem_lower(e, t, &k)) < e->t[t].n && e->t[t].p[i].key.v[0] == a.v)
			mem_drop(e, t, e->t[t].p[i].key);
	}
	return 0;
}

/* ---- mailboxes: a row and its name --------------------------------------------------------- */

static struct row_mailbox mailbox_row(const struct record *r)
{
	struct row_mailbox row;
	memcpy(&row, r->p, sizeof row);
	return row;
}

static struct str mailbox_name(const struct record *r)
{
	return str_make(r->p + sizeof(struct row_mailbox), r->n - sizeof(struct row_mailbox));
}

static int mem_mailbox_get(struct engine *e, struct account_id a, struct mailbox_id m,
			   struct row_mailbox *ret, struct fail *why)
{
	(void)why;
	const struct record *r = mem_find(e, MAILBOX, KEY(a.v, m.v));
	if (r)
		*ret = mailbox_row(r);
	return r != NULL;
}

/* The next record of an account at or after *i; NULL at the end. */
struct record *mem_next(const struct engine *e, enum table t, struct account_id a, size_t *i)
{
	if (*i >= e->t[t].n || e->t[t].p[*i].key.v[0] != a.v)
		return NULL;
	return &e->t[t].p[(*i)++];
}

static int mem_mailbox_find(struct engine *e, struct account_id a, struct str name,
			    struct row_mailbox *ret, struct fail *why)
{
	(void)why;
	size_t i = mem_lower(e, MAILBOX, &KEY(a.v));
	for (const struct record *r; (r = mem_next(e, MAILBOX, a, &i));) {
		struct row_mailbox row = mailbox_row(r);
		if (row.deleted_modseq == 0 && str_eq(mailbox_name(r), name)) {
			*ret = row;
			return 1;
		}
	}
	return 0;
}

static int mem_mailbox_add(struct engine *e, struct account_id a, const struct row_mailbox *row,
			   struct str name, struct fail *why)
{
	(void)why;
	mem_put(e, MAILBOX, KEY(a.v, row->id.v), ROW(*row), name);
	return 0;
}

static int mem_mailbox_set(struct engine *e, struct account_id a, const struct row_mailbox *row,
			   struct fail *why)
{
	const struct record *r = mem_find(e, MAILBOX, KEY(a.v, row->id.v));
	if (!r)
		return fail_set(why, FAIL_CORRUPT, NULL, "no mailbox to set");
	mem_put(e, MAILBOX, r->key, ROW(*row), row->deleted_modseq ? STR_NULL : mailbox_name(r));
	if (row->deleted_modseq && mem_find(e, URL_KEY, KEY(a.v, row->id.v)))
		mem_drop(e, URL_KEY, KEY(a.v, row->id.v));
	if (row->deleted_modseq)
		mem_annotation_drop(e, a, row->id);
	if (row->deleted_modseq)
		return mem_acl_wipe(e, a, row->id, why);
	return 0;
}

static int mem_mailbox_rename(struct engine *e, struct account_id a, struct mailbox_id m,
			      struct str name, struct fail *why)
{
	struct row_mailbox row;
	if (mem_mailbox_find(e, a, name, &row, why) > 0)
		return fail_set(why, FAIL_EXISTS, "The mailbox exists.", "%.*s exists",
				STR_ARG(name));
	row = mailbox_row(mem_find(e, MAILBOX, KEY(a.v, m.v)));
	mem_put(e, MAILBOX, KEY(a.v, m.v), ROW(row), name);
	return 0;
}

static int mem_mailbox_remove(struct engine *e, struct account_id a, struct mailbox_id m,
			      struct fail *why)
{
	(void)why;
	mem_drop(e, MAILBOX, KEY(a.v, m.v));
	mem_overlay_wipe(e, a, m);
	for (uint64_t bit = 0; bit < 64; bit++)
		if (mem_find(e, KEYWORD, KEY(a.v, m.v, bit)))
			mem_drop(e, KEYWORD, KEY(a.v, m.v, bit));
	mem_annotation_drop(e, a, m);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(mailbox_name(*(struct record *const *)a),
		       mailbox_name(*(struct record *const *)b));
}

static int mem_mailbox_each(struct engine *e, struct account_id a, mailbox_fn fn, void *arg,
			    struct fail *why)
{
	(void)why;
	VEC(const struct record *) v = {0};
	size_t i = mem_lower(e, MAILBOX, &KEY(a.v));
	for (const struct record *r; (r = mem_next(e, MAILBOX, a, &i));)
		if (mailbox_row(r).deleted_modseq == 0)
			*vec_push(&v) = r;
	if (v.n > 0)
		qsort(v.p, v.n, sizeof *v.p, by_name);
	int res = 0;
	for (size_t k = 0; res >= 0 && k < v.n; k++) {
		struct row_mailbox row = mailbox_row(v.p[k]);
		res = fn(arg, a, &row, mailbox_name(v.p[k]));
	}
	vec_clear(&v);
	return res < 0 ? res : 0;
}

static int mem_mailbox_dead(struct engine *e, struct account_id a, struct wall_us before,
			    mailbox_fn fn, void *arg, struct fail *why)
{
	(void)why;
	for (size_t i = 0; i < e->t[MAILBOX].n; i++) {
		const struct record *r = &e->t[MAILBOX].p[i];
		struct row_mailbox row = mailbox_row(r);
		if (!row.deleted_modseq || row.deleted_at.v >= before.v ||
		    (a.v && r->key.v[0] != a.v))
			continue;
		int res = fn(arg, (struct account_id){r->key.v[0]}, &row, STR_NULL);
		if (res < 0)
			return res;
	}
	return 0;
}

/* ---- keywords and subscriptions ------------------------------------------------------------ */

static int mem_keyword_each(struct engine *e, struct account_id a, struct mailbox_id m,
			    keyword_fn fn, void *arg, struct fail *why)
{
	(void)why;
	size_t i = mem_lower(e, KEYWORD, &KEY(a.v, m.v));
	for (const struct record *r; (r = mem_next(e, KEYWORD, a, &i)) && r->key.v[1] == m.v;) {
		int res = fn(arg, (unsigned)r->key.v[2], str_make(r->p, r->n));
		if (res < 0)
			return res;
	}
	return 0;
}

static int mem_keyword_add(struct engine *e, struct account_id a, struct mailbox_id m, unsigned bit,
			   struct str name, struct fail *why)
{
	(void)why;
	mem_put(e, KEYWORD, KEY(a.v, m.v, bit), name, STR_NULL);
	return 0;
}

static int mem_subscription_each(struct engine *e, struct account_id a, name_fn fn, void *arg,
				 struct fail *why)
{
	(void)why;
	size_t i = mem_lower(e, SUBSCRIPTION, &KEY(a.v));
	for (const struct record *r; (r = mem_next(e, SUBSCRIPTION, a, &i));) {
		int res = fn(arg, str_make(r->p, r->n));
		if (res < 0)
			return res;
	}
	return 0;
}

static int mem_subscription_set(struct engine *e, struct account_id a, struct str name, bool on,
				struct fail *why)
{
	(void)why;
	size_t i = mem_lower(e, SUBSCRIPTION, &KEY(a.v));
	for (const struct record *r; (r = mem_next(e, SUBSCRIPTION, a, &i));) {
		if (!str_eq(str_make(r->p, r->n), name))
			continue;
		if (!on)
			mem_drop(e, SUBSCRIPTION, r->key);
		return !on;
	}
	if (on)
		mem_put(e, SUBSCRIPTION, KEY(a.v, e->next_id++), name, STR_NULL);
	return on;
}

static int mem_url_key_get(struct engine *e, struct account_id a, struct mailbox_id m,
			   unsigned char ret[STORE_URL_KEY_LEN], struct fail *why)
{
	const struct record *r = mem_find(e, URL_KEY, KEY(a.v, m.v));
	(void)why;
	if (r)
		memcpy(ret, r->p, STORE_URL_KEY_LEN);
	return r != NULL;
}

static int mem_url_key_set(struct engine *e, struct account_id a, struct mailbox_id m,
			   const unsigned char *key, struct fail *why)
{
	(void)why;
	if (key) {
		mem_put(e, URL_KEY, KEY(a.v, m.v), str_make((const char *)key, STORE_URL_KEY_LEN),
			STR_NULL);
		return 0;
	}
	struct key first = KEY(a.v, m.v);
	size_t i;
	while ((i = mem_lower(e, URL_KEY, &first)) < e->t[URL_KEY].n &&
	       e->t[URL_KEY].p[i].key.v[0] == a.v &&
	       (m.v == 0 || e->t[URL_KEY].p[i].key.v[1] == m.v))
		mem_drop(e, URL_KEY, e->t[URL_KEY].p[i].key);
	return 0;
}

const struct engine_ops engine_memory = {
	.open = mem_open,
	.close = mem_close,
	.begin = mem_begin,
	.commit = mem_commit,
	.rollback = mem_rollback,
	.active = mem_active,
	.savepoint = mem_savepoint,
	.release = mem_release,
	.rollback_to = mem_rollback_to,
	.log_bytes = mem_log_bytes,
	.checkpoint = mem_checkpoint,
	.account_get = mem_account_get,
	.account_put = mem_account_put,
	.account_wipe = mem_account_wipe,
	.mailbox_get = mem_mailbox_get,
	.mailbox_find = mem_mailbox_find,
	.mailbox_add = mem_mailbox_add,
	.mailbox_set = mem_mailbox_set,
	.mailbox_rename = mem_mailbox_rename,
	.mailbox_remove = mem_mailbox_remove,
	.mailbox_each = mem_mailbox_each,
	.mailbox_dead = mem_mailbox_dead,
	.keyword_each = mem_keyword_each,
	.keyword_add = mem_keyword_add,
	.subscription_each = mem_subscription_each,
	.subscription_set = mem_subscription_set,
	.url_key_get = mem_url_key_get,
	.url_key_set = mem_url_key_set,
	.acl_each = mem_acl_each,
	.acl_set = mem_acl_set,
	.acl_drop = mem_acl_drop,
	.acl_wipe = mem_acl_wipe,
	.overlay_each = mem_overlay_each,
	.overlay_set = mem_overlay_set,
	.overlay_seen = mem_overlay_seen,
	.annotation_each = mem_annotation_each,
	.annotation_set = mem_annotation_set,
	.annotation_copy = mem_annotation_copy,
	.annotation_usage = mem_annotation_usage,
	.viewer_forget = mem_viewer_forget,
	.script_each = mem_script_each,
	.script_put = mem_script_put,
	.script_set_active = mem_script_set_active,
	.script_remove = mem_script_remove,
	.script_rename = mem_script_rename,
	.entry_add = mem_entry_put,
	.entry_set = mem_entry_put,
	.entry_flags = mem_entry_flags,
	.entry_remove = mem_entry_remove,
	.entry_each = mem_entry_each,
	.entry_map = mem_entry_each,
	.entry_count_live = mem_entry_count_live,
	.entry_first_unseen = mem_entry_first_unseen,
	.entry_expired = mem_entry_expired,
	.message_add = mem_message_add,
	.message_get = mem_message_get,
	.message_scan = mem_message_scan,
	.message_ref = mem_message_ref,
	.message_remove = mem_message_remove,
	.message_each = mem_message_each,
	.message_range = mem_message_range,
	.message_last = mem_message_last,
	.identity = mem_identity,
	.body_add = mem_body_add,
	.body_get = mem_body_get,
	.body_find_file = mem_body_find_file,
	.body_set_refs = mem_body_set_refs,
	.body_remove = mem_body_remove,
	.body_each = mem_body_each,
	.thread_find = mem_thread_find,
	.thread_add = mem_thread_add,
	.thread_left = mem_thread_left,
	.receipt_find = mem_receipt_find,
	.receipt_add = mem_receipt_add,
	.receipt_remove = mem_receipt_remove,
	.receipt_expire = mem_receipt_expire,
};
