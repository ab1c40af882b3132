/* SPDX-License-Identifier: Apache-2.0 */
/* MAIL, and the life of a transaction. */
#include "proto/smtp/smtp_session_int.h"

void smtp_transaction_reset(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->t;
	struct smtp_transaction empty = {.rcpts = {.p = t->rcpts.p, .cap = t->rcpts.cap},
					 .said = {.p = t->said.p, .cap = t->said.cap},
					 .arena = t->arena};
	if (!spool_body_id_equal(t->body_id, empty.body_id))
		s->backend->body_drop(s->backend->ctx, t->body_id);
	if (s->milters)
		milters_abort(s->milters);
	strmap_clear(&t->seen);
	*t = empty;
	arena_reset(&t->arena);
}

/* True when MAIL may not come now or not like this; *ret is the reply. */
static bool mail_refusal(const struct smtp_session *s, const struct smtp_mail *m,
			 struct smtp_status *ret)
{
	struct str domain = smtp_addr_domain(&m->from);
	if (smtp_gate(s, ret))
		return true;
	if (s->helo.n == 0 && s->config->door.helo_required)
		*ret = (struct smtp_status){503, "5.5.1",
					    smtp_is_lmtp(s) ? "Send LHLO first"
							    : "Send HELO or EHLO first"};
	else if (s->t.open)
		*ret = (struct smtp_status){503, "5.5.1", "Nested MAIL command"};
	else if (m->has_size && m->size > s->config->size_max)
		*ret = (struct smtp_status){552, "5.3.4", "Message size exceeds the limit"};
	else if (m->from.utf8 && !m->smtputf8)
		*ret = (struct smtp_status){553, "5.6.7",
					    "Non-ASCII address needs the SMTPUTF8 parameter"};
	else if (s->service == SMTP_SERVICE_SUBMISSION && !smtp_addr_is_null(&m->from) &&
		 !smtp_domain_is_full(domain)) /* port 25: smtp_check.c */
		*ret = (struct smtp_status){
			504, "5.5.2", "Sender address rejected: need fully-qualified address"};
	else
		return smtp_wish_refusal(s, m, ret);
	return true;
}

static int check_owner(struct smtp_turn *t, struct str from, struct smtp_status *ret,
		       struct fail *why)
{
	const struct smtp_backend *b = t->s->backend;
	int r = b->sender_allowed(b->ctx, t->s->account, from, why);
	if (r == 0)
		*ret = (struct smtp_status){554, "5.7.1",
					    "Sender address rejected: Sender is not same as SMTP "
					    "authenticate username"};
	return MIN(r, 0);
}

/* 0 with ret->code 0: the sender may be. Negative: nobody could tell. */
static int check_sender(struct smtp_turn *t, struct str from, struct smtp_status *ret,
			struct fail *why)
{
	/* Port 25 looks when there is a recipient: smtp_check.c. */
	if (t->s->service != SMTP_SERVICE_SUBMISSION)
		return 0;
	if (from.n == 0) {
		if (!t->s->config->null_sender)
			*ret = (struct smtp_status){
				554, "5.7.1",
				"Sender address rejected: Policy rejection due to null sender"};
		return 0;
	}
	return check_owner(t, from, ret, why);
}

void smtp_cmd_mail(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	struct smtp_transaction *x = &t->s->t;
	const struct smtp_mail *m = &cmd->mail;
	struct str from = smtp_addr_str(&m->from);
	struct smtp_status refusal = {0};
	struct fail why = FAIL_INIT;

	if (mail_refusal(t->s, m, &refusal)) {
		smtp_refuse(t, refusal, "MAIL", from, NULL);
		return;
	}
	if (smtp_too_often(t, SMTP_EVENT_MESSAGE, "MAIL", from))
		return;
	int r = check_sender(t, from, &refusal, &why);
	if (r < 0) {
		smtp_refuse_fail(t, r, "MAIL", from, &why);
		return;
	}
	if (refusal.code) {
		smtp_refuse(t, refusal, "MAIL", from, NULL);
		return;
	}
	smtp_transaction_reset(t->s);
	x->open = true;
	x->from = arena_str(&x->arena, from);
	x->envid = arena_str(&x->arena, m->envid);
	x->size = m->has_size ? m->size : 0;
	x->body = m->body;
	x->ret = m->ret;
	x->smtputf8 = m->smtputf8;
	if (smtp_filter_mail(t, cmd)) {
		smtp_transaction_reset(t->s);
		return;
	}
	smtp_wish_take(t, m);
}
