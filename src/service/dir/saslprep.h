/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saslprep.h - names and passwords in the one form that both ends compute with. [service/dir only]
 *
 * SASLprep (RFC 4013) through libidn, whose header no other file includes. Pure; any thread.
 */
#ifndef BARID_SERVICE_DIR_SASLPREP_H
#define BARID_SERVICE_DIR_SASLPREP_H

#include "base/buf.h"
#include "base/fail.h"

/*
 * Append the prepared form of UTF-8 text. ASCII without control characters is its own form.
 * -FAIL_SYNTAX: not UTF-8, something that must not stand in a name or password, or nothing left;
 * -FAIL_LIMIT: longer than 1024 bytes. `stored`: refuse code points that Unicode 3.2 had not
 * assigned, as what is stored must (RFC 3454 section 7).
 */
int saslprep(struct str text, bool stored, struct buf *out) MUST_CHECK;

#endif
