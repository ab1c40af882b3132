/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - the search index of this process's accounts.                      [roles, private to
 * user]
 */
#ifndef BARID_ROLES_USER_INDEX_H
#define BARID_ROLES_USER_INDEX_H

#include "runtime/conf.h"

struct role;

/* So much later than a message it is indexed, with what came meanwhile. */
#define INDEX_DELAY_NS (500 * MS_NS)

/* By the configuration; not begun yet. */
struct search *index_new(const struct role *role);
void index_configure(const struct conf *c);
/* A command asks how the index of an account's partition stands, or has it made again. */
struct tool;
struct ipc_packet;
void index_tool(struct tool *t, struct ipc_packet *p);
/* Its counters, as of now. */
void index_show(void);

#endif
