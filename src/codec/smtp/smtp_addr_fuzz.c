/* SPDX-License-Identifier: Apache-2.0 */
/* What the address parser accepts must be stable: parsing its result gives the same address. */
#include "base/check.h"
#include "base/utf8.h"
#include "codec/smtp/smtp_addr.h"
#include "codec/smtp/xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make((const char *)data, size);
	struct smtp_addr a, again;
	size_t used = 0;

	if (smtp_path_parse(in, SMTP_PATH_NULL | SMTP_PATH_POSTMASTER, &a, &used) == 0) {
		CHECK(used <= size && a.n <= SMTP_ADDR_MAX && a.local_n <= SMTP_LOCAL_MAX);
		CHECK(a.text[a.n] == '\0' && utf8_valid(smtp_addr_str(&a)));
		if (smtp_addr_domain(&a).n) {
			CHECK(smtp_mailbox_parse(smtp_addr_str(&a), &again) == 0);
			CHECK(str_eq(smtp_addr_str(&a), smtp_addr_str(&again)));
		}
	}
	AUTO(buf) struct buf plain = BUF_INIT(KIB(64));
	AUTO(buf) struct buf coded = BUF_INIT(KIB(256));
	AUTO(buf) struct buf back = BUF_INIT(KIB(64));
	if (xtext_decode(&plain, in) == 0 && xtext_encode(&coded, buf_str(&plain)) == 0) {
		CHECK(xtext_decode(&back, buf_str(&coded)) == 0);
		CHECK(str_eq(buf_str(&plain), buf_str(&back)));
	}
	buf_reset(&plain);
	buf_reset(&coded);
	buf_reset(&back);
	if (utf8_addr_decode(&plain, in) == 0 && utf8_addr_encode(&coded, buf_str(&plain)) == 0) {
		CHECK(utf8_addr_decode(&back, buf_str(&coded)) == 0);
		CHECK(str_eq(buf_str(&plain), buf_str(&back)));
	}
	return 0;
}
