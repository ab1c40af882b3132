/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_state.h - one IMAP session, between imap.c and imap_state.c.                     [roles,
 * private to user]
 *
 * "lane": only by the session's own steps, of which one runs at a time. "loop": only by the loop.
 */
#ifndef BARID_ROLES_USER_IMAP_STATE_H
#define BARID_ROLES_USER_IMAP_STATE_H

#include "base/list.h"
#include "roles/user/rest.h"
#include "roles/user/user.h"
#include <stdatomic.h>

#define IMAP_STATE_MAX KIB(60)

struct user_session;

/* What differs between IMAP, POP3 and ManageSieve. All on the lane. */
struct session_kind {
	/* A session of s->grant, greeted. 0, or the reason why there is none. */
	int (*begin)(struct user_session *s, const struct msg_session_open *m, enum imap_next *next,
		     struct fail *why);
	/* The same session as before, out of its exported state. */
	int (*import)(struct user_session *s, struct str state, struct fail *why);
	int (*export)(const struct user_session *s, struct buf *out, struct fail *why);
	/* What came in s->current. True: the account's mail may have changed. */
	bool (*command)(struct user_session *s, const struct msg_session_command *m,
			enum imap_next *next);
	enum imap_next (*resume)(struct user_session *s);
	void (*rest)(struct user_session *s);
	void (*end)(struct user_session *s); /* after it, s->at_work is false */
	const char *cannot_open;	     /* to the client, with CRLF */
	const char *over;
};
extern const struct session_kind pop3_kind, managesieve_kind;
/* Of a service of edge. */
const struct session_kind *session_kind_of(struct str service);

struct user_session {
	struct session_id id;
	struct trace_id trace;
	struct ipc_channel *edge;
	struct lane lane;
	struct grant grant;
	const struct session_kind *kind; /* set by the first step */
	bool at_work;			 /* lane: imap or pop3 is there */
	struct imap_session *imap;	 /* lane */
	struct pop3_session *pop3;	 /* lane */
	struct buf mechanisms;		 /* lane; ManageSieve: that the login offered */
	struct imap_out out;		 /* lane */
	struct list bodies;	    /* lane: large literals that are arriving or have arrived */
	struct list waiting;	    /* lane: steps behind an unfinished command */
	struct ipc_packet *current; /* lane: the unfinished command: its input is borrowed */
	struct imap_external *current_external;
	struct store_body *current_bodies;
	size_t current_bodies_n;
	uint32_t current_seq;
	bool more;		/* lane */
	uint64_t visits;	/* lane: whose mailbox is looked at, 0 = its own */
	bool cut;		/* lane: a part of the answer did not go out */
	_Atomic unsigned steps; /* waiting or running */
	uint64_t told;		/* lane: hash of the state that edge has */
	bool stateless;		/* lane: the last state was too large to be told; logged once */
	bool counted;		/* lane: tenants_count was called */
	_Atomic bool granted;	/* grant is filled in, and stays */
	bool closing;		/* loop */
	_Atomic bool over;	/* dir has taken the right away */
	_Atomic bool wake_posted;
	struct job wake;
	struct rest rest; /* loop */
	_Atomic bool rest_posted;
	struct job rest_job;
	bool resting; /* lane: quiet for a while, and does not keep what it looks at */
	struct loop_task reap;
};

/* imap.c */
/* An IMAP command, or a line in IDLE. */
bool imap_command(struct user_session *s, const struct msg_session_command *m,
		  enum imap_next *next);
/* To edge: what is in s->out, what comes next, and, when nothing is under way, the state. Lane. */
void imap_answer(struct user_session *s, uint32_t seq, enum imap_next next);
/* The store has news for `arg`, a user_session. Any thread. */
void imap_wake(void *arg);

/* pop3.c */
/* Any thread: the client is gone, or goes. */
void pop3_unlock(const struct user_session *s);

/* imap_state.c; lane */
extern const struct session_kind imap_kind;
/* The state for edge, sealed; nothing when edge has it already. */
int imap_state_seal(struct user_session *s, struct buf *sealed, struct fail *why);
/*
 * The first step of a session: by dir's grant, or from the state that came with the request. Edge
 * hears where it stands: the state of a new one, the news of a parked one. Does not free p.
 */
void imap_begin_session(struct user_session *s, struct ipc_packet *p);

#endif
