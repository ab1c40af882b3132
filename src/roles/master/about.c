/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the executables of a build say about themselves: its id, the schema of its messages, the
 * formats that it knows.
 */
#include "roles/master/about.h"
#include "base/check.h"
#include "base/num.h"
#include "roles/role/role.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

NORETURN static void run(int exe, int out)
{
	static char name[] = "barid-role", option[] = "--about";
	char *argv[] = {name, option, NULL}, *env[] = {NULL};
	sigset_t none;
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(out, STDOUT_FILENO) == STDOUT_FILENO)
		(void)execveat(exe, "", argv, env, AT_EMPTY_PATH);
	_exit(127);
}

static int read_all(int fd, struct buf *out)
{
	ssize_t n = 1;
	while (n > 0 && !out->failed) {
		char *room = buf_room(out, 1024);
		n = room ? read(fd, room, 1024) : -1;
		if (n > 0)
			buf_added(out, (size_t)n);
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	return n < 0 ? -FAIL_IO : 0;
}

int about_read(int exe, struct buf *out, struct fail *why)
{
	int ends[2], status = 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(why, FAIL_LIMIT, "pipe");
	pid_t pid = fork();
	if (pid == 0)
		run(exe, ends[1]);
	(void)close(ends[1]);
	int r = pid < 0 ? -FAIL_LIMIT : read_all(ends[0], out);
	(void)close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return fail_set(why, FAIL_UNSUPPORTED, NULL,
				"an executable of a role does not run on this machine (status %d)",
				status);
	return 0;
}

struct str about_value(struct str about, struct str key)
{
	struct str line;
	while (str_cut(&about, '\n', &line))
		if (str_starts(line, key) && line.n > key.n && line.p[key.n] == ' ')
			return str_skip(line, key.n + 1);
	return STR_NULL;
}

int about_of_build(const char *libexec, struct buf *out, struct fail *why)
{
	for (size_t k = 0; k < role_kinds_n; k++) {
		char path[4096];
		AUTO(buf) struct buf one = BUF_INIT(KIB(16));
		int n = snprintf(path, sizeof path, "%s/barid-%s", libexec, role_kinds[k].name);
		CHECK(n > 0 && (size_t)n < sizeof path);
		AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return fail_errno(why, FAIL_NOTFOUND,
					  "cannot open %s (is barid installed completely?)", path);
		int r = about_read(fd, &one, why);
		if (r < 0)
			return fail_wrap(why, r, "%s", path);
		if (!str_eq(about_value(buf_str(&one), STR("build")), str_c(role_build_id())))
			return fail_set(why, FAIL_UNSUPPORTED, NULL,
					"%s is of another build than barid itself: install one "
					"build completely",
					path);
		(void)buf_add(out, buf_str(&one));
	}
	return 0;
}

/* --- is an upgrade possible, and how
 * ------------------------------------------------------------------- */

static int judge_format(struct str name, uint32_t number, struct str fresh, struct fail *why)
{
	char key[200];
	uint32_t known = 0;
	(void)snprintf(key, sizeof key, "format %.*s", STR_ARG(name));
	if (num_parse_u32(about_value(fresh, str_c(key)), &known) && known >= number)
		return 0;
	return fail_set(why, FAIL_UNSUPPORTED, NULL,
			"the data of %.*s may have format %u already, and this build knows formats "
			"up to %u: it is older than the running one. See docs/ops/upgrade.md on "
			"going back",
			STR_ARG(name), number, known);
}

int about_judge(struct str old, struct str fresh, bool *ret_rolling, struct fail *why)
{
	struct str rest = old, line, kind, name;
	bool rolling = str_eq(about_value(old, STR("schema")), about_value(fresh, STR("schema")));
	while (str_cut(&rest, '\n', &line)) {
		struct str words = line;
		uint32_t number = 0;
		if (!str_cut(&words, ' ', &kind) || !str_cut(&words, ' ', &name) ||
		    !num_parse_u32(words, &number))
			continue;
		int r = str_eq(kind, STR("format")) ? judge_format(name, number, fresh, why) : 0;
		if (r < 0)
			return r;
		char key[200];
		(void)snprintf(key, sizeof key, "state %.*s", STR_ARG(name));
		if (str_eq(kind, STR("state")) && !str_eq(about_value(fresh, str_c(key)), words))
			rolling = false;
	}
	*ret_rolling = rolling;
	return 0;
}
