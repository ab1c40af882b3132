/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "proto/srs/srs_table.h"

#define DAY 20779u /* 2026-11-22 */

static int mode; /* what is not hosted.example: 0, or what `ours` says of it */

static int ours(void *ctx, struct str domain, struct fail *why)
{
	(void)ctx;
	(void)why;
	return str_eq(domain, STR("hosted.example")) ? 1 : mode;
}

static struct srs *make(void)
{
	struct srs_settings c = {
		.domain = STR("fwd.example"), .hash_len = 4, .age_max = 21, .separator = '='};
	struct srs *s = NULL;
	assert_int_equal(srs_make(&c, STR("tEsTsEcReT12345\n"), &s, NULL), 0);
	return s;
}

/* Questions and answers as the port has them; the hashes are those of postsrsd with this secret. */
static void test_dialogue(void **state)
{
	(void)state;
	static const char there[] = "get alice@example.org\n"
				    "GET a%20b@x.org\r\n"
				    "get bob@hosted.example\n"
				    "get x@fwd.example\n"
				    "get nobody\n"
				    "get @\n"
				    "get %4\n"
				    "put a b\n"
				    "hello\n"
				    "get SRS0=abcd=R5=x.example=y@other.example\n";
	static const char want_there[] =
		"200 SRS0=ZWcC=JL=example.org=alice@fwd.example\n"
		"200 SRS0=S1tg=JL=x.org=a%20b@fwd.example\n"
		"500 a%20domain%20of%20this%20server\n"
		"500 the%20domain%20of%20rewritten%20senders\n"
		"500 not%20an%20address\n"
		"500 not%20an%20address\n"
		"500 not%20an%20address\n"
		"500 put%20is%20not%20served%20here\n"
		"500 not%20a%20request\n"
		"200 SRS1=A2Tr=other.example==abcd=R5=x.example=y@fwd.example\n";
	static const char back[] = "get SRS0=ZWcC=JL=example.org=alice@fwd.example\n"
				   "get srs0=s1TG=jl=x.org=a%20b@fwd.example\n"
				   "get SRS0=ZWcD=JL=example.org=alice@fwd.example\n"
				   "get SRS0=ZWcC=AA=example.org=alice@fwd.example\n"
				   "get SRS0=ZWcC@fwd.example\n"
				   "get alice@fwd.example\n";
	static const char want_back[] = "200 alice@example.org\n"
					"200 a%20b@x.org\n"
					"500 the%20hash%20is%20not%20one%20of%20this%20server\n"
					"500 the%20hash%20is%20not%20one%20of%20this%20server\n"
					"500 not%20a%20whole%20rewritten%20address\n"
					"500 not%20a%20rewritten%20address\n";
	AUTO(srs) struct srs *s = make();
	AUTO(buf) struct buf out = BUF_INIT(KIB(8));
	struct srs_table t = {.srs = s, .ours = {ours, NULL}, .day = DAY};
	unsigned forged = 9;
	mode = 0;
	assert_int_equal(srs_table_answer(&t, str_c(there), &out, &forged), 0);
	assert_str(buf_str(&out), want_there);
	assert_int_equal(forged, 0);
	buf_reset(&out);
	t.reverse = true;
	assert_int_equal(srs_table_answer(&t, str_c(back), &out, &forged), 0);
	assert_str(buf_str(&out), want_back);
	assert_int_equal(forged, 2);
}

static void test_without(void **state)
{
	(void)state;
	AUTO(srs) struct srs *s = make();
	AUTO(buf) struct buf out = BUF_INIT(KIB(8));
	struct srs_table t = {.srs = s, .ours = {ours, NULL}, .day = DAY};
	struct str two = STR("get bob@hosted.example\nget a@b.example\n");
	unsigned forged;
	mode = -FAIL_BUSY;
	assert_int_equal(srs_table_answer(&t, two, &out, &forged), -FAIL_BUSY);
	assert_int_equal(out.n, 0);
	mode = -FAIL_DEADLINE;
	assert_int_equal(srs_table_answer(&t, two, &out, &forged), 0);
	assert_str(buf_str(&out), "500 a%20domain%20of%20this%20server\n"
				  "400 the%20directory%20does%20not%20answer\n");
	buf_reset(&out);
	t.srs = NULL;
	assert_int_equal(srs_table_answer(&t, two, &out, &forged), 0);
	assert_str(buf_str(&out), "500 no%20domain%20for%20rewritten%20senders%20is%20set\n"
				  "500 no%20domain%20for%20rewritten%20senders%20is%20set\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_dialogue),
					   cmocka_unit_test(test_without)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
