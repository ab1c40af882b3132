/* SPDX-License-Identifier: Apache-2.0 */
#include "service/policy/policy_testing.h"
#include "service/policy/throttle.h"

#define NOW	 (INT64_C(1700000000) * SEC_US)
#define OVER	 "451 4.7.1 Throttling quota exceeded"
#define BIG	 "554 5.7.1 Message size is too large"
#define MANY	 "554 5.7.1 Too many recipients in single message"
#define END	 "protocol_state=END-OF-MESSAGE\n"
#define LOGIN	 "sasl_username=a@example.test\nsender=a@example.test\n"
#define OUT(n)	 END LOGIN "client_address=192.0.2.1\nrecipient_count=" #n "\nsize=1000\n"
#define IN(f, t) END "sender=" f "\nrecipient=" t "\nclient_address=192.0.2.9\nsize=1000\n"
#define COLUMNS                                                                                    \
	"INSERT INTO throttle (account, kind, priority, period, msg_size, max_msgs,"               \
	" max_quota, max_rcpts) VALUES "

static void begin(struct place *p)
{
	place_begin(p);
	p->now.v = NOW;
}

static const char *why(struct place *p)
{
	return place_step(p, "throttle")->verdict.why;
}

static void messages(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_says(&p, OUT(3), "DUNNO");
	assert_string_equal(why(&p), "there are no rows");
	place_sql(&p, COLUMNS "('@example.test', 'outbound', 60, 60, -1, 5, -1, -1)");
	place_says(&p, OUT(3), "DUNNO");
	p.dry = true;
	place_says(&p, OUT(3), OVER);
	assert_false(p.verdict.notify);
	p.dry = false;
	place_says(&p, OUT(3), OVER);
	assert_string_equal(why(&p),
			    "a@example.test: 3 of 5 messages within 60 s are used, for 60 s more");
	assert_true(p.verdict.notify);
	place_says(&p, OUT(3), OVER);
	assert_false(p.verdict.notify); /* once in a period */
	place_says(&p, OUT(2), "DUNNO");
	place_says(&p, END "sasl_username=b@example.test\nsender=b@example.test\nsize=1\n",
		   "DUNNO");
	p.now.v += 60 * SEC_US;
	place_says(&p, OUT(5), "DUNNO");
	place_says(&p, OUT(1), OVER);
	assert_true(p.verdict.notify);
	p.settings.throttle.reject = true;
	place_says(&p, OUT(1), "554 5.7.1 Throttling quota exceeded");
	place_end(&p);
}

static void one_message(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_sql(&p, COLUMNS "('a@example.test', 'outbound', 100, 0, 999, -1, -1, 3)");
	place_says(&p, OUT(1), BIG); /* without a period, too */
	place_sql(&p, "UPDATE throttle SET msg_size = 1000");
	place_says(&p, OUT(3), "DUNNO");
	place_says(&p, OUT(4), MANY);
	place_sql(&p, COLUMNS "('@.', 'outbound', 0, 60, 10, -1, -1, 2)");
	place_says(&p, OUT(3), "DUNNO"); /* the higher priority says it */
	place_sql(&p, "UPDATE throttle SET max_rcpts = -1 WHERE priority = 100");
	place_says(&p, OUT(3), MANY);
	place_sql(&p, "UPDATE throttle SET max_rcpts = 0 WHERE priority = 100");
	place_says(&p, OUT(300), "DUNNO"); /* without a limit, and no further row counts */
	place_end(&p);
}

static void quota(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_sql(&p, COLUMNS "('@.', 'outbound', 0, 60, -1, -1, 2500, -1)");
	place_says(&p, OUT(1), "DUNNO");
	place_says(&p, OUT(1), "DUNNO");
	place_says(&p, OUT(1), OVER); /* not one message too many */
	assert_non_null(strstr(why(&p), "2000 of 2500 octets"));
	place_sql(&p, "UPDATE throttle SET max_quota = 5000000000");
	place_says(&p, END LOGIN "size=4999998000\n", "DUNNO");
	place_says(&p, OUT(1), OVER);
	place_end(&p);
}

static void inbound(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_sql(&p, COLUMNS "('b@example.test', 'inbound', 100, 60, -1, 1, -1, -1)");
	place_says(&p, "sender=x@far.test\nrecipient=b@example.test\nclient_address=192.0.2.9\n",
		   "DUNNO"); /* at RCPT nothing is counted */
	place_says(&p, IN("x@far.test", "b@example.test"), "DUNNO");
	place_says(&p, "sender=x@far.test\nrecipient=b@example.test\nclient_address=192.0.2.9\n",
		   OVER);
	assert_true(p.verdict.notify); /* once */
	place_says(&p, "sender=x@far.test\nrecipient=b@example.test\nclient_address=192.0.2.9\n",
		   OVER);
	assert_false(p.verdict.notify);
	place_says(&p, "sender=x@far.test\nrecipient=c@example.test\nclient_address=192.0.2.9\n",
		   "DUNNO");
	place_says(&p, IN("y@far.test", "b@example.test"), OVER);
	place_says(&p, IN("x@far.test", "c@example.test"), "DUNNO");
	place_says(&p, IN("x@example.test", "b@example.test"), "DUNNO"); /* within a domain */
	p.settings.throttle.same_domain = false;
	place_says(&p, IN("x@example.test", "b@example.test"), OVER);
	place_end(&p);
}

