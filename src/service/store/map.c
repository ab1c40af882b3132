/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.c - the UID map of a mailbox in memory (struct uid_map).
 */
#include "service/store/store_int.h"

#define LOG_MAX		 4096
#define COMPACT_AT_LEAST 64

size_t uid_map_lower(const struct uid_map *m, uint32_t uid)
{
	return vec_lower(&m->e, .uid, uid);
}

struct map_entry *uid_map_find(const struct uid_map *m, uint32_t uid)
{
	size_t i = uid_map_lower(m, uid);
	return i < m->e.n && m->e.p[i].uid == uid ? &m->e.p[i] : NULL;
}

size_t uid_map_tomb(const struct uid_map *m, uint32_t uid)
{
	return vec_lower(&m->t, .uid, uid);
}

uint64_t uid_map_expunged(const struct uid_map *m, uint32_t uid)
{
	size_t i = uid_map_tomb(m, uid);
	return i < m->t.n && m->t.p[i].uid == uid ? m->t.p[i].expunged : 0;
}

/* Ascending UIDs only: loading goes by UID, and a new message has the highest. */
void uid_map_add(struct uid_map *m, const struct row_entry *row)
{
	CHECK(m->e.n == 0 || m->e.p[m->e.n - 1].uid < row->uid);
	struct map_entry *e = vec_push(&m->e);
	*e = (struct map_entry){row->message, row->flags, row->modseq, row->uid, row->size};
	if (row->expunged) {
		struct map_tomb *t = vec_push(&m->t);
		*t = (struct map_tomb){row->uid, row->expunged};
	}
}

void uid_map_touch(struct uid_map *m, uint32_t uid, uint64_t modseq)
{
	if (!m->loaded)
		return;
	if (m->log.n >= LOG_MAX) {
		size_t drop = LOG_MAX / 2;
		m->log_floor = m->log.p[drop - 1].modseq;
		memmove(m->log.p, m->log.p + drop, (m->log.n - drop) * sizeof *m->log.p);
		m->log.n -= drop;
	}
	struct map_log *l = vec_push(&m->log);
	*l = (struct map_log){modseq, uid};
}

void uid_map_set_flags(struct uid_map *m, uint32_t uid, uint64_t flags, uint64_t modseq)
{
	struct map_entry *e = uid_map_find(m, uid);
	if (!e)
		return;
	e->flags = flags;
	e->modseq = modseq;
	uid_map_touch(m, uid, modseq);
}

void uid_map_expunge(struct uid_map *m, uint32_t uid, uint64_t modseq)
{
	if (!uid_map_find(m, uid))
		return;
	size_t at = uid_map_tomb(m, uid);
	(void)vec_push(&m->t);
	memmove(&m->t.p[at + 1], &m->t.p[at], (m->t.n - 1 - at) * sizeof *m->t.p);
	m->t.p[at] = (struct map_tomb){uid, modseq};
}

/* Entries and tombstones that no view with an expunge modseq >= floor sees. */
static void drop_expunged(struct uid_map *m, uint64_t floor)
{
	size_t t = 0, kept_t = 0, kept = 0;
	for (size_t i = 0; i < m->e.n; i++) {
		if (t < m->t.n && m->t.p[t].uid == m->e.p[i].uid) {
			bool drop = m->t.p[t].expunged <= floor;
			if (!drop)
				m->t.p[kept_t++] = m->t.p[t];
			t++;
			if (drop)
				continue;
		}
		m->e.p[kept++] = m->e.p[i];
	}
	m->e.n = kept;
	m->t.n = kept_t;
}

void uid_map_compact(struct uid_map *m, uint64_t floor)
{
	if (!m->loaded || floor <= m->floor || m->t.n < COMPACT_AT_LEAST + m->e.n / 8)
		return;
	size_t before = m->t.n;
	drop_expunged(m, floor);
	m->floor = floor;
	if (m->t.n != before)
		m->generation++;
}

void uid_map_clear(struct uid_map *m)
{
	vec_clear(&m->e);
	vec_clear(&m->t);
	vec_clear(&m->log);
	m->loaded = false;
	m->generation++;
}

size_t uid_map_bytes(const struct uid_map *m)
{
	return m->e.cap * sizeof *m->e.p + m->t.cap * sizeof *m->t.p +
	       m->log.cap * sizeof *m->log.p;
}
