/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of IMAP and POP3 (what differs: struct session_kind): each is a lane, its steps run in
 * order on worker threads.
 *
 * A command whose output window is full leaves (IMAP_MORE); what edge sent behind it waits in the
 * session until the client has drained and the command has ended. After every command the
 * session's state goes to edge, sealed, so that a fresh process can continue it (imap_state.c).
 */
#include "base/check.h"
#include "base/vec.h"
#include "codec/imap/imap_cmd.h"
#include "roles/user/imap_state.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

HISTOGRAM(command_time, "user.imap-command", "IMAP commands, to their first answer");
COUNTER(imap_commands, "user.imap-commands", "IMAP commands carried out");

#define COMMAND_SHOWN 400
#define OUT_KEPT      KIB(4) /* of a buffer for answers, from one to the next */
#define OUT_KEPT_MORE (2 * IMAP_OUT_WINDOW)
#define STEPS_MAX     32u /* of a session; edge sends fewer. What is more holds the channel back */

struct pending_body {
	struct list link;
	struct store_body body;
};

struct step {
	struct job job;
	struct list waiting;
	struct user_session *s;
	struct ipc_packet *p;
};

/* --- output, on the lane
 * ---------------------------------------------------------------------------------------- */

static void send_out(struct user_session *s, const struct msg_session_out *m)
{
	int r = ipc_send_wait(s->edge, s->trace, IPC_SESSION_OUT, m);
	if (r < 0 && r != -FAIL_PEER) /* with edge, the client is gone */
		s->cut = true;
}

static void send_text(struct user_session *s, struct str text)
{
	while (text.n) {
		struct msg_session_out m = {
			.session = s->id.v, .text = str_sub(text, 0, OUT_PIECE_MAX), .source = -1};
		send_out(s, &m);
		text = str_skip(text, m.text.n);
	}
}

/* Everything but a short last text, which travels in session_done. */
static struct str send_output(struct user_session *s)
{
	struct imap_out *o = &s->out;
	size_t at = 0;
	s->cut = o->text.failed;
	for (size_t i = 0; i < o->pieces.n; i++) {
		struct imap_out_piece *piece = &o->pieces.p[i];
		send_text(s, str_sub(buf_str(&o->text), at, piece->text_end));
		at = piece->text_end;
		struct msg_session_out m = {.session = s->id.v,
					    .source = piece->fd,
					    .offset = piece->offset,
					    .length = piece->length};
		send_out(s, &m);
	}
	struct str rest = str_skip(buf_str(&o->text), at);
	if (rest.n <= DONE_OUT_MAX)
		return rest;
	send_text(s, rest);
	return STR("");
}

void imap_answer(struct user_session *s, uint32_t seq, enum imap_next next)
{
	AUTO(buf) struct buf sealed = BUF_INIT(IMAP_STATE_MAX + SEAL_OVERHEAD);
	struct fail why = FAIL_INIT;
	struct msg_session_done done = {.session = s->id.v, .seq = seq};
	done.out = send_output(s);
	if (s->cut) { /* an answer that is not whole must not look as if it were */
		log_event(LOG_ERROR, "imap.output-cut");
		next = IMAP_CLOSE;
	}
	done.next = next == IMAP_MORE	 ? NEXT_MORE
		    : next == IMAP_PARK	 ? NEXT_PARK
		    : next == IMAP_CLOSE ? NEXT_CLOSE
					 : NEXT_CONTINUE;
	if (next == IMAP_DONE || next == IMAP_PARK) {
		if (imap_state_seal(s, &sealed, &why) < 0) {
			if (!s->stateless)
				log_event(LOG_WARN, "imap.no-export", log_fail(&why));
			s->stateless = true;
			done.flags = DONE_STATELESS;
			s->told = 0;
		} else {
			s->stateless = false;
			done.state = buf_str(&sealed);
		}
	}
	CRASH_POINT("user.before-answer");
	(void)ipc_send_wait(s->edge, s->trace, IPC_SESSION_DONE, &done);
	CRASH_POINT("user.after-answer");
	/* While a long answer goes on its buffer is filled again: new memory costs a fault a page.
	 */
	if (s->out.text.cap > (next == IMAP_MORE ? OUT_KEPT_MORE : OUT_KEPT))
		imap_out_clear(&s->out);
	else
		imap_out_reset(&s->out);
}

