/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/fs.h"
#include "tools/barid/trace.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STDIN_MAX (UINT64_C(4) << 30)
#define LIVE	  "barid.log"

static int is_log(const struct dirent *e)
{
	return strcmp(e->d_name, LIVE) == 0 || strncmp(e->d_name, LIVE "-", sizeof LIVE) == 0;
}

/* barid.log-TIME in order of time, then barid.log. */
static int by_time(const struct dirent **a, const struct dirent **b)
{
	bool live_a = strcmp((*a)->d_name, LIVE) == 0, live_b = strcmp((*b)->d_name, LIVE) == 0;
	return live_a != live_b ? live_a - live_b : strcmp((*a)->d_name, (*b)->d_name);
}

/* A file that grows is looked at up to where it ends now, and up to its last whole line. */
static int add_file(struct trace_files *f, int fd, size_t *ret_size)
{
	struct stat st;
	*ret_size = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	if (st.st_size == 0)
		return 0;
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	(void)madvise(p, (size_t)st.st_size, MADV_SEQUENTIAL);
	*ret_size = (size_t)st.st_size;
	*vec_push(&f->v) = (struct trace_file){.bytes = {p, *ret_size}, .mapped = true};
	return 0;
}

static int open_one(struct trace_files *f, int folder, const char *name, struct fail *why)
{
	size_t size;
	AUTO_FD int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 0; /* deleted this moment */
	if (fd < 0 || add_file(f, fd, &size) < 0)
		return fail_errno(why, FAIL_PERM, "cannot read log/%s", name);
	if (strcmp(name, LIVE) == 0) {
		f->live = TAKE_FD(fd);
		f->live_size = size;
	}
	return 0;
}

int trace_files_open(const char *state_dir, struct trace_files *ret, struct fail *why)
{
	char path[4200];
	struct dirent **names = NULL;
	(void)snprintf(path, sizeof path, "%s/log", state_dir);
	AUTO_FD int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int n = folder < 0 ? -1 : scandirat(folder, ".", &names, is_log, by_time);
	int r = 0;
	if (n < 0)
		return fail_errno(why, errno == ENOENT ? FAIL_NOTFOUND : FAIL_PERM,
				  "cannot read the folder %s", path);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = open_one(ret, folder, names[i]->d_name, why);
		free(names[i]);
	}
	free((void *)names);
	if (r == 0 && n == 0)
		r = fail_set(why, FAIL_NOTFOUND, NULL, "there is no log file in %s", path);
	return r;
}

int trace_files_read(int fd, struct trace_files *ret, struct fail *why)
{
	struct buf all = BUF_INIT(STDIN_MAX);
	ssize_t n = 1;
	while (n > 0) {
		char *room = buf_room(&all, 1u << 20);
		if (!room) {
			buf_clear(&all);
			return fail_set(why, FAIL_TOOBIG, NULL, "more than 4 GiB of log");
		}
		n = read(fd, room, 1u << 20);
		if (n > 0)
			buf_added(&all, (size_t)n);
	}
	if (n < 0) {
		buf_clear(&all);
		return fail_errno(why, FAIL_IO, "reading the log");
	}
	size_t size = all.n;
	*vec_push(&ret->v) = (struct trace_file){.bytes = {buf_take(&all), size}};
	return 0;
}

void trace_files_clear(struct trace_files *f)
{
	for (size_t i = 0; i < f->v.n; i++) {
		void *p = (void *)(uintptr_t)f->v.p[i].bytes.p;
		if (f->v.p[i].mapped)
			(void)munmap(p, f->v.p[i].bytes.n);
		else
			free(p);
	}
	vec_clear(&f->v);
	if (f->live >= 0)
		(void)close(f->live);
	f->live = -1;
}
