/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_fuzz.c - any message, in pieces that the input's first byte chooses, gives the map
 * that the whole gives; it survives the binary form and stays within small limits too.
 */
#include "base/check.h"
#include "codec/mime/index.h"
#include "codec/mime/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void index_run(struct str m, size_t step, const struct mime_limits *lim, struct buf *out)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	AUTO(mime_index) struct mime_index *ix = mime_index_new(lim, NULL, &arena);
	struct mime_map *map;
	struct mime_map *copy;
	for (size_t at = 0; at < m.n; at += step)
		mime_index_feed(ix, str_sub(m, at, at + step));
	CHECK(mime_index_finish(ix, &map, NULL) == 0);
	CHECK(mime_map_write(map, out) == 0);
	CHECK(mime_map_read(buf_str(out), m.n, &arena, &copy, NULL) == 0);
	CHECK(copy->n_parts <= lim->parts && copy->bodystructure.n <= lim->output_bytes + 1024);
}

static int64_t memory_read(void *ctx, uint64_t off, char *to, size_t n)
{
	memcpy(to, ((struct str *)ctx)->p + off, n);
	return (int64_t)n;
}

static void search_run(struct str m, struct str map_bytes)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	AUTO(text_needle) struct text_needle *n = text_needle_new(STR("not to be found, \xc3\xa9"));
	struct text_source source = {memory_read, &m};
	struct mime_map *map;
	CHECK(mime_map_read(map_bytes, m.n, &arena, &map, NULL) == 0);
	CHECK(text_search(&source, map, n, TEXT_ALL) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mime_limits lim = MIME_LIMITS_DEFAULT;
	struct mime_limits small = {.depth = 4,
				    .parts = 6,
				    .fields = 5,
				    .header_bytes = 300,
				    .field_bytes = 100,
				    .output_bytes = 2000};
	AUTO(buf) struct buf whole = BUF_INIT(MIB(64));
	AUTO(buf) struct buf pieces = BUF_INIT(MIB(64));
	if (size == 0)
		return 0;
	struct str m = str_make((const char *)data + 1, size - 1);
	index_run(m, m.n + 1, &lim, &whole);
	index_run(m, data[0] + 1u, &lim, &pieces);
	CHECK(str_eq(buf_str(&whole), buf_str(&pieces)));
	search_run(m, buf_str(&whole));
	buf_reset(&whole);
	buf_reset(&pieces);
	index_run(m, m.n + 1, &small, &whole);
	index_run(m, data[0] + 1u, &small, &pieces);
	CHECK(str_eq(buf_str(&whole), buf_str(&pieces)));
	return 0;
}
