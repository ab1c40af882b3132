/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hand what is due to the user processes, and receipts when they may be forgotten.
 */
#include "base/check.h"
#include "roles/queue/queue.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include <stdlib.h>
#include <unistd.h>

COUNTER(handed_out, "queue.handed-out", "deliveries given to a user process");
COUNTER(deliveries_failed, "queue.delivery-failed", "deliveries that a user process refused");

#define IN_FLIGHT_MAX	    512u
#define TAKE_AT_ONCE	    128u
#define RECEIPTS_AT_ONCE    500u
#define DELIVER_DEADLINE_MS 120000

/*
 * The first message goes out at once, those behind it after this long, together: the spool loads
 * them and the store commits them at a fraction of the cost, and nobody reads that fast.
 */
#define PACE_MS 20

struct lane_state {
	unsigned in_flight;
	bool held; /* its user process is about to be replaced */
	/*
	 * What is due is read by a thread: it waits while others are written, and the loop, which
	 * takes messages in, must not. One load of a lane at a time.
	 */
	struct pool_job load;
	struct loop_task loaded;
	bool loading;
	bool again; /* look once more afterwards */
	bool died;  /* its process ended meanwhile */
	size_t want;
	struct spool_batch batch;
	struct loop_task wake;
	_Atomic bool wake_posted;
	struct loop_timer pace;
	struct mono_ns next; /* no earlier than this */
};
static struct lane_state *lanes;

struct delivery {
	struct ipc_ask ask;
	struct spool_key key;
	unsigned lane;
	struct trace_id trace;
};

/* --- outcomes
 * --------------------------------------------------------------------------------------------------------
 */

static void report(const struct delivery *d, int r, const struct fail *why)
{
	struct spool_result result = {.outcome = SPOOL_DELIVERED};
	if (r < 0) {
		bool for_good = r == -FAIL_QUOTA || r == -FAIL_NOTFOUND || r == -FAIL_TOOBIG;
		result.outcome = for_good ? SPOOL_FAILED : SPOOL_DEFERRED;
		result.status = r == -FAIL_QUOTA      ? "5.2.2"
				: r == -FAIL_NOTFOUND ? "5.1.1"
				: r == -FAIL_TOOBIG   ? "5.3.4"
						      : "4.3.0";
		result.text = str_c(why->public);
		counter_add(&deliveries_failed, 1);
		log_context(d->trace, (struct session_id){0});
		/* What the user process refused it has told itself. */
		log_event(r == -FAIL_DEADLINE ? LOG_WARN : LOG_DEBUG, "queue.not-delivered",
			  log_u64("number", d->key.number), log_u64("rcpt", d->key.rcpt),
			  log_fail(why));
		log_context((struct trace_id){0}, (struct session_id){0});
	}
	spool_done(queue.spool, d->key, &result);
}

static void delivered(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct delivery *d = CONTAINER_OF(a, struct delivery, ask);
	ipc_packet_free(p);
	lanes[d->lane].in_flight--;
	CRASH_POINT("queue.delivered");
	/* A process that ended says nothing: deliver_lane_down makes the row due again. */
	if (r != -FAIL_PEER && !queue.stopping)
		report(d, r, why);
	unsigned lane = d->lane;
	free(d);
	if (lanes[lane].in_flight < IN_FLIGHT_MAX / 2)
		deliver_wake(lane);
}

/* --- handing out
 * -------------------------------------------------------------------------------------------------------
 */

static void hand_out(unsigned lane, const struct spool_delivery *m, const struct spool_due *due)
{
	struct delivery *d = xcalloc(1, sizeof *d);
	d->ask.done = delivered;
	d->key = (struct spool_key){m->number, due->rcpt};
	d->lane = lane;
	d->trace = m->trace;
	struct msg_deliver msg = {
		.epoch = {(const char *)spool_epoch(queue.spool), SPOOL_EPOCH_LEN},
		.number = m->number,
		.rcpt = due->rcpt,
		.account = due->to.account.v,
		.address = due->to.address,
		.detail = due->to.detail,
		.sender = m->sender,
		.prefix = m->prefix,
		.body = m->body,
		.file = m->body_fd,
		.size = m->body_size,
		.sha256 = {(const char *)m->sha256, SPOOL_HASH_LEN},
		.map = m->map,
		.arrival_us = m->arrival.v,
		.auth_account = m->auth_account.v};
	if (m->body_fd >= 0)
		msg.body_id = (struct str){(const char *)m->body_id.b, sizeof m->body_id.b};
	struct ipc_question q = {.type = IPC_DELIVER,
				 .msg = &msg,
				 .want = IPC_OK,
				 .trace = m->trace,
				 .deadline_ms = DELIVER_DEADLINE_MS,
				 .only_while_up =
					 true}; /* when it dies, the spool hands out anew */
	lanes[lane].in_flight++;
	counter_add(&handed_out, 1);
	CRASH_POINT("queue.before-hand-out");
	ipc_ask(role_peer(queue.role, "user", lane), &q, &d->ask);
	CRASH_POINT("queue.handed-out");
}

