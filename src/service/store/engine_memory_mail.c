/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_memory_mail.c - entries, messages, bodies and receipts of the in-memory engine.
 */
#include "base/buf.h"
#include "service/store/engine_memory.h"

/* ---- entries ------------------------------------------------------------------------------- */

int mem_entry_put(struct engine *e, struct account_id a, struct mailbox_id m,
		  const struct row_entry *row, struct fail *why)
{
	(void)why;
	mem_put(e, ENTRY, KEY(a.v, m.v, row->uid), ROW(*row), STR_NULL);
	return 0;
}

int mem_entry_remove(struct engine *e, struct account_id a, struct mailbox_id m, uint32_t uid,
		     struct fail *why)
{
	(void)why;
	mem_overlay_drop(e, a, m, uid);
	mem_drop(e, ENTRY, KEY(a.v, m.v, uid));
	return 0;
}

int mem_entry_each(struct engine *e, const struct uid_range *range, entry_fn fn, void *arg,
		   struct fail *why)
{
	(void)why;
	uint64_t mailbox = range->mailbox.v;
	size_t i = mem_lower(e, ENTRY, &KEY(range->account.v, mailbox, range->lo));
	for (const struct record *r;
	     (r = mem_next(e, ENTRY, range->account, &i)) && r->key.v[1] == mailbox;) {
		struct row_entry row;
		memcpy(&row, r->p, sizeof row);
		int res = row.uid > range->hi ? 1 : fn(arg, &row);
		if (res != 0)
			return res < 0 ? res : 0;
	}
	return 0;
}

int mem_entry_flags(struct engine *e, const struct uid_range *range, const struct flag_rule *rule,
		    struct fail *why)
{
	uint64_t mailbox = range->mailbox.v;
	size_t i = mem_lower(e, ENTRY, &KEY(range->account.v, mailbox, range->lo));
	for (const struct record *r; (r = mem_next(e, ENTRY, range->account, &i)) &&
				     r->key.v[1] == mailbox && r->key.v[2] <= range->hi;) {
		struct row_entry row;
		memcpy(&row, r->p, sizeof row);
		uint64_t flags = (row.flags & rule->keep) | rule->add;
		if (row.expunged || row.modseq > rule->since || flags == row.flags)
			continue;
		row.flags = flags;
		row.modseq = rule->modseq;
		int put = mem_entry_put(e, range->account, range->mailbox, &row, why);
		if (put < 0)
			return put;
	}
	return 0;
}

struct tally {
	uint32_t n;
	uint32_t first_unseen;
};

static int tally_entry(void *arg, const struct row_entry *row)
{
	struct tally *t = arg;
	if (row->expunged)
		return 0;
	t->n++;
	if (t->first_unseen == 0 && !(row->flags & STORE_SEEN))
		t->first_unseen = row->uid;
	return 0;
}

int mem_entry_count_live(struct engine *e, const struct uid_range *range, uint32_t *ret,
			 struct fail *why)
{
	struct tally t = {0};
	int r = mem_entry_each(e, range, tally_entry, &t, why);
	*ret = t.n;
	return r;
}

int mem_entry_first_unseen(struct engine *e, const struct uid_range *range, uint32_t *ret,
			   struct fail *why)
{
	struct tally t = {0};
	int r = mem_entry_each(e, range, tally_entry, &t, why);
	*ret = t.first_unseen;
	return r;
}

int mem_entry_expired(struct engine *e, const struct expired_range *range, expired_fn fn, void *arg,
		      struct fail *why)
{
	uint64_t a = range->account.v;
	size_t max = range->max;
	(void)why;
	for (size_t i = 0; max > 0 && i < e->t[ENTRY].n; i++) {
		const struct record *r = &e->t[ENTRY].p[i];
		struct row_entry row;
		memcpy(&row, r->p, sizeof row);
		if (!row.expunged || row.expunged_at.v >= range->before.v ||
		    (a && r->key.v[0] != a))
			continue;
		int res = fn(arg, (struct account_id){r->key.v[0]},
			     (struct mailbox_id){r->key.v[1]}, &row);
		if (res < 0)
			return res;
		max--;
	}
	return 0;
}

/* ---- messages: a row with its count of entries, prefix and map ------------------------------ */

struct memory_message {
	struct row_message row;
	uint64_t refs;
};

static struct memory_message message_of(const struct record *r)
{
	struct memory_message m;
	memcpy(&m, r->p, sizeof m);
	m.row.id = r->key.v[1];
	m.row.prefix.p = r->p + sizeof m;
	m.row.map.p = m.row.prefix.p + m.row.prefix.n;
	return m;
}

int mem_message_add(struct engine *e, struct account_id a, const struct row_message *row,
		    uint64_t *ret_id, struct fail *why)
{
	(void)why;
	struct memory_message m = {*row, 1};
	AUTO(buf) struct buf all = BUF_INIT(sizeof m + row->prefix.n + row->map.n);
	buf_add(&all, ROW(m));
	buf_add(&all, row->prefix);
	buf_add(&all, row->map);
	*ret_id = e->next_id++;
	mem_put(e, MESSAGE, KEY(a.v, *ret_id), buf_str(&all), STR_NULL);
	return 0;
}

