/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_order.h - what orders the messages of a mailbox (codec/order/order.h).  [service, role
 * user]
 *
 * SORT and THREAD need a few dozen bytes of each message, which are taken from its message map. A
 * mailbox that was sorted keeps them in memory for a minute, for all sessions, and reads only what
 * came since; the tables of all mailboxes together have a bound, above which the one that was used
 * the longest ago goes. A small part of a large mailbox is read by itself and not kept.
 */
#ifndef BARID_SERVICE_STORE_STORE_ORDER_H
#define BARID_SERVICE_STORE_STORE_ORDER_H

#include "codec/order/order.h"
#include "service/store/store_view.h"

struct store_order;

/* For n messages of the view, by UID, ascending; borrowed until the end, and so is the view: no
 * telling of expunges meanwhile. `by_text`: the order will be one of texts. */
MUST_CHECK int store_order_begin(struct store_view *v, const uint32_t *uid, size_t n, bool by_text,
				 struct store_order **ret, struct fail *why);
/* Read what is missing, a piece at a time: 1 = there is more, 0 = all is there. -FAIL_LIMIT: too
 * many messages. A message whose map cannot be read is ordered as one without a header. */
MUST_CHECK int store_order_step(struct store_order *o, struct fail *why);
/* The table, which has all n messages, until unlock; after step returned 0. Other sessions wait
 * with new messages of the mailbox meanwhile. */
const struct order_table *store_order_lock(struct store_order *o);
void store_order_unlock(struct store_order *o);
void store_order_end(struct store_order *o); /* NULL is fine */
DEFINE_AUTO_PTR(store_order, struct store_order, store_order_end);

#endif
