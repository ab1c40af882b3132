/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any environment as systemd's: LISTEN_FDS, LISTEN_FDNAMES, NOTIFY_SOCKET, WATCHDOG_USEC, FDSTORE
 * are the lines of the input. Names end, numbers are in range, and nothing is left for a child.
 */
#include "base/check.h"
#include "sys/systemd.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const variables[] = {"LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET",
					"WATCHDOG_USEC", "FDSTORE"};

static void set(const char *name, struct str value)
{
	char text[4100];
	(void)snprintf(text, sizeof text, "%.*s", STR_ARG(value)); /* up to a NUL */
	CHECK(setenv(name, text, 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make((const char *)data, size), line;
	struct fail why = FAIL_INIT;
	struct systemd s;
	char pid[24];
	if (size > KIB(4))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		if (rest.n && str_cut(&rest, '\n', &line))
			set(variables[i], line);
	(void)snprintf(pid, sizeof pid, "%d", (int)getpid());
	CHECK(setenv("LISTEN_PID", pid, 1) == 0);
	int r = systemd_begin(&s, &why);
	CHECK(r == 0 || why.code);
	CHECK(s.fds_n <= SYSTEMD_FDS_MAX);
	for (size_t i = 0; i < s.fds_n; i++)
		CHECK(s.fds[i].fd >= 3 && strlen(s.fds[i].name) < sizeof s.fds[i].name);
	CHECK(s.notify_fd < 0 || s.notify_len <= sizeof s.notify_to);
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		CHECK(!getenv(variables[i]));
	CHECK(!getenv("LISTEN_PID"));
	systemd_end(&s);
	return 0;
}
