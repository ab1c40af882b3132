/* SPDX-License-Identifier: Apache-2.0 */
/* What a client calls itself in HELO. */
#include "proto/smtp/smtp_check.h"

static bool is_literal(struct str name)
{
	return name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']';
}

enum check_says check_helo_full(struct check *c)
{
	struct str helo = buf_str(&c->s->helo);
	if (!c->s->config->door.full_helo || !helo.n || smtp_domain_is_full(helo))
		return CHECK_DUNNO;
	return check_refuse(c, 504, "5.5.2", helo,
			    "Helo command rejected: need fully-qualified hostname");
}

enum check_says check_helo_known(struct check *c)
{
	const struct smtp_backend *b = c->s->backend;
	struct str helo = buf_str(&c->s->helo);
	if (!c->s->config->door.known_helo || !b->name_exists || !helo.n || is_literal(helo))
		return CHECK_DUNNO;
	/* A null MX says that the name takes no mail, not that there is no such host. */
	if (b->name_exists(b->ctx, helo) != SMTP_NAME_NONE)
		return CHECK_DUNNO;
	return check_refuse(c, 450, "4.7.1", helo, "Helo command rejected: Host not found");
}
