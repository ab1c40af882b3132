/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_sqlite_mail.c - entries, messages, bodies and receipts of the SQLite engine.
 */
#include "service/store/engine_sqlite.h"

/* ---- entries ------------------------------------------------------------------------------- */

int sqlite_entry_add(struct engine *e, struct account_id a, struct mailbox_id m,
		     const struct row_entry *row, struct fail *why)
{
	return RUN(e, "INSERT INTO entry VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)", why,
		   I64(a.v), I64(m.v), row->uid, I64(row->message), I64(row->flags), row->size,
		   I64(row->created), I64(row->modseq), I64(row->expunged), row->expunged_at.v,
		   row->saved.v);
}

/* As with mailboxes: the index of expunged entries is touched by expunges only. */
int sqlite_entry_set(struct engine *e, struct account_id a, struct mailbox_id m,
		     const struct row_entry *row, struct fail *why)
{
	if (row->expunged == 0)
		return RUN(e,
			   "UPDATE entry SET flags = ?4, modseq = ?5"
			   " WHERE account = ?1 AND mailbox = ?2 AND uid = ?3",
			   why, I64(a.v), I64(m.v), row->uid, I64(row->flags), I64(row->modseq));
	return RUN(e,
		   "UPDATE entry SET flags = ?4, modseq = ?5, expunged = ?6, expunged_at = ?7"
		   " WHERE account = ?1 AND mailbox = ?2 AND uid = ?3",
		   why, I64(a.v), I64(m.v), row->uid, I64(row->flags), I64(row->modseq),
		   I64(row->expunged), row->expunged_at.v);
}

int sqlite_entry_remove(struct engine *e, struct account_id a, struct mailbox_id m, uint32_t uid,
			struct fail *why)
{
	int r = RUN(e, "DELETE FROM overlay WHERE account = ?1 AND mailbox = ?2 AND uid = ?3", why,
		    I64(a.v), I64(m.v), uid);
	return r < 0 ? r
		     : RUN(e, "DELETE FROM entry WHERE account = ?1 AND mailbox = ?2 AND uid = ?3",
			   why, I64(a.v), I64(m.v), uid);
}

#define ENTRY_COLUMNS "uid, message, flags, size, created, modseq, expunged, expunged_at, saved"

static struct row_entry entry_row(struct db_stmt *st)
{
	return (struct row_entry){
		.uid = (uint32_t)db_col_u64(st, 0),
		.message = db_col_u64(st, 1),
		.flags = (uint64_t)db_col_i64(st, 2),
		.size = (uint32_t)db_col_u64(st, 3),
		.created = db_col_u64(st, 4),
		.modseq = db_col_u64(st, 5),
		.expunged = db_col_u64(st, 6),
		.expunged_at = {db_col_i64(st, 7)},
		.saved = {db_col_i64(st, 8)},
	};
}

static void bind_range(struct db_stmt *st, const struct uid_range *range)
{
	BIND(st, I64(range->account.v), I64(range->mailbox.v), range->lo, range->hi);
}

struct each_entry {
	entry_fn fn;
	void *arg;
};

static int take_numbers(void *arg, const int64_t *n)
{
	const struct each_entry *each = arg;
	struct row_entry row = {
		.uid = (uint32_t)n[0],
		.message = (uint64_t)n[1],
		.flags = (uint64_t)n[2],
		.size = (uint32_t)n[3],
		.created = (uint64_t)n[4],
		.modseq = (uint64_t)n[5],
		.expunged = (uint64_t)n[6],
		.expunged_at = {n[7]},
		.saved = {n[8]},
	};
	return each->fn(each->arg, &row);
}

int sqlite_entry_each(struct engine *e, const struct uid_range *range, entry_fn fn, void *arg,
		      struct fail *why)
{
	struct db_stmt *st;
	struct each_entry each = {fn, arg};
	int r = db_stmt(e->db,
			"SELECT 1 FROM entry WHERE account = ?1 AND mailbox = ?2"
			" AND uid BETWEEN ?3 AND ?4 AND each_row(" ENTRY_COLUMNS ") ORDER BY uid",
			&st, why);
	if (r < 0)
		return r;
	bind_range(st, range);
	return db_each(st, take_numbers, &each, why);
}

static int take_few_numbers(void *arg, const int64_t *n)
{
	const struct each_entry *each = arg;
	struct row_entry row = {
		.uid = (uint32_t)n[0],
		.message = (uint64_t)n[1],
		.flags = (uint64_t)n[2],
		.size = (uint32_t)n[3],
		.modseq = (uint64_t)n[4],
		.expunged = (uint64_t)n[5],
	};
	return each->fn(each->arg, &row);
}

