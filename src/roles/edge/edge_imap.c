/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IMAP at the edge: framing, what follows a login, output and IDLE. The dialogue before it is in
 * edge_imap_login.c.
 *
 * Commands are sent on as they come, a few at a time; a worker of the account's user process
 * carries them out in order. Nothing may follow IDLE, so nothing is framed behind it until it is
 * parked or answered. A literal that is too large for memory goes into a file that the user
 * process opens.
 */
#include "codec/imap/imap_cmd.h"
#include "codec/imap/imap_quirks.h"
#include "proto/reply_map.h"
#include "roles/edge/edge.h"
#include "sys/crash.h"
#include "sys/fs.h"
#include "sys/log.h"
#include <unistd.h>

#define IN_FLIGHT_MAX 16
#define AGAIN_MAX     KIB(16)
#define PATIENCE      MIB(256) /* of a dropped command: a literal may claim any size */
#define HELD_HIGH     MIB(256)
#define DRAINED_LOW   KIB(512) /* a long command goes on while no more is left to send */

OFFENCE(too_big, "too_big", "IMAP commands and literals over a limit");
OFFENCE(malformed, "malformed", "IMAP commands with a bare CR or a NUL in them");
OFFENCE(slow_imap, "slow_imap_command", "logged-in clients that did not finish a command in time");

static void write_reply(struct session *s, struct buf *b)
{
	session_write(s, buf_str(b));
}

/*
 * After login, what edge itself has to say must not land between two pieces of a backend's answer
 * (inside a literal, at worst): it waits until nothing is under way.
 */
static void say(struct session *s, struct str text)
{
	struct imap_edge *m = &s->imap;
	if (s->phase == SESSION_LOGIN || (m->in_flight == 0 && !m->more && !s->mid_answer)) {
		session_write(s, text);
		return;
	}
	if (!m->deferred.max)
		m->deferred = BUF_INIT(KIB(64));
	(void)buf_add(&m->deferred, text);
}

static void say_deferred(struct session *s)
{
	struct imap_edge *m = &s->imap;
	if (m->in_flight || m->more || s->mid_answer || !m->deferred.n)
		return;
	session_write(s, buf_str(&m->deferred));
	buf_clear(&m->deferred);
}

void edge_imap_flush(struct session *s)
{
	if (s->conn)
		conn_flush(s->conn);
}

/* What was under way may or may not have happened: say so by ending, never guess. */
static void give_up(struct session *s)
{
	if (!s->mid_answer) /* else it would land inside of an answer */
		session_write(s, STR("* BYE [UNAVAILABLE] The mailbox server restarted, please "
				     "connect again.\r\n"));
	session_finish(s);
}

/* --- after login: towards the user process
 * ------------------------------------------------------------------ */

/*
 * When the user process dies, the one command under way is said again to its successor if it
 * changes nothing, or never reached it. Once: a command that kills must not do so for ever.
 */
static void keep_command(struct session *s, struct str text, enum imap_cmd_kind kind)
{
	struct imap_edge *m = &s->imap;
	buf_clear(&m->again);
	if (m->in_flight || m->literals || text.n > AGAIN_MAX)
		return;
	m->again = BUF_INIT(AGAIN_MAX);
	(void)buf_add(&m->again, text);
	switch ((int)kind) {
	case IMAP_CMD_NOOP:
	case IMAP_CMD_ENABLE:
	case IMAP_CMD_CHECK:
	case IMAP_CMD_SELECT:
	case IMAP_CMD_EXAMINE:
	case IMAP_CMD_UNSELECT:
	case IMAP_CMD_LIST:
	case IMAP_CMD_LSUB:
	case IMAP_CMD_XLIST:
	case IMAP_CMD_STATUS:
	case IMAP_CMD_URLFETCH:
	case IMAP_CMD_GETMETADATA:
	case IMAP_CMD_FETCH:
	case IMAP_CMD_SEARCH:
	case IMAP_CMD_SORT:
	case IMAP_CMD_THREAD:
	case IMAP_CMD_IDLE:
	case IMAP_CMD_NOTIFY:
		m->repeatable = true;
		break;
	default:
		m->repeatable = s->phase == SESSION_PARKED; /* DONE */
	}
}

static void say_again(struct session *s)
{
	struct imap_edge *m = &s->imap;
	struct msg_session_command msg = {
		.session = s->id.v, .seq = s->seq, .input = buf_str(&m->again)};
	m->repeatable = false;
	if (session_send(s, IPC_SESSION_COMMAND, &msg) < 0)
		give_up(s);
}

