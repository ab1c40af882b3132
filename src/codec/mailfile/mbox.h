/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbox.h - lines of mbox files: where messages begin, quoting, state in header fields. [codec,
 * pure]
 *
 * RFC 4155 and its relatives: mboxo (">From " for "From "), mboxrd (one more ">" on each), mboxcl2
 * (Content-Length, nothing quoted).
 */
#ifndef BARID_CODEC_MAILFILE_MBOX_H
#define BARID_CODEC_MAILFILE_MBOX_H

#include "base/ids.h"
#include "base/str.h"

/* A line "From sender Thu Jan  1 00:00:00 1970" (with or without its end), behind an empty line or
 * at the start. *ret_date (may be NULL) is its time, 0 when it has none that can be read. */
bool mbox_is_from(struct str line, struct wall_us *ret_date);

/* How many bytes of quoting to drop in front of a line of a body: 0 or 1. */
unsigned mbox_unquote(struct str line);
/* Must the line be quoted (mboxrd)? */
bool mbox_needs_quote(struct str line);

/* What the header fields of a message say; the fields themselves are left out of the message. */
struct mbox_state {
	uint32_t flags;	     /* MAILFILE_ */
	bool recent;	     /* no Status with O or R: nobody has seen it in a list */
	char keywords[1024]; /* separated by spaces; atoms only */
	uint32_t uid;
	uint32_t uidvalidity, uidlast; /* X-IMAPbase of the first message */
	uint64_t content_length;       /* UINT64_MAX = none */
};
void mbox_state_init(struct mbox_state *s);
/* True when the line is such a field (one line each): note it, leave it out. */
bool mbox_state_line(struct mbox_state *s, struct str line);

#endif
