/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Milters: the events of a session. They are asked when the checks of our own have nothing against
 * a command. The connection is told with the first HELO: who never says it costs them nothing.
 */
#include "proto/smtp/smtp_session_int.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/log_gate.h"

#define ARGS_MAX 32

COUNTER(failed, "milter.failed", "milters that did not answer, or not as the protocol says");
COUNTER(refused, "milter.refused", "commands and messages that a milter refused");
COUNTER(discarded, "milter.discarded", "messages that a milter had thrown away");
HISTOGRAM(event_time, "milter.event", "what milters take for a command");
LOG_GATE(failures, "milter.failed");

/* --- macros --- */

static bool add(struct buf *out, struct str value)
{
	return value.n > 0 && buf_add(out, value) == 0;
}

static struct str address_domain(struct str address)
{
	return str_skip(address, str_rfind(address, '@') + 1);
}

static const char *cipher_bits(struct str cipher)
{
	if (str_find_str(cipher, 0, STR("256")) < cipher.n ||
	    str_find_str(cipher, 0, STR("CHACHA20")) < cipher.n)
		return "256";
	return str_find_str(cipher, 0, STR("128")) < cipher.n ? "128" : "";
}

static bool session_macro(struct smtp_session *s, struct str name, struct buf *out)
{
	struct str client = s->rdns.n ? buf_str(&s->rdns) : STR("unknown");
	struct str tls = buf_str(&s->tls), ip = buf_str(&s->ip);
	size_t blank = str_find(tls, 0, ' ');
	if (str_eq(name, STR("j")) || str_eq(name, STR("{daemon_name}")))
		return buf_add_c(out, s->config->hostname) == 0;
	if (str_eq(name, STR("v")))
		return buf_add(out, STR("barid " BARID_VERSION)) == 0;
	if (str_eq(name, STR("_")))
		return buf_addf(out, "%.*s [%.*s]", STR_ARG(client), STR_ARG(ip)) == 0;
	if (str_eq(name, STR("{client_addr}")))
		return add(out, ip);
	if (str_eq(name, STR("{client_name}")))
		return add(out, client);
	if (str_eq(name, STR("{client_ptr}")))
		return add(out, s->client.ptr[0] ? str_c(s->client.ptr) : client);
	if (str_eq(name, STR("{daemon_addr}")))
		return add(out, buf_str(&s->local_ip));
	if (str_eq(name, STR("{daemon_port}")))
		return s->local_port && buf_add_u64(out, s->local_port) == 0;
	if (str_eq(name, STR("{client_port}")))
		return s->port && buf_add_u64(out, s->port) == 0;
	if (str_eq(name, STR("{tls_version}")))
		return add(out, str_sub(tls, 0, blank));
	if (str_eq(name, STR("{cipher}")))
		return add(out, str_skip(tls, blank + 1));
	if (str_eq(name, STR("{cipher_bits}")))
		return add(out, str_c(cipher_bits(str_skip(tls, blank + 1))));
	if (str_eq(name, STR("{cert_subject}")))
		return add(out, buf_str(&s->cert_subject));
	if (str_eq(name, STR("{cert_issuer}")))
		return add(out, buf_str(&s->cert_issuer));
	if (str_eq(name, STR("{auth_type}")))
		return s->account.v &&
		       add(out, s->auth_type.n ? buf_str(&s->auth_type) : STR("PLAIN"));
	if (str_eq(name, STR("{auth_authen}")) || str_eq(name, STR("{auth_author}")))
		return add(out, buf_str(&s->login));
	return false;
}

static bool transaction_macro(struct smtp_session *s, struct str name, struct buf *out)
{
	const struct smtp_transaction *x = &s->t;
	if (str_eq(name, STR("i"))) {
		smtp_trace_write(out, s);
		return true;
	}
	if (str_eq(name, STR("{mail_addr}")))
		return buf_add(out, x->from) == 0;
	if (str_eq(name, STR("{mail_host}")))
		return add(out, x->from.n ? address_domain(x->from) : STR_NULL);
	if (str_eq(name, STR("{mail_mailer}")))
		return add(out, s->account.v ? STR("local") : STR("smtp"));
	if (str_eq(name, STR("{rcpt_addr}")))
		return add(out, s->milter_rcpt);
	if (str_eq(name, STR("{rcpt_host}")))
		return add(out, s->milter_rcpt.n ? address_domain(s->milter_rcpt) : STR_NULL);
	if (str_eq(name, STR("{rcpt_mailer}")))
		return s->milter_rcpt.n &&
		       add(out, s->milter_rcpt_local ? STR("local") : STR("smtp"));
	return false;
}

