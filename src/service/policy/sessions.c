/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was decided, in smtp_sessions: a row for each message, and for each recipient whose answer
 * is not DUNNO. Panels show from it who sends without encryption, and who was refused. Rows wait in
 * a bounded list; when the disk cannot keep up they are lost and counted, and mail goes on.
 */
#include "base/check.h"
#include "base/list.h"
#include "service/policy/policy_int.h"
#include "sys/counter.h"
#include <pthread.h>
#include <stdlib.h>

COUNTER(lost, "policy.sessions-lost", "rows of smtp_sessions that could not be written in time");

#define WAITING_MAX 20000u
#define SWEEP_ROWS  "10000" /* of an hour's sweep, so that its transaction is short */
#define SWEEP_MAX   10000u

enum {
	ACTION,
	REASON,
	INSTANCE,
	ADDRESS,
	NAME,
	REVERSE,
	HELO,
	FROM,
	FROM_DOMAIN,
	LOGIN,
	LOGIN_DOMAIN,
	TO,
	TO_DOMAIN,
	TLS,
	CIPHER,
	SERVER,
	TEXTS
};

struct row {
	struct list link;
	int64_t time;
	uint64_t server_port, size, recipient_count;
	uint16_t length[TEXTS];
	char text[]; /* one behind the other */
};

struct sessions {
	pthread_mutex_t lock;
	struct list waiting, written;
	size_t n;
};

static void *make(void)
{
	struct sessions *s = xcalloc(1, sizeof *s);
	(void)pthread_mutex_init(&s->lock, NULL);
	list_init(&s->waiting);
	list_init(&s->written);
	return s;
}

static void drop_all(struct list *rows)
{
	struct list *link;
	while ((link = list_pop(rows)) != NULL)
		free(CONTAINER_OF(link, struct row, link));
}

static void free_sessions(void *state)
{
	struct sessions *s = state;
	drop_all(&s->waiting);
	drop_all(&s->written);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct row *row_new(const struct str text[TEXTS])
{
	size_t n = 0;
	for (size_t i = 0; i < TEXTS; i++)
		n += MIN(text[i].n, (size_t)255);
	struct row *row = xcalloc(1, sizeof *row + n);
	char *to = row->text;
	for (size_t i = 0; i < TEXTS; i++) {
		row->length[i] = (uint16_t)MIN(text[i].n, (size_t)255);
		if (row->length[i])
			memcpy(to, text[i].p, row->length[i]);
		to += row->length[i];
	}
	return row;
}

void policy_session_note(struct policy *p, const struct policy_query *q,
			 const struct policy_verdict *v)
{
	struct sessions *s = policy_state(p, POLICY_PART_SESSIONS);
	if (!q->settings->log_sessions ||
	    (q->state != POLICY_STATE_END_OF_MESSAGE && v->act == POLICY_DUNNO))
		return;
	const struct str text[TEXTS] = {
		[ACTION] = str_c(policy_act_name(v->act)),
		[REASON] = str_c(v->text[0] ? v->text : v->why),
		[INSTANCE] = q->instance,
		[ADDRESS] = q->client_address,
		[NAME] = q->client_name,
		[REVERSE] = q->reverse_client_name,
		[HELO] = q->helo_name,
		[FROM] = q->sender.full,
		[FROM_DOMAIN] = q->sender.domain,
		[LOGIN] = q->login.full,
		[LOGIN_DOMAIN] = q->login.domain,
		[TO] = q->recipient.full,
		[TO_DOMAIN] = q->recipient.domain,
		[TLS] = q->encryption_protocol,
		[CIPHER] = q->encryption_cipher,
		[SERVER] = q->server_address,
	};
	struct row *row = row_new(text);
	row->time = q->now.v / SEC_US;
	row->server_port = q->server_port;
	row->size = MIN(q->size, (uint64_t)INT64_MAX);
	row->recipient_count = MIN(q->recipient_count, (uint64_t)INT32_MAX);
	pthread_mutex_lock(&s->lock);
	bool room = s->n < WAITING_MAX;
	if (room) {
		list_append(&s->waiting, &row->link);
		s->n++;
	}
	pthread_mutex_unlock(&s->lock);
	if (!room) {
		counter_add(&lost, 1);
		free(row);
	}
	policy_dirty(p);
}

static int write_row(struct db_stmt *st, const struct row *row, struct fail *why)
{
	const char *from = row->text;
	db_bind_i64(st, 1, row->time);
	db_bind_u64(st, 2, row->server_port);
	for (int i = 0; i < TEXTS; i++) {
		db_bind_text(st, i + 3, str_make(from, row->length[i]));
		from += row->length[i];
	}
	db_bind_u64(st, TEXTS + 3, row->size);
	db_bind_u64(st, TEXTS + 4, row->recipient_count);
	return db_run(st, why);
}

static int flush(void *state, struct db *db, struct fail *why)
{
	struct sessions *s = state;
	struct db_stmt *st;
	struct list *link;
	pthread_mutex_lock(&s->lock);
	while ((link = list_pop(&s->waiting)) != NULL)
		list_append(&s->written, link);
	pthread_mutex_unlock(&s->lock);
	int r = db_stmt(db,
			"INSERT INTO smtp_sessions (time, time_num, server_port, action, reason,"
			" instance, client_address, client_name, reverse_client_name, helo_name,"
			" sender, sender_domain, sasl_username, sasl_domain, recipient,"
			" recipient_domain, encryption_protocol, encryption_cipher, server_address,"
			" size, recipient_count)"
			" VALUES (datetime(?1, 'unixepoch'), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
			" ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
			&st, why);
	LIST_EACH (&s->written, it) {
		if (r == 0)
			r = write_row(st, CONTAINER_OF(it, struct row, link), why);
	}
	return r;
}

/* Not written: they wait again, in front of what came meanwhile. */
static void flushed(void *state, bool was_written)
{
	struct sessions *s = state;
	struct list *link;
	pthread_mutex_lock(&s->lock);
	if (was_written) {
		LIST_EACH (&s->written, it)
			s->n--;
		drop_all(&s->written);
	}
	while (!list_empty(&s->written)) {
		link = s->written.prev;
		list_remove(link);
		list_prepend(&s->waiting, link);
	}
	pthread_mutex_unlock(&s->lock);
}

static int sweep(void *state, struct db *db, const struct policy_keep *keep, struct wall_us now,
		 struct fail *why)
{
	struct db_stmt *st;
	(void)state;
	int r = db_stmt(db,
			"DELETE FROM smtp_sessions WHERE id IN (SELECT id FROM smtp_sessions"
			" WHERE time_num < ?1 ORDER BY time_num LIMIT " SWEEP_ROWS ")",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, now.v / SEC_US - (int64_t)keep->sessions_s);
	r = db_run(st, why);
	return r < 0 ? r : db_changes(db) >= SWEEP_MAX;
}

const struct policy_part policy_part_sessions = {.name = "smtp_sessions",
						 .make = make,
						 .flush = flush,
						 .flushed = flushed,
						 .sweep = sweep,
						 .free = free_sessions};
