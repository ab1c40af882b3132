/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orders.h - what the command line asks of rules and their rows: `barid policy ...`.    [service]
 *
 * An order is words: positional ones, and "--key value". It answers with a table and a sentence. An
 * administrator of domains sees and changes rows whose account is in one of them; what is for
 * everybody, and networks, is a global administrator's. May block on the disk, `test` on whom rules
 * ask; any thread.
 */
#ifndef BARID_SERVICE_POLICY_ORDERS_H
#define BARID_SERVICE_POLICY_ORDERS_H

#include "service/policy/policy.h"

/* Who orders. */
struct policy_scope {
	bool everything;	   /* the operator, a global administrator */
	const struct str *domains; /* else */
	size_t n_domains;
};
struct policy_order {
	const struct policy_settings *settings;
	const struct policy_ask *ask;
	const struct policy_scope *scope;
	const struct str *args; /* behind "policy" */
	size_t n;
};
struct policy_answer {
	struct str *columns;
	size_t n_columns;
	struct str *cells; /* row by row */
	size_t n_cells, room;
	struct str message;
	bool changed;
};
/* Texts of *ret are the arena's. FAIL_SYNTAX (with the usage), FAIL_PERM, FAIL_NOTFOUND, ... */
MUST_CHECK int policy_order(struct policy *p, const struct policy_order *o, struct arena *a,
			    struct policy_answer *ret, struct fail *why);

#endif
