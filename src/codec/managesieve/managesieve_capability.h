/* SPDX-License-Identifier: Apache-2.0 */
/*
 * managesieve_capability.h - what ManageSieve says of itself.                  [codec, pure]
 *
 * RFC 5804 section 1.7: the lines before the OK of the greeting, of CAPABILITY and of STARTTLS.
 */
#ifndef BARID_CODEC_MANAGESIEVE_CAPABILITY_H
#define BARID_CODEC_MANAGESIEVE_CAPABILITY_H

#include "base/buf.h"

struct managesieve_capability {
	struct str mechanisms; /* each behind a blank; empty: nobody can log in like this */
	struct str sieve;      /* extensions, separated by blanks */
	uint64_t redirects;    /* that one script may make */
	struct str language;   /* of texts: "de" */
	struct str owner;      /* who is logged in; {NULL, 0}: nobody */
	bool starttls;
	bool unauthenticate;
};

int managesieve_capability_write(struct buf *out, const struct managesieve_capability *c);

#endif
