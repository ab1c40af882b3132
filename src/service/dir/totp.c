/* SPDX-License-Identifier: Apache-2.0 */
#include "totp.h"

#include "base/check.h"
#include "base/num.h"
#include "dir_key.h"
#include "password_int.h"
#include "runtime/seal.h"
#include "sys/clock.h"
#include "sys/rand.h"

#define CODE_DIGITS	6
#define WINDOW		1
#define RECOVERY_CHARS	10
#define RECOVERY_PREFIX "recovery"

uint32_t totp_code(struct str secret, uint64_t step, unsigned digits)
{
	uint8_t counter[8];
	uint8_t mac[DIGEST_LEN_MAX];
	uint32_t modulus = 1;

	for (unsigned i = 0; i < 8; i++)
		counter[i] = (uint8_t)(step >> (56 - 8 * i));
	CHECK(digest_hmac(DIGEST_SHA1, secret, str_make((const char *)counter, 8), mac, NULL) == 0);
	/* RFC 4226 section 5.3 */
	const uint8_t *p = mac + (mac[19] & 15);
	uint32_t v =
		(uint32_t)(p[0] & 0x7f) << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	for (unsigned i = 0; i < digits; i++)
		modulus *= 10;
	return v % modulus;
}

void totp_base32(struct str bytes, struct buf *out)
{
	uint32_t bits = 0;
	unsigned n = 0;

	for (size_t i = 0; i < bytes.n; i++) {
		bits = bits << 8 | (uint8_t)bytes.p[i];
		for (n += 8; n >= 5; n -= 5)
			(void)buf_addc(out,
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[bits >> (n - 5) & 31]);
	}
	if (n > 0)
		(void)buf_addc(out, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[bits << (5 - n) & 31]);
}

static void seal_key(struct dir *d, uint8_t key[SEAL_KEY_SIZE], struct account_id id,
		     char purpose[32])
{
	dir_key_derive(&d->key, "totp", STR(""), key);
	(void)snprintf(purpose, 32, "totp %llu", (unsigned long long)id.v);
}

/* 1 and the row's values, 0: the account has none. */
struct totp_row {
	uint8_t secret[TOTP_SECRET_LEN];
	uint64_t last_step;
	bool confirmed;
};

static int load(struct dir *d, struct account_id id, struct totp_row *ret, struct fail *why)
{
	AUTO(buf) struct buf plain = BUF_INIT(64);
	struct db_stmt *st = NULL;
	uint8_t key[SEAL_KEY_SIZE];
	char purpose[32];
	int r = db_stmt(d->db,
			"SELECT secret, last_step, confirmed IS NOT NULL FROM barid_totp"
			" WHERE account = ?1",
			&st, why);

	if (r < 0)
		return r;
	db_bind_u64(st, 1, id.v);
	r = db_step(st, why);
	if (r <= 0)
		return r;
	ret->last_step = db_col_u64(st, 1);
	ret->confirmed = db_col_i64(st, 2) != 0;
	seal_key(d, key, id, purpose);
	(void)!buf_room(&plain, 63);
	r = unseal(key, str_c(purpose), db_col_blob(st, 0), &plain);
	db_reset(st);
	explicit_bzero(key, sizeof key);
	if (r < 0 || plain.n != TOTP_SECRET_LEN)
		return fail_set(why, FAIL_CORRUPT,
				"The second factor cannot be read: set it up anew, with barid user "
				"totp enable.",
				"secret of account %llu was sealed with another key",
				(unsigned long long)id.v);
	memcpy(ret->secret, plain.p, plain.n);
	explicit_bzero(plain.p, plain.n);
	return 1;
}

int dir_totp_begin(struct dir *d, struct account_id id, bool app_only, struct arena *a,
		   struct str *ret, struct fail *why)
{
	AUTO(buf) struct buf sealed = BUF_INIT(128);
	AUTO(buf) struct buf text = BUF_INIT(64);
	struct db_stmt *st = NULL;
	uint8_t secret[TOTP_SECRET_LEN];
	uint8_t key[SEAL_KEY_SIZE];
	char purpose[32];
	char now[DIR_TIME_MAX];

