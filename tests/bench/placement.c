/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement.c - where should the rows of an account live? (docs/adr/0004-store-placement.md)
 *
 *     bench_placement FOLDER PARTITIONS|0 [ACCOUNTS [SECONDS [INFLIGHT [OPEN_MAX [SYNC_US]]]]]
 *
 * Makes ACCOUNTS accounts (10,000) in a new store below FOLDER, then delivers messages of 4 KiB to
 * random ones for SECONDS, INFLIGHT deliveries at a time, each durable before it counts. PARTITIONS
 * 0 is a file per account. SYNC_US is added to every sync while delivering, to be the disk that
 * this machine may not have. Prints one line of figures and one JSON object.
 */
#include "base/check.h"
#include "service/store/store.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define BODY_SIZE 4096
#define THREADS	  4 /* that make accounts */

struct bench {
	struct store *s;
	uint64_t accounts;
	unsigned inflight;
	struct mono_ns until;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned running;
	uint64_t next, done, failed;
	uint64_t random;
	char body[BODY_SIZE];
};

struct shot {
	struct store_delivery d;
	struct bench *b;
	struct mono_ns began;
};

static uint64_t latency_us[64]; /* by power of two */

/* ---- a disk whose syncs take their time ------------------------------------------------------ */

static _Atomic unsigned sync_us;

static int slow_call(struct fs *fs, struct fs_call *c, struct fail *why)
{
	(void)fs;
	bool sync = c->op == FS_OP_DATASYNC || c->op == FS_OP_SYNC || c->op == FS_OP_SYNC_DIR;
	if (sync && sync_us > 0)
		(void)usleep(sync_us);
	return fs_real()->call(fs_real(), c, why);
}

static struct fs slow = {.call = slow_call};

static double seconds(struct mono_ns from, struct mono_ns to)
{
	return (double)(to.v - from.v) / 1e9;
}

static double cpu_seconds(void)
{
	struct rusage u;
	(void)getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
	       ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) / 1e6;
}

