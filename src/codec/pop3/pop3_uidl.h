/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3_uidl.h - names of messages that never change.                           [codec, pure]
 *
 * RFC 1939 section 7, UIDL: 1 to 70 bytes from 0x21 to 0x7E. A format is a text with %u (the UID),
 * %v (the UIDVALIDITY), each in decimal or, with X or x in front of the letter's place, in
 * hexadecimal, and with a width: "%08Xu%08Xv" is what Dovecot makes by default. So a mailbox that
 * came from there with its UIDs keeps the names that its clients know.
 */
#ifndef BARID_CODEC_POP3_UIDL_H
#define BARID_CODEC_POP3_UIDL_H

#include "base/buf.h"

#define POP3_UIDL_MAX	 70
#define POP3_UIDL_FORMAT "%08Xu%08Xv"

/* Is this a format, with %u in it, whose names are never too long? */
bool pop3_uidl_format_good(struct str format);
/* Append the name; the format is good. */
void pop3_uidl_write(struct buf *out, struct str format, uint32_t uid, uint32_t uidvalidity);
/* May this be the name of a message, as another server gave it? */
bool pop3_uidl_good(struct str name);

#endif
