/* SPDX-License-Identifier: Apache-2.0 */
/* What rules about mail ask: domains, who may write to a list, whom a login may be. */
#include "service/dir/dir_test.h"
#include "service/dir/policy_api.h"

static void may(struct home *h, const char *to, const char *from, enum policy_access want)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct policy_access_facts f;
	struct fail why = FAIL_INIT;
	assert_ok(dir_policy_access(h->d, str_c(to), str_c(from), &a, &f, &why), &why);
	if (f.access != want)
		fail_msg("%s to %s: %d (%.*s)", from, to, f.access, STR_ARG(f.why));
}

static void fill(struct home *h)
{
	edit(h, "INSERT INTO domain (domain) VALUES ('ours.test'), ('kept.test');"
		"UPDATE domain SET backupmx = 1 WHERE domain = 'kept.test';"
		"INSERT INTO alias_domain (alias_domain, target_domain) VALUES"
		" ('also.test', 'ours.test');"
		"INSERT INTO mailbox (username, domain) VALUES ('a@ours.test', 'ours.test');"
		"INSERT INTO alias (address, accesspolicy, domain) VALUES"
		" ('all@ours.test', 'MembersOnly', 'ours.test'), ('dom@ours.test', 'domain', "
		"'ours.test'),"
		" ('sub@ours.test', 'subdomain', 'ours.test'), ('mod@ours.test', 'allowedonly', "
		"'ours.test'),"
		" ('both@ours.test', 'membersandmoderatorsonly', 'ours.test'),"
		" ('any@ours.test', 'public', 'ours.test'), ('odd@ours.test', 'strange', "
		"'ours.test');"
		"INSERT INTO forwardings (address, forwarding, is_list) VALUES"
		" ('all@ours.test', 'a@ours.test', 1), ('both@ours.test', 'a@ours.test', 1);"
		"INSERT INTO moderators (address, moderator) VALUES"
		" ('mod@ours.test', 'm@far.test'), ('both@ours.test', '*@boss.test');"
		"INSERT INTO maillists (address, accesspolicy, domain, mlid, active) VALUES"
		" ('list@ours.test', 'domain', 'ours.test', '1', 1),"
		" ('quiet@ours.test', '', 'ours.test', '2', 0),"
		" ('club@ours.test', 'membersonly', 'ours.test', '3', 1);"
		"INSERT INTO maillist_owners (address, owner) VALUES"
		" ('list@ours.test', 'o@far.test')");
}

static void access_policies(void **state)
{
	struct home h;
	(void)state;
	home_init(&h);
	fill(&h);
	may(&h, "all@ours.test", "A+x@ours.test", POLICY_ACCESS_YES);
	may(&h, "ALL@also.test", "a@also.test", POLICY_ACCESS_YES);
	may(&h, "all@ours.test", "b@ours.test", POLICY_ACCESS_NO);
	may(&h, "all@ours.test", "", POLICY_ACCESS_NO);
	may(&h, "dom@ours.test", "b@ours.test", POLICY_ACCESS_YES);
	may(&h, "dom@ours.test", "b@also.test", POLICY_ACCESS_YES);
	may(&h, "dom@ours.test", "b@x.ours.test", POLICY_ACCESS_NO);
	may(&h, "sub@ours.test", "b@x.ours.test", POLICY_ACCESS_YES);
	may(&h, "sub@ours.test", "b@xours.test", POLICY_ACCESS_NO);
	may(&h, "mod@ours.test", "m@far.test", POLICY_ACCESS_YES);
	may(&h, "mod@ours.test", "a@ours.test", POLICY_ACCESS_NO);
	may(&h, "both@ours.test", "x@boss.test", POLICY_ACCESS_YES);
	may(&h, "both@ours.test", "a@ours.test", POLICY_ACCESS_YES);
	may(&h, "both@ours.test", "x@far.test", POLICY_ACCESS_NO);
	may(&h, "any@ours.test", "x@far.test", POLICY_ACCESS_NONE);
	may(&h, "odd@ours.test", "x@far.test", POLICY_ACCESS_NONE);
	may(&h, "a@ours.test", "x@far.test", POLICY_ACCESS_NONE);
	may(&h, "list@ours.test", "x@far.test", POLICY_ACCESS_NO);
	may(&h, "list@ours.test", "o@far.test", POLICY_ACCESS_YES);
	may(&h, "quiet@ours.test", "a@ours.test", POLICY_ACCESS_DISABLED);
	may(&h, "club@ours.test", "x@far.test", POLICY_ACCESS_NONE);
	home_free(&h);
}

static void domains_and_logins(void **state)
{
	struct home h;
	struct policy_domain_facts d;
	struct policy_login_facts l;
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	(void)state;
	home_init(&h);
	fill(&h);
	assert_ok(dir_policy_domain(h.d, STR("Ours.test"), &a, &d, &why), &why);
	assert_int_equal(d.kind, POLICY_DOMAIN_OURS);
	assert_ok(dir_policy_domain(h.d, STR("kept.test"), &a, &d, &why), &why);
	assert_int_equal(d.kind, POLICY_DOMAIN_BACKUP_MX);
	assert_ok(dir_policy_domain(h.d, STR("also.test"), &a, &d, &why), &why);
	assert_int_equal(d.kind, POLICY_DOMAIN_ALIAS);
	assert_str(d.target, "ours.test");
	assert_ok(dir_policy_domain(h.d, STR("far.test"), &a, &d, &why), &why);
	assert_int_equal(d.kind, POLICY_DOMAIN_FOREIGN);
	edit(&h, "UPDATE mailbox SET created = datetime('now', '-3 days')");
	assert_ok(dir_policy_login(h.d, STR("a@ours.test"), STR("all@ours.test"), &l, &why), &why);
	assert_true(l.known && l.list_member && !l.may_send);
	assert_in_range(l.password_age_s, 3 * 86400 - 60, 3 * 86400 + 60);
	assert_ok(dir_policy_login(h.d, STR("a@ours.test"), STR("a@also.test"), &l, &why), &why);
	assert_true(l.may_send && !l.list_member);
	assert_ok(dir_policy_login(h.d, STR("z@ours.test"), STR("a@ours.test"), &l, &why), &why);
	assert_false(l.known);
	home_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(access_policies),
					   cmocka_unit_test(domains_and_logins)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
