/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/test.h"
#include "sys/fdpass.h"
#include "sys/proc.h"
#include "sys/sock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct netaddr addr(const char *text)
{
	struct netaddr a = {0};
	if (!netaddr_parse(str_c(text), &a))
		fail_msg("%s", text);
	return a;
}

static void addresses_round_trip(void **state)
{
	(void)state;
	const char *cases[][3] = {
		/* text, host, with port */
		{"192.0.2.1", "192.0.2.1", "192.0.2.1:0"},
		{"192.0.2.1:25", "192.0.2.1", "192.0.2.1:25"},
		{"2001:db8::1", "2001:db8::1", "[2001:db8::1]:0"},
		{"[2001:DB8::1]:143", "2001:db8::1", "[2001:db8::1]:143"},
		{"[::1]", "::1", "[::1]:0"},
		{"::ffff:192.0.2.9", "192.0.2.9", "192.0.2.9:0"},
		{"[::ffff:192.0.2.9]:65535", "192.0.2.9", "192.0.2.9:65535"},
		{"[fe80::1%eth0]:25", "fe80::1%eth0", "[fe80::1%eth0]:25"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:0"},
	};
	char buf[NETADDR_TEXT_MAX];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct netaddr a = addr(cases[i][0]);
		assert_str(netaddr_text(&a, false, buf), cases[i][1]);
		assert_str(netaddr_text(&a, true, buf), cases[i][2]);
	}
	const char *bad[] = {"",
			     "1.2.3",
			     "1.2.3.4:",
			     "1.2.3.4:65536",
			     "1.2.3.4:x",
			     "[::1]:",
			     "[::1",
			     "[::1]x",
			     "[1.2.3.4]",
			     "1.2.3.4.5",
			     "host:25",
			     "::1:99999",
			     "[::1]:99999",
			     " 1.2.3.4",
			     ":25",
			     "1.2.3.04",
			     "[]:25",
			     "[",
			     "::g",
			     "1.2.3.4:-1",
			     "[fe80::1%]:25",
			     "[2001:db8::1%eth0]:25",
			     "1.2.3.4%eth0",
			     "[fe80::1%eth0%eth1]:25",
			     "[fe80::1%a b]:25",
			     "[fe80::1%0123456789abcdef]:25"};
	struct netaddr a = {.port = 7};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (netaddr_parse(str_c(bad[i]), &a))
			fail_msg("%s", bad[i]);
	assert_int_equal(a.port, 7);
	struct netaddr none = {0};
	assert_str(netaddr_text(&none, true, buf), "-");
	struct netaddr x = addr("127.0.0.9:1"), y = addr("127.0.0.9:2"), z = addr("::1");
	assert_true(netaddr_same_host(&x, &y) && !netaddr_same_host(&x, &z));
	assert_true(netaddr_is_loopback(&x) && netaddr_is_loopback(&z) &&
		    !netaddr_is_loopback(&none));
}

