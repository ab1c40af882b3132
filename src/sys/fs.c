/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/fs.h"
#include "base/check.h"
#include "sys/counter.h"
#include "sys/fs_hook.h"
#include "sys/sync_delay.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

COUNTER(syncs, "fs.syncs", "files and folders forced to disk");

enum fail_code fs_fail_code(int errnum)
{
	switch (errnum) {
	case ENOENT:
		return FAIL_NOTFOUND;
	case EEXIST:
		return FAIL_EXISTS;
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
		return FAIL_LIMIT;
	default:
		return FAIL_IO;
	}
}

/* "pwrite fd 7: No space left on device", or with a path. */
static int failed(struct fail *why, const char *what, const struct fs_call *c)
{
	enum fail_code code = fs_fail_code(errno);
	if (c->path && c->to)
		return fail_errno(why, code, "%s %s to %s", what, c->path, c->to);
	if (c->path)
		return fail_errno(why, code, "%s %s", what, c->path);
	return fail_errno(why, code, "%s fd %d", what, c->file->fd);
}

static int open_flags(unsigned flags)
{
	int how = O_CLOEXEC | O_NOCTTY;
	if (flags & FS_WRITE)
		how |= flags & FS_READ ? O_RDWR : O_WRONLY;
	how |= flags & FS_CREATE ? O_CREAT : 0;
	how |= flags & FS_EXCL ? O_EXCL : 0;
	how |= flags & FS_DIRECTORY ? O_DIRECTORY : 0;
	how |= flags & FS_NAMELESS ? O_TMPFILE : 0;
	how |= flags & FS_NOFOLLOW ? O_NOFOLLOW : 0;
	return how;
}

static int real_open(struct fs_call *c, struct fail *why)
{
	do
		c->fd = open(c->path, open_flags(c->flags), (mode_t)c->mode);
	while (c->fd < 0 && errno == EINTR);
	return c->fd < 0 ? failed(why, "open", c) : 0;
}

static void proc_path(char *buf, size_t size, int fd)
{
	(void)snprintf(buf, size, "/proc/self/fd/%d", fd);
}

static int real_reopen(struct fs_call *c, struct fail *why)
{
	char path[40];
	proc_path(path, sizeof path, c->file->fd);
	c->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return c->fd < 0 ? failed(why, "reopen", c) : 0;
}

