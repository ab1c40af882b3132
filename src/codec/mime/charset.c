/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/charset.h"
#include "base/check.h"
#include "base/utf8.h"
#include <unicode/uchar.h>
#include <unicode/ucnv.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>
#include <unicode/uversion.h>

enum kind {
	KIND_UTF8,  /* U+FFFD for what does not fit */
	KIND_GUESS, /* windows-1252 for what does not fit */
	KIND_1252,
	KIND_ICU,
};

struct charset {
	enum kind kind;
	unsigned char held[4]; /* the beginning of a UTF-8 sequence */
	size_t n_held;
	UConverter *icu;
	uint16_t high; /* a high surrogate that waits for its low one */
};

/* windows-1252 0x80..0x9f, as the WHATWG has it. */
static const uint16_t c1_of_1252[32] = {
	0x20ac, 0x81,	0x201a, 0x192,	0x201e, 0x2026, 0x2020, 0x2021, 0x2c6,	0x2030, 0x160,
	0x2039, 0x152,	0x8d,	0x17d,	0x8f,	0x90,	0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
	0x2013, 0x2014, 0x2dc,	0x2122, 0x161,	0x203a, 0x153,	0x9d,	0x17e,	0x178,
};

/*
 * Every label ends in a space. Names of converters are exact ones of ICU's own data, so that a
 * label from a message never reaches ICU.
 */
static const struct {
	const char *icu;
	const char *labels;
} encodings[] = {
	{"UTF-8", "utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8 "},
	{"guess", "us-ascii ascii ansi_x3.4-1968 iso-ir-6 646 iso646-us unknown-8bit x-unknown "
		  "unknown default default_charset _autodetect_all "},
	{"windows-1252",
	 "windows-1252 iso-8859-1 latin1 cp1252 cp819 csisolatin1 ibm819 iso-ir-100 "
	 "iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 x-cp1252 latin-1 ansi "},
	{"ibm-866_P100-1995", "866 cp866 csibm866 ibm866 "},
	{"ISO-8859-2", "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 "
		       "iso_8859-2:1987 l2 latin2 latin-2 "},
	{"ISO-8859-3", "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 "
		       "iso_8859-3:1988 l3 latin3 "},
	{"ISO-8859-4", "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 "
		       "iso_8859-4:1988 l4 latin4 "},
	{"ISO-8859-5", "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 "
		       "iso_8859-5 iso_8859-5:1988 "},
	{"ISO-8859-6",
	 "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 "
	 "iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 "
	 "iso_8859-6:1987 "},
	{"ISO-8859-7", "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 "
		       "iso8859-7 iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek "},
	{"ISO-8859-8",
	 "csiso88598e csiso88598i csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e "
	 "iso-8859-8-i iso-ir-138 iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 logical "
	 "visual "},
	{"iso-8859_10-1998", "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6 "},
	{"ISO-8859-13", "iso-8859-13 iso8859-13 iso885913 "},
	{"iso-8859_14-1998", "iso-8859-14 iso8859-14 iso885914 "},
	{"ISO-8859-15",
	 "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9 latin9 latin-9 "},
	{"KOI8-R", "cskoi8r koi koi8 koi8-r koi8_r "},
	{"KOI8-U", "koi8-ru koi8-u "},
	{"macintosh", "csmacintosh mac macintosh x-mac-roman "},
	{"windows-874-2000", "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874 "},
	{"windows-1250", "cp1250 windows-1250 x-cp1250 iso-8859-16 "},
	{"windows-1251", "cp1251 windows-1251 x-cp1251 cp-1251 "},
	{"windows-1253", "cp1253 windows-1253 x-cp1253 "},
	{"windows-1254", "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 "
			 "iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254 "},
	{"windows-1255", "cp1255 windows-1255 x-cp1255 "},
	{"windows-1256", "cp1256 windows-1256 x-cp1256 "},
	{"windows-1257", "cp1257 windows-1257 x-cp1257 "},
	{"windows-1258", "cp1258 windows-1258 x-cp1258 "},
	{"x-mac-cyrillic", "x-mac-cyrillic x-mac-ukrainian "},
	{"gb18030",
	 "gb18030 gbk chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 iso-ir-58 "
	 "x-gbk cp936 "},
	{"Big5-HKSCS", "big5 big5-hkscs cn-big5 csbig5 x-x-big5 "},
	{"EUC-JP", "cseucpkdfmtjapanese euc-jp x-euc-jp "},
	{"ISO-2022-JP", "csiso2022jp iso-2022-jp iso-2022-jp-1 iso-2022-jp-2 "},
	{"ibm-943_P15A-2003",
	 "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis "
	 "cp932 "},
	{"windows-949-2000", "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 "
			     "ks_c_5601-1989 ksc5601 ksc_5601 windows-949 cp949 "},
	{"ISO-2022-KR", "iso-2022-kr csiso2022kr "},
	{"ISO-2022-CN", "iso-2022-cn "},
	{"HZ", "hz-gb-2312 hz "},
	{"UTF-7", "utf-7 unicode-1-1-utf-7 x-unicode-2-0-utf-7 "},
	{"UTF-16", "utf-16 unicode ucs-2 iso-10646-ucs-2 csunicode "},
	{"UTF-16LE", "utf-16le unicodefeff "},
	{"UTF-16BE", "utf-16be unicodefffe "},
	{"ibm-437_P100-1995", "437 cp437 ibm437 cspc8codepage437 "},
	{"ibm-850_P100-1995", "850 cp850 ibm850 cspc850multilingual "},
	{"ibm-852_P100-1995", "852 cp852 ibm852 cspcp852 "},
};

