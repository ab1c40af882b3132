/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/encode.h"
#include "sys/clock.h"
#include "sys/sha256.h"
#include "sys/zstd.h"
#include "tools/barid/repo_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT	    "barid-backup 1\n"
#define FLUSH_COUNT 512
#define FLUSH_BYTES MIB(256)
#define COPY_PIECE  KIB(256)

/* --- opening
 * ------------------------------------------------------------------------------------------ */

static int path_of(const struct repo *r, const char *name, char path[REPO_PATH_MAX],
		   struct fail *why)
{
	int n = snprintf(path, REPO_PATH_MAX, "%s/%s", r->dir, name);
	if (n < 0 || n >= REPO_PATH_MAX)
		return fail_set(why, FAIL_LIMIT, "The folder's name is too long.", "%s", name);
	return 0;
}

void repo_temp(const struct repo *r, const char *name, char path[REPO_PATH_MAX])
{
	(void)snprintf(path, REPO_PATH_MAX, "%.4000s/%s", r->temp_dir, name);
}

static bool is_empty(const char *dir)
{
	DIR *d = opendir(dir);
	bool empty = true;
	for (struct dirent *e; d && (e = readdir(d));)
		empty = empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
				  strcmp(e->d_name, "lost+found") == 0);
	if (d)
		(void)closedir(d);
	return empty;
}

static int write_format(struct repo *r, struct fail *why)
{
	char path[REPO_PATH_MAX];
	int res = path_of(r, "barid-backup", path, why);
	AUTO_FD int fd = res < 0 ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, FORMAT, strlen(FORMAT)) != (ssize_t)strlen(FORMAT) || fsync(fd) < 0)
		return fail_errno(why, FAIL_IO, "cannot write %s", path);
	return 0;
}

static int check_format(struct repo *r, bool create, struct fail *why)
{
	char path[REPO_PATH_MAX], text[64] = "";
	int res = path_of(r, "barid-backup", path, why);
	if (res < 0)
		return res;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return fail_errno(why, FAIL_IO, "cannot open %s", path);
	if (fd < 0 && !create)
		return fail_set(why, FAIL_NOTFOUND, "There are no backups in this folder.", "%s",
				r->dir);
	if (fd < 0 && !is_empty(r->dir))
		return fail_set(why, FAIL_EXISTS,
				"The folder holds something else: give an empty one for backups.",
				"%s", r->dir);
	if (fd < 0)
		return write_format(r, why);
	if (read(fd, text, sizeof text - 1) < 0)
		return fail_errno(why, FAIL_IO, "cannot read %s", path);
	if (strcmp(text, FORMAT) != 0)
		return fail_set(why, FAIL_UNSUPPORTED,
				"These backups were made by a newer barid, or by another program.",
				"%s", path);
	return 0;
}

static int make_folders(struct repo *r, struct fail *why)
{
	static const char *const names[] = {"generations", "blocks", "bodies", "tmp"};
	char path[REPO_PATH_MAX];
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int res = path_of(r, names[i], path, why);
		if (res < 0)
			return res;
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return fail_errno(why, FAIL_IO, "cannot make %s", path);
	}
	return 0;
}