int sqlite_entry_map(struct engine *e, const struct uid_range *range, entry_fn fn, void *arg,
		     struct fail *why)
{
	struct db_stmt *st;
	struct each_entry each = {fn, arg};
	int r = db_stmt(e->db,
			"SELECT 1 FROM entry WHERE account = ?1 AND mailbox = ?2"
			" AND uid BETWEEN ?3 AND ?4"
			" AND each_row(uid, message, flags, size, modseq, expunged) ORDER BY uid",
			&st, why);
	if (r < 0)
		return r;
	bind_range(st, range);
	return db_each(st, take_few_numbers, &each, why);
}

int sqlite_entry_flags(struct engine *e, const struct uid_range *range,
		       const struct flag_rule *rule, struct fail *why)
{
	return RUN(e,
		   "UPDATE entry SET flags = (flags & ?5) | ?6, modseq = ?7 WHERE account = ?1"
		   " AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4 AND expunged = 0 AND modseq <= ?8"
		   " AND flags <> ((flags & ?5) | ?6)",
		   why, I64(range->account.v), I64(range->mailbox.v), range->lo, range->hi,
		   (int64_t)rule->keep, (int64_t)rule->add, I64(rule->modseq), I64(rule->since));
}

/* One number from one row. */
static int number(struct db_stmt *st, uint32_t *ret, struct fail *why)
{
	int r = db_step(st, why);
	if (r < 0)
		return r;
	*ret = r > 0 ? (uint32_t)db_col_u64(st, 0) : 0;
	db_reset(st);
	return 0;
}

int sqlite_entry_count_live(struct engine *e, const struct uid_range *range, uint32_t *ret,
			    struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT count(*) FROM entry WHERE account = ?1 AND mailbox = ?2"
			" AND uid BETWEEN ?3 AND ?4 AND expunged = 0",
			&st, why);
	if (r < 0)
		return r;
	bind_range(st, range);
	return number(st, ret, why);
}

int sqlite_entry_first_unseen(struct engine *e, const struct uid_range *range, uint32_t *ret,
			      struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(
		e->db,
		"SELECT uid FROM entry WHERE account = ?1 AND mailbox = ?2 AND uid"
		" BETWEEN ?3 AND ?4 AND (flags & ?5) = 0 AND expunged = 0 ORDER BY uid LIMIT 1",
		&st, why);
	if (r < 0)
		return r;
	bind_range(st, range);
	db_bind_i64(st, 5, STORE_SEEN);
	return number(st, ret, why);
}

int sqlite_entry_expired(struct engine *e, const struct expired_range *range, expired_fn fn,
			 void *arg, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT " ENTRY_COLUMNS ", account, mailbox FROM entry WHERE expunged > 0"
			" AND expunged_at < ?1 AND (?2 = 0 OR account = ?2) ORDER BY expunged_at"
			" LIMIT ?3",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, range->before.v, I64(range->account.v), I64(range->max));
	while ((r = db_step(st, why)) > 0) {
		struct row_entry row = entry_row(st);
		r = fn(arg, (struct account_id){db_col_u64(st, 9)},
		       (struct mailbox_id){db_col_u64(st, 10)}, &row);
		if (r < 0)
			break;
	}
	db_reset(st);
	return r;
}

/* ---- messages ------------------------------------------------------------------------------ */

int sqlite_message_add(struct engine *e, struct account_id a, const struct row_message *row,
		       uint64_t *ret_id, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"INSERT INTO message(account, size, body_size, internaldate, saved, body,"
			" sha256, prefix, map, zone, thread)"
			" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), row->size, I64(row->body_size), row->internaldate.v, row->saved.v,
	     I64(row->body));
	db_bind_blob(st, 7, str_make((const char *)row->sha256, sizeof row->sha256));
	if (row->prefix.n > 0)
		db_bind_blob(st, 8, row->prefix);
	if (row->map.n > 0)
		db_bind_blob(st, 9, row->map);
	db_bind_i64(st, 10, row->zone_min);
	if (row->thread)
		db_bind_i64(st, 11, I64(row->thread));
	r = db_run(st, why);
	if (r == 0)
		*ret_id = (uint64_t)db_last_rowid(e->db);
	return r;
}

#define MESSAGE_COLUMNS                                                                            \
	"id, account, size, body_size, internaldate, saved, body, zone, thread, sha256"
#define MESSAGE_STRINGS MESSAGE_COLUMNS ", prefix, map"

