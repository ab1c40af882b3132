/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message: header, body, end; and the changes that a milter orders at the end. They are made to
 * a copy of the list of fields, which takes the list's place when the last answer is in.
 */
#include "service/milter/milter_int.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_AT   KIB(64)
#define ORDERS_MAX 20000u

/* What one milter does to one message. */
struct visit {
	struct peer *p;
	struct milter_mail *mail;
	struct milter_outcome *ret;
	bool skip_body;
	bool over; /* its verdict is in, or it wants no more */
	unsigned orders;
	bool body_begun;
	uint64_t body_octets;
	bool lost;		   /* we cannot store its new body: not the milter's fault */
	struct milter_mail staged; /* fields, rcpts, from, hold: as they will be */
};

static void visit_clear(struct visit *v)
{
	vec_clear(&v->staged.fields);
	vec_clear(&v->staged.rcpts);
}
DEFINE_AUTO(visit, struct visit, visit_clear);

/* --- telling --- */

/* The answer to a piece of the message. */
static int piece_answered(struct visit *v, struct fail *why)
{
	struct milter_reply r;
	int e = peer_answer(v->p, v->p->all->times.content_ms, &r, why);
	if (e < 0)
		return e;
	if (r.says == MILTER_SAYS_SKIP) {
		v->skip_body = true;
		return 0;
	}
	e = outcome_of(v->p, &r, v->ret, why);
	v->over = v->p->accepted || v->ret->verdict != MILTER_GO;
	return e;
}

/* The packet stands in p->out: hear the answer, or go on when there is none. */
static int piece_told(struct visit *v, const struct step *s, struct fail *why)
{
	struct peer *p = v->p;
	if (!(p->steps & s->silent))
		return piece_answered(v, why);
	return p->out.n < FLUSH_AT ? 0 : peer_flush(p, p->all->times.content_ms, why);
}

static struct str shown_value(const struct peer *p, struct str value)
{
	if (p->steps & MILTER_LEADING_SPACE)
		return value;
	while (value.n && (value.p[0] == ' ' || value.p[0] == '\t'))
		value = str_skip(value, 1);
	return value;
}

static int tell_header(struct visit *v, struct fail *why)
{
	struct peer *p = v->p;
	int r = 0;
	for (size_t i = 0; r == 0 && !v->over && i < v->mail->fields.n; i++) {
		const struct milter_field *f = &v->mail->fields.p[i];
		if (f->hidden)
			continue;
		milter_put_header(&p->out, f->name, shown_value(p, f->value));
		r = piece_told(v, &step_header, why);
	}
	return r;
}

static int read_piece(const struct milter_body *b, uint64_t at, char *to, size_t n,
		      struct fail *why)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = pread(b->fd, to + done, n - done, (off_t)(b->offset + at + done));
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? fail_errno(why, FAIL_IO, "reading the body")
				     : fail_set(why, FAIL_IO, NULL, "the body file is too short");
		done += (size_t)k;
	}
	return 0;
}

static int tell_body(struct visit *v, struct fail *why)
{
	struct peer *p = v->p;
	const struct milter_body *b = &v->mail->body;
	AUTO(buf) struct buf piece = BUF_INIT(MILTER_CHUNK);
	int r = 0;
	for (uint64_t at = 0; r == 0 && !v->over && !v->skip_body && at < b->size;) {
		size_t n = (size_t)MIN(b->size - at, (uint64_t)MILTER_CHUNK);
		struct str bytes = str_sub(b->bytes, (size_t)at, (size_t)at + n);
		if (b->fd >= 0) {
			char *room = buf_room(&piece, n);
			r = read_piece(b, at, room, n, why);
			if (r < 0)
				return r;
			bytes = (struct str){room, n};
		}
		milter_put_body(&p->out, bytes);
		r = piece_told(v, &step_body, why);
		at += n;
	}
	return r;
}

