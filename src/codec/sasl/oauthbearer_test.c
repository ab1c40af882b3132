/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/sasl/oauthbearer.h"

#define A "\x01"

static void published_messages_are_taken_apart(void **state)
{
	struct oauth_message m;
	(void)state;
	/* RFC 7628 section 4.1 */
	assert_int_equal(
		oauthbearer_parse(STR("n,a=user@example.com,\x01host=server.example.com" A
				      "port=143" A "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdG"
				      "EuY29tCg==" A A),
				  &m),
		0);
	assert_str(m.user, "user@example.com");
	assert_str(m.token, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
	assert_int_equal(oauthbearer_parse(STR("y,,\x01"
					       "auth=bearer x" A A),
					   &m),
			 0);
	assert_int_equal(m.user.n, 0);
	assert_int_equal(xoauth2_parse(STR("user=a@example.com" A "auth=Bearer ya29.x" A A), &m),
			 0);
	assert_str(m.user, "a@example.com");
	assert_str(m.token, "ya29.x");
}

static void what_is_no_message_is_refused(void **state)
{
	static const char *const bearer[] = {
		"",
		"n,,",
		"n,," A,
		"n,," A A,
		"n,," A "host=x" A A,
		"p=tls-exporter,," A "auth=Bearer x" A A,
		"n,," A "auth=Bearer x" A,
		"n,," A "auth=Bearer " A A,
		"n,," A "auth=Bearer a b" A A,
		"n,," A "auth=Bearer a" A "auth=Bearer b" A A,
		"n,x," A "auth=Bearer a" A A,
		"n,a=," A "auth=Bearer a" A A,
		"n,,x" A "auth=Bearer a" A A,
		"n,," A "=x" A "auth=Bearer a" A A,
	};
	static const char *const google[] = {"", "user=a", "user=" A "auth=Bearer x" A A,
					     "auth=Bearer x" A A, "user=a" A "auth=Bearer x" A};
	struct oauth_message m;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bearer); i++)
		if (oauthbearer_parse(str_c(bearer[i]), &m) != -FAIL_SYNTAX)
			fail_msg("accepted %zu", i);
	for (size_t i = 0; i < ARRAY_LEN(google); i++)
		if (xoauth2_parse(str_c(google[i]), &m) != -FAIL_SYNTAX)
			fail_msg("accepted %zu", i);
	assert_int_equal(oauthbearer_parse(STR("n,,\x01"
					       "auth=Basic x" A A),
					   &m),
			 -FAIL_UNSUPPORTED);
}

static void tokens_have_three_parts(void **state)
{
	static const char *const bad[] = {"",	  "a",	     "a.b",    ".b.c",
					  "a..c", "a.b.c.d", "a.b.c=", "a+.b.c"};
	struct jwt_parts p;
	AUTO(buf) struct buf b = BUF_INIT(16);
	(void)state;
	assert_int_equal(jwt_split(STR("e30.eyJ9.x_-"), &p), 0);
	assert_str(p.signed_text, "e30.eyJ9");
	assert_str(p.signature, "x_-");
	assert_int_equal(jwt_split(STR("e30.e30."), &p), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (jwt_split(str_c(bad[i]), &p) != -FAIL_SYNTAX)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(base64url_decode(&b, STR("_-8")), 0);
	assert_str(buf_str(&b), "\xff\xef");
	assert_int_equal(base64url_decode(&b, STR("_-9")), -FAIL_SYNTAX); /* spare bits */
	assert_int_equal(base64url_decode(&b, STR("a")), -FAIL_SYNTAX);
	assert_int_equal(base64url_decode(&b, STR("+/8")), -FAIL_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_messages_are_taken_apart),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(tokens_have_three_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
