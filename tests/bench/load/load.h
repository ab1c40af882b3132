/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - many clients of a mail server in a few processes.                        [tests, bench]
 *
 * A client is a connection and a dialogue that says the next thing for each line that comes. Each
 * process has one loop; what they find out meets in memory that they share. Each is logged in as a
 * user of its own and comes from an address of its own in 127/8.
 */
#ifndef BARID_TESTS_BENCH_LOAD_H
#define BARID_TESTS_BENCH_LOAD_H

#include "base/buf.h"
#include "runtime/loop.h"
#include <openssl/ssl.h>
#include <stdatomic.h>

#define LINE_SHOWN 120 /* more of a line is not looked at */

struct load {
	const char *host;
	unsigned imaps, smtp; /* ports */
	unsigned clients;     /* IMAP clients, each of an account of its own */
	unsigned first;	      /* the account of the first one, from 1 */
	unsigned processes;   /* that hold them */
	unsigned messages;    /* to fill each mailbox to */
	unsigned connections; /* SMTP, all open at the same time */
	unsigned rcpts;	      /* of each message */
	unsigned size;	      /* of a message */
	unsigned width;	      /* clients of one process that are being set up at a time */
	bool fetch;	      /* look at all flags between SELECT and IDLE, as programs do */
};

/* Times are of the monotonic clock, in ns; 0 = not yet. */
struct shared {
	_Atomic unsigned set_up; /* IMAP clients that have come to their end */
	_Atomic unsigned told;	 /* idle clients that heard of new mail */
	_Atomic unsigned connected, accepted; /* of the SMTP connections */
	_Atomic unsigned failed;
	_Atomic bool send;     /* all are connected: the transactions begin */
	_Atomic bool leave;    /* the processes end */
	char why[LINE_SHOWN]; /* the first failure */
	int64_t first_sent;    /* the first MAIL of all */
	int64_t times[];       /* accepted by account, then told by account */
};
static inline int64_t *accepted_at(struct shared *s, unsigned account)
{
	return &s->times[account];
}
static inline int64_t *told_at(struct shared *s, const struct load *o, unsigned account)
{
	return &s->times[o->clients + account];
}

/* The N of userN. */
static inline unsigned user_number(const struct load *o, unsigned account)
{
	return o->first + account;
}

enum client_stage { CLIENT_CONNECTING, CLIENT_SHAKING, CLIENT_OPEN, CLIENT_OVER };

struct client;
struct dialogue {
	void (*line)(struct client *c, struct str line); /* without CRLF, cut at LINE_SHOWN */
};
struct client {
	struct loop_io io;
	struct crowd *crowd;
	const struct dialogue *dialogue;
	SSL *ssl; /* NULL: plain text */
	enum client_stage stage;
	unsigned number; /* from 0 */
	unsigned step;
	unsigned count; /* the dialogue's own */
	bool up;	/* done with what was to be done first */
	unsigned line_n;
	char line[LINE_SHOWN];
};

/* The clients of one process. */
struct crowd {
	const struct load *o;
	struct shared *shared;
	struct loop *loop;
	SSL_CTX *tls; /* NULL: plain text */
	const struct dialogue *dialogue;
	unsigned port;
	unsigned first, n; /* numbers of its clients */
	unsigned begun, up;
	struct client *clients;
};

/* Set all up, at most o->width at a time; runs until shared->leave. `tick` is called now and then;
 * may be NULL. */
void crowd_run(struct crowd *c, void (*tick)(struct crowd *c));
/* It is where it was to come to: another may begin. */
void client_is_up(struct client *c);
void client_say(struct client *c, struct str text);
void client_failed(struct client *c, const char *why);
void client_close(struct client *c);

extern const struct dialogue dialogue_idle, dialogue_fill, dialogue_smtp;
void smtp_tick(struct crowd *c);

#endif
