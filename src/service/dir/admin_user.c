/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders on users: a row in `mailbox`, and a forwardings row that points at itself.
 */
#include "admin_int.h"

#include "base/num.h"

/* ---- settings that are more than one column ---- */

static int set_active(struct order *o, struct str username, struct str value, struct fail *why)
{
	bool on = false;
	int r = parse_flag(value, &on, why);
	struct str flag = on ? STR("1") : STR("0");

	if (r == 0)
		r = RUN(o, why, "UPDATE mailbox SET active = ?2, modified = ?3 WHERE username = ?1",
			username, flag, o->time);
	if (r < 0)
		return r;
	/* Rows of an alias that is off stay off. */
	return RUN(
		o, why,
		"UPDATE forwardings SET active = ?2 WHERE (address = ?1 OR forwarding = ?1)"
		" AND (?2 = '0' OR is_list = 0 OR NOT EXISTS"
		" (SELECT 1 FROM alias a WHERE a.address = forwardings.address AND a.active = 0))",
		username, flag);
}

/* "a@x,b@y" replaces all forwardings but the row that keeps a copy. Empty: none. */
static int set_forward(struct order *o, struct str username, struct str value, struct fail *why)
{
	struct str rest = value;
	struct str part;
	int r = RUN(o, why,
		    "DELETE FROM forwardings WHERE address = ?1 AND is_forwarding = 1"
		    " AND forwarding <> ?1",
		    username);

	while (r == 0 && str_cut(&rest, ',', &part)) {
		struct addr to;
		if (str_trim(part).n == 0)
			continue;
		r = parse_address(o, str_trim(part), &to, why);
		if (r == 0)
			r = add_forwarding(o, username, to.full, FORWARD_USER, why);
	}
	if (r < 0)
		return r;
	/* Never leave a user without any row: its mail would have nowhere to go. */
	r = count_rows(o, "SELECT 1 FROM forwardings WHERE address = ?1 AND is_forwarding = 1",
		       username, STR_NULL, NULL, why);
	return r == 0 ? add_forwarding(o, username, username, FORWARD_USER, why) : MIN(r, 0);
}

static int set_keep_copy(struct order *o, struct str username, struct str value, struct fail *why)
{
	bool on = false;
	int r = parse_flag(value, &on, why);

	if (r < 0)
		return r;
	if (on)
		return add_forwarding(o, username, username, FORWARD_USER, why);
	r = count_rows(o,
		       "SELECT 1 FROM forwardings WHERE address = ?1 AND is_forwarding = 1"
		       " AND forwarding <> ?1",
		       username, STR_NULL, NULL, why);
	if (r == 0)
		return refuse(why, FAIL_CONFLICT, "%.*s forwards nowhere: a copy must be kept",
			      STR_ARG(username));
	if (r < 0)
		return r;
	return RUN(o, why, "DELETE FROM forwardings WHERE address = ?1 AND forwarding = ?1",
		   username);
}

/* Other addresses of the user; each in a domain or alias domain of ours. */
static int add_alias_address(struct order *o, struct str username, struct str address,
			     struct fail *why)
{
	struct domain_info dom;
	struct addr x;
	int r = parse_address(o, address, &x, why);

	if (r == 0)
		r = require_free(o, &x, why);
	if (r == 0)
		r = dir_domain(o->d, x.domain, o->a, &dom, why);
	if (r < 0)
		return r;
	if (dom.kind == DOMAIN_FOREIGN || dom.kind == DOMAIN_OWN)
		return require_domain(o, x.domain, why);
	if (!dir_scope_has(o->scope, dom.target))
		r = check_scope(o, x.domain, why);
	if (r < 0)
		return r;
	return add_forwarding(o, x.full, username, FORWARD_ALIAS, why);
}

static int set_alias(struct order *o, struct str username, struct str value, struct fail *why)
{
	struct str rest = value;
	struct str part;
	int r = RUN(o, why, "DELETE FROM forwardings WHERE forwarding = ?1 AND is_alias = 1",
		    username);

	while (r == 0 && str_cut(&rest, ',', &part))
		if (str_trim(part).n > 0)
			r = add_alias_address(o, username, str_trim(part), why);
	return r;
}

