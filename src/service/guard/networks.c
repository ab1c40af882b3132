/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From how many networks an account is logged in to: who has bought a password uses it from
 * machines all over the world. In memory alone: what counts is the last hour or so, and a restart
 * forgets it.
 */
#include "base/check.h"
#include "service/guard/guard_int.h"
#include "sys/sock.h"
#include <stdlib.h>
#include <string.h>

#define ACCOUNTS_MAX 10000u

struct networks_of {
	struct list link; /* by last use, the oldest first */
	struct account_id account;
	uint64_t net[GUARD_NETWORKS_MAX];
	int64_t last_us[GUARD_NETWORKS_MAX];
	unsigned n;
};

void networks_init(struct networks *all)
{
	(void)pthread_mutex_init(&all->lock, NULL);
	list_init(&all->order);
}

static void forget(struct networks *all, struct networks_of *a)
{
	(void)map_remove(&all->accounts, a->account.v);
	list_remove(&a->link);
	all->n--;
	free(a);
}

void networks_clear(struct networks *all)
{
	struct list *link;
	while ((link = list_pop(&all->order)))
		free(CONTAINER_OF(link, struct networks_of, link));
	map_clear(&all->accounts);
	(void)pthread_mutex_destroy(&all->lock);
}

static struct networks_of *find(struct networks *all, struct account_id account, bool make)
{
	struct networks_of *a = map_get(&all->accounts, account.v);
	if (!a && !make)
		return NULL;
	if (a) {
		list_remove(&a->link);
	} else {
		if (all->n >= ACCOUNTS_MAX)
			forget(all, CONTAINER_OF(all->order.next, struct networks_of, link));
		a = xcalloc(1, sizeof *a);
		a->account = account;
		(void)map_put(&all->accounts, account.v, a);
		all->n++;
	}
	list_append(&all->order, &a->link);
	return a;
}

/* Its place, or that of the network which was not seen for longest. */
static unsigned place_of(const struct networks_of *a, uint64_t net)
{
	unsigned oldest = 0;
	for (unsigned i = 0; i < a->n; i++) {
		if (a->net[i] == net)
			return i;
		if (a->last_us[i] < a->last_us[oldest])
			oldest = i;
	}
	return a->n < GUARD_NETWORKS_MAX ? a->n : oldest;
}

void networks_note(struct networks *all, struct account_id account, uint64_t net, int64_t now_us)
{
	(void)pthread_mutex_lock(&all->lock);
	struct networks_of *a = find(all, account, true);
	unsigned i = place_of(a, net);
	a->net[i] = net;
	a->last_us[i] = now_us;
	a->n = MAX(a->n, i + 1);
	(void)pthread_mutex_unlock(&all->lock);
}

unsigned networks_count(struct networks *all, struct account_id account, int64_t since_us)
{
	unsigned n = 0;
	(void)pthread_mutex_lock(&all->lock);
	const struct networks_of *a = find(all, account, false);
	for (unsigned i = 0; a && i < a->n; i++)
		n += a->last_us[i] > since_us;
	(void)pthread_mutex_unlock(&all->lock);
	return n;
}

void networks_forget(struct networks *all, struct account_id account)
{
	(void)pthread_mutex_lock(&all->lock);
	struct networks_of *a = map_get(&all->accounts, account.v);
	if (a)
		forget(all, a);
	(void)pthread_mutex_unlock(&all->lock);
}

/* The whole of an IPv4 /24 or IPv6 /48 is one place. */
uint64_t guard_network(struct str ip)
{
	struct netaddr a = {0};
	if (!netaddr_parse(ip, &a))
		return 0;
	return str_hash(str_make((const char *)a.bytes, a.family == AF_INET ? 3 : 6)) | 1;
}
