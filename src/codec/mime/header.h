/* SPDX-License-Identifier: Apache-2.0 */
/*
 * header.h - the fields of a header block.                                     [codec, pure]
 *
 * RFC 5322 2.2 and 4.5 (blanks before the colon). For code that holds a header block in memory;
 * the indexer uses header_name for the same idea of what a field is.
 */
#ifndef BARID_CODEC_MIME_HEADER_H
#define BARID_CODEC_MIME_HEADER_H

#include "base/buf.h"
#include "base/str.h"

struct header_field {
	struct str name;  /* without blanks before the colon */
	struct str value; /* raw: from behind the colon up to the last line break, folding inside */
	struct str whole; /* the field's lines, with line breaks */
};

/*
 * Length of the field name at the start of `line`, 0 when it does not begin a field. *ret_value
 * (may be NULL) is the offset behind the colon.
 */
size_t header_name(struct str line, size_t *ret_value);

/*
 * Cut the next field off *rest. Lines that belong to no field are skipped. False at the end:
 * *rest is then what follows the empty line (or empty).
 */
bool header_next(struct str *rest, struct header_field *ret);

/*
 * Append `value` as one line: line breaks and blanks around the whole go, a tab becomes a space,
 * NUL becomes U+FFFD.
 */
void header_unfold(struct buf *out, struct str value);

#endif
