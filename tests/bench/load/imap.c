/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap.c - what the IMAP clients of a load test say.
 */
#include "base/check.h"
#include "sys/clock.h"
#include "load.h"
#include <stdlib.h>

#define DOMAIN "example.test"

static void say(struct client *c, const char *text)
{
	client_say(c, str_c(text));
}

static void login(struct client *c)
{
	char text[100];
	(void)snprintf(text, sizeof text, "a LOGIN user%u@" DOMAIN " secret\r\n", user_number(c->crowd->o, c->number));
	say(c, text);
}

/* True when the line is the good answer to the command under way, which has the tag `a`. */
static bool answered(struct client *c, struct str line)
{
	if (str_starts(line, STR("a OK")))
		return true;
	if (str_starts(line, STR("a ")) || str_starts(line, STR("* BYE"))) {
		char text[LINE_SHOWN + 1];
		(void)snprintf(text, sizeof text, "%.*s", STR_ARG(line));
		client_failed(c, text);
	}
	return false;
}

/* --- log in, SELECT, look at all flags, IDLE; from then on EXISTS is what counts */

enum idle_step { IDLE_GREETING, IDLE_LOGIN, IDLE_SELECT, IDLE_FETCH, IDLE_WAIT, IDLE_IS };

static void heard(struct client *c, struct str line)
{
	struct shared *s = c->crowd->shared;
	int64_t *at = told_at(s, c->crowd->o, c->number);
	if (!str_ends(line, STR(" EXISTS")) || *at)
		return;
	*at = clock_mono().v;
	atomic_fetch_add(&s->told, 1);
}

static void idle_next(struct client *c)
{
	switch (c->step++) {
	case IDLE_GREETING:
		login(c);
		break;
	case IDLE_LOGIN:
		say(c, "a SELECT INBOX\r\n");
		break;
	case IDLE_SELECT:
		say(c, c->crowd->o->fetch ? "a FETCH 1:* (UID FLAGS)\r\n" : "a NOOP\r\n");
		break;
	case IDLE_FETCH:
		say(c, "a IDLE\r\n");
		break;
	default:
		atomic_fetch_add(&c->crowd->shared->set_up, 1);
		client_is_up(c);
	}
}

static void idle_line(struct client *c, struct str line)
{
	if (c->step == IDLE_IS)
		heard(c, line);
	else if (c->step == IDLE_GREETING ? str_starts(line, STR("* OK"))
		 : c->step == IDLE_WAIT	  ? str_starts(line, STR("+"))
					  : answered(c, line))
		idle_next(c);
}

const struct dialogue dialogue_idle = {.line = idle_line};

/* --- fill the mailbox: one message, then copies of all, doubling */

enum fill_step { FILL_GREETING, FILL_LOGIN, FILL_SELECT, FILL_COPY, FILL_LOGOUT };

static void append(struct client *c)
{
	AUTO(buf) struct buf b = BUF_INIT(MIB(2)), m = BUF_INIT(MIB(1));
	buf_addf(&m, "From: a@example.org\r\nTo: user%u@" DOMAIN "\r\nSubject: filler\r\n\r\n",
		 user_number(c->crowd->o, c->number));
	while (m.n < c->crowd->o->size)
		buf_add(&m, STR("The quick brown fox jumps over the lazy dog, and back again.\r\n"));
	buf_addf(&b, "a APPEND INBOX {%zu+}\r\n", m.n);
	buf_add(&b, buf_str(&m));
	buf_add(&b, STR("\r\n"));
	client_say(c, buf_str(&b));
	c->count = 1;
}

static void copy(struct client *c)
{
	char text[60];
	unsigned n = MIN(c->count, c->crowd->o->messages - c->count);
	(void)snprintf(text, sizeof text, "a COPY 1:%u INBOX\r\n", n);
	c->count += n;
	say(c, text);
}

static void fill_next(struct client *c)
{
	switch (c->step) {
	case FILL_GREETING:
		login(c);
		break;
	case FILL_LOGIN:
		say(c, "a SELECT INBOX\r\n");
		break;
	case FILL_SELECT:
		append(c);
		break;
	default:
		if (c->count < c->crowd->o->messages) {
			copy(c);
			return;
		}
		atomic_fetch_add(&c->crowd->shared->set_up, 1);
		client_is_up(c);
		client_close(c);
	}
	c->step++;
}

static void fill_line(struct client *c, struct str line)
{
	if (c->step == FILL_GREETING ? str_starts(line, STR("* OK")) : answered(c, line))
		fill_next(c);
}

const struct dialogue dialogue_fill = {.line = fill_line};
