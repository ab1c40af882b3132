/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlsbook_int.h - what the files of this folder share.                   [service/tlsbook]
 */
#ifndef BARID_SERVICE_TLSBOOK_TLSBOOK_INT_H
#define BARID_SERVICE_TLSBOOK_TLSBOOK_INT_H

#include "base/map.h"
#include "runtime/db/db.h"
#include "service/tlsbook/tlsbook.h"
#include <pthread.h>

struct tlsbook {
	pthread_mutex_t lock; /* guards all of it */
	struct db *db;
	struct strmap counts; /* struct kind by its key */
};

/* With the lock held. */
MUST_CHECK int tlsbook_write_counts(struct tlsbook *b, struct wall_us now, struct fail *why);
void tlsbook_drop_counts(struct tlsbook *b);

#endif
