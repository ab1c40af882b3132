/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One trace is one connection, which may have brought several messages. mta's lines between two
 * ends of a message are about that message (a segment); lines with a queue number belong to the
 * message of that number, whenever they come; the rest belongs to the connection.
 */
#include "base/text.h"
#include "tools/barid/trace.h"
#include <stdio.h>

#define COMMON	    0u /* lines of the connection */
#define ALIKE_SHOWN 10u

/* --- segments
 * ------------------------------------------------------------------------------------- */

static bool is(const struct trace_line *x, const char *event)
{
	return str_eq(x->l.event, str_c(event));
}

static bool ends_message(const struct trace_line *x)
{
	return is(x, "smtp.accepted") || is(x, "smtp.unfinished") ||
	       (is(x, "smtp.refused") && trace_has(&x->l, "at", "message"));
}

/* Numbers of messages, by segment. */
struct numbers {
	VEC(uint64_t) v;
	VEC(unsigned) segment;
};

static void note_number(struct numbers *n, uint64_t number, unsigned segment)
{
	if (!number)
		return;
	*vec_push(&n->v) = number;
	*vec_push(&n->segment) = segment;
}

static unsigned segment_of(const struct numbers *n, uint64_t number)
{
	for (size_t i = 0; number && i < n->v.n; i++)
		if (n->v.p[i] == number)
			return n->segment.p[i];
	return COMMON;
}

static void cut_into_segments(struct trace *t)
{
	struct numbers n = {0};
	unsigned now = 1;
	for (size_t i = 0; i < t->lines.n; i++) {
		struct trace_line *x = &t->lines.p[i];
		if (!str_starts(x->l.event, STR("smtp.")))
			continue;
		x->segment = now;
		note_number(&n, trace_number(&x->l, "number"), now);
		now += ends_message(x);
	}
	/* A report is a message about another one: its own number joins that one's segment. */
	for (size_t i = 0; i < t->lines.n; i++)
		if (is(&t->lines.p[i], "queue.report")) {
			const struct logfmt *l = &t->lines.p[i].l;
			unsigned s = segment_of(&n, trace_number(l, "number"));
			note_number(&n, trace_number(l, "report"), s);
		}
	for (size_t i = 0; i < t->lines.n; i++)
		if (t->lines.p[i].segment == COMMON)
			t->lines.p[i].segment =
				segment_of(&n, trace_number(&t->lines.p[i].l, "number"));
	vec_clear(&n.v);
	vec_clear(&n.segment);
}

static bool segment_matches(const struct trace *t, unsigned segment)
{
	for (size_t i = 0; i < t->lines.n; i++)
		if (t->lines.p[i].segment == segment && t->lines.p[i].match)
			return true;
	return false;
}

/* Of a message to a thousand people, the lines about others than the one asked for. */
static bool is_alike(const struct trace *t, size_t at)
{
	unsigned before = 0;
	for (size_t i = 0; i < at; i++)
		before += t->lines.p[i].segment == t->lines.p[at].segment && !t->lines.p[i].match &&
			  str_eq(t->lines.p[i].l.event, t->lines.p[at].l.event);
	return before >= ALIKE_SHOWN;
}

static void hide_others(const struct trace_query *q, struct trace *t, struct trace_story *ret)
{
	bool any = false;
	for (size_t i = 0; i < t->lines.n; i++)
		any |= t->lines.p[i].segment != COMMON && t->lines.p[i].match;
	for (size_t i = 0; i < t->lines.n && !q->id; i++) {
		struct trace_line *x = &t->lines.p[i];
		bool other = any && x->segment != COMMON && !segment_matches(t, x->segment);
		x->hidden = other || (x->segment != COMMON && !x->match && is_alike(t, i));
		ret->hidden += x->hidden;
	}
}

/* --- how it ended
 * ----------------------------------------------------------------------------------- */

const char *trace_end_name(enum trace_end e)
{
	static const char *const names[] = {"none",    "refused", "delivered",
					    "waiting", "failed",  "unfinished"};
	return names[e];
}

