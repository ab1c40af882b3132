/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "service/srs/srs.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/testdir.h"
#include <sys/stat.h>

#define DAY 20779u /* 2026-11-22 */

static int known_domains(void *ctx, struct str domain, struct fail *why)
{
	(void)why;
	*(unsigned *)ctx += 1;
	return str_eq(domain, STR("down.example")) ? -FAIL_PEER
						   : str_eq(domain, STR("hosted.example"));
}

static unsigned asked;
static const struct srs_ours ours = {known_domains, &asked};

static struct srs *make(const char *secrets)
{
	struct srs_settings c = {.domain = STR("Fwd.Example"),
				 .exclude = STR("partner.example, .sub.Quiet.example"),
				 .hash_len = 4,
				 .age_max = 21,
				 .separator = '='};
	struct srs *s = NULL;
	struct fail why = FAIL_INIT;
	assert_ok(srs_make(&c, str_c(secrets), &s, &why), &why);
	return s;
}

static int rewrite(const struct srs *s, const char *sender, struct smtp_addr *ret,
		   const char **reason)
{
	struct smtp_addr a;
	assert_int_equal(smtp_mailbox_parse(str_c(sender), &a), 0);
	return srs_rewrite(s, &a, &ours, DAY, ret, reason);
}

static int restore(const struct srs *s, const char *recipient, uint32_t day, struct smtp_addr *ret)
{
	const char *reason = NULL;
	struct smtp_addr a;
	assert_int_equal(smtp_mailbox_parse(str_c(recipient), &a), 0);
	int r = srs_restore(s, &a, day, ret, &reason);
	assert_true(r == 1 || reason);
	return r;
}

/* What postsrsd 1.10 of Debian 12 answered, with this secret on that day. */
static void test_as_postsrsd(void **state)
{
	(void)state;
	static const struct {
		const char *plain, *there;
	} all[] = {
		{"alice@example.org", "SRS0=ZWcC=JL=example.org=alice@fwd.example"},
		{"a=b=c@example.org", "SRS0=gBoX=JL=example.org=a=b=c@fwd.example"},
		{"a@b.example", "SRS0=hgkE=JL=b.example=a@fwd.example"},
		{"SRS0=abcd=R5=x.example=y@other.example",
		 "SRS1=A2Tr=other.example==abcd=R5=x.example=y@fwd.example"},
		{"SRS0+abcd=R5=x.example=y@other.example",
		 "SRS1=L56Q=other.example=+abcd=R5=x.example=y@fwd.example"},
	};
	AUTO(srs) struct srs *s = make("tEsTsEcReT12345\n");
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct smtp_addr a;
		const char *reason = "";
		assert_int_equal(rewrite(s, all[i].plain, &a, &reason), 1);
		assert_str(smtp_addr_str(&a), all[i].there);
		assert_int_equal(restore(s, all[i].there, DAY + 21, &a), 1);
		assert_str(smtp_addr_str(&a), all[i].plain);
	}
	struct smtp_addr a;
	assert_int_equal(restore(s, "srs0=zwcc=jl=example.org=alice@fwd.example", DAY, &a), 1);
	assert_int_equal(restore(s, "SRS0=ZWcC=JL=example.org=alice@fwd.example", DAY + 22, &a),
			 -FAIL_DEADLINE);
	assert_int_equal(restore(s, "SRS0=ZWcD=JL=example.org=alice@fwd.example", DAY, &a),
			 -FAIL_PERM);
	assert_int_equal(restore(s, "SRS0=ZWcC=JL@fwd.example", DAY, &a), -FAIL_SYNTAX);
	assert_int_equal(restore(s, "SRS0=ZWcC=JL=example.org=alice@x.example", DAY, &a), 0);
	assert_int_equal(restore(s, "alice@fwd.example", DAY, &a), 0);
}

static void test_what_stays(void **state)
{
	(void)state;
	static const struct {
		const char *sender;
		int r;
		const char *reason;
	} all[] = {
		{"x@fwd.example", 0, "the domain of rewritten senders"},
		{"x@hosted.example", 0, "a domain of this server"},
		{"x@HOSTED.example", 0, "a domain of this server"},
		{"x@sub.hosted.example", 1, ""},
		{"x@partner.example", 0, "an excluded domain"},
		{"x@mail.partner.example", 0, "an excluded domain"},
		{"x@notpartner.example", 1, ""},
		{"x@quiet.example", 1, ""},
		{"x@sub.quiet.example", 0, "an excluded domain"},
		{"x@down.example", -FAIL_PEER, "the directory does not answer"},
	};
	AUTO(srs) struct srs *s = make("# a comment\n\n  secret one \n");
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct smtp_addr a;
		const char *reason = "";
		assert_int_equal(rewrite(s, all[i].sender, &a, &reason), all[i].r);
		assert_string_equal(reason, all[i].reason);
	}
}