static int tell_content(struct visit *v, struct fail *why)
{
	struct peer *p = v->p;
	int r = 0;
	if (!(p->steps & MILTER_NO_HEADERS))
		r = tell_header(v, why);
	if (r == 0 && !v->over)
		peer_macros(p, &step_eoh);
	if (r == 0 && !v->over && !(p->steps & MILTER_NO_EOH)) {
		milter_put_plain(&p->out, MILTER_EOH);
		r = piece_told(v, &step_eoh, why);
	}
	if (r == 0 && !v->over && !(p->steps & MILTER_NO_BODY))
		r = tell_body(v, why);
	return r;
}

/* --- the end: orders, then a verdict --- */

static uint32_t right_for(enum milter_answer says)
{
	switch (says) {
	case MILTER_SAYS_ADDHEADER:
	case MILTER_SAYS_INSHEADER:
		return MILTER_ACT_ADDHDRS;
	case MILTER_SAYS_CHGHEADER:
		return MILTER_ACT_CHGHDRS;
	case MILTER_SAYS_ADDRCPT:
		return MILTER_ACT_ADDRCPT;
	case MILTER_SAYS_ADDRCPT_PAR:
		return MILTER_ACT_ADDRCPT_PAR;
	case MILTER_SAYS_DELRCPT:
		return MILTER_ACT_DELRCPT;
	case MILTER_SAYS_CHGFROM:
		return MILTER_ACT_CHGFROM;
	case MILTER_SAYS_REPLBODY:
		return MILTER_ACT_CHGBODY;
	case MILTER_SAYS_QUARANTINE:
		return MILTER_ACT_QUARANTINE;
	case MILTER_SAYS_SHUTDOWN:
	case MILTER_SAYS_ACCEPT:
	case MILTER_SAYS_CONTINUE:
	case MILTER_SAYS_DISCARD:
	case MILTER_SAYS_CONN_FAIL:
	case MILTER_SAYS_OPTNEG:
	case MILTER_SAYS_PROGRESS:
	case MILTER_SAYS_REJECT:
	case MILTER_SAYS_SKIP:
	case MILTER_SAYS_TEMPFAIL:
	case MILTER_SAYS_REPLYCODE:
		break;
	}
	return 0; /* no order */
}

static int new_body(struct visit *v, struct str bytes, struct fail *why)
{
	if (!v->body_begun)
		v->mail->body_begin(v->mail->ctx);
	v->body_begun = true;
	v->body_octets += bytes.n;
	if (v->body_octets > v->mail->body_max)
		return fail_set(why, FAIL_SYNTAX, NULL,
				"orders a body larger than a message may be");
	int r = v->mail->body_add(v->mail->ctx, bytes, why);
	v->lost = r < 0;
	return r;
}

static int obey(struct visit *v, const struct milter_reply *r, uint32_t right, struct fail *why)
{
	if (!(v->p->actions & right) || ++v->orders > ORDERS_MAX)
		return fail_set(why, FAIL_SYNTAX, NULL,
				"orders what it did not ask for, or too much: 0x%02x",
				(unsigned)r->says);
	if (r->says == MILTER_SAYS_REPLBODY)
		return new_body(v, r->bytes, why);
	int e = mail_change(&v->staged, r, v->p->steps & MILTER_LEADING_SPACE);
	return e < 0 ? fail_set(why, (enum fail_code) - e, NULL,
				"orders a change that cannot be made: 0x%02x", (unsigned)r->says)
		     : 0;
}

static int tell_end(struct visit *v, struct fail *why)
{
	struct peer *p = v->p;
	struct milter_reply r;
	peer_macros(p, &step_eom);
	milter_put_plain(&p->out, MILTER_BODYEOB);
	for (;;) {
		int e = peer_answer(p, p->all->times.content_ms, &r, why);
		if (e < 0)
			return e;
		uint32_t right = right_for(r.says);
		if (!right)
			break;
		e = obey(v, &r, right, why);
		if (e < 0)
			return e;
	}
	int e = outcome_of(p, &r, v->ret, why);
	p->in_message = e < 0;
	return e;
}

/* --- staging --- */

