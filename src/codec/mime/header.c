/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/header.h"

size_t header_name(struct str line, size_t *ret_value)
{
	size_t n = 0;
	while (n < line.n && line.p[n] > 32 && line.p[n] < 127 && line.p[n] != ':')
		n++;
	size_t at = n;
	while (at < line.n && (line.p[at] == ' ' || line.p[at] == '\t'))
		at++;
	if (n == 0 || at == line.n || line.p[at] != ':')
		return 0;
	if (ret_value)
		*ret_value = at + 1;
	return n;
}

static struct str line_cut(struct str *rest)
{
	size_t end = str_find(*rest, 0, '\n');
	struct str line = str_sub(*rest, 0, end + 1);
	*rest = str_skip(*rest, line.n);
	return line;
}

static bool continues(struct str rest)
{
	return rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t');
}

static bool is_empty_line(struct str line)
{
	return str_eq(line, STR("\r\n")) || str_eq(line, STR("\n"));
}

bool header_next(struct str *rest, struct header_field *ret)
{
	while (rest->n > 0) {
		struct str start = *rest;
		struct str line = line_cut(rest);
		size_t value;
		size_t name = header_name(line, &value);
		if (is_empty_line(line))
			return false;
		if (name == 0)
			continue;
		while (continues(*rest))
			(void)line_cut(rest);
		ret->name = str_sub(start, 0, name);
		ret->whole = str_sub(start, 0, start.n - rest->n);
		ret->value = str_skip(ret->whole, value);
		while (ret->value.n > 0 && strchr("\r\n", ret->value.p[ret->value.n - 1]) &&
		       ret->value.p[ret->value.n - 1] != '\0')
			ret->value.n--;
		return true;
	}
	return false;
}

void header_unfold(struct buf *out, struct str value)
{
	value = str_trim(value);
	for (size_t from = 0, i = 0; i <= value.n; i++) {
		char c = i < value.n ? value.p[i] : '\n';
		if (c != '\0' && c != '\r' && c != '\n' && c != '\t')
			continue;
		(void)buf_add(out, str_sub(value, from, i));
		if (c == '\0')
			(void)buf_add(out, STR("\xef\xbf\xbd"));
		if (c == '\t')
			(void)buf_addc(out, ' ');
		from = i + 1;
	}
}
