/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir_archive.h - the directory in a backup.                                  [service]
 */
#ifndef BARID_SERVICE_DIR_DIR_ARCHIVE_H
#define BARID_SERVICE_DIR_DIR_ARCHIVE_H

#include "base/fail.h"
#include "base/ids.h"
#include "base/str.h"

/* Copy vmail.db, which others may be writing, as it is at one moment; `to` must not exist. */
MUST_CHECK int dir_archive_copy(const char *from, const char *to, struct fail *why);
/* Structure of a copy. -FAIL_CORRUPT. */
MUST_CHECK int dir_archive_check(const char *path, struct fail *why);

/* The id that an address has, or (deleted users) had last. -FAIL_NOTFOUND. */
MUST_CHECK int dir_archive_account(const char *path, struct str address, struct account_id *ret,
				   struct fail *why);
/* The address that an id has or had, in `text`; empty when it is not known. */
void dir_archive_address(const char *path, struct account_id id, char text[324]);

/*
 * Users with their folder in the reference's layout: base is storagebasedirectory/storagenode.
 */
MUST_CHECK int dir_archive_users(const char *path,
				 int (*fn)(void *arg, struct str address, struct str base,
					   struct str maildir),
				 void *arg, struct fail *why);

/*
 * Bring back a deleted user's rows (mailbox, forwardings, copies; the domain when it is missing)
 * from a copy of the directory into the directory that serves. The user gets a new id. 1 = done,
 * 0 = the user exists: nothing changed. -FAIL_NOTFOUND: not in the copy.
 */
MUST_CHECK int dir_archive_restore_user(const char *live, const char *copy, struct str address,
					struct fail *why);

#endif
