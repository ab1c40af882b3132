/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/archive.h"
#include "base/check.h"
#include "base/vec.h"
#include "service/store/engine_sqlite.h"
#include "sys/sha256.h"
#include <stdio.h>

#define REPORTS_MAX 1000
#define AHEAD_S	    3600 /* the lost server may have run ahead of the clock: CREATE by CREATE */

struct store_archive {
	struct engine engine;
};

int store_archive_open(const char *path, enum store_archive_how how, struct store_archive **ret,
		       struct fail *why)
{
	bool frozen = how == STORE_ARCHIVE_FROZEN;
	struct db_options o = {.path = path,
			       .read_only = frozen,
			       .immutable = frozen,
			       .exclusive = !frozen,
			       .cache_kib = 8192};
	AUTO(db) struct db *db = NULL;
	int r = db_open(&o, &db, why);
	if (r == 0 && !frozen)
		r = sqlite_migrate(db, why);
	if (r < 0)
		return r;
	struct store_archive *a = xcalloc(1, sizeof *a);
	a->engine.db = TAKE(db);
	*ret = a;
	return 0;
}

void store_archive_close(struct store_archive *a)
{
	if (!a)
		return;
	db_close(a->engine.db);
	free(a);
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool copy_bytes(struct db_stmt *st, int col, void *into, size_t n)
{
	struct str b = db_col_blob(st, col);
	if (b.n != n)
		return false;
	memcpy(into, b.p, n);
	return true;
}

int store_archive_files(struct store_archive *a, struct account_id account,
			int (*fn)(void *arg, const struct store_archive_file *f), void *arg,
			struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(a->engine.db,
			"SELECT b.account, b.file, b.stored_size, m.sha256 FROM message m"
			" JOIN body b ON b.id = m.body WHERE b.file IS NOT NULL"
			" AND (?1 = 0 OR b.account = ?1) GROUP BY b.id",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(account.v));
	while ((r = db_step(st, why)) > 0) {
		struct store_archive_file f = {.account = {db_col_u64(st, 0)},
					       .size = db_col_u64(st, 2)};
		if (!copy_bytes(st, 1, f.id, sizeof f.id) ||
		    !copy_bytes(st, 3, f.sha256, sizeof f.sha256))
			r = fail_set(why, FAIL_CORRUPT, NULL, "a body's row is damaged");
		else
			r = fn(arg, &f);
		if (r < 0) {
			db_reset(st);
			return r;
		}
	}
	return r;
}

int store_archive_mailboxes(struct store_archive *a, struct account_id account,
			    int (*fn)(void *arg, const struct store_archive_mailbox *m), void *arg,
			    struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(
		a->engine.db,
		"SELECT m.id, m.name, m.special_use, m.uidvalidity, m.uidnext, m.num_exists,"
		" m.noselect, EXISTS (SELECT 1 FROM subscription s WHERE s.account = m.account"
		"  AND s.name = m.name)"
		" FROM mailbox m WHERE m.account = ?1 AND m.name IS NOT NULL UNION ALL"
		" SELECT 0, s.name, 0, 0, 0, 0, 1, 1 FROM subscription s WHERE s.account = ?1"
		" AND NOT EXISTS (SELECT 1 FROM mailbox m WHERE m.account = ?1 AND m.name = s.name)"
		" ORDER BY 2",
		&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(account.v));
	while ((r = db_step(st, why)) > 0) {
		struct store_archive_mailbox m = {.id = {db_col_u64(st, 0)},
						  .name = db_col_text(st, 1),
						  .use = (unsigned)db_col_u64(st, 2),
						  .uidvalidity = (uint32_t)db_col_u64(st, 3),
						  .uidnext = (uint32_t)db_col_u64(st, 4),
						  .exists = (uint32_t)db_col_u64(st, 5),
						  .noselect = db_col_i64(st, 6) != 0,
						  .subscribed = db_col_i64(st, 7) != 0};
		if ((r = fn(arg, &m)) < 0) {
			db_reset(st);
			return r;
		}
	}
	return r;
}

struct names {
	struct arena arena;
	struct str of[64]; /* by bit */
};

static int take_name(void *arg, unsigned bit, struct str name)
{
	struct names *n = arg;
	if (bit < 64)
		n->of[bit] = arena_str(&n->arena, name);
	return 0;
}

static struct str keywords_of(const struct names *n, uint64_t flags, struct buf *into)
{
	buf_reset(into);
	for (unsigned bit = STORE_KEYWORD_FIRST; bit < 64; bit++)
		if ((flags & (UINT64_C(1) << bit)) && n->of[bit].n)
			(void)buf_addf(into, "%s%.*s", into->n ? " " : "", STR_ARG(n->of[bit]));
	return buf_str(into);
}

static int read_messages(struct db_stmt *st, const struct names *names,
			 int (*fn)(void *arg, const struct store_archive_message *m), void *arg,
			 struct fail *why)
{
	AUTO(buf) struct buf keywords = BUF_INIT(KIB(64));
	int r;
	while ((r = db_step(st, why)) > 0) {
		uint64_t flags = (uint64_t)db_col_i64(st, 1);
		struct store_archive_message m = {.uid = (uint32_t)db_col_u64(st, 0),
						  .flags = (uint32_t)flags & STORE_SYSTEM_FLAGS,
						  .keywords = keywords_of(names, flags, &keywords),
						  .internaldate = {db_col_i64(st, 2)},
						  .body_size = db_col_u64(st, 4),
						  .prefix = db_col_blob(st, 5),
						  .bytes = db_col_blob(st, 7),
						  .is_file = !db_col_is_null(st, 6)};
		bool whole = copy_bytes(st, 3, m.sha256, sizeof m.sha256) &&
			     (!m.is_file || copy_bytes(st, 6, m.file, sizeof m.file));
		r = whole ? fn(arg, &m)
			  : fail_set(why, FAIL_CORRUPT, NULL, "UID %u: its row is damaged", m.uid);
		if (r < 0) {
			db_reset(st);
			return r;
		}
	}
	return r;
}

int store_archive_messages(struct store_archive *a, struct account_id account,
			   struct mailbox_id mailbox,
			   int (*fn)(void *arg, const struct store_archive_message *m), void *arg,
			   struct fail *why)
{
	struct db_stmt *st;
	struct names *names = xcalloc(1, sizeof *names);
	names->arena = ARENA_INIT(KIB(64));
	int r = engine_sqlite.keyword_each(&a->engine, account, mailbox, take_name, names, why);
	if (r >= 0)
		r = db_stmt(a->engine.db,
			    "SELECT e.uid, e.flags, m.internaldate, m.sha256, m.body_size,"
			    " m.prefix, b.file, b.bytes FROM entry e JOIN message m"
			    " ON m.id = e.message JOIN body b ON b.id = m.body"
			    " WHERE e.account = ?1 AND e.mailbox = ?2 AND e.expunged = 0"
			    " ORDER BY e.uid",
			    &st, why);
	if (r >= 0) {
		BIND(st, I64(account.v), I64(mailbox.v));
		r = read_messages(st, names, fn, arg, why);
	}
	arena_clear(&names->arena);
	free(names);
	return r < 0 ? r : 0;
}

/* ---- checking ------------------------------------------------------------------------------ */

struct checking {
	struct store_archive *a;
	void (*bad)(void *arg, struct account_id account, const char *what);
	void *arg;
	int told;
	struct fail *why;
};

static void tell(struct checking *c, uint64_t account, const char *what)
{
	if (c->told++ < REPORTS_MAX)
		c->bad(c->arg, (struct account_id){account}, what);
}

static int check_structure(struct checking *c)
{
	struct db_stmt *st;
	int r = db_stmt(c->a->engine.db, "PRAGMA integrity_check(20)", &st, c->why);
	while (r >= 0 && (r = db_step(st, c->why)) > 0) {
		char text[300];
		struct str t = db_col_text(st, 0);
		(void)snprintf(text, sizeof text, "%.*s", STR_ARG(t));
		if (!str_eq(t, STR("ok")))
			tell(c, 0, text);
	}
	return r;
}

/* Rows of (account, text). */
static int check_rows(struct checking *c, const char *sql)
{
	struct db_stmt *st;
	int r = db_stmt(c->a->engine.db, sql, &st, c->why);
	while (r >= 0 && (r = db_step(st, c->why)) > 0) {
		char text[300];
		struct str t = db_col_text(st, 1);
		(void)snprintf(text, sizeof text, "%.*s", STR_ARG(t));
		tell(c, db_col_u64(st, 0), text);
	}
	return r;
}

static int check_hashes(struct checking *c)
{
	struct db_stmt *st;
	int r = db_stmt(c->a->engine.db,
			"SELECT m.account, m.id, m.sha256, b.bytes FROM message m JOIN body b"
			" ON b.id = m.body WHERE b.file IS NULL AND b.codec = 0",
			&st, c->why);
	while (r >= 0 && (r = db_step(st, c->why)) > 0) {
		unsigned char sum[SHA256_LEN];
		char text[100];
		struct str want = db_col_blob(st, 2);
		sha256_of(db_col_blob(st, 3), sum);
		if (want.n == sizeof sum && memcmp(want.p, sum, sizeof sum) == 0)
			continue;
		(void)snprintf(text, sizeof text, "message %llu is not what was stored",
			       (unsigned long long)db_col_u64(st, 1));
		tell(c, db_col_u64(st, 0), text);
	}
	return r;
}

int store_archive_check(struct store_archive *a,
			void (*bad)(void *arg, struct account_id account, const char *what),
			void *arg, struct fail *why)
{
	struct checking c = {.a = a, .bad = bad, .arg = arg, .why = why};
	int r = check_structure(&c);
	if (r >= 0)
		r = check_rows(&c,
			       "SELECT e.account, 'mailbox ' || e.mailbox || ' UID ' || e.uid ||"
			       " ' has no message' FROM entry e LEFT JOIN message m"
			       " ON m.id = e.message WHERE m.id IS NULL");
	if (r >= 0)
		r = check_rows(&c, "SELECT m.account, 'message ' || m.id || ' has no body'"
				   " FROM message m LEFT JOIN body b ON b.id = m.body"
				   " WHERE b.id IS NULL");
	if (r >= 0)
		r = check_hashes(&c);
	return r < 0 ? r : c.told;
}

/* ---- one account alone --------------------------------------------------------------------- */

static int find_mailbox(struct store_archive *a, struct account_id account, struct str name,
			uint64_t *ret, struct fail *why)
{
	struct row_account acc;
	struct row_mailbox row;
	int r = engine_sqlite.account_get(&a->engine, account, &acc, why);
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, "The account has no mail.", "account %llu",
				(unsigned long long)account.v);
	if (r < 0 || name.n == 0)
		return r < 0 ? r : 0;
	r = engine_sqlite.mailbox_find(&a->engine, account, name, &row, why);
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "%.*s", STR_ARG(name));
	*ret = row.id.v;
	return r < 0 ? r : 0;
}

