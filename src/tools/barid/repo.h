/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repo.h - the folder that holds backups (docs/formats/backup.md).                         [tools]
 *
 * Objects (blocks of databases, bodies) are named by the SHA-256 of their content and written once.
 * A generation is a list of what belongs to one backup, and counts from the moment it has its name.
 * An object gets its name when its bytes are on disk: so whatever is there is whole.
 */
#ifndef BARID_TOOLS_BARID_REPO_H
#define BARID_TOOLS_BARID_REPO_H

#include "base/auto.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/ids.h"
#include "base/vec.h"

#define REPO_BLOCK    KIB(256)
#define REPO_PATH_MAX 4200

struct repo_hash {
	unsigned char b[32];
};

struct repo;
/*
 * create: make the folder when it is missing or empty. `write` locks it for us alone.
 * -FAIL_NOTFOUND: no backups there; -FAIL_BUSY: another command writes; -FAIL_UNSUPPORTED: of a
 * newer barid; -FAIL_EXISTS: the folder holds something else.
 */
MUST_CHECK int repo_open(const char *dir, bool write, bool create, struct repo **ret,
			 struct fail *why);
void repo_close(struct repo *r); /* NULL is fine */
DEFINE_AUTO_PTR(repo, struct repo, repo_close);
/* A name for a file of ours; such files go when the repository is closed, or opened again. */
void repo_temp(const struct repo *r, const char *name, char path[REPO_PATH_MAX]);

/* ---- objects ---- */

struct repo_counts {
	uint64_t new_objects, new_bytes; /* plain */
	uint64_t stored_bytes;		 /* as written */
	uint64_t old_bytes;		 /* were there */
};
const struct repo_counts *repo_counts(const struct repo *r);

MUST_CHECK int repo_put_block(struct repo *r, struct str bytes, struct repo_hash *ret,
			      struct fail *why);
MUST_CHECK int repo_get_block(struct repo *r, const struct repo_hash *h, struct buf *ret,
			      struct fail *why);
/* -FAIL_CORRUPT: the file at `path` is not what its name and rows say. */
MUST_CHECK int repo_put_body(struct repo *r, const char *path, const struct repo_hash *h,
			     uint64_t size, struct fail *why);
/* Its file; -FAIL_NOTFOUND. */
MUST_CHECK int repo_body_path(struct repo *r, const struct repo_hash *h, char path[REPO_PATH_MAX],
			      struct fail *why);
/* Read it through. -FAIL_NOTFOUND, -FAIL_CORRUPT. */
MUST_CHECK int repo_check_body(struct repo *r, const struct repo_hash *h, uint64_t size,
			       struct fail *why);
/* Move a damaged object aside, so that the next backup writes it again. */
void repo_discard(struct repo *r, const struct repo_hash *h, bool body);
/* Copy a file's bytes, shared where the file system can. Both are left at their ends. */
MUST_CHECK int repo_copy(int from, int to, struct fail *why);

/* ---- generations ---- */

struct repo_file {
	char *name; /* "store/part-003.db", "etc/barid.conf" */
	uint64_t size;
	uint32_t mode;
	size_t first, n; /* blocks */
};
struct repo_body {
	struct repo_hash hash;
	uint64_t size;
	unsigned char id[16];
	uint64_t account; /* 0 = queue's */
};
struct repo_generation {
	char name[32]; /* "20261122T030405Z" */
	struct wall_us taken;
	bool online;
	uint64_t account; /* 0 = the whole server */
	char address[324], mailbox[1004];
	uint32_t partitions;
	char spool_epoch[40]; /* hexadecimal; empty when there was no spool */
	VEC(struct repo_file) files;
	VEC(struct repo_hash) blocks;
	VEC(struct repo_body) bodies;
	VEC(char *) bad; /* what could not be copied */
};
void repo_generation_clear(struct repo_generation *g);
DEFINE_AUTO(repo_generation, struct repo_generation, repo_generation_clear);

/* Append a file's bytes as blocks. */
MUST_CHECK int repo_add_file(struct repo *r, struct repo_generation *g, const char *name, int fd,
			     uint32_t mode, struct fail *why);
/* fn hears of each block of repo_add_file. */
void repo_watch(struct repo *r, void (*fn)(void *arg, uint64_t bytes), void *arg);
/* Everything synced, then the list gets its name. */
MUST_CHECK int repo_commit(struct repo *r, struct repo_generation *g, struct fail *why);

struct repo_names {
	char **p;
	size_t n;
};
/* Oldest first. */
MUST_CHECK int repo_list(struct repo *r, struct repo_names *ret, struct fail *why);
void repo_names_clear(struct repo_names *n);
DEFINE_AUTO(repo_names, struct repo_names, repo_names_clear);
/* -FAIL_NOTFOUND, -FAIL_CORRUPT, -FAIL_UNSUPPORTED. */
MUST_CHECK int repo_read(struct repo *r, const char *name, struct repo_generation *ret,
			 struct fail *why);
const struct repo_file *repo_find(const struct repo_generation *g, const char *name);
/* Write a file of a generation to `path`, which must not exist; each block is checked. */
MUST_CHECK int repo_extract(struct repo *r, const struct repo_generation *g,
			    const struct repo_file *f, const char *path, struct fail *why);

struct repo_pruned {
	size_t generations, objects;
	uint64_t bytes;
};
/* Keep the newest `keep` generations of each scope, and the objects that they name. */
MUST_CHECK int repo_prune(struct repo *r, size_t keep, struct repo_pruned *ret, struct fail *why);

#endif
