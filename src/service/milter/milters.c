/* SPDX-License-Identifier: Apache-2.0 */
/* The session: facts, and bringing each milter up to them. */
#include "base/check.h"
#include "service/milter/milter_int.h"
#include "sys/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSION_TEXTS_MAX KIB(64)
#define MESSAGE_TEXTS_MAX MIB(4)
#define PACKETS_MAX	  (MIB(1) + KIB(128))
#define MACRO_LISTS_MAX	  KIB(64)

/* --- life --- */

static void peer_init(struct peer *p, struct milters *m, const struct milter_spec *spec)
{
	struct milter_name name = {0};
	p->all = m;
	p->fd = -1;
	p->text = arena_str(&m->arena, spec->text);
	p->otherwise = spec->otherwise;
	if (milter_name_parse(p->text, &name)) {
		p->name = name.name;
		if (name.otherwise != MILTER_DEFAULT_UNSAID)
			p->otherwise = name.otherwise;
	}
	p->in = BUF_INIT(PACKETS_MAX);
	p->out = BUF_INIT(PACKETS_MAX);
	p->arena = ARENA_INIT(MACRO_LISTS_MAX);
}

struct milters *milters_new(const struct milter_spec *specs, size_t n,
			    const struct milter_times *times, const struct milter_ops *ops)
{
	struct milters *m = xcalloc(1, sizeof *m);
	m->times = *times;
	m->ops = *ops;
	m->arena = ARENA_INIT(SESSION_TEXTS_MAX);
	m->message = ARENA_INIT(MESSAGE_TEXTS_MAX);
	m->helo = BUF_INIT(KIB(1));
	m->n = MIN(n, (size_t)MILTERS_MAX);
	for (size_t i = 0; i < m->n; i++)
		peer_init(&m->peers[i], m, &specs[i]);
	return m;
}

void milters_free(struct milters *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		struct peer *p = &m->peers[i];
		peer_close(p, true);
		buf_clear(&p->in);
		buf_clear(&p->out);
		arena_clear(&p->arena);
	}
	buf_clear(&m->helo);
	vec_clear(&m->rcpts);
	arena_clear(&m->message);
	arena_clear(&m->arena);
	free(m);
}

bool peer_enter(struct peer *p, struct fail *why)
{
	const struct milter_ops *ops = &p->all->ops;
	p->entered = !ops->enter || ops->enter(ops->ctx, p->text);
	if (!p->entered)
		(void)fail_set(why, FAIL_BUSY, NULL, "too many sessions wait for it");
	return p->entered;
}

void peer_leave(struct peer *p)
{
	const struct milter_ops *ops = &p->all->ops;
	if (p->entered && ops->leave)
		ops->leave(ops->ctx, p->text);
	p->entered = false;
}

/* --- answers --- */

void peer_refuse(struct peer *p, struct milter_outcome *ret, unsigned code, const char *enhanced,
		 const char *text)
{
	*ret = (struct milter_outcome){.verdict = MILTER_REFUSE, .code = code};
	(void)snprintf(ret->enhanced, sizeof ret->enhanced, "%s", enhanced);
	(void)snprintf(ret->text, sizeof ret->text, "%s", text);
	(void)snprintf(ret->milter, sizeof ret->milter, "%.*s", STR_ARG(p->name));
}

static int refuse_as_said(struct peer *p, const struct milter_reply *r, struct milter_outcome *ret,
			  struct fail *why)
{
	AUTO(buf) struct buf text = BUF_INIT(MILTER_TEXT_MAX);
	struct milter_code code;
	if (milter_code_parse(r->name, &code, &text) < 0)
		return fail_set(why, FAIL_SYNTAX, NULL, "a reply code that is none");
	const char *enhanced = code.enhanced[0]	 ? code.enhanced
			       : code.code < 500 ? "4.7.1"
						 : "5.7.1";
	peer_refuse(p, ret, code.code, enhanced, text.n ? buf_c(&text) : "Refused by a filter");
	ret->close = code.code == 421;
	return 0;
}

