/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The content of messages at the edge: what follows DATA and BDAT, in memory while it is small,
 * then in a file that queue opens, asked by mta.
 */
#include "roles/edge/edge.h"
#include "sys/crash.h"
#include "sys/fdpass.h"
#include "sys/fs.h"
#include "sys/log.h"
#include <unistd.h>

#define FEED_BYTES KIB(16)

static void end_body(struct session *s)
{
	struct smtp_edge *m = &s->smtp;
	struct msg_session_body msg = {.session = s->id.v,
				       .seq = ++s->seq,
				       .size = m->size,
				       .flags = (uint8_t)m->body_flags};
	bool last = m->input == SMTP_INPUT_DATA || m->bdat_last;
	if (m->body_fd >= 0) {
		msg.body_id = (struct str){(const char *)m->body_id, 16};
	} else if (last) {
		msg.body = buf_str(&m->body);
	}
	if (last && m->body_fd >= 0) {
		(void)close(m->body_fd);
		m->body_fd = -1;
	}
	m->busy = true;
	m->body_under_way = true;
	m->input = SMTP_INPUT_LINES;
	conn_pause(s->conn);
	CRASH_POINT("edge.before-body");
	if (session_send(s, IPC_SESSION_BODY, &msg) < 0)
		conn_close(s->conn);
	CRASH_POINT("edge.after-body");
	if (last)
		buf_clear(&m->body);
}

static void write_body(struct session *s, struct str bytes)
{
	struct smtp_edge *m = &s->smtp;
	struct fs_file file = {fs_real(), m->body_fd};
	struct fail why = FAIL_INIT;
	if (fs_pwrite(&file, bytes.p, bytes.n, m->body_at, &why) < 0) {
		log_event(LOG_ERROR, "edge.body-write", log_fail(&why));
		m->body_flags |= BODY_LOST;
	}
	m->body_at += bytes.n;
	CRASH_POINT("edge.body-written");
}

static void body_file(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct session *s = CONTAINER_OF(a, struct session, smtp.ask);
	struct msg_body_file msg;
	if (!session_answered(s)) {
		ipc_packet_free(p);
		return;
	}
	struct smtp_edge *m = &s->smtp;
	s->phase = SESSION_RUNNING;
	if (r == 0 && msg_body_file_read(p, &msg) == 0 && msg.file >= 0 && msg.body_id.n == 16) {
		m->body_fd = ipc_packet_take_fd(p, msg.file);
		m->body_at = 0;
		memcpy(m->body_id, msg.body_id.p, 16);
		write_body(s, buf_str(&m->body));
	} else {
		log_event(LOG_ERROR, "edge.no-body-file", log_fail(why));
		m->body_flags |= BODY_LOST;
	}
	ipc_packet_free(p);
	buf_clear(&m->body);
	if (m->feeding)
		smtp_feed(s);
	else
		conn_resume(s->conn);
}

static void ask_for_file(struct session *s)
{
	struct msg_body_open msg = {.session = s->id.v, .size = 0};
	struct ipc_question q = {
		.type = IPC_BODY_OPEN, .msg = &msg, .want = IPC_BODY_FILE, .trace = s->trace};
	s->smtp.ask.done = body_file;
	s->phase = SESSION_WAITING;
	conn_pause(s->conn);
	session_ask(s, s->backend, &q, &s->smtp.ask);
}

/* One piece of content: into memory while it is small, then into the file. */
static void take_content(struct session *s, struct str piece)
{
	struct smtp_edge *m = &s->smtp;
	m->size += piece.n;
	if (m->size > m->octets_max)
		m->body_flags |= BODY_TOO_BIG;
	if (m->body_flags & (BODY_TOO_BIG | BODY_LOST) || m->discard)
		return;
	if (m->body_fd >= 0) {
		write_body(s, piece);
		return;
	}
	(void)buf_add(&m->body, piece);
	if (m->body.n > BODY_INLINE_MAX)
		ask_for_file(s);
}

