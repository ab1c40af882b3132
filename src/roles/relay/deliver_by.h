/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver_by.h - the time that a sender gives, at the next server (RFC 2852).      [roles, private]
 *
 * A next hop by LMTP, and a content filter, is no relaying: there the time is said where it is
 * offered, and nothing else follows from it.
 */
#ifndef BARID_ROLES_RELAY_DELIVER_BY_H
#define BARID_ROLES_RELAY_DELIVER_BY_H

#include "roles/relay/relay.h"

/* What is left at `now`, into the fields of *c. */
void deliver_by_fill(const struct msg_relay *m, struct wall_us now, struct smtp_client_message *c);
/*
 * May this server have the message? -FAIL_UNSUPPORTED: its sender wants it back in time, and the
 * time is over, or less than the server needs, or the server promises nothing; *answer says so.
 */
MUST_CHECK int deliver_by_check(const struct smtp_client *s, const struct msg_relay *m,
				const struct smtp_client_message *c, struct smtp_answer *answer);
/* The server has it: does the sender hear that it was relayed (if not NOTIFY=NEVER)? */
bool deliver_by_is_told(const struct smtp_client *s, const struct msg_relay *m);

#endif