int outcome_of(struct peer *p, const struct milter_reply *r, struct milter_outcome *ret,
	       struct fail *why)
{
	*ret = (struct milter_outcome){.verdict = MILTER_GO};
	switch (r->says) {
	case MILTER_SAYS_CONTINUE:
		return 0;
	case MILTER_SAYS_ACCEPT:
		p->accepted = true;
		return 0;
	case MILTER_SAYS_DISCARD:
		ret->verdict = MILTER_DISCARD;
		(void)snprintf(ret->milter, sizeof ret->milter, "%.*s", STR_ARG(p->name));
		return 0;
	case MILTER_SAYS_REJECT:
		peer_refuse(p, ret, 550, "5.7.1", "Refused by a filter");
		return 0;
	case MILTER_SAYS_TEMPFAIL:
		peer_refuse(p, ret, 451, "4.7.1", "A filter asks to try again later");
		return 0;
	case MILTER_SAYS_REPLYCODE:
		return refuse_as_said(p, r, ret, why);
	case MILTER_SAYS_SHUTDOWN:
	case MILTER_SAYS_CONN_FAIL:
		peer_refuse(p, ret, 421, "4.7.1", "Refused by a filter, closing");
		ret->close = true;
		return 0;
	case MILTER_SAYS_ADDRCPT:
	case MILTER_SAYS_ADDRCPT_PAR:
	case MILTER_SAYS_DELRCPT:
	case MILTER_SAYS_REPLBODY:
	case MILTER_SAYS_CHGFROM:
	case MILTER_SAYS_ADDHEADER:
	case MILTER_SAYS_INSHEADER:
	case MILTER_SAYS_CHGHEADER:
	case MILTER_SAYS_QUARANTINE:
	case MILTER_SAYS_OPTNEG:
	case MILTER_SAYS_PROGRESS:
	case MILTER_SAYS_SKIP:
		break;
	}
	return fail_set(why, FAIL_SYNTAX, NULL, "an answer that has no place here: 0x%02x",
			(unsigned)r->says);
}

void peer_default(struct peer *p, struct milter_outcome *ret)
{
	*ret = (struct milter_outcome){.verdict = MILTER_GO};
	if (p->otherwise == MILTER_DEFAULT_REJECT)
		peer_refuse(p, ret, 550, "5.3.0", "A filter does not work");
	else if (p->otherwise == MILTER_DEFAULT_TEMPFAIL)
		peer_refuse(p, ret, 451, "4.3.0", "A filter does not work, please try again later");
	ret->by_default = true;
}

void peer_failed(struct peer *p, const struct fail *why)
{
	const struct milter_ops *ops = &p->all->ops;
	peer_close(p, false);
	p->state = PEER_FAILED;
	/* One that hangs is not waited for at each message of a session. */
	p->retry_at = (struct mono_ns){clock_mono().v};
	if (why->code == FAIL_DEADLINE)
		p->retry_at.v += (int64_t)p->all->times.connect_ms * MS_NS;
	if (ops->failed)
		ops->failed(ops->ctx, p->name, p->otherwise, why);
}

/* --- bringing a milter up to the facts --- */

/* Say what p->out holds, and what the step has to say; hear the answer. */
static int tell(struct peer *p, const struct step *s, const struct str *texts, size_t n,
		struct milter_outcome *ret, struct fail *why)
{
	struct milter_reply r;
	unsigned ms = p->all->times.command_ms;
	*ret = (struct milter_outcome){.verdict = MILTER_GO};
	peer_macros(p, s);
	if (p->steps & s->skip)
		return 0;
	if (s->command == MILTER_CONNECT)
		milter_put_connect(&p->out, p->all->host, p->all->address, p->all->port);
	else
		milter_put_texts(&p->out, s->command, texts, n);
	if (p->steps & s->silent)
		return peer_flush(p, ms, why);
	int e = peer_answer(p, ms, &r, why);
	return e < 0 ? e : outcome_of(p, &r, ret, why);
}

/* A refusal at CONNECT or HELO stays; an acceptance too. */
static void settle_session(struct peer *p, const struct milter_outcome *o)
{
	if (p->accepted) {
		p->accepted = false;
		peer_close(p, true);
		p->state = PEER_CONTENT;
	}
	p->refused_session = o->verdict != MILTER_GO;
	p->session_answer = *o;
}

