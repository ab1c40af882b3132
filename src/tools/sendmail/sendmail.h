/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail.h - the command `sendmail` for programs of this machine.            [tools]
 *
 * cron, mail programs and scripts hand a message over by calling sendmail with options that have
 * been the same for decades. This one reads the message, completes it, and gives it to the server
 * by a UNIX socket; the kernel tells the server whose program it is, so nothing here is trusted and
 * the program has no rights of its own. Success means that the server has the message on disk.
 *
 * options.c  the command line      draft.c  the message      talk.c  the dialogue with the server
 */
#ifndef BARID_TOOLS_SENDMAIL_SENDMAIL_H
#define BARID_TOOLS_SENDMAIL_SENDMAIL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include <sysexits.h>

#define SENDMAIL_MESSAGE_MAX MIB(2047)

enum sendmail_mode {
	SENDMAIL_DELIVER, /* -bm: the message is on standard input */
	SENDMAIL_SMTP,	  /* -bs: standard input speaks SMTP */
	SENDMAIL_VERIFY,  /* -bv: are these recipients taken? */
	SENDMAIL_LIST,	  /* -bp, mailq */
	SENDMAIL_ALIASES, /* -bi, newaliases */
	SENDMAIL_FLUSH,	  /* -q */
};

struct strs {
	VEC(struct str) v;
};

struct sendmail_options {
	enum sendmail_mode mode;
	bool from_header;  /* -t */
	bool dot_is_data;  /* -i, -oi: a line "." does not end the message */
	struct str sender; /* -f, -r: NULL p when not given; empty: the null sender */
	struct str name;   /* -F */
	struct str notify; /* -N */
	struct str ret;	   /* -R */
	struct str envid;  /* -V */
	bool eightbit;	   /* -B 8BITMIME */
	struct strs rcpts; /* as given: each a list of addresses */
};

/* The command line; texts borrow from argv. Returns 0, or EX_USAGE after saying why. */
int sendmail_options_read(int argc, char **argv, struct sendmail_options *ret);
void sendmail_options_clear(struct sendmail_options *o);

/* A message that is about to be sent. Texts live in the arena, or in the buffer. */
struct draft {
	struct arena *arena;
	struct str origin; /* behind the @ of names without one */
	struct str sender;
	struct strs rcpts;  /* full addresses, no two alike */
	struct buf content; /* as it goes over the wire: CRLF, not yet dot-stuffed */
};
void draft_clear(struct draft *d);

/*
 * Line ends become CRLF: LF, CR LF, and a CR by itself. With `dot_ends` a line "." is the end. NUL
 * is left out. Returns 0 or -FAIL_LIMIT when ret is full.
 */
MUST_CHECK int draft_lines(struct str raw, bool dot_ends, struct buf *ret);

/*
 * Make a draft of a message with CRLF line ends. `user` is the name of the user who calls. Fields
 * that must not go out are left out (Bcc, with -t), From is added when it is missing; Date and
 * Message-ID are the server's. Returns 0, or a code of sysexits.h with a text in *ret_why.
 */
int draft_make(struct draft *d, const struct sendmail_options *o, struct str message,
	       struct str user, const char **ret_why);

/* Add the addresses of a list, each completed with the origin. False: one is no address. */
bool draft_add_list(struct draft *d, struct str list);

/* A connection to the server, and what it said. */
struct talk {
	int fd;
	struct buf in;	  /* read, not yet used */
	struct buf reply; /* the last reply, lines separated by LF, for people */
	unsigned code;
	bool lost; /* the connection ended or broke */
	struct str origin;
};
/* Connect and say EHLO. Returns 0, or EX_TEMPFAIL with the reason in t->reply. */
int talk_begin(struct talk *t, const char *socket);
/* Send the draft. Returns a code of sysexits.h; what was refused is told on standard error. */
int talk_send(struct talk *t, const struct draft *d, const struct sendmail_options *o);
/* Ask for the recipients only, and tell the outcome of each on standard output. */
int talk_verify(struct talk *t, const struct draft *d);
void talk_end(struct talk *t);

#endif
