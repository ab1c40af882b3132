/* SPDX-License-Identifier: Apache-2.0 */
#include "spool_test.h"
#include "service/spool/spool_archive.h"

static void message_comes_out_as_it_went_in(void **state)
{
	struct bench b;
	struct fail why = FAIL_INIT;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("sender@x.test", "Subject: a\r\n\r\nbody\r\n", 2);
	l.rcpts[1].to.detail = STR("work");
	uint64_t number = bench_submit(&b, &l);
	{
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		assert_ok(spool_take(b.sp, 0, 10, &batch, &why), &why);
		assert_int_equal(batch.n, 1);
		const struct spool_delivery *d = &batch.v[0];
		assert_int_equal(d->number, number);
		assert_int_equal(d->n_due, 2);
		assert_str(d->sender, "sender@x.test");
		assert_str(d->prefix, "Received: here\r\n");
		assert_str(d->body, "Subject: a\r\n\r\nbody\r\n");
		assert_str(d->map, "map");
		assert_int_equal(d->trace.v, 0x1234);
		assert_int_equal(d->body_fd, -1);
		assert_str(d->due[1].to.detail, "work");
		assert_true(d->due[1].to.account.v == 6);
		/* In flight: not handed out twice. */
		AUTO(spool_batch) struct spool_batch again = SPOOL_BATCH_INIT;
		assert_ok(spool_take(b.sp, 0, 10, &again, &why), &why);
		assert_int_equal(again.n, 0);
	}
	/* A new start: nothing was answered, everything is due again. */
	bench_close(&b);
	bench_open(&b);
	assert_int_equal(bench_answer(&b, SPOOL_DELIVERED, ""), 2);
	assert_int_equal(b.n_receipts, 2);
	assert_true(b.receipts[0].key.number == number && b.receipts[1].account.v == 6);
	struct spool_receipt left[4];
	assert_int_equal(spool_receipts(b.sp, (struct spool_key){0, 0}, left, 4, &why), 2);
	spool_receipts_dropped(b.sp, b.receipts, 2);
	bench_close(&b);
	bench_open(&b);
	assert_int_equal(spool_receipts(b.sp, (struct spool_key){0, 0}, left, 4, &why), 0);
	assert_int_equal(bench_answer(&b, SPOOL_DELIVERED, ""), 0);
	bench_free(&b);
}

/* Names ending in .q below the blob folder. */
static int count_name(void *arg, const char *name, enum fs_kind kind)
{
	unsigned *n = arg;
	*n += kind == FS_KIND_FILE && str_ends(str_c(name), STR(".q"));
	return 0;
}

struct walk {
	const char *blob;
	unsigned n;
};

static int count_folder(void *arg, const char *name, enum fs_kind kind)
{
	struct walk *w = arg;
	char path[400];
	(void)snprintf(path, sizeof path, "%s/%s", w->blob, name);
	return kind == FS_KIND_FOLDER ? fs_list(fs_real(), path, count_name, &w->n, NULL) : 0;
}

static unsigned body_names(const struct bench *b)
{
	struct walk w = {.blob = b->blob_folder};
	assert_int_equal(fs_list(fs_real(), b->blob_folder, count_folder, &w, NULL), 0);
	return w.n;
}

