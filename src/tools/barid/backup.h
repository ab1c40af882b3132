/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.h - between backup, verification and restore.                                     [tools]
 */
#ifndef BARID_TOOLS_BARID_BACKUP_H
#define BARID_TOOLS_BARID_BACKUP_H

#include "service/store/store.h"
#include "tools/barid/repo.h"
#include "tools/barid/tool.h"

/* STATE/blob/xx/<id>.<account>, or .q: docs/formats/blob-tree.md */
void blob_name(const char *state, const struct repo_body *b, char path[4200]);

/* `generation` NULL = all. Prints what is damaged and whom it concerns; the exit code. */
int backup_verify(const char *dir, const char *generation, bool repair);

/* The newest generation that has what is asked for: the account (0 = the whole server, else an
 * address), or the one named. -FAIL_NOTFOUND. */
MUST_CHECK int backup_choose(struct repo *repo, const char *name, const char *address,
			     struct repo_generation *ret, struct fail *why);

#endif