static int real_pread(struct fs_call *c, struct fail *why)
{
	c->done = 0;
	while (c->done < c->n) {
		ssize_t got = pread(c->file->fd, (char *)c->into + c->done, c->n - c->done,
				    (off_t)(c->at + c->done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return failed(why, "pread", c);
		if (got == 0)
			break;
		c->done += (size_t)got;
	}
	return 0;
}

static int real_pwrite(struct fs_call *c, struct fail *why)
{
	size_t done = 0;
	while (done < c->n) {
		ssize_t put = pwrite(c->file->fd, (const char *)c->data + done, c->n - done,
				     (off_t)(c->at + done));
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return failed(why, "pwrite", c);
		done += (size_t)put;
	}
	return 0;
}

/* One fsync or fdatasync has returned `result`. */
static int synced(int result, const char *what, struct fs_call *c, struct fail *why)
{
	counter_add(&syncs, 1);
	sync_delay();
	return result < 0 ? failed(why, what, c) : 0;
}

static int real_sync_dir(struct fs_call *c, struct fail *why)
{
	AUTO_FD int fd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed(why, "open folder", c);
	return synced(fsync(fd), "fsync folder", c, why);
}

static int real_link(struct fs_call *c, struct fail *why)
{
	char from[40];
	proc_path(from, sizeof from, c->file->fd);
	if (linkat(AT_FDCWD, from, AT_FDCWD, c->path, AT_SYMLINK_FOLLOW) < 0)
		return failed(why, "link", c);
	return 0;
}

static enum fs_kind kind_of(mode_t mode)
{
	return S_ISREG(mode) ? FS_KIND_FILE : S_ISDIR(mode) ? FS_KIND_FOLDER : FS_KIND_OTHER;
}

static int real_list(struct fs_call *c, struct fail *why)
{
	DIR *dir = opendir(c->path);
	if (!dir)
		return failed(why, "list", c);
	int r = 0;
	while (r >= 0) {
		struct stat st;
		errno = 0;
		struct dirent *e = readdir(dir);
		if (!e) {
			r = errno ? failed(why, "list", c) : 0;
			break;
		}
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		/* Some file systems do not tell the kind; and a name may be gone by now. */
		enum fs_kind kind = e->d_type == DT_REG	  ? FS_KIND_FILE
				    : e->d_type == DT_DIR ? FS_KIND_FOLDER
							  : FS_KIND_OTHER;
		if (e->d_type == DT_UNKNOWN &&
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			kind = kind_of(st.st_mode);
		r = c->list_fn(c->list_arg, e->d_name, kind);
	}
	(void)closedir(dir);
	return MIN(r, 0);
}

static int real_stat(struct fs_call *c, struct fail *why)
{
	struct stat st;
	int r = c->file ? fstat(c->file->fd, &st) : stat(c->path, &st);
	if (r < 0)
		return failed(why, "stat", c);
	*c->stat = (struct fs_stat){
		.kind = kind_of(st.st_mode),
		.size = (uint64_t)st.st_size,
		.links = st.st_nlink,
		.device = st.st_dev,
		.inode = st.st_ino,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.mode = st.st_mode & 07777,
		.changed = {st.st_mtim.tv_sec * SEC_US + st.st_mtim.tv_nsec / 1000},
	};
	return 0;
}

int fs_perform(struct fs_call *c, struct fail *why)
{
	if (c->perform)
		return c->perform(c, why);
	switch (c->op) {
	case FS_OP_OPEN:
		return real_open(c, why);
	case FS_OP_REOPEN:
		return real_reopen(c, why);
	case FS_OP_PREAD:
		return real_pread(c, why);
	case FS_OP_PWRITE:
		return real_pwrite(c, why);
	case FS_OP_TRUNCATE:
		return ftruncate(c->file->fd, (off_t)c->at) < 0 ? failed(why, "truncate", c) : 0;
	case FS_OP_DATASYNC:
		return synced(fdatasync(c->file->fd), "fdatasync", c, why);
	case FS_OP_SYNC:
		return synced(fsync(c->file->fd), "fsync", c, why);
	case FS_OP_SYNC_DIR:
		return real_sync_dir(c, why);
	case FS_OP_LINK:
		return real_link(c, why);
	case FS_OP_RENAME:
		return rename(c->path, c->to) < 0 ? failed(why, "rename", c) : 0;
	case FS_OP_UNLINK:
		return unlink(c->path) < 0 ? failed(why, "unlink", c) : 0;
	case FS_OP_MKDIR:
		return mkdir(c->path, (mode_t)c->mode) < 0 ? failed(why, "mkdir", c) : 0;
	case FS_OP_LIST:
		return real_list(c, why);
	case FS_OP_STAT:
		return real_stat(c, why);
	case FS_OP_ANY:
	case FS_OP_COUNT:
		break;
	}
	return fail_set(why, FAIL_BUG, NULL, "fs op %d", (int)c->op);
}

static int real_call(struct fs *fs, struct fs_call *c, struct fail *why)
{
	struct fs_hook *h = fs_hook_first();
	(void)fs;
	return UNLIKELY(h) ? h->call(h, c, why) : fs_perform(c, why);
}

struct fs *fs_real(void)
{
	static struct fs real = {.call = real_call};
	return &real;
}

struct fs_file *fs_adopt(struct fs *fs, int fd)
{
	struct fs_file *f = xcalloc(1, sizeof *f);
	*f = (struct fs_file){.fs = fs, .fd = fd};
	return f;
}

int fs_open(struct fs *fs, const char *path, unsigned flags, unsigned mode, struct fs_file **ret,
	    struct fail *why)
{
	struct fs_call c = {.op = FS_OP_OPEN, .path = path, .flags = flags, .mode = mode};
	int r = fs->call(fs, &c, why);
	if (r < 0)
		return r;
	*ret = fs_adopt(fs, c.fd);
	return 0;
}

bool fs_is_still(struct fs_file *f)
{
	/* The kernel gives a read lease on a file that nobody writes. */
	if (fcntl(f->fd, F_SETLEASE, F_RDLCK) < 0)
		return false;
	(void)fcntl(f->fd, F_SETLEASE, F_UNLCK);
	return true;
}

int fs_reopen_readonly(struct fs_file *f, struct fs_file **ret, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_REOPEN, .file = f};
	int r = f->fs->call(f->fs, &c, why);
	if (r < 0)
		return r;
	*ret = fs_adopt(f->fs, c.fd);
	return 0;
}

void fs_close(struct fs_file *f)
{
	if (!f)
		return;
	(void)close(f->fd);
	free(f);
}

int fs_pread(struct fs_file *f, void *into, size_t n, uint64_t at, size_t *ret_n, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_PREAD, .file = f, .into = into, .n = n, .at = at};
	int r = f->fs->call(f->fs, &c, why);
	if (r == 0)
		*ret_n = c.done;
	return r;
}

int fs_pwrite(struct fs_file *f, const void *data, size_t n, uint64_t at, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_PWRITE, .file = f, .data = data, .n = n, .at = at};
	return f->fs->call(f->fs, &c, why);
}

