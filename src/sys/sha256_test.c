/* SPDX-License-Identifier: Apache-2.0 */
#include "base/encode.h"
#include "base/test.h"
#include "sys/sha256.h"

static void check(struct str s, const char *want)
{
	unsigned char sum[SHA256_LEN];
	sha256_of(s, sum);
	AUTO(buf) struct buf hex = BUF_INIT(100);
	assert_int_equal(hex_encode(&hex, str_make((char *)sum, sizeof sum)), 0);
	assert_str(buf_str(&hex), want);
}

/* FIPS 180-4 examples */
static void test_known(void **state)
{
	(void)state;
	check(STR(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	check(STR("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	check(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
	      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* RFC 4231 section 4, cases 1 to 3; keys longer than a block are none here. */
static void test_hmac(void **state)
{
	static const struct {
		struct str key, text;
		const char *want;
	} cases[] = {
		{STR("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
		     "\x0b"),
		 STR("Hi There"),
		 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{STR("Jefe"), STR("what do ya want for nothing?"),
		 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{STR("\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
		     "\xaa"),
		 STR("\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd"
		     "\xdd"
		     "\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd"
		     "\xdd"
		     "\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd"),
		 "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned char sum[SHA256_LEN];
		AUTO(buf) struct buf hex = BUF_INIT(100);
		hmac_sha256(cases[i].key, cases[i].text, sum);
		assert_int_equal(hex_encode(&hex, str_make((char *)sum, sizeof sum)), 0);
		assert_str(buf_str(&hex), cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_known),
					   cmocka_unit_test(test_hmac)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