static int set_allow_nets(struct order *o, struct str username, struct str value, struct fail *why)
{
	struct str rest = value;
	struct str part;
	bool any = value.n == 0 || str_eqi(value, STR("any"));

	while (!any && str_cut(&rest, ',', &part))
		if (!dir_net_is_valid(str_trim(part)))
			return refuse(why, FAIL_SYNTAX, "\"%.*s\" is not an address or network",
				      STR_ARG(part));
	return RUN(o, why, "UPDATE mailbox SET allow_nets = ?2, modified = ?3 WHERE username = ?1",
		   username, any ? STR_NULL : value, o->time);
}

/* 1 when the domain's total leaves room for this quota (megabytes) beside the other users'. */
static int check_quota(struct order *o, struct str username, struct str quota_mb, struct fail *why)
{
	int64_t max = 0;
	int64_t others = 0;
	uint64_t wanted = 0;
	struct str domain = domain_of(username);
	int r = count_rows(o, "SELECT maxquota FROM domain WHERE domain = ?1", domain, STR_NULL,
			   &max, why);

	if (r >= 0)
		r = count_rows(o,
			       "SELECT COALESCE(sum(quota), 0) FROM mailbox WHERE domain = ?1"
			       " AND username <> ?2",
			       domain, username, &others, why);
	if (r < 0 || max <= 0)
		return MIN(r, 0);
	if (!num_parse_u64(quota_mb, &wanted) || wanted == 0 || wanted > INT64_MAX ||
	    (int64_t)wanted > max - others)
		return refuse(why, FAIL_LIMIT,
			      "domain %.*s has a quota of %lld MB, of which %lld are given away",
			      STR_ARG(domain), (long long)max, (long long)others);
	return 0;
}

static int set_quota(struct order *o, struct str username, struct str value, struct fail *why)
{
	struct str mb;
	int r = parse_quota(o, value, &mb, why);

	if (r == 0)
		r = check_quota(o, username, mb, why);
	if (r < 0)
		return r;
	return RUN(o, why, "UPDATE mailbox SET quota = ?2, modified = ?3 WHERE username = ?1",
		   username, mb, o->time);
}

#define MAILBOX(assignment) "UPDATE mailbox SET " assignment ", modified = ?3 WHERE username = ?1"

static const struct setting settings[] = {
	{"name", SET_TEXT, MAILBOX("name = ?2"), NULL, .own = true},
	{"quota", SET_SPECIAL, NULL, set_quota},
	{"language", SET_TEXT, MAILBOX("language = substr(?2, 1, 5)"), NULL, .own = true},
	{"transport", SET_TRANSPORT, MAILBOX("transport = ?2"), NULL, .global = true},
	{"active", SET_SPECIAL, NULL, set_active},
	{"forward", SET_SPECIAL, NULL, set_forward, .own = true},
	{"keep-copy", SET_SPECIAL, NULL, set_keep_copy, .own = true},
	{"alias", SET_SPECIAL, NULL, set_alias},
	{"allow-nets", SET_SPECIAL, NULL, set_allow_nets},
	{"imap", SET_FLAG, MAILBOX("enableimap = ?2, enableimapsecured = ?2, enableimaptls = ?2"),
	 NULL},
	{"pop3", SET_FLAG, MAILBOX("enablepop3 = ?2, enablepop3secured = ?2, enablepop3tls = ?2"),
	 NULL},
	{"smtp", SET_FLAG, MAILBOX("enablesmtp = ?2, enablesmtpsecured = ?2"), NULL},
	{"sieve", SET_FLAG,
	 MAILBOX("enablesieve = ?2, enablesievesecured = ?2, enablesievetls = ?2,"
		 " enablemanagesieve = ?2, enablemanagesievesecured = ?2"),
	 NULL},
	{"deliver", SET_FLAG, MAILBOX("enabledeliver = ?2, enablelda = ?2, enablelmtp = ?2"), NULL},
	{"web", SET_FLAGS, MAILBOX("enablesogowebmail = ?2"), NULL},
	{"dav", SET_FLAGS, MAILBOX("enablesogocalendar = ?2"), NULL},
	{"eas", SET_FLAGS, MAILBOX("enablesogoactivesync = ?2"), NULL},
	RATE_SETTINGS(user),
};

