/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tx.c - rows with their counters, inside a job: the only place that changes an entry.
 */
#include "service/store/store_int.h"
#include "sys/sha256.h"

int tx_account(struct tx *tx, struct account_id a, struct row_account *ret, struct fail *why)
{
	int r = tx->ops->account_get(tx->e, a, ret, why);
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no account %llu",
				(unsigned long long)a.v);
	return r < 0 ? r : 0;
}

/* ---- a mailbox ----------------------------------------------------------------------------- */

/* What sessions have shown as recent is written with the next change of the mailbox. */
static int fold_claim(struct tx *tx, struct tx_box *b, struct fail *why)
{
	struct row_mailbox *row = &b->row;
	uint32_t claimed = b->live ? b->live->claimed : 0;
	if (claimed <= row->first_recent)
		return 0;
	row->first_recent = claimed;
	row->recent = 0;
	if (claimed >= row->uidnext)
		return 0;
	struct uid_range rest = {b->account, row->id, claimed, UINT32_MAX};
	return tx->ops->entry_count_live(tx->e, &rest, &row->recent, why);
}

static int begin_box(struct tx *tx, struct account_id a, struct tx_box *b, struct fail *why)
{
	b->account = a;
	b->names = ARENA_INIT(KIB(16));
	b->live = box_find(tx->s, a, b->row.id);
	return fold_claim(tx, b, why);
}

int tx_box_by_name(struct tx *tx, struct account_id a, struct str name, struct tx_box *ret,
		   struct fail *why)
{
	int r = tx->ops->mailbox_find(tx->e, a, name, &ret->row, why);
	if (r < 0)
		return r;
	if (r == 0 || ret->row.noselect)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no mailbox %.*s",
				STR_ARG(name));
	return begin_box(tx, a, ret, why);
}

int tx_box_by_id(struct tx *tx, struct account_id a, struct mailbox_id m, struct tx_box *ret,
		 struct fail *why)
{
	int r = tx->ops->mailbox_get(tx->e, a, m, &ret->row, why);
	if (r < 0)
		return r;
	if (r == 0 || ret->row.deleted_modseq)
		return fail_set(why, FAIL_GONE, "The mailbox was deleted.", "mailbox %llu gone",
				(unsigned long long)m.v);
	return begin_box(tx, a, ret, why);
}

void tx_box_clear(struct tx_box *b)
{
	if (b->live)
		box_unref(b->live);
	arena_clear(&b->names);
	*b = (struct tx_box){0};
}

struct change *tx_change(struct tx *tx, struct tx_box *b, enum change_kind kind)
{
	if (!b->live)
		return NULL;
	struct change *c = vec_push(&tx->changes);
	c->kind = kind;
	c->box = box_ref(b->live);
	return c;
}

int tx_box_end(struct tx *tx, struct tx_box *b, const struct row_account *acc, struct fail *why)
{
	int r = tx->ops->mailbox_set(tx->e, b->account, &b->row, why);
	if (r < 0 || (r = tx->ops->account_put(tx->e, acc, why)) < 0)
		return r;
	struct changed_row *row = vec_push(&tx->rows);
	row->account = b->account;
	row->row = b->row;
	row->kinds = b->kinds;
	row->modseq = acc->modseq;
	struct change *c = tx_change(tx, b, CHANGE_ROW);
	if (c)
		c->size = (uint32_t)(tx->rows.n - 1);
	return 0;
}

void tx_list_changed(struct tx *tx, const struct row_account *acc)
{
	struct changed_row *row = vec_push(&tx->rows);
	row->account = acc->id;
	row->kinds = STORE_EVENT_MAILBOXES;
	row->modseq = acc->modseq;
}

/* ---- keywords ------------------------------------------------------------------------------ */

static int take_keyword(void *arg, unsigned bit, struct str name)
{
	struct tx_box *b = arg;
	if (bit < STORE_KEYWORD_FIRST || bit >= 64)
		return -FAIL_CORRUPT;
	b->keywords[bit - STORE_KEYWORD_FIRST] = arena_str(&b->names, name);
	b->keyword_bits |= UINT64_C(1) << bit;
	return 0;
}

