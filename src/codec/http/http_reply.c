/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/http/http_reply.h"
#include "base/fail.h"
#include "base/num.h"
#include "codec/http/http_head.h"

#define NO_LENGTH      UINT64_MAX
#define CHUNK_LINE_MAX 256

struct framing {
	uint64_t length;
	bool chunked;
};

/* "HTTP/1.1 200 OK" */
static bool take_status(struct str line, struct http_reply *ret)
{
	uint32_t status = 0;
	if (!str_starts(line, STR("HTTP/1.")) || line.n < 12 ||
	    (line.p[7] != '0' && line.p[7] != '1') || line.p[8] != ' ' ||
	    (line.n > 12 && line.p[12] != ' ') || !num_parse_u32(str_sub(line, 9, 12), &status) ||
	    status < 200)
		return false;
	ret->status = (int)status;
	return true;
}

static bool take_field(struct str line, struct http_reply *ret, struct framing *f)
{
	size_t colon = str_find(line, 0, ':');
	if (colon == 0 || colon == line.n || line.p[0] == ' ' || line.p[0] == '\t')
		return false;
	struct str name = str_sub(line, 0, colon), value = str_trim(str_skip(line, colon + 1));
	if (str_eqi(name, STR("Content-Type"))) {
		ret->type = str_trim(str_sub(value, 0, str_find(value, 0, ';')));
	} else if (str_eqi(name, STR("Content-Length"))) {
		uint64_t before = f->length;
		if (!num_parse_u64(value, &f->length) || f->length == NO_LENGTH)
			return false;
		return before == NO_LENGTH || before == f->length;
	} else if (str_eqi(name, STR("Transfer-Encoding"))) {
		f->chunked = str_eqi(value, STR("chunked"));
		return f->chunked;
	}
	return true;
}

static bool take_head(struct str head, struct http_reply *ret, struct framing *f)
{
	bool first = true;
	unsigned fields = 0;
	struct str line;
	while (str_cut(&head, '\n', &line)) {
		if (line.n == 0 && head.n == 0)
			break; /* behind the last line's end */
		if (line.n == 0 || line.p[line.n - 1] != '\r')
			return false;
		line.n--;
		if (line.n == 0 && !first)
			continue;
		if (!(first ? take_status(line, ret) : take_field(line, ret, f)) ||
		    ++fields > HTTP_FIELDS_MAX)
			return false;
		first = false;
	}
	return !first;
}

/* 1 = all chunks are there, 0 = not yet. Trailers are passed over. */
static int take_chunks(struct str s, struct buf *body)
{
	for (;;) {
		size_t end = str_find_str(s, 0, STR("\r\n"));
		if (end > CHUNK_LINE_MAX && s.n > CHUNK_LINE_MAX + 1)
			return -FAIL_SYNTAX;
		if (end == s.n)
			return 0;
		struct str line = str_sub(s, 0, end);
		uint64_t n = 0;
		if (!num_parse_hex_u64(str_trim(str_sub(line, 0, str_find(line, 0, ';'))), &n))
			return -FAIL_SYNTAX;
		s = str_skip(s, end + 2);
		if (n == 0)
			return 1;
		if (n > body->max)
			return -FAIL_LIMIT;
		if (s.n < n + 2)
			return 0;
		if (s.p[n] != '\r' || s.p[n + 1] != '\n')
			return -FAIL_SYNTAX;
		if (buf_add(body, str_sub(s, 0, (size_t)n)) < 0)
			return -FAIL_LIMIT;
		s = str_skip(s, (size_t)n + 2);
	}
}

static int take_body(struct str s, const struct framing *f, bool ended, struct buf *body)
{
	if (f->chunked)
		return take_chunks(s, body);
	if (f->length != NO_LENGTH) {
		if (f->length > body->max)
			return -FAIL_LIMIT;
		if (s.n < f->length)
			return 0;
		s = str_sub(s, 0, (size_t)f->length);
	} else if (s.n > body->max) {
		return -FAIL_LIMIT;
	} else if (!ended) {
		return 0;
	}
	return buf_add(body, s) < 0 ? -FAIL_LIMIT : 1;
}

int http_reply_parse(struct str s, bool ended, struct http_reply *ret, struct buf *body)
{
	struct framing f = {.length = NO_LENGTH};
	size_t head = http_head_length(s);
	buf_reset(body);
	if (head == 0)
		return s.n > HTTP_HEAD_MAX || ended ? -FAIL_SYNTAX : 0;
	*ret = (struct http_reply){0};
	if (head > HTTP_HEAD_MAX || !take_head(str_sub(s, 0, head), ret, &f))
		return -FAIL_SYNTAX;
	int r = take_body(str_skip(s, head), &f, ended, body);
	return r == 0 && ended ? -FAIL_SYNTAX : r;
}
