/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_sqlite_note.c - rows of the SQLite engine that hang on a mailbox beside its messages.
 */
#include "service/store/engine_sqlite.h"

/* ---- keys of URLs -------------------------------------------------------------------------- */

int sqlite_url_key_get(struct engine *e, struct account_id a, struct mailbox_id m,
		       unsigned char ret[STORE_URL_KEY_LEN], struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "SELECT key FROM url_key WHERE account = ?1 AND mailbox = ?2", &st,
			why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(m.v));
	r = db_step(st, why);
	if (r <= 0)
		return r;
	struct str key = db_col_blob(st, 0);
	bool whole = key.n == STORE_URL_KEY_LEN;
	if (whole)
		memcpy(ret, key.p, key.n);
	db_reset(st);
	return whole ? 1 : fail_set(why, FAIL_CORRUPT, NULL, "a key of %zu bytes", key.n);
}

int sqlite_url_key_set(struct engine *e, struct account_id a, struct mailbox_id m,
		       const unsigned char *key, struct fail *why)
{
	struct db_stmt *st;
	if (!key)
		return RUN(e, "DELETE FROM url_key WHERE account = ?1 AND (?2 = 0 OR mailbox = ?2)",
			   why, I64(a.v), I64(m.v));
	int r = db_stmt(e->db, "INSERT OR REPLACE INTO url_key VALUES(?1, ?2, ?3)", &st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(m.v));
	db_bind_blob(st, 3, str_make((const char *)key, STORE_URL_KEY_LEN));
	return db_run(st, why);
}

/* ---- annotations --------------------------------------------------------------------------- */

int sqlite_annotation_each(struct engine *e, const struct row_annotation *of, annotation_fn fn,
			   void *arg, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT entry, value FROM annotation WHERE account = ?1 AND mailbox = ?2"
			" AND viewer IN (0, ?3)",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(of->account.v), I64(of->mailbox.v), I64(of->viewer.v));
	while ((r = db_step(st, why)) > 0) {
		r = fn(arg, db_col_text(st, 0), db_col_blob(st, 1));
		if (r < 0)
			break;
	}
	db_reset(st);
	return r;
}

int sqlite_annotation_set(struct engine *e, const struct row_annotation *row, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			row->value.p ? "INSERT OR REPLACE INTO annotation(account, mailbox, viewer,"
				       " entry, value) VALUES(?1, ?2, ?3, ?4, ?5)"
				     : "DELETE FROM annotation WHERE account = ?1 AND mailbox = ?2"
				       " AND viewer = ?3 AND entry = ?4",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(row->account.v), I64(row->mailbox.v), I64(row->viewer.v));
	db_bind_text(st, 4, row->entry);
	if (row->value.p)
		db_bind_blob(st, 5, row->value);
	return db_run(st, why);
}

int sqlite_annotation_copy(struct engine *e, struct account_id a, struct mailbox_id from,
			   struct mailbox_id to, struct fail *why)
{
	return RUN(e,
		   "INSERT INTO annotation SELECT account, ?3, viewer, entry, value FROM annotation"
		   " WHERE account = ?1 AND mailbox = ?2",
		   why, I64(a.v), I64(from.v), I64(to.v));
}

int sqlite_annotation_usage(struct engine *e, struct account_id a, struct account_id viewer,
			    uint64_t *ret_n, uint64_t *ret_bytes, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT count(*), coalesce(sum(length(entry) + length(value)), 0)"
			" FROM annotation WHERE account = ?1"
			" AND (viewer = ?2 OR (?2 = 0 AND viewer = ?1))",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(viewer.v));
	r = db_step(st, why);
	if (r > 0) {
		*ret_n = db_col_u64(st, 0);
		*ret_bytes = db_col_u64(st, 1);
	}
	db_reset(st);
	return MIN(r, 0);
}

int sqlite_annotation_drop(struct engine *e, struct account_id a, struct mailbox_id m,
			   struct fail *why)
{
	return RUN(e, "DELETE FROM annotation WHERE account = ?1 AND mailbox = ?2", why, I64(a.v),
		   I64(m.v));
}

/* ---- scripts ------------------------------------------------------------------------------- */

int sqlite_script_each(struct engine *e, struct account_id a, bool texts, script_fn fn, void *arg,
		       struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			texts ? "SELECT name, active, changed, length(text), text FROM script"
				" WHERE account = ?1 ORDER BY name"
			      : "SELECT name, active, changed, length(text) FROM script"
				" WHERE account = ?1 ORDER BY name",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v));
	while ((r = db_step(st, why)) > 0) {
		struct row_script row = {.account = a,
					 .name = db_col_text(st, 0),
					 .active = db_col_i64(st, 1) != 0,
					 .changed = {db_col_i64(st, 2)},
					 .size = db_col_u64(st, 3)};
		if (texts)
			row.text = db_col_blob(st, 4);
		r = fn(arg, &row);
		if (r < 0)
			break;
	}
	db_reset(st);
	return r;
}

int sqlite_script_put(struct engine *e, const struct row_script *row, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"INSERT OR REPLACE INTO script(account, active, changed, name, text)"
			" VALUES(?1, ?2, ?3, ?4, ?5)",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(row->account.v), row->active, row->changed.v);
	db_bind_text(st, 4, row->name);
	db_bind_blob(st, 5, row->text);
	return db_run(st, why);
}

int sqlite_script_set_active(struct engine *e, struct account_id a, struct str name, bool on,
			     struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "UPDATE script SET active = ?2 WHERE account = ?1 AND name = ?3",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), on);
	db_bind_text(st, 3, name);
	return db_run(st, why);
}

int sqlite_script_remove(struct engine *e, struct account_id a, struct str name, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "DELETE FROM script WHERE account = ?1 AND name = ?2", &st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v));
	db_bind_text(st, 2, name);
	return db_run(st, why);
}

int sqlite_script_rename(struct engine *e, struct account_id a, struct str name, struct str to,
			 struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "UPDATE script SET name = ?3 WHERE account = ?1 AND name = ?2", &st,
			why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v));
	db_bind_text(st, 2, name);
	db_bind_text(st, 3, to);
	return db_run(st, why);
}
