/* SPDX-License-Identifier: Apache-2.0 */
/*
 * milter_name.h - how an operator writes a milter.                             [codec, pure]
 *
 *     inet:127.0.0.1:8891     inet:[::1]:8891     inet:localhost:8891
 *     unix:/run/opendkim/opendkim.sock
 *     opendkim=inet:127.0.0.1:8891                with a name of its own, for log and metrics
 *     inet:127.0.0.1:11332 accept                 and what happens when it does not answer
 */
#ifndef BARID_CODEC_MILTER_MILTER_NAME_H
#define BARID_CODEC_MILTER_MILTER_NAME_H

#include "base/str.h"

#define MILTER_NAME_MAX 60
#define MILTER_PATH_MAX 107 /* of sockaddr_un */
#define MILTERS_MAX	16  /* of one service */

/* What is done when a milter does not answer, or not as the protocol says. */
enum milter_default {
	MILTER_DEFAULT_UNSAID, /* as the setting for all says */
	MILTER_DEFAULT_ACCEPT,
	MILTER_DEFAULT_TEMPFAIL,
	MILTER_DEFAULT_REJECT,
	MILTER_DEFAULT_QUARANTINE,
};

struct milter_name {
	struct str name; /* of log and metrics: what was said, or else the address */
	struct str path; /* unix: absolute; else empty */
	struct str host; /* inet: address without brackets, or a host name */
	uint16_t port;
	enum milter_default otherwise;
};

/* Texts borrow from `text`. */
bool milter_name_parse(struct str text, struct milter_name *ret);
/* "accept", "tempfail", "reject", "quarantine". */
bool milter_default_parse(struct str word, enum milter_default *ret);

#endif
