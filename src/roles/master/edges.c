/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the edge processes have in common: the board on which they count together, and the keys of
 * TLS session tickets. Any edge can so resume a session that another one began, also one that has
 * died. The keys live here and in the edges, in memory alone.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "roles/role/role.h"
#include "sys/log.h"
#include "sys/rand.h"
#include <string.h>

#define TICKETS_MS INT64_C(43200000) /* 12 h: a key makes tickets, and is good for 12 h more */

static bool is_edge(const struct child *c)
{
	return strcmp(c->kind->name, "edge") == 0;
}

static void give_tickets(struct child *c)
{
	struct master *m = c->master;
	struct msg_tickets t = {.keys = {(const char *)m->tickets, sizeof m->tickets}};
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_TICKETS, &t);
}

static void rotate(struct loop_timer *t)
{
	struct master *m = CONTAINER_OF(t, struct master, tickets_due);
	memcpy(m->tickets[1], m->tickets[0], sizeof m->tickets[0]);
	rand_bytes(m->tickets[0], sizeof m->tickets[0]);
	for (size_t i = 0; i < m->children_n; i++)
		if (is_edge(&m->children[i]) && m->children[i].wired)
			give_tickets(&m->children[i]);
	loop_timer_in(m->loop, t, TICKETS_MS);
}

int edges_begin(struct master *m, struct fail *why)
{
	rand_bytes(m->tickets, sizeof m->tickets);
	m->tickets_due.fire = rotate;
	loop_timer_in(m->loop, &m->tickets_due, TICKETS_MS);
	return board_new((unsigned)m->conf->edge_workers * ROLE_EDGE_GENERATIONS, &m->board_fd,
			 &m->board, why);
}

void edges_give(struct child *c)
{
	struct msg_board b = {.memory = c->master->board_fd};
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_BOARD, &b);
	give_tickets(c);
}

void edges_ended(const struct master *m, pid_t pid)
{
	board_leave(m->board, (uint32_t)pid);
}
