/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_testing.h - what the store's tests share: a store in a new folder, short calls. [tests
 * only]
 */
#ifndef BARID_SERVICE_STORE_STORE_TESTING_H
#define BARID_SERVICE_STORE_STORE_TESTING_H

#include "base/test.h"
#include "service/store/store_view.h"
#include "sys/testdir.h"
#include <semaphore.h>
#include <stdio.h>

#define ALICE ((struct account_id){1001})

struct world {
	struct testdir dir;
	struct store *s;
	struct store_options o;
	char root[100], blobs[100];
	struct fail why;
	struct arena arena;
};

static inline void world_open(struct world *w)
{
	assert_ok(store_open(&w->o, &w->s, &w->why), &w->why);
}

static inline struct world *world_new(enum store_engine_kind kind)
{
	struct world *w = xcalloc(1, sizeof *w);
	w->dir = testdir_new();
	(void)snprintf(w->root, sizeof w->root, "%s/store", w->dir.path);
	(void)snprintf(w->blobs, sizeof w->blobs, "%s/blob", w->dir.path);
	w->o = (struct store_options){.engine = kind,
				      .root = w->root,
				      .blobs = w->blobs,
				      .partitions = 2,
				      .committers = 2,
				      .no_background = true};
	w->arena = ARENA_INIT(MIB(64));
	world_open(w);
	assert_ok(store_account_ensure(w->s, ALICE, store_default_folders, &w->why), &w->why);
	return w;
}

static inline void world_free(struct world *w)
{
	store_close(w->s);
	testdir_remove(&w->dir);
	arena_clear(&w->arena);
	free(w);
}

#define OK(call)	  assert_ok((call), &w->why)
#define FAILS(call, code) assert_int_equal((call), -(int)(code))

/* APPEND a small message; its UID. */
static inline uint32_t put_to(struct world *w, const char *mailbox, const char *body,
			      uint32_t flags)
{
	struct store_append_message m = {.content = {.prefix = STR("Received: x\r\n"),
						     .bytes = str_c(body),
						     .map = STR("map")},
					 .flags = {.bits = flags}};
	struct store_append a = {
		.account = ALICE, .mailbox = str_c(mailbox), .messages = &m, .n = 1};
	struct store_append_result res;
	OK(store_append(w->s, &a, &res, &w->why));
	return res.first.v;
}

static inline struct store_view *view_of(struct world *w, const char *mailbox)
{
	struct store_view *v;
	OK(store_view_open(w->s, ALICE, str_c(mailbox), false, &v, &w->why));
	return v;
}

static inline struct store_set set_of(struct world *w, struct store_view *v, uint32_t first,
				      uint32_t last, bool by_uid)
{
	struct store_set set;
	struct store_range r = {first, last};
	OK(store_view_resolve(v, &r, 1, by_uid, &w->arena, &set, &w->why));
	return set;
}

static inline void flag(struct world *w, struct store_view *v, uint32_t uid,
			enum store_flags_how how, uint32_t bits)
{
	struct store_set set = set_of(w, v, uid, uid, true);
	struct store_flagset f = {.bits = bits};
	AUTO(store_flags_result)
	struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	OK(store_view_store(v, &set, how, &f, NULL, &res, &w->why));
}

/* "1:a 2:b" of a view: UIDs in order, as text in the arena. */
static inline const char *uids_of(struct world *w, struct store_view *v)
{
	AUTO(buf) struct buf out = BUF_INIT(MIB(1));
	struct store_set set;
	struct store_message m;
	AUTO(store_reader) struct store_reader *r = NULL;
	OK(store_view_all(v, &w->arena, &set, &w->why));
	OK(store_read_begin(v, &set, 0, (struct modseq){0}, &r, &w->why));
	uint32_t seq = 0;
	int res;
	while ((res = store_read_next(r, &m, &w->why)) > 0) {
		assert_int_equal(m.seq, ++seq);
		buf_addf(&out, "%s%u", out.n ? " " : "", m.uid.v);
	}
	OK(res);
	assert_int_equal(seq, store_view_get_info(v)->exists);
	return arena_c(&w->arena, buf_str(&out));
}

static inline const struct store_changes *sync_view(struct world *w, struct store_view *v,
						    unsigned how)
{
	const struct store_changes *c;
	OK(store_view_sync(v, how, &c, &w->why));
	return c;
}

struct waiting {
	struct store_delivery d;
	sem_t done;
	int r;
};

static inline void delivery_done(struct store_delivery *d, int r, const struct fail *why)
{
	struct waiting *x = d->user;
	(void)why;
	x->r = r;
	sem_post(&x->done);
}

static inline void deliver_start(struct store *s, struct waiting *x, uint64_t number)
{
	sem_init(&x->done, 0, 0);
	memcpy(x->d.receipt.epoch, "0123456789abcdef", 16);
	x->d.receipt.number = number;
	x->d.done = delivery_done;
	x->d.user = x;
	if (x->d.account.v == 0)
		x->d.account = ALICE;
	if (!x->d.content.file && !x->d.content.bytes.p)
		x->d.content.bytes = STR("Subject: hello\r\n\r\nbody\r\n");
	store_deliver(s, &x->d);
}

static inline int deliver_end(struct waiting *x)
{
	while (sem_wait(&x->done) < 0)
		continue;
	sem_destroy(&x->done);
	return x->r;
}

static inline int deliver_one(struct store *s, uint64_t number, struct waiting *x)
{
	deliver_start(s, x, number);
	return deliver_end(x);
}

/* A sealed body of n bytes of c. */
static inline struct store_body body_of(struct world *w, size_t n, char c)
{
	struct store_body b;
	AUTO_MEM char *text = xcalloc(1, n);
	memset(text, c, n);
	OK(store_body_create(w->s, n, &b, &w->why));
	assert_int_equal(write(b.fd, text, n), n);
	OK(store_body_seal(w->s, &b, &w->why));
	return b;
}

static unsigned counted_files_ UNUSED;
static inline int count_file_(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)path;
	(void)st;
	(void)ftw;
	counted_files_ += flag == FTW_F;
	return 0;
}

/* Files below the blob tree. */
static inline unsigned count_names(struct world *w)
{
	counted_files_ = 0;
	(void)nftw(w->blobs, count_file_, 16, FTW_PHYS);
	return counted_files_;
}

#endif
