/* SPDX-License-Identifier: Apache-2.0 */
/* barid-sendmail, and as mailq and newaliases: see sendmail.h and sendmail(8). */
#include "base/text.h"
#include "tools/sendmail/sendmail.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef BARID_SENDMAIL_SOCKET
#define BARID_SENDMAIL_SOCKET "/var/lib/barid/sendmail.sock"
#endif
#define TRIES	 10 /* a server that is being replaced is back within seconds */
#define TRY_MS	 500
#define PIPE_MAX KIB(64)

static const char *socket_path(void)
{
	const char *given = getenv("BARID_SENDMAIL_SOCKET");
	return given && given[0] ? given : BARID_SENDMAIL_SOCKET;
}

static void pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static int begin(struct talk *t)
{
	int r = talk_begin(t, socket_path());
	for (int i = 0; r == EX_TEMPFAIL && i < TRIES; i++) {
		talk_end(t);
		pause_ms(TRY_MS);
		r = talk_begin(t, socket_path());
	}
	if (r)
		(void)fprintf(stderr, "sendmail: %s\n", buf_c(&t->reply));
	return r;
}

static int read_all(struct buf *out)
{
	char bytes[KIB(64)];
	for (;;) {
		ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)fprintf(stderr, T("sendmail: cannot read the message: %s\n"),
				      strerror(errno));
			return EX_IOERR;
		}
		if (n == 0)
			return 0;
		if (buf_add(out, (struct str){bytes, (size_t)n}) < 0) {
			(void)fputs(T("sendmail: the message is too large\n"), stderr);
			return EX_DATAERR;
		}
	}
}

static bool write_all(int fd, struct str s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno != EINTR)
			return false;
		s = str_skip(s, n > 0 ? (size_t)n : 0);
	}
	return true;
}

/* The message is not lost with the program that gave it: it is kept where its user finds it. */
static void keep(struct str message)
{
	const struct passwd *p = getpwuid(getuid());
	const char *home = getenv("HOME");
	char path[4096];
	if (!home && p)
		home = p->pw_dir;
	if (!message.n || !home || home[0] != '/')
		return;
	(void)snprintf(path, sizeof path, "%s/dead.letter", home);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write_all(fd, message) && write_all(fd, STR("\n")))
		(void)fprintf(stderr, T("sendmail: the message is kept in %s\n"), path);
	(void)close(fd);
}

static struct str user_name(struct arena *a)
{
	const struct passwd *p = getpwuid(getuid());
	return p ? arena_str(a, str_c(p->pw_name)) : arena_printf(a, "%u", (unsigned)getuid());
}

static int deliver_message(struct talk *t, const struct sendmail_options *o, struct str raw)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	AUTO(buf) struct buf lines = BUF_INIT(SENDMAIL_MESSAGE_MAX);
	struct draft d = {
		.arena = &a, .origin = t->origin, .content = BUF_INIT(SENDMAIL_MESSAGE_MAX)};
	const char *why = T("the message is too large");
	int r = draft_lines(raw, !o->dot_is_data, &lines) < 0 ? EX_DATAERR : 0;
	if (r == 0)
		r = draft_make(&d, o, buf_str(&lines), user_name(&a), &why);
	if (r)
		(void)fprintf(stderr, "sendmail: %s\n", why);
	else
		r = talk_send(t, &d, o);
	draft_clear(&d);
	return r;
}

static int deliver(const struct sendmail_options *o)
{
	AUTO(buf) struct buf raw = BUF_INIT(SENDMAIL_MESSAGE_MAX);
	struct talk t;
	int r = read_all(&raw);
	if (r)
		return r;
	r = begin(&t);
	if (r == 0)
		r = deliver_message(&t, o, buf_str(&raw));
	talk_end(&t);
	if (r && r != EX_USAGE)
		keep(buf_str(&raw));
	return r;
}

static int verify(const struct sendmail_options *o)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	struct talk t;
	int r = begin(&t);
	struct draft d = {.arena = &a, .origin = t.origin};
	for (size_t i = 0; r == 0 && i < o->rcpts.v.n; i++)
		if (!draft_add_list(&d, o->rcpts.v.p[i]))
			r = EX_USAGE;
	if (r == 0)
		r = talk_verify(&t, &d);
	draft_clear(&d);
	talk_end(&t);
	return r;
}

/* --- -bs: standard input speaks SMTP, the server answers --- */

/* 1: something was passed on. 0: the end. */
static int pass(int from, int to)
{
	char bytes[PIPE_MAX];
	ssize_t n = read(from, bytes, sizeof bytes);
	if (n < 0 && errno == EINTR)
		return 1;
	return n > 0 && write_all(to, (struct str){bytes, (size_t)n});
}

static int speak(void)
{
	struct talk t;
	int r = begin(&t);
	if (r)
		return r;
	/* The greeting was ours. */
	(void)printf("220 %.*s ESMTP barid\r\n", STR_ARG(t.origin));
	(void)fflush(stdout);
	struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
			      {.fd = t.fd, .events = POLLIN}};
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return EX_OSERR;
		if (p[1].revents && !pass(t.fd, STDOUT_FILENO))
			return EX_OK;
		if (p[0].revents && !pass(STDIN_FILENO, t.fd)) {
			(void)shutdown(t.fd, SHUT_WR);
			p[0].fd = -1;
			p[0].revents = 0;
		}
	}
}

/* The queue is the operator's: the command line asks the server, which asks the kernel who it is.
 */
static int queue_command(const char *what)
{
	(void)execlp("barid", "barid", "queue", what, (char *)NULL);
	(void)fprintf(stderr, T("sendmail: cannot run barid: %s\n"), strerror(errno));
	return EX_UNAVAILABLE;
}

int main(int argc, char **argv)
{
	struct sendmail_options o;
	(void)signal(SIGPIPE, SIG_IGN);
	text_set_language_from_environment();
	int r = sendmail_options_read(argc, argv, &o);
	if (r == 0) {
		switch (o.mode) {
		case SENDMAIL_DELIVER:
			r = deliver(&o);
			break;
		case SENDMAIL_SMTP:
			r = speak();
			break;
		case SENDMAIL_VERIFY:
			r = verify(&o);
			break;
		case SENDMAIL_LIST:
			r = queue_command("list");
			break;
		case SENDMAIL_FLUSH:
			r = queue_command("flush");
			break;
		case SENDMAIL_ALIASES: /* aliases are rows of the directory: nothing is built */
			break;
		}
	}
	sendmail_options_clear(&o);
	return r;
}
