/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How sessions went: counted in memory, written now and then, read for reports.
 */
#include "base/buf.h"
#include "base/check.h"
#include "service/tlsbook/tlsbook_int.h"
#include <stdlib.h>
#include <string.h>

#define KEEP_DAYS 30
#define DAY_US	  (INT64_C(86400) * 1000000)

/* Texts stand behind it, the key first. */
struct kind {
	struct tlsbook_sessions s;
	struct str key;
};

static struct str put(char **at, struct str s)
{
	struct str copied = {*at, s.n};
	memcpy(*at, s.n ? s.p : "", s.n);
	*at += s.n;
	return copied;
}

static struct kind *make(struct str key, const struct tlsbook_sessions *s)
{
	struct kind *k = xcalloc(1, sizeof *k + key.n + s->domain.n + s->policy.n + s->result.n +
					    s->mx.n + s->ip.n + s->reason.n);
	char *at = (char *)(k + 1);
	k->key = put(&at, key);
	k->s = (struct tlsbook_sessions){.day = s->day,
					 .domain = put(&at, s->domain),
					 .policy = put(&at, s->policy),
					 .result = put(&at, s->result),
					 .mx = put(&at, s->mx),
					 .ip = put(&at, s->ip),
					 .reason = put(&at, s->reason)};
	return k;
}

static void key_of(const struct tlsbook_sessions *s, struct buf *key)
{
	(void)buf_addf(key, "%u\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s", s->day, STR_ARG(s->domain),
		       STR_ARG(s->policy), STR_ARG(s->result), STR_ARG(s->mx), STR_ARG(s->ip));
}

void tlsbook_count(struct tlsbook *b, const struct tlsbook_sessions *s)
{
	struct tlsbook_sessions plain = *s;
	AUTO(buf) struct buf key = BUF_INIT(KIB(4));
	(void)pthread_mutex_lock(&b->lock);
	if (b->counts.n >= TLSBOOK_KINDS)
		plain.mx = plain.ip = plain.reason = STR("");
	key_of(&plain, &key);
	struct kind *k = strmap_get(&b->counts, buf_str(&key));
	if (!k && !key.failed && b->counts.n < 2 * (size_t)TLSBOOK_KINDS) {
		k = make(buf_str(&key), &plain);
		(void)strmap_put(&b->counts, k->key, k);
	}
	if (k)
		k->s.count += s->count;
	(void)pthread_mutex_unlock(&b->lock);
}

void tlsbook_drop_counts(struct tlsbook *b)
{
	MAP_EACH (&b->counts, i)
		free(b->counts.slots[i].value);
	strmap_clear(&b->counts);
}

/* --- writing
 * ------------------------------------------------------------------------------------ */

static int write_kind(struct tlsbook *b, const struct tlsbook_sessions *s, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(b->db,
			"INSERT INTO sessions VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
			" ON CONFLICT DO UPDATE SET count = count + ?7, reason = ?8",
			&st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, s->day);
	db_bind_text(st, 2, s->domain);
	db_bind_text(st, 3, s->policy);
	db_bind_text(st, 4, s->result);
	db_bind_text(st, 5, s->mx);
	db_bind_text(st, 6, s->ip);
	db_bind_u64(st, 7, s->count);
	db_bind_text(st, 8, s->reason);
	return db_run(st, why);
}

static int forget_old(struct tlsbook *b, struct wall_us now, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(b->db, "DELETE FROM sessions WHERE day < ?1", &st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, now.v / DAY_US - KEEP_DAYS);
	r = db_run(st, why);
	if (r == 0)
		r = db_stmt(b->db, "DELETE FROM reported WHERE day < ?1", &st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, now.v / DAY_US - KEEP_DAYS);
	r = db_run(st, why);
	if (r == 0)
		r = db_stmt(b->db, "DELETE FROM policy WHERE expires_us < ?1", &st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, now.v);
	return db_run(st, why);
}

int tlsbook_write_counts(struct tlsbook *b, struct wall_us now, struct fail *why)
{
	if (b->counts.n == 0)
		return 0;
	int r = db_begin(b->db, why);
	if (r < 0)
		return r;
	MAP_EACH (&b->counts, i) {
		const struct kind *k = b->counts.slots[i].value;
		if (r == 0)
			r = write_kind(b, &k->s, why);
	}
	if (r == 0 && now.v > 0)
		r = forget_old(b, now, why);
	if (r == 0)
		r = db_commit(b->db, why);
	else
		db_rollback(b->db);
	if (r == 0)
		tlsbook_drop_counts(b);
	return r;
}

