/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that somebody looks at closely for a while (`barid log debug`): the trace ids of their
 * sessions carry LOG_TRACE_DEBUG, which every role obeys.
 */
#include "roles/edge/edge.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/rand.h"

#define PEERS_MAX 8u

static struct {
	struct netcidr net;
	struct mono_ns until;
} peers[PEERS_MAX];
static unsigned next; /* the oldest gives way */

void log_peer_add(struct role *role, struct str ip, uint32_t seconds)
{
	struct netcidr net;
	if (!netcidr_parse(ip, &net))
		return;
	peers[next].net = net;
	peers[next].until = mono_add_ms(loop_now(role->loop), (uint64_t)seconds * 1000);
	next = (next + 1) % PEERS_MAX;
}

struct trace_id log_peer_trace(const struct edge *e, const struct netaddr *peer)
{
	struct trace_id trace = {(rand_u64() & ~LOG_TRACE_DEBUG) | 1};
	for (unsigned i = 0; i < PEERS_MAX; i++)
		if (mono_before(loop_now(e->role->loop), peers[i].until) &&
		    netcidr_has(&peers[i].net, peer))
			trace.v |= LOG_TRACE_DEBUG;
	return trace;
}
