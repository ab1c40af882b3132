/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mta.h - SMTP sessions on worker threads.                                            [roles,
 * private]
 *
 * Each session is a lane: what edge sends becomes jobs that run in order, one at a time, as
 * straight-line code which asks dir, scan and queue. Bodies never pass through here when they are
 * files. mta knows a login only from dir's grant.
 */
#ifndef BARID_ROLES_MTA_MTA_H
#define BARID_ROLES_MTA_MTA_H

#include "base/map.h"
#include "proto/smtp/smtp_session.h"
#include "roles/role/right.h"
#include "roles/role/role.h"
#include "roles/role/session_protocol.h"
#include "runtime/worker.h"

#define MTA_THREADS 64 /* that work on sessions, beside those that wait for milters */

struct mta_session {
	struct session_id id;
	struct trace_id trace;
	struct ipc_channel *edge;
	struct lane lane;
	struct smtp_session *smtp;
	const struct conf *conf; /* lane: what smtp works with, held; renewed between two steps */
	struct smtp_backend backend;
	bool closing;		   /* loop thread: no further job */
	_Atomic bool over;	   /* dir has taken the right away */
	bool outcome_unknown;	   /* queue died with a message of ours in hand */
	struct account_id granted; /* by dir; written on the loop before the job that reads it */
	char granted_address[320];
	char granted_language[24];
	uint64_t granted_credential;
	/* door.c */
	struct netaddr client;
	bool proxied;  /* XCLIENT has said who it is */
	bool known;    /* in known_networks: no limits either */
	bool spared;   /* nothing is asked about it */
	bool untested; /* a table lets it in: no patience, no lists */
	bool listed_noted;
	struct smtp_client refusal; /* code 0: none. Lane */
	struct right right;	    /* loop */
	bool refused;		    /* lane: opened again, and dir says no */
	struct loop_task reap;
};

struct mta {
	struct role *role;
	struct pool *pool;
	struct role_sessions by_edge; /* loop */
	struct map sessions;
};
extern struct mta mta;

/* backend.c: what a session asks of the other roles */
struct smtp_backend mta_backend(struct mta_session *s);

/* milters.c: struct smtp_backend's, with an mta_session as ctx */
int mta_milter_connect(void *ctx, struct str text, unsigned timeout_ms, int *ret_fd,
		       struct fail *why);
bool mta_milter_enter(void *ctx, struct str text);
void mta_milter_leave(void *ctx, struct str text);
/* Milters and content filters of a configuration, in place of what smtp_config_default says. */
void mta_filters_make(struct smtp_config *smtp, const struct conf *c);
void mta_filters_clear(struct smtp_config *smtp);
unsigned mta_filters_threads(const struct conf *c);

#endif
