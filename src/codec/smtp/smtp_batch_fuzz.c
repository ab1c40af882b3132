/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of a client through framer, batch and back, as between edge and mta: the same lines, in the
 * same order, and none of them can begin another batch or line. And any bytes as a batch.
 */
#include "base/check.h"
#include "codec/smtp/smtp_batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void any_bytes(struct str in)
{
	enum smtp_line_kind kind;
	struct str line, rest = in;
	size_t used = 0;
	while (smtp_batch_next(&rest, &kind, &line)) {
		CHECK(kind == SMTP_LINE_OK || kind == SMTP_LINE_TOO_LONG ||
		      kind == SMTP_LINE_MALFORMED);
		CHECK(line.n == 0 || (line.p >= in.p && line.p + line.n <= in.p + in.n));
		CHECK(++used <= in.n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum smtp_line_kind kinds[] = {SMTP_LINE_OK, SMTP_LINE_OK, SMTP_LINE_TOO_LONG,
						    SMTP_LINE_MALFORMED};
	struct str in = str_make((const char *)data, size), rest = in, line, got, left;
	AUTO(buf) struct buf batch = BUF_INIT(KIB(64));
	enum smtp_line_kind kind;
	if (size == 0 || size > KIB(8))
		return 0;
	any_bytes(in);
	while (rest.n && str_cut(&rest, '\n', &line))
		if (line.n)
			CHECK(smtp_batch_add(&batch, kinds[(unsigned char)line.p[0] % 4u],
					     str_skip(line, 1)) == 0);
	rest = in;
	left = buf_str(&batch);
	while (rest.n && str_cut(&rest, '\n', &line)) {
		if (!line.n)
			continue;
		enum smtp_line_kind want = kinds[(unsigned char)line.p[0] % 4u];
		CHECK(smtp_batch_next(&left, &kind, &got) && kind == want);
		CHECK(str_eq(got, kind == SMTP_LINE_OK ? str_skip(line, 1) : STR("")));
		(void)smtp_batch_ends(kind, got);
	}
	CHECK(!smtp_batch_next(&left, &kind, &got));
	return 0;
}
