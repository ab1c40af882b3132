/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys: made of passwords, kept in barid_scram, and whether everybody has them.
 */
#include "scram.h"

#include "base/encode.h"
#include "base/num.h"
#include "codec/sasl/sasl.h"
#include "saslprep.h"
#include "scram_int.h"
#include "sys/rand.h"

static struct str bytes_of(const uint8_t *p, size_t n)
{
	return str_make((const char *)p, n);
}

const char *scram_name(enum digest d)
{
	return d == DIGEST_SHA1 ? "SCRAM-SHA-1" : "SCRAM-SHA-256";
}

int scram_make(enum digest d, struct str password, struct str salt, uint32_t iterations,
	       struct scram_key *ret, struct fail *why)
{
	AUTO(buf) struct buf prepared = BUF_INIT(KIB(8));
	uint8_t salted[DIGEST_LEN_MAX];
	uint8_t client[DIGEST_LEN_MAX];
	size_t n = digest_len(d);
	(void)!buf_room(&prepared, KIB(8) - 1); /* no copy is left behind by growing */
	int r = saslprep(password, true, &prepared);

	if (r < 0)
		return fail_set(why, FAIL_SYNTAX, NULL, "the password cannot be prepared");
	r = digest_pbkdf2(d, buf_str(&prepared), salt, iterations, salted, n, why);
	if (r == 0)
		r = digest_hmac(d, bytes_of(salted, n), STR("Client Key"), client, why);
	if (r == 0)
		r = digest_two(d, bytes_of(client, n), STR_NULL, ret->stored, why);
	if (r == 0)
		r = digest_hmac(d, bytes_of(salted, n), STR("Server Key"), ret->server, why);
	explicit_bzero(prepared.p, prepared.n);
	explicit_bzero(salted, sizeof salted);
	explicit_bzero(client, sizeof client);
	return r;
}

static bool take_base64(struct str text, uint8_t *into, size_t min, size_t max, size_t *ret_n)
{
	AUTO(buf) struct buf b = BUF_INIT(256);

	if (base64_decode(&b, text) < 0 || b.n < min || b.n > max)
		return false;
	memcpy(into, b.p, b.n);
	*ret_n = b.n;
	return true;
}

int scram_parse(enum digest d, struct str data, struct scram_keys *ret)
{
	struct str rest = data;
	struct str part[4] = {0};
	size_t n = digest_len(d);
	size_t got = 0;

	for (unsigned i = 0; i < 4; i++)
		(void)str_cut(&rest, ',', &part[i]);
	*ret = (struct scram_keys){.n = 1};
	if (rest.p || !num_parse_u32(part[0], &ret->iterations) || ret->iterations == 0 ||
	    ret->iterations > SCRAM_ROUNDS_MAX ||
	    !take_base64(part[1], ret->salt, 1, SCRAM_SALT_MAX, &ret->salt_n) ||
	    !take_base64(part[2], ret->key[0].stored, n, n, &got) ||
	    !take_base64(part[3], ret->key[0].server, n, n, &got))
		return -FAIL_SYNTAX;
	return 0;
}

/* ---- rows ---- */

static void digest_column(struct str stored, uint8_t ret[32])
{
	if (digest_two(DIGEST_SHA256, stored, STR_NULL, ret, NULL) < 0)
		memset(ret, 0, 32);
}

/* The row at hand into *k; false when it is damaged. */
static bool read_row(struct db_stmt *st, enum digest d, struct scram_keys *row)
{
	struct str salt = db_col_blob(st, 2);
	struct str stored = db_col_blob(st, 3);
	struct str server = db_col_blob(st, 4);
	size_t n = digest_len(d);
	int64_t iterations = db_col_i64(st, 1);

	if (salt.n == 0 || salt.n > SCRAM_SALT_MAX || stored.n != n || server.n != n ||
	    iterations <= 0 || iterations > SCRAM_ROUNDS_MAX)
		return false;
	*row = (struct scram_keys){.iterations = (uint32_t)iterations, .salt_n = salt.n, .n = 1};
	memcpy(row->salt, salt.p, salt.n);
	row->key[0].credential = db_col_u64(st, 0);
	memcpy(row->key[0].stored, stored.p, n);
	memcpy(row->key[0].server, server.p, n);
	return true;
}

