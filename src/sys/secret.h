/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - memory for keys and passwords.                                    [sys]
 *
 * Whole pages of their own: locked when RLIMIT_MEMLOCK allows, left out of core dumps, and
 * overwritten before they are given back. There
 * is no way to format one: callers read .p and .n and must not copy them elsewhere.
 */
#ifndef BARID_SYS_SECRET_H
#define BARID_SYS_SECRET_H

#include "base/auto.h"
#include "base/str.h"

struct secret {
	unsigned char *p; /* NULL when empty */
	size_t n;
	size_t mapped_;
};

/* n zero bytes, to be filled. Aborts when memory is exhausted: bound n. */
void secret_init(struct secret *s, size_t n);
void secret_init_copy(struct secret *s, struct str from);
void secret_clear(struct secret *s);
DEFINE_AUTO(secret, struct secret, secret_clear);

static inline struct str secret_str(const struct secret *s)
{
	return (struct str){(const char *)s->p, s->n};
}
/* Overwrite what calls that have returned left below us on the stack: 24 KiB. */
void secret_wipe_stack(void);
/* Compares in time that depends on the lengths only. */
bool secret_equal(struct str a, struct str b);

#endif
