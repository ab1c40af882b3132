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

struct user_session {
	struct session_id id;
	struct trace_id trace;
	struct ipc_channel *edge;
	struct lane lane;
	struct grant grant;
	struct imap_session *imap;  /* lane */
	struct imap_out out;	    /* lane */
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
/* To edge: what is in s->out, what comes next, and, when nothing is under way, the state. Lane. */
void imap_answer(struct user_session *s, uint32_t seq, enum imap_next next);
/* The store has news for `arg`, a user_session. Any thread. */
void imap_wake(void *arg);

/* imap_state.c; lane */
/* The state for edge, sealed; nothing when edge has it already. */
int imap_state_seal(struct user_session *s, struct buf *sealed, struct fail *why);
/*
 * The first step of a session: by dir's grant, or from the state that came with the request. Edge
 * hears where it stands: the state of a new one, the news of a parked one. Does not free p.
 */
void imap_begin_session(struct user_session *s, struct ipc_packet *p);

#endif
