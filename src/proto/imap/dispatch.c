/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.c - which function answers which command, in which state.           [proto, imap]
 *
 * The two last columns say what news of the selected mailbox may come before the tagged line.
 * RFC 3501 7.4.1 and 5.5: no EXPUNGE in FETCH, STORE and SEARCH; COPY is kept with them, because
 * clients pipeline it with STORE. MOVE, REPLACE and EXPUNGE by number tell their own removals.
 */
#include "proto/imap/imap_int.h"

#define WRITES (NEEDS_SELECTED | NEEDS_WRITABLE)

static const struct dispatch rows[IMAP_CMD_KIND_COUNT] = {
	[IMAP_CMD_CAPABILITY] = {cmd_capability, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_NOOP] = {cmd_noop, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_LOGOUT] = {cmd_logout, 0, SYNC_NONE, SYNC_NONE},
	[IMAP_CMD_ID] = {cmd_id, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_ENABLE] = {cmd_enable, 0, SYNC_NONE, SYNC_NONE},
	[IMAP_CMD_SELECT] = {cmd_select, 0, SYNC_NONE, SYNC_NONE},
	[IMAP_CMD_EXAMINE] = {cmd_select, 0, SYNC_NONE, SYNC_NONE},
	[IMAP_CMD_CREATE] = {cmd_create, NEEDS_RIGHT, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_DELETE] = {cmd_delete, NEEDS_RIGHT, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_RENAME] = {cmd_rename, NEEDS_RIGHT, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_SUBSCRIBE] = {cmd_subscribe, NEEDS_RIGHT, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_UNSUBSCRIBE] = {cmd_subscribe, NEEDS_RIGHT, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_LIST] = {cmd_list, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_XLIST] = {cmd_list, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_LSUB] = {cmd_lsub, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_STATUS] = {cmd_status, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_APPEND] = {cmd_append, NEEDS_RIGHT, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_NAMESPACE] = {cmd_namespace, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_NOTIFY] = {cmd_notify, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_IDLE] = {cmd_idle, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_GETQUOTA] = {cmd_getquota, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_GETQUOTAROOT] = {cmd_getquotaroot, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_SETQUOTA] = {cmd_setquota, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_GENURLAUTH] = {cmd_genurlauth, NEEDS_RIGHT, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_RESETKEY] = {cmd_resetkey, NEEDS_RIGHT, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_URLFETCH] = {cmd_urlfetch, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_GETACL] = {cmd_getacl, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_SETACL] = {cmd_setacl, NEEDS_RIGHT, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_DELETEACL] = {cmd_deleteacl, NEEDS_RIGHT, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_LISTRIGHTS] = {cmd_listrights, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_MYRIGHTS] = {cmd_myrights, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_GETMETADATA] = {cmd_getmetadata, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_SETMETADATA] = {cmd_setmetadata, NEEDS_RIGHT, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_COMPARATOR] = {cmd_comparator, 0, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_CHECK] = {cmd_noop, NEEDS_SELECTED, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_CLOSE] = {cmd_close, NEEDS_SELECTED, SYNC_NONE, SYNC_NONE},
	[IMAP_CMD_UNSELECT] = {cmd_unselect, NEEDS_SELECTED, SYNC_NONE, SYNC_NONE},
	[IMAP_CMD_EXPUNGE] = {cmd_expunge, WRITES, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_SEARCH] = {cmd_search, NEEDS_SELECTED, SYNC_NO_EXPUNGE, SYNC_ALL},
	[IMAP_CMD_ESEARCH] = {cmd_esearch, 0, SYNC_NO_EXPUNGE, SYNC_ALL},
	[IMAP_CMD_SORT] = {cmd_search, NEEDS_SELECTED, SYNC_NO_EXPUNGE, SYNC_ALL},
	[IMAP_CMD_THREAD] = {cmd_search, NEEDS_SELECTED, SYNC_NO_EXPUNGE, SYNC_ALL},
	[IMAP_CMD_CANCELUPDATE] = {cmd_cancelupdate, NEEDS_SELECTED, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_UIDBATCHES] = {cmd_uidbatches, NEEDS_SELECTED, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_FETCH] = {cmd_fetch, NEEDS_SELECTED, SYNC_NO_EXPUNGE, SYNC_ALL},
	[IMAP_CMD_STORE] = {cmd_store, WRITES, SYNC_NO_EXPUNGE, SYNC_ALL},
	[IMAP_CMD_COPY] = {cmd_copy, NEEDS_SELECTED | NEEDS_RIGHT, SYNC_NO_EXPUNGE, SYNC_ALL},
	[IMAP_CMD_MOVE] = {cmd_move, WRITES, SYNC_ALL, SYNC_ALL},
	[IMAP_CMD_REPLACE] = {cmd_replace, WRITES, SYNC_ALL, SYNC_ALL},
};

const struct dispatch *dispatch_find(enum imap_cmd_kind kind)
{
	return kind < IMAP_CMD_KIND_COUNT && rows[kind].run ? &rows[kind] : NULL;
}
