/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logins. Every refusal looks alike from outside: the same text, the same delay, and a hash
 * computed whether or not the user exists.
 */
#include "auth_int.h"

#include "app_password.h"
#include "base/num.h"
#include "login_cache.h"
#include "master.h"
#include "password.h"
#include "password_int.h"
#include "scram.h"
#include "slowdown.h"
#include "sys/clock.h"
#include <arpa/inet.h>

/* Which columns must all be on. A service over TLS needs both words that the reference has used. */
static const char *const flags[DIR_SERVICES][3] = {
	[DIR_SMTP] = {"enablesmtp", "enablesmtpsecured", "enablesmtpsecured"},
	[DIR_IMAP] = {"enableimap", "enableimapsecured", "enableimapsecured AND enableimaptls"},
	[DIR_POP3] = {"enablepop3", "enablepop3secured", "enablepop3secured AND enablepop3tls"},
	[DIR_SIEVE] = {"enablesieve AND enablemanagesieve",
		       "enablesievesecured AND enablemanagesievesecured",
		       "enablesievesecured AND enablemanagesievesecured AND enablesievetls"},
	[DIR_WEB] = {"0", "enablesogo AND enablesogowebmail = 'y'",
		     "enablesogo AND enablesogowebmail = 'y'"},
	[DIR_DAV] = {"0", "enablesogo AND enablesogocalendar = 'y'",
		     "enablesogo AND enablesogocalendar = 'y'"},
	[DIR_EAS] = {"0", "enablesogo AND enablesogoactivesync = 'y'",
		     "enablesogo AND enablesogoactivesync = 'y'"},
	[DIR_DELIVER] = {"0", "0", "0"},
};

static const char *const names[DIR_SERVICES] = {"smtp", "imap", "pop3", "managesieve",
						"web",	"dav",	"eas",	"deliver"};

int login_load(struct dir *d, const struct dir_place *l, struct str username, struct arena *a,
	       struct login_row *ret, struct fail *why)
{
	struct login_row out = {0};
	struct db_stmt *st = NULL;
	char sql[400];

