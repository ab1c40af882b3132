/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer is about to be replaced: begin nothing new with it, and say when all that was begun is
 * finished. The fresh one is told by its socket, which ends the hold.
 */
#include "base/check.h"
#include "roles/role/role_int.h"
#include "roles/role/session_protocol.h"
#include <stdio.h>
#include <stdlib.h>

#define LOOK_MS 5

struct holding {
	struct loop_timer look;
	struct role *role;
	struct ipc_channel *peer;
	struct ipc_packet *request;
	unsigned how;
};

static bool is_quiet(const struct holding *h)
{
	if (h->how == HOLD_RELEASE)
		return true;
	if (h->role->ops->held && !h->role->ops->held(h->role, h->peer, h->how))
		return false;
	return h->how != HOLD_ALL || ipc_channel_quiet(h->peer);
}

static void look(struct loop_timer *t)
{
	static const struct msg_ok ok = {0};
	struct holding *h = CONTAINER_OF(t, struct holding, look);
	/* Once it is down there is nothing to wait for. */
	if (ipc_channel_is_up(h->peer) && !is_quiet(h)) {
		loop_timer_in(h->role->loop, t, LOOK_MS);
		return;
	}
	(void)ipc_reply(h->request, IPC_OK, &ok);
	ipc_packet_free(h->request);
	free(h);
}

/* NULL: no peer of ours. */
static struct ipc_channel *find(const struct role *role, struct str name, unsigned index)
{
	for (size_t i = 0; i < role->peers.n; i++)
		if (str_eq(str_c(ipc_channel_name(role->peers.p[i])), name) &&
		    ipc_channel_index(role->peers.p[i]) == index)
			return role->peers.p[i];
	return NULL;
}

void role_hold(struct role *role, struct ipc_packet *p)
{
	struct msg_standby m;
	struct fail why = FAIL_INIT;
	struct ipc_channel *peer =
		msg_standby_read(p, &m) == 0 ? find(role, m.role, m.index) : NULL;
	if (!peer || !role->started || role->stopping) {
		(void)fail_set(&why, FAIL_NOTFOUND, NULL, "no such peer");
		(void)ipc_reply_fail(p, &why);
		ipc_packet_free(p);
		return;
	}
	if (role->ops->hold)
		role->ops->hold(role, peer, m.how);
	else if (m.how != HOLD_BODIES)
		ipc_channel_hold(peer, m.how == HOLD_ALL);
	struct holding *h = xcalloc(1, sizeof *h);
	*h = (struct holding){
		.look.fire = look, .role = role, .peer = peer, .request = p, .how = m.how};
	loop_timer_in(role->loop, &h->look, 0);
}
