/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_fuzz.c - bytes that are read as a map keep the promises of map.h, and come back when written.
 */
#include "base/check.h"
#include "codec/mime/map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void map_check(const struct mime_map *map, uint64_t size)
{
	struct mime_range r;
	for (uint32_t i = 1; i < map->n_parts; i++) {
		const struct mime_part *p = &map->parts[i];
		CHECK(p->parent < i && p->end > i && p->end <= map->parts[p->parent].end);
		CHECK(p->body_off + p->body_len <= size && p->header_off <= p->body_off);
	}
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t path[3] = {i % 4 + 1, i / 4 % 4 + 1, i / 16 + 1};
		for (size_t n = 0; n <= 3; n++)
			for (enum mime_section k = MIME_SECTION_ALL; k <= MIME_SECTION_MIME; k++)
				if (mime_map_section(map, path, n, k, &r) == 0)
					CHECK(r.off + r.len <= size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	AUTO(buf) struct buf out = BUF_INIT(MIB(64));
	struct mime_map *map;
	struct mime_map *again;
	if (size < 2)
		return 0;
	uint64_t message = data[0] | (uint64_t)data[1] << 8;
	if (mime_map_read(str_make((const char *)data + 2, size - 2), message, &arena, &map, NULL) <
	    0)
		return 0;
	map_check(map, message);
	CHECK(mime_map_write(map, &out) == 0);
	CHECK(mime_map_read(buf_str(&out), message, &arena, &again, NULL) == 0);
	return 0;
}