/* ---- making ---- */

/*
 * "example.org/b/o/b/bob-2026.11.22.00.13.44/": the reference's hashed path. The time in it keeps
 * a user made again from inheriting the old one's folder.
 */
static struct str make_maildir(struct order *o, const struct addr *x)
{
	char hash[3] = {'_', '_', '_'};
	char stamp[DIR_TIME_MAX];

	for (size_t i = 0; i < sizeof hash && i < x->local.n; i++)
		if (x->local.p[i] != '.' && x->local.p[i] != '~' && x->local.p[i] != '/')
			hash[i] = x->local.p[i];
	memcpy(stamp, o->now, sizeof stamp);
	for (size_t i = 0; stamp[i]; i++)
		if (!ascii_digit(stamp[i]))
			stamp[i] = '.';
	return arena_printf(o->a, "%.*s/%c/%c/%c/%.*s-%s/", STR_ARG(x->domain), hash[0], hash[1],
			    hash[2], STR_ARG(x->local), stamp);
}

static int check_limit(struct order *o, struct str domain, struct fail *why)
{
	int64_t left = 0;
	int r = count_rows(o,
			   "SELECT CASE WHEN mailboxes = 0 THEN 1 WHEN mailboxes < 0 THEN 0"
			   " ELSE mailboxes - (SELECT count(*) FROM mailbox m"
			   " WHERE m.domain = d.domain) END FROM domain d WHERE d.domain = ?1",
			   domain, STR_NULL, &left, why);
	if (r < 0 || left > 0)
		return MIN(r, 0);
	return refuse(why, FAIL_LIMIT, "domain %.*s may not have more users", STR_ARG(domain));
}

/* A number among the "key:value;key:value" settings of a domain; "0" when it is not there. */
static int domain_setting(struct order *o, struct str domain, struct str key, struct str *ret,
			  struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(o->d, "SELECT settings FROM domain WHERE domain = ?1", domain, STR_NULL,
			  &st, why);

	*ret = STR("0");
	if (r != 1)
		return r;
	struct str rest = arena_str(o->a, db_col_text(st, 0));
	struct str part;
	db_reset(st);
	while (str_cut(&rest, ';', &part)) {
		struct str name;
		uint64_t v = 0;
		if (str_cut(&part, ':', &name) && str_eq(name, key) && num_parse_u64(part, &v))
			*ret = part;
	}
	return 0;
}

static bool has_option(const struct order *o, const char *key)
{
	for (size_t i = 0; i < o->options.n; i++)
		if (str_eqi(o->options.p[i].key, str_c(key)))
			return true;
	return false;
}

static int insert_user(struct order *o, const struct addr *x, struct fail *why)
{
	struct str maildir = make_maildir(o, x);
	struct str quota;
	int r = domain_setting(o, x->domain, STR("default_user_quota"), &quota, why);

	if (r < 0 || !maildir.p)
		return r < 0 ? r : fail_set(why, FAIL_LIMIT, NULL, "arena full at a new user");
	if (!has_option(o, "quota")) {
		r = check_quota(o, x->full, quota, why);
		if (r < 0)
			return r;
	}
	return RUN(o, why,
		   "INSERT INTO mailbox (username, password, domain, storagebasedirectory,"
		   " storagenode, maildir, quota, settings, passwordlastchange, created, modified)"
		   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, '', ?8, ?8, ?8)",
		   x->full, o->hash.p ? o->hash : STR(""), x->domain, str_c(o->d->storage_base),
		   str_c(o->d->storage_node), maildir, quota, o->time);
}

/*
 * Nobody rises by taking over a name with more rights. Rights that are off count, and those of a
 * name without a mailbox (a row of `admin`): who has the mailbox can switch them on, or has them.
 */
