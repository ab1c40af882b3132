/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_imap.h - IMAP until somebody is logged in.                             [proto]
 *
 * RFC 3501 sections 6.1, 6.2 and 7.1; RFC 2595, RFC 4959 (SASL-IR), RFC 2971 (ID), RFC 5530
 * (response codes). Runs in edge and does no I/O: complete commands in, replies (in `out`, CRLF
 * included) and one action out. One thread at a time per object.
 *
 *     login_imap_greet -> send
 *     each FRAME_IMAP_COMMAND -> login_imap_command, or login_imap_line after LOGIN_ACTION_LINE
 *     each dropped command    -> login_imap_dropped
 */
#ifndef BARID_PROTO_LOGIN_IMAP_H
#define BARID_PROTO_LOGIN_IMAP_H

#include "codec/frame/frame_imap.h"
#include "codec/imap/imap_capability.h"
#include "codec/proxy/endpoint.h"
#include "proto/login/login_sasl.h"

struct login_imap_config {
	bool starttls;	     /* TLS can be offered on this port */
	bool plain_allowed;  /* the peer is trusted: passwords may travel without TLS */
	bool literal_minus;  /* LITERAL- instead of LITERAL+ is offered, before and after login */
	bool id_trusted;     /* the peer may say by ID for whom it speaks */
	const char *version; /* told in ID; NULL = only the name */
	struct imap_capability_limits limits; /* told with the capabilities */
	struct login_offer offer;	      /* beside PLAIN and LOGIN */
	unsigned bad_max; /* the connection ends at this many bad commands; 0 = 10 */
};

/* What edge does after it has sent the reply. */
enum login_action {
	LOGIN_ACTION_NONE,
	LOGIN_ACTION_LINE, /* the next line is raw: frame_imap_expect_raw, then login_imap_line */
	/* drop all input that is buffered or framed (frame_imap_wipe), do the handshake, then
	   login_imap_tls_started */
	LOGIN_ACTION_STARTTLS,
	LOGIN_ACTION_VERIFY, /* ask dir (login_sasl.h) about login_imap_sasl, then
				login_imap_answer; take no further command before; wipe the framer,
				it holds a secret */
	LOGIN_ACTION_PEER,   /* the peer said by ID for whom it speaks: see `client` and `local` */
	LOGIN_ACTION_DONE,   /* logged in: hand the connection to the account's session */
	LOGIN_ACTION_CLOSE,
};

struct login_imap {
	struct login_imap_config config;
	bool tls;
	bool in_sasl;
	bool verifying;
	bool said; /* something, of whatever kind; edge's */
	unsigned bad;
	struct login_sasl sasl;
	/* An attempt that ended with this call and that dir did not hear of, for the log: why
	   (NULL: there is none), and the user as far as it is known. Taken by who logs it. */
	const char *attempt;
	char attempt_user[256];
	struct endpoint client, local; /* LOGIN_ACTION_PEER: of family none when not told */
	char front_session[65];	       /* what the trusted peer calls it (x-session-id), or "" */
};

/* `tls`: the connection has it from the start (port 993). */
void login_imap_init(struct login_imap *l, const struct login_imap_config *config, bool tls);
void login_imap_clear(struct login_imap *l); /* overwrites secrets */

/* "* OK [CAPABILITY ...] ..." */
void login_imap_greet(const struct login_imap *l, struct buf *out);

/* "TAG OK [CAPABILITY ...] ...": the answer to UNAUTHENTICATE (RFC 8437), after which it begins. */
void login_imap_logged_out(const struct login_imap *l, struct str tag, struct buf *out);

enum login_action login_imap_command(struct login_imap *l, const struct imap_input *in,
				     struct buf *out);
enum login_action login_imap_line(struct login_imap *l, struct str line, struct buf *out);
/* FRAME_IMAP_TOO_BIG, _REFUSED or _MALFORMED. */
enum login_action login_imap_dropped(struct login_imap *l, enum frame_imap_event_kind kind,
				     struct str tag, struct buf *out);
/* `offer`: from now on. */
void login_imap_tls_started(struct login_imap *l, const struct login_offer *offer);

/* What to ask dir; valid between LOGIN_ACTION_VERIFY and login_imap_answer. */
const struct login_sasl *login_imap_sasl(const struct login_imap *l);
enum login_action login_imap_answer(struct login_imap *l, const struct login_answer *a,
				    struct buf *out);

/* Ends from our side, to be sent before closing. */
void login_imap_bye_timeout(struct buf *out);
void login_imap_bye_shutdown(struct buf *out);

#endif
