/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_client_int.h - what the files of this folder share.                 [proto, private]
 */
#ifndef BARID_PROTO_SMTP_CLIENT_SMTP_CLIENT_INT_H
#define BARID_PROTO_SMTP_CLIENT_SMTP_CLIENT_INT_H

#include "proto/smtp_client/smtp_client.h"
#include "sys/digest.h"

#define OUT_MAX MIB(1)

/* Send what is in c->out, within `ms`. */
MUST_CHECK int client_flush(struct smtp_client *c, uint64_t ms);
/*
 * Read a whole reply into c->answer, within `ms` from now; each keyword line behind the first goes
 * to `keyword` (may be NULL). 0 when one came, whatever it says.
 */
MUST_CHECK int client_reply(struct smtp_client *c, uint64_t ms,
			    void (*keyword)(struct smtp_client *c, struct str text));
/* 0 (2xx, 3xx), -FAIL_TEMP or -FAIL_PERM of c->answer. */
int client_verdict(const struct smtp_client *c);
/* A command without argument, and its reply. 0 whatever the reply says. */
MUST_CHECK int client_ask(struct smtp_client *c, const char *phase, const char *line, uint64_t ms);
/* The connection is of no use any more; c->answer says why. Returns -code. */
int client_lost(struct smtp_client *c, enum fail_code code, const char *what);

/* client_content.c: */
/* The message by DATA, with its final dot; to c->wire directly. */
MUST_CHECK int client_data(struct smtp_client *c, const struct smtp_client_message *m);
/* "BDAT n LAST" and the message, to the end of c->out. */
MUST_CHECK int client_bdat(struct smtp_client *c, const struct smtp_client_message *m);

/* client_auth.c: */
bool client_has_mechanism(const struct smtp_client *c, struct str name);
/* Base64 of `s`, with `before` in front of it, as a line of its own; and its reply. */
MUST_CHECK int client_say_secret(struct smtp_client *c, const char *before, struct str s);

/* client_scram.c: */
struct client_scram {
	enum digest digest;
	struct str user, password;
	const char *gs2;    /* "n,,", "y,,", "p=tls-exporter,," */
	struct str binding; /* with "p=": the channel's data */
	char nonce[40];
	uint8_t signature[DIGEST_LEN_MAX]; /* that the server has to show */
};
/* The answer to "r=...,s=...,i=..." is appended. -FAIL_SYNTAX: that is not what it says, or it asks
 * for more work than a login is worth. */
MUST_CHECK int client_scram_answer(struct client_scram *s, struct str challenge, struct buf *out);
/*
 * 1: by one of SCRAM's mechanisms; what was answered is in c->answer, 235 among it. 0: none is
 * offered, or this login cannot be said so.
 */
MUST_CHECK int client_auth_scram(struct smtp_client *c, struct str user, struct str password);

#endif
