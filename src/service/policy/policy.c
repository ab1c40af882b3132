/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file, its rows in memory, and the one thread that touches the disk.
 *
 * Locks, in this order: db_lock (the connection), then tables_lock (the rows in memory), `lock`
 * (what is to be done) alone. Who decides takes tables_lock for reading and `lock` for a moment: it
 * never waits for the disk longer than LOOK_WAIT_MS, and then goes on with the rows that are there.
 */
#include "base/check.h"
#include "service/policy/policy_int.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

COUNTER(reloads, "policy.reloads",
	"times that rows were read into memory because they had changed");
COUNTER(trouble, "policy.database-failures", "failed attempts to open, read or write policy.db");

#define BUSY_MS	     2000u /* somebody else's lock on the file */
#define LOOK_EACH_MS 500u  /* has another program written? Asked when decisions are made */
#define LOOK_LAST_MS 1000u /* rows that are older are not believed without asking */
#define LOOK_WAIT_MS 100u
#define RETRY_MS     1000u
#define READ_SHARE                                                                                 \
	20 /* reading for rows that rules have learned takes so small a share of the time */
#define READ_FREE_MS 20u /* and what is read faster than that is read at once */
#define SWEEP_MS     3600000u
#define SWEEP_ON_MS  2000u /* rows were left over: a sweep deletes so many at most */

static const struct policy_part *const parts[POLICY_PARTS] = {
	[POLICY_PART_RDNS] = &policy_part_rdns,
	[POLICY_PART_SESSIONS] = &policy_part_sessions,
	[POLICY_PART_GREY_ROWS] = &policy_part_grey_rows,
	[POLICY_PART_GREY] = &policy_part_grey,
	[POLICY_PART_GREY_DOMAINS] = &policy_part_grey_domains,
	[POLICY_PART_THROTTLE_ROWS] = &policy_part_throttle_rows,
	[POLICY_PART_THROTTLE] = &policy_part_throttle,
	[POLICY_PART_WBLIST] = &policy_part_wblist,
	[POLICY_PART_OUTBOUND] = &policy_part_outbound,
	[POLICY_PART_SCORES] = &policy_part_scores,
};

struct policy {
	struct policy *real; /* of a shadow: whose rows they are */
	char *path;
	pthread_mutex_t db_lock;
	struct db *db;	  /* NULL: not open */
	uint64_t version; /* of the rows in memory */
	bool recalled;
	bool learned;		/* rules wrote rows that are not in memory yet */
	struct mono_ns read_at; /* when reading may begin for their sake */
	pthread_rwlock_t tables_lock;
	void *table[POLICY_PARTS];
	bool loaded;
	void *state[POLICY_PARTS];
	pthread_mutex_t lock; /* the following */
	pthread_cond_t work, looked_cond;
	pthread_t writer;
	bool stop, dirty, want_look;
	struct mono_ns write_at, retry_at, sweep_at;
	struct mono_ns dirty_since;
	struct policy_keep keep;
	bool stale;
	char problem[360];
	_Atomic int64_t looked; /* mono_ns */
};

/* --- rows in memory (db_lock is held) --- */

static int load_all(struct policy *p, void *fresh[POLICY_PARTS], struct fail *why)
{
	int r = db_snapshot(p->db, why);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < POLICY_PARTS; i++)
		if (parts[i]->load)
			r = parts[i]->load(p->db, &fresh[i], why);
	db_snapshot_end(p->db);
	return r;
}

static void unload_all(void *table[POLICY_PARTS])
{
	for (size_t i = 0; i < POLICY_PARTS; i++)
		if (parts[i]->unload && table[i])
			parts[i]->unload(table[i]);
}

static int reload(struct policy *p, struct fail *why)
{
	void *fresh[POLICY_PARTS] = {0};
	struct mono_ns begun = clock_mono();
	uint64_t version = db_data_version(p->db);
	int r = load_all(p, fresh, why);
	if (r == 0) {
		pthread_rwlock_wrlock(&p->tables_lock);
		for (size_t i = 0; i < POLICY_PARTS; i++) {
			void *before = p->table[i];
			p->table[i] = fresh[i];
			fresh[i] = before;
		}
		p->loaded = true;
		pthread_rwlock_unlock(&p->tables_lock);
		p->version = version;
		p->learned = false;
		counter_add(&reloads, 1);
	}
	unload_all(fresh);
	struct mono_ns now = clock_mono();
	int64_t took = now.v - begun.v - READ_FREE_MS * MS_NS;
	p->read_at = (struct mono_ns){now.v + MAX(took, INT64_C(0)) * READ_SHARE};
	return r;
}

/* Users write to new people all the time: that must not mean that all is read all the time. */
static int reload_learned(struct policy *p, struct fail *why)
{
	return p->learned && !mono_before(clock_mono(), p->read_at) ? reload(p, why) : 0;
}

