/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_sqlite.c - a partition as a SQLite file: schema, transactions, accounts, mailboxes.
 *
 * Columns are told in docs/formats/store.md. What a delivery writes is kept on few pages: message
 * and body rows go to the end of their tables (ids grow in the partition), so that the deliveries
 * of one commit share pages; only account, mailbox and entry lie where the account is.
 */
#include "service/store/engine_sqlite.h"
#include "base/check.h"

#define APPLICATION_ID 0x62724d53 /* "brMS" */

static const struct db_migration steps[] = {
	{"mail store",
	 "CREATE TABLE account(id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL,"
	 " modseq INTEGER NOT NULL, bytes INTEGER NOT NULL, messages INTEGER NOT NULL,"
	 " next_mailbox INTEGER NOT NULL, uidvalidity INTEGER NOT NULL, created INTEGER NOT NULL);"
	 "CREATE TABLE mailbox(account INTEGER NOT NULL, id INTEGER NOT NULL, name TEXT,"
	 " uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL, num_exists INTEGER NOT NULL,"
	 " unseen INTEGER NOT NULL, deleted INTEGER NOT NULL, recent INTEGER NOT NULL,"
	 " size INTEGER NOT NULL, digest INTEGER NOT NULL, highestmodseq INTEGER NOT NULL,"
	 " flags_modseq INTEGER NOT NULL, expunge_modseq INTEGER NOT NULL,"
	 " floor_modseq INTEGER NOT NULL, first_recent INTEGER NOT NULL,"
	 " unseen_hint INTEGER NOT NULL, special_use INTEGER NOT NULL, noselect INTEGER NOT NULL,"
	 " created_modseq INTEGER NOT NULL, deleted_modseq INTEGER NOT NULL,"
	 " deleted_at INTEGER NOT NULL, PRIMARY KEY(account, id)) WITHOUT ROWID;"
	 "CREATE UNIQUE INDEX mailbox_name ON mailbox(account, name) WHERE name IS NOT NULL;"
	 "CREATE INDEX mailbox_dead ON mailbox(deleted_at) WHERE deleted_modseq > 0;"
	 "CREATE TABLE keyword(account INTEGER NOT NULL, mailbox INTEGER NOT NULL,"
	 " bit INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY(account, mailbox, bit))"
	 " WITHOUT ROWID;"
	 "CREATE TABLE subscription(account INTEGER NOT NULL, name TEXT NOT NULL,"
	 " PRIMARY KEY(account, name)) WITHOUT ROWID;"
	 "CREATE TABLE entry(account INTEGER NOT NULL, mailbox INTEGER NOT NULL,"
	 " uid INTEGER NOT NULL, message INTEGER NOT NULL, flags INTEGER NOT NULL,"
	 " size INTEGER NOT NULL, created INTEGER NOT NULL, modseq INTEGER NOT NULL,"
	 " expunged INTEGER NOT NULL, expunged_at INTEGER NOT NULL,"
	 " PRIMARY KEY(account, mailbox, uid)) WITHOUT ROWID;"
	 "CREATE INDEX entry_expunged ON entry(expunged_at) WHERE expunged > 0;"
	 "CREATE TABLE message(id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL,"
	 " size INTEGER NOT NULL, body_size INTEGER NOT NULL, sha256 BLOB NOT NULL,"
	 " internaldate INTEGER NOT NULL, saved INTEGER NOT NULL, body INTEGER NOT NULL,"
	 " prefix BLOB, map BLOB);"
	 "CREATE TABLE shared(message INTEGER PRIMARY KEY, entries INTEGER NOT NULL);"
	 "CREATE TABLE body(id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL,"
	 " codec INTEGER NOT NULL, encryption INTEGER NOT NULL, stored_size INTEGER NOT NULL,"
	 " real_size INTEGER NOT NULL, messages INTEGER NOT NULL, file BLOB, bytes BLOB);"
	 "CREATE UNIQUE INDEX body_file ON body(account, file) WHERE file IS NOT NULL;"
	 "CREATE TABLE overlay(account INTEGER NOT NULL, mailbox INTEGER NOT NULL,"
	 " viewer INTEGER NOT NULL, uid INTEGER NOT NULL, flags INTEGER NOT NULL,"
	 " modseq INTEGER NOT NULL, PRIMARY KEY(account, mailbox, viewer, uid)) WITHOUT ROWID;"
	 "CREATE TABLE receipt(epoch BLOB NOT NULL, number INTEGER NOT NULL,"
	 " rcpt INTEGER NOT NULL, account INTEGER NOT NULL, PRIMARY KEY(epoch, number, rcpt))"
	 " WITHOUT ROWID;"
	 "CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL,"
	 " created INTEGER NOT NULL, kind INTEGER NOT NULL, sender TEXT NOT NULL,"
	 " rcpts BLOB NOT NULL, prefix BLOB, body INTEGER NOT NULL);"},
	{"threads, save dates, zones, size of what is marked deleted",
	 "ALTER TABLE message ADD COLUMN zone INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE message ADD COLUMN thread INTEGER;"
	 "CREATE INDEX message_thread ON message(thread) WHERE thread IS NOT NULL;"
	 "ALTER TABLE entry ADD COLUMN saved INTEGER NOT NULL DEFAULT 0;"
	 "CREATE TABLE thread_key(account INTEGER NOT NULL, key INTEGER NOT NULL,"
	 " thread INTEGER NOT NULL, PRIMARY KEY(account, key)) WITHOUT ROWID;"
	 "CREATE INDEX thread_key_thread ON thread_key(thread);"
	 "ALTER TABLE mailbox ADD COLUMN deleted_size INTEGER NOT NULL DEFAULT 0;"
	 "UPDATE mailbox SET deleted_size = (SELECT coalesce(sum(e.size), 0) FROM entry e"
	 " WHERE e.account = mailbox.account AND e.mailbox = mailbox.id AND e.expunged = 0"
	 " AND (e.flags & 4) != 0) WHERE deleted > 0;"},
	{"keys of URLs", "CREATE TABLE url_key(account INTEGER NOT NULL, mailbox INTEGER NOT NULL,"
			 " key BLOB NOT NULL, PRIMARY KEY(account, mailbox)) WITHOUT ROWID;"},
	{"who may do what with a mailbox",
	 "CREATE TABLE acl(account INTEGER NOT NULL, mailbox INTEGER NOT NULL,"
	 " identifier TEXT NOT NULL, rights INTEGER NOT NULL,"
	 " PRIMARY KEY(account, mailbox, identifier)) WITHOUT ROWID;"
	 "CREATE INDEX overlay_uid ON overlay(account, mailbox, uid);"},
	{"annotations",
	 "CREATE TABLE annotation(account INTEGER NOT NULL, mailbox INTEGER NOT NULL,"
	 " viewer INTEGER NOT NULL, entry TEXT NOT NULL, value BLOB NOT NULL,"
	 " PRIMARY KEY(account, mailbox, viewer, entry));"},
	{"what came under receipts, whose the addresses in lists of rights are",
	 "ALTER TABLE receipt ADD COLUMN at INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE receipt ADD COLUMN mailbox INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE receipt ADD COLUMN uidvalidity INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE receipt ADD COLUMN first INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE receipt ADD COLUMN n INTEGER NOT NULL DEFAULT 0;"
	 "CREATE INDEX receipt_at ON receipt(at) WHERE at > 0;"
	 "ALTER TABLE acl ADD COLUMN subject INTEGER NOT NULL DEFAULT 0;"},
	{"Sieve scripts", "CREATE TABLE script(account INTEGER NOT NULL, name TEXT NOT NULL,"
			  " active INTEGER NOT NULL, changed INTEGER NOT NULL, text BLOB NOT NULL,"
			  " PRIMARY KEY(account, name));"},
	{"what file this is", "CREATE TABLE identity(value INTEGER NOT NULL);"
			      "INSERT INTO identity VALUES(random());"},
};