static void networks_match(void **state)
{
	(void)state;
	const struct {
		const char *net, *in, *out;
	} cases[] = {
		{"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
		{"10.0.0.0/9", "10.127.255.255", "10.128.0.0"},
		{"0.0.0.0/0", "255.1.2.3", "::1"},
		{"192.0.2.7", "192.0.2.7", "192.0.2.6"},
		{"192.0.2.7/32", "::ffff:192.0.2.7", "192.0.2.6"},
		{"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
		{"::1", "::1", "::2"},
		{"::/0", "2001:db8::", "1.2.3.4"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct netcidr net;
		struct netaddr in = addr(cases[i].in), out = addr(cases[i].out);
		assert_true(netcidr_parse(str_c(cases[i].net), &net));
		assert_true(netcidr_has(&net, &in));
		assert_false(netcidr_has(&net, &out));
	}
	const char *bad[] = {"",
			     "192.0.2.1/24",
			     "192.0.2.0/33",
			     "192.0.2.0/",
			     "::/129",
			     "2001:db8::1/64",
			     "1.2.3.0/ 24",
			     "1.2.3.4:25",
			     "[::1]",
			     "x/8",
			     "fe80::1%eth0"};
	struct netcidr net;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (netcidr_parse(str_c(bad[i]), &net))
			fail_msg("%s", bad[i]);
}

static void connections_are_accepted(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	const char *hosts[] = {"127.0.0.1:0", "[::1]:0"};
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct netaddr a = addr(hosts[i]), peer, local, there;
		AUTO_FD int listener = -1;
		AUTO_FD int client = -1;
		AUTO_FD int server = -1;
		AUTO_FD int second = -1;
		int r = sock_listen(&a, 8, &listener, &why);
		if (r < 0 && i == 1)
			continue; /* a machine without IPv6 */
		assert_ok(r, &why);
		assert_ok(sock_local(listener, &a, &why), &why);
		assert_true(a.port > 0);
		assert_int_equal(sock_accept(listener, &server, &peer, &why), 0);
		assert_ok(sock_connect(&a, &client, &why), &why);
		struct pollfd p = {.fd = listener, .events = POLLIN};
		assert_int_equal(poll(&p, 1, 1000), 1);
		assert_int_equal(sock_accept(listener, &server, &peer, &why), 1);
		assert_int_equal(sock_error(client), 0);
		assert_true(fcntl(server, F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(server, F_GETFL) & O_NONBLOCK);
		assert_ok(sock_local(client, &local, &why), &why);
		assert_ok(sock_peer(client, &there, &why), &why);
		assert_memory_equal(&local, &peer, sizeof peer);
		assert_memory_equal(&there, &a, sizeof a);
		sock_nodelay(server);
		struct linger hard = {.l_onoff = 1};
		assert_int_equal(write(client, "x", 1), 1);
		assert_false(sock_is_reset(server));
		assert_int_equal(shutdown(client, SHUT_WR), 0); /* it waits for our answer */
		assert_false(sock_is_reset(server));
		assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
		(void)close(client);
		client = -1;
		p = (struct pollfd){.fd = server, .events = POLLRDHUP};
		assert_int_equal(poll(&p, 1, 1000), 1);
		assert_true(sock_is_reset(server));
		assert_int_equal(sock_listen(&a, 8, &second, &why), -FAIL_EXISTS);
		assert_non_null(strstr(why.detail, "listening on "));
	}
	int pair[2];
	struct netaddr none;
	assert_ok(fdpass_pair(pair, &why), &why);
	assert_ok(sock_nonblock(pair[0], &why), &why);
	assert_true(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
	assert_ok(sock_peer(pair[0], &none, &why), &why);
	assert_int_equal(none.family, 0);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void descriptors_travel(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	struct fdpass_in in;
	int pair[2], fds[FDPASS_MAX];
	char buf[64];
	struct iovec iov[] = {{(char[]){"head"}, 4}, {(char[]){"body"}, 4}};
	assert_ok(fdpass_pair(pair, &why), &why);
	assert_ok(memfd_sealed("t", STR("content"), &fds[0], &why), &why);
	for (size_t i = 1; i < FDPASS_MAX; i++)
		fds[i] = fds[0];
	unsigned before = open_descriptors();

	assert_ok(fdpass_send(pair[0], iov, 2, fds, FDPASS_MAX, &why), &why);
	assert_int_equal(fdpass_recv(pair[1], buf, sizeof buf, &in, &why), 1);
	assert_int_equal(in.n, 8);
	assert_memory_equal(buf, "headbody", 8);
	assert_int_equal(in.n_fds, FDPASS_MAX);
	AUTO(memmap) struct memmap m = {0};
	assert_ok(memmap_sealed(in.fds[15], 100, &m, &why), &why);
	assert_str(m.bytes, "content");
	assert_true(fcntl(in.fds[3], F_GETFD) & FD_CLOEXEC);
	int taken = in.fds[3];
	in.fds[3] = -1;
	fdpass_in_clear(&in);
	assert_int_equal(open_descriptors(), before + 1);
	(void)close(taken);

	/* Cut data: refused, and no descriptor stays behind. */
	assert_ok(fdpass_send(pair[0], iov, 2, fds, 3, &why), &why);
	assert_int_equal(fdpass_recv(pair[1], buf, 7, &in, &why), -FAIL_PEER);
	assert_int_equal(open_descriptors(), before);
	/* More descriptors than agreed. */
	union {
		char bytes[CMSG_SPACE(sizeof(int) * 17)];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	struct msghdr msg = {.msg_iov = iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof control.bytes};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * 17);
	for (size_t i = 0; i < 17; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &fds[0], sizeof(int));
	assert_int_equal(sendmsg(pair[0], &msg, 0), 4);
	assert_int_equal(fdpass_recv(pair[1], buf, sizeof buf, &in, &why), -FAIL_PEER);
	assert_non_null(strstr(why.detail, "descriptors cut off"));
	assert_int_equal(open_descriptors(), before);

	assert_ok(sock_nonblock(pair[1], &why), &why);
	assert_int_equal(fdpass_recv(pair[1], buf, sizeof buf, &in, &why), -FAIL_BUSY);
	assert_ok(sock_nonblock(pair[0], &why), &why);
	int r = 0;
	for (int i = 0; i < 100000 && r == 0; i++)
		r = fdpass_send(pair[0], iov, 2, NULL, 0, &why);
	assert_int_equal(r, -FAIL_BUSY);
	char *big = calloc(1, MIB(1));
	struct iovec huge = {big, MIB(1)};
	assert_int_equal(fdpass_send(pair[0], &huge, 1, NULL, 0, &why), -FAIL_TOOBIG);
	free(big);
	(void)close(pair[0]);
	while ((r = fdpass_recv(pair[1], buf, sizeof buf, &in, &why)) == 1)
		assert_int_equal(in.n, 8);
	assert_int_equal(r, 0);
	assert_int_equal(fdpass_send(pair[1], iov, 1, NULL, 0, &why), -FAIL_PEER);
	(void)close(pair[1]);
	(void)close(fds[0]);
}

static void only_sealed_memory_is_mapped(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	struct memmap m = {0};
	AUTO_FD int fd = -1;
	AUTO_FD int empty = -1;
	assert_ok(memfd_new("t", &fd, &why), &why);
	assert_int_equal(write(fd, "12345", 5), 5);
	assert_int_equal(memmap_sealed(fd, 100, &m, &why), -FAIL_PEER);
	assert_ok(memfd_seal(fd, &why), &why);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(memmap_sealed(fd, 4, &m, &why), -FAIL_TOOBIG);
	assert_ok(memmap_sealed(fd, 5, &m, &why), &why);
	assert_str(m.bytes, "12345");
	memmap_clear(&m);
	assert_ok(memfd_sealed("e", STR(""), &empty, &why), &why);
	assert_ok(memmap_sealed(empty, 5, &m, &why), &why);
	assert_int_equal(m.bytes.n, 0);
	assert_int_equal(memmap_sealed(0, 5, &m, &why), -FAIL_PEER);
	memmap_clear(&m);
}

static void children_are_watched(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	struct proc_end end;
	int fd;
	pid_t pid = fork();
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	assert_ok(proc_pidfd(pid, &fd, &why), &why);
	assert_int_equal(proc_pidfd_reap(fd, &end, &why), 0);
	assert_ok(proc_pidfd_kill(fd, SIGTERM, &why), &why);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 2000), 1);
	assert_int_equal(proc_pidfd_reap(fd, &end, &why), 1);
	assert_true(end.by_signal && end.code == SIGTERM);
	assert_int_equal(proc_pidfd_kill(fd, SIGTERM, &why), -FAIL_NOTFOUND);
	(void)close(fd);

	pid = fork();
	if (pid == 0)
		_exit(9);
	assert_ok(proc_pidfd(pid, &fd, &why), &why);
	p.fd = fd;
	assert_int_equal(poll(&p, 1, 2000), 1);
	assert_int_equal(proc_pidfd_reap(fd, &end, &why), 1);
	assert_true(!end.by_signal && end.code == 9);
	(void)close(fd);
}

/* In a child: what it does to itself. The exit code is the number of the step that failed. */
static int harden(void)
{
	struct fail why;
	struct rlimit l;
	struct proc_user u = {.uid = 65534, .gid = 65534, .groups = {65534, 12345}, .n_groups = 2};
	gid_t groups[8];
	proc_set_name("barid-test-with-a-long-name");
	if (proc_die_with_parent(getppid(), &why) < 0 ||
	    proc_die_with_parent(1 << 22, &why) != -FAIL_GONE)
		return 1;
	if (proc_not_dumpable(&why) < 0)
		return 2;
	if (proc_limit(&(struct proc_limits){.files = 40, .no_core = true}, &why) < 0 ||
	    getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur != 40 ||
	    getrlimit(RLIMIT_CORE, &l) < 0 || l.rlim_cur != 0)
		return 3;
	if (proc_limit(&(struct proc_limits){0}, &why) < 0 || getrlimit(RLIMIT_NOFILE, &l) < 0 ||
	    l.rlim_cur != l.rlim_max)
		return 4;
	if (proc_cloexec(1, true, &why) < 0 || !(fcntl(1, F_GETFD) & FD_CLOEXEC) ||
	    proc_cloexec(1, false, &why) < 0 || fcntl(1, F_GETFD) & FD_CLOEXEC ||
	    proc_cloexec_from(2, &why) < 0 || !(fcntl(2, F_GETFD) & FD_CLOEXEC))
		return 5;
	if (geteuid() != 0)
		return proc_drop_caps(&why) < 0 ? 6 : 0;
	struct proc_user root = {0};
	if (proc_become(&root, &why) != -FAIL_BUG)
		return 7;
	if (proc_become(&u, &why) < 0 || getuid() != 65534 || getegid() != 65534 ||
	    getgroups(8, groups) != 2 || groups[1] + groups[0] != 65534 + 12345)
		return 8;
	return setuid(0) == 0 ? 9 : 0;
}

static void a_process_gives_up_its_rights(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(harden());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);

	struct fail why = FAIL_INIT;
	struct proc_user u;
	assert_ok(proc_find_user("root", &u, &why), &why);
	assert_int_equal(u.uid, 0);
	assert_true(u.n_groups >= 1);
	assert_int_equal(proc_find_user("no-such-user-here", &u, &why), -FAIL_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_round_trip),
		cmocka_unit_test(networks_match),
		cmocka_unit_test(connections_are_accepted),
		cmocka_unit_test(descriptors_travel),
		cmocka_unit_test(only_sealed_memory_is_mapped),
		cmocka_unit_test(children_are_watched),
		cmocka_unit_test(a_process_gives_up_its_rights),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
