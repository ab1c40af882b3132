/* SPDX-License-Identifier: Apache-2.0 */
/* Mail for other servers: next hops, their windows, whose turn it is, and what is in memory. */
#include "service/spool/spool_int.h"
#include "service/spool/spool_test.h"

static void advance_s(int64_t s)
{
	static int64_t bent;
	bent = s ? bent + s * SEC_US : 0;
	clock_bend_us(bent);
}

/* A message to n recipients of one domain. */
static uint64_t submit_to(struct bench *b, const char *sender, const char *domain, size_t n)
{
	struct fail why = FAIL_INIT;
	struct spool_rcpt *rcpts = xcalloc(n, sizeof *rcpts);
	char(*names)[64] = xcalloc(n, sizeof *names);
	struct letter l = letter(sender, "Subject: x\r\n\r\nx\r\n", 1);
	uint64_t number = 0;

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(names[i], sizeof names[i], "u%zu@%s", i, domain);
		rcpts[i].to.address = rcpts[i].original = str_c(names[i]);
		rcpts[i].notify = l.rcpts[0].notify;
	}
	l.m.rcpts = rcpts;
	l.m.n_rcpts = n;
	assert_ok(spool_submit_wait(b->sp, &l.m, &number, &why), &why);
	free(names);
	free(rcpts);
	return number;
}

/* Take up to max transactions; how many there are. */
static size_t take(struct bench *b, size_t max, struct spool_batch *batch)
{
	struct fail why = FAIL_INIT;
	assert_ok(spool_take_remote(b->sp, max, batch, &why), &why);
	return batch->n;
}

static void answer(struct bench *b, const struct spool_batch *batch, enum spool_outcome outcome,
		   enum spool_contact contact, const char *text)
{
	for (size_t i = 0; i < batch->n; i++) {
		const struct spool_delivery *d = &batch->v[i];
		struct spool_result r = {
			.outcome = outcome,
			.status = outcome == SPOOL_DELIVERED  ? "2.0.0"
				  : outcome == SPOOL_DEFERRED ? "4.4.1"
							      : "5.1.1",
			.text = str_c(text),
			.server = contact == SPOOL_CONTACT_MADE ? STR("mx.far.test") : STR("")};
		for (size_t k = 0; k < d->n_due; k++)
			spool_done(b->sp, (struct spool_key){d->number, d->due[k].rcpt}, &r);
		spool_over(b->sp, d->nexthop, contact, "4.4.1", str_c(text));
	}
	spool_drain(b->sp);
}

static void one_transaction_per_message_and_hop(void **state)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "x", 4);
	for (size_t i = 0; i < 4; i++)
		l.rcpts[i].to.account.v = 0;
	l.rcpts[0].to.address = STR("a@Far.Test");
	l.rcpts[1].to.address = STR("b@far.test");
	l.rcpts[2].to.address = STR("c@near.test");
	l.rcpts[3].to.transport = STR("relay:[192.0.2.1]:2525");
	(void)bench_submit(&b, &l);
	(void)submit_to(&b, "s@x.test", "many.test", 120);
	assert_int_equal(take(&b, 100, &batch), 6);
	size_t rcpts = 0, pairs = 0, fifties = 0, hosts = 0;
	for (size_t i = 0; i < batch.n; i++) {
		rcpts += batch.v[i].n_due;
		pairs += batch.v[i].n_due == 2 && str_eq(batch.v[i].nexthop, STR("far.test"));
		fifties += batch.v[i].n_due == 50;
		hosts += str_eq(batch.v[i].nexthop, STR("[192.0.2.1]:2525"));
	}
	assert_int_equal(rcpts, 124);
	assert_int_equal(pairs, 1);
	assert_int_equal(fifties, 2);
	assert_int_equal(hosts, 1);
	assert_int_equal(bench_counts(&b).transactions, 6);
	answer(&b, &batch, SPOOL_DELIVERED, SPOOL_CONTACT_MADE, "250 ok");
	struct spool_counts n = bench_counts(&b);
	assert_int_equal(n.by_state[SPOOL_QUEUED] + n.in_memory + n.transactions + n.hops, 0);
	bench_free(&b);
}