static void load_run(struct job *job)
{
	struct lane_state *l = CONTAINER_OF(job, struct lane_state, load.job);
	struct fail why = FAIL_INIT;
	if (spool_take(queue.spool, (unsigned)(l - lanes), l->want, &l->batch, &why) < 0)
		log_event(LOG_ERROR, "queue.take", log_fail(&why));
	loop_post(queue.role->loop, &l->loaded);
}

static bool may_hand_out(unsigned lane)
{
	return !queue.stopping && !lanes[lane].held && lanes[lane].in_flight < IN_FLIGHT_MAX &&
	       ipc_channel_is_up(role_peer(queue.role, "user", lane));
}

static void hand_out_due(unsigned lane)
{
	struct lane_state *l = &lanes[lane];
	l->again = l->loading;
	if (l->loading || !may_hand_out(lane))
		return;
	l->loading = true;
	l->want = MIN(TAKE_AT_ONCE, IN_FLIGHT_MAX - l->in_flight);
	pool_submit(queue.takers, &l->load);
}

static void loaded(struct loop_task *task)
{
	struct lane_state *l = CONTAINER_OF(task, struct lane_state, loaded);
	unsigned lane = (unsigned)(l - lanes);
	struct spool_batch *b = &l->batch;
	bool more = b->n > 0 || l->again;
	l->loading = false;
	if (l->died || !may_hand_out(lane)) {
		if (!queue.stopping)
			spool_return(queue.spool, b);
	} else {
		for (size_t i = 0; i < b->n; i++)
			for (size_t k = 0; k < b->v[i].n_due; k++)
				hand_out(lane, &b->v[i], &b->v[i].due[k]);
	}
	spool_batch_clear(b);
	if (l->died && !queue.stopping)
		spool_lane_died(queue.spool, lane);
	l->died = false;
	if (more)
		hand_out_due(lane);
}

static void woken(struct loop_task *task)
{
	struct lane_state *l = CONTAINER_OF(task, struct lane_state, wake);
	atomic_store(&l->wake_posted, false);
	if (queue.stopping)
		return;
	struct mono_ns now = clock_mono();
	int64_t early = l->next.v - now.v; /* more than a pace: tests have bent the clock */
	if (early > 0 && early <= PACE_MS * MS_NS) {
		loop_timer_set(queue.role->loop, &l->pace, l->next);
		return;
	}
	l->next.v = now.v + PACE_MS * MS_NS;
	hand_out_due((unsigned)(l - lanes));
}

void deliver_wake(unsigned lane)
{
	if (!atomic_exchange(&lanes[lane].wake_posted, true))
		loop_post(queue.role->loop, &lanes[lane].wake);
}

static void pace_over(struct loop_timer *t)
{
	deliver_wake((unsigned)(CONTAINER_OF(t, struct lane_state, pace) - lanes));
}

/* --- receipts
 * --------------------------------------------------------------------------------------------------------------
 */

struct receipts {
	struct ipc_ask ask;
	struct loop_task send;
	unsigned lane;
	size_t n;
	struct spool_receipt r[RECEIPTS_AT_ONCE];
};

static void receipts_dropped(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct receipts *set = CONTAINER_OF(a, struct receipts, ask);
	ipc_packet_free(p);
	CRASH_POINT("queue.receipts-dropped");
	if (r == 0 && !queue.stopping)
		spool_receipts_dropped(queue.spool, set->r, set->n);
	else if (r < 0 && r != -FAIL_PEER) /* asked again when the process is back */
		log_event(LOG_WARN, "queue.receipts", log_fail(why));
	free(set);
}