static void send_command(struct session *s, const struct imap_input *in)
{
	struct imap_edge *m = &s->imap;
	enum imap_cmd_kind kind = imap_cmd_peek(in->text);
	if (s->phase == SESSION_PARKED && str_trim(in->text).n == 0 &&
	    imap_bends(IMAP_QUIRK_EMPTY_LINE)) { /* in IDLE: the next line may be DONE */
		frame_imap_expect_raw(&m->frame);
		return;
	}
	if (edge_imap_takes(s, in, kind))
		return;
	keep_command(s, in->text, kind);
	struct msg_session_command msg = {.session = s->id.v, .seq = ++s->seq, .input = in->text};
	if (m->literals) {
		msg.literals = m->literals->msg;
		msg.literals_n = m->literals->n;
		for (size_t i = 0; i < m->literals->n && i < in->external_count; i++) {
			m->literals->msg[i].at = (uint32_t)in->external[i].pos;
			m->literals->msg[i].binary = in->external[i].binary;
		}
	}
	m->in_flight++;
	m->idle_sent = s->phase != SESSION_PARKED && kind == IMAP_CMD_IDLE;
	s->phase = SESSION_RUNNING;
	int r = session_send(s, IPC_SESSION_COMMAND, &msg);
	CRASH_POINT("edge.imap-sent");
	free(m->literals);
	m->literals = NULL;
	if (r == -FAIL_PEER && m->again.n)
		m->repeatable = true; /* it waits for backend_back */
	else if (r < 0)
		give_up(s);
}

static void refuse_literal(struct session *s, int r, const char *text)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(4));
	const struct reply_map *row = reply_map_find(r);
	struct str tag = s->imap.frame.literal.tag;
	(void)buf_addf(&out, "%.*s %s ", STR_ARG(tag.n ? tag : STR("*")), row->imap_status);
	if (row->imap_code[0])
		(void)buf_addf(&out, "[%s] ", row->imap_code);
	(void)buf_addf(&out, "%s\r\n", text && text[0] ? text : fail_public_default(row->code));
	frame_imap_refuse(&s->imap.frame);
	say(s, buf_str(&out));
}

static bool mid_command(const struct frame_imap *f)
{
	return !f->taken &&
	       (f->text.n || f->state != FRAME_IMAP_STATE_LINE || f->drop != FRAME_IMAP_MORE);
}

/*
 * The time for a login is one for all: chatting does not prolong it. After that a client may be
 * silent between two commands; one that has begun a command finishes it, and only the bytes of a
 * literal give it new time.
 */
static void arm_timeout(struct session *s, bool progress)
{
	const struct conf *c = s->edge->role->conf;
	if (!s->conn || s->phase == SESSION_LOGIN || s->phase == SESSION_ENDING)
		return;
	bool partial = !s->conn->paused && mid_command(&s->imap.frame);
	if (!partial)
		conn_timeout(s->conn, c->imap_idle_timeout_ms);
	else if (progress || !s->imap.partial)
		conn_timeout(s->conn, c->imap_command_timeout_ms);
	s->imap.partial = partial;
}

/* The user process said whether the large literal may come, and where to. */
static void body_file(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct session *s = CONTAINER_OF(a, struct session, imap.ask);
	struct msg_body_file m;
	if (!session_answered(s)) {
		ipc_packet_free(p);
		return;
	}
	s->phase = SESSION_RUNNING;
	if (r == 0 && msg_body_file_read(p, &m) == 0 && m.file >= 0 && m.body_id.n == 16) {
		struct edge_literals *l = s->imap.literals;
		s->imap.body_fd = ipc_packet_take_fd(p, m.file);
		s->imap.body_at = 0;
		memcpy(l->ids[l->n], m.body_id.p, 16);
		l->msg[l->n].body_id = (struct str){(const char *)l->ids[l->n], 16};
		l->n++;
		frame_imap_accept(&s->imap.frame);
		if (s->imap.frame.literal.sync)
			say(s, STR("+ OK\r\n"));
	} else {
		refuse_literal(s, r < 0 ? r : -FAIL_PEER, r < 0 ? why->public : NULL);
	}
	ipc_packet_free(p);
	conn_resume(s->conn);
	arm_timeout(s, true);
	edge_imap_flush(s);
}

static void ask_for_file(struct session *s, const struct frame_imap_event *e)
{
	struct imap_edge *m = &s->imap;
	if (!m->literals)
		m->literals = xcalloc(1, sizeof *m->literals);
	if (m->literals->n == EDGE_LITERALS_MAX) {
		refuse_literal(s, -FAIL_LIMIT, "Too many literals in one command.");
		return;
	}
	m->literals->msg[m->literals->n].size = e->size;
	struct msg_body_open msg = {.session = s->id.v, .size = e->size, .head = e->input.text};
	struct ipc_question q = {
		.type = IPC_BODY_OPEN, .msg = &msg, .want = IPC_BODY_FILE, .trace = s->trace};
	m->ask.done = body_file;
	s->phase = SESSION_WAITING;
	conn_pause(s->conn);
	session_ask(s, s->backend, &q, &m->ask);
}

