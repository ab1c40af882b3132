/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Next hops: how many transactions each may have, which is next, and what needs no server.
 *
 * The window begins at hop_first. A transaction that reached the server opens it by one, up to
 * hop_max; one that did not closes it by one. When a whole window of them failed with no success
 * in between, the hop is dead for retry_first_s: its mail, also what comes meanwhile, is put off
 * with the reason, without a try.
 */
#include "spool_int.h"

#include "codec/smtp/nexthop.h"
#include "sys/clock.h"

enum { IDLE_BATCH = 500 };

static void understand(struct hop *h, struct str name)
{
	struct nexthop n;
	int r = nexthop_parse(name, &n);

	(void)snprintf(h->text, sizeof h->text, "%.*s", STR_ARG(name));
	if (r < 0) {
		h->kind = str_startsi(name, STR("mlmmj:")) ? HOP_LIST : HOP_BAD;
		return;
	}
	h->kind = n.kind == NEXTHOP_ERROR     ? HOP_ERROR
		  : n.kind == NEXTHOP_DISCARD ? HOP_DISCARD
		  : n.kind == NEXTHOP_HOLD    ? HOP_HOLD
					      : HOP_SERVER;
	if (h->kind == HOP_SERVER)
		return;
	(void)snprintf(h->status, sizeof h->status, "%s", n.status);
	(void)snprintf(h->text, sizeof h->text, "%.*s", STR_ARG(n.text));
}

struct hop *hop_get(struct spool *sp, struct str name)
{
	struct schedule *s = &sp->schedule;

	name = str_sub(name, 0, str_find(name, 0, '\0')); /* of a damaged row */
	struct hop *h = strmap_get(&s->hops, name);
	if (h)
		return h;
	h = xcalloc(1, sizeof *h);
	h->name = xcalloc(1, name.n + 1);
	memcpy(h->name, name.p, name.n);
	h->window = MIN(sp->c.hop_first, sp->c.hop_max);
	schedule_lane_init(&h->lane);
	h->lane.hop = h;
	list_init(&h->ready);
	list_init(&h->waits);
	understand(h, name);
	(void)strmap_put(&s->hops, str_c(h->name), h);
	return h;
}

void hop_free(struct hop *h)
{
	schedule_lane_clear(&h->lane);
	free(h->name);
	free(h);
}

static bool may_begin(const struct spool *sp, const struct hop *h)
{
	if (h->busy >= h->window)
		return false;
	return !list_empty(&h->lane.flows) ||
	       (!list_empty(&h->lane.suspects) && sp->schedule.n_alone == 0);
}

static void set_listed(struct list *in, struct list *link, bool on)
{
	if (!on)
		list_remove(link);
	else if (list_empty(link))
		list_append(in, link);
}

void hop_update(struct spool *sp, struct hop *h)
{
	struct schedule *s = &sp->schedule;
	bool serves = h->kind == HOP_SERVER && h->dead_until.v == 0;
	bool begins = serves && may_begin(sp, h);
	bool idles = !serves && !schedule_lane_is_quiet(&h->lane);

	s->remote_woken |= begins && list_empty(&h->ready);
	s->clerk_woken |= idles && list_empty(&h->waits);
	set_listed(&s->ready, &h->ready, begins);
	set_listed(&s->idle, &h->waits, idles);
	if (h->lane.n > 0 || h->busy > 0 || h->dead_until.v || !list_empty(&h->lane.parked))
		return;
	(void)strmap_remove(&s->hops, str_c(h->name));
	hop_free(h);
}

void hop_wake_suspects(struct spool *sp)
{
	MAP_EACH (&sp->schedule.hops, i) {
		struct hop *h = sp->schedule.hops.slots[i].value;
		if (!list_empty(&h->lane.suspects))
			hop_update(sp, h); /* which does not end it */
	}
}

/* A suspect goes when no other is under way anywhere. */
static bool fly_suspect(struct spool *sp, struct hop *h, struct key_vec *out)
{
	if (sp->schedule.n_alone > 0 || list_empty(&h->lane.suspects))
		return false;
	struct entry *e = CONTAINER_OF(h->lane.suspects.next, struct entry, link);
	*(struct spool_key *)vec_push(out) = e->key;
	schedule_fly(sp, e);
	return true;
}

struct hop *hop_next(struct spool *sp, struct key_vec *out)
{
	struct list *n = NULL;

	while ((n = list_pop(&sp->schedule.ready))) {
		struct hop *h = CONTAINER_OF(n, struct hop, ready);
		size_t before = out->n;
		if (!may_begin(sp, h))
			continue;
		h->busy++;
		sp->schedule.counts.transactions++;
		if (!fly_suspect(sp, h, out))
			schedule_next_job(sp, &h->lane, sp->c.hop_rcpts, out);
		hop_update(sp, h);
		if (out->n > before)
			return h;
	}
	return NULL;
}

/* ---- feedback ---- */

static void note_failure(struct spool *sp, struct hop *h, const char *status, struct str text)
{
	h->cohorts += 1.0 / h->window;
	if (h->cohorts < 1.0 - 1e-6) {
		h->window = MAX(h->window - 1, 1u);
		return;
	}
	if (h->dead_until.v == 0)
		sp->schedule.counts.hops_dead++;
	h->dead_until.v = clock_mono().v + (int64_t)sp->c.retry_first_s * SEC_NS;
	(void)snprintf(h->status, sizeof h->status, "%s", status && *status ? status : "4.4.1");
	(void)snprintf(h->text, sizeof h->text, "%.*s", STR_ARG(text));
}

