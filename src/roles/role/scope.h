/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.h - whose management order it is.                                        [roles]
 */
#ifndef BARID_ROLES_ROLE_SCOPE_H
#define BARID_ROLES_ROLE_SCOPE_H

#include "base/arena.h"
#include "runtime/ipc/ipc.h"
#include "service/dir/scope.h"

/* From now on this thread speaks the language that the order asks for; NULL: its own again. */
void role_speak(const struct msg_admin *m);
/* The scope that master put into an order. Borrows from the message; the list is in the arena. */
MUST_CHECK int role_scope(const struct msg_admin *m, struct arena *a, struct dir_scope *ret,
			  struct fail *why);

#endif
