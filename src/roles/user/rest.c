/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions at rest. Most clients are connected all day and say something now and then: what a
 * session can read again (the UIDs and flags of its mailbox, 40 bytes a message) goes when it has
 * been quiet for a while, or at once while all maps together are too many.
 */
#include "roles/user/rest.h"
#include "roles/user/user.h"
#include "sys/clock.h"

#define QUIET_MS   10000
#define TICK_MS	   1000
#define MAPS_BYTES MIB(64)

static struct list awake = LIST_INIT(awake); /* who spoke last is last */
static void (*put_to_rest)(struct rest *r);
static struct loop_timer timer;

/* There is one. */
static struct rest *oldest(void)
{
	return CONTAINER_OF(awake.next, struct rest, link);
}

static void go(struct rest *r)
{
	list_remove(&r->link);
	put_to_rest(r);
}

static void tick(struct loop_timer *t)
{
	struct mono_ns now = loop_now(user.role->loop);
	while (!list_empty(&awake) && now.v - oldest()->since.v >= QUIET_MS * MS_NS)
		go(oldest());
	if (!list_empty(&awake))
		loop_timer_in(user.role->loop, t, TICK_MS);
}

void rest_begin(void (*put)(struct rest *r))
{
	put_to_rest = put;
	timer.fire = tick;
}

void rest_awake(struct rest *r)
{
	struct store_stats stats;
	list_remove(&r->link);
	list_append(&awake, &r->link);
	r->since = loop_now(user.role->loop);
	if (!timer.pos)
		loop_timer_in(user.role->loop, &timer, TICK_MS);
	/* One goes for one that comes: more would empty the list before the first has gone. */
	store_get_stats(user.store, &stats);
	if (stats.map_bytes > MAPS_BYTES && oldest() != r)
		go(oldest());
}

void rest_forget(struct rest *r)
{
	list_remove(&r->link);
}