static void bodies_are_files(void **state)
{
	struct bench b;
	struct fail why = FAIL_INIT;
	char piece[4];
	uint64_t number = 0;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "", 2);
	bench_body(&b, &l, 'x', 200000);
	assert_int_equal(body_names(&b), 0);
	number = bench_submit(&b, &l);
	assert_int_equal(body_names(&b), 1);
	bench_close(&b);
	bench_open(&b);
	assert_int_equal(body_names(&b), 1);
	{
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		struct spool_result ok = {.outcome = SPOOL_DELIVERED};
		assert_ok(spool_take(b.sp, 0, 10, &batch, &why), &why);
		assert_int_equal(batch.v[0].body_size, 200000);
		assert_int_equal(pread(batch.v[0].body_fd, piece, 4, 199996), 4);
		assert_memory_equal(piece, "xxxx", 4);
		assert_int_equal(write(batch.v[0].body_fd, "y", 1), -1);
		spool_done(b.sp, (struct spool_key){number, 0}, &ok);
		spool_drain(b.sp);
		assert_int_equal(body_names(&b), 1);
		spool_done(b.sp, (struct spool_key){number, 1}, &ok);
		spool_drain(b.sp);
	}
	assert_int_equal(body_names(&b), 0);

	/* Changed after sealing: refused, and nothing stays. */
	struct letter forged = letter("s@x.test", "", 1);
	struct spool_sealed s;
	AUTO_FD int fd = -1;
	assert_ok(spool_body_create(b.sp, 0, &forged.m.body_id, &fd, &why), &why);
	assert_int_equal(write(fd, "good", 4), 4);
	assert_ok(spool_body_seal(b.sp, forged.m.body_id, &s, &why), &why);
	assert_false(s.still);
	(void)close(s.fd);
	assert_int_equal(pwrite(fd, "evil", 4, 0), 4);
	forged.m.rcpts = forged.rcpts;
	forged.m.body_size = s.size;
	memcpy(forged.m.sha256, s.sha256, SPOOL_HASH_LEN);
	assert_int_equal(spool_submit_wait(b.sp, &forged.m, &number, &why), -FAIL_CORRUPT);
	assert_int_equal(body_names(&b), 0);
	/* Another size or hash than was sealed; and once is enough. */
	struct letter lying = letter("s@x.test", "", 1);
	bench_body(&b, &lying, 'l', 70000);
	lying.m.rcpts = lying.rcpts;
	lying.m.body_size = UINT64_MAX;
	assert_int_equal(spool_submit_wait(b.sp, &lying.m, &number, &why), -FAIL_CORRUPT);
	assert_int_equal(spool_submit_wait(b.sp, &lying.m, &number, &why), -FAIL_NOTFOUND);
	spool_body_drop(b.sp, lying.m.body_id);
	/* A name without a row is swept at the next opening. */
	char orphan[400];
	(void)snprintf(orphan, sizeof orphan, "%s/ab", b.blob_folder);
	assert_ok(fs_mkdir_all(fs_real(), orphan, 0700, &why), &why);
	(void)snprintf(orphan, sizeof orphan, "%s/ab/ab0102030405060708090a0b0c0d0e0f.q",
		       b.blob_folder);
	AUTO(fs_file) struct fs_file *f = NULL;
	assert_ok(fs_open(fs_real(), orphan, FS_WRITE | FS_CREATE, 0600, &f, &why), &why);
	bench_close(&b);
	assert_int_equal(body_names(&b), 1);
	bench_open(&b);
	assert_int_equal(body_names(&b), 0);
	bench_free(&b);
}

static void inline_bodies_are_checked(void **state)
{
	struct bench b;
	struct fail why = FAIL_INIT;
	uint64_t number = 0;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "hello", 1);
	l.m.rcpts = l.rcpts;
	l.m.sha256[0] ^= 1;
	assert_int_equal(spool_submit_wait(b.sp, &l.m, &number, &why), -FAIL_CORRUPT);
	l = letter("s@x.test", "hello", 1);
	l.m.rcpts = l.rcpts;
	l.m.n_rcpts = 0;
	assert_int_equal(spool_submit_wait(b.sp, &l.m, &number, &why), -FAIL_LIMIT);
	AUTO_MEM char *big = xcalloc(1, 70000);
	memset(big, 'a', 69999);
	l = letter("s@x.test", big, 1);
	l.m.rcpts = l.rcpts;
	assert_int_equal(spool_submit_wait(b.sp, &l.m, &number, &why), -FAIL_TOOBIG);
	struct spool_body_id nobody = {{1}};
	l = letter("s@x.test", "", 1);
	l.m.rcpts = l.rcpts;
	l.m.body_id = nobody;
	assert_int_equal(spool_submit_wait(b.sp, &l.m, &number, &why), -FAIL_NOTFOUND);
	assert_int_equal(bench_answer(&b, SPOOL_DELIVERED, ""), 0);
	bench_free(&b);
}

