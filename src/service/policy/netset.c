/* SPDX-License-Identifier: Apache-2.0 */
#include "service/policy/netset.h"
#include "base/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

void netset_add(struct netset *s, const struct netset_row *row)
{
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		s->rows = realloc(s->rows, s->room * sizeof(*s->rows));
		CHECK(s->rows);
	}
	s->rows[s->n++] = *row;
}

void netset_clear(struct netset *s)
{
	free(s->rows);
	*s = (struct netset){0};
}

static int compare(const void *x, const void *y)
{
	const struct netcidr *a = &((const struct netset_row *)x)->net;
	const struct netcidr *b = &((const struct netset_row *)y)->net;
	if (a->addr.family != b->addr.family)
		return a->addr.family < b->addr.family ? -1 : 1;
	if (a->bits != b->bits)
		return a->bits < b->bits ? -1 : 1;
	return memcmp(a->addr.bytes, b->addr.bytes, 16);
}

void netset_sort(struct netset *s)
{
	if (s->n)
		qsort(s->rows, s->n, sizeof(*s->rows), compare);
	s->groups = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct netcidr *net = &s->rows[i].net;
		const struct netcidr *before = i ? &s->rows[i - 1].net : NULL;
		if (!before || before->bits != net->bits || before->addr.family != net->addr.family)
			s->group[s->groups++] = (struct netset_group){i, 0};
		s->group[s->groups - 1].n++;
	}
}

static void mask(struct netaddr *a, unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned left = bits > i * 8 ? bits - i * 8 : 0;
		if (left < 8)
			a->bytes[i] &= (uint8_t)(0xff00u >> left);
	}
}

void netset_each(const struct netset *s, const struct netaddr *a, netset_fn *fn, void *ctx)
{
	struct netaddr plain = netset_plain(a);
	for (size_t g = 0; g < s->groups; g++) {
		const struct netset_row *rows = &s->rows[s->group[g].first];
		size_t low = 0, high = s->group[g].n;
		struct netset_row want = {.net = {.addr = plain, .bits = rows[0].net.bits}};
		if (plain.family != rows[0].net.addr.family)
			continue;
		mask(&want.net.addr, want.net.bits);
		while (low < high) {
			size_t middle = low + (high - low) / 2;
			if (compare(&rows[middle], &want) < 0)
				low = middle + 1;
			else
				high = middle;
		}
		for (; low < s->group[g].n && compare(&rows[low], &want) == 0; low++)
			if (!fn(ctx, &rows[low]))
				return;
	}
}

struct netaddr netset_plain(const struct netaddr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct netaddr plain = {.family = a->family};
	memcpy(plain.bytes, a->bytes, 16);
	if (a->family == AF_INET6 && memcmp(a->bytes, mapped, 12) == 0) {
		plain = (struct netaddr){.family = AF_INET};
		memcpy(plain.bytes, a->bytes + 12, 4);
	}
	return plain;
}

struct str netset_network(const struct netaddr *a, unsigned bits4, unsigned bits6,
			  char buf[NETADDR_TEXT_MAX + 8])
{
	struct netaddr plain = netset_plain(a);
	unsigned all = plain.family == AF_INET ? 32 : 128;
	unsigned bits = plain.family == AF_INET ? bits4 : bits6;
	char text[NETADDR_TEXT_MAX];
	if (bits < all)
		mask(&plain, bits);
	struct str s = netaddr_text(&plain, false, text);
	int n = bits < all ? snprintf(buf, NETADDR_TEXT_MAX + 8, "%.*s/%u", STR_ARG(s), bits)
			   : snprintf(buf, NETADDR_TEXT_MAX + 8, "%.*s", STR_ARG(s));
	return str_make(buf, (size_t)n);
}
