/* SPDX-License-Identifier: Apache-2.0 */
#include "service/policy/orders.h"
#include "service/policy/policy_testing.h"

static struct policy_scope everything = {.everything = true};

/* "greylist list": its rows, cells parted by "|", rows by lines, and the message. */
static int order_as(struct place *p, const struct policy_scope *scope, const char *words,
		    struct buf *ret, struct fail *why)
{
	struct str args[40], rest = str_c(words);
	struct policy_order o = {
		.settings = &p->settings, .ask = &p->ask, .scope = scope, .args = args};
	struct policy_answer answer;
	arena_reset(&p->arena);
	buf_reset(ret);
	*why = FAIL_INIT;
	while (str_cut(&rest, ' ', &args[o.n]))
		o.n++;
	int r = policy_order(p->policy, &o, &p->arena, &answer, why);
	for (size_t i = 0; r >= 0 && i < answer.n_cells; i++)
		(void)buf_addf(ret, "%.*s%s", STR_ARG(answer.cells[i]),
			       (i + 1) % answer.n_columns ? "|" : "\n");
	if (r >= 0)
		(void)buf_add(ret, answer.message);
	return r;
}

static void says(struct place *p, const char *words, const char *want)
{
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	struct fail why;
	int r = order_as(p, &everything, words, &b, &why);
	if (r < 0 || !str_eq(buf_str(&b), str_c(want)))
		fail_msg("%s: %d %s %s\n%s", words, r, why.public, why.detail, buf_c(&b));
}

static void refuses(struct place *p, const struct policy_scope *scope, const char *words,
		    enum fail_code code)
{
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	struct fail why;
	int r = order_as(p, scope, words, &b, &why);
	if (r != -(int)code)
		fail_msg("%s: %d %s", words, r, why.detail);
}

static void greylist(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p);
	p.settings.off[POLICY_RULE_GREYLISTING] = false;
	says(&p, "greylist list", "@.|@.|yes|0/0|everybody\n");
	says(&p, "greylist disable B@example.test --from @Far.test --comment us", "");
	says(&p, "greylist list b@example.test", "b@example.test|@far.test|no|100/60|us\n");
	says(&p, "greylist enable b@example.test --from @far.test", "");
	says(&p, "greylist list b@example.test", "b@example.test|@far.test|yes|100/60|us\n");
	says(&p, "greylist delete b@example.test --from @far.test", "");
	refuses(&p, &everything, "greylist delete b@example.test", FAIL_NOTFOUND);
	refuses(&p, &everything, "greylist enable nonsense", FAIL_SYNTAX);
	refuses(&p, &everything, "greylist enable @. --fro @x.test", FAIL_SYNTAX);
	says(&p, "greylist whitelist add 192.0.2.0/24 --comment office", "");
	says(&p, "greylist whitelist list", "@.|192.0.2.0/24|office\n");
	place_says(&p, "sender=a@x.test\nrecipient=b@example.test\nclient_address=192.0.2.1\n",
		   "DUNNO");
	says(&p, "greylist whitelist delete 192.0.2.0/24", "");
	place_says(&p, "sender=a@x.test\nrecipient=b@example.test\nclient_address=192.0.2.1\n",
		   "451 4.7.1 Intentional policy rejection, please try again later");
	place_await(&p, "SELECT count(*) FROM greylisting_tracking", 1);
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	struct fail why;
	assert_ok(order_as(&p, &everything, "greylist seen x.test", &b, &why), &why);
	assert_non_null(strstr(buf_c(&b), "a@x.test|b@example.test|192.0.2.0/24|waits|1|"));
	says(&p, "greylist seen y.test", "");
	place_sql(&p, "DELETE FROM greylisting_whitelist_domains");
	says(&p, "greylist domain add Big.test", "");
	says(&p, "greylist domain list", "big.test|0|\n");
	says(&p, "greylist domain delete big.test", "");
	refuses(&p, &everything, "greylist domain add not_a/domain!", FAIL_SYNTAX);
	place_end(&p);
}

