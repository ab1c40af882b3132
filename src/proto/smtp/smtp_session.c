/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/smtp/smtp_session.h"
#include "base/check.h"
#include "codec/smtp/smtp_batch.h"
#include "proto/reply_map.h"
#include "proto/smtp/smtp_session_int.h"
#include "sys/counter.h"
#include "sys/log.h"
#include "sys/log_gate.h"

struct smtp_config smtp_config_default(void)
{
	return (struct smtp_config){
		.size_max = MIB(15),
		.rcpts_max = 1000,
		.destinations_max = 10000,
		.hops_max = 50,
		.future_release_s = UINT64_C(30) * 24 * 3600,
		.priority_max = 4,
		.errors_soft = 10,
		.errors_hard = 20,
		.junk_max = 100,
		.error_delay_ms = 1000,
		.door = smtp_door_default(),
		.content = {.body_max = 51200, .look_ms = SMTP_LOOK_MS},
		.milter_times = {30000, 30000, 300000, 600000},
	};
}

struct smtp_session *smtp_session_alloc(const struct smtp_config *c, const struct smtp_backend *b)
{
	struct smtp_session *s = xcalloc(1, sizeof *s);
	s->config = c;
	s->backend = b;
	s->ip = s->rdns = s->tls = s->helo = s->login = s->mechanisms = s->auth_type = s->user =
		s->forward = s->local_ip = s->cert_subject = s->cert_issuer =
			BUF_INIT(SMTP_TEXT_MAX);
	s->t.arena = ARENA_INIT(SMTP_TRANSACTION_MAX);
	return s;
}

struct smtp_session *smtp_session_new(const struct smtp_config *c, const struct smtp_backend *b,
				      enum smtp_service service, const struct smtp_peer *peer)
{
	struct smtp_session *s = smtp_session_alloc(c, b);
	s->service = service;
	s->trace = peer->trace;
	s->trusted = peer->trusted;
	s->may_relay = peer->may_relay;
	s->xclient = peer->xclient;
	s->xclient_login = peer->xclient_login;
	s->esmtp = peer->esmtp;
	smtp_keep(&s->helo, peer->helo);
	smtp_keep(&s->ip, peer->ip);
	s->port = peer->port;
	smtp_keep(&s->local_ip, peer->local_ip);
	s->local_port = peer->local_port;
	smtp_session_certificate(s, peer->cert_subject, peer->cert_issuer);
	smtp_keep(&s->rdns, peer->rdns);
	smtp_keep(&s->user, peer->user);
	smtp_keep(&s->tls, peer->tls_text);
	smtp_session_offer(s, peer->mechanisms);
	return s;
}

void smtp_session_configure(struct smtp_session *s, const struct smtp_config *c)
{
	s->config = c;
}

void smtp_session_free(struct smtp_session *s)
{
	if (!s)
		return;
	strmap_clear(&s->t.seen);
	vec_clear(&s->t.rcpts);
	vec_clear(&s->t.said);
	arena_clear(&s->t.arena);
	buf_clear(&s->ip);
	buf_clear(&s->rdns);
	buf_clear(&s->user);
	buf_clear(&s->tls);
	buf_clear(&s->mechanisms);
	buf_clear(&s->helo);
	buf_clear(&s->login);
	buf_clear(&s->auth_type);
	buf_clear(&s->forward);
	buf_clear(&s->local_ip);
	buf_clear(&s->cert_subject);
	buf_clear(&s->cert_issuer);
	milters_free(s->milters);
	free(s);
}

void smtp_keep(struct buf *b, struct str text)
{
	buf_reset(b);
	buf_add(b, str_sub(text, 0, SMTP_TEXT_MAX - 1));
}

void smtp_session_early_talker(struct smtp_session *s)
{
	s->early = true;
}

size_t smtp_session_recipients(const struct smtp_session *s)
{
	return s->t.rcpts.n;
}

/* ---- replies ---- */

void smtp_close(struct smtp_turn *t)
{
	smtp_transaction_reset(t->s);
	t->s->mode = SMTP_MODE_CLOSED;
	t->ret->next = SMTP_CLOSE;
}

OFFENCE(too_many_errors, "too_many_errors", "SMTP clients that made errors_hard errors");
LOG_GATE(closings, "smtp.closed");
LOG_GATE(unfinished, "smtp.unfinished");
LOG_GATE(refusal_lines, "smtp.refused");

void smtp_offence(const struct smtp_session *s, const struct offence *o, const char *why)
{
	offence_note(o,
		     &(struct offender){.ip = buf_str(&s->ip),
					.service = smtp_service_name(s),
					.user = buf_str(&s->login)},
		     why);
}

