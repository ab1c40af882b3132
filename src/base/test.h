/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test.h - what every unit test includes: cmocka, in the order that it needs.  [base, tests only]
 */
#ifndef BARID_BASE_TEST_H
#define BARID_BASE_TEST_H

#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* clang-format off */
#include <cmocka.h>
/* clang-format on */

/* A struct str equals a C string; prints both when not. */
#define assert_str(s, want)                                                                        \
	do {                                                                                       \
		struct str s_ = (s);                                                               \
		struct str w_ = str_c(want);                                                       \
		if (!str_eq(s_, w_))                                                               \
			fail_msg("\"%.*s\" is not \"%.*s\"", STR_ARG(s_), STR_ARG(w_));            \
	} while (0)

/* r is >= 0; prints why otherwise. */
#define assert_ok(r, why)                                                                          \
	do {                                                                                       \
		int r_ = (r);                                                                      \
		if (r_ < 0)                                                                        \
			fail_msg("%s = %d: %s", #r, r_, (why)->detail);                            \
	} while (0)

#endif
