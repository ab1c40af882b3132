/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The take-over guard: does a login send as it is used to? dir knows, and is asked once for each
 * message of a user. A held account's messages wait in the queue, and the postmaster hears of it.
 */
#include "base/text.h"
#include "proto/smtp/smtp_message.h"
#include "sys/log.h"

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

static void write_alert(const struct smtp_session *s, struct str reason, struct buf *out)
{
	struct str login = buf_str(&s->login);
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
	const struct smtp_alert held_alert = {
		.subject = TX("Mail is held:"), .about = buf_str(&s->login), .write = write_alert};
	if (g.fresh && smtp_alert(s, &held_alert, g.reason, &alert) < 0)
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
