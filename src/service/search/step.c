/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.c - the work of the index, in pieces of some hundred microseconds.
 *
 * The lowest range that has a message and no segment is at work. Messages that are gone are looked
 * for when there is nothing else to do.
 */
#include "base/check.h"
#include "base/num.h"
#include "service/search/search_int.h"
#include "sys/clock.h"
#include "sys/crash.h"

#define BATCH	     16
#define RECORDS_MAX  (BATCH * (PLACES * 65536u + 64u))
#define POISON_TRIES 3u
#define LOOK_MAX     256 /* ranges looked at in one step */

/* ---- opening -------------------------------------------------------------------------------- */

struct opening {
	struct search *x;
	struct spart *p;
	char path[PATH_MAX_]; /* of the folder */
};

static void remove_beside(struct opening *o, const char *name)
{
	size_t n = strlen(o->path);
	(void)snprintf(o->path + n, PATH_MAX_ - n, "/%s", name);
	(void)!fs_unlink(o->x->fs, o->path, NULL);
	o->path[n] = '\0';
}

static int take_name(void *arg, const char *name, enum fs_kind kind)
{
	struct opening *o = arg;
	struct spart *p = o->p;
	unsigned long long range = 0;
	int end = 0;
	(void)kind;
	if (sscanf(name, "%8llx%n", &range, &end) == 1 && end == 8 && name[8] == '\0')
		(void)map_put(&p->done, range + 1, p);
	else if (str_ends(str_c(name), STR(".new"))) /* its process was killed */
		remove_beside(o, name);
	return 0;
}

static int take_away(void *arg, const char *name, enum fs_kind kind)
{
	(void)kind;
	remove_beside(arg, name);
	return 0;
}

/* Ids only rise, so a file that has not come as far as the index is an older one, put back by hand,
 * which will give ids again. */
static bool is_ahead(const struct spart *p)
{
	uint64_t last = p->tail.range == UINT64_MAX ? 0 : p->tail.last;
	MAP_EACH (&p->done, i)
		last = MAX(last, (p->done.slots[i].key - 1) * RANGE_IDS);
	return last > p->last;
}

static uint64_t made_for(const struct spart *p, uint64_t identity)
{
	uint64_t z = identity ^ p->no << 48 ^ (uint64_t)charset_version() << 16 ^ TEXTS_VERSION;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return z ^ z >> 31;
}

/* p->lock is held. */
static int open_files(struct search *x, struct spart *p, bool *ret_other, struct fail *why)
{
	char path[PATH_MAX_];
	struct tail tail = {0};
	struct opening *o = xcalloc(1, sizeof *o);
	o->x = x;
	o->p = p;
	part_folder(x, p, o->path);
	map_clear(&p->done);
	int r = fs_list(x->fs, o->path, take_name, o, why);
	part_path_tail(x, p, path);
	if (r == 0)
		r = tail_open(x->fs, path, p->made, &tail, ret_other, why);
	if (r == 0) {
		tail_close(&p->tail);
		p->tail = tail;
		*ret_other |= is_ahead(p);
	} else {
		tail_close(&tail);
	}
	if (r == 0 && *ret_other) {
		tail_close(&p->tail);
		p->tail = (struct tail){.range = UINT64_MAX};
		r = fs_list(x->fs, o->path, take_away, o, why);
	}
	free(o);
	return r;
}

static int open_part(struct search *x, struct spart *p, struct fail *why)
{
	char path[PATH_MAX_];
	uint64_t identity = 0;
	bool other = false;
	part_folder(x, p, path);
	int r = store_partition_identity(x->store, p->no, &identity, why);
	if (r == 0)
		r = fs_mkdir_all(x->fs, path, 0700, why);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&p->lock);
	p->made = made_for(p, identity);
	r = open_files(x, p, &other, why);
	if (r == 0 && other)
		r = open_files(x, p, &other, why);
	p->open = r == 0;
	if (r == 0)
		p->careful = p->tail.tries ? p->tail.try_id + BATCH : 0;
	pthread_rwlock_unlock(&p->lock);
	p->front = p->whole = 0;
	if (r == 0 && p->tail.range != UINT64_MAX && part_has(p, p->tail.range)) {
		pthread_rwlock_wrlock(&p->lock); /* killed between the segment and the new tail */
		r = tail_begin(&p->tail, UINT64_MAX, why);
		pthread_rwlock_unlock(&p->lock);
	}
	return r;
}