/* --- commands, on the lane
 * ------------------------------------------------------------------------------------------ */

static void forget_command(struct user_session *s)
{
	for (size_t i = 0; i < s->current_bodies_n; i++)
		store_body_clear(&s->current_bodies[i]);
	free(s->current_bodies);
	free(s->current_external);
	s->current_bodies = NULL;
	s->current_external = NULL;
	s->current_bodies_n = 0;
	ipc_packet_free(s->current);
	s->current = NULL;
}

static bool changes_usage(struct str text)
{
	switch ((int)imap_cmd_peek(text)) {
	case IMAP_CMD_APPEND:
	case IMAP_CMD_REPLACE:
	case IMAP_CMD_COPY:
	case IMAP_CMD_MOVE:
	case IMAP_CMD_EXPUNGE:
	case IMAP_CMD_CLOSE:
	case IMAP_CMD_DELETE:
		return true;
	default:
		return false;
	}
}

static void finish_command(struct user_session *s, enum imap_next next)
{
	imap_answer(s, s->current_seq, next);
	s->more = next == IMAP_MORE;
	if (!s->more)
		forget_command(s);
}

/* Bodies of this command's literals, out of those that were opened for the session. */
static bool collect_bodies(struct user_session *s, const struct msg_session_command *m)
{
	s->current_external = xcalloc(m->literals_n, sizeof *s->current_external);
	s->current_bodies = xcalloc(m->literals_n, sizeof *s->current_bodies);
	for (size_t i = 0; i < m->literals_n; i++) {
		bool found = false;
		s->current_external[i] = (struct imap_external){.pos = m->literals[i].at,
								.size = m->literals[i].size,
								.binary = m->literals[i].binary};
		LIST_EACH (&s->bodies, n) {
			struct pending_body *b = CONTAINER_OF(n, struct pending_body, link);
			if (!str_eq(m->literals[i].body_id,
				    (struct str){(char *)b->body.id, sizeof b->body.id}))
				continue;
			s->current_bodies[s->current_bodies_n++] = b->body;
			list_remove(&b->link);
			free(b);
			found = true;
			break;
		}
		if (!found)
			return false;
	}
	return true;
}

/* The first line: literals are people's mail. A late LOGIN still holds a password, a signed URL is
 * one. */
static void log_command(struct str text)
{
	enum imap_cmd_kind kind = imap_cmd_peek(text);
	bool secret = kind == IMAP_CMD_LOGIN || kind == IMAP_CMD_AUTHENTICATE ||
		      kind == IMAP_CMD_URLFETCH || kind >= IMAP_CMD_KIND_COUNT;
	struct str line = str_sub(text, 0, str_find(text, 0, '\r'));
	if (secret)
		line = str_sub(line, 0, str_find(line, 0, ' '));
	log_event(LOG_DEBUG, "imap.in", log_str("line", str_sub(line, 0, COMMAND_SHOWN)),
		  log_c("hidden", secret ? "yes" : "no"), log_u64("size", text.n));
}

/* A command that begins now goes by the running configuration. */
static void renew_conf(struct user_session *s)
{
	if (!s->imap)
		return;
	const struct conf *c = role_conf_hold(user.role);
	imap_session_configure(s->imap, conf_extra(c));
	conf_drop(c);
}

bool imap_command(struct user_session *s, const struct msg_session_command *m, enum imap_next *next)
{
	struct imap_session_input in = {.cmd = {.text = m->input,
						.external = s->current_external,
						.external_count = m->literals_n},
					.body = s->current_bodies};
	counter_add(&imap_commands, 1);
	struct mono_ns begun = clock_mono();
	if (log_wants(LOG_DEBUG))
		log_command(m->input);
	*next = imap_session_command(s->imap, &in, &s->out);
	histogram_add(command_time, (uint64_t)(clock_mono().v - begun.v) / 1000);
	return changes_usage(m->input);
}

