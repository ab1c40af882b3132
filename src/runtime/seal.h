/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h - authenticated encryption of state that sleeps with somebody else.       [runtime]
 *
 * AES-256-GCM with a random nonce. The key is made by master at start and given to the roles that
 * seal; edge, which keeps the sealed bytes, has no key. `purpose` binds a sealed text to what it is
 * for (role and session), so that edge cannot hand one session the state of another.
 */
#ifndef BARID_RUNTIME_SEAL_H
#define BARID_RUNTIME_SEAL_H

#include "base/buf.h"
#include "base/fail.h"

#define SEAL_KEY_SIZE 32
#define SEAL_OVERHEAD (12 + 16)

/* Append nonce, ciphertext and tag to out. */
MUST_CHECK int seal(const unsigned char key[SEAL_KEY_SIZE], struct str purpose, struct str plain,
		    struct buf *out);
/* Append the plain text. -FAIL_CORRUPT when it was not sealed with this key for this purpose. */
MUST_CHECK int unseal(const unsigned char key[SEAL_KEY_SIZE], struct str purpose, struct str sealed,
		      struct buf *out);

#endif
