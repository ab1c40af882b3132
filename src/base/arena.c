/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/check.h"
#include <stdarg.h>
#include <stdio.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ALIGN	  16u
#define BLOCK_MAX KIB(64)

struct arena_block {
	struct arena_block *next;
	size_t size; /* usable bytes */
	size_t used;
	_Alignas(ALIGN) char data[];
};

static struct arena_block *add_block(struct arena *a, size_t need)
{
	size_t size =
		a->blocks ? MIN(a->blocks->size * 2, BLOCK_MAX) : MAX(a->first_block, (size_t)256);
	size = MAX(size, need);
	struct arena_block *b = malloc(sizeof *b + size);
	CHECK(b);
	b->next = a->blocks;
	b->size = size;
	b->used = 0;
	POISON(b->data, size);
	a->blocks = b;
	return b;
}

static void free_block(struct arena_block *b)
{
	UNPOISON(b->data, b->size);
	free(b);
}

void arena_clear(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;
		free_block(a->blocks);
		a->blocks = next;
	}
	a->used = 0;
}

void arena_reset(struct arena *a)
{
	while (a->blocks && a->blocks->next) {
		struct arena_block *next = a->blocks->next;
		free_block(a->blocks);
		a->blocks = next;
	}
	if (a->blocks) {
		a->blocks->used = 0;
		POISON(a->blocks->data, a->blocks->size);
	}
	a->used = 0;
}

/* Memory as it is: whoever asks for it fills it. */
static char *take(struct arena *a, size_t size)
{
	if (size > a->max - a->used)
		return NULL;
	size_t need = (MAX(size, (size_t)1) + ALIGN - 1) / ALIGN * ALIGN;
	struct arena_block *b = a->blocks;
	if (!b || b->size - b->used < need)
		b = add_block(a, need);
	char *p = b->data + b->used;
	b->used += need;
	a->used += size;
	UNPOISON(p, size);
	return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
	char *p = take(a, size);
	if (p)
		memset(p, 0, size);
	return p;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
	size_t total;
	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	return arena_alloc(a, total);
}

struct str arena_str(struct arena *a, struct str s)
{
	char *p = arena_c(a, s);
	return p ? (struct str){p, s.n} : STR_NULL;
}

char *arena_c(struct arena *a, struct str s)
{
	char *p = s.n < SIZE_MAX ? take(a, s.n + 1) : NULL;
	if (!p)
		return NULL;
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (!p)
		return STR_NULL;
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return (struct str){p, (size_t)n};
}
