/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/login/login_sasl.h"
#include "base/check.h"

/*
 * Texts of each end, by dialect. SMTP's codes: RFC 4954 section 6 and RFC 3463; IMAP's: RFC 5530.
 * One text for everything that dir refuses, so that nobody learns which addresses exist.
 */
enum end { END_CANCELLED, END_SYNTAX, END_TOO_LONG, END_MECHANISM, END_IDENTITY, END_COUNT };

static const char *const end_texts[END_COUNT][3] = {
	[END_CANCELLED] = {"BAD Authentication cancelled.", "501 5.7.0 Authentication cancelled",
			   "-ERR Authentication cancelled."},
	[END_SYNTAX] = {"BAD That is not a response of this mechanism.",
			"501 5.5.2 That is not a response of this mechanism",
			"-ERR That is not a response of this mechanism."},
	[END_TOO_LONG] = {"BAD The response is too long.", "500 5.5.6 The response is too long",
			  "-ERR The response is too long."},
	[END_MECHANISM] = {"NO [CANNOT] Mechanism not offered.", "504 5.5.4 Mechanism not offered",
			   "-ERR Mechanism not offered."},
	[END_IDENTITY] = {"NO [AUTHORIZATIONFAILED] Acting for others is not offered.",
			  "535 5.7.8 Acting for others is not offered",
			  "-ERR [AUTH] Acting for others is not offered."},
};

static const char *const verdict_texts[4][3] = {
	[LOGIN_VERDICT_OK] = {"OK Logged in.", "235 2.7.0 Authentication successful",
			      "+OK Logged in."},
	[LOGIN_VERDICT_REFUSED] = {"NO [AUTHENTICATIONFAILED] Authentication failed.",
				   "535 5.7.8 Authentication failed",
				   "-ERR [AUTH] Authentication failed."},
	[LOGIN_VERDICT_UNAVAILABLE] = {"NO [UNAVAILABLE] Logins are not possible now, try later.",
				       "454 4.7.0 Logins are not possible now, try later",
				       "-ERR [SYS/TEMP] Logins are not possible now, try later."},
	[LOGIN_VERDICT_BUSY] = {"NO [LIMIT] Too many attempts, try later.",
				"454 4.7.0 Too many attempts, try later",
				"-ERR [LOGIN-DELAY] Too many attempts, try later."},
};

static void write_line(struct buf *reply, enum login_dialect dialect, struct str tag,
		       const char *text)
{
	if (dialect == LOGIN_IMAP) {
		(void)buf_add(reply, tag.n > 0 ? tag : STR("*"));
		(void)buf_addc(reply, ' ');
	}
	(void)buf_add_c(reply, text);
	(void)buf_add(reply, STR("\r\n"));
}

static enum login_sasl_result finish(struct login_sasl *x, int r, struct buf *reply)
{
	if (r == SASL_STEP_DONE)
		return LOGIN_SASL_VERIFY;
	if (r == SASL_STEP_CHALLENGE) {
		struct str challenge = sasl_challenge(&x->sasl);
		(void)buf_add(reply, x->dialect == LOGIN_SMTP ? STR("334 ") : STR("+ "));
		(void)buf_add(reply, challenge);
		(void)buf_add(reply, STR("\r\n"));
		return LOGIN_SASL_CONTINUE;
	}
	enum end end = r == -FAIL_CANCELLED	? END_CANCELLED
		       : r == -FAIL_LIMIT	? END_TOO_LONG
		       : r == -FAIL_UNSUPPORTED ? END_MECHANISM
		       : r == -FAIL_AUTH	? END_IDENTITY
						: END_SYNTAX;
	write_line(reply, x->dialect, str_make(x->tag, x->tag_n), end_texts[end][x->dialect]);
	return LOGIN_SASL_FAILED;
}

enum login_sasl_result login_sasl_begin(struct login_sasl *x, enum login_dialect dialect,
					struct str tag, struct str mechanism, struct str initial,
					struct buf *reply)
{
	enum sasl_mechanism m;
	CHECK(tag.n <= sizeof x->tag);
	login_sasl_clear(x);
	x->dialect = dialect;
	if (tag.n > 0)
		memcpy(x->tag, tag.p, tag.n);
	x->tag_n = tag.n;
	int r = sasl_mechanism_find(mechanism, &m);
	if (r == 0)
		r = sasl_start(&x->sasl, m, initial, &x->credentials);
	return finish(x, r, reply);
}

enum login_sasl_result login_sasl_line(struct login_sasl *x, struct str line, struct buf *reply)
{
	return finish(x, sasl_continue(&x->sasl, line), reply);
}

void login_sasl_clear(struct login_sasl *x)
{
	explicit_bzero(x, sizeof *x);
}

void login_sasl_verdict(struct buf *reply, enum login_dialect dialect, struct str tag,
			enum login_verdict verdict)
{
	write_line(reply, dialect, tag, verdict_texts[verdict][dialect]);
}
