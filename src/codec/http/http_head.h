/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_head.h - the head of an HTTP/1.1 request, and of an answer.             [codec, pure]
 *
 * RFC 9112 sections 2 to 5, strictly: CRLF only, no folded lines, no blanks before a colon, one
 * Host at most, one blank between the words of the request line. What is not that is refused with
 * the status to answer; what is refused ends the connection, so nothing behind it can be taken for
 * a request (request smuggling). Requests with a body are refused too: no service has one yet.
 */
#ifndef BARID_CODEC_HTTP_HTTP_HEAD_H
#define BARID_CODEC_HTTP_HTTP_HEAD_H

#include "base/buf.h"

#define HTTP_HEAD_MAX	8192
#define HTTP_FIELDS_MAX 64

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER };

struct http_request {
	enum http_method method;
	struct str target; /* "/metrics": borrowed from the head; without its query */
	struct str query;  /* behind the question mark, or empty */
	bool keep_alive;   /* the connection may go on */
};

/* Length of the head at the start of s, its empty line included; 0: it is not complete yet. */
size_t http_head_length(struct str s);
/*
 * Read one complete head. 0, or the status to refuse it with: 400, 413 (has a body), 431 (too
 * many fields), 501 (Transfer-Encoding), 505 (not HTTP/1.x).
 */
int http_head_parse(struct str head, struct http_request *ret);

struct http_answer {
	int status;
	const char *type; /* media type */
	struct str body;
	bool head_only; /* the request was HEAD */
	bool keep_alive;
};
/* Head and body. -FAIL_LIMIT: out is too small. */
int http_answer_write(const struct http_answer *a, struct buf *out);
/* "Not Found" */
const char *http_reason(int status);

#endif
