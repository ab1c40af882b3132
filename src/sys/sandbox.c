/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/sandbox.h"
#include "base/auto.h"
#include "base/num.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* ---- Landlock ---- */

/*
 * The kernel's interface, by the numbers of its documentation (userspace-api/landlock): Debian 12's
 * header ends at ABI 2. All names carry LL_ so that a newer header does not collide.
 */
#define LL_MAX_ABI 7

#define LL_FS_WRITE_FILE  (1ULL << 1)
#define LL_FS_READ_FILE	  (1ULL << 2)
#define LL_FS_READ_DIR	  (1ULL << 3)
#define LL_FS_REMOVE_DIR  (1ULL << 4)
#define LL_FS_REMOVE_FILE (1ULL << 5)
#define LL_FS_MAKE_DIR	  (1ULL << 7)
#define LL_FS_MAKE_REG	  (1ULL << 8)
#define LL_FS_REFER	  (1ULL << 13) /* ABI 2: link and rename between folders */
#define LL_FS_TRUNCATE	  (1ULL << 14) /* ABI 3 */
#define LL_NET_BIND_TCP	  (1ULL << 0)  /* ABI 4 */
#define LL_NET_CONNECT	  (1ULL << 1)
#define LL_SCOPE_ALL	  (3ULL) /* ABI 6: abstract UNIX sockets and signals stay inside */

#define LL_RULE_PATH_BENEATH 1
#define LL_RULE_NET_PORT     2
#define LL_CREATE_VERSION    (1U << 0)

/* Every file right of an ABI: bits 0..12, then REFER, TRUNCATE, and from ABI 5 IOCTL_DEV. */
static uint64_t all_fs_rights(int abi)
{
	static const uint64_t rights[LL_MAX_ABI + 1] = {0,	0x1fff, 0x3fff, 0x7fff,
							0x7fff, 0xffff, 0xffff, 0xffff};
	return rights[abi];
}

#define CONNECTS (SANDBOX_INET_CONNECT | SANDBOX_TCP_CONNECT)

#define LL_READ (LL_FS_READ_FILE | LL_FS_READ_DIR)
#define LL_WRITE                                                                                   \
	(LL_READ | LL_FS_WRITE_FILE | LL_FS_TRUNCATE | LL_FS_REMOVE_DIR | LL_FS_REMOVE_FILE |      \
	 LL_FS_MAKE_DIR | LL_FS_MAKE_REG | LL_FS_REFER)
#define LL_OF_A_FILE (LL_FS_READ_FILE | LL_FS_WRITE_FILE | LL_FS_TRUNCATE)

struct ll_ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* from ABI 4 */
	uint64_t scoped;	     /* from ABI 6 */
};
struct ll_net_port_attr {
	uint64_t allowed_access;
	uint64_t port;
};
struct ll_path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

static int kernel_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LL_CREATE_VERSION);
	return abi > 0 ? (int)abi : 0;
}

static int abi_to_use(int kernel)
{
	const char *text = getenv("BARID_LANDLOCK_ABI");
	uint32_t cap = LL_MAX_ABI;
	if (text && !num_parse_u32(str_c(text), &cap))
		cap = LL_MAX_ABI;
	return (int)MIN(MIN((uint32_t)kernel, cap), (uint32_t)LL_MAX_ABI);
}

static int landlock_ruleset(const struct sandbox_profile *p, int abi, int *ret_fd, struct fail *why)
{
	struct ll_ruleset_attr attr = {.handled_access_fs = all_fs_rights(abi)};
	size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
	if (abi >= 4)
		attr.handled_access_net =
			LL_NET_BIND_TCP | (p->flags & CONNECTS ? 0 : LL_NET_CONNECT);
	if (abi >= 6)
		attr.scoped = LL_SCOPE_ALL;
	long fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0U);
	if (fd < 0)
		return fail_errno(why, FAIL_BUG, "landlock_create_ruleset, ABI %d", abi);
	*ret_fd = (int)fd;
	return 0;
}

static int landlock_allow(int ruleset, const struct sandbox_path *path, int abi, struct fail *why)
{
	struct stat st;
	AUTO_FD int fd = open(path->path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(why, FAIL_NOTFOUND, "sandbox path %s", path->path);
	struct ll_path_beneath_attr rule = {.parent_fd = fd};
	rule.allowed_access = path->access == SANDBOX_WRITE ? LL_WRITE : LL_READ;
	rule.allowed_access &= all_fs_rights(abi);
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= LL_OF_A_FILE;
	if (syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH_BENEATH, &rule, 0U) < 0)
		return fail_errno(why, FAIL_BUG, "landlock_add_rule %s", path->path);
	return 0;
}

