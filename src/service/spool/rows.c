/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of spool.db (docs/formats/spool.md).
 */
#include "spool_int.h"

#include "base/buf.h"
#include "codec/smtp/nexthop.h"
#include "sys/clock.h"
#include "sys/rand.h"

#define APPLICATION_ID 0x62647370 /* "bdsp" */

/* AUTOINCREMENT: a number is not given again even when the newest row is gone. */
static const char first_schema[] =
	"CREATE TABLE spool (one INTEGER PRIMARY KEY CHECK (one = 1), epoch BLOB NOT NULL);"
	"CREATE TABLE message (number INTEGER PRIMARY KEY AUTOINCREMENT, trace INTEGER NOT NULL,"
	" sender TEXT NOT NULL, envid TEXT NOT NULL, ret INTEGER NOT NULL,"
	" smtputf8 INTEGER NOT NULL, eightbit INTEGER NOT NULL, auth_account INTEGER NOT NULL,"
	" arrival INTEGER NOT NULL, body_size INTEGER NOT NULL, sha256 BLOB NOT NULL, body_id BLOB,"
	" prefix BLOB NOT NULL, map BLOB NOT NULL, body BLOB);"
	"CREATE INDEX message_body ON message (body_id) WHERE body_id IS NOT NULL;"
	"CREATE TABLE rcpt (number INTEGER NOT NULL REFERENCES message (number) ON DELETE CASCADE,"
	" rcpt INTEGER NOT NULL, state INTEGER NOT NULL, account INTEGER NOT NULL,"
	" address TEXT NOT NULL, detail TEXT, transport TEXT NOT NULL, original TEXT NOT NULL,"
	" orcpt TEXT NOT NULL, notify INTEGER NOT NULL, attempts INTEGER NOT NULL,"
	" crashes INTEGER NOT NULL, warned INTEGER NOT NULL, due INTEGER NOT NULL,"
	" status TEXT NOT NULL, text TEXT NOT NULL,"
	" PRIMARY KEY (number, rcpt)) WITHOUT ROWID;"
	"CREATE TABLE receipt (number INTEGER NOT NULL, rcpt INTEGER NOT NULL,"
	" account INTEGER NOT NULL, PRIMARY KEY (number, rcpt)) WITHOUT ROWID;";

static const struct db_migration steps[] = {
	{"messages, recipients, receipts", first_schema},
	{"the sender's language",
	 "ALTER TABLE message ADD COLUMN language TEXT NOT NULL DEFAULT ''"},
	{"next hops, what was asked for a message's way, and an index of what is due",
	 "ALTER TABLE message ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE message ADD COLUMN given INTEGER NOT NULL DEFAULT 32768;"
	 "ALTER TABLE message ADD COLUMN hold_until INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE message ADD COLUMN deliver_by INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE message ADD COLUMN by_mode INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE message ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE message ADD COLUMN requiretls INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE message ADD COLUMN tls_optional INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE message ADD COLUMN login TEXT NOT NULL DEFAULT '';"
	 "ALTER TABLE message ADD COLUMN held TEXT NOT NULL DEFAULT '';"
	 "ALTER TABLE message ADD COLUMN filter TEXT NOT NULL DEFAULT '';"
	 "ALTER TABLE message ADD COLUMN client_ip TEXT NOT NULL DEFAULT '';"
	 "ALTER TABLE message ADD COLUMN client_port INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE message ADD COLUMN client_name TEXT NOT NULL DEFAULT '';"
	 "ALTER TABLE message ADD COLUMN client_helo TEXT NOT NULL DEFAULT '';"
	 "ALTER TABLE message ADD COLUMN client_esmtp INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE rcpt ADD COLUMN nexthop TEXT;"
	 "ALTER TABLE rcpt ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE rcpt ADD COLUMN server TEXT NOT NULL DEFAULT '';"
	 /* The transport, else what stands behind the last @. */
	 "UPDATE rcpt SET nexthop = CASE WHEN transport <> '' THEN transport"
	 " ELSE lower(replace(address, rtrim(address, replace(address, '@', '')), '')) END"
	 " WHERE account = 0 AND state <> 3;"
	 "CREATE INDEX rcpt_due ON rcpt (state, due);"
	 "CREATE INDEX rcpt_nexthop ON rcpt (nexthop, due) WHERE nexthop IS NOT NULL;"},
	{"when a recipient's way was looked up",
	 "ALTER TABLE rcpt ADD COLUMN routed INTEGER NOT NULL DEFAULT 0"},
};

/* RFC 9562 5.4. */
static void make_uuid(uint8_t b[SPOOL_EPOCH_LEN])
{
	rand_bytes(b, SPOOL_EPOCH_LEN);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
}

