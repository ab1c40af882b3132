/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest.h - which sessions have been quiet for so long that they should give memory back.
 *                                                                       [roles, role user; loop]
 */
#ifndef BARID_ROLES_USER_REST_H
#define BARID_ROLES_USER_REST_H

#include "base/list.h"
#include "runtime/loop.h"

struct rest {		  /* of a session */
	struct list link; /* list_init before its first use */
	struct mono_ns since;
};

/* `put` is called on the loop when it is time for one. */
void rest_begin(void (*put)(struct rest *r));
/* The session has something to do: it rests when it has had nothing for a while. */
void rest_awake(struct rest *r);
/* The session ends. */
void rest_forget(struct rest *r);

#endif
