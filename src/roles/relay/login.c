/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/relay/login.h"
#include "base/check.h"
#include "sys/clock.h"
#include "sys/log.h"
#include <stdio.h>
#include <string.h>

/*
 * Which login dir has told a moment ago, without its password: enough to know whose connections
 * that are open already may be used.
 */
#define NOTES	256u
#define NOTE_MS 5000
static struct {
	pthread_mutex_t lock;
	struct note {
		struct mono_ns until;
		char sender[RELAY_USER_MAX], nexthop[NEXTHOP_TEXT_MAX + 1], user[RELAY_USER_MAX];
	} * v[NOTES];
} notes = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct note **note_of(struct str sender, struct str nexthop)
{
	return &notes.v[(str_hash(sender) * 31 + str_hash(nexthop)) % NOTES];
}

static void note_login(struct str sender, struct str nexthop, const char *user)
{
	pthread_mutex_lock(&notes.lock);
	struct note **n = note_of(sender, nexthop);
	*n = *n ? *n : xcalloc(1, sizeof **n);
	(*n)->until = mono_add_ms(clock_mono(), NOTE_MS);
	(void)snprintf((*n)->sender, sizeof(*n)->sender, "%.*s", STR_ARG(sender));
	(void)snprintf((*n)->nexthop, sizeof(*n)->nexthop, "%.*s", STR_ARG(nexthop));
	(void)snprintf((*n)->user, sizeof(*n)->user, "%s", user);
	pthread_mutex_unlock(&notes.lock);
}

bool login_noted(struct str sender, struct str nexthop, char user[RELAY_USER_MAX])
{
	pthread_mutex_lock(&notes.lock);
	const struct note *n = *note_of(sender, nexthop);
	bool found = n && mono_before(clock_mono(), n->until) && str_eq(str_c(n->sender), sender) &&
		     str_eq(str_c(n->nexthop), nexthop);
	if (found)
		(void)snprintf(user, RELAY_USER_MAX, "%s", n->user);
	pthread_mutex_unlock(&notes.lock);
	return found;
}

int login_find(const struct msg_relay *m, struct trace_id trace, struct relay_login *ret,
	       struct smtp_answer *answer)
{
	struct msg_relay_login ask = {.sender = m->sender, .nexthop = m->nexthop};
	struct ipc_question q = {.type = IPC_RELAY_LOGIN,
				 .msg = &ask,
				 .want = IPC_RELAY_LOGIN_REPLY,
				 .trace = trace};
	struct msg_relay_login_reply reply;
	struct ipc_packet *p = NULL;
	struct fail why = FAIL_INIT;
	if (ret->known || m->nexthop.n == 0)
		return 0;
	int r = ipc_call(role_peer(relay.role, "dir", 0), &q, &p, &why);
	if (r == 0)
		r = msg_relay_login_reply_read(p, &reply);
	if (r == 0 && reply.known && reply.username.n < sizeof ret->user &&
	    reply.password.n < sizeof ret->password) {
		memcpy(ret->user, reply.username.p, reply.username.n);
		memcpy(ret->password, reply.password.p, reply.password.n);
	}
	ipc_packet_free(p);
	if (r < 0) {
		log_event(LOG_WARN, "relay.no-login", log_u64("number", m->number), log_fail(&why));
		smtp_answer_own(answer, "4.3.0",
				STR("The login for the relay host is not known now."));
		return -FAIL_TEMP;
	}
	ret->known = true;
	note_login(m->sender, m->nexthop, ret->user);
	return 0;
}
