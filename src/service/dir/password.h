/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password.h - stored password hashes: verify all schemes, make yescrypt.      [service]
 *
 * A stored hash is "{SCHEME}data", "{SCHEME.b64}data" or "{SCHEME.hex}data", the scheme in any
 * case; without a prefix it is crypt(3) text. Pure apart from CPU and memory; any thread, no lock.
 */
#ifndef BARID_SERVICE_DIR_PASSWORD_H
#define BARID_SERVICE_DIR_PASSWORD_H

#include "base/buf.h"
#include "base/fail.h"

#define PASSWORD_MAX 1024

/*
 * 1: `password` is the one of `stored`. 0: it is not. FAIL_UNSUPPORTED: the scheme is unknown,
 * costs more than we accept, or takes no password so long (crypt: 511 bytes at most); FAIL_SYNTAX:
 * the data is not of its scheme. Comparison takes the same time wherever the difference lies.
 */
MUST_CHECK int password_verify(struct str stored, struct str password, struct fail *why);

/* Append "{CRYPT}$y$j9T$..." with a fresh salt. FAIL_SYNTAX: of more than 511 bytes, or with a NUL.
 */
MUST_CHECK int password_make(struct str password, struct buf *out, struct fail *why);
/* The same at half the cost ("j8T": 8 MiB, about 6 ms), for thousands of first passwords at once.
 */
MUST_CHECK int password_make_first(struct str password, struct buf *out, struct fail *why);

/* Take as long as verifying a yescrypt hash by this password, and say no. For users that do not
 * exist. */
void password_verify_nobody(struct str password);

#endif
