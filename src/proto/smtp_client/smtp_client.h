/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_client.h - the dialogue with the next SMTP or LMTP server.                 [proto]
 *
 * RFC 5321 (with its times, 4.5.3.2), RFC 2033 (LMTP), RFC 2920 (PIPELINING), RFC 1870 (SIZE),
 * RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8), RFC 3461 (DSN), RFC 3030 (CHUNKING), RFC 3207
 * (STARTTLS), RFC 8689 (REQUIRETLS), RFC 6710 (MT-PRIORITY), RFC 2852 (DELIVERBY), Postfix's
 * XFORWARD. Straight-line and blocking, over a wire of the caller (a socket, TLS, a test):
 *
 *     smtp_client_greeting, smtp_client_hello,
 *     [smtp_client_starttls, smtp_client_secured, smtp_client_hello,] [smtp_client_auth,]
 *     smtp_client_send as often as wanted, smtp_client_quit
 *
 * Every call returns 0, or
 *     -FAIL_TEMP         the server said 4xx
 *     -FAIL_PERM         it said 5xx
 *     -FAIL_UNSUPPORTED  it does not offer what is needed: nothing was said
 *     -FAIL_DEADLINE     it said nothing in time
 *     -FAIL_PEER         the connection is lost, or what came is no SMTP
 * and c->answer holds what it said, or (with code 0) what happened, in words for people and a
 * status of RFC 3463. After the last two, and after a 421 at any time, c->broken: close the
 * connection.
 *
 * Invariants
 *  1. What is sent of a message holds CR and LF as CRLF only, and the end of the message once:
 *     at the end (smtp_encode). No argument of a command can hold a line end, or it is not sent.
 *  2. A server cannot make us keep more than a reply's bounds (smtp_answer), nor longer than a
 *     reply's time: it counts from the end of what we sent, however slowly bytes come.
 *  3. Unless all of a message was sent, no reply counts as success.
 */
#ifndef BARID_PROTO_SMTP_CLIENT_SMTP_CLIENT_H
#define BARID_PROTO_SMTP_CLIENT_SMTP_CLIENT_H

#include "base/buf.h"
#include "base/fail.h"
#include "base/ids.h"
#include "codec/smtp/smtp_answer.h"
#include "codec/smtp/smtp_cmd.h"

/*
 * Both block until `deadline` of the monotonic clock at most. read: 1..size bytes, or 0 = the other
 * side has ended. write: all of it. Else -FAIL_DEADLINE, -FAIL_PEER.
 */
struct smtp_wire {
	void *ctx;
	int (*read)(void *ctx, char *to, size_t size, struct mono_ns deadline, size_t *ret_n,
		    struct fail *why);
	int (*write)(void *ctx, struct str bytes, struct mono_ns deadline, struct fail *why);
};

struct smtp_client_times { /* milliseconds */
	uint64_t greeting, hello, mail, rcpt, data_init, data_block, data_done;
};
/* RFC 5321 4.5.3.2. */
struct smtp_client_times smtp_client_times_default(void);

enum {
	SMTP_OFFERS_PIPELINING = 1u << 0,
	SMTP_OFFERS_SIZE = 1u << 1,
	SMTP_OFFERS_8BITMIME = 1u << 2,
	SMTP_OFFERS_SMTPUTF8 = 1u << 3,
	SMTP_OFFERS_DSN = 1u << 4,
	SMTP_OFFERS_CHUNKING = 1u << 5,
	SMTP_OFFERS_STARTTLS = 1u << 6,
	SMTP_OFFERS_AUTH = 1u << 7,
	SMTP_OFFERS_REQUIRETLS = 1u << 8,
	SMTP_OFFERS_MT_PRIORITY = 1u << 9,
	SMTP_OFFERS_DELIVERBY = 1u << 10,
	SMTP_OFFERS_XFORWARD = 1u << 11,
	SMTP_OFFERS_ENHANCED = 1u << 12,
};
/* Attributes of XFORWARD that are taken. */
enum {
	SMTP_XFORWARD_NAME = 1u << 0,
	SMTP_XFORWARD_ADDR = 1u << 1,
	SMTP_XFORWARD_PORT = 1u << 2,
	SMTP_XFORWARD_PROTO = 1u << 3,
	SMTP_XFORWARD_HELO = 1u << 4,
	SMTP_XFORWARD_IDENT = 1u << 5,
	SMTP_XFORWARD_SOURCE = 1u << 6,
};
#define SMTP_CLIENT_MECHANISMS 256
#define SMTP_CLIENT_BINDING    32

