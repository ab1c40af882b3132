/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/transfer.h"

#define LINE_MAX_ENCODED 76

/* Value of a base64 character, -1 for others. */
static int base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The bytes of an unfinished quantum: two groups are one byte, three are two. */
static void base64_rest(struct transfer *t, struct buf *out)
{
	if (t->groups == 2)
		(void)buf_addc(out, (char)(t->bits >> 4));
	if (t->groups == 3) {
		(void)buf_addc(out, (char)(t->bits >> 10));
		(void)buf_addc(out, (char)(t->bits >> 2));
	}
	t->groups = 0;
	t->bits = 0;
}

static void base64_feed(struct transfer *t, struct str in, struct buf *out)
{
	if (t->done)
		return;
	char *to = buf_room(out, in.n / 4 * 3 + 6);
	size_t n = 0;
	if (!to)
		return;
	for (size_t i = 0; i < in.n; i++) {
		int v = base64_value((unsigned char)in.p[i]);
		if (v >= 0) {
			t->pads = 0;
			t->bits = t->bits << 6 | (uint32_t)v;
			if (++t->groups < 4)
				continue;
			to[n++] = (char)(t->bits >> 16);
			to[n++] = (char)(t->bits >> 8);
			to[n++] = (char)t->bits;
			t->groups = 0;
			t->bits = 0;
		} else if (in.p[i] == '=' && t->groups >= 2 && t->groups + ++t->pads == 4) {
			t->done = true;
			break;
		}
	}
	buf_added(out, n);
	if (t->done)
		base64_rest(t, out);
}

static int hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void held_put(struct transfer *t, struct buf *out)
{
	(void)buf_add(out, str_make((const char *)t->held, t->n_held));
	t->n_held = 0;
}

/*
 * A byte behind a "=" that is held: a hex digit, the second one, or blanks and a line end (a soft
 * line break). False when the "=" was none of these: it has been put out, and c is still to do.
 */
static bool qp_held_byte(struct transfer *t, unsigned char c, struct buf *out)
{
	int first = t->n_held == 2 ? hex_value(t->held[1]) : -1;
	if (first >= 0 && hex_value(c) >= 0) {
		(void)buf_addc(out, (char)(first * 16 + hex_value(c)));
		t->n_held = 0;
		return true;
	}
	bool only_blanks = t->n_held == 1 || first < 0;
	if (only_blanks && c == '\n') {
		t->n_held = 0;
		return true;
	}
	bool blank = c == ' ' || c == '\t' || c == '\r';
	bool hold = (only_blanks && blank) || (t->n_held == 1 && hex_value(c) >= 0);
	if (hold && t->n_held < sizeof t->held) {
		t->held[t->n_held++] = c;
		return true;
	}
	held_put(t, out);
	return false;
}

#define QP_BLANKS_MAX 64 /* that are dropped at the end of a line */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Of a line without its LF: the length without blanks at its end, and a CR behind them. */
static size_t qp_kept(struct str line)
{
	size_t n = line.n;
	if (n > 0 && line.p[n - 1] == '\r')
		n--;
	size_t least = n > QP_BLANKS_MAX ? n - QP_BLANKS_MAX : 0;
	while (n > least && is_blank(line.p[n - 1]))
		n--;
	return n;
}

static void blanks_put(struct transfer *t, struct buf *out)
{
	(void)buf_add(out, str_make((const char *)t->blanks, t->n_blanks));
	t->n_blanks = 0;
}

/* The line, or the message, ends behind the blanks: only a CR among them stays. */
static void blanks_drop(struct transfer *t, struct buf *out)
{
	if (t->n_blanks > 0 && t->blanks[t->n_blanks - 1] == '\r')
		(void)buf_addc(out, '\r');
	t->n_blanks = 0;
}

/* The next byte behind blanks. False: they are settled, and the byte is still to be read. */
static bool qp_blank_byte(struct transfer *t, char c, struct buf *out)
{
	bool cr = t->blanks[t->n_blanks - 1] == '\r';
	if (c == '\n') {
		blanks_drop(t, out);
		return false;
	}
	if (cr || (c != '\r' && !is_blank(c))) {
		blanks_put(t, out);
		return false;
	}
	if (t->n_blanks == QP_BLANKS_MAX && c != '\r') {
		(void)buf_addc(out, (char)t->blanks[0]);
		memmove(t->blanks, t->blanks + 1, --t->n_blanks);
	}
	t->blanks[t->n_blanks++] = (unsigned char)c;
	return true;
}