/* One writes, or several read; a medium that nobody can write needs no lock. */
static int lock_it(struct repo *r, bool write, struct fail *why)
{
	char path[REPO_PATH_MAX];
	int res = path_of(r, "lock", path, why);
	if (res < 0)
		return res;
	r->lock_fd = open(path, write ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
	if (r->lock_fd < 0 && !write)
		return 0;
	if (r->lock_fd < 0)
		return fail_errno(why, FAIL_IO, "cannot open %s", path);
	if (flock(r->lock_fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
		return fail_set(why, FAIL_BUSY, "Another command is writing these backups.", "%s",
				r->dir);
	return 0;
}

/* A writer's is in the repository, so that a rename is enough; a reader's is apart. */
static int make_temp(struct repo *r, bool write, struct fail *why)
{
	const char *base = getenv("TMPDIR");
	if (write)
		return path_of(r, "tmp", r->temp_dir, why);
	(void)snprintf(r->temp_dir, sizeof r->temp_dir, "%s/barid-XXXXXX",
		       base && *base ? base : "/var/tmp");
	r->own_temp = mkdtemp(r->temp_dir) != NULL;
	return r->own_temp ? 0 : fail_errno(why, FAIL_IO, "cannot make %s", r->temp_dir);
}

/* What a killed command left. */
static void empty_temp(const struct repo *r)
{
	DIR *d = opendir(r->temp_dir);
	for (struct dirent *e; d && (e = readdir(d));)
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
}

int repo_open(const char *dir, bool write, bool create, struct repo **ret, struct fail *why)
{
	if (create && mkdir(dir, 0700) < 0 && errno != EEXIST)
		return fail_errno(why, FAIL_IO, "cannot make %s", dir);
	AUTO(repo) struct repo *r = xcalloc(1, sizeof *r);
	r->dir = realpath(dir, NULL);
	r->lock_fd = -1;
	r->pack = BUF_INIT(MIB(1));
	if (!r->dir)
		return fail_errno(why, FAIL_NOTFOUND, "no folder %s", dir);
	int res = check_format(r, create, why);
	if (res == 0)
		res = lock_it(r, write, why);
	if (res == 0 && write)
		res = make_folders(r, why);
	if (res == 0)
		res = make_temp(r, write, why);
	if (res < 0)
		return res;
	empty_temp(r);
	*ret = TAKE(r);
	return 0;
}

static void forget_waiting(struct repo *r)
{
	for (size_t i = 0; i < r->waiting.n; i++) {
		free(r->waiting.p[i].from);
		free(r->waiting.p[i].to);
	}
	r->waiting.n = 0;
	r->waiting_bytes = 0;
	strmap_clear(&r->by_name);
}

void repo_close(struct repo *r)
{
	if (!r)
		return;
	forget_waiting(r);
	vec_clear(&r->waiting);
	buf_clear(&r->pack);
	if (r->own_temp) {
		empty_temp(r);
		(void)rmdir(r->temp_dir);
	}
	if (r->lock_fd >= 0)
		(void)close(r->lock_fd);
	free(r->dir);
	free(r);
}

const struct repo_counts *repo_counts(const struct repo *r)
{
	return &r->counts;
}

/* --- objects
 * ------------------------------------------------------------------------------------------ */

/* "blocks/ab/<64 hex>" or "bodies/..." */
static void object_name(const struct repo_hash *h, bool body, char name[REPO_NAME_MAX])
{
	AUTO(buf) struct buf hex = BUF_INIT(128);
	(void)hex_encode(&hex, str_make((const char *)h->b, sizeof h->b));
	(void)snprintf(name, REPO_NAME_MAX, "%s/%.2s/%s", body ? "bodies" : "blocks", buf_c(&hex),
		       buf_c(&hex));
}

int repo_sync(struct repo *r, struct fail *why)
{
	if (r->waiting.n == 0)
		return 0;
	AUTO_FD int fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		return fail_errno(why, FAIL_IO, "cannot sync %s", r->dir);
	for (size_t i = 0; i < r->waiting.n; i++)
		if (rename(r->waiting.p[i].from, r->waiting.p[i].to) < 0)
			return fail_errno(why, FAIL_IO, "cannot name %s", r->waiting.p[i].to);
	forget_waiting(r);
	return 0;
}

/* The file at `from` is complete: it gets its name with the next sync. */
static int give_name(struct repo *r, const char *from, const char *name, uint64_t size,
		     struct fail *why)
{
	char to[REPO_PATH_MAX], folder[REPO_PATH_MAX];
	int res = path_of(r, name, to, why);
	if (res < 0)
		return res;
	(void)snprintf(folder, sizeof folder, "%s", to);
	*strrchr(folder, '/') = '\0';
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return fail_errno(why, FAIL_IO, "cannot make %s", folder);
	struct repo_waiting *w = vec_push(&r->waiting);
	w->from = xstrdup(from);
	w->to = xstrdup(to);
	(void)strmap_put(&r->by_name, str_c(w->to), w->to);
	r->waiting_bytes += size;
	return r->waiting.n >= FLUSH_COUNT || r->waiting_bytes >= FLUSH_BYTES ? repo_sync(r, why)
									      : 0;
}

/* Is it there, or will it be with the next sync? */
static bool is_there(struct repo *r, const char *name, uint64_t size)
{
	char path[REPO_PATH_MAX];
	struct stat st;
	if (path_of(r, name, path, NULL) < 0)
		return false;
	if (strmap_get(&r->by_name, str_c(path)))
		return true;
	return stat(path, &st) == 0 && (size == UINT64_MAX || (uint64_t)st.st_size == size);
}

static int temp_file(struct repo *r, char path[REPO_PATH_MAX], struct fail *why)
{
	char name[32];
	(void)snprintf(name, sizeof name, "%llu", (unsigned long long)r->temp++);
	repo_temp(r, name, path);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return fd < 0 ? fail_errno(why, FAIL_IO, "cannot write %s", path) : fd;
}

static int write_all(int fd, struct str s, struct fail *why)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno != EINTR)
			return fail_errno(why, errno == ENOSPC ? FAIL_LIMIT : FAIL_IO,
					  "writing the backup");
		s = str_skip(s, n < 0 ? 0 : (size_t)n);
	}
	return 0;
}

