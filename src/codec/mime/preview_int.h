/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preview_int.h - between the two files of the preview.                        [codec, private]
 */
#ifndef BARID_CODEC_MIME_PREVIEW_INT_H
#define BARID_CODEC_MIME_PREVIEW_INT_H

#include "codec/mime/preview.h"

/* Words on their way into a preview: blanks become one, rulers and invisible characters go. */
struct preview_writer {
	struct buf *out;
	unsigned chars; /* written */
	bool blank;	/* one is due before the next character */
	unsigned run;	/* characters of a ruler that wait */
	uint32_t run_of;
};
void preview_put(struct preview_writer *w, uint32_t c);
bool preview_full(const struct preview_writer *w);
void preview_end(struct preview_writer *w);

#endif
