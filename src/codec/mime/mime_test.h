/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mime_test.h - indexing in tests.                                       [codec/mime, tests only]
 */
#ifndef BARID_CODEC_MIME_TEST_H
#define BARID_CODEC_MIME_TEST_H

#include "base/test.h"
#include "codec/mime/index.h"

/* The map of a message that is fed in pieces of `step` bytes, the first one of `first`. */
static inline struct mime_map *index_pieces(struct arena *arena, struct str message, size_t first,
					    size_t step, const struct mime_limits *lim)
{
	AUTO(mime_index) struct mime_index *ix = mime_index_new(lim, NULL, arena);
	struct mime_map *map = NULL;
	struct fail why = FAIL_INIT;
	mime_index_feed(ix, str_sub(message, 0, first));
	for (size_t at = first; at < message.n; at += step)
		mime_index_feed(ix, str_sub(message, at, at + step));
	assert_ok(mime_index_finish(ix, &map, &why), &why);
	assert_non_null(map);
	return map;
}

static inline struct mime_map *index_whole(struct arena *arena, struct str message)
{
	return index_pieces(arena, message, message.n, 1, NULL);
}

/* The binary form, after reading it back and writing it again gave the same. */
static inline void map_bytes(const struct mime_map *map, struct buf *out)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	AUTO(buf) struct buf again = BUF_INIT(out->max);
	struct mime_map *copy;
	struct fail why = FAIL_INIT;
	buf_reset(out);
	assert_int_equal(mime_map_write(map, out), 0);
	assert_ok(mime_map_read(buf_str(out), map->size, &arena, &copy, &why), &why);
	assert_int_equal(mime_map_write(copy, &again), 0);
	assert_true(str_eq(buf_str(out), buf_str(&again)));
}

#endif