static void external(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_sql(&p, COLUMNS "('@ip', 'external', 10, 60, -1, 2, -1, -1)");
	place_says(&p, IN("x@far.test", "b@example.test"), "DUNNO");
	place_says(&p, IN("y@far.test", "c@example.test"), "DUNNO");
	place_says(&p, IN("z@far.test", "d@example.test"), OVER);
	assert_non_null(strstr(why(&p), "192.0.2.9: 2 of 2"));
	place_says(&p,
		   END "sender=z@far.test\nrecipient=d@example.test\nclient_address=192.0.2.10\n",
		   "DUNNO");
	place_sql(&p, "UPDATE throttle SET account = '192.0.2.0/24', max_msgs = 1");
	place_says(&p,
		   END "sender=z@far.test\nrecipient=d@example.test\nclient_address=192.0.2.10\n",
		   "DUNNO");
	place_says(&p, IN("x@far.test", "b@example.test"), OVER); /* the network as a whole */
	place_sql(&p, "UPDATE throttle SET account = 'joe@*', id = 70");
	place_says(&p, IN("joe@far.test", "b@example.test"), "DUNNO");
	place_says(&p, IN("joe@near.test", "b@example.test"), OVER);
	place_end(&p);
}

/* Each sender has a limit of its own, and strangers make up as many as they like. */
static void told(void **state)
{
	struct place p;
	unsigned n[2] = {0};
	(void)state;
	begin(&p);
	p.now.v = INT64_C(1700000000) * SEC_US;
	place_sql(&p, COLUMNS "('@.', 'external', 0, 60, -1, -1, 5, -1)");
	for (unsigned i = 0; i < 60; i++) {
		char mail[200];
		if (i == 30)
			p.now.v += INT64_C(3600) * SEC_US;
		(void)snprintf(mail, sizeof mail,
			       END "size=6\nsender=s%u@far.test\nrecipient=b@example.test\n"
				   "client_address=192.0.2.9\n",
			       i);
		place_says(&p, mail, OVER);
		n[i >= 30] += p.verdict.notify;
	}
	assert_int_equal(n[0], THROTTLE_TOLD_MAX);
	assert_int_equal(n[1], THROTTLE_TOLD_MAX);
	place_end(&p);
}

static void survives(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	p.now = clock_wall();
	place_sql(&p, COLUMNS "('@.', 'outbound', 0, 3600, -1, 5, -1, -1)");
	place_says(&p, OUT(4), "DUNNO");
	place_says(&p, OUT(4), OVER);
	assert_true(p.verdict.notify);
	policy_close(p.policy);
	place_open(&p);
	assert_int_equal(place_number(&p,
				      "SELECT cur_msgs FROM throttle_tracking WHERE account ="
				      " 'a@example.test' AND cur_quota = 1000 AND period = 3600"),
			 4);
	place_says(&p, OUT(4), OVER);
	assert_false(p.verdict.notify);
	place_says(&p, OUT(1), "DUNNO");
	place_await(&p, "SELECT cur_msgs FROM throttle_tracking", 5);
	place_sql(&p, "DELETE FROM throttle");
	assert_int_equal(place_number(&p, "SELECT count(*) FROM throttle_tracking"), 0);
	place_says(&p, OUT(4), "DUNNO");
	place_end(&p);
}

static void bounded(void **state)
{
	struct place p;
	struct throttle_excess x;
	(void)state;
	begin(&p);
	struct throttle_state *s = policy_state(p.policy, POLICY_PART_THROTTLE);
	struct throttle_use u = {
		.row = 1, .period_s = 60, .messages_max = 1, .quota_max = -1, .messages = 1};
	for (unsigned i = 0; i < THROTTLE_COUNTERS_MAX + 10; i++) {
		char key[40];
		int n = snprintf(key, sizeof key, "u%u@far.test", i);
		u.key = str_make(key, (size_t)n);
		assert_true(throttle_count(s, &u, 1, 1000, THROTTLE_COUNT, &x));
	}
	u.key = STR("u15@far.test");
	assert_false(throttle_count(s, &u, 1, 1000, THROTTLE_DRY, &x));
	u.key = STR("u5@far.test");
	assert_true(throttle_count(s, &u, 1, 1000, THROTTLE_DRY, &x));
	struct throttle_use twice[2] = {u, u};
	assert_false(throttle_count(s, twice, 2, 1000, THROTTLE_COUNT, &x));
	u.messages = INT64_MAX;
	assert_false(throttle_count(s, &u, 1, 1000, THROTTLE_COUNT, &x));
	place_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages), cmocka_unit_test(one_message),
		cmocka_unit_test(quota),    cmocka_unit_test(inbound),
		cmocka_unit_test(external), cmocka_unit_test(survives),
		cmocka_unit_test(bounded),  cmocka_unit_test(told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
