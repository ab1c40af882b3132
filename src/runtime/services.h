/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services.h - every service that listens on a port, and who may use it.           [runtime]
 *
 * One table for master (which binds), edge (which serves) and `barid ports` (which shows). A
 * service has a section of its name in the configuration with a list `listen`.
 *
 * Internal services answer the peers in `trusted_clients` only (by default this machine), whatever
 * address they listen on. service_admits is the one place that decides.
 */
#ifndef BARID_RUNTIME_SERVICES_H
#define BARID_RUNTIME_SERVICES_H

#include "runtime/conf.h"
#include "sys/sock.h"

enum service_kind {
	SERVICE_SMTP,
	SERVICE_SUBMISSION,
	SERVICE_SUBMISSIONS,
	SERVICE_IMAP,
	SERVICE_IMAPS,
	SERVICE_POP3,
	SERVICE_POP3S,
	SERVICE_MANAGESIEVE,
	SERVICE_METRICS,
	SERVICE_LMTP,
	SERVICE_REINJECT,
	SERVICE_REINJECT_LISTS,
	SERVICE_SENDMAIL,
	SERVICE_SRS_FORWARD,
	SERVICE_SRS_REVERSE,
	SERVICE_QUOTA_STATUS,
	SERVICE_POLICY,
	SERVICES
};

struct service_def {
	const char *name;
	uint16_t port;	   /* the usual one */
	bool tls_at_once;  /* TLS from the first byte */
	bool internal;	   /* for trusted_clients only */
	bool local;	   /* by UNIX socket, for users of this machine */
	size_t listen;	   /* in struct conf: its addresses */
	size_t proxy_from; /* likewise: who sends the PROXY protocol */
	const char *what;  /* for people */
};
extern const struct service_def service_defs[SERVICES];

/* NULL: there is no such service. */
const struct service_def *service_find(struct str name);
const struct conf_list *service_listen(const struct service_def *d, const struct conf *c);
const struct conf_list *service_proxy_from(const struct service_def *d, const struct conf *c);
/* May this peer use the service at all? `peer` is the real one, behind a proxy. */
bool service_admits(const struct service_def *d, const struct netcidrs *trusted_clients,
		    const struct netaddr *peer);

#endif
