/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mail of deleted accounts: kept for a while, so that a mistake can be undone, then removed. The
 * rows of barid_account say who is gone, whoever deleted the mailbox.
 */
#include "dir_int.h"

#include "sys/clock.h"

/*
 * Whose time is over: from here on it cannot be undone. The mark is that of a purge at once (`user
 * del --purge`), and is on disk before anybody removes anything: an account that has come back in
 * the meantime has none, and one that has it does not come back without its mail.
 */
static int condemn(struct dir *d, uint64_t keep_s, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(d->db,
			"UPDATE barid_account SET deleted = " DIR_CONDEMNED
			" WHERE deleted IS NOT NULL AND mail_gone IS NULL"
			" AND deleted > " DIR_CONDEMNED
			" AND CAST(strftime('%s', deleted) AS INTEGER) <= ?1",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, clock_wall().v / SEC_US - (int64_t)keep_s);
	return db_run(st, why);
}

int dir_accounts_gone(struct dir *d, uint64_t keep_s, struct account_id *ret, size_t max,
		      struct fail *why)
{
	struct db_stmt *st = NULL;
	size_t n = 0;

	DIR_LOCKED(d);
	int r = condemn(d, keep_s, why);
	if (r >= 0)
		r = db_stmt(d->db,
			    "SELECT id FROM barid_account WHERE deleted <= " DIR_CONDEMNED
			    " AND mail_gone IS NULL ORDER BY id LIMIT ?1",
			    &st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, (int64_t)max);
	while ((r = db_step(st, why)) == 1)
		ret[n++] = (struct account_id){db_col_u64(st, 0)};
	return r < 0 ? r : (int)n;
}

int dir_account_mail_gone(struct dir *d, struct account_id id, struct fail *why)
{
	struct db_stmt *st = NULL;
	char now[DIR_TIME_MAX];

	DIR_LOCKED(d);
	int r = db_stmt(d->db, "UPDATE barid_account SET mail_gone = ?2 WHERE id = ?1", &st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, id.v);
	db_bind_text(st, 2, dir_now(now));
	return db_run(st, why);
}
