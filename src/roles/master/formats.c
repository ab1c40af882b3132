/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format of what is no database: blob/format, one line "barid-blob N". A tree without it is of
 * format 1, from before there was such a file.
 */
#include "base/num.h"
#include "roles/master/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOB_FORMAT 1u
#define MARKER	    "barid-blob "

static int write_marker(int folder, struct fail *why)
{
	char text[64];
	int n = snprintf(text, sizeof text, MARKER "%u\n", BLOB_FORMAT);
	/* The folder is the roles': what they put there under this name is not written through. */
	(void)unlinkat(folder, "format.new", 0);
	AUTO_FD int fd = openat(folder, "format.new",
				O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, (size_t)n) != n || fchmod(fd, 0644) < 0 ||
	    fdatasync(fd) < 0 || renameat(folder, "format.new", folder, "format") < 0 ||
	    fsync(folder) < 0)
		return fail_errno(why, errno == ENOSPC ? FAIL_LIMIT : FAIL_IO,
				  "cannot write blob/format");
	return 0;
}

static int judge(const struct master *m, struct str text, struct fail *why)
{
	uint32_t format = 0;
	struct str line;
	if (!str_cut(&text, '\n', &line) || !str_starts(line, STR(MARKER)) ||
	    !num_parse_u32(str_skip(line, strlen(MARKER)), &format) || format == 0)
		return fail_set(why, FAIL_UNSUPPORTED, NULL,
				"%s/blob/format is not barid's: move that folder away, or correct "
				"state_dir",
				m->conf->state_dir);
	if (format > BLOB_FORMAT)
		return fail_set(
			why, FAIL_UNSUPPORTED, NULL,
			"%s/blob has format %u; barid " BARID_VERSION
			" knows formats up to %u: install the barid that made it (or a later "
			"one) again, or restore a backup from before the upgrade",
			m->conf->state_dir, format, BLOB_FORMAT);
	return 0;
}

int blob_format_check(struct master *m, struct fail *why)
{
	char text[64];
	AUTO_FD int folder =
		openat(m->state_fd, "blob", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return fail_errno(why, FAIL_IO, "cannot open %s/blob", m->conf->state_dir);
	AUTO_FD int fd = openat(folder, "format", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return write_marker(folder, why);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (n < 0)
		return fail_errno(why, FAIL_IO, "cannot read %s/blob/format", m->conf->state_dir);
	return judge(m, str_make(text, (size_t)n), why);
}
