/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_int.h - between the files of the policy service.                      [service/policy
 * only]
 *
 * schema.c    the tables           policy.c   the file, its rows in memory, the writer
 * query.c     what is asked        rules.c    the order of the rules, and the walk
 * rule_*.c    one rule each        key.c      what rows call an account
 *
 * To add a rule: rule_NAME.c, an id in policy.h (enum policy_rule_id), a row in rules.c. When it
 * has tables or keeps something in memory: a struct policy_part beside it, and a row in policy.c.
 */
#ifndef BARID_SERVICE_POLICY_POLICY_INT_H
#define BARID_SERVICE_POLICY_POLICY_INT_H

#include "runtime/db/db.h"
#include "service/policy/policy.h"

/*
 * A rule. It finds *ret as DUNNO, of itself, without a reason. 0: *ret is its answer; negative: it
 * could not be asked, *why says why.
 */
typedef int policy_rule_fn(struct policy *p, const struct policy_query *q,
			   struct policy_verdict *ret, struct fail *why);
enum {
	POLICY_AT_RCPT = 1u << POLICY_STATE_RCPT,
	POLICY_AT_END = 1u << POLICY_STATE_END_OF_MESSAGE,
};
struct policy_rule {
	const char *name;
	int priority; /* the reference's; higher ones come first */
	unsigned states;
	policy_rule_fn *ask;
	bool strict; /* accepting would be wrong: when it cannot be asked it says 451 */
};
extern const struct policy_rule policy_rules[POLICY_RULES];
policy_rule_fn rule_reject_null_sender, rule_reject_to_hostname, rule_wblist_rdns;
policy_rule_fn rule_greylisting, rule_throttle;
policy_rule_fn rule_login_mismatch, rule_list_access, rule_wblist, rule_force_change_password;
policy_rule_fn rule_whitelist_outbound, rule_senderscore;

/* --- for rules: answers --- */
/* Each returns 0, so that a rule may `return policy_reject(...)`. */
PRINTF_LIKE(2, 3) int policy_dunno(struct policy_verdict *ret, const char *why, ...);
PRINTF_LIKE(2, 3) int policy_ok(struct policy_verdict *ret, const char *why, ...);
/* 554 5.7.1 with this text. */
PRINTF_LIKE(3, 4)
int policy_reject(struct policy_verdict *ret, const char *text, const char *why, ...);
PRINTF_LIKE(3, 4)
int policy_discard(struct policy_verdict *ret, const char *text, const char *why, ...);
/* 451 4.7.1 with this text. */
PRINTF_LIKE(3, 4)
int policy_defer(struct policy_verdict *ret, const char *text, const char *why, ...);

/* --- for rules: facts --- */
/* rule_login_mismatch.c: one of the words, between commas or blanks, without regard to case. */
bool policy_words_have(const char *words, struct str word);
enum policy_who { POLICY_SENDER, POLICY_RECIPIENT, POLICY_LOGIN };
/* What the directory knows of a domain; asked once for each query. */
MUST_CHECK int policy_domain(const struct policy_query *q, enum policy_who who,
			     const struct policy_domain_facts **ret, struct fail *why);
/*
 * May this client send for the sender's domain (RFC 7208)? Asked once for each query, for at most
 * settings->dns_timeout_ms. NULL: there is no name service to ask. A failure of the name service is
 * SPF_TEMPERROR.
 */
const struct spf_verdict *policy_spf(const struct policy_query *q);
/* It passes by a record that does not let everybody pass. */
bool policy_spf_passes(const struct spf_verdict *v);
/* Ours, or an alias of one of ours. */
static inline bool policy_is_ours(const struct policy_domain_facts *d)
{
	return d->kind == POLICY_DOMAIN_OURS || d->kind == POLICY_DOMAIN_ALIAS;
}
static inline bool policy_logged_in(const struct policy_query *q)
{
	return q->login.full.n > 0;
}

