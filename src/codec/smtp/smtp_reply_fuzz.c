/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a reply: lines of RFC 5321 4.2 that all carry the code, the last one alone with a
 * blank behind it; what came from a peer cannot end the reply or begin another.
 */
#include "base/check.h"
#include "codec/smtp/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const enhanced[] = {NULL, "2.0.0", "5.7.1"};
	AUTO(buf) struct buf out = BUF_INIT(KIB(256));
	struct str line;
	if (size == 0 || size > KIB(8))
		return 0;
	const char *status = enhanced[data[0] % 3u];
	unsigned code = status ? (unsigned)(status[0] - '0') * 100 + 50 : 354;
	struct str text = str_make((const char *)data + 1, size - 1);
	CHECK(smtp_reply(&out, code, status, text) == 0);
	struct str rest = buf_str(&out);
	CHECK(str_ends(rest, STR("\r\n")));
	while (str_cut(&rest, '\n', &line)) {
		CHECK(line.n >= 5 && line.n < SMTP_REPLY_LINE_MAX);
		CHECK(str_find(line, 0, '\r') == line.n - 1);
		CHECK(line.p[0] == (char)('0' + code / 100) && line.p[3] == (rest.n ? '-' : ' '));
		CHECK(!status || str_starts(str_skip(line, 4), str_c(status)));
		for (size_t i = 0; i + 1 < line.n; i++)
			CHECK((unsigned char)line.p[i] >= 0x20 && line.p[i] != 0x7f);
		if (!rest.n)
			break;
	}
	return 0;
}
