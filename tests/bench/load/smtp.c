/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp.c - the SMTP clients of a load test: all are connected before the first one sends, then each
 * sends a message to the next accounts.
 */
#include "base/check.h"
#include "sys/clock.h"
#include "load.h"

#define DOMAIN "example.test"

enum step { BANNER, HELLO, READY, MAIL, RCPT, DATA, BODY, ACCEPTED };

/* The account of one recipient, from 0. */
static unsigned account(const struct client *c, unsigned rcpt)
{
	return (c->number * c->crowd->o->rcpts + rcpt) % c->crowd->o->clients;
}

static void say_rcpt(struct client *c)
{
	char text[100];
	(void)snprintf(text, sizeof text, "RCPT TO:<user%u@" DOMAIN ">\r\n", user_number(c->crowd->o, account(c, c->count++)));
	client_say(c, str_c(text));
}

static void say_body(struct client *c)
{
	AUTO(buf) struct buf m = BUF_INIT(MIB(1));
	buf_addf(&m, "From: <load@example.org>\r\nSubject: load %u\r\n\r\n", c->number);
	while (m.n < c->crowd->o->size)
		buf_add(&m, STR("The quick brown fox jumps over the lazy dog, and back again.\r\n"));
	buf_add(&m, STR(".\r\n"));
	client_say(c, buf_str(&m));
}

static void accepted(struct client *c)
{
	struct shared *s = c->crowd->shared;
	int64_t now = clock_mono().v;
	for (unsigned i = 0; i < c->crowd->o->rcpts; i++)
		*accepted_at(s, account(c, i)) = now;
	atomic_fetch_add(&s->accepted, 1);
}

static void next(struct client *c)
{
	switch (c->step++) {
	case BANNER:
		client_say(c, STR("EHLO load.example.org\r\n"));
		return;
	case HELLO: /* waits for all the others, see smtp_tick */
		client_is_up(c);
		atomic_fetch_add(&c->crowd->shared->connected, 1);
		return;
	case MAIL:
		say_rcpt(c);
		return;
	case RCPT:
		if (c->count < c->crowd->o->rcpts) {
			c->step = RCPT;
			say_rcpt(c);
			return;
		}
		client_say(c, STR("DATA\r\n"));
		return;
	case DATA:
		say_body(c);
		return;
	default:
		accepted(c);
	}
}

static void line(struct client *c, struct str text)
{
	static const char want[] = "22 223"; /* by step: the first digit of the reply */
	if (text.n < 4 || text.p[3] == '-')
		return;
	if (c->step < BODY ? text.p[0] == want[c->step] : c->step == BODY && text.p[0] == '2') {
		next(c);
		return;
	}
	char shown[LINE_SHOWN + 1];
	(void)snprintf(shown, sizeof shown, "%.*s", STR_ARG(text));
	client_failed(c, shown);
}

const struct dialogue dialogue_smtp = {.line = line};

void smtp_tick(struct crowd *crowd)
{
	struct shared *s = crowd->shared;
	if (!atomic_load(&s->send) || s->first_sent)
		return;
	s->first_sent = clock_mono().v;
	for (unsigned i = 0; i < crowd->n; i++) {
		struct client *c = &crowd->clients[i];
		CHECK(c->step == READY);
		c->step = MAIL;
		client_say(c, STR("MAIL FROM:<load@example.org>\r\n"));
	}
}
