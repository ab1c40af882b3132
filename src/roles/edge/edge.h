/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edge.h - the role that owns every client socket.                                    [roles,
 * private]
 *
 * A session is one connection. Edge frames what the client says, sends complete commands to the
 * role that may act on them (mta, or the user process of the account), and writes what comes
 * back. It parses no command of a logged-in user, and knows an account only as the shard that
 * dir named.
 *
 *     SESSION_LOGIN    edge talks itself (IMAP before login; SASL of SMTP)
 *     SESSION_WAITING  a question to dir, or to the backend (a body file), is out; input is paused
 *     SESSION_RUNNING  commands go to the backend
 *     SESSION_PARKED   IDLE: the backend holds no thread, the client may say DONE
 *
 * When a backend dies: a session with nothing under way is opened again at its successor with the
 * sealed state that came with the last answer; the client notices nothing. With something under
 * way see each protocol.
 */
#ifndef BARID_ROLES_EDGE_EDGE_H
#define BARID_ROLES_EDGE_EDGE_H

#include "base/map.h"
#include "codec/frame/frame_data.h"
#include "codec/frame/frame_imap.h"
#include "codec/frame/frame_line.h"
#include "codec/imap/imap_cmd.h"
#include "codec/pop3/pop3_cmd.h"
#include "proto/login/login_imap.h"
#include "proto/login/login_managesieve.h"
#include "proto/login/login_pop3.h"
#include "proto/login/login_sasl.h"
#include "roles/edge/peer.h"
#include "roles/role/board.h"
#include "roles/role/role.h"
#include "roles/role/session_protocol.h"
#include "runtime/conn/conn.h"
#include "runtime/services.h"
#include "runtime/tls/tls.h"
#include "sys/fdpass.h"
#include "sys/login_log.h"
#include "sys/offence.h"
#include "sys/sock.h"

enum session_phase {
	SESSION_LOGIN,
	SESSION_WAITING,
	SESSION_RUNNING,
	SESSION_PARKED,
	SESSION_ENDING
};

struct service {
	const struct service_def *def;
	const struct session_ops *ops;
	const char *alpn; /* a client that offers protocols must offer this one; NULL = any */
};
extern const struct service edge_services[SERVICES];

struct session;
struct session_ops {
	void (*init)(struct session *s);  /* so that clear is always right: a TLS handshake may come
					     before begin */
	void (*begin)(struct session *s); /* connected; with TLS, after the handshake */
	void (*input)(struct session *s, struct str *in);
	void (*secured)(struct session *s); /* after STARTTLS */
	void (*timeout)(struct session *s);
	void (*drained)(struct session *s, size_t left);
	void (*eof)(struct session
			    *s); /* the client sends no more, but may still read; NULL = finish */
	void (*done)(struct session *s, struct ipc_packet *p, const struct msg_session_done *m);
	/* The backend is gone with something of this session under way; or it is back. */
	void (*backend_lost)(struct session *s);
	void (*backend_back)(struct session *s);
	void (*shutdown)(struct session *s); /* say goodbye and finish */
	void (*revoked)(struct session *s); /* the same when nothing is under way; s->over is set */
	/* Would nobody notice if the backend were replaced now? HOLD_BODIES asks for large bodies
	 * on their way alone. */
	bool (*settled)(const struct session *s, unsigned how);
	bool (*quiet)(
		const struct session *s); /* between two commands: nobody waits for anything */
	void (*clear)(struct session *s); /* free what the protocol keeps */
};

#define EDGE_LITERALS_MAX 64
struct edge_literals {
	struct msg_literal msg[EDGE_LITERALS_MAX];
	unsigned char ids[EDGE_LITERALS_MAX][16];
	size_t n;
};

/* What a logged-in client asks of edge itself: edge_imap_own.c. */
enum imap_own { IMAP_OWN_NONE, IMAP_OWN_COMPRESS, IMAP_OWN_UNAUTHENTICATE };

struct imap_edge {
	struct login_imap *login; /* NULL once logged in */
	struct frame_imap frame;
	unsigned in_flight;
	bool idle_sent;	     /* IDLE is on its way: take nothing until it is parked or answered */
	bool more;	     /* the backend waits for the output to drain */
	bool eof;	     /* end when everything is answered */
	bool partial;	     /* a command has begun, and its time runs */
	int body_fd;	     /* an external literal is arriving; else -1 */
	uint64_t body_at;    /* what of it is in the file */
	struct buf deferred; /* ours to say when no answer of the backend is under way */
	struct buf again; /* the command under way, when it is the only one and can be said again */
	bool repeatable;  /* it changes nothing, or did not go out */
	struct edge_literals *literals; /* of the command that is arriving; NULL = none */
	enum imap_own own;		/* its turn comes when all before it is answered */
	struct buf own_tag;
	struct ipc_ask ask;
};

