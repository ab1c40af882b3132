/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "service/guard/guard_int.h"
#include "sys/sha256.h"
#include <stdio.h>
#include <stdlib.h>

#define APPLICATION_ID 0x62646775 /* "bdgu" */
#define DAY_US	       (INT64_C(86400) * SEC_US)
#define HOUR_US	       (INT64_C(3600) * SEC_US)
#define MINUTE_US      (INT64_C(60) * SEC_US)

static const struct db_migration steps[] = {
	{.what = "whom accounts write to, and who is held",
	 .sql = "CREATE TABLE known(account INTEGER, address INTEGER, first_us INTEGER NOT NULL,"
		" last_us INTEGER NOT NULL, pending INTEGER NOT NULL, PRIMARY KEY(account, "
		"address))"
		" WITHOUT ROWID;"
		"CREATE INDEX known_first ON known(account, first_us);"
		"CREATE TABLE account(account INTEGER PRIMARY KEY, held_us INTEGER NOT NULL,"
		" allowed INTEGER NOT NULL, messages INTEGER NOT NULL, reason TEXT NOT NULL);"
		"CREATE TABLE traffic(account INTEGER, minute INTEGER, messages INTEGER NOT NULL,"
		" recipients INTEGER NOT NULL, failed INTEGER NOT NULL, PRIMARY KEY(account, "
		"minute))"
		" WITHOUT ROWID;"},
};

unsigned guard_format(void)
{
	return ARRAY_LEN(steps);
}

int guard_open(const char *path, struct fs *fs, struct guard **ret, struct fail *why)
{
	struct guard *g = xcalloc(1, sizeof *g);
	struct db_options o = {.path = path, .fs = fs, .create = true, .exclusive = true};
	(void)pthread_mutex_init(&g->lock, NULL);
	networks_init(&g->networks);
	int r = db_open(&o, &g->db, why);
	if (r == 0)
		r = db_migrate(g->db, APPLICATION_ID, steps, ARRAY_LEN(steps), why);
	/* A commit need not wait for the disk: what is lost is learned again. */
	if (r == 0)
		r = db_exec(g->db, "PRAGMA synchronous = NORMAL", why);
	if (r < 0) {
		guard_close(g);
		return r;
	}
	*ret = g;
	return 0;
}

void guard_close(struct guard *g)
{
	if (!g)
		return;
	db_close(g->db);
	networks_clear(&g->networks);
	(void)pthread_mutex_destroy(&g->lock);
	free(g);
}

static int prepare(struct guard *g, const char *sql, const int64_t *v, size_t n,
		   struct db_stmt **ret, struct fail *why)
{
	int r = db_stmt(g->db, sql, ret, why);
	for (size_t i = 0; r == 0 && i < n; i++)
		db_bind_i64(*ret, (int)i + 1, v[i]);
	return r;
}

int guard_run(struct guard *g, const char *sql, const int64_t *v, size_t n, struct fail *why)
{
	struct db_stmt *st;
	int r = prepare(g, sql, v, n, &st, why);
	return r < 0 ? r : db_run(st, why);
}

int guard_number(struct guard *g, const char *sql, const int64_t *v, size_t n, int64_t *ret,
		 struct fail *why)
{
	struct db_stmt *st;
	int r = prepare(g, sql, v, n, &st, why);
	*ret = 0;
	if (r < 0 || (r = db_step(st, why)) <= 0)
		return r;
	*ret = db_col_i64(st, 0);
	db_reset(st);
	return 0;
}

/* --- one message --- */

struct judging {
	struct guard *g;
	const struct guard_rules *rules;
	const struct guard_message *m;
	int64_t *addresses; /* of m->rcpts, hashed */
	bool *strange;	    /* this one is new to the account */
	size_t strangers;
	bool held, allowed; /* the account is, before this message */
};

