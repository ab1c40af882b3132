/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "runtime/conf.h"
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct conf *parse_ok(const char *text)
{
	struct conf *c = NULL;
	AUTO(buf) struct buf errors = BUF_INIT(KIB(16));
	if (conf_parse("t.conf", str_c(text), &c, &errors) < 0)
		fail_msg("%s", buf_c(&errors));
	return c;
}

static void defaults_are_valid_and_round_trip(void **state)
{
	(void)state;
	struct conf *c = parse_ok("");
	assert_int_equal(c->message_size_max, 15 * 1024 * 1024);
	assert_int_equal(c->lifetime_ms, UINT64_C(5) * 86400000);
	assert_int_equal(c->smtp_listen.n, 2);
	AUTO(buf) struct buf one = BUF_INIT(KIB(64)), two = BUF_INIT(KIB(64));
	conf_write(c, &one);
	struct conf *again = parse_ok(buf_c(&one));
	conf_write(again, &two);
	assert_str(buf_str(&two), buf_c(&one));
	conf_free(c);
	conf_free(again);
}

static void put_file(const char *dir, const char *name, const char *text);

static void the_sample_is_a_configuration(void **state)
{
	(void)state;
	char dir[] = "/tmp/barid-conf-XXXXXX", path[200];
	struct conf *c = NULL;
	AUTO(buf) struct buf file = BUF_INIT(KIB(64)), errors = BUF_INIT(KIB(16));
	assert_non_null(mkdtemp(dir));
	conf_write_default(&file);
	put_file(dir, "barid.conf", buf_c(&file));
	(void)snprintf(path, sizeof path, "%s/conf.d", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	put_file(path, "00-init.conf", "hostname = mx.example.org\n");
	(void)snprintf(path, sizeof path, "%s/barid.conf", dir);
	assert_int_equal(conf_load(path, &c, &errors), 0);
	assert_string_equal(c->hostname, "mx.example.org");
	conf_free(c);
	(void)unlink(path);
	(void)snprintf(path, sizeof path, "%s/conf.d/00-init.conf", dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof path, "%s/conf.d", dir);
	(void)rmdir(path);
	(void)rmdir(dir);
}

static void values_have_units(void **state)
{
	(void)state;
	struct conf *c = parse_ok(
		"hostname = mx.example.org\n[smtp]\nmessage_size_max = 2MiB\n"
		"command_timeout= 90 s\nlisten =127.0.0.1:2525\n# c\n[queue]\n lifetime = 36 h \n");
	assert_string_equal(c->hostname, "mx.example.org");
	assert_int_equal(c->message_size_max, 2 * 1024 * 1024);
	assert_int_equal(c->smtp_command_timeout_ms, 90000);
	assert_int_equal(c->lifetime_ms, UINT64_C(36) * 3600000);
	assert_string_equal(c->smtp_listen.p[0], "127.0.0.1:2525");
	conf_free(c);
}

static void errors_name_line_and_what_is_allowed(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"hostname mx", "t.conf:1: \"hostname mx\": expected name = value"},
		{"\n[smpt]", "t.conf:2: unknown section [smpt]; allowed: [tls] [smtp]"},
		{"[smtp]\nsize = 1",
		 "t.conf:2: unknown setting size; allowed here: listen proxy_protocol_from "
		 "postmaster_domain message_size_max"},
		{"[smtp]\nmessage_size_max = 15",
		 "t.conf:2: message_size_max = 15: not understood; allowed: a number with B, KiB, "
		 "MiB or GiB, from 64 KiB"},
		{"[smtp]\nmessage_size_max = 1 B", "out of range"},
		{"[smtp]\nlisten = 127.0.0.1", "\"127.0.0.1\" is not an address with port"},
		{"log_level = loud",
		 "t.conf:1: log_level = loud: not understood; allowed: error warn info debug"},
		{"trusted_networks = 10.0.0.0/33", "is not a network"},
		{"hostname = a\nhostname = b", "t.conf:2: hostname is set twice"},
		{"hostname =", "must be 1 to 255 characters"},
		{"hostname = a\rb", "t.conf:1: a control character"},
		{"language = \r\x7f", "t.conf:1: a control character"},
		{"include x.conf", "include is not possible here"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct conf *c = NULL;
		AUTO(buf) struct buf errors = BUF_INIT(KIB(16));
		assert_int_equal(conf_parse("t.conf", str_c(cases[i].text), &c, &errors),
				 -FAIL_SYNTAX);
		if (str_find_str(buf_str(&errors), 0, str_c(cases[i].want)) == errors.n)
			fail_msg("%s: not in: %s", cases[i].want, buf_c(&errors));
	}
}

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[200];
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
}