static void bring_to_life(struct spool *sp, struct hop *h)
{
	if (h->dead_until.v)
		sp->schedule.counts.hops_dead--;
	h->dead_until.v = 0;
	h->cohorts = 0;
	h->window = MIN(sp->c.hop_first, sp->c.hop_max);
}

void hop_over(struct spool *sp, struct hop *h, enum spool_contact contact, const char *status,
	      struct str text)
{
	if (h->busy > 0) {
		h->busy--;
		sp->schedule.counts.transactions--;
	}
	if (contact == SPOOL_CONTACT_MADE) {
		if (h->dead_until.v)
			bring_to_life(sp, h);
		h->cohorts = 0;
		if (h->window < sp->c.hop_max && h->window <= h->busy + sp->c.hop_first)
			h->window++;
		h->window = MIN(h->window, sp->c.hop_max);
	} else if (contact == SPOOL_CONTACT_FAILED) {
		note_failure(sp, h, status, text);
	}
	hop_update(sp, h);
}

void spool_over(struct spool *sp, struct str nexthop, enum spool_contact contact,
		const char *status, struct str text)
{
	{
		LOCKED(&sp->schedule.lock);
		struct hop *h = strmap_get(&sp->schedule.hops, nexthop);
		if (h)
			hop_over(sp, h, contact, status, text);
	}
	schedule_announce(sp);
}

/* now = {INT64_MAX}: all of them. */
void hop_revive(struct spool *sp, struct mono_ns now)
{
	struct schedule *s = &sp->schedule;
	VEC(struct hop *) dead = {0};

	if (s->counts.hops_dead == 0)
		return;
	MAP_EACH (&s->hops, i) {
		struct hop *h = s->hops.slots[i].value;
		if (h->dead_until.v && h->dead_until.v <= now.v)
			*(struct hop **)vec_push(&dead) = h;
	}
	for (size_t i = 0; i < dead.n; i++) {
		bring_to_life(sp, dead.p[i]);
		hop_update(sp, dead.p[i]);
	}
	vec_clear(&dead);
}

/* ---- what needs no server ---- */

static struct spool_result idle_result(const struct hop *h, char *text, size_t size)
{
	struct spool_result r = {.outcome = SPOOL_DEFERRED, .status = "4.3.5"};

	switch (h->kind) {
	case HOP_ERROR:
		r.outcome = h->status[0] == '4' ? SPOOL_DEFERRED : SPOOL_FAILED;
		r.status = h->status;
		(void)snprintf(text, size, "%s",
			       h->text[0] ? h->text : "mail for this address is refused here");
		break;
	case HOP_DISCARD:
		r.outcome = SPOOL_DELIVERED;
		r.status = "2.0.0";
		(void)snprintf(text, size, "discarded%s%s", h->text[0] ? ": " : "", h->text);
		break;
	case HOP_LIST: /* it is nobody's fault, so nobody is told that it failed */
		r.lasting = true;
		(void)snprintf(text, size,
			       "mail for the list %s waits: this server runs no lists yet",
			       h->text);
		break;
	case HOP_BAD:
		(void)snprintf(text, size, "the next hop <%s> of this address is not understood",
			       h->text);
		break;
	case HOP_SERVER:
	case HOP_HOLD:
		r.status = h->status;
		r.untried = true;
		(void)snprintf(text, size, "deliveries there are suspended for a while: %s",
			       h->text);
		break;
	}
	r.text = str_c(text);
	return r;
}

/* Recipients that are due in a hop without a server, in flight, and what becomes of them. */
struct idle {
	struct key_vec keys;
	struct spool_result result;
	bool hold;
	bool list;
	char status[12];
	char text[500];
};

static bool pick_idle(struct spool *sp, struct idle *out)
{
	struct schedule *s = &sp->schedule;

	LOCKED(&s->lock);
	struct list *n = list_pop(&s->idle);
	if (!n)
		return false;
	struct hop *h = CONTAINER_OF(n, struct hop, waits);
	out->result = idle_result(h, out->text, sizeof out->text);
	(void)snprintf(out->status, sizeof out->status, "%s", out->result.status);
	out->result.status = out->status;
	out->hold = h->kind == HOP_HOLD;
	out->list = h->kind == HOP_LIST;
	h->busy++; /* so that it stays meanwhile */
	schedule_next(sp, &h->lane, IDLE_BATCH, &out->keys);
	while (out->keys.n < IDLE_BATCH && !list_empty(&h->lane.suspects)) {
		struct entry *e = CONTAINER_OF(h->lane.suspects.next, struct entry, link);
		*(struct spool_key *)vec_push(&out->keys) = e->key;
		schedule_fly(sp, e);
	}
	h->busy--;
	hop_update(sp, h);
	return true;
}

bool hop_settle_idle(struct spool *sp)
{
	struct idle one = {0};

	if (!pick_idle(sp, &one))
		return false;
	if (one.hold) {
		hold_flying(sp, one.keys.p, one.keys.n, str_c(one.text));
	} else {
		struct spool_result *all = xcalloc(MAX(one.keys.n, (size_t)1), sizeof *all);
		for (size_t i = 0; i < one.keys.n; i++)
			all[i] = one.result;
		spool_done_many(sp, one.keys.p, all, one.keys.n);
		free(all);
		if (one.list && one.keys.n > 0)
			spool_alert(sp, "spool: %s", one.text);
	}
	vec_clear(&one.keys);
	return true;
}
