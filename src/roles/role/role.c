/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/role/role.h"
#include "base/check.h"
#include "base/num.h"
#include "build_id.h"
#include "roles/role/debug.h"
#include "roles/role/role_int.h"
#include "service/store/store.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/log.h"
#include "sys/log_gate.h"
#include "sys/proc.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNTERS_MAX	 500
#define EARLY_ORDERS_MAX 64u
#define LOST_AGAIN_MS	 3000u /* longer than a peer is young to master */
#define LOST_TOLD_MAX	 3u

const char *role_build_id(void)
{
	return BARID_BUILD_ID;
}

const char *role_schema(void)
{
	return IPC_SCHEMA;
}

/* --- peers
 * ------------------------------------------------------------------------------------------ */

static void peer_message(struct ipc_channel *ch, struct ipc_packet *p)
{
	struct role *role = ipc_channel_context(ch);
	role_memory_busy(role);
	if (role->stopping)
		ipc_packet_free(p);
	else
		role->ops->message(role, ch, p);
}

static void peer_up(struct ipc_channel *ch)
{
	struct role *role = ipc_channel_context(ch);
	if (role->ops->peer_up && !role->stopping)
		role->ops->peer_up(role, ch);
}

static void tell_lost(struct role *role, const struct ipc_channel *ch)
{
	struct msg_lost m = {.role = str_c(ipc_channel_name(ch)),
			     .index = (uint16_t)ipc_channel_index(ch)};
	(void)ipc_send(role->control, (struct trace_id){0}, IPC_LOST, &m);
}

/*
 * Master takes the first news of a loss for that of a death, when the peer is young. A peer that is
 * still away later on lives, and has to start afresh: or nobody would ever connect the two again.
 */
static void still_lost(struct loop_timer *t)
{
	struct role *role = CONTAINER_OF(t, struct role, lost_timer);
	bool any = false;
	for (size_t i = 0; i < role->peers.n; i++) {
		if (ipc_channel_is_up(role->peers.p[i]) || !ipc_channel_was_up(role->peers.p[i]))
			continue;
		tell_lost(role, role->peers.p[i]);
		any = true;
	}
	if (any && ++role->lost_told < LOST_TOLD_MAX)
		loop_timer_in(role->loop, t, LOST_AGAIN_MS << role->lost_told);
}

static void peer_down(struct ipc_channel *ch)
{
	struct role *role = ipc_channel_context(ch);
	tell_lost(role, ch);
	role->lost_told = 0;
	role->lost_timer.fire = still_lost;
	loop_timer_in(role->loop, &role->lost_timer, LOST_AGAIN_MS);
	if (role->ops->peer_down && !role->stopping)
		role->ops->peer_down(role, ch);
}

static const struct ipc_channel_ops peer_ops = {
	.message = peer_message, .up = peer_up, .down = peer_down};

static unsigned count_of(const struct role *role, const char *name)
{
	if (strcmp(name, "user") == 0)
		return role->user_workers;
	if (strcmp(name, "edge") == 0)
		return role->edge_places;
	return strcmp(name, "scan") == 0 ? (unsigned)role->conf->scan_workers : 1;
}

void role_make_peers(struct role *role)
{
	for (size_t i = 0; role->ops->peers[i]; i++)
		for (unsigned k = 0; k < count_of(role, role->ops->peers[i]); k++)
			*vec_push(&role->peers) = ipc_channel_new(role->loop, role->ops->peers[i],
								  k, &peer_ops, role);
}

struct ipc_channel *role_peer(struct role *role, const char *name, unsigned index)
{
	for (size_t i = 0; i < role->peers.n; i++) {
		struct ipc_channel *ch = role->peers.p[i];
		if (ipc_channel_index(ch) == index && strcmp(ipc_channel_name(ch), name) == 0)
			return ch;
	}
	check_failed("a peer that the role declared", __FILE__, __LINE__);
}

struct ipc_channel *role_peer_idlest(struct role *role, const char *name)
{
	struct ipc_channel *best = NULL;
	unsigned least = UINT32_MAX;
	for (size_t i = 0; i < role->peers.n; i++) {
		struct ipc_channel *ch = role->peers.p[i];
		if (strcmp(ipc_channel_name(ch), name) != 0)
			continue;
		unsigned load = ipc_channel_load(ch) + (ipc_channel_is_up(ch) ? 0 : 1000000);
		if (load < least) {
			least = load;
			best = ch;
		}
	}
	CHECK(best);
	return best;
}

/* A partition's file has one writer: so accounts are spread by partition, not by themselves. */
unsigned role_shard(const struct role *role, struct account_id account)
{
	return (unsigned)(store_place(account, role->partitions) % role->user_workers);
}

