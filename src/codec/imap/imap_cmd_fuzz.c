/* SPDX-License-Identifier: Apache-2.0 */
/* A command that parses has a canonical form, which parses to the same canonical form. */
#include "base/check.h"
#include "codec/imap/imap_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(struct str text, struct arena *arena, struct imap_cmd *cmd)
{
	struct imap_input in = {.text = text};
	struct fail why = FAIL_INIT;
	(void)imap_cmd_peek(text);
	/* After ENABLE: other names, so no canonical form, but the same care. */
	struct imap_input utf8 = {.text = text, .syntax = IMAP_SYNTAX_UTF8};
	(void)imap_cmd_parse(&utf8, NULL, arena, cmd, NULL);
	int r = imap_cmd_parse(&in, NULL, arena, cmd, &why);
	CHECK(r == 0 || why.public[0]);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(16));
	AUTO(buf) struct buf first = BUF_INIT(MIB(4));
	AUTO(buf) struct buf second = BUF_INIT(MIB(4));
	struct imap_cmd cmd;
	if (parse(str_make((const char *)data, size), &arena, &cmd) < 0)
		return 0;
	buf_add_c(&first, "a ");
	CHECK(imap_write_cmd(&first, &cmd) == 0);
	CHECK(parse(buf_str(&first), &arena, &cmd) == 0);
	buf_add_c(&second, "a ");
	CHECK(imap_write_cmd(&second, &cmd) == 0);
	CHECK(str_eq(buf_str(&first), buf_str(&second)));
	return 0;
}
