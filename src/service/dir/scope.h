/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.h - whose order it is, and what it may touch.                          [service]
 */
#ifndef BARID_SERVICE_DIR_SCOPE_H
#define BARID_SERVICE_DIR_SCOPE_H

#include "base/str.h"

/*
 * Whose orders these are. A domain administrator sees and touches the domains that domain_admins
 * gives it; anybody else only the own account: its password, name, language and forwarding.
 */
enum dir_scope_kind { DIR_SCOPE_NOTHING, DIR_SCOPE_SELF, DIR_SCOPE_DOMAINS, DIR_SCOPE_GLOBAL };
struct dir_scope {
	enum dir_scope_kind kind;
	struct str account;	   /* who orders; empty: the operator at the command line */
	const struct str *domains; /* DIR_SCOPE_DOMAINS */
	size_t n_domains;
};

/* "nothing", "self", "domains", "global": as `admin show` says it. */
static inline const char *dir_scope_kind_name(enum dir_scope_kind k)
{
	static const char *const names[] = {"nothing", "self", "domains", "global"};
	return names[k];
}
static inline enum dir_scope_kind dir_scope_kind_parse(struct str s)
{
	for (enum dir_scope_kind k = DIR_SCOPE_GLOBAL; k > DIR_SCOPE_NOTHING; k--)
		if (str_eq(s, str_c(dir_scope_kind_name(k))))
			return k;
	return DIR_SCOPE_NOTHING;
}

/* Whether the domain is inside; always, when global. */
static inline bool dir_scope_has(const struct dir_scope *s, struct str domain)
{
	if (s->kind == DIR_SCOPE_GLOBAL)
		return true;
	for (size_t i = 0; s->kind == DIR_SCOPE_DOMAINS && i < s->n_domains; i++)
		if (str_eqi(s->domains[i], domain))
			return true;
	return false;
}

#endif