static bool same_salt(const struct scram_keys *a, const struct scram_keys *b)
{
	return a->iterations == b->iterations && a->salt_n == b->salt_n &&
	       memcmp(a->salt, b->salt, a->salt_n) == 0;
}

/* The column's own keys, when it is of this mechanism. */
static bool keys_of_column(enum digest d, struct str stored, struct scram_keys *ret)
{
	struct str name = str_c(scram_name(d));
	size_t close = str_find(stored, 0, '}');

	return stored.n > 0 && stored.p[0] == '{' && str_eqi(str_sub(stored, 1, close), name) &&
	       scram_parse(d, str_skip(stored, close + 1), ret) == 0;
}

int scram_load(struct dir *d, struct account_id id, enum digest digest, struct str stored,
	       struct scram_keys *ret, struct fail *why)
{
	struct db_stmt *st = NULL;
	uint8_t now[32];
	bool any = keys_of_column(digest, stored, ret);
	int r = db_stmt(d->db,
			"SELECT s.credential, s.iterations, s.salt, s.stored_key, s.server_key,"
			" s.password_digest FROM barid_scram s"
			" WHERE s.account = ?1 AND s.mechanism = ?2 ORDER BY s.credential",
			&st, why);

	if (r < 0)
		return r;
	if (!any)
		*ret = (struct scram_keys){0};
	digest_column(stored, now);
	db_bind_u64(st, 1, id.v);
	db_bind_text(st, 2, str_c(scram_name(digest)));
	while ((r = db_step(st, why)) == 1) {
		struct scram_keys row;
		bool main = db_col_u64(st, 0) == 0;
		if ((main && (any || !str_eq(db_col_blob(st, 5), bytes_of(now, 32)))) ||
		    !read_row(st, digest, &row))
			continue;
		if (ret->n == 0)
			*ret = row;
		else if (same_salt(ret, &row) && ret->n < SCRAM_KEYS_MAX)
			ret->key[ret->n++] = row.key[0];
	}
	return r;
}

int scram_store(struct dir *d, struct account_id id, enum digest digest, struct str stored,
		const struct scram_keys *k, struct fail *why)
{
	struct db_stmt *st = NULL;
	uint8_t now[32];
	size_t n = digest_len(digest);
	int r = db_stmt(d->db,
			"INSERT OR REPLACE INTO barid_scram (account, credential, mechanism,"
			" iterations, salt, stored_key, server_key, password_digest)"
			" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
			&st, why);

	if (r < 0)
		return r;
	digest_column(stored, now);
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, k->key[0].credential);
	db_bind_text(st, 3, str_c(scram_name(digest)));
	db_bind_i64(st, 4, k->iterations);
	db_bind_blob(st, 5, bytes_of(k->salt, k->salt_n));
	db_bind_blob(st, 6, bytes_of(k->key[0].stored, n));
	db_bind_blob(st, 7, bytes_of(k->key[0].server, n));
	if (k->key[0].credential == 0)
		db_bind_blob(st, 8, bytes_of(now, 32));
	r = db_run(st, why);
	if (r == 0)
		dir_credentials_changed(d);
	return r;
}

void scram_salt_new(const struct dir *d, struct scram_keys *ret)
{
	*ret = (struct scram_keys){
		.iterations = d->c.scram_iterations, .salt_n = SCRAM_SALT_LEN, .n = 1};
	rand_bytes(ret->salt, SCRAM_SALT_LEN);
}

/*
 * 1: keys are to be made, with salt and iterations in *k. App passwords cannot be made anew, so
 * their salt stays in use as long as there are any.
 */
static int wanted(struct dir *d, struct account_id id, enum digest digest, struct str stored,
		  uint64_t credential, struct scram_keys *k)
{
	struct scram_keys now;

	DIR_LOCKED(d);
	if ((credential == 0 && keys_of_column(digest, stored, &now)) ||
	    scram_load(d, id, digest, stored, &now, NULL) < 0)
		return 0;
	bool main = now.n > 0 && now.key[0].credential == 0;
	bool apps = now.n > (main ? 1u : 0u);
	if (credential == 0 && main && (apps || now.iterations >= d->c.scram_iterations))
		return 0;
	scram_salt_new(d, k);
	k->key[0].credential = credential;
	if (credential ? now.n > 0 : apps) {
		k->iterations = now.iterations;
		k->salt_n = now.salt_n;
		memcpy(k->salt, now.salt, sizeof k->salt);
	}
	return 1;
}

