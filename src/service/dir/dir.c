/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the directory; accounts; what they use.
 */
#include "dir.h"

#include "app_password.h"
#include "base/check.h"
#include "dir_int.h"
#include "dir_key.h"
#include "exchange.h"
#include "login_cache.h"
#include "oauth.h"
#include "service/srs/srs.h"
#include "slowdown.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/fs.h"

struct login_seen {
	struct account_id id;
	enum dir_service service;
	int64_t at_s;
};

struct dir_config dir_config_default(void)
{
	return (struct dir_config){
		.storage_base = "/var/vmail",
		.storage_node = "vmail1",
		.delimiter = '+',
		.expand_max = 1000,
		.usage_delay_ms = 2000,
		.cache_max = 65536,
		.cache_ttl_s = 3600,
		.slow_first_ms = 500,
		.slow_max_ms = 15000,
		.slow_forget_s = 900,
		.known_ttl_s = 30 * 86400,
		.slow_entries = 8192,
		.account_free = 5,
		.scram = DIR_SCRAM_AUTO,
		.scram_iterations = 100000,
		.master_separator = '*',
		.master_services = {"imap", 4},
		.exchanges_max = 4096,
		.exchange_ttl_s = 60,
	};
}

int dir_open(const struct dir_config *c, struct dir **ret, struct fail *why)
{
	struct dir *d = xcalloc(1, sizeof *d);
	d->opened_at = clock_mono();
	struct db_options o = {.path = c->path, .fs = c->fs, .create = true, .cache_kib = 1024};

	d->c = *c;
	d->storage_base = xstrdup(c->storage_base);
	d->storage_node = xstrdup(c->storage_node);
	(void)pthread_mutex_init(&d->lock, NULL);
	d->cache = login_cache_new(c->cache_max, c->cache_ttl_s);
	d->slow = slowdown_new(c);
	d->oauth = oauth_new(&c->oauth, c->fs ? c->fs : fs_real());
	d->exchanges = exchanges_new(c->exchanges_max, c->exchange_ttl_s);
	int r = db_open(&o, &d->db, why);
	if (r == 0)
		r = dir_schema(d->db, why);
	if (r == 0)
		r = dir_key_open(c->fs ? c->fs : fs_real(), c->path, &d->key, why);
	if (r < 0) {
		dir_close(d);
		return fail_wrap(why, r, "directory %s", c->path);
	}
	d->c.path = NULL; /* borrowed for the call only */
	*ret = d;
	return 0;
}

void dir_close(struct dir *d)
{
	struct fail why;

	if (!d)
		return;
	if (d->db && (d->usage.n > 0 || d->seen.n > 0 || d->app_seen.n > 0))
		(void)!dir_flush(d, &why); /* used_quota is recounted by its owner anyway */
	db_close(d->db);
	MAP_EACH (&d->usage, i)
		free(d->usage.slots[i].value);
	MAP_EACH (&d->seen, i)
		free(d->seen.slots[i].value);
	map_clear(&d->usage);
	map_clear(&d->seen);
	MAP_EACH (&d->app_seen, i)
		free(d->app_seen.slots[i].value);
	map_clear(&d->app_seen);
	login_cache_free(d->cache);
	slowdown_free(d->slow);
	exchanges_free(d->exchanges);
	oauth_free(d->oauth);
	open_sessions_clear(d);
	secret_clear(&d->key);
	free(d->hostname);
	free(d->relay_host);
	srs_free(d->srs);
	returns_free(d->returns);
	(void)pthread_mutex_destroy(&d->lock);
	free(d->storage_base);
	free(d->storage_node);
	free(d);
}

static void replace(char **text, const char *now)
{
	free(*text);
	*text = now ? xstrdup(now) : NULL;
}

void dir_configure(struct dir *d, const char *hostname, const char *relay_host)
{
	DIR_LOCKED(d);
	replace(&d->hostname, hostname);
	replace(&d->relay_host, relay_host);
	dir_routes_touch(d);
}

void dir_srs(struct dir *d, struct srs *srs, bool forwarding, uint32_t rate)
{
	DIR_LOCKED(d);
	srs_free(d->srs);
	d->srs = srs;
	d->srs_forwarding = forwarding;
	if (!d->returns)
		d->returns = returns_new();
	returns_rate(d->returns, rate);
	dir_routes_touch(d);
}

void dir_routes_touch(struct dir *d)
{
	d->routes_changed = clock_wall();
}

