/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password_int.h - between the files of password.c.                            [service/dir only]
 */
#ifndef BARID_SERVICE_DIR_PASSWORD_INT_H
#define BARID_SERVICE_DIR_PASSWORD_INT_H

#include "service/dir/password.h"
#include "sys/digest.h"

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
