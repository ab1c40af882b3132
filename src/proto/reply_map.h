/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply_map.h - what each protocol answers for each fail code.                 [proto]
 *
 * The one place where a reason inside the server becomes a status on the wire: IMAP status and
 * response code (RFC 3501 7.1, RFC 5530, RFC 7889), SMTP reply code and enhanced status code
 * (RFC 5321 4.2, RFC 3463). A handler that knows better (TRYCREATE, a wrong recipient) says so
 * itself; everything else comes from here. Compiled into each protocol's library; any thread.
 */
#ifndef BARID_PROTO_REPLY_MAP_H
#define BARID_PROTO_REPLY_MAP_H

#include "base/fail.h"

struct reply_map {
	enum fail_code code;	   /* the row's key */
	const char *imap_status;   /* "NO" or "BAD" */
	const char *imap_code;	   /* response code without brackets, "" for none */
	unsigned smtp_code;	   /* 4xx or 5xx */
	const char *smtp_enhanced; /* "4.3.0" */
};

/*
 * The row of a result: `r` is a fail code or its negative (what functions return). FAIL_NONE and
 * unknown values give the row of FAIL_BUG. Never NULL; static storage.
 */
const struct reply_map *reply_map_find(int r);

#endif