int mem_message_get(struct engine *e, struct account_id a, uint64_t id, unsigned columns,
		    struct row_message *ret, struct fail *why)
{
	(void)columns;
	(void)why;
	const struct record *r = mem_find(e, MESSAGE, KEY(a.v, id));
	if (r)
		*ret = message_of(r).row;
	return r != NULL;
}

int mem_message_scan(struct engine *e, const struct id_range *range, unsigned columns,
		     message_row_fn fn, void *arg, struct fail *why)
{
	(void)columns;
	(void)why;
	size_t i = mem_lower(e, MESSAGE, &KEY(range->account.v, range->lo));
	for (const struct record *r; (r = mem_next(e, MESSAGE, range->account, &i));) {
		struct memory_message m = message_of(r);
		int res = m.row.id > range->hi ? 1 : fn(arg, &m.row);
		if (res != 0)
			return MIN(res, 0);
	}
	return 0;
}

int mem_message_ref(struct engine *e, struct account_id a, uint64_t id, int by, uint64_t *ret_left,
		    struct fail *why)
{
	const struct record *r = mem_find(e, MESSAGE, KEY(a.v, id));
	if (!r)
		return fail_set(why, FAIL_CORRUPT, NULL, "no message to count");
	struct memory_message m = message_of(r);
	m.refs += (uint64_t)(int64_t)by;
	*ret_left = m.refs;
	mem_put(e, MESSAGE, r->key, ROW(m), str_make(m.row.prefix.p, m.row.prefix.n + m.row.map.n));
	return 0;
}

int mem_message_remove(struct engine *e, struct account_id a, uint64_t id, struct fail *why)
{
	(void)why;
	mem_drop(e, MESSAGE, KEY(a.v, id));
	return 0;
}

int mem_message_each(struct engine *e, struct account_id a, message_fn fn, void *arg,
		     struct fail *why)
{
	(void)why;
	size_t i = mem_lower(e, MESSAGE, &KEY(a.v));
	for (const struct record *r; (r = mem_next(e, MESSAGE, a, &i));) {
		struct memory_message m = message_of(r);
		int res = fn(arg, m.row.id, m.refs, m.row.body);
		if (res < 0)
			return res;
	}
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	return x->key.v[1] < y->key.v[1] ? -1 : x->key.v[1] > y->key.v[1];
}

/* Records are sorted by account: here the id alone counts. */
int mem_message_range(struct engine *e, uint64_t from, uint64_t to, size_t max, message_id_fn fn,
		      void *arg, struct fail *why)
{
	VEC(struct record) all = {0};
	int r = 0;
	(void)why;
	for (size_t i = 0; i < e->t[MESSAGE].n; i++) {
		const struct record *x = &e->t[MESSAGE].p[i];
		if (x->key.v[1] >= from && x->key.v[1] <= to)
			*vec_push(&all) = *x;
	}
	if (all.n)
		qsort(all.p, all.n, sizeof all.p[0], by_id);
	for (size_t i = 0; r >= 0 && i < all.n && i < max; i++)
		r = fn(arg, (struct account_id){all.p[i].key.v[0]}, all.p[i].key.v[1]);
	vec_clear(&all);
	return r;
}

int mem_message_last(struct engine *e, uint64_t *ret, struct fail *why)
{
	(void)why;
	*ret = 0;
	for (size_t i = 0; i < e->t[MESSAGE].n; i++)
		*ret = MAX(*ret, e->t[MESSAGE].p[i].key.v[1]);
	return 0;
}

int mem_identity(struct engine *e, uint64_t *ret, struct fail *why)
{
	(void)e, (void)why;
	*ret = 1; /* it lives as long as who asks */
	return 0;
}

/* ---- bodies: a row and its bytes ----------------------------------------------------------- */

static struct row_body body_of(const struct record *r)
{
	struct row_body b;
	memcpy(&b, r->p, sizeof b);
	b.id = r->key.v[1];
	b.bytes = str_make(r->p + sizeof b, r->n - sizeof b);
	return b;
}

int mem_body_add(struct engine *e, struct account_id a, const struct row_body *row,
		 uint64_t *ret_id, struct fail *why)
{
	(void)why;
	*ret_id = e->next_id++;
	mem_put(e, BODY, KEY(a.v, *ret_id), ROW(*row), row->bytes);
	return 0;
}

int mem_body_get(struct engine *e, struct account_id a, uint64_t id, struct row_body *ret,
		 struct fail *why)
{
	(void)why;
	const struct record *r = mem_find(e, BODY, KEY(a.v, id));
	if (r)
		*ret = body_of(r);
	return r != NULL;
}

int mem_body_find_file(struct engine *e, struct account_id a, const unsigned char file[16],
		       struct row_body *ret, struct fail *why)
{
	(void)why;
	size_t i = mem_lower(e, BODY, &KEY(a.v));
	for (const struct record *r; (r = mem_next(e, BODY, a, &i));) {
		struct row_body b = body_of(r);
		if (b.is_file && memcmp(b.file, file, sizeof b.file) == 0) {
			*ret = b;
			return 1;
		}
	}
	return 0;
}

