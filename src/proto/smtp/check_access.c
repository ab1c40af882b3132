/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's tables (service/access), and what they order for the message: hold it, send it to
 * somebody else, and so on (struct smtp_orders), until the transaction ends.
 */
#include "proto/smtp/smtp_check.h"
#include "sys/log.h"

COUNTER(refused_access, "smtp.refused.access", "refused by a table of the operator");
COUNTER(discarded, "smtp.discarded", "messages thrown away because a table says so");

#define PREPEND_MAX KIB(4)

/* Texts of orders live as long as the transaction. */
static struct str kept(struct check *c, struct str s)
{
	struct str copy = arena_str(&c->s->t.arena, s);
	return copy.p ? copy : STR("");
}

/* The tables are looked at again after a failure, and by the mta that takes over. */
void check_prepend(struct check *c, struct str field)
{
	struct str before = c->s->t.orders.prepend, rest = before, line;
	while (rest.n && str_cut(&rest, '\n', &line))
		if (str_eq(str_trim(line), str_trim(field)))
			return;
	AUTO(buf) struct buf all = BUF_INIT(PREPEND_MAX);
	if (buf_add(&all, before) == 0 && buf_addf(&all, "%.*s\r\n", STR_ARG(field)) == 0)
		c->s->t.orders.prepend = kept(c, buf_str(&all));
}

static void log_hit(struct check *c, const struct access_hit *hit, struct str about)
{
	log_event(LOG_INFO, "smtp.table", log_c("at", c->at), log_str("about", about),
		  log_c("table", hit->at.file), log_u64("line", hit->at.line),
		  log_str("text", hit->text), log_address("from", c->s->t.from),
		  log_str("ip", buf_str(&c->s->ip)));
}

static void note_rule(struct check *c, const struct access_hit *hit)
{
	AUTO(buf) struct buf rule = BUF_INIT(KIB(4));
	(void)buf_addf(&rule, "%s, line %u", hit->at.file, hit->at.line);
	c->t->rule = arena_str(&c->s->t.arena, buf_str(&rule));
}

/* What is refused, for people: "Client host rejected". */
struct looked_up {
	const struct access_list *tables;
	struct access_key key;
	struct str about;
	const char *rejected;
};

static enum check_says refuse(struct check *c, const struct looked_up *l,
			      const struct access_hit *hit)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(2));
	(void)buf_addf(&text, "%s: %.*s", l->rejected,
		       STR_ARG(hit->text.n ? str_sub(hit->text, 0, 1000) : STR("Access denied")));
	note_rule(c, hit);
	c->counter = &refused_access;
	return check_refuse(c, hit->code, hit->status, l->about, buf_c(&text));
}

static enum check_says obey(struct check *c, const struct looked_up *l,
			    const struct access_hit *hit)
{
	struct smtp_orders *orders = &c->s->t.orders;
	switch (hit->act) {
	case ACCESS_OK:
		return CHECK_PERMIT;
	case ACCESS_REFUSE:
		return refuse(c, l, hit);
	case ACCESS_DISCARD:
		orders->discard = true;
		break;
	case ACCESS_HOLD:
		orders->held = kept(c, hit->text.n ? str_sub(hit->text, 0, 200)
						   : STR("a table of the front door says HOLD"));
		break;
	case ACCESS_PREPEND:
		check_prepend(c, hit->text);
		break;
	case ACCESS_REDIRECT:
		orders->redirect = kept(c, hit->text);
		break;
	case ACCESS_BCC:
		orders->bcc = kept(c, hit->text);
		break;
	case ACCESS_FILTER:
		orders->filter = kept(c, str_sub(hit->text, 0, 330));
		break;
	case ACCESS_WARN:
		break;
	case ACCESS_IGNORE: /* of content alone */
	case ACCESS_STRIP:
	case ACCESS_REPLACE:
	case ACCESS_PASS:
	case ACCESS_DUNNO:
		return CHECK_DUNNO;
	}
	log_hit(c, hit, l->about);
	return CHECK_DUNNO;
}

