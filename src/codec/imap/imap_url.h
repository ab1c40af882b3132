/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_url.h - the URL of a message or a part of one, with its right.          [codec, pure]
 *
 * RFC 5092 (IMAP URLs) and RFC 4467 (URLAUTH), absolute URLs to messages only:
 *
 *     imap://user@host[:port]/mailbox[;UIDVALIDITY=n]/;UID=n[/;SECTION=s][/;PARTIAL=a[.b]]
 *         [;EXPIRE=date-time];URLAUTH=access[:mechanism:token]
 *
 * Everything is bounded by the URL's length. Nothing is checked against a store or a clock.
 */
#ifndef BARID_CODEC_IMAP_URL_H
#define BARID_CODEC_IMAP_URL_H

#include "base/arena.h"
#include "base/ids.h"
#include "codec/imap/imap_cmd.h"

#define IMAP_URL_MAX	   4000 /* octets */
#define IMAP_URL_TOKEN_MAX 128	/* digits */

enum imap_url_access {
	IMAP_URL_SUBMIT,   /* the submission server, for this user */
	IMAP_URL_USER,	   /* this user */
	IMAP_URL_AUTHUSER, /* who has logged in */
	IMAP_URL_ANYBODY,
};

struct imap_url {
	struct str user;      /* whose mailbox */
	struct str host;      /* with the port, as written */
	struct str mailbox;   /* UTF-8 */
	uint32_t uidvalidity; /* 0: not given */
	uint32_t uid;
	struct imap_section section;
	bool partial;
	uint64_t offset;
	uint64_t count; /* UINT64_MAX: to the end */
	bool expires;
	struct wall_us expire;
	enum imap_url_access access;
	struct str for_user;  /* of IMAP_URL_SUBMIT and IMAP_URL_USER */
	struct str rump;      /* the URL up to the access identifier: what the token signs */
	struct str mechanism; /* with `token`; empty: none */
	struct str token;     /* hexadecimal digits, as written */
};

/*
 * `signed_`: with mechanism and token; else without them, as GENURLAUTH has it. Texts borrow from
 * `text` or live in the arena. -FAIL_SYNTAX with the text, -FAIL_LIMIT.
 */
MUST_CHECK int imap_url_parse(struct str text, bool signed_, struct arena *arena,
			      struct imap_url *ret, struct fail *why);

/*
 * A relative URL, as CATENATE has it (RFC 4469 section 3): "/mailbox[;UIDVALIDITY=n]/;UID=n..." or,
 * for the selected mailbox, ";UID=n...": ret->mailbox.p is NULL then. Without URLAUTH.
 */
MUST_CHECK int imap_url_parse_relative(struct str text, struct arena *arena, struct imap_url *ret,
				       struct fail *why);

/* What stands between "[" and "]" of BODY[...]. */
MUST_CHECK int imap_section_parse(struct str text, struct arena *arena, struct imap_section *ret,
				  struct fail *why);

#endif
