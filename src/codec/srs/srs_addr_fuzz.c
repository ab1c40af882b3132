/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A local part, and a sender: what is read stays an address, what is written leads back. The hash
 * is one that the fuzzer can hit.
 */
#include "base/check.h"
#include "codec/srs/srs_addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mac(struct str key, struct str text, unsigned char ret[SRS_MAC_LEN])
{
	(void)text;
	memset(ret, key.n ? key.p[0] : 0, SRS_MAC_LEN);
}

static void check_address(const struct smtp_addr *a)
{
	struct smtp_addr again;
	CHECK(a->n <= SMTP_ADDR_MAX && a->local_n < a->n && a->text[a->local_n] == '@');
	CHECK(strlen(a->text) == a->n);
	if (smtp_mailbox_parse(smtp_addr_str(a), &again) == 0)
		CHECK(str_eq(smtp_addr_str(a), smtp_addr_str(&again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str keys[] = {STR("A"), STR("\0")};
	struct srs_rules r = {.secrets = keys,
			      .n = 2,
			      .hash_len = 4,
			      .age_max = 21,
			      .separator = '=',
			      .hmac = mac};
	struct str s = {(const char *)data, size};
	struct smtp_addr a, there, back;
	int rc = srs_reverse(&r, s, 20000, &a);
	CHECK((rc != -FAIL_NOTFOUND) == srs_is(s));
	if (rc == 0)
		check_address(&a);
	if (smtp_mailbox_parse(s, &a) < 0 ||
	    srs_forward(&r, &a, STR("f.example"), 20000, &there) < 0)
		return 0;
	check_address(&there);
	AUTO(buf) struct buf plain = BUF_INIT(KIB(1));
	CHECK(smtp_addr_plain_local(&there, &plain) == 0 && srs_is(buf_str(&plain)));
	if (srs_reverse(&r, buf_str(&plain), 20000, &back) == 0)
		check_address(&back);
	return 0;
}
