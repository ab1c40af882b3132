/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One transaction: XFORWARD, MAIL, RCPT, DATA or BDAT, and what each recipient was answered.
 *
 * With PIPELINING the commands go out together, at most BATCH recipients before their answers are
 * read, so that neither side waits for the other with full buffers (RFC 2920 3.1). A small message
 * goes with them by BDAT, where the server has CHUNKING: then a message takes one round trip.
 */
#include "base/utf8.h"
#include "codec/smtp/xtext.h"
#include "proto/smtp_client/smtp_client_int.h"
#include <stdio.h>
#include <string.h>

#define BATCH	     100
#define TOGETHER_MAX KIB(64) /* of a message that goes with its commands */

#define MAIL_PHASE "the sender"
#define RCPT_PHASE "the recipient"
#define DATA_PHASE "announcing the message"
#define DONE_PHASE "waiting for the message to be taken"

/* 0 when the answer is of the class that the command asks for. */
static int verdict(struct smtp_client *c, unsigned wanted)
{
	unsigned class = smtp_answer_class(&c->answer);
	if (class == 4 || class == 5)
		return client_verdict(c);
	return class == wanted ? 0 : client_lost(c, FAIL_PEER, "the server did not speak SMTP");
}

/* ---- what is said ---- */

/* No line end, and nothing that would end the path. */
static bool path_is_clean(struct str s)
{
	bool quoted = false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];
		if (ch < ' ' || ch == 0x7f)
			return false;
		if (quoted && ch == '\\')
			i++;
		else if (ch == '"')
			quoted = !quoted;
		else if (!quoted && (ch == ' ' || ch == '<' || ch == '>'))
			return false;
		if (i < s.n && ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f))
			return false;
	}
	return !quoted;
}

static bool word_is_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static bool offers(const struct smtp_client *c, unsigned what)
{
	return (c->offers & what) == what;
}

