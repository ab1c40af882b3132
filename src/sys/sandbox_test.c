/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each case runs in a child: it enters the sandbox and tries things. As root the cases run three
 * ways: as root without capabilities, as a user that the sandbox becomes, and as an ordinary user.
 */
#include "base/test.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include "sys/sandbox.h"
#include "sys/testdir.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define ORDINARY 65534

enum as { AS_IS, AS_BECOME, AS_ORDINARY };

struct rig {
	struct testdir dir;
	enum as as;
	const char *abi; /* for BARID_LANDLOCK_ABI, NULL = the kernel's */
	struct sandbox_profile profile;
	struct sandbox_report report;
};

/* Ends the child; the line number is what the parent prints. */
static void child_failed(int line)
{
	(void)fprintf(stderr, "sandbox_test.c:%d: not so, errno %d %s\n", line, errno,
		      strerror(errno));
	_exit(1);
}
#define MUST(cond) ((cond) ? (void)0 : child_failed(__LINE__))
#define REFUSED(call, error)                                                                       \
	do {                                                                                       \
		errno = 0;                                                                         \
		MUST((call) < 0 && errno == (error));                                              \
	} while (0)

static void enter(struct rig *rig)
{
	struct fail why = FAIL_INIT;
	struct sandbox_path paths[] = {
		{testdir_path(&rig->dir, "rw"), SANDBOX_WRITE},
		{testdir_path(&rig->dir, "ro"), SANDBOX_READ},
		{testdir_path(&rig->dir, "file"), SANDBOX_READ},
	};
	struct proc_user user = {
		.uid = ORDINARY, .gid = ORDINARY, .groups = {ORDINARY}, .n_groups = 1};
	rig->profile.role = "test";
	rig->profile.paths = paths;
	rig->profile.n_paths = ARRAY_LEN(paths);
	rig->profile.user = rig->as == AS_BECOME ? &user : NULL;
	if (rig->as == AS_ORDINARY)
		MUST(setgid(ORDINARY) == 0 && setuid(ORDINARY) == 0);
	if (rig->abi)
		MUST(setenv("BARID_LANDLOCK_ABI", rig->abi, 1) == 0);
	if (sandbox_enter(&rig->profile, &rig->report, &why) < 0) {
		(void)fprintf(stderr, "%s\n", why.detail);
		_exit(2);
	}
	MUST(rig->report.seccomp);
	MUST(rig->report.landlock_abi <= rig->report.kernel_abi);
	if (rig->abi)
		MUST(rig->report.landlock_abi <= rig->abi[0] - '0');
	else
		MUST(rig->report.landlock_abi > 0 || rig->report.kernel_abi == 0);
	MUST(rig->report.user_changed == (rig->as == AS_BECOME));
	if (rig->as != AS_IS)
		MUST(getuid() == ORDINARY || getuid() != 0);
}

static void make_file(const char *path, const char *text)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, 0666), 0);
}

static struct rig rig_new(enum as as, unsigned flags)
{
	struct rig rig = {.dir = testdir_new(), .as = as, .profile = {.flags = flags}};
	static const char *const folders[] = {"rw", "ro", "out"};
	assert_int_equal(chmod(rig.dir.path, 0777), 0);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		const char *path = testdir_path(&rig.dir, folders[i]);
		assert_int_equal(mkdir(path, 0777), 0);
		assert_int_equal(chmod(path, 0777), 0);
	}
	make_file(testdir_path(&rig.dir, "ro/a"), "a");
	make_file(testdir_path(&rig.dir, "out/b"), "b");
	make_file(testdir_path(&rig.dir, "file"), "f");
	return rig;
}

/* 0, an exit code, or 1000 + the signal that ended it. */
static int in_child(struct rig *rig, void (*body)(struct rig *rig))
{
	int status = 0;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		body(rig);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void every_way(unsigned flags, void (*body)(struct rig *rig), int want)
{
	static const char *const abis[] = {NULL, "0", "2"};
	for (int as = AS_IS; as <= AS_ORDINARY; as++) {
		if (geteuid() != 0 && as != AS_IS)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(abis); i++) {
			struct rig rig = rig_new((enum as)as, flags);
			rig.abi = abis[i];
			assert_int_equal(in_child(&rig, body), want);
			testdir_remove(&rig.dir);
		}
	}
}

