/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoded words without tables of charsets: what queue needs, which must not load ICU.
 */
#include "base/encode.h"
#include "base/utf8.h"
#include "codec/mime/transfer.h"
#include "codec/mime/word.h"
#include "codec/mime/word_int.h"

/* Each byte is looked at once: "?" occurs only as separator. */
bool word_match(struct str s, struct word *ret)
{
	if (!str_starts(s, STR("=?")))
		return false;
	size_t charset_end = str_find(str_sub(s, 0, 128), 2, '?');
	if (charset_end + 3 >= s.n || s.p[charset_end] != '?' || s.p[charset_end + 2] != '?')
		return false;
	size_t text_end = str_find(s, charset_end + 3, '?');
	if (text_end + 1 >= s.n || s.p[text_end + 1] != '=')
		return false;
	ret->encoding = ascii_lower(s.p[charset_end + 1]);
	ret->charset = str_sub(s, 2, charset_end);
	ret->charset.n = str_find(ret->charset, 0, '*');
	ret->text = str_sub(s, charset_end + 3, text_end);
	ret->n = text_end + 2;
	return ret->encoding == 'b' || ret->encoding == 'q';
}

/* The bytes of a word. RFC 2047 4.2: in "Q", "_" is a space whatever the charset. */
void word_bytes(const struct word *w, struct buf *out)
{
	struct transfer t = transfer_of(w->encoding == 'b' ? MIME_ENC_BASE64 : MIME_ENC_QP);
	struct str rest = w->text;
	struct str piece;
	while (str_cut(&rest, '_', &piece)) {
		transfer_decode(&t, piece, out);
		if (rest.p && w->encoding == 'q')
			transfer_decode(&t, STR(" "), out);
	}
	transfer_decode_end(&t, out);
}

/* --- decoding without charset tables --- */

/* Adjacent words of one charset: a character may be split across them. */
struct run {
	struct str label;
	struct str raw; /* all of them, as they stand in the text */
	struct buf bytes;
};

static void add_latin1(struct buf *out, struct str bytes)
{
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];
		if (c < 0x80)
			(void)buf_addc(out, (char)c);
		else if (c < 0xa0)
			(void)buf_addc(out, '?');
		else
			(void)utf8_put(out, c);
	}
}

static void run_end(struct run *r, struct buf *out)
{
	static const struct str latin1[] = {{"iso-8859-1", 10}, {"windows-1252", 12}};
	static const struct str unicode[] = {{"utf-8", 5}, {"us-ascii", 8}};
	bool is_latin1 = false, is_unicode = false;
	for (size_t i = 0; i < 2; i++) {
		is_latin1 |= str_eqi(r->label, latin1[i]);
		is_unicode |= str_eqi(r->label, unicode[i]);
	}
	if (is_latin1)
		add_latin1(out, buf_str(&r->bytes));
	else if (is_unicode && utf8_valid(buf_str(&r->bytes)))
		(void)buf_add(out, buf_str(&r->bytes));
	else
		(void)buf_add(out, r->raw);
	buf_reset(&r->bytes);
	r->raw = STR_NULL;
	r->label = STR_NULL;
}

static void add_text(struct buf *out, struct str text)
{
	if (utf8_valid(text))
		(void)buf_add(out, text);
	else
		add_latin1(out, text);
}

void word_decode_known(struct buf *out, struct str in)
{
	struct run run = {.bytes = BUF_INIT(in.n + 16)};
	struct word w;
	size_t start = out->n, plain = 0;
	for (size_t at = 0; (at = str_find_str(in, at, STR("=?"))) < in.n;) {
		if (!word_match(str_skip(in, at), &w)) {
			at += 2;
			continue;
		}
		struct str between = str_sub(in, plain, at);
		bool goes_on =
			run.raw.p && str_trim(between).n == 0 && str_eqi(run.label, w.charset);
		if (run.raw.p && !goes_on)
			run_end(&run, out);
		if (plain == 0 || str_trim(between).n > 0)
			add_text(out, between);
		run.raw = str_sub(in, goes_on ? (size_t)(run.raw.p - in.p) : at, at + w.n);
		run.label = w.charset;
		word_bytes(&w, &run.bytes);
		at = plain = at + w.n;
	}
	if (run.raw.p)
		run_end(&run, out);
	add_text(out, str_skip(in, plain));
	buf_clear(&run.bytes);
	for (size_t i = start; i < out->n; i++)
		if (out->p[i] == '\0' || out->p[i] == '\r' || out->p[i] == '\n')
			out->p[i] = ' ';
}

/* --- encoding --- */

#define WORD_BYTES 45 /* encoded 60, with "=?utf-8?B?" and "?=" 72 of the 75 allowed */
#define LINE_BYTES 76

int word_encode(struct buf *out, struct str utf8, size_t column)
{
	bool plain = str_find_str(utf8, 0, STR("=?")) == utf8.n;
	for (size_t i = 0; i < utf8.n && plain; i++)
		plain = utf8.p[i] >= 32 && utf8.p[i] < 127;
	if (plain)
		return buf_add(out, utf8);
	for (size_t at = 0; at < utf8.n;) {
		size_t room = column + 16 < LINE_BYTES ? (LINE_BYTES - column - 12) / 4 * 3 : 3;
		size_t end = MIN(at + MAX(MIN(room, WORD_BYTES), 4), utf8.n);
		while (end < utf8.n && end > at + 1 && ((unsigned char)utf8.p[end] & 0xc0) == 0x80)
			end--;
		(void)buf_add(out, at > 0 ? STR("\r\n =?utf-8?B?") : STR("=?utf-8?B?"));
		(void)base64_encode(out, str_sub(utf8, at, end));
		(void)buf_add(out, STR("?="));
		at = end;
		column = 1;
	}
	return out->failed ? -FAIL_LIMIT : 0;
}
