/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.c - going through messages of a set, and opening bodies.
 */
#include "service/store/store_int.h"

#define BATCH	    256
#define BATCH_BYTES KIB(256) /* of strings, before the next rows are read */
#define SCAN_GAP    8	     /* rows of others that a scan passes over rather than search anew */
#define SCAN_LEAST  4	     /* messages that are worth a scan */

struct store_reader {
	struct store_view *v;
	struct store_set set;
	unsigned columns;
	uint64_t since;
	/* where the next batch begins */
	size_t run;
	uint32_t in_run;
	/* the batch; rows [0, ready) have their columns */
	struct store_message batch[BATCH];
	size_t n, ready, at;
	struct arena arena;
};

int store_read_begin(struct store_view *v, const struct store_set *set, unsigned columns,
		     struct modseq since, struct store_reader **ret, struct fail *why)
{
	(void)why;
	struct store_reader *r = xcalloc(1, sizeof *r);
	r->v = v;
	r->set = *set;
	r->columns = columns & (STORE_COL_PREFIX | STORE_COL_MAP | STORE_COL_SAVED)
			     ? columns | STORE_COL_DATES
			     : columns;
	r->since = since.v;
	r->arena = ARENA_INIT(BATCH_BYTES + STORE_MAP_MAX + STORE_PREFIX_MAX + KIB(64));
	*ret = r;
	return 0;
}

void store_read_end(struct store_reader *r)
{
	if (!r)
		return;
	arena_clear(&r->arena);
	free(r);
}

/* One run from in_run on, out of the map. */
static void take_from_run(struct store_reader *r, const struct store_run *run)
{
	struct store_view *v = r->v;
	const struct uid_map *m = &v->box->map;
	size_t i = view_nth(v, run->seq + r->in_run);
	while (r->in_run < run->count && r->n < BATCH) {
		const struct map_entry *e = &m->e.p[i++];
		if (view_hides(v, e->uid))
			continue;
		uint32_t seq = run->seq + r->in_run++;
		uint64_t flags, modseq;
		view_flags(v, e, &flags, &modseq);
		if (modseq <= r->since)
			continue;
		r->batch[r->n++] = (struct store_message){
			.seq = seq,
			.uid = {e->uid},
			.flags = flags | (view_recent(v, e->uid) ? STORE_RECENT : 0),
			.modseq = {modseq},
			.id = {e->message},
			.size = e->size,
		};
	}
}

static int next_batch(struct store_reader *r, struct fail *why)
{
	r->n = r->ready = r->at = 0;
	int res = view_lock(r->v, true, why);
	if (res < 0)
		return res;
	while (r->run < r->set.n && r->n < BATCH) {
		const struct store_run *run = &r->set.runs[r->run];
		if (run->seq + run->count - 1 > r->v->info.exists) {
			res = fail_set(why, FAIL_BUG, NULL, "a set outlived its view");
			break;
		}
		take_from_run(r, run);
		if (r->in_run < run->count)
			break;
		r->run++;
		r->in_run = 0;
	}
	view_unlock(r->v);
	return res;
}

static int take_saved(void *arg, const struct row_entry *row)
{
	struct store_message *m = arg;
	if (row->saved.v)
		m->saved = row->saved;
	return 0;
}

static int read_saved(struct store_reader *r, struct store_message *m, struct fail *why)
{
	const struct store_view_info *info = &r->v->info;
	struct part *p = r->v->box->part;
	struct uid_range one = {info->account, info->mailbox, m->uid.v, m->uid.v};
	return p->store->ops->entry_each(p->e, &one, take_saved, m, why);
}

static int take_row(struct store_reader *r, struct store_message *m, const struct row_message *row,
		    struct fail *why)
{
	m->internaldate = row->internaldate;
	m->zone_min = row->zone_min;
	m->saved = row->saved;
	m->thread.v = row->thread ? row->thread : m->id.v;
	m->body_size = row->body_size;
	m->body_ = row->body;
	memcpy(m->sha256, row->sha256, sizeof m->sha256);
	m->prefix = r->columns & STORE_COL_PREFIX ? arena_str(&r->arena, row->prefix) : STR_NULL;
	m->map = r->columns & STORE_COL_MAP ? arena_str(&r->arena, row->map) : STR_NULL;
	return r->columns & STORE_COL_SAVED ? read_saved(r, m, why) : 0;
}

/* A scan over rows of the batch, from r->ready to before `end`. */
struct taking {
	struct store_reader *r;
	size_t end;
	struct fail *why;
};

static int take_scanned(void *arg, const struct row_message *row)
{
	struct taking *t = arg;
	struct store_reader *r = t->r;
	if (row->id < r->batch[r->ready].id.v)
		return 0; /* of another mailbox */
	if (row->id > r->batch[r->ready].id.v)
		return 1; /* the one that is wanted is gone */
	int res = take_row(r, &r->batch[r->ready++], row, t->why);
	return res < 0 ? res : r->ready == t->end || r->arena.used >= BATCH_BYTES;
}