static int copy_rows(struct engine *e, struct account_id account, uint64_t mailbox,
		     struct fail *why)
{
	static const char *const sql[] = {
		"INSERT INTO account SELECT * FROM src.account WHERE id = ?1 AND ?2 >= 0",
		"INSERT INTO mailbox SELECT * FROM src.mailbox WHERE account = ?1"
		" AND (?2 = 0 OR id = ?2)",
		"INSERT INTO keyword SELECT * FROM src.keyword WHERE account = ?1"
		" AND (?2 = 0 OR mailbox = ?2)",
		"INSERT INTO acl SELECT * FROM src.acl WHERE account = ?1"
		" AND (?2 = 0 OR mailbox = ?2)",
		"INSERT INTO overlay SELECT * FROM src.overlay WHERE account = ?1"
		" AND (?2 = 0 OR mailbox = ?2)",
		"INSERT INTO annotation SELECT * FROM src.annotation WHERE account = ?1"
		" AND (?2 = 0 OR mailbox = ?2)",
		"INSERT INTO script SELECT * FROM src.script WHERE account = ?1 AND ?2 = 0",
		"INSERT INTO subscription SELECT * FROM src.subscription WHERE account = ?1"
		" AND ?2 = 0",
		"INSERT INTO entry SELECT * FROM src.entry WHERE account = ?1"
		" AND (?2 = 0 OR mailbox = ?2)",
		"INSERT INTO message SELECT * FROM src.message WHERE id IN"
		" (SELECT message FROM entry WHERE account = ?1 AND ?2 >= 0)",
		"INSERT INTO shared SELECT * FROM src.shared WHERE message IN"
		" (SELECT message FROM entry WHERE account = ?1 AND ?2 >= 0)",
		"INSERT INTO body SELECT * FROM src.body WHERE id IN"
		" (SELECT body FROM message WHERE account = ?1 AND ?2 >= 0)",
		"INSERT INTO thread_key SELECT * FROM src.thread_key WHERE account = ?1"
		" AND ?2 >= 0",
	};
	int r = db_begin(e->db, why);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(sql); i++)
		r = RUN(e, sql[i], why, I64(account.v), I64(mailbox));
	if (r == 0)
		r = db_commit(e->db, why);
	else
		db_rollback(e->db);
	return r;
}

