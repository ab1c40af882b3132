/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url_int.h - tokens of URLs (RFC 4467).                                       [proto, imap]
 */
#ifndef BARID_PROTO_IMAP_URL_INT_H
#define BARID_PROTO_IMAP_URL_INT_H

#include "codec/imap/imap_url.h"
#include "proto/imap/imap_int.h"

#define URL_MECHANISM "INTERNAL"

/* The token of a URL that begins with `rump`, by the key of its mailbox. */
void url_token_write(struct buf *out, const unsigned char key[STORE_URL_KEY_LEN], struct str rump);

/*
 * What a relative URL names (imap_url_parse_relative), as the session's user reads it now: appended
 * to *ret. Does not set \Seen. -FAIL_NOTFOUND, -FAIL_TOOBIG (more than `max` octets).
 */
MUST_CHECK int url_message_read(struct imap_session *s, const struct imap_url *u, uint64_t max,
				struct imap_out *ret, struct fail *why);

#endif
