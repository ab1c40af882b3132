/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection: lines and replies, greeting, hello, STARTTLS. The message is smtp_client_send.c.
 */
#include "proto/smtp_client/smtp_client.h"
#include "base/num.h"
#include "proto/smtp_client/smtp_client_int.h"
#include "sys/clock.h"
#include <stdio.h>

#define MINUTE_MS   UINT64_C(60000)
#define LINE_MAX_IN 2048 /* RFC 5321 4.5.3.1.5: 512; a longer one is cut */

struct smtp_client_times smtp_client_times_default(void)
{
	return (struct smtp_client_times){.greeting = 5 * MINUTE_MS,
					  .hello = 5 * MINUTE_MS,
					  .mail = 5 * MINUTE_MS,
					  .rcpt = 5 * MINUTE_MS,
					  .data_init = 2 * MINUTE_MS,
					  .data_block = 3 * MINUTE_MS,
					  .data_done = 10 * MINUTE_MS};
}

void smtp_client_init(struct smtp_client *c, const struct smtp_wire *wire, bool lmtp,
		      const struct smtp_client_times *times)
{
	*c = (struct smtp_client){
		.wire = wire, .lmtp = lmtp, .times = *times, .phase = "", .out = BUF_INIT(OUT_MAX)};
}

void smtp_client_clear(struct smtp_client *c)
{
	buf_clear(&c->out);
}

int client_lost(struct smtp_client *c, enum fail_code code, const char *what)
{
	char text[200];
	(void)snprintf(text, sizeof text, "%s while %s", what, c->phase);
	smtp_answer_own(&c->answer, "4.4.2", str_c(text));
	c->broken = true;
	return -(int)code;
}

int client_flush(struct smtp_client *c, uint64_t ms)
{
	struct fail why = FAIL_INIT;
	if (c->out.failed) {
		buf_reset(&c->out);
		return client_lost(c, FAIL_LIMIT, "a command grew too long");
	}
	if (c->out.n == 0)
		return 0;
	int r = c->wire->write(c->wire->ctx, buf_str(&c->out), mono_add_ms(clock_mono(), ms), &why);
	buf_reset(&c->out);
	if (r == -FAIL_DEADLINE)
		return client_lost(c, FAIL_DEADLINE, "the server took nothing in time");
	return r < 0 ? client_lost(c, FAIL_PEER, "the connection was lost") : 0;
}

/* More bytes behind those that are there. */
static int fill(struct smtp_client *c, struct mono_ns deadline)
{
	struct fail why = FAIL_INIT;
	size_t n = 0;
	if (c->in_from > 0) {
		memmove(c->in, c->in + c->in_from, c->in_n - c->in_from);
		c->in_n -= c->in_from;
		c->in_from = 0;
	}
	int r = -FAIL_DEADLINE;
	/* Also when there is always another byte to be read. */
	if (mono_before(clock_mono(), deadline))
		r = c->wire->read(c->wire->ctx, c->in + c->in_n, sizeof c->in - c->in_n, deadline,
				  &n, &why);
	if (r == -FAIL_DEADLINE)
		return client_lost(c, FAIL_DEADLINE, "the server did not answer in time");
	if (r < 0 || n == 0)
		return client_lost(c, FAIL_PEER, "the connection was lost");
	c->in_n += n;
	return 0;
}

/* A line without its end, borrowed until the next one. Some servers end lines with LF alone. */
static int next_line(struct smtp_client *c, struct mono_ns deadline, struct str *ret)
{
	size_t looked = 0;
	for (;;) {
		struct str have = {c->in + c->in_from, c->in_n - c->in_from};
		size_t n = str_find(have, looked, '\n');
		if (n < have.n) {
			c->in_from += n + 1;
			*ret = str_sub(have, 0, n > 0 && have.p[n - 1] == '\r' ? n - 1 : n);
			return 0;
		}
		if (have.n >= LINE_MAX_IN)
			return client_lost(c, FAIL_PEER, "the server sent an endless line");
		looked = have.n;
		int r = fill(c, deadline);
		if (r < 0)
			return r;
	}
}

