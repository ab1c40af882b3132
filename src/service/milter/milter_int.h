/* SPDX-License-Identifier: Apache-2.0 */
/*
 * milter_int.h - between the files of service/milter.                    [service/milter only]
 *
 * peer.c      one milter of a session: its socket, what it negotiated, question and answer
 * milters.c   the session: facts, and bringing each milter up to them
 * message.c   a message: header, body, end; the changes that a milter orders
 * mail.c      a message's fields, and changes to them
 */
#ifndef BARID_SERVICE_MILTER_MILTER_INT_H
#define BARID_SERVICE_MILTER_MILTER_INT_H

#include "base/ids.h"
#include "codec/milter/milter.h"
#include "service/milter/milter.h"

enum peer_state {
	PEER_NEW,     /* not connected */
	PEER_OPEN,    /* connected, negotiated, told of the client */
	PEER_CONTENT, /* it wants nothing more of this session */
	PEER_FAILED,  /* its default holds until the next MAIL */
};

struct texts {
	struct str *p;
	size_t n;
};

struct peer {
	struct milters *all;
	struct str text, name;
	enum milter_default otherwise;
	enum peer_state state;
	int fd;
	struct buf in, out;
	size_t taken; /* of `in`: the packet that was last answered */
	uint32_t actions, steps;
	struct str macros[MILTER_STAGES]; /* NULL p: the usual ones */
	struct arena arena;		  /* of macros */
	bool accepted;			  /* it wants nothing more of this message */
	bool in_message;		  /* it was told of a MAIL that has not ended */
	bool refused_session;		  /* by CONNECT or HELO: the answer to all that follows */
	struct milter_outcome session_answer;
	bool helo_told, mail_told;
	size_t rcpts_told;
	bool entered;
	struct mono_ns retry_at; /* FAILED: not before */
	bool fresh;		 /* connected within this call: a death now is no restart */
	struct mono_ns give_up;	 /* of this call, whatever it says; 0: never */
};

struct milters {
	struct milter_times times;
	struct milter_ops ops;
	struct str host, address;
	uint16_t port;
	struct arena arena;   /* of the session */
	struct arena message; /* of the transaction */
	struct buf helo;
	bool has_helo;
	struct texts mail; /* NULL p: none */
	struct {
		VEC_FIELDS(struct texts);
	} rcpts;
	bool asking_rcpt; /* the event is the last of them */
	size_t n;
	struct peer peers[MILTERS_MAX];
};

/* --- peer.c --- */

/* A step of the protocol: how it is told, and what of it can be left out. */
struct step {
	enum milter_command command;
	enum milter_stage stage; /* MILTER_STAGES: no macros */
	uint32_t skip;		 /* MILTER_NO_* */
	uint32_t silent;	 /* MILTER_NR_* */
};
extern const struct step step_connect, step_helo, step_mail, step_rcpt, step_data, step_unknown,
	step_header, step_eoh, step_body, step_eom;

/* A call begins: its time runs. */
void peer_begin(struct peer *p);
/* Connect, negotiate. */
MUST_CHECK int peer_open(struct peer *p, struct fail *why);
void peer_close(struct peer *p, bool politely);
/* Macros of a step go to p->out, in front of its packet. */
void peer_macros(struct peer *p, const struct step *s);
/* Send what p->out holds. */
MUST_CHECK int peer_flush(struct peer *p, unsigned timeout_ms, struct fail *why);
/* The next packet; its texts are good until the next call. PROGRESS is waited over. */
MUST_CHECK int peer_answer(struct peer *p, unsigned timeout_ms, struct milter_reply *ret,
			   struct fail *why);

/* --- milters.c --- */

/* What an answer to a command means. -FAIL_SYNTAX: nothing that may be said here. */
MUST_CHECK int outcome_of(struct peer *p, const struct milter_reply *r, struct milter_outcome *ret,
			  struct fail *why);
/* Connected, and told all facts: with RCPTs. */
MUST_CHECK int peer_bring_up(struct peer *p, struct milter_outcome *ret, struct fail *why);
void peer_failed(struct peer *p, const struct fail *why);
void peer_refuse(struct peer *p, struct milter_outcome *ret, unsigned code, const char *enhanced,
		 const char *text);
/* The default of a milter that has failed. */
void peer_default(struct peer *p, struct milter_outcome *ret);
bool peer_enter(struct peer *p, struct fail *why);
void peer_leave(struct peer *p);
/* May what failed be tried once more, with a new connection? */
bool peer_again(struct peer *p, int r);
bool peer_silent(const struct peer *p);

/* --- mail.c --- */

/* One change, as a milter ordered it: 0, or -FAIL_LIMIT, or -FAIL_SYNTAX: nothing that a message
 * could hold. */
MUST_CHECK int mail_change(struct milter_mail *mail, const struct milter_reply *r,
			   bool leading_space);

#endif