enum smtp_input { SMTP_INPUT_LINES, SMTP_INPUT_DATA, SMTP_INPUT_BDAT, SMTP_INPUT_SASL };
struct smtp_edge {
	struct frame_line frame;
	struct buf batch; /* lines being collected */
	enum smtp_input input;
	struct frame_data data;
	struct frame_bdat bdat;
	bool bdat_last, discard;
	uint64_t octets_max;
	uint64_t size;		      /* of the body so far */
	unsigned body_flags;	      /* enum body_flag */
	struct mono_ns content_since; /* the message, or its first chunk, was asked for */
	uint64_t content_octets;      /* that came since, on the wire */
	struct buf body;	      /* while small */
	bool feeding;		      /* the chunk comes from `feed`, not from the client */
	struct memmap feed;
	size_t fed; /* of it */
	unsigned char body_id[16];
	int body_fd;		 /* -1: not a file (yet) */
	uint64_t body_at;	 /* what is in the file */
	struct login_sasl *sasl; /* NULL but during AUTH */
	struct buf initial;	 /* of AUTH: never leaves edge but for dir */
	bool has_initial;
	struct buf last;     /* the command under way, to be said again to a fresh mta */
	bool body_under_way; /* a message is with mta: its fate would be unknown */
	bool waiting;	     /* the client has half of a greeting, and shall be silent */
	bool busy;	     /* mta has not answered */
	struct ipc_ask ask;
};

struct managesieve_edge {
	struct login_managesieve *login; /* NULL once logged in */
	struct frame_imap frame;
	struct buf extensions; /* of Sieve, for the dialogue */
	bool busy;	       /* a command is under way */
	bool eof;	       /* the client sends no more */
};

struct pop3_edge {
	struct login_pop3 *login;  /* NULL once logged in */
	struct pop3_choice choice; /* of the login dialogue */
	struct frame_line frame;
	struct buf batch; /* lines being collected */
	struct buf again; /* the batch under way */
	bool busy;	  /* the user process has not answered */
	bool more;	  /* it waits for the output to drain */
	bool answered;	  /* a part of its answer is out */
	bool repeated;	  /* the batch was said again */
	bool eof;	  /* end when everything is answered */
};

struct http_edge {
	struct buf head; /* of the request that is arriving */
	bool busy;	 /* admin has not answered */
	bool head_only, keep_alive;
	struct ipc_ask ask;
};

/* edge_ask.c: questions and answers, which change nothing that the client would have to know */
struct ask_edge {
	struct buf in;	 /* what has come and is not asked */
	struct buf last; /* what mta is being asked: whole requests */
	bool busy;	 /* mta has not answered */
	bool eof;	 /* end when everything is answered */
	unsigned tries;
	struct ipc_ask ask;
};

struct session {
	struct edge *edge;
	struct list link;
	const struct service *service;
	struct session_id id;
	struct trace_id trace;
	struct conn *conn;
	struct peer peer;
	uint64_t counted;     /* the address it counts for; 0 = none */
	bool told;	      /* the log knows that it has begun */
	struct mono_ns since; /* when it connected: the time for a login runs */
	enum session_phase phase;
	struct mono_ns heard;	     /* when the client last said something */
	struct ipc_channel *backend; /* NULL before login */
	uint32_t seq;		     /* of the last command sent */
	struct buf state;	     /* sealed, to resume from */
	bool stateless;		     /* the backend keeps what does not fit into `state` */
	bool mid_answer;	     /* output came whose end (session_done) has not */
	bool opened;		     /* the backend at hand knows the session */
	bool detached;		     /* ended: goes when no answer is outstanding */
	unsigned asks;		     /* answers outstanding */
	struct loop_task reap;	/* counts as an answer: whoever is on the stack may still look */
	struct loop_timer hold; /* a reply that must not go out yet */
	void (*held)(struct session *s);
	struct ipc_ask login_ask;
	char login_user[256]; /* whom dir is asked about; empty: in a mechanism that only dir reads
			       */
	const char *login_mech;
	struct login_answer answer; /* of dir; valid while `held` runs after session_login */
	struct buf challenge;	    /* its text */
	struct buf ticket;	    /* of dir, for the login; empty: nobody is logged in */
	bool over; /* dir has taken the right away: end when nothing is under way */
	uint32_t shard;
	union {
		struct imap_edge imap;
		struct smtp_edge smtp;
		struct pop3_edge pop3;
		struct managesieve_edge managesieve;
		struct http_edge http;
		struct ask_edge ask;
	};
};

