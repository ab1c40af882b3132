/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/relay/deliver_by.h"

#include "service/spool/spool.h"

#define BY_MAX 999999999 /* nine digits (RFC 2852 4) */

static bool is_asked(const struct msg_relay *m)
{
	return m->deliver_by_us != 0 && (m->deliver_by_mode & 3u) != SPOOL_BY_NONE;
}

static bool is_return(const struct msg_relay *m)
{
	return (m->deliver_by_mode & 3u) == SPOOL_BY_RETURN;
}

/* Only a filter hears whom the message came from. */
static bool is_relaying(const struct smtp_client *s, const struct msg_relay *m)
{
	return !s->lmtp && m->client.ip.n == 0;
}

void deliver_by_fill(const struct msg_relay *m, struct wall_us now, struct smtp_client_message *c)
{
	if (!is_asked(m))
		return;
	/* Of a part of a second nothing is promised: the time ends earlier rather than later. */
	int64_t left;
	if (__builtin_sub_overflow(m->deliver_by_us, now.v, &left))
		left = 0;
	int64_t s = left / SEC_US - (left % SEC_US < 0);
	s = MAX(MIN(s, (int64_t)BY_MAX), (int64_t)-BY_MAX);
	c->deliver_by_s = s == 0 ? -1 : s; /* 0 says that nobody asked */
	c->deliver_by_return = is_return(m);
	c->deliver_by_trace = m->deliver_by_mode & SPOOL_BY_TRACE;
	/* "R" with a time that is over is no parameter: deliver_by_check, or nothing, is said. */
	if (c->deliver_by_return && s <= 0)
		c->deliver_by_s = 0;
}

int deliver_by_check(const struct smtp_client *s, const struct msg_relay *m,
		     const struct smtp_client_message *c, struct smtp_answer *answer)
{
	if (!is_asked(m) || !is_return(m) || !is_relaying(s, m))
		return 0;
	if (c->deliver_by_s <= 0)
		smtp_answer_own(answer, "5.4.7", STR("The time that its sender gave is over."));
	else if (!(s->offers & SMTP_OFFERS_DELIVERBY))
		smtp_answer_own(answer, "5.3.3",
				STR("The next server does not promise delivery in the time that "
				    "its sender gave."));
	else if ((uint64_t)c->deliver_by_s < s->deliver_by_min)
		smtp_answer_own(answer, "5.4.7",
				STR("The next server needs more than the time that its sender "
				    "gave."));
	else
		return 0;
	return -FAIL_UNSUPPORTED;
}

bool deliver_by_is_told(const struct smtp_client *s, const struct msg_relay *m)
{
	return is_asked(m) && is_relaying(s, m) &&
	       (!(s->offers & SMTP_OFFERS_DELIVERBY) || m->deliver_by_mode & SPOOL_BY_TRACE);
}
