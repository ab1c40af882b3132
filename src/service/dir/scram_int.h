/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scram_int.h - rows of barid_scram, for scram.c and the app passwords.         [service/dir only]
 *
 * With the directory's lock held.
 */
#ifndef BARID_SERVICE_DIR_SCRAM_INT_H
#define BARID_SERVICE_DIR_SCRAM_INT_H

#include "scram.h"

/* All keys that count for the account whose password column is `stored`; n = 0: none. */
MUST_CHECK int scram_load(struct dir *d, struct account_id id, enum digest digest,
			  struct str stored, struct scram_keys *ret, struct fail *why);
/* Write k->key[0] with k's salt. */
MUST_CHECK int scram_store(struct dir *d, struct account_id id, enum digest digest,
			   struct str stored, const struct scram_keys *k, struct fail *why);
/* A fresh salt and the iterations of new keys. */
void scram_salt_new(const struct dir *d, struct scram_keys *ret);

#endif
