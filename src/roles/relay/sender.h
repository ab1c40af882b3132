/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sender.h - which sender a transaction gets: forwarded mail one of ours that leads back (SRS).
 * [roles, private]
 */
#ifndef BARID_ROLES_RELAY_SENDER_H
#define BARID_ROLES_RELAY_SENDER_H

#include "roles/relay/relay.h"

/*
 * The sender for MAIL, in the arena or of the request; dir knows. Negative: it cannot be asked, and
 * *answer says so. Blocking.
 */
MUST_CHECK int sender_find(const struct msg_relay *m, struct trace_id trace, struct arena *a,
			   struct str *ret, struct smtp_answer *answer);

#endif
