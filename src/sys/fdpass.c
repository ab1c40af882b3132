/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/fdpass.h"
#include "base/check.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Control data for FDPASS_MAX descriptors, aligned as cmsg(3) demands. */
union control {
	char bytes[CMSG_SPACE(sizeof(int) * FDPASS_MAX)];
	struct cmsghdr align;
};

int fdpass_pair(int ret_fds[2], struct fail *why)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return fail_errno(why, FAIL_LIMIT, "socketpair");
	return 0;
}

static int send_failed(struct fail *why)
{
	switch (errno) {
	case EAGAIN:
		return fail_set(why, FAIL_BUSY, NULL, "the peer does not read");
	case EMSGSIZE:
		return fail_errno(why, FAIL_TOOBIG, "sendmsg");
	case ETOOMANYREFS:
	case ENOBUFS:
	case ENOMEM:
		return fail_errno(why, FAIL_LIMIT, "sendmsg");
	case EBADF:
	case EINVAL:
	case ENOTSOCK:
		return fail_errno(why, FAIL_BUG, "sendmsg");
	default:
		return fail_errno(why, FAIL_PEER, "sendmsg");
	}
}

int fdpass_send(int sock, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds,
		struct fail *why)
{
	union control control = {.bytes = {0}};
	/* sendmsg does not write through msg_iov, but its type says so. */
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n_iov};
	size_t total = 0;
	for (size_t i = 0; i < n_iov; i++)
		total += iov[i].iov_len;
	CHECK(total > 0 && n_fds <= FDPASS_MAX); /* an empty datagram would read as "closed" */
	if (n_fds > 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	ssize_t sent;
	do
		sent = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? send_failed(why) : 0;
}

void fdpass_in_clear(struct fdpass_in *in)
{
	for (size_t i = 0; i < in->n_fds; i++) {
		if (in->fds[i] >= 0)
			(void)close(in->fds[i]);
		in->fds[i] = -1;
	}
	in->n_fds = 0;
}

static void collect(struct msghdr *m, struct fdpass_in *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		CHECK(ret->n_fds + n <= FDPASS_MAX); /* the control buffer has no room for more */
		memcpy(ret->fds + ret->n_fds, CMSG_DATA(c), n * sizeof(int));
		ret->n_fds += n;
	}
}

int fdpass_recv(int sock, void *into, size_t size, struct fdpass_in *ret, struct fail *why)
{
	union control control;
	struct iovec iov = {into, size};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	ssize_t got;
	do
		got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	*ret = (struct fdpass_in){0};
	if (got < 0 && errno == EAGAIN)
		return fail_set(why, FAIL_BUSY, NULL, "no datagram");
	if (got < 0)
		return fail_errno(why, errno == ECONNRESET ? FAIL_PEER : FAIL_BUG, "recvmsg");
	collect(&m, ret);
	/* The control buffer holds all that may come: what is cut before it is full has no room
	 * here.
	 */
	ret->cut = m.msg_flags & MSG_CTRUNC && ret->n_fds < FDPASS_MAX;
	if (ret->cut)
		fdpass_in_clear(ret);
	if (m.msg_flags & (ret->cut ? MSG_TRUNC : MSG_TRUNC | MSG_CTRUNC)) {
		fdpass_in_clear(ret);
		return fail_set(why, FAIL_PEER, NULL, "a datagram with %s cut off",
				m.msg_flags & MSG_TRUNC ? "data" : "descriptors");
	}
	ret->n = (size_t)got;
	return got > 0;
}

/* ---- sealed memory ---- */

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int memfd_new(const char *name, int *ret_fd, struct fail *why)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return fail_errno(why, FAIL_LIMIT, "memfd_create");
	*ret_fd = fd;
	return 0;
}

int memfd_seal(int fd, struct fail *why)
{
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return fail_errno(why, FAIL_BUSY, "sealing memory");
	return 0;
}

int memfd_sealed(const char *name, struct str content, int *ret_fd, struct fail *why)
{
	AUTO_FD int fd = -1;
	int r = memfd_new(name, &fd, why);
	for (size_t done = 0; r == 0 && done < content.n;) {
		ssize_t put = write(fd, content.p + done, content.n - done);
		if (put < 0 && errno != EINTR)
			return fail_errno(why, FAIL_LIMIT, "writing memory");
		done += put > 0 ? (size_t)put : 0;
	}
	if (r == 0)
		r = memfd_seal(fd, why);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

int memmap_sealed(int fd, size_t max, struct memmap *ret, struct fail *why)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
		return fail_set(why, FAIL_PEER, NULL, "memory from a peer is not sealed");
	if ((uint64_t)st.st_size > max)
		return fail_set(why, FAIL_TOOBIG, NULL, "%lld bytes of memory, at most %zu",
				(long long)st.st_size, max);
	if (st.st_size == 0) {
		ret->bytes = STR("");
		return 0;
	}
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return fail_errno(why, FAIL_LIMIT, "mmap");
	ret->bytes = str_make(p, (size_t)st.st_size);
	return 0;
}

void memmap_clear(struct memmap *m)
{
	if (m->bytes.n > 0)
		(void)munmap((void *)(uintptr_t)m->bytes.p, m->bytes.n);
	m->bytes = STR_NULL;
}
