/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the text, a preview is short, valid UTF-8 on one line, without blanks at its ends. */
#include "base/check.h"
#include "base/utf8.h"
#include "codec/mime/preview.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct str s)
{
	size_t chars = 0;
	CHECK(utf8_valid(s));
	for (size_t pos = 0; pos < s.n; chars++)
		CHECK(utf8_next(s, &pos) >= 0x20);
	CHECK(chars <= PREVIEW_CHARS);
	CHECK(s.n == 0 || s.p[0] != ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf) struct buf out = BUF_INIT(PREVIEW_BYTES);
	struct str in = str_make((const char *)data, size);
	preview_of_plain(&out, in);
	CHECK(!out.failed);
	check(buf_str(&out));
	buf_reset(&out);
	preview_of_html(&out, in);
	CHECK(!out.failed);
	check(buf_str(&out));
	return 0;
}