void smtp_hang_up(struct smtp_turn *t, const char *enhanced, const char *text)
{
	const struct smtp_session *s = t->s;
	if (log_gate_passes(&closings, str_hash(buf_str(&s->ip))))
		log_event(LOG_INFO, "smtp.closed", log_c("why", text),
			  log_str("ip", buf_str(&s->ip)), log_str("helo", buf_str(&s->helo)),
			  log_u64("errors", s->errors));
	smtp_replyf(t->out, 421, enhanced, "%s %s, closing", s->config->hostname, text);
	smtp_close(t);
}

/* RFC 5321 4.5.4.2 allows to slow down and to leave clients that only make errors. */
static void count_error(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	s->errors++;
	if (smtp_is_internal(s)) /* a filter has one connection for the mail of many */
		return;
	if (s->errors >= s->config->errors_hard && s->mode != SMTP_MODE_CLOSED) {
		smtp_offence(s, &too_many_errors, "");
		smtp_hang_up(t, "4.7.0", "Too many errors");
	} else if (s->errors >= s->config->errors_soft) {
		t->ret->delay_ms += s->config->error_delay_ms;
	}
}

COUNTER(refused_user, "smtp.refused.unknown-user", "recipients that do not exist");
COUNTER(refused_relay, "smtp.refused.relay", "not our domain, or not the login's address");
COUNTER(refused_quota, "smtp.refused.quota", "full mailboxes");
COUNTER(refused_size, "smtp.refused.too-big", "messages over the limit");
COUNTER(refused_auth, "smtp.refused.auth", "TLS or a login was missing");
COUNTER(refused_syntax, "smtp.refused.syntax", "not SMTP, or out of order");
COUNTER(refused_other, "smtp.refused.other", "other replies of 5xx");
COUNTER(refused_later, "smtp.refused.temporary", "replies of 4xx");

static void count_refusal(struct smtp_turn *t, struct smtp_status status)
{
	static const struct {
		const char *status;
		struct counter *counter;
	} kinds[] = {{"5.1.1", &refused_user},	 {"5.7.1", &refused_relay},
		     {"5.2.2", &refused_quota},	 {"5.3.4", &refused_size},
		     {"5.7.0", &refused_auth},	 {"5.5.", &refused_syntax},
		     {"5.1.7", &refused_syntax}, {"5.1.3", &refused_syntax}};
	struct counter *counter = status.code < 500 ? &refused_later : &refused_other;
	for (size_t i = 0; status.code >= 500 && status.enhanced && i < ARRAY_LEN(kinds); i++)
		if (strncmp(status.enhanced, kinds[i].status, strlen(kinds[i].status)) == 0)
			counter = kinds[i].counter;
	counter_add(t->counter ? t->counter : counter, 1);
	t->counter = NULL;
}

/* What the client was told, in the words that it was told in: people will ask. */
static void log_refusal(struct smtp_turn *t, struct smtp_status status, const char *what,
			struct str about, const struct fail *why)
{
	const struct smtp_session *s = t->s;
	const struct log_field none = {.kind = LOG_KIND_NONE};
	count_refusal(t, status);
	t->told = true;
	if (s->backend->too_often)
		(void)s->backend->too_often(s->backend->ctx, SMTP_EVENT_REFUSED, false);
	/* What a person asks about is a refused message now and then, not a dictionary. */
	if (!why && !s->login.n && !log_gate_passes(&refusal_lines, str_hash(buf_str(&s->ip)))) {
		t->rule = STR_NULL;
		return;
	}
	log_event(why ? LOG_WARN : LOG_INFO, "smtp.refused", log_c("at", what),
		  log_address("about", about), log_u64("code", status.code),
		  log_c("status", status.enhanced ? status.enhanced : ""),
		  log_c("text", status.text), t->rule.n ? log_str("rule", t->rule) : none,
		  log_address("from", s->t.from), log_str("ip", buf_str(&s->ip)),
		  log_str("name", buf_str(&s->rdns)), log_str("helo", buf_str(&s->helo)),
		  log_str("tls", buf_str(&s->tls)), log_address("login", buf_str(&s->login)),
		  why ? log_fail(why) : none);
	t->rule = STR_NULL;
}

void smtp_say(struct smtp_turn *t, struct smtp_status status)
{
	if (status.code >= 400 && !t->told)
		log_refusal(t, status, "command", STR_NULL, NULL);
	t->told = false;
	for (size_t i = 0; i < MAX(t->replies, (size_t)1); i++)
		smtp_reply_status(t->out, status);
	if (status.code >= 500)
		count_error(t);
}

