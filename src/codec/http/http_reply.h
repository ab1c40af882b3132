/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_reply.h - what a web server answers to a GET of ours.                    [codec, pure]
 *
 * RFC 9112, HTTP/1.0 and 1.1: status line, fields, and a body by Content-Length, in chunks, or up
 * to the end of the connection. One answer, all of it in memory; interim answers (1xx) are refused.
 */
#ifndef BARID_CODEC_HTTP_HTTP_REPLY_H
#define BARID_CODEC_HTTP_HTTP_REPLY_H

#include "base/buf.h"

struct http_reply {
	int status;
	struct str type; /* "text/plain", without parameters; borrowed from the input */
};

/*
 * Read what has come so far; `ended`: no more will. 1 = complete, with the body appended to *body;
 * 0 = more is needed (never when ended); -FAIL_SYNTAX, or -FAIL_LIMIT: the body is larger than
 * body->max. *body is for this call alone while the result is 0.
 */
MUST_CHECK int http_reply_parse(struct str s, bool ended, struct http_reply *ret, struct buf *body);

#endif
