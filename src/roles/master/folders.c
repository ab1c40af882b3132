/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Group of the blob tree, which queue and user share, where no group "barid-blob" exists. */
#define BLOB_GID_FALLBACK 61439u

static int make_folder(struct master *m, const char *name, const struct owner *o, mode_t mode,
		       struct fail *why)
{
	uint32_t uid = o->uid, gid = o->gid;
	if (mkdirat(m->state_fd, name, mode & 0777) < 0 && errno != EEXIST)
		return fail_errno(why, FAIL_IO, "cannot make %s/%s", m->conf->state_dir, name);
	struct stat st;
	if (fstatat(m->state_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return fail_set(why, FAIL_CONFLICT, NULL, "%s/%s is not a folder",
				m->conf->state_dir, name);
	int r = getuid() == 0 ? hand_over(m->state_fd, name, o, why) : 0;
	if (r < 0)
		return r;
	if (getuid() == 0 && (st.st_uid != uid || st.st_gid != gid) &&
	    fchownat(m->state_fd, name, uid, gid, 0) < 0)
		return fail_errno(why, FAIL_IO, "cannot give %s to user %u", name, uid);
	if ((st.st_mode & 07777) != mode && fchmodat(m->state_fd, name, mode, 0) < 0)
		return fail_errno(why, FAIL_IO, "cannot set the mode of %s", name);
	return 0;
}

/*
 * The accounts database may have been made by the command line as root, before the first start:
 * the files directly below dir/ become the role's. (The other folders are made by their roles.)
 */
static int hand_over_files(struct master *m, const struct child *dir, struct fail *why)
{
	static const char *const files[] = {"dir/vmail.db", "dir/vmail.db-wal", "dir/vmail.db-shm",
					    "dir/secret.key", "dir/srs.secrets"};
	for (size_t i = 0; i < ARRAY_LEN(files) && getuid() == 0; i++)
		if (fchownat(m->state_fd, files[i], dir->uid, dir->gid, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != ENOENT)
			return fail_errno(why, FAIL_IO, "cannot give %s to its role", files[i]);
	return 0;
}

/* Half a restore serves nobody. */
static int refuse_half_restored(const struct master *m, struct fail *why)
{
	if (faccessat(m->state_fd, "restoring", F_OK, 0) < 0)
		return 0;
	return fail_set(why, FAIL_CONFLICT,
			"A restore into this folder was interrupted: repeat it first.",
			"%s/restoring is there", m->conf->state_dir);
}

/* What roles and the command line keep in them survives no power cut if their names do not. */
static int names_last(const struct master *m, bool made, struct fail *why)
{
	char parent[PATH_MAX];
	int r = fs_sync_dir(fs_real(), m->conf->state_dir, why);
	if (r == 0 && made)
		r = fs_parent(m->conf->state_dir, parent, sizeof parent, why);
	return r == 0 && made ? fs_sync_dir(fs_real(), parent, why) : r;
}

int folders_prepare(struct master *m, struct fail *why)
{
	const char *dir = m->conf->state_dir;
	bool made = mkdir(dir, 0711) == 0;
	if (!made && errno != EEXIST)
		return fail_errno(why, FAIL_IO, "cannot make %s", dir);
	m->state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->state_fd < 0)
		return fail_errno(why, FAIL_IO, "cannot open %s", dir);
	m->lock_fd = openat(m->state_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (m->lock_fd < 0)
		return fail_errno(why, FAIL_IO, "cannot open %s/lock", dir);
	if (flock(m->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return fail_set(why, FAIL_BUSY, NULL, "another barid serves %s: stop it first",
				dir);
	/* Roles enter by descriptor, but look names up below: they need the search bit. */
	if (fchmod(m->state_fd, 0711) < 0)
		return fail_errno(why, FAIL_IO, "cannot set the mode of %s", dir);
	const struct group *blob = getgrnam("barid-blob");
	m->blob_gid = getuid() != 0 ? 0 : blob ? blob->gr_gid : BLOB_GID_FALLBACK;
	const struct child *queue = master_child(m, "queue", 0);
	const struct child *user = master_child(m, "user", 0);
	CHECK(queue && user);
	struct owner bodies = {.uid = queue->uid,
			       .gid = getuid() == 0 ? m->blob_gid : getgid(),
			       .other_uid = user->uid};
	int r = refuse_half_restored(m, why);
	if (r < 0)
		return r;
	r = make_folder(m, "blob", &bodies, getuid() == 0 ? 02770 : 0700, why);
	if (r == 0)
		r = blob_format_check(m, why);
	for (size_t k = 0; k < role_kinds_n && r == 0; k++) {
		const struct child *c = master_child(m, role_kinds[k].name, 0);
		struct owner o = {.uid = c->uid, .gid = getuid() == 0 ? c->gid : getgid()};
		if (role_kinds[k].folder)
			r = make_folder(m, role_kinds[k].folder, &o, 0700, why);
	}
	if (r == 0)
		r = names_last(m, made, why);
	return r < 0 ? r : hand_over_files(m, master_child(m, "dir", 0), why);
}
