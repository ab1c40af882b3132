/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules about recipients and messages (service/policy), asked without a socket where Postfix
 * asks its policy service: behind the other checks of a recipient and before its quota, and at the
 * end of a message. What MAIL has judged (null sender, owner of the sender) is not asked again.
 */
#include "base/text.h"
#include "proto/smtp/smtp_check.h"
#include "proto/smtp/smtp_message.h"
#include "sys/log.h"

COUNTER(refused_policy, "smtp.refused.policy", "recipients and messages that rules have refused");
COUNTER(dropped, "smtp.policy-dropped", "recipients and messages that rules have thrown away");

#define RECIPIENTS_ASKED 10000u

static bool asked_of(const struct smtp_session *s)
{
	return s->backend->policy &&
	       (s->service == SMTP_SERVICE_MX || s->service == SMTP_SERVICE_SUBMISSION);
}

/* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
static void put_tls(const struct smtp_session *s, struct policy_request *r)
{
	struct str rest = buf_str(&s->tls);
	if (rest.n)
		(void)str_cut(&rest, ' ', &r->encryption_protocol);
	r->encryption_cipher = rest.n ? rest : STR("");
}

static struct policy_request request_of(const struct smtp_session *s, enum policy_state state,
					struct str instance)
{
	struct policy_request r = {.state = state,
				   .protocol_name = s->esmtp ? STR("ESMTP") : STR("SMTP"),
				   .helo_name = buf_str(&s->helo),
				   .sender = s->t.from,
				   .client_address = buf_str(&s->ip),
				   .client_name = buf_str(&s->rdns),
				   .reverse_client_name = str_c(s->client.ptr),
				   .client_port = s->port,
				   .instance = instance,
				   .sasl_method = buf_str(&s->auth_type),
				   .sasl_username = buf_str(&s->login),
				   .size = s->t.size,
				   .server_address = buf_str(&s->local_ip),
				   .server_port = s->local_port,
				   .smtputf8 = s->t.smtputf8};
	if (!r.reverse_client_name.n)
		r.reverse_client_name = buf_str(&s->rdns);
	put_tls(s, &r);
	return r;
}

/* "Not authorized (5d7a...)": what `barid trace` is asked for. */
static struct str reply_text(const struct smtp_session *s, const struct policy_verdict *v,
			     const char *front, struct arena *a)
{
	return arena_printf(a, "%s%s (%llx)", front, v->text, (unsigned long long)s->trace.v);
}

static struct str rule_of(struct smtp_session *s, const struct policy_verdict *v)
{
	return arena_printf(&s->t.arena, "rule %s: %s", v->rule, v->why);
}

static void log_dropped(const struct smtp_session *s, const struct policy_verdict *v,
			struct str rcpt)
{
	counter_add(&dropped, 1);
	log_event(LOG_INFO, "smtp.discarded", log_address("from", s->t.from),
		  log_address("rcpt", rcpt), log_c("rule", v->rule), log_c("why", v->why),
		  log_str("ip", buf_str(&s->ip)), log_str("helo", buf_str(&s->helo)));
}

static enum check_says obey(struct check *c, const struct policy_verdict *v, struct str to)
{
	struct smtp_session *s = c->s;
	switch (v->act) {
	case POLICY_REJECT:
	case POLICY_DEFER:
	case POLICY_DEFER_IF_PERMIT:
		c->t->rule = rule_of(s, v);
		c->counter = &refused_policy;
		(void)check_refuse(c, v->code, v->status, to,
				   reply_text(s, v, "Recipient address rejected: ", c->arena).p);
		return CHECK_REFUSE;
	case POLICY_OK:
		return CHECK_PERMIT;
	case POLICY_DISCARD:
		c->t->drop_rcpt = true;
		log_dropped(s, v, to);
		break;
	case POLICY_HOLD:
		s->t.orders.held = arena_str(&s->t.arena, str_c(v->text));
		break;
	case POLICY_PREPEND:
		check_prepend(c, str_c(v->text));
		break;
	case POLICY_DUNNO:
	case POLICY_ACTS:
		break;
	}
	return CHECK_DUNNO;
}