static void learn(struct dir *d, struct account_id id, uint64_t credential, struct str stored,
		  struct str password)
{
	if (d->c.scram == DIR_SCRAM_OFF)
		return;
	for (unsigned i = 0; i < (d->c.scram_sha1 ? 2u : 1u); i++) {
		enum digest digest = i ? DIGEST_SHA1 : DIGEST_SHA256;
		struct scram_keys k;
		if (wanted(d, id, digest, stored, credential, &k) != 1 ||
		    scram_make(digest, password, bytes_of(k.salt, k.salt_n), k.iterations,
			       &k.key[0], NULL) < 0)
			continue;
		DIR_LOCKED(d);
		(void)!scram_store(d, id, digest, stored, &k, NULL);
	}
}

void scram_learn(struct dir *d, struct account_id id, struct str stored, struct str password)
{
	learn(d, id, 0, stored, password);
}

void scram_learn_app(struct dir *d, struct account_id id, uint64_t credential, struct str stored,
		     struct str text)
{
	learn(d, id, credential, stored, text);
}

/* ---- is everybody ready? ---- */

static int everybody_has(struct dir *d, enum digest digest, bool *ret, struct fail *why)
{
	struct db_stmt *st = NULL;
	size_t n = 0;
	bool all = true;
	int r = db_stmt(d->db,
			"SELECT m.password, s.password_digest FROM mailbox m"
			" JOIN domain d ON d.domain = m.domain AND d.active AND NOT d.backupmx"
			" LEFT JOIN barid_account b ON b.username = m.username"
			" LEFT JOIN barid_scram s ON s.account = b.id AND s.credential = 0"
			"  AND s.mechanism = ?1"
			" WHERE m.active AND m.password <> ''"
			"  AND NOT EXISTS (SELECT 1 FROM barid_totp t WHERE t.account = b.id"
			"   AND t.confirmed IS NOT NULL AND t.app_only)",
			&st, why);

	if (r < 0)
		return r;
	db_bind_text(st, 1, str_c(scram_name(digest)));
	while (all && (r = db_step(st, why)) == 1) {
		uint8_t now[32];
		struct scram_keys k;
		struct str stored = db_col_text(st, 0);
		digest_column(stored, now);
		all = str_eq(db_col_blob(st, 1), bytes_of(now, 32)) ||
		      keys_of_column(digest, stored, &k);
		n++;
	}
	db_reset(st);
	*ret = all && n > 0;
	return MIN(r, 0);
}

/* An app password without keys would fail where SCRAM is offered, since clients prefer it. */
static int app_passwords_have(struct dir *d, enum digest digest, bool *ret, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(d,
			  "SELECT 1 FROM barid_app_password a"
			  " WHERE (a.expires IS NULL OR a.expires > CURRENT_TIMESTAMP)"
			  " AND NOT EXISTS (SELECT 1 FROM barid_scram s WHERE s.account = a.account"
			  "  AND s.credential = a.id AND s.mechanism = ?1) LIMIT 1",
			  str_c(scram_name(digest)), STR_NULL, &st, why);

	if (r == 1)
		db_reset(st);
	*ret = r == 0;
	return MIN(r, 0);
}

int scram_offer(struct dir *d, unsigned *ret, struct fail *why)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < 2 && d->c.scram != DIR_SCRAM_OFF; i++) {
		bool everybody = true;
		bool apps = true;
		int r = 0;
		if (i == 1 && !d->c.scram_sha1)
			break;
		if (d->c.scram == DIR_SCRAM_AUTO) {
			r = everybody_has(d, i ? DIGEST_SHA1 : DIGEST_SHA256, &everybody, why);
			if (r == 0)
				r = app_passwords_have(d, i ? DIGEST_SHA1 : DIGEST_SHA256, &apps,
						       why);
		}
		if (r < 0)
			return r;
		if (everybody && apps)
			bits |= i ? SASL_OFFER_SCRAM_1 : SASL_OFFER_SCRAM_256;
	}
	*ret = bits;
	return 0;
}
