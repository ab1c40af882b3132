/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a session begins, and the state that it can begin with again in a fresh process; edge
 * keeps it, sealed.
 *
 * State: u64 account, u64 quota, u16 length and address, then what the session's kind exports.
 */
#include "roles/user/imap_state.h"
#include "base/num.h"
#include "proto/imap/imap_session.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"

COUNTER(imap_sessions, "user.imap-sessions", "IMAP sessions opened by a login");
COUNTER(imap_resumed, "user.imap-resumed", "IMAP sessions continued from a process that ended");

int imap_state_seal(struct user_session *s, struct buf *sealed, struct fail *why)
{
	AUTO(buf) struct buf plain = BUF_INIT(IMAP_STATE_MAX);
	struct str address = str_c(s->grant.address);
	(void)buf_put_u64(&plain, s->grant.account);
	(void)buf_put_u64(&plain, s->grant.quota_bytes);
	(void)buf_put_u16(&plain, (uint16_t)address.n);
	(void)buf_add(&plain, address);
	int r = s->kind->export(s, &plain, why);
	if (r < 0)
		return r;
	uint64_t hash = str_hash(buf_str(&plain));
	if (hash == s->told)
		return 0;
	r = role_seal(user.role, s->id, buf_str(&plain), sealed);
	if (r == 0)
		s->told = hash;
	return r;
}

static int quota(void *arg, struct store_quota *ret, struct fail *why)
{
	const struct user_session *s = arg;
	(void)why;
	*ret = (struct store_quota){.bytes = s->grant.quota_bytes};
	return 0;
}

static int fetch_url(void *arg, struct str url, struct imap_out *ret, struct fail *why)
{
	const struct user_session *s = arg;
	return url_fetch(s->id.v, url, ret, why);
}

static void server_entry(void *arg, struct str entry, struct buf *ret)
{
	const struct conf *c = role_conf_hold(user.role);
	(void)arg;
	buf_add_c(ret, str_eq(entry, STR("/shared/admin")) ? c->imap_admin : c->imap_comment);
	conf_drop(c);
}

/* `c` is the snapshot that the configuration's numbers are copied from. */
static struct imap_session_args args_of(struct user_session *s, const struct conf *c)
{
	return (struct imap_session_args){.config = conf_extra(c),
					  .store = user.store,
					  .search = user.search,
					  .account = {s->grant.account},
					  .address = str_c(s->grant.address),
					  .rights = IMAP_RIGHT_WRITE,
					  .hooks = {.arg = s,
						    .scan = user_scan,
						    .quota = quota,
						    .url = fetch_url,
						    .server_entry = server_entry,
						    .guest = guest_visit,
						    .hosts = guest_hosts,
						    .named = guest_named,
						    .shared = guest_shared,
						    .wake = imap_wake}};
}

/* The state says whose session it was; dir says whether it still may be. */
static int read_state(struct user_session *s, const struct msg_session_open *m, struct fail *why)
{
	AUTO(buf) struct buf plain = BUF_INIT(IMAP_STATE_MAX);
	int r = role_unseal(user.role, s->id, m->state, &plain);
	if (r < 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "the sealed state does not open");
	struct cursor c = cursor_of(buf_str(&plain));
	s->grant.account = cursor_u64(&c);
	s->grant.quota_bytes = cursor_u64(&c);
	struct str address = cursor_bytes(&c, cursor_u16(&c));
	if (c.bad || address.n >= sizeof s->grant.address)
		return fail_set(why, FAIL_CORRUPT, NULL, "the sealed state is damaged");
	/* All processes of user have one key, but each account has one writer. */
	if (role_shard(user.role, (struct account_id){s->grant.account}) != user.role->index)
		return fail_set(why, FAIL_PERM, NULL, "the state of an account of another shard");
	(void)snprintf(s->grant.address, sizeof s->grant.address, "%.*s", STR_ARG(address));
	if (!right_set(&s->grant.right, m->ticket))
		return fail_set(why, FAIL_PERM, NULL, "a state without a ticket");
	r = right_renew(user.role, s->id.v, (struct account_id){s->grant.account}, &s->grant.right,
			why);
	if (r < 0)
		return r;
	atomic_store(&s->granted, true);
	return s->kind->import(s, (struct str){(const char *)c.p, cursor_left(&c)}, why);
}

/* --- IMAP --- */

