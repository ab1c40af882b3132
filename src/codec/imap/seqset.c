/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/seqset.h"
#include "base/check.h"
#include "base/num.h"

static bool is_set_char(char c)
{
	return ascii_digit(c) || c == ',' || c == ':' || c == '*';
}

size_t seqset_span(struct str s)
{
	size_t n = 0;
	if (s.n > 0 && s.p[0] == '$')
		return 1;
	while (n < s.n && is_set_char(s.p[n]))
		n++;
	return n;
}

static bool parse_number(struct str s, uint32_t *ret)
{
	if (str_eq(s, STR("*"))) {
		*ret = SEQ_STAR;
		return true;
	}
	return num_parse_u32(s, ret) && *ret != 0;
}

static bool parse_range(struct str s, struct seqrange *ret)
{
	size_t colon = str_find(s, 0, ':');
	if (!parse_number(str_sub(s, 0, colon), &ret->first))
		return false;
	ret->last = ret->first;
	return colon == s.n || parse_number(str_skip(s, colon + 1), &ret->last);
}

int seqset_parse(struct str s, size_t max_ranges, struct arena *arena, struct seqset *ret)
{
	size_t n = 1;
	if (str_eq(s, STR("$"))) {
		*ret = (struct seqset){.saved = true};
		return 0;
	}
	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == ',';
	struct seqrange *r = n <= max_ranges ? arena_array(arena, struct seqrange, n) : NULL;
	if (!r)
		return -FAIL_LIMIT;
	struct str item;
	for (size_t i = 0; i < n; i++)
		if (!str_cut(&s, ',', &item) || !parse_range(item, &r[i]))
			return -FAIL_SYNTAX;
	*ret = (struct seqset){.r = r, .n = n};
	return 0;
}

bool seqset_has_star(const struct seqset *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->r[i].first == SEQ_STAR || set->r[i].last == SEQ_STAR)
			return true;
	return false;
}

uint32_t seqset_largest(const struct seqset *set)
{
	uint32_t max = 0;
	for (size_t i = 0; i < set->n; i++)
		max = MAX(max, MAX(set->r[i].first, set->r[i].last));
	return max;
}

static int compare_ranges(const void *a, const void *b)
{
	uint32_t x = ((const struct seqrange *)a)->first;
	uint32_t y = ((const struct seqrange *)b)->first;
	return (x > y) - (x < y);
}

/* Without stars, each range the right way round. */
static void place_star(struct seqset *set, uint32_t star)
{
	size_t kept = 0;
	for (size_t i = 0; i < set->n; i++) {
		uint32_t a = set->r[i].first == SEQ_STAR ? star : set->r[i].first;
		uint32_t b = set->r[i].last == SEQ_STAR ? star : set->r[i].last;
		if (a != 0 && b != 0)
			set->r[kept++] = (struct seqrange){MIN(a, b), MAX(a, b)};
	}
	set->n = kept;
}

void seqset_resolve(struct seqset *set, uint32_t star)
{
	if (set->resolved)
		return;
	place_star(set, star);
	set->resolved = true;
	if (set->n == 0)
		return;
	qsort(set->r, set->n, sizeof *set->r, compare_ranges);
	size_t last = 0;
	for (size_t i = 1; i < set->n; i++) {
		if (set->r[i].first <= (uint64_t)set->r[last].last + 1)
			set->r[last].last = MAX(set->r[last].last, set->r[i].last);
		else
			set->r[++last] = set->r[i];
	}
	set->n = last + 1;
}

bool seqset_contains(const struct seqset *set, uint32_t number)
{
	CHECK(set->resolved);
	size_t low = 0;
	size_t high = set->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (set->r[mid].last < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low < set->n && set->r[low].first <= number;
}

uint64_t seqset_count(const struct seqset *set)
{
	CHECK(set->resolved);
	uint64_t count = 0;
	for (size_t i = 0; i < set->n; i++)
		count += (uint64_t)set->r[i].last - set->r[i].first + 1;
	return count;
}

bool seqset_next(const struct seqset *set, struct seqset_iter *it, uint32_t *ret)
{
	CHECK(set->resolved);
	if (it->range < set->n && it->next > set->r[it->range].last)
		it->range++;
	if (it->range >= set->n)
		return false;
	const struct seqrange *r = &set->r[it->range];
	*ret = it->next < r->first ? r->first : (uint32_t)it->next;
	it->next = (uint64_t)*ret + 1;
	return true;
}

static void write_number(struct buf *out, uint32_t number)
{
	if (number == SEQ_STAR)
		(void)buf_addc(out, '*');
	else
		(void)buf_add_u64(out, number);
}

static void write_range(struct buf *out, struct seqrange r, bool comma)
{
	if (comma)
		(void)buf_addc(out, ',');
	write_number(out, r.first);
	if (r.first == r.last)
		return;
	(void)buf_addc(out, ':');
	write_number(out, r.last);
}

int seqset_write(struct buf *out, const struct seqset *set)
{
	if (set->saved)
		return buf_addc(out, '$');
	for (size_t i = 0; i < set->n; i++)
		write_range(out, set->r[i], i > 0);
	return out->failed ? -FAIL_LIMIT : 0;
}

void seqset_out_add(struct seqset_out *o, uint32_t number)
{
	CHECK(number != 0);
	if (o->open.first != 0 && number == (uint64_t)o->open.last + 1) {
		o->open.last = number;
		return;
	}
	seqset_out_end(o);
	o->open = (struct seqrange){number, number};
}

void seqset_out_end(struct seqset_out *o)
{
	if (o->open.first == 0)
		return;
	write_range(o->out, o->open, o->comma);
	o->comma = true;
	o->open.first = 0;
}