	DIR_LOCKED(d);
	int r = dir_find_account(d, username, a, &out.account, why);
	if (r < 0)
		return r == -FAIL_NOTFOUND ? 0 : r;
	(void)snprintf(sql, sizeof sql,
		       "SELECT password, %s, allow_nets, active,"
		       " EXISTS (SELECT 1 FROM barid_totp t WHERE t.account = ?2"
		       " AND t.confirmed IS NOT NULL AND t.app_only)"
		       " FROM mailbox WHERE username = ?1",
		       flags[l->service][l->channel]);
	r = db_stmt(d->db, sql, &st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, username);
	db_bind_u64(st, 2, out.account.id.v);
	r = db_step(st, why);
	if (r <= 0)
		return r;
	out.stored = arena_str(a, db_col_text(st, 0));
	out.service_on = db_col_i64(st, 1) != 0;
	if (!db_col_is_null(st, 2))
		out.allow_nets = arena_str(a, db_col_text(st, 2));
	out.mailbox_active = db_col_i64(st, 3) != 0;
	out.app_only = db_col_i64(st, 4) != 0;
	db_reset(st);
	if (!out.stored.p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at a login");
	*ret = out;
	return 1;
}

/* ---- lists of services ---- */

/* The next word of a list divided by blanks or commas; false at its end. */
static bool next_word(struct str *rest, struct str *ret)
{
	size_t at = 0;
	size_t end = 0;

	while (at < rest->n && strchr(" ,\t", rest->p[at]))
		at++;
	for (end = at; end < rest->n && !strchr(" ,\t", rest->p[end]); end++)
		;
	*ret = str_sub(*rest, at, end);
	*rest = str_skip(*rest, end);
	return ret->n > 0;
}

bool login_service_listed(struct str list, enum dir_service s)
{
	struct str rest = list;
	struct str word;
	bool any = false;

	while (next_word(&rest, &word)) {
		any = true;
		if (str_eqi(word, str_c(names[s])))
			return true;
	}
	return !any;
}

bool login_services_valid(struct str list, struct str *ret_bad)
{
	struct str rest = list;
	struct str word;

	while (next_word(&rest, &word)) {
		bool known = false;
		for (unsigned i = 0; i < DIR_DELIVER; i++)
			known |= str_eqi(word, str_c(names[i]));
		*ret_bad = word;
		if (!known)
			return false;
	}
	return true;
}

/* ---- allow_nets ---- */

struct ip {
	uint8_t b[16]; /* IPv4 as ::ffff:a.b.c.d */
	bool v4;
};

static bool parse_ip(struct str s, struct ip *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char text[64];

	if (s.n >= sizeof text)
		return false;
	memcpy(text, s.n ? s.p : "", s.n);
	text[s.n] = 0;
	memcpy(ret->b, mapped, sizeof mapped);
	ret->v4 = inet_pton(AF_INET, text, ret->b + 12) == 1;
	if (ret->v4)
		return true;
	if (inet_pton(AF_INET6, text, ret->b) != 1)
		return false;
	ret->v4 = memcmp(ret->b, mapped, sizeof mapped) == 0;
	return true;
}

bool dir_net_is_valid(struct str net)
{
	struct ip base;
	uint32_t bits = 0;
	size_t slash = str_find(net, 0, '/');

	return parse_ip(str_sub(net, 0, slash), &base) &&
	       (slash == net.n ||
		(num_parse_u32(str_skip(net, slash + 1), &bits) && bits <= (base.v4 ? 32 : 128)));
}

static bool in_net(const struct ip *ip, struct str net)
{
	struct ip base;
	uint32_t bits = 128;
	size_t slash = str_find(net, 0, '/');

	if (!parse_ip(str_sub(net, 0, slash), &base) || base.v4 != ip->v4)
		return false;
	if (slash < net.n) {
		uint32_t most = base.v4 ? 32 : 128;
		if (!num_parse_u32(str_skip(net, slash + 1), &bits) || bits > most)
			return false;
		bits += 128 - most;
	}
	if (memcmp(ip->b, base.b, bits / 8) != 0)
		return false;
	unsigned rest = bits % 8;
	return rest == 0 || (ip->b[bits / 8] ^ base.b[bits / 8]) >> (8 - rest) == 0;
}

/* The column's list, divided by commas or blanks. An empty one lets nobody in, as in the reference.
 */
bool login_nets_allow(struct str nets, struct str peer)
{
	struct str rest = nets;
	struct str part;
	struct ip ip;

	if (!nets.p)
		return true;
	if (!parse_ip(peer, &ip))
		return false;
	while (str_cut(&rest, ',', &part)) {
		struct str words = str_trim(part);
		struct str net;
		while (str_cut(&words, ' ', &net))
			if (in_net(&ip, net))
				return true;
	}
	return false;
}

/* ---- the decision ---- */

void login_reason(struct dir_grant *g, const char *text, const char *more)
{
	(void)snprintf(g->reason, sizeof g->reason, "%s%.80s", text, more);
}

/* Is the password right? Sets reason when not. Never fails: a hash we cannot read matches nothing.
 */
static bool check_password(struct dir *d, const struct dir_login *l, const struct login_row *row,
			   struct dir_grant *g)
{
	struct fail why = FAIL_INIT;

