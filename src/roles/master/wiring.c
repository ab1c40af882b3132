/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fresh role process is told, and the sockets between roles. A connection is made when the
 * second of its two ends says hello; when either restarts, both get a fresh socket.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/fdpass.h"
#include "sys/log.h"
#include "sys/sha256.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool names(const struct role_kind *from, const struct role_kind *to)
{
	for (size_t i = 0; from->talks_to[i]; i++)
		if (strcmp(from->talks_to[i], to->name) == 0)
			return true;
	return false;
}

static void give_end(struct child *to, struct child *peer, int fd)
{
	struct msg_channel m = {
		.role = str_c(peer->kind->name), .index = (uint16_t)peer->index, .socket = fd};
	(void)ipc_send(to->control, (struct trace_id){0}, IPC_CHANNEL, &m);
}

static void connect_pair(struct child *a, struct child *b)
{
	int pair[2];
	struct fail why = FAIL_INIT;
	if (fdpass_pair(pair, &why) < 0) {
		log_event(LOG_ERROR, "role.cannot-connect", log_c("a", a->kind->name),
			  log_c("b", b->kind->name), log_fail(&why));
		return;
	}
	give_end(a, b, pair[0]);
	give_end(b, a, pair[1]);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

bool wired_together(const struct child *a, const struct child *b)
{
	return a != b && (names(a->kind, b->kind) || names(b->kind, a->kind));
}

/* With those that are there already; the others will be connected when they come. */
static void connect_child(struct child *c)
{
	struct master *m = c->master;
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *other = &m->children[i];
		if (other->wired && wired_together(c, other))
			connect_pair(c, other);
	}
}

/* Each role that seals has a key of its own: one cannot make what another believes. */
static void role_key(const struct master *m, const struct role_kind *kind,
		     unsigned char key[SEAL_KEY_SIZE])
{
	struct sha256 *h = sha256_begin();
	sha256_add(h, (struct str){(const char *)m->seal_key, sizeof m->seal_key});
	sha256_add(h, str_c(kind->name));
	sha256_end(h, key);
}
_Static_assert(SEAL_KEY_SIZE == SHA256_LEN, "a digest is a key");

static void give_configuration(struct child *c)
{
	struct master *m = c->master;
	struct msg_configure configure = {.conf = m->conf_fd,
					  .revision = m->revision,
					  .uid = c->uid,
					  .gid = c->gid,
					  .shared_gid = c->kind->shares_blobs ? m->blob_gid : 0,
					  .state = m->state_fd,
					  .log = m->logfile.fd};
	unsigned char key[SEAL_KEY_SIZE];
	if (c->kind->seals) {
		role_key(m, c->kind, key);
		configure.seal_key = (struct str){(const char *)key, sizeof key};
	}
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_CONFIGURE, &configure);
	explicit_bzero(key, sizeof key);
}

static void give_certificates(struct child *c)
{
	const struct certificates *all = &c->master->certificates;
	struct msg_certificates m = {.identities = all->ids, .identities_n = all->n};
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_CERTIFICATES, &m);
}

static void give_edge_its_sockets(struct child *c)
{
	struct master *m = c->master;
	give_certificates(c);
	edges_give(c);
	for (size_t i = 0; i < m->listeners.n; i++) {
		struct listener *l = &m->listeners.p[i];
		struct msg_listener msg = {.service = str_c(l->service),
					   .address = str_c(l->address),
					   .socket = l->fd};
		(void)ipc_send(c->control, (struct trace_id){0}, IPC_LISTENER, &msg);
	}
}

void wire_child(struct child *c)
{
	static const struct msg_start start = {0};
	give_configuration(c);
	loglevel_give(c);
	debug_give(c);
	if (strcmp(c->kind->name, "edge") == 0)
		give_edge_its_sockets(c);
	connect_child(c);
	CRASH_POINT("master.connected");
	c->wired = true;
	c->prepared = 0;
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_START, &start);
}