static void run_command(struct user_session *s, struct ipc_packet *p)
{
	struct msg_session_command m;
	if (msg_session_command_read(p, &m) < 0) {
		ipc_packet_free(p);
		return;
	}
	renew_conf(s);
	s->resting = false;
	s->current = p;
	s->current_seq = m.seq;
	if (!collect_bodies(s, &m)) {
		log_event(LOG_ERROR, "imap.body-unknown");
		finish_command(s, IMAP_CLOSE);
		return;
	}
	if (atomic_load(&s->over)) {
		buf_add_c(&s->out.text, s->kind->over);
		finish_command(s, IMAP_CLOSE);
		return;
	}
	enum imap_next next;
	bool usage = s->kind->command(s, &m, &next);
	finish_command(s, next);
	if (usage)
		user_usage_changed((struct account_id){s->grant.account});
}

static void open_literal(struct user_session *s, struct ipc_packet *p)
{
	struct msg_body_open m;
	struct fail why = FAIL_INIT;
	struct pending_body *b = xcalloc(1, sizeof *b);
	b->body = STORE_BODY_INIT;
	list_init(&b->link);
	if (!s->current)
		renew_conf(s);
	(void)fail_set(&why, FAIL_PEER, NULL, "bad body request");
	if (msg_body_open_read(p, &m) < 0 || !s->imap ||
	    imap_session_literal(s->imap, m.head, m.size, &b->body, &why) < 0) {
		(void)ipc_reply_fail(p, &why);
		free(b);
	} else {
		struct msg_body_file reply = {
			.body_id = {(const char *)b->body.id, sizeof b->body.id},
			.file = b->body.fd};
		list_append(&s->bodies, &b->link);
		(void)ipc_reply(p, IPC_BODY_FILE, &reply);
	}
	ipc_packet_free(p);
}

/* --- waking: the store's thread says that something changed
 * ------------------------------------------------------------ */

static void run_wake(struct job *job)
{
	struct user_session *s = CONTAINER_OF(job, struct user_session, wake);
	atomic_store(&s->wake_posted, false);
	if (s->more || !s->imap)
		return; /* the unfinished output comes first; the session looks again at its end */
	log_context(s->trace, s->id);
	enum imap_next next = imap_session_wake(s->imap, &s->out);
	if (next != IMAP_QUIET) {
		s->current_seq = 0;
		s->more = next == IMAP_MORE;
		imap_answer(s, 0, next);
	}
	if (s->resting)
		imap_session_rest(s->imap);
	log_context((struct trace_id){0}, (struct session_id){0});
}

void imap_wake(void *arg)
{
	struct user_session *s = arg;
	if (!atomic_exchange(&s->wake_posted, true))
		lane_submit(&s->lane, &s->wake);
}

/* --- resting: quiet for a while
 * ---------------------------------------------------------------------------------------- */

static void run_rest(struct job *job)
{
	struct user_session *s = CONTAINER_OF(job, struct user_session, rest_job);
	atomic_store(&s->rest_posted, false);
	if (s->more || !s->at_work)
		return;
	s->resting = true;
	s->kind->rest(s);
	imap_out_clear(&s->out);
}

static void put_to_rest(struct rest *r)
{
	struct user_session *s = CONTAINER_OF(r, struct user_session, rest);
	if (!atomic_exchange(&s->rest_posted, true))
		lane_submit(&s->lane, &s->rest_job);
}

void imap_begin(void)
{
	rest_begin(put_to_rest);
}

/* --- steps
 * -------------------------------------------------------------------------------------------------------------
 */

