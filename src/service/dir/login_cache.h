/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_cache.h - passwords that were verified a short while ago.              [service/dir only]
 *
 * An entry is HMAC-SHA-256, under a key made at start and never written anywhere, of user name,
 * stored hash and password. So the table holds nothing that can be tried against another system,
 * and an entry is void as soon as the stored hash changes. Bounded and expiring; only successes are
 * kept. Thread-safe.
 */
#ifndef BARID_SERVICE_DIR_LOGIN_CACHE_H
#define BARID_SERVICE_DIR_LOGIN_CACHE_H

#include "base/str.h"

struct login_cache;

/* max entries, 0 = remember nothing. */
struct login_cache *login_cache_new(unsigned max, unsigned ttl_s);
void login_cache_free(struct login_cache *c);

bool login_cache_has(struct login_cache *c, struct str username, struct str stored,
		     struct str password);
void login_cache_add(struct login_cache *c, struct str username, struct str stored,
		     struct str password);

#endif
