/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_int.h - between the files that say where an address leads.             [service/dir only]
 *
 * route.c          one question from its beginning to its verdict
 * route_expand.c   an address becomes others: keys, tables, details
 * route_end.c      where an expansion ends: mailboxes, lists, other servers and how to reach them
 * route_bcc.c      who gets a copy
 * route_explain.c  the same told step by step, for people
 *
 * The directory's lock is held, and one snapshot is open, throughout.
 */
#ifndef BARID_SERVICE_DIR_ROUTE_INT_H
#define BARID_SERVICE_DIR_ROUTE_INT_H

#include "base/vec.h"
#include "dir_int.h"
#include "service/dir/scope.h"

/* What is told to somebody who wants to know; see route_tell. */
struct route_story {
	struct arena *a;
	const struct dir_scope *scope; /* whose rows may be shown */
	bool hidden;		       /* the address at hand is another administrator's */
	bool unnamed;		       /* and only one of those leads to it */
	VEC(struct str) secret;	       /* addresses that one of those leads to */
	VEC(struct dir_route_step) steps;
};

/* An address to be resolved; `listed`: a row names it, its own or another's. */
struct named {
	struct str address;
	bool listed;
};

/* What was asked for already, and what is still to be resolved, in one list. */
struct expansion {
	struct dir *d;
	struct arena *a;
	struct str sender; /* as the envelope has it; empty: the null sender */
	enum dir_mapping mapping;
	struct route_story *story;   /* NULL: nobody listens */
	VEC(struct named) addresses; /* all seen; [next, n) are waiting */
	size_t next;
	VEC(struct destination) dests;
	size_t unknown; /* ends that are no mailbox */
	struct str note;
	bool relay_known;
	struct str relay; /* relay host of the sender; empty: none */
	bool listed;	  /* so is the address at hand */
	bool too_many;	  /* rows of one address */
};

struct forwardings {
	VEC(struct str) v;
};

int route_full(struct fail *why); /* the arena is */
void route_note(struct expansion *e, const char *what, struct str about);
/*
 * A step for who listens: the key that was looked for, in which table, and what came of it.
 * Nothing is told of rows that are not theirs to see.
 */
void route_tell(struct expansion *e, struct str key, const char *table, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* What the address at hand leads to is as secret as itself. */
void route_keep_secret(struct expansion *e, struct str address);
bool route_is_secret(const struct route_story *s, struct str address);

/* route_expand.c */
/* Put an address on the list, unless it is there. */
void expansion_add(struct expansion *e, struct str address, bool listed);
/* Resolve all that is on the list; gives up silently when it is longer than the limit. */
MUST_CHECK int expansion_run(struct expansion *e, struct fail *why);
void expansion_clear(struct expansion *e);

/*
 * srs.c: the address is a rewritten sender. 1: it was resolved, or refused (out->verdict); 0: it is
 * none of ours.
 */
MUST_CHECK int route_return(struct expansion *e, const struct dir_rcpt *rcpt, struct dir_route *out,
			    struct fail *why);

/* route_end.c */
/* The address names itself, or nothing: a destination is added, or `unknown` grows. */
MUST_CHECK int route_settle(struct expansion *e, const struct addr *x,
			    const struct domain_info *dom, struct fail *why);
/* Is this a name that this machine itself answers for: root, postmaster, abuse ...? */
bool route_is_local_name(struct str local);

/* route_bcc.c */
/* Destinations of the copies that sender and recipient have ordered, into e->dests. */
MUST_CHECK int route_copies(struct expansion *e, const struct addr *rcpt,
			    const struct domain_info *dom, struct fail *why);

#endif
