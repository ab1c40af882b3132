/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that were granted, and what they hang on.
 */
#include "auth_int.h"

#include "base/check.h"
#include "base/num.h"
#include "base/vec.h"
#include "dir_key.h"
#include "password_int.h"
#include "runtime/seal.h"
#include "sys/clock.h"

#define LOOK_EVERY_S 60 /* for app passwords that end by time */
#define YOUNG_S	     60 /* so long after its start the directory may not know all sessions */
#define LET_GO_S     (2 * 60 * 60) /* longer than any client may be silent */

#define EDGE_SHIFT 56 /* SESSION_EDGE_SHIFT of roles/role/session_protocol.h */

struct open_session {
	uint64_t session;
	struct account_id account;
	enum dir_service service;
	enum dir_proof proof;
	uint64_t credential;
	uint8_t digest[32];
	char master[64];
	bool held;	       /* by the role that acts */
	struct mono_ns let_go; /* unless held: since when */
};

void open_sessions_clear(struct dir *d)
{
	MAP_EACH (&d->sessions, i)
		free(d->sessions.slots[i].value);
	map_clear(&d->sessions);
}

void dir_sessions_forget(struct dir *d, unsigned edge)
{
	VEC(uint64_t) gone = {0};
	DIR_LOCKED(d);
	MAP_EACH (&d->sessions, i)
		if (d->sessions.slots[i].key >> EDGE_SHIFT == edge &&
		    !((const struct open_session *)d->sessions.slots[i].value)->held)
			*vec_push(&gone) = d->sessions.slots[i].key;
	for (size_t i = 0; i < gone.n; i++)
		free(map_remove(&d->sessions, gone.p[i]));
	vec_clear(&gone);
}

static void keep(struct dir *d, const struct open_session *o)
{
	struct open_session *s = xcalloc(1, sizeof *s);

	*s = *o;
	DIR_LOCKED(d);
	free(map_put(&d->sessions, s->session, s));
	d->sessions_dirty = true; /* what changed since the grant must not be missed */
}

static void drop(struct dir *d, uint64_t session)
{
	DIR_LOCKED(d);
	free(map_remove(&d->sessions, session));
}

void dir_session_closed(struct dir *d, uint64_t session, dir_session_holder holder, const void *ctx)
{
	DIR_LOCKED(d);
	const struct open_session *s = map_get(&d->sessions, session);

	if (s && (holder ? holder(ctx, s->account, s->service) : !s->held))
		free(map_remove(&d->sessions, session));
}

int dir_session_who(struct dir *d, uint64_t session, struct account_id *ret_account,
		    enum dir_service *ret_service, struct fail *why)
{
	DIR_LOCKED(d);
	const struct open_session *s = map_get(&d->sessions, session);

	if (!s)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no such session");
	*ret_account = s->account;
	*ret_service = s->service;
	return 0;
}

void dir_sessions_let_go(struct dir *d, dir_session_holder holder, const void *ctx)
{
	DIR_LOCKED(d);
	MAP_EACH (&d->sessions, i) {
		struct open_session *s = d->sessions.slots[i].value;
		if (!s->held || !holder(ctx, s->account, s->service))
			continue;
		s->held = false;
		s->let_go = clock_mono();
	}
}

static bool is_young(const struct dir *d)
{
	return clock_mono().v - d->opened_at.v < YOUNG_S * SEC_NS;
}

/* A second login of a session that is open would hide the first one from us. */
static int keep_new(struct dir *d, const struct open_session *o, struct fail *why)
{
	{
		DIR_LOCKED(d);
		const struct open_session *before = map_get(&d->sessions, o->session);
		if (before && before->held)
			return fail_set(why, FAIL_PERM, NULL, "the session was granted already");
	}
	keep(d, o);
	return 0;
}

static bool is_known(struct dir *d, uint64_t session)
{
	DIR_LOCKED(d);
	return map_get(&d->sessions, session) != NULL;
}

/* ---- tickets ---- */

static void ticket_key(struct dir *d, uint64_t session, uint8_t key[SEAL_KEY_SIZE],
		       char purpose[40])
{
	dir_key_derive(&d->key, "ticket", STR(""), key);
	(void)snprintf(purpose, 40, "session %llu", (unsigned long long)session);
}

