/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "service/search/search_int.h"
#include "sys/crash.h"

#define TAIL_MAGIC   0x54727362u /* "bsrT" */
#define RECORD_MAGIC 0x52727362u /* "bsrR" */
#define TAIL_VERSION 2u
#define ARRAYS_MAX   (PLACES * (1u << 16))
#define PIECE	     KIB(512)

struct tail_head {
	uint32_t magic, version;
	uint64_t range;
	uint64_t try_id;
	uint32_t tries, zero;
	uint64_t made;
	uint64_t sum;
};

static int write_head(struct tail *t, struct fail *why)
{
	struct tail_head h = {.magic = TAIL_MAGIC,
			      .version = TAIL_VERSION,
			      .range = t->range,
			      .try_id = t->try_id,
			      .tries = t->tries,
			      .made = t->made};
	h.sum = pages_sum(&h, sizeof h, TAIL_VERSION);
	return fs_pwrite(t->f, &h, sizeof h, 0, why);
}

/* *ret_other: it is of another version, or was made for something else. */
static bool read_head(struct tail *t, bool *ret_other)
{
	struct tail_head h;
	size_t n = 0;
	*ret_other = false;
	if (fs_pread(t->f, &h, sizeof h, 0, &n, NULL) < 0 || n < 2 * sizeof(uint32_t))
		return false;
	*ret_other = h.magic == TAIL_MAGIC && h.version != TAIL_VERSION;
	if (n < sizeof h || *ret_other)
		return false;
	uint64_t sum = h.sum;
	h.sum = 0;
	if (h.magic != TAIL_MAGIC || h.version != TAIL_VERSION ||
	    sum != pages_sum(&h, sizeof h, TAIL_VERSION))
		return false;
	*ret_other = h.made != t->made;
	if (*ret_other)
		return false;
	t->range = h.range;
	t->try_id = h.try_id;
	t->tries = h.tries;
	return true;
}

int tail_begin(struct tail *t, uint64_t range, struct fail *why)
{
	t->range = range;
	t->last = 0;
	t->end = sizeof(struct tail_head);
	int r = fs_truncate(t->f, 0, why);
	return r < 0 ? r : write_head(t, why);
}

static int take_last(void *arg, const struct tail_record *r, const uint8_t *arrays, uint64_t at)
{
	struct tail *t = arg;
	(void)arrays;
	(void)at;
	if (r->id <= t->last || r->id / RANGE_IDS != t->range)
		return -FAIL_CORRUPT;
	t->last = r->id;
	return 0;
}

int tail_open(struct fs *fs, const char *path, uint64_t made, struct tail *t, bool *ret_other,
	      struct fail *why)
{
	uint64_t size = 0, end = 0;
	*t = (struct tail){.made = made};
	*ret_other = false;
	int r = fs_open(fs, path, FS_READ | FS_WRITE | FS_CREATE, 0600, &t->f, why);
	if (r < 0 || (r = fs_file_size(t->f, &size, why)) < 0)
		return r;
	if (!read_head(t, ret_other))
		return tail_begin(t, UINT64_MAX, why);
	r = tail_each(t, size, take_last, t, &end, NULL);
	if (r < 0 && r != -FAIL_CORRUPT)
		return fail_set(why, (enum fail_code) - r, NULL, "reading %s", path);
	t->end = end;
	return end < size ? fs_truncate(t->f, end, why) : 0;
}

int tail_reopen(struct fs *fs, const char *path, struct tail *t, struct fail *why)
{
	return t->f ? 0 : fs_open(fs, path, FS_READ | FS_WRITE, 0, &t->f, why);
}

void tail_close(struct tail *t)
{
	fs_close(t->f);
	t->f = NULL;
}

int tail_try(struct tail *t, uint64_t id, struct fail *why)
{
	t->tries = id && t->try_id == id ? t->tries + 1 : id != 0;
	t->try_id = id;
	return write_head(t, why);
}

int tail_append(struct tail *t, struct str records, struct fail *why)
{
	CRASH_POINT("search.before-append");
	int r = fs_pwrite(t->f, records.p, records.n, t->end, why);
	CRASH_POINT("search.after-append");
	return r;
}

static uint64_t record_sum(const struct tail_record *r, const void *arrays)
{
	struct tail_record h = *r;
	h.sum = 0;
	return pages_sum(arrays, r->bytes, pages_sum(&h, sizeof h, RECORD_MAGIC));
}

