/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend is about to be replaced by one of the next generation. Its clients wait a moment with
 * what they say next, so that nothing is under way when it ends; then the fresh one is given the
 * sealed state of each session, as after a crash, and what was kept back is taken.
 *
 * While a user process is held nobody logs in by IMAP or POP3: a grant would go to the one that
 * ends.
 */
#include "roles/edge/edge.h"
#include "roles/role/session_protocol.h"
#include <string.h>

static bool has_mailbox(const struct session *s)
{
	return s->service->ops == &edge_imap_ops || s->service->ops == &edge_pop3_ops ||
	       s->service->ops == &edge_managesieve_ops;
}

/* Does the session have to do with this backend, now or in a moment? */
static bool concerns(const struct session *s, const struct ipc_channel *peer)
{
	if (s->backend)
		return s->backend == peer;
	return has_mailbox(s) && strcmp(ipc_channel_name(peer), "user") == 0;
}

bool session_may_begin(const struct session *s)
{
	const struct ipc_channel *held = s->edge->held;
	return !held || !concerns(s, held);
}

static bool has_sessions(const struct ipc_channel *peer)
{
	return strcmp(ipc_channel_name(peer), "user") == 0 ||
	       strcmp(ipc_channel_name(peer), "mta") == 0;
}

static void go_on(struct edge *e, const struct ipc_channel *peer)
{
	LIST_EACH (&e->all, link) {
		struct session *s = CONTAINER_OF(link, struct session, link);
		if (s->conn && s->phase != SESSION_ENDING && concerns(s, peer) &&
		    s->service->ops->drained)
			s->service->ops->drained(s, s->conn->out_bytes);
	}
}

static void release(struct edge *e)
{
	struct ipc_channel *peer = e->held;
	e->held = NULL;
	LIST_EACH (&e->all, link) {
		struct session *s = CONTAINER_OF(link, struct session, link);
		if (s->conn && s->phase != SESSION_ENDING && s->phase != SESSION_WAITING && peer &&
		    concerns(s, peer) && !s->conn->handshaking)
			conn_resume(s->conn); /* pauses itself again when it may not take */
	}
}

void edge_hold(struct role *role, struct ipc_channel *peer, unsigned how)
{
	struct edge *e = &edge;
	(void)role;
	if (how == HOLD_BODIES)
		return;
	if (!has_sessions(peer)) {
		ipc_channel_hold(peer, how == HOLD_ALL);
		return;
	}
	if (how == HOLD_RELEASE) {
		release(e);
		return;
	}
	e->held = peer;
	go_on(e, peer); /* a long answer is written to its end, whatever the client has taken */
}

bool edge_held(struct role *role, struct ipc_channel *peer, unsigned how)
{
	(void)role;
	if (!has_sessions(peer))
		return true;
	LIST_EACH (&edge.all, link) {
		struct session *s = CONTAINER_OF(link, struct session, link);
		if (s->conn && s->phase != SESSION_ENDING && concerns(s, peer) &&
		    !s->service->ops->settled(s, how))
			return false;
	}
	return true;
}
