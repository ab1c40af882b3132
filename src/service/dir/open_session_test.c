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

static void tickets_outlive_a_restart(void **state)
{
	struct home h;
	(void)state;
	setup(&h);
	struct str t = open_session(&h, 1, "a@d.test", STR("good"));
	struct str u = open_session(&h, 2, "b@d.test", STR("good"));
	dir_session_closed(h.d, 2);
	dir_close(h.d);
	home_open(&h);
	assert_ok(dir_session_again(h.d, 1, t, &h.why), &h.why);
	assert_int_equal(dir_session_again(h.d, 3, u, &h.why), -FAIL_CORRUPT);
	assert_int_equal(dir_session_again(h.d, 2, str_sub(u, 0, u.n - 1), &h.why), -FAIL_CORRUPT);
	assert_int_equal(check(&h).n, 0);
	edit(&h, "UPDATE mailbox SET password = '{PLAIN}new'");
	assert_ends(&h, 1, "password was changed");
	/* What changed while nobody looked is found too. */
	assert_ok(dir_session_again(h.d, 2, u, &h.why), &h.why);
	assert_ends(&h, 2, "password was changed");
	(void)open_session(&h, 4, "a@d.test", STR("new"));
	dir_sessions_forget(h.d, 7); /* another edge: this session stays */
	edit(&h, "UPDATE mailbox SET password = '{PLAIN}newer'");
	assert_ends(&h, 4, "password was changed");
	(void)open_session(&h, 4, "a@d.test", STR("newer"));
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
		cmocka_unit_test(tickets_outlive_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
