/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which a client, its mail and each recipient are looked at. */
#include "proto/smtp/smtp_check.h"
#include "sys/counter.h"
#include <stdio.h>

COUNTER(refused_rate, "smtp.refused.rate", "clients that did too much in a unit of time");
COUNTER(refused_client, "smtp.refused.client",
	"clients that DNS lists warn of, or that were impatient");
COUNTER(refused_helo, "smtp.refused.helo", "HELO names that are incomplete, unknown or listed");
COUNTER(refused_sender, "smtp.refused.sender",
	"senders that do not exist, or whose domains do not");

struct smtp_door smtp_door_default(void)
{
	return (struct smtp_door){.helo_required = true,
				  .full_helo = true,
				  .known_helo = true,
				  .full_sender = true,
				  .listed_sender = true,
				  .known_sender = true,
				  .full_rcpt = true,
				  .pipelining = true};
}

/* What stands in a reply between angle brackets came from the client. */
static struct str presentable(struct arena *a, const struct smtp_session *s, struct str about)
{
	char *copy = arena_c(a, str_sub(about, 0, 255));
	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f ||
		    ((unsigned char)*p > 0x7f && !s->t.smtputf8))
			*p = '?';
	return copy ? str_c(copy) : STR("");
}

enum check_says check_refuse(struct check *c, unsigned code, const char *enhanced, struct str about,
			     const char *text)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	(void)buf_addf(&b, "<%.*s>: %s", STR_ARG(presentable(c->arena, c->s, about)), text);
	const char *kept = arena_c(c->arena, buf_str(&b));
	/* A reload may take the table away that says so before the next recipient is told. */
	const char *status = arena_c(c->arena, str_c(enhanced));
	c->refusal = (struct smtp_status){code,
					  status       ? status
					  : code < 500 ? "4.7.1"
						       : "5.7.1",
					  kept ? kept : text};
	return CHECK_REFUSE;
}

/* --- who is let through --- */

static bool client_in(const struct check *c, const struct netcidrs *networks)
{
	return c->client.family && netcidrs_have(networks, &c->client);
}

static enum check_says permit_known(struct check *c)
{
	const struct smtp_session *s = c->s;
	return s->account.v || s->may_relay || client_in(c, &s->config->door.known_networks)
		       ? CHECK_PERMIT
		       : CHECK_DUNNO;
}

static enum check_says permit_relaying(struct check *c)
{
	const struct smtp_session *s = c->s;
	bool filter = smtp_is_internal(s) && !smtp_is_lmtp(s);
	return s->account.v || s->may_relay || filter ? CHECK_PERMIT : CHECK_DUNNO;
}

/* --- how often --- */

bool smtp_too_often(struct smtp_turn *t, enum smtp_event event, const char *at, struct str about)
{
	static const struct {
		unsigned code;
		const char *status, *text;
	} replies[SMTP_EVENTS] = {
		[SMTP_EVENT_MESSAGE] = {450, "4.7.1", "Error: too much mail from"},
		[SMTP_EVENT_RECIPIENT] = {450, "4.7.1", "Error: too many recipients from"},
		[SMTP_EVENT_TLS] = {454, "4.7.0", "Error: too many new TLS sessions from"},
		[SMTP_EVENT_LOGIN_FAILED] = {450, "4.7.1", "Error: too many AUTH commands from"}};
	const struct smtp_backend *b = t->s->backend;
	char text[200];
	if (!b->too_often || !replies[event].code ||
	    !b->too_often(b->ctx, event, event == SMTP_EVENT_LOGIN_FAILED))
		return false;
	(void)snprintf(text, sizeof text, "%s %.*s", replies[event].text,
		       STR_ARG(str_sub(buf_str(&t->s->ip), 0, 60)));
	t->counter = &refused_rate;
	smtp_refuse(t, (struct smtp_status){replies[event].code, replies[event].status, text}, at,
		    about, NULL);
	return true;
}

/* --- the client --- */

void smtp_learn_client(struct smtp_session *s)
{
	const struct smtp_backend *b = s->backend;
	if (s->client_known || s->service != SMTP_SERVICE_MX)
		return;
	s->client_known = true;
	if (b->client)
		b->client(b->ctx, &s->client);
	if (s->early) {
		s->client.code = 550;
		s->client.status = "5.5.1";
		(void)snprintf(s->client.text, sizeof s->client.text, "Protocol error");
	}
	if (!s->rdns.n)
		smtp_keep(&s->rdns, str_c(s->client.name));
}

/* Impatient, or in DNS lists: roles/mta/door.c has found out. */
static enum check_says refuse_client(struct check *c)
{
	const struct smtp_client *known = &c->s->client;
	if (!known->code)
		return CHECK_DUNNO;
	c->refusal = (struct smtp_status){known->code, known->status, known->text};
	return CHECK_REFUSE;
}

/* --- relay and recipient --- */

static enum check_says refuse_unknown(struct check *c)
{
	return check_refuse(c, 550, "5.1.1", smtp_addr_str(c->rcpt),
			    "Recipient address rejected: User unknown");
}

