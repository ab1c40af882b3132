/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes in any charset are UTF-8 afterwards, and the same however they came in pieces. The
 * first line is the label; a number there chooses one of those that mail has.
 */
#include "base/check.h"
#include "base/num.h"
#include "base/utf8.h"
#include "codec/mime/charset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const labels[] = {
	"utf-8",       "us-ascii",	 "iso-8859-1", "windows-1252", "iso-2022-jp", "utf-7",
	"gb18030",     "big5",		 "euc-kr",     "shift_jis",    "iso-2022-kr", "hz-gb-2312",
	"iso-2022-cn", "koi8-r",	 "utf-16le",   "utf-16be",     "ibm850",      "windows-874",
	"macintosh",   "x-user-defined", "",	       "unknown-8bit", "euc-jp",      "utf-16",
};

static struct str label_of(struct str line)
{
	uint32_t n = 0;
	return num_parse_u32(line, &n) ? str_c(labels[n % ARRAY_LEN(labels)]) : line;
}

static void run(struct str label, struct str in, size_t step, struct buf *out)
{
	AUTO(charset) struct charset *c = charset_new(label);
	for (size_t at = 0; at < in.n; at += step)
		charset_feed(c, str_sub(in, at, at + step), out);
	charset_finish(c, out);
	CHECK(!out->failed && utf8_valid(buf_str(out)));
}

static void fold(struct str utf8)
{
	uint32_t out[CHARSET_FOLD_MAX];
	for (size_t pos = 0; pos < utf8.n;) {
		size_t n = charset_fold(utf8_next(utf8, &pos), out);
		CHECK(n >= 1 && n <= CHARSET_FOLD_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf) struct buf whole = BUF_INIT(MIB(1)), cut = BUF_INIT(MIB(1));
	AUTO(buf) struct buf once = BUF_INIT(MIB(1)), guess = BUF_INIT(MIB(1));
	struct str in = str_make((const char *)data, size), line;
	if (size == 0 || size > KIB(16) || !str_cut(&in, '\n', &line) || in.n == 0)
		return 0;
	struct str label = label_of(line);
	run(label, in, in.n, &whole);
	run(label, in, 1u + (unsigned char)in.p[0] % 7u, &cut);
	CHECK(str_eq(buf_str(&whole), buf_str(&cut)));
	charset_to_utf8(&once, label, in);
	CHECK(str_eq(buf_str(&whole), buf_str(&once)));
	charset_guess(&guess, in);
	CHECK(utf8_valid(buf_str(&guess)) && !memchr(buf_c(&guess), '\0', guess.n));
	(void)charset_is_nfc(in);
	fold(buf_str(&whole));
	return 0;
}