static int tell_session(struct peer *p, struct milter_outcome *ret, struct fail *why)
{
	const struct milters *m = p->all;
	struct str helo = buf_str(&m->helo);
	int r = 0;
	*ret = (struct milter_outcome){.verdict = MILTER_GO};
	if (p->state == PEER_NEW) {
		p->refused_session = false;
		r = peer_open(p, why);
		if (r == 0)
			r = tell(p, &step_connect, NULL, 0, ret, why);
		if (r < 0)
			return r;
		p->state = PEER_OPEN;
		settle_session(p, ret);
	}
	if (ret->verdict != MILTER_GO || p->state != PEER_OPEN || !m->has_helo || p->helo_told)
		return 0;
	p->helo_told = true;
	r = tell(p, &step_helo, &helo, 1, ret, why);
	if (r == 0)
		settle_session(p, ret);
	return r;
}

/* MAIL, and the recipients that it has not heard of. The answer is that to the last of them. */
static int tell_transaction(struct peer *p, struct milter_outcome *ret, struct fail *why)
{
	const struct milters *m = p->all;
	int r = 0;
	if (m->mail.p && !p->mail_told) {
		p->mail_told = p->in_message = true;
		r = tell(p, &step_mail, m->mail.p, m->mail.n, ret, why);
		p->mail_told = r == 0 && ret->verdict != MILTER_REFUSE;
	}
	while (r == 0 && p->mail_told && ret->verdict == MILTER_GO && !p->accepted &&
	       p->rcpts_told < m->rcpts.n) {
		const struct texts *to = &m->rcpts.p[p->rcpts_told++];
		r = tell(p, &step_rcpt, to->p, to->n, ret, why);
		/* The client has its 250 for those before. */
		bool asked = m->asking_rcpt && p->rcpts_told == m->rcpts.n;
		if (ret->verdict == MILTER_REFUSE && !asked)
			ret->verdict = MILTER_GO;
	}
	return r;
}

int peer_bring_up(struct peer *p, struct milter_outcome *ret, struct fail *why)
{
	int r = tell_session(p, ret, why);
	if (r < 0 || ret->verdict != MILTER_GO || p->state != PEER_OPEN)
		return r;
	if (p->refused_session) {
		*ret = p->session_answer;
		return 0;
	}
	return p->accepted ? 0 : tell_transaction(p, ret, why);
}

bool peer_again(struct peer *p, int r)
{
	bool again = r == -FAIL_PEER && !p->fresh;
	if (again)
		peer_close(p, false);
	return again;
}

bool peer_silent(const struct peer *p)
{
	return p->state == PEER_CONTENT || p->accepted;
}

/* One milter, one event: the facts, then (not NULL) a step without facts of its own. */
static void ask(struct peer *p, const struct step *s, struct str text, struct milter_outcome *ret)
{
	struct fail why = FAIL_INIT;
	int r;
	*ret = (struct milter_outcome){.verdict = MILTER_GO};
	if (peer_silent(p))
		return;
	if (p->state == PEER_FAILED) {
		peer_default(p, ret);
		return;
	}
	peer_begin(p);
	do {
		r = peer_enter(p, &why) ? peer_bring_up(p, ret, &why) : -FAIL_BUSY;
		if (r == 0 && s && ret->verdict == MILTER_GO && !peer_silent(p))
			r = tell(p, s, &text, text.p ? 1 : 0, ret, &why);
		peer_leave(p);
	} while (r < 0 && peer_again(p, r));
	if (r < 0) {
		peer_failed(p, &why);
		peer_default(p, ret);
	}
}

/* All in turn, until one says no. */
static void ask_all(struct milters *m, const struct step *s, struct str text,
		    struct milter_outcome *ret)
{
	*ret = (struct milter_outcome){.verdict = MILTER_GO};
	for (size_t i = 0; i < m->n && ret->verdict == MILTER_GO; i++)
		ask(&m->peers[i], s, text, ret);
}

/* --- facts --- */

/* {NULL, 0}: what the transaction may say is used up. */
static struct texts keep(struct milters *m, const struct str *args, size_t n)
{
	struct texts t = {arena_array(&m->message, struct str, n), n};
	for (size_t i = 0; t.p && i < n; i++) {
		t.p[i] = arena_str(&m->message, args[i]);
		if (args[i].n && !t.p[i].p)
			t.p = NULL;
	}
	return t.p ? t : (struct texts){0};
}

