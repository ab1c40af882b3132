/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions: each waits for its answer, its deadline, or the end of who was asked.
 */
#include "base/check.h"
#include "runtime/ipc/ipc_int.h"
#include "sys/futex.h"
#include <time.h>

/* Judge a reply; on anything but the wanted type it is freed. */
static int judge(struct ipc_packet **reply, enum ipc_type want, struct fail *why)
{
	struct ipc_packet *p = *reply;
	if (p->head.type == want)
		return 0;
	int r = fail_set(why, FAIL_BUG, NULL, "answer of type %s instead of %s",
			 ipc_type_name(p->head.type), ipc_type_name(want));
	struct msg_fail m;
	if (p->head.type == IPC_FAIL && msg_fail_read(p, &m) == 0 && m.code > 0 &&
	    m.code < FAIL_CODE_COUNT) {
		char text[FAIL_PUBLIC_MAX];
		/* FAIL_PEER is kept for "who was asked has ended"; this one lives, but somebody
		 * behind it does not. */
		enum fail_code code = m.code == FAIL_PEER ? FAIL_TEMP : (enum fail_code)m.code;
		(void)snprintf(text, sizeof text, "%.*s", STR_ARG(m.public));
		r = fail_set(why, code, text, "%.*s", STR_ARG(m.detail));
	}
	ipc_packet_free(p);
	*reply = NULL;
	return r;
}

/* Finish a question: nobody will look it up again. The lock is held. */
static void retire(struct ipc_channel *ch, struct ipc_pending *w)
{
	(void)map_remove(&ch->pending, w->request);
	if (w->waiting)
		ipc_forget(ch, w->waiting);
	w->finished = true;
}

/* The deadline is over; an answer that came at the last moment counts. */
static void give_up_waiting(struct ipc_channel *ch, struct ipc_pending *w,
			    const struct ipc_question *q, unsigned ms)
{
	pthread_mutex_lock(&ch->lock);
	if (!w->finished) {
		retire(ch, w);
		w->r = fail_set(&w->why, FAIL_DEADLINE, NULL, "%s %u did not answer %s in %u ms",
				ch->name, ch->index, ipc_type_name(q->type), ms);
	}
	pthread_mutex_unlock(&ch->lock);
}

int ipc_call(struct ipc_channel *ch, const struct ipc_question *q, struct ipc_packet **ret,
	     struct fail *why)
{
	unsigned ms = q->deadline_ms ? q->deadline_ms : IPC_DEADLINE_MS;
	struct timespec until = futex_deadline(ms);
	struct ipc_head head = {.type = (uint16_t)q->type, .trace = q->trace.v, .deadline_ms = ms};
	struct ipc_pending w = {.want = q->want, .only_while_up = q->only_while_up};
	struct sending how = {.pending = &w};
	CHECK(!loop_is_own_thread(ch->loop)); /* it would wait for itself */
	int r = ipc_send_message(ch, &head, q->msg, &how);
	if (r < 0)
		return fail_set(why, (enum fail_code) - r, NULL, "cannot ask %s %u for %s",
				ch->name, ch->index, ipc_type_name(q->type));
	if (!futex_wait(&w.done, &until))
		give_up_waiting(ch, &w, q, ms);
	if (w.r == 0) {
		w.r = judge(&w.reply, q->want, &w.why);
		*ret = w.reply;
	}
	if (w.r < 0 && why)
		*why = w.why;
	return w.r;
}

static void finish_ask(struct ipc_pending *w)
{
	struct ipc_channel *ch = w->ch;
	loop_timer_clear(ch->loop, &w->timer);
	struct ipc_packet *reply = w->reply;
	int r = w->r;
	if (r == 0)
		r = judge(&reply, w->want, &w->why);
	w->ask->pending = NULL;
	w->ask->done(w->ask, r, r == 0 ? reply : NULL, &w->why);
	free(w);
}

static void ask_timed_out(struct loop_timer *t)
{
	struct ipc_pending *w = CONTAINER_OF(t, struct ipc_pending, timer);
	pthread_mutex_lock(&w->ch->lock);
	retire(w->ch, w);
	pthread_mutex_unlock(&w->ch->lock);
	w->r = fail_set(&w->why, FAIL_DEADLINE, NULL, "%s %u did not answer in time", w->ch->name,
			w->ch->index);
	finish_ask(w);
}

