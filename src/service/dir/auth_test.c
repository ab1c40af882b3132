/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dir/dir_test.h"

static struct dir_grant login_from(struct home *h, enum dir_service s, enum dir_channel c,
				   const char *user, const char *password, const char *peer)
{
	struct dir_login l = {{s, c, str_c(peer)}, str_c(user), str_c(password)};
	struct dir_grant g;
	assert_ok(dir_auth(h->d, &l, &h->a, &g, &h->why), &h->why);
	return g;
}

static struct dir_grant login(struct home *h, const char *user, const char *password)
{
	return login_from(h, DIR_IMAP, DIR_TLS, user, password, "192.0.2.1");
}

/* Fast hashes, so that hundreds of logins take no time. */
static void fill(struct home *h)
{
	ORDER(h, "domain add d.test");
	ORDER(h, "domain alias-add alias.test d.test");
	ORDER(h, "user add a@d.test --name Ann --alias al@d.test");
	ORDER(h, "user add b@d.test");
	edit(h, "UPDATE mailbox SET password = '{PLAIN}good'");
}

static void right_and_wrong(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	fill(&h);
	struct dir_grant g = login(&h, "A@d.test", "good");
	assert_true(g.granted);
	assert_str(g.address, "a@d.test");
	assert_str(g.name, "Ann");
	assert_true(g.account.v > 0);
	assert_int_equal(g.not_before.v, 0);
	static const char *const wrong[][2] = {
		{"a@d.test", "bad"},
		{"a@d.test", ""},
		{"a@d.test", "good "},
		{"al@d.test", "good"},
		{"a+x@d.test", "good"},
		{"a@alias.test", "good"},
		{"a", "good"},
		{"", "good"},
		{"nobody@d.test", "good"},
		{"a@d.test\" OR 1=1", "good"},
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		g = login(&h, wrong[i][0], wrong[i][1]);
		assert_false(g.granted);
		assert_string_equal(g.client_text, "Authentication failed.");
		assert_true(g.reason[0] != 0);
		assert_true(g.account.v == 0 && g.address.n == 0);
		assert_true(g.not_before.v > clock_mono().v);
	}
	home_free(&h);
}

static void every_scheme_of_the_file(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	fill(&h);
	edit(&h, "UPDATE mailbox SET password = '{SSHA512}nonsense'");
	struct dir_grant g = login(&h, "a@d.test", "good");
	assert_false(g.granted);
	assert_non_null(strstr(g.reason, "stored hash"));
	ORDER(&h, "user passwd a@d.test new");
	assert_true(str_starts(look(&h, "SELECT password FROM mailbox WHERE username = 'a@d.test'"),
			       STR("{CRYPT}$y$j9T$")));
	assert_true(login(&h, "a@d.test", "new").granted);
	edit(&h, "UPDATE mailbox SET password = ''");
	assert_false(login(&h, "a@d.test", "").granted);
	home_free(&h);
}

