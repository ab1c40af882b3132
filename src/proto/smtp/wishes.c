/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client may ask for the way of its message: later (FUTURERELEASE, RFC 4865), in time
 * (DELIVERBY, RFC 2852), before others (MT-PRIORITY, RFC 6710), or only under TLS (REQUIRETLS, RFC
 * 8689). The first three are for users, the last one for everybody, where TLS is there already.
 */
#include "base/civil.h"
#include "proto/smtp/smtp_session_int.h"

static bool may_ask(const struct smtp_session *s)
{
	bool may_log_in = s->service == SMTP_SERVICE_SUBMISSION && (s->tls.n || s->trusted);
	return may_log_in || s->account.v;
}

static bool may_require_tls(const struct smtp_session *s)
{
	return s->tls.n > 0 && !smtp_is_internal(s);
}

static struct wall_us latest(const struct smtp_session *s)
{
	int64_t now = s->backend->now(s->backend->ctx).v;
	return (struct wall_us){now + (int64_t)s->config->future_release_s * SEC_US};
}

void smtp_wish_keywords(const struct smtp_session *s, struct buf *out)
{
	if (may_require_tls(s))
		buf_add(out, STR("\nREQUIRETLS"));
	if (!may_ask(s))
		return;
	if (s->config->future_release_s) {
		struct civil c;
		civil_from_us(latest(s), &c);
		buf_addf(out, "\nFUTURERELEASE %llu %04d-%02d-%02dT%02d:%02d:%02dZ",
			 (unsigned long long)s->config->future_release_s, (int)c.year, c.month,
			 c.day, c.hour, c.minute, c.second);
	}
	/* RFC 6710 section 10.2: MIXER knows three degrees, and maps the others to them. */
	buf_add(out, STR("\nDELIVERBY\nMT-PRIORITY MIXER"));
}

static struct wall_us held_until(const struct smtp_session *s, const struct smtp_mail *m)
{
	int64_t now = s->backend->now(s->backend->ctx).v;
	if (!m->has_hold || m->hold_until.v)
		return m->hold_until;
	return (struct wall_us){now + (int64_t)m->hold_for_s * SEC_US};
}

bool smtp_wish_refusal(const struct smtp_session *s, const struct smtp_mail *m,
		       struct smtp_status *ret)
{
	bool asks = m->has_hold || m->by_mode != SMTP_BY_NONE || m->has_priority;
	if (asks && !may_ask(s))
		*ret = (struct smtp_status){555, "5.5.4", "This parameter is not offered to you"};
	else if (m->requiretls && !may_require_tls(s))
		*ret = (struct smtp_status){530, "5.7.10", "REQUIRETLS needs TLS here"};
	else if (m->has_hold && !s->config->future_release_s)
		*ret = (struct smtp_status){555, "5.5.4", "FUTURERELEASE is not offered"};
	else if (held_until(s, m).v > latest(s).v)
		*ret = (struct smtp_status){501, "5.5.4", "Held longer than FUTURERELEASE allows"};
	else if (m->has_hold && m->by_mode != SMTP_BY_NONE)
		*ret = (struct smtp_status){501, "5.5.4", "A message is held or urgent, not both"};
	else
		return false;
	return true;
}

void smtp_wish_take(struct smtp_turn *t, const struct smtp_mail *m)
{
	struct smtp_session *s = t->s;
	struct spool_wishes *w = &s->t.wish;
	int most = (int)s->config->priority_max;
	int64_t now = s->backend->now(s->backend->ctx).v;
	w->hold_until = held_until(s, m);
	if (m->by_mode != SMTP_BY_NONE) {
		w->deliver_by = (struct wall_us){now + (int64_t)m->by_s * SEC_US};
		w->by = (m->by_mode == SMTP_BY_RETURN ? SPOOL_BY_RETURN : SPOOL_BY_NOTIFY) |
			(m->by_trace ? (unsigned)SPOOL_BY_TRACE : 0u);
	}
	w->requiretls = m->requiretls;
	w->priority = MIN(m->priority, most);
	if (m->priority > most) /* RFC 6710 section 5, rule 4 */
		smtp_sayf(t, 250, "2.3.6", "Ok, with priority %d", w->priority);
	else
		smtp_say(t, (struct smtp_status){250, "2.1.0", "Ok"});
}
