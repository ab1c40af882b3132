/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "service/search/search_int.h"

#define SEGMENT_MAGIC	0x53727362u /* "bsrS" */
#define SEGMENT_VERSION 2u
#define COLUMN_BYTES	(RANGE_IDS / 8)

uint64_t segment_seed(uint64_t made, uint64_t range)
{
	return (made ^ range) * UINT64_C(0x9e3779b97f4a7c15) + SEGMENT_VERSION;
}

static int check_head(const struct segment_head *h, uint64_t range, struct fail *why)
{
	bool good = h->magic == SEGMENT_MAGIC && h->version == SEGMENT_VERSION && h->range == range;
	for (size_t i = 0; good && i < RANGE_IDS; i++)
		for (unsigned place = 0; good && place < PLACES; place++) {
			uint8_t sig = h->entry[i].sig[place];
			good = sig < SIG_CLASS ||
			       (sig < SIG_CLASS + FILTER_CLASSES &&
				h->entry[i].column[place] <
					h->matrix[place][sig - SIG_CLASS].columns &&
				h->matrix[place][sig - SIG_CLASS].columns <= RANGE_IDS);
		}
	return good ? 0 : fail_set(why, FAIL_CORRUPT, NULL, "not a segment of this range");
}

int segment_open(struct fs *fs, const char *path, uint64_t made, uint64_t range,
		 struct segment *ret, struct fail *why)
{
	ret->pages.have = 0;
	ret->pages.seed = segment_seed(made, range);
	int r = fs_open(fs, path, FS_READ, 0, &ret->pages.f, why);
	if (r < 0) {
		ret->pages.f = NULL;
		return r;
	}
	r = pages_read(&ret->pages, 0, &ret->head, sizeof ret->head, why);
	return r < 0 ? r : check_head(&ret->head, range, why);
}

void segment_close(struct segment *g)
{
	fs_close(g->pages.f);
	g->pages.f = NULL;
}

/* ---- asking -------------------------------------------------------------------------------- */

/* `bits`: the columns that are of interest; those that do not have the gram are cleared. */
static int ask_gram(struct segment *g, const struct segment_matrix *m, unsigned kind, uint32_t gram,
		    uint8_t bits[COLUMN_BYTES], bool *ret_any, struct fail *why)
{
	uint8_t line[COLUMN_BYTES];
	uint32_t row[FILTER_HASHES];
	size_t width = (m->columns + 7) / 8;
	filter_rows(gram, filter_bits(kind), row);
	*ret_any = true;
	for (unsigned k = 0; k < FILTER_HASHES && *ret_any; k++) {
		int r = pages_read(&g->pages, m->at + row[k] * width, line, width, why);
		if (r < 0)
			return r;
		uint8_t any = 0;
		for (size_t i = 0; i < width; i++)
			any |= bits[i] &= line[i];
		*ret_any = any != 0;
	}
	return 0;
}

/* The same where only some grams need be there. */
static int ask_some(struct segment *g, const struct segment_matrix *m, unsigned kind,
		    const struct search_question *q, uint8_t bits[COLUMN_BYTES], struct fail *why)
{
	uint8_t there[RANGE_IDS] = {0};
	for (size_t i = 0; i < q->n; i++) {
		uint8_t have[COLUMN_BYTES];
		bool any;
		memcpy(have, bits, sizeof have);
		int r = ask_gram(g, m, kind, q->gram[i], have, &any, why);
		if (r < 0)
			return r;
		for (size_t c = 0; any && c < m->columns; c++)
			there[c] = (uint8_t)(there[c] + (have[c / 8] >> c % 8 & 1));
	}
	for (size_t c = 0; c < m->columns; c++)
		if (there[c] < q->need)
			bits[c / 8] &= (uint8_t) ~(1u << c % 8);
	return 0;
}

static int ask_matrix(struct segment *g, unsigned place, unsigned kind,
		      const struct search_question *q, uint8_t bits[COLUMN_BYTES], struct fail *why)
{
	const struct segment_matrix *m = &g->head.matrix[place][kind];
	bool any = true;
	int r = 0;
	if (q->need < q->n)
		return ask_some(g, m, kind, q, bits, why);
	for (size_t i = 0; r == 0 && any && i < q->n; i++)
		r = ask_gram(g, m, kind, q->gram[i], bits, &any, why);
	return r;
}

