/* SPDX-License-Identifier: Apache-2.0 */
/* The rules about logins, lists of people, and lists of addresses. */
#include "service/policy/policy_testing.h"

#define CLIENT "client_address=192.0.2.1\n"

/* alice is also sales@; bob is a member of team@; the password of old@ is 100 days old. */
static int fake_login(void *ctx, struct str login, struct str sender,
		      struct policy_login_facts *ret, struct fail *why)
{
	(void)ctx;
	if (str_eq(login, STR("broken@example.test")))
		return fail_set(why, FAIL_PEER, NULL, "dir is away");
	*ret = (struct policy_login_facts){.known = str_ends(login, STR("@example.test"))};
	ret->may_send = str_eq(login, STR("alice@example.test")) &&
			str_eq(sender, STR("sales@example.test"));
	ret->list_member =
		str_eq(login, STR("bob@example.test")) && str_eq(sender, STR("team@example.test"));
	ret->password_age_s = (str_eq(login, STR("old@example.test")) ? 100u : 1u) * 86400u;
	return 0;
}

static int fake_access(void *ctx, struct str recipient, struct str sender, struct arena *a,
		       struct policy_access_facts *ret, struct fail *why)
{
	(void)ctx;
	(void)a;
	bool member = str_eq(sender, STR("bob@example.test"));
	*ret = (struct policy_access_facts){.why = STR("for membersonly")};
	if (str_eq(recipient, STR("team@example.test")))
		ret->access = member ? POLICY_ACCESS_YES : POLICY_ACCESS_NO;
	if (str_eq(recipient, STR("off@example.test")))
		ret->access = POLICY_ACCESS_DISABLED;
	return str_eq(recipient, STR("lost@example.test"))
		       ? fail_set(why, FAIL_PEER, NULL, "dir is away")
		       : 0;
}

/* 192.0.2.7 scores 12, 192.0.2.8 80; 192.0.2.9 is in example.test's SPF. */
static bool dns_is_away;
static void fake_dns(void *ctx, struct str name, enum dns_type type, unsigned wait_ms,
		     struct arena *a, struct dns_answer *ret)
{
	static const uint8_t bad[] = {127, 0, 4, 12}, good[] = {127, 0, 4, 80};
	static const char spf[] = "\x19v=spf1 ip4:192.0.2.9 -all";
	(void)ctx;
	(void)wait_ms;
	*ret = (struct dns_answer){.outcome = dns_is_away ? DNS_FAILED : DNS_NXDOMAIN};
	struct str record = STR_NULL;
	if (str_eq(name, STR("7.2.0.192.score.senderscore.com")))
		record = str_make((const char *)bad, sizeof bad);
	else if (str_eq(name, STR("8.2.0.192.score.senderscore.com")))
		record = str_make((const char *)good, sizeof good);
	else if (type == DNS_TXT && str_eq(name, STR("example.test")))
		record = str_make(spf, sizeof spf - 1);
	if (!record.p || dns_is_away)
		return;
	ret->records = arena_array(a, struct str, 1);
	ret->records[0] = record;
	ret->n = 1;
	ret->ttl = 60;
	ret->outcome = DNS_FOUND;
}

static void begin(struct place *p)
{
	place_begin(p);
	p->ask.login = fake_login;
	p->ask.access = fake_access;
	p->ask.dns = fake_dns;
	p->settings.off[POLICY_RULE_FORCE_CHANGE_PASSWORD] = true;
	p->settings.off[POLICY_RULE_SENDERSCORE] = true;
}

#define FORGED	 "554 5.7.1 SMTP AUTH is required for users under this sender domain"
#define MISMATCH "554 5.7.1 Sender is not same as SMTP authenticate username"
#define LATER	 "451 4.7.1 Policy service is not available, please try again later"

