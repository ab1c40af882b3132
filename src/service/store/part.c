/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part.c - partitions: finding an account's, and keeping a bounded number of engines open.
 */
#include "service/store/store_int.h"
#include "sys/fs.h"

static struct part *new_part(struct store *s, uint64_t no)
{
	struct part *p = xcalloc(1, sizeof *p);
	p->store = s;
	p->no = no;
	pthread_mutex_init(&p->lock, NULL);
	list_init(&p->lru);
	list_init(&p->queue);
	list_init(&p->lazy);
	list_init(&p->ready);
	return p;
}

static struct part *get_part(struct store *s, uint64_t no)
{
	pthread_mutex_lock(&s->part_lock);
	struct part *p = s->parts ? s->parts[no] : map_get(&s->by_account, no);
	if (!p) {
		p = new_part(s, no);
		if (s->parts)
			s->parts[no] = p;
		else
			map_put(&s->by_account, no, p);
	}
	pthread_mutex_unlock(&s->part_lock);
	return p;
}

int part_of(struct store *s, struct account_id a, struct part **ret, struct fail *why)
{
	uint64_t no = store_place(a, store_partitions(s));
	if (a.v == 0 || a.v > INT64_MAX || no % s->o.shards != s->o.shard)
		return fail_set(why, FAIL_PERM, NULL, "account %llu is not of shard %u",
				(unsigned long long)a.v, s->o.shard);
	*ret = get_part(s, no);
	return 0;
}

int part_path(const struct part *p, char *buf, size_t size, struct fail *why)
{
	const struct store *s = p->store;
	int n = s->o.per_account
			? snprintf(buf, size, "%s/%016llx.db", s->o.root, (unsigned long long)p->no)
			: snprintf(buf, size, "%s/part-%03llu.db", s->o.root,
				   (unsigned long long)p->no);
	if (n < 0 || (size_t)n >= size)
		return fail_set(why, FAIL_LIMIT, NULL, "path of a partition is too long");
	return 0;
}

int part_by_number(struct store *s, uint64_t no, struct part **ret, struct fail *why)
{
	if (!s->parts || no >= s->o.partitions || no % s->o.shards != s->o.shard)
		return fail_set(why, FAIL_PERM, NULL, "partition %llu is not of shard %u",
				(unsigned long long)no, s->o.shard);
	*ret = get_part(s, no);
	return 0;
}

int part_is_there(struct part *p, bool *ret, struct fail *why)
{
	struct store *s = p->store;
	struct fs_stat st;
	char path[BLOB_PATH_MAX];
	pthread_mutex_lock(&p->lock);
	*ret = p->e || !s->ops->on_disk;
	pthread_mutex_unlock(&p->lock);
	if (*ret)
		return 0;
	int r = part_path(p, path, sizeof path, why);
	if (r == 0)
		r = fs_stat(s->fs, path, &st, why);
	*ret = r == 0;
	return r == -FAIL_NOTFOUND ? 0 : r;
}

/* A partition to close, locked, when too many are open; NULL when all are in use. */
static struct part *pick_victim(struct store *s)
{
	LIST_EACH (&s->lru, n) {
		struct part *p = CONTAINER_OF(n, struct part, lru);
		if (pthread_mutex_trylock(&p->lock) == 0) {
			if (p->frozen) { /* closing would fold the log in */
				pthread_mutex_unlock(&p->lock);
				continue;
			}
			list_remove(&p->lru);
			s->n_open--;
			return p;
		}
	}
	return NULL;
}

/* p->lock is held and p is in no list, so pick_victim can not meet it. */
static void make_room(struct store *s)
{
	for (;;) {
		pthread_mutex_lock(&s->lru_lock);
		struct part *victim =
			s->ops->on_disk && s->n_open >= s->o.open_max ? pick_victim(s) : NULL;
		pthread_mutex_unlock(&s->lru_lock);
		if (!victim)
			return;
		s->ops->close(victim->e);
		victim->e = NULL;
		pthread_mutex_unlock(&victim->lock);
	}
}

/*
 * After a failed sync nobody knows what is on disk (part_discard). Opening again reads what is
 * there; folding the log into the file makes sure that later syncs do not build on pages whose
 * writing failed.
 */
static int open_engine(struct part *p, struct fail *why)
{
	struct store *s = p->store;
	char path[BLOB_PATH_MAX];
	struct engine_options o = {.fs = s->fs, .path = path, .cache_kib = s->o.cache_kib};
	struct engine *e = NULL;
	int r = part_path(p, path, sizeof path, why);
	if (r < 0 || (r = s->ops->open(&o, &e, why)) < 0)
		return r;
	if (p->doubtful && (r = s->ops->checkpoint(e, why)) < 0) {
		s->ops->close(e);
		return r;
	}
	p->doubtful = false;
	p->e = e;
	return 0;
}

int part_enter(struct part *p, struct fail *why)
{
	struct store *s = p->store;
	pthread_mutex_lock(&p->lock);
	p->used = store_mono();
	if (!p->e) {
		make_room(s);
		int r = open_engine(p, why);
		if (r < 0) {
			pthread_mutex_unlock(&p->lock);
			return r;
		}
		pthread_mutex_lock(&s->lru_lock);
		s->n_open++;
	} else {
		pthread_mutex_lock(&s->lru_lock);
		list_remove(&p->lru);
	}
	list_append(&s->lru, &p->lru);
	pthread_mutex_unlock(&s->lru_lock);
	return 0;
}

void part_leave(struct part *p)
{
	pthread_mutex_unlock(&p->lock);
}

void part_discard(struct part *p)
{
	struct store *s = p->store;
	if (!p->e || !s->ops->on_disk)
		return;
	pthread_mutex_lock(&s->lru_lock);
	list_remove(&p->lru);
	s->n_open--;
	pthread_mutex_unlock(&s->lru_lock);
	s->ops->close(p->e);
	p->e = NULL;
	p->thawed = true;
	p->doubtful = true;
}

void part_free(struct part *p)
{
	CHECK(list_empty(&p->queue) && list_empty(&p->lazy));
	if (p->e)
		p->store->ops->close(p->e);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void part_each(struct store *s, void (*fn)(void *arg, struct part *p), void *arg)
{
	pthread_mutex_lock(&s->part_lock);
	VEC(struct part *) all = {0};
	if (s->parts) {
		for (unsigned i = 0; i < s->o.partitions; i++)
			if (s->parts[i])
				*vec_push(&all) = s->parts[i];
	} else {
		MAP_EACH (&s->by_account, i)
			*vec_push(&all) = s->by_account.slots[i].value;
	}
	pthread_mutex_unlock(&s->part_lock);
	for (size_t i = 0; i < all.n; i++) /* partitions live as long as the store */
		fn(arg, all.p[i]);
	vec_clear(&all);
}

int part_every(struct store *s, int (*fn)(void *arg, struct part *p, struct fail *why), void *arg,
	       struct fail *why)
{
	for (unsigned i = s->o.shard; s->parts && i < s->o.partitions; i += s->o.shards) {
		int r = fn(arg, get_part(s, i), why);
		if (r < 0)
			return r;
	}
	return 0;
}