void tail_record_put(struct buf *out, const struct tail_record *head, struct str arrays)
{
	struct tail_record r = *head;
	r.magic = RECORD_MAGIC;
	r.bytes = (uint32_t)arrays.n;
	r.sum = record_sum(&r, arrays.p);
	(void)buf_add(out, str_make((const char *)&r, sizeof r));
	(void)buf_add(out, arrays);
}

/* 1 = it is whole, 0 = more bytes are needed, negative: it is none. */
static int record_at(struct str in, struct tail_record *ret)
{
	if (in.n < sizeof *ret)
		return 0;
	memcpy(ret, in.p, sizeof *ret);
	if (ret->magic != RECORD_MAGIC || ret->bytes > ARRAYS_MAX ||
	    ret->sig[0] >= SIG_CLASS + FILTER_CLASSES ||
	    ret->sig[1] >= SIG_CLASS + FILTER_CLASSES ||
	    ret->bytes != sig_bytes(ret->sig[0]) + sig_bytes(ret->sig[1]))
		return -FAIL_CORRUPT;
	if (in.n < sizeof *ret + ret->bytes)
		return 0;
	return ret->sum == record_sum(ret, in.p + sizeof *ret) ? 1 : -FAIL_CORRUPT;
}

int tail_each(const struct tail *t, uint64_t end, tail_fn fn, void *arg, uint64_t *ret_end,
	      struct fail *why)
{
	size_t cap = PIECE + ARRAYS_MAX + sizeof(struct tail_record), n = 0, used = 0;
	AUTO_MEM char *buf = xcalloc(1, cap);
	uint64_t at = sizeof(struct tail_head); /* of the file, of buf's first byte */
	int r = 0;
	*ret_end = at;
	while (r == 0) {
		struct tail_record rec;
		r = record_at(str_make(buf + used, n - used), &rec);
		if (r > 0) {
			r = fn(arg, &rec, (const uint8_t *)buf + used + sizeof rec,
			       at + used + sizeof rec);
			used += sizeof rec + rec.bytes;
			if (r == 0)
				*ret_end = at + used;
			continue;
		}
		size_t got = 0;
		memmove(buf, buf + used, n - used);
		at += used;
		n -= used;
		used = 0;
		if (r == 0 && at + n < end)
			r = fs_pread(t->f, buf + n, (size_t)MIN(end - at - n, cap - n), at + n,
				     &got, why);
		if (r == 0 && got == 0)
			return n == 0 ? 0 : fail_set(why, FAIL_CORRUPT, NULL, "a tail is cut off");
		n += got;
	}
	return r == -FAIL_CORRUPT ? fail_set(why, FAIL_CORRUPT, NULL, "a tail is damaged") : r;
}

struct asking {
	const struct ask *a;
	size_t doc;
};

static bool fits(const struct search_question *q, const struct tail_record *r,
		 const uint8_t *arrays)
{
	for (unsigned place = 0; place < PLACES; place++) {
		const uint8_t *array = arrays + (place ? sig_bytes(r->sig[0]) : 0);
		size_t there = 0;
		if (!(q->places >> place & 1) || r->sig[place] == SIG_EMPTY)
			continue;
		if (r->sig[place] < SIG_CLASS)
			return true;
		for (size_t i = 0; i < q->n && there + (q->n - i) >= q->need; i++)
			there += filter_has(array, r->sig[place] - SIG_CLASS, q->gram[i]);
		if (there >= q->need)
			return true;
	}
	return false;
}

static int ask_record(void *arg, const struct tail_record *r, const uint8_t *arrays, uint64_t at)
{
	struct asking *x = arg;
	const struct ask *a = x->a;
	(void)at;
	while (x->doc < a->to && a->docs[x->doc].id < r->id)
		x->doc++;
	for (; x->doc < a->to && a->docs[x->doc].id == r->id; x->doc++)
		for (size_t q = 0; q < a->n_questions; q++)
			if (a->docs[x->doc].size == r->size && a->questions[q].n &&
			    !fits(&a->questions[q], r, arrays))
				ask_exclude(a, q, x->doc);
	return 0;
}

int tail_ask(struct fs *fs, const char *path, uint64_t end, const struct ask *a, struct fail *why)
{
	struct asking x = {a, a->from};
	struct tail t = {0};
	uint64_t valid;
	int r = fs_open(fs, path, FS_READ, 0, &t.f, why);
	if (r == 0)
		r = tail_each(&t, end, ask_record, &x, &valid, why);
	tail_close(&t);
	return r;
}
