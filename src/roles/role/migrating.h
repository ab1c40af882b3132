/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrating.h - let a role tell how it brings its databases forward.                 [roles]
 */
#ifndef BARID_ROLES_ROLE_MIGRATING_H
#define BARID_ROLES_ROLE_MIGRATING_H

#include "roles/role/role.h"

/* In ops->open of a role with a database, before it opens any. */
void role_show_migrations(struct role *role);

#endif
