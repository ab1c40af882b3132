/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/role/right.h"
#include "roles/role/role.h"

_Static_assert(RIGHT_TICKET_MAX <= UINT8_MAX, "its length is a byte");

static struct str text_of(const struct right *r)
{
	return (struct str){r->ticket, r->n};
}

bool right_set(struct right *r, struct str ticket)
{
	*r = (struct right){0};
	if (ticket.n == 0 || ticket.n > sizeof r->ticket)
		return false;
	memcpy(r->ticket, ticket.p, ticket.n);
	r->n = (unsigned char)ticket.n;
	return true;
}

void right_over(struct role *role, uint64_t session, const struct right *r)
{
	struct msg_login_over m = {.session = session};
	/* A dir that is away forgets by itself: it is not shown this one again. */
	if (r->n > 0)
		(void)ipc_send(role_peer(role, "dir", 0), (struct trace_id){0}, IPC_LOGIN_OVER, &m);
}

int right_renew(struct role *role, uint64_t session, struct account_id account,
		const struct right *r, struct fail *why)
{
	struct msg_login_renew m = {.session = session, .account = account.v, .ticket = text_of(r)};
	struct ipc_question q = {.type = IPC_LOGIN_RENEW, .msg = &m, .want = IPC_OK};
	struct ipc_packet *reply = NULL;
	int result = ipc_call(role_peer(role, "dir", 0), &q, &reply, why);
	if (result == -FAIL_PEER) /* it died with the question in hand */
		result = ipc_call(role_peer(role, "dir", 0), &q, &reply, why);
	ipc_packet_free(reply);
	return result;
}

void right_shown(struct right_show *all)
{
	struct msg_ticket t[ARRAY_LEN(all->some)];
	struct msg_login_again m = {.tickets = t, .tickets_n = all->n};
	for (size_t i = 0; i < all->n; i++)
		t[i] = (struct msg_ticket){all->some[i].session, text_of(&all->some[i].right)};
	if (all->n > 0)
		(void)ipc_send(role_peer(all->role, "dir", 0), (struct trace_id){0},
			       IPC_LOGIN_AGAIN, &m);
	all->n = 0;
}

void right_show(struct right_show *all, uint64_t session, const struct right *r)
{
	if (r->n == 0)
		return;
	all->some[all->n].session = session;
	all->some[all->n++].right = *r;
	if (all->n == ARRAY_LEN(all->some))
		right_shown(all);
}
