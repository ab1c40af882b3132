/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_door.h - what port 25 asks of a client, its name, its sender and its recipients.   [proto]
 *
 * The checks run when a recipient is named (Postfix: smtpd_delay_reject), class by class, as
 * docs/ops/frontdoor.md lists them: client, HELO, sender, relay, recipient. Each can be switched
 * off. smtp_check.c holds the lists.
 */
#ifndef BARID_PROTO_SMTP_SMTP_DOOR_H
#define BARID_PROTO_SMTP_SMTP_DOOR_H

#include "service/access/access.h"
#include "sys/sock.h"
#include <stdbool.h>

/* Does a name receive mail: has it an MX, or an address? */
enum smtp_name {
	SMTP_NAME_FOUND,
	SMTP_NAME_NONE,	   /* the DNS says so */
	SMTP_NAME_NULL_MX, /* it says that it takes no mail (RFC 7505) */
	SMTP_NAME_UNSURE,  /* the DNS could not be asked: nobody is refused for that */
};

/* What was found out about a client beside its session. */
struct smtp_client {
	char name[256];	    /* verified; empty: none, or it is not known */
	char ptr[256];	    /* what its address says that it is called, verified or not */
	bool nameless;	    /* the DNS says that it has none */
	unsigned code;	    /* of the reply to its recipients; 0: they may be looked at */
	const char *status; /* constant */
	char text[300];
};

/* What a client may do only so often in a unit of time, and what is counted of it besides. */
enum smtp_event {
	SMTP_EVENT_CONNECTION,
	SMTP_EVENT_MESSAGE, /* MAIL */
	SMTP_EVENT_RECIPIENT,
	SMTP_EVENT_TLS,
	SMTP_EVENT_LOGIN_FAILED,
	SMTP_EVENT_REFUSED, /* a reply of 4xx or 5xx */
	SMTP_EVENTS
};

struct smtp_door {
	struct netcidrs known_networks; /* clients whose names are not looked at */
	struct access_list client_access, helo_access, sender_access, recipient_access;
	struct netcidrs xforward_from, etrn_from; /* who may say these */
	bool helo_required;
	bool full_helo;	 /* HELO must be a full name, or an address literal */
	bool known_helo; /* and exist in the DNS */
	bool full_sender;
	bool listed_sender; /* one of ours must exist */
	bool known_sender;  /* its domain must exist and take mail */
	bool full_rcpt;
	bool pipelining; /* who does not wait for the answer to DATA is sent away */
};
/* Everything on, no networks. */
struct smtp_door smtp_door_default(void);

#endif
