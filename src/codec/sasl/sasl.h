/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sasl.h - the server's side of SASL PLAIN and LOGIN.                          [codec, pure]
 *
 * RFC 4422, RFC 4616 (PLAIN), draft-murchison-sasl-login (LOGIN). Works on the base64 texts of a
 * protocol profile; how they stand in lines is the profile's business (proto/login/login_sasl.h).
 * The answers are secrets: they exist only in the caller's struct sasl_credentials (and, while a
 * call runs, in memory that is overwritten before it returns). Thread: one at a time.
 */
#ifndef BARID_CODEC_SASL_H
#define BARID_CODEC_SASL_H

#include "base/fail.h"
#include "base/str.h"

#define SASL_MESSAGE_MAX 1024 /* bytes of one decoded response */

/* user and password point into bytes. Both are non-empty UTF-8 without NUL when complete. */
struct sasl_credentials {
	struct str user;
	struct str password;
	struct str authzid; /* PLAIN: whom to act for, when that is not the user; else empty */
	size_t used;
	char bytes[3 * SASL_MESSAGE_MAX];
};
void sasl_credentials_clear(struct sasl_credentials *c); /* overwrites */
/* Set both at once, for LOGIN and USER/PASS commands; the same rules. */
int sasl_credentials_set(struct sasl_credentials *c, struct str user,
			 struct str password) MUST_CHECK;

enum sasl_mechanism { SASL_PLAIN, SASL_LOGIN };

/* Mechanisms that dir speaks, and edge only hands on: what is offered beside these two. */
enum sasl_offer {
	SASL_OFFER_SCRAM_256 = 1u << 0, /* SCRAM-SHA-256, and -PLUS where a channel binding is */
	SASL_OFFER_SCRAM_1 = 1u << 1,
	SASL_OFFER_OAUTH = 1u << 2, /* OAUTHBEARER and XOAUTH2, with TLS only */
};
#define SASL_RELAYED_MAX 9216 /* bytes of one decoded message of theirs */

enum sasl_step {
	SASL_STEP_CHALLENGE = 1, /* send sasl_challenge(), then give the client's line */
	SASL_STEP_DONE = 2,	 /* the credentials are complete; verify them */
};

struct sasl {
	enum sasl_mechanism mechanism;
	int responses; /* got so far */
	struct sasl_credentials *into;
};

/* -FAIL_UNSUPPORTED when the name (case-insensitive) is not one of ours. */
int sasl_mechanism_find(struct str name, enum sasl_mechanism *ret) MUST_CHECK;

/*
 * Start. `initial` is the base64 text given with the command ("=" stands for an empty response),
 * or {NULL, 0} when there was none. `into` is cleared first. Returns as sasl_continue.
 */
int sasl_start(struct sasl *s, enum sasl_mechanism mechanism, struct str initial,
	       struct sasl_credentials *into) MUST_CHECK;

/*
 * One response line, base64, without CRLF. Returns an enum sasl_step, or, with the credentials
 * overwritten,
 *   -FAIL_CANCELLED  the line is "*"
 *   -FAIL_SYNTAX     not base64, not the mechanism's form, a NUL or bytes that are not UTF-8
 *   -FAIL_LIMIT      longer than SASL_MESSAGE_MAX
 */
int sasl_continue(struct sasl *s, struct str line) MUST_CHECK;

/* Base64 of the challenge to send now: "" for PLAIN, "Username:" and "Password:" for LOGIN. */
struct str sasl_challenge(const struct sasl *s);

#endif
