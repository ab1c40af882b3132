/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8.h - UTF-8 (RFC 3629): strict validation and stepping.                   [base]
 */
#ifndef BARID_BASE_UTF8_H
#define BARID_BASE_UTF8_H

#include "buf.h"
#include "str.h"

/* True when s is well-formed: no overlong form, surrogate or value above U+10FFFF. */
bool utf8_valid(struct str s);
bool str_is_ascii(struct str s);
size_t str_ascii_run(struct str s); /* how many ASCII characters it begins with */

/*
 * Decode the character at s.p[*pos], advance *pos past it and return it. A malformed byte
 * returns U+FFFD and advances by one. Call only while *pos < s.n.
 */
uint32_t utf8_next(struct str s, size_t *pos);

/* Append one code point (an invalid one becomes U+FFFD). */
int utf8_put(struct buf *b, uint32_t cp);

#endif