static void numbers_are_never_used_again(void **state)
{
	struct bench b;
	struct fail why = FAIL_INIT;
	uint8_t epoch[SPOOL_EPOCH_LEN];
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "one", 1);
	uint64_t first = bench_submit(&b, &l);
	memcpy(epoch, spool_epoch(b.sp), sizeof epoch);
	assert_int_equal(bench_order(&b, SPOOL_DELETE, first, &why), 1);
	assert_int_equal(bench_order(&b, SPOOL_DELETE, first, &why), -FAIL_NOTFOUND);
	bench_close(&b);
	bench_open(&b);
	assert_memory_equal(epoch, spool_epoch(b.sp), sizeof epoch);
	l = letter("s@x.test", "two", 1);
	assert_true(bench_submit(&b, &l) > first);
	bench_free(&b);
}

struct crowd {
	struct bench *b;
	unsigned acknowledged;
};

static void *submit_many(void *arg)
{
	struct crowd *c = arg;
	for (unsigned i = 0; i < 10; i++) {
		struct letter l = letter("s@x.test", "many\r\n", 1);
		uint64_t number = 0;
		l.m.rcpts = l.rcpts;
		if (spool_submit_wait(c->b->sp, &l.m, &number, NULL) == 0)
			__atomic_add_fetch(&c->acknowledged, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void commits_are_shared(void **state)
{
	struct bench b;
	pthread_t t[64];
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct crowd c = {.b = &b};
	for (unsigned i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, submit_many, &c), 0);
	for (unsigned i = 0; i < ARRAY_LEN(t); i++)
		(void)pthread_join(t[i], NULL);
	assert_int_equal(c.acknowledged, 640);
	struct spool_counts n = bench_counts(&b);
	assert_int_equal(n.submitted, 640);
	assert_true(n.commits < 320);
	assert_int_equal(n.by_state[SPOOL_QUEUED], 640);
	bench_close(&b);
	bench_open(&b);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_QUEUED], 640);
	while (bench_answer(&b, SPOOL_DELIVERED, "") > 0)
		;
	assert_int_equal(bench_counts(&b).by_state[SPOOL_QUEUED], 0);
	bench_free(&b);
}

static void advance_s(int64_t s)
{
	clock_bend_us(clock_bent_us() + s * SEC_US);
}

static void retries_back_off_until_the_lifetime_ends(void **state)
{
	static const int64_t gaps[] = {300, 600, 1200, 2400, 4000, 4000};
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("", "x", 1); /* null sender: no report at the end */
	(void)bench_submit(&b, &l);
	for (size_t i = 0; i < ARRAY_LEN(gaps); i++) {
		assert_int_equal(bench_answer(&b, SPOOL_DEFERRED, "try later"), 1);
		assert_int_equal(bench_counts(&b).by_state[SPOOL_DEFER], 1);
		advance_s(gaps[i] - 5);
		assert_int_equal(bench_answer(&b, SPOOL_DEFERRED, ""), 0);
		if (i == 3) { /* the schedule survives a restart */
			bench_close(&b);
			bench_open(&b);
		}
		advance_s(6);
	}
	unsigned more = 0;
	while (bench_counts(&b).by_state[SPOOL_QUEUED] + bench_counts(&b).by_state[SPOOL_DEFER] >
	       0) {
		assert_int_equal(bench_answer(&b, SPOOL_DEFERRED, "try later"), 1);
		advance_s(4001);
		assert_true(++more < 120);
	}
	assert_true(more > 100); /* five days of 4000 s */
	assert_int_equal(bench_counts(&b).failed, 1);
	assert_int_equal(bench_counts(&b).dsns, 0);
	assert_non_null(strstr(b.events, "1 deferred alice@d.test 4.0.0 try later 2 0;"));
	bench_free(&b);
}

