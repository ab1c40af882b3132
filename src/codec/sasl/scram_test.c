/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/sasl/scram.h"

static void published_messages_are_taken_apart(void **state)
{
	struct scram_client_first f;
	struct scram_client_final l;
	(void)state;
	/* RFC 7677 section 3 */
	assert_int_equal(scram_client_first_parse(STR("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), &f), 0);
	assert_int_equal(f.binding, SCRAM_BINDING_NONE);
	assert_str(f.gs2, "n,,");
	assert_str(f.bare, "n=user,r=rOprNGfwEbeRWgbNEkqO");
	assert_str(f.user, "user");
	assert_str(f.nonce, "rOprNGfwEbeRWgbNEkqO");
	assert_int_equal(scram_client_final_parse(
				 STR("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				     "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
				 &l),
			 0);
	assert_str(l.binding, "biws");
	assert_str(l.nonce, "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
	assert_str(l.proof, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
	assert_str(l.without_proof, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
	assert_true(scram_binding_is(l.binding, STR("n,,"), STR("")));
	assert_false(scram_binding_is(l.binding, STR("y,,"), STR("")));
	assert_false(scram_binding_is(l.binding, STR("n,,"), STR("x")));
}

static void header_says_who_and_how(void **state)
{
	struct scram_client_first f;
	(void)state;
	assert_int_equal(
		scram_client_first_parse(STR("p=tls-exporter,a=al=3Dice,n=a=2Cb,r=x,e=1"), &f), 0);
	assert_int_equal(f.binding, SCRAM_BINDING_PRESENT);
	assert_str(f.binding_name, "tls-exporter");
	assert_str(f.authzid, "al=3Dice");
	assert_str(f.gs2, "p=tls-exporter,a=al=3Dice,");
	assert_str(f.bare, "n=a=2Cb,r=x,e=1");
	assert_int_equal(scram_client_first_parse(STR("y,,n=u,r=x"), &f), 0);
	assert_int_equal(f.binding, SCRAM_BINDING_MISSED);
}

static void what_is_no_message_is_refused(void **state)
{
	static const char *const firsts[] = {
		"",
		"n",
		"n,",
		"n,,",
		"x,,n=u,r=x",
		"n,b,n=u,r=x",
		"n,,r=x",
		"n,,n=,r=x",
		"n,,n=u,r=",
		"n,,n=u",
		"n,,n=u,r=a b",
		"n,a=,n=u,r=x",
		"p=,,n=u,r=x",
		"p=a b,,n=u,r=x",
		"p,,n=u,r=x",
		"n,,n=u\xff,r=x",
	};
	static const char *const finals[] = {
		"",
		"c=biws",
		"c=biws,r=x",
		"c=biws,r=x,q=1",
		"r=x,c=biws,p=AA==",
		"c=biws,r=,p=A",
		"p=AA==",
		"c=biws,p=AA==",
	};
	struct scram_client_first f;
	struct scram_client_final l;
	char big[SCRAM_MESSAGE_MAX + 2];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(firsts); i++)
		if (scram_client_first_parse(str_c(firsts[i]), &f) != -FAIL_SYNTAX)
			fail_msg("accepted: %s", firsts[i]);
	for (size_t i = 0; i < ARRAY_LEN(finals); i++)
		if (scram_client_final_parse(str_c(finals[i]), &l) != -FAIL_SYNTAX)
			fail_msg("accepted: %s", finals[i]);
	assert_int_equal(scram_client_first_parse(STR("n,,m=x,n=u,r=x"), &f), -FAIL_UNSUPPORTED);
	assert_int_equal(scram_client_first_parse(str_make("n,,n=u\0,r=x", 11), &f), -FAIL_SYNTAX);
	memset(big, 'x', sizeof big);
	memcpy(big, "n,,n=", 5);
	assert_int_equal(scram_client_first_parse(str_make(big, SCRAM_MESSAGE_MAX + 1), &f),
			 -FAIL_LIMIT);
	memcpy(big, "n,,n=u,r=", 9);
	assert_int_equal(scram_client_first_parse(str_make(big, 9 + SCRAM_NONCE_MAX), &f), 0);
	assert_int_equal(scram_client_first_parse(str_make(big, 10 + SCRAM_NONCE_MAX), &f),
			 -FAIL_LIMIT);
}

static void names_lose_their_escapes(void **state)
{
	static const char *const bad[] = {"", "a=", "a=2", "a=2c", "a=41", "a,b", "=3"};
	AUTO(buf) struct buf b = BUF_INIT(16);
	(void)state;
	assert_int_equal(scram_name_decode(STR("=2Ca=3D=3D2C"), &b), 0);
	assert_str(buf_str(&b), ",a==2C");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_reset(&b);
		assert_int_equal(scram_name_decode(str_c(bad[i]), &b), -FAIL_SYNTAX);
	}
	buf_reset(&b);
	assert_int_equal(scram_name_decode(STR("0123456789abcdefg"), &b), -FAIL_LIMIT);
}

static void server_messages_are_written(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(100);
	(void)state;
	assert_int_equal(scram_server_first_write(&b, STR("ab"), STR("salt"), 4096), 0);
	assert_str(buf_str(&b), "r=ab,s=c2FsdA==,i=4096");
	buf_reset(&b);
	assert_int_equal(scram_server_final_write(&b, STR("sig")), 0);
	assert_str(buf_str(&b), "v=c2ln");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_messages_are_taken_apart),
		cmocka_unit_test(header_says_who_and_how),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(names_lose_their_escapes),
		cmocka_unit_test(server_messages_are_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
