/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - opening and closing the store, its meta file, and the placement of accounts.
 */
#include "base/num.h"
#include "service/store/store_int.h"
#include "sys/clock.h"
#include "sys/fs.h"

#define META_MAX 4096

static void fill_defaults(struct store_options *o)
{
	if (o->partitions == 0)
		o->partitions = 16;
	if (o->shards == 0)
		o->shards = 1;
	if (o->open_max == 0)
		o->open_max = 64;
	if (o->committers == 0)
		o->committers = 4;
	if (o->batch_max == 0)
		o->batch_max = 256;
	o->batch_max = MIN(o->batch_max, BATCH_LIMIT);
	if (o->wal_bytes == 0)
		o->wal_bytes = MIB(4);
	if (o->wal_bytes_total == 0)
		o->wal_bytes_total = MIB(32);
	if (o->cache_kib == 0)
		o->cache_kib = 1024;
	if (o->retention_us == 0)
		o->retention_us = 7 * 24 * 3600 * SEC_US;
}

/* splitmix64's finaliser: neighbouring account ids land in different partitions. Never change it.
 */
unsigned store_partitions(const struct store *s)
{
	return s->o.per_account ? STORE_PER_ACCOUNT : s->o.partitions;
}

/* ---- the meta file: "barid-store 1\npartitions N\n", N = 0 for a file per account ---------- */

static int parse_meta(struct store *s, struct str text, struct fail *why)
{
	struct str line;
	if (!str_cut(&text, '\n', &line) || !str_starts(line, STR("barid-store ")))
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "%s/meta is not a store's", s->o.root);
	if (!str_eq(line, STR("barid-store 1")))
		return fail_set(why, FAIL_UNSUPPORTED, NULL,
				"%s was made by a newer barid (its meta says \"%.*s\"): install "
				"that barid again, or restore a backup from before the upgrade",
				s->o.root, STR_ARG(line));
	uint32_t n;
	if (!str_cut(&text, '\n', &line) || !str_starts(line, STR("partitions ")) ||
	    !num_parse_u32(str_skip(line, 11), &n) || n > 65536)
		return fail_set(why, FAIL_CORRUPT, NULL, "%s/meta: bad number of partitions",
				s->o.root);
	s->o.per_account = n == STORE_PER_ACCOUNT;
	s->o.partitions = n;
	return 0;
}

static int write_meta(struct store *s, const char *path, struct fail *why)
{
	AUTO(buf) struct buf new_path = BUF_INIT(META_MAX);
	AUTO(buf) struct buf text = BUF_INIT(META_MAX);
	/* Several shards may find the folder fresh at once: all write the same, each its own file.
	 */
	buf_addf(&new_path, "%s.new%u", path, s->o.shard);
	buf_addf(&text, "barid-store 1\npartitions %u\n", store_partitions(s));
	AUTO(fs_file) struct fs_file *f = NULL;
	int r = fs_open(s->fs, buf_c(&new_path), FS_WRITE | FS_CREATE, 0640, &f, why);
	if (r < 0)
		return r;
	if ((r = fs_truncate(f, 0, why)) < 0 || (r = fs_pwrite(f, text.p, text.n, 0, why)) < 0 ||
	    (r = fs_datasync(f, why)) < 0 ||
	    (r = fs_rename(s->fs, buf_c(&new_path), path, why)) < 0)
		return r;
	return fs_sync_dir(s->fs, s->o.root, why);
}

static int read_meta(struct store *s, struct fail *why)
{
	AUTO(buf) struct buf path = BUF_INIT(META_MAX);
	if (buf_addf(&path, "%s/meta", s->o.root) < 0)
		return fail_set(why, FAIL_LIMIT, NULL, "path of the store is too long");
	AUTO(fs_file) struct fs_file *f = NULL;
	int r = fs_open(s->fs, buf_c(&path), FS_READ, 0, &f, why);
	if (r == -FAIL_NOTFOUND)
		return write_meta(s, buf_c(&path), why);
	if (r < 0)
		return r;
	char text[256];
	size_t n;
	r = fs_pread(f, text, sizeof text, 0, &n, why);
	return r < 0 ? r : parse_meta(s, str_make(text, n), why);
}

static int make_folders(struct store *s, struct fail *why)
{
	int r = fs_mkdir_all(s->fs, s->o.root, 0750, why);
	if (r < 0)
		return r;
	if (s->ops->on_disk && (r = read_meta(s, why)) < 0)
		return r;
	return fs_mkdir_all(s->fs, s->o.blobs, 0770, why);
}

/* ---- threads ------------------------------------------------------------------------------ */

