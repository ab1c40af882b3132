/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdpass.h - one datagram with descriptors over a SEQPACKET socket, and sealed memory.   [sys]
 *
 * A receiver trusts no peer: too many descriptors, cut data are FAIL_PEER and
 * whatever descriptors arrived are closed. Descriptors for which this process has no room are lost
 * with the datagram's others, and it is told so. Thread: any; each call is one datagram.
 */
#ifndef BARID_SYS_FDPASS_H
#define BARID_SYS_FDPASS_H

#include "base/auto.h"
#include "base/fail.h"
#include "base/str.h"
#include <sys/uio.h>

#define FDPASS_MAX 16

/* A connected pair of SEQPACKET sockets, close-on-exec, blocking. */
MUST_CHECK int fdpass_pair(int ret_fds[2], struct fail *why);

/*
 * Send iov as one datagram with fds (borrowed, n_fds <= FDPASS_MAX). The data must not be empty.
 * FAIL_BUSY: would block (non-blocking socket); FAIL_TOOBIG: larger than the socket takes;
 * FAIL_PEER: the other side is gone; FAIL_LIMIT: too many descriptors in flight.
 */
MUST_CHECK int fdpass_send(int sock, const struct iovec *iov, size_t n_iov, const int *fds,
			   size_t n_fds, struct fail *why);

struct fdpass_in {
	size_t n;	     /* bytes */
	int fds[FDPASS_MAX]; /* owned by the caller; take one by setting it to -1 */
	size_t n_fds;
	bool cut; /* descriptors were sent, and this process may open no more: none came */
};
/* 1 = a datagram; 0 = the peer closed; FAIL_BUSY = none waits; FAIL_PEER = as above, or reset. */
MUST_CHECK int fdpass_recv(int sock, void *into, size_t size, struct fdpass_in *ret,
			   struct fail *why);
/* Close what was not taken. */
void fdpass_in_clear(struct fdpass_in *in);

/* A memory file with this content that nobody can change or resize any more. */
MUST_CHECK int memfd_sealed(const char *name, struct str content, int *ret_fd, struct fail *why);
/* An empty one to be written, and sealing it later. */
MUST_CHECK int memfd_new(const char *name, int *ret_fd, struct fail *why);
MUST_CHECK int memfd_seal(int fd, struct fail *why);

struct memmap {
	struct str bytes; /* read-only; {"", 0} for an empty file */
};
/*
 * Map a memory file from a peer. FAIL_PEER unless sealed against all change; FAIL_TOOBIG above
 * `max`.
 */
MUST_CHECK int memmap_sealed(int fd, size_t max, struct memmap *ret, struct fail *why);
void memmap_clear(struct memmap *m); /* the descriptor stays open */
DEFINE_AUTO(memmap, struct memmap, memmap_clear);

#endif
