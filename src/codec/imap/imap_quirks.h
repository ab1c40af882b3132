/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_quirks.h - what clients send that no specification has, and what is made of it.
 *                                                                              [codec, pure]
 *
 * One table (imap_quirks.c), with a reason for each row; where the parser, the login or a session
 * bends it asks imap_bends for its row. Each is for all clients: none of them takes a right command
 * for another one. Shown by tests/transcripts/imap/quirks*.txt, one paragraph for each row.
 */
#ifndef BARID_CODEC_IMAP_QUIRKS_H
#define BARID_CODEC_IMAP_QUIRKS_H

#include "base/str.h"

enum imap_quirk {
	IMAP_QUIRK_BLANKS,
	IMAP_QUIRK_EMPTY_LINE,
	IMAP_QUIRK_BARE_FLAGS,
	IMAP_QUIRK_RECENT,
	IMAP_QUIRK_NO_BLANK,
	IMAP_QUIRK_EMPTY_DATE,
	IMAP_QUIRK_MACRO_IN_LIST,
	IMAP_QUIRK_BARE_STATUS,
	IMAP_QUIRK_RAW_NAME,
	IMAP_QUIRK_ID_HALF_PAIR,
	IMAP_QUIRK_XLIST,
	IMAP_QUIRK_BASE64,
	IMAP_QUIRK_EMPTY_PLAIN,
	IMAP_QUIRK_COUNT
};

struct imap_quirk_row {
	const char *name;
	const char *client; /* who does it, as far as it is known */
	const char *sends;
	const char *answer;
	bool bends; /* false: by the letter, to see who still needs it */
};

const struct imap_quirk_row *imap_quirk(enum imap_quirk quirk);

static inline bool imap_bends(enum imap_quirk quirk)
{
	return imap_quirk(quirk)->bends;
}

#endif
