/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fail.h"
#include "base/text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *public_text;
} codes[] = {
	[FAIL_NONE] = {"NONE", TX("No error.")},
	[FAIL_TEMP] = {"TEMP", TX("Temporary failure, please try again later.")},
	[FAIL_BUSY] = {"BUSY", TX("The server is busy, please try again in a moment.")},
	[FAIL_LIMIT] = {"LIMIT", TX("A limit of this server was reached.")},
	[FAIL_SYNTAX] = {"SYNTAX", TX("Syntax error.")},
	[FAIL_NOTFOUND] = {"NOTFOUND", TX("It does not exist.")},
	[FAIL_EXISTS] = {"EXISTS", TX("It exists already.")},
	[FAIL_PERM] = {"PERM", TX("Not allowed.")},
	[FAIL_AUTH] = {"AUTH", TX("Authentication failed.")},
	[FAIL_QUOTA] = {"QUOTA", TX("The mailbox is full.")},
	[FAIL_CONFLICT] = {"CONFLICT", TX("The current state does not allow this.")},
	[FAIL_GONE] = {"GONE", TX("It was deleted.")},
	[FAIL_UNSUPPORTED] = {"UNSUPPORTED", TX("This server does not support it.")},
	[FAIL_TOOBIG] = {"TOOBIG", TX("It is larger than allowed.")},
	[FAIL_DEADLINE] = {"DEADLINE", TX("It took too long, please try again.")},
	[FAIL_CANCELLED] = {"CANCELLED", TX("Cancelled.")},
	[FAIL_PEER] = {"PEER", TX("Temporary internal failure, please try again.")},
	[FAIL_DNS] = {"DNS", TX("Name service failure, please try again later.")},
	[FAIL_IO] = {"IO", TX("Temporary storage failure, please try again later.")},
	[FAIL_CORRUPT] = {"CORRUPT", TX("Stored data is damaged; the administrator was told.")},
	[FAIL_BUG] = {"BUG", TX("Internal error; the administrator was told.")},
};
_Static_assert(ARRAY_LEN(codes) == FAIL_CODE_COUNT, "every fail code has a name and a text");

const char *fail_name(enum fail_code code)
{
	return (size_t)code < ARRAY_LEN(codes) ? codes[code].name : "UNKNOWN";
}

const char *fail_public_default(enum fail_code code)
{
	return text_of(codes[(size_t)code < ARRAY_LEN(codes) ? code : FAIL_BUG].public_text);
}

static void fill(struct fail *why, enum fail_code code, const char *file, int line,
		 const char *public_text)
{
	why->code = code;
	why->saved_errno = 0;
	why->file = file;
	why->line = line;
	text_copy(why->public, sizeof why->public,
		  public_text ? text_of(public_text) : fail_public_default(code));
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
