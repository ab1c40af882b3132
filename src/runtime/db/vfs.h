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

#endif
