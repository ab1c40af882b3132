/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs.h - the file-system seam: every file of barid is reached through a struct fs.   [sys]
 *
 * fs_real() is the machine's file system. fs_fault.h wraps it for tests with failing calls and
 * power cuts. A struct fs has one function, fs->call, that carries out a struct fs_call; the
 * functions below fill one in. Paths are C strings, absolute or relative to the working folder.
 *
 * Durability: bytes survive a power cut after fs_datasync or fs_sync of their file, names
 * (create, link, rename, unlink, mkdir) after fs_sync_dir of their folder; not earlier.
 *
 * Errors: FAIL_NOTFOUND (ENOENT), FAIL_EXISTS, FAIL_LIMIT (ENOSPC, EDQUOT, EMFILE, ENFILE),
 * FAIL_IO for the rest; why->saved_errno is kept and `detail` names the path or descriptor.
 * Threads: a struct fs may be shared; a struct fs_file too, for positioned reads and writes.
 * Every descriptor is close-on-exec.
 */
#ifndef BARID_SYS_FS_H
#define BARID_SYS_FS_H

#include "base/auto.h"
#include "base/fail.h"
#include "base/ids.h"
#include "base/str.h"

enum fs_op {
	FS_OP_ANY, /* only in rules of fs_fault */
	FS_OP_OPEN,
	FS_OP_REOPEN,
	FS_OP_PREAD,
	FS_OP_PWRITE,
	FS_OP_TRUNCATE,
	FS_OP_DATASYNC,
	FS_OP_SYNC,
	FS_OP_SYNC_DIR,
	FS_OP_LINK,
	FS_OP_RENAME,
	FS_OP_UNLINK,
	FS_OP_MKDIR,
	FS_OP_LIST,
	FS_OP_STAT,
	FS_OP_COUNT
};

#define FS_READ	     (1u << 0)
#define FS_WRITE     (1u << 1)
#define FS_CREATE    (1u << 2)
#define FS_EXCL	     (1u << 3) /* with FS_CREATE: fail when the name exists */
#define FS_DIRECTORY (1u << 4)
#define FS_NAMELESS  (1u << 5) /* the path is a folder, the new file in it nameless (O_TMPFILE) */
#define FS_NOFOLLOW  (1u << 6) /* fail when the last component is a symbolic link */

struct fs_file {
	struct fs *fs;
	int fd;
};

enum fs_kind { FS_KIND_FILE, FS_KIND_FOLDER, FS_KIND_OTHER };
struct fs_stat {
	enum fs_kind kind;
	uint64_t size; /* bytes */
	uint64_t links;
	uint64_t device;
	uint64_t inode;
	uint32_t uid;
	uint32_t gid;
	uint32_t mode; /* permission bits only */
	struct wall_us changed;
};

/*
 * Called by fs_list for each name except "." and "..", in no order. A negative result stops and is
 * returned.
 */
typedef int (*fs_list_fn)(void *arg, const char *name, enum fs_kind kind);

/*
 * One call; which members are used depends on op. For those who implement a struct fs, or stand
 * before the real one (sys/fs_hook.h).
 */
struct fs_call {
	enum fs_op op;
	/* Who carries it out in the end; NULL: sys/fs.c. Its calls may have a path and no file. */
	int (*perform)(struct fs_call *c, struct fail *why);
	struct fs_file *file;
	const char *path;
	const char *to;	  /* RENAME */
	unsigned flags;	  /* OPEN */
	unsigned mode;	  /* OPEN with FS_CREATE or FS_NAMELESS, MKDIR */
	const void *data; /* PWRITE */
	void *into;	  /* PREAD */
	size_t n;
	uint64_t at; /* PREAD, PWRITE; TRUNCATE: the new size */
	size_t done; /* result of PREAD */
	int fd;	     /* result of OPEN, REOPEN */
	struct fs_stat *stat;
	fs_list_fn list_fn;
	void *list_arg;
};
struct fs {
	int (*call)(struct fs *fs, struct fs_call *c, struct fail *why);
};

struct fs *fs_real(void); /* one for the process, never freed */

/* `mode` are the permission bits of a new file (the process's umask still applies). */
MUST_CHECK int fs_open(struct fs *fs, const char *path, unsigned flags, unsigned mode,
		       struct fs_file **ret, struct fail *why);
/* Take ownership of a descriptor that came from elsewhere. */
struct fs_file *fs_adopt(struct fs *fs, int fd);
/* A second, read-only opening of the same file (through /proc/self/fd), also of a nameless one. */
MUST_CHECK int fs_reopen_readonly(struct fs_file *f, struct fs_file **ret, struct fail *why);
void fs_close(struct fs_file *f); /* NULL is fine; errors of close(2) mean nothing after a sync */
DEFINE_AUTO_PTR(fs_file, struct fs_file, fs_close);
/* Borrowed. */
static inline int fs_file_fd(const struct fs_file *f)
{
	return f->fd;
}

/* Reads until n bytes or the end of the file; *ret_n < n only at the end. */
MUST_CHECK int fs_pread(struct fs_file *f, void *into, size_t n, uint64_t at, size_t *ret_n,
			struct fail *why);
/* All n bytes, or an error with an unknown part of them written. */
MUST_CHECK int fs_pwrite(struct fs_file *f, const void *data, size_t n, uint64_t at,
			 struct fail *why);
MUST_CHECK int fs_truncate(struct fs_file *f, uint64_t size, struct fail *why);
MUST_CHECK int fs_datasync(struct fs_file *f, struct fail *why); /* fdatasync(2) */
MUST_CHECK int fs_sync(struct fs_file *f, struct fail *why);	 /* fsync(2) */
MUST_CHECK int fs_file_stat(struct fs_file *f, struct fs_stat *ret, struct fail *why);
MUST_CHECK int fs_file_size(struct fs_file *f, uint64_t *ret, struct fail *why);
/*
 * True: nobody in the whole system has the file open or mapped for writing, so only who may open it
 * anew can still change it. False: somebody has, or this cannot be known here (a file of another
 * user, a file system without leases). f is open for reading.
 */
bool fs_is_still(struct fs_file *f);
/* Give an open file (also a nameless one) the name `path`; FAIL_EXISTS when it is taken. */
MUST_CHECK int fs_link(struct fs_file *f, const char *path, struct fail *why);

MUST_CHECK int fs_sync_dir(struct fs *fs, const char *folder, struct fail *why);
MUST_CHECK int fs_rename(struct fs *fs, const char *from, const char *to, struct fail *why);
MUST_CHECK int fs_unlink(struct fs *fs, const char *path, struct fail *why);
MUST_CHECK int fs_mkdir(struct fs *fs, const char *path, unsigned mode, struct fail *why);
/* `mkdir -p`: fine when it exists. Syncs the parent of each folder that it makes. */
MUST_CHECK int fs_mkdir_all(struct fs *fs, const char *path, unsigned mode, struct fail *why);
MUST_CHECK int fs_list(struct fs *fs, const char *folder, fs_list_fn fn, void *arg,
		       struct fail *why);
MUST_CHECK int fs_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct fail *why);

/*
 * The folder part of path: "a/b" gives "a", "b" gives ".", "/b" gives "/". FAIL_LIMIT when it does
 * not fit.
 */
MUST_CHECK int fs_parent(const char *path, char *buf, size_t size, struct fail *why);

/* The fail code for an errno, by the table above. For implementers. */
enum fail_code fs_fail_code(int errnum);

#endif