static int begin_range(struct spart *p, uint64_t range, struct fail *why)
{
	pthread_rwlock_wrlock(&p->lock);
	int r = tail_begin(&p->tail, range, why);
	pthread_rwlock_unlock(&p->lock);
	return r;
}

/* ---- a full range --------------------------------------------------------------------------- */

struct keeping {
	VEC(struct seal_entry) entries;
	uint64_t ids[RANGE_IDS]; /* that exist */
	size_t n, at;
	uint64_t range, last; /* of the records of a tail */
};

static bool exists(struct keeping *k, uint64_t id)
{
	while (k->at < k->n && k->ids[k->at] < id)
		k->at++;
	return k->at < k->n && k->ids[k->at] == id;
}

static int keep_record(void *arg, const struct tail_record *r, const uint8_t *arrays, uint64_t at)
{
	struct keeping *k = arg;
	(void)arrays;
	if (r->id <= k->last || r->id / RANGE_IDS != k->range)
		return -FAIL_CORRUPT;
	k->last = r->id;
	if (!exists(k, r->id))
		return 0;
	*vec_push(&k->entries) = (struct seal_entry){
		r->id, r->size, {r->sig[0], r->sig[1]}, {at, at + sig_bytes(r->sig[0])}};
	return 0;
}

static int existing_ids(struct search *x, const struct spart *p, uint64_t range, struct keeping *k,
			struct fail *why)
{
	const struct store_span span = {.partition = p->no,
					.from = range * RANGE_IDS,
					.to = range * RANGE_IDS + RANGE_IDS - 1,
					.max = RANGE_IDS};
	return store_message_ids(x->store, &span, k->ids, &k->n, why);
}

static int seal_range(struct search *x, struct spart *p, struct fail *why)
{
	char path[PATH_MAX_];
	uint64_t range = p->tail.range, end;
	struct keeping *k = xcalloc(1, sizeof *k);
	k->range = range;
	int r = existing_ids(x, p, range, k, why);
	if (r == 0)
		r = tail_each(&p->tail, p->tail.end, keep_record, k, &end, why);
	if (r == -FAIL_CORRUPT) { /* once more from its beginning */
		search_tell_(x, SEARCH_DAMAGED, p->no, why);
		r = begin_range(p, range, why);
	} else if (r == 0) {
		struct seal s = {.fs = x->fs,
				 .made = p->made,
				 .range = range,
				 .tail = &p->tail,
				 .entries = k->entries.p,
				 .n = k->entries.n};
		part_path_segment(x, p, range, path);
		CRASH_POINT("search.before-seal");
		if (k->entries.n)
			r = seal_write(&s, path, why);
		CRASH_POINT("search.after-seal");
		pthread_rwlock_wrlock(&p->lock);
		if (r == 0 && k->entries.n)
			(void)map_put(&p->done, range + 1, p);
		if (r == 0)
			r = tail_begin(&p->tail, UINT64_MAX, why);
		pthread_rwlock_unlock(&p->lock);
	}
	vec_clear(&k->entries);
	free(k);
	return r < 0 ? r : 1;
}

/* ---- messages ------------------------------------------------------------------------------- */

/* Died here before: one message at a time, and not for ever. */
static bool is_poison(struct search *x, struct spart *p, uint64_t id)
{
	struct fail why = FAIL_INIT;
	if (p->tail.tries < POISON_TRIES || p->tail.try_id != id)
		return false;
	(void)fail_set(&why, FAIL_BUG, NULL, "message %llu", (unsigned long long)id);
	search_tell_(x, SEARCH_POISON, p->no, &why);
	return true;
}

static int add_texts(struct search *x, struct spart *p, struct store_text *texts, size_t n,
		     struct fail *why)
{
	AUTO(buf) struct buf records = BUF_INIT(RECORDS_MAX);
	int r = tail_try(&p->tail, texts[0].id.v, why);
	if (r < 0)
		return r;
	CRASH_POINT("search.signing");
	for (size_t i = 0; i < n; i++)
		sign_message(x, &texts[i], n == 1 && is_poison(x, p, texts[i].id.v), &records);
	r = records.failed ? fail_set(why, FAIL_BUG, NULL, "records")
			   : tail_append(&p->tail, buf_str(&records), why);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&p->lock);
	p->tail.end += records.n;
	p->tail.last = texts[n - 1].id.v;
	pthread_rwlock_unlock(&p->lock);
	atomic_fetch_add(&x->indexed, n);
	return 0;
}

