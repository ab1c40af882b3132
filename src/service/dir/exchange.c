/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange.h"

#include "auth_int.h"
#include "base/check.h"
#include "codec/sasl/sasl.h"
#include "oauth.h"
#include "scram.h"
#include "sys/clock.h"

struct exchanges {
	pthread_mutex_t lock;
	struct map by_session;
	struct list all; /* oldest first */
	size_t max;
	int64_t ttl_ns;
};

void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	scram_free(x->scram);
	free(x);
}

struct exchanges *exchanges_new(unsigned max, unsigned ttl_s)
{
	struct exchanges *t = xcalloc(1, sizeof *t);

	(void)pthread_mutex_init(&t->lock, NULL);
	list_init(&t->all);
	t->max = MAX(max, 1u);
	t->ttl_ns = ttl_s * SEC_NS;
	return t;
}

static void drop(struct exchanges *t, struct exchange *x)
{
	(void)map_remove(&t->by_session, x->session);
	list_remove(&x->link);
	exchange_free(x);
}

void exchanges_free(struct exchanges *t)
{
	if (!t)
		return;
	LIST_EACH (&t->all, n)
		drop(t, CONTAINER_OF(n, struct exchange, link));
	map_clear(&t->by_session);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

/* All live equally long: what is over stands in front. */
static void expire(struct exchanges *t, struct mono_ns now)
{
	LIST_EACH (&t->all, n) {
		struct exchange *x = CONTAINER_OF(n, struct exchange, link);
		if (mono_before(now, x->until) && t->by_session.n < t->max)
			return;
		drop(t, x);
	}
}

void exchange_keep(struct exchanges *t, struct exchange *x)
{
	struct mono_ns now = clock_mono();

	(void)pthread_mutex_lock(&t->lock);
	struct exchange *old = map_get(&t->by_session, x->session);
	if (old)
		drop(t, old);
	expire(t, now);
	x->until = (struct mono_ns){now.v + t->ttl_ns};
	list_append(&t->all, &x->link);
	(void)map_put(&t->by_session, x->session, x);
	(void)pthread_mutex_unlock(&t->lock);
}

struct exchange *exchange_take(struct exchanges *t, uint64_t session)
{
	struct mono_ns now = clock_mono();

	(void)pthread_mutex_lock(&t->lock);
	struct exchange *x = map_remove(&t->by_session, session);
	if (x)
		list_remove(&x->link);
	if (x && !mono_before(now, x->until)) {
		exchange_free(x);
		x = NULL;
	}
	(void)pthread_mutex_unlock(&t->lock);
	return x;
}

/* ---- the steps ---- */

int dir_offer(struct dir *d, unsigned *ret, struct fail *why)
{
	DIR_LOCKED(d);
	uint64_t version = db_data_version(d->db);
	if (!d->offer_known || d->offer_version != version) {
		int r = scram_offer(d, &d->offer, why);
		if (r < 0)
			return r;
		d->offer_known = true;
		d->offer_version = version;
	}
	*ret = d->offer | (d->oauth ? SASL_OFFER_OAUTH : 0u);
	return 0;
}

/* 1: the mechanism is offered. */
static int is_offered(struct dir *d, struct str mechanism, struct fail *why)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = {
		{"SCRAM-SHA-256", SASL_OFFER_SCRAM_256},
		{"SCRAM-SHA-256-PLUS", SASL_OFFER_SCRAM_256},
		{"SCRAM-SHA-1", SASL_OFFER_SCRAM_1},
		{"SCRAM-SHA-1-PLUS", SASL_OFFER_SCRAM_1},
		{"OAUTHBEARER", SASL_OFFER_OAUTH},
		{"XOAUTH2", SASL_OFFER_OAUTH},
	};
	unsigned offer = 0;
	int r = dir_offer(d, &offer, why);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(known); i++)
		if (str_eqi(mechanism, str_c(known[i].name)))
			return (offer & known[i].bit) != 0;
	return r;
}

