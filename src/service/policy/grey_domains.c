/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Well-known senders: greylisting_whitelist_domains names domains, and the networks that each of
 * them publishes by SPF (or the hosts of its MX) stand in greylisting_whitelist_domain_spf, with
 * the comment "AUTO-UPDATE: DOMAIN" as the reference writes it. They are looked up again each hour;
 * a domain whose look-up fails keeps what it had and is tried after longer and longer pauses.
 */
#include "base/check.h"
#include "base/map.h"
#include "service/policy/policy_int.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include <pthread.h>
#include <stdlib.h>

COUNTER(refreshed, "policy.domains-looked-up",
	"networks of well-known senders that were looked up");
COUNTER(failures, "policy.domains-failed", "of them: could not be");

#define EACH_S	      3600
#define FIRST_PAUSE_S 60
#define PAUSE_MAX_S   21600
#define DOMAINS_MAX   2000u
#define QUESTIONS     60u
#define DOMAIN_MS     10000u /* one domain takes no longer */
#define MEMORY	      MIB(4)
#define COMMENT	      "AUTO-UPDATE: "

struct domain {
	int64_t next;
	unsigned failures;
	char name[];
};
struct domains {
	pthread_mutex_t lock;
	struct strmap known;
};

static void *make(void)
{
	struct domains *s = xcalloc(1, sizeof *s);
	(void)pthread_mutex_init(&s->lock, NULL);
	return s;
}

static void free_state(void *state)
{
	struct domains *s = state;
	MAP_EACH (&s->known, i)
		free(s->known.slots[i].value);
	strmap_clear(&s->known);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

const struct policy_part policy_part_grey_domains = {
	.name = "greylisting_whitelist_domains", .make = make, .free = free_state};

static struct domain *domain_of(struct domains *s, struct str name)
{
	struct domain *d = strmap_get(&s->known, name);
	if (!d) {
		d = xcalloc(1, sizeof *d + name.n + 1);
		memcpy(d->name, name.p, name.n);
		(void)strmap_put(&s->known, str_make(d->name, name.n), d);
	}
	return d;
}

/* Names of the table, in the arena; those that are due. */
static int find_due(struct policy *p, int64_t now, size_t max, struct arena *a, struct str *ret,
		    size_t *ret_n, struct fail *why)
{
	struct domains *s = policy_state(p, POLICY_PART_GREY_DOMAINS);
	struct db *db = policy_db_enter(p);
	struct db_stmt *st;
	*ret_n = 0;
	if (!db)
		return fail_set(why, FAIL_TEMP, NULL, "policy.db is not open");
	int r = db_stmt(db, "SELECT lower(domain) FROM greylisting_whitelist_domains LIMIT ?1", &st,
			why);
	if (r == 0)
		db_bind_i64(st, 1, DOMAINS_MAX);
	pthread_mutex_lock(&s->lock);
	while (r == 0 && (r = db_step(st, why)) == 1) {
		struct str name = str_trim(db_col_text(st, 0));
		r = 0;
		if (*ret_n < max && dns_name_ok(name) && domain_of(s, name)->next <= now)
			ret[(*ret_n)++] = arena_str(a, name);
	}
	pthread_mutex_unlock(&s->lock);
	policy_db_leave(p, false);
	return r;
}

struct asking {
	const struct policy_ask *ask;
	struct mono_ns until;
};

static void ask_dns(void *ctx, struct str name, enum dns_type type, struct arena *a,
		    struct dns_answer *ret)
{
	const struct asking *x = ctx;
	int64_t left = (x->until.v - clock_mono().v) / MS_NS;
	x->ask->dns(x->ask->ctx, name, type, left > 0 ? (unsigned)left : 0, a, ret);
}

static int run_with(struct db *db, const char *sql, struct str one, struct str two,
		    struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db, sql, &st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, one);
	if (two.p)
		db_bind_text(st, 2, two);
	return db_run(st, why);
}

