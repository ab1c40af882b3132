/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/sock.h"
#include "base/auto.h"
#include "base/num.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- addresses ---- */

static bool is_mapped(const uint8_t bytes[16])
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
	return memcmp(bytes, prefix, sizeof prefix) == 0;
}

static void set_v6(struct netaddr *a, const uint8_t bytes[16])
{
	*a = (struct netaddr){.family = AF_INET6};
	if (is_mapped(bytes)) {
		a->family = AF_INET;
		memcpy(a->bytes, bytes + 12, 4);
	} else {
		memcpy(a->bytes, bytes, 16);
	}
}

static void from_sockaddr(const struct sockaddr_storage *ss, struct netaddr *ret)
{
	*ret = (struct netaddr){0};
	if (ss->ss_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, ss, sizeof in);
		ret->family = AF_INET;
		memcpy(ret->bytes, &in.sin_addr, 4);
		ret->port = ntohs(in.sin_port);
	} else if (ss->ss_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, ss, sizeof in6);
		set_v6(ret, in6.sin6_addr.s6_addr);
		ret->port = ntohs(in6.sin6_port);
	}
}

bool netaddr_from(const struct sockaddr *sa, struct netaddr *ret)
{
	struct sockaddr_storage ss = {0};
	if (sa->sa_family != AF_INET && sa->sa_family != AF_INET6)
		return false;
	memcpy(&ss, sa,
	       sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	from_sockaddr(&ss, ret);
	return true;
}

static socklen_t to_sockaddr(const struct netaddr *a, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof *ret);
	if (a->family == AF_INET) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
		memcpy(&in.sin_addr, a->bytes, 4);
		memcpy(ret, &in, sizeof in);
		return sizeof in;
	}
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
	memcpy(&in6.sin6_addr, a->bytes, 16);
	in6.sin6_scope_id = a->zone[0] ? if_nametoindex(a->zone) : 0;
	memcpy(ret, &in6, sizeof in6);
	return sizeof in6;
}

struct str netaddr_text(const struct netaddr *a, bool with_port, char buf[NETADDR_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "-";
	if (a->family != 0)
		(void)inet_ntop(a->family, a->bytes, host, sizeof host);
	const char *percent = a->zone[0] ? "%" : "";
	int n;
	if (!with_port || a->family == 0)
		n = snprintf(buf, NETADDR_TEXT_MAX, "%s%s%s", host, percent, a->zone);
	else if (a->family == AF_INET)
		n = snprintf(buf, NETADDR_TEXT_MAX, "%s:%u", host, a->port);
	else
		n = snprintf(buf, NETADDR_TEXT_MAX, "[%s%s%s]:%u", host, percent, a->zone, a->port);
	return str_make(buf, (size_t)n);
}

/* The zone of "fe80::1%eth0"; it makes sense for a link-local address only. */
static bool parse_zone(struct str zone, struct netaddr *a)
{
	if (zone.n == 0 || zone.n >= sizeof a->zone || a->family != AF_INET6 ||
	    a->bytes[0] != 0xfe || (a->bytes[1] & 0xc0) != 0x80)
		return false;
	for (size_t i = 0; i < zone.n; i++)
		if (!ascii_alpha(zone.p[i]) && !ascii_digit(zone.p[i]) &&
		    !(zone.p[i] && strchr("._-@", zone.p[i])))
			return false;
	memcpy(a->zone, zone.p, zone.n);
	return true;
}

static bool parse_host(struct str s, bool v6, struct netaddr *ret)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t bytes[16] = {0};
	size_t percent = str_find(s, 0, '%');
	if (percent < s.n)
		return v6 && parse_host(str_sub(s, 0, percent), v6, ret) &&
		       parse_zone(str_skip(s, percent + 1), ret);
	if (s.n >= sizeof text || memchr(s.p, 0, s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(v6 ? AF_INET6 : AF_INET, text, bytes) != 1)
		return false;
	if (v6) {
		set_v6(ret, bytes);
	} else {
		*ret = (struct netaddr){.family = AF_INET};
		memcpy(ret->bytes, bytes, 4);
	}
	return true;
}

bool netaddr_parse(struct str s, struct netaddr *ret)
{
	struct netaddr a;
	struct str port = STR_NULL;
	uint32_t number = 0;
	if (s.n == 0)
		return false;
	size_t colon = str_find(s, 0, ':');
	bool one_colon = colon < s.n && str_find(s, colon + 1, ':') == s.n;
	bool v6 = colon < s.n && !one_colon;
	if (s.p[0] == '[') {
		size_t end = str_find(s, 0, ']');
		struct str tail = str_skip(s, end + 1);
		if (end == s.n || (tail.n > 0 && tail.p[0] != ':'))
			return false;
		port = tail.n > 0 ? str_skip(tail, 1) : STR_NULL;
		if (tail.n == 1)
			return false;
		s = str_sub(s, 1, end);
		v6 = true;
	} else if (one_colon) {
		port = str_skip(s, colon + 1);
		if (port.n == 0)
			return false;
		s = str_sub(s, 0, colon);
	}
	if (port.n > 0 && (!num_parse_u32(port, &number) || number > 65535))
		return false;
	if (!parse_host(s, v6, &a))
		return false;
	a.port = (uint16_t)number;
	*ret = a;
	return true;
}

bool netaddr_same_host(const struct netaddr *a, const struct netaddr *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0 &&
	       strcmp(a->zone, b->zone) == 0;
}

bool netaddr_is_loopback(const struct netaddr *a)
{
	static const uint8_t one[16] = {[15] = 1};
	return a->family == AF_INET ? a->bytes[0] == 127
				    : a->family == AF_INET6 && memcmp(a->bytes, one, 16) == 0;
}

bool netaddr_is_any(const struct netaddr *a)
{
	static const uint8_t zero[16];
	return a->family != 0 && memcmp(a->bytes, zero, sizeof zero) == 0;
}

/* The first `bits` bits of both agree; with b == NULL: the bits after them are 0. */
static bool prefix_matches(const uint8_t a[16], const uint8_t *b, unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned in = bits >= (i + 1) * 8 ? 8 : bits > i * 8 ? bits - i * 8 : 0;
		uint8_t mask = (uint8_t)(0xff00u >> in);
		if (b ? ((a[i] ^ b[i]) & mask) != 0 : (a[i] & (uint8_t)~mask) != 0)
			return false;
	}
	return true;
}

