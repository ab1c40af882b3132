/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.h - internet addresses and TCP sockets, and UNIX ones.                                [sys]
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
	char zone[16]; /* interface of a link-local address (RFC 4007); of one to bind or connect
			  to, never of a peer */
};

#define NETADDR_TEXT_MAX 72
/*
 * "192.0.2.1" or "2001:db8::1"; with_port: "192.0.2.1:25" or "[2001:db8::1]:25";
 * link-local with its zone: "fe80::1%eth0". "-" for none.
 * Borrowed from buf.
 */
struct str netaddr_text(const struct netaddr *a, bool with_port, char buf[NETADDR_TEXT_MAX]);
/*
 * The reverse of both forms; without a port, port is 0. A bracketed address without port is fine.
 */
bool netaddr_parse(struct str s, struct netaddr *ret);
/* From one of the system's. False: neither IPv4 nor IPv6. */
bool netaddr_from(const struct sockaddr *sa, struct netaddr *ret);
/* Same family and address; the port does not count. */
bool netaddr_same_host(const struct netaddr *a, const struct netaddr *b);
bool netaddr_is_loopback(const struct netaddr *a);
bool netaddr_is_any(const struct netaddr *a); /* 0.0.0.0, :: */

/* A network: "192.0.2.0/24", "2001:db8::/32", or one address. Bits beyond the prefix must be 0. */
struct netcidr {
	struct netaddr addr;
	unsigned bits;
};
bool netcidr_parse(struct str s, struct netcidr *ret);
bool netcidr_has(const struct netcidr *net, const struct netaddr *a);

/* Several of them; p is the owner's. */
struct netcidrs {
	struct netcidr *p;
	size_t n;
};
bool netcidrs_have(const struct netcidrs *l, const struct netaddr *a);

/*
 * A listening TCP socket, SO_REUSEADDR, IPv6 with V6ONLY. port 0 = one that is free (sock_local
 * tells). FAIL_EXISTS: the port is taken; FAIL_NOTFOUND: this machine has no such address or
 * interface; FAIL_UNSUPPORTED: no such address family; FAIL_PERM.
 */
MUST_CHECK int sock_listen(const struct netaddr *a, int backlog, int *ret_fd, struct fail *why);
/*
 * A listening UNIX socket that every user of this machine may connect to; `path` is relative to the
 * folder `dir` unless it is absolute. What stood there before is removed when it is a socket.
 * FAIL_EXISTS: something else stands there; FAIL_TOOBIG: the path is too long; FAIL_PERM.
 */
MUST_CHECK int sock_listen_unix(int dir, const char *path, int backlog, int *ret_fd,
				struct fail *why);
/* Whose process connected by a UNIX socket: the kernel's word. False: it is none. */
bool sock_peer_uid(int fd, uint32_t *ret);
/* 1 = a connection; 0 = none waits, or it went away already; FAIL_LIMIT = out of descriptors. */
MUST_CHECK int sock_accept(int listener, int *ret_fd, struct netaddr *ret_peer, struct fail *why);
/*
 * Start connecting: 1 = connected; 0 = under way, the socket polls writable when done, then ask
 * sock_error.
 */
MUST_CHECK int sock_connect(const struct netaddr *a, int *ret_fd, struct fail *why);
/* The same for a UNIX socket with a path of at most 107 octets. FAIL_BUSY: too many knock there. */
MUST_CHECK int sock_connect_unix(struct str path, int *ret_fd, struct fail *why);
/* The same from an address of this machine, whatever its port. NULL: as the system chooses. */
MUST_CHECK int sock_connect_from(const struct netaddr *a, const struct netaddr *from, int *ret_fd,
				 struct fail *why);
int sock_error(int fd); /* SO_ERROR: 0 or an errno */
/* The peer has reset the connection, unread bytes or not. One that only sends no more is there. */
bool sock_is_reset(int fd);

MUST_CHECK int sock_local(int fd, struct netaddr *ret, struct fail *why);
MUST_CHECK int sock_peer(int fd, struct netaddr *ret, struct fail *why);
MUST_CHECK int sock_nonblock(int fd, struct fail *why);
void sock_nodelay(int fd);
/*
 * A listening socket: its connections end when the peer has vanished, and are not kept by what it
 * never acknowledges. (Linux: what is accepted inherits it.)
 */
void sock_watch_peers(int listener);

#endif
