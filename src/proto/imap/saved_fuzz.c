/* SPDX-License-Identifier: Apache-2.0 */
/* What is valid is written again to the same bytes. */
#include "base/check.h"
#include "proto/imap/saved.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = str_make((const char *)data, size);
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(4));
	AUTO(buf) struct buf again = BUF_INIT(SAVED_MAX);
	struct saved_writer w = {.out = &again};
	struct store_ranges ranges;
	if (!saved_valid(bytes))
		return 0;
	CHECK(saved_read(bytes, &arena, &ranges, NULL) == 0);
	for (size_t i = 0; i < ranges.n; i++)
		saved_add(&w, (struct uid){ranges.p[i].first}, (struct uid){ranges.p[i].last});
	CHECK(str_eq(buf_str(&again), bytes));
	return 0;
}