struct wall_us dir_routes_changed(struct dir *d)
{
	DIR_LOCKED(d);
	uint64_t version = db_data_version(d->db);

	if (version != d->routes_version)
		dir_routes_touch(d);
	d->routes_version = version;
	return d->routes_changed;
}

bool dir_is_free(struct dir *d)
{
	if (pthread_mutex_trylock(&d->lock) != 0)
		return false;
	dir_unlock(d);
	return true;
}

/* ---- accounts ---- */

#define ACCOUNT_COLUMNS                                                                            \
	"SELECT m.username, m.domain, m.name, m.language, m.quota, m.active, m.enabledeliver,"     \
	" COALESCE(d.active, 0), COALESCE(d.backupmx, 0), b.id,"                                   \
	" COALESCE(u.bytes, 0), COALESCE(u.messages, 0)"                                           \
	" FROM mailbox m LEFT JOIN domain d ON d.domain = m.domain"                                \
	" LEFT JOIN barid_account b ON b.username = m.username"                                    \
	" LEFT JOIN used_quota u ON u.username = m.username"

static struct str lower(struct arena *a, struct str s)
{
	char *p = arena_c(a, s);

	for (size_t i = 0; p && i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return p ? str_make(p, s.n) : STR_NULL;
}

static uint64_t not_negative(int64_t v)
{
	return v > 0 ? (uint64_t)v : 0;
}

/* Copy the row at hand and reset the statement. */
static int read_account(struct dir *d, struct db_stmt *st, struct arena *a, struct dir_account *ret,
			struct fail *why)
{
	struct dir_account out = {
		.address = lower(a, db_col_text(st, 0)),
		.domain = lower(a, db_col_text(st, 1)),
		.name = arena_str(a, db_col_text(st, 2)),
		.language = arena_str(a, db_col_text(st, 3)),
		.active = db_col_i64(st, 5) && db_col_i64(st, 7) && !db_col_i64(st, 8),
		.id = {db_col_u64(st, 9)},
		.used_bytes = not_negative(db_col_i64(st, 10)),
		.used_messages = not_negative(db_col_i64(st, 11)),
	};
	uint64_t quota_mb = not_negative(db_col_i64(st, 4));

	out.quota_bytes = MIN(quota_mb, UINT64_MAX >> 21) << 20;
	out.delivers = out.active && db_col_i64(st, 6);
	db_reset(st);
	if (!out.address.p || !out.language.p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at an account");
	if (out.id.v == 0) {
		int r = dir_account_id(d, out.address, &out.id, why);
		if (r < 0)
			return r;
	}
	const struct usage *u = map_get(&d->usage, out.id.v);
	if (u) {
		out.used_bytes = u->bytes;
		out.used_messages = u->messages;
	}
	*ret = out;
	return 0;
}

int dir_find_account(struct dir *d, struct str address, struct arena *a, struct dir_account *ret,
		     struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(d, ACCOUNT_COLUMNS " WHERE m.username = ?1", address, STR_NULL, &st, why);

	if (r < 0)
		return r;
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no mailbox %.*s", STR_ARG(address));
	return read_account(d, st, a, ret, why);
}

int dir_account_by_address(struct dir *d, struct str address, struct arena *a,
			   struct dir_account *ret, struct fail *why)
{
	DIR_LOCKED(d);
	return dir_find_account(d, address, a, ret, why);
}

int dir_account_by_id(struct dir *d, struct account_id id, struct arena *a, struct dir_account *ret,
		      struct fail *why)
{
	struct db_stmt *st = NULL;

