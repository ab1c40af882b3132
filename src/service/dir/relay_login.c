/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_login.h"

#include "codec/smtp/nexthop.h"
#include "dir_key.h"
#include "runtime/seal.h"

#define PURPOSE_MAX 300

static void row_key(struct dir *d, struct str account, uint8_t key[SEAL_KEY_SIZE],
		    struct buf *purpose)
{
	dir_key_derive(&d->key, "relay login", STR(""), key);
	(void)buf_add_c(purpose, "relay ");
	for (size_t i = 0; i < account.n; i++)
		(void)buf_addc(purpose, ascii_lower(account.p[i]));
}

int relay_login_set(struct dir *d, struct str account, struct str username, struct str password,
		    struct str now, struct fail *why)
{
	AUTO(buf) struct buf purpose = BUF_INIT(PURPOSE_MAX);
	AUTO(buf) struct buf sealed = BUF_INIT(DIR_RELAY_PASSWORD_MAX + SEAL_OVERHEAD);
	struct db_stmt *st = NULL;
	uint8_t key[SEAL_KEY_SIZE];

	row_key(d, account, key, &purpose);
	int r = seal(key, buf_str(&purpose), password, &sealed);
	explicit_bzero(key, sizeof key);
	if (r < 0 || purpose.failed)
		return fail_set(why, FAIL_LIMIT, "The name or the password is too long.",
				"relay login of %.*s", STR_ARG(account));
	r = db_stmt(d->db,
		    "INSERT INTO barid_relay_login (account, username, secret, modified)"
		    " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (account) DO UPDATE SET"
		    " username = excluded.username, secret = excluded.secret,"
		    " modified = excluded.modified",
		    &st, why);
	if (r < 0)
		return r;
	db_bind_text(st, 1, account);
	db_bind_text(st, 2, username);
	db_bind_blob(st, 3, buf_str(&sealed));
	db_bind_text(st, 4, now);
	return db_run(st, why);
}

/* ---- asking ---- */

static bool write_normal(struct str text, struct buf *out)
{
	struct nexthop h = {0};

	return nexthop_parse(text, &h) == 0 && nexthop_write(&h, out) == 0;
}

static bool same_nexthop(struct str a, struct str b)
{
	AUTO(buf) struct buf x = BUF_INIT(NEXTHOP_TEXT_MAX);
	AUTO(buf) struct buf y = BUF_INIT(NEXTHOP_TEXT_MAX);

	return write_normal(a, &x) && write_normal(b, &y) && str_eq(buf_str(&x), buf_str(&y));
}

/* The statement stands on a row with username and secret. */
static int open_row(struct dir *d, struct str account, struct db_stmt *st,
		    struct dir_relay_login *ret, struct fail *why)
{
	AUTO(buf) struct buf purpose = BUF_INIT(PURPOSE_MAX);
	AUTO(buf) struct buf plain = BUF_INIT(DIR_RELAY_PASSWORD_MAX);
	uint8_t key[SEAL_KEY_SIZE];

	row_key(d, account, key, &purpose);
	(void)!buf_room(&plain, DIR_RELAY_PASSWORD_MAX - 1); /* so that it never moves */
	int r = unseal(key, buf_str(&purpose), db_col_blob(st, 1), &plain);
	explicit_bzero(key, sizeof key);
	if (r < 0) {
		r = fail_set(why, FAIL_CORRUPT, NULL,
			     "the password for the relay host of %.*s was sealed with another key:"
			     " set it again",
			     STR_ARG(account));
	} else {
		(void)snprintf(ret->username, sizeof ret->username, "%.*s",
			       STR_ARG(db_col_text(st, 0)));
		(void)snprintf(ret->password, sizeof ret->password, "%.*s",
			       STR_ARG(buf_str(&plain)));
		r = 1;
	}
	if (plain.p)
		explicit_bzero(plain.p, plain.n);
	db_reset(st);
	return r;
}

/* 1: this account's login; and its relay host is the next hop that is asked for. */
static int try_account(struct dir *d, struct str account, struct str nexthop,
		       struct dir_relay_login *ret, struct fail *why)
{
	struct db_stmt *st = NULL;
	bool same = false;
	int r = dir_query(d, "SELECT relayhost FROM sender_relayhost WHERE account = ?1", account,
			  STR_NULL, &st, why);

	if (r == 1) {
		same = same_nexthop(db_col_text(st, 0), nexthop);
		db_reset(st);
	}
	if (r <= 0 || !same)
		return MIN(r, 0);
	r = dir_query(d, "SELECT username, secret FROM barid_relay_login WHERE account = ?1",
		      account, STR_NULL, &st, why);
	return r == 1 ? open_row(d, account, st, ret, why) : r;
}

static int try_sender(struct dir *d, const struct addr *x, struct str nexthop,
		      struct dir_relay_login *ret, struct arena *a, struct fail *why)
{
	int r = try_account(d, x->full, nexthop, ret, why);

	if (r == 0 && x->detail.p)
		r = try_account(d, x->bare, nexthop, ret, why);
	if (r == 0)
		r = try_account(d, arena_printf(a, "@%.*s", STR_ARG(x->domain)), nexthop, ret, why);
	return r;
}

int dir_relay_login(struct dir *d, struct str sender, struct str nexthop,
		    struct dir_relay_login *ret, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(16));
	struct db_stmt *st = NULL;
	struct addr x;
	int r = 0;

	DIR_LOCKED(d);
	if (sender.n == 0)
		r = try_account(d, STR("<>"), nexthop, ret, why);
	else if (addr_parse(sender, d->c.delimiter, &a, &x, NULL) == 0)
		r = try_sender(d, &x, nexthop, ret, &a, why);
	if (r != 0 || !d->relay_host || !same_nexthop(str_c(d->relay_host), nexthop))
		return r;
	r = dir_query(d, "SELECT username, secret FROM barid_relay_login WHERE account = ?1",
		      STR(RELAY_LOGIN_DEFAULT), STR_NULL, &st, why);
	return r == 1 ? open_row(d, STR(RELAY_LOGIN_DEFAULT), st, ret, why) : r;
}
