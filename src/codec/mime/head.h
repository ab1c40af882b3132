/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.h - the fields of one header block that the map needs.         [codec/mime, internal]
 *
 * The indexer fills a head while lines pass by (in any pieces) and reads it when the block ends.
 * Only known fields are kept, within limits.
 */
#ifndef BARID_CODEC_MIME_HEAD_H
#define BARID_CODEC_MIME_HEAD_H

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"

enum head_id {
	HEAD_NONE,
	HEAD_TYPE, /* Content-... */
	HEAD_ENCODING,
	HEAD_DISPOSITION,
	HEAD_ID,
	HEAD_DESCRIPTION,
	HEAD_MD5,
	HEAD_LANGUAGE,
	HEAD_LOCATION,
	HEAD_DATE,
	HEAD_SUBJECT,
	HEAD_FROM,
	HEAD_SENDER,
	HEAD_REPLY_TO,
	HEAD_TO,
	HEAD_CC,
	HEAD_BCC,
	HEAD_IN_REPLY_TO,
	HEAD_MESSAGE_ID,
	HEAD_REFERENCES,
};

struct head_value {
	enum head_id id;
	size_t off; /* in text */
	size_t n;
};

struct head {
	struct buf text; /* raw values, one behind the other */
	VEC(struct head_value) values;
	size_t field_max;
	bool open; /* the last value still grows */
	bool cut;  /* a value was shortened or left out */
};

void head_init(struct head *h, size_t block_max, size_t field_max);
void head_clear(struct head *h);
void head_reset(struct head *h); /* for the next block */

/* A field begins; a name that is not known closes the last one and opens none. */
void head_begin(struct head *h, struct str name);
/* More of the open value; nothing happens when none is open. */
void head_add(struct head *h, struct str bytes);
void head_end(struct head *h);

/* The next raw value of a field at or after *at, which moves behind it; false when there is none.
 */
bool head_next(const struct head *h, enum head_id id, size_t *at, struct str *ret);

/*
 * The first value, unfolded, at most `max` bytes of it, in *out (which is reset). False when the
 * field is absent.
 */
bool head_line(const struct head *h, enum head_id id, size_t max, struct buf *out);

#endif