/* ---- helpers ------------------------------------------------------------------------------- */

void sqlite_bind(struct db_stmt *st, const int64_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		db_bind_i64(st, (int)i + 1, v[i]);
}

int sqlite_run(struct engine *e, const char *sql, const int64_t *v, size_t n, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, sql, &st, why);
	if (r < 0)
		return r;
	sqlite_bind(st, v, n);
	return db_run(st, why);
}

/* A statement without parameters. */
static int run_plain(struct engine *e, const char *sql, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, sql, &st, why);
	return r < 0 ? r : db_run(st, why);
}

/* ---- life and transactions ----------------------------------------------------------------- */

unsigned store_format(void)
{
	return ARRAY_LEN(steps);
}

int sqlite_migrate(struct db *db, struct fail *why)
{
	return db_migrate(db, APPLICATION_ID, steps, ARRAY_LEN(steps), why);
}

static int sqlite_open(const struct engine_options *o, struct engine **ret, struct fail *why)
{
	struct db_options options = {.path = o->path,
				     .fs = o->fs,
				     .create = true,
				     .exclusive = true,
				     .cache_kib = o->cache_kib,
				     .checkpoints_by_owner = true};
	AUTO(db) struct db *db = NULL;
	int r = db_open(&options, &db, why);
	if (r == 0)
		r = sqlite_migrate(db, why);
	if (r < 0)
		return r;
	struct engine *e = xcalloc(1, sizeof *e);
	e->db = TAKE(db);
	*ret = e;
	return 0;
}