#define LABEL_MAX 40

/* The name of the converter for a label: one of the table's, "guess" when it is not known. */
static const char *encoding_find(struct str label)
{
	char key[LABEL_MAX + 2];
	size_t n = 0;
	label = str_trim(label);
	if (label.n == 0 || label.n > LABEL_MAX || memchr(label.p, ' ', label.n))
		return "guess";
	while (n < label.n) {
		key[n] = ascii_lower(label.p[n]);
		n++;
	}
	key[n++] = ' ';
	struct str want = str_make(key, n);
	for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
		struct str labels = str_c(encodings[i].labels);
		size_t at = str_find_str(labels, 0, want);
		while (at < labels.n && at > 0 && labels.p[at - 1] != ' ')
			at = str_find_str(labels, at + 1, want);
		if (at < labels.n)
			return encodings[i].icu;
	}
	return "guess";
}

struct charset *charset_new(struct str label)
{
	struct charset *c = xcalloc(1, sizeof *c);
	const char *name = encoding_find(label);
	UErrorCode err = U_ZERO_ERROR;
	if (strcmp(name, "UTF-8") == 0) {
		c->kind = KIND_UTF8;
	} else if (strcmp(name, "windows-1252") == 0) {
		c->kind = KIND_1252;
	} else if (strcmp(name, "guess") == 0) {
		c->kind = KIND_GUESS;
	} else {
		c->icu = ucnv_open(name, &err);
		c->kind = U_SUCCESS(err) ? KIND_ICU : KIND_GUESS;
	}
	return c;
}

void charset_free(struct charset *c)
{
	if (!c)
		return;
	if (c->icu)
		ucnv_close(c->icu);
	free(c);
}

static uint32_t from_1252(unsigned char b)
{
	return b >= 0x80 && b < 0xa0 ? c1_of_1252[b - 0x80] : b;
}

static void byte_put(const struct charset *c, unsigned char b, struct buf *out)
{
	(void)utf8_put(out, c->kind == KIND_UTF8 && b >= 0x80 ? 0xfffd : from_1252(b));
}

/* Bytes of the character at p: 1..4, 0 when it goes on behind the n bytes, -1 when malformed. */
static int sequence_length(const unsigned char *p, size_t n)
{
	unsigned char b = p[0];
	if (b < 0x80)
		return 1;
	int need = b >= 0xc2 && b <= 0xdf   ? 2
		   : b >= 0xe0 && b <= 0xef ? 3
		   : b >= 0xf0 && b <= 0xf4 ? 4
					    : -1;
	if (need < 0)
		return -1;
	/* Overlong forms, surrogates and values above U+10FFFF show in the second byte. */
	unsigned char low = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
	unsigned char high = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
	for (size_t i = 1; i < (size_t)need; i++) {
		if (i == n)
			return 0;
		if (p[i] < low || p[i] > high)
			return -1;
		low = 0x80;
		high = 0xbf;
	}
	return need;
}

/* Emit what is decided of the held bytes; keeps an unfinished sequence. */
static void held_flush(struct charset *c, struct buf *out)
{
	while (c->n_held > 0) {
		int r = sequence_length(c->held, c->n_held);
		if (r == 0)
			return;
		size_t n = r > 0 ? (size_t)r : 1;
		if (r > 0)
			(void)buf_add(out, str_make((const char *)c->held, n));
		else
			byte_put(c, c->held[0], out);
		c->n_held -= n;
		memmove(c->held, c->held + n, c->n_held);
	}
}

static void utf8_feed(struct charset *c, struct str in, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)in.p;
	size_t i = 0;
	while (i < in.n) {
		if (c->n_held > 0) {
			c->held[c->n_held++] = p[i++];
			held_flush(c, out);
			continue;
		}
		size_t run = str_ascii_run(str_skip(in, i));
		(void)buf_add(out, str_sub(in, i, i + run));
		i += run;
		int r = i < in.n ? sequence_length(p + i, in.n - i) : 1;
		if (i == in.n)
			return;
		if (r > 0) {
			(void)buf_add(out, str_sub(in, i, i + (size_t)r));
			i += (size_t)r;
		} else if (r < 0) {
			byte_put(c, p[i++], out);
		} else {
			c->held[c->n_held++] = p[i++];
		}
	}
}

static void unit_put(struct charset *c, uint16_t u, struct buf *out)
{
	if (c->high && U16_IS_TRAIL(u)) {
		(void)utf8_put(out, (uint32_t)U16_GET_SUPPLEMENTARY(c->high, u));
		c->high = 0;
		return;
	}
	if (c->high)
		(void)utf8_put(out, 0xfffd);
	c->high = U16_IS_LEAD(u) ? u : 0;
	if (!c->high)
		(void)utf8_put(out, u); /* a lone trail becomes U+FFFD */
}