static void services_and_rules(void **state)
{
	static const struct {
		const char *column;
		enum dir_service service;
		enum dir_channel channel;
	} flags[] = {
		{"enableimap", DIR_IMAP, DIR_CLEAR},
		{"enableimapsecured", DIR_IMAP, DIR_SECURED},
		{"enableimapsecured", DIR_IMAP, DIR_TLS},
		{"enableimaptls", DIR_IMAP, DIR_TLS},
		{"enablepop3", DIR_POP3, DIR_CLEAR},
		{"enablepop3secured", DIR_POP3, DIR_SECURED},
		{"enablepop3tls", DIR_POP3, DIR_TLS},
		{"enablesmtp", DIR_SMTP, DIR_CLEAR},
		{"enablesmtpsecured", DIR_SMTP, DIR_SECURED},
		{"enablesmtpsecured", DIR_SMTP, DIR_TLS},
		{"enablesieve", DIR_SIEVE, DIR_CLEAR},
		{"enablemanagesievesecured", DIR_SIEVE, DIR_SECURED},
		{"enablesievetls", DIR_SIEVE, DIR_TLS},
		{"enablesogo", DIR_WEB, DIR_TLS},
		{"enablesogowebmail", DIR_WEB, DIR_TLS},
		{"enablesogocalendar", DIR_DAV, DIR_SECURED},
		{"enablesogoactivesync", DIR_EAS, DIR_TLS},
	};
	struct home h;
	char sql[100];
	(void)state;
	home_init(&h);
	h.c.slow_first_ms = 0;
	fill(&h);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		enum dir_service s = flags[i].service;
		bool letter = str_starts(str_c(flags[i].column), STR("enablesogo")) &&
			      strlen(flags[i].column) > 10;
		assert_true(login_from(&h, s, flags[i].channel, "a@d.test", "good", "::1").granted);
		(void)snprintf(sql, sizeof sql, "UPDATE mailbox SET %s = %s", flags[i].column,
			       letter ? "'n'" : "0");
		edit(&h, sql);
		assert_false(
			login_from(&h, s, flags[i].channel, "a@d.test", "good", "::1").granted);
		(void)snprintf(sql, sizeof sql, "UPDATE mailbox SET %s = %s", flags[i].column,
			       letter ? "'y'" : "1");
		edit(&h, sql);
	}
	assert_false(login_from(&h, DIR_DELIVER, DIR_TLS, "a@d.test", "good", "::1").granted);
	static const char *const states[][2] = {
		{"UPDATE mailbox SET active = 0", "UPDATE mailbox SET active = 1"},
		{"UPDATE domain SET active = 0", "UPDATE domain SET active = 1"},
		{"UPDATE domain SET backupmx = 1", "UPDATE domain SET backupmx = 0"},
	};
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		edit(&h, states[i][0]);
		assert_false(login(&h, "a@d.test", "good").granted);
		edit(&h, states[i][1]);
		assert_true(login(&h, "a@d.test", "good").granted);
	}
	home_free(&h);
}

static void networks(void **state)
{
	static const struct {
		const char *nets;
		const char *peer;
		bool granted;
	} rules[] = {
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.0/24", "192.0.2.200", true},
		{"192.0.2.0/25", "192.0.2.200", false},
		{"192.0.2.0/25", "::ffff:192.0.2.3", true},
		{"10.0.0.0/8,192.0.2.1", "192.0.2.1", true},
		{"10.0.0.0/8, 192.0.2.1", "192.0.2.1", true},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "192.0.2.1", false},
		{"0.0.0.0/0", "192.0.2.1", true},
		{"", "192.0.2.1", false},
		{"nonsense", "192.0.2.1", false},
		{"192.0.2.1/33", "192.0.2.1", false},
		{"192.0.2.1", "", false},
	};
	struct home h;
	char sql[200];
	(void)state;
	home_init(&h);
	fill(&h);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		(void)snprintf(sql, sizeof sql, "UPDATE mailbox SET allow_nets = '%s'",
			       rules[i].nets);
		edit(&h, sql);
		struct dir_grant g =
			login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "good", rules[i].peer);
		if (g.granted != rules[i].granted)
			fail_msg("%s from %s: %s", rules[i].nets, rules[i].peer, g.reason);
	}
	home_free(&h);
}

static void success_is_remembered(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	fill(&h);
	ORDER(&h, "user passwd a@d.test secret");
	assert_false(login(&h, "a@d.test", "secret").cached);
	struct dir_grant g = login(&h, "a@d.test", "secret");
	assert_true(g.granted && g.cached);
	assert_false(login(&h, "a@d.test", "secret2").granted);
	/* Bound to user and hash: another user's, or a new password, is no use. */
	assert_false(login(&h, "b@d.test", "secret").granted);
	ORDER(&h, "user passwd a@d.test other");
	assert_false(login(&h, "a@d.test", "secret").granted);
	g = login(&h, "a@d.test", "other");
	assert_true(g.granted && !g.cached);
	/* Flags are looked at each time, and entries expire. */
	edit(&h, "UPDATE mailbox SET active = 0");
	assert_false(login(&h, "a@d.test", "other").granted);
	edit(&h, "UPDATE mailbox SET active = 1");
	clock_bend_us(3601 * SEC_US);
	assert_false(login(&h, "a@d.test", "other").cached);
	home_free(&h);
}

