/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fold.h - the characters of a text as SEARCH compares them, with a memory.    [codec, private]
 *
 * Asking ICU for a fold (charset_fold) is slow; a text has few different characters. ASCII needs
 * none of this: its fold is ascii_upper.
 */
#ifndef BARID_CODEC_MIME_FOLD_H
#define BARID_CODEC_MIME_FOLD_H

#include "base/utf8.h"
#include "codec/mime/charset.h"

struct fold {
	uint32_t cp;
	uint32_t n;
	uint32_t to[4];
};
#define FOLDS 256
struct folds {
	struct fold slot[FOLDS];
};

/* The fold of the character at *pos, which is none of ASCII; *pos moves behind it. Returns how
 * many. */
static inline size_t fold_next(struct folds *folds, struct str utf8, size_t *pos,
			       uint32_t out[CHARSET_FOLD_MAX])
{
	uint32_t cp = utf8_next(utf8, pos);
	struct fold *f = &folds->slot[cp % FOLDS];
	if (f->cp == cp) { /* cp is never 0 here, so an empty slot does not match */
		memcpy(out, f->to, sizeof f->to);
		return f->n;
	}
	size_t n = charset_fold(cp, out);
	if (n <= ARRAY_LEN(f->to)) {
		*f = (struct fold){.cp = cp, .n = (uint32_t)n};
		memcpy(f->to, out, n * sizeof out[0]);
	}
	return n;
}

#endif
