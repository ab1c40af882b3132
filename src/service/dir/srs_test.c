/* SPDX-License-Identifier: Apache-2.0 */
/* Rewritten senders: which one forwarded mail gets, and where mail for one leads. */
#include "service/dir/dir_test.h"
#include "service/srs/srs.h"

#define DAY INT64_C(86400000000)

static struct srs *make(void)
{
	struct srs_settings c = {.domain = STR("mx.fwd.test"),
				 .exclude = STR("partner.test"),
				 .hash_len = 4,
				 .age_max = 21,
				 .separator = '='};
	struct srs *s = NULL;
	assert_int_equal(srs_make(&c, STR("secret of a test\n"), &s, NULL), 0);
	return s;
}

static void fill(struct home *h)
{
	static const char *const orders[] = {
		"domain add d.test",
		"domain add relayed.test --backupmx yes",
		"user add alice@d.test",
		"domain alias-add alias.test d.test",
		"alias add out@d.test friend@elsewhere.test",
	};
	home_init(h);
	dir_configure(h->d, "mx.fwd.test", NULL);
	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		ORDER(h, orders[i]);
	dir_srs(h->d, make(), true, 3);
}

/* "-": it stays. */
static struct str sent_as(struct home *h, const char *sender, const char *rcpt)
{
	struct str s = STR_NULL;
	int r = dir_srs_sender(h->d, str_c(sender), str_c(rcpt), &h->a, &s, &h->why);
	assert_ok(r, &h->why);
	return r == 1 ? s : STR("-");
}

static struct dir_route routed(struct home *h, struct str address, bool arrives)
{
	struct dir_route r;
	struct dir_rcpt rcpt = {.address = address, .arrives = arrives};
	assert_ok(dir_route(h->d, &rcpt, &h->a, &r, &h->why), &h->why);
	return r;
}

static void test_which_sender(void **state)
{
	(void)state;
	struct home h;
	fill(&h);
	static const char *const stays[][2] = {
		{"bob@d.test", "friend@elsewhere.test"},
		{"bob@alias.test", "friend@elsewhere.test"},
		{"bob@relayed.test", "friend@elsewhere.test"},
		{"root@mx.fwd.test", "friend@elsewhere.test"},
		{"x@partner.test", "friend@elsewhere.test"},
		{"x@mail.partner.test", "friend@elsewhere.test"},
		{"x@sender.test", "somebody@relayed.test"}, /* a server of our own behind us */
		{"", "friend@elsewhere.test"},
	};
	for (size_t i = 0; i < ARRAY_LEN(stays); i++)
		assert_str(sent_as(&h, stays[i][0], stays[i][1]), "-");
	struct str s = sent_as(&h, "x@sender.test", "friend@elsewhere.test");
	assert_true(str_starts(s, STR("SRS0=")));
	assert_true(str_ends(s, STR("=sender.test=x@mx.fwd.test")));
	assert_true(str_starts(sent_as(&h, "x@sub.d.test", "friend@elsewhere.test"), STR("SRS0=")));
	dir_srs(h.d, make(), false, 3);
	assert_str(sent_as(&h, "x@sender.test", "friend@elsewhere.test"), "-");
	assert_int_equal(routed(&h, s, false).verdict, DIR_OK); /* and still leads back */
	dir_srs(h.d, NULL, true, 3);
	assert_int_equal(routed(&h, s, false).verdict, DIR_UNKNOWN);
	home_free(&h);
}

static void test_back(void **state)
{
	(void)state;
	struct home h;
	fill(&h);
	/* The case of the sender's local part is kept. */
	struct str s = sent_as(&h, "VERP-AbC@sender.test", "friend@elsewhere.test");
	struct dir_route r = routed(&h, s, false);
	assert_int_equal(r.verdict, DIR_OK);
	assert_int_equal(r.n, 1);
	assert_str(r.dests[0].address, "VERP-AbC@sender.test");
	assert_false(destination_is_local(&r.dests[0]));
	/* Of another forwarder, which rewrites it back itself. */
	s = sent_as(&h, "SRS0=HHHH=TT=first.test=x@other.test", "friend@elsewhere.test");
	assert_true(str_starts(s, STR("SRS1=")));
	r = routed(&h, s, false);
	assert_int_equal(r.verdict, DIR_OK);
	assert_str(r.dests[0].address, "SRS0=HHHH=TT=first.test=x@other.test");
	/* Forged, damaged, or at another domain. */
	r = routed(&h, STR("SRS0=AAAA=AA=victim.test=x@mx.fwd.test"), false);
	assert_int_equal(r.verdict, DIR_REFUSED);
	assert_str(r.status, "5.1.1");
	assert_int_equal(r.n, 0);
	assert_int_equal(routed(&h, STR("SRS0=x@mx.fwd.test"), false).verdict, DIR_REFUSED);
	assert_int_equal(routed(&h, STR("SRS0=AAAA=AA=v.test=x@d.test"), false).verdict,
			 DIR_UNKNOWN);
	assert_int_equal(routed(&h, STR("SRS0=AAAA=AA=v.test=x@else.test"), false).verdict,
			 DIR_NOT_OURS);
	home_free(&h);
}

static void test_age_and_rate(void **state)
{
	(void)state;
	struct home h;
	fill(&h);
	struct str s = sent_as(&h, "x@sender.test", "friend@elsewhere.test");
	struct str other = sent_as(&h, "y@sender.test", "friend@elsewhere.test");
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(routed(&h, s, true).verdict, DIR_OK);
	struct dir_route r = routed(&h, s, true);
	assert_int_equal(r.verdict, DIR_REFUSED);
	assert_str(r.status, "4.7.1");
	assert_int_equal(routed(&h, s, false).verdict, DIR_OK); /* not counted: it has come */
	assert_int_equal(routed(&h, other, true).verdict, DIR_OK);
	clock_bend_us(DAY / 24 + 1);
	assert_int_equal(routed(&h, s, true).verdict, DIR_OK);
	clock_bend_us(21 * DAY);
	assert_int_equal(routed(&h, s, true).verdict, DIR_OK);
	clock_bend_us(22 * DAY);
	r = routed(&h, s, true);
	assert_int_equal(r.verdict, DIR_REFUSED);
	assert_str(r.status, "5.1.6");
	home_free(&h);
}

/* One that was rewritten when its domain was not hosted here yet. */
static void test_now_ours(void **state)
{
	(void)state;
	struct home h;
	fill(&h);
	struct str s = sent_as(&h, "bob@late.test", "friend@elsewhere.test");
	ORDER(&h, "domain add late.test");
	ORDER(&h, "user add bob@late.test");
	struct dir_route r = routed(&h, s, false);
	assert_int_equal(r.verdict, DIR_OK);
	assert_true(destination_is_local(&r.dests[0]));
	assert_str(r.dests[0].address, "bob@late.test");
	home_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_sender),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_age_and_rate),
		cmocka_unit_test(test_now_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
