/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_table.h - Postfix's look-ups over TCP (tcp_table(5)).                        [codec, pure]
 *
 * A line "get KEY" is answered by "200 VALUE", "500 TEXT" (not found) or "400 TEXT" (cannot be told
 * now), in the order of the questions. In keys, values and texts "%XX" stands for an octet: for
 * '%', spaces and controls it has to. Lines have at most TCP_TABLE_LINE_MAX octets, with their end.
 *
 * Bounds: every function reads its input once; nothing is allocated but in the caller's buffers.
 */
#ifndef BARID_CODEC_TCP_TABLE_TCP_TABLE_H
#define BARID_CODEC_TCP_TABLE_TCP_TABLE_H

#include "base/buf.h"
#include "base/str.h"

#define TCP_TABLE_LINE_MAX 4096

enum tcp_table_verb {
	TCP_TABLE_GET,
	TCP_TABLE_PUT,	   /* in the protocol, but nobody offers it */
	TCP_TABLE_UNKNOWN, /* or no request at all, or a line that is too long */
};
struct tcp_table_request {
	enum tcp_table_verb verb;
	struct str key; /* as it was sent; borrowed */
};
enum tcp_table_code { TCP_TABLE_FOUND = 200, TCP_TABLE_TEMP = 400, TCP_TABLE_NONE = 500 };

/* How many octets of `in` are whole lines. */
size_t tcp_table_whole(struct str in);
/* Take one line off the front of whole lines. False: there is none left. */
bool tcp_table_next(struct str *in, struct tcp_table_request *ret);
/* Append the octets that a key stands for. -FAIL_SYNTAX: a '%' without two digits; nothing was
 * appended then. */
MUST_CHECK int tcp_table_decode(struct str key, struct buf *out);
/* Append an answer. What would be longer than a line may be becomes TCP_TABLE_TEMP. */
void tcp_table_answer(struct buf *out, enum tcp_table_code code, struct str text);

#endif
