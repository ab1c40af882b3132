/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_int.h - what the files of the configuration share.                 [runtime, private]
 */
#ifndef BARID_RUNTIME_CONF_INT_H
#define BARID_RUNTIME_CONF_INT_H

#include "runtime/conf.h"
#include <stdarg.h>

struct conf_place { /* where a complaint points to */
	const char *file;
	unsigned line; /* 0 = the file as a whole */
};

/* How a type's field is kept: char *, struct conf_list, or else uint64_t. */
bool conf_is_text(enum conf_type type);
bool conf_is_list(enum conf_type type);

/* A whole file; -1 with errno, or when text->failed. */
MUST_CHECK int conf_slurp(const char *path, struct buf *text);
/*
 * The entry of a table that the file `from` names (NULL: files are not read), with the path that
 * was read; both are the caller's. NULL, and why.
 */
char *conf_table_load(const char *from, struct str name, char **ret_path, struct buf *why);

/* Append "FILE:LINE: text" as a line; at may be NULL. */
void conf_vcomplain(struct buf *errors, const struct conf_place *at, const char *fmt, va_list ap)
	PRINTF_LIKE(3, 0);

/* What is wrong only together. `said`: where each setting was said. */
void conf_check(const struct conf *c, const struct conf_place *said, struct buf *errors);

#endif
