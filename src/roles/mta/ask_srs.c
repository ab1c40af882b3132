/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups of rewritten senders. dir has the secrets, and knows which domains are ours. Both are
 * kept here; dir is asked beside the look-ups, every LOOK_MS, whether they have changed, and at
 * once when an address turns up that the secrets do not fit. Without an answer for KEEP_MS nothing
 * is known.
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

#define LOOK_MS	    1000
#define KEEP_MS	    60000
#define DOMAINS_MAX 8192u
#define ASK_MS	    3000

COUNTER(forged, "srs.forged", "rewritten senders whose hash is not ours, asked for by look-ups");

struct known_domain {
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
	int64_t changed_us; /* as dir said, of the domains */
	/* On the loop. */
	struct ipc_ask look;
	bool looking;
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

static void forget_domains(void)
{
	for (size_t i = 0; i < state.domains.cap; i++)
		free(state.domains.slots[i].value);
	strmap_clear(&state.domains);
}

/* What dir has said now. */
static void take(const struct msg_srs_secrets_reply *m, const struct conf *c)
{
	struct srs_settings settings = srs_settings_of(c);
	struct fail why = FAIL_INIT;
	struct shared *s = xcalloc(1, sizeof *s);

	if (srs_make(&settings, m->text, &s->srs, &why) < 0)
		log_event(LOG_DEBUG, "srs.off", log_fail(&why));
	s->held = 1;
	(void)pthread_mutex_lock(&state.lock);
	let_go(state.srs);
	state.srs = s;
	state.read = clock_mono();
	if (m->changed_us != state.changed_us)
		forget_domains();
	state.changed_us = m->changed_us;
	(void)pthread_mutex_unlock(&state.lock);
}

static struct ipc_question question(struct trace_id trace)
{
	static const struct msg_srs_secrets m = {0};

	return (struct ipc_question){.type = IPC_SRS_SECRETS,
				     .msg = &m,
				     .want = IPC_SRS_SECRETS_REPLY,
				     .trace = trace,
				     .deadline_ms = ASK_MS};
}

static void looked(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct msg_srs_secrets_reply m;

	(void)a;
	state.looking = false;
	if (r == 0 && msg_srs_secrets_reply_read(p, &m) == 0)
		take(&m, mta.role->conf);
	else
		log_event(LOG_WARN, "srs.no-secrets", log_fail(why));
	ipc_packet_free(p);
}

/* On the loop: has anything changed? What is known serves meanwhile. */
static void look(const struct inquiry_ask *q)
{
	if (state.looking || clock_mono().v - state.read.v < LOOK_MS * MS_NS)
		return;
	struct ipc_question i = question(q->trace);
	state.looking = true;
	state.look.done = looked;
	ipc_ask(role_peer(q->role, "dir", 0), &i, &state.look);
}

/* On a worker thread. */
static int read_secrets(const struct inquiry_ask *q)
{
	struct ipc_question i = question(q->trace);
	struct msg_srs_secrets_reply m;
	struct ipc_packet *p = NULL;
	struct fail why = FAIL_INIT;
	int r = ipc_call(role_peer(q->role, "dir", 0), &i, &p, &why);

	if (r == -FAIL_PEER)
		r = ipc_call(role_peer(q->role, "dir", 0), &i, &p, &why);
	if (r == 0 && msg_srs_secrets_reply_read(p, &m) < 0)
		r = fail_set(&why, FAIL_PEER, NULL, "bad answer of dir");
	if (r == 0)
		take(&m, q->conf);
	else
		log_event(LOG_WARN, "srs.no-secrets", log_fail(&why));
	ipc_packet_free(p);
	return r;
}

/* ---- domains ---- */

static void keep_domain(struct str name, bool is_ours, int64_t changed_us)
{
	(void)pthread_mutex_lock(&state.lock);
	/* What was said before a change is not known to be so after it. */
	if (changed_us == state.changed_us && !strmap_get(&state.domains, name)) {
		if (state.domains.n >= DOMAINS_MAX)
			forget_domains();
		struct known_domain *k = xcalloc(1, sizeof *k + name.n + 1);
		memcpy(k->name, name.p, name.n);
		k->ours = is_ours;
		(void)strmap_put(&state.domains, str_c(k->name), k);
	}
	(void)pthread_mutex_unlock(&state.lock);
}

/* -FAIL_NOTFOUND: not kept. */
static int find_domain(struct str name, int64_t *ret_changed_us)
{
	(void)pthread_mutex_lock(&state.lock);
	const struct known_domain *k = strmap_get(&state.domains, name);
	int r = k ? k->ours : -FAIL_NOTFOUND;
	*ret_changed_us = state.changed_us;
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
	int64_t changed_us;
	int r = find_domain(domain, &changed_us);

	if (r != -FAIL_NOTFOUND)
		return r;
	if (!q->wait)
		return -FAIL_BUSY;
	r = ask_dir(q, domain, why);
	if (r >= 0)
		keep_domain(domain, r == 1, changed_us);
	return r == -FAIL_BUSY ? -FAIL_TEMP : r;
}

/* ---- answers ---- */

int inquiry_srs(const struct inquiry_ask *q, bool reverse, struct buf *out)
{
	unsigned bad = 0;
	int r = 0;

	if (!q->wait)
		look(q);
	/* Perhaps a hash that is not ours is of a new secret: then once more with what dir has. */
	for (int64_t age = KEEP_MS; age > 0; age = bad && age > LOOK_MS ? LOOK_MS : 0) {
		struct shared *s = hold(age);
		if (!s && !q->wait)
			return -FAIL_BUSY;
		if (!s && (r = read_secrets(q)) < 0)
			return r == -FAIL_BUSY ? -FAIL_TEMP : r;
		if (!s && !(s = hold(KEEP_MS)))
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