/* What people can do about a reply, by its enhanced status and where it was given. */
static const struct advice {
	const char *status;
	const char *words; /* in the reply; NULL: any */
	const char *text;
} advices[] = {
	{"5.7.1", "blocked",
	 TX("DNS lists warn of this client: its owner has to get off them. To let it in anyway, "
	    "put its address with OK into a table of frontdoor.client_access.")},
	{"5.7.1", "Client",
	 TX("A table of this server refuses the client: see frontdoor.client_access.")},
	{"5.7.1", "Helo",
	 TX("A table of this server refuses the name that the client says in HELO: see "
	    "frontdoor.helo_access. Its owner should have it say its own full name.")},
	{"5.7.1", "Sender",
	 TX("The sender is refused: by a table (frontdoor.sender_access), or because the address "
	    "does not belong to the login.")},
	{"5.7.1", "Recipient",
	 TX("A table of this server refuses the recipient: see frontdoor.recipient_access.")},
	{"4.7.1", "Helo",
	 TX("The name that the client says in HELO is not in the DNS. Its owner has to mend that; "
	    "until then: frontdoor.helo_access, or frontdoor.reject_unknown_helo = off.")},
	{"4.1.8", NULL,
	 TX("The sender's domain has neither an MX nor an address in the DNS: nobody could "
	    "answer. See: barid dns lookup DOMAIN MX")},
	{"5.7.27", NULL,
	 TX("The sender's domain says in the DNS that it takes no mail (null MX).")},
	{"5.5.2", "fully-qualified",
	 TX("The client, or the address, has no full name with a domain; its owner has to mend "
	    "it.")},
	{"5.1.1", NULL,
	 TX("No account, alias or catch-all of this server has this address. See what there "
	    "is: barid user list; barid alias list")},
	{"5.1.0", NULL,
	 TX("The sender's domain is one of this server's, and it has no such address: "
	    "probably forged, or the account was removed. See: barid user list")},
	{"5.2.2", NULL,
	 TX("The mailbox is over its quota. See: barid user show {about}   Give it more: "
	    "barid user set {about} --quota MEGABYTES")},
	{"5.7.1", NULL,
	 TX("On port 25 this server takes mail for its own domains only. Which are these: "
	    "barid domain list   Users who send mail elsewhere log in on port 587 or 465, and "
	    "send as an address that is theirs.")},
	{"5.7.0", NULL,
	 TX("The client has to use TLS and log in before it may send here. Check the "
	    "client's settings: port 587 with STARTTLS, user name and password.")},
	{"5.7.8", NULL,
	 TX("User name or password are wrong. Set a new password: barid user passwd ADDRESS")},
	{"5.3.4", NULL, TX("The message is larger than the setting message_size_max allows.")},
	{"5.4.6", NULL,
	 TX("The message has passed too many servers: probably two of them send it back and "
	    "forth. Look at its Received lines.")},
	{"4.5.3", NULL,
	 TX("More recipients in one message than the setting recipients_max allows. Good "
	    "clients send the rest in another message.")},
	{"4.7.0", NULL, TX("The client made too many errors, or too many connections at a time.")},
	{"4.3.1", NULL, TX("The disk is full, or nearly. See: df -h")},
	{"5.5.2", NULL,
	 TX("The client says something that is not correct SMTP; its owner has to mend it.")},
	{"5.6.7", NULL,
	 TX("The address has letters beyond ASCII and the client did not say SMTPUTF8.")},
};

static bool has(struct str text, const char *words)
{
	return str_find_str(text, 0, str_c(words)) < text.n;
}

static void advise(const struct logfmt *l, struct buf *hint)
{
	AUTO(buf) struct buf status = BUF_INIT(64);
	AUTO(buf) struct buf said = BUF_INIT(KIB(2));
	trace_value(l, "status", &status);
	trace_value(l, "text", &said);
	for (size_t i = 0; i < ARRAY_LEN(advices); i++)
		if (str_eq(buf_str(&status), str_c(advices[i].status)) &&
		    (!advices[i].words || has(buf_str(&said), advices[i].words))) {
			trace_fill(text_of(advices[i].text), l, hint);
			return;
		}
}

static void decide(struct trace_story *s, enum trace_end end, const struct logfmt *l,
		   const char *sentence)
{
	s->end = end;
	s->at = l->at;
	buf_reset(&s->summary);
	buf_reset(&s->hint);
	AUTO(buf) struct buf when = BUF_INIT(64);
	trace_local_time(l->at, false, &when);
	trace_fill(text_of(sentence), l, &s->summary);
	(void)buf_addf(&s->summary, " (%s)", buf_c(&when));
}

struct counts {
	uint64_t delivered, failed, deferred, accepted_number;
	bool asked_for; /* the delivery that was told has the key */
};

