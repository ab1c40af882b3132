/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/logfmt/logfmt.h"

static void times(void **state)
{
	(void)state;
	struct wall_us t;
	assert_true(logfmt_time(STR("2026-11-22T00:13:44.123456Z"), &t));
	assert_int_equal(t.v, INT64_C(1795306424123456));
	assert_true(logfmt_time(STR("1970-01-01T00:00:00Z"), &t));
	assert_int_equal(t.v, 0);
	assert_true(logfmt_time(STR("2024-02-29 23:59:59.5"), &t));
	assert_int_equal(t.v, INT64_C(1709251199500000));
	static const char *const bad[] = {"",
					  "2026-11-22",
					  "2026-11-22T00:13:44.1234567Z",
					  "2026-13-22T00:13:44Z",
					  "2026-11-22T24:13:44Z",
					  "2026-11-22T00:13:44Zx",
					  "20x6-11-22T00:13:44Z"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(logfmt_time(str_c(bad[i]), &t));
}

static struct str value_of(const struct logfmt *l, const char *key, struct buf *b)
{
	struct str v;
	buf_reset(b);
	if (!logfmt_find(l, str_c(key), &v))
		return STR("(none)");
	assert_int_equal(logfmt_value(v, b), 0);
	return buf_str(b);
}

static void a_line_is_taken_apart(void **state)
{
	(void)state;
	struct str line = STR("2026-11-22T00:13:44.123456Z warn mta[123] event=smtp.refused "
			      "trace=1f session=2a about=b@x.test text=\"no \\\"such\\\" user\" "
			      "from=\"\" odd=\"a=b c\\n\\x07\\\\\" n=5");
	struct logfmt l;
	AUTO(buf) struct buf b = BUF_INIT(1000);
	assert_true(logfmt_parse(line, &l));
	assert_str(l.level, "warn");
	assert_str(l.role, "mta");
	assert_int_equal(l.pid, 123);
	assert_str(l.event, "smtp.refused");
	assert_int_equal(l.trace, 0x1f);
	assert_str(value_of(&l, "about", &b), "b@x.test");
	assert_str(value_of(&l, "text", &b), "no \"such\" user");
	assert_str(value_of(&l, "from", &b), "");
	assert_str(value_of(&l, "odd", &b), "a=b c\n\a\\");
	assert_str(value_of(&l, "n", &b), "5");
	assert_str(value_of(&l, "b", &b), "(none)"); /* inside a value there are no fields */

	/* Behind journald's words; cut at any place it is refused or read, never misread. */
	char journal[600];
	int n = snprintf(journal, sizeof journal, "Nov 22 00:13:44 host barid[99]: %.*s",
			 STR_ARG(line));
	assert_true(logfmt_parse(str_make(journal, (size_t)n), &l));
	assert_str(l.event, "smtp.refused");
	for (size_t cut = 0; cut < line.n; cut++)
		if (logfmt_parse(str_sub(line, 0, cut), &l))
			assert_true(str_starts(STR("smtp.refused"), l.event));
}

static void other_lines_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"ready",
		"2026-11-22T00:13:44.123456Z info mta event=x",
		"2026-11-22T00:13:44.123456Z info mta[1] x=event",
		"2026-11-22T00:13:44.123456Z info mta[1] event=",
		"2026-11-22T00:13:44.123456Z info mta[1] event=x trace=zz",
		"2026-11-22T00:13:44.123456 info mta[1] event=x",
		"info mta[1] event=x",
	};
	struct logfmt l;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(logfmt_parse(str_c(bad[i]), &l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(a_line_is_taken_apart),
		cmocka_unit_test(other_lines_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
