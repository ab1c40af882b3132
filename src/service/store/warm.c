/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warm.c - maps of mailboxes that nobody has open any more, for a while: a webmail opens a session
 * for each click, and would have the mailbox read for each of them.
 */
#include "service/store/store_int.h"

#define WARM_BYTES MIB(32) /* when all maps are more, none is kept */

bool box_keep_warm(struct mbox *b)
{
	struct store *s = b->store;
	if (!s->o.keep_maps_ns || s->counts.map_bytes > WARM_BYTES)
		return false;
	pthread_mutex_lock(&s->box_lock);
	bool first = list_empty(&b->warm);
	if (first)
		b->refs++;
	list_remove(&b->warm);
	list_append(&s->warm, &b->warm);
	b->warm_since = store_mono();
	pthread_mutex_unlock(&s->box_lock);
	return first;
}

/* The one that has been there longest, if its time is over. It is the caller's to let go. */
static struct mbox *take(struct store *s, bool all)
{
	pthread_mutex_lock(&s->box_lock);
	struct mbox *b =
		list_empty(&s->warm) ? NULL : CONTAINER_OF(s->warm.next, struct mbox, warm);
	if (b && !all && s->counts.map_bytes <= WARM_BYTES &&
	    store_mono() - b->warm_since < s->o.keep_maps_ns)
		b = NULL;
	if (b)
		list_remove(&b->warm);
	pthread_mutex_unlock(&s->box_lock);
	return b;
}

void boxes_cool(struct store *s, bool all)
{
	for (struct mbox *b; (b = take(s, all));) {
		pthread_rwlock_wrlock(&b->lock);
		box_detach(b);
		pthread_rwlock_unlock(&b->lock);
		box_unref(b);
	}
}
