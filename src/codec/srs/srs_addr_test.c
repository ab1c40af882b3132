/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/srs/srs_addr.h"

/* No HMAC-SHA1, but as good for what is tested here: key and text change everything. */
static void mac(struct str key, struct str text, unsigned char ret[SRS_MAC_LEN])
{
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < SRS_MAC_LEN; i++) {
		for (size_t k = 0; k < key.n; k++)
			h = (h ^ (unsigned char)key.p[k]) * 1099511628211u;
		for (size_t k = 0; k < text.n; k++)
			h = (h ^ (unsigned char)text.p[k]) * 1099511628211u;
		ret[i] = (unsigned char)(h >> 56);
	}
}

static const struct str keys[] = {STR("new"), STR("old"), STR("oldest")};
static const struct srs_rules rules = {
	.secrets = keys, .n = 3, .hash_len = 4, .age_max = 21, .separator = '=', .hmac = mac};

#define DAY   20000u
#define THERE STR("fwd.example")

static int forward(const struct srs_rules *r, const char *sender, uint32_t day,
		   struct smtp_addr *ret)
{
	struct smtp_addr a;
	assert_int_equal(smtp_mailbox_parse(str_c(sender), &a), 0);
	return srs_forward(r, &a, THERE, day, ret);
}

static int back(const struct srs_rules *r, const struct smtp_addr *a, uint32_t day,
		struct smtp_addr *ret)
{
	AUTO(buf) struct buf plain = BUF_INIT(KIB(1));
	assert_int_equal(smtp_addr_plain_local(a, &plain), 0);
	return srs_reverse(r, buf_str(&plain), day, ret);
}

static void test_there_and_back(void **state)
{
	(void)state;
	static const char *const all[] = {
		"alice@example.org",
		"a=b=c@example.org",
		"bounces+17-x=y.example@em17.sender.example",
		"\"two words\"@example.org",
		"\"a@b\"@example.org",
		"x@[192.0.2.1]",
		"SRS0@example.org",
		"SRS0=@example.org",
		"srs2=a=b@example.org",
		"d\xc3\xb6rte@example.org",
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct smtp_addr there, again;
		assert_int_equal(forward(&rules, all[i], DAY, &there), 0);
		assert_str(smtp_addr_domain(&there), "fwd.example");
		assert_true(str_find_str(smtp_addr_str(&there), 0, STR("SRS0=")) < 2);
		for (uint32_t age = 0; age <= 21; age++) {
			assert_int_equal(back(&rules, &there, DAY + age, &again), 0);
			assert_str(smtp_addr_str(&again), all[i]);
		}
		assert_int_equal(back(&rules, &there, DAY + 22, &again), -FAIL_DEADLINE);
		assert_int_equal(back(&rules, &there, DAY + 1000, &again), -FAIL_DEADLINE);
		/* Another server's clock may be ahead by a day. */
		assert_int_equal(back(&rules, &there, DAY - 1, &again), 0);
		assert_int_equal(back(&rules, &there, DAY - 2, &again), -FAIL_DEADLINE);
	}
}

static void test_shape(void **state)
{
	(void)state;
	struct smtp_addr a;
	struct srs_rules r = rules;
	r.separator = '+';
	r.hash_len = 6;
	assert_int_equal(forward(&r, "alice@example.org", 32 * 17 + 9, &a), 0);
	struct str s = smtp_addr_str(&a);
	assert_str(str_sub(s, 0, 5), "SRS0+");
	assert_str(str_skip(s, 11), "=RJ=example.org=alice@fwd.example");
}