int dir_session_opened(struct dir *d, uint64_t session, const struct dir_place *l,
		       const struct dir_grant *g, struct buf *out, struct fail *why)
{
	AUTO(buf) struct buf plain = BUF_INIT(DIR_TICKET_MAX);
	struct open_session s = {.session = session,
				 .account = g->account,
				 .service = l->service,
				 .proof = g->proof,
				 .credential = g->credential,
				 .held = true};
	uint8_t key[SEAL_KEY_SIZE];
	char purpose[40];

	memcpy(s.digest, g->proof_digest, sizeof s.digest);
	memcpy(s.master, g->master, sizeof s.master);
	(void)buf_put_u64(&plain, s.account.v);
	(void)buf_put_u8(&plain, (uint8_t)s.service);
	(void)buf_put_u8(&plain, (uint8_t)s.proof);
	(void)buf_put_u64(&plain, s.credential);
	(void)buf_add(&plain, str_make((const char *)s.digest, sizeof s.digest));
	(void)buf_add(&plain, str_c(s.master));
	ticket_key(d, session, key, purpose);
	int r = seal(key, str_c(purpose), buf_str(&plain), out);
	explicit_bzero(key, sizeof key);
	if (r < 0 || plain.failed)
		return fail_set(why, FAIL_LIMIT, NULL, "a ticket is too long");
	return keep_new(d, &s, why);
}

/* ---- judging ---- */

static bool same_digest(const struct open_session *s, struct str stored)
{
	uint8_t now[32];

	return digest_two(DIGEST_SHA256, stored, STR_NULL, now, NULL) == 0 &&
	       memcmp(now, s->digest, sizeof now) == 0;
}

/* 1 when the query about the credential has a row. */
static int app_stands(struct dir *d, uint64_t id, struct fail *why)
{
	struct db_stmt *st = NULL;
	char now[DIR_TIME_MAX];

	DIR_LOCKED(d);
	int r = db_stmt(d->db,
			"SELECT 1 FROM barid_app_password WHERE id = ?1"
			" AND COALESCE(expires, '9') > ?2",
			&st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, id);
	db_bind_text(st, 2, dir_now(now));
	r = db_step(st, why);
	db_reset(st);
	return r;
}

static int master_stands(struct dir *d, const struct open_session *s, struct fail *why)
{
	struct db_stmt *st = NULL;

	DIR_LOCKED(d);
	int r = dir_query(d, "SELECT password FROM barid_master WHERE name = ?1 AND active",
			  str_c(s->master), STR_NULL, &st, why);
	if (r <= 0)
		return r;
	r = d->c.master_users && same_digest(s, db_col_text(st, 0));
	db_reset(st);
	return r;
}

/* 0 and *ret_reason: NULL, or why the session is over. */
static int judge(struct dir *d, const struct open_session *s, const char **ret_reason,
		 struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct dir_place place = {.service = s->service, .channel = DIR_TLS};
	struct dir_account account = {0};
	struct login_row row = {0};
	int r = dir_account_by_id(d, s->account, &a, &account, why);

	*ret_reason = NULL;
	if (r == 0)
		r = login_load(d, &place, account.address, &a, &row, why);
	if (r < 0 && r != -FAIL_NOTFOUND)
		return r;
	if (r <= 0)
		*ret_reason = "account was deleted";
	else if (!row.mailbox_active || !row.account.active)
		*ret_reason = "account is switched off";
	else if (!row.service_on)
		*ret_reason = "service is off for the account";
	else if (s->proof == DIR_PROOF_PASSWORD && !same_digest(s, row.stored))
		*ret_reason = "password was changed";
	if (*ret_reason)
		return 0;
	r = s->proof == DIR_PROOF_APP	   ? app_stands(d, s->credential, why)
	    : s->proof == DIR_PROOF_MASTER ? master_stands(d, s, why)
					   : 1;
	if (r == 0)
		*ret_reason = s->proof == DIR_PROOF_APP ? "app password is gone"
							: "master user was changed";
	return MIN(r, 0);
}

/* ---- opened again ---- */

