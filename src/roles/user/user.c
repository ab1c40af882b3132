/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/user/user.h"
#include "base/check.h"
#include "base/vec.h"
#include "roles/role/migrating.h"
#include "roles/role/session_protocol.h"
#include "roles/role/task.h"
#include "roles/user/imap_state.h"
#include "roles/user/index.h"
#include "runtime/db/db.h"
#include "service/store/store_acl.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/offence.h"
#include <stdlib.h>
#include <unistd.h>

#define COMMAND_THREADS 32
#define UPKEEP_THREADS	4
#define GUEST_THREADS	16
#define TOOL_THREADS	4
#define KEEP_MAPS_MS	60000
#define CACHE_KIB	1024  /* the page cache of a partition */
#define GRANT_MS	90000 /* edge holds a login back for a minute at most */

struct user user;

OFFENCE(too_many_sessions, "too_many_sessions", "logins over sessions_per_account_max");

/* --- asking scan
 * ------------------------------------------------------------------------------------------------------
 */

int user_scan(void *arg, const struct store_content *content, struct buf *ret_map, struct fail *why)
{
	(void)arg;
	struct msg_scan m = {.body = content->bytes, .file = -1, .size = content->bytes.n};
	struct msg_scan_reply reply;
	struct ipc_packet *p = NULL;
	if (content->file) {
		m.body = STR("");
		m.file = content->file->fd;
		m.size = content->file->size;
	}
	int r = role_ask_scan(user.role, &m, (struct trace_id){0}, &p, why);
	if (r == 0 && msg_scan_reply_read(p, &reply) < 0)
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of scan");
	if (r == 0 && content->file &&
	    !str_eq(reply.sha256, (struct str){(const char *)content->file->sha256,
					       sizeof content->file->sha256}))
		r = fail_set(why, FAIL_CORRUPT, NULL, "the body file changed after it was sealed");
	if (r == 0 && buf_add(ret_map, reply.map) < 0)
		r = fail_set(why, FAIL_LIMIT, NULL, "the message map is too large");
	ipc_packet_free(p);
	return r;
}

/* --- usage for dir
 * --------------------------------------------------------------------------------------------------------
 */

#define USAGE_PAUSE_US 5000 /* between two rounds: under load many changes become one message */
#define USAGE_RETRY_MS 1000

static struct loop_timer usage_timer;
static struct lane usage_lane;
static struct job usage_job;
static bool usage_posted; /* guarded by user.lock, as user.dirty */

void user_usage_changed(struct account_id account)
{
	pthread_mutex_lock(&user.lock);
	(void)map_put(&user.dirty, account.v, (void *)1);
	bool post = !usage_posted;
	usage_posted = true;
	pthread_mutex_unlock(&user.lock);
	if (post)
		lane_submit(&usage_lane, &usage_job);
}

static bool tell_one(struct account_id account)
{
	struct store_usage u;
	if (store_account_usage(user.store, account, &u, NULL) < 0)
		return true; /* deleted meanwhile */
	struct msg_usage m = {.account = account.v, .bytes = u.bytes, .messages = u.messages};
	return ipc_send(role_peer(user.role, "dir", 0), (struct trace_id){0}, IPC_USAGE, &m) == 0;
}

static void tell_usage(struct job *job)
{
	(void)job;
	pthread_mutex_lock(&user.lock);
	struct map dirty = user.dirty;
	user.dirty = (struct map){0};
	usage_posted = false;
	pthread_mutex_unlock(&user.lock);
	MAP_EACH (&dirty, i) {
		if (tell_one((struct account_id){dirty.slots[i].key}))
			continue;
		/* dir is restarting: usage_due tells it later. */
		pthread_mutex_lock(&user.lock);
		(void)map_put(&user.dirty, dirty.slots[i].key, (void *)1);
		pthread_mutex_unlock(&user.lock);
	}
	map_clear(&dirty);
	(void)usleep(USAGE_PAUSE_US);
}

/* --- grants
 * ------------------------------------------------------------------------------------------------------------------
 */

/* dir lets a session act for an account. The account's mailboxes exist when the login is answered.
 */
