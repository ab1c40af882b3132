/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve.h - DNS questions of the command line, through the system's resolver.        [tools]
 *
 * For `barid doctor`; the server itself does not use it. Blocking, a few seconds at most a
 * question. One thread.
 */
#ifndef BARID_TOOLS_BARID_RESOLVE_H
#define BARID_TOOLS_BARID_RESOLVE_H

#include "base/fail.h"
#include "base/str.h"
#include <stdbool.h>

struct resolver;

enum resolve_type { RESOLVE_A, RESOLVE_AAAA, RESOLVE_MX, RESOLVE_TXT, RESOLVE_PTR, RESOLVE_CNAME };

#define RESOLVE_MAX	 64
#define RESOLVE_TEXT_MAX 520
struct resolved {
	size_t n;
	struct {
		unsigned preference;	     /* of an MX */
		char text[RESOLVE_TEXT_MAX]; /* address, name without the last dot, or text */
	} v[RESOLVE_MAX];
};

/* `server`: "127.0.0.1:5353", or NULL for those of /etc/resolv.conf. NULL: not an address. */
struct resolver *resolver_open(const char *server);
void resolver_close(struct resolver *r); /* NULL is fine */
/*
 * 0: the records of this type, none when the name has others. -FAIL_NOTFOUND: no such name.
 * -FAIL_TEMP: nobody answered, or with an error.
 */
MUST_CHECK int resolver_ask(struct resolver *r, const char *name, enum resolve_type type,
			    struct resolved *ret);
/* What a server's answer says; -FAIL_TEMP: it is none. For resolver_ask, and to be fuzzed. */
MUST_CHECK int resolve_answer(struct str answer, enum resolve_type type, struct resolved *ret);
/* The name under which the PTR record of an address stands; false when it is not an address. */
bool resolve_reverse_name(const char *address, char *ret, size_t size);

#endif
