/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has been seen. Two maps under one lock, each with a list in order of use:
 *
 *	waiting   sender NUL recipient NUL network -> a triplet that may come again later
 *	clients   network -> passed, until when
 *
 * What has changed is in `dirty`; the writer takes copies of it as rows. Rows that could not be
 * written stay in `rows` and are tried again in front of what came meanwhile.
 */
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "service/policy/grey.h"
#include "sys/counter.h"
#include <pthread.h>
#include <stdlib.h>

COUNTER(deferred, "policy.greylisted", "recipients that were put off by greylisting");
COUNTER(passed, "policy.greylist-passed", "triplets that came again and passed");
COUNTER(dropped, "policy.greylist-dropped",
	"triplets that were forgotten because there were too many");

#define PROLONG_S  3600 /* a client that is known is written again after so long */
#define SWEEP_ROWS "20000"
#define SWEEP_MAX  20000u

struct triplet {
	struct list use, dirty; /* dirty: in the list of changes, or empty */
	int64_t began, block_until, expires;
	uint32_t blocked;
	uint16_t sender, recipient, network; /* lengths */
	char key[];
};
struct client {
	struct list use, dirty;
	int64_t expires, written;
	uint16_t n;
	char network[];
};
/* A change on its way to the disk. */
struct row {
	struct list link;
	bool is_client; /* prolong it; else a triplet */
	bool passed;
	int64_t began, block_until, expires;
	uint32_t blocked;
	uint16_t sender, recipient, network;
	char key[];
};

struct grey_state {
	pthread_mutex_t lock;
	struct strmap waiting, clients;
	struct list waiting_use, clients_use;
	struct list dirty_triplets, dirty_clients;
	struct list passes; /* struct row: triplets that have passed */
	struct list rows;   /* the writer's */
	bool rehearsal;
};

static void *make(void)
{
	struct grey_state *s = xcalloc(1, sizeof *s);
	struct list *const lists[] = {&s->waiting_use,	 &s->clients_use, &s->dirty_triplets,
				      &s->dirty_clients, &s->passes,	  &s->rows};
	(void)pthread_mutex_init(&s->lock, NULL);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list_init(lists[i]);
	return s;
}

static struct str triplet_key(const struct triplet *t)
{
	return str_make(t->key, (size_t)t->sender + t->recipient + t->network + 2u);
}

static void drop_triplet(struct grey_state *s, struct triplet *t)
{
	(void)strmap_remove(&s->waiting, triplet_key(t));
	list_remove(&t->use);
	list_remove(&t->dirty);
	free(t);
}

static void drop_client(struct grey_state *s, struct client *c)
{
	(void)strmap_remove(&s->clients, str_make(c->network, c->n));
	list_remove(&c->use);
	list_remove(&c->dirty);
	free(c);
}

