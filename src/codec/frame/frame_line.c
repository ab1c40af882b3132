/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/frame/frame_line.h"

static void forget(struct frame_line *f)
{
	buf_reset(&f->text);
	f->dropped = 0;
	f->after_cr = f->too_long = f->malformed = f->taken = false;
}

void frame_line_wipe(struct frame_line *f)
{
	if (f->text.p)
		explicit_bzero(f->text.p, f->text.cap);
	forget(f);
}

void frame_line_clear(struct frame_line *f)
{
	frame_line_wipe(f);
	buf_clear(&f->text);
}

/* Keep a piece of the current line. A kept CR at the end of the text is the one of CRLF, or wrong.
 */
static void keep(struct frame_line *f, struct str piece)
{
	if (piece.n == 0)
		return;
	if (f->after_cr && piece.p[0] != '\n')
		f->malformed = true;
	size_t cr = str_find(piece, 0, '\r');
	if (str_find(piece, 0, '\0') < piece.n)
		f->malformed = true;
	if (cr + 1 < piece.n && piece.p[cr + 1] != '\n')
		f->malformed = true;
	f->after_cr = piece.p[piece.n - 1] == '\r';
	if (f->text.n + piece.n > f->max + 2)
		f->too_long = true;
	if (f->too_long || buf_add(&f->text, piece) < 0)
		f->dropped += piece.n;
}

enum frame_line_event frame_line_feed(struct frame_line *f, struct str *in, struct str *ret_line)
{
	if (f->taken)
		forget(f);
	size_t lf = str_find(*in, 0, '\n');
	bool ends = lf < in->n;
	struct str piece = str_sub(*in, 0, ends ? lf + 1 : lf);
	bool crlf = ends && (lf > 0 ? piece.p[lf - 1] == '\r' : f->after_cr);
	*in = str_skip(*in, piece.n);
	keep(f, piece);
	if (!ends)
		return FRAME_LINE_MORE;
	f->taken = true;
	if (f->malformed || !crlf)
		return FRAME_LINE_MALFORMED;
	if (f->too_long)
		return FRAME_LINE_TOO_LONG;
	*ret_line = str_sub(buf_str(&f->text), 0, f->text.n - 2);
	return FRAME_LINE_READY;
}
