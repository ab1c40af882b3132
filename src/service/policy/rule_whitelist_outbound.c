/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom our users write to is not greylisted when they answer: a row of greylisting_whitelists for
 * the login and the recipient, written behind. With several recipients each counts.
 */
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "service/policy/grey.h"
#include <pthread.h>
#include <stdlib.h>

#define WAITING_MAX 10000u
#define DONE_MAX    50000u /* pairs that are not written again */

struct pair {
	struct list link;
	struct str login, to, key; /* of `text`; the key is both of them */
	char text[];
};
struct pairs {
	pthread_mutex_t lock;
	struct list waiting, written, done;
	struct strmap known; /* all of them */
};

static void *make(void)
{
	struct pairs *s = xcalloc(1, sizeof *s);
	(void)pthread_mutex_init(&s->lock, NULL);
	list_init(&s->waiting);
	list_init(&s->written);
	list_init(&s->done);
	return s;
}

static void forget(struct pairs *s, struct list *l)
{
	struct list *link;
	while ((link = list_pop(l)) != NULL) {
		struct pair *x = CONTAINER_OF(link, struct pair, link);
		(void)strmap_remove(&s->known, x->key);
		free(x);
	}
}

static void free_pairs(void *state)
{
	struct pairs *s = state;
	forget(s, &s->waiting);
	forget(s, &s->written);
	forget(s, &s->done);
	strmap_clear(&s->known);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

/* True: it will be written. */
static bool note(struct pairs *s, struct str login, struct str to)
{
	struct pair *x = xcalloc(1, sizeof *x + login.n + 1 + to.n);
	memcpy(x->text, login.p, login.n);
	x->text[login.n] = '\n';
	memcpy(x->text + login.n + 1, to.p, to.n);
	x->login = str_make(x->text, login.n);
	x->to = str_make(x->text + login.n + 1, to.n);
	x->key = str_make(x->text, login.n + 1 + to.n);
	pthread_mutex_lock(&s->lock);
	if (s->known.n >= DONE_MAX)
		forget(s, &s->done);
	bool fresh = s->known.n < DONE_MAX + WAITING_MAX && !strmap_get(&s->known, x->key);
	if (fresh) {
		(void)strmap_put(&s->known, x->key, x);
		list_append(&s->waiting, &x->link);
	}
	pthread_mutex_unlock(&s->lock);
	if (!fresh)
		free(x);
	return fresh;
}

static void move_all(struct list *from, struct list *to)
{
	struct list *link;
	while ((link = list_pop(from)) != NULL)
		list_append(to, link);
}

static int write_pair(struct db_stmt *st, const struct pair *x, struct fail *why)
{
	db_bind_text(st, 1, x->login);
	db_bind_text(st, 2, x->to);
	return db_run(st, why);
}

static int flush(void *state, struct db *db, struct fail *why)
{
	struct pairs *s = state;
	struct db_stmt *st;
	pthread_mutex_lock(&s->lock);
	move_all(&s->waiting, &s->written);
	pthread_mutex_unlock(&s->lock);
	if (list_empty(&s->written))
		return 0;
	int r = db_stmt(db,
			"INSERT INTO greylisting_whitelists (account, sender, comment)"
			" VALUES (?1, ?2, '" GREY_LEARNED "') ON CONFLICT DO NOTHING",
			&st, why);
	LIST_EACH (&s->written, it) {
		if (r == 0)
			r = write_pair(st, CONTAINER_OF(it, struct pair, link), why);
	}
	return r < 0 ? r : 1;
}

static void flushed(void *state, bool was_written)
{
	struct pairs *s = state;
	pthread_mutex_lock(&s->lock);
	move_all(&s->written, was_written ? &s->done : &s->waiting);
	pthread_mutex_unlock(&s->lock);
}

/* Rows that somebody deleted may be made again; of very many the oldest go. */
static int sweep(void *state, struct db *db, const struct policy_keep *keep, struct wall_us now,
		 struct fail *why)
{
	struct pairs *s = state;
	(void)keep;
	(void)now;
	pthread_mutex_lock(&s->lock);
	forget(s, &s->done);
	pthread_mutex_unlock(&s->lock);
	return db_exec(
		db,
		"DELETE FROM greylisting_whitelists WHERE comment = '" GREY_LEARNED
		"' AND id <= (SELECT id FROM greylisting_whitelists WHERE comment = '" GREY_LEARNED
		"' ORDER BY id DESC LIMIT 1 OFFSET " GREY_LEARNED_MAX ")",
		why);
}

const struct policy_part policy_part_outbound = {.name = "whitelist_outbound",
						 .make = make,
						 .flush = flush,
						 .flushed = flushed,
						 .sweep = sweep,
						 .free = free_pairs};

int rule_whitelist_outbound(struct policy *p, const struct policy_query *q,
			    struct policy_verdict *ret, struct fail *why)
{
	unsigned noted = 0;
	if (!policy_logged_in(q) || !q->login.domain.n || !q->ask || !q->ask->domain)
		return policy_dunno(ret, "nobody has logged in");
	for (size_t i = 0; i < q->n_recipients; i++) {
		struct policy_domain_facts d;
		const struct policy_address *to = &q->recipients[i];
		int r = q->ask->domain(q->ask->ctx, to->domain, q->arena, &d, why);
		if (r < 0)
			return r;
		if (d.kind == POLICY_DOMAIN_FOREIGN && !q->dry)
			noted += note(policy_state(p, POLICY_PART_OUTBOUND), q->login.full,
				      to->bare);
	}
	if (noted)
		policy_dirty(p);
	return policy_dunno(ret, "%u recipients are white for answers from now on", noted);
}