/* 63 bits of a digest: an address cannot be read from it, and two hardly ever meet. */
static int64_t hash_of(struct str address)
{
	uint8_t digest[32];
	char lower[512];
	size_t n = MIN(address.n, sizeof lower);
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		lower[i] = ascii_lower(address.p[i]);
	sha256_of((struct str){lower, n}, digest);
	for (size_t i = 0; i < 8; i++)
		v = v << 8 | digest[i];
	return (int64_t)(v >> 1);
}

static int look_up_account(struct judging *j, struct fail *why)
{
	int64_t v[] = {(int64_t)j->m->account.v}, held = 0, allowed = 0;
	int r = guard_number(j->g, "SELECT held_us FROM account WHERE account = ?1", v, 1, &held,
			     why);
	if (r == 0)
		r = guard_number(j->g, "SELECT allowed FROM account WHERE account = ?1", v, 1,
				 &allowed, why);
	j->held = held != 0;
	j->allowed = allowed != 0;
	return r;
}

static int find_strangers(struct judging *j, struct fail *why)
{
	int64_t since = j->m->now.v - j->rules->memory_us;
	for (size_t i = 0; i < j->m->n; i++) {
		int64_t known = 0;
		j->addresses[i] = hash_of(j->m->rcpts[i]);
		int64_t v[] = {(int64_t)j->m->account.v, j->addresses[i], since};
		int r = guard_number(j->g,
				     "SELECT 1 FROM known WHERE account = ?1 AND address = ?2"
				     " AND last_us > ?3 AND pending = 0",
				     v, 3, &known, why);
		if (r < 0)
			return r;
		j->strange[i] = known == 0;
		j->strangers += known == 0;
	}
	return 0;
}

/* Columns of `traffic` since a moment. */
static int traffic(struct judging *j, const char *sql, int64_t since_us, int64_t *ret,
		   struct fail *why)
{
	int64_t v[] = {(int64_t)j->m->account.v, since_us / MINUTE_US};
	return guard_number(j->g, sql, v, 2, ret, why);
}

#define SUM(column) "SELECT sum(" column ") FROM traffic WHERE account = ?1 AND minute > ?2"

/* Over a rate? Then ret says which. */
static int check_rates(struct judging *j, struct guard_answer *ret, struct fail *why)
{
	const struct guard_rules *u = j->rules;
	const struct {
		uint32_t max;
		int64_t span;
		const char *sql, *what;
		uint32_t more;
	} rates[] = {
		{u->hour_messages, HOUR_US, SUM("messages"), "messages an hour", 1},
		{u->hour_recipients, HOUR_US, SUM("recipients"), "recipients an hour", j->m->all},
		{u->day_messages, DAY_US, SUM("messages"), "messages a day", 1},
		{u->day_recipients, DAY_US, SUM("recipients"), "recipients a day", j->m->all}};
	for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
		int64_t so_far = 0;
		int r = rates[i].max ? traffic(j, rates[i].sql, j->m->now.v - rates[i].span,
					       &so_far, why)
				     : 0;
		if (r < 0)
			return r;
		if (rates[i].max && so_far + rates[i].more > rates[i].max) {
			ret->verdict = GUARD_RATE;
			(void)snprintf(ret->reason, sizeof ret->reason, "%u %s", rates[i].max,
				       rates[i].what);
			return 0;
		}
	}
	return 0;
}

static void held_for(struct judging *j, struct guard_answer *ret, int64_t n, const char *what)
{
	ret->verdict = GUARD_HELD;
	ret->fresh = true;
	(void)snprintf(ret->reason, sizeof ret->reason,
		       "take-over guard: %lld %s within %lld minutes", (long long)n, what,
		       (long long)(j->rules->window_us / MINUTE_US));
}

