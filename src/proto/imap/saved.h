/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saved.h - "$": what the last SEARCH RETURN (SAVE) found (RFC 5182, RFC 9051 6.4.4.1).
 *                                                                              [proto, imap]
 * Kept as UIDs: as ranges of messages that were neighbours when they were found. Such a range holds
 * no other message of the view, then or later (UIDs only grow), so nothing has to be done when
 * messages are expunged. The bytes are the exported form, too: for each range, ascending, two
 * numbers as varints (7 bits a byte, the lowest first, 0x80 = more follow): how far its first UID
 * is above the last one of the range before (0 at the beginning), and how many UIDs come behind
 * its first.
 */
#ifndef BARID_PROTO_IMAP_SAVED_H
#define BARID_PROTO_IMAP_SAVED_H

#include "base/arena.h"
#include "base/buf.h"
#include "service/store/store_view.h"

/* Two bytes for most ranges: every other one of 200,000 messages still fits. */
#define SAVED_MAX KIB(256)

struct saved_writer {
	struct buf *out; /* with SAVED_MAX; out->failed afterwards: it was too much */
	uint32_t last;	 /* UID that the last range ends with */
};
/* A number in 7 bits a byte, and back: in its shortest form, below 2^32, else c->bad. */
struct cursor;
void varint_put(struct buf *b, uint32_t v);
uint32_t varint_take(struct cursor *c);

/* UIDs above all that were written, first <= last. */
void saved_add(struct saved_writer *w, struct uid first, struct uid last);

/*
 * The ranges again, in the arena, ready for store_view_resolve by UID. Returns 0, -FAIL_LIMIT
 * (arena full), or -FAIL_CORRUPT for bytes that saved_add does not write.
 */
MUST_CHECK int saved_read(struct str bytes, struct arena *arena, struct store_ranges *ret,
			  struct fail *why);
/* Did saved_add write this? */
bool saved_valid(struct str bytes);

#endif
