/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netset.h - many networks, and whether an address is in one of them.          [service/policy]
 *
 * Rows are added, then sorted once; a look-up is a binary search for each length of prefix that
 * there is. Texts are borrowed.
 */
#ifndef BARID_SERVICE_POLICY_NETSET_H
#define BARID_SERVICE_POLICY_NETSET_H

#include "service/policy/key.h"

struct netset_row {
	struct netcidr net;
	struct str account; /* whose row it is */
	struct str comment;
	int priority;
	void *value;
};
struct netset_group { /* rows of one family and length */
	size_t first, n;
};
#define NETSET_GROUPS (33u + 129u)
struct netset {
	struct netset_row *rows;
	size_t n, room;
	struct netset_group group[NETSET_GROUPS];
	size_t groups;
};

void netset_add(struct netset *s, const struct netset_row *row);
void netset_sort(struct netset *s); /* before the first look-up */
void netset_clear(struct netset *s);

/* Every row that has the address and whose account is among these; return false to end it. */
typedef bool netset_fn(void *ctx, const struct netset_row *row);
void netset_each(const struct netset *s, const struct netaddr *a, netset_fn *fn, void *ctx);

/* ::ffff:192.0.2.1 is 192.0.2.1. */
struct netaddr netset_plain(const struct netaddr *a);
/* "192.0.2.0/24", or the address alone when that many bits are all it has. */
struct str netset_network(const struct netaddr *a, unsigned bits4, unsigned bits6,
			  char buf[NETADDR_TEXT_MAX + 8]);

#endif