static void a_window_opens_and_closes(void **state)
{
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	for (int i = 0; i < 150; i++)
		(void)submit_to(&b, "s@x.test", "far.test", 1);
	size_t last = 0, waits = 150;
	while (last < 20) {
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		size_t n = take(&b, 100, &batch);
		assert_true(last == 0 ? n == 5 : n > last && n <= 20);
		AUTO(spool_batch) struct spool_batch none = SPOOL_BATCH_INIT;
		assert_int_equal(take(&b, 100, &none), 0);
		answer(&b, &batch, SPOOL_DELIVERED, SPOOL_CONTACT_MADE, "250 ok");
		last = n;
		waits -= n;
	}
	{ /* Some failures close it, a whole window of them is the end of it. */
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		assert_int_equal(take(&b, 3, &batch), 3);
		answer(&b, &batch, SPOOL_DEFERRED, SPOOL_CONTACT_FAILED, "refused");
		AUTO(spool_batch) struct spool_batch rest = SPOOL_BATCH_INIT;
		assert_int_equal(take(&b, 100, &rest), 17);
		answer(&b, &rest, SPOOL_DEFERRED, SPOOL_CONTACT_FAILED, "refused");
	}
	assert_int_equal(bench_counts(&b).hops_dead, 1);
	AUTO(spool_batch) struct spool_batch none = SPOOL_BATCH_INIT;
	assert_int_equal(take(&b, 100, &none), 0);
	spool_tick(b.sp); /* the rest is put off without a try */
	spool_drain(b.sp);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_QUEUED], 0);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_DEFER], waits);
	assert_non_null(strstr(b.events, "suspended for a while: refused 0 0"));
	/* So is what comes meanwhile. */
	(void)submit_to(&b, "s@x.test", "far.test", 1);
	spool_tick(b.sp);
	spool_drain(b.sp);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_DEFER], waits + 1);
	/* Until it is flushed. */
	struct fail why = FAIL_INIT;
	assert_int_equal(bench_order(&b, SPOOL_FLUSH, 0, &why), waits + 1);
	assert_int_equal(bench_counts(&b).hops_dead, 0);
	assert_int_equal(take(&b, 100, &none), 5);
	answer(&b, &none, SPOOL_DELIVERED, SPOOL_CONTACT_MADE, "250 ok");
	bench_free(&b);
}

static void hops_senders_and_messages_take_turns(void **state)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	/* A newsletter of 10,000 in one message, then letters: of the same sender, of another. */
	uint64_t news = submit_to(&b, "news@shop.test", "far.test", 10000);
	uint64_t own = submit_to(&b, "boss@shop.test", "far.test", 1);
	uint64_t friend = submit_to(&b, "friend@home.test", "far.test", 1);
	uint64_t elsewhere = submit_to(&b, "news@shop.test", "other.test", 1);
	assert_int_equal(take(&b, 5, &batch), 5);
	unsigned seen = 0;
	for (size_t i = 0; i < batch.n; i++) {
		uint64_t number = batch.v[i].number;
		seen |= (number == news) | (unsigned)(number == own) << 1 |
			(unsigned)(number == friend) << 2 | (unsigned)(number == elsewhere) << 3;
	}
	assert_int_equal(seen, 15);
	bench_free(&b);
}

static void the_higher_priority_goes_first(void **state)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	(void)submit_to(&b, "a@x.test", "far.test", 200);
	struct letter l = letter("b@x.test", "x", 1);
	l.rcpts[0].to.account.v = 0;
	l.rcpts[0].to.address = STR("u@far.test");
	l.m.wish.priority = 4;
	uint64_t urgent = bench_submit(&b, &l);
	assert_int_equal(take(&b, 1, &batch), 1);
	assert_int_equal(batch.v[0].number, urgent);
	assert_int_equal(batch.v[0].wish.priority, 4);
	bench_free(&b);
}