static bool wants_strings(unsigned columns)
{
	return columns & (STORE_COL_PREFIX | STORE_COL_MAP);
}

/* Columns that nobody asked for are not looked at: their bytes may lie on other pages. */
static struct row_message message_row(struct db_stmt *st, unsigned columns)
{
	struct row_message row = {
		.id = db_col_u64(st, 0),
		.size = (uint32_t)db_col_u64(st, 2),
		.body_size = db_col_u64(st, 3),
		.internaldate = {db_col_i64(st, 4)},
		.saved = {db_col_i64(st, 5)},
		.body = db_col_u64(st, 6),
		.zone_min = (int16_t)db_col_i64(st, 7),
		.thread = db_col_u64(st, 8),
		.prefix = columns & STORE_COL_PREFIX ? db_col_blob(st, 10) : STR_NULL,
		.map = columns & STORE_COL_MAP ? db_col_blob(st, 11) : STR_NULL,
	};
	struct str sum = db_col_blob(st, 9);
	memcpy(row.sha256, sum.p, MIN(sum.n, sizeof row.sha256));
	return row;
}

/* The statement stays at its row, for the strings, until its next use. */
int sqlite_message_get(struct engine *e, struct account_id a, uint64_t id, unsigned columns,
		       struct row_message *ret, struct fail *why)
{
	static const char small[] = "SELECT " MESSAGE_COLUMNS " FROM message WHERE id = ?1";
	static const char all[] = "SELECT " MESSAGE_STRINGS " FROM message WHERE id = ?1";
	bool strings = wants_strings(columns);
	struct db_stmt *st;
	int r = db_stmt(e->db, strings ? all : small, &st, why);
	if (r < 0)
		return r;
	BIND(st, I64(id));
	r = db_step(st, why);
	if (r <= 0)
		return r;
	bool other = db_col_u64(st, 1) != a.v;
	if (!other)
		*ret = message_row(st, columns);
	if (other || !strings)
		db_reset(st);
	return !other;
}

int sqlite_message_scan(struct engine *e, const struct id_range *range, unsigned columns,
			message_row_fn fn, void *arg, struct fail *why)
{
	static const char small[] =
		"SELECT " MESSAGE_COLUMNS " FROM message WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
	static const char all[] =
		"SELECT " MESSAGE_STRINGS " FROM message WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
	struct db_stmt *st;
	int r = db_stmt(e->db, wants_strings(columns) ? all : small, &st, why);
	if (r < 0)
		return r;
	BIND(st, I64(range->lo), I64(range->hi));
	while ((r = db_step(st, why)) > 0) {
		if (db_col_u64(st, 1) != range->account.v)
			continue;
		struct row_message row = message_row(st, columns);
		r = fn(arg, &row);
		if (r != 0)
			break;
	}
	db_reset(st);
	return MIN(r, 0);
}

/* Most messages have one entry and no row here: a delivery writes nothing, and COPY does not
 * rewrite the message. */
int sqlite_message_ref(struct engine *e, struct account_id a, uint64_t id, int by,
		       uint64_t *ret_left, struct fail *why)
{
	struct db_stmt *st;
	uint32_t entries;
	(void)a;
	int r = db_stmt(e->db, "SELECT entries FROM shared WHERE message = ?1", &st, why);
	if (r < 0)
		return r;
	BIND(st, I64(id));
	if ((r = number(st, &entries, why)) < 0)
		return r;
	uint64_t left = MAX(entries, 1u) + (uint64_t)(int64_t)by;
	*ret_left = left;
	if (left > 1)
		return RUN(e,
			   "INSERT INTO shared VALUES(?1, ?2) ON CONFLICT(message) DO UPDATE"
			   " SET entries = ?2",
			   why, I64(id), I64(left));
	return entries ? RUN(e, "DELETE FROM shared WHERE message = ?1", why, I64(id)) : 0;
}

int sqlite_message_remove(struct engine *e, struct account_id a, uint64_t id, struct fail *why)
{
	(void)a;
	return RUN(e, "DELETE FROM message WHERE id = ?1", why, I64(id));
}

int sqlite_message_each(struct engine *e, struct account_id a, message_fn fn, void *arg,
			struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT id, coalesce(entries, 1), body FROM message LEFT JOIN shared"
			" ON message = id WHERE account = ?1 ORDER BY id",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v));
	while ((r = db_step(st, why)) > 0) {
		r = fn(arg, db_col_u64(st, 0), db_col_u64(st, 1), db_col_u64(st, 2));
		if (r < 0)
			break;
	}
	db_reset(st);
	return r;
}

