/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"
#include "codec/sasl/sasl.h"
#include "service/dir/app_password.h"
#include "service/dir/dir_test.h"
#include "service/dir/scram_testing.h"
#include "service/dir/totp.h"
#include "sys/clock.h"

static void setup(struct home *h)
{
	home_init(h);
	dir_close(h->d);
	h->c.slow_first_ms = 0;
	h->c.scram_iterations = 4096;
	home_open(h);
	ORDER(h, "domain add d.test");
	ORDER(h, "user add a@d.test --password good --alias al@d.test");
	ORDER(h, "user add b@d.test --password other");
}

static struct dir_grant try(struct home *h, enum dir_service s, const char *peer, struct str user,
			    struct str password)
{
	struct dir_login l = {{s, DIR_TLS, str_c(peer)}, user, password};
	struct dir_grant g;
	assert_ok(dir_auth(h->d, &l, &h->a, &g, &h->why), &h->why);
	return g;
}

static bool imap(struct home *h, const char *user, struct str password)
{
	return try(h, DIR_IMAP, "192.0.2.1", str_c(user), password).granted;
}

static struct str shown(const struct home *h, const char *key)
{
	for (size_t i = 0; i < h->t.n_rows; i++)
		if (str_eq(h->t.cells[2 * i], str_c(key)))
			return h->t.cells[2 * i + 1];
	return STR("(missing)");
}

static struct account_id id_of(struct home *h, const char *user)
{
	struct dir_account acc;
	assert_ok(dir_account_by_address(h->d, str_c(user), &h->a, &acc, &h->why), &h->why);
	return acc.id;
}

/* ---- app passwords ---- */

static struct str make_app(struct home *h, const char *text)
{
	ORDER(h, text);
	struct str p = arena_str(&h->a, shown(h, "app password"));
	assert_int_equal(p.n, 34);
	return p;
}

static void app_password_logs_in(void **state)
{
	struct home h;
	(void)state;
	setup(&h);
	struct str p = make_app(&h, "user app-password add a@d.test --label phone");
	struct dir_grant g = try(&h, DIR_IMAP, "192.0.2.1", STR("a@d.test"), p);
	assert_true(g.granted && g.credential > 0);
	assert_string_equal(g.label, "phone");
	assert_true(try(&h, DIR_SMTP, "192.0.2.1", STR("a@d.test"), p).granted);
	assert_true(imap(&h, "a@d.test", STR("good")));
	assert_false(imap(&h, "b@d.test", p)); /* of another account */
	/* As people type it. */
	char typed[40];
	size_t n = 0;
	for (size_t i = 0; i < p.n; i++)
		if (p.p[i] != '-')
			typed[n++] = ascii_upper(p.p[i]);
	assert_true(imap(&h, "a@d.test", str_make(typed, n)));
	assert_false(imap(&h, "a@d.test", str_make(typed, n - 1)));
	assert_ok(dir_flush(h.d, &h.why), &h.why);
	assert_str(look(&h, "SELECT last_used > '2020' FROM barid_app_password"), "1");
	assert_str(look(&h, "SELECT length(hash) FROM barid_app_password"), "32");
	ORDER(&h, "user app-password list a@d.test");
	assert_int_equal(h.t.n_rows, 1);
	assert_str(h.t.cells[0], "phone");
	ORDER(&h, "user app-password del a@d.test PHONE");
	assert_false(imap(&h, "a@d.test", p));
	assert_int_equal(order(&h, "user app-password del a@d.test phone"), -FAIL_NOTFOUND);
	home_free(&h);
}