static void what_needs_no_server(void **state)
{
	struct bench b;
	struct fail why = FAIL_INIT;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "x", 4);
	static const char *const ways[] = {"error:5.7.1 not here", "discard:", "hold: look at it",
					   "pipe:nonsense"};
	for (size_t i = 0; i < 4; i++) {
		l.rcpts[i].to.account.v = 0;
		l.rcpts[i].to.transport = str_c(ways[i]);
	}
	uint64_t number = bench_submit(&b, &l);
	spool_tick(b.sp);
	spool_drain(b.sp);
	struct spool_counts n = bench_counts(&b);
	assert_int_equal(n.by_state[SPOOL_HELD], 1);
	assert_int_equal(n.by_state[SPOOL_DEFER], 1);
	assert_int_equal(n.failed, 1);
	assert_int_equal(n.delivered, 1);
	assert_non_null(strstr(b.events, "failed alice@d.test 5.7.1 not here"));
	assert_non_null(strstr(b.events, "deferred dora@d.test 4.3.5"));
	assert_int_equal(bench_order(&b, SPOOL_DELETE, number, &why), 2);
	bench_free(&b);
}

static void the_filter_comes_first(void **state)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "x", 2);
	l.m.wish.filter = STR("smtp:[127.0.0.1]:10024");
	l.m.wish.client = (struct spool_client){
		.ip = STR("192.0.2.9"), .port = 4321, .name = STR("c.test"), .helo = STR("me")};
	(void)bench_submit(&b, &l);
	assert_int_equal(bench_answer(&b, SPOOL_DELIVERED, ""), 0);
	assert_int_equal(take(&b, 5, &batch), 1);
	assert_str(batch.v[0].nexthop, "[127.0.0.1]:10024");
	assert_int_equal(batch.v[0].n_due, 2);
	assert_str(batch.v[0].wish.client.ip, "192.0.2.9");
	assert_int_equal(batch.v[0].wish.client.port, 4321);
	answer(&b, &batch, SPOOL_DELIVERED, SPOOL_CONTACT_MADE, "250 ok");
	assert_int_equal(b.n_receipts, 0); /* the store never had it */
	assert_int_equal(bench_counts(&b).delivered, 2);
	bench_free(&b);
}

/* More than fits into memory is read as there is room, and one hop does not fill all of it. */
static void what_is_in_memory_is_bounded(void **state)
{
	struct bench b;
	(void)state;
	bench_init(&b);
	b.c.window = 60;
	b.c.lane_window = 20;
	bench_open(&b);
	for (int i = 0; i < 100; i++)
		(void)submit_to(&b, "s@x.test", "far.test", 3);
	(void)submit_to(&b, "s@x.test", "near.test", 1);
	for (int restart = 0; restart < 2; restart++) {
		struct spool_counts n = bench_counts(&b);
		assert_int_equal(n.by_state[SPOOL_QUEUED], 301);
		assert_true(n.in_memory <= 90);
		bench_close(&b);
		bench_open(&b);
	}
	size_t done = 0;
	bool near = false;
	for (int i = 0; i < 500 && done < 301; i++) {
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		size_t n = take(&b, 5, &batch);
		for (size_t k = 0; k < n; k++) {
			done += batch.v[k].n_due;
			near |= str_eq(batch.v[k].nexthop, STR("near.test"));
		}
		assert_true(near || i > 0 || n > 0);
		assert_true(bench_counts(&b).in_memory <= 90);
		answer(&b, &batch, SPOOL_DELIVERED, SPOOL_CONTACT_MADE, "250 ok");
	}
	assert_true(near);
	assert_int_equal(done, 301);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_QUEUED], 0);
	assert_int_equal(bench_counts(&b).in_memory, 0);
	bench_free(&b);
}

