/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders: words are taken apart, the handler is found, and runs in one transaction.
 */
#include "dir_admin.h"

#include "admin_int.h"
#include "base/num.h"
#include "base/text.h"
#include "codec/smtp/nexthop.h"
#include "password.h"
#include "scram.h"
#include "sys/crash.h"
#include <stdarg.h>

struct order_kind {
	const char *noun;
	const char *verb;
	order_fn fn;
	size_t min_words;
	size_t max_words;
	bool writes;
	enum dir_scope_kind scope; /* the least that it takes */
	const char *usage;
};

#define MANY 256

static const struct order_kind orders[] = {
	{"domain", "add", domain_add, 1, 1, true, DIR_SCOPE_GLOBAL,
	 "domain add DOMAIN [--description TEXT] [--quota MB] [--users N] [--aliases N]"
	 " [--transport T] [--backupmx on|off]"},
	{"domain", "del", domain_del, 1, 1, true, DIR_SCOPE_GLOBAL,
	 "domain del DOMAIN [--force yes]"},
	{"domain", "list", domain_list, 0, 0, false, DIR_SCOPE_DOMAINS, "domain list"},
	{"domain", "show", domain_show, 1, 1, false, DIR_SCOPE_DOMAINS, "domain show DOMAIN"},
	{"domain", "set", domain_set, 1, 1, true, DIR_SCOPE_GLOBAL,
	 "domain set DOMAIN --KEY VALUE ..."},
	{"domain", "alias-add", domain_alias_add, 2, 2, true, DIR_SCOPE_GLOBAL,
	 "domain alias-add DOMAIN TARGET"},
	{"domain", "alias-del", domain_alias_del, 1, 1, true, DIR_SCOPE_GLOBAL,
	 "domain alias-del DOMAIN"},
	{"domain", "catch-all", domain_catch_all, 1, MANY, true, DIR_SCOPE_DOMAINS,
	 "domain catch-all DOMAIN [ADDRESS ...]"},
	{"user", "add", user_add, 1, 1, true, DIR_SCOPE_DOMAINS,
	 "user add ADDRESS [--password P] [--name TEXT] [--quota MB] [--KEY VALUE ...]"},
	{"user", "del", user_del, 1, 1, true, DIR_SCOPE_DOMAINS, "user del ADDRESS [--purge yes]"},
	{"user", "undelete", user_undelete, 1, 1, true, DIR_SCOPE_DOMAINS,
	 "user undelete ADDRESS [--password P] [--KEY VALUE ...]"},
	{"user", "list", user_list, 0, 1, false, DIR_SCOPE_DOMAINS, "user list [DOMAIN]"},
	{"user", "show", user_show, 1, 1, false, DIR_SCOPE_SELF, "user show ADDRESS"},
	{"user", "set", user_set, 1, 1, true, DIR_SCOPE_SELF, "user set ADDRESS --KEY VALUE ..."},
	{"user", "passwd", user_passwd, 2, 2, true, DIR_SCOPE_SELF, "user passwd ADDRESS PASSWORD"},
	{"user", "app-password", user_app_password, 2, 3, true, DIR_SCOPE_SELF,
	 "user app-password add A --label L [--expires 90d] [--services S] [--networks N]"
	 " [--addresses A] | list A | del A LABEL"},
	{"user", "totp", user_totp, 2, 3, true, DIR_SCOPE_SELF,
	 "user totp enable A [--app-passwords required|optional] | confirm A CODE | disable A"
	 " | status A"},
	{"alias", "add", alias_add, 1, MANY, true, DIR_SCOPE_DOMAINS,
	 "alias add ADDRESS MEMBER ... [--name TEXT] [--policy P]"},
	{"alias", "del", alias_del, 1, 1, true, DIR_SCOPE_DOMAINS, "alias del ADDRESS"},
	{"alias", "list", alias_list, 0, 1, false, DIR_SCOPE_DOMAINS, "alias list [DOMAIN]"},
	{"alias", "show", alias_show, 1, 1, false, DIR_SCOPE_DOMAINS, "alias show ADDRESS"},
	{"alias", "set", alias_set, 1, MANY, true, DIR_SCOPE_DOMAINS,
	 "alias set ADDRESS [--KEY VALUE ...] [MEMBER ...]"},
	{"forward", "add", forward_add, 2, MANY, true, DIR_SCOPE_SELF,
	 "forward add USER ADDRESS ..."},
	{"forward", "del", forward_del, 1, MANY, true, DIR_SCOPE_SELF,
	 "forward del USER [ADDRESS ...]"},
	{"forward", "list", forward_list, 0, 1, false, DIR_SCOPE_DOMAINS, "forward list [DOMAIN]"},
	{"bcc", "set", bcc_set, 1, 1, true, DIR_SCOPE_DOMAINS,
	 "bcc set ADDRESS|DOMAIN [--sent ADDRESS] [--received ADDRESS]"},
	{"bcc", "del", bcc_del, 1, 1, true, DIR_SCOPE_DOMAINS, "bcc del ADDRESS|DOMAIN"},
	{"bcc", "list", bcc_list, 0, 1, false, DIR_SCOPE_DOMAINS, "bcc list [DOMAIN]"},
	{"send-as", "add", send_as_add, 2, 2, true, DIR_SCOPE_DOMAINS,
	 "send-as add USER|ALIAS|@DOMAIN ADDRESS|@DOMAIN|*"},
	{"send-as", "del", send_as_del, 2, 2, true, DIR_SCOPE_DOMAINS,
	 "send-as del USER|ALIAS|@DOMAIN ADDRESS|@DOMAIN|*"},
	{"send-as", "list", send_as_list, 0, 1, false, DIR_SCOPE_DOMAINS, "send-as list [DOMAIN]"},
	{"relayhost", "set", relayhost_set, 2, 2, true, DIR_SCOPE_GLOBAL,
	 "relayhost set ADDRESS|@DOMAIN HOST [--user NAME]"},
	{"relayhost", "login", relayhost_login, 1, 1, true, DIR_SCOPE_GLOBAL,
	 "relayhost login ADDRESS|@DOMAIN|default --user NAME"},
	{"relayhost", "logout", relayhost_logout, 1, 1, true, DIR_SCOPE_GLOBAL,
	 "relayhost logout ADDRESS|@DOMAIN|default"},
	{"relayhost", "del", relayhost_del, 1, 1, true, DIR_SCOPE_GLOBAL,
	 "relayhost del ADDRESS|@DOMAIN"},
	{"relayhost", "list", relayhost_list, 0, 0, false, DIR_SCOPE_GLOBAL, "relayhost list"},
	{"route", "explain", route_explain, 1, 1, false, DIR_SCOPE_DOMAINS,
	 "route ADDRESS [--sender ADDRESS]"},
	{"master", "add", master_add, 1, 1, true, DIR_SCOPE_GLOBAL,
	 "master add NAME --password P [--services S]"},
	{"master", "passwd", master_passwd, 2, 2, true, DIR_SCOPE_GLOBAL,
	 "master passwd NAME PASSWORD"},
	{"master", "del", master_del, 1, 1, true, DIR_SCOPE_GLOBAL, "master del NAME"},
	{"master", "list", master_list, 0, 0, false, DIR_SCOPE_GLOBAL, "master list"},
	{"admin", "grant", admin_grant, 2, MANY, true, DIR_SCOPE_GLOBAL,
	 "admin grant ADDRESS DOMAIN ...|ALL"},
	{"admin", "revoke", admin_revoke, 2, MANY, true, DIR_SCOPE_GLOBAL,
	 "admin revoke ADDRESS DOMAIN ...|ALL"},
	{"admin", "list", admin_list, 0, 1, false, DIR_SCOPE_DOMAINS, "admin list [DOMAIN]"},
	{"admin", "show", admin_show, 1, 1, false, DIR_SCOPE_SELF, "admin show ADDRESS"},
};