static int read_epoch(struct db *db, uint8_t epoch[SPOOL_EPOCH_LEN], struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(db, "SELECT epoch FROM spool", &st, why);

	if (r == 0)
		r = db_step(st, why);
	if (r <= 0)
		return r;
	struct str b = db_col_blob(st, 0);
	if (b.n != SPOOL_EPOCH_LEN)
		r = fail_set(why, FAIL_CORRUPT, NULL, "spool epoch of %zu bytes", b.n);
	else
		memcpy(epoch, b.p, SPOOL_EPOCH_LEN);
	db_reset(st);
	return r;
}

unsigned spool_format(void)
{
	return ARRAY_LEN(steps);
}

int rows_schema(struct db *db, uint8_t epoch[SPOOL_EPOCH_LEN], struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_migrate(db, APPLICATION_ID, steps, ARRAY_LEN(steps), why);

	if (r == 0)
		r = read_epoch(db, epoch, why);
	if (r != 0)
		return MIN(r, 0);
	make_uuid(epoch);
	r = db_stmt(db, "INSERT INTO spool (one, epoch) VALUES (1, ?1)", &st, why);
	if (r < 0)
		return r;
	db_bind_blob(st, 1, str_make((const char *)epoch, SPOOL_EPOCH_LEN));
	return db_run(st, why);
}

int rows_epoch(struct db *db, uint8_t epoch[SPOOL_EPOCH_LEN], struct fail *why)
{
	int r = read_epoch(db, epoch, why);

	return r == 0 ? fail_set(why, FAIL_CORRUPT, NULL, "the spool has no epoch") : MIN(r, 0);
}

int rows_run(struct spool *sp, const char *sql, const int64_t *params, size_t n, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(sp->db, sql, &st, why);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		db_bind_i64(st, (int)i + 1, params[i]);
	return db_run(st, why);
}

/* ---- writing ---- */

static struct str or_empty(struct str s)
{
	return s.p ? s : STR("");
}

static struct str normal_hop(struct str name, char room[HOP_NAME_MAX])
{
	AUTO(buf) struct buf b = BUF_INIT(HOP_NAME_MAX - 1);
	struct nexthop n;

	if (nexthop_parse(name, &n) < 0 || nexthop_write(&n, &b) < 0)
		(void)snprintf(room, HOP_NAME_MAX, "%.*s", STR_ARG(name));
	else
		(void)snprintf(room, HOP_NAME_MAX, "%.*s", STR_ARG(buf_str(&b)));
	return str_c(room);
}

struct str hop_name(const struct destination *to, struct str filter, char room[HOP_NAME_MAX])
{
	AUTO(buf) struct buf b = BUF_INIT(HOP_NAME_MAX - 1);
	struct str domain = str_skip(to->address, str_rfind(to->address, '@') + 1);
	struct str given = filter.n ? filter : to->transport;
	struct nexthop n;

	if (filter.n == 0 && destination_is_local(to))
		return STR("");
	if (given.n == 0)
		return normal_hop(domain, room);
	if (nexthop_parse(given, &n) < 0 || n.kind != NEXTHOP_RECIPIENT)
		return normal_hop(given, room);
	buf_addf(&b, "%s%.*s",
		 n.protocol == NEXTHOP_SMTPS  ? "smtps:"
		 : n.protocol == NEXTHOP_LMTP ? "lmtp:"
					      : "",
		 STR_ARG(domain));
	if (n.port)
		buf_addf(&b, ":%u", (unsigned)n.port);
	return normal_hop(buf_str(&b), room);
}

enum spool_state message_state(const struct spool_message *m, enum message_kind kind)
{
	if (kind != KIND_MAIL)
		return SPOOL_ROUTING;
	return m->wish.held.n ? SPOOL_HELD : SPOOL_QUEUED;
}

struct wall_us message_due(const struct spool_message *m)
{
	/* 0: whatever the clock says later. */
	return m->wish.hold_until.v > m->arrival.v ? m->wish.hold_until : (struct wall_us){0};
}