static int try_open(struct rig *rig, const char *name, int flags)
{
	int fd = open(testdir_path(&rig->dir, name), flags | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)close(fd);
	return fd < 0 ? -1 : 0;
}

static void works_inside_its_folder(struct rig *rig)
{
	AUTO(fs_file) struct fs_file *f = NULL;
	struct fs_stat st;
	MUST(fs_open(fs_real(), testdir_path(&rig->dir, "rw"), FS_READ | FS_WRITE | FS_NAMELESS,
		     0600, &f, NULL) == 0);
	MUST(fs_pwrite(f, "x", 1, 0, NULL) == 0 && fs_datasync(f, NULL) == 0);
	MUST(fs_truncate(f, 0, NULL) == 0);
	MUST(fs_link(f, testdir_path(&rig->dir, "rw/x"), NULL) == 0);
	MUST(fs_sync_dir(fs_real(), testdir_path(&rig->dir, "rw"), NULL) == 0);
	MUST(fs_rename(fs_real(), testdir_path(&rig->dir, "rw/x"), testdir_path(&rig->dir, "rw/y"),
		       NULL) == 0);
	MUST(fs_mkdir(fs_real(), testdir_path(&rig->dir, "rw/d"), 0700, NULL) == 0);
	MUST(fs_link(f, testdir_path(&rig->dir, "rw/d/z"), NULL) == 0); /* between folders: REFER */
	MUST(fs_stat(fs_real(), testdir_path(&rig->dir, "rw/d/z"), &st, NULL) == 0 &&
	     st.links == 2);
	MUST(fs_unlink(fs_real(), testdir_path(&rig->dir, "rw/y"), NULL) == 0);
	MUST(try_open(rig, "ro/a", O_RDONLY) == 0);
	MUST(try_open(rig, "file", O_RDONLY) == 0);
}

static void files_body(struct rig *rig)
{
	enter(rig);
	works_inside_its_folder(rig);
	if (rig->report.landlock_abi == 0) {
		MUST(try_open(rig, "out/b", O_RDONLY) == 0);
		return;
	}
	MUST(rig->report.landlock_abi >= 2);
	REFUSED(try_open(rig, "out/b", O_RDONLY), EACCES);
	REFUSED(try_open(rig, "out/new", O_WRONLY | O_CREAT), EACCES);
	REFUSED(try_open(rig, "ro/a", O_WRONLY), EACCES);
	REFUSED(try_open(rig, "ro/new", O_WRONLY | O_CREAT), EACCES);
	REFUSED(try_open(rig, "file", O_WRONLY), EACCES);
	REFUSED(unlink(testdir_path(&rig->dir, "out/b")), EACCES);
	REFUSED(unlink(testdir_path(&rig->dir, "ro/a")), EACCES);
	REFUSED(open("/etc/passwd", O_RDONLY | O_CLOEXEC), EACCES);
	REFUSED(symlink("/etc", testdir_path(&rig->dir, "rw/s")), EPERM); /* seccomp */
	if (rig->report.landlock_abi >= 3)
		REFUSED(truncate(testdir_path(&rig->dir, "ro/a"), 0), EACCES);
}

static void files_only_where_allowed(void **state)
{
	(void)state;
	every_way(SANDBOX_FILES, files_body, 0);
}

static void no_files_body(struct rig *rig)
{
	char c;
	AUTO_FD int before = open(testdir_path(&rig->dir, "file"), O_RDONLY | O_CLOEXEC);
	struct stat st;
	enter(rig);
	REFUSED(try_open(rig, "rw/new", O_WRONLY | O_CREAT), EPERM);
	REFUSED(try_open(rig, "ro/a", O_RDONLY), EPERM);
	REFUSED(unlink(testdir_path(&rig->dir, "rw/new")), EPERM);
	MUST(read(before, &c, 1) == 1 && c == 'f'); /* what is open stays usable */
	MUST(fstat(before, &st) == 0 && st.st_size == 1);
}