bool netcidr_parse(struct str s, struct netcidr *ret)
{
	struct netaddr a;
	size_t slash = str_find(s, 0, '/');
	struct str host = str_sub(s, 0, slash);
	/* A port makes no sense here. */
	bool v6 = str_find(host, 0, ':') < host.n;
	if (host.n == 0 || !parse_host(host, v6, &a) || a.zone[0])
		return false;
	uint32_t most = a.family == AF_INET ? 32 : 128;
	uint32_t bits = most;
	if (slash < s.n && (!num_parse_u32(str_skip(s, slash + 1), &bits) || bits > most))
		return false;
	if (!prefix_matches(a.bytes, NULL, bits))
		return false;
	*ret = (struct netcidr){.addr = a, .bits = bits};
	return true;
}

bool netcidr_has(const struct netcidr *net, const struct netaddr *a)
{
	return net->addr.family == a->family && a->family != 0 &&
	       prefix_matches(a->bytes, net->addr.bytes, net->bits);
}

bool netcidrs_have(const struct netcidrs *l, const struct netaddr *a)
{
	for (size_t i = 0; i < l->n; i++)
		if (netcidr_has(&l->p[i], a))
			return true;
	return false;
}

/* ---- sockets ---- */

static enum fail_code code_of(int errnum)
{
	switch (errnum) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return FAIL_LIMIT;
	case EADDRINUSE:
		return FAIL_EXISTS;
	case EACCES:
	case EPERM:
		return FAIL_PERM;
	case EADDRNOTAVAIL:
	case ENODEV:
		return FAIL_NOTFOUND;
	case EAFNOSUPPORT:
		return FAIL_UNSUPPORTED;
	default:
		return FAIL_PEER;
	}
}

static int new_socket(const struct netaddr *a, int *ret_fd, struct fail *why)
{
	int fd = socket(a->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_errno(why, code_of(errno), "socket");
	*ret_fd = fd;
	return 0;
}

/* Late and seldom: phones sleep, and every packet wakes them. IMAP's own time is 35 minutes. */
#define KEEPALIVE_AFTER_S 900
#define KEEPALIVE_EVERY_S 60
#define KEEPALIVE_TIMES	  4
#define UNACKED_MS	  180000

void sock_watch_peers(int listener)
{
	static const struct {
		int level, name, value;
	} options[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
		       {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_AFTER_S},
		       {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S},
		       {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_TIMES},
		       {IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS}};
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		(void)setsockopt(listener, options[i].level, options[i].name, &options[i].value,
				 sizeof options[i].value);
}

int sock_listen(const struct netaddr *a, int backlog, int *ret_fd, struct fail *why)
{
	char text[NETADDR_TEXT_MAX];
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(a, &ss);
	AUTO_FD int fd = -1;
	int on = 1;
	if (a->zone[0] && !if_nametoindex(a->zone))
		return fail_errno(why, FAIL_NOTFOUND, "interface %s", a->zone);
	int r = new_socket(a, &fd, why);
	if (r < 0)
		return r;
	struct str name = netaddr_text(a, true, text);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    (a->family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) ||
	    bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, backlog) < 0)
		return fail_errno(why, code_of(errno), "listening on %.*s", STR_ARG(name));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* A path in a folder by way of /proc: it need not be reachable by name, nor be short itself. */