int mem_body_set_refs(struct engine *e, struct account_id a, uint64_t id, uint64_t refs,
		      struct fail *why)
{
	const struct record *r = mem_find(e, BODY, KEY(a.v, id));
	if (!r)
		return fail_set(why, FAIL_CORRUPT, NULL, "no body to count");
	struct row_body b = body_of(r);
	b.refs = refs;
	mem_put(e, BODY, r->key, ROW(b), b.bytes);
	return 0;
}

int mem_body_remove(struct engine *e, struct account_id a, uint64_t id, struct fail *why)
{
	(void)why;
	mem_drop(e, BODY, KEY(a.v, id));
	return 0;
}

int mem_body_each(struct engine *e, struct account_id a, bool files_only, body_fn fn, void *arg,
		  struct fail *why)
{
	(void)why;
	size_t i = mem_lower(e, BODY, &KEY(a.v));
	for (const struct record *r; (r = mem_next(e, BODY, a, &i));) {
		struct row_body b = body_of(r);
		int res = files_only && !b.is_file ? 0 : fn(arg, &b);
		if (res < 0)
			return res;
	}
	return 0;
}

/* ---- threads: by key; the last message is found by a scan -------------------------------------
 */

int mem_thread_find(struct engine *e, struct account_id a, uint64_t key, uint64_t *ret,
		    struct fail *why)
{
	(void)why;
	const struct record *r = mem_find(e, THREAD, KEY(a.v, key));
	*ret = 0;
	if (r)
		memcpy(ret, r->p, sizeof *ret);
	return 0;
}

int mem_thread_add(struct engine *e, struct account_id a, uint64_t key, uint64_t thread,
		   struct fail *why)
{
	(void)why;
	if (!mem_find(e, THREAD, KEY(a.v, key)))
		mem_put(e, THREAD, KEY(a.v, key), ROW(thread), STR_NULL);
	return 0;
}

static bool thread_is_used(struct engine *e, struct account_id a, uint64_t thread)
{
	size_t i = mem_lower(e, MESSAGE, &KEY(a.v));
	for (const struct record *r; (r = mem_next(e, MESSAGE, a, &i));) {
		struct memory_message m = message_of(r);
		if (m.row.id == thread || m.row.thread == thread)
			return true;
	}
	return false;
}

int mem_thread_left(struct engine *e, struct account_id a, uint64_t thread, struct fail *why)
{
	(void)why;
	if (thread_is_used(e, a, thread))
		return 0;
	size_t i = mem_lower(e, THREAD, &KEY(a.v));
	for (const struct record *r; (r = mem_next(e, THREAD, a, &i));) {
		uint64_t of;
		memcpy(&of, r->p, sizeof of);
		if (of != thread)
			continue;
		mem_drop(e, THREAD, r->key);
		i--;
	}
	return 0;
}

/* ---- receipts: found by a scan ------------------------------------------------------------- */

static const struct record *find_receipt(const struct engine *e, struct account_id a,
					 const struct store_receipt *want)
{
	size_t i = mem_lower(e, RECEIPT, &KEY(a.v));
	for (const struct record *r; (r = mem_next(e, RECEIPT, a, &i));)
		if (memcmp(r->p, want, sizeof *want) == 0)
			return r;
	return NULL;
}

/* The key, and what came. */
struct kept {
	struct store_receipt key;
	struct row_receipt what;
};

int mem_receipt_find(struct engine *e, struct account_id a, const struct store_receipt *r,
		     struct row_receipt *ret, struct fail *why)
{
	const struct record *found = find_receipt(e, a, r);
	struct kept kept;
	(void)why;
	if (!found)
		return 0;
	memcpy(&kept, found->p, sizeof kept);
	if (ret)
		*ret = kept.what;
	return 1;
}

int mem_receipt_add(struct engine *e, struct account_id a, const struct store_receipt *r,
		    const struct row_receipt *what, struct fail *why)
{
	struct kept kept;
	(void)why;
	memset(&kept, 0, sizeof kept);
	kept.key = *r;
	if (what)
		kept.what = *what;
	mem_put(e, RECEIPT, KEY(a.v, e->next_id++), ROW(kept), STR_NULL);
	return 0;
}

int mem_receipt_expire(struct engine *e, struct wall_us before, struct fail *why)
{
	(void)why;
	for (size_t i = e->t[RECEIPT].n; i-- > 0;) {
		struct kept kept;
		memcpy(&kept, e->t[RECEIPT].p[i].p, sizeof kept);
		if (kept.what.at.v > 0 && kept.what.at.v < before.v)
			mem_drop(e, RECEIPT, e->t[RECEIPT].p[i].key);
	}
	return 0;
}

int mem_receipt_remove(struct engine *e, struct account_id a, const struct store_receipt *r,
		       struct fail *why)
{
	(void)why;
	const struct record *old = find_receipt(e, a, r);
	if (old)
		mem_drop(e, RECEIPT, old->key);
	return 0;
}
