/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/check.h"
#include <stdio.h>

void buf_clear(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = false;
	if (b->p)
		b->p[0] = '\0';
}

char *buf_grow(struct buf *b, size_t n)
{
	if (b->failed || n > b->max - b->n) {
		b->failed = true;
		return NULL;
	}
	size_t need = b->n + n + 1;
	if (need > b->cap) {
		b->cap = MAX(MAX(need, b->cap * 2), (size_t)64);
		b->p = xrealloc(b->p, b->cap);
		b->p[b->n] = '\0';
	}
	return b->p + b->n;
}

int buf_addc(struct buf *b, char c)
{
	char *room = buf_room(b, 1);
	if (!room)
		return -FAIL_LIMIT;
	*room = c;
	buf_added(b, 1);
	return 0;
}

int buf_add_c(struct buf *b, const char *c_string)
{
	return buf_add(b, str_c(c_string));
}

int buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	size_t left = b->cap - b->n;
	va_list again;
	va_copy(again, ap);
	/* Mostly there is room already; what is cut short is written again. */
	int n = vsnprintf(left ? b->p + b->n : NULL, left, fmt, ap);
	bool fits = n >= 0 && (size_t)n < left && (size_t)n <= b->max - b->n && !b->failed;
	if (!fits && left)
		b->p[b->n] = '\0';
	char *room = n < 0 ? NULL : buf_room(b, (size_t)n);
	if (room && !fits)
		(void)vsnprintf(room, (size_t)n + 1, fmt, again);
	va_end(again);
	if (!room)
		return -FAIL_LIMIT;
	buf_added(b, (size_t)n);
	return 0;
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = buf_vaddf(b, fmt, ap);
	va_end(ap);
	return r;
}

/* Two digits at a time: long answers are mostly numbers. */
int buf_add_u64(struct buf *b, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	char digits[20];
	size_t at = sizeof digits;
	for (; v >= 10; v /= 100) {
		const char *pair = pairs + v % 100 * 2;
		digits[--at] = pair[1];
		digits[--at] = pair[0];
	}
	if (v || at == sizeof digits)
		digits[--at] = (char)('0' + v);
	return buf_add(b, (struct str){digits + at, sizeof digits - at});
}

static int put_le(struct buf *b, uint64_t v, size_t width)
{
	char bytes[8];
	for (size_t i = 0; i < width; i++)
		bytes[i] = (char)(unsigned char)(v >> (8 * i));
	return buf_add(b, (struct str){bytes, width});
}

int buf_put_u8(struct buf *b, uint8_t v)
{
	return put_le(b, v, 1);
}

int buf_put_u16(struct buf *b, uint16_t v)
{
	return put_le(b, v, 2);
}

int buf_put_u32(struct buf *b, uint32_t v)
{
	return put_le(b, v, 4);
}

int buf_put_u64(struct buf *b, uint64_t v)
{
	return put_le(b, v, 8);
}

void buf_drop(struct buf *b, size_t n)
{
	CHECK(n <= b->n);
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	buf_cut(b, b->n - n);
}

void buf_cut(struct buf *b, size_t n)
{
	CHECK(n <= b->n);
	b->n = n;
	if (b->p)
		b->p[n] = '\0';
}

char *buf_take(struct buf *b)
{
	char *p = b->p ? b->p : xstrdup("");
	*b = BUF_INIT(b->max);
	return p;
}