static int add_messages(struct search *x, struct spart *p, uint64_t range, struct fail *why)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	struct store_text texts[BATCH];
	size_t n = 0;
	int r = p->tail.range == range ? 0 : begin_range(p, range, why);
	struct store_span span = {.partition = p->no,
				  .from = MAX(p->tail.last + 1, range * RANGE_IDS),
				  .to = range * RANGE_IDS + RANGE_IDS - 1};
	span.max = span.from <= p->careful ? 1 : BATCH;
	if (r == 0 && span.from <= span.to)
		r = store_texts(x->store, &span, &arena, texts, &n, why);
	if (r < 0)
		return r;
	if (n == 0 && p->last > span.to)
		return seal_range(x, p, why);
	if (n == 0) {
		p->whole = p->last;
		return 0;
	}
	r = add_texts(x, p, texts, n, why);
	for (size_t i = 0; i < n; i++)
		store_source_clear(&texts[i].body);
	return r < 0 ? r : 1;
}

static bool has_segment(struct spart *p, uint64_t range)
{
	pthread_rwlock_rdlock(&p->lock);
	bool has = part_has(p, range);
	pthread_rwlock_unlock(&p->lock);
	return has;
}

/* The range at work: 1 = *ret, 0 = every message is in a segment, 2 = not known yet. */
static int find_range(struct search *x, struct spart *p, uint64_t *ret, struct fail *why)
{
	for (unsigned i = 0; i < LOOK_MAX; i++) {
		uint64_t id;
		size_t n = 0;
		uint64_t front = atomic_load(&p->front);
		const struct store_span span = {
			.partition = p->no, .from = front * RANGE_IDS, .to = INT64_MAX, .max = 1};
		int r = store_message_ids(x->store, &span, &id, &n, why);
		if (r == 0 && n == 0)
			p->whole = p->last;
		if (r < 0 || n == 0)
			return r;
		*ret = id / RANGE_IDS;
		bool done = has_segment(p, *ret);
		/* A search that finds a damaged segment takes the front back meanwhile. */
		(void)atomic_compare_exchange_strong(&p->front, &front, *ret + done);
		if (!done)
			return 1;
	}
	return 2;
}

/* ---- messages that are gone ------------------------------------------------------------------ */

/* What was heard of becomes a list of ranges, when it is old enough. */
static void take_gone(struct search *x, struct spart *p)
{
	uint64_t from = UINT64_MAX, to = 0;
	pthread_mutex_lock(&x->lock);
	if (p->gone_from <= p->gone_to &&
	    clock_mono().v - p->gone_at >= x->o.delay_ns * GONE_DELAYS) {
		from = p->gone_from / RANGE_IDS;
		to = p->gone_to / RANGE_IDS;
		p->gone_from = UINT64_MAX;
		p->gone_to = 0;
	}
	pthread_mutex_unlock(&x->lock);
	if (from > to)
		return;
	pthread_rwlock_rdlock(&p->lock);
	MAP_EACH (&p->done, i) {
		uint64_t range = p->done.slots[i].key - 1;
		if (range >= from && range <= to)
			*vec_push(&p->check) = range;
	}
	pthread_rwlock_unlock(&p->lock);
	if (p->tail.range >= from && p->tail.range <= to)
		*vec_push(&p->check) = p->tail.range;
}

static void keep_entries(const struct segment *g, uint64_t range, struct keeping *k,
			 size_t *ret_was)
{
	*ret_was = 0;
	for (size_t i = 0; i < RANGE_IDS; i++) {
		const struct segment_entry *e = &g->head.entry[i];
		uint64_t id = range * RANGE_IDS + i;
		if (e->sig[0] == SIG_ABSENT)
			continue;
		++*ret_was;
		if (exists(k, id))
			*vec_push(&k->entries) = (struct seal_entry){
				id, e->size, {e->sig[0], e->sig[1]}, {e->column[0], e->column[1]}};
	}
}

