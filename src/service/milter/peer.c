/* SPDX-License-Identifier: Apache-2.0 */
/* One milter of a session: its socket, what it negotiated, question and answer. */
#include "service/milter/milter_int.h"
#include "sys/clock.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE  KIB(16)
#define MACROS_MAX 64

const struct step step_connect = {MILTER_CONNECT, MILTER_AT_CONNECT, MILTER_NO_CONNECT,
				  MILTER_NR_CONNECT};
const struct step step_helo = {MILTER_HELO, MILTER_AT_HELO, MILTER_NO_HELO, MILTER_NR_HELO};
const struct step step_mail = {MILTER_MAIL, MILTER_AT_MAIL, MILTER_NO_MAIL, MILTER_NR_MAIL};
const struct step step_rcpt = {MILTER_RCPT, MILTER_AT_RCPT, MILTER_NO_RCPT, MILTER_NR_RCPT};
const struct step step_data = {MILTER_DATA, MILTER_AT_DATA, MILTER_NO_DATA, MILTER_NR_DATA};
const struct step step_unknown = {MILTER_UNKNOWN, MILTER_STAGES, MILTER_NO_UNKNOWN,
				  MILTER_NR_UNKNOWN};
const struct step step_header = {MILTER_HEADER, MILTER_STAGES, MILTER_NO_HEADERS, MILTER_NR_HEADER};
const struct step step_eoh = {MILTER_EOH, MILTER_AT_EOH, MILTER_NO_EOH, MILTER_NR_EOH};
const struct step step_body = {MILTER_BODY, MILTER_STAGES, MILTER_NO_BODY, MILTER_NR_BODY};
const struct step step_eom = {MILTER_BODYEOB, MILTER_AT_EOM, 0, 0};

