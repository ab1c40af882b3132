/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dir/dir_test.h"

struct ends {
	size_t n;
	uint64_t session;
	char reason[64];
};

static void note(void *ctx, uint64_t session, struct account_id account, enum dir_service service,
		 const char *reason)
{
	struct ends *e = ctx;
	assert_true(account.v > 0);
	assert_int_equal(service, DIR_IMAP);
	e->n++;
	e->session = session;
	(void)snprintf(e->reason, sizeof e->reason, "%s", reason);
}

static void setup(struct home *h)
{
	home_init(h);
	dir_close(h->d);
	h->c.scram = DIR_SCRAM_OFF;
	h->c.slow_first_ms = 0;
	h->c.master_users = true;
	home_open(h);
	ORDER(h, "domain add d.test");
	ORDER(h, "user add a@d.test");
	ORDER(h, "user add b@d.test");
	edit(h, "UPDATE mailbox SET password = '{PLAIN}good'");
}

/* Log in and open session number `id`; the ticket is returned. */
static struct str open_session(struct home *h, uint64_t id, const char *user, struct str password)
{
	AUTO(buf) struct buf ticket = BUF_INIT(DIR_TICKET_MAX);
	struct dir_login l = {{DIR_IMAP, DIR_TLS, STR("::1")}, str_c(user), password};
	struct dir_grant g;
	assert_ok(dir_auth(h->d, &l, &h->a, &g, &h->why), &h->why);
	if (!g.granted)
		fail_msg("%s: %s", user, g.reason);
	assert_ok(dir_session_opened(h->d, id, &l.place, &g, &ticket, &h->why), &h->why);
	return arena_str(&h->a, buf_str(&ticket));
}

static struct ends check(struct home *h)
{
	struct ends e = {0};
	assert_ok(dir_sessions_check(h->d, note, &e, &h->why), &h->why);
	return e;
}

static void assert_ends(struct home *h, uint64_t session, const char *reason)
{
	struct ends e = check(h);
	assert_int_equal(e.n, 1);
	assert_int_equal(e.session, session);
	assert_string_equal(e.reason, reason);
	assert_int_equal(check(h).n, 0);
}