int client_reply(struct smtp_client *c, uint64_t ms,
		 void (*keyword)(struct smtp_client *c, struct str text))
{
	struct mono_ns deadline = mono_add_ms(clock_mono(), ms);
	struct smtp_answer a = {0};
	for (;;) {
		struct str line, text;
		int r = next_line(c, deadline, &line);
		if (r < 0)
			return r;
		int step = smtp_answer_line(&a, line, &text);
		if (step < 0)
			return client_lost(c, FAIL_PEER, "the server did not speak SMTP");
		if (keyword && a.code == 250 && a.lines > 1)
			keyword(c, text);
		if (step == SMTP_ANSWER_DONE)
			break;
	}
	c->answer = a;
	if (a.code == 421)
		c->broken = true;
	return 0;
}

int client_verdict(const struct smtp_client *c)
{
	unsigned class = smtp_answer_class(&c->answer);
	return class == 4 ? -FAIL_TEMP : class == 5 ? -FAIL_PERM : 0;
}

int client_ask(struct smtp_client *c, const char *phase, const char *line, uint64_t ms)
{
	c->phase = phase;
	buf_addf(&c->out, "%s\r\n", line);
	int r = client_flush(c, ms);
	return r < 0 ? r : client_reply(c, ms, NULL);
}

int smtp_client_greeting(struct smtp_client *c)
{
	c->phase = "receiving the greeting";
	int r = client_reply(c, c->times.greeting, NULL);
	if (r == 0)
		r = client_verdict(c);
	if (r == 0 && c->answer.code != 220)
		r = client_lost(c, FAIL_PEER, "the server did not speak SMTP");
	if (r < 0)
		return r;
	struct str words = str_skip((struct str){c->answer.text, c->answer.n}, 4);
	struct str name = str_sub(words, 0, str_find(words, 0, ' '));
	name = str_sub(name, 0, sizeof c->name - 1);
	if (name.n)
		memcpy(c->name, name.p, name.n);
	c->name[name.n] = '\0';
	return 0;
}

/* ---- what it offers ---- */

static void take_xforward(struct smtp_client *c, struct str words)
{
	static const struct {
		struct str name;
		unsigned bit;
	} all[] = {{STR("NAME"), SMTP_XFORWARD_NAME},	 {STR("ADDR"), SMTP_XFORWARD_ADDR},
		   {STR("PORT"), SMTP_XFORWARD_PORT},	 {STR("PROTO"), SMTP_XFORWARD_PROTO},
		   {STR("HELO"), SMTP_XFORWARD_HELO},	 {STR("IDENT"), SMTP_XFORWARD_IDENT},
		   {STR("SOURCE"), SMTP_XFORWARD_SOURCE}};
	struct str word;
	while (words.p && str_cut(&words, ' ', &word))
		for (size_t i = 0; i < ARRAY_LEN(all); i++)
			if (str_eqi(word, all[i].name))
				c->xforward |= all[i].bit;
}

