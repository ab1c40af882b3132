/* SPDX-License-Identifier: Apache-2.0 */
/* RCPT: who it is for, and where that leads. */
#include "proto/smtp/smtp_check.h"
#include "proto/smtp/smtp_session_int.h"
#include "sys/log.h"

#define EXPANSION_SHOWN 10u /* destinations of an alias that the log names */

/* One delivery: account and detail of ours, or a remote address with its transport. */
static void write_key(struct buf *key, const struct destination *d)
{
	if (destination_is_local(d))
		buf_addf(key, "%llu+%.*s", (unsigned long long)d->account.v, STR_ARG(d->detail));
	else
		buf_addf(key, "%.*s %.*s", STR_ARG(d->address), STR_ARG(d->transport));
	for (size_t i = 0; i < key->n; i++)
		key->p[i] = ascii_lower(key->p[i]);
}

static bool keep_texts(struct spool_rcpt *r, struct arena *a)
{
	struct str *const texts[] = {&r->to.address, &r->to.detail, &r->to.transport, &r->original,
				     &r->orcpt};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		size_t n = texts[i]->n;
		*texts[i] = arena_str(a, *texts[i]);
		if (n && !texts[i]->p)
			return false;
	}
	return true;
}

/* As add_all makes them. (A client that says the same of a recipient means the same.) */
static bool is_copy(const struct spool_rcpt *r)
{
	return r->notify == SPOOL_NOTIFY_NEVER && r->orcpt.n == 0 &&
	       str_eq(r->original, r->to.address);
}

static bool same_delivery(const struct destination *a, const struct destination *b)
{
	if (destination_is_local(a) || destination_is_local(b))
		return a->account.v == b->account.v && str_eqi(a->detail, b->detail);
	return str_eqi(a->address, b->address) && str_eqi(a->transport, b->transport);
}

/* Who was to get a copy only is a recipient as well: with the words of that RCPT. */
static int promote(struct smtp_transaction *t, const struct spool_rcpt *r)
{
	struct spool_rcpt copy = *r;
	size_t i = 0;
	while (i < t->rcpts.n &&
	       !(is_copy(&t->rcpts.p[i]) && same_delivery(&t->rcpts.p[i].to, &r->to)))
		i++;
	if (i == t->rcpts.n)
		return 0;
	if (!keep_texts(&copy, &t->arena))
		return -FAIL_LIMIT;
	t->rcpts.p[i] = copy;
	return 0;
}

int smtp_transaction_add(struct smtp_transaction *t, const struct spool_rcpt *r)
{
	AUTO(buf) struct buf key = BUF_INIT(KIB(4));
	write_key(&key, &r->to);
	if (key.failed)
		return -FAIL_LIMIT;
	if (strmap_get(&t->seen, buf_str(&key)))
		return t->copies && !is_copy(r) ? promote(t, r) : 0;
	struct str kept = arena_str(&t->arena, buf_str(&key));
	struct spool_rcpt copy = *r;
	if (!kept.p || !keep_texts(&copy, &t->arena))
		return -FAIL_LIMIT;
	*vec_push(&t->rcpts) = copy;
	strmap_put(&t->seen, kept, t);
	t->copies |= is_copy(r);
	return 1;
}

/* True when RCPT may not come now or not like this; *ret is the reply. */
static bool rcpt_refusal(const struct smtp_session *s, const struct smtp_addr *to,
			 struct smtp_status *ret)
{
	if (smtp_gate(s, ret))
		return true;
	if (!s->t.open)
		*ret = (struct smtp_status){503, "5.5.1", "Send MAIL first"};
	else if (s->t.bdat)
		*ret = (struct smtp_status){503, "5.5.1", "Not after BDAT"};
	else if (s->t.accepted >= s->config->rcpts_max)
		*ret = (struct smtp_status){452, "4.5.3", "Too many recipients"};
	else if (to->utf8 && !s->t.smtputf8)
		*ret = (struct smtp_status){553, "5.6.7",
					    "Non-ASCII address needs SMTPUTF8 with MAIL"};
	else
		return false;
	return true;
}

