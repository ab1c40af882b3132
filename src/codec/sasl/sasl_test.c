/* SPDX-License-Identifier: Apache-2.0 */
#include "base/encode.h"
#include "base/test.h"
#include "codec/sasl/sasl.h"

static bool is_clear(const struct sasl_credentials *c)
{
	const char *p = (const char *)c;
	for (size_t i = 0; i < sizeof *c; i++)
		if (p[i])
			return false;
	return true;
}

static const struct {
	const char *what;
	struct str plain;
	int want;
	const char *user;
	const char *password;
} plains[] = {
	{"RFC 4616 section 4", STR("\0tim\0tanstaaftanstaaf"), SASL_STEP_DONE, "tim",
	 "tanstaaftanstaaf"},
	{"authzid equal", STR("tim\0tim\0x"), SASL_STEP_DONE, "tim", "x"},
	{"authzid in another case", STR("Tim@B\0tim@b\0x"), SASL_STEP_DONE, "tim@b", "x"},
	{"UTF-8", STR("\0t\xc3\xa9\0\xe2\x82\xac"), SASL_STEP_DONE, "t\xc3\xa9", "\xe2\x82\xac"},
	{"RFC 4616: acts for Ursel", STR("Ursel\0Kurt\0xipj3plmq"), SASL_STEP_DONE, "Kurt",
	 "xipj3plmq"},
	{"no password", STR("\0tim\0"), -FAIL_SYNTAX, NULL, NULL},
	{"no user", STR("\0\0x"), -FAIL_SYNTAX, NULL, NULL},
	{"one NUL", STR("tim\0x"), -FAIL_SYNTAX, NULL, NULL},
	{"three NULs", STR("\0tim\0x\0"), -FAIL_SYNTAX, NULL, NULL},
	{"empty", STR(""), -FAIL_SYNTAX, NULL, NULL},
	{"not UTF-8", STR("\0tim\0\xff"), -FAIL_SYNTAX, NULL, NULL},
	{"authzid not UTF-8", STR("\xff\0tim\0x"), -FAIL_SYNTAX, NULL, NULL},
};

static void plain_takes_one_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(plains); i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(1));
		assert_int_equal(base64_encode(&b, plains[i].plain), 0);
		struct str line = b.n ? buf_str(&b) : STR("=");
		for (int initial = 0; initial < 2; initial++) {
			struct sasl s;
			struct sasl_credentials c;
			int r = sasl_start(&s, SASL_PLAIN, initial ? line : STR_NULL, &c);
			if (!initial) {
				assert_int_equal(r, SASL_STEP_CHALLENGE);
				assert_str(sasl_challenge(&s), "");
				r = sasl_continue(&s, b.n ? line : STR(""));
			}
			if (r != plains[i].want)
				fail_msg("%s: %d", plains[i].what, r);
			if (r == SASL_STEP_DONE) {
				assert_str(c.user, plains[i].user);
				assert_str(c.password, plains[i].password);
				sasl_credentials_clear(&c);
			}
			assert_true(is_clear(&c));
		}
	}
}

static void login_asks_twice(void **state)
{
	(void)state;
	struct sasl s;
	struct sasl_credentials c;
	assert_int_equal(sasl_start(&s, SASL_LOGIN, STR_NULL, &c), SASL_STEP_CHALLENGE);
	assert_str(sasl_challenge(&s), "VXNlcm5hbWU6");
	assert_int_equal(sasl_continue(&s, STR("dGlt")), SASL_STEP_CHALLENGE);
	assert_str(sasl_challenge(&s), "UGFzc3dvcmQ6");
	assert_int_equal(sasl_continue(&s, STR("c2VjcmV0")), SASL_STEP_DONE);
	assert_str(c.user, "tim");
	assert_str(c.password, "secret");

	assert_int_equal(sasl_start(&s, SASL_LOGIN, STR("dGlt"), &c), SASL_STEP_CHALLENGE);
	assert_str(sasl_challenge(&s), "UGFzc3dvcmQ6");
	assert_int_equal(sasl_continue(&s, STR("")), -FAIL_SYNTAX);
	assert_true(is_clear(&c));
	assert_int_equal(sasl_start(&s, SASL_LOGIN, STR("="), &c), -FAIL_SYNTAX);
	assert_int_equal(sasl_start(&s, SASL_LOGIN, STR("dGkAbQ=="), &c), -FAIL_SYNTAX); /* NUL */
}

static void bad_lines_end_it(void **state)
{
	(void)state;
	struct sasl s;
	struct sasl_credentials c;
	enum sasl_mechanism m;
	assert_int_equal(sasl_mechanism_find(STR("plain"), &m), 0);
	assert_int_equal(m, SASL_PLAIN);
	assert_int_equal(sasl_mechanism_find(STR("Login"), &m), 0);
	assert_int_equal(m, SASL_LOGIN);
	assert_int_equal(sasl_mechanism_find(STR("CRAM-MD5"), &m), -FAIL_UNSUPPORTED);

	assert_int_equal(sasl_start(&s, SASL_LOGIN, STR("dGlt"), &c), SASL_STEP_CHALLENGE);
	assert_int_equal(sasl_continue(&s, STR("*")), -FAIL_CANCELLED);
	assert_true(is_clear(&c));
	assert_int_equal(sasl_start(&s, SASL_LOGIN, STR("dGl"), &c), -FAIL_SYNTAX);
	assert_int_equal(sasl_start(&s, SASL_LOGIN, STR("d Gl0"), &c), -FAIL_SYNTAX);

	static char zeros[SASL_MESSAGE_MAX + 4];
	memset(zeros, 'x', sizeof zeros);
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	assert_int_equal(base64_encode(&b, str_make(zeros, SASL_MESSAGE_MAX)), 0);
	assert_int_equal(sasl_start(&s, SASL_LOGIN, buf_str(&b), &c), SASL_STEP_CHALLENGE);
	assert_int_equal(sasl_continue(&s, buf_str(&b)), SASL_STEP_DONE);
	buf_reset(&b);
	assert_int_equal(base64_encode(&b, str_make(zeros, SASL_MESSAGE_MAX + 1)), 0);
	assert_int_equal(sasl_start(&s, SASL_LOGIN, buf_str(&b), &c), -FAIL_LIMIT);
	buf_reset(&b);
	assert_int_equal(base64_encode(&b, str_make(zeros, SASL_MESSAGE_MAX + 4)), 0);
	assert_int_equal(sasl_start(&s, SASL_LOGIN, buf_str(&b), &c), -FAIL_LIMIT);

	assert_int_equal(sasl_credentials_set(&c, STR("tim"), STR("x")), 0);
	assert_str(c.password, "x");
	assert_int_equal(sasl_credentials_set(&c, STR("tim"), STR("")), -FAIL_SYNTAX);
	assert_true(is_clear(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_takes_one_message),
		cmocka_unit_test(login_asks_twice),
		cmocka_unit_test(bad_lines_end_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
