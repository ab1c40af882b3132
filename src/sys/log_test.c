/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include "sys/rand.h"
#include "sys/secret.h"
#include "sys/testdir.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void times_are_written_and_bend(void **state)
{
	(void)state;
	char buf[CLOCK_TEXT_MAX];
	struct wall_us t = {INT64_C(1795306424123456)};
	assert_str(clock_rfc5322(buf, t, 0), "Sun, 22 Nov 2026 00:13:44 +0000");
	assert_str(clock_rfc5322(buf, t, -90), "Sat, 21 Nov 2026 22:43:44 -0130");
	assert_str(clock_rfc5322(buf, t, 345), "Sun, 22 Nov 2026 05:58:44 +0545");
	assert_str(clock_iso8601(buf, t), "2026-11-22T00:13:44.123456Z");

	struct wall_us w = clock_wall();
	struct mono_ns m = clock_mono();
	assert_true(w.v > t.v - 3600 * SEC_US * 24 * 365 * 2);
	clock_bend_us(3600 * SEC_US);
	assert_true(clock_wall().v - w.v >= 3600 * SEC_US);
	assert_true(clock_mono().v - m.v >= 3600 * SEC_NS);
	clock_bend_us(0);
	assert_true(clock_wall().v - w.v < 3600 * SEC_US);
	assert_true(mono_before(m, mono_add_ms(m, 1)));
	assert_true(rand_u64() != rand_u64());
}

static void values_are_quoted(void **state)
{
	(void)state;
	const char *cases[][2] = {
		{"a@b.example", "a@b.example"},
		{"", "\"\""},
		{"two words", "\"two words\""},
		{"x=\"y\"", "\"x=\\\"y\\\"\""},
		{"back\\slash", "\"back\\\\slash\""},
		{"forged\n2026 error", "\"forged\\n2026 error\""},
		{"\r\t\x1b[31m", "\"\\r\\t\\x1b[31m\""},
		{"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
		{"\xff\xc3", "\"\\xff\\xc3\""},
		{"c1:\xc2\x9b", "\"c1:\\xc2\\x9b\""},
		{"\xef\xbf\xbd", "\"\xef\xbf\xbd\""},
	};
	char out[64];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str got = {out, log_quote(str_c(cases[i][0]), out, sizeof out)};
		assert_str(got, cases[i][1]);
	}
	assert_true(
		str_eq(str_make(out, log_quote(STR("a\0b"), out, sizeof out)), STR("\"a\\x00b\"")));
	assert_str(str_make(out, log_quote(STR("long long text"), out, 12)), "\"long lo...\"");
	assert_str(str_make(out, log_quote(STR("plainplainplain"), out, 12)), "\"plainpl...\"");
	/* Never over the size, whatever the text. */
	for (size_t size = 8; size < 40; size++) {
		const char *text = "a\n\xc3\xbc\x01\"zz \xf0\x9f\x98\x80\xff yy\\";
		for (size_t n = 0; n <= strlen(text); n++) {
			char tight[40];
			memset(tight, '#', sizeof tight);
			assert_true(log_quote(str_make(text, n), tight, size) <= size);
			for (size_t i = size; i < sizeof tight; i++)
				assert_int_equal(tight[i], '#');
		}
	}
}

/* What one log_event writes, without its time. */
static struct str line_of(int in, char *buf, size_t size)
{
	ssize_t n = read(in, buf, size);
	assert_true(n > 28);
	assert_int_equal(buf[n - 1], '\n');
	return str_make(buf + 28, (size_t)n - 29);
}

