/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_protocol.h - what queue and relay mean by the numbers in their messages.           [roles]
 *
 * One `relay` is one transaction with one destination; its answer says of each recipient what
 * became of it. It may take as long as a server needs that answers each command at the last moment
 * (the times of [relay] for each of up to 1,000 recipients): a deadline of queue has to be in
 * hours. Who gets no answer, because relay died, does not know: the next server may have the
 * message.
 */
#ifndef BARID_ROLES_ROLE_RELAY_PROTOCOL_H
#define BARID_ROLES_ROLE_RELAY_PROTOCOL_H

/* Was the destination there? For how many transactions it is given at a time. */
enum relay_contact {
	RELAY_CONTACT_NONE,   /* not tried: no host is known, or nobody could be asked for one */
	RELAY_CONTACT_OK,     /* a server took up the dialogue, whatever it said of the message */
	RELAY_CONTACT_FAILED, /* no host could be reached, or it had no time for us (4xx, 421) */
};

/* A relay that is sent away (restart, upgrade) has so long to end what it has begun. */
#define RELAY_STOP_MS 700

#endif
