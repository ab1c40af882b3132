/* SPDX-License-Identifier: Apache-2.0 */
#include "base/encode.h"
#include "service/srs/srs.h"
#include "service/srs/srs_int.h"
#include "sys/fs.h"
#include "sys/rand.h"

#define PATH_ROOM    4200
#define RANDOM_BYTES 24
#define SECRET_LEAST 8 /* characters */

static const char head[] =
	"# Secrets of rewritten senders (SRS): the first one signs, all verify. barid srs rotate\n";

static int read_file(struct fs *fs, const char *path, struct buf *ret, struct fail *why)
{
	AUTO(fs_file) struct fs_file *f = NULL;
	struct fs_stat st;
	size_t n = 0;
	int r = fs_open(fs, path, FS_READ | FS_NOFOLLOW, 0, &f, why);

	if (r == 0)
		r = fs_file_stat(f, &st, why);
	if (r < 0)
		return r;
	if (st.mode & 077)
		return fail_set(why, FAIL_PERM, NULL, "%s can be read by others (mode %o, not 600)",
				path, (unsigned)st.mode);
	ret->max = MAX(ret->max, (size_t)SRS_SECRETS_BYTES);
	char *room = st.size < SRS_SECRETS_BYTES ? buf_room(ret, SRS_SECRETS_BYTES - 1) : NULL;
	if (!room)
		return fail_set(why, FAIL_TOOBIG, NULL, "%s is too large", path);
	r = fs_pread(f, room, SRS_SECRETS_BYTES - 1, 0, &n, why);
	if (r == 0)
		buf_added(ret, n);
	return r;
}

/* A name of its own beside the file, then in its place: whole or not at all. */
static int write_file(struct fs *fs, const char *path, struct str text, bool replace,
		      struct fail *why)
{
	AUTO(fs_file) struct fs_file *f = NULL;
	char folder[PATH_ROOM], fresh[PATH_ROOM + 32];
	int r = fs_parent(path, folder, sizeof folder, why);

	if (r < 0)
		return r;
	(void)snprintf(fresh, sizeof fresh, "%s.%08x", path, (unsigned)rand_u64());
	r = fs_open(fs, folder, FS_READ | FS_WRITE | FS_NAMELESS, 0600, &f, why);
	if (r == 0)
		r = fs_pwrite(f, text.p, text.n, 0, why);
	if (r == 0)
		r = fs_sync(f, why);
	if (r == 0)
		r = fs_link(f, replace ? fresh : path, why);
	if (r == 0 && replace)
		r = fs_rename(fs, fresh, path, why);
	if (r == -FAIL_EXISTS && !replace)
		return 0; /* another one was first */
	return r < 0 ? r : fs_sync_dir(fs, folder, why);
}

static void add_random(struct buf *out)
{
	unsigned char bytes[RANDOM_BYTES];

	rand_bytes(bytes, sizeof bytes);
	(void)base64_encode(out, str_make((const char *)bytes, sizeof bytes));
	explicit_bzero(bytes, sizeof bytes);
}

static void wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->n);
}

int srs_secrets_read(struct fs *fs, const char *path, struct buf *ret, struct fail *why)
{
	AUTO(buf) struct buf first = BUF_INIT(KIB(1));
	int r = read_file(fs, path, ret, why);

	if (r != -FAIL_NOTFOUND)
		return r;
	(void)buf_add_c(&first, head);
	add_random(&first);
	(void)buf_addc(&first, '\n');
	r = write_file(fs, path, buf_str(&first), false, why);
	wipe(&first);
	return r < 0 ? r : read_file(fs, path, ret, why);
}

static bool is_secret(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return s.n >= SECRET_LEAST && s.n <= 500 && s.p[0] != '#' && str_eq(s, str_trim(s));
}

int srs_secrets_add(struct fs *fs, const char *path, struct str secret, size_t keep,
		    struct fail *why)
{
	AUTO(buf) struct buf old = BUF_INIT(SRS_SECRETS_BYTES);
	AUTO(buf) struct buf fresh = BUF_INIT(SRS_SECRETS_BYTES - 1);
	struct str text, one;
	int r;

	if (secret.n && !is_secret(secret))
		return fail_set(why, FAIL_SYNTAX,
				"A secret is one line of at least 8 characters that does not begin "
				"with #.",
				"not a secret");
	r = srs_secrets_read(fs, path, &old, why);
	if (r < 0)
		return r;
	(void)buf_add_c(&fresh, head);
	if (secret.n)
		(void)buf_add(&fresh, secret);
	else
		add_random(&fresh);
	(void)buf_addc(&fresh, '\n');
	text = buf_str(&old);
	keep = MIN(keep, (size_t)SRS_SECRETS_MAX - 1);
	while (keep > 0 && srs_secrets_next(&text, &one)) {
		if (str_eq(one, secret))
			continue;
		(void)buf_add(&fresh, one);
		(void)buf_addc(&fresh, '\n');
		keep--;
	}
	r = fresh.failed ? fail_set(why, FAIL_TOOBIG, NULL, "too many secrets")
			 : write_file(fs, path, buf_str(&fresh), true, why);
	wipe(&old);
	wipe(&fresh);
	return r;
}

size_t srs_secrets_count(struct str text)
{
	struct str one;
	size_t n = 0;

	while (srs_secrets_next(&text, &one))
		n++;
	return MIN(n, (size_t)SRS_SECRETS_MAX);
}