static enum check_says look(struct check *c, const struct looked_up *l)
{
	struct access_hit hit;
	if (!access_list_find(l->tables, &l->key, c->arena, &hit))
		return CHECK_DUNNO;
	return obey(c, l, &hit);
}

struct str check_client_text(struct check *c)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(2));
	struct str name = buf_str(&c->s->rdns);
	(void)buf_addf(&text, "%.*s[%.*s]", STR_ARG(name.n ? name : STR("unknown")),
		       STR_ARG(buf_str(&c->s->ip)));
	return arena_str(c->arena, buf_str(&text));
}

enum check_says check_client_access(struct check *c)
{
	const struct access_list *tables = &c->s->config->door.client_access;
	if (!tables->n)
		return CHECK_DUNNO;
	struct str name = buf_str(&c->s->rdns);
	struct looked_up l = {.tables = tables,
			      .key = {.addr = c->client,
				      .texts = {name.n			? name
						: c->s->client.nameless ? STR("unknown")
									: STR_NULL,
						buf_str(&c->s->ip)}},
			      .about = check_client_text(c),
			      .rejected = "Client host rejected"};
	return look(c, &l);
}

enum check_says check_helo_access(struct check *c)
{
	struct str helo = buf_str(&c->s->helo);
	struct looked_up l = {.tables = &c->s->config->door.helo_access,
			      .key = {.texts = {helo}},
			      .about = helo,
			      .rejected = "Helo command rejected"};
	return helo.n ? look(c, &l) : CHECK_DUNNO;
}

enum check_says check_sender_access(struct check *c)
{
	struct str from = c->s->t.from.n ? c->s->t.from : STR("");
	struct looked_up l = {.tables = &c->s->config->door.sender_access,
			      .key = {.texts = {from}, .is_address = true},
			      .about = from,
			      .rejected = "Sender address rejected"};
	return look(c, &l);
}

enum check_says check_rcpt_access(struct check *c)
{
	struct str to = smtp_addr_str(c->rcpt);
	struct looked_up l = {.tables = &c->s->config->door.recipient_access,
			      .key = {.texts = {to}, .is_address = true},
			      .about = to,
			      .rejected = "Recipient address rejected"};
	return look(c, &l);
}

/* --- what was ordered
 * ---------------------------------------------------------------------------------------- */

/* One copy for an address that a table names. One that leads nowhere is the operator's mistake. */
static int add_copy(struct smtp_session *s, struct str address, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
	struct dir_route route = {0};
	int r = smtp_route(s, address, 0, &a, &route, why);
	if (r < 0)
		return r;
	if (!route.n)
		return fail_set(why, FAIL_TEMP, NULL, "%.*s, which a table names, leads nowhere",
				STR_ARG(address));
	struct str original = arena_str(&s->t.arena, address);
	for (size_t i = 0; i < route.n; i++) {
		struct spool_rcpt rcpt = {
			.to = route.dests[i], .original = original, .notify = SPOOL_NOTIFY_NEVER};
		r = smtp_transaction_add(&s->t, &rcpt);
		if (r < 0)
			return r;
	}
	return 0;
}

int smtp_orders_apply(struct smtp_session *s, struct fail *why)
{
	struct smtp_orders *orders = &s->t.orders;
	int r = 0;
	if (s->t.rcpts.n == 0) /* each was refused (LMTP): nobody has taken the message */
		return 0;
	if (orders->redirect.n) {
		s->t.rcpts.n = 0;
		strmap_clear(&s->t.seen);
		r = add_copy(s, orders->redirect, why);
	}
	if (r == 0 && orders->bcc.n)
		r = add_copy(s, orders->bcc, why);
	return r;
}

bool smtp_orders_discard(struct smtp_turn *t)
{
	const struct smtp_session *s = t->s;
	if (!s->t.orders.discard)
		return false;
	counter_add(&discarded, 1);
	log_event(LOG_INFO, "smtp.discarded", log_address("from", s->t.from),
		  log_u64("rcpts", s->t.accepted), log_str("ip", buf_str(&s->ip)),
		  log_str("helo", buf_str(&s->helo)));
	smtp_say(t, (struct smtp_status){250, "2.0.0", "Ok"});
	return true;
}
