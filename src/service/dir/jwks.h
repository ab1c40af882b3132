/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwks.h - an issuer's public keys, and signatures by them.                     [service/dir only]
 *
 * RFC 7517 with RFC 7518 section 6 and RFC 8037: RSA of 2,048 to 8,192 bits (RS256), EC on P-256
 * (ES256), Ed25519 (EdDSA). Other keys of a set are passed over. A key is used with the algorithm
 * of its kind and no other, whatever a token says; there are no shared secrets here, so a token
 * cannot make one of a public key. Immutable; any thread.
 */
#ifndef BARID_SERVICE_DIR_JWKS_H
#define BARID_SERVICE_DIR_JWKS_H

#include "base/auto.h"
#include "base/fail.h"
#include "base/str.h"

#define JWKS_KEYS_MAX 32

struct jwks;

/* -FAIL_SYNTAX: not a key set; an empty one is fine. */
MUST_CHECK int jwks_read(struct str json, struct jwks **ret, struct fail *why);
void jwks_free(struct jwks *k); /* NULL is fine */
size_t jwks_count(const struct jwks *k);

/*
 * Is `signature` (bytes) one over `text` by the key `kid` (empty: by any of ours)? `alg` as the
 * token names it; another one than the three is no.
 */
bool jwks_verify(const struct jwks *k, struct str alg, struct str kid, struct str text,
		 struct str signature);

#endif
