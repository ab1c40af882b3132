/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/test.h"
#include "service/policy/key.h"

static void kinds(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		enum policy_key_kind kind;
	} rows[] = {
		{"a@example.com", POLICY_KEY_ADDRESS},
		{"a@*", POLICY_KEY_WILDCARD_ADDRESS},
		{"@example.com", POLICY_KEY_DOMAIN},
		{"@.example.com", POLICY_KEY_SUBDOMAIN},
		{"@.com", POLICY_KEY_TLD},
		{"@.", POLICY_KEY_ALL},
		{"@ip", POLICY_KEY_ALL_IP},
		{"192.0.2.1", POLICY_KEY_IP},
		{"2001:db8::1", POLICY_KEY_IP},
		{"192.0.2.0/24", POLICY_KEY_CIDR},
		{"2001:db8::/32", POLICY_KEY_CIDR},
		{"192.0.2.*", POLICY_KEY_WILDCARD_IP},
		{"192.0.*.1", POLICY_KEY_WILDCARD_IP},
		{"*.*.*.*", POLICY_KEY_BAD},
		{"192.0.2.1/24", POLICY_KEY_BAD},
		{"192.0.2", POLICY_KEY_BAD},
		{"192.0.2.256", POLICY_KEY_BAD},
		{"", POLICY_KEY_BAD},
		{"@", POLICY_KEY_BAD},
		{"@..com", POLICY_KEY_BAD},
		{"a b@example.com", POLICY_KEY_BAD},
		{"example.com", POLICY_KEY_BAD},
		{"a@b@example.com", POLICY_KEY_ADDRESS},
		{"a@", POLICY_KEY_BAD},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (policy_key_kind(str_c(rows[i].key)) != rows[i].kind)
			fail_msg("%s is %d", rows[i].key, policy_key_kind(str_c(rows[i].key)));
	assert_true(policy_key_priority(POLICY_KEY_ADDRESS) >
		    policy_key_priority(POLICY_KEY_DOMAIN));
	assert_int_equal(policy_key_mail_priority(POLICY_KEY_ADDRESS), 10);
	assert_int_equal(policy_key_priority(POLICY_KEY_ALL), 0);
}

static void normal(void **state)
{
	(void)state;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(4));
	static const char *const rows[][2] = {
		{" Bob@Example.COM ", "bob@example.com"},
		{"2001:DB8:0:0::1", "2001:db8::1"},
		{"2001:db8:0::/32", "2001:db8::/32"},
		{"@.EXAMPLE.com", "@.example.com"},
	};
	struct str key;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(policy_key_normal(str_c(rows[i][0]), &a, &key));
		assert_str(key, rows[i][1]);
	}
	assert_false(policy_key_normal(STR("nothing"), &a, &key));
}

static void same(const struct policy_keys *k, const char *want)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(8));
	for (size_t i = 0; i < k->n; i++)
		buf_addf(&b, "%s%.*s", i ? " " : "", STR_ARG(k->v[i]));
	assert_str(buf_str(&b), want);
}

static void expansions(void **state)
{
	(void)state;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct policy_keys k;
	struct netaddr ip;
	policy_keys_of_address(STR("bob+x@mail.example.co.uk"), STR("bob@mail.example.co.uk"), &a,
			       &k);
	same(&k, "bob+x@mail.example.co.uk bob@mail.example.co.uk bob@* @mail.example.co.uk"
		 " @.mail.example.co.uk @.example.co.uk @.co.uk @.uk @.");
	policy_keys_of_address(STR(""), STR(""), &a, &k);
	same(&k, "@.");
	policy_keys_of_address(STR("a@b"), STR("a@b"), &a, &k);
	same(&k, "a@b a@* @b @.b @.");
	/* Deep ones lose the names in the middle, not "@.com". */
	policy_keys_of_address(STR("a@1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.com"),
			       STR("a@1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.com"), &a, &k);
	assert_true(k.n <= POLICY_KEYS_MAX);
	assert_true(policy_keys_have(&k, STR("@.com")) && policy_keys_have(&k, STR("@.")));
	assert_true(netaddr_parse(STR("192.0.2.1"), &ip));
	policy_keys_of_client(&ip, &a, &k);
	assert_int_equal(k.n, 17);
	assert_str(k.v[0], "192.0.2.1");
	assert_true(policy_keys_have(&k, STR("192.0.2.*")) &&
		    policy_keys_have(&k, STR("192.0.*.1")));
	assert_true(netaddr_parse(STR("2001:db8::1"), &ip));
	policy_keys_of_client(&ip, &a, &k);
	same(&k, "2001:db8::1 @ip @.");
	ip.family = 0;
	policy_keys_of_client(&ip, &a, &k);
	same(&k, "@.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),
		cmocka_unit_test(normal),
		cmocka_unit_test(expansions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
