/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs_fault.h - a file system that fails on command and loses power.            [sys, tests only]
 *
 * It passes every call on to fs_real() and remembers, for the files and names below one folder
 * that were changed through it, what was last synced. Rules make chosen calls fail, slow, or cut
 * the power. After a power cut the folder on disk looks as after a power failure, and every later
 * call of this fs fails with EIO; the test then opens the folder with fs_real().
 *
 *     for (uint64_t n = 1;; n++) {
 *             struct fs_fault *f = fs_fault_new(folder, n);
 *             fs_fault_add(f, &(struct fs_fault_rule){.nth = n, .what = FS_FAULT_CUT});
 *             ... the code under test with fs_fault_fs(f) ...
 *             bool fired = fs_fault_fired(f);
 *             fs_fault_free(f);
 *             ... check what fs_real() finds ...
 *             if (!fired) break;
 *     }
 *
 * The model. Data: fs_datasync and fs_sync make a file's bytes and size durable; what was written
 * since then is lost or kept per 512-byte sector. Names: fs_sync_dir makes the folder's changes
 * durable; a rename between two folders needs both. A rename is atomic. The file itself being
 * synced does not make its name durable. A folder that is lost takes its content along.
 * Not modelled: mmap, writes through descriptors used behind its back, renamed folders.
 * Thread-safe.
 */
#ifndef BARID_SYS_FS_FAULT_H
#define BARID_SYS_FS_FAULT_H

#include "sys/fs.h"

struct fs_fault;

enum fs_cut_mode {
	FS_CUT_DROP, /* nothing un-synced survives */
	FS_CUT_KEEP, /* everything survives */
	FS_CUT_TORN, /* each un-synced sector, size and name survives or not, by the seed */
};

enum fs_fault_what {
	FS_FAULT_EIO,
	FS_FAULT_ENOSPC,
	FS_FAULT_SHORT,	  /* a write stores half of its bytes, then ENOSPC; other calls EIO */
	FS_FAULT_LATENCY, /* waits latency_us, then works */
	FS_FAULT_CUT,	  /* the power goes: a change is made but not durable, a sync not made */
};

struct fs_fault_rule {
	enum fs_op op; /* FS_OP_ANY: every kind counts */
	uint64_t nth;  /* the first call it hits, from 1, counted per op (or over all) */
	bool onwards;  /* and every one after it */
	enum fs_fault_what what;
	enum fs_cut_mode cut;
	uint32_t latency_us;
};

/*
 * `folder` must exist and be used by nobody else; a folder "<folder>.fault" is made beside it and
 * removed again.
 */
struct fs_fault *fs_fault_new(const char *folder, uint64_t seed);
void fs_fault_free(struct fs_fault *f);
struct fs *fs_fault_fs(struct fs_fault *f);

/* At most 8 rules; counting starts at fs_fault_new or the last fs_fault_recount. */
void fs_fault_add(struct fs_fault *f, const struct fs_fault_rule *rule);
void fs_fault_recount(struct fs_fault *f); /* calls = 0, rules forgotten */
uint64_t fs_fault_calls(struct fs_fault *f, enum fs_op op);
bool fs_fault_fired(struct fs_fault *f); /* a rule has hit */

/* Cut the power now. */
void fs_fault_power_cut(struct fs_fault *f, enum fs_cut_mode mode);

#endif