struct ipc_channel *role_user_of(struct role *role, struct account_id account)
{
	return role_peer(role, "user", role_shard(role, account));
}

/* --- sealed state
 * ------------------------------------------------------------------------------------ */

static struct str purpose_of(struct role *role, struct session_id session, char text[64])
{
	int n = snprintf(text, 64, "%s:%llx", role->ops->name, (unsigned long long)session.v);
	return (struct str){text, (size_t)n};
}

int role_seal(struct role *role, struct session_id session, struct str plain, struct buf *out)
{
	char text[64];
	CHECK(role->seal_key.n == SEAL_KEY_SIZE);
	return seal(role->seal_key.p, purpose_of(role, session, text), plain, out);
}

int role_unseal(struct role *role, struct session_id session, struct str sealed, struct buf *out)
{
	char text[64];
	CHECK(role->seal_key.n == SEAL_KEY_SIZE);
	return unseal(role->seal_key.p, purpose_of(role, session, text), sealed, out);
}

/* --- control
 * ------------------------------------------------------------------------------------------ */

void role_note(struct role *role, const char *text)
{
	struct msg_note m = {.text = str_c(text)};
	(void)ipc_send(role->control, (struct trace_id){0}, IPC_NOTE, &m);
}

NORETURN static void give_up(struct role *role, const struct fail *why)
{
	role_note(role, why->detail);
	log_event(LOG_ERROR, "role.failed", log_u64("index", role->index), log_fail(why));
	_exit(why->code == FAIL_UNSUPPORTED ? ROLE_EXIT_FORMAT : 1);
}

void role_end(struct role *role)
{
	loop_stop(role->loop);
}

static void *finish(void *arg)
{
	struct role *role = arg;
	role->finish(role);
	role_end(role);
	return NULL;
}

void role_stop_aside(struct role *role, void (*fn)(struct role *role))
{
	pthread_t thread;
	if (role->stopping)
		return;
	role->stopping = true;
	role->finish = fn;
	if (pthread_create(&thread, NULL, finish, role) != 0)
		(void)finish(role);
	else
		(void)pthread_detach(thread);
}

static void stop(struct role *role)
{
	/* A role that has not opened has nothing to finish. */
	if (role->ops->stop && role->started)
		role->ops->stop(role);
	else
		role_end(role);
}

static void drain(struct role *role, struct ipc_packet *p)
{
	struct msg_drain m;
	if (msg_drain_read(p, &m) < 0)
		return;
	if (role->ops->drain && role->started)
		role->ops->drain(role, m.grace_ms, m.deadline_ms);
	else
		stop(role);
}

static void configure(struct role *role, struct ipc_packet *p)
{
	struct msg_configure m;
	struct fail why = FAIL_INIT;
	const struct conf *first = NULL;
	if (msg_configure_read(p, &m) < 0) {
		(void)fail_set(&why, FAIL_PEER, NULL, "bad configuration from master");
		give_up(role, &why);
	}
	if (role_conf_read(m.conf, &first, &why) < 0)
		give_up(role, &why);
	role_log_to(first, ipc_packet_take_fd(p, m.log));
	if (role_conf_begin(role, first, &why) < 0)
		give_up(role, &why);
	if (m.seal_key.n == SEAL_KEY_SIZE)
		secret_init_copy(&role->seal_key, m.seal_key);
	role->uid = m.uid;
	role->gid = m.gid;
	role->shared_gid = m.shared_gid;
	role->state_fd = ipc_packet_take_fd(p, m.state);
	role_make_peers(role);
}

static void enter_sandbox(struct role *role, char *report, size_t size)
{
	struct fail why = FAIL_INIT;
	struct proc_user user = {.uid = role->uid, .gid = role->gid};
	if (role->shared_gid)
		user.groups[user.n_groups++] = role->shared_gid;
	struct sandbox_profile profile = {.role = role->ops->name,
					  .flags = role->ops->sandbox_flags,
					  .paths = role->ops->paths,
					  .n_paths = role->ops->n_paths,
					  .user = role->uid ? &user : NULL,
					  .parent = role->parent};
	struct sandbox_report done = {0};
	struct proc_limits limits = {.no_core = true};
	(void)umask(role->shared_gid ? 007 : 077);
	if (fchdir(role->state_fd) < 0)
		give_up(role, (fail_errno(&why, FAIL_IO, "cannot enter the state folder"), &why));
	(void)close(role->state_fd);
	if (proc_limit(&limits, &why) < 0 || sandbox_enter(&profile, &done, &why) < 0)
		give_up(role, &why);
	(void)snprintf(report, size, "landlock %d (kernel %d), seccomp %s, user %s",
		       done.landlock_abi, done.kernel_abi, done.seccomp ? "on" : "off",
		       done.user_changed ? "own" : "shared");
}

