/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/mta/sources.h"
#include "base/arena.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/num.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

COUNTER(too_fast, "door.too-fast", "refused because a client did too much in a unit of time");

#define SOURCES_MAX 50000u
#define SHOWN	    20u
#define SHOWN_MAX   1000u

struct source {
	struct list link; /* by last use, the oldest first */
	uint64_t key;
	struct netaddr addr; /* one of the source */
	char name[256];
	struct mono_ns unit; /* when the unit of time began */
	struct mono_ns seen;
	uint64_t now[SMTP_EVENTS], all[SMTP_EVENTS];
};

static struct {
	pthread_mutex_t lock;
	struct map map;
	struct list order;
	size_t n;
} sources = {.lock = PTHREAD_MUTEX_INITIALIZER, .order = LIST_INIT(sources.order)};

/* --- counting, under the lock
 * ------------------------------------------------------------------------------------------ */

/* An IPv6 client owns at least a /64. The hash is seeded per process. */
static uint64_t key_of(const struct netaddr *a)
{
	size_t n = a->family == AF_INET ? 4 : 8;
	return str_hash(str_make((const char *)a->bytes, n)) | 1;
}

static struct source *source_of(const struct netaddr *client)
{
	uint64_t key = key_of(client);
	struct source *s = map_get(&sources.map, key);
	if (s) {
		list_remove(&s->link);
		list_append(&sources.order, &s->link);
		return s;
	}
	if (sources.n >= SOURCES_MAX) {
		struct list *oldest = list_pop(&sources.order);
		CHECK(oldest);
		s = CONTAINER_OF(oldest, struct source, link);
		(void)map_remove(&sources.map, s->key);
		sources.n--;
		free(s);
	}
	s = xcalloc(1, sizeof *s);
	s->key = key;
	s->addr = *client;
	s->unit = clock_mono();
	(void)map_put(&sources.map, key, s);
	list_append(&sources.order, &s->link);
	sources.n++;
	return s;
}

static void renew(struct source *s, const struct source_limits *limits)
{
	s->seen = clock_mono();
	if (mono_before(s->seen, mono_add_ms(s->unit, limits->unit_ms)))
		return;
	s->unit = s->seen;
	memset(s->now, 0, sizeof s->now);
}

bool sources_count(const struct netaddr *client, enum smtp_event event,
		   const struct source_limits *limits)
{
	if (!client->family)
		return false;
	(void)pthread_mutex_lock(&sources.lock);
	struct source *s = source_of(client);
	renew(s, limits);
	s->all[event]++;
	bool over = ++s->now[event] > limits->most[event] && limits->most[event];
	(void)pthread_mutex_unlock(&sources.lock);
	if (over)
		counter_add(&too_fast, 1);
	return over;
}

bool sources_full(const struct netaddr *client, enum smtp_event event,
		  const struct source_limits *limits)
{
	if (!client->family || !limits->most[event])
		return false;
	(void)pthread_mutex_lock(&sources.lock);
	struct source *s = source_of(client);
	renew(s, limits);
	bool full = s->now[event] >= limits->most[event];
	(void)pthread_mutex_unlock(&sources.lock);
	if (full)
		counter_add(&too_fast, 1);
	return full;
}

void sources_name(const struct netaddr *client, const char *name)
{
	(void)pthread_mutex_lock(&sources.lock);
	(void)snprintf(source_of(client)->name, 256, "%s", name);
	(void)pthread_mutex_unlock(&sources.lock);
}

/* --- telling
 * -------------------------------------------------------------------------------------------------------
 */

static const char *const columns[] = {"client",	       "name",	     "connections",
				      "messages",      "recipients", "refused",
				      "logins-failed", "tls",	     "silent-s"};
#define COLUMNS ARRAY_LEN(columns)
static const enum smtp_event shown[] = {
	[2] = SMTP_EVENT_CONNECTION, [3] = SMTP_EVENT_MESSAGE,	    [4] = SMTP_EVENT_RECIPIENT,
	[5] = SMTP_EVENT_REFUSED,    [6] = SMTP_EVENT_LOGIN_FAILED, [7] = SMTP_EVENT_TLS};

static enum smtp_event sort_event;
static int worse(const void *a, const void *b)
{
	const struct source *x = a, *y = b;
	uint64_t m = x->all[sort_event], n = y->all[sort_event];
	return m < n ? 1 : m > n ? -1 : (x->seen.v < y->seen.v) - (x->seen.v > y->seen.v);
}

/* A copy of all, the worst first; the caller's. */
static struct source *copy_all(enum smtp_event by, size_t *ret_n)
{
	size_t n = 0;
	(void)pthread_mutex_lock(&sources.lock);
	struct source *all = xcalloc(sources.n + 1, sizeof *all);
	LIST_EACH (&sources.order, link)
		all[n++] = *CONTAINER_OF(link, struct source, link);
	sort_event = by;
	qsort(all, n, sizeof *all, worse);
	(void)pthread_mutex_unlock(&sources.lock);
	*ret_n = n;
	return all;
}

static void fill_row(struct arena *a, const struct source *s, struct msg_text *cells)
{
	char ip[NETADDR_TEXT_MAX];
	int64_t silent = (clock_mono().v - s->seen.v) / SEC_NS;
	cells[0].s = arena_str(a, netaddr_text(&s->addr, false, ip));
	cells[1].s = str_c(s->name);
	for (size_t i = 2; i < ARRAY_LEN(shown); i++)
		cells[i].s = arena_printf(a, "%llu", (unsigned long long)s->all[shown[i]]);
	cells[8].s = arena_printf(a, "%lld", (long long)silent);
}

static bool read_order(const struct msg_admin *m, enum smtp_event *ret_by, uint64_t *ret_n)
{
	for (size_t i = 1; i < m->args_n; i++) {
		struct str word = m->args[i].s;
		size_t k = 2;
		if (num_parse_u64(word, ret_n) && *ret_n > 0 && *ret_n <= SHOWN_MAX)
			continue;
		while (k < ARRAY_LEN(shown) && !str_eq(word, str_c(columns[k])))
			k++;
		if (k == ARRAY_LEN(shown))
			return false;
		*ret_by = shown[k];
	}
	return true;
}

int sources_reply(struct ipc_packet *request, const struct msg_admin *order, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(8));
	enum smtp_event by = SMTP_EVENT_REFUSED;
	uint64_t most = SHOWN;
	size_t n = 0, rows = 0;
	if (!read_order(order, &by, &most))
		return fail_set(why, FAIL_SYNTAX,
				"Usage: clients "
				"[refused|logins-failed|connections|messages|recipients|tls] "
				"[NUMBER]",
				"clients order");
	struct source *all = copy_all(by, &n);
	struct msg_text names[COLUMNS], *cells = xcalloc((most + 1) * COLUMNS, sizeof *cells);
	for (size_t i = 0; i < COLUMNS; i++)
		names[i].s = str_c(columns[i]);
	for (; rows < n && rows < most; rows++)
		fill_row(&a, &all[rows], cells + rows * COLUMNS);
	struct msg_admin_reply m = {
		.columns = names, .columns_n = COLUMNS, .cells = cells, .cells_n = rows * COLUMNS};
	(void)ipc_reply(request, IPC_ADMIN_REPLY, &m);
	free(cells);
	free(all);
	return 0;
}
