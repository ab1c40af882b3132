/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "service/search/search_int.h"
#include "sys/clock.h"
#include <errno.h>
#include <time.h>

#define PAUSE_NS (60 * SEC_NS)
#define NAP_NS	 (2 * MS_NS)   /* shorter ones are saved up */
#define IDLE_NS	 (30 * SEC_NS) /* then memory goes back */

/* ---- life ----------------------------------------------------------------------------------- */

struct search *search_new(const struct search_options *o)
{
	struct search *x = xcalloc(1, sizeof *x);
	pthread_condattr_t attr;
	x->o = *o;
	x->o.root = xstrdup(o->root);
	x->o.shards = MAX(o->shards, 1u);
	x->fs = o->fs ? o->fs : fs_real();
	atomic_init(&x->cpu, o->cpu_percent);
	pthread_mutex_init(&x->lock, NULL);
	pthread_mutex_init(&x->step_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&x->cond, &attr);
	pthread_condattr_destroy(&attr);
	for (unsigned i = 0; i < PLACES; i++)
		grams_init(&x->grams[i], GRAMS_PLAIN);
	return x;
}

static struct spart *new_part(uint64_t no)
{
	struct spart *p = xcalloc(1, sizeof *p);
	p->no = no;
	pthread_rwlock_init(&p->lock, NULL);
	p->gone_from = UINT64_MAX;
	atomic_init(&p->news, true);
	return p;
}

void search_free(struct search *x)
{
	if (!x)
		return;
	CHECK(!x->started || x->stop);
	for (unsigned i = 0; i < x->n_parts; i++) {
		struct spart *p = x->parts[i];
		if (!p)
			continue;
		tail_close(&p->tail);
		map_clear(&p->done);
		vec_clear(&p->check);
		pthread_rwlock_destroy(&p->lock);
		free(p);
	}
	free(x->parts);
	for (unsigned i = 0; i < PLACES; i++)
		grams_clear(&x->grams[i]);
	free((char *)(uintptr_t)x->o.root);
	free(x);
}

void search_wake(struct search *x)
{
	pthread_mutex_lock(&x->lock);
	x->wake = true;
	pthread_cond_signal(&x->cond);
	pthread_mutex_unlock(&x->lock);
}

void search_set_cpu(struct search *x, unsigned cpu_percent)
{
	atomic_store(&x->cpu, cpu_percent);
	search_wake(x);
}

void search_tell_(struct search *x, enum search_event what, uint64_t partition,
		  const struct fail *why)
{
	if (what == SEARCH_DAMAGED)
		atomic_fetch_add(&x->damaged, 1);
	if (x->o.tell)
		x->o.tell(x->o.arg, what, partition, why);
}

static struct spart *part_find(const struct search *x, uint64_t partition)
{
	return partition < x->n_parts ? x->parts[partition] : NULL;
}

void search_news(void *search, const struct store_news *n)
{
	struct search *x = search;
	pthread_mutex_lock(&x->lock);
	struct spart *p = x->started ? part_find(x, n->partition) : NULL;
	if (p && n->dropped_from <= n->dropped_to) {
		p->gone_from = MIN(p->gone_from, n->dropped_from);
		p->gone_to = MAX(p->gone_to, n->dropped_to);
		p->gone_at = clock_mono().v;
	}
	if (p) {
		atomic_store(&p->news, true);
		x->wake = true;
		pthread_cond_signal(&x->cond);
	}
	pthread_mutex_unlock(&x->lock);
}

/* ---- paths ---------------------------------------------------------------------------------- */

void part_folder(const struct search *x, const struct spart *p, char buf[PATH_MAX_])
{
	int n = snprintf(buf, PATH_MAX_, "%s/%03llu", x->o.root, (unsigned long long)p->no);
	CHECK(n > 0 && n < PATH_MAX_ - 16);
}

void part_path_segment(const struct search *x, const struct spart *p, uint64_t range,
		       char buf[PATH_MAX_])
{
	part_folder(x, p, buf);
	size_t n = strlen(buf);
	(void)snprintf(buf + n, PATH_MAX_ - n, "/%08llx", (unsigned long long)range);
}

void part_path_tail(const struct search *x, const struct spart *p, char buf[PATH_MAX_])
{
	part_folder(x, p, buf);
	size_t n = strlen(buf);
	(void)snprintf(buf + n, PATH_MAX_ - n, "/tail");
}

