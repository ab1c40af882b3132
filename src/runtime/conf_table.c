/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that name files whose content is part of the configuration: "NAME#CONTENT in base64". */
#include "base/check.h"
#include "base/encode.h"
#include "base/text.h"
#include "runtime/conf_int.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE_BYTES_MAX KIB(256)

struct str conf_table_name(const char *entry)
{
	struct str s = str_c(entry);
	return str_sub(s, 0, str_rfind(s, '#'));
}

int conf_table_text(const char *entry, struct buf *out)
{
	struct str s = str_c(entry);
	return base64_decode(out, str_skip(s, str_rfind(s, '#') + 1));
}

int conf_slurp(const char *path, struct buf *text)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0 && !text->failed) {
		char *room = buf_room(text, 4096);
		n = room ? read(fd, room, 4096) : 0;
		if (n > 0)
			buf_added(text, (size_t)n);
	}
	return n < 0 || text->failed ? -1 : 0;
}

/* Relative to the file that names it. */
static char *path_of(const char *from, struct str name)
{
	AUTO(buf) struct buf path = BUF_INIT(4096);
	char *file = xstrdup(from);
	if (name.p[0] != '/')
		(void)buf_addf(&path, "%s/", dirname(file));
	free(file);
	return buf_add(&path, name) < 0 ? NULL : buf_take(&path);
}

char *conf_table_load(const char *from, struct str name, char **ret_path, struct buf *why)
{
	AUTO(buf) struct buf text = BUF_INIT(TABLE_BYTES_MAX), entry = BUF_INIT(MIB(1));
	if (str_eq(name, STR("default")) || str_find(name, 0, '#') < name.n) {
		char *copy = strndup(name.p, name.n); /* canonical text */
		CHECK(copy);
		return copy;
	}
	/* Postfix's word for the kind of table may stay in front of a name. */
	if (str_starts(name, STR("pcre:")) || str_starts(name, STR("regexp:")))
		name = str_skip(name, str_find(name, 0, ':') + 1);
	char *path = from && name.n ? path_of(from, name) : NULL;
	if (!path || conf_slurp(path, &text) < 0) {
		(void)buf_add_c(why, text.failed ? T("larger than 256 KiB")
				     : !path	 ? T("files are not read here")
						 : strerror(errno));
		free(path);
		return NULL;
	}
	(void)buf_add_c(&entry, path);
	(void)buf_addc(&entry, '#');
	(void)base64_encode(&entry, text.n ? buf_str(&text) : STR(""));
	*ret_path = path;
	return buf_take(&entry);
}
