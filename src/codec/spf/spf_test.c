/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 7208 by a table of our own; the published tests are run by tests/corpus/spf_vectors.py. */
#include "base/test.h"
#include "codec/spf/spf_testing.h"

static const char zone_text[] =
	"a.test\tTXT\tv=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all\n"
	"a.test\tTXT\tsomething else\n"
	"soft.test\tTXT\tV=SPF1 ~all\n"
	"neutral.test\tTXT\tv=spf1 ?ip4:192.0.2.1\n"
	"none.test\tA\t192.0.2.1\n"
	"two.test\tTXT\tv=spf1 -all\ntwo.test\tTXT\tv=spf1 +all\n"
	"typo.test\tTXT\tv=spf1 ip4:192.0.2.1 ipv4:192.0.2.2 -all\n"
	"slow.test\tTIMEOUT\n"
	"slowly.test\tTXT\tv=spf1 a:slow.test -all\n"
	"host.test\tTXT\tv=spf1 a/30 mx:mx.test//64 -all\nhost.test\tA\t192.0.2.1\n"
	"mx.test\tMX\t10 mail.mx.test\nmx.test\tMX\t20 gone.mx.test\n"
	"mail.mx.test\tA\t198.51.100.7\nmail.mx.test\tAAAA\t2001:db8:1:2::3\n"
	"inc.test\tTXT\tv=spf1 include:a.test -ip4:198.51.100.9 ~all\n"
	"incnone.test\tTXT\tv=spf1 include:none.test -all\n"
	"incslow.test\tTXT\tv=spf1 include:slow.test -all\n"
	"red.test\tTXT\tv=spf1 exp=own.test redirect=why.test\n"
	"rednone.test\tTXT\tv=spf1 redirect=none.test\n"
	"own.test\tTXT\tnot this\n"
	"why.test\tTXT\tv=spf1 exp=text.why.test -all\n"
	"text.why.test\tTXT\t%{i} is no host of %{d}: see %{S}%%\n"
	"badwhy.test\tTXT\tv=spf1 -all exp=text.badwhy.test\n"
	"text.badwhy.test\tTXT\tx\\x0ay\n"
	"ex.test\tTXT\tv=spf1 exists:%{ir}.%{v}.%{l1r-}.ok.test -all\n"
	"1.2.0.192.in-addr.joe.ok.test\tA\t127.0.0.2\n"
	"ptr.test\tTXT\tv=spf1 ptr -all\n"
	"1.2.0.192.in-addr.arpa\tPTR\tother.example\n1.2.0.192.in-addr.arpa\tPTR\tx.ptr.test\n"
	"x.ptr.test\tA\t192.0.2.1\nother.example\tA\t192.0.2.1\n"
	"2.2.0.192.in-addr.arpa\tPTR\tforged.ptr.test\nforged.ptr.test\tA\t192.0.2.9\n"
	"loop.test\tTXT\tv=spf1 include:loop.test -all\n"
	"void.test\tTXT\tv=spf1 a:v1.test a:v2.test a:v3.test +all\n"
	"many.test\tTXT\tv=spf1 a:a.test a:none.test a:none.test a:none.test a:none.test "
	"a:none.test "
	"a:none.test a:none.test a:none.test a:none.test a:none.test -all\n"
	"exp.test\tTXT\tv=spf1 exp=a.test exp=a.test -all\n";

struct row {
	const char *ip, *sender;
	enum spf_result result;
	const char *mechanism;
};

static struct spf_verdict check(const char *ip, const char *helo, const char *sender,
				struct arena *a)
{
	static struct spf_zone zone;
	zone = (struct spf_zone){.text = str_c(zone_text)};
	struct spf_dns dns = {&zone, zone_ask};
	struct spf_question q = {.helo = str_c(helo), .sender = str_c(sender)};
	struct spf_verdict v;
	q.ip_n = inet_pton(AF_INET6, ip, q.ip) == 1 ? 16 : 4;
	assert_true(q.ip_n == 16 || inet_pton(AF_INET, ip, q.ip) == 1);
	spf_check(&q, &dns, a, &v);
	return v;
}

