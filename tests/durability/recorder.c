/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.c - a library to be preloaded that notes each change which a program makes to files.
 *
 * It stands between the program and the C library, so that nothing goes past it: sys/fs.c, SQLite's
 * own file access, and what tools do with plain calls. All processes that inherit the environment
 * append to one log, a file that each maps:
 *
 *     BARID_RECORD=FILE             made by the reader, of the size that it may get, zeroes but for
 *                                   the first 16 bytes: where the log ends (64), the device whose
 *                                   files are meant
 *     BARID_RECORD_SYNC_US=N        each sync takes so long (nothing is really synced)
 *
 * A record's place in the log is the moment at which the change was made: changes and their records
 * are made under one lock. A sync is noted when it has ended, together with the moment at which it
 * began: it covers what was written before that, and counts from its own record on.
 * tests/durability/disk.py reads the log; the numbers of the operations stand in both.
 *
 * Not seen: shared mappings that are written to (of our files only SQLite's -shm, which no crash has
 * to leave whole), and what stdio writes before it is flushed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum op {
	OP_NEW = 1, /* a file; name "" = nameless. at = mode, n = uid << 32 | gid */
	OP_WRITE,   /* at, then the bytes */
	OP_SIZE,    /* at = the new size */
	OP_SYNC,    /* of a file or folder; at = when it began */
	OP_LINK,
	OP_RENAME,
	OP_UNLINK,
	OP_MKDIR, /* at and n as in NEW */
	OP_RMDIR,
	OP_ATTR, /* at and n as in NEW */
	OP_SYNC_ALL,
};

struct record {
	uint32_t size; /* of all, a multiple of 8 */
	uint16_t op;
	uint16_t pad;
	uint32_t pid;
	uint32_t length; /* of what follows: bytes, or two names each ended by NUL */
	uint64_t inode;
	uint64_t at;
	uint64_t n;
	uint64_t folder;  /* inode of the folder of the name */
	uint64_t folder2; /* RENAME: of the new name */
};

struct head {
	_Atomic uint64_t end;
	uint64_t device;
	_Atomic uint32_t lock; /* the thread that has it */
	_Atomic uint32_t full;
	_Atomic uint32_t pause; /* the reader: nobody may change anything now */
};

#define STOLEN_AFTER 20000 /* waits of 100 us: its owner was killed, or has crashed */
#define NAMES_MAX    1024
#define FILES_MAX    4096

static struct head *head;
static uint64_t capacity;
static long sync_us;
static bool buffered[FILES_MAX]; /* descriptors under a FILE that writes */

#define REAL(name) ((__typeof__(&(name)))real(#name))

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static bool is_scan(void)
{
	char path[256];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	path[n < 0 ? 0 : n] = '\0';
	const char *name = strrchr(path, '/');
	return name && strcmp(name, "/barid-scan") == 0; /* writes no file, and may have little memory */
}

__attribute__((constructor)) static void begin(void)
{
	struct stat st;
	const char *path = getenv("BARID_RECORD");
	const char *us = getenv("BARID_RECORD_SYNC_US");
	if (!path || is_scan())
		return;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	void *at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)syscall(SYS_close, fd);
	if (at == MAP_FAILED)
		return;
	capacity = (uint64_t)st.st_size;
	sync_us = us ? strtol(us, NULL, 10) : 0;
	head = at;
}

static void wait_us(long us)
{
	struct timespec left = {us / 1000000, us % 1000000 * 1000};
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
}

static bool try_lock(uint32_t me)
{
	uint32_t none = 0;
	if (!atomic_compare_exchange_strong(&head->lock, &none, me))
		return false;
	if (!atomic_load(&head->pause))
		return true;
	atomic_store(&head->lock, 0);
	return false;
}

static void lock(void)
{
	uint32_t me = (uint32_t)syscall(SYS_gettid);
	for (unsigned i = 0; i < STOLEN_AFTER && !try_lock(me); i++)
		wait_us(i < 50 ? 1 : 100);
}

