/* SPDX-License-Identifier: Apache-2.0 */
/* The sender of MAIL FROM. The null sender has nothing that could be checked. */
#include "proto/smtp/smtp_check.h"

static struct str domain_of(struct str address)
{
	size_t at = str_rfind(address, '@');
	return at == address.n ? STR("") : str_skip(address, at + 1);
}

enum check_says check_sender_full(struct check *c)
{
	struct str from = c->s->t.from;
	if (!c->s->config->door.full_sender || !from.n || smtp_domain_is_full(domain_of(from)))
		return CHECK_DUNNO;
	return check_refuse(c, 504, "5.5.2", from,
			    "Sender address rejected: need fully-qualified address");
}

/* An address of ours that does not exist sends no mail. */
enum check_says check_sender_listed(struct check *c)
{
	const struct smtp_backend *b = c->s->backend;
	struct str from = c->s->t.from;
	struct smtp_routing *to = c->routing;
	struct dir_rcpt rcpt = {.address = smtp_addr_str(c->rcpt),
				.sender = from,
				.size = c->s->t.size,
				.sender_too = true};
	if (!c->s->config->door.listed_sender || !from.n)
		return CHECK_DUNNO;
	if (b->route(b->ctx, &rcpt, to->arena, &to->route, &c->why) < 0)
		return CHECK_FAILED;
	to->known = true;
	if (!to->route.sender_unknown)
		return CHECK_DUNNO;
	c->t->rule = arena_str(&c->s->t.arena, to->route.sender_note);
	return check_refuse(c, 550, "5.1.0", from, "Sender address rejected: User unknown");
}

enum check_says check_sender_known(struct check *c)
{
	const struct smtp_backend *b = c->s->backend;
	struct str from = c->s->t.from, domain = domain_of(from);
	AUTO(buf) struct buf text = BUF_INIT(KIB(1));
	if (!c->s->config->door.known_sender || !b->name_exists || !domain.n || domain.p[0] == '[')
		return CHECK_DUNNO;
	switch (b->name_exists(b->ctx, domain)) {
	case SMTP_NAME_NONE:
		return check_refuse(c, 450, "4.1.8", from,
				    "Sender address rejected: Domain not found");
	case SMTP_NAME_NULL_MX:
		(void)buf_addf(&text,
			       "Sender address rejected: Domain %.*s does not accept mail (nullMX)",
			       STR_ARG(domain));
		return check_refuse(c, 550, "5.7.27", from, buf_c(&text));
	case SMTP_NAME_FOUND:
	case SMTP_NAME_UNSURE:
		break;
	}
	return CHECK_DUNNO;
}