static void table(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"192.0.2.9", "x@a.test", SPF_PASS, "ip4:192.0.2.0/24"},
		{"192.0.2.9", "x@A.Test", SPF_PASS, "ip4:192.0.2.0/24"},
		{"::ffff:192.0.2.9", "x@a.test", SPF_PASS, "ip4:192.0.2.0/24"},
		{"2001:db8:ffff::1", "x@a.test", SPF_PASS, "ip6:2001:db8::/32"},
		{"2001:db9::1", "x@a.test", SPF_FAIL, "-all"},
		{"192.0.3.1", "x@a.test", SPF_FAIL, "-all"},
		{"192.0.3.1", "x@soft.test", SPF_SOFTFAIL, "~all"},
		{"192.0.2.1", "x@neutral.test", SPF_NEUTRAL, "?ip4:192.0.2.1"},
		{"192.0.2.2", "x@neutral.test", SPF_NEUTRAL, ""},
		{"192.0.2.2", "x@none.test", SPF_NONE, ""},
		{"192.0.2.2", "x@nowhere.test", SPF_NONE, ""},
		{"192.0.2.2", "x@localhost", SPF_NONE, ""},
		{"192.0.2.2", "x@[192.0.2.2]", SPF_NONE, ""},
		{"192.0.2.2", "x@two.test", SPF_PERMERROR, ""},
		{"192.0.2.1", "x@typo.test", SPF_PERMERROR, ""},
		{"192.0.2.1", "x@slow.test", SPF_TEMPERROR, ""},
		{"192.0.2.1", "x@slowly.test", SPF_TEMPERROR, "a:slow.test"},
		{"192.0.2.3", "x@host.test", SPF_PASS, "a/30"},
		{"192.0.2.4", "x@host.test", SPF_FAIL, "-all"},
		{"198.51.100.7", "x@host.test", SPF_PASS, "mx:mx.test//64"},
		{"2001:db8:1:2:5::1", "x@host.test", SPF_PASS, "mx:mx.test//64"},
		{"2001:db8:1:3::3", "x@host.test", SPF_FAIL, "-all"},
		{"192.0.2.1", "x@inc.test", SPF_PASS, "include:a.test"},
		{"198.51.100.9", "x@inc.test", SPF_FAIL, "-ip4:198.51.100.9"},
		{"198.51.100.8", "x@inc.test", SPF_SOFTFAIL, "~all"},
		{"198.51.100.8", "x@incnone.test", SPF_PERMERROR, "include:none.test"},
		{"198.51.100.8", "x@incslow.test", SPF_TEMPERROR, "include:slow.test"},
		{"198.51.100.8", "x@rednone.test", SPF_PERMERROR, ""},
		{"192.0.2.1", "joe@ex.test", SPF_PASS, "exists:%{ir}.%{v}.%{l1r-}.ok.test"},
		{"192.0.2.1", "joe-list@ex.test", SPF_PASS, "exists:%{ir}.%{v}.%{l1r-}.ok.test"},
		{"192.0.2.1", "list-joe@ex.test", SPF_FAIL, "-all"},
		{"192.0.2.1", "x@ptr.test", SPF_PASS, "ptr"},
		{"192.0.2.2", "x@ptr.test", SPF_FAIL, "-all"},
		{"192.0.2.2", "x@loop.test", SPF_PERMERROR, "include:loop.test"},
		{"192.0.2.2", "x@void.test", SPF_PERMERROR, "a:v3.test"},
		{"192.0.2.2", "x@many.test", SPF_PERMERROR, "a:none.test"},
		{"192.0.2.2", "x@exp.test", SPF_PERMERROR, ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) struct arena a = ARENA_INIT(1U << 20);
		struct spf_verdict v = check(rows[i].ip, "helo.test", rows[i].sender, &a);
		if (v.result != rows[i].result || !str_eq(v.mechanism, str_c(rows[i].mechanism)))
			fail_msg("%s %s: %s by %.*s (%.*s)", rows[i].ip, rows[i].sender,
				 spf_result_name(v.result), STR_ARG(v.mechanism),
				 STR_ARG(v.problem));
		bool error = v.result == SPF_TEMPERROR || v.result == SPF_PERMERROR;
		assert_int_equal(error, v.problem.n > 0);
	}
}

static void who_is_asked_about(void **state)
{
	(void)state;
	AUTO(arena) struct arena a = ARENA_INIT(1U << 20);
	struct spf_verdict v = check("192.0.2.1", "a.test", "", &a);
	assert_int_equal(v.result, SPF_PASS);
	assert_str(v.domain, "a.test");
	assert_int_equal(v.ttl, 300);
	v = check("192.0.2.1", "[192.0.2.1]", "", &a);
	assert_int_equal(v.result, SPF_NONE);
	assert_int_equal(v.domain.n, 0);
}