static void judge_refusal(const struct trace_line *x, struct trace_story *s, bool wins)
{
	if (is(x, "smtp.refused") && wins) {
		decide(s, TRACE_END_REFUSED, &x->l,
		       "Refused: {code}[ {status}] {text}[, for {about}][ ({rule})]");
		advise(&x->l, &s->hint);
	} else if (is(x, "login") && trace_has(&x->l, "outcome", "refused") && wins) {
		decide(s, TRACE_END_REFUSED, &x->l,
		       "Login refused for {user} at {service}[: {reason}]");
		(void)buf_add_c(&s->hint, T("Is the name the whole address? Set a new password: "
					    "barid user passwd ADDRESS"));
	} else if (is(x, "session.refused") && wins) {
		decide(s, TRACE_END_REFUSED, &x->l,
		       "Connection refused: more than the setting {limit} allows");
	} else if (is(x, "smtp.unfinished") && s->end == TRACE_END_NONE) {
		decide(s, TRACE_END_UNFINISHED, &x->l,
		       "Not received: the connection ended ({why}) before the message was "
		       "complete; nothing was accepted");
	}
}

/* The last of these wins: what happened to a message that was accepted. */
static void judge_fate(const struct trace_line *x, struct trace_story *s, struct counts *n)
{
	bool accepted = is(x, "smtp.accepted") || is(x, "queue.accepted");
	uint64_t number = accepted ? trace_number(&x->l, "number") : 0;
	/* Both say it of one message, and mta may say it when it has been delivered already. */
	if (accepted && number != n->accepted_number) {
		n->accepted_number = number;
		decide(s, TRACE_END_WAITING, &x->l,
		       "Accepted as number {number}, and not delivered yet");
		trace_fill(T("See: barid queue show {number}"), &x->l, &s->hint);
	}
	if (is(x, "deliver") && trace_number(&x->l, "number") == n->accepted_number) {
		n->delivered++;
		bool better = x->match || !n->asked_for;
		n->asked_for |= x->match;
		if (better && s->end != TRACE_END_FAILED && s->end != TRACE_END_REFUSED)
			decide(s, TRACE_END_DELIVERED, &x->l,
			       "Delivered to {to}: UID {uid}[ in the folder {detail} if it has "
			       "one, else in INBOX]");
	} else if (is(x, "relay.delivered")) {
		n->delivered++;
		if (s->end != TRACE_END_FAILED && s->end != TRACE_END_REFUSED)
			decide(s, TRACE_END_DELIVERED, &x->l,
			       "Delivered to {to}: {server} has taken it over: {reply}");
	} else if (is(x, "queue.deferred") && s->end != TRACE_END_FAILED) {
		decide(s, TRACE_END_WAITING, &x->l,
		       "Waiting: delivery to {to} was put off: {status} {text}. Tried {attempts} "
		       "times, next at {next:time}");
		trace_fill(T("Try now: barid queue flush {number}"), &x->l, &s->hint);
	} else if (is(x, "queue.failed")) {
		n->failed++;
		decide(s, TRACE_END_FAILED, &x->l,
		       "Could not be delivered to {to}: {status} {text}");
		advise(&x->l, &s->hint);
	}
}

static void judge(const struct trace_query *q, const struct trace *t, struct trace_story *s)
{
	struct counts n = {0};
	for (size_t i = 0; i < t->lines.n; i++) {
		const struct trace_line *x = &t->lines.p[i];
		if (x->hidden)
			continue;
		/* A refusal counts for itself, and for who was refused, whoever else got it. */
		bool wins = s->end == TRACE_END_NONE || s->end == TRACE_END_REFUSED ||
			    (x->match && !q->id && !q->number);
		if (s->end == TRACE_END_REFUSED && !x->match && is(x, "smtp.refused") &&
		    trace_has(&x->l, "at", "DATA"))
			wins = false; /* what follows from the refusal of the recipients */
		judge_refusal(x, s, wins);
		judge_fate(x, s, &n);
	}
	if (n.delivered > 1)
		(void)buf_addf(&s->summary, T("; %llu deliveries in all"),
			       (unsigned long long)n.delivered);
}

void trace_tell(const struct trace_query *q, struct trace *t, bool all, struct trace_story *ret)
{
	cut_into_segments(t);
	if (!all)
		hide_others(q, t, ret);
	judge(q, t, ret);
	if (ret->end == TRACE_END_NONE && t->id)
		(void)buf_add_c(&ret->summary, T("No message came, and nothing was refused"));
}

void trace_story_clear(struct trace_story *s)
{
	buf_clear(&s->summary);
	buf_clear(&s->hint);
}
