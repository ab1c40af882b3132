/* SPDX-License-Identifier: Apache-2.0 */
#include "dir_key.h"

#include "base/check.h"
#include "password_int.h"
#include "sys/fs.h"
#include "sys/rand.h"

#define PATH_ROOM 4200

static int read_key(struct fs *fs, const char *path, struct secret *ret, struct fail *why)
{
	AUTO(fs_file) struct fs_file *f = NULL;
	unsigned char bytes[DIR_KEY_LEN + 1];
	size_t n = 0;
	int r = fs_open(fs, path, FS_READ | FS_NOFOLLOW, 0, &f, why);

	if (r == 0)
		r = fs_pread(f, bytes, sizeof bytes, 0, &n, why);
	if (r == 0 && n != DIR_KEY_LEN)
		r = fail_set(why, FAIL_CORRUPT, NULL, "%s holds %zu bytes, not 32", path, n);
	if (r == 0)
		secret_init_copy(ret, str_make((const char *)bytes, DIR_KEY_LEN));
	explicit_bzero(bytes, sizeof bytes);
	return r;
}

/* Whole or not at all, also when two processes do it at once. */
static int make_key(struct fs *fs, const char *folder, const char *path, struct fail *why)
{
	AUTO(fs_file) struct fs_file *f = NULL;
	unsigned char bytes[DIR_KEY_LEN];
	int r = fs_open(fs, folder, FS_READ | FS_WRITE | FS_NAMELESS, 0600, &f, why);

	if (r < 0)
		return r;
	rand_bytes(bytes, sizeof bytes);
	r = fs_pwrite(f, bytes, sizeof bytes, 0, why);
	explicit_bzero(bytes, sizeof bytes);
	if (r == 0)
		r = fs_sync(f, why);
	if (r == 0)
		r = fs_link(f, path, why);
	if (r == -FAIL_EXISTS)
		return 0;
	return r < 0 ? r : fs_sync_dir(fs, folder, why);
}

int dir_key_open(struct fs *fs, const char *database, struct secret *ret, struct fail *why)
{
	char folder[PATH_ROOM];
	char path[PATH_ROOM + 16];
	int r = fs_parent(database, folder, sizeof folder, why);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof path, "%s/secret.key", folder);
	r = read_key(fs, path, ret, why);
	if (r != -FAIL_NOTFOUND)
		return r;
	r = make_key(fs, folder, path, why);
	return r < 0 ? r : read_key(fs, path, ret, why);
}

void dir_key_derive(const struct secret *key, const char *purpose, struct str text,
		    uint8_t out[DIR_KEY_LEN])
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(8));

	(void)buf_add_c(&b, purpose);
	(void)buf_addc(&b, '\0');
	(void)buf_add(&b, text);
	CHECK(!b.failed &&
	      digest_hmac(DIGEST_SHA256, secret_str(key), buf_str(&b), out, NULL) == 0);
	explicit_bzero(b.p, b.n);
}
