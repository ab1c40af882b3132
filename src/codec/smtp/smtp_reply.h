/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_reply.h - write SMTP replies.                                      [codec, pure]
 *
 * RFC 5321 4.2 (form, 4.5.3.1.5: 512 octets a line with CRLF), RFC 2034 and 3463 (enhanced status
 * codes, repeated on every line). Control characters in a text become '?', so that text that came
 * from a peer cannot end a line.
 */
#ifndef BARID_CODEC_SMTP_SMTP_REPLY_H
#define BARID_CODEC_SMTP_SMTP_REPLY_H

#include "base/buf.h"
#include "base/str.h"

#define SMTP_REPLY_LINE_MAX 512

/* A reply of constant texts. */
struct smtp_status {
	unsigned code;	      /* 200 to 599 */
	const char *enhanced; /* "5.1.1"; NULL: none (greeting, EHLO, 354) */
	const char *text;
};

/*
 * Append one reply. '\n' in text begins a new line of a multi-line reply; a line that would be too
 * long is continued on the next one, broken at a blank where there is one. Returns 0 or
 * -FAIL_LIMIT.
 */
int smtp_reply(struct buf *out, unsigned code, const char *enhanced, struct str text);
int smtp_replyf(struct buf *out, unsigned code, const char *enhanced, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
static inline int smtp_reply_status(struct buf *out, struct smtp_status s)
{
	return smtp_reply(out, s.code, s.enhanced, str_c(s.text));
}

#endif
