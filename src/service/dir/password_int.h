/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password_int.h - between the files of password.c.                            [service/dir only]
 */
#ifndef BARID_SERVICE_DIR_PASSWORD_INT_H
#define BARID_SERVICE_DIR_PASSWORD_INT_H

#include "service/dir/password.h"

enum digest { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512, DIGESTS };
#define DIGEST_LEN_MAX 64

/* Adapter to libcrypto (password_digest.c). Algorithms are fetched once per process. */
size_t digest_len(enum digest d);
/* out = digest(a || b), digest_len(d) bytes. */
MUST_CHECK int digest_two(enum digest d, struct str a, struct str b, uint8_t *out,
			  struct fail *why);
MUST_CHECK int digest_hmac(enum digest d, struct str key, struct str text, uint8_t *out,
			   struct fail *why);
MUST_CHECK int digest_pbkdf2(enum digest d, struct str password, struct str salt, unsigned rounds,
			     uint8_t *out, size_t n, struct fail *why);
/* Same length and bytes; the time depends on the lengths only. */
bool bytes_equal(struct str a, struct str b);

/* MD4 (RFC 1320), which OpenSSL keeps in a provider that nobody loads (md4.c). */
void md4(const uint8_t *p, size_t n, uint8_t out[16]);
/* The MD5 state (RFC 1321) after exactly one 64-byte block, as little-endian bytes: what the
 * reference's {CRAM-MD5} stores instead of a password. */
void md5_block_state(const uint8_t block[64], uint8_t out[16]);

/*
 * One scheme: `data` is decoded already where the scheme is bytes, else the text after the
 * prefix. 1, 0 or negative as password_verify.
 */
int verify_crypt(struct str data, struct str password, struct fail *why);
int verify_argon2(struct str data, struct str password, struct fail *why);
int verify_pbkdf2(struct str data, struct str password, struct fail *why);
int verify_scram(enum digest d, struct str data, struct str password, struct fail *why);
int verify_cram_md5(struct str data, struct str password, struct fail *why);
int verify_ntlm(struct str data, struct str password, struct fail *why);

#endif
