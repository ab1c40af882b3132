/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir_int.h - between the files of dir.                                        [service/dir only]
 *
 * Functions that take a struct dir expect its lock to be held, except where said.
 */
#ifndef BARID_SERVICE_DIR_DIR_INT_H
#define BARID_SERVICE_DIR_DIR_INT_H

#include "base/map.h"
#include "runtime/db/db.h"
#include "service/dir/dir.h"
#include "sys/secret.h"
#include <pthread.h>

struct login_cache;
struct slowdown;

/* Used space that used_quota does not hold yet. */
struct usage {
	struct account_id id;
	uint64_t bytes;
	uint64_t messages;
};

struct exchanges;
struct returns; /* srs.c */
struct oauth;
struct login_seen; /* a last_login row that waits */
/* A last_used of an app password that waits. */
struct app_seen {
	uint64_t id;
	int64_t at_s;
};

struct dir {
	struct dir_config c;
	char *storage_base;
	char *storage_node;
	pthread_mutex_t lock; /* guards what follows */
	char *hostname;	      /* dir_configure; NULL: not said */
	char *relay_host;
	struct srs *srs; /* dir_srs; NULL: nothing is rewritten */
	bool srs_forwarding;
	struct returns *returns;
	uint64_t routes_version; /* of the file, when routes_changed was last asked for */
	struct wall_us routes_changed;
	struct db *db;
	struct map usage;    /* account id: struct usage */
	struct map seen;     /* account id * 2 + service: struct login_seen */
	struct map app_seen; /* app password id: struct app_seen */
	/* What dir_offer found, for this state of the file. */
	unsigned offer;
	bool offer_known;
	uint64_t offer_version;
	struct map sessions; /* id -> struct open_session (open_session.c) */
	bool sessions_dirty; /* an order may have ended some */
	uint64_t sessions_version;
	struct mono_ns sessions_checked;
	struct mono_ns opened_at;
	struct secret key; /* dir_key.h; fixed */
	/* These have locks of their own. */
	struct login_cache *cache;
	struct slowdown *slow;
	struct exchanges *exchanges;
	struct oauth *oauth; /* NULL: no tokens are taken */
};

static inline void dir_lock(struct dir *d)
{
	(void)pthread_mutex_lock(&d->lock);
}
static inline void dir_unlock(struct dir *d)
{
	(void)pthread_mutex_unlock(&d->lock);
}
static inline void auto_dir_lock_(struct dir **d)
{
	dir_unlock(*d);
}
/* Hold the lock until the scope ends. */
#define DIR_LOCKED(d)                                                                              \
	__attribute__((cleanup(auto_dir_lock_), unused)) struct dir *dir_locked_ = (d);            \
	dir_lock(d)

/* barid_account.deleted of those whose mail goes now: before any time that can be. */
#define DIR_CONDEMNED "'1970-01-01 00:00:00'"

/* srs.c */
struct returns *returns_new(void);
void returns_rate(struct returns *r, uint32_t max);
void returns_free(struct returns *r);

/* schema.c */
MUST_CHECK int dir_schema(struct db *db, struct fail *why);
/* "2026-11-22 00:13:44" of now, UTC, as all date columns hold it. Borrowed from buf. */
#define DIR_TIME_MAX 32
struct str dir_now(char buf[DIR_TIME_MAX]);

/* address.c */
/* An address taken apart, lower case. full = local@domain; bare = full without the detail. */
struct addr {
	struct str full;
	struct str local;
	struct str domain;
	struct str bare;
	struct str detail; /* {NULL, 0}: none. "user+@d" has an empty one. */
};
/* FAIL_SYNTAX: not an address; FAIL_LIMIT: arena. */
MUST_CHECK int addr_parse(struct str s, char delimiter, struct arena *a, struct addr *ret,
			  struct fail *why);
/* Lower case and A-labels; FAIL_SYNTAX with a text for the operator. */
MUST_CHECK int domain_parse(struct str s, struct arena *a, struct str *ret, struct fail *why);

/* One row or none of a statement with text parameters; the caller resets. See db.h. */
MUST_CHECK int dir_query(struct dir *d, const char *sql, struct str p1, struct str p2,
			 struct db_stmt **ret, struct fail *why);
/* A statement with text parameters (STR_NULL.p means NULL) run to the end. */
MUST_CHECK int dir_exec(struct dir *d, const char *sql, const struct str *params, size_t n,
			struct fail *why);

/* What a domain is to us. */
enum domain_kind {
	DOMAIN_FOREIGN,
	DOMAIN_LOCAL,
	DOMAIN_ALIAS,	 /* of a local domain: target says which */
	DOMAIN_RELAY,	 /* backup MX */
	DOMAIN_INACTIVE, /* ours, switched off */
	DOMAIN_OWN,	 /* this machine's name, or localhost: local names only */
};
struct domain_info {
	enum domain_kind kind;
	struct str target;    /* DOMAIN_ALIAS */
	struct str transport; /* as stored; empty when it means "here" */
};
MUST_CHECK int dir_domain(struct dir *d, struct str domain, struct arena *a,
			  struct domain_info *ret, struct fail *why);
/* A transport value that means delivery by this server. */
bool transport_is_local(struct str transport);

/* route.c */
struct route_story;
/* dir_route with the lock held; tells what it finds when somebody listens (route_int.h). */
MUST_CHECK int route_ask(struct dir *d, const struct dir_rcpt *rcpt, struct route_story *story,
			 struct arena *ret_arena, struct dir_route *ret, struct fail *why);

/* sender.c */
/* 1 when the user may send as x, as dir_sender_allowed says it. */
MUST_CHECK int dir_sends_as(struct dir *d, struct str username, const struct addr *x,
			    struct fail *why);

/* open_session.c */
void open_sessions_clear(struct dir *d);

/* auth.c */
bool dir_net_is_valid(struct str net);
/* Something that decides about logins was changed by ourselves. With the lock held. */
static inline void dir_credentials_changed(struct dir *d)
{
	d->offer_known = false;
}

/* Something that decides where mail goes was changed by ourselves. With the lock held. */
void dir_routes_touch(struct dir *d);

/* dir.c */
/* As dir_account_by_address, for a lower-case address and with the lock held. FAIL_NOTFOUND. */
MUST_CHECK int dir_find_account(struct dir *d, struct str address, struct arena *a,
				struct dir_account *ret, struct fail *why);
/* The mailbox's id, made now when the row has none yet. */
MUST_CHECK int dir_account_id(struct dir *d, struct str username, struct account_id *ret,
			      struct fail *why);
/* Remember a successful login for last_login. Takes the lock. */
void dir_login_seen(struct dir *d, struct account_id id, enum dir_service s);

#endif
