/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ipc/ipc.h"
#include "runtime/ipc/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every message type is decoded from the same bytes; a decoded one must encode again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc_packet *p = ipc_packet_make((struct str){(const char *)data, size}, NULL, 0);
	if (!p)
		return 0;
	union {
		struct msg_submit submit;
		struct msg_route_reply route;
		struct msg_admin_reply admin;
		struct msg_session_command command;
		struct msg_deliver deliver;
	} m;
	struct ipc_out out = {.body = BUF_INIT(IPC_BODY_MAX)};
	int r = -1;
	switch (p->head.type % 5) {
	case 0:
		p->head.type = IPC_SUBMIT;
		r = msg_submit_read(p, &m.submit);
		break;
	case 1:
		p->head.type = IPC_ROUTE_REPLY;
		r = msg_route_reply_read(p, &m.route);
		break;
	case 2:
		p->head.type = IPC_ADMIN_REPLY;
		r = msg_admin_reply_read(p, &m.admin);
		break;
	case 3:
		p->head.type = IPC_SESSION_COMMAND;
		r = msg_session_command_read(p, &m.command);
		break;
	default:
		p->head.type = IPC_DELIVER;
		r = msg_deliver_read(p, &m.deliver);
		break;
	}
	if (r == 0) {
		ipc_kinds[p->head.type].put(&m, &out);
		if (out.body.failed || !str_eq(buf_str(&out.body), p->body))
			__builtin_trap();
	}
	buf_clear(&out.body);
	ipc_packet_free(p);
	return 0;
}
