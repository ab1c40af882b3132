/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_int.h - what tools/dev/text-compile writes and text.c reads.            [base, private]
 */
#ifndef BARID_BASE_TEXT_INT_H
#define BARID_BASE_TEXT_INT_H

#include "text.h"

#define TEXT_FORMS_MAX 6

/* Offsets into the language's `bytes`; rows are in the order of strcmp of the English texts. The
 * forms of a plural follow each other, NUL-terminated. */
struct text_row {
	uint32_t msgid, text;
};
struct text_language {
	const char *name; /* "de", "pt_BR" */
	unsigned forms;	  /* how many a plural has, at most TEXT_FORMS_MAX */
	unsigned (*form)(unsigned long long n);
	const char *bytes;
	const struct text_row *rows;
	size_t n;
};
extern const struct text_language text_table[];
extern const size_t text_table_n;
extern const char text_table_names[]; /* separated by blanks */

#endif
