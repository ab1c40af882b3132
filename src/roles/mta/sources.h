/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sources.h - what each client does in a unit of time, and has done so far.            [roles,
 * private]
 *
 * As Postfix' anvil: connections, messages, recipients, TLS sessions and failed logins by SMTP are
 * counted by address (IPv6: by /64), over all edges, because all of them come to this process. In
 * memory, 50,000 sources at most; the one silent for longest goes first. Any thread.
 */
#ifndef BARID_ROLES_MTA_SOURCES_H
#define BARID_ROLES_MTA_SOURCES_H

#include "proto/smtp/smtp_door.h"
#include "runtime/ipc/ipc.h"
#include "sys/sock.h"

struct source_limits {
	uint64_t unit_ms;
	uint64_t most[SMTP_EVENTS]; /* in a unit of time; 0 = any number */
};

/* One more. True: that was too many. */
bool sources_count(const struct netaddr *client, enum smtp_event event,
		   const struct source_limits *limits);
/* Would one more be too many? Nothing is counted. */
bool sources_full(const struct netaddr *client, enum smtp_event event,
		  const struct source_limits *limits);
/* Its verified name, for people. */
void sources_name(const struct netaddr *client, const char *name);

/* `barid clients [KEY] [N]`: the worst N, by a column. 0, or a refusal in *why. */
MUST_CHECK int sources_reply(struct ipc_packet *request, const struct msg_admin *order,
			     struct fail *why);

#endif
