/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders on copies (BCC): of what an address, or everybody of a domain, sends and receives.
 */
#include "admin_int.h"

struct bcc_kind {
	const char *key; /* option */
	const char *user_set, *user_del;
	const char *domain_set, *domain_del;
};

#define SET_USER(t)                                                                                \
	"INSERT INTO " t " (username, bcc_address, domain, created, modified)"                     \
	" VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (username) DO UPDATE SET"                        \
	" bcc_address = excluded.bcc_address, modified = excluded.modified, active = 1"
#define SET_DOMAIN(t)                                                                              \
	"INSERT INTO " t " (domain, bcc_address, created, modified)"                               \
	" VALUES (?1, ?2, ?3, ?3) ON CONFLICT (domain) DO UPDATE SET"                              \
	" bcc_address = excluded.bcc_address, modified = excluded.modified, active = 1"

static const struct bcc_kind kinds[] = {
	{"sent", SET_USER("sender_bcc_user"), "DELETE FROM sender_bcc_user WHERE username = ?1",
	 SET_DOMAIN("sender_bcc_domain"), "DELETE FROM sender_bcc_domain WHERE domain = ?1"},
	{"received", SET_USER("recipient_bcc_user"),
	 "DELETE FROM recipient_bcc_user WHERE username = ?1", SET_DOMAIN("recipient_bcc_domain"),
	 "DELETE FROM recipient_bcc_domain WHERE domain = ?1"},
};

/* Whose mail: an address, or a domain ("example.org", "@example.org"). */
struct whose {
	struct str name; /* of the row */
	struct str domain;
	bool all; /* of the domain */
};

static int word_whose(struct order *o, struct whose *ret, struct fail *why)
{
	struct str word = o->words.p[0];
	struct addr x = {0};
	size_t at = str_rfind(word, '@');

	ret->all = at == 0 || at == word.n;
	if (ret->all) {
		o->words.p[0] = str_skip(word, at == 0);
		int r = word_domain(o, 0, &ret->domain, why);
		ret->name = ret->domain;
		return r == 0 ? require_domain(o, ret->domain, why) : r;
	}
	int r = word_address(o, 0, &x, why);
	ret->name = x.full;
	ret->domain = x.domain;
	return r;
}

static int remove_copy(struct order *o, const struct bcc_kind *k, const struct whose *w,
		       struct fail *why)
{
	return RUN(o, why, w->all ? k->domain_del : k->user_del, w->name);
}

static int set_copy(struct order *o, const struct bcc_kind *k, const struct whose *w,
		    struct str value, struct fail *why)
{
	struct addr to;

	if (value.n == 0 || str_eqi(value, STR("none")))
		return remove_copy(o, k, w, why);
	int r = parse_address(o, value, &to, why);
	if (r == 0 && str_eqi(to.full, w->name))
		return refuse(why, FAIL_CONFLICT, "a copy cannot go to the address itself");
	if (r < 0)
		return r;
	return w->all ? RUN(o, why, k->domain_set, w->name, to.full, o->time)
		      : RUN(o, why, k->user_set, w->name, to.full, w->domain, o->time);
}

static const struct bcc_kind *find_kind(struct str key)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_eqi(key, str_c(kinds[i].key)))
			return &kinds[i];
	return NULL;
}

int bcc_set(struct order *o, struct fail *why)
{
	struct whose w = {0};
	int r = word_whose(o, &w, why);

	if (r == 0 && o->options.n == 0)
		return refuse(why, FAIL_SYNTAX,
			      "usage: barid bcc set ADDRESS|DOMAIN [--sent ADDRESS] [--received "
			      "ADDRESS]");
	for (size_t i = 0; r == 0 && i < o->options.n; i++) {
		const struct bcc_kind *k = find_kind(o->options.p[i].key);
		if (!k)
			return refuse(why, FAIL_SYNTAX, "there is no key %.*s; known: %s",
				      STR_ARG(o->options.p[i].key), "sent, received");
		r = set_copy(o, k, &w, o->options.p[i].value, why);
	}
	if (r == 0)
		say(o, "copies of the mail of %.*s changed", STR_ARG(w.name));
	return r;
}

int bcc_del(struct order *o, struct fail *why)
{
	struct whose w = {0};
	uint64_t gone = 0;
	int r = word_whose(o, &w, why);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(kinds); i++) {
		r = remove_copy(o, &kinds[i], &w, why);
		gone += r == 0 ? db_changes(o->d->db) : 0;
	}
	if (r == 0 && gone == 0)
		return refuse(why, FAIL_NOTFOUND, "nobody gets copies of the mail of %.*s",
			      STR_ARG(w.name));
	if (r == 0)
		say(o, "no more copies of the mail of %.*s", STR_ARG(w.name));
	return r;
}

#define LIST(table, key, mail)                                                                     \
	"SELECT " key " AS whose, '" mail "' AS mail, bcc_address, domain, active FROM " table

int bcc_list(struct order *o, struct fail *why)
{
	static const struct str columns[] = {{"of", 2}, {"mail", 4}, {"copy-to", 7}, {"active", 6}};

	return fill_listed(
		o, columns, ARRAY_LEN(columns),
		"SELECT whose, mail, bcc_address, CASE active WHEN 0 THEN 'no' ELSE 'yes'"
		" END FROM (" LIST("sender_bcc_domain", "domain", "sent") " UNION ALL " LIST(
			"recipient_bcc_domain", "domain",
			"received") " UNION ALL"
				    " " LIST("sender_bcc_user", "username",
					     "sent") " UNION ALL " LIST("recipient_bcc_user",
									"username",
									"received") ") AS copies"
										    " WHERE ?1 = "
										    "'' OR "
										    "lower(domain) "
										    "= ?1 ORDER BY "
										    "domain, "
										    "whose, mail",
		why);
}
