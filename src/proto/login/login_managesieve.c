/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/login/login_managesieve.h"
#include "base/check.h"
#include "base/text.h"
#include "codec/managesieve/managesieve_capability.h"
#include "codec/managesieve/managesieve_cmd.h"
#include "codec/managesieve/managesieve_write.h"

#define BAD_MAX_DEFAULT 10
#define ARENA_MAX	KIB(64)

void login_managesieve_init(struct login_managesieve *l,
			    const struct login_managesieve_config *config, bool tls)
{
	*l = (struct login_managesieve){.config = *config, .tls = tls};
	if (l->config.bad_max == 0)
		l->config.bad_max = BAD_MAX_DEFAULT;
}

void login_managesieve_clear(struct login_managesieve *l)
{
	login_sasl_clear(&l->sasl);
	explicit_bzero(l, sizeof *l);
}

static void ok(struct buf *out, const char *text)
{
	managesieve_write_reply(out, MANAGESIEVE_OK, STR(""), str_c(text));
}

static void no(struct buf *out, const char *code, const char *text)
{
	managesieve_write_reply(out, MANAGESIEVE_NO, str_c(code), str_c(text));
}

void login_managesieve_bye_timeout(struct buf *out)
{
	managesieve_write_reply(out, MANAGESIEVE_BYE, STR(""),
				str_c(T("Disconnected for inactivity.")));
}

void login_managesieve_bye_shutdown(struct buf *out)
{
	managesieve_write_reply(out, MANAGESIEVE_BYE, STR("TRYLATER"),
				str_c(T("Server is going down, reconnect shortly.")));
}

static bool login_allowed(const struct login_managesieve *l)
{
	return l->tls || l->config.plain_allowed;
}

static void tell_capabilities(const struct login_managesieve *l, struct buf *out)
{
	AUTO(buf) struct buf names = BUF_INIT(KIB(1));
	if (login_allowed(l))
		login_sasl_names(&l->config.offer, " ", true, &names);
	struct managesieve_capability c = {.mechanisms = buf_str(&names),
					   .sieve = l->config.sieve,
					   .redirects = l->config.redirects,
					   .language = l->config.language,
					   .starttls = l->config.starttls && !l->tls};
	managesieve_capability_write(out, &c);
}

void login_managesieve_greet(const struct login_managesieve *l, struct buf *out)
{
	tell_capabilities(l, out);
	ok(out, T("barid ready."));
}

/* After a reply to something that was no good: the connection ends when there were too many. */
static enum login_managesieve_action count_bad(struct login_managesieve *l, struct buf *out)
{
	if (++l->bad < l->config.bad_max)
		return LOGIN_MANAGESIEVE_NONE;
	managesieve_write_reply(out, MANAGESIEVE_BYE, STR(""), str_c(T("Too many bad commands.")));
	return LOGIN_MANAGESIEVE_CLOSE;
}

static enum login_managesieve_action refuse_bad(struct login_managesieve *l, struct buf *out,
						const char *text)
{
	no(out, "", text);
	return count_bad(l, out);
}

/* --- AUTHENTICATE --- */

static enum login_managesieve_action after_sasl(struct login_managesieve *l,
						enum login_sasl_result r, struct buf *out)
{
	l->in_sasl = r == LOGIN_SASL_CONTINUE;
	switch (r) {
	case LOGIN_SASL_CONTINUE:
		return LOGIN_MANAGESIEVE_NONE;
	case LOGIN_SASL_VERIFY:
		l->verifying = true;
		return LOGIN_MANAGESIEVE_VERIFY;
	case LOGIN_SASL_DECIDED:
		login_sasl_verdict(out, LOGIN_MANAGESIEVE, STR_NULL, l->sasl.verdict);
		return l->sasl.verdict == LOGIN_VERDICT_OK ? LOGIN_MANAGESIEVE_DONE
							   : LOGIN_MANAGESIEVE_NONE;
	case LOGIN_SASL_FAILED:
		l->attempt = l->sasl.failed;
		break;
	}
	return count_bad(l, out);
}

static enum login_managesieve_action
do_authenticate(struct login_managesieve *l, const struct managesieve_cmd *cmd, struct buf *out)
{
	if (!login_allowed(l)) {
		l->attempt = "no TLS";
		no(out, "ENCRYPT-NEEDED", T("Passwords are taken with TLS only: use STARTTLS."));
		return LOGIN_MANAGESIEVE_NONE;
	}
	struct login_sasl_start start = {.dialect = LOGIN_MANAGESIEVE,
					 .mechanism = cmd->text,
					 .initial = cmd->script,
					 .offer = &l->config.offer};
	return after_sasl(l, login_sasl_begin(&l->sasl, &start, out), out);
}