static int require_below(struct order *o, struct str username, struct fail *why)
{
	struct db_stmt *st = NULL;
	bool above = false;

	if (o->scope->kind == DIR_SCOPE_GLOBAL || str_eqi(o->scope->account, username))
		return 0;
	int r = dir_query(o->d, "SELECT domain FROM domain_admins WHERE username = ?1", username,
			  STR_NULL, &st, why);
	for (; r == 1; r = db_step(st, why))
		above |= !dir_scope_has(o->scope, db_col_text(st, 0));
	if (r < 0)
		return r;
	return above ? refuse(why, FAIL_PERM, "%.*s administrates more than you do.",
			      STR_ARG(username))
		     : 0;
}

int user_add(struct order *o, struct fail *why)
{
	struct addr x;
	int r = word_address(o, 0, &x, why);

	if (r == 0 && x.detail.p)
		return refuse(why, FAIL_SYNTAX, "a user's address holds no '%c'",
			      o->d->c.delimiter);
	if (r == 0)
		r = require_free(o, &x, why);
	if (r == 0)
		r = require_below(o, x.full, why);
	if (r == 0)
		r = check_limit(o, x.domain, why);
	if (r == 0)
		r = insert_user(o, &x, why);
	if (r == 0)
		r = add_forwarding(o, x.full, x.full, FORWARD_USER, why);
	if (r == 0)
		r = apply_settings(o, settings, ARRAY_LEN(settings), x.full, why);
	o->learn = x.full;
	if (r == 0)
		say(o, "user %.*s created%s", STR_ARG(x.full),
		    o->hash.p ? "" : "; no login until a password is set");
	return r;
}

/* ---- removing ---- */

int remove_user(struct order *o, struct str username, struct fail *why)
{
	static const char *const sql[] = {
		"INSERT INTO deleted_mailboxes (username, domain, maildir, bytes, messages, admin)"
		" SELECT m.username, m.domain, m.storagebasedirectory || '/' || m.storagenode || "
		"'/'"
		" || m.maildir, COALESCE(u.bytes, 0), COALESCE(u.messages, 0), ''"
		" FROM mailbox m LEFT JOIN used_quota u ON u.username = m.username"
		" WHERE m.username = ?1",
		"DELETE FROM mailbox WHERE username = ?1",
		"DELETE FROM forwardings WHERE address = ?1 OR forwarding = ?1",
		"DELETE FROM used_quota WHERE username = ?1",
		"DELETE FROM last_login WHERE username = ?1",
		"DELETE FROM domain_admins WHERE username = ?1",
		"DELETE FROM sender_bcc_user WHERE username = ?1 OR bcc_address = ?1",
		"DELETE FROM recipient_bcc_user WHERE username = ?1 OR bcc_address = ?1",
		"DELETE FROM sender_bcc_domain WHERE bcc_address = ?1",
		"DELETE FROM recipient_bcc_domain WHERE bcc_address = ?1",
		"DELETE FROM sender_relayhost WHERE account = ?1",
		"DELETE FROM moderators WHERE moderator = ?1",
		"DELETE FROM maillist_owners WHERE owner = ?1",
		"DELETE FROM share_folder WHERE from_user = ?1 OR to_user = ?1",
		"DELETE FROM anyone_shares WHERE from_user = ?1",
	};

	for (size_t i = 0; i < ARRAY_LEN(sql); i++) {
		int r = RUN(o, why, sql[i], username);
		if (r < 0)
			return r;
	}
	return 0;
}

static int require_user(struct order *o, struct str username, struct fail *why)
{
	int r = count_rows(o, "SELECT 1 FROM mailbox WHERE username = ?1", username, STR_NULL, NULL,
			   why);
	if (r != 0)
		return MIN(r, 0);
	return refuse(why, FAIL_NOTFOUND, "no such user %.*s; create it with: barid user add %.*s",
		      STR_ARG(username), STR_ARG(username));
}

int word_user_below(struct order *o, struct addr *x, struct fail *why)
{
	int r = word_address(o, 0, x, why);

	if (r == 0)
		r = require_user(o, x->full, why);
	return r == 0 ? require_below(o, x->full, why) : r;
}

