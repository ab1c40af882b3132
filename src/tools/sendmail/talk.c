/* SPDX-License-Identifier: Apache-2.0 */
/* SMTP with the server, over its UNIX socket. */
#include "base/text.h"
#include "base/utf8.h"
#include "codec/smtp/xtext.h"
#include "sys/sock.h"
#include "tools/sendmail/sendmail.h"
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 600 /* for one reply */
#define LINE_MAX   KIB(8)
#define REPLY_MAX  KIB(64)

/* --- bytes --- */

static int lose(struct talk *t, const char *why)
{
	t->lost = true;
	t->code = 0;
	buf_reset(&t->reply);
	buf_add_c(&t->reply, why);
	return EX_TEMPFAIL;
}

static int put(struct talk *t, struct str bytes)
{
	while (bytes.n) {
		ssize_t n = send(t->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return lose(t, T("the server has closed the connection"));
		bytes = str_skip(bytes, (size_t)n);
	}
	return 0;
}

/* One line of a reply into *ret, without its end; it stays until the next call. */
static int get_line(struct talk *t, struct buf *ret)
{
	buf_reset(ret);
	for (;;) {
		struct str have = buf_str(&t->in);
		size_t end = str_find(have, 0, '\n');
		if (end < have.n) {
			buf_add(ret, str_trim(str_sub(have, 0, end)));
			buf_drop(&t->in, end + 1);
			return 0;
		}
		char bytes[4096];
		ssize_t n = recv(t->fd, bytes, sizeof bytes, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return lose(t, n == 0 ? T("the server has closed the connection")
					      : T("the server does not answer"));
		if (buf_add(&t->in, (struct str){bytes, (size_t)n}) < 0)
			return lose(t, T("the server says too much"));
	}
}

/* A whole reply. 0, or EX_TEMPFAIL when the connection is lost. */
static int get_reply(struct talk *t)
{
	AUTO(buf) struct buf line = BUF_INIT(LINE_MAX);
	buf_reset(&t->reply);
	for (;;) {
		int r = get_line(t, &line);
		struct str s = buf_str(&line);
		if (r)
			return r;
		if (s.n < 3 || !ascii_digit(s.p[0]) || !ascii_digit(s.p[1]) || !ascii_digit(s.p[2]))
			return lose(t, T("the server does not speak SMTP"));
		t->code = (unsigned)((s.p[0] - '0') * 100 + (s.p[1] - '0') * 10 + (s.p[2] - '0'));
		if (t->reply.n)
			buf_addc(&t->reply, '\n');
		if (buf_add(&t->reply, s) < 0)
			return lose(t, T("the server says too much"));
		if (s.n == 3 || s.p[3] == ' ')
			return 0;
	}
}

static int say(struct talk *t, struct str line)
{
	int r = put(t, line);
	return r ? r : get_reply(t);
}

/* --- what replies mean --- */

static int outcome(const struct talk *t)
{
	if (t->lost || t->code < 200)
		return EX_TEMPFAIL;
	if (t->code < 400)
		return EX_OK;
	if (t->code < 500)
		return EX_TEMPFAIL;
	struct str status = str_sub(str_skip(buf_str(&t->reply), 4), 0, 5);
	if (str_eq(status, STR("5.1.1")) || str_eq(status, STR("5.1.0")))
		return EX_NOUSER;
	if (str_eq(status, STR("5.7.1")))
		return EX_NOPERM;
	if (str_starts(status, STR("5.1.")) || str_starts(status, STR("5.5.")))
		return EX_DATAERR;
	return EX_UNAVAILABLE;
}

static void complain(const struct talk *t, struct str about)
{
	(void)fprintf(stderr, "sendmail: %.*s%s%s\n", STR_ARG(about), about.n ? ": " : "",
		      buf_c(&t->reply));
}

/* --- dialogue --- */

static void take_origin(struct talk *t)
{
	struct str rest = buf_str(&t->reply), line;
	t->origin = STR("localhost");
	while (str_cut(&rest, '\n', &line))
		if (str_starts(str_skip(line, 4), STR("XORIGIN "))) {
			char *copy = strndup(line.p + 12, line.n - 12);
			t->origin = copy ? str_c(copy) : t->origin;
		}
}

int talk_begin(struct talk *t, const char *socket)
{
	struct fail why = FAIL_INIT;
	struct timeval patience = {.tv_sec = PATIENCE_S};
	*t = (struct talk){.fd = -1, .in = BUF_INIT(LINE_MAX * 2), .reply = BUF_INIT(REPLY_MAX)};
	int off = 0;
	if (sock_connect_unix(str_c(socket), &t->fd, &why) < 0) {
		(void)lose(t, T("the mail server does not run, or listens elsewhere: "));
		buf_add_c(&t->reply, why.detail);
		return EX_TEMPFAIL;
	}
	(void)ioctl(t->fd, FIONBIO, &off);
	(void)setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	(void)setsockopt(t->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	int r = get_reply(t);
	if (r == 0 && t->code == 220)
		r = say(t, STR("EHLO localhost\r\n"));
	if (r)
		return r;
	if (t->code != 250)
		return MAX(outcome(t), EX_TEMPFAIL);
	take_origin(t);
	return 0;
}

void talk_end(struct talk *t)
{
	if (t->fd >= 0 && !t->lost)
		(void)say(t, STR("QUIT\r\n"));
	if (t->fd >= 0)
		(void)close(t->fd);
	buf_clear(&t->in);
	buf_clear(&t->reply);
}

static bool beyond_ascii(const struct draft *d)
{
	bool any = !str_is_ascii(d->sender);
	for (size_t i = 0; i < d->rcpts.v.n; i++)
		any |= !str_is_ascii(d->rcpts.v.p[i]);
	return any;
}

static int say_mail(struct talk *t, const struct draft *d, const struct sendmail_options *o)
{
	AUTO(buf) struct buf line = BUF_INIT(LINE_MAX);
	buf_addf(&line, "MAIL FROM:<%.*s> SIZE=%zu", STR_ARG(d->sender), d->content.n);
	if (o->eightbit || !str_is_ascii(buf_str(&d->content)))
		buf_add(&line, STR(" BODY=8BITMIME"));
	if (beyond_ascii(d))
		buf_add(&line, STR(" SMTPUTF8"));
	if (o->ret.n)
		buf_addf(&line, " RET=%.*s", STR_ARG(o->ret));
	if (o->envid.n) {
		buf_add(&line, STR(" ENVID="));
		(void)xtext_encode(&line, o->envid);
	}
	buf_add(&line, STR("\r\n"));
	return say(t, buf_str(&line));
}

static int say_rcpt(struct talk *t, struct str rcpt, const struct sendmail_options *o)
{
	AUTO(buf) struct buf line = BUF_INIT(LINE_MAX);
	buf_addf(&line, "RCPT TO:<%.*s>", STR_ARG(rcpt));
	if (o && o->notify.n)
		buf_addf(&line, " NOTIFY=%.*s", STR_ARG(o->notify));
	buf_add(&line, STR("\r\n"));
	return say(t, buf_str(&line));
}

/* Lines that begin with a dot get another one. */
static int say_content(struct talk *t, struct str content)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(256));
	while (content.n) {
		struct str line = str_sub(content, 0, str_find(content, 0, '\n') + 1);
		content = str_skip(content, line.n);
		if (out.n && out.n + line.n + 1 > KIB(64)) {
			int r = put(t, buf_str(&out));
			if (r)
				return r;
			buf_reset(&out);
		}
		if (line.p[0] == '.')
			buf_addc(&out, '.');
		if (line.n <= KIB(64)) {
			buf_add(&out, line);
			continue;
		}
		int r = put(t, buf_str(&out));
		buf_reset(&out);
		if (r || (r = put(t, line)))
			return r;
	}
	buf_add(&out, STR(".\r\n"));
	return say(t, buf_str(&out));
}

/* How far a message has come: recipients in [0, next) have been said. */
struct sending {
	size_t next;
	size_t taken; /* in this transaction */
	int worst;    /* of those that were refused for good */
};

/* Say recipients until all are said, or the server wants no more of them at a time. */
static int say_rcpts(struct talk *t, const struct draft *d, const struct sendmail_options *o,
		     struct sending *g)
{
	for (g->taken = 0; g->next < d->rcpts.v.n; g->next++) {
		struct str rcpt = d->rcpts.v.p[g->next];
		if (say_rcpt(t, rcpt, o))
			return EX_TEMPFAIL;
		int r = outcome(t);
		if (t->code == 452 && g->taken)
			return 0;
		if (r == EX_TEMPFAIL) { /* all of it later, rather than a part of it now */
			complain(t, rcpt);
			return r;
		}
		if (r) {
			complain(t, rcpt);
			g->worst = r;
		} else {
			g->taken++;
		}
	}
	return 0;
}

static int send_once(struct talk *t, const struct draft *d, const struct sendmail_options *o,
		     struct sending *g)
{
	if (say_mail(t, d, o) || outcome(t)) {
		complain(t, d->sender);
		return outcome(t);
	}
	int r = say_rcpts(t, d, o, g);
	if (r)
		return r;
	if (!g->taken)
		return g->worst;
	if (say(t, STR("DATA\r\n")) == 0 && t->code == 354 &&
	    say_content(t, buf_str(&d->content)) == 0 && outcome(t) == EX_OK)
		return 0;
	complain(t, STR(""));
	return outcome(t) ? outcome(t) : EX_TEMPFAIL;
}

int talk_send(struct talk *t, const struct draft *d, const struct sendmail_options *o)
{
	struct sending g = {0};
	int r = 0;
	while (r == 0 && g.next < d->rcpts.v.n)
		r = send_once(t, d, o, &g);
	return r ? r : g.worst;
}

int talk_verify(struct talk *t, const struct draft *d)
{
	int worst = 0;
	if (say(t, STR("MAIL FROM:<>\r\n")) || outcome(t)) {
		complain(t, STR(""));
		return outcome(t);
	}
	for (size_t i = 0; i < d->rcpts.v.n; i++) {
		if (say_rcpt(t, d->rcpts.v.p[i], NULL))
			return EX_TEMPFAIL;
		int r = outcome(t);
		(void)printf("%.*s... %s%s\n", STR_ARG(d->rcpts.v.p[i]),
			     r ? "" : "deliverable: ", buf_c(&t->reply));
		worst = r ? r : worst;
	}
	return worst;
}