/* --- the file (db_lock is held) --- */

static int recall(struct policy *p, struct fail *why)
{
	int r = 0;
	for (size_t i = 0; r == 0 && !p->recalled && i < POLICY_PARTS; i++)
		if (parts[i]->recall)
			r = parts[i]->recall(p->state[i], p->db, clock_wall(), why);
	p->recalled |= r == 0;
	return r;
}

static int open_file(struct policy *p, struct fail *why)
{
	struct db_options o = {.path = p->path, .create = true, .busy_ms = BUSY_MS};
	int r = db_open(&o, &p->db, why);
	if (r < 0)
		return r;
	r = db_migrate(p->db, POLICY_APPLICATION_ID, policy_schema, policy_schema_steps, why);
	/* A commit need not wait for the disk: what is lost is counted anew. */
	if (r == 0)
		r = db_exec(p->db, "PRAGMA synchronous = NORMAL", why);
	if (r == 0)
		r = recall(p, why);
	if (r == 0)
		r = reload(p, why);
	if (r < 0) {
		db_close(p->db);
		p->db = NULL;
	}
	return r;
}

/* Open it, and read what another program has changed. */
static int look(struct policy *p, struct fail *why)
{
	if (!p->db)
		return open_file(p, why);
	return db_data_version(p->db) == p->version ? reload_learned(p, why) : reload(p, why);
}

static void settle(struct policy *p, bool written)
{
	for (size_t i = 0; i < POLICY_PARTS; i++)
		if (parts[i]->flushed)
			parts[i]->flushed(p->state[i], written);
}

static int write_all(struct policy *p, struct fail *why)
{
	int r = db_begin(p->db, why);
	bool begun = r == 0, rows = false;
	for (size_t i = 0; r >= 0 && i < POLICY_PARTS; i++)
		if (parts[i]->flush) {
			r = parts[i]->flush(p->state[i], p->db, why);
			rows |= r > 0;
		}
	if (r >= 0)
		r = db_commit(p->db, why);
	else if (begun)
		db_rollback(p->db);
	settle(p, r == 0);
	p->learned |= r == 0 && rows;
	return r < 0 ? r : reload_learned(p, why);
}

static int sweep_all(struct policy *p, const struct policy_keep *keep, bool *ret_more,
		     struct fail *why)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < POLICY_PARTS; i++) {
		if (!parts[i]->sweep)
			continue;
		r = db_begin(p->db, why);
		if (r == 0)
			r = parts[i]->sweep(p->state[i], p->db, keep, clock_wall(), why);
		*ret_more |= r > 0;
		if (r >= 0)
			r = db_commit(p->db, why);
		else if (db_in_transaction(p->db))
			db_rollback(p->db);
	}
	return r;
}

/* --- the writer --- */

struct duty {
	bool look, write, sweep;
	bool more; /* done, and rows are left to be swept */
	struct policy_keep keep;
};

static bool due(struct mono_ns at)
{
	return at.v && !mono_before(clock_mono(), at);
}

/* What there is to do now, under `lock`. False: nothing. */
static bool find_work(struct policy *p, struct duty *d)
{
	*d = (struct duty){.look = p->want_look || due(p->retry_at),
			   .write = p->dirty && (due(p->write_at) || p->stop),
			   .sweep = due(p->sweep_at),
			   .keep = p->keep};
	return d->look || d->write || d->sweep;
}

static struct mono_ns earliest(struct policy *p)
{
	struct mono_ns at = p->sweep_at;
	if (p->dirty && mono_before(p->write_at, at))
		at = p->write_at;
	if (p->retry_at.v && mono_before(p->retry_at, at))
		at = p->retry_at;
	return at;
}

/* Real time, not the bent one: a test that bends the clock wakes the thread by what it asks. */
static void sleep_until(pthread_cond_t *cond, pthread_mutex_t *lock, struct mono_ns at)
{
	struct timespec t;
	int64_t left = at.v - clock_mono().v;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	int64_t until = (int64_t)t.tv_sec * SEC_NS + t.tv_nsec + (left > 0 ? left : 0);
	t.tv_sec = (time_t)(until / SEC_NS);
	t.tv_nsec = (long)(until % SEC_NS);
	(void)pthread_cond_timedwait(cond, lock, &t);
}

static int work(struct policy *p, struct duty *d, struct fail *why)
{
	pthread_mutex_lock(&p->db_lock);
	int r = look(p, why);
	if (r == 0 && d->write)
		r = write_all(p, why);
	if (r == 0 && d->sweep)
		r = sweep_all(p, &d->keep, &d->more, why);
	pthread_mutex_unlock(&p->db_lock);
	return r;
}

