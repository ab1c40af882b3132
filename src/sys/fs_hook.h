/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs_hook.h - what stands before the real files of a whole server under test.       [sys]
 *
 * Every call that reaches fs_real() goes through the hooks that were added, the youngest first; so
 * do the calls of SQLite's own VFS (runtime/db/vfs_shared.c), whose fs_call has no file, but a path
 * and a `perform` of its own. Nothing unless compiled with BARID_CRASH_POINTS=1; then one load
 * while there is no hook.
 *
 *     static int call(struct fs_hook *h, struct fs_call *c, struct fail *why)
 *     {
 *             note(c);
 *             return fs_hook_pass(h, c, why);
 *     }
 *     static struct fs_hook hook = {.call = call};
 *     fs_hook_add(&hook);
 */
#ifndef BARID_SYS_FS_HOOK_H
#define BARID_SYS_FS_HOOK_H

#include "sys/fs.h"

struct fs_hook {
	/* Carries c out by fs_hook_pass, or fails in its place. From any thread. */
	int (*call)(struct fs_hook *h, struct fs_call *c, struct fail *why);
	struct fs_hook *next_;
};

/* h stays for ever. False when the build has no crash points. Thread-safe. */
bool fs_hook_add(struct fs_hook *h);
/* What comes behind h: the hook added before it, in the end the files themselves. */
int fs_hook_pass(struct fs_hook *h, struct fs_call *c, struct fail *why);

/* For sys/fs.c: the first hook, or NULL. */
struct fs_hook *fs_hook_first(void);
/* For hooks and sys/fs.c: carry c out for real. */
int fs_perform(struct fs_call *c, struct fail *why);

#endif
