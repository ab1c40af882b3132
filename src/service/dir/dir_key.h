/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir_key.h - the directory's own secret: a file beside vmail.db.               [service/dir only]
 *
 * `secret.key` holds 32 random bytes, made once, mode 0600. Keys for single purposes are made of
 * it; so a copy of vmail.db alone opens no second factor, and tells nobody which salts are made
 * up. Without the file a new one is made: second factors must then be set up again.
 */
#ifndef BARID_SERVICE_DIR_DIR_KEY_H
#define BARID_SERVICE_DIR_DIR_KEY_H

#include "base/fail.h"
#include "sys/secret.h"

#define DIR_KEY_LEN 32

struct fs;

/* Read the file in the folder of `database`, or make it. -FAIL_CORRUPT: it is of another length. */
MUST_CHECK int dir_key_open(struct fs *fs, const char *database, struct secret *ret,
			    struct fail *why);
/* out = HMAC-SHA-256(key, purpose NUL text) */
void dir_key_derive(const struct secret *key, const char *purpose, struct str text,
		    uint8_t out[DIR_KEY_LEN]);

#endif