static uint64_t resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long long size, resident = 0;
	if (f && fscanf(f, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	if (f)
		(void)fclose(f);
	return resident * 4;
}

/* ---- accounts ------------------------------------------------------------------------------- */

struct maker {
	struct bench *b;
	uint64_t first;
	pthread_t thread;
};

static void *make_accounts(void *arg)
{
	struct maker *m = arg;
	struct fail why = FAIL_INIT;
	for (uint64_t i = m->first; i <= m->b->accounts; i += THREADS) {
		struct account_id a = {i};
		if (store_account_ensure(m->b->s, a, store_default_folders, &why) < 0) {
			(void)fprintf(stderr, "account %llu: %s\n", (unsigned long long)i,
				      why.detail);
			exit(1);
		}
	}
	return NULL;
}

/* ---- deliveries ----------------------------------------------------------------------------- */

static void fire(struct bench *b, struct shot *shot)
{
	pthread_mutex_lock(&b->lock);
	b->random = b->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	shot->d = (struct store_delivery){
		.account = {(b->random >> 33) % b->accounts + 1},
		.receipt = {.number = ++b->next},
		.content = {.prefix = STR("Return-Path: <a@example.test>\r\nDelivered-To: x\r\n"),
			    .bytes = str_make(b->body, BODY_SIZE),
			    .map = str_make(b->body, 600)},
		.done = shot->d.done,
		.user = shot,
	};
	pthread_mutex_unlock(&b->lock);
	shot->began = clock_mono();
	store_deliver(b->s, &shot->d);
}

static void landed(struct store_delivery *d, int r, const struct fail *why)
{
	struct shot *shot = d->user;
	struct bench *b = shot->b;
	struct mono_ns now = clock_mono();
	uint64_t us = (uint64_t)(now.v - shot->began.v) / 1000;
	pthread_mutex_lock(&b->lock);
	b->done += r == 0;
	b->failed += r < 0;
	if (r < 0 && b->failed == 1)
		(void)fprintf(stderr, "delivery: %s\n", why->detail);
	latency_us[63 - __builtin_clzll(us | 1)]++;
	bool more = mono_before(now, b->until);
	if (!more && --b->running == 0)
		pthread_cond_signal(&b->idle);
	pthread_mutex_unlock(&b->lock);
	if (more)
		fire(b, shot);
}

static uint64_t percentile(double p)
{
	uint64_t all = 0, seen = 0;
	for (unsigned i = 0; i < 64; i++)
		all += latency_us[i];
	for (unsigned i = 0; i < 64; i++) {
		seen += latency_us[i];
		if ((double)seen >= p * (double)all)
			return UINT64_C(2) << i;
	}
	return 0;
}

/* ---- figures -------------------------------------------------------------------------------- */

static uint64_t file_bytes, files;

static int add_file(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	if (flag == FTW_F) {
		file_bytes += (uint64_t)st->st_blocks * 512;
		files++;
	}
	return 0;
}

static void measure_files(const char *folder)
{
	file_bytes = files = 0;
	(void)nftw(folder, add_file, 32, FTW_PHYS);
}

static void run(struct bench *b, double duration)
{
	struct shot *shots = xcalloc(b->inflight, sizeof *shots);
	b->until.v = clock_mono().v + (int64_t)(duration * 1e9);
	b->running = b->inflight;
	for (unsigned i = 0; i < b->inflight; i++) {
		shots[i].b = b;
		shots[i].d.done = landed;
		fire(b, &shots[i]);
	}
	pthread_mutex_lock(&b->lock);
	while (b->running > 0)
		pthread_cond_wait(&b->idle, &b->lock);
	pthread_mutex_unlock(&b->lock);
	free(shots);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		(void)fprintf(stderr,
			      "usage: %s FOLDER PARTITIONS|0 [ACCOUNTS [SECONDS [INFLIGHT"
			      " [OPEN_MAX [SYNC_US]]]]]\n",
			      argv[0]);
		return 2;
	}
	static struct bench b = {
		.lock = PTHREAD_MUTEX_INITIALIZER, .idle = PTHREAD_COND_INITIALIZER, .random = 1};
	unsigned partitions = (unsigned)strtoul(argv[2], NULL, 10);
	b.accounts = argc > 3 ? strtoull(argv[3], NULL, 10) : 10000;
	double duration = argc > 4 ? strtod(argv[4], NULL) : 20;
	b.inflight = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 64;
	for (size_t i = 0; i < BODY_SIZE; i++)
		b.body[i] = (char)('a' + i % 26);
	char root[1000], blobs[1000];
	(void)snprintf(root, sizeof root, "%s/store", argv[1]);
	(void)snprintf(blobs, sizeof blobs, "%s/blob", argv[1]);
	struct store_options o = {
		.root = root, .blobs = blobs, .partitions = partitions, .fs = &slow};
	o.per_account = partitions == 0;
	o.open_max = argc > 6 ? (unsigned)strtoul(argv[6], NULL, 10) : 0;
	struct fail why = FAIL_INIT;
	if (store_open(&o, &b.s, &why) < 0) {
		(void)fprintf(stderr, "%s\n", why.detail);
		return 1;
	}
	struct mono_ns t0 = clock_mono();
	struct maker makers[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		makers[i] = (struct maker){&b, i + 1, 0};
		CHECK(pthread_create(&makers[i].thread, NULL, make_accounts, &makers[i]) == 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(makers[i].thread, NULL);
	struct mono_ns t1 = clock_mono();
	measure_files(argv[1]);
	uint64_t empty_bytes = file_bytes;
	struct store_stats before, after;
	store_get_stats(b.s, &before);
	sync_us = argc > 7 ? (unsigned)strtoul(argv[7], NULL, 10) : 0;
	double cpu = cpu_seconds();
	run(&b, duration);
	double took = seconds(t1, clock_mono());
	cpu = cpu_seconds() - cpu;
	store_get_stats(b.s, &after);
	uint64_t resident = resident_kib();
	struct mono_ns t2 = clock_mono();
	sync_us = 0;
	store_close(b.s);
	double closing = seconds(t2, clock_mono());
	measure_files(argv[1]);
	double rate = (double)b.done / took;
	double batch = (double)b.done / (double)(after.commits - before.commits);
	(void)printf("placement %u: %.0f accounts/s made; %.0f deliveries/s, %.3f ms CPU each, "
		     "%.1f a commit, p50 %llu us, p99 %llu us, %llu MiB resident, %llu files, "
		     "%llu MiB empty, %llu MiB after, closed in %.2f s, %llu failed\n",
		     partitions, (double)b.accounts / seconds(t0, t1), rate,
		     1000 * cpu / (double)b.done, batch, (unsigned long long)percentile(0.5),
		     (unsigned long long)percentile(0.99), (unsigned long long)resident / 1024,
		     (unsigned long long)files, (unsigned long long)empty_bytes >> 20,
		     (unsigned long long)file_bytes >> 20, closing, (unsigned long long)b.failed);
	(void)printf("{\"partitions\": %u, \"accounts\": %llu, \"inflight\": %u, \"rate\": %.1f, "
		     "\"cpu_ms\": %.4f, \"batch\": %.2f, \"p99_us\": %llu, \"resident_kib\": %llu, "
		     "\"files\": %llu, \"bytes\": %llu}\n",
		     partitions, (unsigned long long)b.accounts, b.inflight, rate,
		     1000 * cpu / (double)b.done, batch, (unsigned long long)percentile(0.99),
		     (unsigned long long)resident, (unsigned long long)files,
		     (unsigned long long)file_bytes);
	return b.failed > 0;
}