static void add_mail(struct smtp_client *c, const struct smtp_client_message *m)
{
	struct buf *out = &c->out;
	buf_addf(out, "MAIL FROM:<%.*s>", STR_ARG(m->sender));
	if (offers(c, SMTP_OFFERS_SIZE))
		buf_addf(out, " SIZE=%llu", (unsigned long long)(m->prefix.n + m->size));
	if (m->eightbit && offers(c, SMTP_OFFERS_8BITMIME))
		buf_add(out, STR(" BODY=8BITMIME"));
	if (m->smtputf8)
		buf_add(out, STR(" SMTPUTF8"));
	if (m->ret != SMTP_RET_UNSPECIFIED && offers(c, SMTP_OFFERS_DSN))
		buf_add_c(out, m->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
	if (m->envid.n && offers(c, SMTP_OFFERS_DSN) && word_is_clean(m->envid))
		buf_addf(out, " ENVID=%.*s", STR_ARG(m->envid));
	if (m->requiretls)
		buf_add(out, STR(" REQUIRETLS"));
	if (m->has_priority && offers(c, SMTP_OFFERS_MT_PRIORITY))
		buf_addf(out, " MT-PRIORITY=%d", m->priority);
	if (m->deliver_by_s != 0 && offers(c, SMTP_OFFERS_DELIVERBY))
		buf_addf(out, " BY=%lld;%s%s", (long long)m->deliver_by_s,
			 m->deliver_by_return ? "R" : "N", m->deliver_by_trace ? "T" : "");
	buf_add(out, STR("\r\n"));
}

static void add_notify(struct buf *out, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = {{SMTP_NOTIFY_NEVER, "NEVER"},
		     {SMTP_NOTIFY_SUCCESS, "SUCCESS"},
		     {SMTP_NOTIFY_FAILURE, "FAILURE"},
		     {SMTP_NOTIFY_DELAY, "DELAY"}};
	const char *before = " NOTIFY=";
	if (notify & SMTP_NOTIFY_NEVER) /* RFC 3461 4.1: alone */
		notify = SMTP_NOTIFY_NEVER;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (notify & words[i].bit) {
			buf_addf(out, "%s%s", before, words[i].word);
			before = ",";
		}
}

static void add_rcpt(struct smtp_client *c, const struct smtp_client_rcpt *r)
{
	buf_addf(&c->out, "RCPT TO:<%.*s>", STR_ARG(r->address));
	if (offers(c, SMTP_OFFERS_DSN)) {
		add_notify(&c->out, r->notify);
		if (r->orcpt.n && word_is_clean(r->orcpt) &&
		    (is_ascii(r->orcpt) || offers(c, SMTP_OFFERS_SMTPUTF8)))
			buf_addf(&c->out, " ORCPT=%.*s", STR_ARG(r->orcpt));
	}
	buf_add(&c->out, STR("\r\n"));
}

/* ---- XFORWARD ---- */

static void add_attribute(struct smtp_client *c, unsigned bit, const char *name, struct str value)
{
	if (!(c->xforward & bit))
		return;
	buf_addf(&c->out, " %s=", name);
	if (value.n)
		(void)xtext_encode(&c->out, str_sub(value, 0, 255));
	else
		buf_add(&c->out, STR("[UNAVAILABLE]"));
}

static int say_forward(struct smtp_client *c, const struct smtp_forward *f)
{
	if (!f || !offers(c, SMTP_OFFERS_XFORWARD) || !c->xforward)
		return 0;
	char ip[80];
	bool v6 = str_find(f->ip, 0, ':') < f->ip.n;
	int n = snprintf(ip, sizeof ip, "%s%.*s", v6 ? "IPV6:" : "", STR_ARG(f->ip));
	c->phase = "saying whom it forwards for";
	buf_add(&c->out, STR("XFORWARD"));
	add_attribute(c, SMTP_XFORWARD_NAME, "NAME", f->name);
	add_attribute(c, SMTP_XFORWARD_ADDR, "ADDR",
		      (struct str){ip, f->ip.n ? (size_t)MIN(n, (int)sizeof ip - 1) : 0});
	add_attribute(c, SMTP_XFORWARD_PORT, "PORT", f->port);
	add_attribute(c, SMTP_XFORWARD_PROTO, "PROTO", f->proto);
	add_attribute(c, SMTP_XFORWARD_HELO, "HELO", f->helo);
	add_attribute(c, SMTP_XFORWARD_IDENT, "IDENT", f->ident);
	add_attribute(c, SMTP_XFORWARD_SOURCE, "SOURCE", f->remote ? STR("REMOTE") : STR("LOCAL"));
	buf_add(&c->out, STR("\r\n"));
	int r = client_flush(c, c->times.mail);
	if (r == 0)
		r = client_reply(c, c->times.mail, NULL);
	return r < 0 ? r : verdict(c, 2);
}

/* ---- answers ---- */

static void settle(struct smtp_client *c, struct smtp_client_rcpt *r, enum smtp_sent sent)
{
	r->sent = sent;
	r->answer = c->answer;
	r->phase = c->phase;
	r->said = c->answer.code != 0;
	r->accepted_ = false;
	r->dsn_passed = sent == SMTP_SENT && offers(c, SMTP_OFFERS_DSN);
}

/* The answer to one RCPT. */
static int hear_rcpt(struct smtp_client *c, struct smtp_client_rcpt *r)
{
	c->phase = RCPT_PHASE;
	int got = client_reply(c, c->times.rcpt, NULL);
	if (got < 0)
		return got;
	got = verdict(c, 2);
	if (got == 0)
		r->accepted_ = true;
	else if (got == -FAIL_TEMP || got == -FAIL_PERM)
		settle(c, r, got == -FAIL_TEMP ? SMTP_SENT_LATER : SMTP_SENT_REFUSED);
	return c->broken ? -FAIL_TEMP : got == -FAIL_PEER ? got : 0;
}

/* The answer to the whole message: one, or with LMTP one for each recipient (RFC 2033 4.2). */
static int hear_done(struct smtp_client *c, struct smtp_client_message *m)
{
	bool first = true;
	c->phase = DONE_PHASE;
	for (size_t i = 0; i < m->n; i++) {
		if (!m->rcpts[i].accepted_)
			continue;
		int r = first || c->lmtp ? client_reply(c, c->times.data_done, NULL) : 0;
		if (r == 0)
			r = verdict(c, 2);
		if (r < 0 && r != -FAIL_TEMP && r != -FAIL_PERM)
			return r;
		settle(c, &m->rcpts[i],
		       r == 0		 ? SMTP_SENT
		       : r == -FAIL_TEMP ? SMTP_SENT_LATER
					 : SMTP_SENT_REFUSED);
		first = false;
	}
	c->in_transaction = false;
	return 0;
}

static size_t accepted(const struct smtp_client_message *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->n; i++)
		n += m->rcpts[i].accepted_;
	return n;
}

