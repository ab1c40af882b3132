/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context_list.c - UIDs in some order, as runs of ascending neighbours.         [proto, imap]
 *
 * For each run two varints (saved.h): how far its first UID is from the last one of the run before
 * (from 0 at the beginning), and, doubled, how many UIDs come behind its first; one more when the
 * first one is below.
 */
#include "base/num.h"
#include "proto/imap/context.h"
#include "proto/imap/saved.h"

#define LIST_MAX 1000000 /* UIDs of one list, however few bytes they take */

void context_list_put(struct buf *out, const uint32_t *uid, size_t n)
{
	uint32_t last = 0;
	for (size_t i = 0; i < n && !out->failed;) {
		size_t end = i + 1;
		while (end < n && uid[end] == uid[end - 1] + 1)
			end++;
		bool below = uid[i] < last;
		varint_put(out, below ? last - uid[i] : uid[i] - last);
		varint_put(out, (uint32_t)(end - i - 1) << 1 | below);
		last = uid[end - 1];
		i = end;
	}
	if (n > LIST_MAX)
		out->failed = true;
}

struct run {
	uint32_t first;
	uint32_t count;
};

static bool take_run(struct cursor *c, uint32_t *last, struct run *ret)
{
	uint32_t far = varint_take(c);
	uint32_t more = varint_take(c);
	uint64_t first = more & 1 ? (uint64_t)*last - far : (uint64_t)*last + far;
	if (c->bad || far == 0 || (more & 1 ? far >= *last : first > UINT32_MAX) ||
	    first + (more >> 1) > UINT32_MAX)
		return false;
	*ret = (struct run){(uint32_t)first, (more >> 1) + 1};
	*last = (uint32_t)first + (more >> 1);
	return true;
}

bool context_list_get(struct str bytes, uint32_t **ret, size_t *ret_n)
{
	VEC(uint32_t) list = {0};
	struct cursor c = cursor_of(bytes);
	struct run run;
	uint32_t last = 0;
	bool good = true;
	while (good && cursor_left(&c) > 0) {
		good = take_run(&c, &last, &run) && list.n + run.count <= LIST_MAX;
		if (good)
			vec_reserve(&list, list.n + run.count);
		for (uint32_t i = 0; good && i < run.count; i++)
			list.p[list.n++] = run.first + i;
	}
	if (!good) {
		vec_clear(&list);
		return false;
	}
	*ret = list.p;
	*ret_n = list.n;
	return true;
}
