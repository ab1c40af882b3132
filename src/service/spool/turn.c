/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First come, first served. The committer takes the database again right after it gave it back;
 * with a plain mutex a reader could wait for a whole burst.
 */
#include "spool_int.h"

void turn_init(struct turn *t)
{
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_cond_init(&t->changed, NULL);
}

void turn_clear(struct turn *t)
{
	(void)pthread_mutex_destroy(&t->lock);
	(void)pthread_cond_destroy(&t->changed);
}

void turn_take(struct turn *t)
{
	(void)pthread_mutex_lock(&t->lock);
	uint64_t mine = t->next++;
	while (t->serving != mine)
		(void)pthread_cond_wait(&t->changed, &t->lock);
	(void)pthread_mutex_unlock(&t->lock);
}

void turn_give(struct turn *t)
{
	(void)pthread_mutex_lock(&t->lock);
	t->serving++;
	(void)pthread_cond_broadcast(&t->changed);
	(void)pthread_mutex_unlock(&t->lock);
}
