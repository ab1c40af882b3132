/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/systemd.h"
#include "base/auto.h"
#include "base/check.h"
#include "base/num.h"
#include "sys/proc.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FIRST_FD 3

static bool number_of(const char *variable, uint64_t *ret)
{
	const char *text = getenv(variable);
	return text && num_parse_u64(str_c(text), ret);
}

/* Variables with a process id are for that process alone. */
static bool for_us(const char *variable)
{
	uint64_t pid;
	return number_of(variable, &pid) && pid == (uint64_t)getpid();
}

/* ---- inherited descriptors ---- */

static void name_fds(struct systemd *s, struct str names)
{
	struct str one;
	for (size_t i = 0; i < s->fds_n; i++) {
		if (!names.n || !str_cut(&names, ':', &one) || !one.n)
			one = STR("unknown");
		(void)snprintf(s->fds[i].name, sizeof s->fds[i].name, "%.*s", STR_ARG(one));
	}
}

static int take_fds(struct systemd *s, struct fail *why)
{
	uint64_t n = 0;
	if (!for_us("LISTEN_PID"))
		return 0;
	if (!number_of("LISTEN_FDS", &n) || n > SYSTEMD_FDS_MAX)
		return fail_set(why, FAIL_SYNTAX, NULL,
				"LISTEN_FDS is no number from 0 to %d: the socket unit is wrong",
				SYSTEMD_FDS_MAX);
	s->fds = xcalloc(n, sizeof *s->fds);
	for (; s->fds_n < n; s->fds_n++) {
		int fd = FIRST_FD + (int)s->fds_n;
		if (proc_cloexec(fd, true, NULL) < 0)
			return fail_set(why, FAIL_SYNTAX, NULL,
					"LISTEN_FDS names descriptor %d, which is not open", fd);
		s->fds[s->fds_n].fd = fd;
	}
	const char *names = getenv("LISTEN_FDNAMES");
	name_fds(s, str_c(names ? names : ""));
	return 0;
}

/* ---- notifications ---- */

static int open_notify(struct systemd *s, struct fail *why)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = path ? strlen(path) : 0;
	if (n == 0)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || n < 2 || n >= sizeof a.sun_path)
		return fail_set(why, FAIL_SYNTAX, NULL,
				"NOTIFY_SOCKET is neither a path nor an abstract name: %.100s",
				path);
	memcpy(a.sun_path, path, n);
	if (path[0] == '@')
		a.sun_path[0] = '\0';
	s->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->notify_fd < 0)
		return fail_errno(why, FAIL_LIMIT, "socket for NOTIFY_SOCKET");
	memcpy(&s->notify_to, &a, sizeof a);
	/* An abstract name is as long as it says; a path ends by its NUL. */
	s->notify_len =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/' ? 1 : 0));
	return 0;
}

static void send_state(const struct systemd *s, struct str state, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct sockaddr_storage to = s->notify_to;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)state.p, .iov_len = state.n};
	struct msghdr m = {
		.msg_name = &to, .msg_namelen = s->notify_len, .msg_iov = &iov, .msg_iovlen = 1};
	if (s->notify_fd < 0)
		return;
	if (fd >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof control.bytes;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	ssize_t r;
	do
		r = sendmsg(s->notify_fd, &m, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
}

void systemd_notify(const struct systemd *s, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n > 0)
		send_state(s, (struct str){text, MIN((size_t)n, sizeof text - 1)}, -1);
}

void systemd_notify_reloading(const struct systemd *s)
{
	struct timespec now = {0};
	/* The manager's own clock, not the one that tests bend. */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	systemd_notify(s, "RELOADING=1\nMONOTONIC_USEC=%lld",
		       (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void systemd_store(const struct systemd *s, int fd, const char *name)
{
	char text[128];
	int n = snprintf(text, sizeof text, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	if (s->store_max && n > 0 && (size_t)n < sizeof text)
		send_state(s, (struct str){text, (size_t)n}, fd);
}

/* ---- life ---- */

int systemd_begin(struct systemd *s, struct fail *why)
{
	static const char *const variables[] = {"LISTEN_PID",	 "LISTEN_FDS",	  "LISTEN_FDNAMES",
						"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
						"FDSTORE"};
	*s = (struct systemd){.notify_fd = -1};
	int r = take_fds(s, why);
	if (r == 0)
		r = open_notify(s, why);
	if ((!getenv("WATCHDOG_PID") || for_us("WATCHDOG_PID")) &&
	    !number_of("WATCHDOG_USEC", &s->watchdog_us))
		s->watchdog_us = 0;
	if (!number_of("FDSTORE", &s->store_max))
		s->store_max = 0;
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		(void)unsetenv(variables[i]);
	return r;
}

void systemd_end(struct systemd *s)
{
	if (s->notify_fd >= 0)
		(void)close(s->notify_fd);
	free(s->fds);
	*s = (struct systemd){.notify_fd = -1};
}