static void sqlite_close(struct engine *e)
{
	db_close(e->db);
	free(e);
}

static int sqlite_begin(struct engine *e, struct fail *why)
{
	return db_begin(e->db, why);
}

static int sqlite_commit(struct engine *e, struct fail *why)
{
	return db_commit(e->db, why);
}

static void sqlite_rollback(struct engine *e)
{
	if (db_in_transaction(e->db))
		db_rollback(e->db);
}

static bool sqlite_active(struct engine *e)
{
	return db_in_transaction(e->db);
}

static int sqlite_savepoint(struct engine *e, struct fail *why)
{
	return run_plain(e, "SAVEPOINT job", why);
}

static int sqlite_release(struct engine *e, struct fail *why)
{
	return run_plain(e, "RELEASE job", why);
}

static int sqlite_rollback_to(struct engine *e, struct fail *why)
{
	int r = run_plain(e, "ROLLBACK TO job", why);
	return r < 0 ? r : run_plain(e, "RELEASE job", why);
}

static void sqlite_shrink(struct engine *e)
{
	db_shrink(e->db);
}

static uint64_t sqlite_log_bytes(struct engine *e)
{
	return db_wal_bytes(e->db);
}

static int sqlite_checkpoint(struct engine *e, struct fail *why)
{
	return db_checkpoint(e->db, why);
}

/* ---- accounts ------------------------------------------------------------------------------ */

static int sqlite_account_get(struct engine *e, struct account_id a, struct row_account *ret,
			      struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT epoch, modseq, bytes, messages, next_mailbox, uidvalidity, created"
			" FROM account WHERE id = ?1",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v));
	r = db_step(st, why);
	if (r <= 0)
		return r;
	*ret = (struct row_account){
		.id = a,
		.epoch = db_col_u64(st, 0),
		.modseq = db_col_u64(st, 1),
		.bytes = db_col_u64(st, 2),
		.messages = db_col_u64(st, 3),
		.next_mailbox = db_col_u64(st, 4),
		.uidvalidity = (uint32_t)db_col_u64(st, 5),
		.created = {db_col_i64(st, 6)},
	};
	db_reset(st);
	return 1;
}

static int sqlite_account_put(struct engine *e, const struct row_account *a, struct fail *why)
{
	return RUN(e,
		   "INSERT INTO account VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(id) DO"
		   " UPDATE SET epoch = ?2, modseq = ?3, bytes = ?4, messages = ?5,"
		   " next_mailbox = ?6, uidvalidity = ?7",
		   why, I64(a->id.v), I64(a->epoch), I64(a->modseq), I64(a->bytes),
		   I64(a->messages), I64(a->next_mailbox), I64(a->uidvalidity), a->created.v);
}