/* --- parts: tables in memory, and what rules keep --- */

/*
 * `table` is what the rows say: made by `load`, never changed afterwards, replaced as a whole.
 * `state` is what a rule keeps: made once, with locks of its own. Any of the functions may be NULL.
 */
struct policy_part {
	const char *name;
	MUST_CHECK int (*load)(struct db *db, void **ret_table, struct fail *why);
	void (*unload)(void *table);
	void *(*make)(void);
	/* The file is open for the first time: take up what was written. */
	MUST_CHECK int (*recall)(void *state, struct db *db, struct wall_us now, struct fail *why);
	/* Write what waits, in a transaction; then `flushed`: written or not (then it waits on).
	 * 1: rows changed that `load` reads: they are read again, soon. */
	MUST_CHECK int (*flush)(void *state, struct db *db, struct fail *why);
	void (*flushed)(void *state, bool written);
	/* Once an hour, in a transaction: rows that are over, so many at most. 1: there are more,
	 * it is called again soon. */
	MUST_CHECK int (*sweep)(void *state, struct db *db, const struct policy_keep *keep,
				struct wall_us now, struct fail *why);
	void (*free)(void *state);
};
enum policy_part_id {
	POLICY_PART_RDNS,
	POLICY_PART_SESSIONS,
	POLICY_PART_GREY_ROWS,
	POLICY_PART_GREY,
	POLICY_PART_GREY_DOMAINS,
	POLICY_PART_THROTTLE_ROWS,
	POLICY_PART_THROTTLE,
	POLICY_PART_WBLIST,
	POLICY_PART_OUTBOUND,
	POLICY_PART_SCORES,
	POLICY_PARTS
};
extern const struct policy_part policy_part_rdns, policy_part_sessions;
extern const struct policy_part policy_part_grey_rows, policy_part_grey;
extern const struct policy_part policy_part_grey_domains;
extern const struct policy_part policy_part_wblist, policy_part_outbound, policy_part_scores;
extern const struct policy_part policy_part_throttle_rows, policy_part_throttle;

/*
 * The rows of a part, until policy_table_done: short, without waiting for anything in between.
 * -FAIL_TEMP: they could not be read yet (no policy_table_done then).
 */
MUST_CHECK int policy_table(struct policy *p, enum policy_part_id id, const void **ret,
			    struct fail *why);
void policy_table_done(struct policy *p);
/* The rows in memory can be had without waiting. */
bool policy_tables_at_hand(struct policy *p);
/* Somebody who was asked would have to wait: a rule gives up with -FAIL_BUSY, and records nothing.
 */
static inline bool policy_busy(const struct policy_query *q)
{
	return q->busy && *q->busy;
}
void *policy_state(struct policy *p, enum policy_part_id id);
/*
 * The rows of `p`, and nothing of what its rules have counted or seen: for trying out what would
 * have been. It writes and logs nothing, and is one thread's. `p` must live longer.
 */
struct policy *policy_shadow(struct policy *p);
bool policy_is_shadow(const struct policy *p);
void policy_shadow_free(struct policy *p);
/* What waits to be written is written now: an order is about to read it. */
void policy_write(struct policy *p);
/* Something waits to be written: it will be, within POLICY_WRITE_MS. */
void policy_dirty(struct policy *p);
/*
 * The database itself, for orders of the operator: NULL when it is not open. Between enter and
 * leave nothing else uses it. `changed`: rows were, and are read again before policy_db_leave
 * returns; they are on disk then.
 */
struct db *policy_db_enter(struct policy *p);
void policy_db_leave(struct policy *p, bool changed);

/* sessions.c: what was decided goes to smtp_sessions. */
void policy_session_note(struct policy *p, const struct policy_query *q,
			 const struct policy_verdict *v);

extern const struct db_migration policy_schema[];
extern const size_t policy_schema_steps;
#define POLICY_APPLICATION_ID 0x6264706f /* "bdpo" */

#endif