/* DATA was said: its answer, the message, and the answer to that. */
static int finish_data(struct smtp_client *c, struct smtp_client_message *m, bool *ret_unsure)
{
	c->phase = DATA_PHASE;
	int r = client_reply(c, c->times.data_init, NULL);
	if (r == 0)
		r = verdict(c, 3);
	if (r < 0)
		return accepted(m) ? r : c->broken ? -FAIL_TEMP : 0;
	if (accepted(m) == 0) { /* RFC 2920 3.1: it must be ended all the same */
		buf_add(&c->out, STR(".\r\n"));
		r = client_flush(c, c->times.data_block);
		return r < 0 ? r : client_reply(c, c->times.data_done, NULL);
	}
	r = client_data(c, m);
	if (r < 0)
		return r;
	*ret_unsure = true;
	r = hear_done(c, m);
	if (r == 0)
		*ret_unsure = false;
	return r;
}

/* ---- one by one ---- */

static int send_stepwise(struct smtp_client *c, struct smtp_client_message *m, bool *ret_unsure)
{
	for (size_t i = 0; i < m->n; i++) {
		add_rcpt(c, &m->rcpts[i]);
		c->phase = RCPT_PHASE;
		int r = client_flush(c, c->times.rcpt);
		if (r == 0)
			r = hear_rcpt(c, &m->rcpts[i]);
		if (r < 0)
			return r;
	}
	if (accepted(m) == 0)
		return 0;
	c->phase = DATA_PHASE;
	buf_add(&c->out, STR("DATA\r\n"));
	int r = client_flush(c, c->times.data_init);
	return r < 0 ? r : finish_data(c, m, ret_unsure);
}

static int hear_mail(struct smtp_client *c)
{
	c->phase = MAIL_PHASE;
	int r = client_reply(c, c->times.mail, NULL);
	if (r == 0)
		r = verdict(c, 2);
	if (r == 0)
		c->in_transaction = true;
	return r;
}

/* ---- together ---- */

/* The sender was refused: what was said behind it is answered as well, and means nothing. */
static int swallow(struct smtp_client *c, size_t rcpts, bool data, bool bdat)
{
	int r = 0;
	for (size_t i = 0; i < rcpts && r == 0 && !c->broken; i++)
		r = client_reply(c, c->times.rcpt, NULL);
	if (r < 0 || c->broken || !(data || bdat))
		return r;
	r = client_reply(c, c->times.data_init, NULL);
	if (r == 0 && data && c->answer.code == 354) {
		buf_add(&c->out, STR(".\r\n"));
		r = client_flush(c, c->times.data_block);
		if (r == 0)
			r = client_reply(c, c->times.data_done, NULL);
	}
	return r;
}