	rand_bytes(secret, sizeof secret);
	struct str bytes = str_make((const char *)secret, sizeof secret);
	totp_base32(bytes, &text);
	seal_key(d, key, id, purpose);
	int r = seal(key, str_c(purpose), bytes, &sealed);
	explicit_bzero(key, sizeof key);
	explicit_bzero(secret, sizeof secret);
	if (r == 0)
		r = db_stmt(d->db,
			    "INSERT INTO barid_totp (account, secret, created, app_only)"
			    " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (account) DO UPDATE SET"
			    " secret = excluded.secret, created = excluded.created, last_step = 0,"
			    " confirmed = NULL, app_only = excluded.app_only",
			    &st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, id.v);
	db_bind_blob(st, 2, buf_str(&sealed));
	db_bind_text(st, 3, dir_now(now));
	db_bind_i64(st, 4, app_only);
	r = db_run(st, why);
	*ret = arena_str(a, buf_str(&text));
	explicit_bzero(text.p, text.n);
	return r < 0 || ret->p ? r : fail_set(why, FAIL_LIMIT, NULL, "arena full at a secret");
}

/* The step of a code that was not used yet; 0: it is none. */
static uint64_t find_step(const struct totp_row *row, struct str code)
{
	uint64_t now = (uint64_t)(clock_wall().v / SEC_US) / TOTP_STEP_S;
	struct str secret = str_make((const char *)row->secret, sizeof row->secret);
	uint64_t found = 0;
	uint32_t given = 0;
	bool good = code.n == CODE_DIGITS && num_parse_u32(code, &given);

	for (uint64_t step = now - WINDOW; step <= now + WINDOW; step++)
		if (((totp_code(secret, step, CODE_DIGITS) ^ given) == 0) & (step > row->last_step))
			found = step;
	return good ? found : 0;
}

static int use_step(struct dir *d, struct account_id id, uint64_t step, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(d->db,
			"UPDATE barid_totp SET last_step = ?2,"
			" confirmed = COALESCE(confirmed, CURRENT_TIMESTAMP)"
			" WHERE account = ?1 AND last_step < ?2",
			&st, why);

	if (r < 0)
		return r;
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, step);
	r = db_run(st, why);
	return r < 0 ? r : db_changes(d->db) == 1;
}

/* Low entropy for a fast hash, so that the key file takes part in it. */
static void recovery_hash(struct dir *d, struct account_id id, struct str code, uint8_t ret[32])
{
	char text[64];
	size_t n = 0;

	n = (size_t)snprintf(text, sizeof text, "%llu ", (unsigned long long)id.v);
	for (size_t i = 0; i < code.n && n < sizeof text; i++)
		if (code.p[i] != '-' && code.p[i] != ' ')
			text[n++] = ascii_lower(code.p[i]);
	dir_key_derive(&d->key, RECOVERY_PREFIX, str_make(text, n), ret);
	explicit_bzero(text, sizeof text);
}

static int add_recovery(struct dir *d, struct account_id id, struct str code, struct fail *why)
{
	struct db_stmt *st = NULL;
	uint8_t hash[32];
	int r = db_stmt(d->db, "INSERT INTO barid_recovery (account, hash) VALUES (?1, ?2)", &st,
			why);

	if (r < 0)
		return r;
	recovery_hash(d, id, code, hash);
	db_bind_u64(st, 1, id.v);
	db_bind_blob(st, 2, str_make((const char *)hash, sizeof hash));
	return db_run(st, why);
}

static int make_recovery(struct dir *d, struct account_id id, struct arena *a,
			 struct str ret[DIR_RECOVERY_CODES], struct fail *why)
{
	static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
	struct db_stmt *st = NULL;
	int r = db_stmt(d->db, "DELETE FROM barid_recovery WHERE account = ?1", &st, why);

