/* SPDX-License-Identifier: Apache-2.0 */
/*
 * totp.h - codes that change every 30 seconds, and recovery codes.              [service/dir only]
 *
 * RFC 6238 with SHA-1, six digits and steps of 30 s, which every authenticator program knows. One
 * step before and behind now is taken; no step twice. The public calls are in dir.h.
 */
#ifndef BARID_SERVICE_DIR_TOTP_H
#define BARID_SERVICE_DIR_TOTP_H

#include "base/buf.h"
#include "dir_int.h"

#define TOTP_STEP_S	30
#define TOTP_SECRET_LEN 20

/* The code of a step, `digits` (at most 8) of them. */
uint32_t totp_code(struct str secret, uint64_t step, unsigned digits);
/* RFC 4648 base32 without padding, as authenticators read secrets. */
void totp_base32(struct str bytes, struct buf *out);

#endif
