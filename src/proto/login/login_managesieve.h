/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_managesieve.h - ManageSieve until somebody is logged in.               [proto]
 *
 * RFC 5804 sections 1.8, 2.1 to 2.4 and 2.13. Runs in edge and does no I/O: complete commands in
 * (codec/frame/frame_imap.h; a line of an AUTHENTICATE exchange is one too), replies (in `out`,
 * CRLF included) and one action out. One thread at a time per object.
 */
#ifndef BARID_PROTO_LOGIN_MANAGESIEVE_H
#define BARID_PROTO_LOGIN_MANAGESIEVE_H

#include "codec/frame/frame_imap.h"
#include "proto/login/login_sasl.h"

struct login_managesieve_config {
	bool starttls;		  /* TLS can be offered on this port */
	bool plain_allowed;	  /* the peer is trusted: passwords may travel without TLS */
	struct str sieve;	  /* extensions of the language; outlives the object */
	uint64_t redirects;	  /* told with the capabilities */
	struct str language;	  /* of texts; outlives the object */
	struct login_offer offer; /* beside PLAIN and LOGIN */
	unsigned bad_max;	  /* the connection ends at this many bad commands; 0 = 10 */
};

/* What edge does after it has sent the reply. */
enum login_managesieve_action {
	LOGIN_MANAGESIEVE_NONE,
	LOGIN_MANAGESIEVE_STARTTLS, /* drop all input that is buffered, do the handshake, then
				       login_managesieve_tls_started */
	LOGIN_MANAGESIEVE_VERIFY,   /* ask dir about l->sasl, then login_managesieve_answer; wipe
				       the framer */
	LOGIN_MANAGESIEVE_DONE,	    /* logged in, and the client knows */
	LOGIN_MANAGESIEVE_CLOSE,
};

struct login_managesieve {
	struct login_managesieve_config config;
	bool tls;
	bool in_sasl;
	bool verifying;
	bool said; /* something, of whatever kind; edge's */
	unsigned bad;
	struct login_sasl sasl;
	/* An attempt that ended with this call and that dir did not hear of, for the log: why
	   (NULL: there is none). Taken by who logs it. */
	const char *attempt;
	const char *command; /* for the log; NULL: a line of an exchange */
};

/* `tls`: the connection has it already, at a proxy. */
void login_managesieve_init(struct login_managesieve *l,
			    const struct login_managesieve_config *config, bool tls);
void login_managesieve_clear(struct login_managesieve *l); /* overwrites secrets */

/* Capabilities and OK. */
void login_managesieve_greet(const struct login_managesieve *l, struct buf *out);
/* FRAME_IMAP_COMMAND. */
enum login_managesieve_action login_managesieve_command(struct login_managesieve *l,
							const struct imap_input *in,
							struct buf *out);
/* FRAME_IMAP_TOO_BIG, _REFUSED or _MALFORMED. */
enum login_managesieve_action login_managesieve_dropped(struct login_managesieve *l,
							struct buf *out);
/* The capabilities again (RFC 5804 2.2), to be sent. `offer`: from now on. */
void login_managesieve_tls_started(struct login_managesieve *l, const struct login_offer *offer,
				   struct buf *out);
enum login_managesieve_action login_managesieve_answer(struct login_managesieve *l,
						       const struct login_answer *a,
						       struct buf *out);

/* Ends from our side, to be sent before closing. */
void login_managesieve_bye_timeout(struct buf *out);
void login_managesieve_bye_shutdown(struct buf *out);

#endif
