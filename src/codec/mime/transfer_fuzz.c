/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfer encodings: however the bytes come in pieces, they decode to the same; what was encoded
 * decodes to itself. The first byte chooses encoding and size of the pieces.
 */
#include "base/check.h"
#include "codec/mime/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(enum mime_encoding e, struct str in, size_t step, struct buf *out)
{
	struct transfer t = transfer_of(e);
	for (size_t at = 0; at < in.n; at += step)
		transfer_decode(&t, str_sub(in, at, at + step), out);
	transfer_decode_end(&t, out);
	CHECK(!out->failed && out->n <= in.n);
}

static void check_lines(const struct buf *b)
{
	struct str rest = buf_str(b), line;
	while (rest.n && str_cut(&rest, '\n', &line)) {
		CHECK(line.n <= 77);
		CHECK(str_ends(line, STR("\r")) || rest.n == 0);
	}
}

static void base64(struct str in, size_t step)
{
	AUTO(buf) struct buf text = BUF_INIT(MIB(1)), cut = BUF_INIT(MIB(1));
	AUTO(buf) struct buf back = BUF_INIT(MIB(1));
	struct transfer t = {0}, u = {0};
	base64_lines(&t, in, &text);
	base64_lines_end(&t, &text);
	for (size_t at = 0; at < in.n; at += step)
		base64_lines(&u, str_sub(in, at, at + step), &cut);
	base64_lines_end(&u, &cut);
	CHECK(str_eq(buf_str(&text), buf_str(&cut)));
	check_lines(&text);
	decode(MIME_ENC_BASE64, buf_str(&text), step, &back);
	CHECK(str_eq(buf_str(&back), in));
}

/* Text with CRLF line ends only, as qp_encode wants it. */
static void quoted(struct str in, size_t step)
{
	AUTO(buf) struct buf plain = BUF_INIT(MIB(1)), text = BUF_INIT(MIB(1));
	AUTO(buf) struct buf back = BUF_INIT(MIB(1));
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\n')
			(void)buf_add(&plain, STR("\r\n"));
		else if (in.p[i] != '\r')
			(void)buf_addc(&plain, in.p[i]);
	}
	CHECK(qp_encode(&text, buf_str(&plain)) == 0);
	check_lines(&text);
	decode(MIME_ENC_QP, buf_str(&text), step, &back);
	CHECK(str_eq(buf_str(&back), buf_str(&plain)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf) struct buf whole = BUF_INIT(MIB(1)), cut = BUF_INIT(MIB(1));
	if (size == 0 || size > KIB(64))
		return 0;
	struct str in = str_make((const char *)data + 1, size - 1);
	enum mime_encoding e = (enum mime_encoding)(data[0] % MIME_ENC_COUNT);
	size_t step = 1u + data[0] / MIME_ENC_COUNT;
	decode(e, in, in.n + 1, &whole);
	decode(e, in, step, &cut);
	CHECK(str_eq(buf_str(&whole), buf_str(&cut)));
	base64(in, step);
	quoted(in, step);
	return 0;
}
