/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.h - internet addresses and TCP sockets.                                 [sys]
 *
 * Every socket made here is non-blocking and close-on-exec. No name lookups: addresses only.
 */
#ifndef BARID_SYS_SOCK_H
#define BARID_SYS_SOCK_H

#include "base/fail.h"
#include "base/str.h"
#include <sys/socket.h>

/* An address and port. IPv4-mapped IPv6 addresses are always turned into IPv4. */
struct netaddr {
	uint8_t bytes[16]; /* network order; IPv4 uses the first four, the rest is 0 */
	uint16_t family;   /* AF_INET, AF_INET6, or 0: none (a UNIX socket, a pipe) */
	uint16_t port;	   /* host order */
};

#define NETADDR_TEXT_MAX 56
/*
 * "192.0.2.1" or "2001:db8::1"; with_port: "192.0.2.1:25" or "[2001:db8::1]:25". "-" for none.
 * Borrowed from buf.
 */
struct str netaddr_text(const struct netaddr *a, bool with_port, char buf[NETADDR_TEXT_MAX]);
/*
 * The reverse of both forms; without a port, port is 0. A bracketed address without port is fine.
 */
bool netaddr_parse(struct str s, struct netaddr *ret);
/* Same family and address; the port does not count. */
bool netaddr_same_host(const struct netaddr *a, const struct netaddr *b);
bool netaddr_is_loopback(const struct netaddr *a);

/* A network: "192.0.2.0/24", "2001:db8::/32", or one address. Bits beyond the prefix must be 0. */
struct netcidr {
	struct netaddr addr;
	unsigned bits;
};
bool netcidr_parse(struct str s, struct netcidr *ret);
bool netcidr_has(const struct netcidr *net, const struct netaddr *a);

/*
 * A listening TCP socket, SO_REUSEADDR, IPv6 with V6ONLY. port 0 = one that is free (sock_local
 * tells).
 */
MUST_CHECK int sock_listen(const struct netaddr *a, int backlog, int *ret_fd, struct fail *why);
/* 1 = a connection; 0 = none waits, or it went away already; FAIL_LIMIT = out of descriptors. */
MUST_CHECK int sock_accept(int listener, int *ret_fd, struct netaddr *ret_peer, struct fail *why);
/*
 * Start connecting: 1 = connected; 0 = under way, the socket polls writable when done, then ask
 * sock_error.
 */
MUST_CHECK int sock_connect(const struct netaddr *a, int *ret_fd, struct fail *why);
int sock_error(int fd); /* SO_ERROR: 0 or an errno */

MUST_CHECK int sock_local(int fd, struct netaddr *ret, struct fail *why);
MUST_CHECK int sock_peer(int fd, struct netaddr *ret, struct fail *why);
MUST_CHECK int sock_nonblock(int fd, struct fail *why);
void sock_nodelay(int fd);

#endif