int store_archive_extract(struct store_archive *a, const char *source_path,
			  struct account_id account, struct str mailbox, const char *path,
			  struct fail *why)
{
	uint64_t id = 0;
	struct engine e = {0};
	char uri[4200];
	struct db_stmt *st;
	struct db_options o = {.path = path, .create = true, .cache_kib = 8192};
	int r = find_mailbox(a, account, mailbox, &id, why);
	if (r < 0 || (r = db_open(&o, &e.db, why)) < 0)
		return r;
	(void)snprintf(uri, sizeof uri, "file:%s?immutable=1", source_path);
	r = sqlite_migrate(e.db, why);
	if (r == 0)
		r = db_stmt(e.db, "ATTACH ?1 AS src", &st, why);
	if (r == 0) {
		db_bind_text(st, 1, str_c(uri));
		r = db_run(st, why);
	}
	if (r == 0)
		r = copy_rows(&e, account, id, why);
	if (r == 0)
		r = db_checkpoint(e.db, why);
	db_close(e.db);
	return r;
}

/* ---- putting back -------------------------------------------------------------------------- */

/*
 * UIDVALIDITY: larger than the clock, so larger than anything the lost server gave (it took the
 * clock, too). The epoch is the clock: two restores of one backup differ as well. Ids of messages
 * and mailboxes leap over those that the lost server may have given after the backup: a client that
 * knows one of them (RFC 8474) must not find another message or mailbox under it.
 */
