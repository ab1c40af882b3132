/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repo_int.h - between the files of the repository.                                [tools, private]
 */
#ifndef BARID_TOOLS_BARID_REPO_INT_H
#define BARID_TOOLS_BARID_REPO_INT_H

#include "base/map.h"
#include "tools/barid/repo.h"

#define REPO_NAME_MAX 96

struct repo_waiting { /* written, not synced */
	char *from, *to;
};
struct repo {
	char *dir;
	int lock_fd;
	char temp_dir[REPO_PATH_MAX];
	bool own_temp;
	uint64_t temp; /* number of the next file in tmp/ */
	VEC(struct repo_waiting) waiting;
	uint64_t waiting_bytes;
	struct strmap by_name; /* of waiting: `to` */
	struct buf pack;
	struct repo_counts counts;
	void (*seen)(void *arg, uint64_t bytes);
	void *seen_arg;
};

/* Sync what waits and give it its names. */
MUST_CHECK int repo_sync(struct repo *r, struct fail *why);

#endif