int rows_insert_rcpt(struct spool *sp, const struct rcpt_row *row, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(
		sp->db,
		"INSERT INTO rcpt (number, rcpt, state, account, address, detail, transport,"
		" original, orcpt, notify, attempts, crashes, warned, due, status, text, nexthop,"
		" tried, routed)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?14, 0, ?15, ?11, '', ?13, ?12,"
		" ?16, ?17)",
		&st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, row->key.number);
	db_bind_i64(st, 2, row->key.rcpt);
	db_bind_i64(st, 3, row->state);
	db_bind_u64(st, 4, row->to.account.v);
	db_bind_text(st, 5, row->to.address);
	if (row->to.detail.p)
		db_bind_text(st, 6, row->to.detail);
	db_bind_text(st, 7, row->to.transport);
	db_bind_text(st, 8, row->original);
	db_bind_text(st, 9, row->orcpt);
	db_bind_i64(st, 10, row->notify);
	db_bind_i64(st, 11, row->due.v);
	if (row->nexthop.n)
		db_bind_text(st, 12, row->nexthop);
	db_bind_text(st, 13, row->text.p ? row->text : STR(""));
	db_bind_i64(st, 14, row->attempts);
	db_bind_i64(st, 15, row->warned);
	db_bind_i64(st, 16, row->tried.v);
	db_bind_i64(st, 17, row->routed.v);
	return db_run(st, why);
}

static void bind_wishes(struct db_stmt *st, const struct spool_wishes *w)
{
	const struct spool_client *c = &w->client;

	db_bind_i64(st, 18, w->hold_until.v);
	db_bind_i64(st, 19, w->deliver_by.v);
	db_bind_i64(st, 20, w->by);
	db_bind_i64(st, 21, w->priority);
	db_bind_i64(st, 22, w->requiretls);
	db_bind_i64(st, 23, w->tls_optional);
	db_bind_text(st, 24, or_empty(w->login));
	db_bind_text(st, 25, or_empty(w->held));
	db_bind_text(st, 26, or_empty(w->filter));
	db_bind_text(st, 27, or_empty(c->ip));
	db_bind_i64(st, 28, c->port);
	db_bind_text(st, 29, or_empty(c->name));
	db_bind_text(st, 30, or_empty(c->helo));
	db_bind_i64(st, 31, c->esmtp);
}

static int insert_message(struct spool *sp, const struct spool_message *m, enum message_kind kind,
			  uint64_t *ret_number, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(
		sp->db,
		"INSERT INTO message (trace, sender, envid, ret, smtputf8, eightbit,"
		" auth_account, arrival, body_size, sha256, body_id, prefix, map, body,"
		" language, kind, given, hold_until, deliver_by, by_mode, priority, requiretls,"
		" tls_optional, login, held, filter, client_ip, client_port, client_name,"
		" client_helo, client_esmtp)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
		" ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31)",
		&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, (int64_t)m->trace.v);
	db_bind_text(st, 2, m->sender);
	db_bind_text(st, 3, m->envid);
	db_bind_i64(st, 4, m->ret);
	db_bind_i64(st, 5, m->smtputf8);
	db_bind_i64(st, 6, m->eightbit);
	db_bind_i64(st, 7, (int64_t)m->auth_account.v);
	db_bind_i64(st, 8, m->arrival.v);
	db_bind_u64(st, 9, m->body_size);
	db_bind_blob(st, 10, str_make((const char *)m->sha256, SPOOL_HASH_LEN));
	db_bind_blob(st, 12, m->prefix);
	db_bind_blob(st, 13, m->map);
	db_bind_text(st, 15, or_empty(m->language));
	db_bind_i64(st, 16, kind);
	db_bind_u64(st, 17, m->n_rcpts);
	bind_wishes(st, &m->wish);
	if (body_id_is_set(m->body_id))
		db_bind_blob(st, 11, str_make((const char *)m->body_id.b, SPOOL_BODY_LEN));
	else
		db_bind_blob(st, 14, m->body);
	r = db_run(st, why);
	if (r == 0)
		*ret_number = (uint64_t)db_last_rowid(sp->db);
	return r;
}

int rows_insert(struct spool *sp, const struct spool_message *m, enum message_kind kind,
		uint64_t *ret_number, struct fail *why)
{
	uint64_t number = 0;
	int r = insert_message(sp, m, kind, &number, why);

	for (size_t i = 0; r == 0 && i < m->n_rcpts; i++) {
		char hop[HOP_NAME_MAX];
		const struct spool_rcpt *rcpt = &m->rcpts[i];
		struct rcpt_row row = {
			.key = {number, (uint32_t)i},
			.state = message_state(m, kind),
			.to = rcpt->to,
			.nexthop = kind == KIND_MAIL ? hop_name(&rcpt->to, m->wish.filter, hop)
						     : STR(""),
			.original = rcpt->original,
			.orcpt = rcpt->orcpt,
			.notify = rcpt->notify,
			.due = message_due(m),
			.text = m->wish.held,
		};
		r = rows_insert_rcpt(sp, &row, why);
	}
	if (r == 0)
		*ret_number = number;
	return r;
}

