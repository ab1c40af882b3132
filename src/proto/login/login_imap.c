/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/login/login_imap.h"
#include "base/check.h"
#include "codec/imap/imap_capability.h"
#include "codec/imap/imap_cmd.h"
#include "codec/imap/imap_quirks.h"
#include "codec/imap/imap_write.h"

#define BAD_MAX_DEFAULT 10
#define ARENA_MAX	KIB(256) /* far more than a command within frame_imap_limits_login needs */

void login_imap_init(struct login_imap *l, const struct login_imap_config *config, bool tls)
{
	*l = (struct login_imap){.config = *config, .tls = tls};
	if (l->config.bad_max == 0)
		l->config.bad_max = BAD_MAX_DEFAULT;
}

void login_imap_clear(struct login_imap *l)
{
	login_sasl_clear(&l->sasl);
	explicit_bzero(l, sizeof *l);
}

static bool login_allowed(const struct login_imap *l)
{
	return l->tls || l->config.plain_allowed;
}

static uint32_t literal_kind(const struct login_imap *l)
{
	return l->config.literal_minus ? IMAP_CAP_LITERAL_MINUS : 0u;
}

static void write_capabilities(const struct login_imap *l, struct buf *out)
{
	uint32_t when = (l->config.starttls && !l->tls ? IMAP_CAP_STARTTLS : 0u) |
			(login_allowed(l) ? IMAP_CAP_LOGIN_ALLOWED : 0u) | literal_kind(l);
	(void)buf_add(out, STR("CAPABILITY "));
	(void)imap_capability_write(out, when, &l->config.limits);
	if (login_allowed(l))
		login_sasl_names(&l->config.offer, " AUTH=", false, out);
}

/* "TAG STATUS text" CRLF; "*" for a command without a tag. */
static void write_tagged(struct buf *out, struct str tag, const char *status, struct str text)
{
	(void)buf_addf(out, "%.*s %s ", STR_ARG(tag.n > 0 ? tag : STR("*")), status);
	(void)buf_add(out, text);
	(void)buf_add(out, STR("\r\n"));
}

void login_imap_greet(const struct login_imap *l, struct buf *out)
{
	(void)buf_add(out, STR("* OK ["));
	write_capabilities(l, out);
	(void)buf_add(out, STR("] barid ready.\r\n"));
}

void login_imap_logged_out(const struct login_imap *l, struct str tag, struct buf *out)
{
	(void)buf_addf(out, "%.*s OK [", STR_ARG(tag));
	write_capabilities(l, out);
	(void)buf_add(out, STR("] Nobody is logged in now.\r\n"));
}

/* After a reply that was BAD: the connection ends when there were too many. */
static enum login_action count_bad(struct login_imap *l, struct buf *out)
{
	if (++l->bad < l->config.bad_max)
		return LOGIN_ACTION_NONE;
	(void)buf_add(out, STR("* BYE Too many bad commands.\r\n"));
	return LOGIN_ACTION_CLOSE;
}

static enum login_action answer_bad(struct login_imap *l, struct str tag, struct str text,
				    struct buf *out)
{
	write_tagged(out, tag, "BAD", text);
	return count_bad(l, out);
}

static enum login_action answer_syntax(struct login_imap *l, struct str tag, const struct fail *why,
				       struct buf *out)
{
	AUTO(buf) struct buf text = BUF_INIT(FAIL_PUBLIC_MAX + 16);
	(void)imap_write_text(&text, str_c(why->public));
	(void)buf_addc(&text, '.');
	if (text.n > 0)
		text.p[0] = ascii_upper(text.p[0]);
	return answer_bad(l, tag, buf_str(&text), out);
}

static enum login_action do_capability(const struct login_imap *l, struct str tag, struct buf *out)
{
	(void)buf_add(out, STR("* "));
	write_capabilities(l, out);
	(void)buf_add(out, STR("\r\n"));
	write_tagged(out, tag, "OK", STR("Capabilities listed."));
	return LOGIN_ACTION_NONE;
}

/* The value of a field of ID, or empty. */
static struct str id_field(const struct imap_id *id, struct str key)
{
	for (size_t i = 0; i < id->pair_count; i++)
		if (str_eqi(id->pair[i].key, key))
			return id->pair[i].value;
	return STR_NULL;
}

static struct endpoint id_endpoint(const struct imap_id *id, struct str ip, struct str port)
{
	struct endpoint e = {0};
	if (endpoint_parse(id_field(id, ip), &e) &&
	    !endpoint_parse_port(id_field(id, port), &e.port))
		e.port = 0;
	return e;
}

/* For the log: graphic ASCII, or it is not taken. */
static void take_session_id(struct login_imap *l, struct str text)
{
	bool good = text.n > 0 && text.n < sizeof l->front_session;
	for (size_t i = 0; good && i < text.n; i++)
		good = text.p[i] > ' ' && text.p[i] < 0x7f;
	(void)snprintf(l->front_session, sizeof l->front_session, "%.*s", good ? (int)text.n : 0,
		       good ? text.p : "");
}