static void icu_feed(struct charset *c, struct str in, bool flush, struct buf *out)
{
	UChar units[512];
	const char *p = in.n ? in.p : "";
	const char *end = p + in.n;
	UErrorCode err;
	do {
		UChar *to = units;
		err = U_ZERO_ERROR;
		ucnv_toUnicode(c->icu, &to, units + ARRAY_LEN(units), &p, end, NULL, flush, &err);
		for (const UChar *u = units; u < to; u++)
			unit_put(c, *u, out);
	} while (err == U_BUFFER_OVERFLOW_ERROR);
}

void charset_feed(struct charset *c, struct str in, struct buf *out)
{
	if (c->kind == KIND_ICU) {
		icu_feed(c, in, false, out);
	} else if (c->kind == KIND_1252) {
		const unsigned char *p = (const unsigned char *)in.p;
		for (size_t i = 0; i < in.n;) {
			size_t run = str_ascii_run(str_skip(in, i));
			(void)buf_add(out, str_sub(in, i, i + run));
			i += run;
			if (i < in.n)
				byte_put(c, p[i++], out);
		}
	} else {
		utf8_feed(c, in, out);
	}
}

bool charset_keeps(const struct charset *c, struct str in)
{
	return c->kind != KIND_ICU && c->n_held == 0 && str_is_ascii(in);
}

void charset_next_piece(struct charset *c)
{
	UErrorCode err = U_ZERO_ERROR;
	/* Without this, ICU takes "ESC ( B ESC $ B" between two words for an attack. */
	if (c->kind == KIND_ICU && ucnv_toUCountPending(c->icu, &err) == 0)
		ucnv_resetToUnicode(c->icu);
}

void charset_finish(struct charset *c, struct buf *out)
{
	if (c->kind == KIND_ICU)
		icu_feed(c, STR_NULL, true, out);
	if (c->high)
		(void)utf8_put(out, 0xfffd);
	if (c->n_held > 0 && c->kind == KIND_UTF8)
		(void)utf8_put(out, 0xfffd);
	for (size_t i = 0; c->kind == KIND_GUESS && i < c->n_held; i++)
		byte_put(c, c->held[i], out);
	c->high = 0;
	c->n_held = 0;
}

void charset_to_utf8(struct buf *out, struct str label, struct str in)
{
	AUTO(charset) struct charset *c = charset_new(label);
	charset_feed(c, in, out);
	charset_finish(c, out);
}

void charset_guess(struct buf *out, struct str in)
{
	struct charset c = {.kind = KIND_GUESS};
	struct str piece;
	struct str rest = in;
	for (bool first = true; str_cut(&rest, '\0', &piece); first = false) {
		if (!first)
			(void)utf8_put(out, 0xfffd);
		charset_feed(&c, piece, out);
		charset_finish(&c, out);
	}
}

size_t charset_fold(uint32_t cp, uint32_t out[CHARSET_FOLD_MAX])
{
	UErrorCode err = U_ZERO_ERROR;
	UChar units[CHARSET_FOLD_MAX * 2];
	out[0] = (uint32_t)u_totitle((UChar32)cp);
	const UNormalizer2 *nfkd = unorm2_getNFKDInstance(&err);
	if (U_FAILURE(err))
		return 1;
	int32_t n = unorm2_getDecomposition(nfkd, (UChar32)out[0], units, ARRAY_LEN(units), &err);
	if (U_FAILURE(err) || n <= 0)
		return 1;
	size_t count = 0;
	for (int32_t i = 0; i < n && count < CHARSET_FOLD_MAX;) {
		uint32_t c = units[i++];
		if (c >= 0xd800 && c < 0xdc00 && i < n)
			c = 0x10000 + ((c - 0xd800) << 10) + (units[i++] - 0xdc00u);
		out[count++] =
			(uint32_t)u_totitle((UChar32)c); /* so that a ligature is its letters */
	}
	return count;
}

uint32_t charset_version(void)
{
	UVersionInfo v;
	u_getVersion(v);
	return (uint32_t)v[0] << 16 | (uint32_t)v[1] << 8 | v[2];
}

bool charset_is_nfc(struct str utf8)
{
	UErrorCode err = U_ZERO_ERROR;
	UChar units[CHARSET_NFC_MAX];
	int32_t n = 0;
	if (str_is_ascii(utf8))
		return true;
	if (utf8.n > CHARSET_NFC_MAX || !utf8_valid(utf8))
		return false;
	for (size_t i = 0; i < utf8.n;) {
		uint32_t cp = utf8_next(utf8, &i);
		U16_APPEND_UNSAFE(units, n, cp);
	}
	const UNormalizer2 *nfc = unorm2_getNFCInstance(&err);
	bool yes = U_SUCCESS(err) && unorm2_isNormalized(nfc, units, n, &err);
	return yes && U_SUCCESS(err);
}