/* Answers to a batch: of the sender when it is the first one, then of recipients [from, to). */
static int hear_batch(struct smtp_client *c, struct smtp_client_message *m, size_t from, size_t to,
		      bool bdat)
{
	if (from == 0) {
		int r = hear_mail(c);
		if (r == -FAIL_TEMP || r == -FAIL_PERM) {
			struct smtp_answer said = c->answer;
			(void)swallow(c, to, to == m->n && !bdat, bdat);
			c->answer = said;
			c->phase = MAIL_PHASE;
		}
		if (r < 0)
			return r;
	}
	for (size_t i = from; i < to; i++) {
		int r = hear_rcpt(c, &m->rcpts[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* After BDAT: its answer is the message's. */
static int finish_bdat(struct smtp_client *c, struct smtp_client_message *m)
{
	if (accepted(m) > 0)
		return hear_done(c, m);
	c->phase = DONE_PHASE;
	int r = client_reply(c, c->times.data_done, NULL);
	/* Nobody was to get it, so it cannot have been taken. */
	return r < 0 ? r : c->broken ? -FAIL_TEMP : 0;
}

static int send_together(struct smtp_client *c, struct smtp_client_message *m, bool *ret_unsure)
{
	bool bdat = offers(c, SMTP_OFFERS_CHUNKING) && !c->lmtp && !c->rested && m->n <= BATCH &&
		    m->prefix.n + m->size <= TOGETHER_MAX;
	int r = 0;
	add_mail(c, m);
	for (size_t from = 0, to; r == 0 && from < m->n; from = to) {
		to = MIN(from + BATCH, m->n);
		for (size_t i = from; i < to; i++)
			add_rcpt(c, &m->rcpts[i]);
		if (to == m->n && bdat)
			r = client_bdat(c, m);
		else if (to == m->n)
			buf_add(&c->out, STR("DATA\r\n"));
		if (r < 0)
			return r;
		c->phase = from == 0 ? MAIL_PHASE : RCPT_PHASE;
		r = client_flush(c, bdat ? c->times.data_block : c->times.mail);
		*ret_unsure = r == 0 && bdat;
		if (r == 0)
			r = hear_batch(c, m, from, to, bdat);
	}
	if (r == 0)
		r = bdat ? finish_bdat(c, m) : finish_data(c, m, ret_unsure);
	/* The server's own word, whatever it is, leaves no doubt. */
	if (bdat && (r == 0 || c->answer.code != 0))
		*ret_unsure = false;
	return r;
}

/* ---- what it needs ---- */

static int lacks(struct smtp_client *c, const char *status, const char *text)
{
	smtp_answer_own(&c->answer, status, str_c(text));
	c->phase = "looking at what the server offers";
	return -FAIL_UNSUPPORTED;
}

static int check_needs(struct smtp_client *c, const struct smtp_client_message *m)
{
	char text[200];
	uint64_t size = m->prefix.n + m->size;
	if (m->smtputf8 && !offers(c, SMTP_OFFERS_SMTPUTF8))
		return lacks(c, "5.6.7",
			     "The next server does not take addresses and headers beyond ASCII.");
	if (m->requiretls && !offers(c, SMTP_OFFERS_REQUIRETLS))
		return lacks(c, "5.7.30",
			     "The next server does not promise that the message stays encrypted.");
	if (c->size_max && size > c->size_max) {
		(void)snprintf(text, sizeof text,
			       "The message has %llu bytes; the next server takes %llu.",
			       (unsigned long long)size, (unsigned long long)c->size_max);
		return lacks(c, "5.3.4", text);
	}
	bool clean = path_is_clean(m->sender);
	for (size_t i = 0; i < m->n; i++)
		clean = clean && m->rcpts[i].address.n && path_is_clean(m->rcpts[i].address);
	return clean ? 0 : lacks(c, "5.1.3", "An address cannot be written in SMTP.");
}

int smtp_client_send(struct smtp_client *c, struct smtp_client_message *m, bool *ret_unsure)
{
	*ret_unsure = false;
	for (size_t i = 0; i < m->n; i++) {
		struct smtp_client_rcpt *rcpt = &m->rcpts[i];
		rcpt->sent = SMTP_SENT_NOTHING;
		rcpt->accepted_ = rcpt->said = rcpt->dsn_passed = false;
	}
	int r = check_needs(c, m);
	if (r == 0 && c->in_transaction)
		r = smtp_client_reset(c);
	if (r == 0)
		r = say_forward(c, m->forward);
	if (r < 0)
		return r;
	if (offers(c, SMTP_OFFERS_PIPELINING)) {
		r = send_together(c, m, ret_unsure);
	} else {
		add_mail(c, m);
		c->phase = MAIL_PHASE;
		r = client_flush(c, c->times.mail);
		if (r == 0)
			r = hear_mail(c);
		if (r == 0)
			r = send_stepwise(c, m, ret_unsure);
	}
	c->rested = false;
	return r;
}