int tlsbook_flush(struct tlsbook *b, struct wall_us now, struct fail *why)
{
	(void)pthread_mutex_lock(&b->lock);
	int r = tlsbook_write_counts(b, now, why);
	(void)pthread_mutex_unlock(&b->lock);
	return r;
}

/* --- reading
 * ------------------------------------------------------------------------------------ */

static int select_rows(struct tlsbook *b, const struct tlsbook_span *what, struct db_stmt **ret,
		       struct fail *why)
{
	int r = db_stmt(
		b->db,
		"SELECT day, domain, policy, result, mx, ip, reason, count FROM sessions"
		" WHERE day BETWEEN ?1 AND ?2 AND (?3 = '' OR domain = ?3)"
		" ORDER BY day DESC, domain, policy, result != 'ok', result, mx, ip LIMIT ?4",
		ret, why);
	if (r < 0)
		return r;
	db_bind_u64(*ret, 1, what->from);
	db_bind_u64(*ret, 2, what->to);
	db_bind_text(*ret, 3, what->domain);
	db_bind_u64(*ret, 4, what->max);
	return 0;
}

static int read_rows(struct tlsbook *b, const struct tlsbook_span *what, struct arena *a,
		     struct tlsbook_sessions *all, size_t *n, struct fail *why)
{
	struct db_stmt *st;
	int r = select_rows(b, what, &st, why);
	while (r >= 0 && (r = db_step(st, why)) == 1) {
		struct tlsbook_sessions *s = &all[(*n)++];
		struct str *texts[] = {&s->domain, &s->policy, &s->result,
				       &s->mx,	   &s->ip,     &s->reason};
		s->day = (uint32_t)db_col_u64(st, 0);
		s->count = db_col_u64(st, 7);
		for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
			struct str text = db_col_text(st, (int)i + 1);
			*texts[i] = arena_str(a, text);
			if (texts[i]->p || text.n == 0)
				continue;
			db_reset(st);
			return fail_set(why, FAIL_LIMIT, NULL, "no room for a report");
		}
	}
	return r;
}

int tlsbook_report(struct tlsbook *b, const struct tlsbook_span *span, struct arena *a,
		   struct tlsbook_sessions **ret, size_t *ret_n, struct fail *why)
{
	struct tlsbook_sessions *all = arena_array(a, struct tlsbook_sessions, span->max);
	*ret_n = 0;
	if (!all)
		return fail_set(why, FAIL_LIMIT, NULL, "no room for a report");
	(void)pthread_mutex_lock(&b->lock);
	int r = tlsbook_write_counts(b, (struct wall_us){0}, why);
	if (r == 0)
		r = read_rows(b, span, a, all, ret_n, why);
	(void)pthread_mutex_unlock(&b->lock);
	*ret = all;
	return r;
}

/* --- what is to be sent
 * ------------------------------------------------------------------------- */

static int read_due(struct tlsbook *b, uint32_t day, struct str after, struct arena *a,
		    struct tlsbook_due *ret, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(b->db,
			"SELECT DISTINCT domain FROM sessions s WHERE day = ?1 AND domain > ?2"
			" AND NOT EXISTS (SELECT 1 FROM reported r WHERE r.day = ?1 AND"
			" r.domain = s.domain) ORDER BY domain LIMIT ?3",
			&st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, day);
	db_bind_text(st, 2, after);
	db_bind_u64(st, 3, TLSBOOK_DUE_MAX);
	while ((r = db_step(st, why)) == 1 && ret->n < TLSBOOK_DUE_MAX) {
		struct str domain = arena_str(a, db_col_text(st, 0));
		if (!domain.p) {
			db_reset(st);
			return fail_set(why, FAIL_LIMIT, NULL, "no room for domains");
		}
		ret->v[ret->n++] = domain;
	}
	return MIN(r, 0);
}

int tlsbook_due(struct tlsbook *b, uint32_t day, struct str after, struct arena *a,
		struct tlsbook_due *ret, struct fail *why)
{
	ret->n = 0;
	(void)pthread_mutex_lock(&b->lock);
	int r = tlsbook_write_counts(b, (struct wall_us){0}, why);
	if (r == 0)
		r = read_due(b, day, after, a, ret, why);
	(void)pthread_mutex_unlock(&b->lock);
	return r;
}

static int write_reported(struct tlsbook *b, uint32_t day, struct str domain, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(b->db, "INSERT OR IGNORE INTO reported VALUES(?1, ?2)", &st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, day);
	db_bind_text(st, 2, domain);
	return db_run(st, why);
}

int tlsbook_reported(struct tlsbook *b, uint32_t day, struct str domain, struct fail *why)
{
	(void)pthread_mutex_lock(&b->lock);
	int r = write_reported(b, day, domain, why);
	(void)pthread_mutex_unlock(&b->lock);
	return r;
}
