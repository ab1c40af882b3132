/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast scanner against a byte-at-a-time reading of RFC 5321, and against itself in other
 * chunks; BDAT likewise. The first byte chooses the options and the size of the chunks.
 */
#include "base/buf.h"
#include "base/check.h"
#include "codec/frame/frame_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_bare_cr(struct str in, size_t i)
{
	return in.p[i] == '\r' && i + 1 < in.n && in.p[i + 1] != '\n';
}

static bool is_bare_lf(struct str in, size_t i)
{
	return in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r');
}

/* The slow and plain way: returns where content and terminator end. */
static size_t model(struct str in, bool normalise, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		bool line_start = i == 0 || (i > 1 && in.p[i - 2] == '\r' && in.p[i - 1] == '\n');
		if (line_start && in.p[i] == '.') {
			if (i + 2 < in.n && in.p[i + 1] == '\r' && in.p[i + 2] == '\n')
				return i + 3;
			continue;
		}
		bool fix = normalise && (is_bare_cr(in, i) || is_bare_lf(in, i));
		if (fix)
			buf_add(out, STR("\r\n"));
		else
			buf_addc(out, in.p[i]);
	}
	return in.n;
}

static size_t run(struct str in, bool normalise, size_t chunk, struct buf *out)
{
	struct frame_data f = FRAME_DATA_INIT(normalise);
	for (size_t at = 0; at < in.n; at += chunk) {
		struct str piece = str_sub(in, at, at + chunk);
		size_t n = piece.n;
		struct str slice;
		enum frame_data_event e;
		while ((e = frame_data_feed(&f, &piece, &slice)) == FRAME_DATA_SLICE)
			buf_add(out, slice);
		if (e == FRAME_DATA_END)
			return at + n - piece.n;
	}
	return in.n;
}

static void check_bdat(struct str in, size_t chunk)
{
	struct frame_bdat f = {0};
	bool cr = false;
	bool lf = false;
	for (size_t i = 0; i < in.n; i++) {
		cr |= in.p[i] == '\r' && (i + 1 == in.n || in.p[i + 1] != '\n');
		lf |= is_bare_lf(in, i);
	}
	for (size_t at = 0; at < in.n; at += chunk) {
		struct str piece = str_sub(in, at, at + chunk);
		struct str slice;
		frame_bdat_chunk(&f, piece.n);
		while (frame_bdat_feed(&f, &piece, &slice) == FRAME_DATA_SLICE)
			continue;
	}
	frame_bdat_finish(&f);
	CHECK(f.size == in.n && f.bare_cr == cr && f.bare_lf == lf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	bool normalise = data[0] & 1;
	size_t chunk = 1 + data[0] / 2 % 8;
	struct str in = {(const char *)data + 1, size - 1};
	/* What is held back at an unfinished end is not content yet: give it an end. */
	AUTO(buf) struct buf text = BUF_INIT(MIB(4));
	buf_add(&text, in);
	buf_add(&text, STR("\r\n.\r\n"));
	AUTO(buf) struct buf want = BUF_INIT(MIB(4));
	AUTO(buf) struct buf whole = BUF_INIT(MIB(4));
	AUTO(buf) struct buf cut = BUF_INIT(MIB(4));
	size_t end = model(buf_str(&text), normalise, &want);
	CHECK(run(buf_str(&text), normalise, text.n, &whole) == end);
	CHECK(run(buf_str(&text), normalise, chunk, &cut) == end);
	CHECK(str_eq(buf_str(&want), buf_str(&whole)) && str_eq(buf_str(&want), buf_str(&cut)));
	check_bdat(in, chunk);
	return 0;
}