static void throttle(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p);
	says(&p, "throttle add @example.test --period 1h --messages 100 --quota 10MiB", "");
	says(&p, "throttle list", "@example.test|outbound|3600|-1|100|10485760|-1|60\n");
	says(&p, "throttle add @example.test --kind inbound --size 1KiB --recipients 5", "");
	refuses(&p, &everything, "throttle add @. --messages 5", FAIL_SYNTAX);
	refuses(&p, &everything, "throttle add @. --kind sideways --size 5", FAIL_SYNTAX);
	refuses(&p, &everything, "throttle add @. --size 5parsecs", FAIL_SYNTAX);
	place_says(&p,
		   "protocol_state=END-OF-MESSAGE\nsender=a@example.test\n"
		   "sasl_username=a@example.test\nrecipient_count=3\nsize=100\n",
		   "DUNNO");
	place_await(&p, "SELECT count(*) FROM throttle_tracking", 1);
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	struct fail why;
	assert_ok(order_as(&p, &everything, "throttle usage", &b, &why), &why);
	assert_non_null(strstr(buf_c(&b), "a@example.test|@example.test|outbound|3|100|100|1048"));
	says(&p, "throttle delete @example.test --kind inbound", "");
	says(&p, "throttle delete @example.test", "");
	says(&p, "throttle list", "");
	place_end(&p);
}

static void lists(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p);
	says(&p, "wblist add black @spam.test", "");
	says(&p, "wblist add white a@far.test --account b@example.test", "");
	says(&p, "wblist add black @rival.test --account b@example.test --direction out", "");
	says(&p, "wblist list",
	     "@.|in|black|@spam.test\nb@example.test|in|white|a@far.test\n"
	     "b@example.test|out|black|@rival.test\n");
	says(&p, "wblist add black a@far.test --account b@example.test", "");
	says(&p, "wblist list b@example.test",
	     "b@example.test|in|black|a@far.test\nb@example.test|out|black|@rival.test\n");
	says(&p, "wblist delete a@far.test --account b@example.test", "");
	refuses(&p, &everything, "wblist delete a@far.test --account b@example.test",
		FAIL_NOTFOUND);
	refuses(&p, &everything, "wblist add grey @x.test", FAIL_SYNTAX);
	place_sql(&p, "DELETE FROM wblist_rdns");
	says(&p, "rdns add black .Dyn.test", "");
	says(&p, "rdns list", ".dyn.test|black\n");
	says(&p, "rdns delete .dyn.test", "");
	place_end(&p);
}

static void whose(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p);
	const struct str mine[] = {STR("example.test")};
	struct policy_scope some = {.domains = mine, .n_domains = 1};
	struct policy_scope self = {0};
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	struct fail why;
	assert_ok(order_as(&p, &some, "greylist disable @example.test", &b, &why), &why);
	assert_ok(order_as(&p, &some, "greylist list", &b, &why), &why);
	assert_str(buf_str(&b), "@example.test|@.|no|60/0|\n");
	refuses(&p, &some, "greylist disable @other.test", FAIL_PERM);
	refuses(&p, &some, "greylist disable @.", FAIL_PERM);
	refuses(&p, &some, "greylist disable @.example.test", FAIL_PERM);
	refuses(&p, &some, "greylist whitelist add 192.0.2.1", FAIL_PERM);
	refuses(&p, &some, "greylist domain list", FAIL_PERM);
	refuses(&p, &some, "throttle add 192.0.2.1 --size 5", FAIL_PERM);
	refuses(&p, &some, "wblist add black @x.test", FAIL_PERM);
	refuses(&p, &some, "rdns list", FAIL_PERM);
	refuses(&p, &self, "greylist disable a@example.test", FAIL_PERM);
	refuses(&p, &some, "test --client 192.0.2.1 --recipient a@other.test", FAIL_PERM);
	assert_ok(
		order_as(&p, &some, "test --client 192.0.2.1 --recipient a@example.test", &b, &why),
		&why);
	place_end(&p);
}

