/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dir/dir_test.h"

#define assert_look(h, sql, want) assert_str(look(h, sql), want)

static void assert_refused(struct home *h, const char *text, enum fail_code code, const char *says)
{
	int r = order(h, text);
	if (r != -(int)code || !strstr(h->why.public, says))
		fail_msg("\"%s\" gives %d: %s", text, r, h->why.public);
}

/* The value of a key in a show table. */
static struct str shown(const struct home *h, const char *key)
{
	for (size_t i = 0; i < h->t.n_rows; i++)
		if (str_eq(h->t.cells[2 * i], str_c(key)))
			return h->t.cells[2 * i + 1];
	return STR("(missing)");
}

static void users(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	assert_refused(&h, "user add bob@example.net", FAIL_NOTFOUND,
		       "create it with: barid domain add example.net");
	ORDER(&h, "domain add Example.NET");
	ORDER(&h, "user add Bo.b@example.net --name Bob --quota 2g --language de_DE --password pw");
	assert_str(h.t.message, "user bo.b@example.net created");
	assert_look(&h,
		    "SELECT quota || ' ' || name || ' ' || domain || ' ' || language FROM mailbox",
		    "2048 Bob example.net de_DE");
	assert_look(&h,
		    "SELECT maildir GLOB 'example.net/b/o/_/bo.b-20[0-9][0-9].[01][0-9].[0-3][0-9]."
		    "[0-2][0-9].[0-5][0-9].[0-5][0-9]/' FROM mailbox",
		    "1");
	assert_look(&h, "SELECT storagebasedirectory || '/' || storagenode FROM mailbox",
		    "/var/vmail/vmail1");
	assert_look(&h,
		    "SELECT address || ' ' || forwarding || ' ' || domain || ' ' || dest_domain"
		    " || is_forwarding || is_alias || is_list || active FROM forwardings",
		    "bo.b@example.net bo.b@example.net example.net example.net1001");
	assert_refused(&h, "user add bo.b@example.net", FAIL_EXISTS, "it is a user");
	assert_refused(&h, "user add x+y@example.net", FAIL_SYNTAX, "holds no '+'");
	assert_refused(&h, "user add nonsense", FAIL_SYNTAX, "not a mail address");
	assert_refused(&h, "user add z@example.net --colour red", FAIL_SYNTAX, "no key colour");
	ORDER(&h, "user add h@example.net --password-hash {PLAIN}x");
	assert_look(&h, "SELECT password FROM mailbox WHERE username = 'h@example.net'",
		    "{PLAIN}x");
	ORDER(&h, "user del h@example.net");
	assert_refused(&h, "domain set example.net --password x", FAIL_SYNTAX, "only a user");
	assert_refused(&h, "user show z@example.net", FAIL_NOTFOUND, "no such user");
	ORDER(&h, "user show bo.b@example.net");
	assert_str(shown(&h, "name"), "Bob");
	assert_str(shown(&h, "quota"), "2048 MB");
	assert_str(shown(&h, "password"), "{CRYPT}");
	assert_str(shown(&h, "imap"), "on");
	ORDER(&h, "user list example.net");
	assert_int_equal(h.t.n_rows, 1);
	assert_str(h.t.cells[0], "bo.b@example.net");
	home_free(&h);
}

/* What the user has, else the domain, else nothing. */
static void rates(void **state)
{
	struct home h;
	struct fail why = FAIL_INIT;
	struct dir_rates r;
	struct dir_account account;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test --rate-messages-hour 50");
	ORDER(&h, "user add a@d.test --rate-recipients-day 10");
	ORDER(&h, "domain set d.test --rate-recipients-day 1000 --rate-messages-day 7");
	ORDER(&h, "user set a@d.test --rate-messages-hour unlimited");
	ORDER(&h, "user set a@d.test --rate-recipients-hour 3");
	ORDER(&h, "user set a@d.test --rate-recipients-hour default");
	assert_look(&h, "SELECT settings FROM mailbox",
		    "rate_recipients_day:10;rate_messages_hour:0;");
	assert_ok(dir_account_by_address(h.d, STR("a@d.test"), &a, &account, &why), &why);
	assert_ok(dir_rates(h.d, account.id, &r, &why), &why);
	assert_int_equal(r.v[0], 0);
	assert_int_equal(r.v[1], -1);
	assert_int_equal(r.v[2], 7);
	assert_int_equal(r.v[3], 10);
	assert_ok(dir_rates(h.d, (struct account_id){999}, &r, &why), &why);
	assert_int_equal(r.v[0], -1);
	assert_refused(&h, "user set a@d.test --rate-messages-day often", FAIL_SYNTAX,
		       "is no rate");
	home_free(&h);
}

