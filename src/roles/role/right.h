/* SPDX-License-Identifier: Apache-2.0 */
/*
 * right.h - what a session acts by, in the roles that act: dir's ticket.            [roles]
 *
 * dir ends a session when its right ends, as long as it knows of it. So who holds a session says
 * when it has ended, shows its ticket to a dir that was restarted, and asks before one goes on that
 * is opened again from its sealed state. Edge has no say in this.
 */
#ifndef BARID_ROLES_ROLE_RIGHT_H
#define BARID_ROLES_ROLE_RIGHT_H

#include "base/fail.h"
#include "base/ids.h"
#include "base/str.h"

struct role;

#define RIGHT_TICKET_MAX 160

struct right {
	unsigned char n; /* 0: nobody has logged in */
	char ticket[RIGHT_TICKET_MAX];
};

/* False: the ticket is too long, or empty. */
bool right_set(struct right *r, struct str ticket);
/* The session has ended. Any thread. */
void right_over(struct role *role, uint64_t session, const struct right *r);
/* May it go on, opened again from the state of this account? Blocks; a worker thread. */
MUST_CHECK int right_renew(struct role *role, uint64_t session, struct account_id account,
			   const struct right *r, struct fail *why);

/* To a dir that was restarted: all that is held, then right_shown. */
struct right_show {
	struct role *role;
	size_t n;
	struct {
		uint64_t session;
		struct right right;
	} some[100];
};
void right_show(struct right_show *all, uint64_t session, const struct right *r);
void right_shown(struct right_show *all);

#endif
