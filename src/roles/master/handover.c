/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a state folder whose owners have changed become their role's: after a restore by root,
 * or when a package gave the roles users of their own. A folder's owner is set last, so that a walk
 * that was cut short is made again.
 *
 * The roles own these folders, so nothing in them is trusted: names are never followed through
 * symbolic links, and a file with several names is handed over in the blob tree only.
 */
#include "roles/master/internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 3

static bool is_owner(const struct owner *o, const struct stat *st)
{
	return (st->st_uid == o->uid || (o->other_uid && st->st_uid == o->other_uid)) &&
	       st->st_gid == o->gid;
}

/* What is given is what was looked at: by descriptor, whatever has this name by now. */
static int give(const struct owner *o, int fd, const char *name, const struct stat *st,
		struct fail *why)
{
	bool keep = o->other_uid && st->st_uid == o->other_uid;
	if (is_owner(o, st))
		return 0;
	if (fchownat(fd, "", keep ? o->other_uid : o->uid, o->gid, AT_EMPTY_PATH) < 0)
		return fail_errno(why, FAIL_IO, "cannot give %s to user %u", name, o->uid);
	/* chown takes the set-group-id bit of a folder away. */
	if (S_ISDIR(st->st_mode) && o->other_uid && fchmod(fd, 02770) < 0)
		return fail_errno(why, FAIL_IO, "cannot set the mode of %s", name);
	return 0;
}

static int walk(const struct owner *o, int fd, int depth, struct fail *why);

static int visit(const struct owner *o, int folder, const char *name, int depth, struct fail *why)
{
	struct stat st;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	AUTO_FD int there = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (there < 0 || fstat(there, &st) < 0)
		return errno == ENOENT ? 0 : fail_errno(why, FAIL_IO, "cannot look at %s", name);
	if (S_ISREG(st.st_mode) && (st.st_nlink == 1 || o->other_uid))
		return give(o, there, name, &st, why);
	if (!S_ISDIR(st.st_mode) || depth == DEPTH_MAX)
		return 0;
	AUTO_FD int fd = openat(there, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int list = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (list < 0)
		return fail_errno(why, FAIL_IO, "cannot open %s", name);
	int r = walk(o, list, depth + 1, why);
	return r < 0 ? r : give(o, fd, name, &st, why);
}

/* Closes fd. */
static int walk(const struct owner *o, int fd, int depth, struct fail *why)
{
	DIR *d = fdopendir(fd);
	int r = 0;
	if (!d) {
		(void)close(fd);
		return fail_errno(why, FAIL_IO, "cannot list a folder of the state folder");
	}
	for (struct dirent *e; r == 0 && (e = readdir(d));)
		r = visit(o, dirfd(d), e->d_name, depth, why);
	(void)closedir(d);
	return r;
}

int hand_over(int state_fd, const char *name, const struct owner *o, struct fail *why)
{
	struct stat st;
	int fd = openat(state_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(why, FAIL_IO, "cannot open %s", name);
	if (fstat(fd, &st) < 0 || (st.st_uid == o->uid && st.st_gid == o->gid)) {
		(void)close(fd);
		return 0;
	}
	return walk(o, fd, 0, why);
}
