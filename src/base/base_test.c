/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/encode.h"
#include "base/fail.h"
#include "base/list.h"
#include "base/map.h"
#include "base/num.h"
#include "base/test.h"
#include "base/utf8.h"
#include "base/vec.h"

static void numbers_are_written(void **state)
{
	static const uint64_t values[] = {
		0,   1,	   9,	  10,	     11,	 99,	     100,	101,
		999, 1000, 12345, 123456789, 4294967295, 9999999999, INT64_MAX, UINT64_MAX};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		char text[24];
		AUTO(buf) struct buf b = BUF_INIT(32);
		(void)snprintf(text, sizeof text, "%llu", (unsigned long long)values[i]);
		assert_int_equal(buf_add_u64(&b, values[i]), 0);
		assert_str(buf_str(&b), text);
	}
}

static void str_cuts_and_finds(void **state)
{
	(void)state;
	struct str rest = STR("a,,b"), head;
	const char *want[] = {"a", "", "b"};
	for (size_t i = 0; i < 3; i++) {
		assert_true(str_cut(&rest, ',', &head));
		assert_str(head, want[i]);
	}
	assert_false(str_cut(&rest, ',', &head));
	assert_int_equal(str_find(STR("abc"), 0, 'c'), 2);
	assert_int_equal(str_find(STR("abc"), 5, 'c'), 3);
	assert_int_equal(str_rfind(STR("a.b.c"), '.'), 3);
	assert_int_equal(str_find_stri(STR("xxHeLLo"), 0, STR("hello")), 2);
	assert_int_equal(str_find_str(STR("xx"), 0, STR("hello")), 2);
	assert_str(str_trim(STR(" \t x y\r\n")), "x y");
	assert_true(str_eqi(STR("INBOX"), STR("inbox")));
	assert_true(str_endsi(STR("a.TXT"), STR(".txt")));
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_int_equal(str_hashi(STR("ABC")), str_hashi(STR("abc")));
}

static void buf_never_exceeds_its_maximum(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(10);
	assert_int_equal(buf_add(&b, STR("12345")), 0);
	assert_int_equal(buf_addf(&b, "%s", "67890X"), -FAIL_LIMIT);
	assert_true(b.failed);
	assert_str(buf_str(&b), "12345");
	assert_int_equal(buf_addc(&b, 'x'), -FAIL_LIMIT); /* sticky */
	buf_reset(&b);
	assert_int_equal(buf_add_u64(&b, 1234567890), 0);
	assert_str(buf_str(&b), "1234567890");
	buf_drop(&b, 4);
	assert_str(buf_str(&b), "567890");
	AUTO_MEM char *taken = buf_take(&b);
	assert_string_equal(taken, "567890");
	assert_int_equal(b.n, 0);
}

static void buf_formats_in_any_room(void **state)
{
	(void)state;
	char want[300];
	for (size_t n = 0; n < sizeof want; n++) {
		AUTO(buf) struct buf b = BUF_INIT(200);
		memset(want, 'x', n);
		want[n] = '\0';
		int r = buf_addf(&b, "%s", "head ") < 0 ? -1 : buf_addf(&b, "%s", want);
		assert_int_equal(r, n <= 195 ? 0 : -FAIL_LIMIT);
		assert_int_equal(b.n, n <= 195 ? 5 + n : 5);
		assert_memory_equal(b.p, "head ", 5);
		assert_string_equal(b.p + 5, n <= 195 ? want : "");
		b.failed = false;
		size_t before = b.n;
		assert_int_equal(buf_addf(&b, "%c", '.'), before < 200 ? 0 : -FAIL_LIMIT);
	}
}

static void arena_is_bounded_and_zeroed(void **state)
{
	(void)state;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(100));
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 50; i++) {
			unsigned char *p = arena_alloc(&a, 1000);
			assert_non_null(p);
			assert_int_equal((uintptr_t)p % 16, 0);
			assert_int_equal(p[0] | p[999], 0);
			memset(p, 0xff, 1000);
		}
		assert_null(arena_alloc(&a, KIB(60)));
		assert_null(arena_alloc_array(&a, SIZE_MAX / 2, 4));
		assert_str(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
		arena_reset(&a);
	}
}

static void map_keeps_every_key_through_removals(void **state)
{
	(void)state;
	struct map m = {0};
	static int values[2000];
	for (uint64_t i = 0; i < 2000; i++)
		assert_null(map_put(&m, i * 7919, &values[i]));
	for (uint64_t i = 0; i < 2000; i += 3)
		assert_ptr_equal(map_remove(&m, i * 7919), &values[i]);
	for (uint64_t i = 0; i < 2000; i++)
		assert_ptr_equal(map_get(&m, i * 7919), i % 3 ? &values[i] : NULL);
	assert_int_equal(m.n, 2000 - 667);
	map_clear(&m);

	struct strmap s = {0};
	assert_null(strmap_get(&s, STR("a")));
	assert_null(strmap_put(&s, STR("a"), &values[0]));
	assert_ptr_equal(strmap_put(&s, STR("a"), &values[1]), &values[0]);
	assert_ptr_equal(strmap_remove(&s, STR("a")), &values[1]);
	assert_null(strmap_get(&s, STR("a")));
	strmap_clear(&s);
}