static int keep_text(struct buf *b, struct arena *a, struct str *ret, struct fail *why)
{
	*ret = arena_str(a, buf_str(b));
	return ret->p || b->n == 0 ? 0 : fail_set(why, FAIL_LIMIT, NULL, "arena full at SASL");
}

/* Wait for the client's next message. */
static void keep(struct dir *d, const struct dir_sasl *s, const struct dir_grant *g,
		 struct scram *scram)
{
	struct exchange *x = xcalloc(1, sizeof *x);

	*x = (struct exchange){.session = s->session, .service = s->place.service, .scram = scram};
	memcpy(x->mechanism, g->mechanism, sizeof x->mechanism);
	exchange_keep(d->exchanges, x);
}

/* A token decides at once; but who is refused hears why, and has to nod (RFC 7628 section 3.2.3).
 */
static int begin_oauth(struct dir *d, const struct dir_sasl *s, struct str message, struct arena *a,
		       struct dir_step *out, struct fail *why)
{
	int r = oauth_login(d, s, message, a, &out->grant, &out->challenge, why);

	if (r < 0 || out->grant.granted)
		return r;
	out->more = true;
	keep(d, s, &out->grant, NULL);
	return 0;
}

static int begin_scram(struct dir *d, const struct dir_sasl *s, struct str message, struct arena *a,
		       struct dir_step *out, struct fail *why)
{
	AUTO(buf) struct buf challenge = BUF_INIT(KIB(4));
	struct scram *scram = NULL;
	int r = scram_begin(d, s, message, &scram, &challenge, &out->grant, why);

	if (r < 0)
		return r;
	keep(d, s, &out->grant, scram);
	out->more = true;
	return keep_text(&challenge, a, &out->challenge, why);
}

int dir_sasl_begin(struct dir *d, const struct dir_sasl *s, struct str message, struct arena *a,
		   struct dir_step *ret, struct fail *why)
{
	struct mono_ns start = clock_mono();
	struct dir_step out = {.grant = login_begin(s->mechanism, STR(""))};
	int r = is_offered(d, s->mechanism, why);

	if (r == 0) {
		login_reason(&out.grant, "mechanism is not offered", "");
		r = -FAIL_AUTH;
	} else if (r == 1) {
		r = str_startsi(s->mechanism, STR("SCRAM"))
			    ? begin_scram(d, s, message, a, &out, why)
			    : begin_oauth(d, s, message, a, &out, why);
	}
	if (r < 0 && r != -FAIL_AUTH)
		return r;
	if (r < 0)
		login_end(d, &s->place, str_c(out.grant.username), start, &out.grant);
	*ret = out;
	return 0;
}

int dir_sasl_next(struct dir *d, const struct dir_sasl *s, struct str message, struct arena *a,
		  struct dir_step *ret, struct fail *why)
{
	AUTO(buf) struct buf challenge = BUF_INIT(KIB(4));
	struct exchange *x = exchange_take(d->exchanges, s->session);
	int r = 0;

	if (!x)
		return fail_set(why, FAIL_TEMP, NULL, "no SASL exchange is under way: too old");
	/* What one service allows must not open another one. */
	if (x->service != s->place.service) {
		exchange_free(x);
		return fail_set(why, FAIL_PEER, NULL,
				"a SASL exchange goes on for another service than it began for");
	}
	struct dir_step out = {.grant = login_begin(str_c(x->mechanism), STR(""))};
	out.grant.told = !x->scram;
	if (x->scram)
		r = scram_end(d, x->scram, message, a, &challenge, &out.grant, why);
	exchange_free(x);
	if (r == 0 && out.grant.granted)
		r = keep_text(&challenge, a, &out.challenge, why);
	if (r == 0)
		*ret = out;
	return r;
}

void dir_sasl_end(struct dir *d, uint64_t session)
{
	exchange_free(exchange_take(d->exchanges, session));
}
