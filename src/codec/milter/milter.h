/* SPDX-License-Identifier: Apache-2.0 */
/*
 * milter.h - what mail server and milter say to each other.                    [codec, pure]
 *
 * The Sendmail mail filter protocol, versions 2 to 6, as libmilter's documentation and its header
 * mfdef.h describe it, from the server's side. A packet on the wire is a length (u32, big-endian,
 * of what follows), one octet that says what it is, and its data. Texts in it end in NUL.
 *
 * Writers append one packet to `out` and leave the failure in out->failed. Texts that hold NUL are
 * cut there: nobody can send more fields than the packet has.
 */
#ifndef BARID_CODEC_MILTER_MILTER_H
#define BARID_CODEC_MILTER_MILTER_H

#include "base/buf.h"
#include "base/fail.h"

#define MILTER_VERSION	  6u
#define MILTER_CHUNK	  65535u	/* most octets of a body in one packet */
#define MILTER_PACKET_MAX (MIB(1) + 64) /* largest packet that a milter may send us */

/* What the server tells. */
enum milter_command {
	MILTER_ABORT = 'A',
	MILTER_BODY = 'B',
	MILTER_CONNECT = 'C',
	MILTER_MACRO = 'D',
	MILTER_BODYEOB = 'E',
	MILTER_HELO = 'H',
	MILTER_HEADER = 'L',
	MILTER_MAIL = 'M',
	MILTER_EOH = 'N',
	MILTER_OPTNEG = 'O',
	MILTER_QUIT = 'Q',
	MILTER_RCPT = 'R',
	MILTER_DATA = 'T',
	MILTER_UNKNOWN = 'U',
};

/* What it may be asked to do with the message: SMFIF_*. */
enum {
	MILTER_ACT_ADDHDRS = 1u << 0,
	MILTER_ACT_CHGBODY = 1u << 1,
	MILTER_ACT_ADDRCPT = 1u << 2,
	MILTER_ACT_DELRCPT = 1u << 3,
	MILTER_ACT_CHGHDRS = 1u << 4,
	MILTER_ACT_QUARANTINE = 1u << 5,
	MILTER_ACT_CHGFROM = 1u << 6,
	MILTER_ACT_ADDRCPT_PAR = 1u << 7,
	MILTER_ACT_SETSYMLIST = 1u << 8,
	MILTER_ACT_ALL = (1u << 9) - 1,
};

/* What it need not say, or need not wait for: SMFIP_*. */
enum {
	MILTER_NO_CONNECT = 1u << 0,
	MILTER_NO_HELO = 1u << 1,
	MILTER_NO_MAIL = 1u << 2,
	MILTER_NO_RCPT = 1u << 3,
	MILTER_NO_BODY = 1u << 4,
	MILTER_NO_HEADERS = 1u << 5,
	MILTER_NO_EOH = 1u << 6,
	MILTER_NR_HEADER = 1u << 7, /* NR: no reply comes */
	MILTER_NO_UNKNOWN = 1u << 8,
	MILTER_NO_DATA = 1u << 9,
	MILTER_CAN_SKIP = 1u << 10,
	MILTER_RCPT_REJECTED = 1u << 11, /* tell of refused recipients too */
	MILTER_NR_CONNECT = 1u << 12,
	MILTER_NR_HELO = 1u << 13,
	MILTER_NR_MAIL = 1u << 14,
	MILTER_NR_RCPT = 1u << 15,
	MILTER_NR_DATA = 1u << 16,
	MILTER_NR_UNKNOWN = 1u << 17,
	MILTER_NR_EOH = 1u << 18,
	MILTER_NR_BODY = 1u << 19,
	MILTER_LEADING_SPACE = 1u << 20, /* a header's value with the blank behind its colon */
	MILTER_STEPS_ALL = (1u << 21) - 1,
};

/* When macros are told: SMFIM_*, the order of the protocol's lists. */
enum milter_stage {
	MILTER_AT_CONNECT,
	MILTER_AT_HELO,
	MILTER_AT_MAIL,
	MILTER_AT_RCPT,
	MILTER_AT_DATA,
	MILTER_AT_EOM,
	MILTER_AT_EOH,
	MILTER_STAGES
};

