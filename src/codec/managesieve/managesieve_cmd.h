/* SPDX-License-Identifier: Apache-2.0 */
/*
 * managesieve_cmd.h - commands of ManageSieve.                                 [codec, pure]
 *
 * RFC 5804 sections 2 and 4. A command is delimited by codec/frame/frame_imap.h, whose literals
 * {n+} are ManageSieve's; all of them stand in the text (no external ones). One that waits for an
 * answer ({n}) is none of a client: the framer's LITERAL with `sync` is refused by the caller.
 */
#ifndef BARID_CODEC_MANAGESIEVE_CMD_H
#define BARID_CODEC_MANAGESIEVE_CMD_H

#include "base/arena.h"
#include "base/fail.h"
#include "codec/imap/imap_lex.h"

enum managesieve_verb {
	MANAGESIEVE_AUTHENTICATE, /* text: the mechanism; script: the initial response */
	MANAGESIEVE_CAPABILITY,
	MANAGESIEVE_CHECKSCRIPT,  /* script */
	MANAGESIEVE_DELETESCRIPT, /* name */
	MANAGESIEVE_GETSCRIPT,	  /* name */
	MANAGESIEVE_HAVESPACE,	  /* name, size */
	MANAGESIEVE_LISTSCRIPTS,
	MANAGESIEVE_LOGOUT,
	MANAGESIEVE_NOOP,	  /* text: to be told again; {NULL, 0} when there was none */
	MANAGESIEVE_PUTSCRIPT,	  /* name, script */
	MANAGESIEVE_RENAMESCRIPT, /* name, to */
	MANAGESIEVE_SETACTIVE,	  /* name; empty: no script is active from now on */
	MANAGESIEVE_STARTTLS,
	MANAGESIEVE_UNAUTHENTICATE,
	MANAGESIEVE_VERBS
};

/* Texts point into the input or the arena. */
struct managesieve_cmd {
	enum managesieve_verb verb;
	struct str name, to;
	struct str text;
	struct str script; /* any bytes; {NULL, 0}: AUTHENTICATE without an initial response */
	uint32_t size;	   /* octets */
};

/* Octets of a script's name; RFC 5804 1.6 asks for at least 128 characters. */
#define MANAGESIEVE_NAME_MAX 512u

/*
 * Parse one command, without its last CRLF. Errors: FAIL_UNSUPPORTED (no such command),
 * FAIL_SYNTAX, FAIL_LIMIT; the public text of *why may be told to the client.
 */
MUST_CHECK int managesieve_parse(const struct imap_input *in, struct arena *a,
				 struct managesieve_cmd *ret, struct fail *why);
/* A line of AUTHENTICATE: one string (RFC 5804 2.1). FAIL_SYNTAX. */
MUST_CHECK int managesieve_parse_string(const struct imap_input *in, struct arena *a,
					struct str *ret, struct fail *why);

/* RFC 5804 1.6: UTF-8 without controls and line ends, 1 to MANAGESIEVE_NAME_MAX octets. */
bool managesieve_name_is_good(struct str name);

const char *managesieve_verb_name(enum managesieve_verb v); /* "PUTSCRIPT" */

#endif
