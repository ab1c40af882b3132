/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_variable.h - names and references in texts.                    [codec/sieve, internal]
 */
#ifndef BARID_CODEC_SIEVE_VARIABLE_H
#define BARID_CODEC_SIEVE_VARIABLE_H

#include "base/arena.h"
#include "base/str.h"

/* `${name}` (RFC 5229 3) in a text. */
struct sieve_reference {
	size_t from, to; /* of all of it */
	struct str ns;	 /* "" or the namespace, without the dot */
	struct str name; /* without the namespace */
	bool number;	 /* a match variable: `index` */
	uint32_t index;
};
/* The first reference at or behind @at; false: there is none. */
bool sieve_reference_next(struct str s, size_t at, struct sieve_reference *ret);

/*
 * Whom a mailto URI (RFC 6068) writes to: its first address, in the arena. False: nobody, or it is
 * none. sieve_mailto_field finds a header (as "subject") of it, {NULL, 0} when there is none.
 */
bool sieve_mailto(struct arena *arena, struct str uri, struct str *ret_to);
struct str sieve_mailto_field(struct arena *arena, struct str uri, struct str name);

#endif
