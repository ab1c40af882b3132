/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: one mapping each. The first page counts references; the configuration with all of
 * its texts stands on the pages behind it, which are made read-only before anybody sees them.
 */
#include "base/check.h"
#include "runtime/conf_int.h"
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x62617269642d6366)

struct head {
	uint64_t magic;
	size_t size; /* of the mapping */
	_Atomic unsigned refs;
	void *extra;
	void (*free_extra)(void *extra);
};

bool conf_is_text(enum conf_type type)
{
	return type == CONF_TEXT || type == CONF_CHOICE;
}

bool conf_is_list(enum conf_type type)
{
	return type == CONF_ADDRESSES || type == CONF_NETWORKS || type == CONF_PATHS ||
	       type == CONF_TABLES || type == CONF_MILTERS;
}

static size_t page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static struct head *head_of(const struct conf *snapshot)
{
	uintptr_t at = (uintptr_t)snapshot - page();
	struct head *h = (struct head *)at; /* the one page that may be written */
	CHECK(h->magic == MAGIC);
	return h;
}

/* Room is handed out in order; a first pass with at = NULL only measures. */
struct room {
	char *at;
	size_t used;
};

static void *take(struct room *room, size_t n)
{
	void *p = room->at ? room->at + room->used : NULL;
	room->used += (n + 15) & ~(size_t)15;
	return p;
}

static char *copy_text(struct room *room, const char *text)
{
	size_t n = strlen(text) + 1;
	char *p = take(room, n);
	if (p)
		memcpy(p, text, n);
	return p;
}

static void copy_list(struct room *room, const struct conf_list *from, struct conf_list *to)
{
	char **p = take(room, (from->n + 1) * sizeof *p);
	for (size_t i = 0; i < from->n; i++) {
		char *text = copy_text(room, from->p[i]);
		if (p)
			p[i] = text;
	}
	if (p)
		*to = (struct conf_list){.p = p, .n = from->n};
}

static void copy(struct room *room, const struct conf *from)
{
	struct conf *to = take(room, sizeof *to), unused;
	if (to)
		*to = *from; /* the numbers stay, the pointers are replaced */
	for (size_t i = 0; i < conf_settings_n; i++) {
		const struct conf_setting *s = &conf_settings[i];
		const char *source = (const char *)from + s->offset;
		char *target = (char *)(to ? to : &unused) + s->offset;
		if (conf_is_text(s->type)) {
			char *text = copy_text(room, *(char *const *)(const void *)source);
			if (to)
				*(char **)(void *)target = text;
		} else if (conf_is_list(s->type)) {
			copy_list(room, (const void *)source, (void *)target);
		}
	}
}

const struct conf *conf_freeze(const struct conf *c)
{
	struct room measure = {0};
	copy(&measure, c);
	size_t size = page() + (measure.used + page() - 1) / page() * page();
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED);
	struct head *h = (struct head *)(void *)map;
	*h = (struct head){.magic = MAGIC, .size = size, .refs = 1};
	struct room room = {.at = map + page()};
	copy(&room, c);
	CHECK(mprotect(map + page(), size - page(), PROT_READ) == 0);
	return (const struct conf *)(const void *)(map + page());
}

const struct conf *conf_hold(const struct conf *snapshot)
{
	(void)atomic_fetch_add_explicit(&head_of(snapshot)->refs, 1, memory_order_relaxed);
	return snapshot;
}

void conf_drop(const struct conf *snapshot)
{
	if (!snapshot)
		return;
	struct head *h = head_of(snapshot);
	if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (h->free_extra)
		h->free_extra(h->extra);
	(void)munmap(h, h->size);
}

void conf_attach(const struct conf *snapshot, void *extra, void (*free_extra)(void *extra))
{
	struct head *h = head_of(snapshot);
	CHECK(!h->extra);
	h->extra = extra;
	h->free_extra = free_extra;
}

void *conf_extra(const struct conf *snapshot)
{
	return head_of(snapshot)->extra;
}