static void settings_of_users(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test");
	ORDER(&h, "domain add e.test");
	ORDER(&h, "domain alias-add al.test d.test");
	ORDER(&h, "user add a@d.test");
	ORDER(&h, "user add b@d.test");
	ORDER(&h, "alias add team@d.test a@d.test b@d.test");
	ORDER(&h, "user set a@d.test --alias x@d.test,y@al.test --forward out@r.test,b@d.test");
	assert_look(&h,
		    "SELECT group_concat(address, ' ') FROM (SELECT address FROM forwardings WHERE "
		    "is_alias = 1"
		    " AND forwarding = 'a@d.test' ORDER BY id)",
		    "x@d.test y@al.test");
	assert_look(&h,
		    "SELECT group_concat(forwarding, ' ') FROM (SELECT forwarding FROM forwardings"
		    " WHERE address = 'a@d.test' ORDER BY id)",
		    "a@d.test out@r.test b@d.test");
	assert_refused(&h, "user set b@d.test --alias x@d.test", FAIL_EXISTS,
		       "another address of a user");
	assert_refused(&h, "user set b@d.test --alias x@foreign.test", FAIL_NOTFOUND,
		       "no such domain");
	assert_refused(&h, "user set b@d.test --keep-copy off", FAIL_CONFLICT,
		       "a copy must be kept");
	assert_refused(&h, "user set b@d.test --forward nonsense", FAIL_SYNTAX,
		       "not a mail address");
	/* A refusal undoes the whole order. */
	assert_refused(&h, "user set b@d.test --name New --imap maybe", FAIL_SYNTAX,
		       "neither on nor off");
	assert_look(&h, "SELECT name FROM mailbox WHERE username = 'b@d.test'", "");
	ORDER(&h, "user set a@d.test --keep-copy off");
	assert_look(&h, "SELECT count(*) FROM forwardings WHERE address = 'a@d.test'", "2");
	ORDER(&h, "user set a@d.test --forward=");
	assert_look(&h, "SELECT forwarding FROM forwardings WHERE address = 'a@d.test'",
		    "a@d.test");
	/* Switching off reaches every row that names the user; rows of a disabled alias stay off.
	 */
	ORDER(&h, "user set a@d.test --active off");
	assert_look(&h, "SELECT count(*) FROM forwardings WHERE active = 0", "4");
	ORDER(&h, "alias set team@d.test --active off");
	ORDER(&h, "user set a@d.test --active on");
	assert_look(&h, "SELECT count(*) FROM forwardings WHERE active = 0", "2");
	ORDER(&h, "user set b@d.test --active off");
	ORDER(&h, "alias set team@d.test --active on");
	assert_look(
		&h,
		"SELECT group_concat(forwarding) FROM forwardings WHERE active = 0 AND is_list = 1",
		"b@d.test");
	ORDER(&h,
	      "user set a@d.test --imap off --web off --deliver off --allow-nets 10.0.0.0/8,::1");
	assert_look(
		&h,
		"SELECT enableimap || enableimapsecured || enableimaptls || enablesogowebmail ||"
		" enabledeliver || allow_nets FROM mailbox WHERE username = 'a@d.test'",
		"000n010.0.0.0/8,::1");
	assert_refused(&h, "user set a@d.test --allow-nets 10.0.0.0/99", FAIL_SYNTAX,
		       "not an address or network");
	ORDER(&h, "user set a@d.test --allow-nets any");
	assert_look(&h, "SELECT allow_nets IS NULL FROM mailbox WHERE username = 'a@d.test'", "1");
	home_free(&h);
}