int sqlite_message_range(struct engine *e, uint64_t from, uint64_t to, size_t max, message_id_fn fn,
			 void *arg, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"SELECT account, id FROM message WHERE id BETWEEN ?1 AND ?2 ORDER BY id"
			" LIMIT ?3",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(from), I64(MIN(to, (uint64_t)INT64_MAX)), I64(MIN(max, (size_t)INT32_MAX)));
	while ((r = db_step(st, why)) > 0)
		if ((r = fn(arg, (struct account_id){db_col_u64(st, 0)}, db_col_u64(st, 1))) < 0)
			break;
	db_reset(st);
	return r;
}

int sqlite_message_last(struct engine *e, uint64_t *ret, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "SELECT seq FROM sqlite_sequence WHERE name = 'message'", &st, why);
	if (r < 0 || (r = db_step(st, why)) < 0)
		return r;
	*ret = r > 0 ? db_col_u64(st, 0) : 0;
	db_reset(st);
	return 0;
}

int sqlite_identity(struct engine *e, uint64_t *ret, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "SELECT value FROM identity", &st, why);
	if (r < 0 || (r = db_step(st, why)) < 0)
		return r;
	*ret = r > 0 ? (uint64_t)db_col_i64(st, 0) : 0;
	db_reset(st);
	return 0;
}

/* ---- bodies -------------------------------------------------------------------------------- */

int sqlite_body_add(struct engine *e, struct account_id a, const struct row_body *row,
		    uint64_t *ret_id, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			"INSERT INTO body(account, codec, encryption, stored_size, real_size,"
			" messages, file, bytes) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), row->codec, row->encryption, I64(row->stored_size), I64(row->real_size),
	     I64(row->refs));
	if (row->is_file)
		db_bind_blob(st, 7, str_make((const char *)row->file, sizeof row->file));
	else
		db_bind_blob(st, 8, row->bytes);
	r = db_run(st, why);
	if (r == 0)
		*ret_id = (uint64_t)db_last_rowid(e->db);
	return r;
}

#define BODY_COLUMNS "id, codec, encryption, stored_size, real_size, messages, file, account"

static struct row_body body_row(struct db_stmt *st)
{
	struct str file = db_col_blob(st, 6);
	struct row_body b = {
		.id = db_col_u64(st, 0),
		.codec = (uint32_t)db_col_u64(st, 1),
		.encryption = (uint32_t)db_col_u64(st, 2),
		.stored_size = db_col_u64(st, 3),
		.real_size = db_col_u64(st, 4),
		.refs = db_col_u64(st, 5),
		.is_file = file.n == sizeof b.file,
	};
	if (b.is_file)
		memcpy(b.file, file.p, sizeof b.file);
	return b;
}

int sqlite_body_get(struct engine *e, struct account_id a, uint64_t id, struct row_body *ret,
		    struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "SELECT " BODY_COLUMNS ", bytes FROM body WHERE id = ?1", &st, why);
	if (r < 0)
		return r;
	BIND(st, I64(id));
	r = db_step(st, why);
	if (r <= 0)
		return r;
	if (db_col_u64(st, 7) != a.v) {
		db_reset(st);
		return 0;
	}
	*ret = body_row(st);
	ret->bytes = db_col_blob(st, 8);
	return 1;
}

int sqlite_body_find_file(struct engine *e, struct account_id a, const unsigned char file[16],
			  struct row_body *ret, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "SELECT " BODY_COLUMNS " FROM body WHERE account = ?1 AND file = ?2",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v));
	db_bind_blob(st, 2, str_make((const char *)file, 16));
	r = db_step(st, why);
	if (r <= 0)
		return r;
	*ret = body_row(st);
	db_reset(st);
	return 1;
}

int sqlite_body_set_refs(struct engine *e, struct account_id a, uint64_t id, uint64_t refs,
			 struct fail *why)
{
	(void)a;
	return RUN(e, "UPDATE body SET messages = ?2 WHERE id = ?1", why, I64(id), I64(refs));
}

int sqlite_body_remove(struct engine *e, struct account_id a, uint64_t id, struct fail *why)
{
	(void)a;
	return RUN(e, "DELETE FROM body WHERE id = ?1", why, I64(id));
}

int sqlite_body_each(struct engine *e, struct account_id a, bool files_only, body_fn fn, void *arg,
		     struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db,
			files_only ? "SELECT " BODY_COLUMNS " FROM body WHERE account = ?1 AND"
				     " file IS NOT NULL"
				   : "SELECT " BODY_COLUMNS " FROM body WHERE account = ?1"
				     " ORDER BY id",
			&st, why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v));
	while ((r = db_step(st, why)) > 0) {
		struct row_body row = body_row(st);
		r = fn(arg, &row);
		if (r < 0)
			break;
	}
	db_reset(st);
	return r;
}

