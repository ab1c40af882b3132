/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_regex.h - regular expressions for scripts.                                     [service]
 *
 * POSIX extended expressions (draft-murchison-sieve-regex) done by sys/regex.h, whose bounds of
 * steps and memory hold. What differs from POSIX: of alternatives the first that fits is taken, not
 * the longest, and a backslash before a letter means what it means in Perl.
 */
#ifndef BARID_SERVICE_SIEVE_REGEX_H
#define BARID_SERVICE_SIEVE_REGEX_H

#include "codec/sieve/sieve.h"

extern const struct sieve_regex_ops sieve_regex;

#endif
