/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - the message map: all that is known about a message without its bytes.   [codec, pure]
 *
 * Made once by the indexer (index.h), kept beside the message, and read by everyone who answers
 * questions about it: FETCH, SEARCH, SORT and THREAD need no MIME parser. Offsets count from the
 * first byte of the message that the indexer was given, that is, without the trace prefix that
 * barid keeps in front of a body; BODY[], BODY[HEADER] and RFC822.SIZE add the prefix themselves.
 *
 * Parts stand in pre-order. parts[0] is the message itself: its header is the message header. A
 * multipart's children are its parts; a message/rfc822 (or message/global) part that was descended
 * into has one child, the embedded message, whose header lies at the start of the parent's body.
 *
 * Invariants of a map from mime_index_finish and of one from mime_map_read:
 *  1. 1 <= n_parts, 0 <= n_fields, both within MIME_MAP_PARTS_MAX and MIME_MAP_FIELDS_MAX.
 *  2. header_off + header_len == body_off; all within the body of the parent; siblings do not
 *     overlap; the header and body of parts[0] are the whole message.
 *  3. Fields lie in the header of parts[0], in order, without overlap.
 *  4. envelope, body and bodystructure are each one parenthesised list of RFC 3501 tokens.
 *  5. Decoded texts, filenames and the preview are valid UTF-8 without NUL.
 *
 * Thread: a finished map is immutable; any number of threads may read it.
 */
#ifndef BARID_CODEC_MIME_MAP_H
#define BARID_CODEC_MIME_MAP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/ids.h"
#include "base/str.h"

#define MIME_MAP_PARTS_MAX  100000
#define MIME_MAP_FIELDS_MAX 100000
#define MIME_MAP_DEPTH_MAX  256
#define MIME_NO_PARENT	    UINT32_MAX

/* mime_map.flags */
enum {
	MIME_HEADER_8BIT = 1u << 0, /* a header (of any part) has bytes above 127 */
	MIME_BODY_8BIT = 1u << 1,   /* bytes above 127 outside the top-level header */
	MIME_HAS_NUL = 1u << 2,
	MIME_BARE_LF = 1u << 3,		   /* an LF without CR before it */
	MIME_LONG_LINE = 1u << 4,	   /* a line of more than 998 bytes */
	MIME_MISSING_DATE = 1u << 5,	   /* no Date field */
	MIME_MISSING_MESSAGE_ID = 1u << 6, /* no Message-ID field */
	MIME_DEFAULT_DATE = 1u << 7,	   /* the map uses the default of mime_index_defaults; */
	MIME_DEFAULT_MESSAGE_ID = 1u << 8, /* the caller must put the field into the prefix */
	MIME_BAD_DATE = 1u << 9,	   /* Date present but not understood: sent is 0 */
	MIME_CUT_DEPTH = 1u << 10,	   /* a part at the depth limit was not descended into */
	MIME_CUT_PARTS = 1u << 11,	   /* part limit: the rest belongs to the last part */
	MIME_CUT_OUTPUT = 1u << 12,	   /* output limit: the rest belongs to the last part */
	MIME_CUT_HEADER = 1u << 13,    /* a header limit: some fields are not (fully) in the map */
	MIME_CUT_TEXT = 1u << 14,      /* a decoded text or address list was shortened */
	MIME_UNCLOSED = 1u << 15,      /* a multipart without its close delimiter */
	MIME_NO_BLANK_LINE = 1u << 16, /* a header that ends without an empty line */
	MIME_FLAGS_ALL = (1u << 17) - 1
};

/* mime_part.flags */
enum {
	MIME_PART_MULTIPART = 1u << 0,	/* descended into as multipart (it may have no children) */
	MIME_PART_MESSAGE = 1u << 1,	/* descended into as message: exactly one child */
	MIME_PART_TEXT = 1u << 2,	/* a text leaf */
	MIME_PART_OPAQUE = 1u << 3,	/* a multipart or message that was not descended into:
					   BODYSTRUCTURE calls it application/octet-stream */
	MIME_PART_IS_MESSAGE = 1u << 4, /* parts[0], or the child of a MESSAGE part */
	MIME_PART_FLAGS_ALL = (1u << 5) - 1
};

enum mime_encoding {
	MIME_ENC_7BIT,
	MIME_ENC_8BIT,
	MIME_ENC_BINARY,
	MIME_ENC_BASE64,
	MIME_ENC_QP,
	MIME_ENC_UUENCODE, /* x-uuencode and its other names; decoded like 7bit */
	MIME_ENC_OTHER,	   /* unknown: decoded like 7bit, never searched */
	MIME_ENC_COUNT
};

enum mime_disposition {
	MIME_DISP_NONE,
	MIME_DISP_INLINE,
	MIME_DISP_ATTACHMENT,
	MIME_DISP_OTHER, /* to be handled as attachment (RFC 2183 2.8) */
	MIME_DISP_COUNT
};

