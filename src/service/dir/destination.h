/* SPDX-License-Identifier: Apache-2.0 */
/*
 * destination.h - where one copy of a message goes.                            [service]
 *
 * dir makes them (dir_route), the spool keeps them, the deliverer acts on them. Text is borrowed;
 * whoever keeps a destination copies it.
 */
#ifndef BARID_SERVICE_DIR_DESTINATION_H
#define BARID_SERVICE_DIR_DESTINATION_H

#include "base/ids.h"
#include "base/str.h"

struct destination {
	struct account_id account; /* a mailbox of ours; 0 = another server */
	struct str address; /* ours: the account's canonical address; else: where to send it */
	struct str detail;  /* ours: text after '+' of the address, for +folder delivery */
	struct str
		transport; /* else: "smtp:[host]:25", "relay:host"; empty = by MX of the domain */
};

static inline bool destination_is_local(const struct destination *d)
{
	return d->account.v != 0;
}

#endif
