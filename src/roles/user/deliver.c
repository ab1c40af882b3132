/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliveries from queue: many at a time share the store's transactions. The answer to queue is
 * given when the message is on disk.
 *
 * Quota is judged when a recipient is accepted (at RCPT), not here: what was answered with 250
 * is delivered, and nobody gets a bounce for mail that we took.
 */
#include "base/check.h"
#include "roles/role/task.h"
#include "roles/user/posting.h"
#include "roles/user/user.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include <stdlib.h>
#include <unistd.h>

COUNTER(delivered_count, "user.delivered", "messages stored");
HISTOGRAM(delay_time, "user.delivery", "from arrival to the mailbox");
COUNTER(repeated_count, "user.repeated", "deliveries that were stored already");

struct incoming {
	struct store_delivery d;
	struct ipc_packet *p;
	struct msg_deliver m;
	struct store_body file;
	struct buf prefix;
	struct arena arena; /* what the folder was found in */
	bool ensured;	    /* the account was made for it: do not try that twice */
};

static void incoming_free(struct incoming *in)
{
	store_body_clear(&in->file);
	buf_clear(&in->prefix);
	arena_clear(&in->arena);
	ipc_packet_free(in->p);
	free(in);
}

/* What takes a while first: the account is new to the store and made, or rights are read. */
struct again {
	struct pool_job job;
	struct incoming *in;
};

/* The store knows nothing of the account: it is new, or was deleted while the message waited. */
static int ask_dir(struct account_id account, struct fail *why)
{
	struct msg_account m = {.account = account.v};
	struct ipc_question q = {.type = IPC_ACCOUNT, .msg = &m, .want = IPC_OK};
	struct ipc_packet *p = NULL;
	int r = ipc_call(role_peer(user.role, "dir", 0), &q, &p, why);
	ipc_packet_free(p);
	return r;
}

static void finished(struct store_delivery *d, int r, const struct fail *why);

static void again_run(struct job *job)
{
	struct again *a = CONTAINER_OF(job, struct again, job.job);
	struct incoming *in = a->in;
	struct fail why = FAIL_INIT;
	free(a);
	in->ensured = true;
	int r = ask_dir(in->d.account, &why);
	if (r == 0)
		r = store_account_ensure(user.store, in->d.account, store_default_folders, &why);
	if (r < 0) {
		finished(&in->d, r, &why);
	} else {
		store_deliver(user.store, &in->d);
	}
}

static void finished(struct store_delivery *d, int r, const struct fail *why)
{
	static const struct msg_ok ok = {0};
	struct incoming *in = CONTAINER_OF(d, struct incoming, d);
	if (r == -FAIL_NOTFOUND && !in->ensured) {
		struct again *a = xcalloc(1, sizeof *a);
		*a = (struct again){.job.job.run = again_run, .in = in};
		pool_submit(user.upkeep, &a->job);
		return;
	}
	log_context(ipc_packet_trace(in->p), (struct session_id){0});
	if (r == 0) {
		CRASH_POINT("user.delivered-before-reply");
		int64_t delay = clock_wall().v - in->m.arrival_us;
		histogram_add(delay_time, (uint64_t)MAX(delay, INT64_C(0)));
		counter_add(d->repeated ? &repeated_count : &delivered_count, 1);
		log_event(LOG_INFO, "deliver", log_u64("number", in->m.number),
			  log_address("from", in->m.sender), log_address("to", in->m.address),
			  log_str("detail", in->m.detail), log_u64("uid", d->uid.v),
			  log_u64("size", in->m.size),
			  log_c("repeated", d->repeated ? "yes" : "no"));
		(void)ipc_reply(in->p, IPC_OK, &ok);
		CRASH_POINT("user.delivered-after-reply");
		user_usage_changed(d->account);
	} else {
		bool theirs = r == -FAIL_NOTFOUND || r == -FAIL_QUOTA || r == -FAIL_TOOBIG;
		log_event(theirs ? LOG_WARN : LOG_ERROR, "deliver.failed",
			  log_u64("number", in->m.number), log_address("from", in->m.sender),
			  log_address("to", in->m.address), log_fail(why));
		(void)ipc_reply_fail(in->p, why);
	}
	log_context((struct trace_id){0}, (struct session_id){0});
	incoming_free(in);
}