/* Refused recipients use it up, too: who names thousands of them has had enough. */
static void used_up(struct milter_outcome *ret)
{
	*ret = (struct milter_outcome){.verdict = MILTER_REFUSE,
				       .code = 452,
				       .enhanced = "4.5.3",
				       .text = "Too many recipients",
				       .milter = "all"};
}

void milters_client(struct milters *m, struct str host, struct str address, uint16_t port)
{
	m->host = arena_str(&m->arena, host);
	m->address = arena_str(&m->arena, address);
	m->port = port;
}

void milters_restore_helo(struct milters *m, struct str helo)
{
	buf_reset(&m->helo);
	(void)buf_add(&m->helo, helo);
	m->has_helo = true;
}

void milters_restore_mail(struct milters *m, struct str address)
{
	m->mail = keep(m, &address, 1);
}

void milters_restore_rcpt(struct milters *m, struct str address)
{
	struct texts t = keep(m, &address, 1);
	if (t.p)
		*vec_push(&m->rcpts) = t;
}

void milters_forget_helo(struct milters *m)
{
	m->has_helo = false;
	for (size_t i = 0; i < m->n; i++)
		m->peers[i].helo_told = m->peers[i].refused_session = false;
}

void milters_helo(struct milters *m, struct str helo, struct milter_outcome *ret)
{
	milters_forget_helo(m);
	milters_restore_helo(m, helo);
	ask_all(m, NULL, STR_NULL, ret);
	/* That one does not work is said to MAIL, when it has been tried again. */
	if (ret->by_default)
		*ret = (struct milter_outcome){.verdict = MILTER_GO};
}

void milters_abort(struct milters *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct peer *p = &m->peers[i];
		if (p->in_message && p->state == PEER_OPEN)
			milter_put_plain(&p->out, MILTER_ABORT);
		p->in_message = p->mail_told = p->accepted = false;
		p->rcpts_told = 0;
		if (p->state == PEER_FAILED && clock_mono().v >= p->retry_at.v)
			p->state = PEER_NEW;
	}
	m->mail = (struct texts){0};
	m->rcpts.n = 0;
	arena_reset(&m->message);
}

void milters_mail(struct milters *m, const struct str *args, size_t n, struct milter_outcome *ret)
{
	milters_abort(m);
	m->mail = keep(m, args, n);
	ask_all(m, NULL, STR_NULL, ret);
}

/* A recipient that one refuses never was, for all of them. */
static void drop_last_rcpt(struct milters *m)
{
	m->rcpts.n--;
	for (size_t i = 0; i < m->n; i++)
		m->peers[i].rcpts_told = MIN(m->peers[i].rcpts_told, m->rcpts.n);
}

void milters_rcpt(struct milters *m, const struct str *args, size_t n, struct milter_outcome *ret)
{
	struct texts t = keep(m, args, n);
	if (!t.p) {
		used_up(ret);
		return;
	}
	*vec_push(&m->rcpts) = t;
	m->asking_rcpt = true;
	ask_all(m, NULL, STR_NULL, ret);
	m->asking_rcpt = false;
	if (ret->verdict == MILTER_REFUSE)
		drop_last_rcpt(m);
}

void milters_rcpt_refused(struct milters *m, const struct str *args, size_t n)
{
	struct milter_outcome o;
	for (size_t i = 0; i < m->n; i++) {
		struct peer *p = &m->peers[i];
		struct fail why = FAIL_INIT;
		if (p->state != PEER_OPEN || !(p->steps & MILTER_RCPT_REJECTED) || !p->mail_told ||
		    p->accepted || p->refused_session || !peer_enter(p, &why))
			continue;
		peer_begin(p);
		int r = tell(p, &step_rcpt, args, n, &o, &why);
		peer_leave(p);
		if (r < 0 && !peer_again(p, r)) /* nothing depends on it: it is asked afresh */
			peer_close(p, false);
	}
}

void milters_data(struct milters *m, struct milter_outcome *ret)
{
	ask_all(m, &step_data, STR_NULL, ret);
}

void milters_unknown(struct milters *m, struct str line, struct milter_outcome *ret)
{
	ask_all(m, &step_unknown, line, ret);
}
