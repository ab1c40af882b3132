/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.h - between the files of `barid restore`.                                        [tools]
 */
#ifndef BARID_TOOLS_BARID_RESTORE_H
#define BARID_TOOLS_BARID_RESTORE_H

#include "tools/barid/backup.h"
#include "tools/barid/cli.h"

struct restore {
	const struct cli *cli;
	const char *dir; /* of the backups */
	const char *state;
	const char *generation; /* NULL = the newest that has it */
	const char *account, *mailbox, *into;
	bool in_place, hold_queue, keep_uidvalidity;
};
int restore_account(const struct restore *o); /* the exit code */

#endif
