/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/secret.h"
#include "base/check.h"
#include <sys/mman.h>

void secret_init(struct secret *s, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	*s = (struct secret){0};
	if (n == 0)
		return;
	s->mapped_ = (n + page - 1) / page * page;
	void *p =
		mmap(NULL, s->mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	/*
	 * Neither can be enforced everywhere (RLIMIT_MEMLOCK); both only make a leak less likely.
	 */
	(void)mlock(p, s->mapped_);
	(void)madvise(p, s->mapped_, MADV_DONTDUMP);
	s->p = p;
	s->n = n;
}

void secret_init_copy(struct secret *s, struct str from)
{
	secret_init(s, from.n);
	if (from.n > 0)
		memcpy(s->p, from.p, from.n);
}

void secret_clear(struct secret *s)
{
	if (s->p) {
		explicit_bzero(s->p, s->mapped_);
		(void)munmap(s->p, s->mapped_);
	}
	*s = (struct secret){0};
}

#define STACK_BYTES (24 * 1024)

__attribute__((noinline)) void secret_wipe_stack(void)
{
	char room[STACK_BYTES];
	explicit_bzero(room, sizeof room);
}

bool secret_equal(struct str a, struct str b)
{
	volatile unsigned char differ = a.n != b.n;
	for (size_t i = 0; i < MIN(a.n, b.n); i++)
		differ = (unsigned char)(differ | (a.p[i] ^ b.p[i]));
	return differ == 0;
}
