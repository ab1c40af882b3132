/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of certificates and keys. Master reads them, because edge cannot; it does not look
 * into them: edge does, and says what it thinks of them.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX KIB(64)

static int read_pem(const char *path, bool secret, struct buf *out, struct buf *notes,
		    struct fail *why)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n = fd < 0 || fstat(fd, &st) < 0 ? -1 : 1;
	if (n > 0 && secret && (st.st_mode & S_IROTH))
		(void)buf_addf(notes,
			       "%s can be read by every user of this machine: chmod 600 it\n",
			       path);
	while (n > 0) {
		char *room = buf_room(out, 4096);
		if (!room)
			return fail_set(why, FAIL_TOOBIG, NULL, "%s is larger than 64 KiB", path);
		n = read(fd, room, 4096);
		if (n > 0)
			buf_added(out, (size_t)n);
	}
	return n < 0 ? fail_errno(why, FAIL_IO, "cannot read %s", path) : 0;
}

/* The text as memory of its own. */
static struct str keep(const struct buf *b)
{
	char *p = xcalloc(1, b->n + 1);
	if (b->n)
		memcpy(p, b->p, b->n);
	return (struct str){p, b->n};
}

static void wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->n);
}

int certificates_read(const struct conf *c, struct certificates *ret, struct buf *notes,
		      struct fail *why)
{
	AUTO(certificates) struct certificates all = {0};
	int r = 0;
	all.ids = xcalloc(c->tls_certificate.n, sizeof *all.ids);
	for (size_t i = 0; i < c->tls_certificate.n && r == 0; i++) {
		AUTO(buf) struct buf chain = BUF_INIT(FILE_MAX), key = BUF_INIT(FILE_MAX);
		r = read_pem(c->tls_certificate.p[i], false, &chain, notes, why);
		if (r == 0)
			r = read_pem(c->tls_key.p[i], true, &key, notes, why);
		if (r == 0)
			all.ids[all.n++] =
				(struct msg_identity){.chain = keep(&chain), .key = keep(&key)};
		wipe(&chain); /* a combined file holds the key, too */
		wipe(&key);
	}
	if (r < 0)
		return r;
	*ret = all;
	all = (struct certificates){0};
	return 0;
}

static void forget(struct str s)
{
	char *p = (char *)(uintptr_t)s.p; /* made by keep */
	if (p)
		explicit_bzero(p, s.n);
	free(p);
}

void certificates_clear(struct certificates *c)
{
	for (size_t i = 0; i < c->n; i++) {
		forget(c->ids[i].chain);
		forget(c->ids[i].key);
	}
	free(c->ids);
	*c = (struct certificates){0};
}
