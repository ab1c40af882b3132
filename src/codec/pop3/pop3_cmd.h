/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3_cmd.h - one line of a POP3 client as a command.                         [codec, pure]
 *
 * RFC 1939 (sections 3 to 7), RFC 2449 (CAPA), RFC 2595 (STLS), RFC 5034 (AUTH with an initial
 * response), RFC 6856 (UTF8, LANG). The line comes without its CRLF. A keyword is taken in either
 * case; blanks at the end of the line are not looked at. What a command may be said in which state
 * is not decided here.
 */
#ifndef BARID_CODEC_POP3_CMD_H
#define BARID_CODEC_POP3_CMD_H

#include "base/fail.h"
#include "base/str.h"

enum pop3_kind {
	POP3_USER,
	POP3_PASS,
	POP3_AUTH,
	POP3_CAPA,
	POP3_STLS,
	POP3_UTF8,
	POP3_LANG,
	POP3_QUIT,
	POP3_STAT,
	POP3_LIST,
	POP3_UIDL,
	POP3_RETR,
	POP3_TOP,
	POP3_DELE,
	POP3_NOOP,
	POP3_RSET,
	POP3_KINDS
};

/* RFC 2449 section 4 has 255 octets for a command; passwords are allowed to be longer. */
#define POP3_LINE_MAX 1024

struct pop3_cmd {
	enum pop3_kind kind;
	/* USER: the name; PASS: everything behind the first blank, blanks too; AUTH: the mechanism,
	 * empty = which are there?; LANG: a language range, empty = which are there? */
	struct str arg;
	struct str initial; /* AUTH: the initial response; p NULL = none */
	uint32_t number;    /* LIST, UIDL, RETR, TOP, DELE: the message; 0 = all (LIST, UIDL) */
	uint32_t lines;	    /* TOP */
};

/*
 * Borrowed from `line`. -FAIL_UNSUPPORTED: no such command; -FAIL_SYNTAX: its arguments are wrong,
 * and ret->kind is set. A message number over 32 bits is one that no mailbox has: UINT32_MAX.
 */
MUST_CHECK int pop3_cmd_parse(struct str line, struct pop3_cmd *ret);
/* "RETR", for the log. */
const char *pop3_cmd_name(enum pop3_kind kind);

#endif