/* RFC 5321 4.4: the final delivery adds Return-Path; Delivered-To tells loops and people apart. */
static void write_prefix(struct incoming *in)
{
	const struct msg_deliver *m = &in->m;
	struct str domain = m->address, local = STR_NULL;
	(void)str_cut(&domain, '@', &local);
	(void)buf_addf(&in->prefix, "Return-Path: <%.*s>\r\nDelivered-To: %.*s", STR_ARG(m->sender),
		       STR_ARG(local));
	if (m->detail.n)
		(void)buf_addf(&in->prefix, "+%.*s", STR_ARG(m->detail));
	(void)buf_addf(&in->prefix, "@%.*s\r\n%.*s", STR_ARG(domain), STR_ARG(m->prefix));
}

static int prepare(struct incoming *in, struct fail *why)
{
	struct msg_deliver *m = &in->m;
	if (msg_deliver_read(in->p, m) < 0 || m->epoch.n != 16 || m->sha256.n != 32)
		return fail_set(why, FAIL_PEER, NULL, "bad delivery");
	write_prefix(in);
	if (in->prefix.failed)
		return fail_set(why, FAIL_TOOBIG, NULL, "the trace headers are too long");
	if (m->file >= 0) {
		if (m->body_id.n != sizeof in->file.id)
			return fail_set(why, FAIL_PEER, NULL, "bad delivery");
		memcpy(in->file.id, m->body_id.p, sizeof in->file.id);
		memcpy(in->file.sha256, m->sha256.p, sizeof in->file.sha256);
		in->file.fd = ipc_packet_take_fd(in->p, m->file);
		in->file.size = m->size;
		in->file.sealed = true;
	}
	in->d = (struct store_delivery){
		.account = {m->account},
		.receipt = {.number = m->number, .rcpt = m->rcpt},
		.folder = m->detail,
		.content = {.prefix = buf_str(&in->prefix),
			    .bytes = m->body,
			    .sha256 = (const uint8_t *)m->sha256.p, /* queue has compared it */
			    .file = m->file >= 0 ? &in->file : NULL,
			    .map = m->map},
		.internaldate = {m->arrival_us},
		.done = finished,
	};
	memcpy(in->d.receipt.epoch, m->epoch.p, sizeof in->d.receipt.epoch);
	return 0;
}

/* To a mailbox of its own: for some, that is the inbox. */
static void check_run(struct job *job)
{
	struct again *a = CONTAINER_OF(job, struct again, job.job);
	struct incoming *in = a->in;
	struct posting p = {.account = in->d.account,
			    .address = in->m.address,
			    .detail = in->m.detail,
			    .sender = {in->m.auth_account}};
	free(a);
	in->d.folder = posting_target(&p, &in->arena);
	store_deliver(user.store, &in->d);
}

void deliver(struct ipc_packet *p)
{
	struct fail why = FAIL_INIT;
	struct incoming *in = xcalloc(1, sizeof *in);
	in->p = p;
	in->file = STORE_BODY_INIT;
	in->prefix = BUF_INIT(STORE_PREFIX_MAX);
	in->arena = ARENA_INIT(MIB(64));
	CRASH_POINT("user.deliver");
	if (prepare(in, &why) < 0) {
		(void)ipc_reply_fail(p, &why);
		incoming_free(in);
		return;
	}
	if (in->m.detail.n == 0) {
		store_deliver(user.store, &in->d);
		return;
	}
	struct again *a = xcalloc(1, sizeof *a);
	*a = (struct again){.job.job.run = check_run, .in = in};
	pool_submit(user.upkeep, &a->job);
}

void receipts_drop(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_receipt_drop m;
	struct fail why = FAIL_INIT;
	(void)role;
	int r = msg_receipt_drop_read(p, &m);
	if (r == 0 && m.epoch.n != 16)
		r = -FAIL_PEER;
	for (size_t i = 0; r == 0 && i < m.receipts_n; i++) {
		struct store_receipt one = {.number = m.receipts[i].number,
					    .rcpt = m.receipts[i].rcpt};
		memcpy(one.epoch, m.epoch.p, sizeof one.epoch);
		r = store_receipt_drop(user.store, (struct account_id){m.receipts[i].account}, &one,
				       1, &why);
		if (r == -FAIL_NOTFOUND)
			r = 0;
	}
	CRASH_POINT("user.receipts-dropped");
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	else
		(void)ipc_reply(p, IPC_OK, &ok);
}
