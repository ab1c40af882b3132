/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in one piece and in small chunks: the same events, and what the events promise. */
#include "base/check.h"
#include "codec/frame/frame_imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct frame_imap_limits limits = {
	.line_bytes = 100, .inline_bytes = 20, .external_bytes = 200, .literals = 4};

static const struct frame_imap_limits minus = {.line_bytes = 100,
					       .inline_bytes = 20,
					       .external_bytes = 200,
					       .literals = 4,
					       .nonsync_bytes = 8};

static void check_command(struct imap_input in)
{
	size_t last = 0;
	for (size_t i = 0; i < in.external_count; i++) {
		size_t pos = in.external[i].pos;
		CHECK(pos > last && pos <= in.text.n);
		CHECK(in.text.p[pos - 1] == '\n' && in.text.p[pos - 3] == '}');
		last = pos;
	}
}

static void run(struct str in, const struct frame_imap_limits *lim, size_t chunk, struct buf *out)
{
	AUTO(frame_imap) struct frame_imap f;
	frame_imap_init(&f, lim);
	for (size_t at = 0; at < in.n; at += chunk) {
		struct str piece = str_sub(in, at, at + chunk);
		struct frame_imap_event e;
		while ((e = frame_imap_feed(&f, &piece)).kind != FRAME_IMAP_MORE) {
			CHECK(f.text.n <= f.text.max && !f.text.failed);
			if (e.kind == FRAME_IMAP_DATA) {
				buf_add(out, e.data);
				continue;
			}
			buf_addf(out, "%d[%.*s|", (int)e.kind, STR_ARG(e.tag));
			buf_add(out, e.input.text);
			if (e.kind == FRAME_IMAP_COMMAND)
				check_command(e.input);
			if (e.kind == FRAME_IMAP_COMMAND && str_ends(e.input.text, STR("IDLE")))
				frame_imap_expect_raw(&f);
			if (e.kind != FRAME_IMAP_LITERAL)
				continue;
			if (e.size % 7 == 3)
				frame_imap_refuse(&f);
			else
				frame_imap_accept(&f);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct str in = {(const char *)data + 1, size - 1};
	AUTO(buf) struct buf whole = BUF_INIT(MIB(16));
	AUTO(buf) struct buf cut = BUF_INIT(MIB(16));
	const struct frame_imap_limits *lim = data[0] & 0x80 ? &minus : &limits;
	run(in, lim, size, &whole);
	run(in, lim, 1 + data[0] % 16, &cut);
	CHECK(str_eq(buf_str(&whole), buf_str(&cut)));
	return 0;
}
