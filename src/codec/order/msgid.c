/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/order/msgid.h"

/* Bytes that are looked at for one id: with quotes, blanks and comments. */
#define WRITTEN_MAX (MSGID_MAX + 258)

/* Length of a comment "(...)" at the front, nested ones included; 0 when it does not end. */
static size_t comment_length(struct str s)
{
	size_t depth = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return 0;
}

/* Text in quotes, or in brackets, from its first character on; 0 when it does not end. Quotes go,
 * brackets stay. */
static size_t take_quoted(struct str s, struct buf *out)
{
	char end = s.p[0] == '"' ? '"' : ']';
	if (end == ']')
		(void)buf_addc(out, '[');
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == end) {
			if (end == ']')
				(void)buf_addc(out, ']');
			return i + 1;
		}
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		(void)buf_addc(out, s.p[i]);
	}
	return 0;
}

/* What is behind "<", with quotes or comments. How much of it was the id and ">"; 0 = no id. */
static size_t take_written_out(struct str s, struct buf *out)
{
	bool at = false;
	for (size_t i = 0; i < s.n;) {
		size_t n = 1;
		char c = s.p[i];
		if (c == '>')
			return at && out->n > 0 && !out->failed ? i + 1 : 0;
		if (c == '"' || c == '[')
			n = take_quoted(str_skip(s, i), out);
		else if (c == '(')
			n = comment_length(str_skip(s, i));
		else if (c != ' ' && c != '\t')
			(void)buf_addc(out, c);
		if (n == 0 || c == '<')
			return 0;
		at |= c == '@';
		i += n;
	}
	return 0;
}

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '"' || s.p[i] == '(' || s.p[i] == '[')
			return false;
	return true;
}

bool msgid_next(struct str *rest, struct buf *scratch, struct str *ret)
{
	for (;;) {
		size_t open = str_find(*rest, 0, '<');
		if (open >= rest->n)
			return false;
		struct str s = str_skip(*rest, open + 1);
		struct str near = str_sub(s, 0, WRITTEN_MAX);
		size_t end = str_find(near, 0, '>');
		struct str id = str_sub(s, 0, end);
		if (end < near.n && end <= MSGID_MAX && is_plain(id)) {
			*rest = str_skip(s, end + 1);
			*ret = id;
			if (str_find(id, 0, '@') < id.n && str_find(id, 0, '<') == id.n)
				return true;
			if (str_find(id, 0, '<') < id.n) /* the id may begin there */
				*rest = s;
			continue;
		}
		buf_reset(scratch);
		size_t n = take_written_out(near, scratch);
		*rest = str_skip(s, n);
		*ret = buf_str(scratch);
		if (n > 0 && ret->n <= MSGID_MAX)
			return true;
	}
}
