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
