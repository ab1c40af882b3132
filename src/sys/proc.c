/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/proc.h"
#include "base/check.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

void proc_set_name(const char *name)
{
	char short_name[16];
	(void)snprintf(short_name, sizeof short_name, "%s", name);
	(void)prctl(PR_SET_NAME, short_name, 0, 0, 0);
}

int proc_die_with_parent(pid_t parent, struct fail *why)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return fail_errno(why, FAIL_BUG, "PR_SET_PDEATHSIG");
	/* It may have died before the call, and then no signal will come. */
	if (getppid() != parent)
		return fail_set(why, FAIL_GONE, NULL, "the parent %d is gone", (int)parent);
	return 0;
}

int proc_not_dumpable(struct fail *why)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail_errno(why, FAIL_BUG, "PR_SET_DUMPABLE");
	return 0;
}

static int set_limit(int resource, uint64_t want, const char *what, struct fail *why)
{
	struct rlimit l;
	if (getrlimit((__rlimit_resource_t)resource, &l) < 0)
		return fail_errno(why, FAIL_BUG, "getrlimit %s", what);
	l.rlim_cur = MIN(want, l.rlim_max);
	if (setrlimit((__rlimit_resource_t)resource, &l) < 0)
		return fail_errno(why, FAIL_LIMIT, "setrlimit %s", what);
	return 0;
}

int proc_limit(const struct proc_limits *l, struct fail *why)
{
	int r = set_limit(RLIMIT_NOFILE, l->files ? l->files : UINT64_MAX, "NOFILE", why);
	if (r == 0 && l->memory_bytes)
		r = set_limit(RLIMIT_AS, l->memory_bytes, "AS", why);
	/* The hard one too: what is to stay cannot be raised again. */
	if (r == 0 && l->no_core && setrlimit(RLIMIT_CORE, &(struct rlimit){0}) < 0)
		r = fail_errno(why, FAIL_LIMIT, "setrlimit CORE");
	return r;
}

uint64_t proc_files_max(void)
{
	struct rlimit l;
	CHECK(getrlimit(RLIMIT_NOFILE, &l) == 0);
	return l.rlim_cur;
}

int proc_find_user(const char *name, struct proc_user *ret, struct fail *why)
{
	char text[4096];
	struct passwd pw, *found = NULL;
	int e = getpwnam_r(name, &pw, text, sizeof text, &found);
	if (e != 0) {
		errno = e;
		return fail_errno(why, FAIL_TEMP, "user %s", name);
	}
	if (!found)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no user %s on this system", name);
	struct proc_user u = {.uid = pw.pw_uid, .gid = pw.pw_gid};
	int n = PROC_GROUPS_MAX;
	if (getgrouplist(name, pw.pw_gid, u.groups, &n) < 0)
		return fail_set(why, FAIL_LIMIT, NULL, "user %s is in more than %d groups", name,
				PROC_GROUPS_MAX);
	u.n_groups = (size_t)n;
	*ret = u;
	return 0;
}

int proc_drop_caps(struct fail *why)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return fail_errno(why, FAIL_BUG, "clearing ambient capabilities");
	if (syscall(SYS_capset, &head, none) < 0)
		return fail_errno(why, FAIL_PERM, "dropping capabilities");
	return 0;
}

/*
 * Not even a program of root's gives them back. no_new_privs says so already; who may not say it
 * twice (no CAP_SETPCAP) goes on with that.
 */
static void lock_rights(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	(void)prctl(PR_SET_SECUREBITS,
		    SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
			    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		    0, 0, 0);
}

int proc_become(const struct proc_user *u, struct fail *why)
{
	if (u->uid == 0)
		return fail_set(why, FAIL_BUG, NULL, "the user of a role must not be root");
	lock_rights();
	if (setgroups(u->n_groups, u->groups) < 0)
		return fail_errno(why, FAIL_PERM, "setgroups");
	if (setresgid(u->gid, u->gid, u->gid) < 0)
		return fail_errno(why, FAIL_PERM, "setresgid %u", u->gid);
	if (setresuid(u->uid, u->uid, u->uid) < 0)
		return fail_errno(why, FAIL_PERM, "setresuid %u", u->uid);
	int r = proc_drop_caps(why);
	if (r < 0)
		return r;
	if (setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setuid(0) == 0 || getuid() != u->uid)
		return fail_set(why, FAIL_BUG, NULL, "root could come back");
	return 0;
}

int proc_cloexec(int fd, bool on, struct fail *why)
{
	if (fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0)
		return fail_errno(why, FAIL_BUG, "F_SETFD %d", fd);
	return 0;
}

int proc_cloexec_from(int first, struct fail *why)
{
	if (syscall(SYS_close_range, (unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return fail_errno(why, FAIL_BUG, "close_range %d", first);
	return 0;
}

int proc_pidfd(pid_t pid, int *ret_fd, struct fail *why)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return fail_errno(why, errno == ESRCH ? FAIL_NOTFOUND : FAIL_LIMIT, "pidfd_open %d",
				  (int)pid);
	*ret_fd = (int)fd;
	return 0;
}

int proc_pidfd_reap(int pidfd, struct proc_end *ret, struct fail *why)
{
	siginfo_t info = {0};
	int r;
	do
		r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return fail_errno(why, FAIL_BUG, "waitid");
	if (info.si_pid == 0)
		return 0;
	*ret = (struct proc_end){.by_signal = info.si_code != CLD_EXITED, .code = info.si_status};
	return 1;
}

int proc_pidfd_kill(int pidfd, int sig, struct fail *why)
{
	if (syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0)
		return fail_errno(why, errno == ESRCH ? FAIL_NOTFOUND : FAIL_PERM, "signal %d",
				  sig);
	return 0;
}
