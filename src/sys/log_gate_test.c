/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/log_gate.h"
#include "sys/offence.h"
#include "sys/testdir.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

LOG_GATE(one, "test.one");
LOG_GATE(two, "test.two");
OFFENCE(rude, "rude", "for this test");

static unsigned wishes;
static void wish(void)
{
	wishes++;
}

static unsigned passed(struct log_gate *g, uint64_t who, unsigned tries)
{
	unsigned n = 0;
	for (unsigned i = 0; i < tries; i++)
		n += log_gate_passes(g, who);
	return n;
}

static void advance_ms(int64_t ms)
{
	clock_bend_us(clock_bent_us() + ms * 1000);
}

static void each_has_an_allowance(void **state)
{
	(void)state;
	unsigned first = passed(&one, 1, 500);
	assert_in_range(first, LOG_GATE_BURST, LOG_GATE_BURST + 2); /* a second may have passed */
	assert_in_range(passed(&one, 2, 500), LOG_GATE_BURST, LOG_GATE_BURST + 2);
	assert_in_range(passed(&two, 1, 500), LOG_GATE_BURST, LOG_GATE_BURST + 2);
	advance_ms(10000);
	assert_in_range(passed(&one, 1, 500), 10, 12);
	advance_ms(3600 * 1000);
	assert_in_range(passed(&one, 1, 500), LOG_GATE_BURST, LOG_GATE_BURST + 2);
}

static void all_together_have_one(void **state)
{
	(void)state;
	unsigned n = 0;
	advance_ms(3600 * 1000);
	for (uint64_t who = 0; who < 5000; who++)
		n += log_gate_passes(&two, who);
	assert_in_range(n, LOG_GATE_ALL_BURST, LOG_GATE_ALL_BURST + LOG_GATE_ALL_RATE);
	advance_ms(1000);
	n = 0;
	for (uint64_t who = 5000; who < 10000; who++)
		n += log_gate_passes(&two, who);
	assert_in_range(n, LOG_GATE_ALL_RATE, 3 * LOG_GATE_ALL_RATE);
}

/* What was logged since the last look. */
static struct str logged(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size, 0);
	assert_true(n >= 0);
	assert_return_code(ftruncate(fd, 0), errno);
	return (struct str){text, (size_t)n};
}

static void numbers_are_told_once(void **state)
{
	(void)state;
	AUTO(testdir) struct testdir dir = testdir_new();
	char text[16384];
	int fd = open(testdir_path(&dir, "log"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	log_gate_tell();
	log_open("test", fd, LOG_INFO);
	(void)logged(fd, text, sizeof text);
	log_gate_on_wish(wish);
	wishes = 0;
	advance_ms(3600 * 1000);
	unsigned n = passed(&one, 7, 200);
	assert_int_equal(wishes, 1);
	log_gate_tell();
	char want[100];
	(void)snprintf(want, sizeof want, "event=log.suppressed of=test.one lines=%u\n", 200 - n);
	struct str got = logged(fd, text, sizeof text);
	assert_true(str_ends(got, str_c(want)));
	log_gate_tell();
	assert_int_equal(logged(fd, text, sizeof text).n, 0);
	(void)passed(&one, 7, 10);
	assert_int_equal(wishes, 2);

	advance_ms(3600 * 1000);
	uint64_t before = counter_get(rude.count);
	struct offender who = {.ip = STR("192.0.2.7"), .service = STR("imaps")};
	for (unsigned i = 0; i < 300; i++)
		offence_note(&rude, &who, "x y");
	assert_int_equal(counter_get(rude.count) - before, 300);
	got = logged(fd, text, sizeof text);
	unsigned lines = 0;
	for (size_t i = 0; i < got.n; i++)
		lines += got.p[i] == '\n';
	assert_in_range(lines, LOG_GATE_BURST, LOG_GATE_BURST + 2);
	assert_true(
		str_ends(str_sub(got, 0, str_find(got, 0, '\n')),
			 STR("event=offence kind=rude service=imaps ip=192.0.2.7 why=\"x y\"")));
	log_gate_on_wish(NULL);
	log_open("test", 2, LOG_INFO);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_an_allowance),
		cmocka_unit_test(all_together_have_one),
		cmocka_unit_test(numbers_are_told_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