struct smtp_client {
	const struct smtp_wire *wire;
	struct smtp_client_times times;
	bool lmtp;
	bool broken;
	bool in_transaction; /* the server has a sender of ours: RSET before the next one */
	bool rested; /* by the caller: was idle for long, the server may have gone: show it no more
			than commands before it has answered */
	const char *phase;			 /* what we were doing: "MAIL FROM"; for texts */
	unsigned offers;			 /* SMTP_OFFERS_*, of the last hello */
	unsigned xforward;			 /* SMTP_XFORWARD_* */
	uint64_t size_max;			 /* what it takes; 0 = it does not say */
	uint64_t deliver_by_min;		 /* seconds */
	char mechanisms[SMTP_CLIENT_MECHANISMS]; /* of AUTH, separated by blanks */
	char name[256];				 /* what it calls itself in the greeting */
	/* By the caller, of a TLS connection: channel binding tls-exporter (RFC 9266). */
	bool can_bind;
	unsigned char binding[SMTP_CLIENT_BINDING];
	struct smtp_answer answer;
	struct buf out; /* what is to be sent */
	char in[8192];	/* what came and is not read yet */
	size_t in_from, in_n;
};

void smtp_client_init(struct smtp_client *c, const struct smtp_wire *wire, bool lmtp,
		      const struct smtp_client_times *times);
void smtp_client_clear(struct smtp_client *c);
DEFINE_AUTO(smtp_client, struct smtp_client, smtp_client_clear);

MUST_CHECK int smtp_client_greeting(struct smtp_client *c);
/* EHLO, or HELO to a server that knows no better; LHLO. `name`: ours. */
MUST_CHECK int smtp_client_hello(struct smtp_client *c, struct str name);
/* 0: now the handshake, then smtp_client_secured and hello again. */
MUST_CHECK int smtp_client_starttls(struct smtp_client *c);
/* What was said in the clear is forgotten (RFC 3207 4.2). */
void smtp_client_secured(struct smtp_client *c);
/*
 * Log in, by the best that is offered of SCRAM-SHA-256 and -1 (with -PLUS where the connection can
 * be bound to), PLAIN, LOGIN. Where SCRAM is refused the next best is tried: the password is shown
 * to the server then, as at once where it offers nothing else: use TLS. -FAIL_UNSUPPORTED: it takes
 * none of them. -FAIL_PEER: it did not prove that it knows the password. No copy of the password
 * stays in *c.
 */
MUST_CHECK int smtp_client_auth(struct smtp_client *c, struct str user, struct str password);
/* Is the connection still of use? False when the server has said something unasked for. */
bool smtp_client_is_quiet(const struct smtp_client *c);
/* Before another transaction after one that did not end. */
MUST_CHECK int smtp_client_reset(struct smtp_client *c);
/* QUIT; its answer is not waited for. */
void smtp_client_quit(struct smtp_client *c);

/* ---- a message ---- */

/* For a content filter: whom the message came from. Empty texts are not known. */
struct smtp_forward {
	struct str name, ip, port, proto, helo, ident;
	bool remote; /* SOURCE: not from here */
};

enum smtp_sent {
	SMTP_SENT_NOTHING, /* not known: what was to come before it did not work */
	SMTP_SENT,	   /* the server has taken it over */
	SMTP_SENT_LATER,   /* 4xx */
	SMTP_SENT_REFUSED, /* 5xx */
};
struct smtp_client_rcpt {
	/* In: */
	struct str address; /* local@domain */
	struct str orcpt;   /* as given, or empty */
	unsigned notify;    /* SMTP_NOTIFY_* */
	/* Out: */
	enum smtp_sent sent;
	const char *phase;	   /* what the answer is about; static */
	struct smtp_answer answer; /* code 0: nobody said it */
	bool said;		   /* the server did; else it is the answer of this client */
	bool dsn_passed;	   /* the server was told notify: it reports now */
	bool accepted_;		   /* private: waits for the message's answer */
};

struct smtp_client_message {
	struct str sender; /* empty = the null sender */
	struct str envid;  /* xtext, or empty */
	enum smtp_ret ret;
	bool smtputf8;
	bool eightbit; /* BODY=8BITMIME, where it is offered */
	bool requiretls;
	bool has_priority;
	int priority;		/* RFC 6710: -9 to 9 */
	int64_t deliver_by_s;	/* RFC 2852, seconds from now; 0 = not asked for */
	bool deliver_by_return; /* else notify */
	bool deliver_by_trace;
	const struct smtp_forward *forward; /* NULL: no XFORWARD */
	struct str prefix;		    /* goes first */
	struct str body;		    /* or a file, from its beginning */
	int file;			    /* -1 = body */
	uint64_t size;			    /* of body or file */
	struct smtp_client_rcpt *rcpts;
	size_t n;
};

/*
 * One transaction. 0: each recipient has its own result; else the result is the same for each that
 * has none yet (SMTP_SENT_NOTHING), as said above; recipients may have been refused before.
 * -FAIL_UNSUPPORTED: the server does not offer what m needs (smtputf8 with an address beyond
 * ASCII, requiretls), or m is larger than it takes: then nothing was said to it.
 * *ret_unsure (never NULL): the end of the message was sent, and no reply came: perhaps the server
 * has it.
 */
MUST_CHECK int smtp_client_send(struct smtp_client *c, struct smtp_client_message *m,
				bool *ret_unsure);

#endif