int smtp_route(const struct smtp_session *s, struct str to, uint64_t size, struct arena *a,
	       struct dir_route *ret, struct fail *why)
{
	const struct smtp_backend *b = s->backend;
	struct dir_rcpt rcpt = {.address = to, .sender = s->t.from, .size = size};
	if (s->service == SMTP_SERVICE_LMTP)
		rcpt.mapping = DIR_MAILBOX;
	else if (s->service == SMTP_SERVICE_REINJECT)
		rcpt.mapping = DIR_AS_IT_IS;
	return b->route(b->ctx, &rcpt, a, ret, why);
}

/* Those that are on the list already are no more. */
static size_t count_new(const struct smtp_transaction *x, const struct destination *d, size_t n)
{
	size_t found = 0;
	for (size_t i = 0; i < n; i++) {
		AUTO(buf) struct buf key = BUF_INIT(KIB(4));
		write_key(&key, &d[i]);
		found += !strmap_get(&x->seen, buf_str(&key));
	}
	return found;
}

static bool too_many(const struct smtp_session *s, const struct dir_route *route)
{
	size_t max = s->config->destinations_max, n = s->t.rcpts.n;
	if (n + route->n + route->n_copies <= max)
		return false;
	return n + count_new(&s->t, route->dests, route->n) +
		       count_new(&s->t, route->copies, route->n_copies) >
	       max;
}

struct smtp_status smtp_verdict_reply(const struct smtp_session *s, const struct dir_route *route)
{
	switch (route->verdict) {
	case DIR_OK:
	case DIR_NOT_OURS: /* smtp_check_rcpt has let it pass */
	case DIR_UNKNOWN:  /* or refused it */
		break;
	case DIR_OVER_QUOTA:
		return (struct smtp_status){552, "5.2.2", "Mailbox is full"};
	case DIR_BAD_ADDRESS:
		return (struct smtp_status){553, "5.1.3", "Bad recipient address"};
	case DIR_REFUSED: /* texts of the operator's, in the arena of the answer */
		return (struct smtp_status){route->status.p[0] == '4' ? 450 : 550, route->status.p,
					    route->refusal.p};
	case DIR_LOOPS:
	default:
		return (struct smtp_status){451, "4.6.0",
					    "Recipient expands to too many addresses"};
	}
	if (route->n == 0)
		return (struct smtp_status){451, "4.3.0", "Recipient leads nowhere"};
	if (too_many(s, route))
		return (struct smtp_status){452, "4.5.3", "Too many recipients"};
	return (struct smtp_status){0};
}

static void forget(struct smtp_transaction *x, const struct destination *d)
{
	AUTO(buf) struct buf key = BUF_INIT(KIB(4));
	write_key(&key, d);
	(void)strmap_remove(&x->seen, buf_str(&key));
}

static int add_all(struct smtp_transaction *x, const struct smtp_rcpt *rcpt, struct str original,
		   const struct dir_route *route)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < route->n; i++) {
		struct spool_rcpt to = {.to = route->dests[i],
					.original = original,
					.orcpt = rcpt->orcpt,
					.notify = rcpt->notify};
		r = smtp_transaction_add(x, &to);
	}
	/* Copies are the operator's: nobody hears what became of them. */
	for (size_t i = 0; r >= 0 && i < route->n_copies; i++) {
		struct spool_rcpt to = {.to = route->copies[i],
					.original = route->copies[i].address,
					.notify = SPOOL_NOTIFY_NEVER};
		r = smtp_transaction_add(x, &to);
	}
	return MIN(r, 0);
}

/* All of it or nothing: a recipient that was refused leaves no destination behind. */
int smtp_transaction_add_rcpt(struct smtp_transaction *x, const struct smtp_rcpt *rcpt,
			      struct str original, const struct dir_route *route)
{
	size_t before = x->rcpts.n;
	int r = add_all(x, rcpt, original, route);
	while (r < 0 && x->rcpts.n > before)
		forget(x, &vec_pop(&x->rcpts)->to);
	return r;
}