int tx_keywords(struct tx *tx, struct tx_box *b, struct fail *why)
{
	if (b->keywords_loaded)
		return 0;
	int r = tx->ops->keyword_each(tx->e, b->account, b->row.id, take_keyword, b, why);
	b->keywords_loaded = r >= 0;
	return r;
}

int tx_keyword(struct tx *tx, struct tx_box *b, struct str name, bool make, uint64_t *ret_bit,
	       struct fail *why)
{
	*ret_bit = 0;
	if (name.n == 0 || name.n > STORE_KEYWORD_LEN)
		return 0;
	int r = tx_keywords(tx, b, why);
	if (r < 0)
		return r;
	unsigned i = 0;
	for (; i < STORE_KEYWORDS_MAX && b->keywords[i].n > 0; i++) {
		if (str_eqi(b->keywords[i], name)) {
			*ret_bit = UINT64_C(1) << (i + STORE_KEYWORD_FIRST);
			return 0;
		}
	}
	if (!make || i == STORE_KEYWORDS_MAX)
		return 0;
	unsigned bit = i + STORE_KEYWORD_FIRST;
	r = tx->ops->keyword_add(tx->e, b->account, b->row.id, bit, name, why);
	if (r < 0)
		return r;
	(void)take_keyword(b, bit, name);
	struct change *c = tx_change(tx, b, CHANGE_KEYWORD);
	if (c) {
		c->size = bit;
		c->keyword = xcalloc(1, name.n + 1);
		memcpy(c->keyword, name.p, name.n);
	}
	*ret_bit = UINT64_C(1) << bit;
	return 0;
}

int tx_flags(struct tx *tx, struct tx_box *b, const struct store_flagset *set, bool make,
	     uint64_t *ret, struct fail *why)
{
	uint64_t flags = set->bits & STORE_SYSTEM_FLAGS;
	for (size_t i = 0; i < set->n_keywords; i++) {
		uint64_t bit;
		int r = tx_keyword(tx, b, set->keywords[i], make, &bit, why);
		if (r < 0)
			return r;
		if (bit == 0 && make)
			return fail_set(why, FAIL_LIMIT,
					"The mailbox has no room for another keyword.",
					"keyword %.*s", STR_ARG(set->keywords[i]));
		flags |= bit;
	}
	*ret = flags;
	return 0;
}

/* ---- entries ------------------------------------------------------------------------------- */

/* Add (by = 1) or take away (-1) a live message with these flags from the counters. */
static void count(struct tx_box *b, struct row_account *acc, const struct row_entry *e, int by)
{
	struct row_mailbox *row = &b->row;
	uint32_t one = by > 0 ? 1 : UINT32_MAX; /* unsigned: -1 wraps */
	row->exists += one;
	row->size += by > 0 ? e->size : -(uint64_t)e->size;
	row->digest += by > 0 ? uid_digest(e->uid) : -uid_digest(e->uid);
	if (!(e->flags & STORE_SEEN))
		row->unseen += one;
	if (e->flags & STORE_DELETED) {
		row->deleted += one;
		row->deleted_size += by > 0 ? e->size : -(uint64_t)e->size;
	}
	if (e->uid >= row->first_recent)
		row->recent += one;
	acc->bytes += by > 0 ? e->size : -(uint64_t)e->size;
	acc->messages += by > 0 ? UINT64_C(1) : UINT64_MAX;
}

int tx_entry_add(struct tx *tx, struct row_account *acc, struct tx_box *b,
		 const struct row_entry *e, struct fail *why)
{
	if (b->row.uidnext == UINT32_MAX || b->row.exists >= UINT32_MAX - 1)
		return fail_set(why, FAIL_LIMIT, "The mailbox has no UID left.", "uidnext");
	CHECK(e->uid == b->row.uidnext);
	int r = tx->ops->entry_add(tx->e, b->account, b->row.id, e, why);
	if (r < 0)
		return r;
	b->row.uidnext++;
	b->row.highestmodseq = e->modseq;
	b->kinds |= STORE_EVENT_NEW;
	count(b, acc, e, 1);
	struct change *c = tx_change(tx, b, CHANGE_ADDED);
	if (c) {
		c->uid = e->uid;
		c->message = e->message;
		c->flags = e->flags;
		c->modseq = e->modseq;
		c->size = e->size;
	}
	return 0;
}

