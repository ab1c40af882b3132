/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_testing.h - a policy service in a folder of its own, and questions as text. [tests only]
 *
 *     struct place p;
 *     place_begin(&p);
 *     place_ask(&p, "sender=a@x\nrecipient=b@y\nclient_address=192.0.2.1\n");
 *     assert_str(p.verdict.text, ...); place_end(&p);
 */
#ifndef BARID_SERVICE_POLICY_POLICY_TESTING_H
#define BARID_SERVICE_POLICY_POLICY_TESTING_H

#include "base/test.h"
#include "service/policy/policy_int.h"
#include "sys/clock.h"
#include "sys/testdir.h"
#include <time.h>

struct place {
	struct testdir dir;
	char path[120];
	struct policy *policy;
	struct policy_settings settings;
	struct policy_ask ask;
	struct arena arena;
	struct policy_walk walk;
	struct policy_verdict verdict;
	bool dry, inside;
	struct wall_us now; /* 0: of the clock */
};

/* Domains: example.test is ours, alias.test stands for it, backup.test is kept for others. */
static inline int place_domain(void *ctx, struct str domain, struct arena *a,
			       struct policy_domain_facts *ret, struct fail *why)
{
	(void)ctx;
	(void)a;
	*ret = (struct policy_domain_facts){.kind = POLICY_DOMAIN_FOREIGN};
	if (str_eq(domain, STR("broken.test")))
		return fail_set(why, FAIL_PEER, NULL, "dir is away");
	if (str_eq(domain, STR("example.test")))
		ret->kind = POLICY_DOMAIN_OURS;
	else if (str_eq(domain, STR("backup.test")))
		ret->kind = POLICY_DOMAIN_BACKUP_MX;
	else if (str_eq(domain, STR("alias.test")))
		*ret = (struct policy_domain_facts){POLICY_DOMAIN_ALIAS, STR("example.test")};
	return 0;
}

static inline void place_open(struct place *p)
{
	struct fail why = FAIL_INIT;
	p->policy = policy_open(p->path, &p->settings.keep, &why);
	if (why.code)
		fail_msg("%s", why.detail);
}

static inline void place_begin(struct place *p)
{
	*p = (struct place){.dir = testdir_new(),
			    .settings = policy_settings_default(),
			    .ask = {.domain = place_domain},
			    .arena = ARENA_INIT(MIB(1))};
	p->settings.hostname = "mx.example.test";
	p->settings.off[POLICY_RULE_GREYLISTING] = true; /* its own tests switch it on */
	(void)snprintf(p->path, sizeof p->path, "%s", testdir_path(&p->dir, "policy.db"));
	place_open(p);
}

static inline void place_end(struct place *p)
{
	policy_close(p->policy);
	arena_clear(&p->arena);
	auto_testdir_(&p->dir);
}

/* Lines of attributes; state RCPT unless they say another. The texts live until the next. */
static inline void place_ask(struct place *p, const char *attributes)
{
	struct policy_request r;
	struct policy_query q;
	struct fail why = FAIL_INIT;
	arena_reset(&p->arena);
	struct str text = arena_printf(
		&p->arena, "request=smtpd_access_policy\nprotocol_state=RCPT\n%s\n", attributes);
	assert_int_equal(policy_request_parse(text, &r), 0);
	assert_ok(policy_query_init(&q, &r, &p->settings, &p->arena, &why), &why);
	q.ask = &p->ask;
	q.dry = p->dry;
	q.inside = p->inside;
	if (p->now.v)
		q.now = p->now;
	policy_decide(p->policy, &q, &p->walk, &p->verdict);
}

/* "554 5.7.1 Blacklisted", "451 4.7.1 ...", "DUNNO": what a client of barid would see of it. */
static inline void place_says(struct place *p, const char *attributes, const char *want)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	place_ask(p, attributes);
	if (p->verdict.act == POLICY_REJECT || p->verdict.act == POLICY_DEFER)
		(void)buf_addf(&b, "%u %s %s", p->verdict.code, p->verdict.status, p->verdict.text);
	else
		(void)buf_add_c(&b, policy_act_name(p->verdict.act));
	if (!str_eq(buf_str(&b), str_c(want)))
		fail_msg("%s\n%s (%s), not %s", attributes, buf_c(&b), p->verdict.why, want);
}

/* What the rule said in the walk of the last question; fails when it was not asked. */
static inline const struct policy_step *place_step(struct place *p, const char *rule)
{
	size_t i = 0;
	while (i < p->walk.n && strcmp(p->walk.step[i].rule, rule) != 0)
		i++;
	if (i == p->walk.n)
		fail_msg("%s was not asked", rule);
	return &p->walk.step[i];
}

/* SQL as barid's own orders do it: rows are read again at once. */
static inline void place_sql(struct place *p, const char *sql)
{
	struct fail why = FAIL_INIT;
	struct db *db = policy_db_enter(p->policy);
	assert_non_null(db);
	assert_ok(db_exec(db, sql, &why), &why);
	policy_db_leave(p->policy, true);
}

/* As another program does it. */
static inline struct db *place_other(struct place *p)
{
	struct fail why = FAIL_INIT;
	struct db_options o = {.path = p->path, .busy_ms = 10000};
	struct db *db = NULL;
	assert_ok(db_open(&o, &db, &why), &why);
	return db;
}

static inline uint64_t place_number(struct place *p, const char *sql)
{
	struct fail why = FAIL_INIT;
	uint64_t n = 0;
	struct db *db = policy_db_enter(p->policy);
	assert_non_null(db);
	assert_ok(db_number(db, sql, &n, &why), &why);
	policy_db_leave(p->policy, false);
	return n;
}

/* Written behind: wait until it is. */
static inline void place_await(struct place *p, const char *sql, uint64_t want)
{
	const struct timespec moment = {.tv_nsec = 10 * MS_NS};
	for (unsigned i = 0; i < 3000 && place_number(p, sql) != want; i++)
		(void)nanosleep(&moment, NULL);
	assert_int_equal(place_number(p, sql), want);
}

#endif