/* What is deferred leaves memory, and comes back in time. */
static void deferred_mail_is_not_in_memory(void **state)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct bench b;
	(void)state;
	advance_s(0);
	bench_init(&b);
	bench_open(&b);
	for (int i = 0; i < 5; i++)
		(void)submit_to(&b, "s@x.test", "far.test", 2);
	assert_int_equal(take(&b, 10, &batch), 5);
	answer(&b, &batch, SPOOL_DEFERRED, SPOOL_CONTACT_UNKNOWN, "later");
	spool_batch_clear(&batch);
	assert_int_equal(bench_counts(&b).in_memory, 0);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_DEFER], 10);
	assert_int_equal(take(&b, 10, &batch), 0);
	advance_s(299);
	assert_int_equal(take(&b, 10, &batch), 0);
	advance_s(2);
	assert_int_equal(take(&b, 10, &batch), 5);
	assert_int_equal(batch.v[0].n_due, 2);
	bench_free(&b);
	advance_s(0);
}

static void the_relay_dies(void **state)
{
	struct bench b;
	struct fail why = FAIL_INIT;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	for (int i = 0; i < 5; i++)
		(void)submit_to(&b, "s@x.test", i % 2 ? "far.test" : "near.test", 1);
	for (int death = 0; death < 3; death++) {
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		/* After two deaths they are suspects: one at a time. */
		assert_int_equal(take(&b, 10, &batch), death < 2 ? 5 : 1);
		if (death == 2) {
			AUTO(spool_batch) struct spool_batch none = SPOOL_BATCH_INIT;
			assert_int_equal(take(&b, 10, &none), 0);
		}
		spool_remote_died(b.sp);
		for (size_t i = 0; i < batch.n; i++)
			spool_over(b.sp, batch.v[i].nexthop, SPOOL_CONTACT_UNKNOWN, NULL, STR(""));
		assert_int_equal(bench_counts(&b).in_flight, 0);
		assert_int_equal(bench_counts(&b).transactions, 0);
	}
	assert_int_equal(bench_counts(&b).by_state[SPOOL_HELD], 1);
	assert_non_null(strstr(b.alerts, "is held"));
	for (int i = 0; i < 4; i++) {
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		assert_int_equal(take(&b, 10, &batch), 1);
		answer(&b, &batch, SPOOL_DELIVERED, SPOOL_CONTACT_MADE, "250 ok");
	}
	assert_int_equal(bench_order(&b, SPOOL_RELEASE, 0, &why), 1);
	bench_free(&b);
}

/* The one report that waits: its text. */
static struct str report_text(struct bench *b, struct arena *a)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct fail why = FAIL_INIT;
	spool_tick(b->sp);
	assert_ok(spool_take(b->sp, 0, 10, &batch, &why), &why);
	assert_int_equal(batch.n, 1);
	struct spool_result ok = {.outcome = SPOOL_DELIVERED};
	spool_done(b->sp, (struct spool_key){batch.v[0].number, batch.v[0].due[0].rcpt}, &ok);
	spool_drain(b->sp);
	return arena_str(a, batch.v[0].body);
}

static void assert_has(struct str s, const char *what)
{
	if (str_find_str(s, 0, str_c(what)) >= s.n)
		fail_msg("<%s> is missing in:\n%.*s", what, STR_ARG(s));
}