static void deleting_leaves_nothing(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test");
	ORDER(&h, "user add a@d.test --alias x@d.test");
	ORDER(&h, "user add b@d.test --forward a@d.test");
	ORDER(&h, "alias add team@d.test a@d.test b@d.test");
	edit(&h,
	     "INSERT INTO used_quota VALUES ('a@d.test', 5, 6, 'd.test');"
	     "INSERT INTO sender_bcc_user (username, bcc_address) VALUES ('q@d.test', 'a@d.test');"
	     "INSERT INTO moderators (address, moderator) VALUES ('team@d.test', 'a@d.test')");
	ORDER(&h, "user del a@d.test");
	assert_look(&h,
		    "SELECT bytes || ' ' || messages || ' ' || (maildir LIKE "
		    "'/var/vmail/vmail1/d.test/a/_/_/a-%')"
		    " || (delete_date IS NULL) FROM deleted_mailboxes",
		    "5 6 11");
	assert_look(&h,
		    "SELECT count(*) FROM forwardings WHERE address = 'a@d.test' OR forwarding = "
		    "'a@d.test'",
		    "0");
	assert_look(&h,
		    "SELECT (SELECT count(*) FROM sender_bcc_user) + (SELECT count(*) FROM "
		    "moderators) +"
		    " (SELECT count(*) FROM used_quota)",
		    "0");
	assert_look(&h,
		    "SELECT was || (username IS NULL) || (deleted IS NOT NULL) FROM barid_account",
		    "a@d.test11");
	assert_refused(&h, "user del a@d.test", FAIL_NOTFOUND, "no such user");
	assert_refused(&h, "domain del d.test", FAIL_CONFLICT, "has 1 users");
	ORDER(&h, "domain del d.test --force yes");
	assert_look(&h,
		    "SELECT (SELECT count(*) FROM mailbox) + (SELECT count(*) FROM alias) +"
		    " (SELECT count(*) FROM forwardings) + (SELECT count(*) FROM domain)",
		    "0");
	assert_look(&h, "SELECT count(*) FROM deleted_mailboxes", "2");
	home_free(&h);
}

static void aliases(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test --aliases 2 --users 1 --quota 100");
	ORDER(&h, "alias add one@d.test m@r.test --name One --policy membersonly");
	assert_look(&h, "SELECT address || name || accesspolicy || domain || active FROM alias",
		    "one@d.testOnemembersonlyd.test1");
	assert_look(&h,
		    "SELECT is_list || is_forwarding || is_alias || dest_domain FROM forwardings",
		    "100r.test");
	ORDER(&h, "alias add none@d.test");
	assert_refused(&h, "alias add third@d.test", FAIL_LIMIT, "may not have more aliases");
	assert_refused(&h, "alias add one@d.test", FAIL_EXISTS, "an alias");
	assert_refused(&h, "alias set one@d.test one@d.test", FAIL_CONFLICT, "its own member");
	ORDER(&h, "alias set one@d.test --active off");
	ORDER(&h, "alias set one@d.test n@r.test o@r.test");
	assert_look(&h, "SELECT group_concat(forwarding || active) FROM forwardings",
		    "n@r.test0,o@r.test0");
	ORDER(&h, "alias show one@d.test");
	assert_str(shown(&h, "active"), "off");
	assert_str(shown(&h, "member"), "n@r.test");
	ORDER(&h, "alias list");
	assert_int_equal(h.t.n_rows, 2);
	/* Limits of users. */
	assert_refused(&h, "user add u@d.test", FAIL_LIMIT, "quota of 100 MB");
	assert_refused(&h, "user add u@d.test --quota 101", FAIL_LIMIT, "quota of 100 MB");
	ORDER(&h, "user add u@d.test --quota 60");
	assert_refused(&h, "user set u@d.test --quota 200", FAIL_LIMIT, "quota of 100 MB");
	assert_refused(&h, "user add v@d.test --quota 1", FAIL_LIMIT, "may not have more users");
	ORDER(&h, "alias del one@d.test");
	assert_look(&h, "SELECT count(*) FROM forwardings WHERE address = 'one@d.test'", "0");
	home_free(&h);
}

static void domains(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test --description about");
	assert_refused(&h, "domain add d.test", FAIL_EXISTS, "exists");
	assert_refused(&h, "domain add no_dots", FAIL_SYNTAX, "not a domain");
	ORDER(&h, "domain alias-add a.test d.test");
	assert_refused(&h, "domain add a.test", FAIL_EXISTS, "alias domain");
	assert_refused(&h, "domain alias-add b.test nope.test", FAIL_NOTFOUND, "no such domain");
	ORDER(&h, "domain catch-all d.test x@r.test y@r.test");
	assert_look(&h,
		    "SELECT group_concat(address || is_list || is_alias || is_forwarding) FROM "
		    "forwardings",
		    "d.test000,d.test000");
	ORDER(&h, "domain show d.test");
	assert_str(shown(&h, "alias domain"), "a.test");
	assert_str(shown(&h, "catch-all"), "x@r.test");
	ORDER(&h, "domain catch-all d.test");
	assert_look(&h, "SELECT count(*) FROM forwardings", "0");
	ORDER(&h, "domain list");
	assert_int_equal(h.t.n_rows, 1);
	assert_str(h.t.cells[3], "a.test");
	ORDER(&h, "domain alias-del a.test");
	assert_refused(&h, "domain alias-del a.test", FAIL_NOTFOUND, "not an alias domain");
	assert_refused(&h, "domain", FAIL_SYNTAX, "add, del, list");
	assert_refused(&h, "fly away", FAIL_SYNTAX, "begin with domain, user, alias");
	assert_refused(&h, "domain show", FAIL_SYNTAX, "usage: barid domain show DOMAIN");
	assert_refused(&h, "domain set d.test --quota", FAIL_SYNTAX, "needs a value");
	home_free(&h);
}

