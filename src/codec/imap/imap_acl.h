/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_acl.h - the letters of RFC 4314's rights, and who they are given to.    [codec, pure]
 */
#ifndef BARID_CODEC_IMAP_ACL_H
#define BARID_CODEC_IMAP_ACL_H

#include "base/buf.h"
#include "base/fail.h"
#include "base/ids.h"

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

/* ---- what a list gives to somebody ------------------------------------------------------------
 */

/*
 * Identifiers: an address (of the account that had it when the entry was written), "$address" (the
 * members of an alias account), "anyone" and "authenticated"; each with "-" in front to take away.
 */
struct imap_acl_who {
	bool owner;
	struct account_id account; /* {0}: nobody who has logged in, but a stranger's mail */
	struct str groups; /* addresses of the alias accounts that he is a member of, a line each */
};
struct imap_acl_sum {
	uint32_t plus, minus;
	bool named; /* the owner, by his address */
};

/* Does the entry speak of him? `subject`: whose the address was. */
bool imap_acl_is_meant(const struct imap_acl_who *who, struct str identifier,
		       struct account_id subject);
/* Count the entry when it does. */
void imap_acl_add(struct imap_acl_sum *sum, const struct imap_acl_who *who, struct str identifier,
		  struct account_id subject, uint32_t rights);
/*
 * What all entries give together, less what those with "-" take. The owner has every right where no
 * entry names him, and never loses "l" and "a".
 */
uint32_t imap_acl_result(const struct imap_acl_sum *sum, const struct imap_acl_who *who);

/*
 * The form that is kept: lower case, "group=a@b" as "$a@b". `to` has room for identifier.n + 1
 * bytes. -FAIL_SYNTAX: neither an address nor a group, "anyone" or "authenticated".
 */
MUST_CHECK int imap_acl_canonical(struct str identifier, char *to, struct str *ret);

/* Is this the account of public mailboxes? `setting`: an address, a name in each domain, or empty.
 */
bool imap_acl_is_public(struct str setting, struct str address);

/* Everybody who has logged in; "anyone" is strangers, too. */
bool imap_acl_is_everybody(struct str identifier);

#endif
