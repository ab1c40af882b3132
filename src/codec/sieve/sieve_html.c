/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sieve/sieve_html.h"
#include "base/num.h"
#include "base/utf8.h"

/* Behind the tag at @at; its name in *ret, with the slash. */
static size_t tag_end(struct str s, size_t at, struct str *ret)
{
	size_t i = at + 1, from = i;
	while (i < s.n && (ascii_alpha(s.p[i]) || ascii_digit(s.p[i]) || s.p[i] == '/'))
		i++;
	*ret = str_sub(s, from, i);
	char quote = 0;
	for (; i < s.n; i++) {
		if (quote && s.p[i] == quote)
			quote = 0;
		else if (!quote && s.p[i] == '>')
			return i + 1;
		else if (!quote && (s.p[i] == '"' || s.p[i] == '\''))
			quote = s.p[i];
	}
	return s.n;
}

static bool parts_lines(struct str tag)
{
	static const char *const names[] = {
		"br", "br/", "p",     "/p", "div", "/div", "tr",  "/tr", "li",	"/li",	     "h1",
		"h2", "h3",  "table", "hr", "ul",  "ol",   "/h1", "/h2", "/h3", "blockquote"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eqi(tag, str_c(names[i])))
			return true;
	return false;
}

/* The character reference at @at; 0: it is none. */
static size_t entity(struct buf *out, struct str s, size_t at)
{
	static const struct {
		const char *name;
		uint32_t cp;
	} names[] = {{"amp", '&'},   {"lt", '<'},	{"gt", '>'},	  {"quot", '"'},
		     {"apos", '\''}, {"nbsp", ' '},	{"euro", 0x20ac}, {"auml", 0xe4},
		     {"ouml", 0xf6}, {"uuml", 0xfc},	{"Auml", 0xc4},	  {"Ouml", 0xd6},
		     {"Uuml", 0xdc}, {"szlig", 0xdf},	{"eacute", 0xe9}, {"egrave", 0xe8},
		     {"copy", 0xa9}, {"ndash", 0x2013}, {"mdash", 0x2014}};
	struct str rest = str_sub(s, at + 1, at + 12);
	size_t end = str_find(rest, 0, ';');
	struct str name = str_sub(rest, 0, end);
	uint64_t cp = 0;
	if (end == rest.n)
		return 0;
	if (str_startsi(name, STR("#x")))
		(void)num_parse_hex_u64(str_skip(name, 2), &cp);
	else if (str_starts(name, STR("#")))
		(void)num_parse_u64(str_skip(name, 1), &cp);
	for (size_t i = 0; cp == 0 && i < ARRAY_LEN(names); i++)
		if (str_eq(name, str_c(names[i].name)))
			cp = names[i].cp;
	if (cp == 0 || cp > 0x10ffff)
		return 0;
	(void)utf8_put(out, (uint32_t)cp);
	return end + 2;
}

/* Behind what is no text: comment, script, style or tag. */
static size_t skip(struct buf *out, struct str s, size_t at)
{
	struct str tag;
	if (str_starts(str_skip(s, at), STR("<!--")))
		return MIN(str_find_str(s, at + 4, STR("-->")) + 3, s.n);
	size_t end = tag_end(s, at, &tag);
	if (str_eqi(tag, STR("script")))
		return str_find_stri(s, end, STR("</script"));
	if (str_eqi(tag, STR("style")))
		return str_find_stri(s, end, STR("</style"));
	if (parts_lines(tag) && out->n && out->p[out->n - 1] != '\n')
		(void)buf_add(out, STR("\r\n"));
	return end;
}

void sieve_html_words(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n && !out->failed;) {
		size_t n = s.p[i] == '&' ? entity(out, s, i) : 0;
		bool tag = s.p[i] == '<' && i + 1 < s.n &&
			   (ascii_alpha(s.p[i + 1]) || s.p[i + 1] == '/' || s.p[i + 1] == '!');
		if (n)
			i += n;
		else if (tag)
			i = MAX(skip(out, s, i), i + 1);
		else
			(void)buf_addc(out, s.p[i++]);
	}
}
