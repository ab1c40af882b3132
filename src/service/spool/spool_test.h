/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool_test.h - a spool in a folder of its own, and messages for it.          [tests only]
 */
#ifndef BARID_SERVICE_SPOOL_SPOOL_TEST_H
#define BARID_SERVICE_SPOOL_SPOOL_TEST_H

#include "base/test.h"
#include "base/vec.h"
#include "service/spool/spool.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/sha256.h"
#include "sys/testdir.h"
#include <pthread.h>

struct bench {
	struct testdir dir;
	char spool_folder[300];
	char blob_folder[300];
	struct spool_config c;
	struct spool *sp;
	/* What callbacks saw. */
	pthread_mutex_t lock;
	char alerts[4096];
	char events[4096]; /* "NUMBER KIND ADDRESS STATUS TEXT ATTEMPTS REPORT;" each */
	struct spool_receipt receipts[64];
	size_t n_receipts;
	unsigned readies;
	/* What the route callback answers. */
	int route_result;
	enum spool_route_kind route_kind;
	struct account_id route_account;
	const char *route_transport; /* NULL: none */
	size_t route_n;		     /* destinations; 0: one */
	unsigned routed;	     /* how often it was asked */
	struct wall_us routes_changed;
};

static inline void bench_alert(void *ctx, const char *text)
{
	struct bench *b = ctx;
	(void)pthread_mutex_lock(&b->lock);
	size_t n = strlen(b->alerts);
	(void)snprintf(b->alerts + n, sizeof b->alerts - n, "%s\n", text);
	(void)pthread_mutex_unlock(&b->lock);
}

static inline void bench_event(void *ctx, const struct spool_event *e)
{
	static const char *const kinds[] = {"deferred", "failed", "report", "dropped"};
	struct bench *b = ctx;
	(void)pthread_mutex_lock(&b->lock);
	size_t n = strlen(b->events);
	(void)snprintf(b->events + n, sizeof b->events - n, "%llu %s %s %s %s %u %llu;",
		       (unsigned long long)e->key.number, kinds[e->kind], e->address, e->status,
		       e->text, e->attempts, (unsigned long long)e->report);
	(void)pthread_mutex_unlock(&b->lock);
}

static inline void bench_delivered(void *ctx, const struct spool_receipt *r, size_t n)
{
	struct bench *b = ctx;
	(void)pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < n && b->n_receipts < ARRAY_LEN(b->receipts); i++)
		b->receipts[b->n_receipts++] = r[i];
	(void)pthread_mutex_unlock(&b->lock);
}

static inline void bench_ready(void *ctx, unsigned lane)
{
	struct bench *b = ctx;
	(void)lane;
	(void)pthread_mutex_lock(&b->lock);
	b->readies++;
	(void)pthread_mutex_unlock(&b->lock);
}

static inline int bench_route(void *ctx, const struct spool_question *q, struct arena *a,
			      struct spool_route *ret, struct fail *why)
{
	struct bench *b = ctx;
	size_t n = b->route_n ? b->route_n : 1;
	struct destination *to = arena_array(a, struct destination, n);
	b->routed++;
	if (b->route_result < 0)
		return fail_set(why, FAIL_TEMP, NULL, "no directory now");
	for (size_t i = 0; i < n; i++)
		to[i] = (struct destination){
			.account = b->route_account,
			.address =
				i ? arena_printf(a, "u%zu@many.test", i) : arena_str(a, q->address),
			.transport = str_c(b->route_transport ? b->route_transport : "")};
	*ret = (struct spool_route){
		.kind = b->route_kind, .dests = to, .n = n, .note = STR("no such user")};
	return 0;
}

static inline int bench_routes_changed(void *ctx, struct wall_us *ret, struct fail *why)
{
	const struct bench *b = ctx;
	(void)why;
	*ret = b->routes_changed;
	return 0;
}

static inline int bench_map(void *ctx, struct str body, struct arena *a, struct str *ret,
			    struct fail *why)
{
	(void)ctx;
	(void)why;
	*ret = arena_printf(a, "map of %zu", body.n);
	return 0;
}