/* A socket that will connect may choose its own address, and no port. */
static int landlock_allow_source(int ruleset, struct fail *why)
{
	struct ll_net_port_attr rule = {.allowed_access = LL_NET_BIND_TCP, .port = 0};
	if (syscall(SYS_landlock_add_rule, ruleset, LL_RULE_NET_PORT, &rule, 0U) < 0)
		return fail_errno(why, FAIL_BUG, "landlock_add_rule, port 0");
	return 0;
}

/* *ret_ruleset stays -1 where there is no Landlock. */
static int landlock_prepare(const struct sandbox_profile *p, int abi, int *ret_ruleset,
			    struct fail *why)
{
	if (abi == 0)
		return 0;
	AUTO_FD int ruleset = -1;
	int r = landlock_ruleset(p, abi, &ruleset, why);
	for (size_t i = 0; r == 0 && i < p->n_paths; i++)
		r = landlock_allow(ruleset, &p->paths[i], abi, why);
	if (r == 0 && abi >= 4 && p->flags & SANDBOX_TCP_CONNECT)
		r = landlock_allow_source(ruleset, why);
	if (r == 0)
		*ret_ruleset = TAKE_FD(ruleset);
	return r;
}

/* ---- seccomp ---- */

/* clang-format off */
/*
 * What glibc, malloc, the event loop, IPC, SQLite and OpenSSL need on descriptors that are open.
 * Nothing here takes away what the log file holds, which every role has open for appending: no
 * ftruncate or fallocate, no pwritev2 (RWF_NOAPPEND), and fcntl without F_SETFL. No socket is made
 * here: master makes them. A datagram socket of one's own would reach every socket of the machine
 * that has a path (syslog, systemd) without `connect`.
 */
static const char *const base_calls[] = {
	/* bytes */
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "lseek",
	"close", "close_range", "dup", "dup2", "dup3", "fstat", "fadvise64", "fsync", "fdatasync",
	"sendfile", "splice", "copy_file_range", "memfd_create", "pipe2",
	/* memory */
	"brk", "munmap", "mremap", "madvise", "mlock", "mlock2", "munlock", "msync", "mincore",
	/* waiting */
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll",
	"select", "pselect6", "eventfd2", "signalfd4", "timerfd_create", "timerfd_settime",
	"timerfd_gettime", "nanosleep", "clock_nanosleep", "restart_syscall",
	/* threads and signals */
	"futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq", "membarrier",
	"sched_yield", "sched_getaffinity", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	"rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend", "sigaltstack", "exit", "exit_group",
	/* what time it is, who we are */
	"clock_gettime", "clock_getres", "gettimeofday", "time", "times", "getrandom", "getpid",
	"getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid",
	"getgroups", "getrlimit", "getrusage", "uname", "sysinfo", "getcwd",
	/* sockets that are open */
	"sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "getsockopt",
	"setsockopt", "getsockname", "getpeername", "shutdown",
};
static const char *const file_calls[] = {
	"open", "openat", "openat2", "creat", "stat", "lstat", "newfstatat", "statx", "statfs",
	"fstatfs", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64",
	"unlink", "unlinkat", "rmdir", "link", "linkat", "rename", "renameat", "renameat2", "mkdir",
	"mkdirat", "truncate", "ftruncate", "fallocate", "fchmod", "fchown", "flock", "utimensat", "sync_file_range", "umask",
};
static const char *const accept_calls[] = {"accept", "accept4"};
static const char *const connect_calls[] = {"connect"};
static const char *const source_calls[] = {"bind"};

/* Nobody who asks for these is working for us. */
static const char *const deadly_calls[] = {
	"ptrace", "process_vm_readv", "process_vm_writev", "bpf", "io_uring_setup", "io_uring_enter",
	"io_uring_register", "execve", "execveat", "mount", "umount2", "move_mount", "open_tree",
	"fsopen", "fsmount", "pivot_root", "chroot", "unshare", "setns", "init_module",
	"finit_module", "kexec_load", "kexec_file_load", "perf_event_open", "userfaultfd",
};
/* clang-format on */

static int rule_failed(struct fail *why, int error, const char *call)
{
	errno = -error;
	return fail_errno(why, FAIL_BUG, "seccomp rule for %s", call);
}

/* A name that this libseccomp does not know is one that this build cannot call either. */
static int add_calls(scmp_filter_ctx ctx, uint32_t action, const char *const *calls, size_t n,
		     struct fail *why)
{
	for (size_t i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(calls[i]);
		if (nr == __NR_SCMP_ERROR)
			continue;
		int e = seccomp_rule_add(ctx, action, nr, 0);
		if (e < 0)
			return rule_failed(why, e, calls[i]);
	}
	return 0;
}
#define ADD_CALLS(ctx, action, calls, why) add_calls(ctx, action, calls, ARRAY_LEN(calls), why)