static void take(struct user_session *s, struct step *step)
{
	struct ipc_packet *p = step->p;
	atomic_fetch_sub(&s->steps, 1);
	if (ipc_packet_type(p) == IPC_SESSION_OPEN) {
		imap_begin_session(s, p);
		ipc_packet_free(p);
	} else if (!s->at_work) {
		ipc_packet_free(p); /* could not be continued; edge was told to close it */
	} else if (ipc_packet_type(p) == IPC_BODY_OPEN) {
		open_literal(s, p);
	} else {
		run_command(s, p);
	}
	free(step);
}

static void take_waiting(struct user_session *s)
{
	while (!s->more && !list_empty(&s->waiting))
		take(s, CONTAINER_OF(list_take(&s->waiting), struct step, waiting));
}

static void run(struct job *job)
{
	struct step *step = CONTAINER_OF(job, struct step, job);
	struct user_session *s = step->s;
	log_context(s->trace, s->id);
	bool resume = ipc_packet_type(step->p) == IPC_SESSION_RESUME;
	bool literal = ipc_packet_type(step->p) == IPC_BODY_OPEN;
	if (resume) {
		atomic_fetch_sub(&s->steps, 1);
		ipc_packet_free(step->p);
		free(step);
		if (s->more && s->at_work)
			finish_command(s, s->kind->resume(s));
	} else if (s->more && !literal) {
		list_append(&s->waiting, &step->waiting);
	} else {
		take(s, step);
	}
	take_waiting(s);
	log_context((struct trace_id){0}, (struct session_id){0});
}

/* --- sessions, on the loop
 * ------------------------------------------------------------------------------------ */

static void session_free(struct user_session *s)
{
	LIST_EACH (&s->bodies, n) {
		struct pending_body *b = CONTAINER_OF(n, struct pending_body, link);
		store_body_clear(&b->body);
		free(b);
	}
	LIST_EACH (&s->waiting, n) {
		struct step *step = CONTAINER_OF(n, struct step, waiting);
		ipc_packet_free(step->p);
		free(step);
	}
	if (s->at_work)
		s->kind->end(s);
	forget_command(s);
	imap_out_clear(&s->out);
	pop3_unlock(s);
	if (s->counted)
		tenants_leave(&s->grant);
	free(s);
}

static void submit(struct user_session *s, struct ipc_packet *p)
{
	struct step *step = xcalloc(1, sizeof *step);
	*step = (struct step){.job.run = run, .s = s, .p = p};
	list_init(&step->waiting);
	rest_awake(&s->rest);
	/* Commands behind a client that does not read must not hold back everybody else's. */
	if (atomic_fetch_add(&s->steps, 1) < STEPS_MAX)
		ipc_packet_accept(p);
	lane_submit(&s->lane, &step->job);
}

void imap_open(struct ipc_channel *from, struct ipc_packet *p)
{
	struct msg_session_open m;
	if (msg_session_open_read(p, &m) < 0 ||
	    session_edge(m.session) != ipc_channel_index(from) ||
	    map_get(&user.sessions, m.session)) {
		role_refuse(from, p, "a session of another edge, or one that is open");
		return;
	}
	if (!role_sessions_enter(user.role, &user.by_edge, m.session)) {
		role_refuse(from, p, "more sessions than there can be clients");
		return;
	}
	struct user_session *s = xcalloc(1, sizeof *s);
	s->id.v = m.session;
	s->trace = ipc_packet_trace(p);
	s->edge = from;
	s->out = IMAP_OUT_INIT(IMAP_OUT_WINDOW);
	s->wake.run = run_wake;
	s->rest_job.run = run_rest;
	list_init(&s->rest.link);
	list_init(&s->bodies);
	list_init(&s->waiting);
	lane_init(&s->lane, user.pool);
	(void)map_put(&user.sessions, s->id.v, s);
	submit(s, p);
}

/* Unless an edge has opened it again: then it is that one's. */
static void end_right(const struct user_session *s)
{
	if (s->granted && !map_get(&user.sessions, s->id.v))
		right_over(user.role, s->id.v, &s->grant.right);
}

