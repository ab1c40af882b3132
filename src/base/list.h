/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - intrusive doubly linked list.                                       [base]
 *
 *     struct list head = LIST_INIT(head);
 *     struct job { struct list link; ... };
 *     list_append(&head, &job->link);
 *     LIST_EACH (&head, n) { struct job *j = CONTAINER_OF(n, struct job, link); }   removal of n is
 * safe
 */
#ifndef BARID_BASE_LIST_H
#define BARID_BASE_LIST_H

#include "attr.h"
#include <stdbool.h>

struct list {
	struct list *next;
	struct list *prev;
};

#define LIST_INIT(head) ((struct list){&(head), &(head)})

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_insert_(struct list *at, struct list *n)
{
	n->next = at->next;
	n->prev = at;
	at->next->prev = n;
	at->next = n;
}
static inline void list_append(struct list *head, struct list *n)
{
	list_insert_(head->prev, n);
}
static inline void list_prepend(struct list *head, struct list *n)
{
	list_insert_(head, n);
}
/* Unlink; n is then an empty list, so removing twice is harmless. */
static inline void list_remove(struct list *n)
{
	n->next->prev = n->prev;
	n->prev->next = n->next;
	n->next = n->prev = n;
}
/* First element unlinked, or NULL. */
static inline struct list *list_pop(struct list *head)
{
	struct list *n = head->next;
	if (n == head)
		return NULL;
	list_remove(n);
	return n;
}
/* The first element of a list that is not empty, unlinked. */
static inline struct list *list_take(struct list *head)
{
	struct list *n = head->next;
	list_remove(n);
	return n;
}

#define LIST_EACH(head, it)                                                                        \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                  \
	     it = it##_next, it##_next = it->next)

#endif