int tx_entry_expunge(struct tx *tx, struct row_account *acc, struct tx_box *b, struct row_entry *e,
		     struct fail *why)
{
	CHECK(e->expunged == 0);
	e->expunged = acc->modseq;
	e->expunged_at = tx->now;
	int r = tx->ops->entry_set(tx->e, b->account, b->row.id, e, why);
	if (r < 0)
		return r;
	b->row.highestmodseq = b->row.expunge_modseq = acc->modseq;
	b->kinds |= STORE_EVENT_EXPUNGE;
	count(b, acc, e, -1);
	struct change *c = tx_change(tx, b, CHANGE_EXPUNGED);
	if (c) {
		c->uid = e->uid;
		c->modseq = acc->modseq;
	}
	return 0;
}

void tx_entry_flagged(struct tx *tx, struct tx_box *b, struct row_entry *e, uint64_t flags,
		      uint64_t modseq)
{
	uint64_t differ = e->flags ^ flags;
	struct row_mailbox *row = &b->row;
	e->flags = flags;
	e->modseq = modseq;
	if (differ & STORE_SEEN)
		row->unseen += flags & STORE_SEEN ? UINT32_MAX : 1;
	if (differ & STORE_DELETED) {
		row->deleted += flags & STORE_DELETED ? 1 : UINT32_MAX;
		row->deleted_size += flags & STORE_DELETED ? e->size : -(uint64_t)e->size;
	}
	if ((differ & STORE_SEEN) && !(flags & STORE_SEEN))
		row->unseen_hint = MIN(row->unseen_hint, e->uid);
	row->highestmodseq = row->flags_modseq = modseq;
	b->kinds |= STORE_EVENT_FLAGS;
	struct change *c = tx_change(tx, b, CHANGE_FLAGS);
	if (c) {
		c->uid = e->uid;
		c->flags = flags;
		c->modseq = modseq;
	}
}

/* ---- messages ------------------------------------------------------------------------------ */

uint64_t content_size(const struct store_content *c)
{
	return c->prefix.n + (c->file ? c->file->size : c->bytes.n);
}

int content_check(const struct store_content *c, struct fail *why)
{
	if (c->file && !c->file->sealed)
		return fail_set(why, FAIL_BUG, NULL, "the body is not sealed");
	if ((!c->file && c->bytes.n > STORE_INLINE_MAX) || c->prefix.n > STORE_PREFIX_MAX ||
	    c->map.n > STORE_MAP_MAX || content_size(c) > UINT32_MAX)
		return fail_set(why, FAIL_TOOBIG, NULL, "prefix %zu, body %llu, map %zu",
				c->prefix.n, (unsigned long long)content_size(c), c->map.n);
	return 0;
}

int quota_check(const struct row_account *acc, const struct store_quota *q, uint64_t bytes,
		uint64_t messages, struct fail *why)
{
	bool over =
		(q->bytes && (bytes > q->bytes || acc->bytes > q->bytes - bytes)) ||
		(q->messages && (messages > q->messages || acc->messages > q->messages - messages));
	if (!over)
		return 0;
	return fail_set(why, FAIL_QUOTA, NULL, "account %llu: %llu bytes in %llu messages",
			(unsigned long long)acc->id.v, (unsigned long long)acc->bytes,
			(unsigned long long)acc->messages);
}

/* The body's row: a file that the account has already is used again. */
static int put_body(struct tx *tx, struct account_id a, const struct store_content *c,
		    struct row_message *m, struct fail *why)
{
	struct row_body body = {.refs = 1};
	if (!c->file) {
		body.bytes = c->bytes;
		body.stored_size = body.real_size = m->body_size = c->bytes.n;
		if (c->sha256)
			memcpy(m->sha256, c->sha256, sizeof m->sha256);
		else
			sha256_of(c->bytes, m->sha256);
		return tx->ops->body_add(tx->e, a, &body, &m->body, why);
	}
	m->body_size = c->file->size;
	memcpy(m->sha256, c->file->sha256, sizeof m->sha256);
	int r = tx->ops->body_find_file(tx->e, a, c->file->id, &body, why);
	if (r < 0)
		return r;
	if (r > 0) {
		m->body = body.id;
		return tx->ops->body_set_refs(tx->e, a, body.id, body.refs + 1, why);
	}
	body = (struct row_body){.refs = 1, .is_file = true};
	memcpy(body.file, c->file->id, sizeof body.file);
	body.stored_size = body.real_size = c->file->size;
	return tx->ops->body_add(tx->e, a, &body, &m->body, why);
}