static void send_receipts(struct loop_task *task)
{
	struct receipts *set = CONTAINER_OF(task, struct receipts, send);
	if (queue.stopping) {
		free(set);
		return;
	}
	struct msg_receipt list[RECEIPTS_AT_ONCE];
	for (size_t i = 0; i < set->n; i++)
		list[i] = (struct msg_receipt){.account = set->r[i].account.v,
					       .number = set->r[i].key.number,
					       .rcpt = set->r[i].key.rcpt};
	struct msg_receipt_drop m = {
		.epoch = {(const char *)spool_epoch(queue.spool), SPOOL_EPOCH_LEN},
		.receipts = list,
		.receipts_n = set->n};
	struct ipc_question q = {
		.type = IPC_RECEIPT_DROP, .msg = &m, .want = IPC_OK, .only_while_up = true};
	set->ask.done = receipts_dropped;
	ipc_ask(role_peer(queue.role, "user", set->lane), &q, &set->ask);
	CRASH_POINT("queue.receipts-sent");
}

static void flush_set(struct receipts **set)
{
	if (!*set)
		return;
	(*set)->send.run = send_receipts;
	loop_post(queue.role->loop, &(*set)->send);
	*set = NULL;
}

static void collect(struct receipts **sets, const struct spool_receipt *r)
{
	unsigned lane = role_shard(queue.role, r->account);
	if (!sets[lane]) {
		sets[lane] = xcalloc(1, sizeof *sets[lane]);
		sets[lane]->lane = lane;
	}
	sets[lane]->r[sets[lane]->n++] = *r;
	if (sets[lane]->n == RECEIPTS_AT_ONCE)
		flush_set(&sets[lane]);
}

/*
 * A backup takes the spool first and the mailboxes afterwards: a receipt that went in between would
 * be missing when the restored spool delivers again.
 */
static _Atomic unsigned keep_receipts;

void receipts_finished(void *ctx, const struct spool_receipt *r, size_t n)
{
	if (keep_receipts > 0)
		return; /* their rows stay: they are offered again */
	struct receipts **sets = xcalloc(queue.lanes, sizeof *sets);
	(void)ctx;
	for (size_t i = 0; i < n; i++)
		collect(sets, &r[i]);
	for (unsigned i = 0; i < queue.lanes; i++)
		flush_set(&sets[i]);
	free(sets);
}

/* Those whose dropping was never confirmed: after a restart of either side. */
static void offer_old_receipts(unsigned lane)
{
	struct fail why = FAIL_INIT;
	if (keep_receipts > 0)
		return;
	struct spool_receipt *r = xcalloc(RECEIPTS_AT_ONCE, sizeof *r);
	struct spool_key after = {0};
	struct receipts **sets = xcalloc(queue.lanes, sizeof *sets);
	int n;
	while ((n = spool_receipts(queue.spool, after, r, RECEIPTS_AT_ONCE, &why)) > 0) {
		after = r[n - 1].key;
		for (int i = 0; i < n; i++)
			if (role_shard(queue.role, r[i].account) == lane)
				collect(sets, &r[i]);
	}
	if (n < 0)
		log_event(LOG_ERROR, "queue.receipts", log_fail(&why));
	flush_set(&sets[lane]);
	free(sets);
	free(r);
}

void receipts_keep(bool on)
{
	if (on) {
		keep_receipts++;
		return;
	}
	if (--keep_receipts > 0)
		return;
	for (unsigned i = 0; i < queue.lanes; i++)
		if (ipc_channel_is_up(role_peer(queue.role, "user", i)))
			offer_old_receipts(i);
}

/* --- lanes
 * --------------------------------------------------------------------------------------------------------------------
 */

void deliver_init(void)
{
	lanes = xcalloc(queue.lanes, sizeof *lanes);
	for (unsigned i = 0; i < queue.lanes; i++) {
		lanes[i].batch = SPOOL_BATCH_INIT;
		lanes[i].load.job.run = load_run;
		lanes[i].loaded.run = loaded;
		lanes[i].wake.run = woken;
		lanes[i].pace.fire = pace_over;
	}
}

void deliver_lane_hold(unsigned lane, bool hold)
{
	lanes[lane].held = hold;
	if (!hold)
		deliver_wake(lane);
}

bool deliver_lane_quiet(unsigned lane)
{
	return lanes[lane].in_flight == 0 && !lanes[lane].loading;
}

void deliver_lane_up(unsigned lane)
{
	lanes[lane].held = false;
	offer_old_receipts(lane);
	hand_out_due(lane);
}

void deliver_lane_down(unsigned lane)
{
	if (lanes[lane].loading) /* what is being loaded was not handed out: it goes back first */
		lanes[lane].died = true;
	else
		spool_lane_died(queue.spool, lane);
}
