/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/db/db.h"
#include "service/dir/dir.h"
#include "service/dir/dir_archive.h"
#include <stdio.h>

static int open_copy(const char *path, bool write, struct db **ret, struct fail *why)
{
	struct db_options o = {.path = path, .read_only = !write};
	return db_open(&o, ret, why);
}

static int run_text(struct db *db, const char *sql, struct str p1, struct str p2, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db, sql, &st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, p1);
	if (p2.p)
		db_bind_text(st, 2, p2);
	return db_run(st, why);
}

int dir_archive_copy(const char *from, const char *to, struct fail *why)
{
	AUTO(db) struct db *db = NULL;
	int r = open_copy(from, true, &db, why);
	return r < 0 ? r : run_text(db, "VACUUM INTO ?1", str_c(to), STR_NULL, why);
}

int dir_archive_check(const char *path, struct fail *why)
{
	AUTO(db) struct db *db = NULL;
	struct db_stmt *st;
	int r = open_copy(path, false, &db, why);
	if (r < 0 || (r = db_stmt(db, "PRAGMA integrity_check(1)", &st, why)) < 0 ||
	    (r = db_step(st, why)) < 0)
		return r;
	if (r == 0 || !str_eq(db_col_text(st, 0), STR("ok")))
		r = fail_set(why, FAIL_CORRUPT, NULL, "directory: %.*s",
			     STR_ARG(db_col_text(st, 0)));
	db_reset(st);
	return r < 0 ? r : 0;
}

int dir_archive_account(const char *path, struct str address, struct account_id *ret,
			struct fail *why)
{
	AUTO(db) struct db *db = NULL;
	struct db_stmt *st;
	int r = open_copy(path, false, &db, why);
	if (r < 0 || (r = db_stmt(db,
				  "SELECT id FROM barid_account WHERE was = ?1"
				  " ORDER BY username IS NULL, id DESC LIMIT 1",
				  &st, why)) < 0)
		return r;
	db_bind_text(st, 1, address);
	if ((r = db_step(st, why)) < 0)
		return r;
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, "No such user.", "%.*s", STR_ARG(address));
	ret->v = db_col_u64(st, 0);
	db_reset(st);
	return 0;
}

void dir_archive_address(const char *path, struct account_id id, char text[324])
{
	AUTO(db) struct db *db = NULL;
	struct db_stmt *st;
	text[0] = '\0';
	if (open_copy(path, false, &db, NULL) < 0 ||
	    db_stmt(db, "SELECT was FROM barid_account WHERE id = ?1", &st, NULL) < 0)
		return;
	db_bind_u64(st, 1, id.v);
	if (db_step(st, NULL) > 0) {
		struct str t = db_col_text(st, 0);
		(void)snprintf(text, 324, "%.*s", STR_ARG(t));
		db_reset(st);
	}
}

int dir_archive_users(const char *path,
		      int (*fn)(void *arg, struct str address, struct str base, struct str maildir),
		      void *arg, struct fail *why)
{
	AUTO(db) struct db *db = NULL;
	struct db_stmt *st;
	int r = open_copy(path, false, &db, why);
	if (r < 0 ||
	    (r = db_stmt(db,
			 "SELECT username, storagebasedirectory || '/' || storagenode, maildir"
			 " FROM mailbox ORDER BY username",
			 &st, why)) < 0)
		return r;
	while ((r = db_step(st, why)) > 0)
		if ((r = fn(arg, db_col_text(st, 0), db_col_text(st, 1), db_col_text(st, 2))) < 0) {
			db_reset(st);
			return r;
		}
	return r;
}

/* ---- a deleted user ---- */

static int has_user(struct db *db, const char *sql, struct str address, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db, sql, &st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, address);
	r = db_step(st, why);
	db_reset(st);
	return r;
}

static int copy_user(struct db *db, struct str address, struct fail *why)
{
	static const char *const sql[] = {
		"INSERT OR IGNORE INTO domain SELECT * FROM src.domain WHERE domain ="
		" (SELECT domain FROM src.mailbox WHERE username = ?1)",
		"INSERT INTO mailbox SELECT * FROM src.mailbox WHERE username = ?1",
		"INSERT OR IGNORE INTO forwardings (address, forwarding, domain, dest_domain,"
		" is_maillist, is_list, is_forwarding, is_alias, active)"
		" SELECT address, forwarding, domain, dest_domain, is_maillist, is_list,"
		" is_forwarding, is_alias, active FROM src.forwardings"
		" WHERE address = ?1 OR (forwarding = ?1 AND (is_alias OR is_list))",
		"INSERT OR IGNORE INTO sender_bcc_user SELECT * FROM src.sender_bcc_user"
		" WHERE username = ?1",
		"INSERT OR IGNORE INTO recipient_bcc_user SELECT * FROM src.recipient_bcc_user"
		" WHERE username = ?1",
	};
	int r = db_begin(db, why);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(sql); i++)
		r = run_text(db, sql[i], address, STR_NULL, why);
	if (r == 0)
		r = db_commit(db, why);
	else
		db_rollback(db);
	return r;
}

int dir_archive_restore_user(const char *live, const char *copy, struct str address,
			     struct fail *why)
{
	/* The copy may be of an older version: opening it brings its tables up to date. */
	struct dir_config c = dir_config_default();
	struct dir *dir = NULL;
	AUTO(db) struct db *db = NULL;
	c.path = copy;
	int r = dir_open(&c, &dir, why);
	dir_close(dir);
	if (r < 0 || (r = open_copy(live, true, &db, why)) < 0 ||
	    (r = run_text(db, "ATTACH ?1 AS src", str_c(copy), STR_NULL, why)) < 0)
		return r;
	r = has_user(db, "SELECT 1 FROM src.mailbox WHERE username = ?1", address, why);
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, "The backup does not have this user.", "%.*s",
				STR_ARG(address));
	if (r > 0)
		r = has_user(db, "SELECT 1 FROM main.mailbox WHERE username = ?1", address, why);
	if (r != 0)
		return r < 0 ? r : 0;
	r = copy_user(db, address, why);
	return r < 0 ? r : 1;
}
