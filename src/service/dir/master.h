/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master.h - people who may log in to the accounts of others.                   [service/dir only]
 *
 * A master user has a name and a password of its own (barid_master), never a mailbox, and acts for
 * an account by the login name ACCOUNT*NAME, or by SASL PLAIN with the account as the
 * authorization identity. Off by default; bounded to the services of the configuration and of its
 * row. Each login is in the log with the master's name.
 */
#ifndef BARID_SERVICE_DIR_MASTER_H
#define BARID_SERVICE_DIR_MASTER_H

#include "auth_int.h"

/*
 * Is this login one of a master user? Then *ret_account is whom it wants to act for and
 * *ret_master its name; both borrowed from l. Says no when master users are off.
 */
bool master_named(const struct dir *d, const struct dir_login *l, struct str *ret_account,
		  struct str *ret_master);
/*
 * Is the master's password right, and may it log in here? 1, or 0 with g's reason. Computes a hash
 * also for a name that does not exist. Takes the lock.
 */
MUST_CHECK int master_verify(struct dir *d, const struct dir_login *l, struct str master,
			     struct dir_grant *g, struct fail *why);

#endif