static inline void bench_init(struct bench *b)
{
	struct fail why = FAIL_INIT;
	*b = (struct bench){.lock = PTHREAD_MUTEX_INITIALIZER, .route_account = {77}};
	b->dir = testdir_new();
	(void)snprintf(b->spool_folder, sizeof b->spool_folder, "%s/spool", b->dir.path);
	(void)snprintf(b->blob_folder, sizeof b->blob_folder, "%s/blob", b->dir.path);
	assert_ok(fs_mkdir_all(fs_real(), b->spool_folder, 0700, &why), &why);
	assert_ok(fs_mkdir_all(fs_real(), b->blob_folder, 0700, &why), &why);
	b->c = spool_config_default();
	b->c.folder = b->spool_folder;
	b->c.blob_folder = b->blob_folder;
	b->c.hostname = "mx.example.test";
	b->c.manual = true;
	b->c.settle_ms = 0;
	b->c.ctx = b;
	b->c.alert = bench_alert;
	b->c.event = bench_event;
	b->c.delivered = bench_delivered;
	b->c.ready = bench_ready;
	b->c.route = bench_route;
	b->c.routes_changed = bench_routes_changed;
	b->c.map = bench_map;
}

static inline void bench_open(struct bench *b)
{
	struct fail why = FAIL_INIT;
	assert_ok(spool_open(&b->c, &b->sp, &why), &why);
}

static inline void bench_close(struct bench *b)
{
	spool_close(b->sp);
	b->sp = NULL;
}

static inline void bench_free(struct bench *b)
{
	bench_close(b);
	testdir_remove(&b->dir);
	clock_bend_us(0);
}

/* A message with an inline body to account 5 (and 6, ...). */
struct letter {
	struct spool_message m;
	struct spool_rcpt rcpts[4];
};

static inline struct letter letter(const char *sender, const char *body, size_t n_rcpts)
{
	static const char *const names[] = {"alice@d.test", "bob@d.test", "carol@d.test",
					    "dora@d.test"};
	struct letter l = {0};
	for (size_t i = 0; i < n_rcpts; i++) {
		l.rcpts[i].to.account.v = 5 + i;
		l.rcpts[i].to.address = str_c(names[i]);
		l.rcpts[i].original = str_c(names[i]);
	}
	l.m.sender = str_c(sender);
	l.m.prefix = STR("Received: here\r\n");
	l.m.body = str_c(body);
	l.m.body_size = l.m.body.n;
	l.m.map = STR("map");
	l.m.arrival = clock_wall();
	l.m.trace.v = 0x1234;
	l.m.n_rcpts = n_rcpts;
	sha256_of(l.m.body, l.m.sha256);
	return l;
}

static inline uint64_t bench_submit(struct bench *b, struct letter *l)
{
	struct fail why = FAIL_INIT;
	uint64_t number = 0;
	l->m.rcpts = l->rcpts;
	assert_ok(spool_submit_wait(b->sp, &l->m, &number, &why), &why);
	return number;
}

/* Take what is due in lane 0; the result to all of it; wait until it is written. */
static inline size_t bench_answer(struct bench *b, enum spool_outcome outcome, const char *text)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct fail why = FAIL_INIT;
	struct spool_result r = {.outcome = outcome, .text = str_c(text)};
	struct spool_key keys[100];
	struct spool_result results[100];
	size_t n = 0;
	assert_ok(spool_take(b->sp, 0, ARRAY_LEN(keys), &batch, &why), &why);
	for (size_t i = 0; i < batch.n; i++) {
		for (size_t k = 0; k < batch.v[i].n_due; k++) {
			keys[n] = (struct spool_key){batch.v[i].number, batch.v[i].due[k].rcpt};
			results[n++] = r;
		}
	}
	spool_done_many(b->sp, keys, results, n);
	spool_drain(b->sp);
	return n;
}

/* Of a message, or with 0 of all. */
static inline int bench_order(struct bench *b, enum spool_order order, uint64_t number,
			      struct fail *why)
{
	return spool_carry_out(b->sp, order, &(struct spool_query){.number = number}, false, why);
}

static inline struct spool_counts bench_counts(struct bench *b)
{
	struct spool_counts n;
	spool_count(b->sp, &n);
	return n;
}

/* A body file of n bytes made of `fill`, sealed into l. */
static inline void bench_body(struct bench *b, struct letter *l, char fill, size_t n)
{
	struct fail why = FAIL_INIT;
	struct spool_sealed s;
	AUTO_MEM char *text = xcalloc(1, n);
	AUTO_FD int fd = -1;
	memset(text, fill, n);
	assert_ok(spool_body_create(b->sp, n, &l->m.body_id, &fd, &why), &why);
	assert_int_equal(pwrite(fd, text, n, 0), (ssize_t)n);
	assert_ok(spool_body_seal(b->sp, l->m.body_id, &s, &why), &why);
	(void)close(s.fd);
	l->m.body = STR_NULL;
	l->m.body_size = s.size;
	memcpy(l->m.sha256, s.sha256, SPOOL_HASH_LEN);
}

#endif
