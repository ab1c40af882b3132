/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "roles/admin/metrics.h"

static struct msg_survey_role roles[] = {
	{.role = {"master", 6}, .pid = 1, .ready = true, .rss_bytes = 4096},
	{.role = {"user", 4}, .index = 0, .pid = 2, .ready = true, .restarts = 3, .descriptors = 9},
	{.role = {"user", 4}, .index = 1, .pid = 0},
};

static struct msg_survey_reply survey_of(struct msg_sample *samples, size_t n)
{
	return (struct msg_survey_reply){.roles = roles,
					 .roles_n = ARRAY_LEN(roles),
					 .samples = samples,
					 .samples_n = n,
					 .disk_free = 5,
					 .disk_size = 10,
					 .started_us = 7000000};
}

static bool has_line(const struct buf *b, const char *line)
{
	struct str rest = buf_str(b), one;
	while (str_cut(&rest, '\n', &one))
		if (str_eq(one, str_c(line)))
			return true;
	return false;
}

static void figures_are_written(void **state)
{
	(void)state;
	struct msg_sample samples[] = {
		{.process = 1, .name = STR("user.delivered"), .value = 12},
		{.process = 2, .name = STR("user.delivered"), .value = 5},
		{.process = 1, .name = STR("edge.open.imap"), .value = 2},
		{.process = 0, .name = STR("no.such-thing"), .value = 8},
		{.process = 0, .name = STR("bad\"name"), .value = 8},
		{.process = 9, .name = STR("user.delivered"), .value = 99},
		{.process = 1, .name = STR("user.imap-command.us:1000"), .value = 3},
		{.process = 1, .name = STR("user.imap-command.us:5000"), .value = 2},
		{.process = 1, .name = STR("user.imap-command.us:25000"), .value = 0},
		{.process = 1, .name = STR("user.imap-command.us:100000"), .value = 0},
		{.process = 1, .name = STR("user.imap-command.us:500000"), .value = 1},
		{.process = 1, .name = STR("user.imap-command.us:2500000"), .value = 0},
		{.process = 1, .name = STR("user.imap-command.us:10000000"), .value = 0},
		{.process = 1, .name = STR("user.imap-command.us:inf"), .value = 1},
		{.process = 1, .name = STR("user.imap-command.us:sum"), .value = 12000345},
	};
	struct msg_survey_reply m = survey_of(samples, ARRAY_LEN(samples));
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	assert_int_equal(metrics_write(&m, &b), 0);
	static const char *const lines[] = {
		"# TYPE barid_deliveries counter",
		"# HELP barid_deliveries Messages stored in mailboxes.",
		"barid_deliveries_total{role=\"user\",process=\"0\"} 12",
		"barid_deliveries_total{role=\"user\",process=\"1\"} 5",
		"barid_connections_open{role=\"user\",process=\"0\",service=\"imap\"} 2",
		"barid_counter_total{role=\"master\",process=\"0\",name=\"no.such-thing\"} 8",
		"barid_process_ready{role=\"user\",process=\"1\"} 0",
		"barid_process_restarts_total{role=\"user\",process=\"0\"} 3",
		"barid_process_resident_memory_bytes{role=\"master\",process=\"0\"} 4096",
		"# UNIT barid_disk_free_bytes bytes",
		"barid_disk_free_bytes 5",
		"barid_start_timestamp_seconds 7",
		"barid_imap_command_duration_seconds_bucket{role=\"user\",process=\"0\",le=\"0."
		"005\"} 5",
		"barid_imap_command_duration_seconds_bucket{role=\"user\",process=\"0\",le=\"+"
		"Inf\"} 7",
		"barid_imap_command_duration_seconds_count{role=\"user\",process=\"0\"} 7",
		"barid_imap_command_duration_seconds_sum{role=\"user\",process=\"0\"} 12.000345",
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (!has_line(&b, lines[i]))
			fail_msg("no line %s", lines[i]);
	assert_true(str_ends(buf_str(&b), STR("\n# EOF\n")));
	assert_true(str_find_str(buf_str(&b), 0, STR("bad\"")) == b.n);
	assert_true(str_find_str(buf_str(&b), 0, STR(" 99\n")) == b.n);
	AUTO(buf) struct buf tight = BUF_INIT(1000);
	assert_int_equal(metrics_write(&m, &tight), -FAIL_LIMIT);
}

static void health_names_who_is_missing(void **state)
{
	(void)state;
	struct msg_survey_reply m = survey_of(NULL, 0);
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	assert_false(metrics_healthy(&m, &b));
	assert_str(buf_str(&b), "not ready: user 1\n");
	m.roles_n = 2;
	buf_reset(&b);
	assert_true(metrics_healthy(&m, &b));
	m.roles_n = 0;
	assert_false(metrics_healthy(&m, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_are_written),
		cmocka_unit_test(health_names_who_is_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