/* Sent to others from all over the world at once? */
static void check_networks(struct judging *j, struct guard_answer *ret)
{
	const struct guard_rules *u = j->rules;
	if (!u->networks_max || !j->m->n)
		return;
	unsigned n = networks_count(&j->g->networks, j->m->account, j->m->now.v - u->window_us);
	if (n > u->networks_max)
		held_for(j, ret, n, "networks");
}

/* Is this too much of the unusual? */
static int check_habits(struct judging *j, struct guard_answer *ret, struct fail *why)
{
	const struct guard_rules *u = j->rules;
	int64_t since = j->m->now.v - u->window_us, lately = 0, failed = 0;
	int64_t v[] = {(int64_t)j->m->account.v, since};
	int r = 0;
	if (u->new_max && j->strangers)
		r = guard_number(j->g,
				 "SELECT count(*) FROM known WHERE account = ?1 AND first_us > ?2",
				 v, 2, &lately, why);
	if (r == 0 && u->failed_max && j->m->failed)
		r = traffic(j, SUM("failed"), since, &failed, why);
	if (r < 0)
		return r;
	int64_t strangers = lately + (int64_t)j->strangers, refused = failed + j->m->failed;
	bool many = u->new_max && j->strangers && strangers > u->new_max;
	if (many || (u->failed_max && j->m->failed && refused > u->failed_max))
		held_for(j, ret, many ? strangers : refused,
			 many ? "new recipients" : "refused recipients");
	else
		check_networks(j, ret);
	return 0;
}

static int hold(struct judging *j, const struct guard_answer *a, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(j->g->db,
			"INSERT INTO account VALUES(?1, ?2, 0, 0, ?3) ON CONFLICT(account)"
			" DO UPDATE SET held_us = ?2, messages = 0, reason = ?3",
			&st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, j->m->account.v);
	db_bind_i64(st, 2, j->m->now.v);
	db_bind_text(st, 3, str_c(a->reason));
	return db_run(st, why);
}

/* Whom the account writes to. While it is held that is nothing it is known for yet. */
static int learn(struct judging *j, bool pending, struct fail *why)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < j->m->n; i++) {
		int64_t v[] = {(int64_t)j->m->account.v, j->addresses[i], j->m->now.v, pending};
		if (j->strange[i])
			r = guard_run(j->g,
				      "INSERT INTO known VALUES(?1, ?2, ?3, ?3, ?4)"
				      " ON CONFLICT(account, address) DO UPDATE SET pending = ?4,"
				      " last_us = ?3, first_us = iif(pending, first_us, ?3)",
				      v, 4, why);
		else /* to the day */
			r = guard_run(j->g,
				      "UPDATE known SET last_us = ?3 WHERE account = ?1"
				      " AND address = ?2 AND last_us < ?3 - 86400000000",
				      v, 3, why);
	}
	return r;
}

static int count_traffic(struct judging *j, bool taken, struct fail *why)
{
	int64_t v[] = {(int64_t)j->m->account.v, j->m->now.v / MINUTE_US, taken,
		       taken ? j->m->all : 0, j->m->failed};
	return guard_run(j->g,
			 "INSERT INTO traffic VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE"
			 " SET messages = messages + ?3, recipients = recipients + ?4,"
			 " failed = failed + ?5",
			 v, 5, why);
}

static int forget_old(struct judging *j, struct fail *why)
{
	int64_t now = j->m->now.v;
	if (now - j->g->swept_us < HOUR_US && now >= j->g->swept_us)
		return 0;
	j->g->swept_us = now;
	int64_t minute[] = {(now - DAY_US) / MINUTE_US}, moment[] = {now - j->rules->memory_us};
	int r = guard_run(j->g, "DELETE FROM traffic WHERE minute < ?1", minute, 1, why);
	return r < 0 ? r : guard_run(j->g, "DELETE FROM known WHERE last_us < ?1", moment, 1, why);
}

static bool has_rates(const struct guard_rules *u)
{
	return u->hour_messages || u->hour_recipients || u->day_messages || u->day_recipients;
}