	if (row->stored.n == 0) {
		password_verify_nobody(l->password);
		login_reason(g, "account has no password", "");
		return false;
	}
	if (login_cache_has(d->cache, row->account.address, row->stored, l->password)) {
		g->cached = true;
		return true;
	}
	int r = password_verify(row->stored, l->password, &why);
	if (r == 1) {
		login_cache_add(d->cache, row->account.address, row->stored, l->password);
		if (l->place.channel != DIR_CLEAR)
			scram_learn(d, row->account.id, row->stored, l->password);
		return true;
	}
	if (r < 0) {
		password_verify_nobody(l->password);
		login_reason(g, "stored hash: ", why.detail);
	} else {
		login_reason(g, "wrong password", "");
	}
	return false;
}

bool login_own_password(const struct dir_place *l, const struct login_row *row, struct dir_grant *g)
{
	if (!row->app_only || l->service == DIR_WEB)
		return true;
	login_reason(g, "second factor is on: an app password is needed", "");
	return false;
}

bool login_rules(const struct dir_place *l, const struct login_row *row, struct dir_grant *g)
{
	if (!row->mailbox_active)
		login_reason(g, "account is switched off", "");
	else if (!row->account.active)
		login_reason(g, "domain is switched off or only backed up", "");
	else if (!row->service_on)
		login_reason(g, "service is off for the account: ", names[l->service]);
	else if (!login_nets_allow(row->allow_nets, l->peer))
		login_reason(g, "address is not in allow_nets", "");
	else
		return true;
	return false;
}

int login_granted(const struct login_row *row, struct arena *a, struct dir_grant *g,
		  struct fail *why)
{
	g->granted = true;
	g->account = row->account.id;
	g->address = arena_str(a, row->account.address);
	g->name = arena_str(a, row->account.name);
	return g->address.p && g->name.p ? 0 : fail_set(why, FAIL_LIMIT, NULL, "arena full");
}

/* The account's own password, or one of its app passwords; 1 right, 0 not. */
static int check_secret(struct dir *d, const struct dir_login *l, const struct login_row *row,
			struct dir_grant *g, struct fail *why)
{
	if (l->claimed)
		return 1;
	int r = app_password_find(d, row->account.id, l->password, &g->credential, why);
	if (r == 1)
		return app_password_rules(d, g->credential, &l->place, g, why);
	return r < 0 ? r : check_password(d, l, row, g) && login_own_password(&l->place, row, g);
}

static int decide(struct dir *d, const struct dir_login *l, struct str username, struct arena *a,
		  struct dir_grant *g, struct fail *why)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(32));
	struct login_row row = {0};
	int r = username.n ? login_load(d, &l->place, username, &scratch, &row, why) : 0;

	if (r < 0)
		return r;
	if (r == 0) {
		password_verify_nobody(l->password);
		login_reason(g, "no such user", "");
		return 0;
	}
	r = check_secret(d, l, &row, g, why);
	if (r <= 0 || !login_rules(&l->place, &row, g))
		return MIN(r, 0);
	login_proved(g, g->credential ? DIR_PROOF_APP : DIR_PROOF_PASSWORD, row.stored);
	return login_granted(&row, a, g, why);
}

/* A master user's login. Its own networks and second factor do not bind the master. */
static int decide_master(struct dir *d, const struct dir_login *l, struct str username,
			 struct arena *a, struct dir_grant *g, struct fail *why)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(32));
	struct login_row row = {0};
	int r = master_verify(d, l, str_c(g->master), g, why);

	if (r == 1)
		r = login_load(d, &l->place, username, &scratch, &row, why);
	if (r <= 0) {
		if (r == 0 && g->reason[0] == 0)
			login_reason(g, "no such user", "");
		return r;
	}
	row.allow_nets = STR_NULL;
	return login_rules(&l->place, &row, g) ? login_granted(&row, a, g, why) : 0;
}

/* Acting for others, where nobody may. It takes as long as a wrong password. */
static void refuse_authzid(const struct dir_login *l, struct dir_grant *g)
{
	password_verify_nobody(l->password);
	login_reason(g, "acting for others is off", "");
}

void login_proved(struct dir_grant *g, enum dir_proof proof, struct str stored)
{
	g->proof = proof;
	if (digest_two(DIGEST_SHA256, stored, STR_NULL, g->proof_digest, NULL) < 0)
		memset(g->proof_digest, 0, sizeof g->proof_digest);
}

struct dir_grant login_begin(struct str mechanism, struct str username)
{
	struct dir_grant g = {.client_text = LOGIN_REFUSED};

	(void)snprintf(g.mechanism, sizeof g.mechanism, "%.*s", STR_ARG(mechanism));
	(void)snprintf(g.username, sizeof g.username, "%.*s", STR_ARG(username));
	return g;
}

