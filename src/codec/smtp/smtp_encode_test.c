/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/smtp/smtp_encode.h"

static const struct {
	const char *in, *data, *bdat;
} rows[] = {
	{"", ".\r\n", ""},
	{"a\r\nb\r\n", "a\r\nb\r\n.\r\n", "a\r\nb\r\n"},
	{"a", "a\r\n.\r\n", "a\r\n"},
	{".\r\n..\r\n.a\r\n", "..\r\n...\r\n..a\r\n.\r\n", ".\r\n..\r\n.a\r\n"},
	{"a\n.\nb", "a\r\n..\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n"},
	{"a\r.\rb", "a\r\n..\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n"},
	{"a\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n"},
	{"a\r\n.\rb", "a\r\n..\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n"},
	{"a\r\r\n.\r\r\n", "a\r\n\r\n..\r\n\r\n.\r\n", "a\r\n\r\n.\r\n\r\n"},
	{"a\n\r.\r", "a\r\n\r\n..\r\n.\r\n", "a\r\n\r\n.\r\n"},
	{"\r", "\r\n.\r\n", "\r\n"},
	{"\n", "\r\n.\r\n", "\r\n"},
	{"\r\n", "\r\n.\r\n", "\r\n"},
};

static void encode(struct str in, size_t cut, bool dots, const char *want)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(1));
	struct smtp_encoder e = {.dots = dots};
	assert_int_equal(smtp_encode(&e, str_sub(in, 0, cut), &out), 0);
	assert_int_equal(smtp_encode(&e, str_skip(in, cut), &out), 0);
	assert_int_equal(smtp_encode_end(&e, &out), 0);
	assert_str(buf_str(&out), want);
}

/* However it is cut. */
static void lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t cut = 0; cut <= strlen(rows[i].in); cut++) {
			encode(str_c(rows[i].in), cut, true, rows[i].data);
			encode(str_c(rows[i].in), cut, false, rows[i].bdat);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(lines)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
