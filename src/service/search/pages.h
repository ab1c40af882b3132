/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - a file whose every page says whether it is what was written.  [service/search, private]
 *
 * Pages of 4096 bytes, the last 8 of them a checksum over the others, the page's number and a seed
 * (so a page of another file does not fit). Offsets below count without the checksums.
 */
#ifndef BARID_SERVICE_SEARCH_PAGES_H
#define BARID_SERVICE_SEARCH_PAGES_H

#include "base/fail.h"
#include "sys/fs.h"

#define PAGE_SIZE 4096u
#define PAGE_ROOM (PAGE_SIZE - 8u)

uint64_t pages_sum(const void *p, size_t n, uint64_t seed); /* n is a multiple of 8 */

struct pages_writer {
	struct fs_file *f;
	uint64_t seed, page;
	size_t used;
	uint64_t pending; /* first page of `out` */
	size_t n_out;
	uint8_t out[64 * PAGE_SIZE];
};
void pages_begin(struct pages_writer *w, struct fs_file *f, uint64_t seed);
MUST_CHECK int pages_write(struct pages_writer *w, const void *p, size_t n, struct fail *why);
MUST_CHECK int pages_end(struct pages_writer *w, struct fail *why);

struct pages {
	struct fs_file *f;
	uint64_t seed;
	uint64_t have; /* page + 1 that `page` holds, 0 = none */
	uint8_t page[PAGE_SIZE];
};
/* -FAIL_CORRUPT: it is not what was written. */
MUST_CHECK int pages_read(struct pages *p, uint64_t at, void *into, size_t n, struct fail *why);

#endif
