/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_acl.h - who else may do what with a mailbox.                          [service, role user]
 *
 * A list of (identifier, rights) belongs to a mailbox: it stays when that is renamed, goes when it
 * is deleted, and a new mailbox begins with a copy of its parent's. The store keeps what it is
 * given; what identifiers and rights mean is the caller's.
 *
 * A viewer is an account that looks at a mailbox of another one. What it has seen is its own, in
 * rows beside the messages (store_view_open_as, store_append.viewer). Threads, promises and common
 * errors as in store.h.
 */
#ifndef BARID_SERVICE_STORE_STORE_ACL_H
#define BARID_SERVICE_STORE_STORE_ACL_H

#include "service/store/store.h"

#define STORE_ACL_MAX	     200u /* entries of a mailbox */
#define STORE_IDENTIFIER_MAX 321u /* bytes */

struct store_acl_entry {
	struct mailbox_id mailbox;
	struct str identifier;
	struct account_id subject; /* whose it was when it was written; {0}: no account's */
	uint32_t rights;	   /* bits, the caller's */
};
struct store_acl {
	struct store_acl_entry *p; /* by mailbox and identifier */
	size_t n;
};

/* The list of a mailbox, or with an empty name of all mailboxes of the account, in `arena`.
 * -FAIL_NOTFOUND: no such mailbox; a \Noselect name is fine. */
MUST_CHECK int store_acl_get(struct store *s, struct account_id account, struct str mailbox,
			     struct arena *arena, struct store_acl *ret, struct fail *why);

/* The same for a mailbox that is known by its id. */
MUST_CHECK int store_acl_of(struct store *s, struct account_id account, struct mailbox_id mailbox,
			    struct arena *arena, struct store_acl *ret, struct fail *why);

enum store_acl_how {
	STORE_ACL_SET,	  /* the rights are these */
	STORE_ACL_ADD,	  /* to what is there */
	STORE_ACL_REMOVE, /* from what is there */
	STORE_ACL_DELETE, /* the entry goes */
};
/*
 * Change one entry; adding to one that is not there makes it, removing from it does nothing. Fine
 * when nothing changes. -FAIL_NOTFOUND; -FAIL_LIMIT: STORE_ACL_MAX entries are there.
 */
struct store_acl_change {
	struct account_id account;
	struct str mailbox;
	struct str identifier;	   /* compared byte by byte */
	struct account_id subject; /* beside it; what is there for another one counts for nothing */
	enum store_acl_how how;
	uint32_t rights;
};
MUST_CHECK int store_acl_change(struct store *s, const struct store_acl_change *c,
				struct fail *why);

/* How many live messages of this mailbox the viewer has not seen. -FAIL_NOTFOUND. */
MUST_CHECK int store_unseen_of(struct store *s, struct account_id account,
			       struct mailbox_id mailbox, struct account_id viewer, uint32_t *ret,
			       struct fail *why);

/* The account is gone for good: in no mailbox is anything its own any more, and no list gives it
 * anything. */
MUST_CHECK int store_viewer_forget(struct store *s, struct account_id viewer, struct fail *why);

#endif