static void changes_end_what_they_concern(void **state)
{
	static const struct {
		const char *edit, *order, *reason;
	} v[] = {
		{NULL, "user passwd a@d.test x", "password was changed"},
		{"UPDATE mailbox SET password = '{PLAIN}new' WHERE username = 'a@d.test'", NULL,
		 "password was changed"},
		{NULL, "user set a@d.test --active off", "account is switched off"},
		{"UPDATE mailbox SET active = 0 WHERE username = 'a@d.test'", NULL,
		 "account is switched off"},
		{NULL, "user set a@d.test --imap off", "service is off for the account"},
		{NULL, "user del a@d.test", "account was deleted"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct home h;
		setup(&h);
		(void)open_session(&h, 1, "a@d.test", STR("good"));
		(void)open_session(&h, 2, "b@d.test", STR("good"));
		assert_int_equal(check(&h).n, 0);
		ORDER(&h, "user set a@d.test --name other");
		assert_int_equal(check(&h).n, 0);
		if (v[i].edit)
			edit(&h, v[i].edit);
		else
			ORDER(&h, v[i].order);
		assert_ends(&h, 1, v[i].reason);
		home_free(&h);
	}
}

static void app_passwords_and_masters(void **state)
{
	struct home h;
	(void)state;
	setup(&h);
	ORDER(&h, "user app-password add a@d.test --label one --expires 1h");
	struct str one = arena_str(&h.a, h.t.cells[5]);
	ORDER(&h, "user app-password add a@d.test --label two");
	struct str two = arena_str(&h.a, h.t.cells[5]);
	ORDER(&h, "master add root --password key");
	(void)open_session(&h, 1, "a@d.test", one);
	(void)open_session(&h, 2, "a@d.test", two);
	(void)open_session(&h, 3, "a@d.test*root", STR("key"));
	ORDER(&h, "user passwd a@d.test x"); /* not theirs */
	assert_int_equal(check(&h).n, 0);
	ORDER(&h, "user app-password del a@d.test two");
	assert_ends(&h, 2, "app password is gone");
	ORDER(&h, "master passwd root other");
	assert_ends(&h, 3, "master user was changed");
	clock_bend_us(3601 * SEC_US);
	assert_ends(&h, 1, "app password is gone");
	home_free(&h);
}

static bool is_imap(const void *ctx, struct account_id account, enum dir_service service)
{
	(void)ctx;
	assert_true(account.v > 0);
	return service == DIR_IMAP;
}

static bool is_smtp(const void *ctx, struct account_id account, enum dir_service service)
{
	return !is_imap(ctx, account, service);
}

static void renewing(void **state)
{
	struct home h;
	struct account_id a, b;
	(void)state;
	setup(&h);
	struct str t = open_session(&h, 1, "a@d.test", STR("good"));
	struct dir_account found;
	assert_ok(dir_account_by_address(h.d, STR("a@d.test"), &h.a, &found, &h.why), &h.why);
	a = found.id;
	assert_ok(dir_account_by_address(h.d, STR("b@d.test"), &h.a, &found, &h.why), &h.why);
	b = found.id;
	clock_bend_us(100 * SEC_US); /* no longer young */
	/* The process that held it has ended; another one takes it over. */
	dir_sessions_let_go(h.d, is_imap, NULL);
	assert_ok(dir_session_renew(h.d, 1, a, t, &h.why), &h.why);
	assert_int_equal(dir_session_renew(h.d, 1, b, t, &h.why), -FAIL_AUTH);
	assert_int_equal(dir_session_renew(h.d, 2, a, t, &h.why), -FAIL_AUTH);
	assert_int_equal(dir_session_renew(h.d, 1, a, STR("x"), &h.why), -FAIL_AUTH);
	/* It is not granted twice. */
	AUTO(buf) struct buf other = BUF_INIT(DIR_TICKET_MAX);
	struct dir_grant again = {.granted = true, .account = b};
	assert_int_equal(
		dir_session_opened(h.d, 1, &(struct dir_place){DIR_IMAP}, &again, &other, &h.why),
		-FAIL_PERM);
	/* Neither edge nor who does not hold it ends it. */
	dir_session_closed(h.d, 1, NULL, NULL);
	dir_session_closed(h.d, 1, is_smtp, NULL);
	assert_ok(dir_session_renew(h.d, 1, a, t, &h.why), &h.why);
	/* What has ended does not come back: not by edge's ticket, not by its state. */
	dir_session_closed(h.d, 1, is_imap, NULL);
	assert_ok(dir_session_again(h.d, 1, t, false, &h.why), &h.why);
	assert_int_equal(dir_session_renew(h.d, 1, a, t, &h.why), -FAIL_AUTH);
	/* Nor does one whose password was changed while nobody held it. */
	t = open_session(&h, 1, "a@d.test", STR("good"));
	dir_sessions_let_go(h.d, is_imap, NULL);
	edit(&h, "UPDATE mailbox SET password = '{PLAIN}new'");
	assert_int_equal(dir_session_renew(h.d, 1, a, t, &h.why), -FAIL_AUTH);
	/* Edge may forget what nobody holds; and two hours later it is forgotten anyway. */
	t = open_session(&h, 1, "a@d.test", STR("new"));
	dir_sessions_let_go(h.d, is_imap, NULL);
	dir_session_closed(h.d, 1, NULL, NULL);
	assert_int_equal(dir_session_renew(h.d, 1, a, t, &h.why), -FAIL_AUTH);
	t = open_session(&h, 1, "a@d.test", STR("new"));
	dir_sessions_let_go(h.d, is_imap, NULL);
	clock_bend_us(7400 * SEC_US);
	assert_int_equal(check(&h).n, 0);
	assert_int_equal(dir_session_renew(h.d, 1, a, t, &h.why), -FAIL_AUTH);
	home_free(&h);
	clock_bend_us(0);
}

static void tickets_outlive_a_restart(void **state)
{
	struct home h;
	(void)state;
	setup(&h);
	struct str t = open_session(&h, 1, "a@d.test", STR("good"));
	struct str u = open_session(&h, 2, "b@d.test", STR("good"));
	dir_session_closed(h.d, 2, NULL, NULL); /* edge's word: it is held */
	dir_session_closed(h.d, 2, is_imap, NULL);
	dir_close(h.d);
	home_open(&h);
	assert_ok(dir_session_again(h.d, 1, t, true, &h.why), &h.why);
	assert_int_equal(dir_session_again(h.d, 3, u, true, &h.why), -FAIL_CORRUPT);
	assert_int_equal(dir_session_again(h.d, 2, str_sub(u, 0, u.n - 1), true, &h.why),
			 -FAIL_CORRUPT);
	assert_int_equal(check(&h).n, 0);
	edit(&h, "UPDATE mailbox SET password = '{PLAIN}new'");
	assert_ends(&h, 1, "password was changed");
	/* What changed while nobody looked is found too. */
	assert_ok(dir_session_again(h.d, 2, u, true, &h.why), &h.why);
	assert_ends(&h, 2, "password was changed");
	(void)open_session(&h, 4, "a@d.test", STR("new"));
	dir_sessions_forget(h.d, 7); /* another edge: this session stays */
	edit(&h, "UPDATE mailbox SET password = '{PLAIN}newer'");
	assert_ends(&h, 4, "password was changed");
	(void)open_session(&h, 4, "a@d.test", STR("newer"));
	dir_sessions_let_go(h.d, is_imap, NULL);
	dir_sessions_forget(h.d, 0);
	edit(&h, "UPDATE mailbox SET active = 0");
	assert_int_equal(check(&h).n, 0);
	home_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_end_what_they_concern),
		cmocka_unit_test(app_passwords_and_masters),
		cmocka_unit_test(renewing),
		cmocka_unit_test(tickets_outlive_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
