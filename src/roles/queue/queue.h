/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - between the files of the queue role.                                      [roles,
 * private]
 */
#ifndef BARID_ROLES_QUEUE_QUEUE_H
#define BARID_ROLES_QUEUE_QUEUE_H

#include "roles/role/role.h"
#include "roles/role/session_protocol.h"
#include "runtime/worker.h"
#include "service/spool/spool.h"

struct queue {
	struct role *role;
	struct spool *spool;
	struct pool *pool;
	struct pool *takers;  /* read what is due */
	struct pool *senders; /* the same of other servers */
	unsigned lanes;	      /* one per user process */
	bool stopping;	      /* loop: leave the spool alone */
};
extern struct queue queue;

/* deliver.c. deliver_wake comes from any thread, the others from the loop. */
void deliver_init(void);
void deliver_wake(unsigned lane);
void deliver_lane_up(unsigned lane);
/* Begin no more deliveries there for now; is none under way? */
void deliver_lane_hold(unsigned lane, bool hold);
bool deliver_lane_quiet(unsigned lane);
void deliver_lane_down(unsigned lane);
/* Deliveries that are finished on disk: tell the store that it may forget their receipts. Any
 * thread. */
void receipts_finished(void *ctx, const struct spool_receipt *r, size_t n);

/* send.c: to other servers, as deliver.c. send_wake comes from any thread. */
void send_init(void);
void send_wake(void);
void send_up(void);
void send_hold(bool hold);
bool send_quiet(void);
void send_down(void);

/* Backups that run: receipts stay where they are until the last is over. The loop. */
void receipts_keep(bool on);

/* queue_tool.c: backup, on a connection of its own */
void tool_ask(struct role_tool *t, struct ipc_packet *p); /* owns p */
void tool_end(struct role_tool *t);

/* queue_query.c: which recipients an order is about. Borrows from the words. */
#define QUEUE_LIST_MAX 15000 /* rows of one answer */
struct queue_words {
	struct spool_query q;
	bool narrowed; /* some of the queue */
	bool all;      /* said so */
	bool dry_run;
};
MUST_CHECK int queue_words(const struct msg_text *words, size_t n, struct queue_words *ret,
			   struct fail *why);

/* queue.c: where dir says that an address leads. Blocking. */
MUST_CHECK int queue_route(void *role, const struct spool_question *what, struct arena *a,
			   struct spool_route *ret, struct fail *why);

/* queue.c: the message map of a text that we wrote, of scan. Blocking. */
MUST_CHECK int queue_map(void *role, struct str body, struct arena *a, struct str *ret,
			 struct fail *why);

/* tls_reports.c: to other domains. The loop; reports_end waits, and comes from elsewhere. */
void reports_init(void);
void reports_stop(void);
void reports_end(void);

/* queue_admin.c: `barid queue ...`, on a worker thread */
void queue_admin(struct role *role, struct ipc_packet *p);

#endif