static void without_the_flag_no_file_at_all(void **state)
{
	(void)state;
	every_way(0, no_files_body, 0);
}

/* The log: what was said stays. */
static void append_body(struct rig *rig)
{
	AUTO_FD int log = open(testdir_path(&rig->dir, "file"), O_WRONLY | O_APPEND | O_CLOEXEC);
	char byte = 'x';
	struct iovec v = {.iov_base = &byte, .iov_len = 1};
	enter(rig);
	MUST(write(log, "g", 1) == 1 && pwrite(log, "h", 1, 0) == 1);
	REFUSED(fcntl(log, F_SETFL, 0), EPERM);
	REFUSED(pwritev2(log, &v, 1, 0, 0), EPERM);
	if (rig->profile.flags & SANDBOX_FILES)
		return;
	REFUSED(ftruncate(log, 0), EPERM);
	REFUSED(fallocate(log, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1), EPERM);
	struct stat st;
	MUST(fstat(log, &st) == 0 && st.st_size == 3);
}

static void what_is_open_for_appending_stays(void **state)
{
	(void)state;
	every_way(0, append_body, 0);
	every_way(SANDBOX_FILES, append_body, 0);
}

static void network_body(struct rig *rig)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof a;
	MUST(bind(listener, (struct sockaddr *)&a, len) == 0 && listen(listener, 4) == 0);
	MUST(getsockname(listener, (struct sockaddr *)&a, &len) == 0);
	int early = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int pair[2], more[2];
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	enter(rig);
	MUST(send(pair[0], "x", 1, 0) == 1);
	REFUSED(socketpair(AF_UNIX, SOCK_DGRAM, 0, more), EPERM);
	REFUSED(socket(AF_UNIX, SOCK_DGRAM, 0), EPERM);
	REFUSED(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
	REFUSED(bind(early, (struct sockaddr *)&a, sizeof a), EPERM);
	if (rig->profile.flags & SANDBOX_INET_CONNECT) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		MUST(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
		MUST(socket(AF_INET6, SOCK_DGRAM, 0) >= 0 || errno == EAFNOSUPPORT);
	} else {
		REFUSED(socket(AF_INET, SOCK_STREAM, 0), EPERM);
		REFUSED(socket(AF_INET6, SOCK_DGRAM, 0), EPERM);
		REFUSED(connect(early, (struct sockaddr *)&a, sizeof a), EPERM);
	}
	if (rig->profile.flags & SANDBOX_ACCEPT)
		MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC) >= 0);
	else
		REFUSED(accept4(listener, NULL, NULL, SOCK_CLOEXEC), EPERM);
}

static void network_only_as_allowed(void **state)
{
	(void)state;
	every_way(0, network_body, 0);
	every_way(SANDBOX_INET_CONNECT, network_body, 0);
	every_way(SANDBOX_INET_CONNECT | SANDBOX_ACCEPT, network_body, 0);
}

static void *thread_main(void *arg)
{
	char *p = malloc(1 << 20);
	memset(p, 1, 1 << 20);
	free(p);
	atomic_store((_Atomic int *)arg, 7);
	return NULL;
}