/* Keeps errno: the callers hand on that of the call. */
static void unlock(void)
{
	atomic_store(&head->lock, 0);
}

static void put(const struct record *r, const void *data, size_t n)
{
	struct record whole = *r;
	uint64_t at = atomic_load(&head->end);
	size_t size = (sizeof whole + n + 7) & ~(size_t)7;
	if (at + size > capacity) {
		atomic_store(&head->full, 1);
		return;
	}
	whole.size = (uint32_t)size;
	whole.length = (uint32_t)n;
	whole.pid = (uint32_t)getpid();
	memcpy((char *)head + at, &whole, sizeof whole);
	if (n > 0)
		memcpy((char *)head + at + sizeof whole, data, n);
	atomic_store(&head->end, at + size);
}

static bool ours(int fd, struct stat *st)
{
	int kept = errno;
	bool yes = head && fd >= 0 && fstat(fd, st) == 0 && st->st_dev == head->device;
	errno = kept;
	return yes;
}

static bool our_file(int fd, struct stat *st)
{
	return ours(fd, st) && S_ISREG(st->st_mode);
}

/* ---- names ---- */

/* A path's folder and last component. */
struct place {
	uint64_t folder;
	char name[NAMES_MAX / 2];
};

static void find_place(int dirfd, const char *path, struct place *ret)
{
	char folder[4096];
	struct stat st;
	*ret = (struct place){0};
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	size_t from = n;
	while (from > 0 && path[from - 1] != '/')
		from--;
	if (n - from >= sizeof ret->name || from >= sizeof folder)
		return;
	memcpy(ret->name, path + from, n - from);
	memcpy(folder, path, from);
	folder[from] = '\0';
	if (fstatat(dirfd, folder, &st, from == 0 ? AT_EMPTY_PATH : 0) < 0)
		return;
	ret->folder = st.st_dev == head->device ? st.st_ino : 0;
}

static void put_names(enum op op, uint64_t inode, const struct place *a, const struct place *b,
		      const struct stat *attributes)
{
	char names[NAMES_MAX];
	struct record r = {.op = op, .inode = inode, .folder = a->folder};
	size_t n = strlen(a->name) + 1;
	memcpy(names, a->name, n);
	names[n] = '\0';
	if (b) {
		r.folder2 = b->folder;
		memcpy(names + n, b->name, strlen(b->name) + 1);
	}
	n += strlen(names + n) + 1;
	if (attributes) {
		r.at = attributes->st_mode & 07777;
		r.n = (uint64_t)attributes->st_uid << 32 | attributes->st_gid;
	}
	put(&r, names, n);
}

/* After an open that may have made or emptied a file. */
static void opened(int fd, int dirfd, const char *path, int flags, bool existed)
{
	struct stat st;
	struct place at;
	int kept = errno;
	if (!our_file(fd, &st)) {
		errno = kept;
		return;
	}
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		struct stat folder;
		at = (struct place){0};
		if (fstatat(dirfd, path, &folder, 0) == 0)
			at.folder = folder.st_ino;
		put_names(OP_NEW, st.st_ino, &at, NULL, &st);
	} else if (!existed) {
		find_place(dirfd, path, &at);
		put_names(OP_NEW, st.st_ino, &at, NULL, &st);
	} else if (flags & O_TRUNC) {
		put(&(struct record){.op = OP_SIZE, .inode = st.st_ino}, NULL, 0);
	}
	errno = kept;
}

static int open_recorded(int dirfd, const char *path, int flags, mode_t mode)
{
	struct stat st;
	if (!head || !(flags & (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))))
		return (int)REAL(openat)(dirfd, path, flags, mode);
	lock();
	bool existed = fstatat(dirfd, path, &st, 0) == 0;
	int fd = (int)REAL(openat)(dirfd, path, flags, mode);
	if (fd >= 0)
		opened(fd, dirfd, path, flags, existed);
	unlock();
	return fd;
}

static mode_t mode_of(int flags, va_list more)
{
	return flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? va_arg(more, mode_t) : 0;
}