typedef uint8_t columns[PLACES][FILTER_CLASSES][COLUMN_BYTES];

/* Of each matrix the columns of the documents asked for. *ret_used: has it any? */
static void wanted_columns(const struct segment *g, const struct ask *a, columns ret,
			   bool used[PLACES][FILTER_CLASSES])
{
	for (size_t i = a->from; i < a->to; i++) {
		const struct segment_entry *e = &g->head.entry[a->docs[i].id % RANGE_IDS];
		for (unsigned place = 0; place < PLACES; place++) {
			if (e->sig[place] < SIG_CLASS)
				continue;
			unsigned kind = e->sig[place] - SIG_CLASS;
			uint16_t c = e->column[place];
			ret[place][kind][c / 8] |= (uint8_t)(1u << c % 8);
			used[place][kind] = true;
		}
	}
}

static bool has_column(const struct segment_entry *e, const struct search_question *q, columns hits)
{
	for (unsigned place = 0; place < PLACES; place++) {
		if (!(q->places >> place & 1) || e->sig[place] == SIG_EMPTY)
			continue;
		if (e->sig[place] < SIG_CLASS)
			return true;
		uint16_t c = e->column[place];
		if (hits[place][e->sig[place] - SIG_CLASS][c / 8] >> c % 8 & 1)
			return true;
	}
	return false;
}

static int ask_one(struct segment *g, const struct ask *a, size_t question, columns hits,
		   bool used[PLACES][FILTER_CLASSES], struct fail *why)
{
	const struct search_question *q = &a->questions[question];
	int r = 0;
	for (unsigned place = 0; place < PLACES; place++)
		for (unsigned kind = 0; r == 0 && kind < FILTER_CLASSES; kind++)
			if (used[place][kind] && (q->places >> place & 1))
				r = ask_matrix(g, place, kind, q, hits[place][kind], why);
	for (size_t i = a->from; r == 0 && i < a->to; i++) {
		const struct segment_entry *e = &g->head.entry[a->docs[i].id % RANGE_IDS];
		bool known = e->sig[0] != SIG_ABSENT && e->size == a->docs[i].size;
		if (known && !has_column(e, q, hits))
			ask_exclude(a, question, i);
	}
	return r;
}

int segment_ask(struct segment *g, const struct ask *a, struct fail *why)
{
	columns *wanted = xcalloc(2, sizeof *wanted);
	bool used[PLACES][FILTER_CLASSES] = {{false}};
	int r = 0;
	wanted_columns(g, a, wanted[0], used);
	for (size_t q = 0; r == 0 && q < a->n_questions; q++) {
		if (a->questions[q].n == 0)
			continue;
		memcpy(wanted[1], wanted[0], sizeof *wanted);
		r = ask_one(g, a, q, wanted[1], used, why);
	}
	free(wanted);
	return r;
}

/* ---- writing ------------------------------------------------------------------------------- */

#define SLAB_BYTES MIB(2)

struct writing {
	const struct seal *s;
	struct pages_writer *w;
	struct segment_head *head;
	uint8_t *columns, *rows, *old; /* SLAB_BYTES each, and a little */
};

/* The entries of one matrix, and its place in the file. */
static uint64_t lay_out(const struct seal *s, struct segment_head *h)
{
	uint64_t at = sizeof *h;
	for (size_t i = 0; i < s->n; i++) {
		struct segment_entry *e = &h->entry[s->entries[i].id % RANGE_IDS];
		e->size = s->entries[i].size;
		memcpy(e->sig, s->entries[i].sig, sizeof e->sig);
		for (unsigned place = 0; place < PLACES; place++)
			if (e->sig[place] >= SIG_CLASS)
				e->column[place] =
					(uint16_t)h->matrix[place][e->sig[place] - SIG_CLASS]
						.columns++;
	}
	for (unsigned place = 0; place < PLACES; place++)
		for (unsigned kind = 0; kind < FILTER_CLASSES; kind++) {
			struct segment_matrix *m = &h->matrix[place][kind];
			m->at = at;
			at += (uint64_t)filter_bits(kind) * ((m->columns + 7) / 8);
		}
	return at;
}

