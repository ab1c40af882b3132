/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_cmd.h - one SMTP command line, parsed.                             [codec, pure]
 *
 * RFC 5321 4.1 with SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), DSN (RFC 3461),
 * FUTURERELEASE (RFC 4865), DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710), REQUIRETLS (RFC 8689),
 * CHUNKING (RFC 3030), STARTTLS (RFC 3207), AUTH (RFC 4954). Input is a line without its CRLF.
 * Texts in the result borrow from the line. Whether a command is allowed now, and whether the
 * server offers what it asks for, is the session's business (proto/smtp).
 */
#ifndef BARID_CODEC_SMTP_SMTP_CMD_H
#define BARID_CODEC_SMTP_SMTP_CMD_H

#include "base/ids.h"
#include "codec/smtp/smtp_addr.h"
#include "codec/smtp/smtp_reply.h"

enum smtp_verb {
	SMTP_VERB_UNKNOWN,
	SMTP_VERB_HELO,
	SMTP_VERB_EHLO,
	SMTP_VERB_LHLO,
	SMTP_VERB_MAIL,
	SMTP_VERB_RCPT,
	SMTP_VERB_DATA,
	SMTP_VERB_BDAT,
	SMTP_VERB_RSET,
	SMTP_VERB_NOOP,
	SMTP_VERB_VRFY,
	SMTP_VERB_EXPN,
	SMTP_VERB_HELP,
	SMTP_VERB_QUIT,
	SMTP_VERB_STARTTLS,
	SMTP_VERB_AUTH,
	SMTP_VERB_XCLIENT,  /* Postfix's; arguments: codec/smtp/xclient.h */
	SMTP_VERB_XFORWARD, /* likewise */
	SMTP_VERB_ETRN,	    /* RFC 1985 */
	SMTP_VERB_BURL,	    /* RFC 4468 */
};

enum smtp_body_type { SMTP_BODY_UNSPECIFIED, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };
enum smtp_ret { SMTP_RET_UNSPECIFIED, SMTP_RET_FULL, SMTP_RET_HDRS };

/* NOTIFY= (RFC 3461 4.1); 0 = not given, which means failure and perhaps delay. */
enum {
	SMTP_NOTIFY_NEVER = 1u << 0,
	SMTP_NOTIFY_SUCCESS = 1u << 1,
	SMTP_NOTIFY_FAILURE = 1u << 2,
	SMTP_NOTIFY_DELAY = 1u << 3,
};

/* Mode of BY= (RFC 2852 4). */
enum smtp_by_mode { SMTP_BY_NONE, SMTP_BY_RETURN, SMTP_BY_NOTIFY };

#define SMTP_PRIORITY_MAX 9 /* RFC 6710; and -9 */

#define SMTP_ENVID_MAX 100 /* RFC 3461 4.4 */
#define SMTP_ORCPT_MAX 500 /* RFC 3461 4.2 */

struct smtp_mail {
	struct smtp_addr from;
	bool has_size;
	uint64_t size; /* UINT64_MAX when it does not fit */
	enum smtp_body_type body;
	bool smtputf8;
	enum smtp_ret ret;
	struct str envid; /* xtext as given, checked; NULL p: none */
	struct str auth;  /* AUTH=: xtext as given or "<>"; NULL p: none */
	bool has_hold;	  /* one of the next two was given */
	uint32_t hold_for_s;
	struct wall_us hold_until; /* 0: hold_for_s counts */
	enum smtp_by_mode by_mode; /* SMTP_BY_NONE: not given */
	int32_t by_s;		   /* from now; may be negative with SMTP_BY_NOTIFY */
	bool by_trace;
	bool has_priority;
	int priority; /* -9 to 9 */
	bool requiretls;
};

struct smtp_rcpt {
	struct smtp_addr to; /* without a domain: <postmaster> */
	unsigned notify;     /* SMTP_NOTIFY_* */
	struct str orcpt;    /* "type;xtext" as given, checked; NULL p: none */
};

struct smtp_cmd {
	enum smtp_verb verb;
	struct str arg; /* the text behind the verb, trimmed; EHLO: the name; AUTH: see mechanism */
	union {
		struct smtp_mail mail;
		struct smtp_rcpt rcpt;
		struct {
			uint64_t size;
			bool last;
		} bdat;
		struct {
			struct str url;
			bool last;
		} burl;
		struct {
			struct str mechanism;
			struct str initial; /* base64, or "=" for an empty one; NULL p: none */
		} auth;
	};
};

/*
 * Parse `line` into *ret. On an error *ret holds the verb (perhaps SMTP_VERB_UNKNOWN), *ret_refusal
 * the reply to give, and the result is FAIL_SYNTAX (the line is wrong) or FAIL_UNSUPPORTED (a
 * parameter or value that nobody here implements).
 */
MUST_CHECK int smtp_cmd_parse(struct str line, struct smtp_cmd *ret,
			      struct smtp_status *ret_refusal);

/* The verb alone, without looking at what follows. */
enum smtp_verb smtp_cmd_verb(struct str line);

/*
 * Cut the initial response off an AUTH line, so that the rest may travel to a process that must
 * not see passwords. True when there was one: *ret_line is "AUTH MECHANISM", *ret_initial the
 * response as sent. Otherwise false and *ret_line is the whole line.
 */
bool smtp_cmd_split_auth(struct str line, struct str *ret_line, struct str *ret_initial);

#endif
