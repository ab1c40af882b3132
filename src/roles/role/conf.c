/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running configuration of a role, and its change in two steps: every role has read and
 * accepted a new one before it counts in any of them.
 */
#include "base/check.h"
#include "roles/role/role_int.h"
#include "sys/crash.h"
#include "sys/fdpass.h"
#include "sys/log.h"
#include <string.h>

#define NOTES_MAX 100u

int role_conf_read(int fd, const struct conf **ret, struct fail *why)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(16));
	AUTO(memmap) struct memmap text = {0};
	AUTO(conf) struct conf *c = NULL;
	int r = memmap_sealed(fd, CONF_BYTES_MAX, &text, why);
	if (r < 0)
		return r;
	if (conf_parse("master", text.bytes, &c, &errors) < 0)
		return fail_set(why, FAIL_PEER, NULL, "bad configuration from master: %s",
				buf_c(&errors));
	*ret = conf_freeze(c);
	return 0;
}

static void take_log_level(const struct conf *c)
{
	enum log_level level;
	if (log_level_parse(str_c(c->log_level), &level))
		log_set_level(level);
}

int role_conf_begin(struct role *role, const struct conf *first, struct fail *why)
{
	int r = role->ops->prepare ? role->ops->prepare(role, first, why) : 0;
	if (r < 0) {
		conf_drop(first);
		return r;
	}
	role->conf = first;
	role->partitions = (unsigned)first->store_partitions;
	role->user_workers = (unsigned)first->user_workers;
	role->edge_workers = (unsigned)first->edge_workers;
	role->edge_places = role->edge_workers * ROLE_EDGE_GENERATIONS;
	take_log_level(first);
	return 0;
}

const struct conf *role_conf_hold(struct role *role)
{
	pthread_mutex_lock(&role->conf_lock);
	const struct conf *c = conf_hold(role->conf);
	pthread_mutex_unlock(&role->conf_lock);
	return c;
}

static void forget(struct role *role)
{
	conf_drop(role->next);
	role->next = NULL;
}

static void reply_prepared(struct ipc_packet *p, struct str notes)
{
	struct msg_remark list[NOTES_MAX];
	size_t n = 0;
	struct str line;
	while (n < NOTES_MAX && str_cut(&notes, '\n', &line))
		if (line.n)
			list[n++].text = str_sub(line, 0, 400);
	struct msg_prepared m = {.notes = list, .notes_n = n};
	(void)ipc_reply(p, IPC_PREPARED, &m);
}

static void prepare(struct role *role, struct ipc_packet *p)
{
	struct msg_prepare m;
	struct fail why = FAIL_INIT;
	const struct conf *fresh = NULL;
	AUTO(buf) struct buf notes = BUF_INIT(KIB(64));
	CRASH_POINT("role.prepare");
	int r = msg_prepare_read(p, &m);
	if (r < 0)
		r = fail_set(&why, FAIL_PEER, NULL, "bad configuration from master");
	if (r == 0)
		r = role_conf_read(m.conf, &fresh, &why);
	if (r == 0 && role->ops->prepare)
		r = role->ops->prepare(role, fresh, &why);
	if (r == 0 && role->ops->certificates && m.identities_n)
		r = role->ops->certificates(role, m.identities, m.identities_n, &notes, &why);
	if (r < 0) {
		conf_drop(fresh);
		(void)ipc_reply_fail(p, &why);
		return;
	}
	forget(role);
	role->next = fresh;
	role->next_revision = m.revision;
	reply_prepared(p, notes.n ? buf_str(&notes) : STR_NULL);
}

static void commit(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_commit m;
	struct fail why = FAIL_INIT;
	CRASH_POINT("role.commit");
	if (msg_commit_read(p, &m) < 0 || !role->next || role->next_revision != m.revision) {
		(void)fail_set(&why, FAIL_CONFLICT, NULL, "this configuration was not prepared");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	const struct conf *before = role->conf;
	pthread_mutex_lock(&role->conf_lock);
	role->conf = TAKE(role->next);
	pthread_mutex_unlock(&role->conf_lock);
	if (strcmp(before->log_level, role->conf->log_level) != 0)
		take_log_level(role->conf);
	if (role->ops->reconfigure && role->started)
		role->ops->reconfigure(role, before);
	conf_drop(before);
	(void)ipc_reply(p, IPC_OK, &ok);
}

void role_conf_message(struct role *role, struct ipc_packet *p)
{
	if (ipc_packet_type(p) == IPC_PREPARE)
		prepare(role, p);
	else if (ipc_packet_type(p) == IPC_COMMIT)
		commit(role, p);
	else
		forget(role);
}
