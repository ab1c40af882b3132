/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha256.h - SHA-256 (FIPS 180-4) of bytes and of files, through libcrypto.    [sys]
 */
#ifndef BARID_SYS_SHA256_H
#define BARID_SYS_SHA256_H

#include "base/fail.h"
#include "base/str.h"

#define SHA256_LEN 32

struct fs_file;
struct sha256;

void sha256_of(struct str s, unsigned char ret[SHA256_LEN]);

/* RFC 2104; a key of at most 64 bytes. */
void hmac_sha256(struct str key, struct str text, unsigned char ret[SHA256_LEN]);

/* In pieces: begin, add..., end (which frees). */
struct sha256 *sha256_begin(void);
void sha256_add(struct sha256 *h, struct str s);
void sha256_end(struct sha256 *h, unsigned char ret[SHA256_LEN]);

/* Of a whole file, and its size. */
MUST_CHECK int sha256_of_file(struct fs_file *f, unsigned char ret[SHA256_LEN], uint64_t *ret_size,
			      struct fail *why);

#endif
