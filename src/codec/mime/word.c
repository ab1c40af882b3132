/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/word.h"
#include "base/encode.h"
#include "base/utf8.h"
#include "codec/mime/charset.h"
#include "codec/mime/transfer.h"

struct word {
	struct str charset; /* without language */
	char encoding;	    /* 'b' or 'q' */
	struct str text;
	size_t n; /* of the whole word */
};

/* An encoded word at the start of s? Each byte is looked at once: "?" occurs only as separator. */
static bool word_match(struct str s, struct word *ret)
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
static void word_bytes(const struct word *w, struct buf *out)
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

/* What decodes a run of adjacent words of one charset. */
struct run {
	struct charset *charset;
	struct str label;
};

static void run_end(struct run *r, struct buf *out)
{
	if (r->charset)
		charset_finish(r->charset, out);
	charset_free(r->charset);
	r->charset = NULL;
}

static void run_add(struct run *r, const struct word *w, struct buf *out)
{
	AUTO(buf) struct buf bytes = BUF_INIT(w->text.n + 16);
	if (r->charset && !str_eqi(r->label, w->charset))
		run_end(r, out);
	if (r->charset)
		charset_next_piece(r->charset);
	else
		r->charset = charset_new(w->charset);
	r->label = w->charset;
	word_bytes(w, &bytes);
	charset_feed(r->charset, buf_str(&bytes), out);
}

void word_decode(struct buf *out, struct str in)
{
	struct run run = {0};
	struct word w;
	size_t start = out->n;
	size_t plain = 0; /* where text that is no word and not yet put out begins */
	for (size_t at = 0; (at = str_find_str(in, at, STR("=?"))) < in.n;) {
		if (!word_match(str_skip(in, at), &w)) {
			at += 2;
			continue;
		}
		struct str between = str_sub(in, plain, at);
		if (!run.charset || str_trim(between).n > 0) {
			run_end(&run, out);
			charset_guess(out, between);
		}
		run_add(&run, &w, out);
		at = plain = at + w.n;
	}
	run_end(&run, out);
	charset_guess(out, str_skip(in, plain));
	for (size_t i = start; i < out->n; i++)
		if (out->p[i] == '\0' || out->p[i] == '\r' || out->p[i] == '\n')
			out->p[i] = ' ';
}

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
