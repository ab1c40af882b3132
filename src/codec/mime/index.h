/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - one pass over a message gives its map.                             [codec, pure]
 *
 *     struct mime_index *ix = mime_index_new(NULL, NULL, &arena);
 *     while (there are bytes) mime_index_feed(ix, bytes);      any chunking gives the same map
 *     r = mime_index_finish(ix, &map, why);
 *     mime_index_free(ix);
 *
 * RFC 5322 with the obsolete forms, RFC 2045-2047, 2183, 2231, 3282. Nothing a message contains is
 * an error: what is not understood is a leaf. Lines end in LF; a CR before it belongs to the line
 * break; a lone CR is a byte like others.
 *
 * How unclear messages are read:
 *  - A header block ends with an empty line, with a delimiter of an open multipart, or before
 *    a line that is neither a field nor a continuation (this line begins the body, as Postfix and
 *    sendmail have it). An mbox "From " line in front of the first field is skipped.
 *  - A delimiter is a line of "--", the boundary, "--" if it closes, and blanks; nothing else. The
 *    innermost open multipart that fits takes it; those inside end there.
 *  - A multipart without a boundary parameter, and a message/rfc822 with an encoding, are leaves.
 *  - Of several fields of a name the first counts; address fields are joined (so that no reader
 *    sees an author that another one does not).
 *
 * Time is linear in the bytes fed. Memory is bounded by the limits, not by the message.
 */
#ifndef BARID_CODEC_MIME_INDEX_H
#define BARID_CODEC_MIME_INDEX_H

#include "codec/mime/map.h"

/*
 * Bounds. Where one is reached the rest becomes an opaque leaf, a field is shortened or left out,
 * and map.flags tells which (MIME_CUT_*).
 */
struct mime_limits {
	uint32_t depth;	     /* parts[0] has depth 1; at most MIME_MAP_DEPTH_MAX */
	uint32_t parts;	     /* at most MIME_MAP_PARTS_MAX */
	uint32_t fields;     /* fields looked at in one header block; at most MIME_MAP_FIELDS_MAX */
	size_t header_bytes; /* of one header block, that are looked at */
	size_t field_bytes;  /* of one field, that are looked at */
	size_t output_bytes; /* BODYSTRUCTURE; ENVELOPE has half of it, each decoded text 1/64 */
};

#define MIME_LIMITS_DEFAULT                                                                        \
	((struct mime_limits){.depth = 64,                                                         \
			      .parts = 10000,                                                      \
			      .fields = 10000,                                                     \
			      .header_bytes = MIB(1),                                              \
			      .field_bytes = KIB(256),                                             \
			      .output_bytes = MIB(1)})

/*
 * What a submission gets when its header lacks the field: the values of the fields as the caller
 * will write them into the prefix. An empty string means no default.
 */
struct mime_index_defaults {
	struct str date;       /* RFC 5322 date-time */
	struct str message_id; /* "<left@right>" */
};

struct mime_index;

/*
 * Begin. NULL @limits or @defaults mean the defaults and none; both are copied. The map will live
 * in @arena: 8 MiB are always enough for the default limits (an ordinary message needs 4 KiB).
 * Never NULL.
 */
struct mime_index *mime_index_new(const struct mime_limits *limits,
				  const struct mime_index_defaults *defaults, struct arena *arena);
void mime_index_free(struct mime_index *ix);
DEFINE_AUTO_PTR(mime_index, struct mime_index, mime_index_free);

void mime_index_feed(struct mime_index *ix, struct str bytes);

/*
 * End of the message. The map lives as long as the arena. Fails only with -FAIL_LIMIT, when the
 * arena was too small.
 */
MUST_CHECK int mime_index_finish(struct mime_index *ix, struct mime_map **ret, struct fail *why);

#endif