int refuse(struct fail *why, enum fail_code code, const char *fmt, ...)
{
	char said[FAIL_PUBLIC_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(said, sizeof said, text_of(fmt), ap);
	va_end(ap);
	return fail_set(why, code, said, "%s", said);
}

void say(struct order *o, const char *fmt, ...)
{
	char said[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(said, sizeof said, text_of(fmt), ap);
	va_end(ap);
	o->message = arena_str(o->a, str_c(said));
}

/* ---- SQL ---- */

int run(struct order *o, struct fail *why, const char *sql, size_t n, const struct str *params)
{
	return dir_exec(o->d, sql, params, n, why);
}

int count_rows(struct order *o, const char *sql, struct str p1, struct str p2, int64_t *ret,
	       struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(o->d, sql, p1, p2, &st, why);

	if (r != 1)
		return r;
	if (ret)
		*ret = db_col_i64(st, 0);
	db_reset(st);
	return 1;
}

int fill(struct order *o, const struct str *columns, size_t n_columns, const char *sql,
	 struct str p1, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(o->d, sql, p1, STR_NULL, &st, why);

	o->columns = columns;
	o->n_columns = n_columns;
	for (; r == 1; r = db_step(st, why)) {
		for (size_t i = 0; i < n_columns; i++) {
			struct str cell = arena_str(o->a, db_col_text(st, (int)i));
			if (!cell.p) {
				db_reset(st);
				return fail_set(why, FAIL_LIMIT, "The table is too long.",
						"arena full at a table");
			}
			*(struct str *)vec_push(&o->cells) = cell;
		}
	}
	return r;
}

int fill_scope(struct order *o, const struct str *columns, size_t n_columns, const char *sql,
	       struct fail *why)
{
	const struct dir_scope *s = o->scope;
	int r = 0;

	if (s->kind == DIR_SCOPE_GLOBAL)
		return fill(o, columns, n_columns, sql, STR(""), why);
	for (size_t i = 0; r == 0 && i < s->n_domains; i++)
		r = fill(o, columns, n_columns, sql, s->domains[i], why);
	return r;
}

static const struct str key_value[] = {{"key", 3}, {"value", 5}};

void show(struct order *o, const char *key, struct str value)
{
	o->columns = key_value;
	o->n_columns = 2;
	*(struct str *)vec_push(&o->cells) = str_c(key);
	*(struct str *)vec_push(&o->cells) = arena_str(o->a, value);
}

int show_query(struct order *o, const char *sql, struct str p1, struct fail *why)
{
	return fill(o, key_value, 2, sql, p1, why);
}

/* ---- values ---- */

int parse_flag(struct str s, bool *ret, struct fail *why)
{
	static const char *const yes[] = {"on", "yes", "true", "1"};
	static const char *const no[] = {"off", "no", "false", "0"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (str_eqi(s, str_c(yes[i])) || str_eqi(s, str_c(no[i]))) {
			*ret = str_eqi(s, str_c(yes[i]));
			return 0;
		}
	}
	return refuse(why, FAIL_SYNTAX, "\"%.*s\" is neither on nor off.", STR_ARG(s));
}

int parse_count(struct order *o, struct str s, struct str *ret, struct fail *why)
{
	uint64_t v = 0;

	/* -1 forbids, 0 sets no limit. */
	if (!str_eq(s, STR("-1")) && (!num_parse_u64(s, &v) || v > INT32_MAX))
		return refuse(why, FAIL_SYNTAX, "\"%.*s\" is not a number.", STR_ARG(s));
	*ret = arena_str(o->a, s);
	return 0;
}

int parse_quota(struct order *o, struct str s, struct str *ret, struct fail *why)
{
	static const char units[] = "mgt";
	struct str digits = s;
	uint64_t v = 0;
	unsigned shift = 0;

	if (str_eqi(s, STR("unlimited")) || str_eqi(s, STR("none")))
		digits = STR("0");
	else if (s.n > 1 && strchr(units, ascii_lower(s.p[s.n - 1]))) {
		shift = 10 * (unsigned)(strchr(units, ascii_lower(s.p[s.n - 1])) - units);
		digits = str_sub(s, 0, s.n - 1);
	}
	if (!num_parse_u64(digits, &v) || v > UINT64_C(1) << 40 >> shift)
		return refuse(why, FAIL_SYNTAX,
			      "\"%.*s\" is not a size; write megabytes, or 2g, or unlimited.",
			      STR_ARG(s));
	*ret = arena_printf(o->a, "%llu", (unsigned long long)(v << shift));
	return 0;
}

struct str domain_of(struct str address)
{
	return str_skip(address, str_rfind(address, '@') + 1);
}

int parse_address(struct order *o, struct str s, struct addr *ret, struct fail *why)
{
	if (addr_parse(s, o->d->c.delimiter, o->a, ret, NULL) < 0)
		return refuse(why, FAIL_SYNTAX, "\"%.*s\" is not a mail address.", STR_ARG(s));
	return 0;
}

int check_scope(const struct order *o, struct str domain, struct fail *why)
{
	if (dir_scope_has(o->scope, domain))
		return 0;
	return refuse(why, FAIL_PERM, "%.*s is not yours to manage.", STR_ARG(domain));
}

int word_domain(struct order *o, size_t at, struct str *ret, struct fail *why)
{
	struct str word = o->words.p[at];

	if (domain_parse(word, o->a, ret, NULL) < 0)
		return refuse(why, FAIL_SYNTAX, "\"%.*s\" is not a domain name.", STR_ARG(word));
	return check_scope(o, *ret, why);
}

int require_domain(struct order *o, struct str domain, struct fail *why)
{
	int r = count_rows(o, "SELECT 1 FROM domain WHERE domain = ?1", domain, STR_NULL, NULL,
			   why);
	if (r != 0)
		return MIN(r, 0);
	return refuse(why, FAIL_NOTFOUND,
		      "no such domain %.*s; create it with: barid domain add %.*s", STR_ARG(domain),
		      STR_ARG(domain));
}

/* The own account is everybody's to see; which orders and keys that means, the tables say. */
static bool is_own(const struct order *o, struct str address)
{
	return o->scope->kind == DIR_SCOPE_SELF && str_eqi(o->scope->account, address);
}

int word_address(struct order *o, size_t at, struct addr *ret, struct fail *why)
{
	int r = parse_address(o, o->words.p[at], ret, why);

	if (r == 0 && !is_own(o, ret->full))
		r = check_scope(o, ret->domain, why);
	return r == 0 ? require_domain(o, ret->domain, why) : r;
}

int fill_listed(struct order *o, const struct str *columns, size_t n_columns, const char *sql,
		struct fail *why)
{
	struct str domain = STR_NULL;

	if (o->words.n == 0)
		return fill_scope(o, columns, n_columns, sql, why);
	int r = word_domain(o, 0, &domain, why);
	if (r == 0)
		r = require_domain(o, domain, why);
	return r == 0 ? fill(o, columns, n_columns, sql, domain, why) : r;
}

int require_free(struct order *o, const struct addr *x, struct fail *why)
{
	static const struct {
		const char *sql;
		const char *what;
	} uses[] = {
		{"SELECT 1 FROM mailbox WHERE username = ?1", TX("a user")},
		{"SELECT 1 FROM alias WHERE address = ?1", TX("an alias")},
		{"SELECT 1 FROM maillists WHERE address = ?1", TX("a mailing list")},
		{"SELECT 1 FROM forwardings WHERE address = ?1 AND is_alias = 1",
		 TX("another address of a user")},
	};

	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		int r = count_rows(o, uses[i].sql, x->full, STR_NULL, NULL, why);
		if (r < 0)
			return r;
		if (r == 1)
			return refuse(why, FAIL_EXISTS, "%.*s exists: it is %s.", STR_ARG(x->full),
				      text_of(uses[i].what));
	}
	return 0;
}

int add_forwarding(struct order *o, struct str address, struct str to, enum forwarding_kind kind,
		   struct fail *why)
{
	return RUN(o, why,
		   "INSERT INTO forwardings (address, forwarding, domain, dest_domain,"
		   " is_forwarding, is_alias, is_list, active)"
		   " VALUES (?1, ?2, ?3, ?4, ?5 = '1', ?5 = '2', ?5 = '3', 1)"
		   " ON CONFLICT (address, forwarding) DO UPDATE SET active = 1,"
		   " is_forwarding = max(is_forwarding, excluded.is_forwarding),"
		   " is_alias = max(is_alias, excluded.is_alias),"
		   " is_list = max(is_list, excluded.is_list)",
		   address, to, domain_of(address), domain_of(to),
		   str_sub(STR("0123"), kind, kind + 1));
}

/* ---- settings ---- */

static int unknown_key(struct order *o, const struct setting *s, size_t n, struct str key,
		       struct fail *why)
{
	AUTO(buf) struct buf known = BUF_INIT(512);

	for (size_t i = 0; i < n; i++)
		(void)buf_addf(&known, "%s%s", i ? ", " : "", s[i].key);
	(void)o;
	return refuse(why, FAIL_SYNTAX, "there is no key %.*s; known: %s", STR_ARG(key),
		      buf_c(&known));
}

/* "dovecot", "smtp:[host]:25", "error:5.1.6 moved" ... (codec/smtp/nexthop.h). */
static int check_transport(struct str value, struct fail *why)
{
	struct nexthop h = {0};
	struct str way = str_skip(value, str_starts(value, STR(":")));

	if (value.n > 255)
		return refuse(why, FAIL_TOOBIG, "%s is longer than 255 octets.", "transport");
	if (transport_is_local(way) || nexthop_parse(way, &h) == 0)
		return 0;
	return refuse(
		why, FAIL_SYNTAX,
		"\"%.*s\" is no transport; write dovecot (here), relay:[mail.example.net]:25, "
		"lmtp:[192.0.2.1]:24, error:5.1.6 TEXT, discard: or hold:",
		STR_ARG(value));
}

static int apply_one(struct order *o, const struct setting *s, struct str name, struct str value,
		     struct fail *why)
{
	bool on = false;
	int r = 0;

	switch (s->kind) {
	case SET_SPECIAL:
		return s->special(o, name, value, why);
	case SET_TEXT:
		if (value.n > 255)
			r = refuse(why, FAIL_TOOBIG, "%s is longer than 255 octets.", s->key);
		break;
	case SET_FLAG:
	case SET_FLAGS:
		r = parse_flag(value, &on, why);
		value = on ? STR("1") : STR("0");
		if (s->kind == SET_FLAGS)
			value = on ? STR("y") : STR("n");
		break;
	case SET_TRANSPORT:
		r = check_transport(value, why);
		break;
	case SET_QUOTA:
		r = parse_quota(o, value, &value, why);
		break;
	case SET_COUNT:
		r = parse_count(o, value, &value, why);
		break;
	}
	return r < 0 ? r : RUN(o, why, s->sql, name, value.p ? value : STR(""), o->time);
}

int apply_settings(struct order *o, const struct setting *s, size_t n, struct str name,
		   struct fail *why)
{
	for (size_t i = 0; i < o->options.n; i++) {
		const struct option *opt = &o->options.p[i];
		size_t k = 0;
		if (str_eq(opt->key, STR("password")) || str_eq(opt->key, STR("password-hash")) ||
		    str_eq(opt->key, STR("force")) || str_eq(opt->key, STR("purge")))
			continue;
		while (k < n && !str_eqi(opt->key, str_c(s[k].key)))
			k++;
		if (k == n)
			return unknown_key(o, s, n, opt->key, why);
		if (o->scope->kind == DIR_SCOPE_SELF && !s[k].own)
			return refuse(why, FAIL_PERM, "%s is your administrator's to set.",
				      s[k].key);
		if (o->scope->kind != DIR_SCOPE_GLOBAL && s[k].global)
			return refuse(why, FAIL_PERM, "%s is a global administrator's to set.",
				      s[k].key);
		int r = apply_one(o, &s[k], name, opt->value, why);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- taking an order apart ---- */

static int parse_words(struct order *o, struct dir_args args, struct fail *why)
{
	for (size_t i = 2; i < args.n; i++) {
		struct str w = args.v[i];
		if (!str_starts(w, STR("--"))) {
			*(struct str *)vec_push(&o->words) = w;
			continue;
		}
		struct str key = str_skip(w, 2);
		size_t eq = str_find(key, 0, '=');
		if (eq == key.n && i + 1 == args.n)
			return refuse(why, FAIL_SYNTAX, "%.*s needs a value.", STR_ARG(w));
		struct option *opt = vec_push(&o->options);
		opt->key = str_sub(key, 0, eq);
		opt->value = eq < key.n ? str_skip(key, eq + 1) : args.v[++i];
		if (!opt->value.p)
			opt->value = STR("");
	}
	return 0;
}

static int usage(const struct dir_args *args, struct fail *why)
{
	AUTO(buf) struct buf verbs = BUF_INIT(512);
	struct str noun = args->n > 0 ? args->v[0] : STR("");

	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		if (str_eq(noun, str_c(orders[i].noun)))
			(void)buf_addf(&verbs, "%s%s", verbs.n ? ", " : "", orders[i].verb);
	if (verbs.n > 0)
		return refuse(why, FAIL_SYNTAX, "%.*s what? One of: %s", STR_ARG(noun),
			      buf_c(&verbs));
	return refuse(why, FAIL_SYNTAX,
		      "orders begin with domain, user, alias, forward, bcc, send-as, relayhost, "
		      "admin or master");
}

static const struct order_kind *find_order(const struct dir_args *args)
{
	for (size_t i = 0; args->n >= 2 && i < ARRAY_LEN(orders); i++)
		if (str_eq(args->v[0], str_c(orders[i].noun)) &&
		    str_eq(args->v[1], str_c(orders[i].verb)))
			return &orders[i];
	return NULL;
}

/* Hash a password before the directory is locked: it takes a while. */
static int hash_password(struct order *o, const struct order_kind *k, struct fail *why)
{
	AUTO(buf) struct buf hash = BUF_INIT(256);
	struct str password = STR_NULL;

	if (k->fn == relayhost_set || k->fn == relayhost_login)
		return 0; /* that one is barid's own, for another server: sealed, not hashed */
	if (k->fn == user_passwd || k->fn == master_passwd)
		password = o->words.p[1];
	for (size_t i = 0; i < o->options.n; i++) {
		if (str_eq(o->options.p[i].key, STR("password")))
			password = o->options.p[i].value;
		if (str_eq(o->options.p[i].key, STR("password-hash")))
			o->hash = o->options.p[i].value; /* from another server, or hashed before */
	}
	bool takes = k->fn == user_passwd || k->fn == user_add || k->fn == user_undelete ||
		     k->fn == user_set || k->fn == master_passwd || k->fn == master_add;
	if ((password.p || o->hash.p) && !takes)
		return refuse(why, FAIL_SYNTAX, "only a user has a password");
	if (!password.p)
		return 0;
	if (password.n == 0)
		return refuse(why, FAIL_SYNTAX, "The password is empty.");
	int r = password_make(password, &hash, why);
	if (r == 0)
		o->hash = arena_str(o->a, buf_str(&hash));
	o->password = password;
	return r;
}

static struct str stored_password(struct order *o)
{
	struct db_stmt *st = NULL;
	struct str stored = STR_NULL;

	DIR_LOCKED(o->d);
	if (dir_query(o->d, "SELECT password FROM mailbox WHERE username = ?1", o->learn, STR_NULL,
		      &st, NULL) == 1) {
		stored = arena_str(o->a, db_col_text(st, 0));
		db_reset(st);
	}
	return stored;
}

/* A password that barid set is known in clear here, and nowhere later: SCRAM keys are made of it.
 */
static void learn_password(struct order *o)
{
	struct dir_account account = {0};

	if (!o->password.p || !o->learn.p ||
	    dir_account_by_address(o->d, o->learn, o->a, &account, NULL) < 0)
		return;
	if (o->learn_app)
		scram_learn_app(o->d, account.id, o->learn_app, stored_password(o), o->password);
	else
		scram_learn(o->d, account.id, o->hash, o->password);
}

static int execute(struct order *o, const struct order_kind *k, struct fail *why)
{
	DIR_LOCKED(o->d);
	int r = k->writes ? db_begin(o->d->db, why) : 0;
	if (r < 0)
		return r;
	r = k->fn(o, why);
	if (!k->writes)
		return r;
	CRASH_POINT("dir.before-commit");
	if (r == 0)
		r = db_commit(o->d->db, why);
	CRASH_POINT("dir.after-commit");
	if (r < 0)
		db_rollback(o->d->db);
	dir_credentials_changed(o->d);
	dir_routes_touch(o->d);
	o->d->sessions_dirty = true;
	return r;
}

static int deliver_table(struct order *o, struct dir_table *ret, struct fail *why)
{
	struct str *cells = arena_array(o->a, struct str, o->cells.n);

	if (!cells)
		return fail_set(why, FAIL_LIMIT, "The table is too long.", "arena full at a table");
	if (o->cells.n > 0)
		memcpy(cells, o->cells.p, o->cells.n * sizeof *cells);
	*ret = (struct dir_table){
		.columns = o->columns,
		.n_columns = o->n_columns,
		.cells = cells,
		.n_rows = o->n_columns ? o->cells.n / o->n_columns : 0,
		.message = o->message,
	};
	return 0;
}

static int admin(struct order *o, struct dir_args args, struct dir_table *ret, struct fail *why)
{
	const struct order_kind *k = find_order(&args);

	if (!k)
		return usage(&args, why);
	int r = parse_words(o, args, why);
	if (r < 0)
		return r;
	if (o->words.n < k->min_words || o->words.n > k->max_words)
		return refuse(why, FAIL_SYNTAX, "usage: barid %s", k->usage);
	if (o->scope->kind < k->scope)
		return refuse(why, FAIL_PERM, "Only a %s administrator may do this.",
			      k->scope == DIR_SCOPE_GLOBAL ? "global" : "domain's");
	r = hash_password(o, k, why);
	if (r == 0)
		r = execute(o, k, why);
	if (r == 0)
		learn_password(o);
	return r == 0 ? deliver_table(o, ret, why) : r;
}

int dir_admin(struct dir *d, const struct dir_scope *scope, struct dir_args args, struct arena *a,
	      struct dir_table *ret, struct fail *why)
{
	struct order o = {.d = d, .scope = scope, .a = a};

	o.time = dir_now(o.now);
	int r = admin(&o, args, ret, why);
	vec_clear(&o.words);
	vec_clear(&o.options);
	vec_clear(&o.cells);
	return r;
}