static void scopes(void **state)
{
	struct home h;
	struct str domains[] = {STR("d.test")};
	struct dir_scope mine = {.kind = DIR_SCOPE_DOMAINS, .domains = domains, .n_domains = 1};
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test");
	ORDER(&h, "domain add e.test");
	ORDER(&h, "user add z@e.test");
	assert_ok(order_as(&h, &mine, "user add a@d.test"), &h.why);
	assert_int_equal(order_as(&h, &mine, "user add a@e.test"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &mine, "user del z@e.test"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &mine, "user show z@e.test"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &mine, "user list e.test"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &mine, "domain add f.test"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &mine, "domain set d.test --users 0"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &mine, "user set a@d.test --alias q@e.test"), -FAIL_PERM);
	assert_ok(order_as(&h, &mine, "user list"), &h.why);
	assert_int_equal(h.t.n_rows, 1);
	assert_ok(order_as(&h, &mine, "domain list"), &h.why);
	assert_int_equal(h.t.n_rows, 1);
	home_free(&h);
}

static void deleted_users_come_back_with_their_mail(void **state)
{
	struct home h;
	struct account_id gone[4];
	struct dir_account before = {0}, after = {0};
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test");
	ORDER(&h, "user add a@d.test");
	ORDER(&h, "user add b@d.test");
	assert_ok(dir_account_by_address(h.d, STR("a@d.test"), &h.a, &before, &h.why), &h.why);
	ORDER(&h, "user del a@d.test");
	assert_int_equal(dir_accounts_gone(h.d, 3600, gone, 4, &h.why), 0); /* not yet */
	ORDER(&h, "user undelete a@d.test --quota 5");
	assert_ok(dir_account_by_address(h.d, STR("a@d.test"), &h.a, &after, &h.why), &h.why);
	assert_int_equal(before.id.v, after.id.v);
	assert_refused(&h, "user undelete a@d.test", FAIL_EXISTS, "exists");
	assert_refused(&h, "user undelete never@d.test", FAIL_NOTFOUND, "no mail to bring back");

	/* The time is over: the mail goes, and there is nothing to bring back. */
	ORDER(&h, "user del a@d.test");
	assert_int_equal(dir_accounts_gone(h.d, 0, gone, 4, &h.why), 1);
	assert_int_equal(gone[0].v, before.id.v);
	/* Somebody is removing it at this moment: too late, also when the time is made longer. */
	assert_refused(&h, "user undelete a@d.test", FAIL_NOTFOUND, "no mail to bring back");
	assert_int_equal(dir_accounts_gone(h.d, 999999, gone, 4, &h.why), 1);
	assert_ok(dir_account_mail_gone(h.d, gone[0], &h.why), &h.why);
	assert_int_equal(dir_accounts_gone(h.d, 0, gone, 4, &h.why), 0);
	assert_refused(&h, "user undelete a@d.test", FAIL_NOTFOUND, "no mail to bring back");

	/* At once; and with the whole domain. */
	ORDER(&h, "user del b@d.test --purge yes");
	assert_refused(&h, "user undelete b@d.test", FAIL_NOTFOUND, "no mail to bring back");
	assert_int_equal(dir_accounts_gone(h.d, 999999, gone, 4, &h.why), 1);
	ORDER(&h, "user add c@d.test");
	ORDER(&h, "domain del d.test --force yes");
	assert_int_equal(dir_accounts_gone(h.d, 0, gone, 4, &h.why), 2);
	home_free(&h);
}

static struct dir_scope scope_of(struct home *h, const char *address)
{
	struct dir_scope s = {0};
	int r = dir_scope_of(h->d, str_c(address), &h->a, &s, &h->why);
	assert_true(r == 0 || r == -FAIL_NOTFOUND);
	return s;
}