static enum check_says refuse_relaying(struct check *c)
{
	if (c->route->verdict != DIR_NOT_OURS)
		return CHECK_DUNNO;
	if (smtp_is_lmtp(c->s))
		return refuse_unknown(c);
	return check_refuse(c, 554, "5.7.1", smtp_addr_str(c->rcpt), "Relay access denied");
}

static enum check_says refuse_part_rcpt(struct check *c)
{
	if (!c->s->config->door.full_rcpt || smtp_domain_is_full(smtp_addr_domain(c->rcpt)))
		return CHECK_DUNNO;
	return check_refuse(c, 504, "5.5.2", smtp_addr_str(c->rcpt),
			    "Recipient address rejected: need fully-qualified address");
}

static enum check_says refuse_unlisted(struct check *c)
{
	return c->route->verdict == DIR_UNKNOWN ? refuse_unknown(c) : CHECK_DUNNO;
}

/* --- the lists --- */

struct class
{
	const char *at;
	struct counter *counter;
	check_fn *const *checks; /* NULL-ended */
};

static check_fn *const client_checks[] = {check_client_access, permit_known, refuse_client, NULL};
static check_fn *const helo_checks[] = {permit_known, check_helo_access, check_helo_full,
					check_helo_known, NULL};
static check_fn *const sender_checks[] = {check_sender_full,   check_sender_listed, permit_known,
					  check_sender_access, check_sender_known,  NULL};
static check_fn *const relay_checks[] = {permit_relaying, refuse_relaying, NULL};
static check_fn *const rcpt_checks[] = {refuse_part_rcpt, refuse_unlisted, check_rcpt_access,
					check_policy, NULL};

static const struct class before_route[] = {{"connection", &refused_client, client_checks},
					    {"HELO", &refused_helo, helo_checks},
					    {"MAIL", &refused_sender, sender_checks}};
static const struct class behind_route[] = {{"RCPT", NULL, relay_checks},
					    {"RCPT", NULL, rcpt_checks}};

static enum check_says run_class(struct check *c, const struct class *k)
{
	c->at = k->at;
	c->counter = k->counter;
	for (check_fn *const *f = k->checks; *f; f++) {
		enum check_says says = (*f)(c);
		if (says != CHECK_DUNNO)
			return says;
	}
	return CHECK_DUNNO;
}

static enum check_says run_classes(struct check *c, const struct class *k, size_t n)
{
	enum check_says says = CHECK_DUNNO;
	for (size_t i = 0; i < n; i++) {
		says = run_class(c, &k[i]);
		if (says == CHECK_REFUSE || says == CHECK_FAILED)
			return says;
	}
	return CHECK_DUNNO;
}

static struct check begin(struct smtp_turn *t, const struct smtp_addr *rcpt, struct arena *a)
{
	struct check c = {.t = t, .s = t->s, .arena = a, .rcpt = rcpt, .why = FAIL_INIT};
	(void)netaddr_parse(buf_str(&t->s->ip), &c.client);
	return c;
}

/* What the log calls the thing that was refused. */
static struct str about(const struct check *c)
{
	return strcmp(c->at, "MAIL") == 0 ? c->s->t.from : smtp_addr_str(c->rcpt);
}

static bool told(struct check *c, enum check_says says)
{
	if (says == CHECK_FAILED) {
		smtp_refuse_fail(c->t, -(int)c->why.code, c->at, about(c), &c->why);
		return true;
	}
	if (says != CHECK_REFUSE)
		return false;
	c->t->counter = c->counter;
	smtp_refuse(c->t, c->refusal, c->at, about(c), NULL);
	return true;
}

bool smtp_check_sender(struct smtp_turn *t, const struct smtp_addr *rcpt,
		       struct smtp_routing *ret_routing)
{
	struct smtp_transaction *x = &t->s->t;
	struct check c = begin(t, rcpt, &x->arena);
	c.routing = ret_routing;
	if (t->s->service != SMTP_SERVICE_MX || x->passed)
		return false;
	if (x->refused.code) { /* the same for every recipient */
		c.refusal = x->refused;
		c.at = x->refused_at;
		c.counter = x->refused_counter;
		t->rule = x->refused_rule;
		return told(&c, CHECK_REFUSE);
	}
	smtp_learn_client(t->s);
	enum check_says says = run_classes(&c, before_route, ARRAY_LEN(before_route));
	x->passed = says == CHECK_DUNNO;
	if (says == CHECK_REFUSE) {
		x->refused = c.refusal;
		x->refused_at = c.at;
		x->refused_counter = c.counter;
		x->refused_rule = t->rule;
	}
	return told(&c, says);
}

bool smtp_check_rcpt(struct smtp_turn *t, const struct smtp_addr *rcpt,
		     const struct dir_route *route)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(16));
	struct check c = begin(t, rcpt, &a);
	c.route = route;
	t->drop_rcpt = false;
	enum check_says says = run_classes(&c, behind_route, ARRAY_LEN(behind_route));
	if (says == CHECK_REFUSE && !t->rule.n)
		t->rule = route->note;
	return told(&c, says);
}