static void includes_are_relative_and_bounded(void **state)
{
	(void)state;
	char dir[] = "/tmp/barid-conf-XXXXXX", path[200];
	assert_non_null(mkdtemp(dir));
	put_file(dir, "main.conf", "include d*.conf\n[queue]\nlifetime = 1 d\n");
	put_file(dir, "d1.conf", "hostname = one\n");
	put_file(dir, "d2.conf", "[smtp]\nrecipients_max = 7\n");
	put_file(dir, "self.conf", "include self.conf\n");
	AUTO(buf) struct buf errors = BUF_INIT(KIB(16));
	struct conf *c = NULL;
	(void)snprintf(path, sizeof path, "%s/main.conf", dir);
	assert_int_equal(conf_load(path, &c, &errors), -FAIL_SYNTAX);
	assert_true(str_find_str(buf_str(&errors), 0,
				 STR("d2.conf:2: recipients_max = 7: out of range")) < errors.n);
	buf_reset(&errors);
	(void)snprintf(path, sizeof path, "%s/self.conf", dir);
	assert_true(conf_load(path, &c, &errors) < 0);
	put_file(dir, "d2.conf", "[smtp]\nrecipients_max = 700\n");
	buf_reset(&errors);
	(void)snprintf(path, sizeof path, "%s/main.conf", dir);
	assert_int_equal(conf_load(path, &c, &errors), 0);
	assert_string_equal(c->hostname, "one");
	assert_int_equal(c->recipients_max, 700);
	conf_free(c);
	buf_reset(&errors);
	assert_int_equal(conf_load("/nonexistent/x.conf", &c, &errors), -FAIL_NOTFOUND);
	const char *names[] = {"main.conf", "d1.conf", "d2.conf", "self.conf"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

static void what_is_wrong_together_has_a_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"\n[smtp]\nerrors_soft = 9\nerrors_hard = 3",
		 "t.conf:3: [smtp] errors_soft is larger"},
		{"[queue]\nretry_max = 1 s",
		 "t.conf:2: [queue] retry_min is longer than retry_max"},
		{"[oauth]\nissuer = https://id.test", "t.conf:2: [oauth] issuer needs an audience"},
		{"[oauth]\nkeys = ../keys", "without a path"},
		{"[dns]\nmode = forward", "t.conf:2: [dns] mode = forward needs the resolvers"},
		{"[dns]\nmode = ask", "allowed: recursive forward"},
		{"[smtp]\nmilters = 127.0.0.1:8891", "milters: \"127.0.0.1:8891\" is not a milter"},
		{"[smtp]\ncontent_filter = 127.0.0.1:10024",
		 "t.conf:2: [smtp] content_filter = 127.0.0.1:10024: not understood"},
		{"[submission]\ncontent_filter = smtp:[x y]:1", "not understood"},
		{"[smtp]\nlisten = 0.0.0.0:2525\ncontent_filter = smtp:[127.0.0.1]:2525",
		 "t.conf:3: [smtp] content_filter = smtp:[127.0.0.1]:2525: this server itself"},
		{"[auth]\nmaster_services = imap ftp", "there is no service ftp"},
		{"hostname = mail_1.example",
		 "t.conf:1: hostname = mail_1.example: not a host name"},
		{"hostname = a..b", "not a host name"},
		{"state_dir = here", "t.conf:1: state_dir = here: must begin with /"},
		{"[imap]\nlisten = 127.0.0.1:25",
		 "t.conf:2: imap.listen: 127.0.0.1:25 is taken already, by "
		 "smtp.listen = 0.0.0.0:25"},
		{"[smtp]\nlisten = [::1]:25, [::1]:25", "is taken already"},
		{"[tls]\ncertificate = a, b\nkey = c",
		 "t.conf:2: [tls] names 2 certificates and 1 keys"},
		{"[tls]\nkey =", "must be 1 to 100 files"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct conf *c = NULL;
		AUTO(buf) struct buf errors = BUF_INIT(KIB(16));
		assert_int_equal(conf_parse("t.conf", str_c(cases[i].text), &c, &errors),
				 -FAIL_SYNTAX);
		if (str_find_str(buf_str(&errors), 0, str_c(cases[i].want)) == errors.n)
			fail_msg("%s: not in: %s", cases[i].want, buf_c(&errors));
	}
	conf_free(parse_ok("[smtp]\nlisten = 0.0.0.0:25, [::]:25\n[imap]\nlisten = "));
}

