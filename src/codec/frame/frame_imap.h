/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_imap.h - is an IMAP command complete?                                  [codec, pure]
 *
 * RFC 3501 section 4.3, RFC 7888 (LITERAL+ and LITERAL-), RFC 3516 (literal8). A line that ends in
 * {n}, {n+},
 * ~{n} or ~{n+} announces a literal, wherever it stands: no valid command has such an end
 * otherwise. Small literals become part of the command's text; larger ones ("external") are
 * handed out as slices while they arrive and leave only "{n}" CRLF and an entry in the list.
 * Lines may end in CRLF or, as old clients do, in LF; the text has CRLF. A bare CR or a NUL
 * outside of a literal makes the command malformed.
 *
 *     for (;;) {
 *             struct frame_imap_event e = frame_imap_feed(&f, &in);
 *             switch (e.kind) {
 *             case FRAME_IMAP_MORE:      read more bytes
 *             case FRAME_IMAP_LITERAL:   decide: frame_imap_accept (and send "+ ..." when e.sync)
 *                                        or frame_imap_refuse
 *             case FRAME_IMAP_DATA:      write e.data to the body file of external literal e.index
 *             case FRAME_IMAP_COMMAND:   imap_cmd_parse(&e.input, ...)
 *             case FRAME_IMAP_...:       answer e.tag (empty: none could be read)
 *
 * Whatever the chunks, the events are the same (FRAME_IMAP_DATA joined). A command that is too
 * big, refused or malformed is dropped to its exact end, non-synchronizing literals included, so
 * the session survives it. One thread at a time per framer.
 */
#ifndef BARID_CODEC_FRAME_IMAP_H
#define BARID_CODEC_FRAME_IMAP_H

#include "base/buf.h"
#include "base/vec.h"
#include "codec/imap/imap_lex.h"

struct frame_imap_limits {
	size_t line_bytes;	 /* of one command, without literals */
	size_t inline_bytes;	 /* sum of inline literals of one command */
	uint64_t external_bytes; /* one external literal; 0 = external literals are not offered */
	size_t literals;	 /* in one command */
	uint64_t nonsync_bytes;	 /* one non-synchronizing literal (LITERAL-); 0 = no such limit */
};
extern const struct frame_imap_limits frame_imap_limits_session; /* after login */
extern const struct frame_imap_limits frame_imap_limits_login;	 /* before: smaller, no external */
/* The same where LITERAL- is offered instead of LITERAL+. */
extern const struct frame_imap_limits frame_imap_limits_session_minus;
extern const struct frame_imap_limits frame_imap_limits_login_minus;

enum frame_imap_event_kind {
	FRAME_IMAP_MORE,      /* all input is used */
	FRAME_IMAP_LITERAL,   /* a literal waits for accept or refuse: nothing is read before */
	FRAME_IMAP_DATA,      /* bytes of the accepted external literal */
	FRAME_IMAP_COMMAND,   /* complete */
	FRAME_IMAP_TOO_BIG,   /* dropped: over a limit */
	FRAME_IMAP_REFUSED,   /* dropped: the caller refused a literal */
	FRAME_IMAP_MALFORMED, /* dropped */
};

struct frame_imap_event {
	enum frame_imap_event_kind kind;
	struct str tag; /* of the command (not with DATA); empty when it has none */
	/* COMMAND: valid until the next call; LITERAL: what is there so far, "{n}" CRLF included */
	struct imap_input input;
	struct str data; /* DATA: borrowed from the input */
	uint64_t size;	 /* LITERAL, TOO_BIG (of the literal, 0 = it was the text) */
	size_t index;	 /* LITERAL, DATA with `external`: index in input.external */
	size_t number;	 /* LITERAL: which literal of the command, from 0 */
	bool sync;	 /* LITERAL: the client waits for "+" */
	bool binary;	 /* LITERAL: ~{n} */
	bool external;	 /* LITERAL: will be handed out as DATA, is not kept */
	bool last;	 /* DATA: the literal is complete */
	bool unasked;	 /* TOO_BIG: it came without waiting, and is above nonsync_bytes */
};

enum frame_imap_state {
	FRAME_IMAP_STATE_LINE,
	FRAME_IMAP_STATE_DECIDE,   /* LITERAL was reported */
	FRAME_IMAP_STATE_INLINE,   /* copying a literal */
	FRAME_IMAP_STATE_EXTERNAL, /* handing out a literal */
	FRAME_IMAP_STATE_SKIP,	   /* dropping a literal */
	FRAME_IMAP_STATE_DROPPED,  /* a dropped command has ended */
};
struct frame_imap {
	const struct frame_imap_limits *lim;
	struct buf text;
	VEC(struct imap_external) external;
	enum frame_imap_state state;
	size_t line_start; /* where the current line begins in text */
	size_t line_bytes; /* text outside of literals so far */
	size_t inline_bytes;
	size_t literals;
	uint64_t left;			 /* bytes of the current literal still to come */
	struct frame_imap_event literal; /* as reported; whole until accept or refuse */
	enum frame_imap_event_kind drop; /* FRAME_IMAP_MORE = the command is fine so far */
	uint64_t drop_size;
	bool drop_unasked;
	bool raw;     /* the next line is no command */
	bool taken;   /* text was handed out; forget it at the next call */
	char tag[64]; /* of a dropped command */
	size_t tag_n;
	uint64_t dropped; /* bytes of the current command that were not kept: for a caller's
			     patience */
};

/* `lim` is borrowed as long as the framer uses it. */
void frame_imap_init(struct frame_imap *f, const struct frame_imap_limits *lim);
/* Other limits, between commands: after login. */
void frame_imap_set_limits(struct frame_imap *f, const struct frame_imap_limits *lim);
void frame_imap_clear(struct frame_imap *f);
DEFINE_AUTO(frame_imap, struct frame_imap, frame_imap_clear);

/* Take bytes from the front of *in until something is to be reported; *in becomes the rest. */
struct frame_imap_event frame_imap_feed(struct frame_imap *f, struct str *in);
/* Answers to FRAME_IMAP_LITERAL; then feed on (after a refusal with empty input, too). */
void frame_imap_accept(struct frame_imap *f);
void frame_imap_refuse(struct frame_imap *f);

/*
 * The next command is one raw line without tag and literals: after IDLE and inside AUTHENTICATE.
 * Call it between commands. The event is a COMMAND whose input.text is the line.
 */
void frame_imap_expect_raw(struct frame_imap *f);

/* Overwrite and forget everything held: secrets, or plaintext from before STARTTLS. */
void frame_imap_wipe(struct frame_imap *f);
/* Nothing of a command is held (a parked session may be stored without its framer). */
bool frame_imap_is_idle(const struct frame_imap *f);

/* The tag that begins a command, if there is one: a valid tag that a SP or the end follows. */
struct str frame_imap_tag(struct str text);

#endif
