/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - invariants that stay on in release builds.                         [base]
 *
 * CHECK(cond) ends the process (abort) when cond is false. It is for bugs of ours only, never
 * for anything a peer, a file or an operator can influence: those get a fail code.
 */
#ifndef BARID_BASE_CHECK_H
#define BARID_BASE_CHECK_H

#include "attr.h"

NORETURN void check_failed(const char *cond, const char *file, int line);

#define CHECK(cond) (LIKELY(cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))

/* Allocation of small internal objects: never returns NULL, aborts when memory is exhausted. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);

#endif
