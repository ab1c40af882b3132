/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_testing.h - a message in memory, for unit tests and fuzzers.   [codec/sieve, tests only]
 */
#ifndef BARID_CODEC_SIEVE_TESTING_H
#define BARID_CODEC_SIEVE_TESTING_H

#include "codec/mime/index.h"
#include "codec/sieve/sieve_run.h"

static inline int64_t memory_read(void *ctx, uint64_t off, char *to, size_t n)
{
	const struct str *all = ctx;
	struct str s = str_sub(*all, (size_t)off, (size_t)off + n);
	if (s.n)
		memcpy(to, s.p, s.n);
	return (int64_t)s.n;
}

/* *text has to live as long as the message. */
static inline bool memory_message(struct arena *arena, struct str *text, struct sieve_message *ret)
{
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, NULL, arena);
	struct mime_map *map;
	struct fail why = FAIL_INIT;
	mime_index_feed(ix, *text);
	if (mime_index_finish(ix, &map, &why) < 0)
		return false;
	*ret = (struct sieve_message){.header = str_sub(*text, 0, (size_t)map->parts[0].header_len),
				      .map = map,
				      .source = {memory_read, text},
				      .size = text->n};
	return true;
}

#endif
