/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool_archive.h - the spool in a backup.                                    [service, role queue]
 */
#ifndef BARID_SERVICE_SPOOL_SPOOL_ARCHIVE_H
#define BARID_SERVICE_SPOOL_SPOOL_ARCHIVE_H

#include "service/spool/spool.h"

/* ---- of the running spool ---- */

/* As long as it is on (it counts), no body file loses its name. */
void spool_keep_bodies(struct spool *sp, bool on);
/* spool.db, complete in itself, unchanged until spool_snapshot_end; *ret_fd is the caller's.
 * -FAIL_BUSY: another backup has it. */
MUST_CHECK int spool_snapshot(struct spool *sp, int *ret_fd, uint64_t *ret_size, struct fail *why);
/* -FAIL_CONFLICT: it did change after all. */
MUST_CHECK int spool_snapshot_end(struct spool *sp, struct fail *why);

/* ---- of a file on its own ---- */

struct spool_archive;
/* frozen: nobody writes it, it is only read; else a copy that is the caller's alone. */
MUST_CHECK int spool_archive_open(const char *path, bool frozen, struct spool_archive **ret,
				  struct fail *why);
void spool_archive_close(struct spool_archive *a); /* NULL is fine */
DEFINE_AUTO_PTR(spool_archive, struct spool_archive, spool_archive_close);

const uint8_t *spool_archive_epoch(const struct spool_archive *a); /* as it was opened */

struct spool_archive_file { /* `<id>.q` */
	unsigned char id[16];
	uint64_t size;
	unsigned char sha256[32];
};
MUST_CHECK int spool_archive_files(struct spool_archive *a,
				   int (*fn)(void *arg, const struct spool_archive_file *f),
				   void *arg, struct fail *why);
/* Will this recipient be delivered to (again)? */
bool spool_archive_pending(struct spool_archive *a, uint64_t number, uint64_t rcpt);
MUST_CHECK int spool_archive_check(struct spool_archive *a, struct fail *why);
/*
 * Put it back: a new epoch, so that numbers which the lost server gave after the backup name other
 * deliveries. `hold`: nothing is delivered before the operator releases it.
 */
MUST_CHECK int spool_archive_renew(struct spool_archive *a, const uint8_t epoch[SPOOL_EPOCH_LEN],
				   bool hold, struct fail *why);

#endif
