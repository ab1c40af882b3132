/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_acl.h - the letters of RFC 4314's rights, and who they are given to.    [codec, pure]
 */
#ifndef BARID_CODEC_IMAP_ACL_H
#define BARID_CODEC_IMAP_ACL_H

#include "base/buf.h"
#include "base/fail.h"

/* RFC 4314 section 2.1. */
enum imap_acl_right {
	IMAP_ACL_L = 1u << 0,  /* lookup: the mailbox is listed */
	IMAP_ACL_R = 1u << 1,  /* read */
	IMAP_ACL_S = 1u << 2,  /* \Seen */
	IMAP_ACL_W = 1u << 3,  /* other flags */
	IMAP_ACL_I = 1u << 4,  /* insert messages */
	IMAP_ACL_P = 1u << 5,  /* post to its address */
	IMAP_ACL_K = 1u << 6,  /* make mailboxes below */
	IMAP_ACL_X = 1u << 7,  /* delete the mailbox */
	IMAP_ACL_T = 1u << 8,  /* \Deleted */
	IMAP_ACL_E = 1u << 9,  /* expunge */
	IMAP_ACL_A = 1u << 10, /* change the list */
};
#define IMAP_ACL_ALL	    0x7ffu
#define IMAP_ACL_IDENTIFIER 320u /* bytes */

/*
 * Letters to bits; "c" stands for "kx", "d" for "te" (2.1.1). -FAIL_SYNTAX for everything else: a
 * right that is not known must not be passed over.
 */
MUST_CHECK int imap_rights_parse(struct str letters, uint32_t *ret);
/* "lrswipkxtea", as commands have it; "" quoted for none. */
void imap_rights_write(struct buf *out, uint32_t rights);
/* "lrswipkxtecda": for responses, with the virtual "c" and "d" where one of theirs is set. */
void imap_rights_write_all(struct buf *out, uint32_t rights);

/* Can this stand in a list? UTF-8 without controls, not empty, nor a mere "-". */
bool imap_acl_identifier_ok(struct str identifier);

#endif