/* What is gone leaves no trace in it. */
static int check_segment(struct search *x, struct spart *p, uint64_t range, struct keeping *k,
			 struct fail *why)
{
	char path[PATH_MAX_];
	struct segment *g = xcalloc(1, sizeof *g);
	size_t was = 0;
	part_path_segment(x, p, range, path);
	int r = segment_open(x->fs, path, p->made, range, g, why);
	if (r == 0) {
		keep_entries(g, range, k, &was);
		struct seal s = {.fs = x->fs,
				 .made = p->made,
				 .range = range,
				 .segment = g,
				 .entries = k->entries.p,
				 .n = k->entries.n};
		if (k->entries.n && k->entries.n < was)
			r = seal_write(&s, path, why);
	}
	segment_close(g);
	free(g);
	if (r == -FAIL_CORRUPT || r == -FAIL_NOTFOUND) {
		part_forget_segment(x, p, range, why);
		return 0;
	}
	if (r == 0 && k->entries.n == 0) {
		pthread_rwlock_wrlock(&p->lock);
		(void)map_remove(&p->done, range + 1);
		pthread_rwlock_unlock(&p->lock);
		r = fs_unlink(x->fs, path, why);
	}
	return r;
}

struct looking {
	struct keeping *k;
	bool gone;
};

static int look_record(void *arg, const struct tail_record *r, const uint8_t *arrays, uint64_t at)
{
	struct looking *l = arg;
	(void)arrays;
	(void)at;
	l->gone |= !exists(l->k, r->id);
	return 0;
}

static int check_range(struct search *x, struct spart *p, uint64_t range, struct fail *why)
{
	struct keeping *k = xcalloc(1, sizeof *k);
	struct looking look = {k, false};
	uint64_t end;
	int r = existing_ids(x, p, range, k, why);
	if (r == 0 && has_segment(p, range)) {
		r = check_segment(x, p, range, k, why);
	} else if (r == 0 && p->tail.range == range) {
		r = tail_each(&p->tail, p->tail.end, look_record, &look, &end, why);
		if ((r == 0 && look.gone) || r == -FAIL_CORRUPT)
			r = begin_range(p, range, why); /* at most 1024 messages, again */
	}
	vec_clear(&k->entries);
	free(k);
	return r < 0 ? r : 1;
}

/* ---- a step --------------------------------------------------------------------------------- */

static int rest(struct search *x, struct spart *p, struct fail *why)
{
	int r = p->tail.tries ? tail_try(&p->tail, 0, why) : 0;
	take_gone(x, p);
	if (r == 0 && p->check.n) {
		r = check_range(x, p, p->check.p[p->check.n - 1], why);
		if (r >= 0)
			(void)vec_pop(&p->check);
		return r;
	}
	tail_close(&p->tail);
	return r;
}

static int work(struct search *x, struct spart *p, struct fail *why)
{
	char path[PATH_MAX_];
	uint64_t range = 0, last = 0;
	int r = 0;
	if (atomic_exchange(&p->news, false) || p->last == 0) {
		r = store_message_last(x->store, p->no, &last, why);
		p->last = MAX(p->last, last);
	}
	if (r < 0 || p->last == 0) /* nothing was ever there, and nothing is made */
		return r;
	if (!p->open && (r = open_part(x, p, why)) < 0)
		return r;
	part_path_tail(x, p, path);
	if (r == 0)
		r = tail_reopen(x->fs, path, &p->tail, why);
	if (r == 0)
		r = find_range(x, p, &range, why);
	if (r == 1)
		r = add_messages(x, p, range, why);
	return r == 0 ? rest(x, p, why) : r;
}

int part_step(struct search *x, struct spart *p, struct fail *why)
{
	struct fail local = FAIL_INIT;
	int r = work(x, p, why ? why : &local);
	if (r >= 0) {
		p->reopened = false;
		return r > 0;
	}
	tail_close(&p->tail);
	atomic_store(&p->news, true);
	if (r != -FAIL_NOTFOUND && r != -FAIL_CORRUPT)
		return r;
	/* The folder or a file was taken away: look at what is left. */
	bool was_open = p->open;
	pthread_rwlock_wrlock(&p->lock);
	p->open = false;
	pthread_rwlock_unlock(&p->lock);
	if (!was_open ||
	    p->reopened) /* it is the mail's own file that is damaged: not at once again */
		return r;
	p->reopened = true;
	search_tell_(x, SEARCH_DAMAGED, p->no, why ? why : &local);
	return 1;
}
