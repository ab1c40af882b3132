/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads_test.c - deliveries and sessions on one mailbox at the same time. Runs under TSan.
 */
#include "service/store/store_testing.h"
#include <pthread.h>

#define SESSIONS   3
#define DELIVERERS 2
#define STEPS	   150
#define EACH	   120

struct session {
	struct world *w;
	unsigned no;
	pthread_t thread;
	uint32_t seed;
	struct store_view *v;
	struct arena arena;
	uint32_t uid[2000];
	uint32_t n;
	_Atomic unsigned events;
};

static uint32_t chance(struct session *x, uint32_t n)
{
	x->seed = x->seed * 1664525 + 1013904223;
	return (x->seed >> 8) % n;
}

/* cmocka's assertions belong to its own thread: others stop the process. */
#define MUST(cond) CHECK(cond)

static void read_all(struct session *x)
{
	struct store_set set;
	struct store_message m;
	struct store_reader *r;
	uint32_t n = 0;
	MUST(store_view_all(x->v, &x->arena, &set, NULL) == 0);
	MUST(store_read_begin(x->v, &set, chance(x, 2) ? STORE_COL_MAP : 0, (struct modseq){0}, &r,
			      NULL) == 0);
	int res;
	while ((res = store_read_next(r, &m, NULL)) > 0) {
		MUST(n >= x->n || x->uid[n] == m.uid.v);
		x->uid[n++] = m.uid.v;
	}
	MUST(res == 0 && n >= x->n);
	MUST(n == store_view_get_info(x->v)->exists);
	x->n = n;
	store_read_end(r);
}

static void sync_session(struct session *x, bool expunge)
{
	const struct store_changes *c;
	MUST(store_view_sync(x->v, expunge ? STORE_SYNC_EXPUNGE : 0, &c, NULL) >= 0);
	for (size_t i = 0; i < c->n_expunged; i++) {
		uint32_t at = c->expunged[i] - (uint32_t)i - 1;
		MUST(at < x->n && x->uid[at] == c->expunged_uids[i].v);
		memmove(&x->uid[at], &x->uid[at + 1], (x->n - at - 1) * sizeof x->uid[0]);
		x->n--;
	}
	for (size_t i = 0; i < c->n_flags; i++)
		MUST(c->flags[i].seq <= x->n && x->uid[c->flags[i].seq - 1] == c->flags[i].uid.v);
	read_all(x);
}

static void change_flags(struct session *x)
{
	if (x->n == 0)
		return;
	struct store_set set;
	uint32_t at = 1 + chance(x, x->n);
	struct store_range r = {at, MIN(at + 3, x->n)};
	struct store_flagset f = {.bits = chance(x, 3) ? STORE_SEEN : STORE_DELETED};
	struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	MUST(store_view_resolve(x->v, &r, 1, false, &x->arena, &set, NULL) == 0);
	MUST(store_view_store(x->v, &set, STORE_FLAGS_ADD, &f, NULL, &res, NULL) == 0);
	MUST(res.n + res.gone == set.count);
	store_flags_result_clear(&res);
}

static void copy_some(struct session *x, bool move)
{
	if (x->n == 0)
		return;
	struct store_set set;
	uint32_t at = 1 + chance(x, x->n);
	struct store_range r = {at, at};
	struct store_copy_result res = STORE_COPY_RESULT_INIT;
	MUST(store_view_resolve(x->v, &r, 1, false, &x->arena, &set, NULL) == 0);
	if (move)
		MUST(store_view_move(x->v, &set, STR("Archive"), &res, NULL) == 0);
	else
		MUST(store_view_copy(x->v, &set, STR("INBOX"), NULL, &res, NULL) == 0);
	store_copy_result_clear(&res);
}

static void session_step(struct session *x)
{
	switch (chance(x, 9)) {
	case 0:
	case 1:
		change_flags(x);
		break;
	case 2:
		MUST(store_view_expunge(x->v, NULL, NULL, NULL) == 0);
		break;
	case 3:
		copy_some(x, chance(x, 2));
		break;
	case 4:
		store_view_park(x->v);
		break;
	case 5:
		sync_session(x, false);
		break;
	default:
		sync_session(x, true);
	}
	arena_reset(&x->arena);
}

static void on_event(void *arg, const struct store_event *e)
{
	struct session *x = arg;
	(void)e;
	x->events++;
}

static void *session_main(void *arg)
{
	struct session *x = arg;
	struct store_watch *watch;
	MUST(store_view_open(x->w->s, ALICE, STR("INBOX"), false, &x->v, NULL) == 0);
	MUST(store_watch_add(x->w->s, ALICE, store_view_get_info(x->v)->mailbox, on_event, x,
			     &watch, NULL) == 0);
	read_all(x);
	for (unsigned i = 0; i < STEPS; i++)
		session_step(x);
	sync_session(x, true);
	store_watch_remove(watch);
	store_view_close(x->v);
	return NULL;
}

struct deliverer {
	struct world *w;
	unsigned no;
	pthread_t thread;
};

static void *deliver_main(void *arg)
{
	struct deliverer *d = arg;
	for (uint64_t i = 0; i < EACH; i++) {
		struct waiting x = {.d = {.receipt = {.rcpt = d->no}}};
		MUST(deliver_one(d->w->s, i, &x) == 0 && !x.d.repeated);
		if (i % 20 == 0) {
			struct store_purge_result p;
			MUST(store_purge(d->w->s, ALICE, (struct wall_us){INT64_MAX}, 10, &p,
					 NULL) == 0);
		}
	}
	return NULL;
}

static void run_all(enum store_engine_kind kind)
{
	struct world *w = world_new(kind);
	static struct session s[SESSIONS];
	static struct deliverer d[DELIVERERS];
	memset(s, 0, sizeof s);
	for (unsigned i = 0; i < SESSIONS; i++) {
		s[i].w = w;
		s[i].seed = i + 1;
		s[i].arena = ARENA_INIT(MIB(4));
		assert_int_equal(pthread_create(&s[i].thread, NULL, session_main, &s[i]), 0);
	}
	for (unsigned i = 0; i < DELIVERERS; i++) {
		d[i] = (struct deliverer){.w = w, .no = i};
		assert_int_equal(pthread_create(&d[i].thread, NULL, deliver_main, &d[i]), 0);
	}
	while (store_maintain(w->s, &w->why) > 0)
		continue;
	for (unsigned i = 0; i < DELIVERERS; i++)
		pthread_join(d[i].thread, NULL);
	/* A session may be through before the others begin; somebody heard of somebody. */
	unsigned events = 0;
	for (unsigned i = 0; i < SESSIONS; i++) {
		pthread_join(s[i].thread, NULL);
		events += s[i].events;
		arena_clear(&s[i].arena);
	}
	assert_true(events > 0);
	OK(store_check(w->s, ALICE, &w->why));
	struct store_stats st;
	store_get_stats(w->s, &st);
	assert_int_equal(st.deliveries, DELIVERERS * EACH);
	assert_int_equal(st.maps, 0);
	world_free(w);
}

static void test_memory(void **state)
{
	(void)state;
	run_all(STORE_MEMORY);
}

static void test_sqlite(void **state)
{
	(void)state;
	run_all(STORE_SQLITE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_sqlite),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
