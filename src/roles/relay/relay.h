/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - the role that takes mail to other servers: what its files share.      [roles, private]
 *
 * A thread for each transaction, blocking and straight-line: hosts in order (targets.c), a
 * connection that is there or a fresh one (link.c, idle.c), the dialogue (proto/smtp_client), the
 * outcome of each recipient (attempt.c). relay opens no file and listens nowhere.
 */
#ifndef BARID_ROLES_RELAY_RELAY_H
#define BARID_ROLES_RELAY_RELAY_H

#include "base/arena.h"
#include "base/list.h"
#include "codec/smtp/nexthop.h"
#include "proto/smtp_client/smtp_client.h"
#include "roles/role/role.h"
#include "runtime/worker.h"
#include "sys/sock.h"
#include <pthread.h>
#include <stdatomic.h>

#define RELAY_HOST_MAX 256
#define RELAY_KEY_MAX  400
#define RELAY_USER_MAX 321

struct tls_clients;
struct tls_stream;
struct tls_demand;
struct dns_answer;

struct relay {
	struct role *role;
	struct pool *pool;
	struct tls_clients *tls;
	struct netaddr from4, from6; /* family 0: any */
	struct loop_timer sweep;
	pthread_mutex_t lock;
	struct list open; /* every link */
	struct list idle; /* those that wait for another message, the last used first */
	size_t idle_n;
	atomic_bool stopping; /* nothing new is begun */
	atomic_bool cut;      /* what is under way ends now */
	int cut_fd; /* readable from then on: who waits for a socket waits for this, too */
	struct loop_timer cutter;
};
extern struct relay relay;

/*
 * What an attempt may cost in name service, all hosts and questions together: a domain whose
 * servers are silent shall not hold a connection's place for minutes.
 */
#define ERRAND_NAMES_MS 75000
struct errand {
	struct trace_id trace;
	int64_t names_ns; /* left of it; what is remembered costs nothing */
};
/* As role_resolve. Fails at once when relay is being cut off. */
MUST_CHECK int errand_resolve(struct errand *e, struct str name, uint16_t type, struct arena *a,
			      struct dns_answer *ret, struct fail *why);

/* ---- hosts to try ---- */

struct target {
	char host[RELAY_HOST_MAX]; /* name, or the address as a literal */
	struct netaddr address;	   /* with the port */
	bool secure;		   /* DNSSEC proves that this host and address belong there */
};
#define TARGETS_MAX 20
struct targets {
	struct target v[TARGETS_MAX];
	size_t n;
	bool secure; /* of a domain: DNSSEC proves its MX, or that there is none */
};
/*
 * Where `hop` leads, in the order to be tried. Blocks on name service. -FAIL_PERM: nowhere, for
 * good; -FAIL_TEMP: not known now; `answer` says why.
 */
MUST_CHECK int targets_find(const struct nexthop *hop, const struct conf *conf, struct errand *e,
			    struct targets *ret, struct smtp_answer *answer);

/* ---- connections ---- */

struct link {
	struct list all;  /* relay.open */
	struct list idle; /* relay.idle */
	int fd;
	struct smtp_wire wire;
	struct smtp_client client;
	struct tls_stream *tls;
	bool blocking;		   /* reads and writes wait by themselves, a moment at a time */
	char key[RELAY_KEY_MAX];   /* for what it may be used again */
	char user[RELAY_USER_MAX]; /* who has logged in; empty: nobody */
	char host[RELAY_HOST_MAX];
	char ip[NETADDR_TEXT_MAX];
	char tls_text[200]; /* empty: in the clear */
	struct mono_ns born, used;
	unsigned messages;
};

/* How far it went. LINK_TLS: it would go on in the clear. LINK_LOOP: that is ourselves. */
enum link_stage {
	LINK_CONNECT,
	LINK_GREETING,
	LINK_LOOP,
	LINK_HELLO,
	LINK_TLS,
	LINK_POLICY,
	LINK_LOGIN
};
struct link_wish {
	const struct nexthop *hop;
	const struct target *target;
	const struct conf *conf;
	const char *key;
	const struct tls_demand *demand;
	struct str user, password; /* empty user: do not log in */
};
/*
 * Connect, and say hello: ready for a message. Else a code of smtp_client.h, with *answer, and
 * *ret_stage is how far it went; *ret is untouched.
 */
MUST_CHECK int link_open(const struct link_wish *w, struct link **ret, struct smtp_answer *answer,
			 enum link_stage *ret_stage);
void link_close(struct link *l); /* with QUIT where that makes sense; NULL is fine */
/* Abort all of them: whoever reads or writes there fails. */
void links_abort(void);

/*
 * One that is there already for this key, or NULL. Where servers take logins, only who has the same
 * one may use it: `user`, empty = none; NULL = not known yet, then such links are passed over, and
 * *ret_wants says that there are some.
 */
struct link *idle_take(const char *key, const char *user, const struct conf *conf, bool *ret_wants);
/* Keep it for the next message to its key, or close it. */
void idle_put(struct link *l, const struct conf *conf);
void idle_sweep(const struct conf *conf); /* close those whose time is over */
void idle_clear(void);

/* ---- one request ---- */

/* On a thread of the pool; answers p, which stays the caller's. */
void attempt_run(struct role *role, struct ipc_packet *p);
/* post.c: a report about TLS to a domain's server; as attempt_run. */
void post_run(struct role *role, struct ipc_packet *p);

#endif