static void ask_was_refused(struct loop_timer *t)
{
	finish_ask(CONTAINER_OF(t, struct ipc_pending, timer));
}

void ipc_ask(struct ipc_channel *ch, const struct ipc_question *q, struct ipc_ask *a)
{
	unsigned ms = q->deadline_ms ? q->deadline_ms : IPC_DEADLINE_MS;
	struct ipc_head head = {.type = (uint16_t)q->type, .trace = q->trace.v, .deadline_ms = ms};
	struct ipc_pending *w = xcalloc(1, sizeof *w);
	struct sending how = {.pending = w};
	w->want = q->want;
	w->only_while_up = q->only_while_up;
	w->ch = ch;
	w->ask = a;
	w->timer.fire = ask_timed_out;
	a->pending = w;
	loop_timer_in(ch->loop, &w->timer, ms);
	int r = ipc_send_message(ch, &head, q->msg, &how);
	if (r < 0) {
		w->r = fail_set(&w->why, (enum fail_code) - r, NULL, "cannot ask %s %u", ch->name,
				ch->index);
		/* By the timer: `done` never runs inside ipc_ask. */
		w->timer.fire = ask_was_refused;
		loop_timer_in(ch->loop, &w->timer, 0);
	}
}

void ipc_take_reply(struct ipc_channel *ch, struct ipc_packet *p)
{
	pthread_mutex_lock(&ch->lock);
	struct ipc_pending *w = map_get(&ch->pending, p->head.request);
	if (!w) { /* too late: the question was given up */
		pthread_mutex_unlock(&ch->lock);
		ipc_packet_free(p);
		return;
	}
	w->reply = p;
	retire(ch, w);
	bool ask = w->ask != NULL;
	if (!ask)
		atomic_store(&w->done, 1);
	pthread_mutex_unlock(&ch->lock);
	if (ask)
		finish_ask(w);
	else
		futex_wake(&w->done);
}

void ipc_lose_reply(struct ipc_channel *ch, uint32_t request)
{
	pthread_mutex_lock(&ch->lock);
	struct ipc_pending *w = map_get(&ch->pending, request);
	if (w) {
		w->r = fail_set(&w->why, FAIL_LIMIT, NULL, "no descriptor is free for an answer");
		retire(ch, w);
		if (!w->ask)
			atomic_store(&w->done, 1);
	}
	bool ask = w && w->ask;
	pthread_mutex_unlock(&ch->lock);
	if (ask)
		finish_ask(w);
	else if (w)
		futex_wake(&w->done);
}

/* One that waits in ipc_call, with its reason; NULL: none does. The lock is held. */
static struct ipc_pending *cancel_one(struct ipc_channel *ch)
{
	MAP_EACH (&ch->pending, i) {
		struct ipc_pending *w = ch->pending.slots[i].value;
		if (w->ask)
			continue;
		w->r = fail_set(&w->why, FAIL_CANCELLED, NULL, "%s %u is not waited for any more",
				ch->name, ch->index);
		retire(ch, w);
		return w;
	}
	return NULL;
}

void ipc_channel_cancel(struct ipc_channel *ch)
{
	for (bool again = true; again;) {
		_Atomic uint32_t *done = NULL;
		pthread_mutex_lock(&ch->lock);
		struct ipc_pending *w = cancel_one(ch);
		if (w) {
			done = &w->done;
			atomic_store(done, 1);
		}
		pthread_mutex_unlock(&ch->lock);
		if (done)
			futex_wake(done); /* by its address alone: its owner may be gone */
		again = done != NULL;
	}
}

void ipc_fail_questions(struct ipc_channel *ch, bool all)
{
	for (bool again = true; again;) {
		again = false;
		pthread_mutex_lock(&ch->lock);
		struct ipc_pending *ask = NULL;
		_Atomic uint32_t *call = NULL;
		MAP_EACH (&ch->pending, i) {
			struct ipc_pending *w = ch->pending.slots[i].value;
			if (!w->sent && !w->only_while_up && !all)
				continue;
			again = true;
			w->r = fail_set(&w->why, FAIL_PEER, NULL, "%s %u ended", ch->name,
					ch->index);
			retire(ch, w);
			if (w->ask) {
				ask = w;
			} else {
				call = &w->done;
				atomic_store(call, 1);
			}
			break;
		}
		pthread_mutex_unlock(&ch->lock);
		if (ask)
			finish_ask(ask);
		if (call)
			futex_wake(call);
	}
}
