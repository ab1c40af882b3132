/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/quota_status/quota_status.h"
#include "codec/policy/policy_request.h"
#include "codec/smtp/smtp_addr.h"

#define FULL  "552 5.2.2 Mailbox is full"
#define LATER "450 4.3.0 The mailbox cannot be looked at now, please try again later"

static int answer(const struct quota_status *q, const struct policy_request *p, struct buf *out,
		  unsigned *failed)
{
	struct smtp_addr to;
	struct fail why = FAIL_INIT;
	bool asks = p->state == POLICY_STATE_RCPT || p->state == POLICY_STATE_END_OF_MESSAGE;
	int r = 0;

	if (asks && smtp_mailbox_parse(p->recipient, &to) == 0)
		r = q->full(q->ctx, smtp_addr_str(&to), p->size, &why);
	if (r == -FAIL_BUSY)
		return r;
	*failed += r < 0;
	policy_answer_write(out, r == 1		     ? STR(FULL)
				 : r < 0 && q->defer ? STR(LATER)
						     : STR("DUNNO"));
	return 0;
}

int quota_status_answer(const struct quota_status *q, struct str input, struct buf *out,
			unsigned *ret_failed)
{
	size_t before = out->n, end;

	*ret_failed = 0;
	while (input.n > 0) {
		struct policy_request p;
		if (policy_frame_end(input, &end) < 0 || end == 0 ||
		    policy_request_parse(str_sub(input, 0, end), &p) < 0)
			return 1;
		int r = answer(q, &p, out, ret_failed);
		if (r < 0) {
			buf_cut(out, before);
			return r;
		}
		input = str_skip(input, end);
	}
	return 0;
}