int repo_put_block(struct repo *r, struct str bytes, struct repo_hash *ret, struct fail *why)
{
	char name[REPO_NAME_MAX], path[REPO_PATH_MAX];
	sha256_of(bytes, ret->b);
	object_name(ret, false, name);
	if (is_there(r, name, UINT64_MAX)) {
		r->counts.old_bytes += bytes.n;
		return 0;
	}
	int res = zstd_pack(bytes, &r->pack, why);
	if (res < 0)
		return res;
	AUTO_FD int fd = temp_file(r, path, why);
	if (fd < 0)
		return fd;
	res = write_all(fd, buf_str(&r->pack), why);
	if (res < 0)
		return res;
	r->counts.new_objects++;
	r->counts.new_bytes += bytes.n;
	r->counts.stored_bytes += r->pack.n;
	return give_name(r, path, name, r->pack.n, why);
}

static int read_object(struct repo *r, const char *name, struct buf *into, struct fail *why)
{
	char path[REPO_PATH_MAX];
	int res = path_of(r, name, path, why);
	if (res < 0)
		return res;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_set(why, errno == ENOENT ? FAIL_NOTFOUND : FAIL_IO, NULL,
				"%s is missing", name);
	buf_reset(into);
	for (;;) {
		char *room = buf_room(into, KIB(64));
		ssize_t n = room ? read(fd, room, KIB(64)) : -1;
		if (!room)
			return fail_set(why, FAIL_CORRUPT, NULL, "%s is too large", name);
		if (n < 0)
			return fail_errno(why, FAIL_IO, "cannot read %s", name);
		if (n == 0)
			return 0;
		buf_added(into, (size_t)n);
	}
}

int repo_get_block(struct repo *r, const struct repo_hash *h, struct buf *ret, struct fail *why)
{
	char name[REPO_NAME_MAX];
	unsigned char sum[SHA256_LEN];
	object_name(h, false, name);
	int res = read_object(r, name, &r->pack, why);
	if (res == 0)
		res = zstd_unpack(buf_str(&r->pack), ret, why);
	if (res < 0)
		return fail_wrap(why, res, "%s", name);
	sha256_of(buf_str(ret), sum);
	if (memcmp(sum, h->b, sizeof sum) != 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "%s is damaged", name);
	return 0;
}

