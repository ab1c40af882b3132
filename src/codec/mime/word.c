/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/word.h"
#include "codec/mime/charset.h"
#include "codec/mime/word_int.h"

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