static void start(struct role *role)
{
	struct fail why = FAIL_INIT;
	char report[200];
	enter_sandbox(role, report, sizeof report);
	if (role->ops->open(role, &why) < 0)
		give_up(role, &why);
	role->started = true;
	struct msg_ready m = {.sandbox = str_c(report)};
	(void)ipc_send(role->control, (struct trace_id){0}, IPC_READY, &m);
	for (size_t i = 0; i < role->early.n; i++)
		ipc_channel_attach(role->early.p[i].ch, role->early.p[i].fd);
	vec_clear(&role->early);
	for (size_t i = 0; i < role->early_orders.n; i++)
		role->ops->admin(role, role->early_orders.p[i]);
	vec_clear(&role->early_orders);
}

static void debug(struct role *role, struct ipc_packet *p)
{
	struct msg_debug m;
	if (msg_debug_read(p, &m) < 0)
		return;
	if (str_eq(m.verb, STR("probe")))
		debug_probe(m.arg);
	else
		(void)debug_obey(role->loop, m.verb, m.arg);
}

COUNTER(lines_lost, "log.lost", "log lines that could not be written");

struct counting {
	struct msg_counter counters[COUNTERS_MAX];
	size_t n;
};

static void collect(void *arg, const struct counter *c)
{
	struct counting *all = arg;
	if (all->n < COUNTERS_MAX)
		all->counters[all->n++] =
			(struct msg_counter){.name = str_c(c->name), .value = counter_get(c)};
}

static void reply_stats(struct role *role, struct ipc_packet *p)
{
	struct counting *all = xcalloc(1, sizeof *all);
	counter_set(&lines_lost, log_lost());
	if (role->ops->stats && role->started && !role->stopping)
		role->ops->stats(role);
	counter_each(collect, all);
	struct msg_stats_reply m = {.counters = all->counters, .counters_n = all->n};
	(void)ipc_reply(p, IPC_STATS_REPLY, &m);
	free(all);
}

/* Until the role has opened, nobody may ask it anything: sockets that come before are kept. */
static void attach_peer(struct role *role, struct ipc_packet *p)
{
	struct msg_channel m;
	char name[24];
	if (msg_channel_read(p, &m) < 0)
		return;
	(void)snprintf(name, sizeof name, "%.*s", STR_ARG(m.role));
	struct ipc_channel *ch = role_peer(role, name, m.index);
	int fd = ipc_packet_take_fd(p, m.socket);
	if (role->started)
		ipc_channel_attach(ch, fd);
	else
		*vec_push(&role->early) = (struct early_peer){ch, fd};
}

static void take_listener(struct role *role, struct ipc_packet *p)
{
	struct msg_listener m;
	if (msg_listener_read(p, &m) == 0 && role->ops->listener)
		role->ops->listener(role, m.service, m.address, ipc_packet_take_fd(p, m.socket));
}

static void unlisten(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_unlisten m;
	if (msg_unlisten_read(p, &m) < 0 || !role->ops->unlisten)
		return;
	role->ops->unlisten(role, m.service, m.address);
	(void)ipc_reply(p, IPC_OK, &ok);
}

static void first_certificates(struct role *role, struct ipc_packet *p)
{
	struct msg_certificates m;
	struct fail why = FAIL_INIT;
	AUTO(buf) struct buf notes = BUF_INIT(KIB(64));
	if (msg_certificates_read(p, &m) < 0 || !role->ops->certificates)
		return;
	if (role->ops->certificates(role, m.identities, m.identities_n, &notes, &why) < 0)
		give_up(role, &why);
}

/* --- tools
 * ------------------------------------------------------------------------------------------ */

static void tool_message(struct ipc_channel *ch, struct ipc_packet *p)
{
	struct role_tool *t = ipc_channel_context(ch);
	if (t->role->stopping)
		ipc_packet_free(p);
	else
		t->role->ops->tool(t, p);
}

static void tool_down(struct ipc_channel *ch)
{
	struct role_tool *t = ipc_channel_context(ch);
	if (!t->role->stopping)
		t->role->ops->tool_end(t);
	ipc_channel_free(ch);
	free(t);
}

static const struct ipc_channel_ops tool_ops = {.message = tool_message, .down = tool_down};

static void take_tool(struct role *role, struct ipc_packet *p)
{
	struct msg_tool m;
	if (!role->ops->tool || !role->started || role->stopping || msg_tool_read(p, &m) < 0)
		return;
	struct role_tool *t = xcalloc(1, sizeof *t);
	t->role = role;
	t->ch = ipc_channel_new(role->loop, "tool", 0, &tool_ops, t);
	ipc_channel_attach(t->ch, ipc_packet_take_fd(p, m.socket));
}

