/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who shares mailboxes with whom: tables share_folder and anyone_shares. They hold no rights: they
 * say which accounts to look into.
 */
#include "dir_int.h"

static int run_for(struct dir *d, const char *sql, struct str from, struct str to, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(d->db, sql, &st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, from);
	if (to.p)
		db_bind_text(st, 2, to);
	return db_run(st, why);
}

static int write_all(struct dir *d, struct str from, const struct str *to, size_t n, bool anyone,
		     struct fail *why)
{
	int r = run_for(d, "DELETE FROM share_folder WHERE from_user = ?1", from, STR_NULL, why);
	if (r >= 0)
		r = run_for(d, "DELETE FROM anyone_shares WHERE from_user = ?1", from, STR_NULL,
			    why);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = run_for(d, "INSERT OR IGNORE INTO share_folder VALUES (?1, ?2, '1')", from,
			    to[i], why);
	if (r >= 0 && anyone)
		r = run_for(d, "INSERT INTO anyone_shares VALUES (?1, '1')", from, STR_NULL, why);
	return r;
}

int dir_share_set(struct dir *d, struct str from, const struct str *to, size_t n, bool anyone,
		  struct fail *why)
{
	DIR_LOCKED(d);
	int r = db_begin(d->db, why);
	if (r < 0)
		return r;
	r = write_all(d, from, to, n, anyone, why);
	if (r >= 0)
		return db_commit(d->db, why);
	db_rollback(d->db);
	return r;
}

int dir_shares_with(struct dir *d, struct str to, struct buf *ret, struct fail *why)
{
	struct db_stmt *st = NULL;

	DIR_LOCKED(d);
	int r = db_stmt(d->db,
			"SELECT from_user FROM share_folder WHERE to_user = ?1 AND from_user <> ?1"
			" UNION SELECT from_user FROM anyone_shares WHERE from_user <> ?1"
			" ORDER BY 1 LIMIT 2000",
			&st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, to);
	while ((r = db_step(st, why)) == 1) {
		(void)buf_add(ret, db_col_text(st, 0));
		(void)buf_addc(ret, '\n');
	}
	return r < 0 ? r : 0;
}
