/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_sqlite_share.c - the SQLite engine: who may do what with a mailbox, and the flags that a
 * viewer has of his own.
 */
#include "service/store/engine_sqlite.h"

int sqlite_acl_each(struct engine *e, struct account_id a, struct mailbox_id m, acl_fn fn,
		    void *arg, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT mailbox, identifier, subject, rights FROM acl WHERE account = ?1"
			" AND (?2 = 0 OR mailbox = ?2) ORDER BY mailbox, identifier",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(m.v));
	while ((r = db_step(st, why)) > 0) {
		struct row_acl row = {.mailbox = {db_col_u64(st, 0)},
				      .identifier = db_col_text(st, 1),
				      .subject = {db_col_u64(st, 2)},
				      .rights = (uint32_t)db_col_u64(st, 3)};
		r = fn(arg, &row);
		if (r < 0)
			break;
	}
	db_reset(st);
	return r;
}

int sqlite_acl_set(struct engine *e, struct account_id a, const struct row_acl *row,
		   struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"INSERT OR REPLACE INTO acl(account, mailbox, identifier, subject, rights)"
			" VALUES(?1, ?2, ?3, ?4, ?5)",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(row->mailbox.v));
	db_bind_text(st, 3, row->identifier);
	db_bind_i64(st, 4, I64(row->subject.v));
	db_bind_i64(st, 5, row->rights);
	return db_run(st, why);
}

int sqlite_acl_drop(struct engine *e, struct account_id a, struct mailbox_id m,
		    struct str identifier, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"DELETE FROM acl WHERE account = ?1 AND mailbox = ?2 AND identifier = ?3",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(m.v));
	db_bind_text(st, 3, identifier);
	return db_run(st, why);
}

int sqlite_acl_wipe(struct engine *e, struct account_id a, struct mailbox_id m, struct fail *why)
{
	return RUN(e, "DELETE FROM acl WHERE account = ?1 AND mailbox = ?2", why, I64(a.v),
		   I64(m.v));
}

int sqlite_overlay_each(struct engine *e, const struct uid_range *range, struct account_id viewer,
			overlay_fn fn, void *arg, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT uid, flags, modseq FROM overlay WHERE account = ?1 AND mailbox = ?2"
			" AND viewer = ?3 AND uid BETWEEN ?4 AND ?5 ORDER BY uid",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(range->account.v), I64(range->mailbox.v), I64(viewer.v), range->lo, range->hi);
	while ((r = db_step(st, why)) > 0) {
		struct row_overlay row = {.uid = (uint32_t)db_col_u64(st, 0),
					  .flags = (uint32_t)db_col_u64(st, 1),
					  .modseq = db_col_u64(st, 2)};
		r = fn(arg, &row);
		if (r < 0)
			break;
	}
	db_reset(st);
	return r;
}

int sqlite_overlay_set(struct engine *e, struct account_id a, struct mailbox_id m,
		       struct account_id viewer, const struct row_overlay *row, struct fail *why)
{
	return RUN(e,
		   "INSERT OR REPLACE INTO overlay(account, mailbox, viewer, uid, flags, modseq)"
		   " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
		   why, I64(a.v), I64(m.v), I64(viewer.v), row->uid, row->flags, I64(row->modseq));
}

int sqlite_overlay_seen(struct engine *e, struct account_id a, struct mailbox_id m,
			struct account_id viewer, uint32_t *ret, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT count(*) FROM overlay o JOIN entry e ON e.account = o.account"
			" AND e.mailbox = o.mailbox AND e.uid = o.uid WHERE o.account = ?1"
			" AND o.mailbox = ?2 AND o.viewer = ?3 AND (o.flags & ?4) != 0"
			" AND e.expunged = 0",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(m.v), I64(viewer.v), STORE_SEEN);
	r = db_step(st, why);
	if (r <= 0)
		return r;
	*ret = (uint32_t)db_col_u64(st, 0);
	db_reset(st);
	return 0;
}

int sqlite_viewer_forget(struct engine *e, struct account_id viewer, struct fail *why)
{
	static const char *const all[] = {
		"DELETE FROM overlay WHERE viewer = ?1",
		"DELETE FROM annotation WHERE viewer = ?1",
		"DELETE FROM acl WHERE subject = ?1",
	};
	int r = 0;
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(all); i++)
		r = RUN(e, all[i], why, I64(viewer.v));
	return r;
}
