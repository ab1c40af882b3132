/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/zstd.h"
#include <zstd.h>

#define LEVEL 3

int zstd_pack(struct str in, struct buf *out, struct fail *why)
{
	size_t bound = ZSTD_compressBound(in.n);
	buf_reset(out);
	char *room = buf_room(out, bound);
	if (!room)
		return fail_set(why, FAIL_LIMIT, NULL, "no room to compress %zu bytes", in.n);
	size_t n = ZSTD_compress(room, bound, in.p, in.n, LEVEL);
	if (ZSTD_isError(n))
		return fail_set(why, FAIL_BUG, NULL, "compressing: %s", ZSTD_getErrorName(n));
	buf_added(out, n);
	return 0;
}

int zstd_unpack(struct str in, struct buf *out, struct fail *why)
{
	unsigned long long size = ZSTD_getFrameContentSize(in.p, in.n);
	buf_reset(out);
	if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
		return fail_set(why, FAIL_CORRUPT, NULL, "not a compressed block");
	if (size > out->max)
		return fail_set(why, FAIL_TOOBIG, NULL, "a block of %llu bytes", size);
	char *room = buf_room(out, (size_t)size + 1);
	if (!room)
		return fail_set(why, FAIL_LIMIT, NULL, "no room for a block");
	size_t n = ZSTD_decompress(room, (size_t)size, in.p, in.n);
	if (ZSTD_isError(n) || n != size)
		return fail_set(why, FAIL_CORRUPT, NULL, "a damaged block");
	buf_added(out, n);
	return 0;
}