static int sqlite_account_wipe(struct engine *e, struct account_id a, struct fail *why)
{
	static const char *const all[] = {
		("DELETE FROM body WHERE id IN (SELECT m.body FROM entry e JOIN message m"
		 " ON m.id = e.message WHERE e.account = ?1)"),
		"DELETE FROM shared WHERE message IN (SELECT message FROM entry WHERE account = "
		"?1)",
		"DELETE FROM message WHERE id IN (SELECT message FROM entry WHERE account = ?1)",
		"DELETE FROM entry WHERE account = ?1",
		"DELETE FROM overlay WHERE account = ?1",
		"DELETE FROM keyword WHERE account = ?1",
		"DELETE FROM url_key WHERE account = ?1",
		"DELETE FROM acl WHERE account = ?1",
		"DELETE FROM annotation WHERE account = ?1",
		"DELETE FROM script WHERE account = ?1",
		"DELETE FROM mailbox WHERE account = ?1",
		"DELETE FROM subscription WHERE account = ?1",
		"DELETE FROM receipt WHERE account = ?1",
		"DELETE FROM thread_key WHERE account = ?1",
		"DELETE FROM outbox WHERE account = ?1",
		"DELETE FROM account WHERE id = ?1",
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		int r = RUN(e, all[i], why, I64(a.v));
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- mailboxes ----------------------------------------------------------------------------- */

#define MAILBOX_COLUMNS                                                                            \
	"id, uidvalidity, uidnext, num_exists, unseen, deleted, recent, size, digest,"             \
	" highestmodseq, flags_modseq, expunge_modseq, floor_modseq, first_recent, unseen_hint,"   \
	" special_use, noselect, created_modseq, deleted_modseq, deleted_at, deleted_size"
#define MAILBOX_AFTER 21 /* the next column */

static struct row_mailbox mailbox_row(struct db_stmt *st)
{
	return (struct row_mailbox){
		.id = {db_col_u64(st, 0)},
		.uidvalidity = (uint32_t)db_col_u64(st, 1),
		.uidnext = (uint32_t)db_col_u64(st, 2),
		.exists = (uint32_t)db_col_u64(st, 3),
		.unseen = (uint32_t)db_col_u64(st, 4),
		.deleted = (uint32_t)db_col_u64(st, 5),
		.recent = (uint32_t)db_col_u64(st, 6),
		.size = db_col_u64(st, 7),
		.digest = (uint64_t)db_col_i64(st, 8),
		.highestmodseq = db_col_u64(st, 9),
		.flags_modseq = db_col_u64(st, 10),
		.expunge_modseq = db_col_u64(st, 11),
		.floor_modseq = db_col_u64(st, 12),
		.first_recent = (uint32_t)db_col_u64(st, 13),
		.unseen_hint = (uint32_t)db_col_u64(st, 14),
		.use = (uint32_t)db_col_u64(st, 15),
		.noselect = db_col_i64(st, 16) != 0,
		.created_modseq = db_col_u64(st, 17),
		.deleted_modseq = db_col_u64(st, 18),
		.deleted_at = {db_col_i64(st, 19)},
		.deleted_size = db_col_u64(st, 20),
	};
}

static int take_mailbox(struct db_stmt *st, struct row_mailbox *ret, struct fail *why)
{
	int r = db_step(st, why);
	if (r <= 0)
		return r;
	*ret = mailbox_row(st);
	db_reset(st);
	return 1;
}

static int sqlite_mailbox_get(struct engine *e, struct account_id a, struct mailbox_id m,
			      struct row_mailbox *ret, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT " MAILBOX_COLUMNS " FROM mailbox WHERE account = ?1 AND id = ?2",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(m.v));
	return take_mailbox(st, ret, why);
}

static int sqlite_mailbox_find(struct engine *e, struct account_id a, struct str name,
			       struct row_mailbox *ret, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT " MAILBOX_COLUMNS " FROM mailbox WHERE account = ?1 AND name = ?2",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v));
	db_bind_text(st, 2, name);
	return take_mailbox(st, ret, why);
}

static int sqlite_mailbox_add(struct engine *e, struct account_id a, const struct row_mailbox *row,
			      struct str name, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"INSERT INTO mailbox(account, name, " MAILBOX_COLUMNS ") VALUES(?1, ?23,"
			" ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"
			" ?18, ?19, ?20, ?21, ?22)",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(row->id.v), row->uidvalidity, row->uidnext, row->exists, row->unseen,
	     row->deleted, row->recent, I64(row->size), I64(row->digest), I64(row->highestmodseq),
	     I64(row->flags_modseq), I64(row->expunge_modseq), I64(row->floor_modseq),
	     row->first_recent, row->unseen_hint, row->use, row->noselect, I64(row->created_modseq),
	     I64(row->deleted_modseq), row->deleted_at.v, I64(row->deleted_size));
	db_bind_text(st, 23, name);
	return db_run(st, why);
}

/* Columns of indexes are left alone unless the mailbox goes, so that no index page is touched. */
static int sqlite_mailbox_set(struct engine *e, struct account_id a, const struct row_mailbox *row,
			      struct fail *why)
{
	int r = RUN(e,
		    "UPDATE mailbox SET uidnext = ?3, num_exists = ?4, unseen = ?5, deleted = ?6,"
		    " recent = ?7, size = ?8, digest = ?9, highestmodseq = ?10,"
		    " flags_modseq = ?11, expunge_modseq = ?12, floor_modseq = ?13,"
		    " first_recent = ?14, unseen_hint = ?15, special_use = ?16, uidvalidity = ?17,"
		    " deleted_size = ?18"
		    " WHERE account = ?1 AND id = ?2",
		    why, I64(a.v), I64(row->id.v), row->uidnext, row->exists, row->unseen,
		    row->deleted, row->recent, I64(row->size), I64(row->digest),
		    I64(row->highestmodseq), I64(row->flags_modseq), I64(row->expunge_modseq),
		    I64(row->floor_modseq), row->first_recent, row->unseen_hint, row->use,
		    row->uidvalidity, I64(row->deleted_size));
	if (r < 0 || row->deleted_modseq == 0)
		return r;
	r = RUN(e, "DELETE FROM url_key WHERE account = ?1 AND mailbox = ?2", why, I64(a.v),
		I64(row->id.v));
	if (r >= 0)
		r = sqlite_acl_wipe(e, a, row->id, why);
	if (r == 0)
		r = sqlite_annotation_drop(e, a, row->id, why);
	if (r < 0)
		return r;
	return RUN(e,
		   "UPDATE mailbox SET name = NULL, deleted_modseq = ?3, deleted_at = ?4"
		   " WHERE account = ?1 AND id = ?2",
		   why, I64(a.v), I64(row->id.v), I64(row->deleted_modseq), row->deleted_at.v);
}

static int sqlite_mailbox_rename(struct engine *e, struct account_id a, struct mailbox_id m,
				 struct str name, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "UPDATE mailbox SET name = ?3 WHERE account = ?1 AND id = ?2", &st,
			why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(m.v));
	db_bind_text(st, 3, name);
	return db_run(st, why);
}

