/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/login/login_pop3.h"
#include "base/check.h"
#include "base/text.h"
#include "codec/pop3/pop3_cmd.h"

#define BAD_MAX_DEFAULT 10

void login_pop3_init(struct login_pop3 *l, const struct login_pop3_config *config, bool tls)
{
	*l = (struct login_pop3){.config = *config, .tls = tls};
	if (l->config.bad_max == 0)
		l->config.bad_max = BAD_MAX_DEFAULT;
}

void login_pop3_clear(struct login_pop3 *l)
{
	login_sasl_clear(&l->sasl);
	explicit_bzero(l, sizeof *l);
}

static void say(struct buf *out, const char *status, const char *text)
{
	(void)buf_addf(out, "%s %s\r\n", status, text);
}

void login_pop3_greet(struct buf *out)
{
	say(out, "+OK", T("barid ready."));
}

void login_pop3_bye_timeout(struct buf *out)
{
	say(out, "-ERR", T("Disconnected for inactivity."));
}

void login_pop3_bye_shutdown(struct buf *out)
{
	say(out, "-ERR [SYS/TEMP]", T("Server is going down, reconnect shortly."));
}

static bool login_allowed(const struct login_pop3 *l)
{
	return l->tls || l->config.plain_allowed;
}

/* After a reply to something that was no good: the connection ends when there were too many. */
static enum login_pop3_action count_bad(struct login_pop3 *l, struct buf *out)
{
	if (++l->bad < l->config.bad_max)
		return LOGIN_POP3_NONE;
	say(out, "-ERR", T("Too many bad commands."));
	return LOGIN_POP3_CLOSE;
}

static enum login_pop3_action refuse_bad(struct login_pop3 *l, struct buf *out, const char *text)
{
	say(out, "-ERR", text);
	return count_bad(l, out);
}

/* It ends here: whoever logs attempts is told. */
static void note_attempt(struct login_pop3 *l, struct str user, const char *why)
{
	l->attempt = why;
	(void)snprintf(l->attempt_user, sizeof l->attempt_user, "%.*s", STR_ARG(user));
}

static enum login_pop3_action refuse_clear(struct login_pop3 *l, struct str user, struct buf *out)
{
	note_attempt(l, user, "no TLS");
	say(out, "-ERR [AUTH]", T("Passwords are taken with TLS only: use STLS."));
	return LOGIN_POP3_NONE;
}

static enum login_pop3_action verify(struct login_pop3 *l)
{
	l->verifying = true;
	return LOGIN_POP3_VERIFY;
}

/* --- commands --- */

static enum login_pop3_action do_user(struct login_pop3 *l, struct str name, struct buf *out)
{
	if (!login_allowed(l))
		return refuse_clear(l, name, out);
	if (name.n >= sizeof l->user)
		name = STR("-"); /* an address that nobody has */
	(void)snprintf(l->user, sizeof l->user, "%.*s", STR_ARG(name));
	say(out, "+OK", T("Now the password."));
	return LOGIN_POP3_NONE;
}

static enum login_pop3_action do_pass(struct login_pop3 *l, struct str password, struct buf *out)
{
	char user[sizeof l->user];
	memcpy(user, l->user, sizeof user);
	l->user[0] = '\0';
	if (!login_allowed(l))
		return refuse_clear(l, STR_NULL, out);
	if (!user[0])
		return refuse_bad(l, out, T("USER comes first."));
	login_sasl_clear(&l->sasl);
	l->sasl.dialect = LOGIN_POP3;
	if (sasl_credentials_set(&l->sasl.credentials, str_c(user), password) == 0)
		return verify(l);
	/* Too long or not UTF-8: no account has such credentials. */
	note_attempt(l, str_c(user), "no account has such a name or password");
	login_sasl_verdict(out, LOGIN_POP3, STR_NULL, LOGIN_VERDICT_REFUSED);
	return LOGIN_POP3_NONE;
}

static enum login_pop3_action after_sasl(struct login_pop3 *l, enum login_sasl_result r,
					 struct buf *out)
{
	l->in_sasl = r == LOGIN_SASL_CONTINUE;
	switch (r) {
	case LOGIN_SASL_CONTINUE:
		return LOGIN_POP3_NONE;
	case LOGIN_SASL_VERIFY:
		return verify(l);
	case LOGIN_SASL_DECIDED:
		if (l->sasl.verdict == LOGIN_VERDICT_OK)
			return LOGIN_POP3_DONE;
		login_sasl_verdict(out, LOGIN_POP3, STR_NULL, l->sasl.verdict);
		return LOGIN_POP3_NONE;
	case LOGIN_SASL_FAILED:
		note_attempt(l, STR_NULL, l->sasl.failed);
		break;
	}
	return count_bad(l, out);
}

/* AUTH alone asks for the mechanisms, one a line, as before RFC 5034. */
static enum login_pop3_action list_mechanisms(const struct login_pop3 *l, struct buf *out)
{
	AUTO(buf) struct buf names = BUF_INIT(KIB(1));
	struct str rest, one;
	say(out, "+OK", T("These are the mechanisms."));
	if (login_allowed(l))
		login_sasl_names(&l->config.offer, " ", true, &names);
	rest = buf_str(&names);
	while (rest.n && str_cut(&rest, ' ', &one))
		if (one.n)
			(void)buf_addf(out, "%.*s\r\n", STR_ARG(one));
	(void)buf_add(out, STR(".\r\n"));
	return LOGIN_POP3_NONE;
}