void smtp_transaction_forget(struct smtp_transaction *t, struct str original)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->rcpts.n; i++) {
		if (str_eq(t->rcpts.p[i].original, original))
			forget(t, &t->rcpts.p[i].to);
		else
			t->rcpts.p[kept++] = t->rcpts.p[i];
	}
	t->rcpts.n = kept;
}

static void write_addresses(struct buf *out, const struct destination *d, size_t n)
{
	for (size_t i = 0; i < MIN(n, (size_t)EXPANSION_SHOWN); i++)
		if (buf_addf(out, "%s%.*s", i ? "," : "", STR_ARG(d[i].address)) < 0)
			return;
}

/* An alias, a forwarding, copies: where the recipient's mail goes instead, or as well. */
static void log_expansion(struct str to, const struct dir_route *route)
{
	AUTO(buf) struct buf all = BUF_INIT(KIB(1)), copies = BUF_INIT(KIB(1));
	if (route->n != 1 || !str_eqi(route->dests[0].address, to)) {
		write_addresses(&all, route->dests, route->n);
		log_event(LOG_INFO, "smtp.expanded", log_address("rcpt", to),
			  log_address("to", buf_str(&all)), log_u64("destinations", route->n));
	}
	if (route->n_copies > 0) {
		write_addresses(&copies, route->copies, route->n_copies);
		log_event(LOG_INFO, "smtp.copied", log_address("rcpt", to),
			  log_address("to", buf_str(&copies)));
	}
}

/* <postmaster> alone is the one of this server (RFC 5321 4.5.1). */
static int complete_address(const struct smtp_session *s, struct smtp_addr *a)
{
	if (smtp_addr_domain(a).n)
		return 0;
	const char *domain = s->config->postmaster_domain;
	return smtp_addr_make(STR("postmaster"), str_c(domain ? domain : s->config->hostname), a);
}

void smtp_cmd_rcpt(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	struct smtp_session *s = t->s;
	struct smtp_addr address = cmd->rcpt.to;
	struct smtp_status refusal = {0};
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
	struct smtp_routing routing = {.arena = &a};
	struct dir_route *route = &routing.route;

	int r = complete_address(s, &address);
	struct str to = smtp_addr_str(&address);
	if (r == 0 && rcpt_refusal(s, &address, &refusal)) {
		smtp_refuse(t, refusal, "RCPT", to, NULL);
		return;
	}
	if (r == 0 && (smtp_too_often(t, SMTP_EVENT_RECIPIENT, "RCPT", to) ||
		       smtp_check_sender(t, &address, &routing)))
		return;
	if (r == 0 && !routing.known)
		r = smtp_route(s, to, s->t.size, &a, route, &why);
	if (r == 0 && smtp_check_rcpt(t, &address, route))
		return;
	if (r == 0) {
		refusal = smtp_verdict_reply(s, route);
		if (refusal.code) {
			smtp_filter_rcpt_refused(s, cmd, to);
			t->rule = route->note;
			smtp_refuse(t, refusal, "RCPT", to, NULL);
			return;
		}
		if (smtp_filter_rcpt(t, cmd, to, destination_is_local(&route->dests[0])))
			return;
		if (!t->drop_rcpt)
			r = smtp_transaction_add_rcpt(&s->t, &cmd->rcpt, to, route);
		if (r == 0 && !t->drop_rcpt)
			log_expansion(to, route);
	}
	if (r == 0 && smtp_is_lmtp(s)) {
		struct str said = arena_str(&s->t.arena, to);
		if (said.p)
			*vec_push(&s->t.said) = (struct smtp_said){.address = said};
		else
			r = -FAIL_LIMIT;
	}
	if (r < 0) {
		smtp_refuse_fail(t, r, "RCPT", to, &why);
		return;
	}
	s->t.accepted++;
	smtp_say(t, (struct smtp_status){250, "2.1.5", "Ok"});
}