static int raise_accounts(struct engine *e, const struct store_archive_raise *how, struct fail *why)
{
	static const char *const begin[] = {
		"INSERT INTO sqlite_sequence (name, seq) SELECT 'message', 0 WHERE NOT EXISTS"
		" (SELECT 1 FROM sqlite_sequence WHERE name = 'message')",
		"INSERT INTO sqlite_sequence (name, seq) SELECT 'body', 0 WHERE NOT EXISTS"
		" (SELECT 1 FROM sqlite_sequence WHERE name = 'body')",
	};
	int64_t now = how->now.v / SEC_US + AHEAD_S;
	int r = RUN(e,
		    "UPDATE account SET epoch = max(epoch + 1, ?1),"
		    " next_mailbox = next_mailbox + ?2",
		    why, how->now.v, INT64_C(1000000));
	/* A table that never had a row has no number there yet. */
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(begin); i++)
		r = db_exec(e->db, begin[i], why);
	if (r == 0)
		r = RUN(e, "UPDATE sqlite_sequence SET seq = seq + ?1", why, INT64_C(1) << 40);
	if (r < 0 || how->keep_uidvalidity)
		return r;
	r = RUN(e,
		"INSERT INTO annotation (account, mailbox, viewer, entry, value)"
		" SELECT account, id, 0, '" STORE_UIDL_ENTRY "',"
		" CAST(uidnext || ':' || uidvalidity || ' ' AS BLOB) FROM mailbox"
		" WHERE name = 'INBOX' AND uidnext > 1 AND ?1 > 0"
		" ON CONFLICT (account, mailbox, viewer, entry) DO UPDATE"
		" SET value = CAST(value || excluded.value AS BLOB)",
		why, now);
	if (r < 0)
		return r;
	r = RUN(e,
		"UPDATE mailbox SET uidvalidity = max(?1, 1 + (SELECT a.uidvalidity FROM account a"
		" WHERE a.id = mailbox.account)) + (SELECT count(*) FROM mailbox m"
		" WHERE m.account = mailbox.account AND m.id < mailbox.id)",
		why, now);
	if (r < 0)
		return r;
	return RUN(e,
		   "UPDATE account SET uidvalidity = max(uidvalidity, (SELECT max(m.uidvalidity)"
		   " FROM mailbox m WHERE m.account = account.id AND ?1 > 0))"
		   " WHERE EXISTS (SELECT 1 FROM mailbox m WHERE m.account = account.id)",
		   why, now);
}

