/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.h - the rules about recipients and messages (service/policy), as mta asks them. [roles,
 * private]
 *
 * One engine for barid's own SMTP (smtp_backend.policy) and for port 7777. It owns
 * policy/policy.db, the only files of this role. What rules ask of dir is remembered for
 * RULES_KEEP_MS, and forgotten when dir says that an order has changed something.
 */
#ifndef BARID_ROLES_MTA_RULES_H
#define BARID_ROLES_MTA_RULES_H

#include "roles/mta/mta.h"
#include "service/policy/orders.h"
#include "service/policy/policy.h"

#define RULES_KEEP_MS 1000

/* role_ops: open, reconfigure, stop */
void rules_open(struct role *role);
void rules_reconfigure(struct role *role);
void rules_finish(void);
/* What a configuration means; `*ret` borrows from c and is cleared by rules_settings_clear. */
void rules_settings_make(struct policy_settings *ret, const struct conf *c);
void rules_settings_clear(struct policy_settings *s);

/* smtp_backend.policy, with an mta_session as ctx */
void rules_judge(void *ctx, const struct policy_request *r, const struct str *rcpts, size_t n,
		 struct policy_verdict *ret);

/* rules_order.c: `barid policy ...`, on a worker thread */
void rules_order(struct role *role, struct ipc_packet *p);
/* Well-known senders are looked up from now on; the pool must be there. */
void rules_refresh_begin(void);
struct policy *rules_engine(void);

/* rules_ask.c: who asks dir and dns for the rules; nowait: only what is remembered. */
struct rules_asker {
	struct trace_id trace;
	bool nowait;
	bool busy; /* something would have had to be waited for */
};
struct policy_ask rules_ask(struct rules_asker *a); /* borrowed as long as the result */
void rules_forget_facts(void);			    /* dir says so */

/* One request, of whomever. */
struct rules_case {
	const struct policy_request *request;
	const struct policy_settings *settings;
	struct rules_asker *asker;
	struct str id;		 /* that the answer names */
	bool inside;		 /* of our own SMTP */
	const struct str *rcpts; /* all that are known, at the end of a message; n = 0: as the */
	size_t n;		 /* request says */
};
/* 0, or -FAIL_BUSY with asker->nowait. What is not DUNNO is logged under asker->trace. */
MUST_CHECK int rules_decide(const struct rules_case *c, struct policy_verdict *ret);

#endif
