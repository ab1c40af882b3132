/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preview.h - the first words of a message, for lists (RFC 8970).              [codec, pure]
 *
 * Made from the first text that has words: a text/plain or text/html part that is no attachment,
 * decoded from transfer encoding and charset. Quotations, the line that introduces one, signatures,
 * rulers, markup and what HTML hides in scripts and styles go; blanks become one. What is left of
 * the first PREVIEW_RAW_MAX bytes is cut to PREVIEW_CHARS characters. A message of which nothing is
 * left (pictures, encrypted) has an empty preview. Parses hostile bytes: call it where messages are
 * parsed.
 */
#ifndef BARID_CODEC_MIME_PREVIEW_H
#define BARID_CODEC_MIME_PREVIEW_H

#include "codec/mime/text.h"

#define PREVIEW_CHARS	200 /* RFC 8970 3.3: at most 256 */
#define PREVIEW_BYTES	1024
#define PREVIEW_RAW_MAX (128u * 1024) /* of one part, encoded */

/*
 * Set map->preview, in `arena`. 0, -FAIL_LIMIT (the arena is full), or what the source returned
 * when it failed; the map has no preview then.
 */
MUST_CHECK int preview_make(struct mime_map *map, const struct text_source *source,
			    struct arena *arena);

/* The preview of decoded text: UTF-8, plain or HTML. For preview_make and tests. */
void preview_of_plain(struct buf *out, struct str utf8);
void preview_of_html(struct buf *out, struct str utf8);

#endif
