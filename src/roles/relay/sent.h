/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sent.h - what other servers have taken, for a queue that did not hear of it.   [roles, private]
 *
 * A queue that dies between another server's 250 and its own commit hands the message out again
 * when it is back. So relay remembers the last SENT_MAX recipients that were taken over, and those
 * that are under way: asked again, it says what came of it, and nobody gets the message twice. What
 * it cannot mend is its own death.
 */
#ifndef BARID_ROLES_RELAY_SENT_H
#define BARID_ROLES_RELAY_SENT_H

#include "roles/relay/relay.h"

#define SENT_MAX 65536

/*
 * The recipients of m are under way from now on, until sent_end; waits while another request has
 * one of them. already[i]: another server has taken it over before. Any thread.
 */
void sent_begin(const struct msg_relay *m, bool *already);
/* taken[i]: another server has taken it over. */
void sent_end(const struct msg_relay *m, const bool *taken);

#endif
