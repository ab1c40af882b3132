/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.h - identifiers and moments that must not be mixed up.                   [base]
 *
 * Each is a single-field struct, so passing a UID where a sequence number is meant does not
 * compile. An account id is immutable and never reused; an address is only a name for it.
 */
#ifndef BARID_BASE_IDS_H
#define BARID_BASE_IDS_H

#include "attr.h"
#include <stdbool.h>

struct account_id {
	uint64_t v;
}; /* 0 = none */
struct mailbox_id {
	uint64_t v;
}; /* unique within its account, never reused; 0 = none */
struct message_id {
	uint64_t v;
}; /* unique within its account, never reused; 0 = none */
struct uid {
	uint32_t v;
}; /* RFC 3501 2.3.1.1; 0 = none */
struct modseq {
	uint64_t v;
}; /* RFC 7162; one counter per account; 0 = none */
struct session_id {
	uint64_t v;
}; /* chosen by edge, unique in a boot; 0 = none */
struct trace_id {
	uint64_t v;
}; /* born at accept, in every header, log line and Received; 0 = none */

struct mono_ns {
	int64_t v;
}; /* CLOCK_MONOTONIC */
struct wall_us {
	int64_t v;
}; /* microseconds since 1970-01-01 UTC */

#define MS_NS  INT64_C(1000000)
#define SEC_NS INT64_C(1000000000)
#define SEC_US INT64_C(1000000)

#endif
