/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an address leads, told step by step: barid route.
 */
#include "admin_int.h"
#include "base/text.h"
#include "codec/smtp/nexthop.h"
#include "route_int.h"

static const struct str columns[] = {{"step", 4}, {"key", 3}, {"table", 5}, {"result", 6}};

static void row(struct order *o, struct str step, struct str key, struct str table,
		struct str result)
{
	const struct str cells[] = {step, key, table, result};

	for (size_t i = 0; i < ARRAY_LEN(cells); i++)
		*(struct str *)vec_push(&o->cells) = arena_str(o->a, cells[i]);
}

/* What becomes of mail with this transport: a word for the kind, and the next hop. */
static struct str next_hop(struct order *o, const struct destination *d, struct str *ret_kind)
{
	AUTO(buf) struct buf text = BUF_INIT(NEXTHOP_TEXT_MAX + 16);
	struct nexthop h = {0};
	int r = nexthop_parse(d->transport, &h);

	*ret_kind = r < 0 ? str_starts(d->transport, STR("mlmmj:")) ? STR("list")
								    : STR("unknown transport")
		    : h.kind == NEXTHOP_ERROR	? STR("refused")
		    : h.kind == NEXTHOP_DISCARD ? STR("thrown away")
		    : h.kind == NEXTHOP_HOLD	? STR("held")
						: STR("next hop");
	if (r < 0 || (h.kind != NEXTHOP_RECIPIENT && h.kind != NEXTHOP_DOMAIN))
		return arena_str(o->a, d->transport);
	struct str domain = str_skip(d->address, str_rfind(d->address, '@') + 1);
	(void)buf_addf(&text, "MX of %.*s",
		       STR_ARG(h.kind == NEXTHOP_DOMAIN ? str_c(h.name) : domain));
	if (h.port)
		(void)buf_addf(&text, ", port %u", h.port);
	return arena_str(o->a, buf_str(&text));
}

static void tell_end(struct order *o, struct str step, const struct destination *d,
		     const struct route_story *story)
{
	struct str kind = STR("mailbox");
	struct str where;

	if (route_is_secret(story, d->address)) {
		row(o, step, STR("-"), STR("-"), STR("(of a domain that is not yours to see)"));
		return;
	}
	if (destination_is_local(d))
		where = arena_printf(o->a, "account %llu%s%.*s", (unsigned long long)d->account.v,
				     d->detail.n ? ", detail " : "", STR_ARG(d->detail));
	else
		where = next_hop(o, d, &kind);
	row(o, step, d->address, kind, where);
}

/* What a client hears; the words of the replies themselves are in docs/formats/smtp-dialogue.md. */
static struct str reply_of(struct order *o, const struct dir_route *r)
{
	switch (r->verdict) {
	case DIR_OK:
		return STR("250 2.1.5");
	case DIR_NOT_OURS:
		return STR("250 2.1.5 (without a login: 554 5.7.1)");
	case DIR_UNKNOWN:
		return r->note.n ? arena_printf(o->a, "550 5.1.1 (%.*s)", STR_ARG(r->note))
				 : STR("550 5.1.1");
	case DIR_OVER_QUOTA:
		return STR("552 5.2.2");
	case DIR_BAD_ADDRESS:
		return STR("553 5.1.3");
	case DIR_REFUSED:
		return arena_printf(o->a, "%s %.*s %.*s", r->status.p[0] == '4' ? "450" : "550",
				    STR_ARG(r->status), STR_ARG(r->refusal));
	case DIR_LOOPS:
	default:
		return arena_printf(o->a, "451 4.6.0 (%.*s)", STR_ARG(r->note));
	}
}

static int read_options(struct order *o, struct dir_rcpt *rcpt, struct fail *why)
{
	for (size_t i = 0; i < o->options.n; i++) {
		const struct option *opt = &o->options.p[i];
		if (!str_eq(opt->key, STR("sender")))
			return refuse(why, FAIL_SYNTAX,
				      "usage: barid route ADDRESS [--sender ADDRESS]");
		if (!str_eq(opt->value, STR("<>")))
			rcpt->sender = opt->value;
	}
	return 0;
}

/* A domain's administrator asks about addresses of that domain. */
static int check_asked(struct order *o, struct str address, struct fail *why)
{
	struct domain_info dom = {0};
	struct str domain = domain_of(address);

	if (o->scope->kind == DIR_SCOPE_GLOBAL)
		return 0;
	int r = dir_domain(o->d, domain, o->a, &dom, why);
	if (r < 0 || dir_scope_has(o->scope, dom.target))
		return r;
	return check_scope(o, domain, why);
}

/* Copies and relay hosts of others' users are theirs to know; strangers have none. */
static int check_sender(struct order *o, struct str sender, struct fail *why)
{
	struct domain_info dom = {0};
	struct str domain = domain_of(sender);

	if (o->scope->kind == DIR_SCOPE_GLOBAL || sender.n == 0)
		return 0;
	int r = dir_domain(o->d, domain, o->a, &dom, why);
	if (r < 0 || dom.kind == DOMAIN_FOREIGN || dir_scope_has(o->scope, dom.target))
		return r;
	return check_scope(o, domain, why);
}

int route_explain(struct order *o, struct fail *why)
{
	struct route_story story = {.a = o->a, .scope = o->scope};
	struct dir_rcpt rcpt = {.address = o->words.p[0]};
	struct dir_route route = {0};
	int r = read_options(o, &rcpt, why);

	if (r == 0)
		r = check_asked(o, rcpt.address, why);
	if (r == 0)
		r = check_sender(o, rcpt.sender, why);
	if (r == 0)
		r = route_ask(o->d, &rcpt, &story, o->a, &route, why);
	o->columns = columns;
	o->n_columns = ARRAY_LEN(columns);
	for (size_t i = 0; r == 0 && i < story.steps.n; i++) {
		const struct dir_route_step *s = &story.steps.p[i];
		row(o, arena_printf(o->a, "%zu", i + 1), s->key, s->table, s->result);
	}
	vec_clear(&story.steps);
	for (size_t i = 0; r == 0 && route.verdict != DIR_REFUSED && i < route.n; i++)
		tell_end(o, STR("end"), &route.dests[i], &story);
	for (size_t i = 0; r == 0 && i < route.n_copies; i++)
		tell_end(o, STR("copy"), &route.copies[i], &story);
	vec_clear(&story.secret);
	if (r < 0)
		return r;
	row(o, STR("reply"), rcpt.address, STR("RCPT"), reply_of(o, &route));
	return 0;
}