static void events_are_lines(void **state)
{
	(void)state;
	int fds[2];
	char buf[LOG_LINE_MAX + 1], want[200];
	assert_int_equal(pipe(fds), 0);
	log_open("mta", fds[1], LOG_INFO);
	log_event(LOG_INFO, "smtp.accept", log_str("from", STR("a b")), log_u64("size", 812),
		  log_i64("delta", -3), log_hex("id", 255), log_c("to", "x@y"));
	(void)snprintf(want, sizeof want,
		       "info mta[%d] event=smtp.accept from=\"a b\" size=812 delta=-3 id=ff to=x@y",
		       getpid());
	assert_str(line_of(fds[0], buf, sizeof buf), want);

	log_context((struct trace_id){31}, (struct session_id){42});
	log_event(LOG_ERROR, "plain");
	log_context((struct trace_id){0}, (struct session_id){0});
	(void)snprintf(want, sizeof want, "error mta[%d] event=plain trace=1f session=2a",
		       getpid());
	assert_str(line_of(fds[0], buf, sizeof buf), want);

	struct fail why = FAIL_INIT;
	errno = ENOSPC;
	(void)fail_errno(&why, FAIL_LIMIT, "writing %s", "x");
	log_event(LOG_WARN, "disk", log_fail(&why));
	struct str line = line_of(fds[0], buf, sizeof buf);
	assert_true(
		str_find_str(line, 0,
			     STR("fail=LIMIT why=\"writing x: No space left on device\" errno=28 "
				 "at=log_test.c:")) < line.n);

	log_event(LOG_DEBUG, "not.wanted");
	log_set_level(LOG_DEBUG);
	log_event(LOG_DEBUG, "wanted");
	line = line_of(fds[0], buf, sizeof buf);
	assert_true(str_ends(line, STR("event=wanted")));

	char big[LOG_LINE_MAX * 2];
	memset(big, 'x', sizeof big);
	log_event(LOG_INFO, "big", log_str("a", str_make(big, sizeof big)),
		  log_c("b", "never seen"));
	line = line_of(fds[0], buf, sizeof buf);
	assert_int_equal(line.n, LOG_LINE_MAX - 29);
	assert_true(str_ends(line, STR("xxx...\"")));

	uint64_t lost = log_lost();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)close(fds[0]);
	log_event(LOG_INFO, "nobody.reads");
	assert_int_equal(log_lost(), lost + 1);
	(void)close(fds[1]);
	log_open("barid", 2, LOG_INFO);

	enum log_level level;
	assert_true(log_level_parse(STR("Debug"), &level) && level == LOG_DEBUG);
	assert_false(log_level_parse(STR("loud"), &level));
}

static struct str all_of(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size, 0);
	assert_true(n >= 0);
	return str_make(buf, (size_t)n);
}

static int append_to(const char *path)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

/* The file gets everything, the stream what is urgent; a second file takes over between lines. */
static void lines_go_to_a_file(void **state)
{
	(void)state;
	AUTO(testdir) struct testdir dir = testdir_new();
	char buf[8192];
	int stream[2];
	AUTO_FD int first = append_to(testdir_path(&dir, "a"));
	AUTO_FD int second = append_to(testdir_path(&dir, "b"));
	assert_int_equal(pipe2(stream, O_NONBLOCK), 0);
	log_open("mta", stream[1], LOG_INFO);
	log_limit_stream(LOG_WARN);
	log_event(LOG_INFO, "before.file");
	assert_true(read(stream[0], buf, sizeof buf) > 0);

	log_to_file(dup(first));
	log_event(LOG_INFO, "one", log_address("to", STR("Bob@Example.ORG")));
	assert_true(read(stream[0], buf, sizeof buf) < 0);
	log_event(LOG_WARN, "two");
	assert_true(read(stream[0], buf, sizeof buf) > 0);
	log_to_file(dup(second));
	log_event(LOG_INFO, "three");
	struct str text = all_of(first, buf, sizeof buf);
	assert_true(str_find_str(text, 0, STR("event=one to=bob@example.org\n")) < text.n);
	assert_true(str_ends(text, STR("event=two\n")));
	text = all_of(second, buf, sizeof buf);
	assert_true(str_ends(text, STR("event=three\n")));

	/* Full: lines are lost and counted. A line that was cut does not spoil the next one. */
	uint64_t lost = log_lost();
	log_to_file(open("/dev/full", O_WRONLY | O_CLOEXEC));
	log_event(LOG_INFO, "lost");
	assert_int_equal(log_lost(), lost + 1);
	struct rlimit before, tight;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = text.n + 20;
	log_to_file(dup(second));
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	log_event(LOG_INFO, "cut.short");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(log_lost(), lost + 2);
	log_event(LOG_INFO, "whole");
	text = all_of(second, buf, sizeof buf);
	struct str tail = str_skip(text, str_find_str(text, 0, STR("event=three\n")) + 12 + 20);
	assert_int_equal(tail.p[0], '\n');
	assert_int_equal(tail.p[1], '2');
	assert_true(str_ends(text, STR("event=whole\n")));

	log_to_file(open("/dev/null", O_WRONLY | O_CLOEXEC));
	log_limit_stream(LOG_DEBUG);
	log_open("barid", 2, LOG_INFO);
	(void)close(stream[0]);
	(void)close(stream[1]);
}

