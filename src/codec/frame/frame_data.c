/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/frame/frame_data.h"
#include "base/check.h"

enum line_end {
	END_NONE,
	END_CRLF,
	END_BARE_CR,
	END_BARE_LF,
	END_OPEN_CR /* CR, then nothing yet */
};

struct line_ends {
	size_t lf; /* the next LF at or after the position, in.n if none; SIZE_MAX = not looked yet
		    */
};

/*
 * Move *pos behind the next line end of `in` and say which kind it is. Per line this is one memchr
 * for LF and one for CR; the LF is remembered, so that many bare CRs cost no more.
 */
static enum line_end next_line_end(struct str in, size_t *pos, struct line_ends *ends)
{
	if (ends->lf == SIZE_MAX || ends->lf < *pos)
		ends->lf = str_find(in, *pos, '\n');
	const char *cr = memchr(in.p + *pos, '\r', ends->lf - *pos);
	if (!cr) {
		*pos = MIN(ends->lf + 1, in.n);
		return ends->lf < in.n ? END_BARE_LF : END_NONE;
	}
	*pos = (size_t)(cr - in.p) + 1;
	if (*pos == in.n)
		return END_OPEN_CR;
	if (*pos != ends->lf)
		return END_BARE_CR;
	*pos += 1;
	return END_CRLF;
}

/*
 * How many bytes of `in` pass as they are, and the state behind them. It stops before a dot that
 * begins a line, and, with `normalise`, before a bare LF and behind a bare CR.
 */
static size_t scan(struct frame_data *f, struct str in)
{
	struct line_ends ends = {.lf = SIZE_MAX};
	size_t i = 0;
	while (i < in.n) {
		if (f->state == FRAME_DATA_LINE_START && in.p[i] == '.')
			return i;
		f->state = FRAME_DATA_INSIDE;
		switch (next_line_end(in, &i, &ends)) {
		case END_NONE:
			break;
		case END_CRLF:
			f->state = FRAME_DATA_LINE_START;
			break;
		case END_OPEN_CR:
			f->state = FRAME_DATA_AFTER_CR;
			break;
		case END_BARE_CR:
			f->bare_cr = true;
			if (!f->normalise)
				break;
			f->state = FRAME_DATA_AFTER_CR;
			return i;
		case END_BARE_LF:
			f->bare_lf = true;
			if (!f->normalise)
				break;
			f->state = FRAME_DATA_AT_BARE_LF;
			return i - 1;
		}
	}
	return i;
}

static enum frame_data_event give(struct frame_data *f, struct str s, struct str *ret_out)
{
	*ret_out = s;
	f->size += s.n;
	return FRAME_DATA_SLICE;
}

/* AFTER_CR: the CR was the first half of CRLF, or bare. Returns whether *ret_out was given. */
static bool resolve_cr(struct frame_data *f, char next, struct str *ret_out)
{
	if (next == '\n')
		return false;
	f->bare_cr = true;
	f->state = FRAME_DATA_INSIDE;
	if (!f->normalise)
		return false;
	(void)give(f, STR("\n"), ret_out);
	return true;
}

/* LINE_START before a dot, DOT and DOT_CR: one byte at a time. Returns whether to go on scanning.
 */
static bool step_dot(struct frame_data *f, struct str *in)
{
	char c = in->p[0];
	if (f->state == FRAME_DATA_LINE_START && c == '.') {
		f->state = FRAME_DATA_DOT;
		*in = str_skip(*in, 1);
		return false;
	}
	if (f->state == FRAME_DATA_DOT && c == '\r') {
		f->state = FRAME_DATA_DOT_CR;
		*in = str_skip(*in, 1);
		return false;
	}
	if (f->state == FRAME_DATA_DOT)
		f->state = FRAME_DATA_INSIDE; /* the dot was stuffed: it is gone */
	return true;
}

enum frame_data_event frame_data_feed(struct frame_data *f, struct str *in, struct str *ret_out)
{
	CHECK(f->state != FRAME_DATA_ENDED);
	while (in->n > 0) {
		char c = in->p[0];
		if (f->state == FRAME_DATA_DOT_CR) {
			if (c == '\n') {
				*in = str_skip(*in, 1);
				f->state = FRAME_DATA_ENDED;
				return FRAME_DATA_END;
			}
			f->state = FRAME_DATA_AFTER_CR; /* content after all: the CR is owed */
			return give(f, STR("\r"), ret_out);
		}
		if (f->state == FRAME_DATA_AT_BARE_LF) {
			*in = str_skip(*in, 1);
			f->state = FRAME_DATA_INSIDE;
			return give(f, STR("\r\n"), ret_out);
		}
		if (f->state == FRAME_DATA_AFTER_CR && resolve_cr(f, c, ret_out))
			return FRAME_DATA_SLICE;
		if (!step_dot(f, in))
			continue;

		size_t skip = 0;
		if (f->state == FRAME_DATA_AFTER_CR) { /* its LF is here */
			f->state = FRAME_DATA_LINE_START;
			skip = 1;
		}
		size_t n = skip + scan(f, str_skip(*in, skip));
		struct str out = str_sub(*in, 0, n);
		*in = str_skip(*in, n);
		if (n > 0)
			return give(f, out, ret_out);
	}
	return FRAME_DATA_MORE;
}

void frame_bdat_chunk(struct frame_bdat *f, uint64_t size)
{
	f->left = size;
}

static void check_line_ends(struct frame_bdat *f, struct str s)
{
	struct line_ends ends = {.lf = SIZE_MAX};
	size_t i = f->after_cr && s.p[0] == '\n';
	if (f->after_cr && i == 0)
		f->bare_cr = true;
	f->after_cr = false;
	while (i < s.n) {
		enum line_end end = next_line_end(s, &i, &ends);
		f->bare_cr |= end == END_BARE_CR;
		f->bare_lf |= end == END_BARE_LF;
		f->after_cr = end == END_OPEN_CR;
	}
}

enum frame_data_event frame_bdat_feed(struct frame_bdat *f, struct str *in, struct str *ret_out)
{
	if (f->left == 0)
		return FRAME_DATA_END;
	if (in->n == 0)
		return FRAME_DATA_MORE;
	struct str s = str_sub(*in, 0, (size_t)MIN((uint64_t)in->n, f->left));
	*in = str_skip(*in, s.n);
	f->left -= s.n;
	f->size += s.n;
	check_line_ends(f, s);
	*ret_out = s;
	return FRAME_DATA_SLICE;
}

void frame_bdat_finish(struct frame_bdat *f)
{
	f->bare_cr |= f->after_cr;
	f->after_cr = false;
}
