/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders on app passwords and second factors of a user, and on master users.
 */
#include "admin_int.h"

#include "app_password.h"
#include "base/num.h"
#include "sys/clock.h"

/* The first word is the verb of a noun of two words: take it off. */
static struct str take_verb(struct order *o)
{
	struct str verb = o->words.p[0];

	vec_remove(&o->words, 0);
	return verb;
}

static struct str option_of(const struct order *o, const char *key)
{
	for (size_t i = 0; i < o->options.n; i++)
		if (str_eqi(o->options.p[i].key, str_c(key)))
			return o->options.p[i].value;
	return STR_NULL;
}

static int known_options(const struct order *o, const char *const *keys, struct fail *why)
{
	for (size_t i = 0; i < o->options.n; i++) {
		size_t k = 0;
		while (keys[k] && !str_eqi(o->options.p[i].key, str_c(keys[k])))
			k++;
		if (!keys[k])
			return refuse(why, FAIL_SYNTAX, "there is no option --%.*s here",
				      STR_ARG(o->options.p[i].key));
	}
	return 0;
}

static int account_of(struct order *o, struct str *ret_user, struct account_id *ret,
		      struct fail *why)
{
	struct addr x;
	int r = word_user_below(o, &x, why);

	if (r < 0)
		return r;
	*ret_user = x.full;
	return dir_account_id(o->d, x.full, ret, why);
}

static struct str id_text(struct order *o, struct account_id id)
{
	return arena_printf(o->a, "%llu", (unsigned long long)id.v);
}

static int check_services(struct str list, struct fail *why)
{
	struct str bad = STR_NULL;

	if (login_services_valid(list, &bad))
		return 0;
	return refuse(why, FAIL_SYNTAX,
		      "There is no service %.*s; known: smtp imap pop3 managesieve web dav eas.",
		      STR_ARG(bad));
}

/* "30d", "12h", or "2027-01-31": the moment in UTC as a DATETIME. Empty or "never": NULL. */
static int parse_expiry(struct order *o, struct str s, struct str *ret, struct fail *why)
{
	static const char units[] = "hdw";
	static const uint32_t seconds[] = {3600, 86400, 7 * 86400};
	struct db_stmt *st = NULL;
	uint32_t n = 0;

	*ret = STR_NULL;
	if (s.n == 0 || str_eqi(s, STR("never")))
		return 0;
	const char *unit = strchr(units, ascii_lower(s.p[s.n - 1]));
	struct str when = s;
	if (unit && *unit && num_parse_u32(str_sub(s, 0, s.n - 1), &n) && n > 0 && n < 100000)
		when = arena_printf(o->a, "+%llu seconds",
				    (unsigned long long)n * seconds[unit - units]);
	int r = dir_query(o->d,
			  "SELECT iif(substr(?1, 1, 1) = '+', datetime(?2, ?1), datetime(?1))",
			  when, o->time, &st, why);
	if (r < 0)
		return r;
	*ret = r == 1 ? arena_str(o->a, db_col_text(st, 0)) : STR_NULL;
	db_reset(st);
	if (ret->n == 0)
		return refuse(why, FAIL_SYNTAX,
			      "\"%.*s\" is not a time; write 90d, 12h, or 2027-01-31.", STR_ARG(s));
	if (str_cmp(*ret, o->time) <= 0)
		return refuse(why, FAIL_SYNTAX, "%.*s is over already.", STR_ARG(s));
	return 0;
}

/* ---- app passwords ---- */

static int check_networks(struct str list, struct fail *why)
{
	struct str rest = list;
	struct str part;

	while (str_cut(&rest, ',', &part))
		if (part.n > 0 && !dir_net_is_valid(str_trim(part)))
			return refuse(why, FAIL_SYNTAX, "\"%.*s\" is not an address or network",
				      STR_ARG(part));
	return 0;
}