static void forged_senders(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	const char *from = "sender=alice@example.test\nrecipient=bob@example.test\n" CLIENT;
	place_says(&p, from, FORGED);
	place_says(&p, "sender=alice@alias.test\nrecipient=bob@example.test\n" CLIENT, FORGED);
	place_says(&p, "sender=alice@backup.test\nrecipient=bob@example.test\n" CLIENT, "DUNNO");
	place_says(&p, "sender=a@x.test\nrecipient=bob@x.test\n" CLIENT, "DUNNO");
	place_says(&p, "sender=\nrecipient=bob@example.test\n" CLIENT, "DUNNO");
	place_says(&p,
		   "sender=alice@example.test\nrecipient=bob@example.test\n"
		   "client_address=127.0.0.1\n",
		   "DUNNO");
	place_says(&p,
		   "sender=alice@example.test\nrecipient=bob@example.test\n"
		   "client_address=192.0.2.9\n",
		   "DUNNO");
	dns_is_away = true; /* perhaps the record names the client */
	place_says(&p, from, LATER);
	p.settings.sender.spf = false;
	place_says(&p, from, FORGED);
	dns_is_away = false;
	place_says(&p,
		   "sender=alice@example.test\nrecipient=bob@example.test\n"
		   "client_address=192.0.2.9\n",
		   FORGED);
	static const char *const let[] = {"x, Alice@example.test", "example.test", "alice@*"};
	for (size_t i = 0; i < ARRAY_LEN(let); i++) {
		p.settings.sender.forged = let[i];
		place_says(&p, from, "DUNNO");
	}
	p.settings.sender.forged = "bob@example.test";
	place_says(&p, from, FORGED);
	p.settings.sender.strangers = false;
	place_says(&p, from, "DUNNO");
	place_end(&p);
}

static void logins(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
#define AS(login, sender) "sender=" sender "\nrecipient=x@y.test\nsasl_username=" login "\n" CLIENT
	place_says(&p, AS("Alice@example.test", "alice@Example.test"), "DUNNO");
	place_says(&p, AS("alice@example.test", "alice+x@example.test"), "DUNNO");
	place_says(&p, AS("alice@example.test", "sales@example.test"), "DUNNO");
	place_says(&p, AS("bob@example.test", "sales@example.test"), MISMATCH);
	place_says(&p, AS("bob@example.test", "team@example.test"), MISMATCH);
	place_says(&p, AS("broken@example.test", "x@example.test"), LATER);
	p.settings.sender.members = true;
	place_says(&p, AS("bob@example.test", "team@example.test"), "DUNNO");
	p.settings.sender.aliases = false;
	place_says(&p, AS("alice@example.test", "sales@example.test"), MISMATCH);
	p.settings.sender.mismatch = "@example.test";
	place_says(&p, AS("alice@example.test", "x@example.test"), "DUNNO");
	place_says(&p, AS("alice@example.test", "x@else.test"), MISMATCH);
	p.settings.sender.mismatch = "@.";
	place_says(&p, AS("a@b.test", "x@b.test"), "DUNNO");
	p.settings.sender.mismatch = "example.test";
	place_says(&p, AS("alice@example.test", "x@else.test"), "DUNNO");
	p.settings.sender.mismatch = "";
	p.inside = true;
	place_says(&p, AS("alice@example.test", "x@else.test"), "DUNNO");
	place_end(&p);
}

static void list_access(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	place_says(&p, "sender=a@x.test\nrecipient=team@example.test\n" CLIENT,
		   "554 5.7.1 Not authorized");
	place_says(&p, "sender=a@x.test\nrecipient=off@example.test\n" CLIENT,
		   "554 5.7.1 Policy rejection");
	place_says(&p, "sender=a@x.test\nrecipient=bob@example.test\n" CLIENT, "DUNNO");
	place_says(&p, "sender=a@x.test\nrecipient=team+x@example.test\n" CLIENT,
		   "554 5.7.1 Not authorized");
	/* A member by another name, who has logged in. */
	p.inside = true;
	place_says(&p,
		   "sender=b@example.test\nrecipient=team@example.test\n"
		   "sasl_username=bob@example.test\n",
		   "DUNNO");
	place_says(&p, "sender=a@x.test\nrecipient=lost@example.test\n" CLIENT, LATER);
	place_end(&p);
}

