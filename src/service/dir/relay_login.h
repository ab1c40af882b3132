/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_login.h - how barid itself logs in at relay hosts.                     [service/dir only]
 *
 * Passwords that must be shown to another server cannot be hashed. They are sealed with the
 * directory's key (dir_key.h), each bound to the row that it belongs to, and leave the directory
 * only for the relay role, for the very next hop that they are for. No order shows them.
 */
#ifndef BARID_SERVICE_DIR_RELAY_LOGIN_H
#define BARID_SERVICE_DIR_RELAY_LOGIN_H

#include "dir_int.h"

/* barid_relay_login.account of the host in the setting relay_host. */
#define RELAY_LOGIN_DEFAULT "default"

/* Set, or replace. `account` is that of sender_relayhost, or the above. An order is under way. */
MUST_CHECK int relay_login_set(struct dir *d, struct str account, struct str username,
			       struct str password, struct str now, struct fail *why);

#endif
