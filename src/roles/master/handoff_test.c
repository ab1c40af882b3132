/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "roles/master/about.h"
#include "roles/master/handoff.h"

static void fill(struct handoff *h)
{
	h->build = STR("b1");
	h->version = STR("0.1.0");
	h->schema = STR("s1");
	h->about = STR("format spool 3\n");
	h->conf = STR("hostname = a.example\n");
	h->conf_path = STR("/etc/barid/barid.conf");
	h->libexec = STR("/usr/libexec/barid");
	h->revision = 7;
	h->generation = UINT64_C(1) << 40;
	h->since_us = 123456789;
	h->bent_us = -5;
	memset(h->seal_key, 0xa5, sizeof h->seal_key);
	h->blob_gid = 61439;
	h->state_fd = 5;
	h->lock_fd = 6;
	h->say_ready = true;
	*vec_push(&h->listeners) =
		(struct handoff_listener){.service = "imaps", .address = "[::1]:993", .fd = 9};
	*vec_push(&h->identities) = (struct msg_identity){.chain = STR("CHAIN"), .key = STR("KEY")};
	*vec_push(&h->children) = (struct handoff_child){.role = "user",
							 .build = "b1",
							 .version = "0.1.0",
							 .sandbox = "on",
							 .index = 3,
							 .generation = 2,
							 .pid = 4711,
							 .control = 12,
							 .numbers = {1, 2, 3},
							 .draining = true,
							 .has_log_level = true,
							 .log_level = 3};
}

static void round_trip(void **state)
{
	(void)state;
	AUTO(handoff) struct handoff h = HANDOFF_INIT, back = HANDOFF_INIT;
	AUTO(buf) struct buf bytes = BUF_INIT(KIB(64)), again = BUF_INIT(KIB(64));
	fill(&h);
	handoff_write(&h, &bytes);
	assert_int_equal(handoff_read(buf_str(&bytes), &back, NULL), 0);
	assert_str(back.conf, "hostname = a.example\n");
	assert_int_equal(back.bent_us, -5);
	assert_int_equal(back.admin_fd, -1);
	assert_int_equal(back.listeners.p[0].fd, 9);
	assert_string_equal(back.children.p[0].role, "user");
	assert_int_equal(back.children.p[0].numbers.next_request, 3);
	assert_true(back.children.p[0].draining);
	assert_str(back.identities.p[0].key, "KEY");
	handoff_write(&back, &again);
	assert_int_equal(again.n, bytes.n);
	assert_memory_equal(again.p, bytes.p, bytes.n);
}

static void another_build_may_have_more(void **state)
{
	(void)state;
	AUTO(handoff) struct handoff h = HANDOFF_INIT, back = HANDOFF_INIT;
	AUTO(buf) struct buf bytes = BUF_INIT(KIB(64));
	fill(&h);
	handoff_write(&h, &bytes);
	(void)buf_put_u16(&bytes, 999);
	(void)buf_put_u32(&bytes, 4);
	(void)buf_add(&bytes, STR("what"));
	assert_int_equal(handoff_read(buf_str(&bytes), &back, NULL), 0);
	assert_int_equal(back.revision, 7);
}

static void what_is_cut_is_refused(void **state)
{
	(void)state;
	AUTO(handoff) struct handoff h = HANDOFF_INIT;
	AUTO(buf) struct buf bytes = BUF_INIT(KIB(64));
	fill(&h);
	handoff_write(&h, &bytes);
	for (size_t n = 0; n < bytes.n; n++) {
		AUTO(handoff) struct handoff back = HANDOFF_INIT;
		struct fail why = FAIL_INIT;
		int r = handoff_read(str_sub(buf_str(&bytes), 0, n), &back, &why);
		if (r == 0) /* behind a whole record, and nothing that must be there is missing */
			assert_true(back.state_fd == 5 && back.conf.n);
		else
			assert_int_equal(r, -FAIL_UNSUPPORTED);
	}
	assert_int_equal(handoff_read(STR("barid-handoff 2\n"), &(struct handoff){0}, NULL),
			 -FAIL_UNSUPPORTED);
}

static void builds_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *old, *fresh;
		int r;
		bool rolling;
	} cases[] = {
		{"schema a\nformat spool 2\nstate mta 1\n",
		 "schema a\nformat spool 2\nstate mta 1\n", 0, true},
		{"schema a\nformat spool 2\n", "schema a\nformat spool 3\n", 0, true},
		{"schema a\nformat spool 3\n", "schema a\nformat spool 2\n", -FAIL_UNSUPPORTED,
		 false},
		{"schema a\nformat spool 3\n", "schema a\n", -FAIL_UNSUPPORTED, false},
		{"schema a\nformat spool 2\n", "schema b\nformat spool 2\n", 0, false},
		{"schema a\nstate mta 1\n", "schema a\nstate mta 2\n", 0, false},
		{"schema a\nformat spool 12\n", "schema a\nformat spool 1\n", -FAIL_UNSUPPORTED,
		 false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool rolling = false;
		int r = about_judge(str_c(cases[i].old), str_c(cases[i].fresh), &rolling, NULL);
		assert_int_equal(r, cases[i].r);
		assert_true(r < 0 || rolling == cases[i].rolling);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(another_build_may_have_more),
		cmocka_unit_test(what_is_cut_is_refused),
		cmocka_unit_test(builds_are_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
