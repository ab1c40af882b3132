/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.h - address lists of header fields.                                  [codec, pure]
 *
 * RFC 5322 3.4 and 4.4 (routes, blanks around dots, empty elements), RFC 6532. One pass, nothing
 * is refused: what is no address becomes one with the parts that could be seen and `broken` set,
 * as the ENVELOPE of RFC 3501 needs it. Names stay as written (RFC 2047 words not decoded).
 *
 *     AUTO(addr_parser) struct addr_parser p;
 *     addr_begin(&p, value);
 *     while (addr_next(&p, &addr)) ...
 */
#ifndef BARID_CODEC_MIME_ADDRESS_H
#define BARID_CODEC_MIME_ADDRESS_H

#include "codec/mime/lex.h"

enum addr_kind {
	ADDR_MAILBOX,
	ADDR_GROUP,	/* start of a group: only `name` */
	ADDR_GROUP_END, /* always follows, even where the ";" is missing */
};

struct addr {
	enum addr_kind kind;
	struct str name;    /* display name or comment, unquoted; empty when absent */
	struct str route;   /* "@a,@b" (RFC 5322 obs-route); empty when absent */
	struct str mailbox; /* local part, unquoted; empty when missing */
	struct str host;    /* domain or domain literal; empty when missing */
	bool broken;
};

/* Longest name, route, local part or host that is returned. */
/* A word that would make it longer is left out. */
#define ADDR_TEXT_MAX 4096

struct addr_parser {
	struct lex x;
	struct buf phrase; /* the words so far, one space between them */
	size_t name_n;	   /* so much of phrase stands before `local` */
	struct buf local;  /* the last word, or words around dots: a local part if "@" follows */
	struct buf route;
	struct buf host;
	struct buf comment;
	bool in_group;
	bool quoted;   /* there was a quoted word */
	bool dotted;   /* the last thing was a dot */
	bool complete; /* an address was taken from this element; further words are dropped */
	bool returned; /* the bufs hold what addr_next returned last */
};

void addr_begin(struct addr_parser *p, struct str value);
void addr_clear(struct addr_parser *p);
DEFINE_AUTO(addr_parser, struct addr_parser, addr_clear);

/* The next address. Its texts are valid until the next call. */
bool addr_next(struct addr_parser *p, struct addr *ret);

#endif
