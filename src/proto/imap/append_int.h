/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append_int.h - a message with NUL bytes as a mailbox can hold it (RFC 3516 4.4).  [proto, imap]
 *
 * FETCH BODY[] has to give back text, so a part that holds NUL is stored in base64 and its
 * Content-Transfer-Encoding says so; BINARY[] gives the client its bytes again. All other bytes
 * stay as they came.
 */
#ifndef BARID_PROTO_IMAP_APPEND_INT_H
#define BARID_PROTO_IMAP_APPEND_INT_H

#include "codec/mime/map.h"
#include "proto/imap/imap_int.h"

/*
 * Write `in`, whose map is `map`, anew into *ret, a sealed file that the caller owns. Memory does
 * not grow with the message. -FAIL_UNSUPPORTED: NUL where no encoding can help, in a header or in
 * a part that says that it is encoded already; answer NO [UNKNOWN-CTE].
 */
MUST_CHECK int append_binary(struct imap_session *s, const struct store_content *in,
			     const struct mime_map *map, struct store_body *ret, struct fail *why);

#endif
