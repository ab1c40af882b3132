/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - the bytes of a link, blocking with deadlines over its socket.         [roles, private]
 */
#ifndef BARID_ROLES_RELAY_WIRE_H
#define BARID_ROLES_RELAY_WIRE_H

#include "roles/relay/relay.h"

struct smtp_wire wire_of(struct link *l);
/* Wait for poll's events: 1 = ready, 0 = the time is over, else a code. */
MUST_CHECK int wire_wait(int fd, short events, struct mono_ns deadline, struct fail *why);
/* Have reads and writes in the clear wait by themselves: half the system calls. */
void wire_block(struct link *l);
/* The handshake of l->tls, which is there. */
MUST_CHECK int wire_handshake(struct link *l, struct mono_ns deadline, struct fail *why);

#endif
