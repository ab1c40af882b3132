/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgid.h - message ids in header text, for comparing.                         [codec, pure]
 *
 * RFC 5256 section 3, REFERENCES: <"a"@b> and <a@b> are the same id. RFC 5322 3.6.4 and 4.5.4.
 */
#ifndef BARID_CODEC_ORDER_MSGID_H
#define BARID_CODEC_ORDER_MSGID_H

#include "base/buf.h"
#include "base/str.h"

#define MSGID_MAX 998

/*
 * Cut the next valid id off *rest, past whatever does not belong to one. *ret is what stands
 * between "<" and ">", without quotes, comments and blanks around dots where it has any; it borrows
 * from *rest or from `scratch`, which is reset. False when there is none any more. An id that is
 * longer than MSGID_MAX is none.
 */
bool msgid_next(struct str *rest, struct buf *scratch, struct str *ret);

#endif