static void test_bad_settings(void **state)
{
	(void)state;
	struct srs_settings c = {.domain = STR("fwd.example"), .hash_len = 4, .separator = '='};
	struct srs *s = NULL;
	struct fail why = FAIL_INIT;
	assert_int_equal(srs_make(&c, STR("# none\n\n"), &s, &why), -FAIL_SYNTAX);
	c.domain = STR("localhost");
	assert_int_equal(srs_make(&c, STR("secret\n"), &s, &why), -FAIL_SYNTAX);
	c.domain = STR("not a domain");
	assert_int_equal(srs_make(&c, STR("secret\n"), &s, &why), -FAIL_SYNTAX);
	assert_null(s);
}

static void test_file(void **state)
{
	(void)state;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(buf) struct buf first = BUF_INIT(1), again = BUF_INIT(1);
	const char *path = testdir_path(&d, "srs.secrets");
	struct fail why = FAIL_INIT;
	struct stat st;
	assert_ok(srs_secrets_read(fs_real(), path, &first, &why), &why);
	assert_int_equal(srs_secrets_count(buf_str(&first)), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_ok(srs_secrets_read(fs_real(), path, &again, &why), &why);
	assert_true(str_eq(buf_str(&first), buf_str(&again)));
	/* Others may read it: not with us. */
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(srs_secrets_read(fs_real(), path, &again, &why), -FAIL_PERM);
	assert_int_equal(srs_secrets_add(fs_real(), path, STR(""), 2, &why), -FAIL_PERM);
}

/* An address of before the change leads back as long as its secret is kept. */
static void test_rotation(void **state)
{
	(void)state;
	AUTO(testdir) struct testdir d = testdir_new();
	const char *path = testdir_path(&d, "srs.secrets");
	struct fail why = FAIL_INIT;
	struct smtp_addr old, a;
	const char *reason;
	for (unsigned i = 0; i < 4; i++) {
		AUTO(buf) struct buf text = BUF_INIT(1);
		assert_ok(srs_secrets_read(fs_real(), path, &text, &why), &why);
		assert_int_equal(srs_secrets_count(buf_str(&text)), MIN(i + 1, 3u));
		AUTO(srs) struct srs *s = make(buf_c(&text));
		if (i == 0)
			assert_int_equal(rewrite(s, "alice@example.org", &old, &reason), 1);
		assert_int_equal(restore(s, old.text, DAY, &a), i < 3 ? 1 : -FAIL_PERM);
		struct smtp_addr now;
		assert_int_equal(rewrite(s, "alice@example.org", &now, &reason), 1);
		assert_int_equal(str_eq(smtp_addr_str(&now), smtp_addr_str(&old)), i == 0);
		assert_ok(srs_secrets_add(fs_real(), path, STR(""), 2, &why), &why);
	}
	/* One of another server's, which signs from now on and stands there once. */
	AUTO(buf) struct buf text = BUF_INIT(1);
	assert_ok(srs_secrets_add(fs_real(), path, STR("tEsTsEcReT12345"), 15, &why), &why);
	assert_ok(srs_secrets_add(fs_real(), path, STR("tEsTsEcReT12345"), 15, &why), &why);
	assert_ok(srs_secrets_read(fs_real(), path, &text, &why), &why);
	assert_int_equal(srs_secrets_count(buf_str(&text)), 4);
	AUTO(srs) struct srs *s = make(buf_c(&text));
	assert_int_equal(rewrite(s, "alice@example.org", &a, &reason), 1);
	assert_str(smtp_addr_str(&a), "SRS0=ZWcC=JL=example.org=alice@fwd.example");
	static const char *const bad[] = {"short", "# a comment", "two\nlines of it",
					  " blanks at it "};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(srs_secrets_add(fs_real(), path, str_c(bad[i]), 2, &why),
				 -FAIL_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_postsrsd),  cmocka_unit_test(test_what_stays),
		cmocka_unit_test(test_bad_settings), cmocka_unit_test(test_file),
		cmocka_unit_test(test_rotation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
