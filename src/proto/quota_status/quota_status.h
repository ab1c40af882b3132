/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_status.h - does a recipient's mailbox have room? A policy service for Postfix.   [proto]
 *
 * The protocol is codec/policy's. Of a request only recipient, size and protocol_state count: at
 * RCPT and END-OF-MESSAGE the directory is asked as for a recipient of our own SMTP, with aliases,
 * forwardings, alias domains and details (docs/adr/0009), and "552 5.2.2 Mailbox is full" is the
 * answer when every mailbox that the address leads to has no room for the size; in all other cases
 * DUNNO. Where nothing is known in time, the answer is the configured one.
 */
#ifndef BARID_PROTO_QUOTA_STATUS_QUOTA_STATUS_H
#define BARID_PROTO_QUOTA_STATUS_QUOTA_STATUS_H

#include "base/buf.h"
#include "base/fail.h"

struct quota_status {
	/* 1: it is full for so many octets, 0: it is not, or is none of ours; -FAIL_BUSY: only by
	 * waiting; negative: nobody knows. */
	int (*full)(void *ctx, struct str recipient, uint64_t size, struct fail *why);
	void *ctx;
	bool defer; /* when nobody knows: "450 4.3.0 ..." instead of DUNNO */
};

/*
 * Answer all requests of `input`, each with its empty line. 0; 1: the last one is no request: what
 * stands in out is to be said, then the connection ends. -FAIL_BUSY: one needs to be waited for,
 * and nothing was written. *ret_failed counts requests that nobody could answer.
 */
MUST_CHECK int quota_status_answer(const struct quota_status *q, struct str input, struct buf *out,
				   unsigned *ret_failed);

#endif