static void free_state(void *state)
{
	struct grey_state *s = state;
	struct list *const rows[] = {&s->passes, &s->rows};
	LIST_EACH (&s->waiting_use, it)
		drop_triplet(s, CONTAINER_OF(it, struct triplet, use));
	LIST_EACH (&s->clients_use, it)
		drop_client(s, CONTAINER_OF(it, struct client, use));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		LIST_EACH (rows[i], it)
			free(CONTAINER_OF(it, struct row, link));
	strmap_clear(&s->waiting);
	strmap_clear(&s->clients);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

/* --- under the lock --- */

#define KEY_MAX (3u * 340u)
static struct str join(const struct str part[3], char key[KEY_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < 3; i++) {
		struct str s = str_sub(part[i], 0, 330);
		if (i > 0)
			key[n++] = '\0';
		if (s.n)
			memcpy(key + n, s.p, s.n);
		n += s.n;
	}
	return str_make(key, n);
}

static struct triplet *add_triplet(struct grey_state *s, const struct str part[3])
{
	char key[KEY_MAX];
	struct str k = join(part, key);
	if (s->waiting.n >= GREY_WAITING_MAX) {
		counter_add(&dropped, 1);
		drop_triplet(s, CONTAINER_OF(s->waiting_use.next, struct triplet, use));
	}
	struct triplet *t = xcalloc(1, sizeof *t + k.n);
	memcpy(t->key, k.p, k.n);
	t->sender = (uint16_t)MIN(part[0].n, (size_t)330);
	t->recipient = (uint16_t)MIN(part[1].n, (size_t)330);
	t->network = (uint16_t)MIN(part[2].n, (size_t)330);
	list_init(&t->dirty);
	list_append(&s->waiting_use, &t->use);
	(void)strmap_put(&s->waiting, triplet_key(t), t);
	return t;
}

static struct client *add_client(struct grey_state *s, struct str network)
{
	struct client *c = strmap_get(&s->clients, network);
	if (c)
		return c;
	if (s->clients.n >= GREY_CLIENTS_MAX)
		drop_client(s, CONTAINER_OF(s->clients_use.next, struct client, use));
	c = xcalloc(1, sizeof *c + network.n);
	memcpy(c->network, network.p, network.n);
	c->n = (uint16_t)network.n;
	list_init(&c->dirty);
	list_append(&s->clients_use, &c->use);
	(void)strmap_put(&s->clients, str_make(c->network, c->n), c);
	return c;
}

static struct row *row_new(const struct triplet *t, bool has_passed)
{
	struct str key = triplet_key(t);
	struct row *row = xcalloc(1, sizeof *row + key.n);
	row->passed = has_passed;
	row->began = t->began;
	row->block_until = t->block_until;
	row->expires = t->expires;
	row->blocked = t->blocked;
	row->sender = t->sender;
	row->recipient = t->recipient;
	row->network = t->network;
	memcpy(row->key, key.p, key.n);
	return row;
}

static void changed_triplet(struct grey_state *s, struct triplet *t)
{
	if (list_empty(&t->dirty))
		list_append(&s->dirty_triplets, &t->dirty);
}

/* --- decisions --- */

static struct client *known(struct grey_state *s, const struct grey_triplet *t)
{
	struct client *c = strmap_get(&s->clients, t->network);
	if (!c || c->expires <= t->now)
		c = strmap_get(&s->clients, t->client); /* rows of the reference */
	return c && c->expires > t->now ? c : NULL;
}

bool grey_is_known(struct grey_state *s, const struct grey_triplet *t)
{
	pthread_mutex_lock(&s->lock);
	bool is = known(s, t) != NULL;
	pthread_mutex_unlock(&s->lock);
	return is;
}

/* True: it is to be written that it lives longer. */
static bool use_client(struct grey_state *s, struct client *c, const struct grey_triplet *t)
{
	c->expires = t->now + (int64_t)t->settings->keep_s;
	list_remove(&c->use);
	list_append(&s->clients_use, &c->use);
	if (c->expires - c->written < PROLONG_S || !list_empty(&c->dirty))
		return false;
	list_append(&s->dirty_clients, &c->dirty);
	return true;
}

static void begin(struct grey_state *s, struct triplet *t, const struct grey_triplet *q)
{
	t->began = q->now;
	t->block_until = q->now + (int64_t)q->settings->wait_s;
	t->expires = q->now + (int64_t)q->settings->retry_s;
	t->blocked = 1;
	changed_triplet(s, t);
}

/* It came again: from now on the whole network passes. */
static void pass(struct grey_state *s, struct triplet *t, const struct grey_triplet *q)
{
	struct client *c = add_client(s, q->network);
	t->expires = c->expires = c->written = q->now + (int64_t)q->settings->keep_s;
	list_append(&s->passes, &row_new(t, true)->link);
	drop_triplet(s, t);
	if (!s->rehearsal)
		counter_add(&passed, 1);
}

static void wait_on(struct grey_state *s, struct triplet *t)
{
	t->blocked++;
	list_remove(&t->use);
	list_append(&s->waiting_use, &t->use);
	changed_triplet(s, t);
}

static struct grey_answer judge(struct grey_state *s, const struct grey_triplet *q, bool dry)
{
	const struct str part[3] = {q->sender, q->recipient, q->network};
	char key[KEY_MAX];
	struct client *c = known(s, q);
	if (c)
		return (struct grey_answer){.what = GREY_KNOWN,
					    .changed = !dry && use_client(s, c, q)};
	struct triplet *t = strmap_get(&s->waiting, join(part, key));
	bool fresh = !t || t->expires <= q->now;
	struct grey_answer ret = {.what = fresh ? GREY_NEW : GREY_WAITS,
				  .left_s = fresh ? (int64_t)q->settings->wait_s
						  : t->block_until - q->now,
				  .changed = !dry};
	if (!fresh && ret.left_s <= 0)
		ret.what = GREY_PASSES;
	if (dry)
		return ret;
	if (ret.what == GREY_PASSES) {
		pass(s, t, q);
		return ret;
	}
	if (!s->rehearsal)
		counter_add(&deferred, 1);
	if (fresh)
		begin(s, t ? t : add_triplet(s, part), q);
	else
		wait_on(s, t);
	return ret;
}

struct grey_answer grey_judge(struct grey_state *s, const struct grey_triplet *t, bool dry)
{
	pthread_mutex_lock(&s->lock);
	struct grey_answer answer = judge(s, t, dry);
	pthread_mutex_unlock(&s->lock);
	return answer;
}

void grey_forget(struct grey_state *s, struct str network)
{
	pthread_mutex_lock(&s->lock);
	struct client *c = strmap_get(&s->clients, network);
	if (c)
		drop_client(s, c);
	LIST_EACH (&s->waiting_use, it) {
		struct triplet *t = CONTAINER_OF(it, struct triplet, use);
		struct str key = triplet_key(t);
		if (str_eq(str_skip(key, key.n - t->network), network))
			drop_triplet(s, t);
	}
	pthread_mutex_unlock(&s->lock);
}

void grey_rehearse(struct grey_state *s)
{
	s->rehearsal = true;
}

size_t grey_count(struct grey_state *s, size_t *ret_clients)
{
	pthread_mutex_lock(&s->lock);
	size_t n = s->waiting.n;
	*ret_clients = s->clients.n;
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* --- the writer --- */

static void collect(struct grey_state *s)
{
	struct list *it;
	pthread_mutex_lock(&s->lock);
	while ((it = list_pop(&s->dirty_triplets)) != NULL)
		list_append(&s->rows,
			    &row_new(CONTAINER_OF(it, struct triplet, dirty), false)->link);
	while ((it = list_pop(&s->passes)) != NULL)
		list_append(&s->rows, it);
	while ((it = list_pop(&s->dirty_clients)) != NULL) {
		struct client *c = CONTAINER_OF(it, struct client, dirty);
		struct row *row = xcalloc(1, sizeof *row + c->n);
		row->is_client = true;
		row->expires = c->written = c->expires;
		row->network = c->n;
		memcpy(row->key, c->network, c->n);
		list_append(&s->rows, &row->link);
	}
	pthread_mutex_unlock(&s->lock);
}

static int write_client(struct db *db, const struct row *row, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db,
			"UPDATE greylisting_tracking SET record_expired = ?2"
			" WHERE client_address = ?1 AND passed = 1",
			&st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, str_make(row->key, row->network));
	db_bind_i64(st, 2, row->expires);
	return db_run(st, why);
}

static struct str domain_of(struct str address)
{
	size_t at = str_rfind(address, '@');
	return at < address.n ? str_skip(address, at + 1) : STR_NULL;
}

static int write_triplet(struct db *db, const struct row *row, struct fail *why)
{
	struct db_stmt *st;
	struct str sender = str_make(row->key, row->sender);
	struct str recipient = str_make(row->key + row->sender + 1, row->recipient);
	struct str network = str_make(row->key + row->sender + row->recipient + 2, row->network);
	int r = db_stmt(db,
			"INSERT INTO greylisting_tracking (sender, recipient, client_address,"
			" sender_domain, rcpt_domain, init_time, block_expired, record_expired,"
			" blocked_count, passed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
			" ON CONFLICT (sender, recipient, client_address) DO UPDATE SET"
			" init_time = ?6, block_expired = ?7, record_expired = ?8,"
			" blocked_count = ?9, passed = ?10",
			&st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, sender);
	db_bind_text(st, 2, recipient);
	db_bind_text(st, 3, network);
	db_bind_text(st, 4, domain_of(sender));
	db_bind_text(st, 5, domain_of(recipient));
	db_bind_i64(st, 6, row->began);
	db_bind_i64(st, 7, row->block_until);
	db_bind_i64(st, 8, row->expires);
	db_bind_i64(st, 9, row->blocked);
	db_bind_i64(st, 10, row->passed);
	r = db_run(st, why);
	if (r < 0 || !row->passed)
		return r;
	r = db_stmt(db, "DELETE FROM greylisting_tracking WHERE client_address = ?1 AND passed = 0",
		    &st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, network);
	return db_run(st, why);
}

static int flush(void *state, struct db *db, struct fail *why)
{
	struct grey_state *s = state;
	int r = 0;
	collect(s);
	LIST_EACH (&s->rows, it) {
		const struct row *row = CONTAINER_OF(it, struct row, link);
		if (r == 0)
			r = row->is_client ? write_client(db, row, why)
					   : write_triplet(db, row, why);
	}
	return r;
}

/* Rows that were not written are written in front of the next; the oldest go when they are many. */
static void flushed(void *state, bool written)
{
	struct grey_state *s = state;
	size_t n = 0;
	LIST_EACH (&s->rows, it) {
		n++;
		if (written || n > GREY_WAITING_MAX) {
			list_remove(it);
			free(CONTAINER_OF(it, struct row, link));
		}
	}
}

static int sweep(void *state, struct db *db, const struct policy_keep *keep, struct wall_us now,
		 struct fail *why)
{
	struct grey_state *s = state;
	struct db_stmt *st;
	int64_t t = now.v / SEC_US;
	(void)keep;
	pthread_mutex_lock(&s->lock);
	LIST_EACH (&s->waiting_use, it)
		if (CONTAINER_OF(it, struct triplet, use)->expires <= t)
			drop_triplet(s, CONTAINER_OF(it, struct triplet, use));
	LIST_EACH (&s->clients_use, it)
		if (CONTAINER_OF(it, struct client, use)->expires <= t)
			drop_client(s, CONTAINER_OF(it, struct client, use));
	pthread_mutex_unlock(&s->lock);
	int r = db_stmt(db,
			"DELETE FROM greylisting_tracking WHERE id IN (SELECT id"
			" FROM greylisting_tracking WHERE record_expired <= ?1 LIMIT " SWEEP_ROWS
			")",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, t);
	r = db_run(st, why);
	return r < 0 ? r : db_changes(db) >= SWEEP_MAX;
}

/* --- the start --- */

static int recall_clients(struct grey_state *s, struct db *db, int64_t now, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db,
			"SELECT client_address, max(record_expired) FROM greylisting_tracking"
			" WHERE passed = 1 AND record_expired > ?1 GROUP BY client_address"
			" ORDER BY 2 DESC LIMIT ?2",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, now);
	db_bind_i64(st, 2, GREY_CLIENTS_MAX);
	while ((r = db_step(st, why)) == 1) {
		struct str network = str_sub(db_col_text(st, 0), 0, 100);
		if (network.n == 0)
			continue;
		struct client *c = add_client(s, network);
		c->expires = c->written = db_col_i64(st, 1);
		list_remove(&c->use); /* the latest comes first */
		list_prepend(&s->clients_use, &c->use);
	}
	return r;
}