static void lists_in(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
#define FROM(sender, to) "sender=" sender "\nrecipient=" to "\n" CLIENT
	place_sql(&p, "INSERT INTO users (id, priority, email) VALUES (10, 10, 'Bob@example.test'),"
		      " (11, 5, '@example.test');"
		      "INSERT INTO mailaddr (id, priority, email) VALUES (20, 5, '@spam.test'),"
		      " (21, 10, 'good@spam.test'), (22, 7, '192.0.2.0/28'), (23, 0, '@.'),"
		      " (24, 7, 'news@*'), (25, 3, '@.top.test');"
		      "INSERT INTO wblist VALUES (11, 20, 'B'), (11, 21, 'W'), (10, 24, 'B'),"
		      " (11, 25, 'B'), (11, 23, '3.5')");
	place_says(&p, FROM("x@spam.test", "bob@example.test"), "554 5.7.1 Blacklisted");
	place_says(&p, FROM("x@spam.test", "carol+a@example.test"), "554 5.7.1 Blacklisted");
	place_says(&p, FROM("x@spam.test", "bob@alias.test"), "554 5.7.1 Blacklisted");
	place_says(&p, FROM("good@spam.test", "bob@example.test"), "OK");
	place_says(&p, FROM("news@x.test", "bob@example.test"), "554 5.7.1 Blacklisted");
	place_says(&p, FROM("news@x.test", "carol@example.test"), "DUNNO");
	place_says(&p, FROM("a@b.c.top.test", "carol@example.test"), "554 5.7.1 Blacklisted");
	place_says(&p, FROM("a@nottop.test", "carol@example.test"), "DUNNO");
	place_says(&p, FROM("", "bob@example.test"), "DUNNO");
	/* The client's network is bob's affair, whose row is looked at before the domain's. */
	place_sql(&p, "INSERT INTO wblist VALUES (10, 22, 'W')");
	place_says(&p, FROM("x@spam.test", "bob@example.test"), "OK");
	place_says(&p, FROM("x@spam.test", "carol@example.test"), "554 5.7.1 Blacklisted");
	p.settings.wblist_discard = true;
	place_says(&p, FROM("x@spam.test", "carol@example.test"), "DISCARD");
	place_end(&p);
}

static void lists_out(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
#define OUT(to) "sender=bob@example.test\nsasl_username=bob@example.test\nrecipient=" to "\n" CLIENT
	place_sql(&p, "INSERT INTO users (id, priority, email) VALUES (10, 10, 'bob@example.test'),"
		      " (12, 10, 'carol@example.test');"
		      "INSERT INTO mailaddr (id, priority, email) VALUES (20, 5, '@spam.test'),"
		      " (21, 10, 'good@spam.test'), (22, 10, 'bob@example.test');"
		      "INSERT INTO outbound_wblist (rid, sid, wb) VALUES (20, 10, 'B'),"
		      " (21, 10, 'W');"
		      "INSERT INTO wblist VALUES (12, 22, 'B')");
	place_says(&p, OUT("x@spam.test"), "554 5.7.1 Blacklisted");
	place_says(&p, OUT("good@spam.test"), "DUNNO");
	place_says(&p, OUT("x@y.test"), "DUNNO");
	place_says(&p, OUT("carol@example.test"), "554 5.7.1 Blacklisted");
	place_says(&p, OUT("bob@example.test"), "DUNNO");
	place_end(&p);
}

static void passwords(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	p.settings.off[POLICY_RULE_FORCE_CHANGE_PASSWORD] = false;
	place_says(&p, AS("old@example.test", "old@example.test"),
		   "554 5.7.1 " POLICY_PASSWORD_MESSAGE);
	place_says(&p, AS("alice@example.test", "alice@example.test"), "DUNNO");
	p.settings.password.spared = "old@example.test";
	place_says(&p, AS("old@example.test", "old@example.test"), "DUNNO");
	place_end(&p);
}