static int put_flags(struct tx *tx, struct tx_box *b, const struct store_append_message *in,
		     uint64_t *ret, struct fail *why)
{
	const struct store_flagset *set = &in->flags;
	if (!in->keywords_if_room)
		return tx_flags(tx, b, set, true, ret, why);
	*ret = set->bits & STORE_SYSTEM_FLAGS;
	for (size_t i = 0; i < set->n_keywords; i++) {
		uint64_t bit;
		int r = tx_keyword(tx, b, set->keywords[i], true, &bit, why);
		if (r < 0)
			return r;
		*ret |= bit;
	}
	return 0;
}

int tx_put(struct tx *tx, struct row_account *acc, struct tx_box *b,
	   const struct store_append_message *in, uint64_t modseq, struct fail *why)
{
	const struct store_content *c = &in->content;
	struct row_message m = {
		.size = (uint32_t)content_size(c),
		.internaldate = in->internaldate.v ? in->internaldate : tx->now,
		.zone_min = in->zone_min,
		.saved = tx->now,
		.prefix = c->prefix,
		.map = c->map,
	};
	struct row_entry e = {
		.uid = b->row.uidnext, .size = m.size, .created = modseq, .modseq = modseq};
	struct thread_keys keys;
	thread_keys_of(c, &keys);
	int r = put_flags(tx, b, in, &e.flags, why);
	if (r < 0 || (r = put_body(tx, b->account, c, &m, why)) < 0 ||
	    (r = tx_thread_find(tx, b->account, &keys, &m.thread, why)) < 0 ||
	    (r = tx->ops->message_add(tx->e, b->account, &m, &e.message, why)) < 0 ||
	    (r = tx_thread_add(tx, b->account, &keys, m.thread ? m.thread : e.message, why)) < 0)
		return r;
	tx->news.added = true;
	return tx_entry_add(tx, acc, b, &e, why);
}

void tx_dropped(struct tx *tx, struct message_id id)
{
	struct store_news *n = &tx->news;
	n->dropped_from = MIN(n->dropped_from, id.v);
	n->dropped_to = id.v ? MAX(n->dropped_to, id.v) : UINT64_MAX;
}

static int drop_body(struct tx *tx, struct account_id a, uint64_t id, struct store_purge_result *n,
		     struct fail *why)
{
	struct row_body body;
	int r = tx->ops->body_get(tx->e, a, id, &body, why);
	if (r < 0)
		return r;
	if (r == 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "body %llu is missing",
				(unsigned long long)id);
	if (body.refs > 1)
		return tx->ops->body_set_refs(tx->e, a, id, body.refs - 1, why);
	if (body.is_file) {
		struct body_name *name = vec_push(&tx->unlinks);
		memcpy(name->id, body.file, sizeof name->id);
		name->account = a;
	}
	n->bodies++;
	return tx->ops->body_remove(tx->e, a, id, why);
}

int tx_message_drop(struct tx *tx, struct account_id a, uint64_t message,
		    struct store_purge_result *n, struct fail *why)
{
	uint64_t left;
	int r = tx->ops->message_ref(tx->e, a, message, -1, &left, why);
	if (r < 0 || left > 0)
		return r;
	struct row_message m;
	r = tx->ops->message_get(tx->e, a, message, 0, &m, why);
	if (r < 0)
		return r;
	if (r == 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "message %llu is missing",
				(unsigned long long)message);
	r = tx->ops->message_remove(tx->e, a, message, why);
	tx_dropped(tx, (struct message_id){message});
	n->messages++;
	if (r == 0)
		r = tx->ops->thread_left(tx->e, a, m.thread ? m.thread : message, why);
	return r < 0 ? r : drop_body(tx, a, m.body, n, why);
}