static void grant(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_grant m;
	struct fail why = FAIL_INIT;
	(void)role;
	(void)fail_set(&why, FAIL_PEER, NULL, "bad grant");
	if (msg_grant_read(p, &m) < 0 ||
	    store_account_ensure(user.store, (struct account_id){m.account}, store_default_folders,
				 &why) < 0) {
		log_event(LOG_ERROR, "user.grant", log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	if (!tenants_have_room(m.account)) {
		(void)fail_set(&why, FAIL_LIMIT, "This account has too many sessions open.",
			       "sessions_per_account_max");
		offence_note(&too_many_sessions,
			     &(struct offender){.service = m.service, .user = m.address},
			     "sessions_per_account_max");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct grant *g = xcalloc(1, sizeof *g);
	g->account = m.account;
	g->quota_bytes = m.quota_bytes;
	g->kind = session_kind_of(m.service);
	g->given = clock_mono();
	if (!right_set(&g->right, m.ticket))
		log_event(LOG_ERROR, "user.grant-without-ticket", log_u64("account", m.account));
	(void)snprintf(g->address, sizeof g->address, "%.*s", STR_ARG(m.address));
	pthread_mutex_lock(&user.lock);
	free(map_put(&user.grants, m.session, g));
	pthread_mutex_unlock(&user.lock);
	(void)ipc_reply(p, IPC_OK, &ok);
}

/* Clients that went away before their session was opened. */
static void expire_grants(void)
{
	struct mono_ns now = clock_mono();
	bool again = true;
	pthread_mutex_lock(&user.lock);
	while (again) {
		again = false;
		MAP_EACH (&user.grants, i) {
			struct grant *g = user.grants.slots[i].value;
			if (now.v - g->given.v < GRANT_MS * MS_NS)
				continue;
			right_over(user.role, user.grants.slots[i].key, &g->right);
			free(map_remove(&user.grants, user.grants.slots[i].key));
			again = true; /* removing moves others */
			break;
		}
	}
	pthread_mutex_unlock(&user.lock);
}

/* Its mail goes, wherever that is ours; sessions that look at it end with their next command. What
 * it had of its own in others' mailboxes goes everywhere. */
static void account_gone(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok done = {0};
	struct msg_account_gone m;
	struct fail why = FAIL_INIT;
	int r = msg_account_gone_read(p, &m);
	struct account_id account = {r < 0 ? 0 : m.account};
	bool ours = role_shard(role, account) == role->index;
	if (r == 0 && ours)
		r = store_account_delete(user.store, account, &why);
	if (r == 0 || r == -FAIL_NOTFOUND)
		r = store_viewer_forget(user.store, account, &why);
	if (r < 0) {
		log_event(LOG_ERROR, "user.delete", log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	if (ours)
		log_event(LOG_INFO, "user.deleted", log_u64("account", m.account));
	(void)ipc_reply(p, IPC_OK, &done);
}

void user_grant_drop(uint64_t session)
{
	pthread_mutex_lock(&user.lock);
	struct grant *g = map_remove(&user.grants, session);
	pthread_mutex_unlock(&user.lock);
	if (g)
		right_over(user.role, session, &g->right);
	free(g);
}

/* Of an edge that is gone: its sessions will not begin. */
static void forget_grants(unsigned edge)
{
	VEC(uint64_t) gone = {0};
	pthread_mutex_lock(&user.lock);
	MAP_EACH (&user.grants, i)
		if (user.grants.slots[i].key >> SESSION_EDGE_SHIFT == edge)
			*vec_push(&gone) = user.grants.slots[i].key;
	pthread_mutex_unlock(&user.lock);
	for (size_t i = 0; i < gone.n; i++)
		user_grant_drop(gone.p[i]);
	vec_clear(&gone);
}

/* --- life
 * ----------------------------------------------------------------------------------------------------------------------
 */

/* Once a second. */
static void usage_due(struct loop_timer *t)
{
	pthread_mutex_lock(&user.lock);
	bool post = user.dirty.n && !usage_posted;
	usage_posted |= post;
	pthread_mutex_unlock(&user.lock);
	if (post)
		lane_submit(&usage_lane, &usage_job);
	expire_grants();
	loop_timer_in(user.role->loop, t, USAGE_RETRY_MS);
}

static int prepare(struct role *role, const struct conf *c, struct fail *why)
{
	struct imap_config *imap = xcalloc(1, sizeof *imap);
	(void)role;
	(void)why;
	*imap = imap_config_default();
	imap->append_max = c->append_size_max;
	imap->share_with_anyone = strcmp(c->share_with_anyone, "yes") == 0;
	(void)snprintf(imap->public_account, sizeof imap->public_account, "%s", c->public_account);
	imap->strict_headers = str_eq(str_c(c->imap_headers_8bit), STR("UTF8=ACCEPT"));
	imap->search_max_ms = c->imap_search_time_max_ms;
	imap->message_limit = (uint32_t)c->imap_message_limit;
	imap->save_limit = (uint32_t)c->imap_save_limit;
	imap->literal_minus = str_eq(str_c(c->imap_literals), STR("LITERAL-"));
	conf_attach(c, imap, free);
	return 0;
}

/* For the store, 0 means its own default. */
static int64_t retention_us(const struct conf *c)
{
	return MAX((int64_t)c->undelete_ms * 1000, INT64_C(1));
}

static void reconfigure(struct role *role, const struct conf *before)
{
	(void)before;
	store_set_retention(user.store, retention_us(role->conf));
	index_configure(role->conf);
	tenants_configure(role->conf);
}

static int open_user(struct role *role, struct fail *why)
{
	const struct conf *c = role->conf;
	struct store_options o = {.root = "store",
				  .blobs = "blob",
				  .partitions = (unsigned)c->store_partitions,
				  .shard = role->index,
				  .shards = (unsigned)c->user_workers,
				  .cache_kib = CACHE_KIB,
				  .keep_maps_ns = KEEP_MAPS_MS * MS_NS,
				  .retention_us = retention_us(c)};
	user.role = role;
	user.search = index_new(role);
	o.news = search_news;
	o.news_arg = user.search;
	pthread_mutex_init(&user.lock, NULL);
	role_show_migrations(role);
	db_cache_at_once(CACHE_KIB);
	int r = store_open(&o, &user.store, why);
	if (r < 0)
		return r;
	if (store_partitions(user.store) != c->store_partitions)
		return fail_set(
			why, FAIL_CONFLICT, NULL,
			"this store was made with %u partitions: set [store] partitions = %u",
			store_partitions(user.store), store_partitions(user.store));
	r = search_start(user.search, user.store, why);
	if (r < 0)
		return r;
	user.pool = pool_new("imap", COMMAND_THREADS, 0);
	tenants_configure(c);
	user.upkeep = pool_new("upkeep", UPKEEP_THREADS, 0);
	user.guests = pool_new("guest", GUEST_THREADS, 0);
	user.tools = pool_new("tool", TOOL_THREADS, 0);
	user.scans = pool_new("tool-scan", TOOL_THREADS, 0);
	lane_init(&usage_lane, user.upkeep);
	usage_job.run = tell_usage;
	imap_begin();
	usage_timer.fire = usage_due;
	loop_timer_in(role->loop, &usage_timer, USAGE_RETRY_MS);
	return 0;
}

static void from_edge(struct ipc_channel *from, struct ipc_packet *p)
{
	if (ipc_packet_type(p) == IPC_SESSION_OPEN)
		imap_open(from, p);
	else
		imap_step(from, p);
}

static void session_over(struct ipc_packet *p)
{
	struct msg_session_over m;
	if (msg_session_over_read(p, &m) == 0)
		imap_over(m.session);
	ipc_packet_free(p);
}

static void message(struct role *role, struct ipc_channel *from, struct ipc_packet *p)
{
	const char *peer = ipc_channel_name(from);
	enum ipc_type type = ipc_packet_type(p);
	if (strcmp(peer, "edge") == 0)
		from_edge(from, p);
	else if (strcmp(peer, "queue") == 0 && type == IPC_DELIVER)
		deliver(p);
	else if (strcmp(peer, "queue") == 0 && type == IPC_RECEIPT_DROP)
		role_task(role, user.upkeep, p, receipts_drop);
	else if (strcmp(peer, "mta") == 0 && type == IPC_URL_READ)
		role_task(role, user.upkeep, p, url_read);
	else if (strcmp(peer, "user") == 0 && type == IPC_GUEST)
		role_task(role, user.guests, p, guest_question);
	else if (strcmp(peer, "user") == 0 && type == IPC_GUEST_WAKE)
		guest_wake(p);
	else if (strcmp(peer, "user") == 0 && type == IPC_GUEST_END)
		guest_ended(p);
	else if (strcmp(peer, "dir") == 0 && type == IPC_GRANT)
		role_task(role, user.upkeep, p, grant);
	else if (strcmp(peer, "dir") == 0 && type == IPC_SESSION_OVER)
		session_over(p);
	else if (strcmp(peer, "dir") == 0 && type == IPC_ACCOUNT_GONE)
		role_task(role, user.upkeep, p, account_gone);
	else
		role_refuse(from, p, "not its business");
}

static void peer_up(struct role *role, struct ipc_channel *peer)
{
	(void)role;
	if (strcmp(ipc_channel_name(peer), "dir") == 0)
		imap_show_rights();
	if (strcmp(ipc_channel_name(peer), "user") == 0)
		guest_peer_up();
}

static void peer_down(struct role *role, struct ipc_channel *peer)
{
	(void)role;
	if (strcmp(ipc_channel_name(peer), "user") == 0)
		guest_peer_down(peer);
	if (strcmp(ipc_channel_name(peer), "edge") != 0)
		return;
	imap_edge_down(peer);
	forget_grants(ipc_channel_index(peer));
}

static void show_stats(struct role *role)
{
	(void)role;
	index_show();
}

static void stop(struct role *role)
{
	/* Everything that was answered is on disk; store_close would wait for views of sessions
	 * that edge has dropped already. */
	role_end(role);
}

static const char *const peers[] = {"user", "edge", "queue", "dir", "scan", "mta", NULL};
static const struct sandbox_path paths[] = {{"store", SANDBOX_WRITE}, {"blob", SANDBOX_WRITE}};
static const struct role_format formats[] = {
	{"format", "store", store_format},
	{"state", "user", imap_session_version},
	{0},
};
static const struct role_ops ops = {.name = "user",
				    .formats = formats,
				    .sandbox_flags = SANDBOX_FILES | SANDBOX_THREADS,
				    .peers = peers,
				    .paths = paths,
				    .n_paths = ARRAY_LEN(paths),
				    .prepare = prepare,
				    .open = open_user,
				    .reconfigure = reconfigure,
				    .message = message,
				    .peer_up = peer_up,
				    .peer_down = peer_down,
				    .stats = show_stats,
				    .tool = tool_ask,
				    .tool_end = tool_end,
				    .stop = stop};

int main(int argc, char **argv)
{
	return role_main(argc, argv, &ops);
}