/* Three forwarders: the second and the third write SRS1, and each leads to the first. */
static void test_chain(void **state)
{
	(void)state;
	struct smtp_addr first, second, third, x;
	struct srs_rules dash = rules, other = rules;
	dash.separator = '-';
	other.secrets = &keys[2];
	other.n = 1;
	assert_int_equal(forward(&dash, "alice@example.org", DAY, &first), 0);
	assert_str(str_sub(smtp_addr_str(&first), 0, 5), "SRS0-");
	assert_int_equal(srs_forward(&rules, &first, STR("two.example"), DAY, &second), 0);
	assert_str(str_sub(smtp_addr_str(&second), 0, 5), "SRS1=");
	assert_str(str_sub(smtp_addr_str(&second), 9, 23), "=fwd.example=-");
	assert_int_equal(srs_forward(&other, &second, STR("three.example"), DAY, &third), 0);
	assert_str(str_sub(smtp_addr_str(&third), 0, 5), "SRS1=");
	assert_int_equal(third.local_n, second.local_n);
	assert_int_equal(back(&other, &third, DAY, &x), 0);
	assert_str(smtp_addr_str(&x), first.text);
	assert_int_equal(back(&rules, &second, DAY + 500, &x), 0);
	assert_str(smtp_addr_str(&x), first.text);
	assert_int_equal(back(&rules, &first, DAY, &x), 0);
	assert_str(smtp_addr_str(&x), "alice@example.org");
}

static void test_secrets(void **state)
{
	(void)state;
	struct smtp_addr a, x;
	struct srs_rules one = rules;
	one.n = 1;
	for (size_t i = 0; i < 3; i++) {
		one.secrets = &keys[i];
		assert_int_equal(forward(&one, "alice@example.org", DAY, &a), 0);
		assert_int_equal(back(&rules, &a, DAY, &x), 0);
		one.secrets = &keys[(i + 1) % 3];
		assert_int_equal(back(&one, &a, DAY, &x), -FAIL_PERM);
	}
	/* The first one signs. */
	one.secrets = &keys[0];
	assert_int_equal(forward(&rules, "alice@example.org", DAY, &a), 0);
	assert_int_equal(back(&one, &a, DAY, &x), 0);
}

static void test_case(void **state)
{
	(void)state;
	struct smtp_addr a, x;
	assert_int_equal(forward(&rules, "Alice@example.org", DAY, &a), 0);
	for (size_t i = 0; i < a.local_n; i++)
		a.text[i] = ascii_lower(a.text[i]);
	assert_int_equal(back(&rules, &a, DAY, &x), 0);
	assert_str(smtp_addr_str(&x), "alice@example.org");
	for (size_t i = 0; i < a.local_n; i++)
		a.text[i] = ascii_upper(a.text[i]);
	assert_int_equal(back(&rules, &a, DAY, &x), 0);
	assert_str(smtp_addr_str(&x), "ALICE@example.org");
}

/* Whatever single character is changed: it leads nowhere, or (its case) to the same. */
static void test_forged(void **state)
{
	(void)state;
	struct smtp_addr a, x;
	assert_int_equal(forward(&rules, "alice@example.org", DAY, &a), 0);
	for (size_t i = 0; i < a.local_n; i++)
		for (int c = '!'; c < 0x7f; c++) {
			struct smtp_addr b = a;
			b.text[i] = (char)c;
			bool same = ascii_lower(a.text[i]) == ascii_lower((char)c);
			bool separator = i == 4 && (c == '+' || c == '-');
			int r = srs_reverse(&rules, smtp_addr_local(&b), DAY, &x);
			assert_int_equal(r == 0, same || separator);
		}
	for (size_t n = 0; n < a.local_n; n++)
		assert_true(srs_reverse(&rules, str_make(a.text, n), DAY, &x) < 0);
}

static void test_hash_length(void **state)
{
	(void)state;
	struct smtp_addr a, x;
	struct srs_rules longer = rules, shorter = rules;
	longer.hash_len = 10;
	shorter.hash_len = 4;
	assert_int_equal(forward(&longer, "alice@example.org", DAY, &a), 0);
	assert_int_equal(back(&shorter, &a, DAY, &x), 0);
	assert_int_equal(forward(&shorter, "alice@example.org", DAY, &a), 0);
	assert_int_equal(back(&longer, &a, DAY, &x), -FAIL_PERM);
	longer.hash_len = SRS_HASH_MOST;
	assert_int_equal(forward(&longer, "alice@example.org", DAY, &a), 0);
	assert_int_equal(back(&longer, &a, DAY, &x), 0);
}