static void write_excess(const struct smtp_session *s, struct str reason, struct buf *out)
{
	buf_add_c(out,
		  T("Somebody has sent or received more than a limit of throttling allows.\r\n"));
	buf_addf(out, T("Limit: %.*s.\r\n"), STR_ARG(reason));
	buf_addf(out, T("The message came from %s. You are told once in each period.\r\n"),
		 s->ip.n ? buf_c(&s->ip) : "-");
	buf_add_c(out, "\r\n    barid policy throttle usage\r\n    barid policy throttle list\r\n");
}

static void tell_postmaster(struct smtp_session *s, const struct policy_verdict *v)
{
	struct fail why = FAIL_INIT;
	const struct smtp_alert excess = {.subject = TX("A limit was reached:"),
					  .about = s->login.n ? buf_str(&s->login) : s->t.from,
					  .write = write_excess};
	if (v->notify && smtp_alert(s, &excess, str_c(v->why), &why) < 0)
		log_event(LOG_WARN, "policy.no-alert", log_fail(&why));
}

enum check_says check_policy(struct check *c)
{
	struct smtp_session *s = c->s;
	AUTO(buf) struct buf instance = BUF_INIT(64);
	struct policy_verdict v;
	if (!asked_of(s))
		return CHECK_DUNNO;
	smtp_trace_write(&instance, s);
	struct policy_request r = request_of(s, POLICY_STATE_RCPT, buf_str(&instance));
	r.recipient = smtp_addr_str(c->rcpt);
	s->backend->policy(s->backend->ctx, &r, NULL, 0, &v);
	tell_postmaster(s, &v);
	return obey(c, &v, r.recipient);
}

/* Whom RCPT named, each once (what it leads to stands together). */
static size_t recipients_of(const struct smtp_transaction *x, struct str *ret, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < x->rcpts.n && n < max; i++)
		if (n == 0 || !str_eq(ret[n - 1], x->rcpts.p[i].original))
			ret[n++] = x->rcpts.p[i].original;
	return n;
}

/* Every copy was thrown away before: there is nothing left to be taken. */
static bool say_dropped(struct smtp_turn *t)
{
	smtp_say(t, (struct smtp_status){250, "2.0.0", "Ok"});
	return true;
}

static bool settle(struct smtp_turn *t, const struct policy_verdict *v)
{
	struct smtp_session *s = t->s;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(4));
	struct smtp_status refusal = {.code = v->code, .enhanced = v->status};
	switch (v->act) {
	case POLICY_REJECT:
	case POLICY_DEFER:
	case POLICY_DEFER_IF_PERMIT:
		t->rule = rule_of(s, v);
		t->counter = &refused_policy;
		refusal.text = reply_text(s, v, "", &a).p;
		smtp_refuse(t, refusal, "message", s->t.from, NULL);
		return true;
	case POLICY_DISCARD:
		log_dropped(s, v, STR(""));
		return say_dropped(t);
	case POLICY_HOLD:
		s->t.orders.held = arena_str(&s->t.arena, str_c(v->text));
		return false;
	case POLICY_OK:
	case POLICY_PREPEND: /* at RCPT alone */
	case POLICY_DUNNO:
	case POLICY_ACTS:
		break;
	}
	return false;
}

bool smtp_policy_message(struct smtp_turn *t, uint64_t size)
{
	struct smtp_session *s = t->s;
	AUTO(buf) struct buf instance = BUF_INIT(64);
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct policy_verdict v;
	if (!asked_of(s))
		return false;
	if (s->t.rcpts.n == 0)
		return say_dropped(t);
	size_t most = MIN(s->t.rcpts.n, (size_t)RECIPIENTS_ASKED);
	struct str *rcpts = arena_array(&a, struct str, most);
	size_t n = rcpts ? recipients_of(&s->t, rcpts, most) : 0;
	smtp_trace_write(&instance, s);
	struct policy_request r = request_of(s, POLICY_STATE_END_OF_MESSAGE, buf_str(&instance));
	r.recipient = n == 1 ? rcpts[0] : STR("");
	r.recipient_count = s->t.accepted;
	r.size = size;
	s->backend->policy(s->backend->ctx, &r, rcpts, n, &v);
	tell_postmaster(s, &v);
	return settle(t, &v);
}