/* Bits [row, row + rows) of one entry's array, out of the old segment's rows. */
static void pick_column(const struct writing *x, const struct segment_matrix *m, size_t column,
			size_t rows, uint8_t *to)
{
	size_t width = (m->columns + 7) / 8;
	memset(to, 0, rows / 8);
	for (size_t i = 0; i < rows; i++)
		to[i / 8] |= (uint8_t)((x->old[i * width + column / 8] >> column % 8 & 1) << i % 8);
}

static int load_columns(struct writing *x, unsigned place, unsigned kind, size_t row, size_t rows,
			const uint8_t **column, struct fail *why)
{
	const struct seal *s = x->s;
	const struct segment_matrix *m = s->segment ? &s->segment->head.matrix[place][kind] : NULL;
	size_t n = 0, got = 0;
	int r = 0;
	if (m)
		r = pages_read(&s->segment->pages, m->at + row * ((m->columns + 7) / 8), x->old,
			       rows * ((m->columns + 7) / 8), why);
	for (size_t i = 0; r == 0 && i < s->n; i++) {
		const struct seal_entry *e = &s->entries[i];
		if (e->sig[place] != SIG_CLASS + kind)
			continue;
		uint8_t *to = x->columns + n * (rows / 8);
		column[n++] = to;
		if (m)
			pick_column(x, m, e->at[place], rows, to);
		else
			r = fs_pread(s->tail->f, to, rows / 8, e->at[place] + row / 8, &got, why);
		if (r == 0 && !m && got < rows / 8)
			r = fail_set(why, FAIL_CORRUPT, NULL, "a tail is cut off");
	}
	return r;
}

static int write_matrix(struct writing *x, unsigned place, unsigned kind, struct fail *why)
{
	size_t n = x->head->matrix[place][kind].columns;
	size_t bits = filter_bits(kind);
	const uint8_t *column[RANGE_IDS];
	/* As many rows at a time as fit; no fewer than 16384 do, and old rows are never wider than
	 * the widest. */
	size_t step = MIN(bits, (size_t)SLAB_BYTES * 8 / RANGE_IDS);
	int r = 0;
	for (size_t row = 0; n && r == 0 && row < bits; row += step) {
		size_t rows = MIN(step, bits - row);
		r = load_columns(x, place, kind, row, rows, column, why);
		if (r < 0)
			return r;
		filter_turn(column, n, rows, x->rows);
		r = pages_write(x->w, x->rows, rows * ((n + 7) / 8), why);
	}
	return r;
}

static int write_all(struct writing *x, struct fail *why)
{
	struct segment_head *h = x->head;
	h->magic = SEGMENT_MAGIC;
	h->version = SEGMENT_VERSION;
	h->range = x->s->range;
	h->entries = (uint32_t)x->s->n;
	(void)lay_out(x->s, h);
	int r = pages_write(x->w, h, sizeof *h, why);
	for (unsigned place = 0; place < PLACES; place++)
		for (unsigned kind = 0; r == 0 && kind < FILTER_CLASSES; kind++)
			r = write_matrix(x, place, kind, why);
	return r < 0 ? r : pages_end(x->w, why);
}

int seal_write(const struct seal *s, const char *path, struct fail *why)
{
	char beside[PATH_MAX_ + 8];
	AUTO(fs_file) struct fs_file *f = NULL;
	struct writing x = {.s = s,
			    .w = xcalloc(1, sizeof *x.w),
			    .head = xcalloc(1, sizeof *x.head),
			    .columns = xcalloc(1, SLAB_BYTES),
			    .rows = xcalloc(1, SLAB_BYTES),
			    .old = s->segment ? xcalloc(1, SLAB_BYTES) : NULL};
	(void)snprintf(beside, sizeof beside, "%s.new", path);
	int r = fs_open(s->fs, beside, FS_WRITE | FS_CREATE, 0600, &f, why);
	if (r == 0)
		r = fs_truncate(f, 0, why);
	if (r == 0) {
		pages_begin(x.w, f, segment_seed(s->made, s->range));
		r = write_all(&x, why);
	}
	if (r == 0)
		r = fs_datasync(f, why);
	if (r == 0)
		r = fs_rename(s->fs, beside, path, why);
	else if (f)
		(void)!fs_unlink(s->fs, beside, NULL);
	free(x.w);
	free(x.head);
	free(x.columns);
	free(x.rows);
	free(x.old);
	return r;
}