static void reports_name_the_server(void **state)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	for (int good = 0; good < 2; good++) {
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		struct letter l = letter("s@x.test", "Subject: y\r\n\r\ny\r\n", 1);
		l.rcpts[0].to = (struct destination){.address = STR("u@far.test")};
		l.rcpts[0].original = STR("alias@d.test");
		l.rcpts[0].orcpt = STR("rfc822;alias@d.test");
		l.rcpts[0].notify = SPOOL_NOTIFY_SUCCESS | SPOOL_NOTIFY_FAILURE;
		(void)bench_submit(&b, &l);
		assert_int_equal(take(&b, 10, &batch), 1);
		assert_str(batch.v[0].due[0].orcpt, "rfc822;alias@d.test");
		assert_int_equal(batch.v[0].due[0].notify, l.rcpts[0].notify);
		answer(&b, &batch, good ? SPOOL_DELIVERED : SPOOL_FAILED, SPOOL_CONTACT_MADE,
		       good ? "250 2.0.0 Ok" : "550 5.1.1 No such user");
		struct str text = report_text(&b, &a);
		assert_has(text, "Original-Recipient: rfc822;alias@d.test");
		assert_has(text, good ? "Action: relayed" : "Action: failed");
		assert_has(text, "Remote-MTA: dns;mx.far.test");
		if (!good)
			assert_has(text, "Diagnostic-Code: smtp;550 5.1.1 No such user");
	}
	{ /* A server that reports itself. */
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		struct letter l = letter("s@x.test", "x", 1);
		l.rcpts[0].to = (struct destination){.address = STR("u@far.test")};
		l.rcpts[0].notify = SPOOL_NOTIFY_SUCCESS;
		uint64_t number = bench_submit(&b, &l);
		uint64_t before = bench_counts(&b).dsns;
		assert_int_equal(take(&b, 10, &batch), 1);
		spool_done(b.sp, (struct spool_key){number, 0},
			   &(struct spool_result){.outcome = SPOOL_DELIVERED, .dsn_passed = true});
		spool_over(b.sp, STR("far.test"), SPOOL_CONTACT_MADE, NULL, STR(""));
		spool_drain(b.sp);
		assert_int_equal(bench_counts(&b).dsns, before);
	}
	for (unsigned never = 0; never < 2; never++) { /* RFC 2852: one that promises no time. */
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		struct letter l = letter("s@x.test", "x", 1);
		l.rcpts[0].to = (struct destination){.address = STR("u@far.test")};
		l.rcpts[0].notify = never ? SPOOL_NOTIFY_NEVER : 0;
		uint64_t number = bench_submit(&b, &l);
		uint64_t before = bench_counts(&b).dsns;
		assert_int_equal(take(&b, 10, &batch), 1);
		spool_done(b.sp, (struct spool_key){number, 0},
			   &(struct spool_result){.outcome = SPOOL_DELIVERED,
						  .dsn_passed = true,
						  .relaying_told = true});
		spool_over(b.sp, STR("far.test"), SPOOL_CONTACT_MADE, NULL, STR(""));
		spool_drain(b.sp);
		assert_int_equal(bench_counts(&b).dsns, before + !never);
	}
	bench_free(&b);
}

/* A report to another server fails: told to one address, and never again. */
static void double_bounces_end(void **state)
{
	struct bench b;
	(void)state;
	bench_init(&b);
	b.c.double_bounce_to = "postmaster@d.test";
	b.route_account.v = 0; /* whoever it is, elsewhere */
	bench_open(&b);
	(void)submit_to(&b, "forged@nowhere.test", "far.test", 1);
	for (int i = 0; i < 6; i++) {
		AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
		spool_tick(b.sp);
		size_t n = take(&b, 10, &batch);
		assert_int_equal(n, i < 3);
		if (i == 1)
			assert_str(batch.v[0].nexthop, "nowhere.test");
		if (i == 2)
			assert_str(batch.v[0].nexthop, "d.test");
		answer(&b, &batch, SPOOL_FAILED, SPOOL_CONTACT_MADE, "550 no");
	}
	assert_int_equal(bench_counts(&b).dsns, 2);
	bench_free(&b);
}

static void times_that_senders_give(void **state)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	struct bench b;
	(void)state;
	advance_s(0);
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "x", 1);
	l.rcpts[0].to = (struct destination){.address = STR("u@far.test")};
	l.rcpts[0].original = STR("u@far.test");
	l.m.wish.hold_until.v = l.m.arrival.v + 20000 * SEC_US;
	(void)bench_submit(&b, &l);
	l.m.wish = (struct spool_wishes){.deliver_by = {l.m.arrival.v + 100 * SEC_US},
					 .by = SPOOL_BY_RETURN};
	(void)bench_submit(&b, &l);
	assert_int_equal(take(&b, 10, &batch), 1); /* RFC 4865: the first waits */
	answer(&b, &batch, SPOOL_DEFERRED, SPOOL_CONTACT_UNKNOWN, "later");
	spool_batch_clear(&batch);
	advance_s(101); /* RFC 2852: the second has failed by then */
	assert_int_equal(take(&b, 10, &batch), 0);
	spool_drain(b.sp);
	assert_int_equal(bench_counts(&b).failed, 1);
	assert_non_null(strstr(b.events, "failed u@far.test 5.4.7"));
	bench_close(&b);
	bench_open(&b);
	advance_s(19800);
	assert_int_equal(take(&b, 10, &batch), 0);
	advance_s(200);
	assert_int_equal(take(&b, 10, &batch), 1);
	bench_free(&b);
	advance_s(0);
}