static void another_builds_text_is_read_as_far_as_known(void **state)
{
	(void)state;
	struct conf *c = NULL;
	AUTO(buf) struct buf errors = BUF_INIT(KIB(16));
	assert_int_equal(
		conf_parse_known(STR("hostname = a.example\nshoe_size = 44\n[hats]\nx = 1\n"
				     "[smtp]\nrecipients_max = 222\n"),
				 &c, &errors),
		0);
	assert_string_equal(c->hostname, "a.example");
	assert_int_equal(c->recipients_max, 222);
	conf_free(c);
}

/* --- snapshots --- */

static void a_snapshot_is_equal_and_counted(void **state)
{
	(void)state;
	struct conf *c =
		parse_ok("hostname = mx.example.org\ntrusted_networks = 10.0.0.0/8, ::1\n");
	const struct conf *snapshot = conf_freeze(c);
	AUTO(buf) struct buf one = BUF_INIT(KIB(64)), two = BUF_INIT(KIB(64));
	conf_write(c, &one);
	conf_free(c);
	const struct conf *held = conf_hold(snapshot);
	conf_drop(snapshot);
	conf_write(held, &two);
	assert_str(buf_str(&two), buf_c(&one));
	assert_int_equal(held->trusted_networks.n, 2);
	conf_attach(held, strdup("made of it"), free);
	assert_string_equal(conf_extra(held), "made of it");
	conf_drop(held);
}

static void write_number(const struct conf *c)
{
	((struct conf *)(uintptr_t)c)->recipients_max = 1;
}

static void write_text(const struct conf *c)
{
	c->hostname[0] = 'x';
}

static void write_list(const struct conf *c)
{
	c->smtp_listen.p[0] = NULL;
}

static void writing_to_a_snapshot_faults(void **state)
{
	(void)state;
	static void (*const bugs[])(const struct conf *c) = {write_number, write_text, write_list};
	struct conf *c = parse_ok("");
	const struct conf *snapshot = conf_freeze(c);
	for (size_t i = 0; i < ARRAY_LEN(bugs); i++) {
		int status = 0;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)signal(SIGSEGV, SIG_DFL);
			bugs[i](snapshot);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	}
	conf_drop(snapshot);
	conf_free(c);
}

static void a_restart_setting_keeps_its_running_value(void **state)
{
	(void)state;
	struct conf *running = parse_ok("user_workers = 3\nhostname = a.example\n");
	struct conf *fresh = parse_ok("user_workers = 5\nhostname = b.example\n");
	struct conf *copy = conf_copy(fresh);
	conf_keep_running(copy, running);
	assert_int_equal(copy->user_workers, 3);
	assert_string_equal(copy->hostname, "b.example");
	size_t differ = 0;
	for (size_t i = 0; i < conf_settings_n; i++)
		differ += !conf_same(running, fresh, &conf_settings[i]);
	assert_int_equal(differ, 2);
	conf_free(running);
	conf_free(fresh);
	conf_free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_together_has_a_line),
		cmocka_unit_test(another_builds_text_is_read_as_far_as_known),
		cmocka_unit_test(a_snapshot_is_equal_and_counted),
		cmocka_unit_test(writing_to_a_snapshot_faults),
		cmocka_unit_test(a_restart_setting_keeps_its_running_value),
		cmocka_unit_test(defaults_are_valid_and_round_trip),
		cmocka_unit_test(values_have_units),
		cmocka_unit_test(errors_name_line_and_what_is_allowed),
		cmocka_unit_test(the_sample_is_a_configuration),
		cmocka_unit_test(includes_are_relative_and_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