void smtp_body_take(struct session *s, struct str *in)
{
	struct smtp_edge *m = &s->smtp;
	struct str piece;
	m->content_octets += in->n; /* what is left over counts again: to the client's benefit */
	while (s->phase == SESSION_RUNNING) {
		enum frame_data_event e = m->input == SMTP_INPUT_DATA
						  ? frame_data_feed(&m->data, in, &piece)
						  : frame_bdat_feed(&m->bdat, in, &piece);
		if (e == FRAME_DATA_MORE)
			return;
		if (e == FRAME_DATA_SLICE) {
			take_content(s, piece);
			continue;
		}
		if (m->input == SMTP_INPUT_BDAT && m->bdat_last)
			frame_bdat_finish(&m->bdat);
		bool bare = m->input == SMTP_INPUT_DATA ? m->data.bare_cr || m->data.bare_lf
							: m->bdat.bare_cr || m->bdat.bare_lf;
		if (bare && !s->peer.normalise)
			m->body_flags |= BODY_BARE;
		if (m->discard) {
			m->input = SMTP_INPUT_LINES;
			m->discard = false;
			return;
		}
		end_body(s);
		return;
	}
}

static void end_feed(struct smtp_edge *m)
{
	if (m->feeding)
		memmap_clear(&m->feed);
	m->feeding = false;
	m->fed = 0;
}

void smtp_feed_take(struct session *s, int fd)
{
	struct smtp_edge *m = &s->smtp;
	struct fail why = FAIL_INIT;
	end_feed(m);
	if (memmap_sealed(fd, SIZE_MAX / 2, &m->feed, &why) < 0) {
		log_event(LOG_ERROR, "edge.feed", log_fail(&why));
		conn_close(s->conn);
		return;
	}
	m->feeding = true;
}

/* In pieces as they come from a client: what is kept in memory has its limit. */
void smtp_feed(struct session *s)
{
	struct smtp_edge *m = &s->smtp;
	struct str piece;
	do {
		piece = str_sub(m->feed.bytes, m->fed, m->fed + FEED_BYTES);
		m->fed += piece.n;
		smtp_body_take(s, &piece);
		m->fed -= piece.n;
	} while (m->input == SMTP_INPUT_BDAT && s->phase == SESSION_RUNNING &&
		 m->fed < m->feed.bytes.n);
	if (m->input != SMTP_INPUT_BDAT || s->phase == SESSION_RUNNING)
		end_feed(m);
}

void smtp_body_forget(struct smtp_edge *m)
{
	if (m->body_fd >= 0)
		(void)close(m->body_fd);
	m->body_fd = -1;
	end_feed(m);
	m->size = 0;
	m->bdat = (struct frame_bdat){0};
	buf_clear(&m->body);
}

void smtp_body_begin(struct session *s, const struct msg_session_done *d)
{
	struct smtp_edge *m = &s->smtp;
	m->octets_max = d->next == NEXT_DATA ? d->arg : s->edge->role->conf->message_size_max;
	if (d->next == NEXT_DATA || (d->flags & DONE_FIRST)) {
		bool feeding = m->feeding; /* the new message's */
		m->feeding = false;
		smtp_body_forget(m);
		m->feeding = feeding;
		m->body_flags = 0;
		session_tell(s);
	}
	/* What is thrown away may be a chunk without a message. */
	if (d->next == NEXT_DATA || (d->flags & (DONE_FIRST | DONE_DISCARD))) {
		m->content_since = loop_now(s->edge->role->loop);
		m->content_octets = 0;
	}
	m->discard = d->flags & DONE_DISCARD;
	m->bdat_last = d->flags & DONE_LAST;
	m->input = d->next == NEXT_DATA ? SMTP_INPUT_DATA : SMTP_INPUT_BDAT;
	if (d->next == NEXT_DATA)
		m->data = FRAME_DATA_INIT(s->peer.normalise);
	else
		frame_bdat_chunk(&m->bdat, d->arg);
}