/* As much of the Internet as that is nobody's network. */
static bool is_too_wide(const struct spf_network *net)
{
	return net->bits < (net->n == 4 ? 8 : 16);
}

static int replace(struct db *db, struct str domain, const struct spf_networks *nets,
		   struct fail *why)
{
	AUTO(buf) struct buf comment = BUF_INIT(400), text = BUF_INIT(100);
	(void)buf_addf(&comment, COMMENT "%.*s", STR_ARG(domain));
	int r = db_begin(db, why);
	if (r == 0)
		r = run_with(db, "DELETE FROM greylisting_whitelist_domain_spf WHERE comment = ?1",
			     buf_str(&comment), STR_NULL, why);
	for (size_t i = 0; r == 0 && i < nets->n; i++) {
		if (is_too_wide(&nets->p[i]))
			continue;
		buf_reset(&text);
		spf_network_text(&nets->p[i], &text);
		r = run_with(db,
			     "INSERT OR IGNORE INTO greylisting_whitelist_domain_spf (account,"
			     " sender, comment) VALUES ('@.', ?1, ?2)",
			     buf_str(&text), buf_str(&comment), why);
	}
	if (r == 0)
		return db_commit(db, why);
	if (db_in_transaction(db))
		db_rollback(db);
	return r;
}

static int look_up(struct policy *p, const struct policy_ask *ask, struct str domain,
		   struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MEMORY);
	struct asking x = {ask, mono_add_ms(clock_mono(), DOMAIN_MS)};
	struct spf_dns dns = {&x, ask_dns};
	struct spf_networks nets;
	int r = spf_networks_of(domain, QUESTIONS, &dns, &a, &nets, why);
	struct db *db = r == 0 ? policy_db_enter(p) : NULL;
	if (!db)
		return r < 0 ? r : fail_set(why, FAIL_TEMP, NULL, "policy.db is not open");
	r = replace(db, domain, &nets, why);
	policy_db_leave(p, false);
	return r;
}

static void note(struct policy *p, struct str domain, int64_t now, bool worked)
{
	struct domains *s = policy_state(p, POLICY_PART_GREY_DOMAINS);
	pthread_mutex_lock(&s->lock);
	struct domain *d = domain_of(s, domain);
	int64_t pause = FIRST_PAUSE_S << MIN(d->failures, 10u);
	d->failures = worked ? 0 : d->failures + 1;
	d->next = now + (worked ? EACH_S : MIN(pause, (int64_t)PAUSE_MAX_S));
	pthread_mutex_unlock(&s->lock);
}

/* Networks of domains that were taken out of the table. True: there were some. */
static bool drop_strays(struct db *db)
{
	return db_exec(db,
		       "DELETE FROM greylisting_whitelist_domain_spf WHERE comment LIKE '" COMMENT
		       "%' AND substr(comment, 14) NOT IN (SELECT lower(domain) FROM"
		       " greylisting_whitelist_domains)",
		       NULL) == 0 &&
	       db_changes(db) > 0;
}

size_t policy_refresh_domains(struct policy *p, const struct policy_ask *ask, struct wall_us now,
			      size_t max, size_t *ret_failed)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct str due[DOMAINS_MAX];
	size_t n = 0, worked = 0;
	*ret_failed = 0;
	if (!ask->dns ||
	    find_due(p, now.v / SEC_US, MIN(max, (size_t)DOMAINS_MAX), &a, due, &n, NULL) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		struct fail why = FAIL_INIT;
		bool ok = look_up(p, ask, due[i], &why) == 0;
		worked += ok;
		note(p, due[i], now.v / SEC_US, ok);
	}
	*ret_failed = n - worked;
	counter_add(&refreshed, n);
	counter_add(&failures, n - worked);
	struct db *db = policy_db_enter(p);
	if (db)
		policy_db_leave(p, drop_strays(db) || worked > 0);
	return n;
}