void part_forget_segment(struct search *x, struct spart *p, uint64_t range, const struct fail *why)
{
	char path[PATH_MAX_];
	pthread_rwlock_wrlock(&p->lock);
	bool had = map_remove(&p->done, range + 1) != NULL;
	uint64_t front = atomic_load(&p->front);
	while (range < front && !atomic_compare_exchange_weak(&p->front, &front, range))
		continue;
	atomic_store(&p->whole, 0);
	pthread_rwlock_unlock(&p->lock);
	if (!had)
		return;
	part_path_segment(x, p, range, path);
	(void)!fs_unlink(x->fs, path, NULL);
	search_tell_(x, SEARCH_DAMAGED, p->no, why);
	atomic_store(&p->news, true);
	search_wake(x);
}

/* ---- working -------------------------------------------------------------------------------- */

static int64_t thread_cpu(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * SEC_NS + t.tv_nsec;
}

/* A step in every partition; 1 = there is more in some. */
static int step_all(struct search *x, int64_t *nap, struct fail *why)
{
	int more = 0, failed = 0;
	for (unsigned i = 0; i < x->n_parts; i++) {
		unsigned cpu = atomic_load(&x->cpu);
		if (!x->parts[i] || cpu == 0 || x->stop)
			continue;
		int64_t begun = thread_cpu();
		pthread_mutex_lock(&x->step_lock);
		int r = part_step(x, x->parts[i], why);
		pthread_mutex_unlock(&x->step_lock);
		int64_t used = thread_cpu() - begun;
		atomic_fetch_add(&x->cpu_us, (uint64_t)used / 1000);
		if (r < 0) /* the others go on */
			failed = r;
		else
			more |= r;
		*nap += used * (100 - (int64_t)MIN(cpu, 100u)) / (int64_t)cpu;
		if (*nap >= NAP_NS) {
			struct timespec t = {*nap / SEC_NS, *nap % SEC_NS};
			(void)nanosleep(&t, NULL);
			*nap = 0;
		}
	}
	return more ? more : failed;
}

int search_step(struct search *x, struct fail *why)
{
	int64_t nap = INT64_MIN / 2;
	return atomic_load(&x->cpu) ? step_all(x, &nap, why) : 0;
}

/* x->lock is held. Until woken (or only until stopped), at most `ns`. */
static void wait_for(struct search *x, int64_t ns, bool woken)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	int64_t at = t.tv_sec * SEC_NS + t.tv_nsec + ns;
	t = (struct timespec){at / SEC_NS, at % SEC_NS};
	while (!x->stop && !(woken && x->wake) &&
	       pthread_cond_timedwait(&x->cond, &x->lock, &t) != ETIMEDOUT)
		continue;
}

static void pause_or_go_on(struct search *x, int r, const struct fail *why)
{
	bool was = atomic_exchange(&x->paused, r < 0);
	if (r < 0 && !was)
		search_tell_(x, SEARCH_PAUSED, 0, why);
	if (r >= 0 && was)
		search_tell_(x, SEARCH_RESUMED, 0, NULL);
}

static bool gone_waits(const struct search *x)
{
	for (unsigned i = 0; i < x->n_parts; i++)
		if (x->parts[i] && x->parts[i]->gone_from <= x->parts[i]->gone_to)
			return true;
	return false;
}

static void drop_memory(struct search *x)
{
	pthread_mutex_lock(&x->step_lock);
	for (unsigned i = 0; i < PLACES; i++)
		grams_clear(&x->grams[i]);
	pthread_mutex_unlock(&x->step_lock);
}

static void round_of_work(struct search *x)
{
	struct fail why = FAIL_INIT;
	int64_t nap = 0;
	int r = 1;
	while (r > 0 && !x->stop)
		r = step_all(x, &nap, &why);
	pause_or_go_on(x, r, &why);
}

/* x->lock is held. Until there may be something to do. */
static void wait_for_work(struct search *x)
{
	bool idle = false;
	if (atomic_load(&x->paused)) { /* who waits for room on the disk looks again without news */
		wait_for(x, PAUSE_NS, false);
		return;
	}
	while (!x->stop && !x->wake && !gone_waits(x) && !idle) {
		wait_for(x, IDLE_NS, true);
		idle = !x->wake && !gone_waits(x);
	}
	if (idle) {
		pthread_mutex_unlock(&x->lock);
		drop_memory(x);
		pthread_mutex_lock(&x->lock);
	}
	while (!x->stop && !x->wake && !gone_waits(x))
		pthread_cond_wait(&x->cond, &x->lock);
	if (!x->wake)
		wait_for(x, x->o.delay_ns * GONE_DELAYS, true);
	wait_for(x, x->o.delay_ns, false);
}

