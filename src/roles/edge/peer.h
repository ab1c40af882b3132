/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h - who is at the other end of a session: one record, whoever it was that said so.   [roles,
 * private]
 *
 * It begins with what the socket knows. A proxy in front of us may then say better: by the PROXY
 * protocol before the first byte, by XCLIENT (SMTP) or ID (IMAP) later; each only from networks
 * that the configuration names, judged by the address that was known until then. Limits, logs,
 * Received fields, allow_nets and the slowing down of password guessing go by this record alone.
 * `struct peer` of messages.ipc is how the other roles see it.
 */
#ifndef BARID_ROLES_EDGE_PEER_H
#define BARID_ROLES_EDGE_PEER_H

#include "codec/proxy/proxy.h"
#include "codec/smtp/xclient.h"
#include "roles/role/session_protocol.h"
#include "runtime/ipc/ipc.h"
#include "sys/sock.h"

struct edge;
struct service;

/* What only a proxy can know; there only when one has spoken. */
struct peer_claims {
	bool tls;	    /* TLS, and it ended at the proxy */
	bool certificate;   /* the client showed one that the proxy has verified */
	char tls_text[120]; /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
	char sni[256];	    /* the host name that the client asked for */
	char rdns[256];	    /* its verified name */
	char helo[256];	    /* what it said in HELO, */
	bool esmtp;	    /* or EHLO */
	char login[321];    /* who has logged in at the proxy */
};

struct peer {
	struct netaddr addr;  /* the client; family 0: a proxy did not know it */
	struct netaddr local; /* where it connected to */
	struct netaddr proxy; /* who connected to us in its stead; family 0: nobody */
	enum peer_source source;
	bool local_user; /* a program of this machine, by UNIX socket; its user is uid */
	uint32_t uid;
	bool trusted;	     /* in trusted_networks: may send a password in the clear */
	bool trusted_client; /* in trusted_clients: may use internal services */
	bool may_relay;	     /* in relay_from: may send mail to any domain */
	bool normalise;	     /* its bare CR and LF become CRLF */
	bool may_xclient;    /* the rest: as the proxy, or as itself, before any claim */
	bool may_xclient_login;
	bool may_id;
	struct peer_claims *claims; /* NULL = none */
};

/* From the socket. */
void peer_from_socket(struct peer *p, const struct edge *e, int fd, const struct netaddr *addr);
/* As the header says. A header that speaks of nobody changes nothing but the rights. */
void peer_from_proxy(struct peer *p, const struct edge *e, const struct proxy_header *h);
void peer_from_xclient(struct peer *p, const struct edge *e, const struct xclient *x);
/* ID: `client`'s family is none when it was not given. */
void peer_from_id(struct peer *p, const struct edge *e, const struct endpoint *client,
		  const struct endpoint *local);
void peer_clear(struct peer *p);
static inline bool peer_tls_at_proxy(const struct peer *p)
{
	return p->claims && p->claims->tls;
}

/* Proxies and webmail are exempt from the limit of connections per address while they have not
 * said whom they speak for. */
bool peer_is_front_end(const struct peer *p);

/* Texts of a message; valid as long as this, the peer and `tls` are. */
struct peer_tls { /* of the connection itself; text empty: none */
	struct str text, sni;
	bool ems;
};
struct peer_texts {
	char user[12];
	char ip[NETADDR_TEXT_MAX], local[NETADDR_TEXT_MAX], proxy[NETADDR_TEXT_MAX];
};
struct msg_peer peer_message(const struct peer *p, const struct peer_tls *tls,
			     struct peer_texts *texts);

#endif