/* Calls of which only some arguments are fine. */
struct arg_rule {
	const char *call;
	struct scmp_arg_cmp arg;
};

static int add_arg_rules(scmp_filter_ctx ctx, uint32_t action, const struct arg_rule *rules,
			 size_t n, struct fail *why)
{
	for (size_t i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(rules[i].call);
		int e = nr == __NR_SCMP_ERROR
				? 0
				: seccomp_rule_add_array(ctx, action, nr, 1, &rules[i].arg);
		if (e < 0)
			return rule_failed(why, e, rules[i].call);
	}
	return 0;
}

#define IS(n, value)		((struct scmp_arg_cmp){n, SCMP_CMP_EQ, (scmp_datum_t)(value), 0})
#define HAS_BITS(n, mask, bits) ((struct scmp_arg_cmp){n, SCMP_CMP_MASKED_EQ, mask, bits})

static int allow_with_args(scmp_filter_ctx ctx, struct fail *why)
{
	const struct arg_rule rules[] = {
		/* no new executable memory */
		{"mmap", HAS_BITS(2, PROT_EXEC, 0)},
		{"mprotect", HAS_BITS(2, PROT_EXEC, 0)},
		/* not F_SETFL: O_APPEND stays; not F_SETOWN and F_SETSIG: a signal to anybody */
		{"fcntl", IS(1, F_DUPFD)},
		{"fcntl", IS(1, F_DUPFD_CLOEXEC)},
		{"fcntl", IS(1, F_GETFD)},
		{"fcntl", IS(1, F_SETFD)},
		{"fcntl", IS(1, F_GETFL)},
		{"fcntl", IS(1, F_GETLK)},
		{"fcntl", IS(1, F_SETLK)},
		{"fcntl", IS(1, F_SETLKW)},
		{"fcntl", IS(1, F_OFD_GETLK)},
		{"fcntl", IS(1, F_OFD_SETLK)},
		{"fcntl", IS(1, F_OFD_SETLKW)},
		{"fcntl", IS(1, F_ADD_SEALS)},
		{"fcntl", IS(1, F_GET_SEALS)},
		/* glibc's fstat */
		{"newfstatat", HAS_BITS(3, AT_EMPTY_PATH, AT_EMPTY_PATH)},
		/* signals to ourselves: abort, crash points */
		{"kill", IS(0, getpid())},
		{"tgkill", IS(0, getpid())},
		{"prctl", IS(0, PR_SET_NAME)},
		{"prctl", IS(0, PR_GET_NAME)},
		{"ioctl", IS(1, FIONREAD)},
		{"ioctl", IS(1, FIONBIO)},
	};
	/* Our own limits, and only to read them. */
	int e = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, IS(0, 0), IS(2, 0));
	if (e < 0)
		return rule_failed(why, e, "prlimit64");
	return add_arg_rules(ctx, SCMP_ACT_ALLOW, rules, ARRAY_LEN(rules), why);
}

#define SOCKET_TYPE_MASK 0xf /* without SOCK_NONBLOCK and SOCK_CLOEXEC */
static int allow_tcp(scmp_filter_ctx ctx, struct fail *why)
{
	static const int families[] = {AF_INET, AF_INET6};
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		int e = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
					 IS(0, families[i]),
					 HAS_BITS(1, SOCKET_TYPE_MASK, SOCK_STREAM));
		if (e < 0)
			return rule_failed(why, e, "socket");
	}
	return 0;
}

#define CLONE_NEW_ANY                                                                              \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