static void *thread_main(void *arg)
{
	struct search *x = arg;
	pthread_mutex_lock(&x->lock);
	while (!x->stop) {
		wait_for_work(x);
		x->wake = false;
		pthread_mutex_unlock(&x->lock);
		round_of_work(x);
		pthread_mutex_lock(&x->lock);
	}
	pthread_mutex_unlock(&x->lock);
	return NULL;
}

int search_start(struct search *x, struct store *s, struct fail *why)
{
	unsigned n = store_partitions(s);
	if (n == STORE_PER_ACCOUNT)
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "a file per account");
	x->store = s;
	pthread_mutex_lock(&x->lock);
	x->parts = xcalloc(n, sizeof(struct spart *));
	for (unsigned i = x->o.shard; i < n; i += x->o.shards)
		x->parts[i] = new_part(i);
	x->n_parts = n;
	x->started = x->wake = true;
	pthread_mutex_unlock(&x->lock);
	if (!x->o.no_thread)
		CHECK(pthread_create(&x->thread, NULL, thread_main, x) == 0);
	return 0;
}

void search_stop(struct search *x)
{
	if (!x || !x->started)
		return;
	pthread_mutex_lock(&x->lock);
	x->stop = true;
	pthread_cond_broadcast(&x->cond);
	pthread_mutex_unlock(&x->lock);
	if (!x->o.no_thread)
		pthread_join(x->thread, NULL);
}

/* ---- asking --------------------------------------------------------------------------------- */

static void take_grams(struct str needle, unsigned how, struct search_question *ret)
{
	AUTO(grams) struct grams g;
	grams_init(&g, how);
	grams_add(&g, needle);
	/* Of many, some from everywhere. */
	ret->n = MIN(g.n, (size_t)SEARCH_GRAMS_MAX);
	for (size_t i = 0; i < ret->n; i++)
		ret->gram[i] = g.gram[i * g.n / ret->n];
}

bool search_question_of(struct str needle, unsigned places, struct search_question *ret)
{
	*ret = (struct search_question){.places = places};
	take_grams(needle, 0, ret);
	ret->need = ret->n;
	return ret->n > 0;
}

bool search_question_of_word(struct str word, size_t lack, unsigned places,
			     struct search_question *ret)
{
	*ret = (struct search_question){.places = places};
	take_grams(word, lack ? GRAMS_PLAIN | GRAMS_SHORT : GRAMS_PLAIN, ret);
	ret->need = ret->n > lack ? ret->n - lack : 0;
	return ret->need > 0;
}

/* The documents [from, to) of one range. p->lock is held. Negative: the segment is of no use. */
static int ask_range(struct search *x, const struct spart *p, uint64_t range, struct ask *a,
		     struct segment *g, struct fail *why)
{
	char path[PATH_MAX_];
	if (part_has(p, range)) {
		part_path_segment(x, p, range, path);
		int r = segment_open(x->fs, path, p->made, range, g, why);
		if (r == 0)
			r = segment_ask(g, a, why);
		segment_close(g);
		return r;
	}
	if (range == p->tail.range && p->tail.last) {
		part_path_tail(x, p, path);
		/* A tail that cannot be read excludes nothing; the thread finds out by itself. */
		(void)!tail_ask(x->fs, path, p->tail.end, a, NULL);
	}
	return 0;
}

static void ask_part(struct search *x, struct spart *p, struct ask *a, size_t n_docs)
{
	struct segment *g = xcalloc(1, sizeof *g);
	for (size_t from = 0; from < n_docs; from = a->to) {
		struct fail why = FAIL_INIT;
		uint64_t range = a->docs[from].id / RANGE_IDS;
		a->from = a->to = from;
		while (a->to < n_docs && a->docs[a->to].id / RANGE_IDS == range)
			a->to++;
		pthread_rwlock_rdlock(&p->lock);
		int r = p->open ? ask_range(x, p, range, a, g, &why) : 0;
		pthread_rwlock_unlock(&p->lock);
		/* Others pass, as a lack of descriptors does: these documents are read. */
		if (r == -FAIL_CORRUPT || r == -FAIL_NOTFOUND)
			part_forget_segment(x, p, range, &why);
	}
	free(g);
}

static size_t excluded(const struct ask *a, size_t n_docs)
{
	size_t n = 0;
	for (size_t q = 0; q < a->n_questions; q++)
		for (size_t i = 0; i < n_docs; i++)
			n += !(a->maybe[q][i / 8] >> i % 8 & 1);
	return n;
}

