/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - give up every right a role does not need.                        [sys]
 *
 * sandbox_enter: no_new_privs, the user and all capabilities, not dumpable, Landlock as far as the
 * kernel has it (raw system calls, up to ABI 7; capped by the environment variable
 * BARID_LANDLOCK_ABI, a number, for tests), then a seccomp allow-list. Called once, before threads
 * start and before the first outside byte is read; descriptors that are open stay usable.
 *
 * seccomp: what is not on the list fails with EPERM (and is logged by the kernel where its audit
 * is on). These end the process: ptrace, process_vm_*, bpf, io_uring_*, execve(at), mount and
 * friends, unshare, setns, clone with new name spaces, socket(AF_PACKET). clone3 answers ENOSYS,
 * so that glibc uses clone, whose flags can be seen. socket() fails; AF_INET and AF_INET6 are fine
 * with SANDBOX_INET_CONNECT, of them SOCK_STREAM alone with SANDBOX_TCP_CONNECT.
 */
#ifndef BARID_SYS_SANDBOX_H
#define BARID_SYS_SANDBOX_H

#include "base/fail.h"
#include <stdbool.h>

struct proc_user;

enum sandbox_access {
	SANDBOX_READ,  /* read files, list folders */
	SANDBOX_WRITE, /* and write, truncate, create, link, rename, remove, file locks */
};
/* A file or a folder with all below it. A path that does not exist is an error. */
struct sandbox_path {
	const char *path;
	enum sandbox_access access;
};

#define SANDBOX_FILES	     (1u << 0) /* open and change files (Landlock: within `paths`) */
#define SANDBOX_ACCEPT	     (1u << 1) /* accept connections on listeners that are open */
#define SANDBOX_INET_CONNECT (1u << 2) /* make TCP and UDP connections */
#define SANDBOX_THREADS	     (1u << 3)
#define SANDBOX_TCP_CONNECT  (1u << 4) /* make TCP connections, from a chosen address */

struct sandbox_profile {
	const char *role;
	unsigned flags;
	const struct sandbox_path *paths;
	size_t n_paths;
	int parent; /* die with this process (the change of user forgets it); 0 = none */
	const struct proc_user *user; /* become it; NULL: stay (capabilities go all the same) */
};

struct sandbox_report {
	int landlock_abi; /* in force; 0 = none */
	int kernel_abi;	  /* what the kernel offers */
	bool seccomp;
	bool user_changed;
};

/* On failure the process must end: part of it may be in force. */
MUST_CHECK int sandbox_enter(const struct sandbox_profile *p, struct sandbox_report *ret,
			     struct fail *why);

#endif