struct mime_part {
	uint32_t parent;   /* index, MIME_NO_PARENT for parts[0] */
	uint32_t children; /* direct ones */
	uint32_t end;	   /* index after the last part below this one */
	uint32_t flags;
	uint64_t header_off;
	uint64_t header_len; /* with the empty line, if there is one */
	uint64_t body_off;
	uint64_t body_len; /* without the line break that belongs to the next delimiter */
	uint64_t lines;	   /* LFs in the body: BODYSTRUCTURE's line count */
	enum mime_encoding encoding;
	enum mime_disposition disposition;
	struct str type;     /* lower case, "text" when absent or broken */
	struct str subtype;  /* lower case */
	struct str charset;  /* as labelled, lower case; empty when absent */
	struct str filename; /* decoded, from Content-Disposition or else Content-Type's name; or
				empty */
};

struct mime_field {
	struct str name; /* as written, without blanks before the colon */
	uint64_t off;	 /* of the name's first byte */
	uint64_t len;	 /* up to and including the line break of its last line */
};

/* First mailbox of an address field, for SORT (RFC 5256, RFC 5957). Empty when absent. */
struct mime_first {
	struct str mailbox; /* the ENVELOPE's addr-mailbox: of a group its name */
	struct str display; /* decoded name, or mailbox@host */
};

struct mime_map {
	uint64_t size;	/* bytes */
	uint64_t lines; /* LFs */
	uint32_t flags;
	uint32_t n_parts;
	uint32_t n_fields;
	struct mime_part *parts;
	struct mime_field *fields; /* of the top-level header, in order */

	/* Rendered for FETCH. Each may hold literals ("{n}\r\n" and n bytes), never a NUL. */
	struct str envelope;
	struct str body;
	struct str bodystructure;

	/* Decoded and unfolded texts of the top-level header; address fields of one name are
	 * joined. */
	struct str subject, from, sender, to, cc, bcc;
	struct str message_id, in_reply_to, references;
	struct mime_first first_from, first_to, first_cc;

	/* The first words, one line (RFC 8970); empty when there are none. Not from the indexer:
	 * preview.h makes it from the bytes. */
	struct str preview;
	bool has_preview;

	struct wall_us sent; /* of Date; 0 when missing or not understood */
	int zone_min; /* Date's offset from UTC in minutes: sent + zone is the sender's clock */
};

enum mime_section {
	MIME_SECTION_ALL,    /* BODY[n]: the part's body; with an empty path the whole message */
	MIME_SECTION_HEADER, /* BODY[HEADER], BODY[n.HEADER]: only of messages */
	MIME_SECTION_TEXT,   /* BODY[TEXT], BODY[n.TEXT]: only of messages */
	MIME_SECTION_MIME,   /* BODY[n.MIME]: the part's own header; needs a path */
};

struct mime_range {
	uint64_t off;
	uint64_t len;
};

/*
 * Where the section `path` (n numbers from 1, RFC 3501 6.4.5) of a message lies. Returns
 * -FAIL_NOTFOUND when the message has no such section; the answer then is NIL or "".
 */
MUST_CHECK int mime_map_section(const struct mime_map *map, const uint32_t *path, size_t n,
				enum mime_section kind, struct mime_range *ret);

/*
 * The part that `path` names, for BINARY[n] and for decoding; parts[0] for an empty path.
 * NULL when there is none.
 */
const struct mime_part *mime_map_part(const struct mime_map *map, const uint32_t *path, size_t n);

/* The first field called `name` (ASCII case-insensitive) at or after *at; *at moves behind it. */
const struct mime_field *mime_map_field(const struct mime_map *map, struct str name, uint32_t *at);

/*
 * The binary form, about 200 bytes plus 15 per field and 40 per part plus the texts: version
 * byte, variable-length integers, strings. Layout in docs/formats/message-map.md.
 * Appends to @out; -FAIL_LIMIT when @out is full.
 */
MUST_CHECK int mime_map_write(const struct mime_map *map, struct buf *out);

/*
 * Read what mime_map_write wrote. `size` is the true size of the message that the map is for.
 * All invariants are checked, so a map from a broken or hostile writer cannot make the reader
 * leave the message or break the IMAP stream. Strings borrow from @in, arrays from @arena.
 *
 * -FAIL_CORRUPT	not a map, or not of a message of that size
 * -FAIL_UNSUPPORTED	written by a newer version
 * -FAIL_LIMIT		@arena is full
 */
MUST_CHECK int mime_map_read(struct str in, uint64_t size, struct arena *arena,
			     struct mime_map **ret, struct fail *why);

/* The rendered texts of a map. */
enum mime_text { MIME_TEXT_ENVELOPE, MIME_TEXT_BODY, MIME_TEXT_BODYSTRUCTURE };

/*
 * One rendered text out of what mime_map_write wrote, borrowed from @in: all that FETCH of it
 * needs, at a tenth of what mime_map_read costs. Of the invariants only 4 is checked, and only for
 * this text: nothing else of the map is looked at. Errors as mime_map_read, without FAIL_LIMIT.
 */
MUST_CHECK int mime_map_text(struct str in, uint64_t size, enum mime_text which, struct str *ret,
			     struct fail *why);

/* As mime_map_read, of which it is a part: is @text one list of RFC 3501 tokens and nothing else?
 */
bool mime_map_text_ok(struct str text);

#endif