/* As Dovecot's proxies and webmail programs say it. What is no address is not taken. Their
 * x-proxy-ttl counts servers that pass a session on; it ends here, so that nothing can go round. */
static bool told_by_id(struct login_imap *l, const struct imap_id *id)
{
	if (!l->config.id_trusted)
		return false;
	l->client = id_endpoint(id, STR("x-originating-ip"), STR("x-originating-port"));
	l->local = id_endpoint(id, STR("x-connected-ip"), STR("x-connected-port"));
	take_session_id(l, id_field(id, STR("x-session-id")));
	return l->client.family || l->local.family || l->front_session[0];
}

static enum login_action do_id(struct login_imap *l, struct str tag, const struct imap_id *id,
			       struct buf *out)
{
	(void)buf_add(out, STR("* ID (\"name\" \"barid\""));
	if (l->config.version) {
		(void)buf_add(out, STR(" \"version\" "));
		(void)imap_write_string(out, str_c(l->config.version));
	}
	(void)buf_add(out, STR(")\r\n"));
	write_tagged(out, tag, "OK", STR("That is me."));
	return told_by_id(l, id) ? LOGIN_ACTION_PEER : LOGIN_ACTION_NONE;
}

static enum login_action do_starttls(struct login_imap *l, struct str tag, struct buf *out)
{
	if (l->tls)
		return answer_bad(l, tag, STR("TLS is active already."), out);
	if (!l->config.starttls)
		return answer_bad(l, tag, STR("TLS is not offered here."), out);
	write_tagged(out, tag, "OK", STR("Begin TLS now."));
	return LOGIN_ACTION_STARTTLS;
}

/* It ends here: whoever logs attempts is told. */
static void note_attempt(struct login_imap *l, struct str user, const char *why)
{
	l->attempt = why;
	(void)snprintf(l->attempt_user, sizeof l->attempt_user, "%.*s", STR_ARG(user));
}

static enum login_action answer_privacy(struct login_imap *l, struct str tag, struct str user,
					struct buf *out)
{
	note_attempt(l, user, "no TLS");
	write_tagged(out, tag, "NO",
		     STR("[PRIVACYREQUIRED] Passwords are taken with TLS only: use STARTTLS."));
	return LOGIN_ACTION_NONE;
}

static enum login_action verify(struct login_imap *l)
{
	l->verifying = true;
	return LOGIN_ACTION_VERIFY;
}

/* A password with escapes was copied out of the input, which its owner overwrites. */
static void wipe_copy(const struct imap_input *in, struct str secret)
{
	bool borrowed = secret.p >= in->text.p && secret.p < in->text.p + in->text.n;
	if (secret.n > 0 && !borrowed)
		explicit_bzero((char *)(uintptr_t)secret.p, secret.n);
}

static enum login_action do_login(struct login_imap *l, const struct imap_cmd *cmd, struct buf *out)
{
	if (!login_allowed(l))
		return answer_privacy(l, cmd->tag, cmd->login.user, out);
	login_sasl_clear(&l->sasl);
	memcpy(l->sasl.tag, cmd->tag.p, cmd->tag.n);
	l->sasl.tag_n = cmd->tag.n;
	int r = sasl_credentials_set(&l->sasl.credentials, cmd->login.user, cmd->login.password);
	if (r == 0)
		return verify(l);
	/* Empty, too long or not UTF-8: no account has such credentials. */
	note_attempt(l, cmd->login.user, "no account has such a name or password");
	login_sasl_verdict(out, LOGIN_IMAP, cmd->tag, LOGIN_VERDICT_REFUSED);
	return LOGIN_ACTION_NONE;
}

static enum login_action say_verdict(struct login_imap *l, struct buf *out)
{
	enum login_verdict verdict = l->sasl.verdict;
	struct str tag = str_make(l->sasl.tag, l->sasl.tag_n);
	if (verdict != LOGIN_VERDICT_OK) {
		login_sasl_verdict(out, LOGIN_IMAP, tag, verdict);
		return LOGIN_ACTION_NONE;
	}
	(void)buf_addf(out, "%.*s OK [CAPABILITY ", STR_ARG(tag));
	(void)imap_capability_write(out, IMAP_CAP_AUTHENTICATED | literal_kind(l),
				    &l->config.limits);
	(void)buf_add(out, STR("] Logged in.\r\n"));
	return LOGIN_ACTION_DONE;
}

static enum login_action after_sasl(struct login_imap *l, enum login_sasl_result r, struct buf *out)
{
	l->in_sasl = r == LOGIN_SASL_CONTINUE;
	switch (r) {
	case LOGIN_SASL_CONTINUE:
		return LOGIN_ACTION_LINE;
	case LOGIN_SASL_VERIFY:
		return verify(l);
	case LOGIN_SASL_DECIDED:
		return say_verdict(l, out);
	case LOGIN_SASL_FAILED:
		note_attempt(l, STR_NULL, l->sasl.failed);
		break;
	}
	return count_bad(l, out);
}

