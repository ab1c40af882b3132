/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsn.h - compose a delivery status notification.                         [codec, pure]
 *
 * RFC 3464 (multipart/report of a text for people, message/delivery-status for programs, and the
 * original), RFC 3461 6.2 and 6.3 (what is returned), RFC 6533 (addresses beyond ASCII), RFC 3834
 * (Auto-Submitted). The report is sent with the null sender; it never answers a report.
 *
 * The text for people (dsn_text.c) is in the language asked for: which message it is about, by its
 * subject and date; per recipient what happened in plain words and what to do now, from the class
 * of the enhanced status; whom to ask; and the technical words at the end, under a heading.
 */
#ifndef BARID_CODEC_SMTP_DSN_H
#define BARID_CODEC_SMTP_DSN_H

#include "base/buf.h"
#include "base/ids.h"
#include "base/str.h"
#include "base/text.h"

/* RFC 3464 2.3.3. */
enum dsn_action {
	DSN_FAILED,
	DSN_DELAYED,
	DSN_DELIVERED,
	DSN_RELAYED, /* handed to a server that does not report itself */
	DSN_EXPANDED /* handed to a list */
};

/* Empty texts are left out of the report unless said otherwise. */
struct dsn_rcpt {
	struct str address; /* local@domain, as the report's Final-Recipient; never empty */
	struct str orcpt;   /* ORCPT= as given: "type;xtext" */
	enum dsn_action action;
	struct str status;     /* "5.1.1"; empty: a general one for the action */
	struct str remote_mta; /* host that gave the answer */
	/* What was answered, or why we gave up. With remote_mta it is that host's SMTP reply. */
	struct str diagnostic;
	struct wall_us last_attempt;	 /* 0: none */
	struct wall_us will_retry_until; /* delayed only; 0: not told */
	uint64_t size_max;		 /* largest message that is taken there; 0: not known */
};

struct dsn {
	struct str reporting_mta; /* our host name */
	/* Where postmaster@ is read, which the host name need not be; empty: the host name. */
	struct str postmaster_domain;
	struct str to;	     /* envelope sender of the original */
	struct str envid;    /* ENVID= as given, xtext */
	struct str queue_id; /* of the original, for whoever asks the postmaster */
	struct str unique; /* word of letters and digits, never used before: Message-ID, boundary */
	struct wall_us arrival;	   /* of the original */
	struct wall_us hold_until; /* its sender wanted it sent then (RFC 4865); 0: at once */
	uint64_t size;		   /* of the original, bytes; 0: not known */
	const struct text_language *language; /* NULL: English */
	struct wall_us now;
	bool utf8; /* the original came with SMTPUTF8, so its sender understands RFC 6533 reports */
	bool full; /* return the whole original, else its header only */
	struct str header; /* of the original: prefix and header with the empty line, CRLF */
	struct str body;   /* of the original; read when full */
	const struct dsn_rcpt *rcpts;
	size_t rcpt_count; /* at least 1 */
};

/*
 * Append the report, header and body, CRLF throughout. FAIL_LIMIT when `out` is too small for it.
 * All recipients of one report should have the same action; a mixture is worded as the worst.
 */
MUST_CHECK int dsn_write(struct buf *out, const struct dsn *d);

#endif
