/* SPDX-License-Identifier: Apache-2.0 */
/* Any message: what goes over the wire is lines, and recipients are addresses. */
#include "base/check.h"
#include "codec/smtp/smtp_addr.h"
#include "tools/sendmail/sendmail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	AUTO(buf) struct buf lines = BUF_INIT(MIB(4));
	struct draft d = {.arena = &a, .origin = STR("example.test"), .content = BUF_INIT(MIB(4))};
	struct sendmail_options o = {.from_header = size & 1, .name = STR("A \"B\"")};
	const char *why = NULL;
	struct smtp_addr parsed;
	if (draft_lines((struct str){(const char *)data, size}, size & 2, &lines) < 0)
		return 0;
	if (draft_make(&d, &o, buf_str(&lines), STR("user"), &why) == 0) {
		struct str c = buf_str(&d.content);
		CHECK(c.n >= 2 && str_ends(c, STR("\r\n")));
		for (size_t i = 0; i < c.n; i++) {
			CHECK(c.p[i] != '\n' || (i && c.p[i - 1] == '\r'));
			CHECK(c.p[i] != '\r' || (i + 1 < c.n && c.p[i + 1] == '\n'));
			CHECK(c.p[i] != '\0');
		}
		for (size_t i = 0; i < d.rcpts.v.n; i++)
			CHECK(smtp_mailbox_parse(d.rcpts.v.p[i], &parsed) == 0);
	}
	draft_clear(&d);
	return 0;
}
