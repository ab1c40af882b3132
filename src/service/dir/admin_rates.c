/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a user, or each user of a domain, may send: in the column `settings` of mailbox and
 * domain, "key:value;key:value;" as the reference has it. What is not said there is said by the
 * domain, and else by the configuration.
 */
#include "admin_int.h"
#include "base/num.h"

#define SETTINGS_MAX KIB(64)

/* In the order of struct dir_rates; as they stand in the column, and as settings are called. */
static const struct str keys[] = {STR("rate_messages_hour"), STR("rate_recipients_hour"),
				  STR("rate_messages_day"), STR("rate_recipients_day")};

static bool is_key(struct str part, struct str key)
{
	return part.n > key.n && part.p[key.n] == ':' && str_starts(part, key);
}

/* The settings without this key, and with its new value unless that is "default". */
static int rewrite(struct str settings, struct str key, struct str value, struct buf *out)
{
	struct str part;
	while (settings.n && str_cut(&settings, ';', &part))
		if (str_trim(part).n && !is_key(str_trim(part), key))
			(void)buf_addf(out, "%.*s;", STR_ARG(str_trim(part)));
	if (!str_eqi(value, STR("default")))
		(void)buf_addf(out, "%.*s:%.*s;", STR_ARG(key), STR_ARG(value));
	return out->failed ? -FAIL_LIMIT : 0;
}

static int set_rate(struct order *o, const char *const sql[2], struct str name, struct str key,
		    struct str value, struct fail *why)
{
	AUTO(buf) struct buf fresh = BUF_INIT(SETTINGS_MAX);
	struct db_stmt *st = NULL;
	uint64_t number = 0;
	bool unlimited = str_eqi(value, STR("unlimited"));

	if (!unlimited && !str_eqi(value, STR("default")) &&
	    (!num_parse_u64(value, &number) || number > 1000000))
		return refuse(why, FAIL_SYNTAX,
			      "\"%.*s\" is no rate; write a number up to 1000000, unlimited or "
			      "default",
			      STR_ARG(value));
	int r = dir_query(o->d, sql[0], name, STR_NULL, &st, why);
	if (r < 0)
		return r;
	struct str before = r == 1 ? arena_str(o->a, db_col_text(st, 0)) : STR("");
	if (r == 1)
		db_reset(st);
	if (rewrite(before, key, unlimited ? STR("0") : value, &fresh) < 0)
		return fail_set(why, FAIL_LIMIT, NULL, "settings of %.*s are too long",
				STR_ARG(name));
	return RUN(o, why, sql[1], name, fresh.n ? buf_str(&fresh) : STR(""), o->time);
}

static const char *const user_sql[2] = {
	"SELECT settings FROM mailbox WHERE username = ?1",
	"UPDATE mailbox SET settings = ?2, modified = ?3 WHERE username = ?1"};
static const char *const domain_sql[2] = {
	"SELECT settings FROM domain WHERE domain = ?1",
	"UPDATE domain SET settings = ?2, modified = ?3 WHERE domain = ?1"};

#define SETTER(what, n)                                                                            \
	int what##_rate_##n(struct order *o, struct str name, struct str value, struct fail *why)  \
	{                                                                                          \
		return set_rate(o, what##_sql, name, keys[n], value, why);                         \
	}
SETTER(user, 0)
SETTER(user, 1)
SETTER(user, 2)
SETTER(user, 3)
SETTER(domain, 0)
SETTER(domain, 1)
SETTER(domain, 2)
SETTER(domain, 3)

/* What these settings say, where nothing was said before. */
static void read_rates(struct str settings, struct dir_rates *ret)
{
	struct str part;
	while (settings.n && str_cut(&settings, ';', &part))
		for (size_t i = 0; i < DIR_RATES; i++) {
			uint64_t v = 0;
			part = str_trim(part);
			if (ret->v[i] < 0 && is_key(part, keys[i]) &&
			    num_parse_u64(str_skip(part, keys[i].n + 1), &v) && v <= 1000000)
				ret->v[i] = (int64_t)v;
		}
}

int dir_rates(struct dir *d, struct account_id id, struct dir_rates *ret, struct fail *why)
{
	struct db_stmt *st = NULL;
	*ret = (struct dir_rates){{-1, -1, -1, -1}};
	DIR_LOCKED(d);
	int r = db_stmt(d->db,
			"SELECT m.settings, d.settings FROM barid_account b"
			" JOIN mailbox m ON m.username = b.username"
			" LEFT JOIN domain d ON d.domain = m.domain WHERE b.id = ?1",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, (int64_t)MIN(id.v, (uint64_t)INT64_MAX));
	r = db_step(st, why);
	if (r <= 0)
		return r;
	read_rates(db_col_text(st, 0), ret);
	read_rates(db_col_text(st, 1), ret);
	db_reset(st);
	return 0;
}
