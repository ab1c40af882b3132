/* SPDX-License-Identifier: Apache-2.0 */
/*
 * render.h - ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 7.4.2).      [codec/mime, internal]
 *
 * What an address list or a structure that is not clean looks like follows Dovecot, because clients
 * are tested against it: groups as RFC 3501 has them, MISSING_MAILBOX and MISSING_DOMAIN for the
 * parts of an address that are not there (NIL would mean a group), parameters decoded.
 */
#ifndef BARID_CODEC_MIME_RENDER_H
#define BARID_CODEC_MIME_RENDER_H

#include "codec/mime/head.h"
#include "codec/mime/index.h"
#include "codec/mime/param.h"

/* What a part contributes to BODY and BODYSTRUCTURE, ready to be put together. */
struct part_text {
	struct str front;    /* leaf: type to encoding; multipart: subtype */
	struct str back;     /* the extension data, with a space in front */
	struct str envelope; /* of an embedded message */
};

/* A quoted string or a literal; NUL becomes "?". */
void render_string(struct buf *out, struct str s);

/*
 * Append the ENVELOPE of a header block in at most about `max` bytes. A @defaults field with n > 0
 * stands in for a missing one. True when a list had to be shortened.
 */
bool render_envelope(struct buf *out, const struct head *h,
		     const struct mime_index_defaults *defaults, size_t max);

/* Append the part's front and back, from the fields of its header. @type has the parameters. */
void render_front(struct buf *out, const struct mime_part *part, const struct head *h,
		  const struct params *type, struct str type_as_written);
void render_back(struct buf *out, const struct mime_part *part, const struct head *h,
		 const struct params *type);

/* One part while BODY and BODYSTRUCTURE are put together. */
struct render_part {
	struct mime_part part;
	struct part_text text;
	uint64_t lines_before; /* for the indexer: LFs before the body */
	uint32_t depth;	       /* likewise: of the part; parts[0] has 1 */
};

/* Append the structure of parts[0], with extension data when `extended`. */
void render_structure(struct buf *out, const struct render_part *parts, bool extended);

#endif
