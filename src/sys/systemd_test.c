/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/test.h"
#include "sys/systemd.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

static void set_pid(const char *variable, pid_t pid)
{
	char text[32];
	(void)snprintf(text, sizeof text, "%d", (int)pid);
	(void)setenv(variable, text, 1);
}

static void forget(void)
{
	static const char *const all[] = {"LISTEN_PID",	   "LISTEN_FDS",    "LISTEN_FDNAMES",
					  "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
					  "FDSTORE"};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		(void)unsetenv(all[i]);
}

static void without_systemd_nothing_happens(void **state)
{
	(void)state;
	struct systemd s;
	struct fail why = FAIL_INIT;
	forget();
	assert_ok(systemd_begin(&s, &why), &why);
	assert_int_equal(s.fds_n, 0);
	assert_int_equal(s.watchdog_us, 0);
	systemd_notify(&s, "READY=1");
	systemd_store(&s, 0, "x");
	systemd_end(&s);
}

/* A socket that hears what is told; the address goes into NOTIFY_SOCKET. */
static int manager(const char *address)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = strlen(address);
	memcpy(a.sun_path, address, n);
	if (address[0] == '@')
		a.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
			 0);
	(void)setenv("NOTIFY_SOCKET", address, 1);
	return fd;
}

/* What came, and whether a descriptor came with it. */
static bool heard(int fd, const char *begin)
{
	char text[2048], control[64];
	struct iovec iov = {text, sizeof text};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof control};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	assert_true(n > 0);
	if (!str_starts((struct str){text, (size_t)n}, str_c(begin)))
		fail_msg("%.*s", (int)n, text);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (!c)
		return false;
	int got;
	memcpy(&got, CMSG_DATA(c), sizeof got);
	(void)close(got);
	return true;
}

static void states_reach_path_and_abstract_sockets(void **state)
{
	(void)state;
	char path[100], abstract[100];
	(void)snprintf(path, sizeof path, "/tmp/barid-notify-%d", (int)getpid());
	(void)snprintf(abstract, sizeof abstract, "@barid-notify-%d", (int)getpid());
	const char *const both[] = {path, abstract};
	for (size_t i = 0; i < 2; i++) {
		struct systemd s;
		struct fail why = FAIL_INIT;
		forget();
		AUTO_FD int fd = manager(both[i]);
		(void)setenv("WATCHDOG_USEC", "3000000", 1);
		(void)setenv("FDSTORE", "10", 1);
		assert_ok(systemd_begin(&s, &why), &why);
		assert_int_equal(s.watchdog_us, 3000000);
		assert_null(getenv("NOTIFY_SOCKET")); /* not for children */
		systemd_notify(&s, "READY=1\nSTATUS=%s", "fine");
		assert_false(heard(fd, "READY=1\nSTATUS=fine"));
		systemd_notify_reloading(&s);
		assert_false(heard(fd, "RELOADING=1\nMONOTONIC_USEC="));
		systemd_store(&s, 0, "listener");
		assert_true(heard(fd, "FDSTORE=1\nFDPOLL=0\nFDNAME=listener"));
		systemd_end(&s);
	}
	(void)unlink(path);
}

static void a_watchdog_of_another_process_is_not_ours(void **state)
{
	(void)state;
	struct systemd s;
	struct fail why = FAIL_INIT;
	forget();
	(void)setenv("WATCHDOG_USEC", "3000000", 1);
	set_pid("WATCHDOG_PID", 1);
	assert_ok(systemd_begin(&s, &why), &why);
	assert_int_equal(s.watchdog_us, 0);
	systemd_end(&s);
}

static void wrong_variables_are_told(void **state)
{
	(void)state;
	static const char *const sockets[] = {"relative", "/", "@"};
	for (size_t i = 0; i < ARRAY_LEN(sockets); i++) {
		struct systemd s;
		struct fail why = FAIL_INIT;
		forget();
		(void)setenv("NOTIFY_SOCKET", sockets[i], 1);
		assert_int_equal(systemd_begin(&s, &why), -FAIL_SYNTAX);
		systemd_end(&s);
	}
	static const char *const counts[] = {"", "-1", "257", "three"};
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		struct systemd s;
		struct fail why = FAIL_INIT;
		forget();
		set_pid("LISTEN_PID", getpid());
		(void)setenv("LISTEN_FDS", counts[i], 1);
		assert_int_equal(systemd_begin(&s, &why), -FAIL_SYNTAX);
		systemd_end(&s);
	}
}

static void descriptors_are_taken_with_their_names(void **state)
{
	(void)state;
	struct systemd s;
	struct fail why = FAIL_INIT;
	int three[3];
	for (int i = 0; i < 3; i++) /* 3, 4 and 5 are open, whatever they are */
		three[i] = fcntl(i + 3, F_GETFD) < 0 ? dup2(0, i + 3) : -1;
	forget();
	set_pid("LISTEN_PID", getpid());
	(void)setenv("LISTEN_FDS", "3", 1);
	(void)setenv("LISTEN_FDNAMES", "smtp::imap", 1);
	assert_ok(systemd_begin(&s, &why), &why);
	assert_int_equal(s.fds_n, 3);
	assert_int_equal(s.fds[0].fd, 3);
	assert_string_equal(s.fds[0].name, "smtp");
	assert_string_equal(s.fds[1].name, "unknown");
	assert_string_equal(s.fds[2].name, "imap");
	assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
	systemd_end(&s);
	set_pid("LISTEN_PID", 1); /* meant for somebody else */
	(void)setenv("LISTEN_FDS", "3", 1);
	assert_ok(systemd_begin(&s, &why), &why);
	assert_int_equal(s.fds_n, 0);
	systemd_end(&s);
	for (int i = 0; i < 3; i++)
		if (three[i] >= 0)
			(void)close(three[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_systemd_nothing_happens),
		cmocka_unit_test(states_reach_path_and_abstract_sockets),
		cmocka_unit_test(a_watchdog_of_another_process_is_not_ours),
		cmocka_unit_test(wrong_variables_are_told),
		cmocka_unit_test(descriptors_are_taken_with_their_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