/* Bytes without "="; one follows if line_goes_on. */
static void qp_text(struct transfer *t, struct str s, bool line_goes_on, struct buf *out)
{
	struct str line;
	while (t->n_blanks > 0 && s.n > 0 && qp_blank_byte(t, s.p[0], out))
		s = str_skip(s, 1);
	for (size_t end; (end = str_find(s, 0, '\n')) < s.n; s = str_skip(s, end + 1)) {
		line = str_sub(s, 0, end);
		(void)buf_add(out, str_sub(line, 0, qp_kept(line)));
		(void)buf_add(out, str_ends(line, STR("\r")) ? STR("\r\n") : STR("\n"));
	}
	if (line_goes_on) {
		blanks_put(t, out);
		(void)buf_add(out, s);
	} else if (t->n_blanks == 0) {
		size_t kept = qp_kept(s);
		(void)buf_add(out, str_sub(s, 0, kept));
		t->n_blanks = s.n - kept;
		if (t->n_blanks)
			memcpy(t->blanks, s.p + kept, t->n_blanks);
	}
}

static void qp_feed(struct transfer *t, struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.n;) {
		if (t->n_held > 0) {
			i += qp_held_byte(t, (unsigned char)in.p[i], out);
			continue;
		}
		size_t at = str_find(in, i, '=');
		qp_text(t, str_sub(in, i, at), at < in.n, out);
		if (at < in.n)
			t->held[t->n_held++] = '=';
		i = at + 1;
	}
}

void transfer_decode(struct transfer *t, struct str in, struct buf *out)
{
	if (t->encoding == MIME_ENC_BASE64)
		base64_feed(t, in, out);
	else if (t->encoding == MIME_ENC_QP)
		qp_feed(t, in, out);
	else
		(void)buf_add(out, in);
}

void transfer_decode_end(struct transfer *t, struct buf *out)
{
	if (t->encoding == MIME_ENC_BASE64)
		base64_rest(t, out);
	else if (t->n_held > 1) /* a lone "=" at the end is a soft break of nothing */
		held_put(t, out);
	blanks_drop(t, out);
	t->n_held = 0;
}

static void base64_quantum(struct transfer *t, struct buf *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *h = t->held;
	char q[4] = {
		digits[h[0] >> 2],
		digits[(h[0] & 3) << 4 | h[1] >> 4],
		t->n_held > 1 ? digits[(h[1] & 15) << 2 | h[2] >> 6] : '=',
		t->n_held > 2 ? digits[h[2] & 63] : '=',
	};
	(void)buf_add(out, str_make(q, 4));
	memset(t->held, 0, 3);
	t->n_held = 0;
	t->column += 4;
	if (t->column == LINE_MAX_ENCODED) {
		(void)buf_add(out, STR("\r\n"));
		t->column = 0;
	}
}

void base64_lines(struct transfer *t, struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		t->held[t->n_held++] = (unsigned char)in.p[i];
		if (t->n_held == 3)
			base64_quantum(t, out);
	}
}

void base64_lines_end(struct transfer *t, struct buf *out)
{
	if (t->n_held > 0)
		base64_quantum(t, out);
	if (t->column > 0)
		(void)buf_add(out, STR("\r\n"));
	t->column = 0;
}

static bool at_line_end(struct str in, size_t i)
{
	return i == in.n || str_starts(str_skip(in, i), STR("\r\n"));
}

int qp_encode(struct buf *out, struct str in)
{
	size_t column = 0;
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];
		if (c == '\r' && at_line_end(in, i)) {
			(void)buf_add(out, STR("\r\n"));
			column = 0;
			i++;
			continue;
		}
		bool blank = c == ' ' || c == '\t';
		bool plain = blank ? !at_line_end(in, i + 1) : c > 32 && c < 127 && c != '=';
		/* RFC 2049 3: protect lines from mbox ("From ") and SMTP ("."). */
		plain = plain && !(column == 0 && (c == '.' || c == 'F'));
		size_t width = plain ? 1 : 3;
		size_t room = LINE_MAX_ENCODED - (at_line_end(in, i + 1) ? 0u : 1u); /* for a "=" */
		if (column + width > room) {
			(void)buf_add(out, STR("=\r\n"));
			column = 0;
		}
		(void)(plain ? buf_addc(out, (char)c) : buf_addf(out, "=%02X", c));
		column += width;
	}
	return out->failed ? -FAIL_LIMIT : 0;
}