static bool macro(void *ctx, struct str name, struct buf *out)
{
	return session_macro(ctx, name, out) || transaction_macro(ctx, name, out);
}

/* --- life --- */

static void note_failure(void *ctx, struct str name, enum milter_default otherwise,
			 const struct fail *why)
{
	static const char *const words[] = {"", "accept", "tempfail", "reject", "quarantine"};
	(void)ctx;
	counter_add(&failed, 1);
	if (log_gate_passes(&failures, str_hash(name)))
		log_event(LOG_WARN, "milter.failed", log_str("milter", name),
			  log_c("action", words[otherwise]), log_fail(why));
}

static int connect_one(void *ctx, struct str text, unsigned ms, int *ret_fd, struct fail *why)
{
	const struct smtp_backend *b = ((struct smtp_session *)ctx)->backend;
	return b->milter_connect(b->ctx, text, ms, ret_fd, why);
}

static bool enter(void *ctx, struct str text)
{
	const struct smtp_backend *b = ((struct smtp_session *)ctx)->backend;
	return b->milter_enter(b->ctx, text);
}

static void leave(void *ctx, struct str text)
{
	const struct smtp_backend *b = ((struct smtp_session *)ctx)->backend;
	b->milter_leave(b->ctx, text);
}

/* "<" address ">" */
static struct str bracketed(struct arena *a, struct str address)
{
	return arena_printf(a, "<%.*s>", STR_ARG(address));
}

/* What was said before, by this process or the one before it. */
static void restore(struct smtp_session *s)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(2));
	struct str last = STR_NULL;
	if (s->helo.n)
		milters_restore_helo(s->milters, buf_str(&s->helo));
	if (!s->t.open)
		return;
	milters_restore_mail(s->milters, bracketed(&a, s->t.from));
	for (size_t i = 0; i < s->t.rcpts.n; i++) {
		struct str to = s->t.rcpts.p[i].original;
		if (!last.n || !str_eq(last, to))
			milters_restore_rcpt(s->milters, bracketed(&a, to));
		last = to;
	}
}

struct milters *smtp_milters(struct smtp_session *s)
{
	const struct smtp_filters *f = &s->config->filters[s->service];
	if (s->milters || f->milters_n == 0)
		return s->milters;
	const struct milter_ops ops = {.ctx = s,
				       .connect = connect_one,
				       .enter = s->backend->milter_enter ? enter : NULL,
				       .leave = s->backend->milter_leave ? leave : NULL,
				       .macro = macro,
				       .failed = note_failure};
	AUTO(buf) struct buf host = BUF_INIT(KIB(1));
	s->milters = milters_new(f->milters, f->milters_n, &s->config->milter_times, &ops);
	if (s->rdns.n)
		(void)buf_add(&host, buf_str(&s->rdns));
	else
		(void)buf_addf(&host, "[%.*s]", STR_ARG(buf_str(&s->ip)));
	milters_client(s->milters, buf_str(&host), buf_str(&s->ip), s->port);
	restore(s);
	return s->milters;
}

/* --- answers --- */

bool smtp_filter_settle(struct smtp_turn *t, const struct milter_outcome *o, const char *what,
			struct str about)
{
	if (o->verdict == MILTER_DISCARD && !t->s->t.discarded) {
		counter_add(&discarded, 1);
		log_event(LOG_INFO, "smtp.discarded", log_c("at", what), log_c("milter", o->milter),
			  log_address("from", t->s->t.from), log_address("about", about),
			  log_str("ip", buf_str(&t->s->ip)));
		t->s->t.discarded = true;
	}
	if (o->verdict != MILTER_REFUSE)
		return false;
	if (!o->by_default)
		t->counter = &refused;
	t->rule = arena_printf(&t->s->t.arena, "milter %s", o->milter);
	smtp_refuse(t, (struct smtp_status){o->code, o->enhanced, o->text}, what, about, NULL);
	if (o->close && t->s->mode != SMTP_MODE_CLOSED)
		smtp_close(t);
	return true;
}

