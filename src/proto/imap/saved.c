/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/imap/saved.h"
#include "base/num.h"

void varint_put(struct buf *b, uint32_t v)
{
	for (; v >= 0x80; v >>= 7)
		(void)buf_put_u8(b, (uint8_t)(v | 0x80));
	(void)buf_put_u8(b, (uint8_t)v);
}

uint32_t varint_take(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t byte;
	do {
		byte = cursor_u8(c);
		v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) && shift < 35 && !c->bad);
	if ((byte & 0x80) || v > UINT32_MAX || (byte == 0 && shift > 7))
		c->bad = true;
	return (uint32_t)v;
}

void saved_add(struct saved_writer *w, struct uid first, struct uid last)
{
	varint_put(w->out, first.v - w->last);
	varint_put(w->out, last.v - first.v);
	w->last = last.v;
}

static bool take_range(struct cursor *c, uint32_t *last, struct store_range *ret)
{
	uint32_t above = varint_take(c);
	uint32_t more = varint_take(c);
	uint64_t first = (uint64_t)*last + above;
	uint64_t end = first + more;
	if (c->bad || above == 0 || end > UINT32_MAX)
		return false;
	*ret = (struct store_range){(uint32_t)first, (uint32_t)end};
	*last = (uint32_t)end;
	return true;
}

/* How many ranges; -1 for foreign bytes. */
static int64_t count_ranges(struct str bytes)
{
	struct cursor c = cursor_of(bytes);
	struct store_range range;
	uint32_t last = 0;
	int64_t n = 0;
	for (; cursor_left(&c) > 0; n++)
		if (!take_range(&c, &last, &range))
			return -1;
	return n;
}

bool saved_valid(struct str bytes)
{
	return bytes.n <= SAVED_MAX && count_ranges(bytes) >= 0;
}

int saved_read(struct str bytes, struct arena *arena, struct store_ranges *ret, struct fail *why)
{
	int64_t n = count_ranges(bytes);
	if (n < 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "%zu bytes are no saved search", bytes.n);
	struct store_range *p = arena_array(arena, struct store_range, (size_t)n);
	if (!p && n > 0)
		return fail_set(why, FAIL_LIMIT, "Too large a set.", "arena full, %lld ranges",
				(long long)n);
	struct cursor c = cursor_of(bytes);
	uint32_t last = 0;
	for (size_t i = 0; i < (size_t)n; i++)
		(void)take_range(&c, &last, &p[i]);
	*ret = (struct store_ranges){p, (size_t)n};
	return 0;
}
