/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pop3/marks.h"
#include "base/check.h"
#include "base/fail.h"
#include <stdlib.h>
#include <string.h>

enum { FORM_BITS = 0, FORM_RUNS = 1 };

void pop3_marks_clear(struct pop3_marks *m)
{
	free(m->bits);
	*m = (struct pop3_marks){0};
}

bool pop3_marks_have(const struct pop3_marks *m, uint32_t number)
{
	size_t byte = (number - 1) / 8;
	return byte < m->n && (m->bits[byte] >> ((number - 1) % 8) & 1);
}

static void grow(struct pop3_marks *m, size_t bytes)
{
	size_t n = MAX(bytes, m->n * 2);
	m->bits = xrealloc(m->bits, n);
	memset(m->bits + m->n, 0, n - m->n);
	m->n = n;
}

void pop3_marks_add(struct pop3_marks *m, uint32_t number)
{
	size_t byte = (number - 1) / 8;
	if (pop3_marks_have(m, number))
		return;
	if (byte >= m->n)
		grow(m, byte + 1);
	m->bits[byte] |= (unsigned char)(1u << ((number - 1) % 8));
	m->count++;
}

bool pop3_marks_run(const struct pop3_marks *m, uint32_t at, uint32_t *ret_first,
		    uint32_t *ret_last)
{
	uint32_t end = (uint32_t)(m->n * 8);
	while (at <= end && !pop3_marks_have(m, at))
		at += (at - 1) % 8 == 0 && !m->bits[(at - 1) / 8] ? 8 : 1;
	if (at > end)
		return false;
	*ret_first = at;
	while (at < end && pop3_marks_have(m, at + 1))
		at++;
	*ret_last = at;
	return true;
}

static void put_runs(const struct pop3_marks *m, struct buf *out)
{
	uint32_t first, last, at = 1;
	for (; pop3_marks_run(m, at, &first, &last); at = last + 1) {
		(void)buf_put_u32(out, first);
		(void)buf_put_u32(out, last);
	}
}

static size_t bytes_used(const struct pop3_marks *m)
{
	size_t n = m->n;
	while (n && !m->bits[n - 1])
		n--;
	return n;
}

void pop3_marks_export(const struct pop3_marks *m, struct buf *out)
{
	size_t used = bytes_used(m);
	AUTO(buf) struct buf runs = BUF_INIT(used);
	put_runs(m, &runs);
	bool bits = runs.failed; /* they are longer */
	(void)buf_put_u8(out, bits ? FORM_BITS : FORM_RUNS);
	(void)buf_put_u32(out, (uint32_t)(bits ? used : runs.n));
	(void)buf_add(out, bits ? str_make((const char *)m->bits, used) : buf_str(&runs));
}

static int take_runs(struct pop3_marks *m, struct cursor *c, size_t n, uint32_t max)
{
	uint32_t before = 0;
	for (size_t i = 0; i < n / 8; i++) {
		uint32_t first = cursor_u32(c), last = cursor_u32(c);
		if (c->bad || first <= before || last < first || last > max)
			return -FAIL_SYNTAX;
		for (uint32_t k = first; k <= last; k++)
			pop3_marks_add(m, k);
		before = last;
	}
	return n % 8 ? -FAIL_SYNTAX : 0;
}

static int take_bits(struct pop3_marks *m, struct str bits, uint32_t max)
{
	for (size_t i = 0; i < bits.n * 8; i++) {
		if (!((unsigned char)bits.p[i / 8] >> (i % 8) & 1))
			continue;
		if (i >= max)
			return -FAIL_SYNTAX;
		pop3_marks_add(m, (uint32_t)i + 1);
	}
	return 0;
}

int pop3_marks_import(struct pop3_marks *m, struct cursor *c, uint32_t max)
{
	uint8_t form = cursor_u8(c);
	uint32_t n = cursor_u32(c);
	if (c->bad || form > FORM_RUNS || n > cursor_left(c))
		return -FAIL_SYNTAX;
	if (form == FORM_RUNS)
		return take_runs(m, c, n, max);
	return take_bits(m, cursor_bytes(c, n), max);
}
