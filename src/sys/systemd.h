/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd.h - being a service of systemd: inherited sockets, and telling how it goes.   [sys]
 *
 * The two protocols are a few environment variables and datagrams, documented and stable
 * (sd_listen_fds(3), sd_notify(3)); libsystemd would bring its whole library into the process that
 * runs as root for them. Where no systemd started us, everything here does nothing.
 *
 * Call systemd_begin once, early, before a child is made: it takes the variables out of the
 * environment, so that no child believes they are meant for it.
 */
#ifndef BARID_SYS_SYSTEMD_H
#define BARID_SYS_SYSTEMD_H

#include "base/fail.h"
#include "sys/sock.h"

#define SYSTEMD_FDS_MAX 256

struct systemd_fd {
	int fd;
	char name[64]; /* of LISTEN_FDNAMES; "unknown" without one */
};
struct systemd {
	int notify_fd; /* -1: nobody listens */
	struct sockaddr_storage notify_to;
	socklen_t notify_len;
	uint64_t watchdog_us;	/* WATCHDOG=1 must come at least so often; 0 = not wanted */
	uint64_t store_max;	/* descriptors that the manager will keep for us; 0 = none */
	struct systemd_fd *fds; /* inherited, close-on-exec */
	size_t fds_n;
};

/*
 * -FAIL_SYNTAX: a variable does not say what it should; the text tells which. NOTIFY_SOCKET is a
 * path, or "@name" for the abstract name space.
 */
MUST_CHECK int systemd_begin(struct systemd *s, struct fail *why);
/* Frees memory and the notification socket; the inherited descriptors are the caller's. */
void systemd_end(struct systemd *s);

/* "READY=1\nSTATUS=..." Never blocks; what cannot be delivered is dropped. */
void systemd_notify(const struct systemd *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* RELOADING=1 with the monotonic time, which Type=notify-reload asks for; then READY=1 ends it. */
void systemd_notify_reloading(const struct systemd *s);
/* Give a descriptor into the manager's keeping: it comes back after a restart, under this name. */
void systemd_store(const struct systemd *s, int fd, const char *name);

#endif
