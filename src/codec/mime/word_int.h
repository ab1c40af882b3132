/* SPDX-License-Identifier: Apache-2.0 */
/*
 * word_int.h - encoded words, taken apart.                          [codec/mime only]
 */
#ifndef BARID_CODEC_MIME_WORD_INT_H
#define BARID_CODEC_MIME_WORD_INT_H

#include "base/buf.h"
#include "base/str.h"

struct word {
	struct str charset; /* without language */
	char encoding;	    /* 'b' or 'q' */
	struct str text;
	size_t n; /* of the whole word */
};

/* An encoded word at the start of s? */
bool word_match(struct str s, struct word *ret);
/* Append its bytes, in its charset. */
void word_bytes(const struct word *w, struct buf *out);

#endif
