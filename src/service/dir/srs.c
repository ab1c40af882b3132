/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewritten senders: which one forwarded mail gets, and where mail for one leads. How many messages
 * go back to one sender within an hour is counted in a table of fixed size; what shares a place
 * with another one is forgotten, which lets more through, never less.
 */
#include "service/srs/srs.h"
#include "base/check.h"
#include "codec/smtp/smtp_addr.h"
#include "route_int.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include <stdlib.h>

COUNTER(led_back, "srs.returned", "recipients that are rewritten senders, and lead back");
COUNTER(forged, "srs.return-forged", "such recipients whose hash is not ours, or that are damaged");
COUNTER(expired, "srs.return-expired", "such recipients that are too old");
COUNTER(too_often, "srs.return-too-often", "such recipients of whom too much came in an hour");

#define PLACES 4096u
#define HOUR_S 3600

struct returns {
	uint32_t max;
	struct {
		uint64_t who;
		int64_t hour;
		uint32_t n;
	} places[PLACES];
};

struct returns *returns_new(void)
{
	return xcalloc(1, sizeof(struct returns));
}

void returns_rate(struct returns *r, uint32_t max)
{
	r->max = max;
}

void returns_free(struct returns *r)
{
	free(r);
}

static bool is_too_often(struct returns *r, struct str address)
{
	uint64_t who = str_hashi(address);
	int64_t hour = clock_wall().v / SEC_US / HOUR_S;

	if (r->max == 0)
		return false;
	if (r->places[who % PLACES].who != who || r->places[who % PLACES].hour != hour) {
		r->places[who % PLACES].who = who;
		r->places[who % PLACES].hour = hour;
		r->places[who % PLACES].n = 0;
	}
	if (r->places[who % PLACES].n >= r->max)
		return true;
	r->places[who % PLACES].n++;
	return false;
}

static int domain_is_ours(struct dir *d, struct str domain, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(16));
	struct domain_info info;
	int r = dir_domain(d, domain, &a, &info, why);

	return r < 0 ? r : info.kind != DOMAIN_FOREIGN;
}

int dir_domain_is_ours(struct dir *d, struct str domain, struct fail *why)
{
	DIR_LOCKED(d);
	return domain_is_ours(d, domain, why);
}

static int ask(void *ctx, struct str domain, struct fail *why)
{
	return domain_is_ours(ctx, domain, why);
}

int dir_srs_sender(struct dir *d, struct str sender, struct str rcpt, struct arena *a,
		   struct str *ret, struct fail *why)
{
	struct smtp_addr from, to, rewritten;
	const char *reason;

	DIR_LOCKED(d);
	if (!d->srs || !d->srs_forwarding || smtp_mailbox_parse(sender, &from) < 0 ||
	    smtp_mailbox_parse(rcpt, &to) < 0)
		return 0;
	/* A server of our own behind this one, which takes mail for our domains from us. */
	int r = domain_is_ours(d, smtp_addr_domain(&to), why);
	if (r != 0)
		return MIN(r, 0);
	struct srs_ours ours = {ask, d};
	r = srs_rewrite(d->srs, &from, &ours, srs_today(), &rewritten, &reason);
	if (r != 1)
		return r < 0 ? fail_set(why, (enum fail_code) - r, NULL, "srs: %s", reason) : 0;
	*ret = arena_str(a, smtp_addr_str(&rewritten));
	return ret->p ? 1 : route_full(why);
}

/* ---- back ---- */

static void turn_away(struct dir_route *out, const char *status, const char *text)
{
	out->verdict = DIR_REFUSED;
	out->status = str_c(status);
	out->refusal = str_c(text);
}

/* The case of the local part is kept: it may mean something there. */
static int lead_back(struct expansion *e, const struct smtp_addr *to, struct fail *why)
{
	struct str full = arena_str(e->a, smtp_addr_str(to));
	struct addr x = {.full = full,
			 .bare = full,
			 .local = str_sub(full, 0, to->local_n),
			 .domain = str_skip(full, (size_t)to->local_n + 1)};
	struct domain_info dom;

	if (!full.p)
		return route_full(why);
	int r = dir_domain(e->d, x.domain, e->a, &dom, why);
	if (r < 0)
		return r;
	if (dom.kind == DOMAIN_FOREIGN)
		return route_settle(e, &x, &dom, why);
	expansion_add(e, full, false);
	return expansion_run(e, why);
}

int route_return(struct expansion *e, const struct dir_rcpt *rcpt, struct dir_route *out,
		 struct fail *why)
{
	struct dir *d = e->d;
	struct smtp_addr from, to;
	const char *reason;

	if (!d->srs || rcpt->mapping == DIR_MAILBOX || smtp_mailbox_parse(rcpt->address, &from) < 0)
		return 0;
	int r = srs_restore(d->srs, &from, srs_today(), &to, &reason);
	if (r == 0)
		return 0;
	route_tell(e, rcpt->address, "-", "a rewritten sender (SRS): %s",
		   r == 1 ? to.text : reason);
	if (r < 0) {
		counter_add(r == -FAIL_DEADLINE ? &expired : &forged, rcpt->arrives);
		route_note(e, "rewritten sender:", str_c(reason));
		out->note = e->note;
		turn_away(out, r == -FAIL_DEADLINE ? "5.1.6" : "5.1.1",
			  r == -FAIL_DEADLINE ? "This rewritten sender address has expired"
					      : "This rewritten sender address was not made here");
		return 1;
	}
	if (rcpt->arrives && is_too_often(d->returns, smtp_addr_str(&to))) {
		counter_add(&too_often, 1);
		route_note(e, "rewritten sender: too often to", smtp_addr_str(&to));
		out->note = e->note;
		turn_away(out, "4.7.1",
			  "Too much mail for this rewritten sender address, try later");
		return 1;
	}
	counter_add(&led_back, rcpt->arrives);
	r = lead_back(e, &to, why);
	return r < 0 ? r : 1;
}
