/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/probe.h"

#if defined(BARID_CRASH_POINTS) && BARID_CRASH_POINTS

#include "base/auto.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define PAGE 4096

/* A system call by its number, with plain arguments. */
struct call {
	const char *name;
	long nr;
	long args[5];
};
#define CALL(name, ...)                                                                            \
	{                                                                                          \
#name, SYS_##name,                                                                 \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static const char nowhere[] = "/barid-probe";

static int outcome(long r)
{
	return r == -1 ? errno : 0;
}

/* --- files
 * ------------------------------------------------------------------------------------------ */

static void tell(probe_report report, const char *what, struct str path, int error)
{
	char name[300];
	(void)snprintf(name, sizeof name, "%s %.*s", what, STR_ARG(path));
	report(name, error);
}

static int try_open(const char *path, int flags)
{
	AUTO_FD int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	return fd < 0 ? errno : 0;
}

static int try_create(const char *folder)
{
	char path[300];
	(void)snprintf(path, sizeof path, "%s%s.%d", folder, nowhere, (int)getpid());
	int error = try_open(path, O_WRONLY | O_CREAT | O_EXCL);
	if (error == 0)
		(void)unlink(path);
	return error;
}

void probe_path(struct str path, probe_report report)
{
	char text[200];
	(void)snprintf(text, sizeof text, "%.*s", STR_ARG(path));
	tell(report, "read", path, try_open(text, O_RDONLY));
	tell(report, "write", path, try_open(text, O_WRONLY));
	tell(report, "create-in", path, try_create(text));
	tell(report, "truncate", path, outcome(syscall(SYS_truncate, text, INT64_MAX)));
}

/* --- what fails
 * ------------------------------------------------------------------------------------- */

static const struct call calls[] = {
	/* sockets that nobody gave us; a datagram socket needs no connect to reach anybody */
	{"socket-tcp", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
	{"socket-tcp6", SYS_socket, {AF_INET6, SOCK_STREAM, 0}},
	{"socket-udp", SYS_socket, {AF_INET, SOCK_DGRAM, 0}},
	{"socket-raw", SYS_socket, {AF_INET, SOCK_RAW, 1}},
	{"socket-netlink", SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
	{"socket-vsock", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}},
	{"socket-unix-stream", SYS_socket, {AF_UNIX, SOCK_STREAM, 0}},
	{"socket-unix-datagram", SYS_socket, {AF_UNIX, SOCK_DGRAM, 0}},
	CALL(listen, 3, 1),
	/* processes: 0 as a signal asks for the right alone */
	{"clone", SYS_clone, {SIGCHLD}},
	CALL(fork),
	{"kill-master", SYS_kill, {-1, 0}}, /* the first argument is filled in */
	{"kill-all", SYS_kill, {-1, 0}},
	CALL(tkill, 1, 0),
	{"tgkill-init", SYS_tgkill, {1, 1, 0}},
	CALL(rt_sigqueueinfo, 1, 0, 0),
	CALL(pidfd_open, 1, 0),
	CALL(pidfd_send_signal, 3, 0, 0, 0),
	CALL(pidfd_getfd, 3, 0, 0),
	CALL(kcmp, 1, 1, 0, 0, 0),
	CALL(process_madvise, 3, 0, 0, 0, 0),
	CALL(setpriority, 0, 0, -5),
	CALL(sched_setscheduler, 0, 0, 0),
	{"prlimit-master", SYS_prlimit64, {1, RLIMIT_NOFILE, 0, 0}},
	/* rights */
	CALL(setuid, 0),
	CALL(setgid, 0),
	CALL(setreuid, 0, 0),
	CALL(setresuid, 0, 0, 0),
	CALL(setresgid, 0, 0, 0),
	CALL(setfsuid, 0),
	CALL(setgroups, 0, 0),
	CALL(capset, 0, 0),
	CALL(personality, 0x0400000), /* READ_IMPLIES_EXEC */
	CALL(seccomp, 0, 0, 0),
	CALL(landlock_create_ruleset, 0, 0, 1),
	{"prctl-dumpable", SYS_prctl, {PR_SET_DUMPABLE, 1, 0, 0, 0}},
	{"prctl-ptracer", SYS_prctl, {PR_SET_PTRACER, -1, 0, 0, 0}},
	{"prctl-securebits", SYS_prctl, {PR_SET_SECUREBITS, 0, 0, 0, 0}},
	{"prctl-pdeathsig", SYS_prctl, {PR_SET_PDEATHSIG, 0, 0, 0, 0}},
	{"prctl-mm", SYS_prctl, {PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0}},
	/* the kernel's other doors */
	CALL(keyctl, 0, 0, 0, 0, 0),
	CALL(add_key, 0, 0, 0, 0, 0),
	CALL(request_key, 0, 0, 0, 0),
	CALL(shmget, 0, PAGE, 0600 | 01000),
	CALL(msgget, 0, 0600 | 01000),
	CALL(semget, 0, 1, 0600 | 01000),
	CALL(mq_open, 0, 0, 0, 0),
	CALL(inotify_init1, 0),
	CALL(fanotify_init, 0, 0),
	CALL(name_to_handle_at, AT_FDCWD, 0, 0, 0, 0),
	CALL(open_by_handle_at, AT_FDCWD, 0, 0),
	CALL(syslog, 10, 0, 0),
	CALL(reboot, 0, 0, 0, 0),
	CALL(swapon, 0, 0),
	CALL(acct, 0),
	CALL(quotactl, 0, 0, 0, 0),
	CALL(sethostname, 0, -1),
	CALL(settimeofday, 0, 0),
	CALL(clock_settime, 0, 0),
	CALL(adjtimex, 0),
	CALL(vmsplice, 0, 0, 0, 0),
	CALL(io_setup, 1, 0),
	CALL(modify_ldt, 0, 0, 0),
	CALL(pkey_mprotect, 0, 0, 0, 0),
	CALL(remap_file_pages, 0, 0, 0, 0, 0),
	/* what is open, and must stay as it is */
	{"fcntl-setfl", SYS_fcntl, {2, F_SETFL, 0}},
	{"fcntl-setown", SYS_fcntl, {3, F_SETOWN, 1}},
	{"fcntl-setsig", SYS_fcntl, {3, F_SETSIG, SIGKILL}},
	{"ioctl-terminal", SYS_ioctl, {0, 0x5412, 0}}, /* TIOCSTI */
	{"ioctl-owner", SYS_ioctl, {3, 0x8901, 0}},    /* FIOSETOWN */
	CALL(pwritev2, 2, 0, 0, 0, 0),
	CALL(fsetxattr, 2, 0, 0, 0, 0),
};

/* Names in the file system beyond open: for nobody, not even in folders of its own. */
static const struct call names[] = {
	{"symlink", SYS_symlink, {0, 0}}, {"mknod", SYS_mknod, {0, 0100600, 0}},
	{"chmod", SYS_chmod, {0, 0777}},  {"chown", SYS_chown, {0, 0, 0}},
	{"chdir", SYS_chdir, {0}},	  {"fchdir", SYS_fchdir, {3}},
	{"setxattr", SYS_setxattr, {0}},  {"swapoff", SYS_swapoff, {0}},
};

static int try_call(const struct call *c)
{
	long r = syscall(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4]);
	if (r == 0 && (c->nr == SYS_clone || c->nr == SYS_fork))
		_exit(0); /* the child that should not be */
	return outcome(r);
}

static int try_name(const struct call *c)
{
	return outcome(syscall(c->nr, nowhere, c->args[1], c->args[2], c->args[3], c->args[4]));
}

/* A socket that is open already, asked to bind or to connect elsewhere. */
static int try_address(long nr, sa_family_t family, const char *path)
{
	struct sockaddr_un a = {.sun_family = family};
	size_t n = strlen(path + 1) + 1;
	memcpy(a.sun_path, path, n);
	return outcome(syscall(nr, 3, &a, offsetof(struct sockaddr_un, sun_path) + n));
}

/* Of a pair: a datagram socket may name whom it sends to. */
static int try_pair(int type)
{
	int pair[2];
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
		return errno;
	(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}

static int try_map(int prot, int fd)
{
	void *p = mmap(NULL, PAGE, prot, MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	if (p == MAP_FAILED)
		return errno;
	(void)munmap(p, PAGE);
	return 0;
}

static int try_protect(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 0;
	int error = outcome(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	(void)munmap(p, PAGE);
	return error;
}

static int try_map_file(void)
{
	AUTO_FD int fd = memfd_create("probe", MFD_CLOEXEC);
	return fd < 0 ? errno : try_map(PROT_READ | PROT_EXEC, fd);
}

static int try_limit(enum __rlimit_resource what)
{
	struct rlimit now, more = {RLIM_INFINITY, RLIM_INFINITY};
	if (getrlimit(what, &now) < 0 || setrlimit(what, &more) < 0)
		return errno;
	(void)setrlimit(what, &now);
	return 0;
}

static int try_thread(void)
{
	/* Without memory for a stack the kernel refuses what the filter let pass. */
	return outcome(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0));
}

static void probe_memory(probe_report report)
{
	report("mmap-exec", try_map(PROT_READ | PROT_EXEC, -1));
	report("mmap-write-exec", try_map(PROT_READ | PROT_WRITE | PROT_EXEC, -1));
	report("mprotect-exec", try_protect());
	report("memfd-exec", try_map_file());
	report("limit-core", try_limit(RLIMIT_CORE));
	report("limit-files", try_limit(RLIMIT_NOFILE));
}

static void probe_sockets(probe_report report)
{
	report("connect-path", try_address(SYS_connect, AF_UNIX, "control.sock"));
	report("connect-abstract", try_address(SYS_connect, AF_UNIX, "\0barid-probe"));
	report("connect-tcp", try_address(SYS_connect, AF_INET, "\0\031\177\0\0\1"));
	report("bind-path", try_address(SYS_bind, AF_UNIX, "blob/probe"));
	report("bind-abstract", try_address(SYS_bind, AF_UNIX, "\0barid-probe"));
	report("pair-datagram", try_pair(SOCK_DGRAM));
	report("pair-stream", try_pair(SOCK_STREAM));
	report("accept", outcome(syscall(SYS_accept4, 3, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK)));
	report("thread", try_thread());
}

void probe_calls(probe_report report)
{
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		struct call c = calls[i];
		if (strcmp(c.name, "kill-master") == 0)
			c.args[0] = getppid();
		report(c.name, try_call(&c));
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		report(names[i].name, try_name(&names[i]));
	probe_memory(report);
	probe_sockets(report);
}

/* --- what ends the process
 * -------------------------------------------------------------------------- */

static const struct call deadly[] = {
	CALL(ptrace, PTRACE_TRACEME, 0, 0, 0),
	CALL(process_vm_readv, 1, 0, 0, 0, 0),
	CALL(process_vm_writev, 1, 0, 0, 0, 0),
	CALL(bpf, 0, 0, 0),
	CALL(io_uring_setup, 1, 0),
	CALL(io_uring_enter, 3, 0, 0, 0, 0),
	CALL(io_uring_register, 3, 0, 0, 0),
	CALL(execve, 0, 0, 0),
	CALL(execveat, 3, 0, 0, 0, 0),
	CALL(mount, 0, 0, 0, 0, 0),
	CALL(umount2, 0, 0),
	CALL(move_mount, 3, 0, 3, 0, 0),
	CALL(open_tree, 3, 0, 0),
	CALL(fsopen, 0, 0),
	CALL(fsmount, 3, 0, 0),
	CALL(pivot_root, 0, 0),
	CALL(chroot, 0),
	CALL(unshare, CLONE_NEWUSER),
	CALL(setns, 3, 0),
	CALL(init_module, 0, 0, 0),
	CALL(finit_module, 3, 0, 0),
	CALL(kexec_load, 0, 0, 0, 0),
	CALL(kexec_file_load, 3, 3, 0, 0, 0),
	CALL(perf_event_open, 0, 0, 0, 0, 0),
	CALL(userfaultfd, 1),
	{"clone-user", SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
	{"clone-net", SYS_clone, {CLONE_NEWNET | SIGCHLD}},
	{"clone-mount", SYS_clone, {CLONE_NEWNS | SIGCHLD}},
	{"clone-pid", SYS_clone, {CLONE_NEWPID | SIGCHLD}},
	{"clone-ipc", SYS_clone, {CLONE_NEWIPC | SIGCHLD}},
	{"clone-uts", SYS_clone, {CLONE_NEWUTS | SIGCHLD}},
	{"clone-cgroup", SYS_clone, {CLONE_NEWCGROUP | SIGCHLD}},
	{"socket-packet", SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
	/* getpid by the door of another architecture */
	{"x32", 0x40000000 | SYS_getpid, {0}},
};

const char *probe_deadly_name(size_t i)
{
	return i < ARRAY_LEN(deadly) ? deadly[i].name : NULL;
}

bool probe_deadly(struct str name, probe_report report)
{
	for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
		if (str_eq(name, str_c(deadly[i].name))) {
			report(deadly[i].name, try_call(&deadly[i]));
			return true;
		}
	return false;
}

#else

void probe_path(struct str path, probe_report report)
{
	(void)path;
	(void)report;
}

void probe_calls(probe_report report)
{
	(void)report;
}

bool probe_deadly(struct str name, probe_report report)
{
	(void)name;
	(void)report;
	return false;
}

const char *probe_deadly_name(size_t i)
{
	(void)i;
	return NULL;
}

#endif
