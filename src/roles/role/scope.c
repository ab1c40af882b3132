/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/role/scope.h"
#include "base/text.h"
#include <stdio.h>

void role_speak(const struct msg_admin *m)
{
	char name[17] = "";
	if (m)
		(void)snprintf(name, sizeof name, "%.*s", STR_ARG(m->language));
	(void)text_speak(text_find_language(name));
}

int role_scope(const struct msg_admin *m, struct arena *a, struct dir_scope *ret, struct fail *why)
{
	struct str *domains = arena_array(a, struct str, m->domains_n);
	if (!domains)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at a scope");
	for (size_t i = 0; i < m->domains_n; i++)
		domains[i] = m->domains[i].s;
	*ret = (struct dir_scope){.kind = m->scope <= DIR_SCOPE_GLOBAL
						  ? (enum dir_scope_kind)m->scope
						  : DIR_SCOPE_NOTHING,
				  .account = m->by,
				  .domains = domains,
				  .n_domains = m->domains_n};
	return 0;
}