static void answers_are_awaited(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	const char *mail = "protocol_state=END-OF-MESSAGE\nsender=bob@example.test\n"
			   "sasl_username=bob@example.test\nrecipient=Far+x@Away.test\n" CLIENT;
	p.dry = true;
	place_says(&p, mail, "DUNNO");
	p.dry = false;
	place_says(&p, mail, "DUNNO");
	place_says(&p, mail, "DUNNO");
	place_says(&p,
		   "protocol_state=END-OF-MESSAGE\nsender=bob@example.test\n"
		   "sasl_username=bob@example.test\nrecipient=carol@example.test\n",
		   "DUNNO");
	place_await(&p,
		    "SELECT count(*) FROM greylisting_whitelists WHERE account ="
		    " 'bob@example.test' AND sender = 'far@away.test' AND comment ="
		    " 'AUTO-WHITELISTED'",
		    1);
	assert_int_equal(place_number(&p, "SELECT count(*) FROM greylisting_whitelists"), 1);
	/* And greylisting knows soon: at once, unless reading all rows takes long. */
	p.settings.off[POLICY_RULE_GREYLISTING] = false;
	const struct timespec moment = {.tv_nsec = 10 * MS_NS};
	p.verdict.act = POLICY_DEFER;
	for (unsigned i = 0; i < 6000 && p.verdict.act == POLICY_DEFER; i++) {
		place_ask(&p, "sender=far@away.test\nrecipient=bob@example.test\n" CLIENT);
		if (p.verdict.act == POLICY_DEFER)
			(void)nanosleep(&moment, NULL);
	}
	assert_int_equal(p.verdict.act, POLICY_DUNNO);
	place_ask(&p, "sender=near@away.test\nrecipient=bob@example.test\n" CLIENT);
	assert_int_equal(p.verdict.act, POLICY_DEFER);
	place_end(&p);
}

static void scores(void **state)
{
	struct place p;
	(void)state;
	begin(&p);
	p.settings.off[POLICY_RULE_SENDERSCORE] = false;
	const char *bad = "sender=a@x.test\nrecipient=bob@example.test\nclient_address=192.0.2.7\n";
	place_ask(&p, bad);
	assert_int_equal(p.verdict.act, POLICY_REJECT);
	assert_non_null(strstr(p.verdict.text, "192.0.2.7"));
	place_says(&p, "sender=a@x.test\nrecipient=bob@example.test\nclient_address=192.0.2.8\n",
		   "DUNNO");
	place_says(&p, "sender=a@x.test\nrecipient=bob@example.test\nclient_address=192.0.2.6\n",
		   "DUNNO");
	place_await(&p, "SELECT count(*) FROM senderscore_cache", 3);
	/* It is remembered, over a restart too. */
	policy_close(p.policy);
	place_open(&p);
	p.ask.dns = NULL;
	place_says(&p, bad, "DUNNO");
	p.ask.dns = fake_dns;
	place_ask(&p, bad);
	assert_int_equal(p.verdict.act, POLICY_REJECT);
	place_end(&p);
}

/* Asked without waiting, nothing is decided until all that is needed is at hand. */
static int busy_domain(void *ctx, struct str domain, struct arena *a,
		       struct policy_domain_facts *ret, struct fail *why)
{
	bool *busy = ctx;
	(void)domain;
	(void)a;
	(void)ret;
	*busy = true;
	return fail_set(why, FAIL_BUSY, NULL, "not remembered");
}

static void without_waiting(void **state)
{
	struct place p;
	struct policy_request r;
	struct policy_query q;
	struct policy_verdict v;
	struct fail why = FAIL_INIT;
	bool busy = false;
	(void)state;
	begin(&p);
	place_says(&p, FROM("a@x.test", "bob@example.test"), "DUNNO"); /* rows are of now */
	assert_int_equal(policy_request_parse(STR("request=smtpd_access_policy\n"
						  "protocol_state=RCPT\nsender=a@example.test\n"
						  "recipient=b@example.test\n"),
					      &r),
			 0);
	assert_ok(policy_query_init(&q, &r, &p.settings, &p.arena, &why), &why);
	struct policy_ask ask = {.ctx = &busy, .domain = busy_domain};
	q.ask = &ask;
	q.busy = &busy;
	assert_int_equal(policy_decide_now(p.policy, &q, &v), -FAIL_BUSY);
	busy = false;
	q.ask = &p.ask;
	assert_int_equal(policy_decide_now(p.policy, &q, &v), 0);
	assert_int_equal(v.act, POLICY_REJECT);
	place_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forged_senders),      cmocka_unit_test(logins),
		cmocka_unit_test(list_access),	       cmocka_unit_test(lists_in),
		cmocka_unit_test(lists_out),	       cmocka_unit_test(passwords),
		cmocka_unit_test(answers_are_awaited), cmocka_unit_test(scores),
		cmocka_unit_test(without_waiting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