static enum login_pop3_action do_auth(struct login_pop3 *l, const struct pop3_cmd *cmd,
				      struct buf *out)
{
	if (cmd->arg.n == 0)
		return list_mechanisms(l, out);
	if (!login_allowed(l))
		return refuse_clear(l, STR_NULL, out);
	struct login_sasl_start start = {.dialect = LOGIN_POP3,
					 .mechanism = cmd->arg,
					 .initial = cmd->initial,
					 .offer = &l->config.offer};
	return after_sasl(l, login_sasl_begin(&l->sasl, &start, out), out);
}

static enum login_pop3_action do_capa(const struct login_pop3 *l, struct buf *out)
{
	AUTO(buf) struct buf names = BUF_INIT(KIB(1));
	struct pop3_capa c = {.stls = l->config.stls && !l->tls,
			      .login = login_allowed(l),
			      .login_delay_s = l->config.login_delay_s};
	login_sasl_names(&l->config.offer, " ", true, &names);
	pop3_capa_write(out, &c, buf_str(&names), T("This is what I can do."));
	return LOGIN_POP3_NONE;
}

static enum login_pop3_action do_stls(struct login_pop3 *l, struct buf *out)
{
	if (l->tls)
		return refuse_bad(l, out, T("TLS is active already."));
	if (!l->config.stls)
		return refuse_bad(l, out, T("TLS is not offered here."));
	if (l->choice.utf8) /* RFC 6856 2.1 */
		return refuse_bad(l, out, T("STLS comes before UTF8."));
	say(out, "+OK", T("Begin TLS now."));
	return LOGIN_POP3_STLS;
}

static enum login_pop3_action dispatch(struct login_pop3 *l, const struct pop3_cmd *cmd,
				       struct buf *out)
{
	/* Everything that is not named here needs a login first. */
	if (cmd->kind == POP3_USER)
		return do_user(l, cmd->arg, out);
	if (cmd->kind == POP3_PASS)
		return do_pass(l, cmd->arg, out);
	if (cmd->kind == POP3_AUTH)
		return do_auth(l, cmd, out);
	if (cmd->kind == POP3_CAPA)
		return do_capa(l, out);
	if (cmd->kind == POP3_STLS)
		return do_stls(l, out);
	if (cmd->kind == POP3_LANG) {
		(void)pop3_lang(out, cmd->arg, l->config.usual, &l->choice.lang);
		return LOGIN_POP3_NONE;
	}
	if (cmd->kind == POP3_QUIT) {
		say(out, "+OK", T("Until next time."));
		return LOGIN_POP3_CLOSE;
	}
	if (cmd->kind != POP3_UTF8)
		return refuse_bad(l, out, T("Log in first."));
	l->choice.utf8 = true;
	say(out, "+OK", T("UTF-8 it is."));
	return LOGIN_POP3_NONE;
}

static enum login_pop3_action take_line(struct login_pop3 *l, struct str line, bool bad,
					struct buf *out)
{
	struct pop3_cmd cmd;
	if (l->in_sasl) /* a line that was dropped cannot be base64 */
		return after_sasl(l, login_sasl_line(&l->sasl, bad ? STR("!") : line, out), out);
	if (bad)
		return refuse_bad(l, out, T("The line is too long, or holds a bare CR or a NUL."));
	int r = pop3_cmd_parse(line, &cmd);
	if (r == -FAIL_UNSUPPORTED)
		return refuse_bad(l, out, T("There is no such command."));
	l->command = pop3_cmd_name(cmd.kind);
	if (cmd.kind != POP3_AUTH && line.n > POP3_LINE_MAX)
		return refuse_bad(l, out, T("The line is too long, or holds a bare CR or a NUL."));
	if (r < 0)
		return refuse_bad(l, out, T("The arguments of the command are wrong."));
	return dispatch(l, &cmd, out);
}

enum login_pop3_action login_pop3_line(struct login_pop3 *l, struct str line, bool bad,
				       struct buf *out)
{
	CHECK(!l->verifying);
	const struct text_language *spoken = text_speak(l->choice.lang);
	l->command = NULL;
	enum login_pop3_action action = take_line(l, line, bad, out);
	(void)text_speak(spoken);
	return action;
}

void login_pop3_tls_started(struct login_pop3 *l, const struct login_offer *offer)
{
	l->tls = true;
	l->config.offer = *offer;
	l->in_sasl = false;
	/* What came before TLS may have been somebody else's (RFC 2595 section 4). */
	l->user[0] = '\0';
	l->choice = (struct pop3_choice){0};
}

enum login_pop3_action login_pop3_answer(struct login_pop3 *l, const struct login_answer *a,
					 struct buf *out)
{
	CHECK(l->verifying);
	const struct text_language *spoken = text_speak(l->choice.lang);
	l->verifying = false;
	enum login_pop3_action action = after_sasl(l, login_sasl_answer(&l->sasl, a, out), out);
	(void)text_speak(spoken);
	return action;
}
