/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acl_int.h - what a session may do with a mailbox (RFC 4314).                 [proto, imap]
 *
 * acl_table.c says which rights a command needs, acl.c what a session has.
 */
#ifndef BARID_PROTO_IMAP_ACL_INT_H
#define BARID_PROTO_IMAP_ACL_INT_H

#include "codec/imap/imap_acl.h"
#include "proto/imap/imap_int.h"
#include "service/store/store_acl.h"

/* ---- acl_table.c: RFC 4314 section 4 ------------------------------------------------------- */

/* Whose rights are meant. */
enum acl_of {
	ACL_OF_MAILBOX,	 /* that the command names */
	ACL_OF_TARGET,	 /* of APPEND, COPY, MOVE: without rights it is as if it did not exist */
	ACL_OF_PARENT,	 /* nearest existing one above the new name */
	ACL_OF_SELECTED, /* the mailbox that is selected */
};
struct acl_rule {
	enum imap_cmd_kind kind;
	enum acl_of of;
	uint32_t all; /* each of these is needed, */
	uint32_t any; /* and, unless 0, one of these */
};
/* All of a command's; n = 0: none is needed. */
const struct acl_rule *acl_rules(enum imap_cmd_kind kind, size_t *ret_n);

/* ---- acl.c --------------------------------------------------------------------------------- */

/* May the command run, as far as rights go? A mailbox that is not there is not this one's matter;
 * one that may not be seen is not there. */
MUST_CHECK int acl_admit(struct imap_session *s, struct fail *why);
/* The first mailbox that a command names; NULL: it names none. */
struct str *acl_name_in(struct imap_cmd *cmd);
/* Look at the rights of the selected mailbox again. */
MUST_CHECK int acl_refresh(struct imap_session *s, struct fail *why);
/* -FAIL_NOTFOUND when there is no such mailbox. */
MUST_CHECK int acl_rights_of(struct imap_session *s, struct str mailbox, uint32_t *ret,
			     struct fail *why);
/* Out of a list that holds all mailboxes' entries (of an account). */
uint32_t acl_rights_in(const struct imap_session *s, const struct store_acl *acl,
		       struct mailbox_id mailbox);
/* Of the selected mailbox, as they were when they were last looked at. */
MUST_CHECK int acl_selected(struct imap_session *s, uint32_t *ret, struct fail *why);

/* The flags that these rights let one change: bits as the store has them, all keywords or none. */
uint64_t acl_flags_of(uint32_t rights);
/* Leave what may not be set. *ret_left: something stays, or nothing was there. Keywords that stay
 * are all or none. */
struct store_flagset acl_filter(struct store_flagset flags, uint32_t rights, bool *ret_left);
/* How a mailbox is opened with these rights. */
struct store_view_as acl_view_as(const struct imap_session *s, uint32_t rights, bool examine);
/* RFC 4314 5.2: does SELECT, of the view that is open, say READ-WRITE? */
bool acl_is_read_write(const struct imap_session *s, uint32_t rights);

/* "* MYRIGHTS name lr" */
void write_myrights(const struct imap_session *s, struct imap_out *out, struct str name,
		    uint32_t rights);

#endif
