/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/smtp_encode.h"

static void end_line(struct smtp_encoder *e, struct buf *out)
{
	buf_add(out, STR("\r\n"));
	e->inside = e->cr = false;
}

/* Text without CR and LF. */
static void add_text(struct smtp_encoder *e, struct str s, struct buf *out)
{
	if (s.n == 0)
		return;
	if (!e->inside && e->dots && s.p[0] == '.')
		buf_addc(out, '.');
	e->inside = true;
	buf_add(out, s);
}

/* One line, or what there is of it: `s` holds no LF. */
static void add_line(struct smtp_encoder *e, struct str s, struct buf *out)
{
	while (s.n > 0) {
		size_t n = str_find(s, 0, '\r');
		if (e->cr) /* what follows is no LF */
			end_line(e, out);
		add_text(e, str_sub(s, 0, n), out);
		e->cr = n < s.n;
		s = str_skip(s, n + 1);
	}
}

/* Well-formed lines are copied as they are, many at once. */
static size_t clean_lines(const struct smtp_encoder *e, struct str s)
{
	size_t at = 0;
	while (at < s.n) {
		if (e->dots && s.p[at] == '.')
			return at;
		const char *cr = memchr(s.p + at, '\r', s.n - at);
		size_t end = cr ? (size_t)(cr - s.p) : s.n;
		if (end + 1 >= s.n || s.p[end + 1] != '\n' || memchr(s.p + at, '\n', end - at))
			return at;
		at = end + 2;
	}
	return at;
}

int smtp_encode(struct smtp_encoder *e, struct str in, struct buf *out)
{
	while (in.n > 0) {
		size_t clean = e->inside || e->cr ? 0 : clean_lines(e, in);
		buf_add(out, str_sub(in, 0, clean));
		in = str_skip(in, clean);
		size_t n = str_find(in, 0, '\n');
		add_line(e, str_sub(in, 0, n), out);
		if (n < in.n)
			end_line(e, out);
		in = str_skip(in, n + 1);
	}
	return out->failed ? -FAIL_LIMIT : 0;
}

int smtp_encode_end(struct smtp_encoder *e, struct buf *out)
{
	if (e->inside || e->cr)
		end_line(e, out);
	if (e->dots)
		buf_add(out, STR(".\r\n"));
	return out->failed ? -FAIL_LIMIT : 0;
}