static int write_down(struct judging *j, const struct guard_answer *a, struct fail *why)
{
	bool traffic = has_rates(j->rules) || j->m->failed;
	int64_t v[] = {(int64_t)j->m->account.v};
	int r = db_begin(j->g->db, why);
	if (r < 0)
		return r;
	if (a->fresh)
		r = hold(j, a, why);
	if (r == 0 && a->verdict == GUARD_HELD)
		r = guard_run(j->g, "UPDATE account SET messages = messages + 1 WHERE account = ?1",
			      v, 1, why);
	if (r == 0 && a->verdict != GUARD_RATE)
		r = learn(j, a->verdict == GUARD_HELD, why);
	if (r == 0 && traffic)
		r = count_traffic(j, a->verdict == GUARD_PASS, why);
	if (r == 0)
		r = forget_old(j, why);
	if (r == 0)
		r = db_commit(j->g->db, why);
	else
		db_rollback(j->g->db);
	/* Held is held, also when the power fails now. */
	return r == 0 && a->fresh ? db_checkpoint(j->g->db, why) : r;
}

static int reason_of(struct judging *j, struct guard_answer *ret, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(j->g->db, "SELECT reason FROM account WHERE account = ?1", &st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, j->m->account.v);
	r = db_step(st, why);
	if (r <= 0)
		return r;
	(void)snprintf(ret->reason, sizeof ret->reason, "%.*s", STR_ARG(db_col_text(st, 0)));
	db_reset(st);
	return 0;
}

/* A held account fills the disk no more than this. */
static int check_held(struct judging *j, struct guard_answer *ret, struct fail *why)
{
	int64_t v[] = {(int64_t)j->m->account.v}, messages = 0;
	int r = reason_of(j, ret, why);
	ret->verdict = GUARD_HELD;
	if (r < 0 || !j->rules->held_max)
		return r;
	r = guard_number(j->g, "SELECT messages FROM account WHERE account = ?1", v, 1, &messages,
			 why);
	if (messages >= (int64_t)j->rules->held_max)
		ret->verdict = GUARD_RATE;
	return r;
}

/* Nothing that anybody would ask for later. */
static bool leaves_no_trace(const struct judging *j, const struct guard_answer *a)
{
	return a->verdict == GUARD_PASS && !j->m->n && !j->m->failed && !has_rates(j->rules);
}

static int judge(struct judging *j, struct guard_answer *ret, struct fail *why)
{
	if (j->m->network)
		networks_note(&j->g->networks, j->m->account, j->m->network, j->m->now.v);
	int r = look_up_account(j, why);
	if (r == 0)
		r = find_strangers(j, why);
	if (r == 0 && j->held) {
		r = check_held(j, ret, why);
	} else if (r == 0) {
		r = check_rates(j, ret, why);
		if (r == 0 && ret->verdict == GUARD_PASS && !j->allowed)
			r = check_habits(j, ret, why);
	}
	return r < 0 || leaves_no_trace(j, ret) ? r : write_down(j, ret, why);
}

int guard_judge(struct guard *g, const struct guard_rules *rules, const struct guard_message *m,
		struct guard_answer *ret, struct fail *why)
{
	struct judging j = {.g = g, .rules = rules, .m = m};
	*ret = (struct guard_answer){.verdict = GUARD_PASS};
	j.addresses = xcalloc(m->n + 1, sizeof *j.addresses);
	j.strange = xcalloc(m->n + 1, sizeof *j.strange);
	(void)pthread_mutex_lock(&g->lock);
	int r = judge(&j, ret, why);
	(void)pthread_mutex_unlock(&g->lock);
	free(j.addresses);
	free(j.strange);
	return r;
}

void guard_login(struct guard *g, struct account_id account, struct str ip, struct wall_us now)
{
	uint64_t net = guard_network(ip);
	if (net)
		networks_note(&g->networks, account, net, now.v);
}
