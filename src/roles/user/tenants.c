/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fair shares: sessions of an account, and threads of an account and of a domain. What a session
 * can hold in memory is bounded by itself, so that bounding sessions bounds an account's bytes.
 */
#include "base/check.h"
#include "roles/user/user.h"
#include <stdatomic.h>

static _Atomic uint64_t sessions_max;

void tenants_configure(const struct conf *c)
{
	const unsigned max[LANE_TENANTS] = {(unsigned)c->commands_per_account_max,
					    (unsigned)c->commands_per_domain_max};
	atomic_store(&sessions_max, c->sessions_per_account_max);
	pool_tenant_max(user.pool, max);
}

static uintptr_t count_of(uint64_t account)
{
	return (uintptr_t)map_get(&user.open, account);
}

static void set_count(uint64_t account, uintptr_t n)
{
	if (n)
		(void)map_put(&user.open, account, (void *)n);
	else
		(void)map_remove(&user.open, account);
}

bool tenants_have_room(uint64_t account)
{
	pthread_mutex_lock(&user.lock);
	uint64_t n = count_of(account);
	/* Those that are about to be opened: edge's word and dir's come by different ways. */
	MAP_EACH (&user.grants, i)
		n += ((const struct grant *)user.grants.slots[i].value)->account == account;
	pthread_mutex_unlock(&user.lock);
	return n < atomic_load(&sessions_max);
}

void tenants_count(uint64_t account)
{
	set_count(account, count_of(account) + 1);
}

void tenants_share(const struct grant *g, struct lane *lane)
{
	struct str address = str_c(g->address);
	struct str domain = str_skip(address, str_rfind(address, '@') + 1);
	const uint64_t tenants[LANE_TENANTS] = {g->account, str_hashi(domain) | 1};
	lane_tenants(lane, tenants);
}

void tenants_leave(const struct grant *g)
{
	pthread_mutex_lock(&user.lock);
	set_count(g->account, count_of(g->account) - 1);
	pthread_mutex_unlock(&user.lock);
}
