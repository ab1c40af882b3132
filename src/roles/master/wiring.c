/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fresh role process is told, and the sockets between roles. A connection is made when the
 * second of its two ends says hello; when either restarts, both get a fresh socket.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "sys/clock.h"
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

/* With those that are there already; the others will be connected when they come. */
static void connect_child(struct child *c)
{
	struct master *m = c->master;
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *other = &m->children[i];
		if (other != c && other->wired &&
		    (names(c->kind, other->kind) || names(other->kind, c->kind)))
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

/* Tests: a bent clock is bent for those who come later, too. */
static void give_clock(struct child *c)
{
	char us[32];
	if (!clock_bent_us())
		return;
	(void)snprintf(us, sizeof us, "%lld", (long long)clock_bent_us());
	struct msg_debug d = {.verb = STR("clock"), .arg = str_c(us)};
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_DEBUG, &d);
}

static void give_configuration(struct child *c)
{
	struct master *m = c->master;
	AUTO(buf) struct buf text = BUF_INIT(MIB(1));
	conf_write(m->o->conf, &text);
	struct msg_configure configure = {.conf = buf_str(&text),
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

static void give_certificate(struct child *c)
{
	struct master *m = c->master;
	struct msg_certificate cert = {.chain = buf_str(&m->certificate), .key = buf_str(&m->key)};
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_CERTIFICATE, &cert);
}

static void give_edge_its_sockets(struct child *c)
{
	struct master *m = c->master;
	give_certificate(c);
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
	give_clock(c);
	if (strcmp(c->kind->name, "edge") == 0)
		give_edge_its_sockets(c);
	connect_child(c);
	c->wired = true;
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_START, &start);
}

/* --- certificate
 * ------------------------------------------------------------------------- */

static int read_pem(const char *path, struct buf *out, struct fail *why)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0) {
		char *room = buf_room(out, 4096);
		if (!room)
			return fail_set(why, FAIL_TOOBIG, NULL, "%s is larger than 64 KiB", path);
		n = read(fd, room, 4096);
		if (n > 0)
			buf_added(out, (size_t)n);
	}
	return n < 0 ? fail_errno(why, FAIL_IO, "cannot read %s", path) : 0;
}

static int read_pair(const struct conf *c, struct buf *chain, struct buf *key, struct fail *why)
{
	int r = read_pem(c->tls_certificate, chain, why);
	return r < 0 ? r : read_pem(c->tls_key, key, why);
}

int certificate_read(struct master *m, struct fail *why)
{
	return read_pair(m->o->conf, &m->certificate, &m->key, why);
}

/* A new certificate is on trial until edge has said that it is good. */
struct trial {
	struct ipc_ask ask;
	struct master *m;
	struct ipc_packet *request; /* of `barid reload`; NULL after SIGHUP */
	struct buf chain, key;
};

static void trial_end(struct trial *t, int r, struct fail *why)
{
	static const struct msg_admin_reply done = {
		.text = {"The certificate was read again.", 31}};
	log_event(r < 0 ? LOG_ERROR : LOG_INFO, "master.reload",
		  log_c("result", r < 0 ? "the old certificate stays" : "ok"),
		  log_c("why", r < 0 ? why->detail : ""));
	if (t->request && r == 0)
		(void)ipc_reply(t->request, IPC_ADMIN_REPLY, &done);
	if (t->request && r < 0) {
		(void)snprintf(why->public, sizeof why->public, "%.150s",
			       why->detail); /* the operator may know */
		(void)ipc_reply_fail(t->request, why);
	}
	ipc_packet_free(t->request);
	if (t->key.p)
		explicit_bzero(t->key.p, t->key.n);
	buf_clear(&t->chain);
	buf_clear(&t->key);
	free(t);
}

static void trial_judged(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct trial *t = CONTAINER_OF(a, struct trial, ask);
	struct fail copy = *why;
	ipc_packet_free(p);
	if (r == 0) {
		struct buf chain = t->m->certificate, key = t->m->key;
		t->m->certificate = t->chain;
		t->m->key = t->key;
		t->chain = chain;
		t->key = key;
	}
	trial_end(t, r, &copy);
}

void certificate_reload(struct master *m, struct ipc_packet *request)
{
	struct fail why = FAIL_INIT;
	struct trial *t = xcalloc(1, sizeof *t);
	*t = (struct trial){.ask.done = trial_judged,
			    .m = m,
			    .request = request,
			    .chain = BUF_INIT(KIB(64)),
			    .key = BUF_INIT(KIB(64))};
	int r = read_pair(m->o->conf, &t->chain, &t->key, &why);
	if (r < 0) {
		trial_end(t, r, &why);
		return;
	}
	struct msg_certificate cert = {.chain = buf_str(&t->chain), .key = buf_str(&t->key)};
	struct ipc_question q = {
		.type = IPC_CERTIFICATE, .msg = &cert, .want = IPC_OK, .deadline_ms = 5000};
	ipc_ask(master_child(m, "edge", 0)->control, &q, &t->ask);
}
