/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fail.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *public_text;
} codes[] = {
	[FAIL_NONE] = {"NONE", "No error."},
	[FAIL_TEMP] = {"TEMP", "Temporary failure, please try again later."},
	[FAIL_BUSY] = {"BUSY", "The server is busy, please try again in a moment."},
	[FAIL_LIMIT] = {"LIMIT", "A limit of this server was reached."},
	[FAIL_SYNTAX] = {"SYNTAX", "Syntax error."},
	[FAIL_NOTFOUND] = {"NOTFOUND", "It does not exist."},
	[FAIL_EXISTS] = {"EXISTS", "It exists already."},
	[FAIL_PERM] = {"PERM", "Not allowed."},
	[FAIL_AUTH] = {"AUTH", "Authentication failed."},
	[FAIL_QUOTA] = {"QUOTA", "The mailbox is full."},
	[FAIL_CONFLICT] = {"CONFLICT", "The current state does not allow this."},
	[FAIL_GONE] = {"GONE", "It was deleted."},
	[FAIL_UNSUPPORTED] = {"UNSUPPORTED", "This server does not support it."},
	[FAIL_TOOBIG] = {"TOOBIG", "It is larger than allowed."},
	[FAIL_DEADLINE] = {"DEADLINE", "It took too long, please try again."},
	[FAIL_CANCELLED] = {"CANCELLED", "Cancelled."},
	[FAIL_PEER] = {"PEER", "Temporary internal failure, please try again."},
	[FAIL_DNS] = {"DNS", "Name service failure, please try again later."},
	[FAIL_IO] = {"IO", "Temporary storage failure, please try again later."},
	[FAIL_CORRUPT] = {"CORRUPT", "Stored data is damaged; the administrator was told."},
	[FAIL_BUG] = {"BUG", "Internal error; the administrator was told."},
};
_Static_assert(ARRAY_LEN(codes) == FAIL_CODE_COUNT, "every fail code has a name and a text");

const char *fail_name(enum fail_code code)
{
	return (size_t)code < ARRAY_LEN(codes) ? codes[code].name : "UNKNOWN";
}

const char *fail_public_default(enum fail_code code)
{
	return codes[(size_t)code < ARRAY_LEN(codes) ? code : FAIL_BUG].public_text;
}

static void fill(struct fail *why, enum fail_code code, const char *file, int line,
		 const char *text)
{
	why->code = code;
	why->saved_errno = 0;
	why->file = file;
	why->line = line;
	(void)snprintf(why->public, sizeof why->public, "%s",
		       text ? text : fail_public_default(code));
}

int fail_set_at(struct fail *why, enum fail_code code, const char *file, int line,
		const char *public_text, const char *fmt, ...)
{
	if (why) {
		va_list ap;
		fill(why, code, file, line, public_text);
		va_start(ap, fmt);
		(void)vsnprintf(why->detail, sizeof why->detail, fmt, ap);
		va_end(ap);
	}
	return -(int)code;
}

int fail_set_errno_at(struct fail *why, enum fail_code code, const char *file, int line,
		      const char *fmt, ...)
{
	int saved = errno;
	if (why) {
		va_list ap;
		fill(why, code, file, line, NULL);
		why->saved_errno = saved;
		va_start(ap, fmt);
		(void)vsnprintf(why->detail, sizeof why->detail, fmt, ap);
		va_end(ap);
		size_t n = strlen(why->detail);
		(void)snprintf(why->detail + n, sizeof why->detail - n, ": %s", strerror(saved));
	}
	return -(int)code;
}

int fail_wrap(struct fail *why, int r, const char *fmt, ...)
{
	if (why) {
		char before[FAIL_DETAIL_MAX];
		char joined[FAIL_DETAIL_MAX * 2 + 4];
		va_list ap;
		va_start(ap, fmt);
		(void)vsnprintf(before, sizeof before, fmt, ap);
		va_end(ap);
		(void)snprintf(joined, sizeof joined, "%s: %s", before, why->detail);
		memcpy(why->detail, joined, sizeof why->detail - 1);
		why->detail[sizeof why->detail - 1] = '\0';
	}
	return r;
}
