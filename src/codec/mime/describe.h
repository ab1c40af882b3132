/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.h - from the fields of a header block to a part of the map.  [codec/mime, internal]
 */
#ifndef BARID_CODEC_MIME_DESCRIBE_H
#define BARID_CODEC_MIME_DESCRIBE_H

#include "codec/mime/render.h"

/* What the indexer has to do with a part's body. */
enum describe_kind {
	DESCRIBE_LEAF,
	DESCRIBE_MULTIPART,
	DESCRIBE_MESSAGE,
};

struct describe {
	struct arena *arena;   /* for what goes into the map */
	struct arena *scratch; /* reset by describe_part */
	bool in_digest;	       /* the part's parent is a multipart/digest */
	bool closed;	       /* the body cannot be descended into */
	size_t room;	       /* for front, back and envelope together */
	struct buf boundary;   /* result of a DESCRIBE_MULTIPART */
};

#define BOUNDARY_MAX 1024

/*
 * Fill in type, flags, encoding and so on of @part and its rendered pieces. Returns -FAIL_LIMIT
 * when these need more than `room`: the part is then described as application/octet-stream, in
 * fewer than DESCRIBE_LEAST bytes, and the caller opens no further part.
 */
#define DESCRIBE_LEAST 200
MUST_CHECK int describe_part(struct describe *d, const struct head *h, struct mime_part *part,
			     struct part_text *text, enum describe_kind *ret_kind);

/* The ENVELOPE of a message's header block, in at most `room` bytes (41 do); true when shortened.
 */
bool describe_envelope(struct arena *arena, const struct head *h,
		       const struct mime_index_defaults *defaults, size_t room, struct str *ret);

/* The decoded texts, addresses and date of the top-level header; true when a text was shortened. */
bool describe_message(struct arena *arena, const struct head *h,
		      const struct mime_index_defaults *defaults, size_t text_max,
		      struct mime_map *map);

#endif
