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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_known)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