static int check_addresses(struct order *o, struct str user, struct str list, struct fail *why)
{
	struct str rest = list;
	struct str part;

	while (str_cut(&rest, ',', &part)) {
		struct addr x;
		if (str_trim(part).n == 0)
			continue;
		int r = parse_address(o, str_trim(part), &x, why);
		if (r == 0)
			r = dir_sends_as(o->d, user, &x, why);
		if (r < 0)
			return r;
		if (r == 0)
			return refuse(why, FAIL_PERM, "%.*s is not an address of this user.",
				      STR_ARG(x.full));
	}
	return 0;
}

static int check_count(struct order *o, struct account_id id, struct fail *why)
{
	int64_t n = 0;
	int r = count_rows(o, "SELECT count(*) FROM barid_app_password WHERE account = ?1",
			   id_text(o, id), STR_NULL, &n, why);

	if (r < 0 || n < APP_PASSWORDS_MAX)
		return MIN(r, 0);
	return refuse(why, FAIL_LIMIT, "A user has at most %d app passwords: delete one first.",
		      APP_PASSWORDS_MAX);
}

static int app_add(struct order *o, struct fail *why)
{
	static const char *const keys[] = {"label",    "expires",   "services",
					   "networks", "addresses", NULL};
	struct str user, expires;
	struct account_id id = {0};
	char text[APP_PASSWORD_TEXT];
	uint8_t hash[APP_PASSWORD_HASH];
	struct str label = str_trim(option_of(o, "label"));
	int r = known_options(o, keys, why);

	if (r == 0 && (label.n == 0 || label.n >= DIR_LABEL_MAX))
		r = refuse(why, FAIL_SYNTAX,
			   "An app password needs a --label of at most %d octets.",
			   DIR_LABEL_MAX - 1);
	if (r == 0)
		r = account_of(o, &user, &id, why);
	if (r == 0)
		r = check_count(o, id, why);
	if (r == 0)
		r = check_services(option_of(o, "services"), why);
	if (r == 0)
		r = check_networks(option_of(o, "networks"), why);
	if (r == 0)
		r = check_addresses(o, user, option_of(o, "addresses"), why);
	if (r == 0)
		r = parse_expiry(o, option_of(o, "expires"), &expires, why);
	if (r < 0)
		return r;
	struct db_stmt *st = NULL;
	r = db_stmt(o->d->db,
		    "INSERT INTO barid_app_password (account, label, hash, services, networks,"
		    " addresses, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		    &st, why);
	if (r < 0)
		return r;
	app_password_make(text);
	(void)app_password_hash(str_c(text), hash);
	db_bind_u64(st, 1, id.v);
	db_bind_text(st, 2, label);
	db_bind_blob(st, 3, str_make((const char *)hash, sizeof hash));
	db_bind_text(st, 4, option_of(o, "services"));
	db_bind_text(st, 5, option_of(o, "networks"));
	db_bind_text(st, 6, option_of(o, "addresses"));
	db_bind_text(st, 7, o->time);
	if (expires.p)
		db_bind_text(st, 8, expires);
	r = db_run(st, why);
	if (r == -FAIL_EXISTS)
		return refuse(why, FAIL_EXISTS, "There is an app password %.*s already.",
			      STR_ARG(label));
	if (r < 0)
		return r;
	o->learn = user;
	o->learn_app = (uint64_t)db_last_rowid(o->d->db);
	o->password = arena_str(o->a, str_c(text));
	show(o, "user", user);
	show(o, "label", label);
	show(o, "app password", o->password);
	say(o, "It is shown this once.");
	explicit_bzero(text, sizeof text);
	return 0;
}

static int app_list(struct order *o, struct fail *why)
{
	static const struct str columns[] = {{"label", 5},    {"created", 7},  {"last-used", 9},
					     {"expires", 7},  {"services", 8}, {"networks", 8},
					     {"addresses", 9}};
	struct str user;
	struct account_id id = {0};
	int r = account_of(o, &user, &id, why);

	if (r < 0)
		return r;
	return fill(o, columns, ARRAY_LEN(columns),
		    "SELECT label, created, COALESCE(last_used, 'never'),"
		    " COALESCE(expires, 'never'), iif(services = '', 'all', services),"
		    " iif(networks = '', 'any', networks), iif(addresses = '', 'all', addresses)"
		    " FROM barid_app_password WHERE account = ?1 ORDER BY id",
		    id_text(o, id), why);
}

static int app_del(struct order *o, struct fail *why)
{
	struct str user;
	struct account_id id = {0};
	int r = account_of(o, &user, &id, why);

	if (r < 0)
		return r;
	struct str label = o->words.p[1];
	r = RUN(o, why, "DELETE FROM barid_app_password WHERE account = ?1 AND label = ?2",
		id_text(o, id), label);
	if (r == 0 && db_changes(o->d->db) == 0)
		return refuse(why, FAIL_NOTFOUND,
			      "There is no app password %.*s; see: barid user "
			      "app-password list %.*s",
			      STR_ARG(label), STR_ARG(user));
	if (r == 0)
		say(o, "app password %.*s of %.*s deleted", STR_ARG(label), STR_ARG(user));
	return r;
}

int user_app_password(struct order *o, struct fail *why)
{
	struct str verb = take_verb(o);

	if (str_eq(verb, STR("add")) && o->words.n == 1)
		return app_add(o, why);
	if (str_eq(verb, STR("list")) && o->words.n == 1)
		return app_list(o, why);
	if (str_eq(verb, STR("del")) && o->words.n == 2)
		return app_del(o, why);
	return refuse(
		why, FAIL_SYNTAX,
		"usage: barid user app-password add A --label L [--expires 90d] [--services S]"
		" [--networks N] [--addresses A] | list A | del A LABEL");
}

/* ---- second factors ---- */

static int totp_enable(struct order *o, struct str user, struct account_id id, struct fail *why)
{
	static const char *const keys[] = {"app-passwords", NULL};
	struct str how = option_of(o, "app-passwords");
	struct dir_totp now = {0};
	struct str secret = STR_NULL;
	int r = known_options(o, keys, why);

	if (r == 0 && how.p && !str_eq(how, STR("required")) && !str_eq(how, STR("optional")))
		r = refuse(why, FAIL_SYNTAX, "--app-passwords is required or optional.");
	if (r == 0)
		r = dir_totp_get(o->d, id, &now, why);
	if (r == 0 && now.on)
		r = refuse(why, FAIL_EXISTS,
			   "The second factor of %.*s is on; disable it first to begin anew.",
			   STR_ARG(user));
	if (r == 0)
		r = dir_totp_begin(o->d, id, !str_eq(how, STR("optional")), o->a, &secret, why);
	if (r < 0)
		return r;
	show(o, "user", user);
	show(o, "secret", secret);
	show(o, "uri",
	     arena_printf(o->a, "otpauth://totp/barid:%.*s?secret=%.*s&issuer=barid", STR_ARG(user),
			  STR_ARG(secret)));
	say(o, "Give the secret to the authenticator, then: barid user totp confirm %.*s CODE",
	    STR_ARG(user));
	return 0;
}

static int totp_confirm(struct order *o, struct str user, struct account_id id, struct fail *why)
{
	struct str codes[DIR_RECOVERY_CODES];
	int r = dir_totp_confirm(o->d, id, o->words.p[1], o->a, codes, why);

	if (r < 0)
		return r;
	for (size_t i = 0; i < DIR_RECOVERY_CODES; i++)
		show(o, "recovery code", codes[i]);
	say(o,
	    "The second factor of %.*s is on. Each recovery code works once; they are shown only "
	    "now.",
	    STR_ARG(user));
	return 0;
}

static int totp_status(struct order *o, struct str user, struct account_id id, struct fail *why)
{
	struct dir_totp t = {0};
	int r = dir_totp_get(o->d, id, &t, why);

	if (r < 0)
		return r;
	show(o, "user", user);
	show(o, "second factor", t.on ? STR("on") : t.begun ? STR("to be confirmed") : STR("off"));
	if (t.on) {
		show(o, "app passwords", t.app_only ? STR("required") : STR("optional"));
		show(o, "recovery codes left", arena_printf(o->a, "%u", t.recovery_left));
	}
	return 0;
}

int user_totp(struct order *o, struct fail *why)
{
	struct str verb = take_verb(o);
	struct str user;
	struct account_id id = {0};
	bool confirm = str_eq(verb, STR("confirm"));

	if (o->words.n != (confirm ? 2u : 1u))
		return refuse(why, FAIL_SYNTAX,
			      "usage: barid user totp enable A [--app-passwords required|optional]"
			      " | confirm A CODE | disable A | status A");
	int r = account_of(o, &user, &id, why);
	if (r < 0)
		return r;
	if (str_eq(verb, STR("enable")))
		return totp_enable(o, user, id, why);
	if (confirm)
		return totp_confirm(o, user, id, why);
	if (str_eq(verb, STR("status")))
		return totp_status(o, user, id, why);
	if (!str_eq(verb, STR("disable")))
		return refuse(why, FAIL_SYNTAX,
			      "totp what? One of: enable, confirm, disable, status");
	r = dir_totp_end(o->d, id, why);
	if (r == 0)
		say(o, "the second factor of %.*s is off", STR_ARG(user));
	return r;
}

/* ---- master users ---- */

static int master_name(const struct order *o, struct str *ret, struct fail *why)
{
	struct str name = o->words.p[0];

	for (size_t i = 0; i < name.n; i++)
		if (!ascii_alpha(name.p[i]) && !ascii_digit(name.p[i]) && !strchr("-_.", name.p[i]))
			return refuse(why, FAIL_SYNTAX,
				      "A master user's name is of letters, digits, - _ and .");
	*ret = name;
	return name.n > 0 && name.n < 64
		       ? 0
		       : refuse(why, FAIL_SYNTAX, "A master user's name has 1 to 63 octets.");
}

int master_add(struct order *o, struct fail *why)
{
	static const char *const keys[] = {"password", "password-hash", "services", NULL};
	struct str name;
	int r = known_options(o, keys, why);

	if (r == 0)
		r = master_name(o, &name, why);
	if (r == 0)
		r = check_services(option_of(o, "services"), why);
	if (r == 0 && !o->hash.p)
		r = refuse(why, FAIL_SYNTAX, "A master user needs a --password.");
	if (r == 0)
		r = RUN(o, why,
			"INSERT INTO barid_master (name, password, services, created, modified)"
			" VALUES (?1, ?2, ?3, ?4, ?4)",
			name, o->hash,
			option_of(o, "services").p ? option_of(o, "services") : STR(""), o->time);
	if (r == -FAIL_EXISTS)
		return refuse(why, FAIL_EXISTS, "There is a master user %.*s already.",
			      STR_ARG(name));
	if (r == 0)
		say(o, "master user %.*s created%s", STR_ARG(name),
		    o->d->c.master_users
			    ? ""
			    : "; nobody logs in with it while auth.master_users is off");
	return r;
}

static int one_changed(struct order *o, struct str name, const char *what, struct fail *why)
{
	if (db_changes(o->d->db) == 0)
		return refuse(why, FAIL_NOTFOUND, "There is no master user %.*s.", STR_ARG(name));
	say(o, "master user %.*s %s", STR_ARG(name), what);
	return 0;
}

int master_del(struct order *o, struct fail *why)
{
	struct str name = o->words.p[0];
	int r = RUN(o, why, "DELETE FROM barid_master WHERE name = ?1", name);

	return r < 0 ? r : one_changed(o, name, "deleted", why);
}

int master_passwd(struct order *o, struct fail *why)
{
	struct str name = o->words.p[0];
	int r = RUN(o, why, "UPDATE barid_master SET password = ?2, modified = ?3 WHERE name = ?1",
		    name, o->hash, o->time);

	return r < 0 ? r : one_changed(o, name, "has a new password", why);
}

int master_list(struct order *o, struct fail *why)
{
	static const struct str columns[] = {
		{"master", 6}, {"services", 8}, {"active", 6}, {"created", 7}};

	return fill(
		o, columns, ARRAY_LEN(columns),
		"SELECT name, iif(services = '', 'all', services),"
		" iif(active, 'yes', 'no'), created FROM barid_master WHERE ?1 = '' ORDER BY name",
		STR(""), why);
}