static void take_literal(struct session *s, const struct frame_imap_event *e)
{
	if (e->external) {
		ask_for_file(s, e);
		return;
	}
	frame_imap_accept(&s->imap.frame);
	if (e->sync)
		say(s, STR("+ OK\r\n"));
}

static void take_data(struct session *s, const struct frame_imap_event *e)
{
	struct fs_file file = {fs_real(), s->imap.body_fd};
	struct fail why = FAIL_INIT;
	if (file.fd >= 0 && fs_pwrite(&file, e->data.p, e->data.n, s->imap.body_at, &why) < 0) {
		/* A short body is found by its size when the user process seals it. */
		log_event(LOG_ERROR, "edge.body-write", log_fail(&why));
		(void)close(s->imap.body_fd);
		s->imap.body_fd = -1;
	}
	s->imap.body_at += e->data.n;
	CRASH_POINT("edge.literal-written");
	if (e->last && s->imap.body_fd >= 0) {
		(void)close(s->imap.body_fd);
		s->imap.body_fd = -1;
	}
}

static void drop_literals(struct session *s)
{
	free(s->imap.literals);
	s->imap.literals = NULL;
	if (s->imap.body_fd >= 0)
		(void)close(s->imap.body_fd);
	s->imap.body_fd = -1;
}

void edge_imap_note_drop(const struct session *s, const struct frame_imap_event *e)
{
	if (e->kind == FRAME_IMAP_TOO_BIG)
		session_offence(s, &too_big, e->size ? "a literal" : "a command");
	else if (e->kind == FRAME_IMAP_MALFORMED)
		session_offence(s, &malformed, "");
}

static void dropped(struct session *s, const struct frame_imap_event *e)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(1));
	drop_literals(s);
	edge_imap_note_drop(s, e);
	if (e->kind == FRAME_IMAP_REFUSED)
		return; /* answered when it was refused */
	const char *text = e->unasked ? "[TOOBIG] A literal above 4096 bytes has to wait for \"+\"."
			   : e->kind == FRAME_IMAP_TOO_BIG ? "[TOOBIG] Command is too large."
							   : "Command is malformed.";
	(void)buf_addf(&out, "%.*s BAD %s\r\n", STR_ARG(e->tag.n ? e->tag : STR("*")), text);
	say(s, buf_str(&out));
}

static bool may_take(const struct session *s)
{
	const struct imap_edge *m = &s->imap;
	if (!session_may_begin(s) && !m->literals)
		return false;
	if (s->phase == SESSION_LOGIN)
		return true;
	if ((s->phase != SESSION_RUNNING && s->phase != SESSION_PARKED) || !s->opened)
		return false; /* while the backend restarts, what comes waits for it */
	return m->in_flight < IN_FLIGHT_MAX && !m->idle_sent && !m->more && !m->deferred.n &&
	       m->own == IMAP_OWN_NONE;
}

static void take_input(struct session *s, struct str *in, bool *progress)
{
	while (may_take(s)) {
		struct frame_imap_event e = frame_imap_feed(&s->imap.frame, in);
		if (s->imap.frame.dropped > PATIENCE) {
			session_offence(s, &too_big, "and without end");
			say(s, STR("* BYE [TOOBIG] That is more than this server will skip.\r\n"));
			session_finish(s);
			return;
		}
		if (e.kind == FRAME_IMAP_MORE)
			return;
		*progress = true;
		if (e.kind == FRAME_IMAP_LITERAL)
			take_literal(s, &e);
		else if (e.kind == FRAME_IMAP_DATA)
			take_data(s, &e);
		else if (s->phase == SESSION_LOGIN)
			edge_imap_before_login(s, &e);
		else if (e.kind == FRAME_IMAP_COMMAND)
			send_command(s, &e.input);
		else
			dropped(s, &e);
		if (!s->conn || s->conn->handshaking)
			return;
	}
	if (s->conn)
		conn_pause(s->conn);
}

static void input(struct session *s, struct str *in)
{
	if (s->phase == SESSION_LOGIN && edge_imap_is_other(s, *in))
		return;
	enum frame_imap_state state = s->imap.frame.state;
	bool progress = state == FRAME_IMAP_STATE_INLINE || state == FRAME_IMAP_STATE_SKIP;
	take_input(s, in, &progress);
	arm_timeout(s, progress);
}

/* `printf '...' | nc`: what was asked is still answered. */
static void eof(struct session *s)
{
	struct imap_edge *m = &s->imap;
	m->eof = true;
	if (m->in_flight == 0 && !m->more)
		session_finish(s);
}

static void revoked(struct session *s)
{
	const struct imap_edge *m = &s->imap;
	if (m->in_flight || m->more || s->phase == SESSION_WAITING)
		return; /* done() comes back here */
	if (!s->mid_answer)
		session_write(s, STR("* BYE Your access has changed, please log in again.\r\n"));
	session_finish(s);
}