/* The clock was weeks ahead and is put right, with a restart in between or without. */
static void mail_from_the_future_is_delivered(void **state)
{
	(void)state;
	for (int restart = 0; restart < 2; restart++) {
		struct bench b;
		bench_init(&b);
		bench_open(&b);
		advance_s(20 * 86400);
		struct letter l = letter("s@x.test", "x", 1);
		(void)bench_submit(&b, &l);
		assert_int_equal(bench_answer(&b, SPOOL_DEFERRED, "try later"), 1);
		(void)bench_submit(&b, &l);
		if (restart)
			bench_close(&b);
		advance_s(-20 * 86400);
		if (restart)
			bench_open(&b);
		assert_int_equal(bench_answer(&b, SPOOL_DELIVERED, ""), 2);
		bench_free(&b);
	}
}

/* The one message that waits for account 77: its text into the arena. */
static struct str take_report(struct bench *b, struct arena *a)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct fail why = FAIL_INIT;
	struct spool_result ok = {.outcome = SPOOL_DELIVERED};
	spool_tick(b->sp);
	assert_ok(spool_take(b->sp, 0, 10, &batch, &why), &why);
	assert_int_equal(batch.n, 1);
	assert_int_equal(batch.v[0].n_due, 1);
	assert_true(batch.v[0].due[0].to.account.v == 77);
	assert_int_equal(batch.v[0].sender.n, 0);
	assert_true(str_starts(batch.v[0].map, STR("map of ")));
	spool_done(b->sp, (struct spool_key){batch.v[0].number, batch.v[0].due[0].rcpt}, &ok);
	spool_drain(b->sp);
	return arena_str(a, batch.v[0].body);
}

static bool has(struct str s, const char *what)
{
	return str_find_str(s, 0, str_c(what)) < s.n;
}

static void failure_is_reported(void **state)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "Subject: lost\r\n\r\nsecret text\r\n", 3);
	l.rcpts[1].notify = SPOOL_NOTIFY_NEVER;
	l.rcpts[2].notify = SPOOL_NOTIFY_FAILURE | SPOOL_NOTIFY_SUCCESS;
	l.rcpts[0].orcpt = STR("rfc822;al@d.test");
	l.m.envid = STR("env1");
	(void)bench_submit(&b, &l);
	assert_int_equal(bench_answer(&b, SPOOL_FAILED, "mailbox is gone"), 3);
	assert_int_equal(bench_counts(&b).dsns, 1);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_ROUTING], 1);
	/* The directory is away, then back: the report waits. */
	b.route_result = -1;
	spool_tick(b.sp);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_ROUTING], 1);
	bench_close(&b);
	bench_open(&b);
	b.route_result = 0;
	struct str text = take_report(&b, &a);
	assert_true(has(text, "To: <s@x.test>") || has(text, "To: s@x.test"));
	assert_true(has(text, "alice@d.test"));
	assert_false(has(text, "bob@d.test"));
	assert_true(has(text, "carol@d.test"));
	assert_true(has(text, "Action: failed"));
	assert_true(has(text, "mailbox is gone"));
	assert_true(has(text, "mx.example.test"));
	assert_true(has(text, "Original-Envelope-Id: env1"));
	assert_true(has(text, "Subject: lost"));
	assert_false(has(text, "secret text"));
	/* A report of a report: never. */
	assert_int_equal(bench_counts(&b).by_state[SPOOL_QUEUED], 0);
	bench_free(&b);
}

static void full_return_and_success(void **state)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "Subject: lost\r\n\r\nall of it\r\n", 1);
	l.m.ret = SPOOL_RET_FULL;
	(void)bench_submit(&b, &l);
	(void)bench_answer(&b, SPOOL_FAILED, "no");
	assert_true(has(take_report(&b, &a), "all of it"));

	l = letter("s@x.test", "Subject: ok\r\n\r\nx\r\n", 1);
	l.rcpts[0].notify = SPOOL_NOTIFY_SUCCESS;
	(void)bench_submit(&b, &l);
	(void)bench_answer(&b, SPOOL_DELIVERED, "");
	assert_true(has(take_report(&b, &a), "Action: delivered"));

	/* A body in a file gives its header too. */
	l = letter("s@x.test", "", 1);
	bench_body(&b, &l, 'z', 100000);
	(void)bench_submit(&b, &l);
	(void)bench_answer(&b, SPOOL_FAILED, "no");
	assert_true(has(take_report(&b, &a), "Received: here"));
	assert_int_equal(body_names(&b), 0);

	/* SUCCESS only: a failure is not told. */
	l = letter("s@x.test", "x", 1);
	l.rcpts[0].notify = SPOOL_NOTIFY_SUCCESS;
	(void)bench_submit(&b, &l);
	uint64_t before = bench_counts(&b).dsns;
	(void)bench_answer(&b, SPOOL_FAILED, "no");
	assert_true(bench_counts(&b).dsns == before);
	bench_free(&b);
}