/* --- commands --- */

static enum login_managesieve_action do_starttls(struct login_managesieve *l, struct buf *out)
{
	if (l->tls)
		return refuse_bad(l, out, T("TLS is active already."));
	if (!l->config.starttls)
		return refuse_bad(l, out, T("TLS is not offered here."));
	ok(out, T("Begin TLS now."));
	return LOGIN_MANAGESIEVE_STARTTLS;
}

static enum login_managesieve_action do_noop(const struct managesieve_cmd *cmd, struct buf *out)
{
	managesieve_write_noop(out, cmd->text, T("Done."));
	return LOGIN_MANAGESIEVE_NONE;
}

static enum login_managesieve_action dispatch(struct login_managesieve *l,
					      const struct managesieve_cmd *cmd, struct buf *out)
{
	/* Everything that is not named here needs a login first. */
	if (cmd->verb == MANAGESIEVE_AUTHENTICATE)
		return do_authenticate(l, cmd, out);
	if (cmd->verb == MANAGESIEVE_STARTTLS)
		return do_starttls(l, out);
	if (cmd->verb == MANAGESIEVE_NOOP)
		return do_noop(cmd, out);
	if (cmd->verb == MANAGESIEVE_CAPABILITY) {
		tell_capabilities(l, out);
		ok(out, "");
		return LOGIN_MANAGESIEVE_NONE;
	}
	if (cmd->verb == MANAGESIEVE_LOGOUT) {
		ok(out, T("Until next time."));
		return LOGIN_MANAGESIEVE_CLOSE;
	}
	return refuse_bad(l, out, T("Log in first."));
}

/* A response with escapes was copied out of the input, which its owner overwrites. */
static void wipe_copy(const struct imap_input *in, struct str secret)
{
	bool borrowed = secret.p >= in->text.p && secret.p < in->text.p + in->text.n;
	if (secret.n > 0 && !borrowed)
		explicit_bzero((char *)(uintptr_t)secret.p, secret.n);
}

/* The line of an exchange; anything else but a string ends it as a response that is none. */
static enum login_managesieve_action take_response(struct login_managesieve *l,
						   const struct imap_input *in, struct arena *a,
						   struct buf *out)
{
	struct str response;
	if (managesieve_parse_string(in, a, &response, NULL) < 0)
		return after_sasl(l, login_sasl_line(&l->sasl, STR("!"), out), out);
	enum login_sasl_result r = login_sasl_line(&l->sasl, response, out);
	wipe_copy(in, response);
	return after_sasl(l, r, out);
}

enum login_managesieve_action
login_managesieve_command(struct login_managesieve *l, const struct imap_input *in, struct buf *out)
{
	AUTO(arena) struct arena a = ARENA_INIT(ARENA_MAX);
	struct managesieve_cmd cmd;
	struct fail why = FAIL_INIT;
	CHECK(!l->verifying);
	l->command = NULL;
	enum login_managesieve_action action;
	if (l->in_sasl) {
		action = take_response(l, in, &a, out);
	} else if (managesieve_parse(in, &a, &cmd, &why) < 0) {
		action = refuse_bad(l, out, text_of(why.public));
	} else {
		l->command = managesieve_verb_name(cmd.verb);
		action = dispatch(l, &cmd, out);
		if (cmd.verb == MANAGESIEVE_AUTHENTICATE)
			wipe_copy(in, cmd.script);
	}
	return action;
}

enum login_managesieve_action login_managesieve_dropped(struct login_managesieve *l,
							struct buf *out)
{
	if (l->in_sasl) /* what was dropped cannot be base64 */
		return after_sasl(l, login_sasl_line(&l->sasl, STR("!"), out), out);
	return refuse_bad(l, out, T("The command is too large, or holds a bare CR or a NUL."));
}

void login_managesieve_tls_started(struct login_managesieve *l, const struct login_offer *offer,
				   struct buf *out)
{
	l->tls = true;
	l->config.offer = *offer;
	l->in_sasl = false;
	tell_capabilities(l, out);
	ok(out, T("TLS is active."));
}

enum login_managesieve_action
login_managesieve_answer(struct login_managesieve *l, const struct login_answer *a, struct buf *out)
{
	CHECK(l->verifying);
	l->verifying = false;
	return after_sasl(l, login_sasl_answer(&l->sasl, a, out), out);
}