int fs_truncate(struct fs_file *f, uint64_t size, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_TRUNCATE, .file = f, .at = size};
	return f->fs->call(f->fs, &c, why);
}

int fs_datasync(struct fs_file *f, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_DATASYNC, .file = f};
	return f->fs->call(f->fs, &c, why);
}

int fs_sync(struct fs_file *f, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_SYNC, .file = f};
	return f->fs->call(f->fs, &c, why);
}

int fs_file_stat(struct fs_file *f, struct fs_stat *ret, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_STAT, .file = f, .stat = ret};
	return f->fs->call(f->fs, &c, why);
}

int fs_file_size(struct fs_file *f, uint64_t *ret, struct fail *why)
{
	struct fs_stat st;
	int r = fs_file_stat(f, &st, why);
	if (r == 0)
		*ret = st.size;
	return r;
}

int fs_link(struct fs_file *f, const char *path, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_LINK, .file = f, .path = path};
	return f->fs->call(f->fs, &c, why);
}

int fs_sync_dir(struct fs *fs, const char *folder, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_SYNC_DIR, .path = folder};
	return fs->call(fs, &c, why);
}

int fs_rename(struct fs *fs, const char *from, const char *to, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_RENAME, .path = from, .to = to};
	return fs->call(fs, &c, why);
}

int fs_unlink(struct fs *fs, const char *path, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_UNLINK, .path = path};
	return fs->call(fs, &c, why);
}

int fs_mkdir(struct fs *fs, const char *path, unsigned mode, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_MKDIR, .path = path, .mode = mode};
	return fs->call(fs, &c, why);
}

int fs_list(struct fs *fs, const char *folder, fs_list_fn fn, void *arg, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_LIST, .path = folder, .list_fn = fn, .list_arg = arg};
	return fs->call(fs, &c, why);
}

int fs_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct fail *why)
{
	struct fs_call c = {.op = FS_OP_STAT, .path = path, .stat = ret};
	return fs->call(fs, &c, why);
}

int fs_parent(const char *path, char *buf, size_t size, struct fail *why)
{
	struct str s = str_c(path);
	while (s.n > 1 && s.p[s.n - 1] == '/')
		s.n--;
	size_t slash = str_rfind(s, '/');
	struct str parent = slash == s.n ? STR(".") : slash == 0 ? STR("/") : str_sub(s, 0, slash);
	if (parent.n + 1 > size)
		return fail_set(why, FAIL_LIMIT, NULL, "path too long: %.64s...", path);
	memcpy(buf, parent.p, parent.n);
	buf[parent.n] = '\0';
	return 0;
}

static int make_one(struct fs *fs, const char *path, unsigned mode, struct fail *why)
{
	char parent[PATH_MAX];
	struct fs_stat st;
	int r = fs_mkdir(fs, path, mode, why);
	if (r == -FAIL_EXISTS && fs_stat(fs, path, &st, NULL) == 0 && st.kind == FS_KIND_FOLDER)
		return 0;
	if (r == 0)
		r = fs_parent(path, parent, sizeof parent, why);
	return r == 0 ? fs_sync_dir(fs, parent, why) : r;
}

int fs_mkdir_all(struct fs *fs, const char *path, unsigned mode, struct fail *why)
{
	char part[PATH_MAX];
	struct str s = str_c(path);
	if (s.n == 0 || s.n >= sizeof part)
		return fail_set(why, FAIL_LIMIT, NULL, "path too long or empty: %.64s", path);
	struct fs_stat st;
	if (fs_stat(fs, path, &st, NULL) == 0 && st.kind == FS_KIND_FOLDER)
		return 0;
	for (size_t end = str_find(s, 1, '/');; end = str_find(s, end + 1, '/')) {
		memcpy(part, s.p, end);
		part[end] = '\0';
		/*
		 * A parent that exists may refuse mkdir for other reasons (read-only, no right):
		 * look first.
		 */
		int r = fs_stat(fs, part, &st, NULL);
		if (r == 0 && st.kind != FS_KIND_FOLDER)
			return fail_set(why, FAIL_EXISTS, NULL, "%s is not a folder", part);
		if (r < 0)
			r = make_one(fs, part, mode, why);
		if (r < 0)
			return r;
		if (end >= s.n)
			return 0;
	}
}
