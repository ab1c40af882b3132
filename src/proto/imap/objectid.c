/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objectid.c - the names under which clients know messages, threads and mailboxes (RFC 8474).
 *                                                                              [proto, imap]
 *
 * Ids of the store are never given twice. A mailbox's name has its UIDVALIDITY as well: where an
 * import or a restore changes that, the mailbox is another one to its clients.
 */
#include "proto/imap/imap_int.h"

#define LLX(x) ((unsigned long long)(x))

void write_emailid(struct buf *b, struct message_id id)
{
	buf_addf(b, "M%llx", LLX(id.v));
}

void write_threadid(struct buf *b, struct message_id first)
{
	buf_addf(b, "T%llx", LLX(first.v));
}

void write_mailboxid(struct buf *b, struct mailbox_id id, uint32_t uidvalidity)
{
	buf_addf(b, "F%llx-%x", LLX(id.v), uidvalidity);
}

bool is_emailid(struct str text, struct message_id id)
{
	AUTO(buf) struct buf b = BUF_INIT(64);
	write_emailid(&b, id);
	return str_eq(text, buf_str(&b));
}

bool is_threadid(struct str text, struct message_id first)
{
	AUTO(buf) struct buf b = BUF_INIT(64);
	write_threadid(&b, first);
	return str_eq(text, buf_str(&b));
}
