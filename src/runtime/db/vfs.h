/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfs.h - SQLite's file access through a struct fs. Private to runtime/db.     [runtime]
 *
 * For connections in locking_mode=EXCLUSIVE only: there is no shared memory, and a lock, once
 * taken, is kept until the file is closed. It is one open-file-description lock over SQLite's own
 * lock bytes, so any other program that opens the file (also the sqlite3 shell) finds it busy.
 */
#ifndef BARID_RUNTIME_DB_VFS_H
#define BARID_RUNTIME_DB_VFS_H

struct fs;
struct vfs;

/* The VFS of fs, registered with SQLite while anyone uses it. Thread-safe. */
struct vfs *vfs_ref(struct fs *fs);
void vfs_unref(struct vfs *v); /* NULL is fine */
const char *vfs_name(const struct vfs *v);

/*
 * For files that other programs may open too: the name of SQLite's "unix" VFS, but with names taken
 * as they are. SQLite would make them absolute, and a role that was put into its state folder may
 * have no right to walk there from the root. Registered on first use. Thread-safe.
 */
const char *vfs_shared_name(void);

#endif
