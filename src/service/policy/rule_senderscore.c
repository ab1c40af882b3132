/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What score.senderscore.com thinks of a client, 0 to 100; who is not known there has 100. Scores
 * are kept in senderscore_cache for as long as the operator says. Off by default: it tells a
 * company of each client.
 */
#include "base/check.h"
#include "base/map.h"
#include "service/policy/policy_int.h"
#include "sys/clock.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SCORES_MAX 100000u
#define NOT_KNOWN  100u
#define WRITE_MAX  5000u
#define ZONE	   "score.senderscore.com"

struct score {
	unsigned score;
	int64_t time;
	bool written;
	uint32_t ip;
};
struct scores {
	pthread_mutex_t lock;
	struct map map; /* IPv4 address -> struct score */
};

static void *make(void)
{
	struct scores *s = xcalloc(1, sizeof *s);
	(void)pthread_mutex_init(&s->lock, NULL);
	return s;
}

static void forget_all(struct scores *s)
{
	MAP_EACH (&s->map, i)
		free(s->map.slots[i].value);
	map_clear(&s->map);
}

static void free_scores(void *state)
{
	struct scores *s = state;
	forget_all(s);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

static uint64_t key_of(uint32_t ip)
{
	return (uint64_t)1 << 32 | ip;
}

/* Too many: all are asked again. */
static void keep(struct scores *s, const struct score *what)
{
	struct score *x = xcalloc(1, sizeof *x);
	*x = *what;
	pthread_mutex_lock(&s->lock);
	if (s->map.n >= SCORES_MAX)
		forget_all(s);
	free(map_put(&s->map, key_of(x->ip), x));
	pthread_mutex_unlock(&s->lock);
}

static uint32_t ip_of(const uint8_t b[4])
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int recall(void *state, struct db *db, struct wall_us now, struct fail *why)
{
	struct db_stmt *st;
	(void)now;
	int r = db_stmt(db,
			"SELECT client_address, score, time FROM senderscore_cache"
			" ORDER BY time DESC LIMIT 100000",
			&st, why);
	while (r == 0 && (r = db_step(st, why)) == 1) {
		struct netaddr a;
		r = 0;
		if (netaddr_parse(db_col_text(st, 0), &a) && a.family == AF_INET)
			keep(state, &(struct score){(unsigned)db_col_u64(st, 1), db_col_i64(st, 2),
						    true, ip_of(a.bytes)});
	}
	return r;
}

static int write_score(struct db *db, const struct score *x, struct fail *why)
{
	struct db_stmt *st;
	char text[20];
	int r = db_stmt(db, "INSERT OR REPLACE INTO senderscore_cache VALUES (?1, ?2, ?3)", &st,
			why);
	if (r < 0)
		return r;
	(void)snprintf(text, sizeof text, "%u.%u.%u.%u", x->ip >> 24, x->ip >> 16 & 255,
		       x->ip >> 8 & 255, x->ip & 255);
	db_bind_text(st, 1, str_c(text));
	db_bind_u64(st, 2, x->score);
	db_bind_i64(st, 3, x->time);
	return db_run(st, why);
}

/* What was not written, so that nobody waits while it is. */
static size_t collect(struct scores *s, struct score *ret, size_t max)
{
	size_t n = 0;
	pthread_mutex_lock(&s->lock);
	MAP_EACH (&s->map, i) {
		struct score *x = s->map.slots[i].value;
		if (n < max && !x->written) {
			ret[n++] = *x;
			x->written = true; /* what is lost is asked again */
		}
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

static int flush(void *state, struct db *db, struct fail *why)
{
	struct score *some = xcalloc(WRITE_MAX, sizeof *some);
	size_t n = collect(state, some, WRITE_MAX);
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = write_score(db, &some[i], why);
	free(some);
	return r;
}

static int sweep(void *state, struct db *db, const struct policy_keep *k, struct wall_us now,
		 struct fail *why)
{
	struct db_stmt *st;
	(void)state;
	int r = db_stmt(db, "DELETE FROM senderscore_cache WHERE time < ?1", &st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, now.v / SEC_US - (int64_t)k->scores_s);
	return db_run(st, why);
}

const struct policy_part policy_part_scores = {.name = "senderscore",
					       .make = make,
					       .recall = recall,
					       .flush = flush,
					       .sweep = sweep,
					       .free = free_scores};

/* False: nobody knows by now; *ret is then that of a stranger. */
static bool ask(const struct policy_query *q, unsigned *ret)
{
	struct dns_answer a = {0};
	char name[DNS_NAME_MAX];
	uint8_t octets[4];
	*ret = NOT_KNOWN;
	if (!dns_reverse_name(q->client.bytes, 4, ZONE, name))
		return false;
	q->ask->dns(q->ask->ctx, str_c(name), DNS_A, (unsigned)q->settings->dns_timeout_ms,
		    q->arena, &a);
	if (a.outcome == DNS_FOUND && a.n && dns_read_a(a.records[0], octets) &&
	    octets[3] <= NOT_KNOWN)
		*ret = octets[3];
	return dns_is_known(a.outcome);
}

static unsigned score_of(struct policy *p, const struct policy_query *q)
{
	struct scores *s = policy_state(p, POLICY_PART_SCORES);
	struct score fresh = {
		.score = NOT_KNOWN, .time = q->now.v / SEC_US, .ip = ip_of(q->client.bytes)};
	pthread_mutex_lock(&s->lock);
	const struct score *x = map_get(&s->map, key_of(fresh.ip));
	bool known = x && x->time + (int64_t)q->settings->keep.scores_s > fresh.time;
	if (known)
		fresh.score = x->score;
	pthread_mutex_unlock(&s->lock);
	if (!known && ask(q, &fresh.score) && !q->dry) {
		keep(s, &fresh);
		policy_dirty(p);
	}
	return fresh.score;
}

int rule_senderscore(struct policy *p, const struct policy_query *q, struct policy_verdict *ret,
		     struct fail *why)
{
	(void)why;
	if (policy_logged_in(q) || q->trusted)
		return policy_dunno(ret, "the client is trusted");
	if (q->client.family != AF_INET || !q->ask || !q->ask->dns)
		return policy_dunno(ret, "only clients with IPv4 have a score");
	unsigned score = score_of(p, q);
	if (policy_busy(q))
		return -FAIL_BUSY;
	if (score > q->settings->senderscore_max)
		return policy_dunno(ret, "the score is %u", score);
	struct str text = arena_printf(
		q->arena,
		"Your server has a bad reputation, see https://senderscore.org/lookup/?ip=%.*s",
		STR_ARG(q->client_address));
	return policy_reject(ret, text.p ? text.p : "Policy rejection", "the score is %u", score);
}
