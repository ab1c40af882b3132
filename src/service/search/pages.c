/* SPDX-License-Identifier: Apache-2.0 */
#include "service/search/pages.h"
#include <string.h>

/* Against damage, not against people. Four lanes, so that multiplications overlap. */
uint64_t pages_sum(const void *p, size_t n, uint64_t seed)
{
	const uint8_t *at = p;
	uint64_t lane[4] = {seed, ~seed, seed + UINT64_C(0x9e3779b97f4a7c15), n};
	for (size_t i = 0; i < n; i += 8) {
		uint64_t word;
		memcpy(&word, at + i, 8);
		uint64_t *l = &lane[i / 8 % 4];
		*l = (*l ^ word) * UINT64_C(0xff51afd7ed558ccd);
		*l ^= *l >> 32;
	}
	uint64_t sum = 0;
	for (size_t i = 0; i < 4; i++)
		sum = (sum ^ lane[i]) * UINT64_C(0xc4ceb9fe1a85ec53) + 1;
	return sum ^ sum >> 29;
}

void pages_begin(struct pages_writer *w, struct fs_file *f, uint64_t seed)
{
	w->f = f;
	w->seed = seed;
	w->page = w->pending = 0;
	w->used = w->n_out = 0;
}

static int flush(struct pages_writer *w, struct fail *why)
{
	int r = fs_pwrite(w->f, w->out, w->n_out * PAGE_SIZE, w->pending * PAGE_SIZE, why);
	w->pending += w->n_out;
	w->n_out = 0;
	return r;
}

static int close_page(struct pages_writer *w, struct fail *why)
{
	uint8_t *page = w->out + w->n_out * PAGE_SIZE;
	memset(page + w->used, 0, PAGE_ROOM - w->used);
	uint64_t sum = pages_sum(page, PAGE_ROOM, w->seed + w->page);
	memcpy(page + PAGE_ROOM, &sum, 8);
	w->page++;
	w->used = 0;
	w->n_out++;
	return w->n_out * PAGE_SIZE == sizeof w->out ? flush(w, why) : 0;
}

int pages_write(struct pages_writer *w, const void *p, size_t n, struct fail *why)
{
	const uint8_t *from = p;
	while (n > 0) {
		size_t now = MIN(n, (size_t)PAGE_ROOM - w->used);
		memcpy(w->out + w->n_out * PAGE_SIZE + w->used, from, now);
		w->used += now;
		from += now;
		n -= now;
		int r = w->used == PAGE_ROOM ? close_page(w, why) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int pages_end(struct pages_writer *w, struct fail *why)
{
	int r = w->used ? close_page(w, why) : 0;
	return r == 0 && w->n_out ? flush(w, why) : r;
}

static int load(struct pages *p, uint64_t page, struct fail *why)
{
	size_t got = 0;
	uint64_t sum;
	if (p->have == page + 1)
		return 0;
	p->have = 0;
	int r = fs_pread(p->f, p->page, PAGE_SIZE, page * PAGE_SIZE, &got, why);
	if (r < 0)
		return r;
	memcpy(&sum, p->page + PAGE_ROOM, 8);
	if (got < PAGE_SIZE || sum != pages_sum(p->page, PAGE_ROOM, p->seed + page))
		return fail_set(why, FAIL_CORRUPT, NULL, "page %llu is damaged",
				(unsigned long long)page);
	p->have = page + 1;
	return 0;
}

int pages_read(struct pages *p, uint64_t at, void *into, size_t n, struct fail *why)
{
	uint8_t *to = into;
	while (n > 0) {
		size_t from = (size_t)(at % PAGE_ROOM);
		size_t now = MIN(n, (size_t)PAGE_ROOM - from);
		int r = load(p, at / PAGE_ROOM, why);
		if (r < 0)
			return r;
		memcpy(to, p->page + from, now);
		to += now;
		at += now;
		n -= now;
	}
	return 0;
}
