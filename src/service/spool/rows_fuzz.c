/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spool whose rows were damaged, or restored from a backup that somebody else has made. Input:
 * records of a byte that chooses a column, one for the type of the value, one for its length, and
 * the value. The spool is refused as a whole, or its messages are listed, shown, delivered,
 * deferred, given up with a report, and deleted.
 */
#include "runtime/db/db.h"
#include "service/spool/spool_test.h"
#include "sys/log.h"

#define RECORDS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bench bench;
static char path[400];

static const char *const columns[] = {
	"message SET trace",	    "message SET sender",   "message SET envid",
	"message SET ret",	    "message SET smtputf8", "message SET eightbit",
	"message SET auth_account", "message SET arrival",  "message SET body_size",
	"message SET sha256",	    "message SET body_id",  "message SET prefix",
	"message SET map",	    "message SET body",	    "message SET language",
	"rcpt SET state",	    "rcpt SET account",	    "rcpt SET address",
	"rcpt SET detail",	    "rcpt SET transport",   "rcpt SET original",
	"rcpt SET orcpt",	    "rcpt SET notify",	    "rcpt SET attempts",
	"rcpt SET crashes",	    "rcpt SET warned",	    "rcpt SET due",
	"rcpt SET status",	    "rcpt SET text",	    "spool SET epoch",
	"rcpt SET nexthop",	    "rcpt SET tried",	    "rcpt SET server",
	"message SET kind",	    "message SET given",    "message SET hold_until",
	"message SET deliver_by",   "message SET by_mode",  "message SET priority",
	"message SET login",	    "message SET filter",   "message SET client_port",
};

static void end(void)
{
	testdir_remove(&bench.dir);
}

static void begin(void)
{
	struct fail why = FAIL_INIT;
	AUTO(db) struct db *db = NULL;
	struct letter l = letter("sender@y.test", "Subject: x\r\n\r\nHello.\r\n", 2);
	log_set_level(LOG_ERROR);
	bench_init(&bench);
	(void)atexit(end);
	bench_open(&bench);
	(void)bench_submit(&bench, &l);
	bench_close(&bench);
	(void)snprintf(path, sizeof path, "%s/spool.db", bench.spool_folder);
	assert_ok(db_open(&(struct db_options){.path = path}, &db, &why), &why);
	assert_ok(db_exec(db,
			  "CREATE TABLE old_message AS SELECT * FROM message;"
			  "CREATE TABLE old_rcpt AS SELECT * FROM rcpt;"
			  "CREATE TABLE old_spool AS SELECT * FROM spool",
			  &why),
		  &why);
}

/* Returns what follows the record. */
static struct str damage(struct db *db, struct str in)
{
	char sql[80];
	struct db_stmt *st = NULL;
	unsigned char column = (unsigned char)in.p[0], type = (unsigned char)in.p[1];
	struct str value = str_sub(in, 3, 3u + (unsigned char)in.p[2]);
	uint64_t number = 0;
	(void)snprintf(sql, sizeof sql, "UPDATE %s = ?1", columns[column % ARRAY_LEN(columns)]);
	assert_int_equal(db_stmt(db, sql, &st, NULL), 0);
	if (value.n)
		memcpy(&number, value.p, MIN(value.n, sizeof number));
	if (type % 4 == 0)
		db_bind_null(st, 1);
	else if (type % 4 == 1)
		db_bind_i64(st, 1, (int64_t)number);
	else if (type % 4 == 2)
		db_bind_text(st, 1, value.n ? value : STR(""));
	else
		db_bind_blob(st, 1, value.n ? value : STR(""));
	(void)!db_run(st, NULL); /* NOT NULL stays */
	return str_skip(in, 3 + value.n);
}

static void fill(struct str in)
{
	struct fail why = FAIL_INIT;
	AUTO(db) struct db *db = NULL;
	assert_ok(db_open(&(struct db_options){.path = path}, &db, &why), &why);
	assert_ok(db_exec(db,
			  "PRAGMA synchronous = OFF; DELETE FROM receipt; DELETE FROM rcpt;"
			  "DELETE FROM message; DELETE FROM spool;"
			  "INSERT INTO message SELECT * FROM old_message;"
			  "INSERT INTO rcpt SELECT * FROM old_rcpt;"
			  "INSERT INTO spool SELECT * FROM old_spool",
			  &why),
		  &why);
	assert_ok(db_begin(db, &why), &why);
	for (unsigned i = 0; i < RECORDS_MAX && in.n >= 3; i++)
		in = damage(db, in);
	assert_ok(db_commit(db, &why), &why);
}

static void look(struct bench *b)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
	struct spool_query all = {0};
	struct spool_row *rows = NULL;
	struct str text;
	size_t n = 0;
	struct fail why = FAIL_INIT;
	if (spool_list(b->sp, &all, &a, &rows, &n, &why) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		assert_true(rows[i].state < SPOOL_STATES);
		assert_non_null(spool_state_name(rows[i].state));
		(void)!spool_show(b->sp, rows[i].key.number, KIB(1), &a, &text, &why);
	}
}

/* As bench_answer, but nothing has to be there. */
static void answer(struct bench *b, enum spool_outcome outcome)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct spool_result r = {.outcome = outcome, .text = STR("because")};
	if (spool_take(b->sp, 0, 10, &batch, NULL) < 0)
		return;
	for (size_t i = 0; i < batch.n; i++)
		for (size_t k = 0; k < batch.v[i].n_due; k++)
			spool_done(b->sp,
				   (struct spool_key){batch.v[i].number, batch.v[i].due[k].rcpt},
				   &r);
}

static void answer_remote(struct bench *b, enum spool_outcome outcome)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct spool_result r = {.outcome = outcome, .text = STR("because")};
	if (spool_take_remote(b->sp, 10, &batch, NULL) < 0)
		return;
	for (size_t i = 0; i < batch.n; i++) {
		const struct spool_delivery *d = &batch.v[i];
		for (size_t k = 0; k < d->n_due; k++)
			spool_done(b->sp, (struct spool_key){d->number, d->due[k].rcpt}, &r);
		spool_over(b->sp, d->nexthop, SPOOL_CONTACT_FAILED, "4.4.1", STR("gone"));
	}
}

/* Closing writes what can be written. spool_drain would wait for what a damaged row refuses. */
static bool again(struct bench *b)
{
	struct fail why = FAIL_INIT;
	bench_close(b);
	int r = spool_open(&b->c, &b->sp, &why);
	assert_true(r == 0 || why.code);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bench *b = &bench;
	if (!path[0])
		begin();
	if (size < 3 || size > KIB(2))
		return 0;
	fill(str_make((const char *)data, size));
	b->n_receipts = 0;
	b->alerts[0] = b->events[0] = '\0';
	if (!again(b))
		return 0;
	look(b);
	(void)!bench_order(b, SPOOL_RELEASE, 0, NULL);
	answer(b, SPOOL_DEFERRED);
	answer_remote(b, SPOOL_DEFERRED);
	if (!again(b))
		return 0;
	(void)!bench_order(b, SPOOL_FLUSH, 0, NULL);
	answer(b, SPOOL_FAILED);
	answer_remote(b, SPOOL_FAILED);
	if (!again(b))
		return 0;
	spool_tick(b->sp);
	look(b);
	(void)!bench_order(b, SPOOL_DELETE, 0, NULL);
	bench_close(b);
	return 0;
}
