/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_protocol.h - numbers in the session messages between edge, mta and user.      [roles]
 */
#ifndef BARID_ROLES_ROLE_SESSION_PROTOCOL_H
#define BARID_ROLES_ROLE_SESSION_PROTOCOL_H

#include "base/attr.h"
#include <stdint.h>

/* peer.source: who said who the client is. */
enum peer_source {
	PEER_SOCKET,  /* its connection comes to us */
	PEER_PROXY,   /* a header of the PROXY protocol */
	PEER_XCLIENT, /* XCLIENT of SMTP */
	PEER_ID,      /* ID of IMAP */
};

/* A session's id begins with the index of the edge that made it. */
#define SESSION_EDGE_SHIFT 56
/* No edge speaks for another one's sessions: who hears of a session compares. */
static inline unsigned session_edge(uint64_t session)
{
	return (unsigned)(session >> SESSION_EDGE_SHIFT);
}

/* session_done.next: what edge does after it has sent the output. */
enum session_next {
	NEXT_CONTINUE = 0, /* the next command */
	NEXT_CLOSE,
	NEXT_PARK, /* IMAP: in IDLE; the next line is raw */
	NEXT_MORE, /* IMAP: session_resume when the output has drained */
	NEXT_DATA, /* SMTP: collect a message of at most arg octets */
	NEXT_BDAT, /* SMTP: collect arg octets */
	NEXT_STARTTLS,
	NEXT_XCLIENT, /* SMTP: begin afresh, with the peer that text describes */
	NEXT_WAIT,    /* SMTP: watch the client for arg ms, then session_waited */
	NEXT_AUTH,    /* SMTP: text is "mechanism" or "mechanism initial-response" */
};
/* session_done.flags */
enum {
	DONE_LAST = 1u << 0,	  /* NEXT_BDAT: the last chunk */
	DONE_DISCARD = 1u << 1,	  /* NEXT_BDAT: collect it only to throw it away */
	DONE_FIRST = 1u << 2,	  /* NEXT_BDAT: a new message begins */
	DONE_STATELESS = 1u << 3, /* the state is too large to be kept: the session cannot move */
};

/* standby.how: a role is about to be replaced, and its peers pause for a moment. */
enum hold_how {
	HOLD_RELEASE, /* go on */
	HOLD_BODIES,  /* nothing waits yet; answered when no large body is on its way */
	HOLD_ALL,     /* begin nothing new with it; answered when what was begun is finished */
};

/* Text up to here travels in session_done itself; what is longer goes before, in session_out. */
#define DONE_OUT_MAX  (24u * 1024)
#define OUT_PIECE_MAX (56u * 1024)

/* session_auth.outcome beside enum smtp_auth: dir has granted what XCLIENT LOGIN claims. */
#define AUTH_CLAIMED 255u

/* session_body.flags */
enum body_flag {
	BODY_BARE = 1u << 0, /* as SMTP_BODY_* */
	BODY_TOO_BIG = 1u << 1,
	BODY_ABORTED = 1u << 2,
	BODY_LOST = 1u << 3,
};

/* Bodies up to here travel and are stored inline; larger ones are files of the blob tree. */
#define BODY_INLINE_MAX (60u * 1024)

#endif
