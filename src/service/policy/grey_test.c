/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/spf/spf_testing.h"
#include "service/policy/grey.h"
#include "service/policy/netset.h"
#include "service/policy/policy_testing.h"

#define NOW	   (INT64_C(1700000000) * SEC_US)
#define LATER	   "451 4.7.1 Intentional policy rejection, please try again later"
#define Q(f, t, c) "sender=" f "\nrecipient=" t "\nclient_address=" c "\nhelo_name=h.test\n"
#define ONE	   Q("a@far.test", "b@example.test", "192.0.2.1")

static void begin(struct place *p)
{
	place_begin(p);
	p->settings.off[POLICY_RULE_GREYLISTING] = false;
	p->settings.off[POLICY_RULE_LOGIN_MISMATCH] = true; /* logins of these are as they come */
	p->now.v = NOW;
}

static void wait_s(struct place *p, int64_t seconds)
{
	p->now.v += seconds * SEC_US;
}

static void reopen(struct place *p)
{
	policy_close(p->policy);
	place_open(p);
}

static const char *why(struct place *p)
{
	return place_step(p, "greylisting")->verdict.why;
}

static void a_triplet(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_says(&p, ONE, LATER);
	assert_non_null(strstr(why(&p), "never seen: 300 s"));
	wait_s(&p, 299);
	place_says(&p, ONE, LATER);
	assert_non_null(strstr(why(&p), "too soon: 1 s"));
	wait_s(&p, 1);
	place_says(&p, Q("a+x@far.test", "b+y@example.test", "192.0.2.99"), "DUNNO");
	assert_string_equal(why(&p), "192.0.2.0/24 has waited and came again");
	place_says(&p, Q("other@far2.test", "c@example.test", "192.0.2.7"), "DUNNO");
	assert_string_equal(why(&p), "192.0.2.0/24 has passed before");
	place_says(&p, Q("a@far.test", "b@example.test", "192.0.3.1"), LATER);
	place_end(&p);
}

static void expiry(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_says(&p, ONE, LATER);
	wait_s(&p, 86400); /* too late: it begins anew */
	place_says(&p, ONE, LATER);
	assert_non_null(strstr(why(&p), "never seen"));
	wait_s(&p, 300);
	place_says(&p, ONE, "DUNNO");
	wait_s(&p, INT64_C(29) * 86400);
	place_says(&p, ONE, "DUNNO"); /* prolongs */
	wait_s(&p, INT64_C(29) * 86400);
	place_says(&p, ONE, "DUNNO");
	wait_s(&p, INT64_C(30) * 86400);
	place_says(&p, ONE, LATER);
	place_end(&p);
}

static void networks(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_says(&p, Q("a@far.test", "b@example.test", "2001:db8:1:2::1"), LATER);
	wait_s(&p, 300);
	place_says(&p, Q("a@far.test", "b@example.test", "2001:db8:1:3::1"), LATER);
	place_says(&p, Q("a@far.test", "b@example.test", "2001:db8:1:2:ffff::9"), "DUNNO");
	assert_string_equal(why(&p), "2001:db8:1:2::/64 has waited and came again");
	p.settings.greylist.bits4 = 32;
	place_says(&p, ONE, LATER);
	wait_s(&p, 300);
	place_says(&p, Q("a@far.test", "b@example.test", "192.0.2.2"), LATER);
	place_says(&p, Q("a@far.test", "b@example.test", "::ffff:192.0.2.1"), "DUNNO");
	place_end(&p);
}

static void over_at_the_start(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_says(&p, ONE, LATER);
	reopen(&p); /* long ago by the real clock: it is over */
	wait_s(&p, 300);
	place_says(&p, ONE, LATER);
	place_end(&p);
}

/* Rows are read by the real clock. */
static void survives(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	p.now = clock_wall();
	place_says(&p, ONE, LATER);
	place_says(&p, ONE, LATER);
	place_says(&p, Q("z@far.test", "b@example.test", "192.0.2.1"), LATER);
	reopen(&p);
	assert_int_equal(place_number(&p, "SELECT count(*) FROM greylisting_tracking"), 2);
	assert_int_equal(place_number(&p, "SELECT blocked_count FROM greylisting_tracking WHERE"
					  " sender = 'a@far.test' AND sender_domain = 'far.test'"
					  " AND rcpt_domain = 'example.test' AND passed = 0"
					  " AND client_address = '192.0.2.0/24'"),
			 2);
	wait_s(&p, 300);
	place_says(&p, ONE, "DUNNO");
	reopen(&p);
	assert_int_equal(place_number(&p, "SELECT count(*) FROM greylisting_tracking"), 1);
	assert_int_equal(place_number(&p, "SELECT passed FROM greylisting_tracking"), 1);
	place_says(&p, Q("new@far.test", "new@example.test", "192.0.2.200"), "DUNNO");
	place_sql(&p, "UPDATE greylisting_tracking SET client_address = '192.0.2.200'");
	reopen(&p); /* as the reference wrote it */
	place_says(&p, Q("new@far.test", "new@example.test", "192.0.2.200"), "DUNNO");
	place_says(&p, Q("new@far.test", "new@example.test", "192.0.2.201"), LATER);
	place_end(&p);
}