/* ---- slowing ---- */

/* Milliseconds that the answer is held back. */
static int64_t delay(const struct dir_grant *g)
{
	return g->not_before.v == 0 ? 0 : (g->not_before.v - clock_mono().v + MS_NS) / MS_NS;
}

#define assert_delay(g, ms)                                                                        \
	do {                                                                                       \
		int64_t d_ = delay(&(g));                                                          \
		if (d_ > (ms) + 5 || d_ < (ms)-400)                                                \
			fail_msg("delay %lld, not %d", (long long)d_, (int)(ms));                  \
	} while (0)

static void source_is_slowed(void **state)
{
	static const int want[] = {500, 1000, 2000, 4000, 8000, 15000, 15000};
	struct home h;
	struct dir_grant g;
	(void)state;
	home_init(&h);
	fill(&h);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		g = login_from(&h, DIR_IMAP, DIR_TLS, "b@d.test", "x", "198.51.100.1");
		assert_delay(g, want[i]);
	}
	/* A neighbour is not slowed; one /64 is one source. */
	g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "x", "198.51.100.2");
	assert_delay(g, 500);
	g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "x", "2001:db8:0:1::5");
	assert_delay(g, 500);
	g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "x", "2001:db8:0:1:ffff::9");
	assert_delay(g, 1000);
	/* A stranger's right password waits as long as its wrong one did: no oracle. */
	g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "good", "198.51.100.1");
	assert_true(g.granted);
	assert_delay(g, 15000);
	/* After a quiet while all is forgotten. */
	clock_bend_us(901 * SEC_US);
	g = login_from(&h, DIR_IMAP, DIR_TLS, "b@d.test", "x", "198.51.100.1");
	assert_delay(g, 500);
	home_free(&h);
}

static void attack_locks_nobody_out(void **state)
{
	struct home h;
	struct dir_grant g;
	char peer[32];
	(void)state;
	home_init(&h);
	fill(&h);
	/* The owner logs in once, then a botnet tries. */
	g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "good", "192.0.2.50");
	assert_int_equal(delay(&g), 0);
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(peer, sizeof peer, "203.0.113.%u", i);
		g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "guess", peer);
	}
	/* Each bot is new, yet slowed by the account's counter. */
	assert_delay(g, 15000);
	g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "good", "192.0.2.50");
	assert_true(g.granted);
	assert_int_equal(delay(&g), 0);
	/* Even after a slip. */
	g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "goof", "192.0.2.50");
	assert_delay(g, 500);
	g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "good", "192.0.2.50");
	assert_int_equal(delay(&g), 0);
	/* A new place of the owner gets in, after a wait. */
	g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "good", "192.0.2.51");
	assert_true(g.granted);
	assert_delay(g, 15000);
	g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "good", "192.0.2.51");
	assert_int_equal(delay(&g), 0);
	/* Other accounts do not notice. */
	g = login_from(&h, DIR_IMAP, DIR_TLS, "b@d.test", "good", "192.0.2.60");
	assert_int_equal(delay(&g), 0);
	home_free(&h);
}

/* Who guesses waits behind those who do not; a right password that is remembered waits for nobody.
 */