static int recall_triplets(struct grey_state *s, struct db *db, int64_t now, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db,
			"SELECT sender, recipient, client_address, init_time, block_expired,"
			" record_expired, blocked_count FROM greylisting_tracking"
			" WHERE passed = 0 AND record_expired > ?1 ORDER BY id DESC LIMIT ?2",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, now);
	db_bind_i64(st, 2, GREY_WAITING_MAX);
	while ((r = db_step(st, why)) == 1) {
		const struct str part[3] = {db_col_text(st, 0), db_col_text(st, 1),
					    db_col_text(st, 2)};
		char key[KEY_MAX];
		struct triplet *t = strmap_get(&s->waiting, join(part, key));
		if (!t)
			t = add_triplet(s, part);
		t->began = db_col_i64(st, 3);
		t->block_until = db_col_i64(st, 4);
		t->expires = db_col_i64(st, 5);
		t->blocked = (uint32_t)MIN(db_col_u64(st, 6), (uint64_t)UINT32_MAX);
		list_remove(&t->use);
		list_prepend(&s->waiting_use, &t->use);
	}
	return r;
}

static int recall(void *state, struct db *db, struct wall_us now, struct fail *why)
{
	struct grey_state *s = state;
	pthread_mutex_lock(&s->lock);
	int r = recall_clients(s, db, now.v / SEC_US, why);
	if (r == 0)
		r = recall_triplets(s, db, now.v / SEC_US, why);
	pthread_mutex_unlock(&s->lock);
	return r;
}

const struct policy_part policy_part_grey = {.name = "greylisting_tracking",
					     .make = make,
					     .recall = recall,
					     .flush = flush,
					     .flushed = flushed,
					     .sweep = sweep,
					     .free = free_state};