	DIR_LOCKED(d);
	int r = db_stmt(d->db, ACCOUNT_COLUMNS " WHERE b.id = ?1", &st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, (int64_t)MIN(id.v, (uint64_t)INT64_MAX));
	r = db_step(st, why);
	if (r < 0)
		return r;
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no mailbox has id %llu",
				(unsigned long long)id.v);
	return read_account(d, st, a, ret, why);
}

int dir_account_id(struct dir *d, struct str username, struct account_id *ret, struct fail *why)
{
	struct db_stmt *st = NULL;
	const char *find = "SELECT id FROM barid_account WHERE username = ?1";

	for (unsigned attempt = 0; attempt < 2; attempt++) {
		int r = dir_query(d, find, username, STR_NULL, &st, why);
		if (r < 0)
			return r;
		if (r == 1) {
			ret->v = db_col_u64(st, 0);
			db_reset(st);
			return 0;
		}
		/* A row that was loaded with triggers off has no id yet. */
		r = dir_exec(d,
			     "INSERT INTO barid_account (username, was) VALUES (?1, ?1)"
			     " ON CONFLICT DO NOTHING",
			     &username, 1, why);
		if (r < 0)
			return r;
	}
	return fail_set(why, FAIL_BUG, NULL, "no id for %.*s", STR_ARG(username));
}

/* ---- what is used ---- */

int dir_usage(struct dir *d, struct account_id id, uint64_t bytes, uint64_t messages,
	      struct fail *why)
{
	if (id.v == 0 || bytes > INT64_MAX || messages > INT64_MAX)
		return fail_set(why, FAIL_BUG, NULL, "usage of account %llu",
				(unsigned long long)id.v);
	DIR_LOCKED(d);
	struct usage *u = map_get(&d->usage, id.v);
	if (!u) {
		u = xcalloc(1, sizeof *u);
		(void)map_put(&d->usage, id.v, u);
	}
	*u = (struct usage){.id = id, .bytes = bytes, .messages = messages};
	return 0;
}

void dir_login_seen(struct dir *d, struct account_id id, enum dir_service s)
{
	if (s != DIR_IMAP && s != DIR_POP3)
		return;
	DIR_LOCKED(d);
	uint64_t key = id.v * 2 + (s == DIR_POP3);
	struct login_seen *l = map_get(&d->seen, key);
	if (!l) {
		l = xcalloc(1, sizeof *l);
		(void)map_put(&d->seen, key, l);
	}
	*l = (struct login_seen){.id = id, .service = s, .at_s = clock_wall().v / SEC_US};
}

static int write_usage(struct dir *d, const struct usage *u, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(d->db,
			"INSERT INTO used_quota (username, bytes, messages, domain)"
			" SELECT m.username, ?2, ?3, m.domain FROM barid_account b"
			" JOIN mailbox m ON m.username = b.username WHERE b.id = ?1"
			" ON CONFLICT (username) DO UPDATE SET bytes = excluded.bytes,"
			" messages = excluded.messages, domain = excluded.domain",
			&st, why);

	if (r < 0)
		return r;
	db_bind_u64(st, 1, u->id.v);
	db_bind_u64(st, 2, u->bytes);
	db_bind_u64(st, 3, u->messages);
	return db_run(st, why);
}

static int write_seen(struct dir *d, const struct login_seen *l, struct fail *why)
{
	struct db_stmt *st = NULL;
	bool pop3 = l->service == DIR_POP3;
	int r = db_stmt(d->db,
			pop3 ? "INSERT INTO last_login (username, domain, pop3)"
			       " SELECT m.username, m.domain, ?2 FROM barid_account b"
			       " JOIN mailbox m ON m.username = b.username WHERE b.id = ?1"
			       " ON CONFLICT (username) DO UPDATE SET pop3 = excluded.pop3"
			     : "INSERT INTO last_login (username, domain, imap)"
			       " SELECT m.username, m.domain, ?2 FROM barid_account b"
			       " JOIN mailbox m ON m.username = b.username WHERE b.id = ?1"
			       " ON CONFLICT (username) DO UPDATE SET imap = excluded.imap",
			&st, why);

	if (r < 0)
		return r;
	db_bind_u64(st, 1, l->id.v);
	db_bind_i64(st, 2, l->at_s);
	return db_run(st, why);
}

static void forget_waiting(struct map *m)
{
	MAP_EACH (m, i)
		free(m->slots[i].value);
	map_clear(m);
}

int dir_flush(struct dir *d, struct fail *why)
{
	DIR_LOCKED(d);
	if (d->usage.n == 0 && d->seen.n == 0 && d->app_seen.n == 0)
		return 0;
	int r = db_begin(d->db, why);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < d->usage.cap; i++)
		if (d->usage.slots[i].value)
			r = write_usage(d, d->usage.slots[i].value, why);
	for (size_t i = 0; r == 0 && i < d->seen.cap; i++)
		if (d->seen.slots[i].value)
			r = write_seen(d, d->seen.slots[i].value, why);
	if (r == 0)
		r = app_password_flush(d, why);
	CRASH_POINT("dir.before-flush-commit");
	if (r == 0)
		r = db_commit(d->db, why);
	CRASH_POINT("dir.after-flush-commit");
	if (r < 0) {
		db_rollback(d->db); /* everything still waits, for the next call */
		return r;
	}
	forget_waiting(&d->usage);
	forget_waiting(&d->seen);
	forget_waiting(&d->app_seen);
	return 0;
}
