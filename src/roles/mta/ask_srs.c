/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups of rewritten senders. dir has the secrets; here they are kept for SECRETS_MS, less when
 * an address turns up that they do not fit. Which domains are ours is kept for DOMAIN_MS.
 */
#include "base/check.h"
#include "base/map.h"
#include "proto/srs/srs_table.h"
#include "roles/mta/inquiry.h"
#include "roles/mta/mta.h"
#include "service/srs/srs.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/log.h"
#include <pthread.h>
#include <stdlib.h>

#define SECRETS_MS  10000
#define AGAIN_MS    1000
#define DOMAIN_MS   5000
#define DOMAINS_MAX 8192u
#define ASK_MS	    5000

COUNTER(forged, "srs.forged", "rewritten senders whose hash is not ours, asked for by look-ups");

struct known_domain {
	struct mono_ns until;
	bool ours;
	char name[];
};

/* Held by who works with it, and by `state`. */
struct shared {
	_Atomic unsigned held;
	struct srs *srs; /* NULL: nothing can be rewritten */
};

static struct {
	pthread_mutex_t lock; /* never while dir is asked */
	struct shared *srs; /* what dir said; NULL: it was not asked yet, or things have changed */
	struct mono_ns read;
	struct strmap domains;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the secrets ---- */

static void let_go(struct shared *s)
{
	if (!s || --s->held > 0)
		return;
	srs_free(s->srs);
	free(s);
}

/* NULL: older than that, or not known. */
static struct shared *hold(int64_t ms)
{
	struct shared *s = NULL;

	(void)pthread_mutex_lock(&state.lock);
	if (state.srs && clock_mono().v - state.read.v < ms * MS_NS) {
		s = state.srs;
		s->held++;
	}
	(void)pthread_mutex_unlock(&state.lock);
	return s;
}

static void replace(struct srs *fresh)
{
	struct shared *s = xcalloc(1, sizeof *s);

	s->srs = fresh;
	s->held = 1;
	(void)pthread_mutex_lock(&state.lock);
	let_go(state.srs);
	state.srs = s;
	state.read = clock_mono();
	(void)pthread_mutex_unlock(&state.lock);
}

static int read_secrets(const struct inquiry_ask *q)
{
	struct msg_srs_secrets m = {0};
	struct ipc_question i = {.type = IPC_SRS_SECRETS,
				 .msg = &m,
				 .want = IPC_SRS_SECRETS_REPLY,
				 .trace = q->trace,
				 .deadline_ms = ASK_MS};
	struct srs_settings settings = srs_settings_of(q->conf);
	struct msg_srs_secrets_reply reply;
	struct ipc_packet *p = NULL;
	struct fail why = FAIL_INIT;
	struct srs *fresh = NULL;
	int r = ipc_call(role_peer(q->role, "dir", 0), &i, &p, &why);

	if (r == 0)
		r = msg_srs_secrets_reply_read(p, &reply);
	if (r == 0 && srs_make(&settings, reply.text, &fresh, &why) < 0)
		log_event(LOG_DEBUG, "srs.off", log_fail(&why));
	ipc_packet_free(p);
	if (r < 0) {
		log_event(LOG_WARN, "srs.no-secrets", log_fail(&why));
		return r;
	}
	replace(fresh);
	return 0;
}

/* ---- domains ---- */

static void forget_domains(void)
{
	for (size_t i = 0; i < state.domains.cap; i++)
		free(state.domains.slots[i].value);
	strmap_clear(&state.domains);
}

static void keep_domain(struct str name, bool is_ours)
{
	(void)pthread_mutex_lock(&state.lock);
	struct known_domain *k = strmap_get(&state.domains, name);
	if (!k) {
		if (state.domains.n >= DOMAINS_MAX)
			forget_domains();
		k = xcalloc(1, sizeof *k + name.n + 1);
		memcpy(k->name, name.p, name.n);
		(void)strmap_put(&state.domains, str_c(k->name), k);
	}
	k->until = mono_add_ms(clock_mono(), DOMAIN_MS);
	k->ours = is_ours;
	(void)pthread_mutex_unlock(&state.lock);
}

/* -FAIL_NOTFOUND: not kept. */
static int find_domain(struct str name)
{
	(void)pthread_mutex_lock(&state.lock);
	const struct known_domain *k = strmap_get(&state.domains, name);
	int r = k && mono_before(clock_mono(), k->until) ? k->ours : -FAIL_NOTFOUND;
	(void)pthread_mutex_unlock(&state.lock);
	return r;
}

static int ask_dir(const struct inquiry_ask *q, struct str domain, struct fail *why)
{
	struct msg_domain_ours m = {.domain = domain};
	struct ipc_question i = {.type = IPC_DOMAIN_OURS,
				 .msg = &m,
				 .want = IPC_DOMAIN_OURS_REPLY,
				 .trace = q->trace,
				 .deadline_ms = ASK_MS};
	struct msg_domain_ours_reply reply = {0};
	struct ipc_packet *p = NULL;
	int r = ipc_call(role_peer(q->role, "dir", 0), &i, &p, why);

	if (r == -FAIL_PEER)
		r = ipc_call(role_peer(q->role, "dir", 0), &i, &p, why);
	if (r == 0)
		r = msg_domain_ours_reply_read(p, &reply);
	ipc_packet_free(p);
	return r < 0 ? r : reply.ours;
}

static int is_ours(void *ctx, struct str domain, struct fail *why)
{
	const struct inquiry_ask *q = *(const struct inquiry_ask **)ctx;
	int r = find_domain(domain);

	if (r != -FAIL_NOTFOUND)
		return r;
	if (!q->wait)
		return -FAIL_BUSY;
	r = ask_dir(q, domain, why);
	if (r >= 0)
		keep_domain(domain, r == 1);
	return r == -FAIL_BUSY ? -FAIL_TEMP : r;
}

/* ---- answers ---- */

int inquiry_srs(const struct inquiry_ask *q, bool reverse, struct buf *out)
{
	unsigned bad = 0;
	int r = -FAIL_BUSY;
	/* Perhaps a hash that is not ours is of a new secret: then once more with what dir has. */
	for (int64_t age = SECRETS_MS; age >= AGAIN_MS; age = bad ? age / 10 : 0) {
		struct shared *s = hold(age);
		if (!s && !q->wait)
			return -FAIL_BUSY;
		if (!s && (r = read_secrets(q)) < 0)
			return r == -FAIL_BUSY ? -FAIL_TEMP : r;
		if (!s)
			s = hold(SECRETS_MS);
		if (!s)
			return -FAIL_TEMP;
		struct srs_table t = {.srs = s->srs,
				      .ours = {is_ours, &q},
				      .day = srs_today(),
				      .reverse = reverse};
		buf_reset(out);
		r = srs_table_answer(&t, q->input, out, &bad);
		let_go(s);
		if (r < 0)
			return r;
	}
	counter_add(&forged, bad);
	return 1;
}

void inquiry_srs_reconfigure(void)
{
	(void)pthread_mutex_lock(&state.lock);
	let_go(state.srs);
	state.srs = NULL;
	(void)pthread_mutex_unlock(&state.lock);
}