static int unix_name(int dir, const char *path, struct sockaddr_un *ret, struct fail *why)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	int n = path[0] == '/' ? snprintf(ret->sun_path, sizeof ret->sun_path, "%s", path)
			       : snprintf(ret->sun_path, sizeof ret->sun_path,
					  "/proc/self/fd/%d/%s", dir, path);
	if (n < 0 || (size_t)n >= sizeof ret->sun_path)
		return fail_set(why, FAIL_TOOBIG, NULL, "the name of a socket is too long: %.200s",
				path);
	return 0;
}

int sock_listen_unix(int dir, const char *path, int backlog, int *ret_fd, struct fail *why)
{
	struct sockaddr_un name;
	struct stat st;
	int r = unix_name(dir, path, &name, why);
	if (r < 0)
		return r;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_errno(why, code_of(errno), "socket");
	if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
		(void)unlinkat(dir, path, 0);
	if (bind(fd, (struct sockaddr *)&name, sizeof name) < 0 ||
	    fchmodat(dir, path, 0666, 0) < 0 || listen(fd, backlog) < 0)
		return fail_errno(why, code_of(errno), "listening on %s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

bool sock_peer_uid(int fd, uint32_t *ret)
{
	struct ucred who = {0};
	socklen_t n = sizeof who;
	int domain = 0;
	socklen_t m = sizeof domain;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &m) < 0 || domain != AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0)
		return false;
	*ret = who.uid;
	return true;
}

int sock_accept(int listener, int *ret_fd, struct netaddr *ret_peer, struct fail *why)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof ss;
	int fd = accept4(listener, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		/*
		 * accept(2): errors of the new connection's network are reported here too; all mean
		 * "try again".
		 */
		if (code_of(errno) == FAIL_LIMIT || errno == EBADF || errno == EINVAL ||
		    errno == ENOTSOCK)
			return fail_errno(why, code_of(errno), "accept");
		return 0;
	}
	from_sockaddr(&ss, ret_peer);
	*ret_fd = fd;
	return 1;
}

static int bind_to(int fd, const struct netaddr *from, struct fail *why)
{
	char text[NETADDR_TEXT_MAX];
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(from, &ss);
	struct str name = netaddr_text(from, false, text);
	int on = 1;
	/* The port is chosen when it is known where to: so more connections than ports are fine. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0)
		return fail_errno(why, code_of(errno), "connecting from %.*s", STR_ARG(name));
	return 0;
}

int sock_connect(const struct netaddr *a, int *ret_fd, struct fail *why)
{
	return sock_connect_from(a, NULL, ret_fd, why);
}

int sock_connect_from(const struct netaddr *a, const struct netaddr *from, int *ret_fd,
		      struct fail *why)
{
	char text[NETADDR_TEXT_MAX];
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(a, &ss);
	AUTO_FD int fd = -1;
	int r = new_socket(a, &fd, why);
	if (r == 0 && from)
		r = bind_to(fd, from, why);
	if (r < 0)
		return r;
	int done = connect(fd, (struct sockaddr *)&ss, len) == 0;
	struct str name = netaddr_text(a, true, text);
	if (!done && errno != EINPROGRESS)
		return fail_errno(why, code_of(errno), "connecting to %.*s", STR_ARG(name));
	*ret_fd = TAKE_FD(fd);
	return done;
}

int sock_connect_unix(struct str path, int *ret_fd, struct fail *why)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	if (path.n >= sizeof sun.sun_path)
		return fail_set(why, FAIL_SYNTAX, NULL, "a path of %zu octets", path.n);
	memcpy(sun.sun_path, path.p, path.n);
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_errno(why, code_of(errno), "socket");
	if (connect(fd, (struct sockaddr *)&sun, sizeof sun) < 0)
		return fail_errno(why, errno == EAGAIN ? FAIL_BUSY : code_of(errno),
				  "connecting to %.*s", STR_ARG(path));
	*ret_fd = TAKE_FD(fd);
	return 1;
}

int sock_error(int fd)
{
	int e = 0;
	socklen_t len = sizeof e;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 ? errno : e;
}

bool sock_is_reset(int fd)
{
	struct pollfd p = {.fd = fd};
	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP);
}

int sock_local(int fd, struct netaddr *ret, struct fail *why)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof ss;
	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return fail_errno(why, FAIL_PEER, "getsockname");
	from_sockaddr(&ss, ret);
	return 0;
}

int sock_peer(int fd, struct netaddr *ret, struct fail *why)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof ss;
	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		return fail_errno(why, FAIL_PEER, "getpeername");
	from_sockaddr(&ss, ret);
	return 0;
}

int sock_nonblock(int fd, struct fail *why)
{
	int on = 1; /* not by F_SETFL, which the sandbox denies */
	if (ioctl(fd, FIONBIO, &on) < 0)
		return fail_errno(why, FAIL_BUG, "O_NONBLOCK on %d", fd);
	return 0;
}

void sock_nodelay(int fd)
{
	int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
