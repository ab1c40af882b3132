/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/http/http_head.h"

size_t http_head_length(struct str s)
{
	/* RFC 9112 2.2: an empty line before a request is to be passed over; clients that send it
	 * are long gone, so it counts as a bad request line. */
	size_t end = str_find_str(s, 0, STR("\r\n\r\n"));
	return end == s.n ? 0 : end + 4;
}

/* RFC 9110 5.6.2 */
static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!ascii_alpha(c) && !ascii_digit(c) && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.n > 0;
}

static bool is_visible(struct str s, bool blanks)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == 0x7f || c < 0x20 ? !(blanks && c == '\t') : (c == ' ' && !blanks))
			return false;
	}
	return true;
}

static int parse_line(struct str line, struct http_request *ret)
{
	struct str method, target, rest = line;
	if (!str_cut(&rest, ' ', &method) || !str_cut(&rest, ' ', &target))
		return 400;
	if (!is_token(method) || !str_starts(target, STR("/")) || !is_visible(target, false))
		return 400;
	if (str_eq(rest, STR("HTTP/1.1")))
		ret->keep_alive = true;
	else if (!str_eq(rest, STR("HTTP/1.0")))
		return str_starts(rest, STR("HTTP/")) ? 505 : 400;
	ret->method = str_eq(method, STR("GET"))    ? HTTP_GET
		      : str_eq(method, STR("HEAD")) ? HTTP_HEAD
						    : HTTP_OTHER;
	size_t mark = str_find(target, 0, '?');
	ret->target = str_sub(target, 0, mark);
	ret->query = str_skip(target, mark + 1);
	return 0;
}

static bool has_word(struct str list, struct str word)
{
	struct str one;
	while (str_cut(&list, ',', &one))
		if (str_eqi(str_trim(one), word))
			return true;
	return false;
}

struct seen {
	unsigned hosts, lengths;
};

static int parse_field(struct str line, struct http_request *ret, struct seen *seen)
{
	size_t colon = str_find(line, 0, ':');
	struct str name = str_sub(line, 0, colon), value = str_trim(str_skip(line, colon + 1));
	if (colon == line.n || !is_token(name) || !is_visible(value, true))
		return 400;
	if (str_eqi(name, STR("Transfer-Encoding")))
		return 501;
	if (str_eqi(name, STR("Content-Length"))) {
		if (++seen->lengths > 1 || value.n == 0)
			return 400;
		for (size_t i = 0; i < value.n; i++)
			if (!ascii_digit(value.p[i]))
				return 400;
		for (size_t i = 0; i < value.n; i++)
			if (value.p[i] != '0')
				return 413;
	}
	if (str_eqi(name, STR("Host")) && ++seen->hosts > 1)
		return 400;
	if (str_eqi(name, STR("Connection")) && has_word(value, STR("close")))
		ret->keep_alive = false;
	return 0;
}

/* Up to CRLF, which goes too. False: a CR or LF stands alone. */
static bool take_line(struct str *rest, struct str *ret)
{
	size_t end = str_find_str(*rest, 0, STR("\r\n"));
	*ret = str_sub(*rest, 0, end);
	*rest = str_skip(*rest, end + 2);
	return str_find(*ret, 0, '\r') == ret->n && str_find(*ret, 0, '\n') == ret->n;
}

int http_head_parse(struct str head, struct http_request *ret)
{
	struct str line;
	struct seen seen = {0};
	*ret = (struct http_request){.method = HTTP_OTHER};
	int status = take_line(&head, &line) ? parse_line(line, ret) : 400;
	for (unsigned n = 0; status == 0 && head.n; n++) {
		if (!take_line(&head, &line))
			return 400;
		if (line.n == 0)
			return head.n ? 400 : 0;
		status = n < HTTP_FIELDS_MAX ? parse_field(line, ret, &seen) : 431;
	}
	return status;
}

const char *http_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} all[] = {{200, "OK"},
		   {400, "Bad Request"},
		   {404, "Not Found"},
		   {405, "Method Not Allowed"},
		   {413, "Content Too Large"},
		   {431, "Request Header Fields Too Large"},
		   {500, "Internal Server Error"},
		   {501, "Not Implemented"},
		   {503, "Service Unavailable"},
		   {505, "HTTP Version Not Supported"}};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i].status == status)
			return all[i].reason;
	return "Unknown";
}

int http_answer_write(const struct http_answer *a, struct buf *out)
{
	(void)buf_addf(out, "HTTP/1.1 %d %s\r\n", a->status, http_reason(a->status));
	(void)buf_addf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", a->type, a->body.n);
	if (a->status == 405)
		(void)buf_add(out, STR("Allow: GET, HEAD\r\n"));
	(void)buf_addf(out, "Cache-Control: no-store\r\nConnection: %s\r\n\r\n",
		       a->keep_alive ? "keep-alive" : "close");
	return a->head_only ? (out->failed ? -FAIL_LIMIT : 0) : buf_add(out, a->body);
}