static void delay_is_told_once(void **state)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "Subject: slow\r\n\r\n", 1);
	l.rcpts[0].notify = SPOOL_NOTIFY_DELAY;
	(void)bench_submit(&b, &l);
	(void)bench_answer(&b, SPOOL_DEFERRED, "full");
	assert_int_equal(bench_counts(&b).dsns, 0);
	advance_s(5 * 3600);
	(void)bench_answer(&b, SPOOL_DEFERRED, "still full");
	assert_int_equal(bench_counts(&b).dsns, 1);
	struct str text = take_report(&b, &a);
	assert_true(has(text, "Action: delayed"));
	assert_true(has(text, "still full"));
	advance_s(5000);
	(void)bench_answer(&b, SPOOL_DEFERRED, "still full");
	assert_int_equal(bench_counts(&b).dsns, 1);
	bench_free(&b);
}

static void report_to_nobody_ends(void **state)
{
	struct bench b;
	(void)state;
	bench_init(&b);
	b.route_kind = SPOOL_ROUTE_REFUSED;
	bench_open(&b);
	struct letter l = letter("forged@x.test", "x", 1);
	(void)bench_submit(&b, &l);
	(void)bench_answer(&b, SPOOL_FAILED, "no");
	spool_tick(b.sp);
	struct spool_counts n = bench_counts(&b);
	for (unsigned i = 0; i < SPOOL_STATES; i++)
		assert_int_equal(n.by_state[i], 0);
	assert_string_equal(b.events, "1 failed alice@d.test 5.0.0 no 0 0;"
				      "1 report forged@x.test   0 2;"
				      "2 dropped forged@x.test  no such user 0 0;");
	bench_close(&b);
	bench_open(&b);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_ROUTING], 0);
	bench_free(&b);
}

static void killers_are_held(void **state)
{
	struct bench b;
	struct fail why = FAIL_INIT;
	struct spool_result ok = {.outcome = SPOOL_DELIVERED};
	uint64_t killer = 0;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	for (unsigned i = 0; i < 5; i++) {
		struct letter l = letter("s@x.test", "x", 1);
		uint64_t number = bench_submit(&b, &l);
		if (i == 2)
			killer = number;
	}
	{
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		assert_ok(spool_take(b.sp, 0, 10, &batch, &why), &why);
		assert_int_equal(batch.n, 5);
		spool_lane_died(b.sp, 0);
		/* Too late: no longer in flight. */
		spool_done(b.sp, (struct spool_key){killer, 0}, &ok);
	}
	for (unsigned i = 0; i < 20; i++) {
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		assert_ok(spool_take(b.sp, 0, 10, &batch, &why), &why);
		if (batch.n == 0)
			break;
		assert_int_equal(batch.n, 1); /* suspects fly alone */
		AUTO(spool_batch) struct spool_batch none = SPOOL_BATCH_INIT;
		assert_ok(spool_take(b.sp, 0, 10, &none, &why), &why);
		assert_int_equal(none.n, 0);
		if (batch.v[0].number == killer) {
			spool_lane_died(b.sp, 0);
			bench_close(&b); /* the count survives */
			bench_open(&b);
		} else {
			unsigned before = b.readies;
			bool last = bench_counts(&b).by_state[SPOOL_QUEUED] == 1;
			spool_done(b.sp, (struct spool_key){batch.v[0].number, 0}, &ok);
			spool_drain(b.sp);
			/* The next suspect may go: the role is told. */
			assert_true(last || b.readies > before);
		}
	}
	struct spool_counts n = bench_counts(&b);
	assert_int_equal(n.by_state[SPOOL_HELD], 1);
	assert_int_equal(n.by_state[SPOOL_QUEUED], 0);
	assert_non_null(strstr(b.alerts, "is held"));
	assert_int_equal(bench_order(&b, SPOOL_RELEASE, killer, &why), 1);
	assert_int_equal(bench_answer(&b, SPOOL_DELIVERED, ""), 1);
	bench_free(&b);
}