#define OPEN(name)                                                                                 \
	int name(const char *path, int flags, ...)                                                 \
	{                                                                                          \
		va_list more;                                                                      \
		va_start(more, flags);                                                             \
		mode_t mode = mode_of(flags, more);                                                \
		va_end(more);                                                                      \
		return open_recorded(AT_FDCWD, path, flags, mode);                                 \
	}
#define OPENAT(name)                                                                               \
	int name(int dirfd, const char *path, int flags, ...)                                      \
	{                                                                                          \
		va_list more;                                                                      \
		va_start(more, flags);                                                             \
		mode_t mode = mode_of(flags, more);                                                \
		va_end(more);                                                                      \
		return open_recorded(dirfd, path, flags, mode);                                    \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open_recorded(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
	return open_recorded(AT_FDCWD, path, flags, 0);
}
int __openat_2(int dirfd, const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags)
{
	return open_recorded(dirfd, path, flags, 0);
}

static int renamed(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	struct stat st;
	struct place a, b;
	if (!head)
		return REAL(renameat2)(from_fd, from, to_fd, to, flags);
	lock();
	bool known = fstatat(from_fd, from, &st, AT_SYMLINK_NOFOLLOW) == 0;
	find_place(from_fd, from, &a);
	find_place(to_fd, to, &b);
	int r = REAL(renameat2)(from_fd, from, to_fd, to, flags);
	if (r == 0 && known && (a.folder || b.folder))
		put_names(OP_RENAME, st.st_ino, &a, &b, NULL);
	unlock();
	return r;
}

int rename(const char *from, const char *to)
{
	return renamed(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return renamed(from_fd, from, to_fd, to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return renamed(from_fd, from, to_fd, to, flags);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	struct stat st;
	struct place a;
	if (!head)
		return REAL(linkat)(from_fd, from, to_fd, to, flags);
	lock();
	find_place(to_fd, to, &a);
	int r = REAL(linkat)(from_fd, from, to_fd, to, flags);
	if (r == 0 && a.folder && fstatat(to_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		put_names(OP_LINK, st.st_ino, &a, NULL, NULL);
	unlock();
	return r;
}

int link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	struct stat st;
	struct place a;
	if (!head)
		return REAL(unlinkat)(dirfd, path, flags);
	lock();
	bool known = fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
	find_place(dirfd, path, &a);
	int r = REAL(unlinkat)(dirfd, path, flags);
	if (r == 0 && known && a.folder)
		put_names(S_ISDIR(st.st_mode) ? OP_RMDIR : OP_UNLINK, st.st_ino, &a, NULL, NULL);
	unlock();
	return r;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
	int r = unlink(path);
	return r < 0 && errno == EISDIR ? rmdir(path) : r;
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct stat st;
	struct place a;
	if (!head)
		return REAL(mkdirat)(dirfd, path, mode);
	lock();
	int r = REAL(mkdirat)(dirfd, path, mode);
	if (r == 0 && fstatat(dirfd, path, &st, 0) == 0) {
		find_place(dirfd, path, &a);
		if (a.folder)
			put_names(OP_MKDIR, st.st_ino, &a, NULL, &st);
	}
	unlock();
	return r;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* ---- attributes ---- */

static int attributes_set(int fd, const char *path, int r)
{
	struct stat st;
	int kept = errno;
	if (r == 0 && head && (path ? fstatat(fd, path, &st, 0) : fstat(fd, &st)) == 0 &&
	    st.st_dev == head->device) {
		lock();
		put_names(OP_ATTR, st.st_ino, &(struct place){0}, NULL, &st);
		unlock();
	}
	errno = kept;
	return r;
}

int fchmod(int fd, mode_t mode)
{
	return attributes_set(fd, NULL, REAL(fchmod)(fd, mode));
}

int fchown(int fd, uid_t uid, gid_t gid)
{
	return attributes_set(fd, NULL, REAL(fchown)(fd, uid, gid));
}

int chmod(const char *path, mode_t mode)
{
	return attributes_set(AT_FDCWD, path, REAL(chmod)(path, mode));
}

int chown(const char *path, uid_t uid, gid_t gid)
{
	return attributes_set(AT_FDCWD, path, REAL(chown)(path, uid, gid));
}

int fchmodat(int dirfd, const char *path, mode_t mode, int flags)
{
	return attributes_set(dirfd, path, REAL(fchmodat)(dirfd, path, mode, flags));
}

int fchownat(int dirfd, const char *path, uid_t uid, gid_t gid, int flags)
{
	return attributes_set(dirfd, path, REAL(fchownat)(dirfd, path, uid, gid, flags));
}

/* ---- bytes ---- */

static void written(const struct stat *st, uint64_t at, const void *data, size_t n)
{
	put(&(struct record){.op = OP_WRITE, .inode = st->st_ino, .at = at}, data, n);
}

/* What is in the file now, where nobody handed us the bytes. */
static void written_there(int fd, const struct stat *st, uint64_t at, size_t n)
{
	char path[40];
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int other = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	char *bytes = malloc(n + 1);
	ssize_t got = other >= 0 && bytes ? pread(other, bytes, n, (off_t)at) : -1;
	if (got > 0)
		written(st, at, bytes, (size_t)got);
	free(bytes);
	if (other >= 0)
		(void)syscall(SYS_close, other);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
	struct stat st;
	if (!our_file(fd, &st))
		return REAL(pwrite64)(fd, data, n, at);
	lock();
	ssize_t put_n = REAL(pwrite64)(fd, data, n, at);
	if (put_n > 0)
		written(&st, (uint64_t)at, data, (size_t)put_n);
	unlock();
	return put_n;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
	return pwrite64(fd, data, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	struct stat st;
	if (!our_file(fd, &st))
		return REAL(writev)(fd, v, n);
	lock();
	ssize_t left = REAL(writev)(fd, v, n), all = left;
	off_t at = lseek(fd, 0, SEEK_CUR) - all;
	for (int i = 0; i < n && left > 0; i++) {
		size_t part = (size_t)left < v[i].iov_len ? (size_t)left : v[i].iov_len;
		written(&st, (uint64_t)at, v[i].iov_base, part);
		at += (off_t)part;
		left -= (ssize_t)part;
	}
	unlock();
	return all;
}

ssize_t write(int fd, const void *data, size_t n)
{
	struct stat st;
	if (!our_file(fd, &st))
		return REAL(write)(fd, data, n);
	lock();
	ssize_t put_n = REAL(write)(fd, data, n);
	if (put_n > 0)
		written(&st, (uint64_t)(lseek(fd, 0, SEEK_CUR) - put_n), data, (size_t)put_n);
	unlock();
	return put_n;
}

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t n, unsigned flags)
{
	struct stat st;
	if (!our_file(to, &st))
		return REAL(copy_file_range)(from, from_at, to, to_at, n, flags);
	lock();
	off64_t at = to_at ? *to_at : lseek(to, 0, SEEK_CUR);
	ssize_t put_n = REAL(copy_file_range)(from, from_at, to, to_at, n, flags);
	if (put_n > 0)
		written_there(to, &st, (uint64_t)at, (size_t)put_n);
	unlock();
	return put_n;
}

ssize_t sendfile64(int to, int from, off64_t *from_at, size_t n)
{
	struct stat st;
	if (!our_file(to, &st))
		return REAL(sendfile64)(to, from, from_at, n);
	lock();
	ssize_t put_n = REAL(sendfile64)(to, from, from_at, n);
	if (put_n > 0)
		written_there(to, &st, (uint64_t)(lseek(to, 0, SEEK_CUR) - put_n), (size_t)put_n);
	unlock();
	return put_n;
}

static int sized(int fd, off64_t size, int (*change)(int, off64_t))
{
	struct stat st;
	if (!our_file(fd, &st))
		return change(fd, size);
	lock();
	int r = change(fd, size);
	if (r == 0 && fstat(fd, &st) == 0)
		put(&(struct record){.op = OP_SIZE, .inode = st.st_ino, .at = (uint64_t)st.st_size},
		    NULL, 0);
	unlock();
	return r;
}

int ftruncate64(int fd, off64_t size)
{
	return sized(fd, size, REAL(ftruncate64));
}

int ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

static int grow(int fd, off64_t size)
{
	return posix_fallocate64(fd, 0, size) == 0 ? 0 : -1;
}

int posix_fallocate(int fd, off_t at, off_t n)
{
	struct stat st;
	if (!our_file(fd, &st))
		return REAL(posix_fallocate)(fd, at, n);
	return sized(fd, at + n, grow) < 0 ? errno : 0;
}

int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
	struct stat st;
	int r = REAL(fallocate64)(fd, mode, at, n);
	if (r == 0 && our_file(fd, &st)) {
		lock();
		put(&(struct record){.op = OP_SIZE, .inode = st.st_ino, .at = (uint64_t)st.st_size},
		    NULL, 0);
		unlock();
	}
	return r;
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
	return fallocate64(fd, mode, at, n);
}

/* ---- stdio: what it has written is taken as one write when it is flushed ---- */

static void flushed(int fd)
{
	struct stat st;
	if (fd < 0 || fd >= FILES_MAX || !buffered[fd] || !our_file(fd, &st))
		return;
	lock();
	put(&(struct record){.op = OP_SIZE, .inode = st.st_ino, .at = (uint64_t)st.st_size}, NULL, 0);
	written_there(fd, &st, 0, (size_t)st.st_size);
	unlock();
}

static FILE *fopen_recorded(const char *path, const char *mode)
{
	struct stat st;
	if (!head || !strpbrk(mode, "wa+"))
		return REAL(fopen64)(path, mode);
	lock();
	bool existed = fstatat(AT_FDCWD, path, &st, 0) == 0;
	FILE *f = REAL(fopen64)(path, mode);
	int fd = f ? fileno(f) : -1;
	if (f)
		opened(fd, AT_FDCWD, path, mode[0] == 'w' ? O_CREAT | O_TRUNC : O_CREAT, existed);
	unlock();
	if (fd >= 0 && fd < FILES_MAX)
		buffered[fd] = true;
	return f;
}

FILE *fopen64(const char *path, const char *mode)
{
	return fopen_recorded(path, mode);
}

FILE *fopen(const char *path, const char *mode)
{
	return fopen_recorded(path, mode);
}

FILE *fdopen(int fd, const char *mode)
{
	FILE *f = REAL(fdopen)(fd, mode);
	if (f && strpbrk(mode, "wa+") && fd < FILES_MAX)
		buffered[fd] = true;
	return f;
}

int fflush(FILE *f)
{
	int r = REAL(fflush)(f);
	if (f)
		flushed(fileno(f));
	return r;
}

int fclose(FILE *f)
{
	int fd = fileno(f);
	if (fd >= 0 && fd < FILES_MAX && buffered[fd]) {
		(void)fflush(f);
		buffered[fd] = false;
	}
	return REAL(fclose)(f);
}

/* ---- syncs ---- */

static int synced(int fd, int (*sync_it)(int))
{
	struct stat st;
	if (!ours(fd, &st))
		return sync_it(fd);
	flushed(fd);
	uint64_t began = atomic_load(&head->end);
	wait_us(sync_us);
	lock();
	put(&(struct record){.op = OP_SYNC, .inode = st.st_ino, .at = began}, NULL, 0);
	unlock();
	return 0;
}

int fsync(int fd)
{
	return synced(fd, REAL(fsync));
}

int fdatasync(int fd)
{
	return synced(fd, REAL(fdatasync));
}

int syncfs(int fd)
{
	struct stat st;
	if (!ours(fd, &st))
		return REAL(syncfs)(fd);
	uint64_t began = atomic_load(&head->end);
	wait_us(sync_us);
	lock();
	put(&(struct record){.op = OP_SYNC_ALL, .at = began}, NULL, 0);
	unlock();
	return 0;
}