static void who_is_asked(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_says(&p, ONE "sasl_username=b@example.test\n", "DUNNO");
	place_says(&p, Q("a@far.test", "b@example.test", "127.0.0.1"), "DUNNO");
	place_says(&p, Q("a@far.test", "b@example.test", ""), "DUNNO");
	place_says(&p, Q("", "b@example.test", "192.0.2.1"), LATER);
	place_sql(&p, "DELETE FROM greylisting");
	place_says(&p, ONE, "DUNNO");
	assert_string_equal(why(&p), "no setting of this recipient asks for it");
	place_sql(&p, "INSERT INTO greylisting (account, priority, sender, sender_priority, active)"
		      " VALUES ('@example.test', 60, '@.', 0, 1), ('B@Example.test', 100,"
		      " '@far.test', 60, 0), ('b@example.test', 100, '192.0.2.0/24', 70, 1),"
		      " ('@.', 0, 'boss@far.test', 100, 0)");
	place_says(&p, ONE, LATER); /* the sender's network has the higher priority */
	place_says(&p, Q("a@far.test", "b@example.test", "198.51.100.1"), "DUNNO");
	place_says(&p, Q("a@far.test", "c@example.test", "198.51.100.1"), LATER);
	place_says(&p, Q("boss@far.test", "c@example.test", "198.51.100.1"), LATER);
	place_says(&p, Q("boss@far.test", "c@backup.test", "198.51.100.1"), "DUNNO");
	place_says(&p, Q("a@far.test", "b@alias.test", "198.51.100.1"), "DUNNO");
	place_says(&p, Q("a@far.test", "c@alias.test", "198.51.100.1"), LATER);
	place_end(&p);
}

static void white_lists(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_sql(
		&p,
		"INSERT INTO greylisting_whitelists (account, sender) VALUES"
		" ('@.', '192.0.2.64/26'), ('@.', '@.good.test'), ('c@example.test', 'a@far.test'),"
		" ('@.', '198.51.100.7'), ('@.', '203.0.113.*')");
	place_sql(&p,
		  "INSERT INTO greylisting_whitelist_domain_spf (account, sender, comment) VALUES"
		  " ('@.', '2001:db8:4000::/36', 'AUTO-UPDATE: big.test')");
	place_says(&p, Q("a@far.test", "b@example.test", "192.0.2.63"), LATER);
	place_says(&p, Q("a@far.test", "b@example.test", "192.0.2.64"), "DUNNO");
	place_says(&p, Q("a@x.good.test", "b@example.test", "192.0.2.1"), "DUNNO");
	place_says(&p, Q("a@far.test", "c@example.test", "192.0.2.1"), "DUNNO");
	place_says(&p, Q("a@far.test", "b@example.test", "198.51.100.7"), "DUNNO");
	place_says(&p, Q("a@far.test", "b@example.test", "203.0.113.5"), "DUNNO");
	place_says(&p, Q("a@far.test", "b@example.test", "2001:db8:4fff::1"), "DUNNO");
	assert_string_equal(why(&p), "on the white list of @.: AUTO-UPDATE: big.test");
	place_says(&p, Q("a@far.test", "b@example.test", "2001:db8:5000::1"), LATER);
	place_end(&p);
}

static struct spf_zone zone = {.text = STR("far.test\tTXT\tv=spf1 ip4:192.0.2.0/25 -all\n"
					   "open.test\tTXT\tv=spf1 +all\n"
					   "slow.test\tTIMEOUT\n"
					   "h.test\tTXT\tv=spf1 ip4:203.0.113.9 -all\n")};

static void from_zone(void *ctx, struct str name, enum dns_type type, unsigned wait_ms,
		      struct arena *a, struct dns_answer *ret)
{
	(void)ctx;
	(void)wait_ms;
	zone_ask(&zone, name, type, a, ret);
}

