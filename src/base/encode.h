/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.h - hexadecimal and base64 (RFC 4648).                                [base]
 */
#ifndef BARID_BASE_ENCODE_H
#define BARID_BASE_ENCODE_H

#include "buf.h"
#include "str.h"

int hex_encode(struct buf *out, struct str in); /* lower case */
int hex_decode(struct buf *out,
	       struct str in) MUST_CHECK;	   /* -FAIL_SYNTAX on odd length or foreign bytes */
int base64_encode(struct buf *out, struct str in); /* one line, with padding */
/* Strict: canonical alphabet and padding, no blanks. -FAIL_SYNTAX otherwise, nothing appended. */
int base64_decode(struct buf *out, struct str in) MUST_CHECK;

#endif
