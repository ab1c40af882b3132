/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two calls of the C library, as libunbound and libevent get them in the process that has the
 * resolver: the dynamic linker finds these first.
 *
 * fcntl: F_SETFL would take O_APPEND from the log that every role shares, so no sandbox allows it.
 * What is asked of it here, O_NONBLOCK on or off, FIONBIO does as well, and that is allowed.
 *
 * bind: libunbound binds each socket that it asks from to the wildcard address and a port drawn by
 * itself. Roles may not bind. The kernel draws the port as well when the socket connects, which
 * libunbound does (udp-connect), from net.ipv4.ip_local_port_range: about 15 random bits instead of
 * 16, besides the 16 of the question's number. All that is lost is this one bit; what a role that
 * was taken over could have listened to is won.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

/* By the names that the libraries ask for: here, with files of 64 bits, fcntl is another one. */
VISIBLE int plain_fcntl(int fd, int command, ...) __asm__("fcntl");
VISIBLE int plain_bind(int fd, const struct sockaddr *a, socklen_t n) __asm__("bind");

int plain_fcntl(int fd, int command, ...)
{
	va_list ap;
	va_start(ap, command);
	long arg = va_arg(ap, long);
	va_end(ap);
	if (command != F_SETFL)
		return (int)syscall(SYS_fcntl, fd, command, arg);
	int on = (arg & O_NONBLOCK) != 0;
	return ioctl(fd, FIONBIO, &on);
}

static int is_wildcard(const struct sockaddr *a, socklen_t n)
{
	static const struct in6_addr any = IN6ADDR_ANY_INIT;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	if (a->sa_family == AF_INET && n >= sizeof v4) {
		memcpy(&v4, a, sizeof v4);
		return v4.sin_addr.s_addr == INADDR_ANY;
	}
	if (a->sa_family != AF_INET6 || n < sizeof v6)
		return 0;
	memcpy(&v6, a, sizeof v6);
	return memcmp(&v6.sin6_addr, &any, sizeof any) == 0;
}

int plain_bind(int fd, const struct sockaddr *a, socklen_t n)
{
	(void)fd;
	if (is_wildcard(a, n))
		return 0;
	errno = EPERM;
	return -1;
}