/* ---- threads ------------------------------------------------------------------------------- */

int sqlite_thread_find(struct engine *e, struct account_id a, uint64_t key, uint64_t *ret,
		       struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(e->db, "SELECT thread FROM thread_key WHERE account = ?1 AND key = ?2", &st,
			why);
	if (r < 0)
		return r;
	BIND(st, I64(a.v), I64(key));
	r = db_step(st, why);
	if (r < 0)
		return r;
	*ret = r > 0 ? db_col_u64(st, 0) : 0;
	db_reset(st);
	return 0;
}

int sqlite_thread_add(struct engine *e, struct account_id a, uint64_t key, uint64_t thread,
		      struct fail *why)
{
	return RUN(e, "INSERT INTO thread_key VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING", why,
		   I64(a.v), I64(key), I64(thread));
}

int sqlite_thread_left(struct engine *e, struct account_id a, uint64_t thread, struct fail *why)
{
	return RUN(e,
		   "DELETE FROM thread_key WHERE thread = ?1 AND account = ?2"
		   " AND NOT EXISTS (SELECT 1 FROM message WHERE id = ?1)"
		   " AND NOT EXISTS (SELECT 1 FROM message WHERE thread = ?1)",
		   why, I64(thread), I64(a.v));
}

/* ---- receipts ------------------------------------------------------------------------------ */

static int receipt_stmt(struct engine *e, const char *sql, const struct store_receipt *r,
			struct db_stmt **ret, struct fail *why)
{
	int res = db_stmt(e->db, sql, ret, why);
	if (res < 0)
		return res;
	db_bind_blob(*ret, 1, str_make((const char *)r->epoch, sizeof r->epoch));
	db_bind_i64(*ret, 2, I64(r->number));
	db_bind_i64(*ret, 3, I64(r->rcpt));
	return 0;
}

int sqlite_receipt_find(struct engine *e, struct account_id a, const struct store_receipt *r,
			struct row_receipt *ret, struct fail *why)
{
	struct db_stmt *st;
	int res = receipt_stmt(e,
			       "SELECT at, mailbox, uidvalidity, first, n FROM receipt"
			       " WHERE epoch = ?1 AND number = ?2 AND rcpt = ?3 AND account = ?4",
			       r, &st, why);
	if (res < 0)
		return res;
	db_bind_i64(st, 4, I64(a.v));
	res = db_step(st, why);
	if (res > 0 && ret)
		*ret = (struct row_receipt){.at = {db_col_i64(st, 0)},
					    .mailbox = {db_col_u64(st, 1)},
					    .uidvalidity = (uint32_t)db_col_u64(st, 2),
					    .first = (uint32_t)db_col_u64(st, 3),
					    .n = (uint32_t)db_col_u64(st, 4)};
	db_reset(st);
	return res;
}

int sqlite_receipt_add(struct engine *e, struct account_id a, const struct store_receipt *r,
		       const struct row_receipt *what, struct fail *why)
{
	struct db_stmt *st;
	const int64_t v[] = {I64(a.v),
			     what ? what->at.v : 0,
			     what ? I64(what->mailbox.v) : 0,
			     what ? what->uidvalidity : 0,
			     what ? what->first : 0,
			     what ? what->n : 0};
	int res = receipt_stmt(e,
			       "INSERT INTO receipt(epoch, number, rcpt, account, at, mailbox,"
			       " uidvalidity, first, n) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
			       r, &st, why);
	if (res < 0)
		return res;
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		db_bind_i64(st, (int)i + 4, v[i]);
	return db_run(st, why);
}

int sqlite_receipt_expire(struct engine *e, struct wall_us before, struct fail *why)
{
	return RUN(e, "DELETE FROM receipt WHERE at > 0 AND at < ?1", why, before.v);
}

int sqlite_receipt_remove(struct engine *e, struct account_id a, const struct store_receipt *r,
			  struct fail *why)
{
	struct db_stmt *st;
	int res = receipt_stmt(e,
			       "DELETE FROM receipt WHERE epoch = ?1 AND number = ?2"
			       " AND rcpt = ?3 AND account = ?4",
			       r, &st, why);
	if (res < 0)
		return res;
	db_bind_i64(st, 4, I64(a.v));
	return db_run(st, why);
}