struct pending {
	uint64_t number, rcpt;
};

static int move_receipts(struct engine *e, const struct store_archive_raise *how, struct fail *why)
{
	VEC(struct pending) keep = {0};
	struct str old = {(const char *)how->old_spool, 16};
	struct str fresh = {(const char *)how->new_spool, 16};
	struct db_stmt *st;
	int r = db_stmt(e->db, "SELECT number, rcpt FROM receipt WHERE epoch = ?1", &st, why);
	if (r < 0)
		return r;
	db_bind_blob(st, 1, old);
	while ((r = db_step(st, why)) > 0) {
		struct pending p = {db_col_u64(st, 0), db_col_u64(st, 1)};
		if (how->pending(how->arg, p.number, p.rcpt))
			*(struct pending *)vec_push(&keep) = p;
	}
	for (size_t i = 0; r == 0 && i < keep.n; i++) {
		r = db_stmt(e->db,
			    "UPDATE receipt SET epoch = ?2 WHERE epoch = ?1 AND number = ?3"
			    " AND rcpt = ?4",
			    &st, why);
		if (r < 0)
			break;
		db_bind_blob(st, 1, old);
		db_bind_blob(st, 2, fresh);
		db_bind_u64(st, 3, keep.p[i].number);
		db_bind_u64(st, 4, keep.p[i].rcpt);
		r = db_run(st, why);
	}
	vec_clear(&keep);
	if (r < 0 || (r = db_stmt(e->db, "DELETE FROM receipt WHERE epoch = ?1", &st, why)) < 0)
		return r;
	db_bind_blob(st, 1, old);
	return db_run(st, why);
}

int store_archive_raise(struct store_archive *a, const struct store_archive_raise *how,
			struct fail *why)
{
	struct engine *e = &a->engine;
	int r = db_begin(e->db, why);
	if (r < 0)
		return r;
	r = raise_accounts(e, how, why);
	if (r == 0)
		r = move_receipts(e, how, why);
	if (r == 0)
		r = db_commit(e->db, why);
	else
		db_rollback(e->db);
	return r < 0 ? r : db_checkpoint(e->db, why);
}