/* One client looked at closely: its lines of level debug are wanted whatever the level is. */
static void a_trace_asks_for_debug(void **state)
{
	(void)state;
	assert_false(log_wants(LOG_DEBUG));
	log_context((struct trace_id){LOG_TRACE_DEBUG | 5}, (struct session_id){0});
	assert_true(log_wants(LOG_DEBUG));
	log_context((struct trace_id){5}, (struct session_id){0});
	assert_false(log_wants(LOG_DEBUG));
	log_context((struct trace_id){0}, (struct session_id){0});
}

COUNTER(second, "test.b", "the second");
COUNTER(first, "test.a", "the first");

static void *count(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10000; i++)
		counter_add(&first, 1);
	return NULL;
}

static void collect(void *arg, const struct counter *c)
{
	struct str *all = arg;
	static char text[200];
	if (strncmp(c->name, "test.", 5) != 0)
		return;
	int n = snprintf(text + all->n, sizeof text - all->n, "%s=%llu;", c->name,
			 (unsigned long long)counter_get(c));
	*all = str_make(text, all->n + (size_t)n);
}

static void counters_are_listed_by_name(void **state)
{
	(void)state;
	pthread_t t[4];
	struct str all = STR("");
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, count, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	counter_set(&second, 9);
	counter_sub(&second, 2);
	counter_each(collect, &all);
	assert_str(all, "test.a=40000;test.b=7;");
}

static void an_armed_point_kills(void **state)
{
	(void)state;
	for (int passes = 0; passes < 4; passes++) {
		int status;
		pid_t pid = fork();
		if (pid == 0) {
			(void)crash_arm("other", 1);
			if (!crash_arm("here", 3))
				_exit(77);
			for (int i = 0; i < passes; i++) {
				CRASH_POINT("here");
				CRASH_POINT("there");
			}
			_exit(passes);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			skip(); /* built without */
		if (passes < 3)
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) == passes);
		else
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

static void secrets_are_kept_and_compared(void **state)
{
	(void)state;
	AUTO(secret) struct secret s = {0};
	secret_init_copy(&s, STR("hush"));
	assert_true(secret_equal(secret_str(&s), STR("hush")));
	assert_false(secret_equal(secret_str(&s), STR("husk")));
	assert_false(secret_equal(secret_str(&s), STR("hus")));
	assert_false(secret_equal(secret_str(&s), STR("hushh")));
	secret_clear(&s);
	assert_null(s.p);
	secret_init(&s, 5000);
	assert_int_equal(s.p[4999], 0);
	secret_clear(&s);
	secret_init(&s, 0);
	assert_true(secret_equal(secret_str(&s), STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_written_and_bend),
		cmocka_unit_test(values_are_quoted),
		cmocka_unit_test(events_are_lines),
		cmocka_unit_test(lines_go_to_a_file),
		cmocka_unit_test(a_trace_asks_for_debug),
		cmocka_unit_test(counters_are_listed_by_name),
		cmocka_unit_test(an_armed_point_kills),
		cmocka_unit_test(secrets_are_kept_and_compared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