static void rehearsal(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p);
	p.settings.off[POLICY_RULE_GREYLISTING] = false;
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	struct fail why;
	assert_ok(order_as(&p, &everything,
			   "test --client 192.0.2.1 --sender a@x.test --recipient b@example.test",
			   &b, &why),
		  &why);
	assert_non_null(strstr(buf_c(&b), "greylisting|DEFER 451 4.7.1 "));
	assert_non_null(strstr(buf_c(&b), "(rule greylisting)"));
	assert_int_equal(place_number(&p, "SELECT count(*) FROM greylisting_tracking"), 0);
	refuses(&p, &everything, "test --client nowhere --recipient b@example.test", FAIL_SYNTAX);
	refuses(&p, &everything, "test --client 192.0.2.1 --rcpt b@example.test", FAIL_SYNTAX);
	refuses(&p, &everything, "", FAIL_SYNTAX);
	refuses(&p, &everything, "frobnicate", FAIL_SYNTAX);
	place_end(&p);
}

static void what_if(void **state)
{
	struct place p;
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	struct fail why;
	(void)state;
	place_begin(&p);
	p.settings.off[POLICY_RULE_GREYLISTING] = false;
	p.now = clock_wall();
	p.now.v -= INT64_C(7200) * SEC_US;
	const char *one = "sender=a@x.test\nrecipient=b@example.test\nclient_address=192.0.2.1\n"
			  "size=5000\nrecipient_count=1\n";
	const char *end = "protocol_state=END-OF-MESSAGE\nsender=a@x.test\nsize=5000\n"
			  "recipient=b@example.test\nclient_address=192.0.2.1\nrecipient_count=1\n";
	place_ask(&p, one); /* put off, ... */
	p.now.v += INT64_C(400) * SEC_US;
	place_says(&p, one, "DUNNO");
	place_says(&p, end, "DUNNO"); /* ... came again, */
	p.now.v += INT64_C(60) * SEC_US;
	place_says(&p, one, "DUNNO");
	place_says(&p, end, "DUNNO"); /* and once more */
	place_await(&p, "SELECT count(*) FROM smtp_sessions WHERE size = 5000", 3);
	const struct {
		const char *order, *says;
	} rows[] = {
		{"what-if --set greylist.wait=10min", "3 of 3 recorded decisions were asked again: "
						      "2 pass now, 0 would pass then; 2 change."},
		{"what-if --days 1 --set greylist.wait=420s",
		 "3 of 3 recorded decisions were asked again: 2 pass now, 1 would pass then; 1 "
		 "change."},
		{"what-if --set policy.greylisting=off --examples 0",
		 "3 of 3 recorded decisions were asked again: 2 pass now, 3 would pass then; 1 "
		 "change."},
		{"what-if --set greylist.wait=5min", "3 of 3 recorded decisions were asked again: "
						     "2 pass now, 2 would pass then; 0 change."},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_ok(order_as(&p, &everything, rows[i].order, &b, &why), &why);
		if (!strstr(buf_c(&b), rows[i].says))
			fail_msg("%s: %s", rows[i].order, buf_c(&b));
	}
	assert_ok(order_as(&p, &everything, rows[1].order, &b, &why), &why);
	assert_non_null(
		strstr(buf_c(&b), "|192.0.2.1|a@x.test|b@example.test|DUNNO|DEFER|greylist"));
	/* Nothing of it is remembered. */
	assert_int_equal(place_number(&p, "SELECT count(*) FROM greylisting_tracking"), 1);
	assert_int_equal(place_number(&p, "SELECT count(*) FROM smtp_sessions"), 3);
	refuses(&p, &everything, "what-if", FAIL_SYNTAX);
	refuses(&p, &everything, "what-if --set greylist.wait=soon", FAIL_SYNTAX);
	refuses(&p, &everything, "what-if --set nonsense=1", FAIL_SYNTAX);
	refuses(&p, &everything, "what-if --set policy.greylisting=off --days 0", FAIL_SYNTAX);
	place_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greylist), cmocka_unit_test(throttle),	 cmocka_unit_test(lists),
		cmocka_unit_test(whose),    cmocka_unit_test(rehearsal), cmocka_unit_test(what_if),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
