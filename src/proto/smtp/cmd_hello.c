/* SPDX-License-Identifier: Apache-2.0 */
/* HELO, EHLO, STARTTLS, AUTH, XCLIENT. */
#include "codec/smtp/xclient.h"
#include "proto/smtp/smtp_session_int.h"
#include "sys/login_log.h"

/* AUTH is offered where a password could be used now (RFC 4954 section 4, RFC 8314). */
static bool auth_offered(const struct smtp_session *s)
{
	return s->service == SMTP_SERVICE_SUBMISSION && s->account.v == 0 &&
	       (s->tls.n > 0 || s->trusted);
}

static bool starttls_offered(const struct smtp_session *s)
{
	return s->config->starttls && s->tls.n == 0 && !smtp_is_internal(s);
}

/* Who has logged in matters only where somebody must. */
static bool login_offered(const struct smtp_session *s)
{
	return s->xclient_login && s->service == SMTP_SERVICE_SUBMISSION;
}

/* RFC 5321 4.1.4: EHLO in a transaction is as RSET. */
void smtp_cmd_hello(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	struct smtp_session *s = t->s;
	AUTO(buf) struct buf text = BUF_INIT(KIB(2));

	if ((cmd->verb == SMTP_VERB_LHLO) != smtp_is_lmtp(s)) { /* RFC 2033 4.1 */
		smtp_say(t, smtp_is_lmtp(s)
				    ? (struct smtp_status){500, "5.5.1", "This is LMTP, send LHLO"}
				    : (struct smtp_status){500, "5.5.1",
							   "This is not LMTP, send EHLO"});
		return;
	}
	smtp_transaction_reset(s);
	buf_reset(&s->forward);
	smtp_keep(&s->helo, cmd->arg);
	s->esmtp = cmd->verb != SMTP_VERB_HELO;
	if (smtp_filter_helo(t)) {
		buf_reset(&s->helo);
		return;
	}
	buf_add_c(&text, s->config->hostname);
	if (s->esmtp) {
		buf_addf(&text, "\nPIPELINING\nSIZE %llu", (unsigned long long)s->config->size_max);
		if (starttls_offered(s))
			buf_add(&text, STR("\nSTARTTLS"));
		if (auth_offered(s))
			buf_addf(&text, "\nAUTH%s", buf_c(&s->mechanisms));
		if (s->xclient)
			buf_addf(&text, "\n%s",
				 login_offered(s) ? XCLIENT_KEYWORD_LOGIN : XCLIENT_KEYWORD);
		if (smtp_xforward_offered(s))
			buf_addf(&text, "\n%s", XFORWARD_KEYWORD);
		if (smtp_etrn_offered(s))
			buf_add(&text, STR("\nETRN"));
		/* RFC 4468 3.1: without arguments it is for later, after the login. */
		if (smtp_burl_offered(s))
			buf_addf(&text, "\nBURL imap imap://%s", s->config->hostname);
		else if (auth_offered(s) && s->backend->burl)
			buf_add(&text, STR("\nBURL"));
		smtp_wish_keywords(s, &text);
		if (s->service == SMTP_SERVICE_LOCAL)
			buf_addf(&text, "\nXORIGIN %s",
				 s->config->local_origin ? s->config->local_origin
							 : s->config->hostname);
		buf_add(&text, STR("\nENHANCEDSTATUSCODES\n8BITMIME\nDSN\nSMTPUTF8\nCHUNKING"));
	}
	smtp_reply(t->out, 250, NULL, buf_str(&text));
}

void smtp_cmd_starttls(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	if (s->tls.n) {
		smtp_say(t, (struct smtp_status){503, "5.5.1", "TLS is active already"});
	} else if (!starttls_offered(s)) {
		smtp_say(t, (struct smtp_status){502, "5.5.1", "STARTTLS is not offered"});
	} else if (!smtp_too_often(t, SMTP_EVENT_TLS, "STARTTLS", STR_NULL)) {
		smtp_say(t, (struct smtp_status){220, "2.0.0", "Ready to start TLS"});
		s->mode = SMTP_MODE_TLS;
		t->ret->next = SMTP_STARTTLS;
	}
}

static bool auth_refusal(const struct smtp_session *s, struct smtp_status *ret)
{
	if (s->service != SMTP_SERVICE_SUBMISSION)
		*ret = (struct smtp_status){503, "5.5.1", "Authentication is not offered here"};
	else if (s->tls.n == 0 && !s->trusted)
		*ret = (struct smtp_status){530, "5.7.0", "Must issue a STARTTLS command first"};
	else if (!s->esmtp)
		*ret = (struct smtp_status){503, "5.5.1", "Send EHLO first"};
	else if (s->account.v)
		*ret = (struct smtp_status){503, "5.5.1", "Already authenticated"};
	else if (s->t.open)
		*ret = (struct smtp_status){503, "5.5.1", "Not within a mail transaction"};
	else
		return false;
	return true;
}

static bool mechanism_offered(const struct smtp_session *s, struct str name)
{
	struct str rest = buf_str(&s->mechanisms);
	struct str word;
	while (str_cut(&rest, ' ', &word))
		if (word.n > 0 && str_eqi(word, name))
			return true;
	return false;
}

/* An attempt that ends before edge may run it; the reply is not logged a second time. */
static void refuse_auth(struct smtp_turn *t, const struct smtp_cmd *cmd, struct smtp_status status)
{
	const struct smtp_session *s = t->s;
	login_log(&(struct login_line){.outcome = LOGIN_OUTCOME_INCOMPLETE,
				       .service = smtp_service_name(s),
				       .peer = buf_str(&s->ip),
				       .mech = cmd->auth.mechanism,
				       .tls = s->tls.n > 0,
				       .reason = str_c(status.text)});
	t->told = true;
	smtp_say(t, status);
}

void smtp_cmd_auth(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	struct smtp_status refusal;
	if (auth_refusal(t->s, &refusal)) {
		refuse_auth(t, cmd, refusal);
	} else if (!mechanism_offered(t->s, cmd->auth.mechanism)) {
		refuse_auth(t, cmd,
			    (struct smtp_status){504, "5.5.4", "Unrecognized authentication type"});
	} else if (!smtp_too_often(t, SMTP_EVENT_LOGIN_FAILED, "AUTH", STR_NULL)) {
		smtp_keep(&t->s->auth_type, cmd->auth.mechanism);
		t->s->mode = SMTP_MODE_AUTH;
		t->ret->next = SMTP_AUTH;
		t->ret->mechanism = cmd->auth.mechanism;
		t->ret->initial = cmd->auth.initial;
	}
}

void smtp_cmd_xclient(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	const struct smtp_session *s = t->s;
	struct xclient x;
	const char *problem;
	if (!s->xclient) {
		smtp_say(t, (struct smtp_status){550, "5.7.0", "XCLIENT is not offered to you"});
	} else if (s->t.open) {
		smtp_say(t, (struct smtp_status){503, "5.5.1", "Not within a mail transaction"});
	} else if ((problem = xclient_parse(cmd->arg, &x))) {
		smtp_say(t, (struct smtp_status){501, "5.5.4", problem});
	} else if ((x.given & XCLIENT_LOGIN) && x.login[0] && !login_offered(s)) {
		smtp_say(t,
			 (struct smtp_status){550, "5.7.0", "XCLIENT LOGIN is not offered to you"});
	} else {
		t->ret->next = SMTP_XCLIENT;
		t->ret->xclient = cmd->arg;
	}
}
