/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - telling sessions that a mailbox has changed.
 */
#include "service/store/store_int.h"

struct store_watch {
	struct list link;
	struct store *s;
	struct account_id account;
	struct mailbox_id mailbox;
	void (*fn)(void *arg, const struct store_event *e);
	void *arg;
};

int store_watch_add(struct store *s, struct account_id account, struct mailbox_id mailbox,
		    void (*fn)(void *arg, const struct store_event *e), void *arg,
		    struct store_watch **ret, struct fail *why)
{
	struct part *p;
	int r = part_of(s, account, &p, why);
	if (r < 0)
		return r;
	struct store_watch *w = xcalloc(1, sizeof *w);
	*w = (struct store_watch){
		.s = s, .account = account, .mailbox = mailbox, .fn = fn, .arg = arg};
	pthread_mutex_lock(&s->watch_lock);
	struct list *head = map_get(&s->watches, account.v);
	if (!head) {
		head = xcalloc(1, sizeof *head);
		list_init(head);
		map_put(&s->watches, account.v, head);
	}
	list_append(head, &w->link);
	pthread_mutex_unlock(&s->watch_lock);
	*ret = w;
	return 0;
}

void store_watch_remove(struct store_watch *w)
{
	if (!w)
		return;
	struct store *s = w->s;
	pthread_mutex_lock(&s->watch_lock);
	list_remove(&w->link);
	struct list *head = map_get(&s->watches, w->account.v);
	if (list_empty(head)) {
		map_remove(&s->watches, w->account.v);
		free(head);
	}
	pthread_mutex_unlock(&s->watch_lock);
	free(w);
}

static void tell(struct list *head, const struct store_event *e)
{
	LIST_EACH (head, n) {
		struct store_watch *w = CONTAINER_OF(n, struct store_watch, link);
		if (w->mailbox.v == 0 || w->mailbox.v == e->mailbox.v)
			w->fn(w->arg, e);
	}
}

void watch_fire(struct store *s, const struct tx *tx)
{
	pthread_mutex_lock(&s->watch_lock);
	for (size_t i = 0; s->watches.n > 0 && i < tx->rows.n; i++) {
		const struct changed_row *c = &tx->rows.p[i];
		struct list *head = c->kinds ? map_get(&s->watches, c->account.v) : NULL;
		struct store_event e = {.account = c->account,
					.mailbox = c->row.id,
					.kinds = c->kinds,
					.modseq = {c->modseq},
					.notes = c->notes};
		if (head)
			tell(head, &e);
	}
	pthread_mutex_unlock(&s->watch_lock);
}
