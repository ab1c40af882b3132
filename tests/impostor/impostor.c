/* SPDX-License-Identifier: Apache-2.0 */
/*
 * impostor - in the place of a role's executable, gives the role's control socket to a test.
 *
 * Master starts it as it starts a role: the control socket on descriptor 3. Where the environment
 * says so (BARID_IMPOSTOR_PLACES, "edge 1,scan 0") the socket goes to the test that listens at
 * BARID_IMPOSTOR_SOCKET, and this process is what master watches and kills; it ends when the test
 * lets go of it. All other places become the true role, out of BARID_IMPOSTOR_LIBEXEC.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONTROL = 3 };

static const char *need(const char *name)
{
	const char *value = getenv(name);
	if (!value) {
		(void)fprintf(stderr, "impostor: %s is not set\n", name);
		exit(2);
	}
	return value;
}

static bool is_ours(const char *place)
{
	const char *list = need("BARID_IMPOSTOR_PLACES");
	size_t n = strlen(place);
	for (const char *at = list; (at = strstr(at, place)); at += n)
		if ((at == list || at[-1] == ',') && (at[n] == '\0' || at[n] == ','))
			return true;
	return false;
}

static int reach_test(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)snprintf(a.sun_path, sizeof a.sun_path, "%s", need("BARID_IMPOSTOR_SOCKET"));
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		perror("impostor");
		exit(2);
	}
	return fd;
}

static void give_control(int to, const char *place)
{
	char line[100];
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	int n = snprintf(line, sizeof line, "%s %d\n", place, (int)getpid());
	struct iovec v = {line, (size_t)n};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = sizeof control.bytes};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &(int){CONTROL}, sizeof(int));
	if (sendmsg(to, &m, MSG_NOSIGNAL) != n)
		exit(2);
}

int main(int argc, char **argv)
{
	const char *role = strrchr(argv[0], '-');
	char place[40], path[4096], byte;
	(void)snprintf(place, sizeof place, "%s %s", role ? role + 1 : "", argc > 1 ? argv[1] : "");
	if (argc != 3 || !is_ours(place)) {
		(void)snprintf(path, sizeof path, "%s/barid-%s", need("BARID_IMPOSTOR_LIBEXEC"),
			       role ? role + 1 : "");
		(void)execv(path, argv);
		perror(path);
		return 2;
	}
	int test = reach_test();
	give_control(test, place);
	(void)close(CONTROL);
	while (read(test, &byte, 1) > 0)
		continue;
	return 0;
}
