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

/* Five levels of aliases in aliases. */
#define MEMBER_OF                                                                                  \
	"WITH RECURSIVE member(a, depth) AS (SELECT address, 1 FROM forwardings"                   \
	" WHERE forwarding = ?1 AND is_list = 1 AND active = 1 UNION SELECT f.address, depth + 1"  \
	" FROM forwardings f JOIN member ON f.forwarding = member.a"                               \
	" WHERE f.is_list = 1 AND f.active = 1 AND depth < 5),"                                    \
	" groups(a) AS (SELECT address FROM alias WHERE active = 1"                                \
	" AND address IN (SELECT a FROM member) LIMIT 200) "

static int lines(struct dir *d, const char *sql, struct str key, struct buf *ret, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(d->db, sql, &st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, key);
	while ((r = db_step(st, why)) == 1) {
		(void)buf_add(ret, db_col_text(st, 0));
		(void)buf_addc(ret, '\n');
	}
	return r < 0 ? r : 0;
}

int dir_groups_of(struct dir *d, struct str address, struct buf *ret, struct fail *why)
{
	DIR_LOCKED(d);
	return lines(d, MEMBER_OF "SELECT a FROM groups", address, ret, why);
}

int dir_is_group(struct dir *d, struct str address, struct fail *why)
{
	AUTO(buf) struct buf found = BUF_INIT(KIB(1));
	DIR_LOCKED(d);
	int r = lines(d, "SELECT address FROM alias WHERE address = ?1", address, &found, why);
	if (r == 0 && found.n == 0)
		r = fail_set(why, FAIL_NOTFOUND, NULL, "no alias account");
	return r;
}

int dir_shares_with(struct dir *d, struct str to, struct buf *ret, struct fail *why)
{
	DIR_LOCKED(d);
	return lines(d,
		     MEMBER_OF
		     "SELECT from_user FROM share_folder WHERE to_user = ?1 AND from_user <> ?1"
		     " UNION SELECT from_user FROM share_folder WHERE from_user <> ?1"
		     " AND to_user IN (SELECT '$' || a FROM groups)"
		     " UNION SELECT from_user FROM anyone_shares WHERE from_user <> ?1"
		     " ORDER BY 1 LIMIT 2000",
		     to, ret, why);
}