/* --- events --- */

/* How long milters take altogether; what waits for nobody is not counted. */
static void took(struct mono_ns begun)
{
	histogram_add(event_time, (uint64_t)(clock_mono().v - begun.v) / 1000);
}

bool smtp_filter_helo(struct smtp_turn *t)
{
	struct milters *m = smtp_milters(t->s);
	struct milter_outcome o;
	if (!m)
		return false;
	struct mono_ns begun = clock_mono();
	milters_helo(m, buf_str(&t->s->helo), &o);
	took(begun);
	return smtp_filter_settle(t, &o, "HELO", buf_str(&t->s->helo));
}

/* The end of "<...>" in the argument of MAIL or RCPT; quoted strings may hold anything. */
static size_t path_end(struct str arg)
{
	bool quoted = false;
	for (size_t i = str_find(arg, 0, '<'); i < arg.n; i++) {
		if (quoted && arg.p[i] == '\\')
			i++;
		else if (arg.p[i] == '"')
			quoted = !quoted;
		else if (arg.p[i] == '>' && !quoted)
			return i + 1;
	}
	return arg.n;
}

/* The address as it was understood, and the parameters as they were said. */
static size_t make_args(struct arena *a, const struct smtp_cmd *cmd, struct str address,
			struct str args[ARGS_MAX])
{
	struct str rest = str_trim(str_skip(cmd->arg, path_end(cmd->arg))), word;
	size_t n = 0;
	args[n++] = bracketed(a, address);
	while (rest.n && n < ARGS_MAX && str_cut(&rest, ' ', &word))
		if (word.n)
			args[n++] = word;
	return n;
}

bool smtp_filter_mail(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	struct milters *m = smtp_milters(t->s);
	AUTO(arena) struct arena a = ARENA_INIT(KIB(16));
	struct milter_outcome o;
	struct str args[ARGS_MAX];
	if (!m)
		return false;
	struct mono_ns begun = clock_mono();
	size_t n = make_args(&a, cmd, t->s->t.from, args);
	milters_mail(m, args, n, &o);
	took(begun);
	return smtp_filter_settle(t, &o, "MAIL", t->s->t.from);
}

bool smtp_filter_rcpt(struct smtp_turn *t, const struct smtp_cmd *cmd, struct str to, bool local)
{
	struct smtp_session *s = t->s;
	struct milters *m = s->t.discarded ? NULL : smtp_milters(s);
	AUTO(arena) struct arena a = ARENA_INIT(KIB(16));
	struct milter_outcome o;
	struct str args[ARGS_MAX];
	if (!m)
		return false;
	struct mono_ns begun = clock_mono();
	size_t n = make_args(&a, cmd, to, args);
	s->milter_rcpt = to;
	s->milter_rcpt_local = local;
	milters_rcpt(m, args, n, &o);
	s->milter_rcpt = STR_NULL;
	took(begun);
	return smtp_filter_settle(t, &o, "RCPT", to);
}

void smtp_filter_rcpt_refused(struct smtp_session *s, const struct smtp_cmd *cmd, struct str to)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(16));
	struct str args[ARGS_MAX];
	if (!s->milters || s->t.discarded || !s->t.open)
		return;
	size_t n = make_args(&a, cmd, to, args);
	milters_rcpt_refused(s->milters, args, n);
}

bool smtp_filter_data(struct smtp_turn *t)
{
	struct milters *m = t->s->t.discarded ? NULL : smtp_milters(t->s);
	struct milter_outcome o;
	if (!m)
		return false;
	struct mono_ns begun = clock_mono();
	milters_data(m, &o);
	took(begun);
	return smtp_filter_settle(t, &o, "DATA", t->s->t.from);
}

bool smtp_filter_unknown(struct smtp_turn *t, struct str line)
{
	struct milters *m = t->s->t.discarded ? NULL : smtp_milters(t->s);
	struct milter_outcome o;
	if (!m)
		return false;
	milters_unknown(m, line, &o);
	return smtp_filter_settle(t, &o, "command", line);
}