static void test_malformed(void **state)
{
	(void)state;
	static const struct {
		const char *local;
		int r;
	} all[] = {
		{"alice", -FAIL_NOTFOUND},
		{"", -FAIL_NOTFOUND},
		{"SRS0", -FAIL_NOTFOUND},
		{"SRS0=", -FAIL_NOTFOUND},
		{"SRS0_abcd=RJ=example.org=alice", -FAIL_NOTFOUND},
		{"SRS2=abcd=RJ=example.org=alice", -FAIL_NOTFOUND},
		{"SRS0=a", -FAIL_SYNTAX},
		{"SRS0=abcd=RJ=example.org", -FAIL_SYNTAX},
		{"SRS0=abcd=RJ=example.org=", -FAIL_SYNTAX},
		{"SRS0=abcd=RJ==alice", -FAIL_SYNTAX},
		{"SRS0=abcd=R1=example.org=alice", -FAIL_SYNTAX},
		{"SRS0=abcd=RJR=example.org=alice", -FAIL_SYNTAX},
		{"SRS1=abcd=example.org", -FAIL_SYNTAX},
		{"SRS1=abcd=example.org=", -FAIL_SYNTAX},
		{"SRS1=abcd=example.org==", -FAIL_SYNTAX},
		{"SRS1=abcd==x", -FAIL_SYNTAX},
		{"SRS1=abcd=example.org=xyz", -FAIL_SYNTAX},
		{"SRS1=abcd=example.org==hash=RJ=h=l", -FAIL_PERM},
		{"SRS0=abcd=RJ=example.org=alice", -FAIL_PERM},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct smtp_addr x;
		assert_int_equal(srs_reverse(&rules, str_c(all[i].local), DAY, &x), all[i].r);
		assert_int_equal(srs_is(str_c(all[i].local)), all[i].r != -FAIL_NOTFOUND);
	}
}

/* A signed text that is no address: who has the secret may be wrong, too. */
static void test_bad_content(void **state)
{
	(void)state;
	struct smtp_addr a = {0}, x;
	int n = snprintf(a.text, sizeof a.text, "x\ty@example.org");
	a.n = (uint16_t)n;
	a.local_n = 3;
	assert_int_equal(srs_forward(&rules, &a, THERE, DAY, &x), -FAIL_SYNTAX);
	n = snprintf(a.text, sizeof a.text, "x@a_b");
	a.n = (uint16_t)n;
	a.local_n = 1;
	assert_int_equal(srs_forward(&rules, &a, THERE, DAY, &x), 0);
	assert_int_equal(back(&rules, &x, DAY, &a), -FAIL_SYNTAX);
	struct smtp_addr null = {0};
	assert_int_equal(srs_forward(&rules, &null, THERE, DAY, &x), -FAIL_SYNTAX);
}

static void test_length(void **state)
{
	(void)state;
	char sender[300], host[200];
	struct smtp_addr a, x;
	memset(host, 'h', sizeof host);
	/* Longer than other local parts may be, but not than addresses. */
	(void)snprintf(sender, sizeof sender, "%.64s@%.50s.example", host, host);
	assert_int_equal(forward(&rules, sender, DAY, &a), 0);
	assert_true(a.local_n > SMTP_LOCAL_MAX);
	assert_int_equal(back(&rules, &a, DAY, &x), 0);
	assert_str(smtp_addr_str(&x), sender);
	(void)snprintf(sender, sizeof sender, "%.64s@%.58s.%.58s.%.58s.example", host, host, host,
		       host);
	assert_int_equal(forward(&rules, sender, DAY, &a), -FAIL_TOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_shape),
		cmocka_unit_test(test_chain),	       cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_case),	       cmocka_unit_test(test_forged),
		cmocka_unit_test(test_hash_length),    cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_bad_content),    cmocka_unit_test(test_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