static int hash_fd(int fd, struct repo_hash *ret, uint64_t *ret_size, struct fail *why)
{
	AUTO_MEM char *piece = xcalloc(1, COPY_PIECE);
	struct sha256 *h = sha256_begin();
	uint64_t at = 0;
	ssize_t n;
	while ((n = pread(fd, piece, COPY_PIECE, (off_t)at)) > 0) {
		sha256_add(h, str_make(piece, (size_t)n));
		at += (uint64_t)n;
	}
	sha256_end(h, ret->b);
	*ret_size = at;
	return n < 0 ? fail_errno(why, FAIL_IO, "cannot read") : 0;
}

int repo_copy(int from, int to, struct fail *why)
{
	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	AUTO_MEM char *piece = xcalloc(1, COPY_PIECE);
	for (;;) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, MIB(64), 0);
		if (n == 0)
			return 0;
		if (n > 0)
			continue;
		n = read(from, piece, COPY_PIECE);
		if (n == 0)
			return 0;
		if (n < 0)
			return fail_errno(why, FAIL_IO, "cannot read");
		int r = write_all(to, str_make(piece, (size_t)n), why);
		if (r < 0)
			return r;
	}
}

int repo_put_body(struct repo *r, const char *path, const struct repo_hash *h, uint64_t size,
		  struct fail *why)
{
	char name[REPO_NAME_MAX], temp[REPO_PATH_MAX];
	struct repo_hash sum;
	uint64_t n = 0;
	object_name(h, true, name);
	if (is_there(r, name, size)) {
		r->counts.old_bytes += size;
		return 0;
	}
	AUTO_FD int from = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (from < 0)
		return fail_errno(why, errno == ENOENT ? FAIL_NOTFOUND : FAIL_IO, "%s", path);
	AUTO_FD int to = temp_file(r, temp, why);
	int res = to < 0 ? to : repo_copy(from, to, why);
	/* What is in the copy counts. */
	if (res == 0)
		res = hash_fd(to, &sum, &n, why);
	if (res == 0 && (n != size || memcmp(sum.b, h->b, sizeof sum.b) != 0)) {
		(void)unlink(temp);
		res = fail_set(why, FAIL_CORRUPT, NULL, "%s is not what was stored", path);
	}
	if (res < 0)
		return res;
	r->counts.new_objects++;
	r->counts.new_bytes += size;
	r->counts.stored_bytes += size;
	return give_name(r, temp, name, size, why);
}

int repo_body_path(struct repo *r, const struct repo_hash *h, char path[REPO_PATH_MAX],
		   struct fail *why)
{
	char name[REPO_NAME_MAX];
	object_name(h, true, name);
	int res = path_of(r, name, path, why);
	if (res == 0 && access(path, F_OK) < 0)
		res = fail_set(why, FAIL_NOTFOUND, NULL, "%s is missing", name);
	return res;
}

int repo_check_body(struct repo *r, const struct repo_hash *h, uint64_t size, struct fail *why)
{
	char path[REPO_PATH_MAX];
	struct repo_hash sum;
	uint64_t n = 0;
	int res = repo_body_path(r, h, path, why);
	if (res < 0)
		return res;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(why, FAIL_IO, "%s", path);
	res = hash_fd(fd, &sum, &n, why);
	if (res == 0 && (n != size || memcmp(sum.b, h->b, sizeof sum.b) != 0))
		res = fail_set(why, FAIL_CORRUPT, NULL, "%s is damaged", path);
	return res;
}

void repo_discard(struct repo *r, const struct repo_hash *h, bool body)
{
	char name[REPO_NAME_MAX], from[REPO_PATH_MAX], to[REPO_PATH_MAX + 16];
	object_name(h, body, name);
	if (path_of(r, name, from, NULL) < 0)
		return;
	(void)snprintf(to, sizeof to, "%s.damaged", from);
	(void)rename(from, to);
}
