/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool.h - a command's connection: backup, restore, import, export.             [roles/user,
 * private]
 *
 * Master lets in root and its own user only, so a tool may act for every account of this shard. Its
 * questions are answered one after the other, on a thread; what it holds ends with its connection.
 */
#ifndef BARID_ROLES_USER_TOOL_H
#define BARID_ROLES_USER_TOOL_H

#include "roles/user/user.h"
#include "service/store/store_view.h"

#define TOOL_BODIES_MAX 64

struct tool {
	struct lane lane;
	struct job end;
	struct loop_task ended;
	bool holds;
	VEC(uint32_t) frozen;
	/* import: files being written */
	VEC(struct store_body) bodies;
	/* export: the mailbox that is read */
	struct store_view *view;
	struct account_id account;
	char *mailbox;
};

/* tool_import.c */
void tool_body_open(struct tool *t, struct ipc_packet *p);
void tool_import(struct tool *t, struct ipc_packet *p);
/* tool_acl.c */
void tool_acl(struct tool *t, struct ipc_packet *p);
/* tool_read.c */
void tool_boxes(struct tool *t, struct ipc_packet *p);
void tool_box_make(struct tool *t, struct ipc_packet *p);
void tool_box_read(struct tool *t, struct ipc_packet *p);
void tool_lost(struct tool *t, struct ipc_packet *p);
void tool_undelete(struct tool *t, struct ipc_packet *p);

#endif