	if (r < 0)
		return r;
	db_bind_u64(st, 1, id.v);
	r = db_run(st, why);
	for (size_t i = 0; r == 0 && i < DIR_RECOVERY_CODES; i++) {
		unsigned char bytes[RECOVERY_CHARS];
		char text[RECOVERY_CHARS + 2];
		size_t n = 0;
		rand_bytes(bytes, sizeof bytes);
		for (size_t k = 0; k < sizeof bytes; k++) {
			if (k == RECOVERY_CHARS / 2)
				text[n++] = '-';
			text[n++] = alphabet[bytes[k] % 32];
		}
		ret[i] = arena_str(a, str_make(text, n));
		r = ret[i].p ? add_recovery(d, id, ret[i], why)
			     : fail_set(why, FAIL_LIMIT, NULL, "arena full at a code");
	}
	return r;
}

int dir_totp_confirm(struct dir *d, struct account_id id, struct str code, struct arena *a,
		     struct str ret[DIR_RECOVERY_CODES], struct fail *why)
{
	struct totp_row row = {0};
	int r = load(d, id, &row, why);

	if (r < 0)
		return r;
	uint64_t step = r == 1 ? find_step(&row, code) : 0;
	explicit_bzero(row.secret, sizeof row.secret);
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND,
				"Nothing is to be confirmed: begin with barid user totp enable.",
				"no second factor");
	if (row.confirmed)
		return fail_set(why, FAIL_EXISTS, "The second factor is on already.",
				"confirmed before");
	if (step == 0)
		return fail_set(why, FAIL_AUTH,
				"That is not the code of now: is the clock of the device right?",
				"wrong code");
	r = use_step(d, id, step, why);
	return r < 0 ? r : make_recovery(d, id, a, ret, why);
}

static int use_recovery(struct dir *d, struct account_id id, struct str code, struct fail *why)
{
	struct db_stmt *st = NULL;
	uint8_t hash[32];
	int r = db_stmt(d->db,
			"UPDATE barid_recovery SET used = CURRENT_TIMESTAMP"
			" WHERE account = ?1 AND hash = ?2 AND used IS NULL",
			&st, why);

	if (r < 0)
		return r;
	recovery_hash(d, id, code, hash);
	db_bind_u64(st, 1, id.v);
	db_bind_blob(st, 2, str_make((const char *)hash, sizeof hash));
	r = db_run(st, why);
	return r < 0 ? r : db_changes(d->db) == 1;
}

int dir_totp_check(struct dir *d, struct account_id id, struct str code, struct fail *why)
{
	struct totp_row row = {0};

	DIR_LOCKED(d);
	int r = load(d, id, &row, why);
	if (r <= 0)
		return r;
	uint64_t step = find_step(&row, code);
	explicit_bzero(row.secret, sizeof row.secret);
	if (!row.confirmed)
		return 0;
	return step ? use_step(d, id, step, why) : use_recovery(d, id, code, why);
}

int dir_totp_get(struct dir *d, struct account_id id, struct dir_totp *ret, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(d->db,
			"SELECT confirmed IS NOT NULL, app_only,"
			" (SELECT count(*) FROM barid_recovery r WHERE r.account = ?1"
			"  AND used IS NULL) FROM barid_totp WHERE account = ?1",
			&st, why);

	*ret = (struct dir_totp){0};
	if (r < 0)
		return r;
	db_bind_u64(st, 1, id.v);
	r = db_step(st, why);
	if (r <= 0)
		return r;
	ret->on = db_col_i64(st, 0) != 0;
	ret->begun = !ret->on;
	ret->app_only = db_col_i64(st, 1) != 0;
	ret->recovery_left = (unsigned)db_col_i64(st, 2);
	db_reset(st);
	return 0;
}

int dir_totp_end(struct dir *d, struct account_id id, struct fail *why)
{
	static const char *const sql[] = {"DELETE FROM barid_totp WHERE account = ?1",
					  "DELETE FROM barid_recovery WHERE account = ?1"};
	struct db_stmt *st = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(sql); i++) {
		r = db_stmt(d->db, sql[i], &st, why);
		if (r < 0)
			return r;
		db_bind_u64(st, 1, id.v);
		r = db_run(st, why);
	}
	return r;
}