void search_ask(struct search *x, const struct search_ask *ask)
{
	struct spart *p = NULL;
	struct ask a = {.docs = ask->docs,
			.questions = ask->questions,
			.n_questions = ask->n_questions,
			.maybe = ask->maybe};
	if (x->n_parts && atomic_load(&x->cpu))
		p = part_find(x, store_place(ask->account, x->n_parts));
	if (!p)
		return;
	ask_part(x, p, &a, ask->n_docs);
	atomic_fetch_add(&x->questions, ask->n_questions);
	atomic_fetch_add(&x->asked, ask->n_docs * ask->n_questions);
	atomic_fetch_add(&x->excluded, excluded(&a, ask->n_docs));
}

/* ---- looking after it ----------------------------------------------------------------------- */

static uint64_t missing(struct spart *p)
{
	pthread_rwlock_rdlock(&p->lock);
	uint64_t front = atomic_load(&p->front), last = atomic_load(&p->last);
	uint64_t have = front * RANGE_IDS;
	if (p->tail.range == front && p->tail.last >= have)
		have = p->tail.last + 1;
	pthread_rwlock_unlock(&p->lock);
	uint64_t n = atomic_load(&p->whole) == last || have > last ? 0 : last + 1 - have;
	return n + atomic_load(&p->news);
}

struct measuring {
	const struct search *x;
	char path[PATH_MAX_];
	size_t n;
	struct search_status *s;
};

static int measure(void *arg, const char *name, enum fs_kind kind)
{
	struct measuring *m = arg;
	struct fs_stat st;
	(void)kind;
	(void)snprintf(m->path + m->n, PATH_MAX_ - m->n, "/%s", name);
	if (fs_stat(m->x->fs, m->path, &st, NULL) == 0) {
		m->s->files++;
		m->s->bytes += st.size;
	}
	return 0;
}

int search_get_status(struct search *x, uint64_t partition, struct search_status *ret,
		      struct fail *why)
{
	struct spart *p = part_find(x, partition);
	if (!p)
		return fail_set(why, FAIL_PERM, NULL, "not a partition of this process");
	*ret = (struct search_status){.on = atomic_load(&x->cpu) != 0,
				      .paused = atomic_load(&x->paused),
				      .last = atomic_load(&p->last),
				      .missing = missing(p)};
	struct measuring *m = xcalloc(1, sizeof *m);
	m->x = x;
	m->s = ret;
	part_folder(x, p, m->path);
	m->n = strlen(m->path);
	char folder[PATH_MAX_];
	part_folder(x, p, folder);
	int r = fs_list(x->fs, folder, measure, m, why);
	free(m);
	return r == -FAIL_NOTFOUND ? 0 : r;
}

static int remove_file(void *arg, const char *name, enum fs_kind kind)
{
	struct measuring *m = arg;
	(void)kind;
	(void)snprintf(m->path + m->n, PATH_MAX_ - m->n, "/%s", name);
	return fs_unlink(m->x->fs, m->path, NULL);
}

int search_rebuild(struct search *x, uint64_t partition, struct fail *why)
{
	struct spart *p = part_find(x, partition);
	char folder[PATH_MAX_];
	if (!p)
		return fail_set(why, FAIL_PERM, NULL, "not a partition of this process");
	struct measuring *m = xcalloc(1, sizeof *m);
	m->x = x;
	part_folder(x, p, m->path);
	m->n = strlen(m->path);
	part_folder(x, p, folder);
	pthread_mutex_lock(&x->step_lock);
	pthread_rwlock_wrlock(&p->lock);
	p->open = false;
	tail_close(&p->tail);
	p->tail = (struct tail){.range = UINT64_MAX};
	int r = fs_list(x->fs, folder, remove_file, m, why);
	map_clear(&p->done);
	p->front = p->whole = 0;
	pthread_rwlock_unlock(&p->lock);
	pthread_mutex_unlock(&x->step_lock);
	free(m);
	atomic_store(&p->news, true);
	search_wake(x);
	return r == -FAIL_NOTFOUND ? 0 : r;
}

void search_get_stats(struct search *x, struct search_stats *ret)
{
	*ret = (struct search_stats){.indexed = x->indexed,
				     .cpu_us = x->cpu_us,
				     .questions = x->questions,
				     .asked = x->asked,
				     .excluded = x->excluded,
				     .damaged = x->damaged,
				     .paused = x->paused};
	for (unsigned i = 0; i < x->n_parts; i++)
		if (x->parts[i])
			ret->missing += missing(x->parts[i]);
}