/* Where a scan from the batch's message `from` on ends: ids rise, and few others lie between. */
static size_t scan_end(const struct store_reader *r, size_t from)
{
	size_t i = from + 1;
	while (i < r->n && r->batch[i].id.v > r->batch[i - 1].id.v &&
	       r->batch[i].id.v - r->batch[i - 1].id.v <= SCAN_GAP)
		i++;
	return i;
}

/* The next rows of the batch: at least one, or as many as one scan finds. */
static int read_some(struct store_reader *r, struct fail *why)
{
	struct part *p = r->v->box->part;
	const struct engine_ops *ops = p->store->ops;
	struct account_id a = r->v->info.account;
	struct store_message *first = &r->batch[r->ready];
	struct taking t = {r, scan_end(r, r->ready), why};
	struct row_message row;
	/* SAVEDATE asks the engine for each message, which no scan allows. */
	if (t.end - r->ready >= SCAN_LEAST && !(r->columns & STORE_COL_SAVED)) {
		struct id_range range = {a, first->id.v, r->batch[t.end - 1].id.v};
		size_t before = r->ready;
		int res = ops->message_scan(p->e, &range, r->columns, take_scanned, &t, why);
		if (res < 0 || r->ready > before)
			return res;
	}
	int res = ops->message_get(p->e, a, first->id.v, r->columns, &row, why);
	if (res == 0)
		return fail_set(why, FAIL_GONE, NULL, "message %llu is gone",
				(unsigned long long)first->id.v);
	if (res < 0)
		return res;
	r->ready++;
	return take_row(r, first, &row, why);
}

/* More rows of the batch, as many as fit at once. */
static int read_rows(struct store_reader *r, struct fail *why)
{
	struct part *p = r->v->box->part;
	arena_reset(&r->arena);
	int res = part_enter(p, why);
	if (res < 0)
		return res;
	while (res == 0 && r->ready < r->n && r->arena.used < BATCH_BYTES)
		res = read_some(r, why);
	part_leave(p);
	return res;
}

int store_read_next(struct store_reader *r, struct store_message *ret, struct fail *why)
{
	int res = 0;
	while (r->at == r->n && r->run < r->set.n)
		if ((res = next_batch(r, why)) < 0)
			return res;
	if (r->at == r->n)
		return 0;
	if (r->columns && r->at == r->ready && (res = read_rows(r, why)) < 0)
		return res;
	*ret = r->batch[r->at++];
	return 1;
}

/* ---- bodies -------------------------------------------------------------------------------- */

void store_source_clear(struct store_source *src)
{
	if (src->fd >= 0)
		(void)close(src->fd);
	*src = STORE_SOURCE_INIT;
}

int body_open(struct part *p, struct account_id a, const struct row_body *body, struct arena *arena,
	      struct store_source *ret, struct fail *why)
{
	if (body->codec != BODY_RAW || body->encryption != 0)
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "body %llu: codec %u, encryption %u",
				(unsigned long long)body->id, body->codec, body->encryption);
	struct store_source src = STORE_SOURCE_INIT;
	src.size = body->real_size;
	if (body->is_file) {
		struct body_name n = {.account = a};
		memcpy(n.id, body->file, sizeof n.id);
		int r = blob_open(p->store, &n, &src.fd, why);
		if (r < 0)
			return r;
		*ret = src;
		return 0;
	}
	src.bytes = arena_str(arena, body->bytes);
	if (!src.bytes.p && body->bytes.n > 0)
		return fail_set(why, FAIL_LIMIT, NULL, "no room for a body of %zu bytes",
				body->bytes.n);
	*ret = src;
	return 0;
}

int store_body_open(struct store_view *v, const struct store_message *m, struct arena *arena,
		    struct store_source *ret, struct fail *why)
{
	struct part *p = v->box->part;
	const struct engine_ops *ops = v->s->ops;
	struct row_message row = {.body = m->body_};
	struct row_body body;
	int r = part_enter(p, why);
	if (r < 0)
		return r;
	/* Ids of bodies are never given again: one that was read may be gone, but is no other's. */
	r = row.body ? 1 : ops->message_get(p->e, v->info.account, m->id.v, 0, &row, why);
	if (r > 0)
		r = ops->body_get(p->e, v->info.account, row.body, &body, why);
	if (r > 0)
		r = body_open(p, v->info.account, &body, arena, ret, why);
	else if (r == 0)
		r = fail_set(why, FAIL_GONE, NULL, "message %llu is gone",
			     (unsigned long long)m->id.v);
	part_leave(p);
	return r;
}