static void take_keyword(struct smtp_client *c, struct str text)
{
	static const struct {
		struct str name;
		unsigned bit;
	} all[] = {{STR("PIPELINING"), SMTP_OFFERS_PIPELINING},
		   {STR("SIZE"), SMTP_OFFERS_SIZE},
		   {STR("8BITMIME"), SMTP_OFFERS_8BITMIME},
		   {STR("SMTPUTF8"), SMTP_OFFERS_SMTPUTF8},
		   {STR("DSN"), SMTP_OFFERS_DSN},
		   {STR("CHUNKING"), SMTP_OFFERS_CHUNKING},
		   {STR("STARTTLS"), SMTP_OFFERS_STARTTLS},
		   {STR("AUTH"), SMTP_OFFERS_AUTH},
		   {STR("REQUIRETLS"), SMTP_OFFERS_REQUIRETLS},
		   {STR("MT-PRIORITY"), SMTP_OFFERS_MT_PRIORITY},
		   {STR("DELIVERBY"), SMTP_OFFERS_DELIVERBY},
		   {STR("XFORWARD"), SMTP_OFFERS_XFORWARD},
		   {STR("ENHANCEDSTATUSCODES"), SMTP_OFFERS_ENHANCED}};
	size_t n = str_find(text, 0, ' ');
	size_t equals = str_find(text, 0, '='); /* "AUTH=LOGIN" of old servers */
	n = MIN(n, equals);
	struct str name = str_sub(text, 0, n), rest = str_trim(str_skip(text, n + 1));
	unsigned bit = 0;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (str_eqi(name, all[i].name))
			bit = all[i].bit;
	c->offers |= bit;
	if (bit == SMTP_OFFERS_SIZE && !num_parse_u64(rest, &c->size_max))
		c->size_max = 0;
	if (bit == SMTP_OFFERS_DELIVERBY && !num_parse_u64(rest, &c->deliver_by_min))
		c->deliver_by_min = 0;
	if (bit == SMTP_OFFERS_XFORWARD)
		take_xforward(c, rest);
	if (bit == SMTP_OFFERS_AUTH && rest.n < sizeof c->mechanisms) {
		memcpy(c->mechanisms, rest.p, rest.n);
		c->mechanisms[rest.n] = '\0';
	}
}

static void forget_offers(struct smtp_client *c)
{
	c->offers = c->xforward = 0;
	c->size_max = c->deliver_by_min = 0;
	c->mechanisms[0] = '\0';
}

static int say_hello(struct smtp_client *c, const char *verb, struct str name)
{
	c->phase = "saying hello";
	forget_offers(c);
	buf_addf(&c->out, "%s %.*s\r\n", verb, STR_ARG(name));
	int r = client_flush(c, c->times.hello);
	if (r == 0)
		r = client_reply(c, c->times.hello, take_keyword);
	return r;
}

int smtp_client_hello(struct smtp_client *c, struct str name)
{
	int r = say_hello(c, c->lmtp ? "LHLO" : "EHLO", name);
	if (r == 0 && smtp_answer_class(&c->answer) == 5 && !c->lmtp && !c->broken)
		r = say_hello(c, "HELO", name);
	if (r == 0)
		r = client_verdict(c);
	if (r == 0 && smtp_answer_class(&c->answer) != 2)
		r = client_lost(c, FAIL_PEER, "the server did not speak SMTP");
	return r;
}

int smtp_client_starttls(struct smtp_client *c)
{
	int r = client_ask(c, "asking for TLS", "STARTTLS", c->times.hello);
	if (r == 0)
		r = client_verdict(c);
	/* Whoever put bytes behind the reply wants them to be taken for the server's by TLS. */
	if (r == 0 && (c->answer.code != 220 || !smtp_client_is_quiet(c)))
		r = client_lost(c, FAIL_PEER, "the server said more than its answer");
	return r;
}

void smtp_client_secured(struct smtp_client *c)
{
	forget_offers(c);
	c->in_from = c->in_n = 0;
}

bool smtp_client_is_quiet(const struct smtp_client *c)
{
	return !c->broken && c->in_from == c->in_n;
}

int smtp_client_reset(struct smtp_client *c)
{
	int r = client_ask(c, "beginning anew", "RSET", c->times.mail);
	if (r == 0)
		r = client_verdict(c);
	if (r == 0)
		c->in_transaction = false;
	return r;
}

void smtp_client_quit(struct smtp_client *c)
{
	if (c->broken)
		return;
	c->phase = "saying goodbye";
	buf_reset(&c->out);
	buf_add(&c->out, STR("QUIT\r\n"));
	(void)!client_flush(c, 1000);
	c->broken = true;
}