static void explanations(void **state)
{
	(void)state;
	AUTO(arena) struct arena a = ARENA_INIT(1U << 20);
	struct spf_verdict v = check("192.0.2.1", "h.test", "j&x@red.test", &a);
	assert_int_equal(v.result, SPF_FAIL);
	assert_str(v.where, "why.test");
	assert_str(v.explanation, "192.0.2.1 is no host of why.test: see j%26x%40red.test%");
	v = check("192.0.2.1", "h.test", "x@badwhy.test", &a);
	assert_int_equal(v.result, SPF_FAIL);
	assert_str(v.explanation, "");
	v = check("192.0.2.1", "h.test", "x\ny@why.test", &a); /* no line of ours is theirs */
	assert_str(v.explanation, "192.0.2.1 is no host of why.test: see x%0Ay%40why.test%");
}

static void grammar(void **state)
{
	(void)state;
	static const struct {
		const char *record;
		bool fine;
	} rows[] = {{"v=spf1", true},
		    {"v=spf1 ", true},
		    {"v=spf1 A MX -ALL", true},
		    {"v=spf1 a:%{d}/24//64 x=%{t} y-._=", true},
		    {"v=spf1 include:%{h1r.-+,/_=}.a", true},
		    {"v=spf1 all:x", false},
		    {"v=spf1 all/8", false},
		    {"v=spf1 include", false},
		    {"v=spf1 include:", false},
		    {"v=spf1 a:1.2.3.4", false},
		    {"v=spf1 a:com", false},
		    {"v=spf1 a:x.com-", false},
		    {"v=spf1 a/33", false},
		    {"v=spf1 a/08", false},
		    {"v=spf1 a//129", false},
		    {"v=spf1 ip4:1.2.3", false},
		    {"v=spf1 ip4:1.2.3.4/", false},
		    {"v=spf1 ip4:1.2.3.4//32", false},
		    {"v=spf1 ip6:1.2.3.4", false},
		    {"v=spf1 a:%{z}.test", false},
		    {"v=spf1 a:%{d0}.test", false},
		    {"v=spf1 a:%{d.test", false},
		    {"v=spf1 a:%x.test", false},
		    {"v=spf1 exists:%{t}.test", false},
		    {"v=spf1 redirect=", false},
		    {"v=spf1 redirect=a.test redirect=b.test", false},
		    {"v=spf1 =x", false},
		    {"v=spf1\ta", false},
		    {"v=spf1 a\tmx", false},
		    {"v=spf10 a", false},
		    {"v=spf1 --all", false}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) struct arena a = ARENA_INIT(1U << 20);
		struct spf_record r;
		if ((spf_record_parse(str_c(rows[i].record), &a, &r, NULL) == 0) != rows[i].fine)
			fail_msg("%s", rows[i].record);
	}
}

static void lists(void **state)
{
	(void)state;
	static const struct {
		const char *domain, *networks;
	} rows[] = {
		{"a.test", "192.0.2.0/24 2001:db8::/32"},
		{"host.test", "192.0.2.0/30 198.51.100.7/32 2001:db8:1:2::/64"},
		{"inc.test", "192.0.2.0/24 2001:db8::/32"}, /* "-" names who may not */
		{"mx.test", "198.51.100.7/32 2001:db8:1:2::3/128"},
		{"none.test", ""},
		{"slowly.test", ""},
		{"typo.test", ""},
		{"loop.test", ""},
		{"ex.test", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) struct arena a = ARENA_INIT(1U << 20);
		AUTO(buf) struct buf text = BUF_INIT(4096);
		struct spf_zone zone = {.text = str_c(zone_text)};
		struct spf_dns dns = {&zone, zone_ask};
		struct spf_networks nets;
		int r = spf_networks_of(str_c(rows[i].domain), 30, &dns, &a, &nets, NULL);
		for (size_t k = 0; r == 0 && k < nets.n; k++) {
			if (k > 0)
				buf_addc(&text, ' ');
			spf_network_text(&nets.p[k], &text);
		}
		assert_int_equal(r == 0, rows[i].networks[0] != '\0');
		assert_str(buf_str(&text), rows[i].networks);
		assert_true(zone.asked <= 30);
	}
}

/* Whatever memory there is: a result, and nothing out of bounds. */
static void little_memory(void **state)
{
	(void)state;
	for (size_t max = 0; max < 6000; max += 16) {
		AUTO(arena) struct arena a = ARENA_INIT(max);
		struct spf_verdict v = check("192.0.2.1", "h.test", "j@red.test", &a);
		assert_true(v.result == SPF_TEMPERROR || v.result == SPF_FAIL ||
			    v.result == SPF_PERMERROR || v.result == SPF_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),	cmocka_unit_test(who_is_asked_about),
		cmocka_unit_test(explanations), cmocka_unit_test(grammar),
		cmocka_unit_test(lists),	cmocka_unit_test(little_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