static enum login_action do_authenticate(struct login_imap *l, const struct imap_cmd *cmd,
					 struct buf *out)
{
	const struct imap_authenticate *a = &cmd->authenticate;
	if (!login_allowed(l))
		return answer_privacy(l, cmd->tag, STR_NULL, out);
	struct login_sasl_start start = {.dialect = LOGIN_IMAP,
					 .tag = cmd->tag,
					 .mechanism = a->mechanism,
					 .initial = a->has_initial ? a->initial : STR_NULL,
					 .offer = &l->config.offer};
	return after_sasl(l, login_sasl_begin(&l->sasl, &start, out), out);
}

static enum login_action do_logout(struct str tag, struct buf *out)
{
	(void)buf_add(out, STR("* BYE Until next time.\r\n"));
	write_tagged(out, tag, "OK", STR("Logged out."));
	return LOGIN_ACTION_CLOSE;
}

static enum login_action dispatch(struct login_imap *l, const struct imap_cmd *cmd, struct buf *out)
{
	/* Everything that is not named here needs a login first. */
	if (cmd->kind == IMAP_CMD_CAPABILITY)
		return do_capability(l, cmd->tag, out);
	if (cmd->kind == IMAP_CMD_ID)
		return do_id(l, cmd->tag, &cmd->id, out);
	if (cmd->kind == IMAP_CMD_STARTTLS)
		return do_starttls(l, cmd->tag, out);
	if (cmd->kind == IMAP_CMD_LOGIN)
		return do_login(l, cmd, out);
	if (cmd->kind == IMAP_CMD_AUTHENTICATE)
		return do_authenticate(l, cmd, out);
	if (cmd->kind == IMAP_CMD_LOGOUT)
		return do_logout(cmd->tag, out);
	if (cmd->kind != IMAP_CMD_NOOP)
		return answer_bad(l, cmd->tag, STR("Log in first."), out);
	write_tagged(out, cmd->tag, "OK", STR("Nothing done."));
	return LOGIN_ACTION_NONE;
}

enum login_action login_imap_command(struct login_imap *l, const struct imap_input *in,
				     struct buf *out)
{
	AUTO(arena) struct arena arena = ARENA_INIT(ARENA_MAX);
	struct fail why = FAIL_INIT;
	struct imap_cmd cmd;
	CHECK(!l->in_sasl && !l->verifying);
	if (str_trim(in->text).n == 0 && imap_bends(IMAP_QUIRK_EMPTY_LINE))
		return LOGIN_ACTION_NONE;
	int r = imap_cmd_parse(in, NULL, &arena, &cmd, &why);
	if (cmd.tag.n > LOGIN_TAG_MAX)
		return answer_bad(l, STR_NULL, STR("The tag is too long."), out);
	if (r < 0)
		return answer_syntax(l, cmd.tag, &why, out);
	enum login_action action = dispatch(l, &cmd, out);
	if (cmd.kind == IMAP_CMD_LOGIN)
		wipe_copy(in, cmd.login.password);
	return action;
}

enum login_action login_imap_line(struct login_imap *l, struct str line, struct buf *out)
{
	CHECK(l->in_sasl);
	return after_sasl(l, login_sasl_line(&l->sasl, line, out), out);
}

enum login_action login_imap_dropped(struct login_imap *l, enum frame_imap_event_kind kind,
				     struct str tag, struct buf *out)
{
	if (l->in_sasl) { /* a line that cannot be base64 */
		l->in_sasl = false;
		note_attempt(l, STR_NULL, "not a response of this mechanism");
		tag = str_make(l->sasl.tag, l->sasl.tag_n);
	}
	struct str text = kind == FRAME_IMAP_MALFORMED
				  ? STR("The command holds a bare CR or a NUL.")
				  : STR("The command is too long.");
	return answer_bad(l, tag, text, out);
}

void login_imap_tls_started(struct login_imap *l, const struct login_offer *offer)
{
	l->tls = true;
	l->config.offer = *offer;
	l->in_sasl = false;
}

const struct login_sasl *login_imap_sasl(const struct login_imap *l)
{
	CHECK(l->verifying);
	return &l->sasl;
}

enum login_action login_imap_answer(struct login_imap *l, const struct login_answer *a,
				    struct buf *out)
{
	CHECK(l->verifying);
	l->verifying = false;
	return after_sasl(l, login_sasl_answer(&l->sasl, a, out), out);
}

void login_imap_bye_timeout(struct buf *out)
{
	(void)buf_add(out, STR("* BYE Disconnected for inactivity.\r\n"));
}

void login_imap_bye_shutdown(struct buf *out)
{
	(void)buf_add(out, STR("* BYE Server is going down, reconnect shortly.\r\n"));
}