int user_del(struct order *o, struct fail *why)
{
	struct addr x;
	int r = word_user_below(o, &x, why);

	if (r == 0)
		r = remove_user(o, x.full, why);
	bool now = has_option(o, "purge");
	if (r == 0 && now)
		r = RUN(o, why,
			"UPDATE barid_account SET deleted = " DIR_CONDEMNED
			" WHERE was = ?1 AND username IS NULL AND mail_gone IS NULL",
			x.full);
	if (r == 0)
		say(o,
		    now ? "user %.*s deleted, and the mail with it"
			: "user %.*s deleted; the mail is kept for a while, see: barid user "
			  "undelete",
		    STR_ARG(x.full));
	return r;
}

/* ---- bringing back ---- */

int user_undelete(struct order *o, struct fail *why)
{
	struct addr x;
	int r = word_address(o, 0, &x, why);

	if (r == 0)
		r = require_free(o, &x, why);
	if (r == 0)
		r = count_rows(o,
			       "SELECT 1 FROM barid_account WHERE was = ?1 AND username IS NULL"
			       " AND mail_gone IS NULL AND deleted > " DIR_CONDEMNED,
			       x.full, STR_NULL, NULL, why);
	if (r == 0)
		return refuse(why, FAIL_NOTFOUND,
			      "%.*s was not deleted, or too long ago: there is no mail to bring "
			      "back. A new user is made with: barid user add %.*s",
			      STR_ARG(x.full), STR_ARG(x.full));
	/* The mailbox that is made next finds its id there already. */
	if (r == 1)
		r = RUN(o, why,
			"UPDATE barid_account SET username = ?1, deleted = NULL WHERE id ="
			" (SELECT max(id) FROM barid_account WHERE was = ?1 AND username IS NULL"
			"  AND mail_gone IS NULL AND deleted > " DIR_CONDEMNED ")",
			x.full);
	if (r == 0)
		r = user_add(o, why);
	if (r == 0)
		say(o, "user %.*s is back with its mail%s", STR_ARG(x.full),
		    o->hash.p ? "" : "; no login until a password is set");
	return r;
}

/* ---- seeing ---- */

int user_list(struct order *o, struct fail *why)
{
	static const struct str columns[] = {{"user", 4},	 {"name", 4},	{"quota-mb", 8},
					     {"used-bytes", 10}, {"active", 6}, {"id", 2}};
	return fill_listed(o, columns, ARRAY_LEN(columns),
			   "SELECT m.username, m.name, m.quota, COALESCE(u.bytes, 0),"
			   " iif(m.active, 'yes', 'no'), b.id FROM mailbox m"
			   " LEFT JOIN used_quota u ON u.username = m.username"
			   " LEFT JOIN barid_account b ON b.username = m.username"
			   " WHERE ?1 = '' OR m.domain = ?1 ORDER BY m.domain, m.username",
			   why);
}