/* Under `lock`. */
static void worked(struct policy *p, const struct duty *d, int r, const struct fail *why)
{
	struct mono_ns now = clock_mono();
	p->want_look = false;
	p->stale = r < 0;
	p->retry_at = r < 0 ? mono_add_ms(now, RETRY_MS) : (struct mono_ns){0};
	p->write_at = r < 0 ? p->retry_at : p->write_at;
	if (d->sweep)
		p->sweep_at = mono_add_ms(now, d->more ? SWEEP_ON_MS : SWEEP_MS);
	if (r < 0) {
		counter_add(&trouble, 1);
		if (d->write) /* it stays to be done */
			p->dirty = true;
		(void)snprintf(p->problem, sizeof p->problem, "%s", why->detail);
	} else {
		p->problem[0] = '\0';
		if (!p->dirty)
			p->dirty_since = (struct mono_ns){0};
	}
	atomic_store(&p->looked, now.v);
	pthread_cond_broadcast(&p->looked_cond);
}

static void *write_behind(void *arg)
{
	struct policy *p = arg;
	struct duty d;
	bool stopping = false;
	pthread_mutex_lock(&p->lock);
	for (;;) {
		if (!find_work(p, &d)) {
			if (p->stop)
				break;
			sleep_until(&p->work, &p->lock, earliest(p));
			continue;
		}
		struct fail why = FAIL_INIT;
		bool last = p->stop;
		if (d.write)
			p->dirty = false;
		pthread_mutex_unlock(&p->lock);
		int r = work(p, &d, &why);
		pthread_mutex_lock(&p->lock);
		worked(p, &d, r, &why);
		if (last && (r < 0 || stopping)) /* it was tried */
			break;
		stopping = last;
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* --- for rules --- */

static bool looked_within(struct policy *p, uint64_t ms)
{
	return clock_mono().v - atomic_load(&p->looked) < (int64_t)ms * MS_NS;
}

/* Rows of now: at most a second old, unless the disk does not answer. */
static void freshen(struct policy *p)
{
	if (looked_within(p, LOOK_EACH_MS))
		return;
	struct mono_ns until = mono_add_ms(clock_mono(), LOOK_WAIT_MS);
	pthread_mutex_lock(&p->lock);
	p->want_look = true;
	pthread_cond_signal(&p->work);
	/* While the disk fails nobody waits for it: retry_at is set. */
	while (!looked_within(p, LOOK_LAST_MS) && !p->retry_at.v && p->want_look && !p->stop &&
	       mono_before(clock_mono(), until))
		sleep_until(&p->looked_cond, &p->lock, until);
	pthread_mutex_unlock(&p->lock);
}

bool policy_tables_at_hand(struct policy *p)
{
	return looked_within(p, LOOK_LAST_MS);
}

int policy_table(struct policy *p, enum policy_part_id id, const void **ret, struct fail *why)
{
	p = p->real ? p->real : p;
	freshen(p);
	pthread_rwlock_rdlock(&p->tables_lock);
	if (p->loaded) {
		*ret = p->table[id];
		return 0;
	}
	pthread_rwlock_unlock(&p->tables_lock);
	return fail_set(why, FAIL_TEMP, NULL, "policy.db could not be read yet");
}

void policy_table_done(struct policy *p)
{
	p = p->real ? p->real : p;
	pthread_rwlock_unlock(&p->tables_lock);
}

void *policy_state(struct policy *p, enum policy_part_id id)
{
	return p->state[id];
}

void policy_dirty(struct policy *p)
{
	if (p->real)
		return;
	pthread_mutex_lock(&p->lock);
	if (!p->dirty) {
		p->dirty = true;
		if (!p->dirty_since.v)
			p->dirty_since = clock_mono();
		if (!p->retry_at.v)
			p->write_at = mono_add_ms(clock_mono(), POLICY_WRITE_MS);
		pthread_cond_signal(&p->work);
	}
	pthread_mutex_unlock(&p->lock);
}

/* --- for orders --- */

void policy_write(struct policy *p)
{
	struct fail why = FAIL_INIT;
	pthread_mutex_lock(&p->db_lock);
	if (p->db && write_all(p, &why) < 0)
		counter_add(&trouble, 1); /* the writer tries again */
	pthread_mutex_unlock(&p->db_lock);
}

struct policy *policy_shadow(struct policy *p)
{
	struct policy *s = xcalloc(1, sizeof *s);
	s->real = p;
	for (size_t i = 0; i < POLICY_PARTS; i++)
		if (parts[i]->make)
			s->state[i] = parts[i]->make();
	return s;
}

bool policy_is_shadow(const struct policy *p)
{
	return p->real != NULL;
}

void policy_shadow_free(struct policy *p)
{
	for (size_t i = 0; i < POLICY_PARTS; i++)
		if (parts[i]->free)
			parts[i]->free(p->state[i]);
	free(p);
}

struct db *policy_db_enter(struct policy *p)
{
	pthread_mutex_lock(&p->db_lock);
	if (!p->db)
		pthread_mutex_unlock(&p->db_lock);
	return p->db;
}

void policy_db_leave(struct policy *p, bool changed)
{
	struct fail why = FAIL_INIT;
	if (changed && (reload(p, &why) < 0 || db_checkpoint(p->db, &why) < 0))
		p->version--; /* the writer looks again */
	pthread_mutex_unlock(&p->db_lock);
}

/* --- life --- */

static void init_locks(struct policy *p)
{
	pthread_condattr_t a;
	(void)pthread_condattr_init(&a);
	(void)pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&p->work, &a);
	(void)pthread_cond_init(&p->looked_cond, &a);
	(void)pthread_condattr_destroy(&a);
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_mutex_init(&p->db_lock, NULL);
	(void)pthread_rwlock_init(&p->tables_lock, NULL);
}

struct policy *policy_open(const char *path, const struct policy_keep *keep, struct fail *why)
{
	struct policy *p = xcalloc(1, sizeof *p);
	struct fail open_why = FAIL_INIT;
	struct duty d = {0};
	p->path = xstrdup(path);
	p->keep = *keep;
	init_locks(p);
	for (size_t i = 0; i < POLICY_PARTS; i++)
		if (parts[i]->make)
			p->state[i] = parts[i]->make();
	p->sweep_at = mono_add_ms(clock_mono(), POLICY_WRITE_MS);
	int r = work(p, &d, &open_why);
	worked(p, &d, r, &open_why);
	if (r < 0 && why)
		*why = open_why;
	CHECK(pthread_create(&p->writer, NULL, write_behind, p) == 0);
	return p;
}

void policy_configure(struct policy *p, const struct policy_keep *keep)
{
	pthread_mutex_lock(&p->lock);
	p->keep = *keep;
	pthread_mutex_unlock(&p->lock);
}

void policy_finish(struct policy *p)
{
	pthread_mutex_lock(&p->lock);
	bool ended = p->stop;
	p->stop = true;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	if (!ended)
		(void)pthread_join(p->writer, NULL);
}

void policy_close(struct policy *p)
{
	if (!p)
		return;
	policy_finish(p);
	unload_all(p->table);
	for (size_t i = 0; i < POLICY_PARTS; i++)
		if (parts[i]->free)
			parts[i]->free(p->state[i]);
	db_close(p->db);
	(void)pthread_cond_destroy(&p->work);
	(void)pthread_cond_destroy(&p->looked_cond);
	(void)pthread_mutex_destroy(&p->lock);
	(void)pthread_mutex_destroy(&p->db_lock);
	(void)pthread_rwlock_destroy(&p->tables_lock);
	free(p->path);
	free(p);
}

void policy_health(struct policy *p, struct policy_health *ret)
{
	pthread_rwlock_rdlock(&p->tables_lock);
	bool loaded = p->loaded;
	pthread_rwlock_unlock(&p->tables_lock);
	pthread_mutex_lock(&p->lock);
	*ret = (struct policy_health){.open = loaded, .stale = p->stale};
	if (p->dirty_since.v)
		ret->unwritten_s = (uint64_t)(clock_mono().v - p->dirty_since.v) / SEC_NS;
	memcpy(ret->problem, p->problem, sizeof ret->problem);
	pthread_mutex_unlock(&p->lock);
}

struct policy_settings policy_settings_default(void)
{
	static struct netcidr machine[] = {
		{.addr = {.family = AF_INET, .bytes = {127}}, .bits = 8},
		{.addr = {.family = AF_INET6, .bytes = {[15] = 1}}, .bits = 128}};
	return (struct policy_settings){.trusted = {machine, ARRAY_LEN(machine)},
					.hostname = "localhost",
					.delimiter = '+',
					.log_sessions = true,
					.timeout_ms = 10000,
					.dns_timeout_ms = 3000,
					.greylist = {.spf = true,
						     .wait_s = 300,
						     .retry_s = 86400,
						     .keep_s = UINT64_C(30) * 86400,
						     .bits4 = 24,
						     .bits6 = 64,
						     .message = POLICY_GREYLIST_MESSAGE},
					.throttle = {.same_domain = true},
					.sender = {.strangers = true,
						   .spf = true,
						   .forged = "",
						   .aliases = true,
						   .mismatch = ""},
					.password = {.age_s = UINT64_C(90) * 86400,
						     .message = POLICY_PASSWORD_MESSAGE,
						     .spared = ""},
					.senderscore_max = 30,
					.keep.scores_s = UINT64_C(2) * 86400,
					.keep.sessions_s = UINT64_C(7) * 86400};
}
