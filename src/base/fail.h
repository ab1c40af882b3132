/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fail.h - why something did not work, in one value.                           [base]
 *
 * Every function that can fail returns int: 0 (or a documented positive) on success, or a
 * negative fail code. The optional last parameter `struct fail *why` (may be NULL) receives
 * two texts: `public` may be sent to a client, `detail` is for the log only.
 *
 *     return fail_set(why, FAIL_QUOTA, "Mailbox is full.", "account=%llu used=%llu", id, used);
 *
 * and a caller that adds context on the way up:
 *
 *     int r = fs_open(fs, path, ..., why);
 *     if (r < 0)
 *             return fail_wrap(why, r, "opening the spool");
 *
 * `public` is a text for people (text.h): one literal, and translated. No allocation; a struct fail
 * lives on the caller's stack. Texts are cut, never overrun.
 */
#ifndef BARID_BASE_FAIL_H
#define BARID_BASE_FAIL_H

#include "attr.h"

/* The closed set. Adding one requires a line in every column of proto/reply_map. */
enum fail_code {
	FAIL_NONE = 0,
	FAIL_TEMP,	  /* try again later, nothing more specific is known */
	FAIL_BUSY,	  /* a bounded resource is in use; retry soon */
	FAIL_LIMIT,	  /* a configured or built-in bound was reached */
	FAIL_SYNTAX,	  /* the input is not the grammar */
	FAIL_NOTFOUND,	  /* what was named does not exist */
	FAIL_EXISTS,	  /* what should be made exists */
	FAIL_PERM,	  /* not allowed for this principal */
	FAIL_AUTH,	  /* credentials refused */
	FAIL_QUOTA,	  /* the account's quota is used up */
	FAIL_CONFLICT,	  /* changed underneath, or state does not allow it */
	FAIL_GONE,	  /* existed, was deleted for good */
	FAIL_UNSUPPORTED, /* a valid request that this server does not offer */
	FAIL_TOOBIG,	  /* one object is larger than allowed */
	FAIL_DEADLINE,	  /* no answer in time */
	FAIL_CANCELLED,	  /* the requester went away */
	FAIL_PEER,	  /* another role or server broke the protocol or died */
	FAIL_DNS,	  /* name service failed */
	FAIL_IO,	  /* a system call on storage failed */
	FAIL_CORRUPT,	  /* stored bytes are not what was written */
	FAIL_BUG,	  /* an impossible state that could be contained */
	FAIL_CODE_COUNT
};

#define FAIL_PUBLIC_MAX 320
#define FAIL_DETAIL_MAX 360

struct fail {
	enum fail_code code;
	int saved_errno; /* errno when it was set, 0 if none mattered */
	const char *file;
	int line;
	char public[FAIL_PUBLIC_MAX]; /* safe to show to the client */
	char detail[FAIL_DETAIL_MAX]; /* for the log */
};

#define FAIL_INIT ((struct fail){.code = FAIL_NONE})

/* Fill *why (when not NULL) and return -code. `public_text` may be NULL: a standard text is used.
 */
int fail_set_at(struct fail *why, enum fail_code code, const char *file, int line,
		const char *public_text, const char *fmt, ...) PRINTF_LIKE(6, 7);
#define fail_set(why, code, public_text, ...)                                                      \
	fail_set_at(why, code, __FILE__, __LINE__, public_text, __VA_ARGS__)

/* As fail_set, with saved_errno = errno and ": strerror" appended to detail. */
int fail_set_errno_at(struct fail *why, enum fail_code code, const char *file, int line,
		      const char *fmt, ...) PRINTF_LIKE(5, 6);
#define fail_errno(why, code, ...) fail_set_errno_at(why, code, __FILE__, __LINE__, __VA_ARGS__)

/* Put context in front of why->detail ("context: detail") and return r unchanged. */
int fail_wrap(struct fail *why, int r, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* "TEMP", "QUOTA", ...; and the standard client text of a code. Never NULL. */
const char *fail_name(enum fail_code code);
const char *fail_public_default(enum fail_code code);

#endif
