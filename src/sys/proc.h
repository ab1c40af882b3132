/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc.h - what a process does to itself and to its children.                  [sys]
 *
 * All but the pidfd calls belong to start-up, before threads exist.
 */
#ifndef BARID_SYS_PROC_H
#define BARID_SYS_PROC_H

#include "base/fail.h"
#include <stdbool.h>
#include <sys/types.h>

/* The name in ps and top; cut to 15 bytes. */
void proc_set_name(const char *name);

/*
 * SIGKILL for this process when its parent dies. Fails with FAIL_GONE when the parent is no longer
 * `parent`.
 */
MUST_CHECK int proc_die_with_parent(pid_t parent, struct fail *why);

/* No core dumps, no ptrace by the same user, /proc/PID owned by root. */
MUST_CHECK int proc_not_dumpable(struct fail *why);

struct proc_limits {
	uint64_t files;	       /* RLIMIT_NOFILE; 0 = as high as the hard limit allows */
	uint64_t memory_bytes; /* RLIMIT_AS; 0 = leave */
	bool no_core;
};
/* A limit above the hard limit is lowered to it, not an error. */
MUST_CHECK int proc_limit(const struct proc_limits *l, struct fail *why);
/* How many descriptors this process may have. */
uint64_t proc_files_max(void);

#define PROC_GROUPS_MAX 16
struct proc_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[PROC_GROUPS_MAX];
	size_t n_groups;
};
/* Look up a name in the system's user database (before the sandbox). FAIL_NOTFOUND. */
MUST_CHECK int proc_find_user(const char *name, struct proc_user *ret, struct fail *why);
/*
 * Become that user for good: groups, gid, uid, no capability left, and verified that root cannot
 * come back.
 */
MUST_CHECK int proc_become(const struct proc_user *u, struct fail *why);
/* Give up every capability and keep the user. */
MUST_CHECK int proc_drop_caps(struct fail *why);

MUST_CHECK int proc_cloexec(int fd, bool on, struct fail *why);
/* Mark every descriptor >= first close-on-exec. */
MUST_CHECK int proc_cloexec_from(int first, struct fail *why);

/* A child as a descriptor that polls readable when it has ended. The caller closes it. */
MUST_CHECK int proc_pidfd(pid_t pid, int *ret_fd, struct fail *why);
struct proc_end {
	bool by_signal;
	int code; /* exit status, or the signal */
};
/* 1 = ended and reaped, *ret filled; 0 = still running. */
MUST_CHECK int proc_pidfd_reap(int pidfd, struct proc_end *ret, struct fail *why);
/* FAIL_NOTFOUND when it has ended. */
MUST_CHECK int proc_pidfd_kill(int pidfd, int sig, struct fail *why);

#endif