static void reap(struct loop_task *task)
{
	struct user_session *s = CONTAINER_OF(task, struct user_session, reap);
	if (!lane_idle(&s->lane)) {
		loop_post(user.role->loop, task);
		return;
	}
	end_right(s); /* it may have been granted after its end */
	session_free(s);
}

struct end_step {
	struct job job;
	struct user_session *s;
};

/* The last but one step: no wake comes after the session is gone. */
static void last_step(struct job *job)
{
	struct end_step *e = CONTAINER_OF(job, struct end_step, job);
	if (e->s->at_work)
		e->s->kind->end(e->s);
	loop_post(user.role->loop, &e->s->reap);
	free(e);
}

static void end_session(struct user_session *s)
{
	(void)map_remove(&user.sessions, s->id.v);
	role_sessions_leave(&user.by_edge, s->id.v);
	end_right(s);
	pop3_unlock(s);
	s->closing = true;
	rest_forget(&s->rest);
	s->reap.run = reap;
	struct end_step *e = xcalloc(1, sizeof *e);
	*e = (struct end_step){.job.run = last_step, .s = s};
	lane_submit(&s->lane, &e->job);
}

void imap_over(uint64_t session)
{
	struct user_session *s = map_get(&user.sessions, session);
	if (s)
		atomic_store(&s->over, true);
	user_grant_drop(session);
}

static uint64_t session_of(struct ipc_packet *p)
{
	struct msg_session_command command;
	struct msg_session_resume resume;
	struct msg_session_close close;
	struct msg_body_open body;
	switch ((int)ipc_packet_type(p)) {
	case IPC_SESSION_COMMAND:
		return msg_session_command_read(p, &command) == 0 ? command.session : 0;
	case IPC_SESSION_RESUME:
		return msg_session_resume_read(p, &resume) == 0 ? resume.session : 0;
	case IPC_SESSION_CLOSE:
		return msg_session_close_read(p, &close) == 0 ? close.session : 0;
	case IPC_BODY_OPEN:
		return msg_body_open_read(p, &body) == 0 ? body.session : 0;
	default:
		return 0;
	}
}

void imap_step(struct ipc_channel *from, struct ipc_packet *p)
{
	uint64_t id = session_of(p);
	struct user_session *s = map_get(&user.sessions, id);
	if (id == 0 || session_edge(id) != ipc_channel_index(from)) {
		role_refuse(from, p, "not about a session of this edge");
		return;
	}
	if (!s || s->edge != from || s->closing) {
		struct fail why = FAIL_INIT;
		(void)fail_set(&why, FAIL_NOTFOUND, NULL, "no such session");
		if (ipc_packet_wants_reply(p))
			(void)ipc_reply_fail(p, &why);
		if (!s && ipc_packet_type(p) == IPC_SESSION_CLOSE)
			user_grant_drop(id);
		ipc_packet_free(p);
		return;
	}
	if (ipc_packet_type(p) == IPC_SESSION_CLOSE) {
		end_session(s);
		ipc_packet_free(p);
		return;
	}
	submit(s, p);
}

void imap_show_rights(void)
{
	static struct right_show all;
	all.role = user.role;
	MAP_EACH (&user.sessions, i) {
		const struct user_session *s = user.sessions.slots[i].value;
		if (s->granted)
			right_show(&all, s->id.v, &s->grant.right);
	}
	pthread_mutex_lock(&user.lock);
	MAP_EACH (&user.grants, i)
		right_show(&all, user.grants.slots[i].key,
			   &((const struct grant *)user.grants.slots[i].value)->right);
	pthread_mutex_unlock(&user.lock);
	right_shown(&all);
}

void imap_edge_down(const struct ipc_channel *edge)
{
	VEC(struct user_session *) gone = {0};
	MAP_EACH (&user.sessions, i) {
		struct user_session *s = user.sessions.slots[i].value;
		if (s->edge == edge)
			*vec_push(&gone) = s;
	}
	for (size_t i = 0; i < gone.n; i++) /* who ends leaves the map */
		end_session(gone.p[i]);
	vec_clear(&gone);
}