static int sqlite_mailbox_remove(struct engine *e, struct account_id a, struct mailbox_id m,
				 struct fail *why)
{
	static const char *const all[] = {
		"DELETE FROM keyword WHERE account = ?1 AND mailbox = ?2",
		"DELETE FROM overlay WHERE account = ?1 AND mailbox = ?2",
		"DELETE FROM annotation WHERE account = ?1 AND mailbox = ?2",
		"DELETE FROM mailbox WHERE account = ?1 AND id = ?2",
	};
	int r = 0;
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(all); i++)
		r = RUN(e, all[i], why, I64(a.v), I64(m.v));
	return r;
}

static int sqlite_mailbox_each(struct engine *e, struct account_id a, mailbox_fn fn, void *arg,
			       struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT " MAILBOX_COLUMNS ", name FROM mailbox WHERE account = ?1 AND"
			" name IS NOT NULL ORDER BY name",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v));
	while ((r = db_step(st, why)) > 0) {
		struct row_mailbox row = mailbox_row(st);
		r = fn(arg, a, &row, db_col_text(st, MAILBOX_AFTER));
		if (r < 0)
			break;
	}
	db_reset(st);
	return r;
}

static int sqlite_mailbox_dead(struct engine *e, struct account_id a, struct wall_us before,
			       mailbox_fn fn, void *arg, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT " MAILBOX_COLUMNS ", account FROM mailbox WHERE"
			" deleted_modseq > 0 AND deleted_at < ?1 AND (?2 = 0 OR account = ?2)",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, before.v, I64(a.v));
	while ((r = db_step(st, why)) > 0) {
		struct row_mailbox row = mailbox_row(st);
		struct account_id owner = {db_col_u64(st, MAILBOX_AFTER)};
		r = fn(arg, owner, &row, STR_NULL);
		if (r < 0)
			break;
	}
	db_reset(st);
	return r;
}

/* ---- keywords and subscriptions ------------------------------------------------------------ */

static int sqlite_keyword_each(struct engine *e, struct account_id a, struct mailbox_id m,
			       keyword_fn fn, void *arg, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT bit, name FROM keyword WHERE account = ?1 AND mailbox = ?2"
			" ORDER BY bit",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(m.v));
	while ((r = db_step(st, why)) > 0) {
		r = fn(arg, (unsigned)db_col_u64(st, 0), db_col_text(st, 1));
		if (r < 0)
			break;
	}
	db_reset(st);
	return r;
}

static int sqlite_keyword_add(struct engine *e, struct account_id a, struct mailbox_id m,
			      unsigned bit, struct str name, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "INSERT INTO keyword VALUES(?1, ?2, ?3, ?4)", &st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(m.v), bit);
	db_bind_text(st, 4, name);
	return db_run(st, why);
}

