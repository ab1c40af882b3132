/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acl_table.c - the table of RFC 4314 section 4; MOVE (RFC 6851) and REPLACE (RFC 8508) are COPY or
 * APPEND, \Deleted and EXPUNGE.                                                [proto, imap]
 *
 * Rights that only make a command do less are not here, but where it does it: LIST (l), FETCH and
 * STORE and APPEND and COPY (s, t, w for flags), CLOSE (e).
 */
#include "proto/imap/acl_int.h"

#define ANY (IMAP_ACL_L | IMAP_ACL_R | IMAP_ACL_I | IMAP_ACL_K | IMAP_ACL_X | IMAP_ACL_A)
/* RFC 5464 section 3.3 */
#define NOTES (IMAP_ACL_R | IMAP_ACL_S | IMAP_ACL_W | IMAP_ACL_I | IMAP_ACL_P)

/* Rows of one command stand together. */
static const struct acl_rule rules[] = {
	{IMAP_CMD_CREATE, ACL_OF_PARENT, IMAP_ACL_K, 0},
	{IMAP_CMD_DELETE, ACL_OF_MAILBOX, IMAP_ACL_X, 0},
	{IMAP_CMD_RENAME, ACL_OF_MAILBOX, IMAP_ACL_X, 0},
	{IMAP_CMD_RENAME, ACL_OF_PARENT, IMAP_ACL_K, 0},
	{IMAP_CMD_SELECT, ACL_OF_MAILBOX, IMAP_ACL_R, 0},
	{IMAP_CMD_EXAMINE, ACL_OF_MAILBOX, IMAP_ACL_R, 0},
	{IMAP_CMD_STATUS, ACL_OF_MAILBOX, IMAP_ACL_R, 0},
	{IMAP_CMD_GETQUOTAROOT, ACL_OF_MAILBOX, IMAP_ACL_R, 0},
	{IMAP_CMD_SETACL, ACL_OF_MAILBOX, IMAP_ACL_A, 0},
	{IMAP_CMD_DELETEACL, ACL_OF_MAILBOX, IMAP_ACL_A, 0},
	{IMAP_CMD_GETACL, ACL_OF_MAILBOX, IMAP_ACL_A, 0},
	{IMAP_CMD_LISTRIGHTS, ACL_OF_MAILBOX, IMAP_ACL_A, 0},
	{IMAP_CMD_MYRIGHTS, ACL_OF_MAILBOX, 0, ANY},
	{IMAP_CMD_GETMETADATA, ACL_OF_MAILBOX, IMAP_ACL_L, NOTES},
	{IMAP_CMD_SETMETADATA, ACL_OF_MAILBOX, IMAP_ACL_L, NOTES},
	{IMAP_CMD_APPEND, ACL_OF_TARGET, IMAP_ACL_I, 0},
	{IMAP_CMD_COPY, ACL_OF_TARGET, IMAP_ACL_I, 0},
	{IMAP_CMD_MOVE, ACL_OF_SELECTED, IMAP_ACL_T | IMAP_ACL_E, 0},
	{IMAP_CMD_MOVE, ACL_OF_TARGET, IMAP_ACL_I, 0},
	{IMAP_CMD_REPLACE, ACL_OF_SELECTED, IMAP_ACL_T | IMAP_ACL_E, 0},
	{IMAP_CMD_REPLACE, ACL_OF_TARGET, IMAP_ACL_I, 0},
	{IMAP_CMD_EXPUNGE, ACL_OF_SELECTED, IMAP_ACL_E, 0},
};

const struct acl_rule *acl_rules(enum imap_cmd_kind kind, size_t *ret_n)
{
	size_t first = 0;
	while (first < ARRAY_LEN(rules) && rules[first].kind != kind)
		first++;
	*ret_n = 0;
	while (first + *ret_n < ARRAY_LEN(rules) && rules[first + *ret_n].kind == kind)
		++*ret_n;
	return rules + first;
}
