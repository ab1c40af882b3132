/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "tools/barid/cli.h"
#include <fcntl.h>
#include <unistd.h>

int cli_read_file(const char *path, struct buf *out, struct fail *why)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0) {
		char *room = buf_room(out, 4096);
		if (!room)
			return fail_set(why, FAIL_TOOBIG, NULL, "%s is larger than %zu bytes", path,
					out->max);
		n = read(fd, room, 4096);
		if (n > 0)
			buf_added(out, (size_t)n);
	}
	return n < 0 ? fail_errno(why, FAIL_IO, "cannot read %s", path) : 0;
}
