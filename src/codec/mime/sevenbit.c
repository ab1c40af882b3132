/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/sevenbit.h"
#include "codec/mime/transfer.h"

#define DEPTH_MAX    32
#define BOUNDARY_MAX 100 /* RFC 2046 5.1.1: 70 */

struct converter {
	struct str in; /* what is left of it */
	struct buf *out;
	struct str boundaries[DEPTH_MAX];
	size_t depth;
};

/* What a header says that counts here. */
struct about {
	struct str boundary; /* of a multipart; empty: none */
	bool nested;	     /* message/rfc822 */
	bool typed;	     /* has a Content-Type */
	bool mime;	     /* has a MIME-Version */
	bool plain;	     /* 7bit, 8bit, binary, or nothing said */
};

bool sevenbit_is(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* The next line with its end; false at the end. */
static bool next_line(struct str *in, struct str *line)
{
	if (in->n == 0)
		return false;
	size_t n = str_find(*in, 0, '\n');
	*line = str_sub(*in, 0, n + 1);
	*in = str_skip(*in, n + 1);
	return true;
}

/* A header field with its folded lines; false at the empty line or the end. */
static bool next_field(struct str *in, struct str *field)
{
	struct str line, rest = *in;
	if (!next_line(&rest, &line) || str_trim(line).n == 0)
		return false;
	while (rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t'))
		(void)next_line(&rest, &line);
	*field = str_sub(*in, 0, in->n - rest.n);
	*in = rest;
	return true;
}

static bool is_field(struct str field, struct str name)
{
	return str_startsi(field, name) && field.n > name.n &&
	       str_starts(str_trim(str_skip(field, name.n)), STR(":"));
}

static struct str value_of(struct str field)
{
	return str_trim(str_skip(field, str_find(field, 0, ':') + 1));
}

static struct str boundary_of(struct str value)
{
	size_t at = str_find_stri(value, 0, STR("boundary="));
	struct str b = str_trim(str_skip(value, at + 9));
	if (at == value.n || b.n == 0)
		return STR("");
	if (b.p[0] == '"')
		return str_sub(b, 1, str_find(b, 1, '"'));
	size_t n = 0;
	while (n < b.n && !strchr(" \t\r\n;()", b.p[n]))
		n++;
	return str_sub(b, 0, n);
}

static void take_field(struct about *a, struct str field)
{
	struct str value = value_of(field);
	if (is_field(field, STR("MIME-Version")))
		a->mime = true;
	if (is_field(field, STR("Content-Transfer-Encoding")))
		a->plain = str_eqi(value, STR("7bit")) || str_eqi(value, STR("8bit")) ||
			   str_eqi(value, STR("binary"));
	if (is_field(field, STR("Content-Type"))) {
		a->typed = true;
		if (str_startsi(value, STR("multipart/")))
			a->boundary = boundary_of(value);
		a->nested = str_startsi(value, STR("message/rfc822"));
	}
}

/* The delimiter of a part around us begins here. */
static bool is_delimiter(const struct converter *c, struct str line, size_t *ret_depth)
{
	if (!str_starts(line, STR("--")))
		return false;
	for (size_t i = c->depth; i > 0; i--)
		if (str_starts(str_skip(line, 2), c->boundaries[i - 1])) {
			*ret_depth = i;
			return true;
		}
	return false;
}

/* What is in front of the next delimiter. */
static struct str until_delimiter(struct converter *c)
{
	struct str rest = c->in, line;
	size_t depth;
	for (;;) {
		struct str here = rest;
		if (!next_line(&rest, &line) || is_delimiter(c, line, &depth)) {
			struct str part = str_sub(c->in, 0, c->in.n - here.n);
			c->in = here;
			return part;
		}
	}
}

/* Text between parts, which nobody reads. */
static void add_without(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_addc(out, (unsigned char)s.p[i] < 0x80 ? s.p[i] : '?');
}

/* The header, with this encoding in place of its own (NULL: as it is). */
static void add_header(struct converter *c, struct str header, const struct about *a,
		       const char *encoding, bool top)
{
	struct str field, rest = header;
	while (next_field(&rest, &field))
		if (!encoding || !is_field(field, STR("Content-Transfer-Encoding")))
			buf_add(c->out, field);
	if (encoding && top && !a->mime)
		buf_add(c->out, STR("MIME-Version: 1.0\r\n"));
	if (encoding && top && !a->typed)
		buf_add(c->out, STR("Content-Type: text/plain; charset=unknown-8bit\r\n"));
	if (encoding)
		buf_addf(c->out, "Content-Transfer-Encoding: %s\r\n", encoding);
	buf_add(c->out, rest); /* the empty line */
}

static struct str take_header(struct converter *c, struct about *a)
{
	struct str from = c->in, rest = c->in, field, line;
	*a = (struct about){.plain = true};
	size_t depth;
	while (next_field(&rest, &field)) {
		if (is_delimiter(c, field, &depth)) { /* a part that is nothing but a header */
			rest = (struct str){field.p, (size_t)(from.p + from.n - field.p)};
			break;
		}
		take_field(a, field);
	}
	struct str behind = rest;
	if (next_line(&behind, &line) && str_trim(line).n == 0)
		rest = behind;
	c->in = rest;
	return str_sub(from, 0, from.n - rest.n);
}

/*
 * Entities one behind the other; the boundaries of those that are open are the stack, so that no
 * depth of nesting is a depth of calls.
 */
static int convert_entity(struct converter *c, bool top)
{
	struct about a;
	struct str header = take_header(c, &a);
	while (a.nested && a.plain && a.boundary.n == 0) { /* its body is a message again */
		add_header(c, header, &a, "7bit", false);
		header = take_header(c, &a);
		top = true;
	}
	if (a.boundary.n > 0 && a.boundary.n <= BOUNDARY_MAX && a.plain) {
		if (c->depth == DEPTH_MAX)
			return -FAIL_LIMIT;
		add_header(c, header, &a, "7bit", top);
		c->boundaries[c->depth++] = a.boundary;
		add_without(c->out, until_delimiter(c));
		return 0;
	}
	struct str body = until_delimiter(c);
	bool quote = a.plain && !sevenbit_is(body);
	add_header(c, header, &a, quote ? "quoted-printable" : NULL, top);
	if (quote)
		(void)qp_encode(c->out, body);
	else
		buf_add(c->out, body);
	return 0;
}

int sevenbit_convert(struct str message, struct buf *out)
{
	struct converter c = {.in = message, .out = out};
	struct str line;
	size_t depth = 0;
	int r = convert_entity(&c, true);
	while (r == 0 && next_line(&c.in, &line)) {
		(void)is_delimiter(&c, line, &depth);
		struct str b = c.boundaries[depth - 1];
		bool end = str_starts(str_skip(line, 2 + b.n), STR("--"));
		add_without(out, line);
		c.depth = end ? depth - 1 : depth;
		if (end)
			add_without(out, until_delimiter(&c));
		else
			r = convert_entity(&c, false);
	}
	return out->failed ? -FAIL_LIMIT : r;
}