int rows_defer(struct spool *sp, const struct rcpt_row *row, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(
		sp->db,
		"UPDATE rcpt SET state = ?3, attempts = ?4, crashes = ?5, warned = ?6, due = ?7,"
		" status = ?8, text = ?9, tried = ?10, server = ?11, routed = ?12"
		" WHERE number = ?1 AND rcpt = ?2",
		&st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, row->key.number);
	db_bind_i64(st, 2, row->key.rcpt);
	db_bind_i64(st, 3, row->state);
	db_bind_i64(st, 4, row->attempts);
	db_bind_i64(st, 5, row->crashes);
	db_bind_i64(st, 6, row->warned);
	db_bind_i64(st, 7, row->due.v);
	db_bind_text(st, 8, row->status);
	db_bind_text(st, 9, row->text);
	db_bind_i64(st, 10, row->tried.v);
	db_bind_text(st, 11, or_empty(row->server));
	db_bind_i64(st, 12, row->routed.v);
	return db_run(st, why);
}

int rows_delete_rcpt(struct spool *sp, struct spool_key key, struct fail *why)
{
	return rows_run(sp, "DELETE FROM rcpt WHERE number = ?1 AND rcpt = ?2",
			(int64_t[]){(int64_t)key.number, key.rcpt}, 2, why);
}

int rows_delete_empty(struct spool *sp, uint64_t number, struct spool_body_id *ret_body,
		      struct fail *why)
{
	struct db_stmt *st = NULL;
	struct spool_body_id id = {0};
	int r = db_stmt(sp->db,
			"SELECT body_id FROM message WHERE number = ?1"
			" AND NOT EXISTS (SELECT 1 FROM rcpt WHERE number = ?1)",
			&st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, number);
	r = db_step(st, why);
	if (r <= 0)
		return r;
	struct str b = db_col_blob(st, 0);
	if (b.n == SPOOL_BODY_LEN)
		memcpy(id.b, b.p, SPOOL_BODY_LEN);
	db_reset(st);
	r = rows_run(sp, "DELETE FROM message WHERE number = ?1", (int64_t[]){(int64_t)number}, 1,
		     why);
	if (r < 0)
		return r;
	*ret_body = id;
	return 1;
}

int rows_crashes(struct spool *sp, struct spool_key key, unsigned crashes, enum spool_state state,
		 struct fail *why)
{
	return rows_run(sp,
			"UPDATE rcpt SET crashes = ?3, state = ?4 WHERE number = ?1 AND rcpt = ?2",
			(int64_t[]){(int64_t)key.number, key.rcpt, crashes, state}, 4, why);
}

/* ---- reading ---- */

int rows_body_known(struct spool *sp, struct spool_body_id id, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(sp->db, "SELECT 1 FROM message WHERE body_id = ?1", &st, why);

	if (r < 0)
		return r;
	db_bind_blob(st, 1, str_make((const char *)id.b, SPOOL_BODY_LEN));
	r = db_step(st, why);
	db_reset(st);
	return r;
}

/* Columns of both statements below. */
#define MESSAGE_COLUMNS                                                                            \
	"trace, sender, envid, ret, smtputf8, eightbit, auth_account, arrival, body_size, sha256," \
	" body_id, language, kind, hold_until, deliver_by, by_mode, priority, requiretls,"         \
	" tls_optional, login, held, filter, client_ip, client_port, client_name, client_helo,"    \
	" client_esmtp"
enum { CONTENT_COLUMN = 27 };

static bool read_wishes(struct db_stmt *st, struct arena *a, struct spool_wishes *w)
{
	int64_t priority = db_col_i64(st, 16);

	*w = (struct spool_wishes){
		.hold_until = {db_col_i64(st, 13)},
		.deliver_by = {db_col_i64(st, 14)},
		.by = (unsigned)db_col_i64(st, 15),
		.priority = (int)MAX(MIN(priority, SPOOL_PRIORITY_MAX), -SPOOL_PRIORITY_MAX),
		.requiretls = db_col_i64(st, 17) != 0,
		.tls_optional = db_col_i64(st, 18) != 0,
		.login = arena_str(a, db_col_text(st, 19)),
		.held = arena_str(a, db_col_text(st, 20)),
		.filter = arena_str(a, db_col_text(st, 21)),
		.client = {.ip = arena_str(a, db_col_text(st, 22)),
			   .port = (uint16_t)db_col_i64(st, 23),
			   .name = arena_str(a, db_col_text(st, 24)),
			   .helo = arena_str(a, db_col_text(st, 25)),
			   .esmtp = db_col_i64(st, 26) != 0},
	};
	return w->login.p && w->held.p && w->filter.p && w->client.ip.p && w->client.name.p &&
	       w->client.helo.p;
}

