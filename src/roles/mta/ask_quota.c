/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a mailbox full? dir says, by the same question as at RCPT of our own SMTP. An answer is kept
 * for KEEP_MS by recipient and size, so that a sender who asks for the same again and again costs
 * little; a mailbox that fills up or is emptied is seen that much later.
 */
#include "base/check.h"
#include "base/map.h"
#include "proto/quota_status/quota_status.h"
#include "roles/mta/inquiry.h"
#include "service/dir/dir.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/log.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define KEEP_MS	 1000
#define KEPT_MAX 16384u
#define KEY_MAX	 400

COUNTER(asked, "quota.asked", "questions of other mail servers whether a mailbox is full");
COUNTER(refused, "quota.refused", "answers that it is");
COUNTER(failed, "quota.failed", "questions that nobody could answer in time");

struct kept {
	struct mono_ns until;
	bool full;
	char key[];
};

static struct {
	pthread_mutex_t lock;
	struct strmap map;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void forget_all(void)
{
	for (size_t i = 0; i < state.map.cap; i++)
		free(state.map.slots[i].value);
	strmap_clear(&state.map);
}

static int find(const char *key)
{
	(void)pthread_mutex_lock(&state.lock);
	const struct kept *k = strmap_get(&state.map, str_c(key));
	int r = k && mono_before(clock_mono(), k->until) ? k->full : -FAIL_BUSY;
	(void)pthread_mutex_unlock(&state.lock);
	return r;
}

static void keep(const char *key, bool full)
{
	size_t n = strlen(key);
	(void)pthread_mutex_lock(&state.lock);
	struct kept *k = strmap_get(&state.map, str_c(key));
	if (!k) {
		if (state.map.n >= KEPT_MAX)
			forget_all();
		k = xcalloc(1, sizeof *k + n + 1);
		memcpy(k->key, key, n);
		(void)strmap_put(&state.map, str_c(k->key), k);
	}
	k->until = mono_add_ms(clock_mono(), KEEP_MS);
	k->full = full;
	(void)pthread_mutex_unlock(&state.lock);
}

static int ask_dir(const struct inquiry_ask *q, struct str recipient, uint64_t size,
		   struct fail *why)
{
	struct msg_route m = {.address = recipient, .size = MAX(size, UINT64_C(1))};
	struct ipc_question i = {.type = IPC_ROUTE,
				 .msg = &m,
				 .want = IPC_ROUTE_REPLY,
				 .trace = q->trace,
				 .deadline_ms = (unsigned)q->conf->quota_status_deadline_ms};
	struct msg_route_reply reply = {0};
	struct ipc_packet *p = NULL;
	int r = ipc_call(role_peer(q->role, "dir", 0), &i, &p, why);

	if (r == -FAIL_PEER)
		r = ipc_call(role_peer(q->role, "dir", 0), &i, &p, why);
	if (r == 0)
		r = msg_route_reply_read(p, &reply);
	ipc_packet_free(p);
	return r < 0 ? r : reply.verdict == DIR_OVER_QUOTA;
}

static int is_full(void *ctx, struct str recipient, uint64_t size, struct fail *why)
{
	const struct inquiry_ask *q = *(const struct inquiry_ask **)ctx;
	char key[KEY_MAX];
	(void)snprintf(key, sizeof key, "%llu %.*s", (unsigned long long)size, STR_ARG(recipient));
	int r = find(key);

	if (r >= 0 || !q->wait)
		return r;
	r = ask_dir(q, recipient, size, why);
	if (r >= 0)
		keep(key, r == 1);
	else
		log_event(LOG_WARN, "quota.unknown", log_address("rcpt", recipient), log_fail(why));
	if (r == 1)
		log_event(LOG_INFO, "quota.full", log_address("rcpt", recipient),
			  log_u64("size", size));
	return r == -FAIL_BUSY ? -FAIL_TEMP : r;
}

static uint64_t count(struct str text, struct str what)
{
	uint64_t n = 0;
	for (size_t at = str_find_str(text, 0, what); at < text.n;
	     at = str_find_str(text, at + what.n, what))
		n++;
	return n;
}

int inquiry_quota(const struct inquiry_ask *q, struct buf *out, bool *ret_close)
{
	struct quota_status s = {.full = is_full,
				 .ctx = &q,
				 .defer = strcmp(q->conf->quota_status_failure, "defer") == 0};
	unsigned unknown = 0;
	int r = quota_status_answer(&s, q->input, out, &unknown);

	if (r < 0)
		return r;
	counter_add(&asked, count(buf_str(out), STR("action=")));
	counter_add(&refused, count(buf_str(out), STR("action=552")));
	counter_add(&failed, unknown);
	*ret_close = r == 1;
	return 1;
}