int user_show(struct order *o, struct fail *why)
{
	struct addr x;
	int r = word_address(o, 0, &x, why);

	if (r == 0)
		r = require_user(o, x.full, why);
	if (r < 0)
		return r;
	return show_query(
		o,
		"WITH m AS (SELECT * FROM mailbox WHERE username = ?1)"
		" SELECT 'user', username FROM m"
		" UNION ALL SELECT 'id', id FROM barid_account WHERE username = ?1"
		" UNION ALL SELECT 'name', name FROM m"
		" UNION ALL SELECT 'active', iif(active, 'on', 'off') FROM m"
		" UNION ALL SELECT 'quota', iif(quota, quota || ' MB', 'unlimited') FROM m"
		" UNION ALL SELECT 'used', bytes || ' bytes in ' || messages || ' messages'"
		"  FROM used_quota WHERE username = ?1"
		" UNION ALL SELECT 'language', language FROM m"
		" UNION ALL SELECT 'transport', transport FROM m WHERE transport <> ''"
		" UNION ALL SELECT 'password', iif(password = '', 'none',"
		"  substr(password, 1, instr(password || '}', '}'))) FROM m"
		" UNION ALL SELECT 'app passwords', count(*) FROM barid_app_password a"
		"  JOIN barid_account b ON b.id = a.account WHERE b.username = ?1"
		" UNION ALL SELECT 'second factor', iif(EXISTS (SELECT 1 FROM barid_totp t"
		"  JOIN barid_account b ON b.id = t.account WHERE b.username = ?1"
		"  AND t.confirmed IS NOT NULL), 'on', 'off')"
		" UNION ALL SELECT 'SCRAM keys', iif(EXISTS (SELECT 1 FROM barid_scram s"
		"  JOIN barid_account b ON b.id = s.account WHERE b.username = ?1"
		"  AND s.credential = 0), 'yes', 'none')"
		" UNION ALL SELECT 'allow-nets', COALESCE(allow_nets, 'any') FROM m"
		" UNION ALL SELECT 'settings', settings FROM m WHERE settings <> ''"
		" UNION ALL SELECT 'smtp', iif(enablesmtpsecured, 'on', 'off') FROM m"
		" UNION ALL SELECT 'imap', iif(enableimapsecured AND enableimaptls, 'on', 'off') "
		"FROM m"
		" UNION ALL SELECT 'pop3', iif(enablepop3secured AND enablepop3tls, 'on', 'off') "
		"FROM m"
		" UNION ALL SELECT 'sieve', iif(enablesievesecured AND enablesievetls, 'on', 'off')"
		"  FROM m"
		" UNION ALL SELECT 'deliver', iif(enabledeliver, 'on', 'off') FROM m"
		" UNION ALL SELECT 'web', iif(enablesogowebmail = 'y', 'on', 'off') FROM m"
		" UNION ALL SELECT 'dav', iif(enablesogocalendar = 'y', 'on', 'off') FROM m"
		" UNION ALL SELECT 'eas', iif(enablesogoactivesync = 'y', 'on', 'off') FROM m"
		" UNION ALL SELECT 'keep-copy', iif(EXISTS (SELECT 1 FROM forwardings"
		"  WHERE address = ?1 AND forwarding = ?1), 'on', 'off')"
		" UNION ALL SELECT 'forward', forwarding FROM forwardings WHERE address = ?1"
		"  AND is_forwarding = 1 AND forwarding <> ?1"
		" UNION ALL SELECT 'alias', address FROM forwardings WHERE forwarding = ?1"
		"  AND is_alias = 1"
		" UNION ALL SELECT 'member of', address FROM forwardings WHERE forwarding = ?1"
		"  AND is_list = 1"
		" UNION ALL SELECT 'maildir', storagebasedirectory || '/' || storagenode || '/' ||"
		"  maildir FROM m"
		" UNION ALL SELECT 'password changed', passwordlastchange FROM m"
		" UNION ALL SELECT 'created', created FROM m",
		x.full, why);
}

/* ---- changing ---- */

static int write_password(struct order *o, struct str username, struct fail *why)
{
	o->learn = username;
	return RUN(o, why,
		   "UPDATE mailbox SET password = ?2, passwordlastchange = ?3, modified = ?3"
		   " WHERE username = ?1",
		   username, o->hash, o->time);
}

int user_set(struct order *o, struct fail *why)
{
	struct addr x;
	int r = word_user_below(o, &x, why);

	if (r == 0 && o->options.n == 0)
		return refuse(why, FAIL_SYNTAX, "usage: barid user set ADDRESS --KEY VALUE ...");
	if (r == 0)
		r = apply_settings(o, settings, ARRAY_LEN(settings), x.full, why);
	if (r == 0 && o->hash.p)
		r = write_password(o, x.full, why);
	if (r == 0)
		say(o, "user %.*s changed", STR_ARG(x.full));
	return r;
}

int user_passwd(struct order *o, struct fail *why)
{
	struct addr x;
	int r = word_user_below(o, &x, why);

	if (r == 0)
		r = write_password(o, x.full, why);
	if (r == 0)
		say(o, "password of %.*s changed", STR_ARG(x.full));
	return r;
}
