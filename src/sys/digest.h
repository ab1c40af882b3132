/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h - libcrypto's digests, for password schemes, caches and SASL.           [sys]
 *
 * Algorithms are fetched once per process. Pure otherwise; any thread.
 */
#ifndef BARID_SYS_DIGEST_H
#define BARID_SYS_DIGEST_H

#include "base/fail.h"
#include "base/str.h"
#include <stdint.h>

enum digest { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512, DIGESTS };
#define DIGEST_LEN_MAX 64

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

#endif
