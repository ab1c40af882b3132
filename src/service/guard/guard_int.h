/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_int.h - what the files of this folder share.                        [service/guard]
 */
#ifndef BARID_SERVICE_GUARD_GUARD_INT_H
#define BARID_SERVICE_GUARD_GUARD_INT_H

#include "base/list.h"
#include "base/map.h"
#include "runtime/db/db.h"
#include "service/guard/guard.h"
#include <pthread.h>

/* networks.c: where accounts were lately, in memory. Any thread. */
struct networks {
	pthread_mutex_t lock;
	struct map accounts;
	struct list order;
	unsigned n;
};
void networks_init(struct networks *all);
void networks_clear(struct networks *all);
void networks_note(struct networks *all, struct account_id account, uint64_t net, int64_t now_us);
/* How many since then. */
unsigned networks_count(struct networks *all, struct account_id account, int64_t since_us);
void networks_forget(struct networks *all, struct account_id account);

struct guard {
	pthread_mutex_t lock;
	struct db *db;
	int64_t swept_us; /* when old rows were last removed */
	struct networks networks;
};

/* With the lock held: run one statement with these numbers as ?1, ?2 ... */
MUST_CHECK int guard_run(struct guard *g, const char *sql, const int64_t *v, size_t n,
			 struct fail *why);
/* The same, and the first column of its first row; 0 when there is none. */
MUST_CHECK int guard_number(struct guard *g, const char *sql, const int64_t *v, size_t n,
			    int64_t *ret, struct fail *why);

#endif
