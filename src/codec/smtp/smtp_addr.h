/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_addr.h - mail addresses as SMTP writes them.                       [codec, pure]
 *
 * RFC 5321 4.1.2 and 4.1.3 (Path, Mailbox, address literals), RFC 6531 3.3 (UTF-8). A parsed
 * address is normalised, so that equal mailboxes mostly compare equal:
 *  - the domain is lower case, internationalised labels are A-labels (xn--...), trailing dots are
 *    not accepted; address literals are "[192.0.2.1]" or "[IPv6:2001:db8::1]" in lower case;
 *  - the local part keeps its case, and is quoted only when it cannot be written without;
 *  - a source route ("@a,@b:") is accepted and dropped (RFC 5321 4.1.1.3).
 */
#ifndef BARID_CODEC_SMTP_SMTP_ADDR_H
#define BARID_CODEC_SMTP_SMTP_ADDR_H

#include "base/buf.h"
#include "base/str.h"

/*
 * RFC 5321 4.5.3.1.1 to .3: octets; a path is 256 with its angle brackets. A local part that the
 * Sender Rewriting Scheme made (SRS0, SRS1) holds a whole address, and is bound by the path alone:
 * its servers must accept such addresses, and others do.
 */
#define SMTP_LOCAL_MAX	64
#define SMTP_DOMAIN_MAX 253
#define SMTP_ADDR_MAX	254

/* Invariant: text is NUL-terminated, text[local_n] is '@' or, without a domain, NUL. */
struct smtp_addr {
	uint16_t n;	  /* octets of text; 0 = the null path <> */
	uint16_t local_n; /* octets before the '@' */
	bool utf8;	  /* the sender wrote it with non-ASCII characters (needs SMTPUTF8) */
	char text[SMTP_ADDR_MAX + 1];
};

/* What a path may be besides <local@domain>. */
enum {
	SMTP_PATH_NULL = 1u << 0, /* <> (MAIL FROM) */
	SMTP_PATH_POSTMASTER =
		1u << 1, /* <postmaster> in any case (RCPT TO); the domain stays empty */
};

/*
 * Parse the path at the front of s into *ret; *ret_used is how many octets it took. A mailbox
 * without angle brackets, ended by SP or the end, is accepted as the reference does, and so are
 * single quotes put around a whole address by mistake: <'a@b'>.
 *
 * Errors: FAIL_SYNTAX (not the grammar), FAIL_TOOBIG (over a limit above), FAIL_NOTFOUND (no
 * domain). Outputs are untouched then.
 */
MUST_CHECK int smtp_path_parse(struct str s, unsigned flags, struct smtp_addr *ret,
			       size_t *ret_used);

/* All of s is one mailbox, local@domain. Errors as above. */
MUST_CHECK int smtp_mailbox_parse(struct str s, struct smtp_addr *ret);

/*
 * Put an address together from a local part without quoting and a normalised domain (empty: none).
 * FAIL_SYNTAX when the local part holds control characters, is no UTF-8 or empty, FAIL_TOOBIG.
 */
MUST_CHECK int smtp_addr_make(struct str plain_local, struct str domain, struct smtp_addr *ret);

/* Append the local part without quotes and backslashes. */
int smtp_addr_plain_local(const struct smtp_addr *a, struct buf *out);

/*
 * Append the normalised form of a domain name (no literal). FAIL_SYNTAX, FAIL_TOOBIG (a label over
 * 63 or the name over 253 octets); then nothing was appended.
 */
MUST_CHECK int smtp_domain_normalise(struct str name, struct buf *out);

/* A name with a dot inside, or an address literal: can be meaningful to another host. */
bool smtp_domain_is_full(struct str domain);

static inline struct str smtp_addr_str(const struct smtp_addr *a)
{
	return str_make(a->text, a->n);
}
static inline struct str smtp_addr_local(const struct smtp_addr *a)
{
	return str_make(a->text, a->local_n);
}
static inline struct str smtp_addr_domain(const struct smtp_addr *a)
{
	return str_skip(smtp_addr_str(a), (size_t)a->local_n + 1);
}
static inline bool smtp_addr_is_null(const struct smtp_addr *a)
{
	return a->n == 0;
}

#endif