static void rights_come_from_the_tables(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	ORDER(&h, "domain add d.test");
	ORDER(&h, "domain add e.test");
	ORDER(&h, "user add boss@d.test");
	ORDER(&h, "user add head@d.test");
	ORDER(&h, "user add worker@d.test");
	ORDER(&h, "admin grant boss@d.test ALL");
	ORDER(&h, "admin grant head@d.test d.test e.test");
	assert_refused(&h, "admin grant head@d.test x.test", FAIL_NOTFOUND, "no such domain");
	assert_refused(&h, "admin grant nobody@d.test d.test", FAIL_NOTFOUND, "no such user");

	assert_int_equal(scope_of(&h, "nobody@d.test").kind, DIR_SCOPE_NOTHING);
	struct dir_scope boss = scope_of(&h, "boss@d.test"), head = scope_of(&h, "HEAD@d.test"),
			 worker = scope_of(&h, "worker@d.test");
	assert_int_equal(boss.kind, DIR_SCOPE_GLOBAL);
	assert_int_equal(head.kind, DIR_SCOPE_DOMAINS);
	assert_int_equal(head.n_domains, 2);
	assert_int_equal(worker.kind, DIR_SCOPE_SELF);

	assert_ok(order_as(&h, &head, "user list"), &h.why);
	assert_int_equal(h.t.n_rows, 3);
	/* Nobody rises by taking over an account. */
	assert_int_equal(order_as(&h, &head, "user passwd boss@d.test x"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &head, "user set boss@d.test --forward a@e.test"),
			 -FAIL_PERM);
	assert_int_equal(order_as(&h, &head, "user del boss@d.test"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &head, "admin grant head@d.test ALL"), -FAIL_PERM);
	assert_ok(order_as(&h, &head, "user passwd worker@d.test x"), &h.why);
	/* Nor one that is off, nor a name that has rights and no mailbox. */
	ORDER(&h, "user set boss@d.test --active off");
	assert_int_equal(order_as(&h, &head, "user passwd boss@d.test x"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &head, "user set boss@d.test --active on"), -FAIL_PERM);
	ORDER(&h, "user set boss@d.test --active on");
	edit(&h, "INSERT INTO admin (username) VALUES ('panel@d.test')");
	edit(&h, "INSERT INTO domain_admins (username, domain) VALUES ('panel@d.test', 'ALL')");
	assert_int_equal(order_as(&h, &head, "user add panel@d.test"), -FAIL_PERM);
	assert_int_equal(scope_of(&h, "panel@d.test").kind, DIR_SCOPE_GLOBAL);
	edit(&h, "DELETE FROM domain_admins WHERE username = 'panel@d.test'");
	/* Nor do they lead mail to other machines. */
	assert_int_equal(order_as(&h, &head, "user set worker@d.test --transport smtp:[10.0.0.1]"),
			 -FAIL_PERM);
	ORDER(&h, "user set worker@d.test --transport lmtp:here");

	assert_ok(order_as(&h, &worker, "user passwd worker@d.test y"), &h.why);
	assert_ok(order_as(&h, &worker, "user set worker@d.test --forward a@x.test"), &h.why);
	assert_ok(order_as(&h, &worker, "user show worker@d.test"), &h.why);
	assert_int_equal(order_as(&h, &worker, "user set worker@d.test --quota 9g"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &worker, "user show head@d.test"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &worker, "user passwd head@d.test y"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &worker, "user list"), -FAIL_PERM);
	assert_int_equal(order_as(&h, &worker, "alias add z@d.test a@d.test"), -FAIL_PERM);

	ORDER(&h, "user set head@d.test --active off");
	assert_int_equal(scope_of(&h, "head@d.test").kind, DIR_SCOPE_NOTHING);
	ORDER(&h, "user set head@d.test --active on");
	ORDER(&h, "admin revoke head@d.test d.test");
	assert_int_equal(scope_of(&h, "head@d.test").n_domains, 1);
	ORDER(&h, "admin revoke head@d.test e.test");
	assert_int_equal(scope_of(&h, "head@d.test").kind, DIR_SCOPE_SELF);
	home_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users),
		cmocka_unit_test(rates),
		cmocka_unit_test(settings_of_users),
		cmocka_unit_test(deleting_leaves_nothing),
		cmocka_unit_test(aliases),
		cmocka_unit_test(domains),
		cmocka_unit_test(scopes),
		cmocka_unit_test(rights_come_from_the_tables),
		cmocka_unit_test(deleted_users_come_back_with_their_mail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
