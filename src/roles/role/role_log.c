/* SPDX-License-Identifier: Apache-2.0 */
/* Where a role logs, and how much: what master says about it. */
#include "roles/role/role_int.h"
#include "sys/log.h"
#include "sys/log_gate.h"

void role_log_to(const struct conf *c, int fd)
{
	if (fd < 0)
		return;
	/* With a file, the stream (the journal) hears of what somebody should look at. */
	log_limit_stream(strcmp(c->log_to, "file") == 0 ? LOG_WARN : LOG_DEBUG);
	log_to_file(fd);
}

static void take_file(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_log_file m;
	if (msg_log_file_read(p, &m) < 0 || !role->conf)
		return;
	role_log_to(role->conf, ipc_packet_take_fd(p, m.file));
	if (ipc_packet_wants_reply(p))
		(void)ipc_reply(p, IPC_OK, &ok);
}

static void take_level(struct ipc_packet *p)
{
	struct msg_log_level m;
	enum log_level level;
	if (msg_log_level_read(p, &m) == 0 && log_level_parse(m.level, &level))
		log_set_level(level);
}

static void take_peer(struct role *role, struct ipc_packet *p)
{
	struct msg_log_peer m;
	if (msg_log_peer_read(p, &m) == 0 && role->ops->log_peer)
		role->ops->log_peer(role, m.ip, m.seconds);
}

void role_log_message(struct role *role, struct ipc_packet *p)
{
	enum ipc_type type = ipc_packet_type(p);
	if (type == IPC_LOG_FILE)
		take_file(role, p);
	else if (type == IPC_LOG_LEVEL)
		take_level(p);
	else if (type == IPC_LOG_PEER)
		take_peer(role, p);
}

/* --- lines that were left out
 * -------------------------------------------------------------------------------- */

static struct {
	struct loop *loop;
	struct loop_task task; /* the gates wish once, until they have told */
	struct loop_timer timer;
} tell;

static void tell_now(struct loop_timer *t)
{
	(void)t;
	log_gate_tell();
}

static void tell_later(struct loop_task *task)
{
	(void)task;
	tell.timer.fire = tell_now;
	loop_timer_in(tell.loop, &tell.timer, LOG_GATE_TELL_MS);
}

static void wish(void)
{
	tell.task.run = tell_later;
	loop_post(tell.loop, &tell.task);
}

void role_log_begin(struct role *role)
{
	tell.loop = role->loop;
	log_gate_on_wish(wish);
}
