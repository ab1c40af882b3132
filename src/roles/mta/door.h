/* SPDX-License-Identifier: Apache-2.0 */
/*
 * door.h - port 25 before the first command: patience, DNS lists, the client's name.   [roles,
 * private]
 *
 * What Postfix' postscreen does, without a second process in front: a client that is not known to
 * be patient hears half of a greeting ("220-...") and is watched by edge for greet_wait; who speaks
 * meanwhile is no mail server. The lists are asked at the same time. Clients in known_networks and
 * smtp.relay_from, and those that client_access lets in by address, are spared.
 */
#ifndef BARID_ROLES_MTA_DOOR_H
#define BARID_ROLES_MTA_DOOR_H

#include "roles/mta/facts.h"
#include "roles/mta/mta.h"
#include "roles/mta/sources.h"

enum door_action { DOOR_IGNORE, DOOR_ENFORCE, DOOR_DROP };

struct door_config {
	bool names; /* of clients are looked up */
	uint64_t greet_wait_ms;
	enum door_action greet_action, lists_action;
	struct dnsbl_site sites[DNSBL_SITES_MAX];
	size_t sites_n;
	int threshold; /* this score or more: listed */
	int allow;     /* this score or less: good */
	uint64_t dns_wait_ms;
	uint64_t pass_ms;
	struct source_limits limits;
};

/* What a configuration means here; conf_extra of mta's snapshots. `smtp` comes first. */
struct mta_config {
	struct smtp_config smtp;
	struct door_config door;
	struct policy_settings policy;
};
/* role_ops.prepare. */
MUST_CHECK int door_prepare(struct role *role, const struct conf *c, struct fail *why);

/* On the session's lane. A session begins: whose it is, for the others. */
void door_open(struct mta_session *s, struct str ip, bool spared, bool at_a_proxy);
/* The greeting, or its first half (SMTP_WAIT). */
void door_greet(struct mta_session *s, struct buf *out, struct smtp_result *ret);
/* The second half; `said` is what the client could not wait with, empty: it was patient. */
void door_waited(struct mta_session *s, struct str said, struct buf *out, struct smtp_result *ret);
/* smtp_backend.client, smtp_backend.name_exists */
void door_client(void *ctx, struct smtp_client *ret);
enum smtp_name door_name_exists(void *ctx, struct str name);
bool door_too_often(void *ctx, enum smtp_event event, bool ask);
/* role_ops.admin: `barid clients` */
void door_admin(struct role *role, struct ipc_packet *p);

#endif
