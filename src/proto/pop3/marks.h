/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks.h - a set of message numbers.                                     [proto, pop3, private]
 *
 * A bit for each number up to the highest that is in it. As bytes it is either the bits or the
 * lengths of runs, whatever is shorter: clients mark from the first to the last.
 */
#ifndef BARID_PROTO_POP3_MARKS_H
#define BARID_PROTO_POP3_MARKS_H

#include "base/auto.h"
#include "base/buf.h"
#include "base/num.h"

struct pop3_marks {
	unsigned char *bits;
	size_t n;	/* bytes */
	uint32_t count; /* numbers in it */
};

void pop3_marks_clear(struct pop3_marks *m); /* empty, and without memory */
DEFINE_AUTO(pop3_marks, struct pop3_marks, pop3_marks_clear);
bool pop3_marks_have(const struct pop3_marks *m, uint32_t number);
void pop3_marks_add(struct pop3_marks *m, uint32_t number); /* from 1; fine when it is in it */
/* The next run of numbers from *at on: its first and last. False: there is none. */
bool pop3_marks_run(const struct pop3_marks *m, uint32_t at, uint32_t *ret_first,
		    uint32_t *ret_last);

void pop3_marks_export(const struct pop3_marks *m, struct buf *out);
/* 0, or -FAIL_SYNTAX; numbers above `max` are none. */
MUST_CHECK int pop3_marks_import(struct pop3_marks *m, struct cursor *c, uint32_t max);

#endif