/* --- what we say --- */

void milter_put_options(struct buf *out, uint32_t version, uint32_t actions, uint32_t steps);
/* Macros for the command that follows: pairs of name and value. */
struct milter_macro {
	struct str name, value;
};
void milter_put_macros(struct buf *out, enum milter_command of, const struct milter_macro *m,
		       size_t n);
/* address: "192.0.2.1", "2001:db8::1"; empty: not known. */
void milter_put_connect(struct buf *out, struct str host, struct str address, uint16_t port);
/* HELO, UNKNOWN: one text. MAIL, RCPT: the address in angle brackets, then each parameter. */
void milter_put_texts(struct buf *out, enum milter_command c, const struct str *texts, size_t n);
void milter_put_header(struct buf *out, struct str name, struct str value);
void milter_put_body(struct buf *out, struct str bytes); /* at most MILTER_CHUNK */
/* DATA, EOH, BODYEOB, ABORT, QUIT. */
void milter_put_plain(struct buf *out, enum milter_command c);

/* --- what it answers --- */

enum milter_answer {
	MILTER_SAYS_ADDRCPT = '+',
	MILTER_SAYS_ADDRCPT_PAR = '2',
	MILTER_SAYS_DELRCPT = '-',
	MILTER_SAYS_SHUTDOWN = '4',
	MILTER_SAYS_ACCEPT = 'a',
	MILTER_SAYS_REPLBODY = 'b',
	MILTER_SAYS_CONTINUE = 'c',
	MILTER_SAYS_DISCARD = 'd',
	MILTER_SAYS_CHGFROM = 'e',
	MILTER_SAYS_CONN_FAIL = 'f',
	MILTER_SAYS_ADDHEADER = 'h',
	MILTER_SAYS_INSHEADER = 'i',
	MILTER_SAYS_CHGHEADER = 'm',
	MILTER_SAYS_OPTNEG = 'O',
	MILTER_SAYS_PROGRESS = 'p',
	MILTER_SAYS_QUARANTINE = 'q',
	MILTER_SAYS_REJECT = 'r',
	MILTER_SAYS_SKIP = 's',
	MILTER_SAYS_TEMPFAIL = 't',
	MILTER_SAYS_REPLYCODE = 'y',
};

struct milter_reply {
	enum milter_answer says;
	uint32_t version, actions, steps; /* OPTNEG */
	struct str macros[MILTER_STAGES]; /* names between blanks; NULL p: the usual ones */
	uint32_t index;			  /* INSHEADER, CHGHEADER */
	struct str name;  /* of a header; an address; REPLYCODE: the reply as the milter made it */
	struct str value; /* of a header; ESMTP parameters; QUARANTINE: the reason */
	struct str bytes; /* REPLBODY */
};

/*
 * Is a whole packet at the front of `in`? 1: *ret_packet is what follows its length, *ret_used how
 * much of `in` it took. 0: not yet. -FAIL_TOOBIG: longer than MILTER_PACKET_MAX. -FAIL_SYNTAX:
 * empty.
 */
MUST_CHECK int milter_frame(struct str in, struct str *ret_packet, size_t *ret_used);
/* Read one. Texts borrow from it. -FAIL_SYNTAX with the reason in *why. */
MUST_CHECK int milter_reply_parse(struct str packet, struct milter_reply *ret, struct fail *why);

/*
 * The text of a REPLYCODE: "550 5.7.1 words", or several lines of it ("550-5.7.1 words" CR LF ...).
 * 4xx and 5xx alone are fine, and one code on all lines. The enhanced status (codec/smtp) of the
 * first line is cut off all lines; without one it is "" and the words remain. Texts go to `text`,
 * lines separated by LF, without control characters. -FAIL_SYNTAX.
 */
struct milter_code {
	unsigned code;
	char enhanced[12];
};
MUST_CHECK int milter_code_parse(struct str reply, struct milter_code *ret, struct buf *text);

#endif
