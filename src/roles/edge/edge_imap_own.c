/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of a logged-in client that are about the connection, which is edge's: COMPRESS (RFC
 * 4978) and UNAUTHENTICATE (RFC 8437). The user process never hears of them, so nothing of them is
 * in a session's state. They wait until everything before them is answered; nothing is framed
 * behind them meanwhile.
 */
#include "roles/edge/edge.h"
#include "sys/log.h"

#define ARENA_MAX KIB(64)
#define TAG_MAX	  KIB(8)

/* One with a fault in it goes on to the user process, which counts those. */
static enum imap_own own_of(const struct imap_input *in, struct arena *arena, struct imap_cmd *cmd)
{
	if (imap_cmd_parse(in, NULL, arena, cmd, NULL) < 0 || cmd->tag.n > TAG_MAX)
		return IMAP_OWN_NONE;
	if (cmd->kind == IMAP_CMD_UNAUTHENTICATE)
		return IMAP_OWN_UNAUTHENTICATE;
	return str_eqi(cmd->compress, STR("DEFLATE")) ? IMAP_OWN_COMPRESS : IMAP_OWN_NONE;
}

bool edge_imap_takes(struct session *s, const struct imap_input *in, enum imap_cmd_kind kind)
{
	AUTO(arena) struct arena arena = ARENA_INIT(ARENA_MAX);
	struct imap_edge *m = &s->imap;
	struct imap_cmd cmd;
	if (kind != IMAP_CMD_COMPRESS && kind != IMAP_CMD_UNAUTHENTICATE)
		return false;
	if (s->phase == SESSION_PARKED) /* a line in IDLE is no command */
		return false;
	m->own = own_of(in, &arena, &cmd);
	if (m->own == IMAP_OWN_NONE)
		return false;
	m->own_tag = BUF_INIT(TAG_MAX);
	(void)buf_add(&m->own_tag, cmd.tag);
	edge_imap_own(s);
	return true;
}

static void answer(struct session *s, struct str tag, const char *text)
{
	AUTO(buf) struct buf out = BUF_INIT(TAG_MAX + 200);
	(void)buf_addf(&out, "%.*s %s\r\n", STR_ARG(tag), text);
	session_write(s, buf_str(&out));
}

static void compress(struct session *s, struct str tag)
{
	if (!conn_zip_may_begin(s->conn)) {
		answer(s, tag, "NO [COMPRESSIONACTIVE] DEFLATE is active already.");
		return;
	}
	answer(s, tag, "OK DEFLATE active.");
	conn_start_zip(s->conn);
	log_event(LOG_DEBUG, "imap.compress");
}

static void unauthenticate(struct session *s, struct str tag)
{
	if (session_logged_out(s))
		edge_imap_again(s, tag);
	if (s->conn)
		conn_end_zip(s->conn);
}

void edge_imap_own(struct session *s)
{
	struct imap_edge *m = &s->imap;
	enum imap_own own = m->own;
	if (own == IMAP_OWN_NONE || m->in_flight || m->more || s->mid_answer)
		return;
	AUTO(buf) struct buf tag = buf_move(&m->own_tag);
	m->own = IMAP_OWN_NONE;
	if (own == IMAP_OWN_COMPRESS)
		compress(s, buf_str(&tag));
	else
		unauthenticate(s, buf_str(&tag));
}
