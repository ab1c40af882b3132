/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inquiry.h - the services of questions and answers for other mail servers.        [roles, private]
 *
 * Edge sends whole requests, what came together in one message. What can be told at once is told on
 * the loop; what has to be asked of dir, on a worker thread. What dir said is kept for a moment, in
 * bounded memory.
 */
#ifndef BARID_ROLES_MTA_INQUIRY_H
#define BARID_ROLES_MTA_INQUIRY_H

#include "roles/role/role.h"

/* A request of edge; owns p. Loop. */
void inquiry(struct role *role, struct ipc_channel *from, struct ipc_packet *p);
/* The same of several clients at once. */
void inquiries(struct role *role, struct ipc_channel *from, struct ipc_packet *p);
/* Another configuration counts from now on. Loop. */
void inquiry_reconfigure(struct role *role);

/* ask_srs.c: 1 with the answers; -FAIL_BUSY, when `wait` is false: only by waiting. */
struct inquiry_ask {
	struct role *role;
	const struct conf *conf;
	struct str input;
	struct trace_id trace;
	bool wait;
};
MUST_CHECK int inquiry_srs(const struct inquiry_ask *q, bool reverse, struct buf *out);
void inquiry_srs_reconfigure(void);
/* ask_policy.c: the same as the next */
MUST_CHECK int inquiry_policy(const struct inquiry_ask *q, struct buf *out, bool *ret_close);
/* ask_quota.c: as inquiry_srs; *ret_close: the connection is to end behind the answers. */
MUST_CHECK int inquiry_quota(const struct inquiry_ask *q, struct buf *out, bool *ret_close);

#endif