static void guesses_come_last(void **state)
{
	struct home h;
	struct dir_grant g = {0};
	char peer[32];
	(void)state;
	home_init(&h);
	fill(&h);
	struct str user = STR("a@d.test"), mine = STR("192.0.2.50"), other = STR("192.0.2.51");
	struct dir_login l = {.place = {.service = DIR_IMAP, .channel = DIR_TLS, .peer = mine},
			      .username = user,
			      .password = STR("good")};
	assert_int_equal(dir_login_turn(h.d, mine, user), DIR_TURN_NEW);
	assert_int_equal(dir_auth_remembered(h.d, &l, &h.a, &g, &h.why), 0);
	assert_true(login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "good", "192.0.2.50").granted);
	assert_int_equal(dir_login_turn(h.d, mine, user), DIR_TURN_KNOWN);
	assert_int_equal(dir_login_turn(h.d, mine, STR("A@D.TEST")), DIR_TURN_KNOWN);
	assert_int_equal(dir_auth_remembered(h.d, &l, &h.a, &g, &h.why), 1);
	assert_true(g.granted && g.cached && g.account.v != 0);
	l.password = STR("bad");
	assert_int_equal(dir_auth_remembered(h.d, &l, &h.a, &g, &h.why), 0);
	l.password = STR("good");
	l.authzid = STR("b@d.test");
	assert_int_equal(dir_auth_remembered(h.d, &l, &h.a, &g, &h.why), 0);
	l.authzid = STR_NULL;

	/* One source guesses: it is suspected everywhere, others are not. */
	for (unsigned i = 0; i < 3; i++)
		(void)login_from(&h, DIR_IMAP, DIR_TLS, "b@d.test", "guess", "192.0.2.51");
	assert_int_equal(dir_login_turn(h.d, other, user), DIR_TURN_SUSPECT);
	assert_int_equal(dir_login_turn(h.d, STR("192.0.2.52"), user), DIR_TURN_NEW);
	/* A botnet guesses: strangers are suspected there, its owner is not. */
	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(peer, sizeof peer, "203.0.113.%u", i);
		(void)login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "guess", peer);
	}
	assert_int_equal(dir_login_turn(h.d, STR("192.0.2.52"), user), DIR_TURN_SUSPECT);
	assert_int_equal(dir_login_turn(h.d, mine, user), DIR_TURN_KNOWN);
	/* What was switched off is not granted by memory. */
	edit(&h, "UPDATE mailbox SET active = 0");
	assert_int_equal(dir_auth_remembered(h.d, &l, &h.a, &g, &h.why), 0);
	clock_bend_us(3600 * SEC_US);
	assert_int_equal(dir_login_turn(h.d, other, user), DIR_TURN_NEW);
	home_free(&h);
}

static void own_success_does_not_wash_guesses(void **state)
{
	struct home h;
	struct dir_grant g;
	(void)state;
	home_init(&h);
	fill(&h);
	/* Guess at a, log in to one's own b in between: the counter against a stays. */
	for (unsigned i = 0; i < 8; i++) {
		g = login_from(&h, DIR_IMAP, DIR_TLS, "a@d.test", "guess", "198.51.100.7");
		(void)login_from(&h, DIR_IMAP, DIR_TLS, "b@d.test", "good", "198.51.100.7");
	}
	assert_delay(g, 15000);
	home_free(&h);
}

static void tables_are_bounded(void **state)
{
	struct home h;
	char peer[32];
	char user[32];
	(void)state;
	home_init(&h);
	dir_close(h.d);
	h.c.slow_entries = 32;
	h.c.cache_max = 8;
	home_open(&h);
	fill(&h);
	for (unsigned i = 0; i < 150; i++) {
		(void)snprintf(peer, sizeof peer, "10.0.%u.%u", i / 200, i % 200);
		(void)snprintf(user, sizeof user, "u%u@d.test", i % 2 ? i : 0);
		(void)login_from(&h, DIR_IMAP, DIR_TLS, i % 3 ? "a@d.test" : user,
				 i % 3 == 1 ? "good" : "x", peer);
	}
	home_free(&h);
}

static void last_login_is_kept(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	fill(&h);
	(void)login(&h, "a@d.test", "good");
	(void)login_from(&h, DIR_POP3, DIR_TLS, "a@d.test", "good", "::1");
	assert_ok(dir_flush(h.d, &h.why), &h.why);
	assert_str(look(&h, "SELECT imap > 1000000 AND pop3 > 1000000 AND domain = 'd.test'"
			    " FROM last_login"),
		   "1");
	home_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_and_wrong),
		cmocka_unit_test(every_scheme_of_the_file),
		cmocka_unit_test(services_and_rules),
		cmocka_unit_test(networks),
		cmocka_unit_test(success_is_remembered),
		cmocka_unit_test(source_is_slowed),
		cmocka_unit_test(attack_locks_nobody_out),
		cmocka_unit_test(guesses_come_last),
		cmocka_unit_test(own_success_does_not_wash_guesses),
		cmocka_unit_test(tables_are_bounded),
		cmocka_unit_test(last_login_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
