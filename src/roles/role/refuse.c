/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer may not say. It is logged, a few lines a second: who says it once can say it a
 * million times.
 */
#include "base/num.h"
#include "roles/role/role.h"
#include "roles/role/session_protocol.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/log.h"

#define LINES_A_SECOND 20u

COUNTER(refused, "ipc.refused", "messages between processes that their sender had no right to");

/* False: enough was said in this second. */
static bool may_log(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct mono_ns since;
	static unsigned lines;
	pthread_mutex_lock(&lock);
	struct mono_ns now = clock_mono();
	if (now.v - since.v > SEC_NS) {
		since = now;
		lines = 0;
	}
	bool may = lines < LINES_A_SECOND;
	lines += may;
	pthread_mutex_unlock(&lock);
	return may;
}

void role_refused(const struct ipc_channel *from, enum ipc_type type, const char *reason)
{
	counter_add(&refused, 1);
	if (may_log())
		log_event(LOG_ERROR, "ipc.refused", log_c("role", ipc_channel_name(from)),
			  log_u64("index", ipc_channel_index(from)),
			  log_c("message", ipc_type_name(type)), log_c("reason", reason));
}

void role_refuse(const struct ipc_channel *from, struct ipc_packet *p, const char *reason)
{
	struct fail why = FAIL_INIT;
	role_refused(from, ipc_packet_type(p), reason);
	(void)fail_set(&why, FAIL_PERM, NULL, "%s", reason);
	if (ipc_packet_wants_reply(p))
		(void)ipc_reply_fail(p, &why);
	ipc_packet_free(p);
}

/* Edge lets connections_max clients in; those that are on their way out come on top. */
#define LEAVING 1000u

bool role_sessions_enter(struct role *role, struct role_sessions *all, uint64_t session)
{
	unsigned *open = &all->open[session_edge(session)];
	if (*open >= role->conf->connections_max + LEAVING)
		return false;
	++*open;
	return true;
}

void role_sessions_leave(struct role_sessions *all, uint64_t session)
{
	--all->open[session_edge(session)];
}