static int allow_by_flags(scmp_filter_ctx ctx, unsigned flags, struct fail *why)
{
	const struct arg_rule inet[] = {{"socket", IS(0, AF_INET)}, {"socket", IS(0, AF_INET6)}};
	const struct arg_rule lease[] = {{"fcntl", IS(1, F_SETLEASE)}}; /* fs_is_still */
	const struct arg_rule thread[] = {
		{"clone", HAS_BITS(0, CLONE_THREAD | CLONE_NEW_ANY, CLONE_THREAD)}};
	int r = 0;
	if (flags & SANDBOX_FILES)
		r = ADD_CALLS(ctx, SCMP_ACT_ALLOW, file_calls, why);
	if (r == 0 && flags & SANDBOX_FILES)
		r = add_arg_rules(ctx, SCMP_ACT_ALLOW, lease, ARRAY_LEN(lease), why);
	if (r == 0 && flags & SANDBOX_ACCEPT)
		r = ADD_CALLS(ctx, SCMP_ACT_ALLOW, accept_calls, why);
	if (r == 0 && flags & CONNECTS)
		r = ADD_CALLS(ctx, SCMP_ACT_ALLOW, connect_calls, why);
	if (r == 0 && flags & SANDBOX_TCP_CONNECT)
		r = ADD_CALLS(ctx, SCMP_ACT_ALLOW, source_calls, why);
	if (r == 0 && flags & SANDBOX_TCP_CONNECT)
		r = allow_tcp(ctx, why);
	if (r == 0 && flags & SANDBOX_INET_CONNECT)
		r = add_arg_rules(ctx, SCMP_ACT_ALLOW, inet, ARRAY_LEN(inet), why);
	if (r == 0 && flags & SANDBOX_THREADS)
		r = add_arg_rules(ctx, SCMP_ACT_ALLOW, thread, ARRAY_LEN(thread), why);
	return r;
}

static int kill_for(scmp_filter_ctx ctx, struct fail *why)
{
	const struct arg_rule rules[] = {
		{"socket", IS(0, AF_PACKET)},
		{"clone", HAS_BITS(0, CLONE_NEWNS, CLONE_NEWNS)},
		{"clone", HAS_BITS(0, CLONE_NEWCGROUP, CLONE_NEWCGROUP)},
		{"clone", HAS_BITS(0, CLONE_NEWUTS, CLONE_NEWUTS)},
		{"clone", HAS_BITS(0, CLONE_NEWIPC, CLONE_NEWIPC)},
		{"clone", HAS_BITS(0, CLONE_NEWUSER, CLONE_NEWUSER)},
		{"clone", HAS_BITS(0, CLONE_NEWPID, CLONE_NEWPID)},
		{"clone", HAS_BITS(0, CLONE_NEWNET, CLONE_NEWNET)},
	};
	int r = ADD_CALLS(ctx, SCMP_ACT_KILL_PROCESS, deadly_calls, why);
	return r < 0 ? r : add_arg_rules(ctx, SCMP_ACT_KILL_PROCESS, rules, ARRAY_LEN(rules), why);
}

static void release_filter(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

static int seccomp_enter(unsigned flags, struct fail *why)
{
	static const char *const flags_unseen[] = {"clone3"};
	__attribute__((cleanup(release_filter))) scmp_filter_ctx ctx =
		seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return fail_set(why, FAIL_BUG, NULL, "seccomp_init");
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	/* Conveniences: a kernel or library without them still enforces. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int r = ADD_CALLS(ctx, SCMP_ACT_ALLOW, base_calls, why);
	if (r == 0)
		r = allow_with_args(ctx, why);
	if (r == 0)
		r = allow_by_flags(ctx, flags, why);
	if (r == 0)
		r = kill_for(ctx, why);
	if (r == 0)
		r = ADD_CALLS(ctx, SCMP_ACT_ERRNO(ENOSYS), flags_unseen, why);
	if (r < 0)
		return r;
	int e = seccomp_load(ctx);
	errno = -e;
	return e < 0 ? fail_errno(why, FAIL_UNSUPPORTED, "seccomp_load") : 0;
}

/* ---- together ---- */

int sandbox_enter(const struct sandbox_profile *p, struct sandbox_report *ret, struct fail *why)
{
	struct sandbox_report done = {.kernel_abi = kernel_abi()};
	int abi = abi_to_use(done.kernel_abi);
	AUTO_FD int ruleset = -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail_errno(why, FAIL_BUG, "PR_SET_NO_NEW_PRIVS");
	/* The paths are opened with the rights of before. */
	int r = landlock_prepare(p, abi, &ruleset, why);
	if (r == 0)
		r = p->user ? proc_become(p->user, why) : proc_drop_caps(why);
	/* After the change of user, which resets it, and before prctl is closed. */
	if (r == 0)
		r = proc_not_dumpable(why);
	if (r == 0 && p->parent)
		r = proc_die_with_parent(p->parent, why);
	if (r < 0)
		return fail_wrap(why, r, "sandbox of %s", p->role);
	done.user_changed = p->user != NULL;
	if (ruleset >= 0 && syscall(SYS_landlock_restrict_self, ruleset, 0U) < 0)
		return fail_errno(why, FAIL_BUG, "sandbox of %s: landlock_restrict_self", p->role);
	done.landlock_abi = abi;
	r = seccomp_enter(p->flags, why);
	if (r < 0)
		return fail_wrap(why, r, "sandbox of %s", p->role);
	done.seccomp = true;
	*ret = done;
	return 0;
}