static int ticket_read(struct dir *d, uint64_t session, struct str ticket, struct open_session *ret,
		       struct fail *why)
{
	AUTO(buf) struct buf plain = BUF_INIT(DIR_TICKET_MAX);
	uint8_t key[SEAL_KEY_SIZE];
	char purpose[40];

	ticket_key(d, session, key, purpose);
	int r = unseal(key, str_c(purpose), ticket, &plain);
	explicit_bzero(key, sizeof key);
	if (r < 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "a ticket that is not ours");
	struct cursor c = cursor_of(buf_str(&plain));
	struct open_session s = {.session = session};
	s.account.v = cursor_u64(&c);
	s.service = (enum dir_service)cursor_u8(&c);
	s.proof = (enum dir_proof)cursor_u8(&c);
	s.credential = cursor_u64(&c);
	struct str digest = cursor_bytes(&c, sizeof s.digest);
	struct str master = cursor_bytes(&c, cursor_left(&c));
	if (c.bad || s.service >= DIR_SERVICES || s.proof > DIR_PROOF_TOKEN ||
	    master.n >= sizeof s.master)
		return fail_set(why, FAIL_CORRUPT, NULL, "a ticket of another form");
	memcpy(s.digest, digest.p, digest.n);
	(void)snprintf(s.master, sizeof s.master, "%.*s", STR_ARG(master));
	*ret = s;
	return 0;
}

int dir_session_again(struct dir *d, uint64_t session, struct str ticket, bool held,
		      struct fail *why)
{
	struct open_session s;
	int r = ticket_read(d, session, ticket, &s, why);

	if (r < 0)
		return r;
	if (!held && (!is_young(d) || is_known(d, session)))
		return 0;
	s.held = held;
	s.let_go = clock_mono();
	keep(d, &s);
	return 0;
}

int dir_session_renew(struct dir *d, uint64_t session, struct account_id account, struct str ticket,
		      struct fail *why)
{
	struct open_session s;
	const char *reason = NULL;
	int r = ticket_read(d, session, ticket, &s, why);

	if (r < 0 || s.account.v != account.v)
		return fail_set(why, FAIL_AUTH, NULL, "the ticket is not for this session");
	if (!is_known(d, session) && !is_young(d))
		return fail_set(why, FAIL_AUTH, NULL, "the session has ended");
	s.held = true;
	keep(d, &s); /* before it is judged: no change in between is missed */
	r = judge(d, &s, &reason, why);
	if (r == 0 && reason)
		r = fail_set(why, FAIL_AUTH, NULL, "%s", reason);
	if (r < 0)
		drop(d, session);
	return r;
}

/* ---- all of them ---- */

/* All sessions as they are now, when they are to be looked at; *ret_n = 0 else. */
static struct open_session *to_judge(struct dir *d, size_t *ret_n)
{
	struct mono_ns now = clock_mono();

	*ret_n = 0;
	DIR_LOCKED(d);
	uint64_t version = db_data_version(d->db);
	if (!d->sessions_dirty && version == d->sessions_version &&
	    now.v - d->sessions_checked.v < LOOK_EVERY_S * SEC_NS)
		return NULL;
	d->sessions_dirty = false;
	d->sessions_version = version;
	d->sessions_checked = now;
	if (d->sessions.n == 0)
		return NULL;
	struct open_session *list = xcalloc(d->sessions.n, sizeof *list);
	MAP_EACH (&d->sessions, i)
		list[(*ret_n)++] = *(const struct open_session *)d->sessions.slots[i].value;
	return list;
}

int dir_sessions_check(struct dir *d, dir_session_end end, void *ctx, struct fail *why)
{
	size_t n = 0;
	struct open_session *list = to_judge(d, &n);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *reason = NULL;
		if (!list[i].held && list[i].let_go.v < clock_mono().v - LET_GO_S * SEC_NS) {
			drop(d, list[i].session); /* nobody came for it */
			continue;
		}
		r = judge(d, &list[i], &reason, why);
		if (r < 0 || !reason)
			continue;
		drop(d, list[i].session);
		end(ctx, list[i].session, list[i].account, list[i].service, reason);
	}
	if (r < 0) { /* the rest is looked at the next time */
		DIR_LOCKED(d);
		d->sessions_dirty = true;
	}
	free(list);
	return r;
}