/* How many of two messages are among the next `n` that are handed out. */
static int come_within(struct bench *b, uint64_t one, uint64_t two, size_t n)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct fail why = FAIL_INIT;
	int found = 0;
	assert_ok(spool_take(b->sp, 0, n, &batch, &why), &why);
	for (size_t i = 0; i < batch.n; i++)
		found += batch.v[i].number == one || batch.v[i].number == two;
	return found;
}

static void one_sender_does_not_hold_up_others(void **state)
{
	struct bench b;
	(void)state;
	bench_init(&b);
	b.c.lanes = 1;
	bench_open(&b);
	for (int i = 0; i < 200; i++) {
		struct letter bulk =
			letter(i % 2 ? "news@shop.test" : "offers@Shop.test", "buy", 1);
		(void)bench_submit(&b, &bulk);
	}
	struct letter single = letter("friend@home.test", "hello", 1);
	struct letter own = letter("news@shop.test", "from a user of ours", 1);
	own.m.auth_account.v = 9;
	uint64_t friend = bench_submit(&b, &single), user = bench_submit(&b, &own);
	assert_int_equal(come_within(&b, friend, user, 20), 2);
	/* The same after a restart, when the rows are read again. */
	bench_close(&b);
	bench_open(&b);
	assert_int_equal(come_within(&b, friend, user, 20), 2);
	bench_free(&b);
}

static void operator_sees_and_acts(void **state)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
	struct bench b;
	struct fail why = FAIL_INIT;
	struct spool_row *rows = NULL;
	struct str text;
	size_t n = 0;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("one@x.test", "Subject: a\r\n\r\nb", 2);
	l.rcpts[0].to.detail = STR("in");
	uint64_t first = bench_submit(&b, &l);
	l = letter("two@x.test", "", 1);
	bench_body(&b, &l, 'q', 100000);
	uint64_t second = bench_submit(&b, &l);
	assert_ok(spool_list(b.sp, &(struct spool_query){0}, &a, &rows, &n, &why), &why);
	assert_int_equal(n, 3);
	assert_str(rows[0].rcpt, "alice+in@d.test");
	assert_int_equal(rows[0].size, 16 + 15);
	assert_int_equal(rows[2].size, 16 + 100000);
	assert_ok(spool_list(b.sp, &(struct spool_query){.address = STR("BOB@d.test")}, &a, &rows,
			     &n, &why),
		  &why);
	assert_int_equal(n, 1);
	assert_ok(spool_list(b.sp, &(struct spool_query){.after = {first, UINT32_MAX}}, &a, &rows,
			     &n, &why),
		  &why);
	assert_int_equal(n, 1);
	assert_ok(spool_show(b.sp, first, 1000, &a, &text, &why), &why);
	assert_str(text, "Received: here\r\nSubject: a\r\n\r\nb");
	assert_ok(spool_show(b.sp, second, 20, &a, &text, &why), &why);
	assert_str(text, "Received: here\r\nqqqq");
	assert_int_equal(spool_show(b.sp, 999, 20, &a, &text, &why), -FAIL_NOTFOUND);
	assert_int_equal(bench_order(&b, SPOOL_HOLD, first, &why), 2);
	assert_int_equal(bench_answer(&b, SPOOL_DEFERRED, "later"), 1);
	assert_int_equal(bench_order(&b, SPOOL_FLUSH, 0, &why), 1);
	assert_int_equal(bench_answer(&b, SPOOL_DEFERRED, "later"), 1);
	assert_int_equal(bench_order(&b, SPOOL_RELEASE, 0, &why), 2);
	assert_int_equal(bench_order(&b, SPOOL_DELETE, 0, &why), 3);
	assert_int_equal(body_names(&b), 0);
	assert_int_equal(bench_answer(&b, SPOOL_DELIVERED, ""), 0);
	assert_int_equal(bench_order(&b, SPOOL_HOLD, 999, &why), -FAIL_NOTFOUND);
	bench_free(&b);
}