static void numbers_take_all_or_nothing(void **state)
{
	(void)state;
	uint64_t v = 42;
	uint32_t w = 42;
	const char *bad[] = {"", "-1", "+1", " 1", "1 ", "18446744073709551616", "1x"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(num_parse_u64(str_c(bad[i]), &v));
	assert_int_equal(v, 42);
	assert_true(num_parse_u64(STR("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
	assert_false(num_parse_u32(STR("4294967296"), &w));
	assert_true(num_parse_hex_u64(STR("fF"), &v));
	assert_int_equal(v, 255);

	AUTO(buf) struct buf b = BUF_INIT(64);
	buf_put_u16(&b, 0x1234);
	buf_put_u64(&b, UINT64_C(0x1122334455667788));
	struct cursor c = cursor_of(buf_str(&b));
	assert_int_equal(cursor_u16(&c), 0x1234);
	assert_true(cursor_u64(&c) == UINT64_C(0x1122334455667788));
	assert_false(c.bad);
	assert_int_equal(cursor_u8(&c), 0);
	assert_true(c.bad);
}

static void utf8_refuses_what_rfc3629_forbids(void **state)
{
	(void)state;
	const char *bad[] = {"\x80",	     "\xc0\xaf",	 "\xe0\x80\xaf",
			     "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(utf8_valid(str_c(bad[i])));
	AUTO(buf) struct buf b = BUF_INIT(64);
	uint32_t cps[] = {0x24, 0xa2, 0x20ac, 0x10348, 0x10ffff};
	for (size_t i = 0; i < ARRAY_LEN(cps); i++)
		utf8_put(&b, cps[i]);
	assert_true(utf8_valid(buf_str(&b)));
	size_t pos = 0;
	for (size_t i = 0; i < ARRAY_LEN(cps); i++)
		assert_int_equal(utf8_next(buf_str(&b), &pos), cps[i]);
	assert_int_equal(pos, b.n);
}

static void encodings_round_trip_and_are_strict(void **state)
{
	(void)state;
	for (size_t n = 0; n < 40; n++) {
		char raw[40];
		for (size_t i = 0; i < n; i++)
			raw[i] = (char)(unsigned char)(i * 37 + n);
		AUTO(buf) struct buf text = BUF_INIT(200), back = BUF_INIT(200);
		assert_int_equal(base64_encode(&text, str_make(raw, n)), 0);
		assert_int_equal(base64_decode(&back, buf_str(&text)), 0);
		assert_true(str_eq(buf_str(&back), str_make(raw, n)));
		buf_reset(&text);
		buf_reset(&back);
		assert_int_equal(hex_encode(&text, str_make(raw, n)), 0);
		assert_int_equal(hex_decode(&back, buf_str(&text)), 0);
		assert_true(str_eq(buf_str(&back), str_make(raw, n)));
	}
	const char *bad[] = {
		"A", "AA", "AAA", "AB==", "A===", "====", "AA=A", "AAAA\n", "AA==AAAA"};
	AUTO(buf) struct buf out = BUF_INIT(64);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(base64_decode(&out, str_c(bad[i])), -FAIL_SYNTAX);
	assert_int_equal(hex_decode(&out, STR("0g")), -FAIL_SYNTAX);
	assert_int_equal(out.n, 0);
}

static void fail_carries_two_texts(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	assert_int_equal(fail_set(&why, FAIL_QUOTA, "Full.", "account=%d", 7), -FAIL_QUOTA);
	assert_int_equal(fail_wrap(&why, -FAIL_QUOTA, "delivering %s", "m1"), -FAIL_QUOTA);
	assert_string_equal(why.public, "Full.");
	assert_string_equal(why.detail, "delivering m1: account=7");
	assert_int_equal(fail_set(NULL, FAIL_IO, NULL, "x"), -FAIL_IO);
	assert_int_equal(fail_set(&why, FAIL_IO, NULL, "x"), -FAIL_IO);
	assert_string_equal(why.public, fail_public_default(FAIL_IO));
	assert_string_equal(fail_name(FAIL_BUG), "BUG");
}

static void vec_and_list(void **state)
{
	(void)state;
	VEC(int) v = {0};
	for (int i = 0; i < 100; i++)
		*vec_push(&v) = i;
	vec_remove(&v, 0);
	assert_int_equal(v.n, 99);
	assert_int_equal(v.p[0], 1);
	vec_clear(&v);

	struct list head = LIST_INIT(head), a, b;
	list_append(&head, &a);
	list_append(&head, &b);
	assert_ptr_equal(list_pop(&head), &a);
	list_remove(&b);
	list_remove(&b);
	assert_true(list_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_written),
		cmocka_unit_test(str_cuts_and_finds),
		cmocka_unit_test(buf_never_exceeds_its_maximum),
		cmocka_unit_test(buf_formats_in_any_room),
		cmocka_unit_test(arena_is_bounded_and_zeroed),
		cmocka_unit_test(map_keeps_every_key_through_removals),
		cmocka_unit_test(numbers_take_all_or_nothing),
		cmocka_unit_test(utf8_refuses_what_rfc3629_forbids),
		cmocka_unit_test(encodings_round_trip_and_are_strict),
		cmocka_unit_test(fail_carries_two_texts),
		cmocka_unit_test(vec_and_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
