/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a compressed stream: the same text whatever the pieces it comes in, and where it
 * ends. And what was compressed in pieces reads back.
 */
#include "base/check.h"
#include "sys/deflate.h"

#define TEXT_MAX KIB(512)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 0 or what inflater_take said; at most TEXT_MAX of the text. */
static int read_in_pieces(struct str in, size_t piece, size_t room, struct buf *text)
{
	AUTO(inflater) struct inflater f = INFLATER_INIT;
	char into[KIB(4)];
	while (in.n && !f.over) {
		struct str now = str_sub(in, 0, piece);
		in = str_skip(in, now.n);
		for (;;) {
			size_t n = 0;
			int r = inflater_take(&f, &now, into, room, &n, NULL);
			if (r < 0)
				return r;
			if (n == 0)
				break;
			CHECK(n <= room);
			if (buf_add(text, (struct str){into, n}) < 0)
				return 0;
		}
		CHECK(now.n == 0 || f.over);
	}
	return 0;
}

static void there_and_back(struct str in, size_t piece)
{
	AUTO(buf) struct buf history = DEFLATE_HISTORY_INIT, packed = BUF_INIT(MIB(1));
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
	struct deflater *d = deflater_new();
	for (struct str rest = in; rest.n; rest = str_skip(rest, MIN(piece, rest.n)))
		deflater_add(d, &history, str_sub(rest, 0, piece), &packed);
	deflater_free(d);
	CHECK(history.n <= DEFLATE_HISTORY);
	CHECK(read_in_pieces(buf_str(&packed), piece, KIB(4), &text) == 0);
	CHECK(str_eq(buf_str(&text), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > KIB(16))
		return 0;
	/* Whether the last bits are a fault may be seen with the next byte only. */
	AUTO(buf) struct buf bytes = BUF_INIT(size + 1);
	(void)buf_add(&bytes, str_make((const char *)data + 1, size - 1));
	(void)buf_add(&bytes, STR("\0\0"));
	struct str in = buf_str(&bytes);
	size_t piece = 1 + data[0];
	AUTO(buf) struct buf whole = BUF_INIT(TEXT_MAX), pieces = BUF_INIT(TEXT_MAX);
	int r = read_in_pieces(in, in.n, KIB(4), &whole);
	int again = read_in_pieces(in, piece, 1 + data[0], &pieces);
	if (!whole.failed && !pieces.failed) {
		CHECK(again == r);
		/* Before a fault more may be given when there is room for less. */
		size_t n = r < 0 ? MIN(whole.n, pieces.n) : whole.n;
		CHECK(str_eq(str_sub(buf_str(&whole), 0, n), str_sub(buf_str(&pieces), 0, n)));
		CHECK(r < 0 || pieces.n == n);
	}
	there_and_back(in, piece);
	AUTO(inflater) struct inflater f = INFLATER_INIT;
	char into[256];
	size_t n = 0;
	if (inflater_take(&f, &in, into, sizeof into, &n, NULL) == 0)
		(void)inflater_leave(&f, &in, NULL);
	return 0;
}