static int sqlite_subscription_each(struct engine *e, struct account_id a, name_fn fn, void *arg,
				    struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "SELECT name FROM subscription WHERE account = ?1 ORDER BY name",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v));
	while ((r = db_step(st, why)) > 0) {
		r = fn(arg, db_col_text(st, 0));
		if (r < 0)
			break;
	}
	db_reset(st);
	return r;
}

static int sqlite_subscription_set(struct engine *e, struct account_id a, struct str name, bool on,
				   struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			on ? "INSERT INTO subscription VALUES(?1, ?2) ON CONFLICT DO NOTHING"
			   : "DELETE FROM subscription WHERE account = ?1 AND name = ?2",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v));
	db_bind_text(st, 2, name);
	r = db_run(st, why);
	return r < 0 ? r : db_changes(e->db) > 0;
}

const struct engine_ops engine_sqlite = {
	.on_disk = true,
	.application_id = APPLICATION_ID,
	.format = ARRAY_LEN(steps),
	.open = sqlite_open,
	.close = sqlite_close,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.active = sqlite_active,
	.savepoint = sqlite_savepoint,
	.release = sqlite_release,
	.rollback_to = sqlite_rollback_to,
	.log_bytes = sqlite_log_bytes,
	.checkpoint = sqlite_checkpoint,
	.shrink = sqlite_shrink,
	.account_get = sqlite_account_get,
	.account_put = sqlite_account_put,
	.account_wipe = sqlite_account_wipe,
	.mailbox_get = sqlite_mailbox_get,
	.mailbox_find = sqlite_mailbox_find,
	.mailbox_add = sqlite_mailbox_add,
	.mailbox_set = sqlite_mailbox_set,
	.mailbox_rename = sqlite_mailbox_rename,
	.mailbox_remove = sqlite_mailbox_remove,
	.mailbox_each = sqlite_mailbox_each,
	.mailbox_dead = sqlite_mailbox_dead,
	.keyword_each = sqlite_keyword_each,
	.keyword_add = sqlite_keyword_add,
	.subscription_each = sqlite_subscription_each,
	.subscription_set = sqlite_subscription_set,
	.url_key_get = sqlite_url_key_get,
	.url_key_set = sqlite_url_key_set,
	.acl_each = sqlite_acl_each,
	.acl_set = sqlite_acl_set,
	.acl_drop = sqlite_acl_drop,
	.acl_wipe = sqlite_acl_wipe,
	.overlay_each = sqlite_overlay_each,
	.overlay_set = sqlite_overlay_set,
	.overlay_seen = sqlite_overlay_seen,
	.annotation_each = sqlite_annotation_each,
	.annotation_set = sqlite_annotation_set,
	.annotation_copy = sqlite_annotation_copy,
	.annotation_usage = sqlite_annotation_usage,
	.viewer_forget = sqlite_viewer_forget,
	.script_each = sqlite_script_each,
	.script_put = sqlite_script_put,
	.script_set_active = sqlite_script_set_active,
	.script_remove = sqlite_script_remove,
	.script_rename = sqlite_script_rename,
	.entry_add = sqlite_entry_add,
	.entry_set = sqlite_entry_set,
	.entry_flags = sqlite_entry_flags,
	.entry_remove = sqlite_entry_remove,
	.entry_each = sqlite_entry_each,
	.entry_map = sqlite_entry_map,
	.entry_count_live = sqlite_entry_count_live,
	.entry_first_unseen = sqlite_entry_first_unseen,
	.entry_expired = sqlite_entry_expired,
	.message_add = sqlite_message_add,
	.message_get = sqlite_message_get,
	.message_scan = sqlite_message_scan,
	.message_ref = sqlite_message_ref,
	.message_remove = sqlite_message_remove,
	.message_each = sqlite_message_each,
	.message_range = sqlite_message_range,
	.message_last = sqlite_message_last,
	.identity = sqlite_identity,
	.body_add = sqlite_body_add,
	.body_get = sqlite_body_get,
	.body_find_file = sqlite_body_find_file,
	.body_set_refs = sqlite_body_set_refs,
	.body_remove = sqlite_body_remove,
	.body_each = sqlite_body_each,
	.thread_find = sqlite_thread_find,
	.thread_add = sqlite_thread_add,
	.thread_left = sqlite_thread_left,
	.receipt_find = sqlite_receipt_find,
	.receipt_add = sqlite_receipt_add,
	.receipt_remove = sqlite_receipt_remove,
	.receipt_expire = sqlite_receipt_expire,
};