static int routed_local(void *ctx, const struct spool_question *q, struct arena *a,
			struct spool_route *ret, struct fail *why)
{
	struct destination *to = arena_array(a, struct destination, 2);
	(void)ctx;
	(void)why;
	assert_true(q->again && (q->sender.n == 0 || str_eqi(q->sender, STR("News@shop.test"))));
	to[0] = (struct destination){.account = {9}, .address = arena_str(a, q->address)};
	to[1] = (struct destination){.address = STR("copy@near.test")};
	*ret = (struct spool_route){.kind = SPOOL_ROUTE_OK, .dests = to, .n = 2};
	return 0;
}

static void orders_by_any_filter(void **state)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct bench b;
	struct fail why = FAIL_INIT;
	struct spool_row *rows = NULL;
	size_t n = 0;
	(void)state;
	bench_init(&b);
	b.c.route = routed_local;
	bench_open(&b);
	for (int i = 0; i < 5; i++)
		(void)submit_to(&b, i == 4 ? "" : "News@shop.test",
				i % 2 ? "far.test" : "near.test", 2);
	static const struct {
		struct spool_query q;
		int n;
	} cases[] = {
		{{0}, 10},
		{{.sender = {"news@*", 6}}, 8},
		{{.sender = {"<>", 2}}, 2},
		{{.domain = {"FAR.test", 8}}, 4},
		{{.nexthop = {"*.test", 6}}, 10},
		{{.nexthop = {"local", 5}}, 0},
		{{.rcpt = {"u1@near.test", 12}}, 3},
		{{.rcpt = {"u?@near.test", 12}, .sender = {"news@shop.test", 14}}, 4},
		{{.states = 1u << SPOOL_HELD}, 0},
		{{.size_min = 1000000}, 0},
		{{.number = 2}, 2},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_ok(spool_list(b.sp, &cases[i].q, &a, &rows, &n, &why), &why);
		assert_int_equal(n, cases[i].n);
		assert_int_equal(spool_carry_out(b.sp, SPOOL_HOLD, &cases[i].q, true, &why),
				 cases[i].n);
	}
	struct spool_query some = {.domain = STR("far.test"), .max = 2};
	assert_int_equal(spool_carry_out(b.sp, SPOOL_HOLD, &some, true, &why), 2);
	/* Pages. */
	struct spool_query page = {.max = 4};
	size_t all = 0;
	do {
		assert_ok(spool_list(b.sp, &page, &a, &rows, &n, &why), &why);
		all += n;
		if (n)
			page.after = rows[n - 1].key;
	} while (n > 0);
	assert_int_equal(all, 10);
	struct spool_query far = {.domain = STR("far.test")};
	assert_int_equal(spool_carry_out(b.sp, SPOOL_HOLD, &far, false, &why), 4);
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	assert_int_equal(take(&b, 10, &batch), 3);
	assert_str(batch.v[0].nexthop, "near.test");
	answer(&b, &batch, SPOOL_DELIVERED, SPOOL_CONTACT_MADE, "250 ok");
	/* Routed again: here, and a copy elsewhere, under numbers that were never used. */
	assert_int_equal(spool_carry_out(b.sp, SPOOL_REQUEUE, &far, false, &why), 4);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_ROUTING], 4);
	spool_tick(b.sp);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_ROUTING], 0);
	assert_ok(spool_list(b.sp, &(struct spool_query){.number = 2}, &a, &rows, &n, &why), &why);
	assert_int_equal(n, 4);
	assert_int_equal(rows[0].account.v, 9);
	assert_int_equal(rows[2].key.rcpt, 2);
	assert_str(rows[2].nexthop, "near.test");
	assert_int_equal(bench_answer(&b, SPOOL_DELIVERED, ""), 4);
	bench_free(&b);
}