static int read_message(struct db_stmt *st, bool with_content, struct arena *a,
			struct message_row *m, struct fail *why)
{
	struct str hash = db_col_blob(st, 9);
	struct str id = db_col_blob(st, 10);

	m->trace.v = db_col_u64(st, 0);
	m->sender = arena_str(a, db_col_text(st, 1));
	m->envid = arena_str(a, db_col_text(st, 2));
	m->ret = (enum spool_ret)db_col_i64(st, 3);
	m->smtputf8 = db_col_i64(st, 4) != 0;
	m->eightbit = db_col_i64(st, 5) != 0;
	m->auth_account.v = db_col_u64(st, 6);
	m->arrival.v = db_col_i64(st, 7);
	m->language = arena_str(a, db_col_text(st, 11));
	m->body_size = db_col_u64(st, 8);
	if (hash.n != SPOOL_HASH_LEN || (id.n != 0 && id.n != SPOOL_BODY_LEN))
		return fail_set(why, FAIL_CORRUPT, NULL, "damaged row of message %llu",
				(unsigned long long)m->number);
	memcpy(m->sha256, hash.p, SPOOL_HASH_LEN);
	if (id.n)
		memcpy(m->body_id.b, id.p, SPOOL_BODY_LEN);
	m->kind = (enum message_kind)db_col_i64(st, 12);
	if (with_content) {
		m->prefix = arena_str(a, db_col_blob(st, CONTENT_COLUMN));
		m->map = arena_str(a, db_col_blob(st, CONTENT_COLUMN + 1));
		m->body = arena_str(a, db_col_blob(st, CONTENT_COLUMN + 2));
		if (!m->prefix.p || !m->map.p || !m->body.p)
			return fail_set(why, FAIL_LIMIT, NULL, "arena full at a message");
	}
	if (!read_wishes(st, a, &m->wish) || !m->sender.p || !m->envid.p || !m->language.p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at a message");
	return 1;
}

int rows_message(struct spool *sp, uint64_t number, bool with_content, struct arena *a,
		 struct message_row *ret, struct fail *why)
{
	struct message_row m = {.number = number};
	struct db_stmt *st = NULL;
	int r = db_stmt(sp->db,
			with_content ? "SELECT " MESSAGE_COLUMNS ", prefix, map, body"
				       " FROM message WHERE number = ?1"
				     : "SELECT " MESSAGE_COLUMNS " FROM message WHERE number = ?1",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, (int64_t)number);
	r = db_step(st, why);
	if (r <= 0)
		return r;
	r = read_message(st, with_content, a, &m, why);
	db_reset(st);
	if (r > 0)
		*ret = m;
	return r;
}

int rows_rcpt(struct spool *sp, struct spool_key key, struct arena *a, struct rcpt_row *ret,
	      struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(
		sp->db,
		"SELECT state, account, address, detail, transport, original, orcpt, notify,"
		" attempts, crashes, warned, due, status, text, nexthop, tried, server, routed"
		" FROM rcpt WHERE number = ?1 AND rcpt = ?2",
		&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, (int64_t)key.number);
	db_bind_i64(st, 2, key.rcpt);
	r = db_step(st, why);
	if (r <= 0)
		return r;
	*ret = (struct rcpt_row){
		.key = key,
		.state = (enum spool_state)db_col_i64(st, 0),
		.to.account = {db_col_u64(st, 1)},
		.to.address = arena_str(a, db_col_text(st, 2)),
		.to.detail = db_col_is_null(st, 3) ? STR_NULL : arena_str(a, db_col_text(st, 3)),
		.to.transport = arena_str(a, db_col_text(st, 4)),
		.original = arena_str(a, db_col_text(st, 5)),
		.orcpt = arena_str(a, db_col_text(st, 6)),
		.notify = (unsigned)db_col_i64(st, 7),
		.attempts = (unsigned)db_col_i64(st, 8),
		.crashes = (unsigned)db_col_i64(st, 9),
		.warned = db_col_i64(st, 10) != 0,
		.due = {db_col_i64(st, 11)},
		.status = arena_str(a, db_col_text(st, 12)),
		.text = arena_str(a, db_col_text(st, 13)),
		.nexthop = arena_str(a, db_col_text(st, 14)),
		.tried = {db_col_i64(st, 15)},
		.server = arena_str(a, db_col_text(st, 16)),
		.routed = {db_col_i64(st, 17)},
	};
	db_reset(st);
	if (!ret->server.p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at a recipient");
	return 1;
}