static void stage(struct visit *v)
{
	struct milter_mail *s = &v->staged;
	const struct milter_mail *m = v->mail;
	visit_clear(v);
	*s = (struct milter_mail){.from_changed = m->from_changed,
				  .from = m->from,
				  .from_params = m->from_params,
				  .hold = m->hold,
				  .hold_reason = m->hold_reason,
				  .arena = m->arena};
	if (m->fields.n) {
		vec_reserve(&s->fields, m->fields.n);
		memcpy(s->fields.p, m->fields.p, m->fields.n * sizeof *m->fields.p);
		s->fields.n = m->fields.n;
	}
	if (m->rcpts.n) {
		vec_reserve(&s->rcpts, m->rcpts.n);
		memcpy(s->rcpts.p, m->rcpts.p, m->rcpts.n * sizeof *m->rcpts.p);
		s->rcpts.n = m->rcpts.n;
	}
}

/* What was staged is the message now. */
static int take_over(struct visit *v, struct fail *why)
{
	struct milter_mail *s = &v->staged;
	struct milter_mail *m = v->mail;
	struct milter_body body = {.fd = -1};
	int r = v->body_begun ? m->body_end(m->ctx, &body, why) : 0;
	v->lost = r < 0;
	if (r < 0)
		return r;
	struct milter_mail before = *m;
	m->fields.p = s->fields.p;
	m->fields.n = s->fields.n;
	m->fields.cap = s->fields.cap;
	m->rcpts.p = s->rcpts.p;
	m->rcpts.n = s->rcpts.n;
	m->rcpts.cap = s->rcpts.cap;
	m->from_changed = s->from_changed;
	m->from = s->from;
	m->from_params = s->from_params;
	m->hold = s->hold;
	m->hold_reason = s->hold_reason;
	if (v->body_begun) {
		m->body = body;
		m->body_changed = true;
	}
	vec_clear(&before.fields);
	vec_clear(&before.rcpts);
	s->fields.p = NULL;
	s->rcpts.p = NULL;
	return 0;
}

/* One milter, one try. */
static int visit_once(struct visit *v, struct fail *why)
{
	struct peer *p = v->p;
	*v->ret = (struct milter_outcome){.verdict = MILTER_GO};
	v->over = v->skip_body = v->body_begun = false;
	v->orders = 0;
	v->body_octets = 0;
	int r = peer_bring_up(p, v->ret, why);
	if (r < 0 || v->ret->verdict != MILTER_GO || peer_silent(p))
		return r;
	stage(v);
	r = tell_content(v, why);
	if (r == 0 && !v->over)
		r = tell_end(v, why);
	/* The arena has grown under the copy. */
	v->mail->arena = v->staged.arena;
	return r == 0 && v->ret->verdict == MILTER_GO ? take_over(v, why) : r;
}

static void visit(struct visit *v)
{
	struct peer *p = v->p;
	struct fail why = FAIL_INIT;
	int r;
	if (peer_silent(p))
		return;
	peer_begin(p);
	do {
		r = p->state == PEER_FAILED ? -FAIL_TEMP
		    : peer_enter(p, &why)   ? visit_once(v, &why)
					    : -FAIL_BUSY;
		peer_leave(p);
	} while (r < 0 && !v->lost && peer_again(p, r));
	if (r < 0 && p->state != PEER_FAILED)
		peer_failed(p, &why);
	if (r < 0)
		peer_default(p, v->ret);
	if (v->lost)
		peer_refuse(p, v->ret, 452, "4.3.1", "Insufficient system storage");
	else if (r < 0 && p->otherwise == MILTER_DEFAULT_QUARANTINE) {
		v->mail->hold = true;
		v->mail->hold_reason = arena_printf(&v->mail->arena, "the filter %.*s did not work",
						    STR_ARG(p->name));
	}
}

void milters_message(struct milters *m, struct milter_mail *mail, struct milter_outcome *ret)
{
	*ret = (struct milter_outcome){.verdict = MILTER_GO};
	for (size_t i = 0; i < m->n && ret->verdict == MILTER_GO; i++) {
		AUTO(visit) struct visit v = {.p = &m->peers[i], .mail = mail, .ret = ret};
		visit(&v);
	}
}
