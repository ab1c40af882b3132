/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_answer.h - read the replies of an SMTP or LMTP server.              [codec, pure]
 *
 * RFC 5321 4.2 (form, several lines), RFC 2034 and 3463 (enhanced status codes). The lines come
 * from a stranger: what is kept is bounded, control characters become '?', bytes that are not
 * UTF-8 too, so that the text may go into a log and a report as it is.
 */
#ifndef BARID_CODEC_SMTP_SMTP_ANSWER_H
#define BARID_CODEC_SMTP_SMTP_ANSWER_H

#include "base/fail.h"
#include "base/str.h"

#define SMTP_ANSWER_TEXT_MAX 960 /* octets of text that are kept of one reply */
#define SMTP_ANSWER_LINES    200 /* a server that says more says nothing */

struct smtp_answer {
	unsigned code;	   /* 200 to 599; 0: none yet */
	char enhanced[12]; /* "5.1.1" of the first line that has one; "" = none, or not of its class
			    */
	char text[SMTP_ANSWER_TEXT_MAX + 1]; /* "550 5.1.1 No such user": lines joined by blanks */
	size_t n;
	unsigned lines;
};

enum smtp_answer_step { SMTP_ANSWER_MORE, SMTP_ANSWER_DONE };

/*
 * Take the next line, without its line end, of a reply that began with *a = {0}. *ret_text (may be
 * NULL) is what follows the code: of EHLO, a keyword. Returns an enum smtp_answer_step, or
 *   -FAIL_SYNTAX  no reply, or of another code than the line before
 *   -FAIL_LIMIT   too many lines
 */
MUST_CHECK int smtp_answer_line(struct smtp_answer *a, struct str line, struct str *ret_text);

/* Class of the code: 2 to 5. */
static inline unsigned smtp_answer_class(const struct smtp_answer *a)
{
	return a->code / 100;
}

/* Put together what no server said. */
void smtp_answer_own(struct smtp_answer *a, const char *enhanced, struct str text);

#endif