/* A list is nobody's fault: its mail waits, beyond any lifetime, and the operator is told. */
static void a_list_waits(void **state)
{
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	struct letter l = letter("s@x.test", "x", 1);
	l.rcpts[0].to.account.v = 0;
	l.rcpts[0].to.transport = STR("mlmmj:lists.test/news");
	(void)bench_submit(&b, &l);
	advance_s(0);
	for (int i = 0; i < 4; i++) {
		spool_tick(b.sp);
		spool_drain(b.sp);
		assert_int_equal(bench_counts(&b).by_state[SPOOL_DEFER], 1);
		advance_s(3 * 86400);
	}
	assert_int_equal(bench_counts(&b).dsns, 0);
	assert_non_null(strstr(b.alerts, "mlmmj:lists.test/news"));
	advance_s(0);
	bench_free(&b);
}

/* Put it off once by its next hop, and wait until it is due again. */
static void defer_once(struct bench *b, const char *hop)
{
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	assert_int_equal(take(b, 10, &batch), 1);
	assert_str(batch.v[0].nexthop, hop);
	answer(b, &batch, SPOOL_DEFERRED, SPOOL_CONTACT_MADE, "451 later");
	advance_s(400);
}

/* When ways change, what waits follows at its next try; it keeps its tries, and is told once. */
static void ways_change(void **state)
{
	struct bench b;
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct spool_row *rows = NULL;
	size_t n = 0;
	(void)state;
	bench_init(&b);
	b.route_account.v = 0;
	b.c.retry_max_s = 300;
	bench_open(&b);
	advance_s(0);
	(void)submit_to(&b, "s@x.test", "far.test", 1);
	defer_once(&b, "far.test");
	spool_tick(b.sp);
	assert_int_equal(b.routed, 0); /* nothing has changed: nobody is asked */
	defer_once(&b, "far.test");
	/* They have, but not for this one: it goes on, and is not asked for again. */
	b.routes_changed = clock_wall();
	for (int i = 0; i < 3; i++) {
		advance_s(6);
		spool_tick(b.sp);
		assert_int_equal(b.routed, 1);
		defer_once(&b, "far.test");
	}
	/* Nobody can be asked, or nothing is left of its way: it keeps the one it has. */
	b.routes_changed = clock_wall();
	b.route_result = -1;
	advance_s(6);
	spool_tick(b.sp);
	defer_once(&b, "far.test");
	b.route_result = 0;
	b.route_kind = SPOOL_ROUTE_REFUSED;
	spool_tick(b.sp);
	defer_once(&b, "far.test");
	/* Another one. */
	b.routes_changed = clock_wall();
	b.route_kind = SPOOL_ROUTE_OK;
	b.route_transport = "smtp:[192.0.2.9]:25";
	advance_s(6);
	spool_tick(b.sp);
	assert_ok(spool_list(b.sp, &(struct spool_query){0}, &a, &rows, &n, &why), &why);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].attempts, 7);
	defer_once(&b, "[192.0.2.9]");
	/* An order does not wait for the clerk's next look. Here: a mailbox of ours. */
	b.routes_changed = clock_wall();
	b.route_account.v = 9;
	assert_int_equal(bench_order(&b, SPOOL_FLUSH, 0, &why), 1);
	spool_tick(b.sp);
	assert_int_equal(bench_answer(&b, SPOOL_DELIVERED, ""), 1);
	assert_int_equal(bench_counts(&b).by_state[SPOOL_QUEUED] +
				 bench_counts(&b).by_state[SPOOL_DEFER],
			 0);
	advance_s(0);
	bench_free(&b);
}

