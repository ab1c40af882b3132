/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_log.h - one line for each attempt to log in.                           [sys]
 *
 *     … warn dir[123] event=login trace=1f outcome=refused service=imap user="x y" peer=192.0.2.1
 *         mech=PLAIN tls=yes reason="wrong password"
 *
 * The form is a contract: packaging/fail2ban reads it, others may. Every attempt on every service
 * and by every mechanism makes one such line, written by the process that decided. The order of
 * the fields up to `mech` is fixed; the user's name is quoted as log_quote does and cut so that
 * the rest always fits, so nothing that a client sends can stand where another field does. No
 * password, token or hash is ever in it.
 */
#ifndef BARID_SYS_LOGIN_LOG_H
#define BARID_SYS_LOGIN_LOG_H

#include "base/str.h"

enum login_outcome {
	LOGIN_OUTCOME_OK,
	LOGIN_OUTCOME_REFUSED,	   /* wrong password, no such user, not allowed: `reason` tells */
	LOGIN_OUTCOME_INCOMPLETE,  /* ended before there was something to decide: cancelled,
				      malformed, without TLS, by an unknown mechanism */
	LOGIN_OUTCOME_UNAVAILABLE, /* our fault: nobody could decide */
};

struct login_line {
	enum login_outcome outcome;
	struct str service; /* "imaps" */
	struct str user;    /* as the client gave it; empty: not known */
	struct str peer;    /* the client's address; empty: a proxy did not know it */
	struct str mech;    /* "PLAIN"; empty: not known */
	bool tls;
	struct str reason; /* constant text or dir's, for people */
	struct str master; /* the master user who acts; empty: none */
	struct str app;	   /* label of the app password; empty: none */
};

void login_log(const struct login_line *l);

#endif