struct accepting;
struct edge {
	struct role *role;
	VEC(struct accepting *) listeners;
	struct tls_ctx *tls;
	struct tls_ctx *tls_next; /* prepared, not yet committed */
	struct map sessions;	  /* id -> struct session */
	struct list all;
	struct list waiting;	   /* for the header of a proxy; see admit.c */
	struct map per_address;	   /* see admit.c */
	struct board *board;	   /* NULL: this is the only edge */
	bool yielded;		   /* another edge was given the chance to take who knocks */
	struct mono_ns full_since; /* nobody could be sent away for others; looked again later */
	uint32_t mechanisms;	   /* enum sasl_offer: what dir says */
	uint64_t next_session;
	size_t open_max; /* for which it has descriptors; 0 = not known */
	size_t open;	 /* connections: sessions, and those that wait */
	/* From the configuration. */
	struct netcidrs trusted, trusted_clients, normalise, xclient, xclient_login, id_from;
	struct netcidrs relay;		   /* may send to any domain */
	struct netcidrs proxies[SERVICES]; /* that send the PROXY protocol to each service */
	struct ipc_channel *held; /* a backend that is about to be replaced: nothing new for it */
	bool stopping;
	bool draining; /* no more clients; see drain.c */
	struct mono_ns drain_deadline;
	int64_t drain_grace_ms;
	struct loop_timer drain_tick;
	struct loop_timer stop_timer;
	struct loop_timer accept_again; /* runs while there are no descriptors for connections */
};
extern struct edge edge;
extern const struct role_ops edge_role_ops;

/* hold.c: a backend is about to be replaced */
void edge_hold(struct role *role, struct ipc_channel *peer, unsigned how);
bool edge_held(struct role *role, struct ipc_channel *peer, unsigned how);
/* May what this client says be looked at now? */
bool session_may_begin(const struct session *s);
/* edge.c */
void edge_configure(struct edge *e, const struct conf *c);
/* Close the listening sockets; master and a successor have theirs. */
void edge_stop_accepting(struct edge *e);
/* Send everybody away, and end. */
void edge_stop(struct role *role);
/* drain.c: role_ops.drain */
void edge_drain(struct role *role, uint32_t grace_ms, uint32_t deadline_ms);
/* admit.c */
/* Somebody has connected; fd is edge's. */
void edge_knock(struct edge *e, const struct service *service, int fd, const struct netaddr *addr);
void edge_drop_waiting(struct edge *e);
/* Others have fewer connections: let them, for a moment. */
bool edge_yields(struct edge *e);
/* After a change of s->peer: may it stay? Else it is to be sent away with edge_too_many. */
bool edge_recount(struct session *s);
struct str edge_too_many(const struct service *service);
/* The same name for all connections of a client: an IPv6 client owns at least a /64. */
uint64_t edge_who(const struct netaddr *peer);
/* It has logged in: from now on its account is counted, not its address. */
void edge_session_known(struct session *s);
/* Keep count. */
void edge_session_began(struct session *s);
void edge_session_ended(struct session *s);

/* log_peer.c */
void log_peer_add(struct role *role, struct str ip, uint32_t seconds);
/* Of a new session. */
struct trace_id log_peer_trace(const struct edge *e, const struct netaddr *peer);

/* session.c: what the protocols share */
/* Takes over fd and what *peer holds. `since`: when it connected. */
struct session *session_begin(struct edge *e, const struct service *service, int fd,
			      const struct peer *peer, struct mono_ns since);
/* Somebody has said for whom the connection is: count and log. False: the session is ending. */
bool session_peer_changed(struct session *s);
/* It is about to do something that people may ask about: the log has to have its begin. */
void session_tell(struct session *s);
/* Count and log what the client did. */
void session_offence(const struct session *s, const struct offence *o, const char *why);
/* The same, and the client is sent away: time was up in a phase that all protocols share. False: it
 * was not. */
