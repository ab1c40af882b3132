/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/imap/seqset.h"

static void sets_resolve_to_their_members(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		uint32_t star;
		const char *want; /* NULL: refused */
		uint64_t count;
	} rows[] = {
		{"2,4:7,9,12:*", 15, "2,4:7,9,12:15", 10}, /* RFC 3501 section 9 */
		{"*:4,5:7", 10, "4:10", 7},
		{"3291:*", 500, "500:3291", 2792},
		{"*", 3, "3", 1},
		{"*:*", 3, "3", 1},
		{"1:*", 0, "", 0},
		{"*,2", 0, "2", 1},
		{"5,4,3,1", 9, "1,3:5", 4},
		{"1,1:1,1", 9, "1", 1},
		{"1:5,2:3,6", 9, "1:6", 6},
		{"4294967295,1:4294967294", 9, "1:4294967295", 4294967295},
		{"4294967295:4294967295", 9, "4294967295", 1},
		{"007", 9, "7", 1},
		{"", 9, NULL, 0},
		{"0", 9, NULL, 0},
		{"1,", 9, NULL, 0},
		{",1", 9, NULL, 0},
		{"1,,2", 9, NULL, 0},
		{"1:", 9, NULL, 0},
		{":1", 9, NULL, 0},
		{"1:2:3", 9, NULL, 0},
		{"1:0", 9, NULL, 0},
		{"**", 9, NULL, 0},
		{"4294967296", 9, NULL, 0},
		{"1 2", 9, NULL, 0},
		{"a", 9, NULL, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) struct arena arena = ARENA_INIT(KIB(4));
		AUTO(buf) struct buf b = BUF_INIT(KIB(1));
		struct seqset set;
		int r = seqset_parse(str_c(rows[i].in), 100, &arena, &set);
		assert_int_equal(r, rows[i].want ? 0 : -FAIL_SYNTAX);
		if (r < 0)
			continue;
		seqset_resolve(&set, rows[i].star);
		assert_int_equal(seqset_write(&b, &set), 0);
		assert_string_equal(buf_c(&b), rows[i].want);
		assert_int_equal(seqset_count(&set), rows[i].count);
	}
}

static void raw_sets_know_their_largest(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(KIB(4));
	struct seqset set;
	assert_int_equal(seqset_parse(STR("3:*,17:2"), 9, &arena, &set), 0);
	assert_int_equal(seqset_largest(&set), 17);
	assert_true(seqset_has_star(&set));
	assert_int_equal(seqset_parse(STR("3:4"), 9, &arena, &set), 0);
	assert_false(seqset_has_star(&set));
	assert_int_equal(seqset_parse(STR("1,2,3"), 2, &arena, &set), -FAIL_LIMIT);
	assert_int_equal(seqset_span(STR("1:*,2 x")), 5);
}

static void iteration_and_contains_agree(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(KIB(4));
	struct seqset set;
	assert_int_equal(seqset_parse(STR("7:9,2,4294967294:4294967295"), 9, &arena, &set), 0);
	seqset_resolve(&set, 1);
	static const uint32_t want[] = {2, 7, 8, 9, 4294967294, 4294967295};
	size_t n = 0;
	uint32_t number;
	for (struct seqset_iter it = {0}; seqset_next(&set, &it, &number); n++)
		assert_int_equal(number, want[n]);
	assert_int_equal(n, ARRAY_LEN(want));
	for (uint32_t i = 1; i < 12; i++)
		assert_int_equal(seqset_contains(&set, i), i == 2 || (i >= 7 && i <= 9));
	assert_true(seqset_contains(&set, UINT32_MAX));
}

static void output_joins_neighbours(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(1));
	struct seqset_out o = {.out = &b};
	static const uint32_t numbers[] = {1, 2, 3, 5, 4, 9, 10, 4294967295};
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		seqset_out_add(&o, numbers[i]);
	seqset_out_end(&o);
	assert_string_equal(buf_c(&b), "1:3,5,4,9:10,4294967295");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_resolve_to_their_members),
		cmocka_unit_test(raw_sets_know_their_largest),
		cmocka_unit_test(iteration_and_contains_agree),
		cmocka_unit_test(output_joins_neighbours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