/* An address that leads to thousands, looked up over and over: an end, and it is told. */
static void not_more_places_than_fit(void **state)
{
	struct bench b;
	struct fail why = FAIL_INIT;
	(void)state;
	bench_init(&b);
	b.route_account.v = 0;
	b.route_n = 20000;
	bench_open(&b);
	uint64_t number = submit_to(&b, "s@x.test", "far.test", 4);
	for (int i = 0; i < 4; i++) {
		char name[32];
		(void)snprintf(name, sizeof name, "u%d@far.test", i);
		struct spool_query q = {.number = number, .rcpt = str_c(name)};
		assert_int_equal(spool_carry_out(b.sp, SPOOL_REQUEUE, &q, false, &why), 1);
		spool_tick(b.sp);
		spool_drain(b.sp);
	}
	assert_int_equal(bench_counts(&b).by_state[SPOOL_QUEUED], 3 * 20000);
	assert_int_equal(bench_counts(&b).failed, 1);
	assert_non_null(strstr(b.alerts, "more places"));
	assert_non_null(strstr(b.events, " 5.5.3 "));
	bench_free(&b);
}

static void run_sql(struct bench *b, const char *sql)
{
	struct fail why = FAIL_INIT;
	SPOOL_DB(b->sp);
	assert_ok(rows_run(b->sp, sql, NULL, 0, &why), &why);
}

/* An outcome that its own message refuses: the others are written, it is tried ever later, and
 * held. */
static void what_cannot_be_written_is_held(void **state)
{
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	advance_s(0);
	(void)submit_to(&b, "s@x.test", "far.test", 1);
	(void)submit_to(&b, "s@x.test", "near.test", 1);
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	assert_int_equal(take(&b, 10, &batch), 2);
	run_sql(&b, "UPDATE message SET sha256 = x'00' WHERE number = 1");
	for (size_t i = 0; i < batch.n; i++) {
		struct spool_result r = {.outcome = SPOOL_DELIVERED, .text = STR("250 ok")};
		spool_done(b.sp, (struct spool_key){batch.v[i].number, 0}, &r);
	}
	for (int i = 0; i < 1000 && bench_counts(&b).by_state[SPOOL_HELD] == 0; i++) {
		advance_s(20);
		usleep(20000);
	}
	spool_drain(b.sp);
	struct spool_counts n = bench_counts(&b);
	assert_int_equal(n.by_state[SPOOL_HELD], 1);
	assert_int_equal(n.by_state[SPOOL_QUEUED], 0);
	assert_int_equal(n.delivered, 1);
	assert_int_equal(n.in_flight, 0);
	assert_non_null(
		strstr(b.alerts, "message 1 is held: it was delivered (2.0.0), which cannot"));
	advance_s(0);
	bench_free(&b);
}

/* A recipient whose message is not there any more. */
static void a_message_that_is_gone(void **state)
{
	struct bench b;
	(void)state;
	bench_init(&b);
	bench_open(&b);
	(void)submit_to(&b, "s@x.test", "far.test", 2);
	AUTO(spool_batch) struct spool_batch batch = SPOOL_BATCH_INIT;
	assert_int_equal(take(&b, 10, &batch), 1);
	run_sql(&b, "PRAGMA foreign_keys = OFF");
	run_sql(&b, "DELETE FROM message");
	answer(&b, &batch, SPOOL_FAILED, SPOOL_CONTACT_MADE, "550 no");
	struct spool_counts n = bench_counts(&b);
	assert_int_equal(n.in_memory + n.by_state[SPOOL_QUEUED] + n.dsns, 0);
	bench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_transaction_per_message_and_hop),
		cmocka_unit_test(a_window_opens_and_closes),
		cmocka_unit_test(hops_senders_and_messages_take_turns),
		cmocka_unit_test(the_higher_priority_goes_first),
		cmocka_unit_test(what_needs_no_server),
		cmocka_unit_test(the_filter_comes_first),
		cmocka_unit_test(what_is_in_memory_is_bounded),
		cmocka_unit_test(deferred_mail_is_not_in_memory),
		cmocka_unit_test(the_relay_dies),
		cmocka_unit_test(reports_name_the_server),
		cmocka_unit_test(double_bounces_end),
		cmocka_unit_test(times_that_senders_give),
		cmocka_unit_test(orders_by_any_filter),
		cmocka_unit_test(a_list_waits),
		cmocka_unit_test(ways_change),
		cmocka_unit_test(not_more_places_than_fit),
		cmocka_unit_test(what_cannot_be_written_is_held),
		cmocka_unit_test(a_message_that_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