void smtp_sayf(struct smtp_turn *t, unsigned code, const char *enhanced, const char *fmt, ...)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(2));
	va_list ap;
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	smtp_say(t, (struct smtp_status){code, enhanced, buf_c(&text)});
}

void smtp_refuse(struct smtp_turn *t, struct smtp_status status, const char *what, struct str about,
		 const struct fail *why)
{
	if (t->s->account.v && status.code >= 500 && strcmp(what, "RCPT") == 0)
		t->s->failed_rcpts++;
	log_refusal(t, status, what, about, why);
	smtp_say(t, status);
}

void smtp_refuse_fail(struct smtp_turn *t, int r, const char *what, struct str about,
		      const struct fail *why)
{
	const struct reply_map *row = reply_map_find(r);
	struct smtp_status status = {row->smtp_code, row->smtp_enhanced,
				     fail_public_default(row->code)};
	if (r == -FAIL_LIMIT) /* at this point it is always ours: disk or memory */
		status = (struct smtp_status){452, "4.3.1", "Insufficient system storage"};
	else if (status.code >= 500)
		status = (struct smtp_status){451, "4.3.0", fail_public_default(FAIL_TEMP)};
	smtp_refuse(t, status, what, about, why);
}

/* Root, and whom the configuration names; everybody where it names nobody. */
static bool user_may_send(const struct smtp_session *s)
{
	struct str names = str_c(s->config->local_users ? s->config->local_users : ""), name;
	struct str user = buf_str(&s->user);
	if (str_trim(names).n == 0 || str_eq(user, STR("0")))
		return true;
	while (str_cut(&names, ' ', &name))
		if (name.n && str_eq(name, user))
			return true;
	return false;
}

bool smtp_gate(const struct smtp_session *s, struct smtp_status *ret)
{
	if (s->service == SMTP_SERVICE_SUBMISSION && s->tls.n == 0 && !s->trusted)
		*ret = (struct smtp_status){530, "5.7.0", "Must issue a STARTTLS command first"};
	else if (s->service == SMTP_SERVICE_LOCAL && !user_may_send(s))
		*ret = (struct smtp_status){550, "5.7.1", "This user may not send mail here"};
	else if (s->service == SMTP_SERVICE_SUBMISSION && s->account.v == 0)
		*ret = (struct smtp_status){530, "5.7.0", "Authentication required"};
	else
		return false;
	return true;
}

struct str smtp_service_name(const struct smtp_session *s)
{
	static const struct str names[] = {[SMTP_SERVICE_MX] = STR("smtp"),
					   [SMTP_SERVICE_SUBMISSION] = STR("submission"),
					   [SMTP_SERVICE_LMTP] = STR("lmtp"),
					   [SMTP_SERVICE_REINJECT] = STR("reinject"),
					   [SMTP_SERVICE_REINJECT_LISTS] = STR("reinject_lists"),
					   [SMTP_SERVICE_LOCAL] = STR("sendmail")};
	return names[s->service];
}

/* ---- calls ---- */

void smtp_session_greet(const struct smtp_session *s, struct buf *out)
{
	smtp_replyf(out, 220, NULL, "%s %s barid", s->config->hostname,
		    smtp_is_lmtp(s) ? "LMTP" : "ESMTP");
}

struct smtp_turn smtp_turn_begin(struct smtp_session *s, struct buf *out, struct smtp_result *ret)
{
	*ret = (struct smtp_result){.next = SMTP_CONTINUE};
	return (struct smtp_turn){.s = s, .out = out, .ret = ret};
}

static void handle_command(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	switch (cmd->verb) {
	case SMTP_VERB_HELO:
	case SMTP_VERB_EHLO:
	case SMTP_VERB_LHLO:
		smtp_cmd_hello(t, cmd);
		break;
	case SMTP_VERB_MAIL:
		smtp_cmd_mail(t, cmd);
		break;
	case SMTP_VERB_RCPT:
		smtp_cmd_rcpt(t, cmd);
		break;
	case SMTP_VERB_DATA:
		smtp_cmd_data(t);
		break;
	case SMTP_VERB_BDAT:
		smtp_cmd_bdat(t, cmd);
		break;
	case SMTP_VERB_BURL:
		smtp_cmd_burl(t, cmd);
		break;
	case SMTP_VERB_STARTTLS:
		smtp_cmd_starttls(t);
		break;
	case SMTP_VERB_AUTH:
		smtp_cmd_auth(t, cmd);
		break;
	case SMTP_VERB_XCLIENT:
		smtp_cmd_xclient(t, cmd);
		break;
	case SMTP_VERB_XFORWARD:
		smtp_cmd_xforward(t, cmd);
		break;
	case SMTP_VERB_ETRN:
		smtp_cmd_etrn(t, cmd);
		break;
	case SMTP_VERB_RSET:
	case SMTP_VERB_NOOP:
	case SMTP_VERB_VRFY:
	case SMTP_VERB_EXPN:
	case SMTP_VERB_HELP:
	case SMTP_VERB_QUIT:
	case SMTP_VERB_UNKNOWN:
		smtp_cmd_other(t, cmd);
		break;
	}
}