/* Orders that come before the role has opened wait for that: nobody else would answer them. */
static void take_order(struct role *role, struct ipc_packet *p)
{
	struct fail why = FAIL_INIT;
	if (role->ops->admin && role->started && !role->stopping) {
		role->ops->admin(role, p);
		return;
	}
	if (role->ops->admin && !role->started && role->early_orders.n < EARLY_ORDERS_MAX) {
		*vec_push(&role->early_orders) = p;
		return;
	}
	(void)fail_set(&why, FAIL_TEMP, NULL, "%s takes no orders now", role->ops->name);
	(void)ipc_reply_fail(p, &why);
	ipc_packet_free(p);
}

static void control_message(struct ipc_channel *ch, struct ipc_packet *p)
{
	struct role *role = ipc_channel_context(ch);
	enum ipc_type type = ipc_packet_type(p);
	if (type == IPC_ADMIN) {
		take_order(role, p);
		return;
	}
	if (type == IPC_RESOLVE) { /* master asks dns: it takes the packet */
		role->ops->message(role, ch, p);
		return;
	}
	if (type == IPC_STANDBY) {
		role_hold(role, p);
		return;
	}
	if (type == IPC_CONFIGURE)
		configure(role, p);
	else if (type == IPC_CHANNEL)
		attach_peer(role, p);
	else if (type == IPC_LISTENER)
		take_listener(role, p);
	else if (type == IPC_UNLISTEN)
		unlisten(role, p);
	else if (type == IPC_CERTIFICATES)
		first_certificates(role, p);
	else if (type == IPC_PREPARE || type == IPC_COMMIT || type == IPC_FORGET)
		role_conf_message(role, p);
	else if (type == IPC_START)
		start(role);
	else if (type == IPC_TOOL)
		take_tool(role, p);
	else if (type == IPC_DEBUG)
		debug(role, p);
	else if (type == IPC_STATS)
		reply_stats(role, p);
	else if (type == IPC_STOP)
		stop(role);
	else if (type == IPC_DRAIN)
		drain(role, p);
	else if ((type == IPC_BOARD || type == IPC_TICKETS) && role->ops->control)
		role->ops->control(role, p);
	else
		role_log_message(role, p);
	ipc_packet_free(p);
}

static void master_is_gone(struct ipc_channel *ch)
{
	(void)ch;
	_exit(0); /* everything acknowledged is on disk: there is nothing to say goodbye to */
}

static const struct ipc_channel_ops control_ops = {.message = control_message,
						   .down = master_is_gone};

static bool is_socket(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* What an upgrade has to know before it begins. */
static int print_about(const struct role_ops *ops)
{
	(void)printf("build %s\nschema %s\n", role_build_id(), role_schema());
	for (const struct role_format *f = ops->formats; f && f->kind; f++)
		(void)printf("%s %s %u\n", f->kind, f->name, f->number());
	return fflush(stdout) == 0 ? 0 : 1;
}

int role_main(int argc, char **argv, const struct role_ops *ops)
{
	static struct role role;
	uint32_t index = 0, parent = 0;
	if (argc == 2 && strcmp(argv[1], "--about") == 0)
		return print_about(ops);
	if (argc != 3 || !num_parse_u32(str_c(argv[1]), &index) ||
	    !num_parse_u32(str_c(argv[2]), &parent) || !is_socket(ROLE_CONTROL_FD)) {
		(void)fprintf(stderr, "barid-%s is started by `barid serve`, not by hand.\n",
			      ops->name);
		return 2;
	}
	struct fail why = FAIL_INIT;
	char name[32];
	(void)snprintf(name, sizeof name, "barid-%s", ops->name);
	proc_set_name(name);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN); /* Ctrl-C goes to master, which stops everyone in order */
	log_open(ops->name, 2, LOG_INFO);
	role.ops = ops;
	role.index = index;
	role.state_fd = -1;
	role.parent = (int)parent;
	if (proc_die_with_parent(role.parent, &why) < 0 ||
	    proc_cloexec(ROLE_CONTROL_FD, true, &why) < 0)
		give_up(&role, &why);
	role.loop = loop_new();
	role_log_begin(&role);
	role_memory_begin();
	role.control = ipc_channel_new(role.loop, "master", 0, &control_ops, &role);
	ipc_channel_attach(role.control, ROLE_CONTROL_FD);
	struct msg_hello hello = {.build_id = str_c(role_build_id()),
				  .version = STR(BARID_VERSION),
				  .schema = str_c(role_schema()),
				  .role = str_c(ops->name),
				  .index = (uint16_t)index};
	(void)ipc_send(role.control, (struct trace_id){0}, IPC_HELLO, &hello);
	loop_run(role.loop);
	log_gate_tell();
	/* Not exit: threads may still run, and would meet libraries that are being taken down. */
	_exit(0);
}
