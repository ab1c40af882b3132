/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auto.h - scope-bound cleanup.                                                [base]
 *
 *     DEFINE_AUTO(buf, struct buf, buf_clear)      in the type's header, once
 *     AUTO(buf) struct buf b = BUF_INIT(KIB(64));  released when the scope ends
 *     AUTO_FD int fd = open(...);                  closed when the scope ends, if >= 0
 *     return TAKE(p);                              moves ownership out: p becomes NULL
 *
 * For heap objects with x_free(struct x *): DEFINE_AUTO_PTR(x, struct x, x_free), then
 *     AUTO(x) struct x *p = x_new();
 */
#ifndef BARID_BASE_AUTO_H
#define BARID_BASE_AUTO_H

#include <stdlib.h>
#include <unistd.h>

#define DEFINE_AUTO(name, type, clear_fn)                                                          \
	static inline void auto_##name##_(type *x)                                                 \
	{                                                                                          \
		clear_fn(x);                                                                       \
	}                                                                                          \
	struct auto_##name##_semicolon_
#define DEFINE_AUTO_PTR(name, type, free_fn)                                                       \
	static inline void auto_##name##_(type **x)                                                \
	{                                                                                          \
		free_fn(*x);                                                                       \
		*x = NULL;                                                                         \
	}                                                                                          \
	struct auto_##name##_semicolon_
#define AUTO(name) __attribute__((cleanup(auto_##name##_)))

static inline void auto_fd_(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}
#define AUTO_FD __attribute__((cleanup(auto_fd_)))

static inline void auto_mem_(void *p)
{
	void **pp = (void **)p;
	free(*pp);
	*pp = NULL;
}
#define AUTO_MEM __attribute__((cleanup(auto_mem_)))

#define TAKE(p)                                                                                    \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

#endif
