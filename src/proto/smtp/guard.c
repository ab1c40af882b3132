/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The take-over guard: does a login send as it is used to? dir knows, and is asked once for each
 * message of a user. A held account's messages wait in the queue, and the postmaster hears of it.
 */
#include "base/text.h"
#include "base/utf8.h"
#include "codec/smtp/received.h"
#include "proto/smtp/smtp_message.h"
#include "sys/log.h"

#define ALERT_MAX KIB(16)

/* Addresses on other servers: mail that stays here harms nobody's reputation. */
static int ask(struct smtp_turn *t, struct smtp_guarded *ret, struct fail *why)
{
	struct smtp_session *s = t->s;
	const struct smtp_transaction *x = &s->t;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
	struct str *rcpts = arena_array(&a, struct str, x->rcpts.n);
	struct smtp_guard_case c = {.account = s->account,
				    .login = buf_str(&s->login),
				    .rcpts = rcpts,
				    .all = (uint32_t)x->rcpts.n,
				    .failed = s->failed_rcpts};
	if (!rcpts)
		return -FAIL_LIMIT;
	for (size_t i = 0; i < x->rcpts.n; i++)
		if (!destination_is_local(&x->rcpts.p[i].to))
			rcpts[c.n++] = x->rcpts.p[i].to.address;
	int r = s->backend->guard(s->backend->ctx, &c, &t->s->t.arena, ret, why);
	if (r == 0)
		s->failed_rcpts = 0;
	return r;
}

/* --- the alert --- */

static void write_alert(const struct smtp_session *s, struct str reason, struct str to,
			struct buf *out)
{
	struct wall_us now = s->backend->now(s->backend->ctx);
	const char *host = s->config->hostname;
	struct str login = buf_str(&s->login);
	buf_addf(out, "From: <postmaster@%s>\r\nTo: <%.*s>\r\n",
		 s->config->postmaster_domain ? s->config->postmaster_domain : host, STR_ARG(to));
	buf_addf(out, "Subject: %s %.*s\r\nDate: ", T("Mail is held:"), STR_ARG(login));
	rfc5322_date_write(out, now);
	buf_addf(out,
		 "\r\nMessage-ID: <guard.%llx.%llx@%s>\r\nAuto-Submitted: auto-generated\r\n"
		 "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
		 "Content-Transfer-Encoding: 8bit\r\n\r\n",
		 (unsigned long long)now.v, (unsigned long long)s->trace.v, host);
	buf_addf(out, T("The account %.*s sends in a way that it never did before.\r\n"),
		 STR_ARG(login));
	buf_addf(out, T("Reason: %.*s. It was connected from %s.\r\n"), STR_ARG(reason),
		 s->ip.n ? buf_c(&s->ip) : "-");
	buf_add_c(out, T("What it sends waits in the queue until you decide:\r\n"));
	buf_addf(out,
		 "\r\n    barid guard list\r\n    barid guard release %.*s\r\n"
		 "    barid guard reject %.*s --disable\r\n",
		 STR_ARG(login), STR_ARG(login));
}

static int send_alert(struct smtp_session *s, struct str reason, struct fail *why)
{
	const struct smtp_backend *b = s->backend;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	AUTO(buf) struct buf text = BUF_INIT(ALERT_MAX), map = BUF_INIT(SMTP_MAP_MAX);
	struct smtp_scan_defaults none = {0};
	struct dir_route route = {0};
	struct str to = arena_printf(&a, "postmaster@%s",
				     s->config->postmaster_domain ? s->config->postmaster_domain
								  : s->config->hostname);
	uint64_t number = 0;
	const struct text_language *spoken = text_spoken();
	(void)text_speak(s->config->language ? text_find_language(s->config->language) : spoken);
	write_alert(s, reason, to, &text);
	(void)text_speak(spoken);
	struct smtp_body body = {.bytes = buf_str(&text), .size = text.n};
	struct smtp_scan found = {.map = map, .size = text.n, .view = -1};
	int r = b->route(b->ctx, &(struct dir_rcpt){.address = to}, &a, &route, why);
	if (r == 0 && (route.verdict != DIR_OK || route.n == 0))
		r = fail_set(why, FAIL_NOTFOUND, NULL, "there is no postmaster");
	struct spool_rcpt *rcpts = arena_array(&a, struct spool_rcpt, route.n);
	for (size_t i = 0; rcpts && i < route.n; i++)
		rcpts[i] = (struct spool_rcpt){.to = route.dests[i], .original = to};
	if (r == 0 && rcpts)
		r = b->scan(b->ctx, &body, &none, &found, why);
	if (r == 0) {
		struct spool_message m = {.trace = s->trace,
					  .body = body.bytes,
					  .body_size = body.size,
					  .eightbit = !str_is_ascii(body.bytes),
					  .map = buf_str(&found.map),
					  .arrival = b->now(b->ctx),
					  .rcpts = rcpts,
					  .n_rcpts = route.n};
		memcpy(m.sha256, found.sha256, sizeof m.sha256);
		r = b->submit(b->ctx, &m, STR(""), &number, why);
	}
	buf_clear(&found.map);
	return r;
}

int smtp_guard(struct smtp_turn *t, struct buf *held, struct fail *why)
{
	struct smtp_session *s = t->s;
	struct smtp_guarded g = {.verdict = SMTP_GUARD_PASS};
	struct fail alert = FAIL_INIT;
	if (!s->account.v || !s->backend->guard)
		return 0;
	int r = ask(t, &g, why);
	if (r < 0)
		return r;
	if (g.fresh && send_alert(s, g.reason, &alert) < 0)
		log_event(LOG_WARN, "guard.no-alert", log_fail(&alert));
	if (g.verdict == SMTP_GUARD_RATE) {
		smtp_refuse(t,
			    (struct smtp_status){450, "4.7.1",
						 "You send too much at a time, please try again "
						 "later"},
			    "message", s->t.from, NULL);
		return 1;
	}
	if (g.verdict == SMTP_GUARD_HELD && s->config->guard_defers) {
		smtp_refuse(t,
			    (struct smtp_status){450, "4.7.1",
						 "Your mail has to be looked at by the postmaster "
						 "first, please try again later"},
			    "message", s->t.from, NULL);
		return 1;
	}
	if (g.verdict == SMTP_GUARD_HELD && held->n == 0)
		smtp_message_hold(held, g.reason);
	return 0;
}
