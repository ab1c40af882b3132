/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_pop3.h - POP3 until somebody is logged in.                             [proto]
 *
 * RFC 1939 section 4 (USER and PASS; not APOP, for which the server would have to keep passwords
 * that can be read), RFC 2449, RFC 2595, RFC 5034, RFC 6856. Runs in edge and does no I/O: lines
 * in, replies (in `out`, CRLF included) and one action out. One thread at a time per object.
 *
 *     login_pop3_greet -> send
 *     each line, in an exchange of AUTH too -> login_pop3_line
 *
 * Who has been let in hears of it from the user process, which has to open and lock the mailbox
 * first: login_pop3_answer says nothing then.
 */
#ifndef BARID_PROTO_LOGIN_POP3_H
#define BARID_PROTO_LOGIN_POP3_H

#include "codec/pop3/pop3_capa.h"
#include "codec/pop3/pop3_lang.h"
#include "proto/login/login_sasl.h"

struct login_pop3_config {
	bool stls;		  /* TLS can be offered on this port */
	bool plain_allowed;	  /* the peer is trusted: passwords may travel without TLS */
	uint32_t login_delay_s;	  /* told with the capabilities */
	const char *usual;	  /* language that "*" stands for; outlives the object */
	struct login_offer offer; /* beside PLAIN and LOGIN */
	unsigned bad_max;	  /* the connection ends at this many bad commands; 0 = 10 */
};

/* What edge does after it has sent the reply. */
enum login_pop3_action {
	LOGIN_POP3_NONE,
	LOGIN_POP3_STLS,   /* drop all input that is buffered, do the handshake, then
			      login_pop3_tls_started */
	LOGIN_POP3_VERIFY, /* ask dir about l->sasl, then login_pop3_answer; wipe the framer */
	LOGIN_POP3_DONE,   /* logged in: the user process says the rest */
	LOGIN_POP3_CLOSE,
};

struct login_pop3 {
	struct login_pop3_config config;
	bool tls;
	bool in_sasl;
	bool verifying;
	bool said; /* something, of whatever kind; edge's */
	unsigned bad;
	struct pop3_choice choice;
	char user[256]; /* of USER, for the PASS that follows; empty: there was none */
	struct login_sasl sasl;
	/* An attempt that ended with this call and that dir did not hear of, for the log: why
	   (NULL: there is none), and the user as far as it is known. Taken by who logs it. */
	const char *attempt;
	char attempt_user[256];
	const char *command; /* the line's, for the log; NULL: a line of an exchange */
};

/* `tls`: the connection has it from the start (port 995). */
void login_pop3_init(struct login_pop3 *l, const struct login_pop3_config *config, bool tls);
void login_pop3_clear(struct login_pop3 *l); /* overwrites secrets */

void login_pop3_greet(struct buf *out);
/* A line without CRLF; `bad`: it was too long or malformed, and is not looked at. */
enum login_pop3_action login_pop3_line(struct login_pop3 *l, struct str line, bool bad,
				       struct buf *out);
/* `offer`: from now on. */
void login_pop3_tls_started(struct login_pop3 *l, const struct login_offer *offer);
enum login_pop3_action login_pop3_answer(struct login_pop3 *l, const struct login_answer *a,
					 struct buf *out);

/* Ends from our side, to be sent before closing: in the language of the session. */
void login_pop3_bye_timeout(struct buf *out);
void login_pop3_bye_shutdown(struct buf *out);

#endif
