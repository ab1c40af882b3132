/* SPDX-License-Identifier: Apache-2.0 */
#include "app_password.h"

#include "base/check.h"
#include "password_int.h"
#include "sys/clock.h"
#include "sys/rand.h"

/* Without l, o, 0 and 1, which people confuse. */
static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";

void app_password_make(char text[APP_PASSWORD_TEXT])
{
	unsigned char r[APP_PASSWORD_CHARS];
	size_t n = 0;

	rand_bytes(r, sizeof r);
	for (size_t i = 0; i < sizeof r; i++) {
		if (i > 0 && i % 4 == 0)
			text[n++] = '-';
		text[n++] = alphabet[r[i] % 32];
	}
	text[n] = 0;
	explicit_bzero(r, sizeof r);
}

bool app_password_hash(struct str text, uint8_t ret[APP_PASSWORD_HASH])
{
	char plain[APP_PASSWORD_CHARS];
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = ascii_lower(text.p[i]);
		if (c == '-' || c == ' ')
			continue;
		if (c == 0 || !strchr(alphabet, c) || n == sizeof plain)
			return false;
		plain[n++] = c;
	}
	bool ok = n == sizeof plain &&
		  digest_two(DIGEST_SHA256, str_make(plain, n), STR_NULL, ret, NULL) == 0;
	explicit_bzero(plain, sizeof plain);
	return ok;
}

int app_password_find(struct dir *d, struct account_id account, struct str text, uint64_t *ret,
		      struct fail *why)
{
	struct db_stmt *st = NULL;
	uint8_t hash[APP_PASSWORD_HASH];
	uint64_t found = 0;

	if (!app_password_hash(text, hash))
		return 0;
	DIR_LOCKED(d);
	int r = db_stmt(d->db, "SELECT id, hash FROM barid_app_password WHERE account = ?1", &st,
			why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, account.v);
	while ((r = db_step(st, why)) == 1)
		if (bytes_equal(db_col_blob(st, 1), str_make((const char *)hash, sizeof hash)))
			found = db_col_u64(st, 0);
	explicit_bzero(hash, sizeof hash);
	*ret = found;
	return r < 0 ? r : found != 0;
}

static void note_used(struct dir *d, uint64_t id)
{
	struct app_seen *a = map_get(&d->app_seen, id);

	if (!a) {
		a = xcalloc(1, sizeof *a);
		(void)map_put(&d->app_seen, id, a);
	}
	*a = (struct app_seen){.id = id, .at_s = clock_wall().v / SEC_US};
}

int app_password_rules(struct dir *d, uint64_t id, const struct dir_place *l, struct dir_grant *g,
		       struct fail *why)
{
	struct db_stmt *st = NULL;
	char now[DIR_TIME_MAX];

	DIR_LOCKED(d);
	int r = db_stmt(d->db,
			"SELECT services, networks, COALESCE(expires, '9') > ?2, label"
			" FROM barid_app_password WHERE id = ?1",
			&st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, id);
	db_bind_text(st, 2, dir_now(now));
	r = db_step(st, why);
	if (r < 0)
		return r;
	if (r == 0) {
		login_reason(g, "app password was deleted", "");
		return 0;
	}
	struct str networks = db_col_text(st, 1);
	(void)snprintf(g->label, sizeof g->label, "%.*s", STR_ARG(db_col_text(st, 3)));
	bool ok = false;
	if (!db_col_i64(st, 2))
		login_reason(g, "app password has expired: ", g->label);
	else if (!login_service_listed(db_col_text(st, 0), l->service))
		login_reason(g, "app password is for other services: ", g->label);
	else if (networks.n > 0 && !login_nets_allow(networks, l->peer))
		login_reason(g, "app password is for other networks: ", g->label);
	else
		ok = true;
	db_reset(st);
	if (ok)
		note_used(d, id);
	return ok;
}

int app_password_flush(struct dir *d, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->app_seen.cap; i++) {
		const struct app_seen *a = d->app_seen.slots[i].value;
		if (!a)
			continue;
		r = db_stmt(d->db,
			    "UPDATE barid_app_password SET last_used = datetime(?2, 'unixepoch')"
			    " WHERE id = ?1",
			    &st, why);
		if (r < 0)
			return r;
		db_bind_u64(st, 1, a->id);
		db_bind_i64(st, 2, a->at_s);
		r = db_run(st, why);
	}
	return r;
}

int dir_credential_sends(struct dir *d, uint64_t credential, struct str address, struct fail *why)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(16));
	struct db_stmt *st = NULL;
	struct addr x;

	if (addr_parse(address, d->c.delimiter, &scratch, &x, NULL) < 0)
		return 0;
	DIR_LOCKED(d);
	int r = db_stmt(d->db, "SELECT addresses FROM barid_app_password WHERE id = ?1", &st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, credential);
	r = db_step(st, why);
	if (r <= 0)
		return r;
	struct str rest = db_col_text(st, 0);
	struct str part;
	bool ok = rest.n == 0;
	while (!ok && str_cut(&rest, ',', &part))
		ok = str_eqi(str_trim(part), x.full) || str_eqi(str_trim(part), x.bare);
	db_reset(st);
	return ok;
}