static void start_threads(struct store *s)
{
	s->committers = xcalloc(s->o.committers, sizeof *s->committers);
	for (unsigned i = 0; i < s->o.committers; i++)
		CHECK(pthread_create(&s->committers[i], NULL, committer_main, s) == 0);
	if (!s->o.no_background) {
		CHECK(pthread_create(&s->upkeep_thread, NULL, upkeep_main, s) == 0);
		s->upkeep_runs = true;
	}
}

static void stop_threads(struct store *s)
{
	if (s->upkeep_runs) {
		pthread_mutex_lock(&s->upkeep_lock);
		s->upkeep_stop = true;
		pthread_cond_signal(&s->upkeep_cond);
		pthread_mutex_unlock(&s->upkeep_lock);
		pthread_join(s->upkeep_thread, NULL);
	}
	if (!s->committers)
		return;
	commit_kick_lazy(s, INT64_MAX);
	pthread_mutex_lock(&s->queue_lock);
	s->closing = true;
	pthread_cond_broadcast(&s->queue_cond);
	pthread_mutex_unlock(&s->queue_lock);
	for (unsigned i = 0; i < s->o.committers; i++)
		pthread_join(s->committers[i], NULL);
	free(s->committers);
}

static void init_locks(struct store *s)
{
	pthread_mutex_t *locks[] = {&s->part_lock,  &s->lru_lock,   &s->queue_lock, &s->box_lock,
				    &s->watch_lock, &s->order_lock, &s->upkeep_lock};
	for (size_t i = 0; i < ARRAY_LEN(locks); i++)
		pthread_mutex_init(locks[i], NULL);
	pthread_cond_init(&s->queue_cond, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->upkeep_cond, &attr);
	pthread_condattr_destroy(&attr);
	list_init(&s->lru);
	list_init(&s->ready);
}

int store_open(const struct store_options *o, struct store **ret, struct fail *why)
{
	AUTO(store) struct store *s = xcalloc(1, sizeof *s);
	s->o = *o;
	s->o.root = xstrdup(o->root);
	s->o.blobs = xstrdup(o->blobs);
	s->fs = o->fs ? o->fs : fs_real();
	s->ops = o->engine == STORE_MEMORY ? &engine_memory : &engine_sqlite;
	fill_defaults(&s->o);
	atomic_init(&s->retention_us, s->o.retention_us);
	list_init(&s->warm);
	list_init(&s->order_lru);
	init_locks(s);
	int r = make_folders(s, why);
	if (r == 0)
		r = formats_bring_forward(s, why);
	if (r < 0)
		return fail_wrap(why, r, "opening the store %s", o->root);
	if (!s->o.per_account)
		s->parts = xcalloc(s->o.partitions, sizeof(struct part *));
	s->purge_at = store_mono() + 60 * SEC_NS; /* not while everything starts */
	start_threads(s);
	*ret = TAKE(s);
	return 0;
}

static void free_part(void *arg, struct part *p)
{
	(void)arg;
	part_free(p);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	stop_threads(s);
	boxes_cool(s, true);
	orders_cool(s, true);
	part_each(s, free_part, NULL);
	CHECK(s->boxes.n == 0); /* views are closed before */
	CHECK(s->watches.n == 0);
	free(s->parts);
	map_clear(&s->by_account);
	strmap_clear(&s->boxes);
	map_clear(&s->watches);
	pthread_mutex_t *locks[] = {&s->part_lock,  &s->lru_lock,   &s->queue_lock, &s->box_lock,
				    &s->watch_lock, &s->order_lock, &s->upkeep_lock};
	for (size_t i = 0; i < ARRAY_LEN(locks); i++)
		pthread_mutex_destroy(locks[i]);
	pthread_cond_destroy(&s->queue_cond);
	pthread_cond_destroy(&s->upkeep_cond);
	free((char *)(uintptr_t)s->o.root);
	free((char *)(uintptr_t)s->o.blobs);
	free(s);
}

int64_t store_mono(void)
{
	return clock_mono().v;
}

void store_get_stats(struct store *s, struct store_stats *ret)
{
	pthread_mutex_lock(&s->lru_lock);
	size_t n_open = s->n_open;
	pthread_mutex_unlock(&s->lru_lock);
	*ret = (struct store_stats){
		.commits = s->counts.commits,
		.writes = s->counts.writes,
		.deliveries = s->counts.deliveries,
		.repeated = s->counts.repeated,
		.checkpoints = s->counts.checkpoints,
		.open_partitions = n_open,
		.maps = s->counts.maps,
		.map_bytes = s->counts.map_bytes,
		.swept = s->counts.swept,
	};
}
