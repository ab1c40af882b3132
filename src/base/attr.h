/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attr.h - compiler attributes and tiny helpers that every file may use.      [base]
 */
#ifndef BARID_BASE_ATTR_H
#define BARID_BASE_ATTR_H

#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK		__attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define NORETURN		__attribute__((noreturn))
#define UNUSED			__attribute__((unused))
#define FALLTHROUGH		__attribute__((fallthrough))
#define LIKELY(x)		__builtin_expect(!!(x), 1)
#define UNLIKELY(x)		__builtin_expect(!!(x), 0)

#define ARRAY_LEN(a)			(sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define KIB(n) ((size_t)(n)*1024)
#define MIB(n) ((size_t)(n)*1024 * 1024)
#define GIB(n) ((uint64_t)(n) << 30)

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