/* --- after login: back from the user process
 * ------------------------------------------------------------------ */

static void drained(struct session *s, size_t left)
{
	/* When the backend is about to go, the answer is kept here rather than there. */
	if (!s->imap.more || left > (session_may_begin(s) ? DRAINED_LOW : HELD_HIGH))
		return;
	struct msg_session_resume m = {.session = s->id.v};
	s->imap.more = false;
	if (session_send(s, IPC_SESSION_RESUME, &m) < 0)
		give_up(s);
}

static void done(struct session *s, struct ipc_packet *p, const struct msg_session_done *m)
{
	struct imap_edge *im = &s->imap;
	(void)p;
	im->more = false;
	if (m->seq)
		buf_clear(&im->again); /* answered, if only in part */
	if (m->next == NEXT_MORE) {
		im->more = true;
		edge_imap_flush(s);
		if (s->conn)
			drained(s, s->conn->out_bytes);
		return;
	}
	if (m->seq && im->in_flight)
		im->in_flight--;
	if (m->seq == s->seq)
		im->idle_sent = false; /* news of an earlier IDLE may cross this one */
	say_deferred(s);
	if (m->next != NEXT_CLOSE)
		edge_imap_own(s);
	if (s->over && m->next != NEXT_CLOSE) {
		revoked(s);
		if (!s->conn || s->phase == SESSION_ENDING)
			return;
	}
	if (m->next == NEXT_CLOSE || (im->eof && im->in_flight == 0)) {
		session_finish(s);
		return;
	}
	/* News of a parked session (seq 0) may cross the client's DONE: that one decides. */
	if (m->next == NEXT_PARK && m->seq && s->phase != SESSION_WAITING) {
		if (s->phase != SESSION_PARKED)
			frame_imap_expect_raw(&im->frame);
		s->phase = SESSION_PARKED;
	}
	edge_imap_flush(s);
	if (!s->conn)
		return;
	if (may_take(s))
		conn_resume(s->conn);
}

static void backend_lost(struct session *s)
{
	const struct imap_edge *m = &s->imap;
	bool again = m->in_flight == 1 && m->again.n && m->repeatable;
	s->opened = false;
	if ((m->in_flight && !again) || m->more || m->literals || s->phase == SESSION_WAITING ||
	    s->stateless || s->mid_answer || s->state.n == 0)
		give_up(s);
}

static void backend_back(struct session *s)
{
	session_open_at_backend(s);
	if (s->imap.in_flight)
		say_again(s);
	if (may_take(s))
		conn_resume(s->conn);
}

static void timeout(struct session *s)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(1));
	login_imap_bye_timeout(&out);
	if (s->imap.partial)
		session_offence(s, &slow_imap, "");
	if (!s->mid_answer)
		write_reply(s, &out);
	session_finish(s);
}

static void say_goodbye(struct session *s)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(1));
	login_imap_bye_shutdown(&out);
	if (!s->mid_answer && !(s->conn && s->conn->handshaking))
		write_reply(s, &out);
	session_finish(s);
}

static bool settled(const struct session *s, unsigned how)
{
	const struct imap_edge *m = &s->imap;
	if (how == HOLD_BODIES)
		return !m->literals && m->body_fd < 0;
	if (!s->backend) /* logged in or not, that is being found out */
		return s->phase != SESSION_WAITING;
	return s->stateless || (m->in_flight == 0 && !m->more && !m->literals &&
				s->phase != SESSION_WAITING && !s->mid_answer && s->state.n);
}

static bool quiet(const struct session *s)
{
	const struct imap_edge *m = &s->imap;
	return (s->phase == SESSION_LOGIN || s->phase == SESSION_RUNNING ||
		s->phase == SESSION_PARKED) &&
	       m->in_flight == 0 && !m->more && !m->literals && !s->mid_answer &&
	       !s->conn->handshaking;
}

static void clear(struct session *s)
{
	if (s->imap.login)
		login_imap_clear(s->imap.login);
	free(s->imap.login);
	s->imap.login = NULL;
	drop_literals(s);
	buf_clear(&s->imap.deferred);
	buf_clear(&s->imap.again);
	buf_clear(&s->imap.own_tag);
	frame_imap_clear(&s->imap.frame);
}

const struct session_ops edge_imap_ops = {.init = edge_imap_init,
					  .begin = edge_imap_begin,
					  .input = input,
					  .secured = edge_imap_secured,
					  .timeout = timeout,
					  .drained = drained,
					  .eof = eof,
					  .done = done,
					  .backend_lost = backend_lost,
					  .backend_back = backend_back,
					  .shutdown = say_goodbye,
					  .revoked = revoked,
					  .settled = settled,
					  .quiet = quiet,
					  .clear = clear};
