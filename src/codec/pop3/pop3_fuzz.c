/* SPDX-License-Identifier: Apache-2.0 */
/* Lines are commands or are not; a text is the same whatever the pieces, and can be read back. */
#include "base/check.h"
#include "codec/pop3/pop3_capa.h"
#include "codec/pop3/pop3_cmd.h"
#include "codec/pop3/pop3_text.h"
#include "codec/pop3/pop3_uidl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_line(struct str line)
{
	struct pop3_cmd cmd;
	int r = pop3_cmd_parse(line, &cmd);
	CHECK(r == 0 || r == -FAIL_SYNTAX || r == -FAIL_UNSUPPORTED);
	if (r < 0)
		return;
	CHECK(str_startsi(line, str_c(pop3_cmd_name(cmd.kind))));
	CHECK(!cmd.arg.n || (cmd.arg.p >= line.p && cmd.arg.p + cmd.arg.n <= line.p + line.n));
	CHECK(cmd.initial.n == 0 || cmd.arg.n > 0);
}

/* Take the second dots away again, up to the end. */
static void unstuff(struct str text, struct buf *ret)
{
	bool start = true;
	while (text.n) {
		if (start && str_eq(text, STR(".\r\n")))
			return;
		CHECK(!start || !str_starts(text, STR(".\r\n")));
		if (start && text.p[0] == '.') {
			CHECK(text.n > 1 && text.p[1] == '.');
			text = str_skip(text, 1);
		}
		(void)buf_addc(ret, text.p[0]);
		start = text.p[0] == '\n';
		text = str_skip(text, 1);
	}
	CHECK(text.n > 0); /* there was no end */
}

static void add(struct str text, size_t piece, bool top, struct buf *out)
{
	struct pop3_text t;
	if (top)
		pop3_text_begin_top(&t, 2);
	else
		pop3_text_begin(&t);
	for (; text.n; text = str_skip(text, piece))
		pop3_text_add(&t, str_sub(text, 0, piece), out);
	pop3_text_end(&t, out);
	CHECK(!out->failed);
}

static void try_text(struct str text, bool top)
{
	AUTO(buf) struct buf whole = BUF_INIT(MIB(4));
	AUTO(buf) struct buf bytes = BUF_INIT(MIB(4));
	AUTO(buf) struct buf back = BUF_INIT(MIB(4));
	add(text, text.n + 1, top, &whole);
	add(text, 1, top, &bytes);
	CHECK(str_eq(buf_str(&whole), buf_str(&bytes)));
	unstuff(buf_str(&whole), &back);
	if (!top)
		CHECK(str_starts(buf_str(&back), text) && back.n <= text.n + 2);
	else
		CHECK(str_starts(text, str_sub(buf_str(&back), 0, back.n > 2 ? back.n - 2 : 0)));
}

static void try_uidl(struct str format)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(4));
	if (!pop3_uidl_format_good(format))
		return;
	pop3_uidl_write(&out, format, UINT32_MAX, UINT32_MAX);
	CHECK(pop3_uidl_good(buf_str(&out)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make((const char *)data, MIN(size, (size_t)KIB(64)));
	AUTO(buf) struct buf out = BUF_INIT(KIB(4));
	struct pop3_capa c = {.stls = size & 1, .login = size & 2, .login_delay_s = size & 4};
	pop3_capa_write(&out, &c, STR(" PLAIN"), "x");
	CHECK(str_ends(buf_str(&out), STR("\r\n.\r\n")));
	try_line(in);
	try_text(in, false);
	try_text(in, true);
	try_uidl(in);
	return 0;
}
