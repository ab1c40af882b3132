/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_request.h - Postfix' access policy delegation, one request and its answer.  [codec, pure]
 *
 * A request is lines of name=value, each ended by LF, and an empty line (Postfix 2.1 and later,
 * SMTPD_POLICY_README). A connection carries any number of them, one behind the other. The answer
 * is one line, "action=...", and an empty line.
 *
 * policy_frame_end finds where a request ends; policy_request_parse reads it. Attributes that are
 * not known are left out: every version of Postfix adds some.
 *
 * Invariants
 *  1. Every text of a request lies within the block that was read.
 *  2. An answer is exactly one line, whatever its text holds.
 */
#ifndef BARID_CODEC_POLICY_POLICY_REQUEST_H
#define BARID_CODEC_POLICY_POLICY_REQUEST_H

#include "base/buf.h"

#define POLICY_REQUEST_MAX    KIB(16) /* octets of a request, its empty line included */
#define POLICY_ATTRIBUTES_MAX 200u    /* lines of a request */
#define POLICY_ACTION_MAX     2000u   /* octets of an answer's text; the rest is cut off */

/* When Postfix asks. */
enum policy_state {
	POLICY_STATE_CONNECT,
	POLICY_STATE_EHLO,
	POLICY_STATE_HELO,
	POLICY_STATE_MAIL,
	POLICY_STATE_RCPT,
	POLICY_STATE_DATA,
	POLICY_STATE_END_OF_MESSAGE,
	POLICY_STATE_VRFY,
	POLICY_STATE_ETRN,
	POLICY_STATE_OTHER, /* one that is not known, or none was said */
	POLICY_STATES
};
/* "RCPT", "END-OF-MESSAGE"; "-" for POLICY_STATE_OTHER. */
const char *policy_state_name(enum policy_state s);
enum policy_state policy_state_of(struct str name); /* as Postfix writes it */

/* Empty where nothing was said. Numbers that are none read as 0. */
struct policy_request {
	/* Postfix 2.1 */
	enum policy_state state;
	struct str protocol_name; /* "SMTP", "ESMTP" */
	struct str helo_name;
	struct str queue_id;
	struct str sender, recipient; /* without angle brackets */
	struct str client_address, client_name;
	/* 2.2 */
	struct str reverse_client_name;
	struct str instance; /* the same for all requests about one message */
	struct str sasl_method, sasl_username, sasl_sender;
	uint64_t size; /* at RCPT as the client announced it, at END-OF-MESSAGE the true one */
	struct str ccert_subject, ccert_issuer, ccert_fingerprint;
	/* 2.3 */
	struct str encryption_protocol, encryption_cipher;
	uint64_t encryption_keysize;
	struct str etrn_domain;
	uint64_t recipient_count; /* 0 before DATA */
	/* 2.5 */
	struct str stress; /* "yes", or empty */
	/* 2.9 */
	struct str ccert_pubkey_fingerprint;
	/* 3.0 */
	uint64_t client_port;
	/* 3.1 */
	struct str policy_context;
	/* 3.2 */
	struct str server_address;
	uint64_t server_port;
	/* 3.8 */
	struct str compatibility_level, mail_version;
	/* 3.10 and later */
	struct str tls_sni;
	bool smtputf8; /* "smtputf8=yes"; some front ends say so */
};

/*
 * Where the first request of `in` ends, its empty line included; a CR before an LF counts for
 * nothing. 0: not here yet. -FAIL_TOOBIG: POLICY_REQUEST_MAX octets went by without an end.
 */
MUST_CHECK int policy_frame_end(struct str in, size_t *ret_end);

/*
 * Read a request (with or without its empty line). The texts borrow from `block`. When an attribute
 * is said twice, the last one counts.
 *
 * Returns 0, or
 *   -FAIL_SYNTAX       a line without "=", a NUL, or no "request" attribute
 *   -FAIL_UNSUPPORTED  a request of another kind than smtpd_access_policy
 *   -FAIL_LIMIT        more than POLICY_ATTRIBUTES_MAX lines
 */
MUST_CHECK int policy_request_parse(struct str block, struct policy_request *ret);

/* The reverse: for tools and tests. Texts with control characters are cut at the first. */
void policy_request_write(const struct policy_request *r, struct buf *out);

/*
 * Append "action=ACTION\n\n". Control characters become blanks, what is longer than
 * POLICY_ACTION_MAX is cut; an empty action is DUNNO.
 */
void policy_answer_write(struct buf *out, struct str action);

#endif
