/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/counter.h"
#include <string.h>

static struct counter *all; /* sorted by name; complete before main, so no lock */

void counter_register_(struct counter *c)
{
	struct counter **at = &all;
	while (*at && strcmp((*at)->name, c->name) < 0)
		at = &(*at)->next_;
	c->next_ = *at;
	*at = c;
}

void counter_each(void (*fn)(void *arg, const struct counter *c), void *arg)
{
	for (const struct counter *c = all; c; c = c->next_)
		fn(arg, c);
}

void histogram_add(struct counter h[HISTOGRAM_COUNTERS], uint64_t us)
{
	static const uint64_t bounds[HISTOGRAM_BUCKETS] = {1000,   5000,    25000,    100000,
							   500000, 2500000, 10000000, UINT64_MAX};
	size_t i = 0;
	while (us > bounds[i])
		i++;
	counter_add(&h[i], 1);
	counter_add(&h[HISTOGRAM_BUCKETS], us);
}
