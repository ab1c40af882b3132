/* SPDX-License-Identifier: Apache-2.0 */
/* A date that is taken is written as the same date, and read again. */
#include "base/check.h"
#include "codec/imap/imap_date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make((const char *)data, size);
	struct imap_datetime t, again;
	int32_t day, of;
	AUTO(buf) struct buf text = BUF_INIT(KIB(1));
	if (imap_datetime_parse(in, &t) == 0) {
		CHECK(t.zone_min > -24 * 60 && t.zone_min < 24 * 60);
		CHECK(imap_datetime_write(&text, t) == 0 && text.n > 2);
		struct str inner = str_sub(buf_str(&text), 1, text.n - 1);
		CHECK(imap_datetime_parse(inner, &again) == 0);
		CHECK(again.at.v == t.at.v && again.zone_min == t.zone_min);
		/* The day of SEARCH is the one that stands in the text. */
		CHECK(imap_day_parse(str_trim(str_sub(inner, 0, 11)), &of) == 0);
		CHECK(imap_day_of(t) == of);
	}
	if (imap_day_parse(in, &day) == 0) {
		struct imap_datetime noon = {{(int64_t)day * 86400 * SEC_US + 43200 * SEC_US}, 0};
		CHECK(imap_day_of(noon) == day);
	}
	return 0;
}