static void spf(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	p.ask.dns = from_zone;
	place_says(&p, ONE, "DUNNO");
	assert_string_equal(why(&p), "SPF of far.test passes by ip4:192.0.2.0/25");
	place_says(&p, Q("a@far.test", "b@example.test", "192.0.2.128"), LATER);
	place_says(&p, Q("a@open.test", "b@example.test", "192.0.2.1"), LATER);
	place_says(&p, Q("a@slow.test", "b@example.test", "192.0.2.1"), LATER);
	place_says(&p, Q("", "b@example.test", "203.0.113.9"), "DUNNO");
	p.settings.greylist.spf = false;
	place_says(&p, ONE, LATER);
	place_end(&p);
}

static void well_known(void **state)
{
	struct place p;
	size_t failed;
	(void)state;
	begin(&p);
	p.ask.dns = from_zone;
	place_sql(&p, "DELETE FROM greylisting_whitelist_domains;"
		      "INSERT INTO greylisting_whitelist_domains (domain) VALUES ('Far.test'),"
		      " ('slow.test'), ('open.test'), ('gone.test')");
	assert_int_equal(policy_refresh_domains(p.policy, &p.ask, p.now, 100, &failed), 4);
	assert_int_equal(failed, 3); /* +all names no network */
	assert_int_equal(place_number(&p,
				      "SELECT count(*) FROM greylisting_whitelist_domain_spf WHERE"
				      " account = '@.' AND sender = '192.0.2.0/25' AND"
				      " comment = 'AUTO-UPDATE: far.test'"),
			 1);
	p.ask.dns = NULL;
	place_says(&p, Q("x@other.test", "b@example.test", "192.0.2.3"), "DUNNO");
	p.ask.dns = from_zone;
	unsigned asked = zone.asked;
	assert_int_equal(policy_refresh_domains(p.policy, &p.ask, p.now, 100, &failed), 0);
	assert_int_equal(zone.asked, asked);
	wait_s(&p, 60); /* after longer and longer pauses */
	assert_int_equal(policy_refresh_domains(p.policy, &p.ask, p.now, 100, &failed), 3);
	wait_s(&p, 119);
	assert_int_equal(policy_refresh_domains(p.policy, &p.ask, p.now, 100, &failed), 0);
	wait_s(&p, 1);
	assert_int_equal(policy_refresh_domains(p.policy, &p.ask, p.now, 100, &failed), 3);
	place_sql(&p, "DELETE FROM greylisting_whitelist_domains WHERE domain = 'far.test'");
	assert_int_equal(policy_refresh_domains(p.policy, &p.ask, p.now, 100, &failed), 0);
	assert_int_equal(place_number(&p, "SELECT count(*) FROM greylisting_whitelist_domain_spf"),
			 0);
	p.ask.dns = NULL;
	place_says(&p, Q("x@other.test", "b@example.test", "192.0.2.3"), LATER);
	place_end(&p);
}

static void training_and_rehearsal(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	p.dry = true;
	place_says(&p, ONE, LATER);
	wait_s(&p, 300);
	place_says(&p, ONE, LATER); /* nothing was recorded */
	p.dry = false;
	p.settings.greylist.training = true;
	place_says(&p, ONE, "DUNNO");
	assert_non_null(strstr(why(&p), "training"));
	wait_s(&p, 300);
	p.settings.greylist.training = false;
	p.dry = true;
	place_says(&p, ONE, "DUNNO");
	assert_non_null(strstr(why(&p), "came again"));
	place_end(&p);
}

static void bounded(void **state)
{
	struct place p;
	size_t clients;
	(void)state;
	begin(&p);
	struct grey_state *s = policy_state(p.policy, POLICY_PART_GREY);
	struct grey_triplet t = {.recipient = STR("b@example.test"),
				 .network = STR("192.0.2.0/24"),
				 .client = STR("192.0.2.1"),
				 .now = 1000,
				 .settings = &p.settings.greylist};
	for (unsigned i = 0; i < GREY_WAITING_MAX + 50; i++) {
		char sender[40];
		int n = snprintf(sender, sizeof sender, "s%u@far.test", i);
		t.sender = str_make(sender, (size_t)n);
		assert_int_equal(grey_judge(s, &t, false).what, GREY_NEW);
	}
	assert_int_equal(grey_count(s, &clients), GREY_WAITING_MAX);
	t.now += 300;
	t.sender = STR("s49@far.test"); /* the first have gone */
	assert_int_equal(grey_judge(s, &t, true).what, GREY_NEW);
	t.sender = STR("s60@far.test");
	assert_int_equal(grey_judge(s, &t, true).what, GREY_PASSES);
	place_end(&p);
}