/*
 * The ports of filters get what a mail server writes: an address without its brackets there is a
 * mistake of theirs (Postfix: strict_rfc821_envelopes).
 */
static bool is_loose(const struct smtp_session *s, const struct smtp_cmd *cmd)
{
	bool strict =
		s->service == SMTP_SERVICE_REINJECT || s->service == SMTP_SERVICE_REINJECT_LISTS;
	bool path = cmd->verb == SMTP_VERB_MAIL || cmd->verb == SMTP_VERB_RCPT;
	struct str said = str_trim(str_skip(cmd->arg, str_find(cmd->arg, 0, ':') + 1));
	return strict && path && !str_starts(said, STR("<"));
}

static void handle_line(struct smtp_turn *t, enum smtp_line_kind kind, struct str line)
{
	struct smtp_cmd cmd;
	struct smtp_status refusal = {0};

	if (kind == SMTP_LINE_TOO_LONG)
		smtp_say(t, (struct smtp_status){500, "5.5.2", "Line too long"});
	else if (kind == SMTP_LINE_MALFORMED)
		smtp_say(t, (struct smtp_status){500, "5.5.2",
						 "Lines must end in CR LF, and hold "
						 "neither of them nor NUL"});
	else if (smtp_cmd_parse(line, &cmd, &refusal) == 0 && is_loose(t->s, &cmd))
		smtp_refuse(t,
			    (struct smtp_status){501,
						 cmd.verb == SMTP_VERB_MAIL ? "5.1.7" : "5.1.3",
						 "Bad address syntax: brackets are missing"},
			    cmd.verb == SMTP_VERB_MAIL ? "MAIL" : "RCPT", cmd.arg, NULL);
	else if (refusal.code == 0)
		handle_command(t, &cmd);
	else if (cmd.verb == SMTP_VERB_BDAT)
		smtp_cmd_bdat_broken(t, refusal);
	else if (cmd.verb == SMTP_VERB_UNKNOWN)
		smtp_cmd_unknown(t, line, refusal);
	else if (cmd.verb == SMTP_VERB_MAIL || cmd.verb == SMTP_VERB_RCPT)
		smtp_refuse(t, refusal, cmd.verb == SMTP_VERB_MAIL ? "MAIL" : "RCPT", cmd.arg,
			    NULL);
	else
		smtp_say(t, refusal);
}

/* What is no command may be a password that came out of step: its length must do. */
static void log_line(struct str line)
{
	enum smtp_verb verb = smtp_cmd_verb(line);
	if (verb == SMTP_VERB_UNKNOWN)
		log_event(LOG_DEBUG, "smtp.in", log_u64("unknown-octets", line.n));
	else if (verb == SMTP_VERB_AUTH)
		log_event(LOG_DEBUG, "smtp.in", log_c("line", "AUTH ***"));
	else
		log_event(LOG_DEBUG, "smtp.in", log_str("line", line));
}

bool smtp_wrong_mode(struct smtp_turn *t, bool fits)
{
	if (fits)
		return false;
	smtp_hang_up(t, "4.3.0", "Internal error: out of step");
	return true;
}

void smtp_session_lines(struct smtp_session *s, struct str batch, bool more, struct buf *out,
			struct smtp_result *ret)
{
	struct smtp_turn t = smtp_turn_begin(s, out, ret);
	enum smtp_line_kind kind;
	struct str line;

	if (smtp_wrong_mode(&t, s->mode == SMTP_MODE_LINES))
		return;
	while (ret->next == SMTP_CONTINUE && smtp_batch_next(&batch, &kind, &line)) {
		t.more = more || batch.n > 0;
		log_line(line);
		handle_line(&t, kind, line);
	}
}

