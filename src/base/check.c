/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

NORETURN void check_failed(const char *cond, const char *file, int line)
{
	char text[256];
	int n = snprintf(text, sizeof text, "CHECK failed: %s at %s:%d\n", cond, file, line);
	if (n > 0)
		(void)!write(STDERR_FILENO, text, MIN((size_t)n, sizeof text - 1));
	abort();
}

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);
	CHECK(p);
	return p;
}

void *xrealloc(void *p, size_t size)
{
	void *q = realloc(p, size ? size : 1);
	CHECK(q);
	return q;
}

char *xstrdup(const char *s)
{
	char *p = strdup(s);
	CHECK(p);
	return p;
}
