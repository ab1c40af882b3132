/* SPDX-License-Identifier: Apache-2.0 */
/* A set that parses, resolved: ascending, disjoint, and the same members as the raw ranges. */
#include "base/check.h"
#include "codec/imap/seqset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool raw_contains(const struct seqset *set, uint32_t star, uint32_t number)
{
	for (size_t i = 0; i < set->n; i++) {
		uint32_t a = set->r[i].first == SEQ_STAR ? star : set->r[i].first;
		uint32_t b = set->r[i].last == SEQ_STAR ? star : set->r[i].last;
		if (a && b && number >= MIN(a, b) && number <= MAX(a, b))
			return true;
	}
	return false;
}

static void check_resolved(const struct seqset *set)
{
	uint64_t seen = 0;
	for (size_t i = 0; i < set->n; i++) {
		CHECK(set->r[i].first > 0 && set->r[i].first <= set->r[i].last);
		CHECK(i == 0 || set->r[i].first > (uint64_t)set->r[i - 1].last + 1);
		seen += (uint64_t)set->r[i].last - set->r[i].first + 1;
	}
	CHECK(seen == seqset_count(set));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(1));
	AUTO(buf) struct buf text = BUF_INIT(MIB(1));
	struct str in = {(const char *)data + 1, size - 1};
	struct seqset raw;
	struct seqset set;
	if (seqset_parse(in, 1000, &arena, &raw) < 0)
		return 0;
	CHECK(seqset_write(&text, &raw) == 0);
	CHECK(seqset_parse(buf_str(&text), 1000, &arena, &set) == 0 && set.n == raw.n);
	CHECK(raw.n == 0 || memcmp(set.r, raw.r, raw.n * sizeof *raw.r) == 0);
	seqset_resolve(&set, data[0]);
	check_resolved(&set);
	uint32_t near = seqset_largest(&raw);
	for (uint32_t i = 1; i < 300; i++) {
		CHECK(seqset_contains(&set, i) == raw_contains(&raw, data[0], i));
		uint32_t n = near - 150 + i;
		CHECK(n == 0 || seqset_contains(&set, n) == raw_contains(&raw, data[0], n));
	}
	struct seqset_iter it = {0};
	uint32_t last = 0;
	uint32_t n;
	for (int i = 0; i < 1000 && seqset_next(&set, &it, &n); i++, last = n)
		CHECK(n > last && seqset_contains(&set, n));
	return 0;
}
