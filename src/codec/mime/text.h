/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - find a string in a message (IMAP SEARCH).                           [codec, pure]
 *
 * Comparison is i;unicode-casemap (RFC 5051): title case and decomposition, then substring. So case
 * does not matter in any script, and "cafe" is found in "café". Headers are unfolded and decoded
 * (RFC 2047), bodies are decoded from transfer encoding and charset. HTML is searched with its
 * tags. Memory does not depend on the size of the message; of a header block the first MiB is
 * searched.
 */
#ifndef BARID_CODEC_MIME_TEXT_H
#define BARID_CODEC_MIME_TEXT_H

#include "codec/mime/map.h"

struct text_needle;

/* Prepare a needle (UTF-8; what is malformed counts as U+FFFD). Never NULL. Immutable: any thread.
 */
struct text_needle *text_needle_new(struct str utf8);
void text_needle_free(struct text_needle *n);
DEFINE_AUTO_PTR(text_needle, struct text_needle, text_needle_free);

/* Is the needle in this UTF-8 text? An empty needle is in every text. */
bool text_contains(const struct text_needle *n, struct str utf8);

enum text_scope {
	TEXT_BODY, /* SEARCH BODY: text parts, and the headers of embedded messages */
	TEXT_ALL,  /* SEARCH TEXT: also the message's own header and those of its parts */
};

/*
 * Where the bytes of a message come from: copy up to `n` bytes at `off` (within the message) to
 * `to`. Returns how many (at least 1), or a negative fail code.
 */
struct text_source {
	int64_t (*read)(void *ctx, uint64_t off, char *to, size_t n);
	void *ctx;
};

/* Where a text stands: what SEARCH BODY finds is TEXT_IN_BODY, what only SEARCH TEXT finds is not.
 */
enum text_place { TEXT_IN_HEADER, TEXT_IN_BODY };

/* Takes the texts of a message one after the other. No match spans two of them. */
struct text_sink {
	void (*begin)(void *ctx, enum text_place place);
	bool (*take)(void *ctx, struct str utf8); /* the next piece; true: enough */
	void *ctx;
};
/* Of one header block so many bytes are looked at. */
#define TEXT_HEADER_MAX MIB(1)

/* All that text_search looks at. 1 when the sink had enough, 0 at the end, or what the source
 * returned when it failed. */
MUST_CHECK int text_each(const struct text_source *source, const struct mime_map *map,
			 enum text_scope scope, const struct text_sink *sink);
/* One field, unfolded and decoded, behind "Name: " or not. True when the sink had enough. */
struct header_field;
bool text_field_each(const struct header_field *f, bool with_name, enum text_place place,
		     const struct text_sink *sink);

/* 1 when the needle is found, 0 when not, or what the source returned when it failed. */
MUST_CHECK int text_search(const struct text_source *source, const struct mime_map *map,
			   const struct text_needle *n, enum text_scope scope);

/*
 * SEARCH HEADER name value, from the header block's bytes (which the caller has): does a field of
 * this name contain the needle?
 */
bool text_header_contains(struct str header_block, struct str name, const struct text_needle *n);

#endif