static int imap_import(struct user_session *s, struct str state, struct fail *why)
{
	const struct conf *conf = role_conf_hold(user.role);
	struct imap_session_args args = args_of(s, conf);
	int r = imap_session_import(&args, state, &s->imap, why);
	conf_drop(conf);
	return r;
}

static int imap_begin_new(struct user_session *s, const struct msg_session_open *m,
			  enum imap_next *next, struct fail *why)
{
	const struct conf *c = role_conf_hold(user.role);
	struct imap_session_args args = args_of(s, c);
	(void)m;
	(void)why;
	s->imap = imap_session_new(&args);
	*next = IMAP_DONE;
	conf_drop(c);
	counter_add(&imap_sessions, 1);
	return 0;
}

static int imap_export(const struct user_session *s, struct buf *out, struct fail *why)
{
	return imap_session_export(s->imap, out, why);
}

static enum imap_next imap_resume(struct user_session *s)
{
	return imap_session_resume(s->imap, &s->out);
}

static void imap_rest(struct user_session *s)
{
	imap_session_rest(s->imap);
}

static void imap_end(struct user_session *s)
{
	imap_session_free(TAKE(s->imap));
	s->at_work = false;
}

const struct session_kind imap_kind = {
	.begin = imap_begin_new,
	.import = imap_import,
	.export = imap_export,
	.command = imap_command,
	.resume = imap_resume,
	.rest = imap_rest,
	.end = imap_end,
	.cannot_open = "* BYE [UNAVAILABLE] The session could not be continued, please connect "
		       "again.\r\n",
	.over = "* BYE Your access has changed, please log in again.\r\n",
};

/* --- all --- */

const struct session_kind *session_kind_of(struct str service)
{
	if (str_eq(service, STR("managesieve")))
		return &managesieve_kind;
	return str_starts(service, STR("pop3")) ? &pop3_kind : &imap_kind;
}

static bool take_grant(struct user_session *s)
{
	pthread_mutex_lock(&user.lock);
	struct grant *g = map_remove(&user.grants, s->id.v);
	if (g)
		tenants_count(g->account);
	pthread_mutex_unlock(&user.lock);
	if (!g)
		return false;
	s->counted = true;
	s->grant = *g;
	free(g);
	atomic_store(&s->granted, true);
	return true;
}

static void refuse(const struct user_session *s, const struct fail *why)
{
	struct msg_session_done done = {
		.session = s->id.v, .next = NEXT_CLOSE, .out = str_c(s->kind->cannot_open)};
	log_event(LOG_WARN, "imap.cannot-open", log_fail(why));
	(void)ipc_send_wait(s->edge, (struct trace_id){0}, IPC_SESSION_DONE, &done);
}

static int begin_new(struct user_session *s, const struct msg_session_open *m, enum imap_next *next,
		     struct fail *why)
{
	if (!take_grant(s))
		return fail_set(why, FAIL_PERM, NULL, "no grant for this session");
	if (s->grant.kind != s->kind)
		return fail_set(why, FAIL_PERM, NULL, "a grant for another service");
	return s->kind->begin(s, m, next, why);
}

static void count(struct user_session *s)
{
	if (s->counted)
		return;
	pthread_mutex_lock(&user.lock);
	tenants_count(s->grant.account);
	pthread_mutex_unlock(&user.lock);
	s->counted = true;
}

/* One that was parked hears what happened meanwhile. */
static enum imap_next wake(struct user_session *s)
{
	enum imap_next next = s->imap ? imap_session_wake(s->imap, &s->out) : IMAP_DONE;
	if (next == IMAP_QUIET)
		next = imap_session_is_parked(s->imap) ? IMAP_PARK : IMAP_DONE;
	return next;
}

void imap_begin_session(struct user_session *s, struct ipc_packet *p)
{
	struct msg_session_open m;
	struct fail why = FAIL_INIT;
	enum imap_next next = IMAP_DONE;
	int r = msg_session_open_read(p, &m);
	s->kind = session_kind_of(r == 0 ? m.service : STR(""));
	if (r == 0 && m.state.n) {
		r = read_state(s, &m, &why);
		counter_add(&imap_resumed, r == 0);
	} else if (r == 0) {
		r = begin_new(s, &m, &next, &why);
	}
	if (r < 0) {
		refuse(s, &why);
		return;
	}
	s->at_work = true;
	CRASH_POINT("user.session-opened");
	count(s); /* unless the grant has done so */
	tenants_share(&s->grant, &s->lane);
	if (next == IMAP_DONE)
		next = wake(s);
	s->more = next == IMAP_MORE;
	imap_answer(s, 0, next);
}
