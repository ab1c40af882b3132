/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way in: checks, then body files (hash, fdatasync, name) on the porter's thread, so that a
 * large one never holds up the committer, which takes over from there.
 */
#include "spool_int.h"

#include "sys/sha256.h"

static void refuse(struct spool_message *m, int r, const struct fail *why)
{
	m->done(m, r, 0, why);
}

static int check(const struct spool *sp, const struct spool_message *m, struct fail *why)
{
	uint8_t hash[SPOOL_HASH_LEN];

	if (m->n_rcpts == 0 || m->n_rcpts > SPOOL_RCPTS_MAX)
		return fail_set(why, FAIL_LIMIT, NULL, "%zu recipients", m->n_rcpts);
	if (body_id_is_set(m->body_id))
		return 0; /* compared when it was claimed */
	if (m->body.n > sp->c.inline_max)
		return fail_set(why, FAIL_TOOBIG, NULL, "an inline body of %zu bytes", m->body.n);
	sha256_of(m->body, hash);
	if (m->body.n != m->body_size || memcmp(hash, m->sha256, SPOOL_HASH_LEN) != 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "the body is not what was hashed");
	return 0;
}

void spool_submit(struct spool *sp, struct spool_message *m)
{
	struct fail why = FAIL_INIT;
	bool is_file = body_id_is_set(m->body_id);
	int r = is_file ? body_claim(sp, m, &why) : 0;

	if (r == 0) {
		r = check(sp, m, &why);
		if (r < 0 && is_file)
			body_forget(sp, m->body_id);
	}
	if (r < 0) {
		refuse(m, r, &why);
		return;
	}
	LOCKED(&sp->jobs.lock);
	list_append(is_file ? &sp->jobs.to_carry : &sp->jobs.to_write, &m->link_);
	sp->jobs.to_write_n += !is_file;
	(void)pthread_cond_signal(is_file ? &sp->jobs.carry : &sp->jobs.work);
}

static void carry(struct spool *sp, struct spool_message *m)
{
	struct fail why = FAIL_INIT;
	int r = body_keep(sp, m->body_id, &why);

	if (r < 0) {
		body_forget(sp, m->body_id);
		refuse(m, r, &why);
		return;
	}
	LOCKED(&sp->jobs.lock);
	list_append(&sp->jobs.to_write, &m->link_);
	sp->jobs.to_write_n++;
	(void)pthread_cond_signal(&sp->jobs.work);
}

void *porter_main(void *arg)
{
	struct spool *sp = arg;
	struct jobs *j = &sp->jobs;

	for (;;) {
		(void)pthread_mutex_lock(&j->lock);
		while (list_empty(&j->to_carry) && !j->stop_porter)
			(void)pthread_cond_wait(&j->carry, &j->lock);
		struct list *n = list_pop(&j->to_carry);
		j->busy += n != NULL;
		(void)pthread_mutex_unlock(&j->lock);
		if (!n)
			return NULL;
		carry(sp, CONTAINER_OF(n, struct spool_message, link_));
		(void)pthread_mutex_lock(&j->lock);
		j->busy--;
		(void)pthread_cond_broadcast(&j->quiet);
		(void)pthread_mutex_unlock(&j->lock);
	}
}

/* ---- waiting for the outcome ---- */

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
	int r;
	uint64_t number;
	struct fail why;
};

static void wake_waiter(struct spool_message *m, int r, uint64_t number, const struct fail *why)
{
	struct waiter *w = m->ctx;

	LOCKED(&w->lock);
	w->r = r;
	w->number = number;
	if (why)
		w->why = *why;
	w->done = true;
	(void)pthread_cond_signal(&w->changed);
}

int spool_submit_wait(struct spool *sp, struct spool_message *m, uint64_t *ret_number,
		      struct fail *why)
{
	struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

	m->done = wake_waiter;
	m->ctx = &w;
	spool_submit(sp, m);
	(void)pthread_mutex_lock(&w.lock);
	while (!w.done)
		(void)pthread_cond_wait(&w.changed, &w.lock);
	(void)pthread_mutex_unlock(&w.lock);
	if (w.r < 0) {
		if (why)
			*why = w.why;
		return w.r;
	}
	*ret_number = w.number;
	return 0;
}
