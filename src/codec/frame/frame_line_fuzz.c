/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in one piece and byte by byte: the same events. */
#include "base/check.h"
#include "codec/frame/frame_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(struct str in, size_t chunk, struct buf *out)
{
	AUTO(frame_line) struct frame_line f = FRAME_LINE_INIT(16);
	for (size_t at = 0; at < in.n; at += chunk) {
		struct str piece = str_sub(in, at, at + chunk);
		struct str line = STR_NULL;
		enum frame_line_event e;
		while ((e = frame_line_feed(&f, &piece, &line)) != FRAME_LINE_MORE) {
			buf_addc(out, (char)('0' + (int)e));
			if (e == FRAME_LINE_READY)
				buf_add(out, line);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	AUTO(buf) struct buf whole = BUF_INIT(MIB(4));
	AUTO(buf) struct buf bytes = BUF_INIT(MIB(4));
	run(in, size + 1, &whole);
	run(in, 1, &bytes);
	CHECK(str_eq(buf_str(&whole), buf_str(&bytes)));
	return 0;
}
