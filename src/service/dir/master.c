/* SPDX-License-Identifier: Apache-2.0 */
#include "master.h"

#include "app_password.h"
#include "login_cache.h"
#include "password.h"

bool master_named(const struct dir *d, const struct dir_login *l, struct str *ret_account,
		  struct str *ret_master)
{
	size_t at = str_rfind(l->username, d->c.master_separator);

	if (!d->c.master_users)
		return false;
	if (l->authzid.n > 0) {
		*ret_account = l->authzid;
		*ret_master = l->username;
		return true;
	}
	if (at == l->username.n)
		return false;
	*ret_account = str_sub(l->username, 0, at);
	*ret_master = str_skip(l->username, at + 1);
	return true;
}

static bool allowed(const struct dir *d, const struct dir_place *l, struct str services,
		    bool active, struct dir_grant *g)
{
	if (!active)
		login_reason(g, "master user is switched off", "");
	else if (d->c.master_services.n == 0 ||
		 !login_service_listed(d->c.master_services, l->service) ||
		 !login_service_listed(services, l->service))
		login_reason(g, "service is not for this master user", "");
	else
		return true;
	return false;
}

int master_verify(struct dir *d, const struct dir_login *l, struct str master, struct dir_grant *g,
		  struct fail *why)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(16));
	struct str stored = STR_NULL;
	struct str services = STR_NULL;
	struct db_stmt *st = NULL;
	bool active = false;

	dir_lock(d);
	int r = dir_query(d, "SELECT password, services, active FROM barid_master WHERE name = ?1",
			  master, STR_NULL, &st, why);
	if (r == 1) {
		stored = arena_str(&scratch, db_col_text(st, 0));
		services = arena_str(&scratch, db_col_text(st, 1));
		active = db_col_i64(st, 2) != 0;
		db_reset(st);
	}
	dir_unlock(d);
	if (r < 0)
		return r;
	if (stored.n == 0) {
		password_verify_nobody(l->password);
		login_reason(g, "no such master user", "");
		return 0;
	}
	/* No account's name holds a blank. */
	struct str key = arena_printf(&scratch, "master %.*s", STR_ARG(master));
	if (login_cache_has(d->cache, key, stored, l->password)) {
		g->cached = true;
	} else if (password_verify(stored, l->password, why) == 1) {
		login_cache_add(d->cache, key, stored, l->password);
	} else {
		login_reason(g, "wrong password of the master user", "");
		return 0;
	}
	login_proved(g, DIR_PROOF_MASTER, stored);
	return allowed(d, &l->place, services, active, g);
}