void login_end(struct dir *d, const struct dir_place *l, struct str username, struct mono_ns start,
	       struct dir_grant *g)
{
	if (g->granted) {
		g->client_text = LOGIN_GRANTED;
		g->not_before = slowdown_succeeded(d->slow, l->peer, username, start);
		if (!g->master[0])
			dir_login_seen(d, g->account, l->service);
	} else {
		g->not_before = slowdown_failed(d->slow, l->peer, username, start);
	}
}

enum dir_turn dir_login_turn(struct dir *d, struct str peer, struct str username)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(16));
	struct addr x = {0};

	bool is_address = addr_parse(username, 0, &scratch, &x, NULL) == 0;
	return slowdown_turn(d->slow, peer, is_address ? x.full : username);
}

/* 1: it is right, and no hash was needed to see it. */
static int remembered(struct dir *d, const struct dir_login *l, const struct login_row *row,
		      struct dir_grant *g, struct fail *why)
{
	int r = app_password_find(d, row->account.id, l->password, &g->credential, why);

	if (r == 1)
		return app_password_rules(d, g->credential, &l->place, g, why);
	if (r < 0 || row->stored.n == 0 ||
	    !login_cache_has(d->cache, row->account.address, row->stored, l->password))
		return MIN(r, 0);
	g->cached = true;
	return login_own_password(&l->place, row, g);
}

int dir_auth_remembered(struct dir *d, const struct dir_login *l, struct arena *a,
			struct dir_grant *ret, struct fail *why)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(32));
	struct mono_ns start = clock_mono();
	struct dir_grant g = login_begin(l->mechanism.n ? l->mechanism : STR("PLAIN"), l->username);
	struct login_row row = {0};
	struct addr x = {0};
	struct str account = l->username, master = STR_NULL;

	if ((unsigned)l->place.service >= DIR_SERVICES || (unsigned)l->place.channel > DIR_TLS ||
	    l->claimed || l->authzid.n > 0 || master_named(d, l, &account, &master) ||
	    addr_parse(account, 0, &scratch, &x, NULL) < 0)
		return 0;
	int r = login_load(d, &l->place, x.full, &scratch, &row, why);
	if (r == 1)
		r = remembered(d, l, &row, &g, why);
	if (r <= 0 || !login_rules(&l->place, &row, &g))
		return MIN(r, 0);
	login_proved(&g, g.credential ? DIR_PROOF_APP : DIR_PROOF_PASSWORD, row.stored);
	r = login_granted(&row, a, &g, why);
	if (r < 0)
		return r;
	login_end(d, &l->place, x.full, start, &g);
	*ret = g;
	return 1;
}

int dir_auth(struct dir *d, const struct dir_login *l, struct arena *a, struct dir_grant *ret,
	     struct fail *why)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(16));
	struct mono_ns start = clock_mono();
	struct dir_grant g = login_begin(l->mechanism.n ? l->mechanism : STR("PLAIN"), l->username);
	struct addr x = {0};
	struct str username = STR_NULL;

	if ((unsigned)l->place.service >= DIR_SERVICES || (unsigned)l->place.channel > DIR_TLS)
		return fail_set(why, FAIL_BUG, NULL, "login to service %d", (int)l->place.service);
	struct str account = l->username;
	struct str master = STR_NULL;
	bool acts = master_named(d, l, &account, &master);
	if (addr_parse(account, 0, &scratch, &x, NULL) == 0)
		username = x.full;
	if (acts)
		(void)snprintf(g.master, sizeof g.master, "%.*s", STR_ARG(master));
	int r = 0;
	if (acts)
		r = decide_master(d, l, username, a, &g, why);
	else if (l->authzid.n > 0)
		refuse_authzid(l, &g);
	else
		r = decide(d, l, username, a, &g, why);
	if (r < 0)
		return r;
	/* What is no address still counts, under the text that was given; a master user's guesses
	 * under its own name, whomever it acts for. */
	struct str counted = acts ? master : username.n ? username : l->username;
	login_end(d, &l->place, counted, start, &g);
	*ret = g;
	return 0;
}