static void sweeps(void **state)
{
	struct place p;
	struct fail failed = FAIL_INIT;
	size_t clients;
	(void)state;
	begin(&p);
	p.now = clock_wall();
	place_says(&p, ONE, LATER);
	place_await(&p, "SELECT count(*) FROM greylisting_tracking", 1);
	struct db *db = policy_db_enter(p.policy);
	void *s = policy_state(p.policy, POLICY_PART_GREY);
	struct wall_us later = {p.now.v + INT64_C(86401) * SEC_US};
	assert_ok(policy_part_grey.sweep(s, db, &p.settings.keep, later, &failed), &failed);
	policy_db_leave(p.policy, false);
	assert_int_equal(place_number(&p, "SELECT count(*) FROM greylisting_tracking"), 0);
	assert_int_equal(grey_count(s, &clients), 0);
	place_end(&p);
}

/* More than one sweep deletes: it goes on until nothing is left. */
static void sweeps_on(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_sql(&p, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <"
		      " 30000) INSERT INTO greylisting_tracking (sender, record_expired)"
		      " SELECT i || '@far.test', 1000 FROM n");
	reopen(&p);
	place_await(&p, "SELECT count(*) FROM greylisting_tracking", 0);
	place_end(&p);
}

/* Users write to many people: rows that are learned leave the operator's alone, and the newest
 * count. */
static void learned(void **state)
{
	struct place p;
	struct fail failed = FAIL_INIT;
	(void)state;
	begin(&p);
	place_sql(&p, "INSERT INTO greylisting_whitelists (account, sender, comment) VALUES"
		      " ('b@example.test', '@told.test', '')");
	place_sql(&p,
		  "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <"
		  " 100010) INSERT INTO greylisting_whitelists (account, sender, comment)"
		  " SELECT 'b@example.test', 'p' || i || '@far.test', '" GREY_LEARNED "' FROM n");
	place_says(&p, Q("x@told.test", "b@example.test", "192.0.2.1"), "DUNNO");
	place_says(&p, Q("p100010@far.test", "b@example.test", "192.0.2.1"), "DUNNO");
	place_says(&p, Q("p11@far.test", "b@example.test", "192.0.2.1"), "DUNNO");
	place_says(&p, Q("p10@far.test", "b@example.test", "192.0.2.1"), LATER);
	struct db *db = policy_db_enter(p.policy);
	void *s = policy_state(p.policy, POLICY_PART_OUTBOUND);
	assert_ok(policy_part_outbound.sweep(s, db, &p.settings.keep, clock_wall(), &failed),
		  &failed);
	policy_db_leave(p.policy, false);
	assert_int_equal(place_number(&p, "SELECT count(*) FROM greylisting_whitelists"), 100001);
	assert_int_equal(place_number(&p, "SELECT count(*) FROM greylisting_whitelists WHERE"
					  " sender IN ('p11@far.test', '@told.test')"),
			 2);
	place_end(&p);
}

static bool note(void *ctx, const struct netset_row *row)
{
	(void)buf_addf(ctx, "%.*s ", STR_ARG(row->account));
	return true;
}

static void many_networks(void **state)
{
	struct netset s = {0};
	(void)state;
	static const char *const rows[] = {"10.0.0.0/8",    "192.0.2.0/24", "192.0.2.128/25",
					   "2001:db8::/32", "0.0.0.0/0",    "198.51.100.1"};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct netset_row row = {.account = str_c(rows[i])};
		assert_true(netcidr_parse(str_c(rows[i]), &row.net));
		netset_add(&s, &row);
	}
	netset_sort(&s);
	assert_int_equal(s.groups, 6);
	static const struct {
		const char *ip, *lists;
	} asks[] = {{"192.0.2.200", "0.0.0.0/0 192.0.2.0/24 192.0.2.128/25 "},
		    {"192.0.2.1", "0.0.0.0/0 192.0.2.0/24 "},
		    {"10.255.255.255", "0.0.0.0/0 10.0.0.0/8 "},
		    {"198.51.100.1", "0.0.0.0/0 198.51.100.1 "},
		    {"2001:db8:ffff::1", "2001:db8::/32 "},
		    {"2001:db9::1", ""}};
	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(4));
		struct netaddr a;
		assert_true(netaddr_parse(str_c(asks[i].ip), &a));
		netset_each(&s, &a, note, &b);
		assert_str(buf_str(&b), asks[i].lists);
	}
	netset_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_triplet),
		cmocka_unit_test(expiry),
		cmocka_unit_test(networks),
		cmocka_unit_test(over_at_the_start),
		cmocka_unit_test(survives),
		cmocka_unit_test(who_is_asked),
		cmocka_unit_test(white_lists),
		cmocka_unit_test(spf),
		cmocka_unit_test(bounded),
		cmocka_unit_test(well_known),
		cmocka_unit_test(training_and_rehearsal),
		cmocka_unit_test(many_networks),
		cmocka_unit_test(sweeps),
		cmocka_unit_test(sweeps_on),
		cmocka_unit_test(learned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
