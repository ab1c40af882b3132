/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3_lang.h - the LANG command (RFC 6856 section 3), before and after a login.   [codec, pure]
 */
#ifndef BARID_CODEC_POP3_LANG_H
#define BARID_CODEC_POP3_LANG_H

#include "base/buf.h"

struct text_language;

/* What a client has chosen for its session. */
struct pop3_choice {
	bool utf8;			  /* UTF8 was said */
	const struct text_language *lang; /* NULL: English */
};

/*
 * Answer LANG; an empty range asks for the list. True: *lang is what the client has chosen, and
 * counts from this answer on. `usual`: what "*" stands for.
 */
bool pop3_lang(struct buf *out, struct str range, const char *usual,
	       const struct text_language **lang);

#endif