bool session_late(struct session *s);
/* The time for a TLS handshake that begins now. */
uint64_t session_handshake_ms(const struct session *s);
/* What is left of the time for a login, at least 1 ms. */
uint64_t session_login_ms(const struct session *s);
/* The client is somebody again who has not logged in: nothing of the session that ends is left, but
 * the connection. False: it is being sent away, there are too many of its address. */
bool session_logged_out(struct session *s);
/* The connection is closed (or finishing); the session goes when nothing is outstanding. */
void session_finish(struct session *s);
void session_write(struct session *s, struct str text);
/*
 * Send one message to the backend; opens the session there first when it is new to it. -FAIL_PEER:
 * it did not get it, backend_lost and backend_back are to come. Others: it takes no more.
 */
MUST_CHECK int session_send(struct session *s, enum ipc_type type, const void *msg);
/* Begin the handshake; a client of SMTP is asked for a certificate where the operator wants that.
 */
void session_start_tls(struct session *s);
void session_open_at_backend(struct session *s);
struct msg_peer session_peer(const struct session *s, struct peer_texts *texts);
/* Ask dir what x says; on its answer, not before it allows, `then` runs with s->answer and s->shard
 * set. */
void session_login(struct session *s, const struct login_sasl *x, void (*then)(struct session *s));
/* The log's line about an attempt that dir has not decided. */
void session_log_login(const struct session *s, enum login_outcome outcome, struct str user,
		       const char *mechanism, const char *why);
/* The client gave up: dir may forget its exchange. */
void session_login_drop(struct session *s, const struct login_sasl *x);
/* What the connection is offered now. */
struct login_offer session_offer(const struct session *s);
/* The same for a user whose password a trusted proxy has checked (peer.claims->login). */
void session_claim_login(struct session *s, void (*then)(struct session *s));
/* Run `then` after ms (at once when 0, but never inside this call's caller for ms > 0). */
void session_hold(struct session *s, uint32_t ms, void (*then)(struct session *s));
void session_ask(struct session *s, struct ipc_channel *ch, const struct ipc_question *q,
		 struct ipc_ask *a);
/* To be called first in each answer: false when the session ended meanwhile (and may be freed now).
 */
bool session_answered(struct session *s);

/* edge_imap.c */
void edge_imap_flush(struct session *s);
/* Count what a client sent that was too much, or malformed. */
void edge_imap_note_drop(const struct session *s, const struct frame_imap_event *e);
/* edge_imap_own.c */
/* Is it a command that edge carries out? Then it does as soon as nothing is under way. */
bool edge_imap_takes(struct session *s, const struct imap_input *in, enum imap_cmd_kind kind);
/* Nothing is under way. */
void edge_imap_own(struct session *s);

/* edge_imap_login.c: IMAP before login; the first three are session_ops' */
void edge_imap_init(struct session *s);
void edge_imap_begin(struct session *s);
void edge_imap_secured(struct session *s);
/* Is it the beginning of another protocol? Then the session is ending. */
bool edge_imap_is_other(struct session *s, struct str in);
/* Does this begin another protocol than IMAP or POP3? */
bool edge_other_protocol(struct str in);
/* One event of the framer in SESSION_LOGIN. */
void edge_imap_before_login(struct session *s, const struct frame_imap_event *e);
/* Nobody is logged in any more: as at the beginning, but with this tagged OK for a greeting. */
void edge_imap_again(struct session *s, struct str tag);

/* edge_smtp_body.c: the content of a message */
/* mta wants content: of a message (DATA), or the next chunk of one (BDAT). */
void smtp_body_begin(struct session *s, const struct msg_session_done *d);
/* Take of *in what belongs to it; its end goes to mta, and the input is lines again. */
void smtp_body_take(struct session *s, struct str *in);
/* What has come of the message is not wanted any more. */
/* mta has the next chunk: it comes with the answer that says so. */
void smtp_feed_take(struct session *s, int fd);
/* Collect it, as far as that is possible now. */
void smtp_feed(struct session *s);
void smtp_body_forget(struct smtp_edge *m);

extern const struct session_ops edge_imap_ops;
extern const struct session_ops edge_smtp_ops;
extern const struct session_ops edge_pop3_ops;
extern const struct session_ops edge_managesieve_ops;
extern const struct session_ops edge_http_ops;
extern const struct session_ops edge_ask_ops;

#endif
