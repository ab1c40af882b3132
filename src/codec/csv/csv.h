/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv.h - records of comma separated values.                                   [codec, pure]
 *
 * RFC 4180, with what spreadsheets write as well: a semicolon or tab instead of the comma, LF
 * instead of CRLF, a byte order mark at the front.
 *
 *     csv_complete(text)       has the record all its lines? (a quoted field may hold line ends)
 *     csv_split(record, ...)   its fields
 */
#ifndef BARID_CODEC_CSV_H
#define BARID_CODEC_CSV_H

#include "base/arena.h"
#include "base/fail.h"

/* False while a quote is open: the record goes on in the next line. */
bool csv_complete(struct str text);

/* The separator that a first line uses: the most frequent of , ; and tab outside of quotes. */
char csv_separator(struct str header);

/*
 * Take a record apart, without its line end or with it. Fields are in the arena, unquoted, with
 * blanks around unquoted ones removed. Returns how many; -FAIL_SYNTAX (text after a closing quote,
 * an open quote), -FAIL_LIMIT (more than max fields, or the arena is full).
 */
MUST_CHECK int csv_split(struct str record, char separator, struct arena *a, struct str *fields,
			 size_t max);

#endif