static void threads_body(struct rig *rig)
{
	_Atomic int got = 0;
	pthread_t t[4];
	enter(rig);
	if (!(rig->profile.flags & SANDBOX_THREADS)) {
		MUST(pthread_create(&t[0], NULL, thread_main, &got) != 0);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		MUST(pthread_create(&t[i], NULL, thread_main, &got) == 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		MUST(pthread_join(t[i], NULL) == 0);
	MUST(atomic_load(&got) == 7);
	REFUSED(fork(), EPERM);
	MUST(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
}

static void threads_only_with_the_flag(void **state)
{
	(void)state;
	every_way(SANDBOX_THREADS, threads_body, 0);
	every_way(0, threads_body, 0);
}

static void memory_body(struct rig *rig)
{
	enter(rig);
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED);
	REFUSED(mprotect(p, 4096, PROT_READ | PROT_EXEC), EPERM);
	MUST(mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	REFUSED(kill(getppid(), 0), EPERM);
	REFUSED(syscall(SYS_setuid, 0), EPERM);
	REFUSED(syscall(SYS_capset, NULL, NULL), EPERM);
	REFUSED(prctl(PR_SET_DUMPABLE, 1), EPERM);
	MUST(kill(getpid(), 0) == 0);
	(void)raise(SIGUSR1); /* ends us: the parent sees it */
}

static void no_new_code_and_no_signals_to_others(void **state)
{
	(void)state;
	every_way(SANDBOX_FILES | SANDBOX_THREADS, memory_body, 1000 + SIGUSR1);
}

/* ---- what ends the process ---- */

static void do_ptrace(void)
{
	(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static void do_vm_read(void)
{
	(void)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}
static void do_bpf(void)
{
	(void)syscall(SYS_bpf, 0, NULL, 0);
}
static void do_io_uring(void)
{
	(void)syscall(SYS_io_uring_setup, 1, NULL);
}
static void do_exec(void)
{
	(void)execl("/bin/true", "true", (char *)NULL);
}
static void do_execveat(void)
{
	(void)syscall(SYS_execveat, -1, "/bin/true", NULL, NULL, 0);
}
static void do_mount(void)
{
	(void)mount("x", "/", "tmpfs", 0, NULL);
}
static void do_unshare(void)
{
	(void)unshare(CLONE_NEWUSER);
}
static void do_setns(void)
{
	(void)setns(0, CLONE_NEWNET);
}
static void do_clone(void)
{
	(void)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
}
static void do_packet(void)
{
	(void)socket(AF_PACKET, SOCK_RAW, 0);
}

static void (*deadly_now)(void);
static void deadly_body(struct rig *rig)
{
	enter(rig);
	deadly_now();
}

static void attacks_end_the_process(void **state)
{
	(void)state;
	void (*const all[])(void) = {do_ptrace, do_vm_read,  do_bpf,   do_io_uring,
				     do_exec,	do_execveat, do_mount, do_unshare,
				     do_setns,	do_clone,    do_packet};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct rig rig = rig_new(geteuid() == 0 ? AS_BECOME : AS_IS,
					 SANDBOX_FILES | SANDBOX_THREADS | SANDBOX_INET_CONNECT);
		deadly_now = all[i];
		assert_int_equal(in_child(&rig, deadly_body), 1000 + SIGSYS);
		testdir_remove(&rig.dir);
	}
}

static void missing_path_body(struct rig *rig)
{
	struct sandbox_path path = {"/nowhere/at/all", SANDBOX_READ};
	struct sandbox_profile p = {.role = "test", .paths = &path, .n_paths = 1};
	struct fail why = FAIL_INIT;
	int r = sandbox_enter(&p, &rig->report, &why);
	MUST(r == -FAIL_NOTFOUND && strstr(why.detail, "/nowhere/at/all"));
}

static void a_missing_path_is_an_error(void **state)
{
	(void)state;
	AUTO(testdir) struct testdir none = testdir_new();
	struct rig rig = {.dir = none};
	unsetenv("BARID_LANDLOCK_ABI");
	if (syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1U) <= 0)
		skip();
	assert_int_equal(in_child(&rig, missing_path_body), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_only_where_allowed),
		cmocka_unit_test(without_the_flag_no_file_at_all),
		cmocka_unit_test(what_is_open_for_appending_stays),
		cmocka_unit_test(network_only_as_allowed),
		cmocka_unit_test(threads_only_with_the_flag),
		cmocka_unit_test(no_new_code_and_no_signals_to_others),
		cmocka_unit_test(attacks_end_the_process),
		cmocka_unit_test(a_missing_path_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
