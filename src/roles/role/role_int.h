/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role_int.h - what the files of this folder share.                          [roles, private]
 */
#ifndef BARID_ROLES_ROLE_ROLE_INT_H
#define BARID_ROLES_ROLE_ROLE_INT_H

#include "roles/role/role.h"

/* The snapshot that a descriptor of master holds. */
MUST_CHECK int role_conf_read(int fd, const struct conf **ret, struct fail *why);
/* prepare, commit, forget. */
void role_conf_message(struct role *role, struct ipc_packet *p);

/* role_log.c: lines that were left out are told on this role's loop. */
void role_log_begin(struct role *role);
/* memory.c: give back to the system what a busy time has left. Loop. */
void role_memory_begin(void);
void role_memory_busy(struct role *role); /* there is something to do */

/* hold.c */
void role_hold(struct role *role, struct ipc_packet *p); /* owns p */

#endif
