/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zstd.h - compression of whole blocks (libzstd).                                          [sys]
 */
#ifndef BARID_SYS_ZSTD_H
#define BARID_SYS_ZSTD_H

#include "base/buf.h"

/* Replace out's content by `in` as one frame. -FAIL_LIMIT when it does not fit into out->max. */
MUST_CHECK int zstd_pack(struct str in, struct buf *out, struct fail *why);
/* And back: at most out->max bytes. -FAIL_CORRUPT: not a frame; -FAIL_TOOBIG. */
MUST_CHECK int zstd_unpack(struct str in, struct buf *out, struct fail *why);

#endif
