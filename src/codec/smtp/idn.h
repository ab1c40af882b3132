/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idn.h - international domain names: the adapter to libidn2.             [codec, pure]
 */
#ifndef BARID_CODEC_SMTP_IDN_H
#define BARID_CODEC_SMTP_IDN_H

#include "base/buf.h"
#include "base/str.h"

/*
 * Append the A-label form (RFC 5891, non-transitional UTS 46 mapping) of a UTF-8 domain name of at
 * most 1024 octets. FAIL_SYNTAX when it has none, FAIL_TOOBIG over DNS limits.
 */
MUST_CHECK int idn_to_ascii(struct str name, struct buf *out);

#endif