void smtp_session_auth_done(struct smtp_session *s, const struct smtp_auth_result *a,
			    struct buf *out, struct smtp_result *ret)
{
	static const struct smtp_status replies[] = {
		[SMTP_AUTH_GRANTED] = {235, "2.7.0", "Authentication successful"},
		[SMTP_AUTH_REFUSED] = {535, "5.7.8", "Authentication credentials invalid"},
		[SMTP_AUTH_MALFORMED] = {501, "5.5.2", "Cannot decode the response"},
		[SMTP_AUTH_CANCELLED] = {501, "5.7.0", "Authentication cancelled"},
		[SMTP_AUTH_UNKNOWN] = {504, "5.5.4", "Unrecognized authentication type"},
		[SMTP_AUTH_UNAVAILABLE] = {454, "4.7.0", "Temporary authentication failure"},
	};
	struct smtp_turn t = smtp_turn_begin(s, out, ret);
	if (smtp_wrong_mode(&t,
			    s->mode == SMTP_MODE_AUTH && (size_t)a->outcome < ARRAY_LEN(replies)))
		return;
	s->mode = SMTP_MODE_LINES;
	if (a->outcome == SMTP_AUTH_GRANTED) {
		s->credential = a->credential;
		s->account = a->account;
		smtp_keep(&s->login, a->login);
	}
	if (a->outcome == SMTP_AUTH_REFUSED && s->backend->too_often)
		(void)s->backend->too_often(s->backend->ctx, SMTP_EVENT_LOGIN_FAILED, false);
	t.told = true; /* dir logs every login, refused ones too */
	if (!a->replied)
		smtp_say(&t, replies[a->outcome]);
	else if (replies[a->outcome].code >= 500)
		count_error(&t);
}

uint64_t smtp_session_credential(const struct smtp_session *s)
{
	return s->credential;
}

void smtp_session_offer(struct smtp_session *s, struct str mechanisms)
{
	/* Edge may be compromised: the list is one line, and of words. */
	for (size_t i = 0; i < mechanisms.n; i++)
		if (mechanisms.p[i] < ' ' || mechanisms.p[i] > '~')
			mechanisms.n = 0;
	smtp_keep(&s->mechanisms, mechanisms.n ? mechanisms : STR(" PLAIN LOGIN"));
}

void smtp_session_claim(struct smtp_session *s, struct account_id account, struct str login,
			struct smtp_result *ret)
{
	struct buf nothing = BUF_INIT(0);
	struct smtp_turn t = smtp_turn_begin(s, &nothing, ret);
	bool fits = s->mode == SMTP_MODE_LINES && s->service == SMTP_SERVICE_SUBMISSION &&
		    s->account.v == 0 && !s->t.open;
	if (smtp_wrong_mode(&t, fits))
		return;
	s->account = account;
	smtp_keep(&s->login, login);
}

void smtp_session_certificate(struct smtp_session *s, struct str subject, struct str issuer)
{
	smtp_keep(&s->cert_subject, subject);
	smtp_keep(&s->cert_issuer, issuer);
}

void smtp_session_tls_done(struct smtp_session *s, struct str tls_text, struct smtp_result *ret)
{
	struct buf nothing = BUF_INIT(0);
	struct smtp_turn t = smtp_turn_begin(s, &nothing, ret);
	if (smtp_wrong_mode(&t, s->mode == SMTP_MODE_TLS && tls_text.n > 0))
		return;
	s->mode = SMTP_MODE_LINES;
	s->esmtp = false;
	s->account = (struct account_id){0};
	buf_reset(&s->helo);
	buf_reset(&s->login);
	buf_reset(&s->auth_type);
	buf_reset(&s->forward);
	if (s->milters)
		milters_forget_helo(s->milters);
	smtp_transaction_reset(s);
	smtp_keep(&s->tls, tls_text);
}

void smtp_session_end(struct smtp_session *s, enum smtp_end why, struct buf *out)
{
	const char *host = s->config->hostname;
	if (why == SMTP_END_TIMEOUT && s->mode != SMTP_MODE_CLOSED)
		smtp_replyf(out, 421, "4.4.2", "%s Timeout, closing", host);
	else if (why == SMTP_END_SHUTDOWN && s->mode != SMTP_MODE_CLOSED)
		smtp_replyf(out, 421, "4.3.2", "%s Service is stopping, please come back", host);
	if (s->t.open && log_gate_passes(&unfinished, str_hash(buf_str(&s->ip))))
		log_event(LOG_INFO, "smtp.unfinished",
			  log_c("why", why == SMTP_END_TIMEOUT	  ? "timeout"
				       : why == SMTP_END_SHUTDOWN ? "shutdown"
								  : "lost connection"),
			  log_address("from", s->t.from), log_u64("rcpts", s->t.accepted),
			  log_str("ip", buf_str(&s->ip)));
	smtp_transaction_reset(s);
	s->mode = SMTP_MODE_CLOSED;
}