static void app_password_has_bounds(void **state)
{
	struct home h;
	(void)state;
	setup(&h);
	struct str p = make_app(&h, "user app-password add a@d.test --label x --services smtp,pop3"
				    " --networks 192.0.2.0/24 --addresses al@d.test"
				    " --expires 2d");
	assert_false(imap(&h, "a@d.test", p));
	struct dir_grant g = try(&h, DIR_SMTP, "192.0.2.77", STR("a@d.test"), p);
	assert_true(g.granted);
	assert_false(try(&h, DIR_SMTP, "192.0.3.77", STR("a@d.test"), p).granted);
	assert_int_equal(dir_credential_sends(h.d, g.credential, STR("AL@d.test"), &h.why), 1);
	assert_int_equal(dir_credential_sends(h.d, g.credential, STR("al+x@d.test"), &h.why), 1);
	assert_int_equal(dir_credential_sends(h.d, g.credential, STR("a@d.test"), &h.why), 0);
	clock_bend_us(2 * 86400 * SEC_US + SEC_US);
	g = try(&h, DIR_SMTP, "192.0.2.77", STR("a@d.test"), p);
	assert_false(g.granted);
	assert_non_null(strstr(g.reason, "expired"));
	clock_bend_us(0);
	static const char *const bad[] = {
		"user app-password add a@d.test",
		"user app-password add a@d.test --label x --expires tomorrow",
		"user app-password add a@d.test --label x --expires 2001-01-01",
		"user app-password add a@d.test --label x --services ftp",
		"user app-password add a@d.test --label x --networks here",
		"user app-password add a@d.test --label x --colour red",
		"user app-password remove a@d.test x",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (order(&h, bad[i]) != -FAIL_SYNTAX)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(order(&h, "user app-password add a@d.test --label X"), -FAIL_EXISTS);
	assert_int_equal(order(&h, "user app-password add a@d.test --label y --addresses b@d.test"),
			 -FAIL_PERM);
	ORDER(&h, "user del a@d.test");
	assert_str(look(&h, "SELECT count(*) FROM barid_app_password"), "0");
	for (int i = 0; i < APP_PASSWORDS_MAX; i++) {
		char text[80];
		(void)snprintf(text, sizeof text, "user app-password add b@d.test --label l%d", i);
		if (i == 0)
			edit(&h, "UPDATE mailbox SET password = '{PLAIN}x'");
		ORDER(&h, text);
	}
	assert_int_equal(order(&h, "user app-password add b@d.test --label more"), -FAIL_LIMIT);
	home_free(&h);
}

static bool scram(struct home *h, const char *user, const char *password)
{
	struct scram_client c = {.digest = DIGEST_SHA256,
				 .user = user,
				 .password = password,
				 .gs2 = "n,,",
				 .nonce = "rOprNGfwEbeRWgbNEkqO"};
	struct dir_sasl s = {9, {DIR_IMAP, DIR_TLS, STR("::1")}, STR("SCRAM-SHA-256"), STR("")};
	struct dir_step step = {0};
	assert_ok(dir_sasl_begin(h->d, &s, scram_client_first(&c), &h->a, &step, &h->why), &h->why);
	if (!step.more)
		return false;
	struct str challenge = step.challenge;
	assert_ok(dir_sasl_next(h->d, &s, scram_client_final(&c, challenge), &h->a, &step, &h->why),
		  &h->why);
	return step.grant.granted;
}

static void app_passwords_work_with_scram(void **state)
{
	struct home h;
	unsigned bits = 0;
	(void)state;
	setup(&h);
	const char *one = make_app(&h, "user app-password add a@d.test --label one").p;
	const char *two = make_app(&h, "user app-password add a@d.test --label two"
				       " --services smtp")
				  .p;
	assert_ok(dir_offer(h.d, &bits, &h.why), &h.why);
	assert_int_equal(bits, SASL_OFFER_SCRAM_256);
	assert_true(scram(&h, "a@d.test", one));
	assert_true(scram(&h, "a@d.test", "good"));
	assert_false(scram(&h, "a@d.test", two)); /* another service */
	/* A new password of the account leaves the salt, because theirs cannot be made anew. */
	ORDER(&h, "user passwd a@d.test better");
	assert_true(scram(&h, "a@d.test", "better"));
	assert_false(scram(&h, "a@d.test", "good"));
	assert_true(scram(&h, "a@d.test", one));
	ORDER(&h, "user app-password del a@d.test one");
	assert_false(scram(&h, "a@d.test", one));
	home_free(&h);
}

/* ---- second factors ---- */

static void published_codes(void **state)
{
	/* RFC 6238 appendix B */
	static const struct {
		uint64_t time;
		uint32_t code;
	} v[] = {{59, 94287082},	 {1111111109, 7081804},	 {1111111111, 14050471},
		 {1234567890, 89005924}, {2000000000, 69279037}, {20000000000, 65353130}};
	AUTO(buf) struct buf b = BUF_INIT(100);
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		assert_int_equal(totp_code(STR("12345678901234567890"), v[i].time / TOTP_STEP_S, 8),
				 v[i].code);
	/* RFC 4648 section 10 */
	totp_base32(STR("foobar"), &b);
	totp_base32(STR("foob"), &b);
	assert_string_equal(buf_c(&b), "MZXW6YTBOI"
				       "MZXW6YQ");
}

static void from_base32(struct str text, char out[TOTP_SECRET_LEN])
{
	static const char a[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint32_t bits = 0;
	unsigned n = 0;
	size_t at = 0;
	for (size_t i = 0; i < text.n; i++) {
		const char *p = strchr(a, text.p[i]);
		assert_non_null(p);
		bits = bits << 5 | (uint32_t)(p - a);
		for (n += 5; n >= 8; n -= 8)
			out[at++] = (char)(bits >> (n - 8));
	}
	assert_int_equal(at, TOTP_SECRET_LEN);
}

/* The code `steps` from now. */
static const char *code(const char secret[TOTP_SECRET_LEN], int steps)
{
	static char text[16];
	uint64_t step = (uint64_t)(clock_wall().v / SEC_US) / TOTP_STEP_S + (uint64_t)steps;
	(void)snprintf(text, sizeof text, "%06u",
		       totp_code(str_make(secret, TOTP_SECRET_LEN), step, 6));
	return text;
}

static int check(struct home *h, const char *c)
{
	int r = dir_totp_check(h->d, id_of(h, "a@d.test"), str_c(c), &h->why);
	assert_ok(r, &h->why);
	return r;
}

static void second_factor(void **state)
{
	struct home h;
	char secret[TOTP_SECRET_LEN], text[100], recovery[20];
	(void)state;
	setup(&h);
	/* The middle of a step, so that none ends inside of the test. */
	clock_bend_us(SEC_US * (45 - clock_wall().v / SEC_US % 30));
	ORDER(&h, "user totp enable a@d.test");
	from_base32(shown(&h, "secret"), secret);
	assert_true(str_starts(shown(&h, "uri"), STR("otpauth://totp/barid:a@d.test?secret=")));
	assert_true(imap(&h, "a@d.test", STR("good"))); /* not confirmed yet */
	assert_int_equal(check(&h, code(secret, 0)), 0);
	assert_int_equal(order(&h, "user totp confirm a@d.test 000000x"), -FAIL_AUTH);
	(void)snprintf(text, sizeof text, "user totp confirm a@d.test %s", code(secret, -1));
	ORDER(&h, text);
	assert_int_equal(h.t.n_rows, DIR_RECOVERY_CODES);
	(void)snprintf(recovery, sizeof recovery, "%.*s", STR_ARG(h.t.cells[1]));
	assert_int_equal(order(&h, "user totp enable a@d.test"), -FAIL_EXISTS);
	/* Once each; neighbours in time, but nothing older than what was used. */
	assert_int_equal(check(&h, code(secret, -1)), 0);
	assert_int_equal(check(&h, code(secret, -2)), 0);
	assert_int_equal(check(&h, code(secret, 2)), 0);
	assert_int_equal(check(&h, code(secret, 0)), 1);
	assert_int_equal(check(&h, code(secret, 0)), 0);
	assert_int_equal(check(&h, code(secret, 1)), 1);
	assert_int_equal(check(&h, recovery), 1);
	assert_int_equal(check(&h, recovery), 0);
	assert_int_equal(check(&h, ""), 0);
	ORDER(&h, "user totp status a@d.test");
	assert_str(shown(&h, "recovery codes left"), "9");
	/* Mail programs need an app password now. */
	assert_false(imap(&h, "a@d.test", STR("good")));
	assert_false(scram(&h, "a@d.test", "good"));
	assert_true(try(&h, DIR_WEB, "::1", STR("a@d.test"), STR("good")).granted);
	assert_true(imap(&h, "a@d.test", make_app(&h, "user app-password add a@d.test --label l")));
	/* Nothing of it in clear; and another key opens nothing. */
	assert_str(look(&h, "SELECT length(secret) FROM barid_totp"), "48");
	ORDER(&h, "user totp disable a@d.test");
	assert_true(imap(&h, "a@d.test", STR("good")));
	assert_str(look(&h, "SELECT count(*) FROM barid_recovery"), "0");
	ORDER(&h, "user totp enable a@d.test --app-passwords optional");
	from_base32(shown(&h, "secret"), secret);
	(void)snprintf(text, sizeof text, "user totp confirm a@d.test %s", code(secret, 0));
	ORDER(&h, text);
	assert_true(imap(&h, "a@d.test", STR("good")));
	home_free(&h);
}

/* ---- master users ---- */

/* Whomever it would act for: it is one secret that is guessed. */
static void guesses_at_a_master_add_up(void **state)
{
	struct home h;
	struct dir_grant g = {0};
	char user[64], peer[32];
	(void)state;
	setup(&h);
	ORDER(&h, "master add root --password key");
	dir_close(h.d);
	h.c.master_users = true;
	h.c.slow_first_ms = 500;
	home_open(&h);
	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(user, sizeof user, "u%u@d.test*root", i);
		(void)snprintf(peer, sizeof peer, "203.0.113.%u", i);
		g = try(&h, DIR_IMAP, peer, str_c(user), STR("guess"));
		assert_false(g.granted);
	}
	assert_true(g.not_before.v - clock_mono().v > 10 * SEC_NS);
	home_free(&h);
}

static void master_users(void **state)
{
	struct home h;
	(void)state;
	setup(&h);
	assert_int_equal(order(&h, "master add root"), -FAIL_SYNTAX);
	assert_int_equal(order(&h, "master add a*b --password x"), -FAIL_SYNTAX);
	ORDER(&h, "master add root --password key");
	assert_non_null(strstr(h.t.message.p, "auth.master_users is off"));
	assert_false(imap(&h, "a@d.test*root", STR("key"))); /* off */
	dir_close(h.d);
	h.c.master_users = true;
	home_open(&h);
	struct dir_grant g = try(&h, DIR_IMAP, "::1", STR("A@d.test*root"), STR("key"));
	if (!g.granted || g.cached)
		fail_msg("%s", g.reason);
	assert_str(g.address, "a@d.test");
	assert_string_equal(g.master, "root");
	assert_true(try(&h, DIR_IMAP, "::1", STR("b@d.test*root"), STR("key")).cached);
	/* As SASL PLAIN says it. */
	struct dir_login l = {.place = {DIR_IMAP, DIR_TLS, STR("::1")},
			      .username = STR("root"),
			      .password = STR("key"),
			      .authzid = STR("b@d.test")};
	assert_ok(dir_auth(h.d, &l, &h.a, &g, &h.why), &h.why);
	assert_true(g.granted);
	assert_str(g.address, "b@d.test");
	static const char *const no[][2] = {
		{"a@d.test*root", "good"},
		{"a@d.test*root", ""},
		{"a@d.test*nobody", "key"},
		{"nobody@d.test*root", "key"},
		{"root", "key"},
		{"*root", "key"},
		{"a@d.test*", "key"},
		{"a@d.test*b@d.test", "other"},
	};
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (imap(&h, no[i][0], str_c(no[i][1])))
			fail_msg("granted: %s", no[i][0]);
	assert_false(try(&h, DIR_SMTP, "::1", STR("a@d.test*root"), STR("key")).granted);
	ORDER(&h, "user set a@d.test --active off");
	assert_false(imap(&h, "a@d.test*root", STR("key")));
	ORDER(&h, "master passwd root new");
	assert_false(imap(&h, "b@d.test*root", STR("key")));
	assert_true(imap(&h, "b@d.test*root", STR("new")));
	ORDER(&h, "master del root");
	assert_false(imap(&h, "b@d.test*root", STR("new")));
	assert_int_equal(order(&h, "master del root"), -FAIL_NOTFOUND);
	home_free(&h);
}

static void only_for_oneself_otherwise(void **state)
{
	struct home h;
	struct dir_grant g;
	(void)state;
	setup(&h);
	struct dir_login l = {.place = {DIR_IMAP, DIR_TLS, STR("::1")},
			      .username = STR("a@d.test"),
			      .password = STR("good"),
			      .authzid = STR("b@d.test")};
	assert_ok(dir_auth(h.d, &l, &h.a, &g, &h.why), &h.why);
	assert_false(g.granted);
	home_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(app_password_logs_in),
		cmocka_unit_test(app_password_has_bounds),
		cmocka_unit_test(app_passwords_work_with_scram),
		cmocka_unit_test(published_codes),
		cmocka_unit_test(second_factor),
		cmocka_unit_test(master_users),
		cmocka_unit_test(guesses_at_a_master_add_up),
		cmocka_unit_test(only_for_oneself_otherwise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
