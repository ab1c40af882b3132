/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url_key.c - the secrets that make tokens of URLs (RFC 4467 section 2.2), one for each mailbox.
 */
#include "service/store/store_int.h"
#include "sys/rand.h"

struct key_job {
	struct store_job job;
	struct str name; /* as the caller gave it; empty: all */
	bool forget;
	unsigned char key[STORE_URL_KEY_LEN];
};

static int no_key(struct fail *why)
{
	return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no key of URLs");
}

static int find(const struct engine_ops *ops, struct engine *e, struct account_id a,
		struct str name, struct row_mailbox *ret, struct fail *why)
{
	char buf[STORE_NAME_MAX + 1];
	struct str normal;
	if (name_normal(name, buf, &normal, NULL) < 0)
		return no_key(why);
	int r = ops->mailbox_find(e, a, normal, ret, why);
	if (r < 0)
		return r;
	return r == 0 || ret->noselect ? no_key(why) : 0;
}

static int apply(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct key_job *k = CONTAINER_OF(job, struct key_job, job);
	struct row_mailbox row = {0};
	struct row_account acc;
	int r = tx_account(tx, job->account, &acc, why);
	if (r == 0 && (k->name.n || !k->forget))
		r = find(tx->ops, tx->e, job->account, k->name, &row, why);
	if (r < 0)
		return r;
	if (k->forget)
		return tx->ops->url_key_set(tx->e, job->account, row.id, NULL, why);
	r = tx->ops->url_key_get(tx->e, job->account, row.id, k->key, why);
	if (r != 0) /* another session was faster, or it failed */
		return MIN(r, 0);
	rand_bytes(k->key, sizeof k->key);
	return tx->ops->url_key_set(tx->e, job->account, row.id, k->key, why);
}

int store_url_key(struct store *s, struct account_id account, struct str mailbox, bool make,
		  unsigned char ret[STORE_URL_KEY_LEN], struct fail *why)
{
	struct row_mailbox row;
	struct part *p;
	int r = part_of(s, account, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = find(s->ops, p->e, account, mailbox, &row, why);
	if (r == 0)
		r = s->ops->url_key_get(p->e, account, row.id, ret, why);
	part_leave(p);
	if (r != 0 || !make)
		return r == 0 ? no_key(why) : MIN(r, 0);
	struct key_job k = {.job = {.account = account, .apply = apply}, .name = mailbox};
	r = job_run(s, &k.job, why);
	if (r == 0)
		memcpy(ret, k.key, sizeof k.key);
	explicit_bzero(k.key, sizeof k.key);
	return r;
}

int store_url_key_reset(struct store *s, struct account_id account, struct str mailbox,
			struct fail *why)
{
	struct key_job k = {
		.job = {.account = account, .apply = apply}, .name = mailbox, .forget = true};
	return job_run(s, &k.job, why);
}