/* What a milter is told that did not say what it wants: as Postfix does. */
static const char *const usual_macros[MILTER_STAGES] = {
	[MILTER_AT_CONNECT] = "j {daemon_name} {daemon_addr} v _ {client_addr} {client_name} "
			      "{client_port} {client_ptr}",
	[MILTER_AT_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
	[MILTER_AT_MAIL] = "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} "
			   "{mail_mailer}",
	[MILTER_AT_RCPT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
	[MILTER_AT_DATA] = "i",
	[MILTER_AT_EOM] = "i",
	[MILTER_AT_EOH] = "i",
};

/* --- the socket --- */

static int wait_for(struct peer *p, short events, struct mono_ns deadline, struct fail *why)
{
	struct pollfd pfd = {.fd = p->fd, .events = events};
	for (;;) {
		int64_t left = (deadline.v - clock_mono().v) / MS_NS;
		int n = poll(&pfd, 1, left > 0 ? (int)MIN(left + 1, INT32_MAX) : 0);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return fail_errno(why, FAIL_PEER, "poll");
		if (n == 0 && left <= 0)
			return fail_set(why, FAIL_DEADLINE, NULL, "no answer in time");
	}
}

static struct mono_ns deadline_in(const struct peer *p, unsigned ms)
{
	int64_t at = clock_mono().v + (int64_t)ms * MS_NS;
	return (struct mono_ns){p->give_up.v ? MIN(at, p->give_up.v) : at};
}

void peer_begin(struct peer *p)
{
	unsigned ms = p->all->times.total_ms;
	p->fresh = false;
	p->give_up = (struct mono_ns){ms ? clock_mono().v + (int64_t)ms * MS_NS : 0};
}

int peer_flush(struct peer *p, unsigned timeout_ms, struct fail *why)
{
	struct mono_ns deadline = deadline_in(p, timeout_ms);
	size_t at = 0;
	if (p->out.failed)
		return fail_set(why, FAIL_LIMIT, NULL, "too much to be said at once");
	while (at < p->out.n) {
		ssize_t n = send(p->fd, p->out.p + at, p->out.n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			at += (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return fail_errno(why, FAIL_PEER, "the connection ended");
		int r = wait_for(p, POLLOUT, deadline, why);
		if (r < 0)
			return r;
	}
	buf_reset(&p->out);
	return 0;
}

static int read_more(struct peer *p, struct mono_ns deadline, struct fail *why)
{
	char *room = buf_room(&p->in, READ_SIZE);
	if (!room)
		return fail_set(why, FAIL_LIMIT, NULL, "an answer without end");
	for (;;) {
		ssize_t n = recv(p->fd, room, READ_SIZE, MSG_DONTWAIT);
		if (n > 0) {
			buf_added(&p->in, (size_t)n);
			return 0;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return fail_set(why, FAIL_PEER, NULL, "the connection ended");
		int r = wait_for(p, POLLIN, deadline, why);
		if (r < 0)
			return r;
	}
}

/* The packet at the front of p->in, cut off with the next call. */
static int next_packet(struct peer *p, size_t *used, struct mono_ns deadline, struct str *ret,
		       struct fail *why)
{
	for (;;) {
		int r = milter_frame(buf_str(&p->in), ret, used);
		if (r == 1)
			return 0;
		if (r == 0)
			r = read_more(p, deadline, why);
		else
			r = fail_set(why, FAIL_SYNTAX, NULL, "not the milter protocol");
		if (r < 0)
			return r;
	}
}

int peer_answer(struct peer *p, unsigned timeout_ms, struct milter_reply *ret, struct fail *why)
{
	struct str packet = STR_NULL;
	int r = peer_flush(p, timeout_ms, why);
	while (r == 0) {
		buf_drop(&p->in, p->taken);
		p->taken = 0;
		r = next_packet(p, &p->taken, deadline_in(p, timeout_ms), &packet, why);
		if (r == 0)
			r = milter_reply_parse(packet, ret, why);
		if (r == 0 && ret->says != MILTER_SAYS_PROGRESS)
			break;
	}
	return r;
}

/* --- life --- */

void peer_close(struct peer *p, bool politely)
{
	if (p->fd < 0)
		return;
	if (politely) {
		milter_put_plain(&p->out, MILTER_QUIT);
		/* What does not fit now was of no use to it. */
		ssize_t said = send(p->fd, p->out.p, p->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)said;
	}
	(void)close(p->fd);
	p->fd = -1;
	buf_clear(&p->in);
	buf_clear(&p->out);
	p->taken = 0;
	arena_reset(&p->arena);
	p->state = PEER_NEW;
	p->helo_told = p->mail_told = p->in_message = false;
	p->rcpts_told = 0;
}

static int negotiated(struct peer *p, const struct milter_reply *r, struct fail *why)
{
	if (r->says != MILTER_SAYS_OPTNEG || r->version < 2 || r->version > MILTER_VERSION ||
	    (r->actions & ~(uint32_t)MILTER_ACT_ALL) || (r->steps & ~(uint32_t)MILTER_STEPS_ALL))
		return fail_set(why, FAIL_SYNTAX, NULL,
				"asks for what there is not: 0x%02x version %u, actions 0x%x, "
				"steps 0x%x",
				(unsigned)r->says, r->version, r->actions, r->steps);
	p->actions = r->actions;
	p->steps = r->steps;
	for (size_t i = 0; i < MILTER_STAGES; i++)
		p->macros[i] = r->macros[i].p ? arena_str(&p->arena, r->macros[i]) : STR_NULL;
	return 0;
}

int peer_open(struct peer *p, struct fail *why)
{
	const struct milters *m = p->all;
	struct milter_reply r;
	p->fresh = true;
	int fd = -1;
	int e = m->ops.connect(m->ops.ctx, p->text, m->times.connect_ms, &fd, why);
	if (e < 0)
		return e;
	p->fd = fd;
	milter_put_options(&p->out, MILTER_VERSION, MILTER_ACT_ALL, MILTER_STEPS_ALL);
	e = peer_answer(p, m->times.connect_ms, &r, why);
	return e < 0 ? e : negotiated(p, &r, why);
}

/* --- macros --- */

static struct str macro_names(const struct peer *p, enum milter_stage stage)
{
	return p->macros[stage].p ? p->macros[stage] : str_c(usual_macros[stage]);
}

static bool separates(char c)
{
	return c == ' ' || c == ',' || c == '\t';
}

static struct str next_word(struct str *rest)
{
	size_t a = 0, b;
	while (a < rest->n && separates(rest->p[a]))
		a++;
	for (b = a; b < rest->n && !separates(rest->p[b]); b++)
		;
	struct str word = str_sub(*rest, a, b);
	*rest = str_skip(*rest, b);
	return word;
}

void peer_macros(struct peer *p, const struct step *s)
{
	const struct milters *m = p->all;
	AUTO(buf) struct buf values = BUF_INIT(KIB(64));
	struct milter_macro list[MACROS_MAX];
	size_t ends[MACROS_MAX];
	size_t n = 0;
	if (s->stage == MILTER_STAGES)
		return;
	struct str rest = macro_names(p, s->stage), word;
	while (n < MACROS_MAX && (word = next_word(&rest)).n) {
		size_t before = values.n;
		if (m->ops.macro(m->ops.ctx, word, &values) && !values.failed) {
			list[n].name = word;
			ends[n++] = values.n;
		} else {
			buf_cut(&values, before);
		}
	}
	/* The values have moved while they were collected. */
	for (size_t i = 0; i < n; i++)
		list[i].value = str_sub(buf_str(&values), i ? ends[i - 1] : 0, ends[i]);
	milter_put_macros(&p->out, s->command, list, n);
}