/* With its own clerk: what needs no server is settled and reports are routed without anybody
 * calling. */
static void clerk_works_alone(void **state)
{
	struct bench b;
	(void)state;
	bench_init(&b);
	b.c.manual = false;
	bench_open(&b);
	struct letter l = letter("s@x.test", "x", 2);
	l.rcpts[1].to.account.v = 0;
	l.rcpts[1].to.transport = STR("error:4.3.2 not now");
	(void)bench_submit(&b, &l);
	(void)bench_answer(&b, SPOOL_FAILED, "no");
	for (unsigned i = 0; i < 200; i++) {
		struct spool_counts n = bench_counts(&b);
		if (n.by_state[SPOOL_DEFER] == 1 && n.by_state[SPOOL_QUEUED] == 1)
			break;
		(void)usleep(10000);
	}
	assert_int_equal(bench_counts(&b).by_state[SPOOL_DEFER], 1);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_ROUTING], 0);
	assert_int_equal(bench_answer(&b, SPOOL_DELIVERED, ""), 1);
	bench_free(&b);
}

/* After a restore: what an operator wants to look at first is held, a report still gets its route.
 */
static void a_restored_queue_is_held(void **state)
{
	static const uint8_t fresh[SPOOL_EPOCH_LEN] = {1};
	struct bench b;
	struct fail why = FAIL_INIT;
	char path[400];
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "Subject: lost\r\n\r\n", 1);
	(void)bench_submit(&b, &l);
	assert_int_equal(bench_answer(&b, SPOOL_FAILED, "no"), 1);
	(void)bench_submit(&b, &l);
	bench_close(&b);
	(void)snprintf(path, sizeof path, "%s/spool.db", b.spool_folder);
	struct spool_archive *a = NULL;
	assert_ok(spool_archive_open(path, false, &a, &why), &why);
	assert_ok(spool_archive_renew(a, fresh, true, &why), &why);
	spool_archive_close(a);
	bench_open(&b);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_HELD], 1);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_ROUTING], 1);
	bench_free(&b);
}

static void newer_file_is_refused(void **state)
{
	struct bench b;
	struct fail why = FAIL_INIT;
	char path[400];
	uint8_t version[4] = {0, 0, 0, 99};
	(void)state;
	bench_init(&b);
	bench_open(&b);
	bench_close(&b);
	/* user_version of a SQLite header: big-endian at offset 60. */
	(void)snprintf(path, sizeof path, "%s/spool.db", b.spool_folder);
	AUTO(fs_file) struct fs_file *f = NULL;
	assert_ok(fs_open(fs_real(), path, FS_READ | FS_WRITE, 0, &f, &why), &why);
	assert_ok(fs_pwrite(f, version, 4, 60, &why), &why);
	assert_int_equal(spool_open(&b.c, &b.sp, &why), -FAIL_UNSUPPORTED);
	bench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_comes_out_as_it_went_in),
		cmocka_unit_test(bodies_are_files),
		cmocka_unit_test(inline_bodies_are_checked),
		cmocka_unit_test(numbers_are_never_used_again),
		cmocka_unit_test(commits_are_shared),
		cmocka_unit_test(retries_back_off_until_the_lifetime_ends),
		cmocka_unit_test(mail_from_the_future_is_delivered),
		cmocka_unit_test(failure_is_reported),
		cmocka_unit_test(full_return_and_success),
		cmocka_unit_test(delay_is_told_once),
		cmocka_unit_test(report_to_nobody_ends),
		cmocka_unit_test(killers_are_held),
		cmocka_unit_test(one_sender_does_not_hold_up_others),
		cmocka_unit_test(operator_sees_and_acts),
		cmocka_unit_test(clerk_works_alone),
		cmocka_unit_test(a_restored_queue_is_held),
		cmocka_unit_test(newer_file_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
