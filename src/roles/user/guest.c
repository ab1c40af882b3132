/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Visits: sessions of other accounts at mailboxes of ours, and ours at theirs (proto/imap/guest.h,
 * docs/adr/0050).
 *
 * A question is answered here when the owner is an account of this shard, else in the process that
 * has it, on threads that ask no process of user: so no two of them wait for each other. Who the
 * guest is, dir says to each of both; the asking process is believed for accounts of its shard
 * only.
 */
#include "proto/imap/guest.h"
#include "base/vec.h"
#include "codec/imap/imap_acl.h"
#include "codec/imap/imap_cmd.h"
#include "roles/user/imap_state.h"
#include "service/store/store_acl.h"
#include "sys/crash.h"
#include "sys/fs.h"
#include "sys/log.h"
#include <unistd.h>

#define PIECES_MAX 14 /* descriptors of one message */
#define TEXT_MAX   (35u * 1024 * 1024)

/* What a visit leaves behind until the next question: an unfinished command, the watch of IDLE. */
struct place {
	struct list link;
	uint64_t session, account;
	unsigned from; /* number of the process of user that asks */
	uint64_t quota_bytes;
	struct imap_visit *visit;
	bool busy, dropped; /* under user.lock */
};

static struct list places = {&places, &places}; /* under user.lock */

/* --- places ----------------------------------------------------------------------------------- */

static struct place *find_place(uint64_t session, uint64_t account)
{
	LIST_EACH (&places, n) {
		struct place *p = CONTAINER_OF(n, struct place, link);
		if (p->session == session && p->account == account)
			return p;
	}
	return NULL;
}

static struct place *enter_place(uint64_t session, uint64_t account, unsigned from)
{
	pthread_mutex_lock(&user.lock);
	struct place *p = find_place(session, account);
	if (p && (p->busy || p->from != from)) {
		pthread_mutex_unlock(&user.lock);
		return NULL;
	}
	if (!p) {
		p = xcalloc(1, sizeof *p);
		p->session = session;
		p->account = account;
		p->from = from;
		list_init(&p->link);
		list_append(&places, &p->link);
	}
	p->busy = true;
	pthread_mutex_unlock(&user.lock);
	return p;
}

static void free_place(struct place *p)
{
	imap_visit_free(p->visit);
	free(p);
}

static void leave_place(struct place *p)
{
	pthread_mutex_lock(&user.lock);
	p->busy = false;
	bool gone = p->dropped || !p->visit;
	if (gone)
		list_remove(&p->link);
	pthread_mutex_unlock(&user.lock);
	if (gone)
		free_place(p);
}

/* Those of a process that is gone, or (account not 0) one. */
static void drop_places(unsigned from, uint64_t session, uint64_t account)
{
	VEC(struct place *) gone = {0};
	pthread_mutex_lock(&user.lock);
	LIST_EACH (&places, n) {
		struct place *p = CONTAINER_OF(n, struct place, link);
		if (p->from != from ||
		    (account && (p->session != session || p->account != account)))
			continue;
		p->dropped = true;
		if (!p->busy)
			*vec_push(&gone) = p;
	}
	for (size_t i = 0; i < gone.n; i++)
		list_remove(&gone.p[i]->link);
	pthread_mutex_unlock(&user.lock);
	for (size_t i = 0; i < gone.n; i++)
		free_place(gone.p[i]);
	vec_clear(&gone);
}

void guest_peer_down(const struct ipc_channel *peer)
{
	drop_places(ipc_channel_index(peer), 0, 0);
}

/* --- waking ------------------------------------------------------------------------------------
 */

static void wake_session(uint64_t session)
{
	struct user_session *s = map_get(&user.sessions, session);
	if (s)
		imap_wake(s);
}

void guest_wake(struct ipc_packet *p)
{
	struct msg_guest_wake m;
	if (msg_guest_wake_read(p, &m) == 0)
		wake_session(m.session);
	ipc_packet_free(p);
}

/* A process that is back may have forgotten what our sessions in IDLE wait for there. */
void guest_peer_up(void)
{
	MAP_EACH (&user.sessions, i)
		imap_wake(user.sessions.slots[i].value);
}

struct waking {
	struct loop_task task;
	uint64_t session;
};

static void wake_here(struct loop_task *t)
{
	struct waking *w = CONTAINER_OF(t, struct waking, task);
	wake_session(w->session);
	free(w);
}

static void wake(void *arg)
{
	const struct place *p = arg;
	if (p->from != user.role->index) {
		struct msg_guest_wake m = {.session = p->session};
		(void)ipc_send(role_peer(user.role, "user", p->from), (struct trace_id){0},
			       IPC_GUEST_WAKE, &m);
		return;
	}
	struct waking *w = xcalloc(1, sizeof *w);
	*w = (struct waking){.task.run = wake_here, .session = p->session};
	loop_post(user.role->loop, &w->task);
}

/* --- serving ------------------------------------------------------------------------------------
 */

static int quota(void *arg, struct store_quota *ret, struct fail *why)
{
	const struct place *p = arg;
	(void)why;
	*ret = (struct store_quota){.bytes = p->quota_bytes};
	return 0;
}

static bool changes_usage(enum imap_guest_what what, struct str text)
{
	enum imap_cmd_kind kind = imap_cmd_peek(text);
	return what == IMAP_GUEST_PUT || what == IMAP_GUEST_UNDO ||
	       (what == IMAP_GUEST_COMMAND &&
		(kind == IMAP_CMD_APPEND || kind == IMAP_CMD_COPY || kind == IMAP_CMD_MOVE ||
		 kind == IMAP_CMD_EXPUNGE || kind == IMAP_CMD_CLOSE || kind == IMAP_CMD_DELETE ||
		 kind == IMAP_CMD_REPLACE));
}

static int serve(uint64_t session, unsigned from, const struct msg_guest_who *who,
		 const struct imap_guest_ask *ask, struct imap_out *out,
		 struct imap_guest_answer *ret, struct fail *why)
{
	struct account_id owner = {who->account};
	struct imap_guest guest = {.account = {who->viewer},
				   .address = who->viewer_address,
				   .groups = who->groups,
				   .prefix = ask->prefix};
	int r = store_account_ensure(user.store, owner, store_default_folders, why);
	if (r < 0)
		return r;
	struct place *p = enter_place(session, who->account, from);
	if (!p)
		return fail_set(why, FAIL_BUSY, NULL, "the visit is busy");
	p->quota_bytes = who->quota_bytes;
	const struct conf *c = role_conf_hold(user.role);
	struct imap_session_args args = {
		.config = conf_extra(c),
		.store = user.store,
		.account = owner,
		.address = who->owner,
		.rights = ask->rights,
		.guest = &guest,
		.hooks = {.arg = p,
			  .scan = user_scan,
			  .quota = quota,
			  .named = guest_named,
			  .shared = guest_shared,
			  .wake = wake},
	};
	r = imap_visit_serve(&p->visit, &args, ask, out, ret, why);
	conf_drop(c);
	leave_place(p);
	if (r == 0 && changes_usage(ask->what, ask->text))
		user_usage_changed(owner);
	return r;
}

/* --- who is meant
 * --------------------------------------------------------------------------------- */

/* Borrowed from *ret_p, which is the caller's. */
static int ask_dir(uint64_t session, struct str owner, struct msg_guest_who *ret,
		   struct ipc_packet **ret_p, struct fail *why)
{
	struct msg_guest_ask m = {.session = session, .owner = owner};
	struct ipc_question q = {.type = IPC_GUEST_ASK, .msg = &m, .want = IPC_GUEST_WHO};
	if (owner.n > 320)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no such user");
	int r = ipc_call(role_peer(user.role, "dir", 0), &q, ret_p, why);
	if (r == -FAIL_PEER)
		r = ipc_call(role_peer(user.role, "dir", 0), &q, ret_p, why);
	if (r == -FAIL_NOTFOUND)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no such owner");
	if (r == 0 && msg_guest_who_read(*ret_p, ret) < 0)
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	return r;
}

static unsigned shard_of(uint64_t account)
{
	return role_shard(user.role, (struct account_id){account});
}

/* --- for another process of user
 * ---------------------------------------------------------------------- */

/* Files beyond what one message carries go as bytes. */
static int flatten(struct imap_out *o, struct buf *text, struct fail *why)
{
	size_t at = 0;
	for (size_t i = 0; i < o->pieces.n; i++) {
		struct imap_out_piece *piece = &o->pieces.p[i];
		buf_add(text, str_sub(buf_str(&o->text), at, piece->text_end));
		at = piece->text_end;
		if (i < PIECES_MAX) {
			piece->text_end = text->n;
			continue;
		}
		struct fs_file file = {fs_real(), piece->fd};
		size_t got = 0;
		char *room = buf_room(text, (size_t)piece->length);
		if (!room)
			return fail_set(why, FAIL_LIMIT, NULL, "too many large bodies at once");
		int r = fs_pread(&file, room, (size_t)piece->length, piece->offset, &got, why);
		if (r < 0 || got != piece->length)
			return r < 0 ? r : fail_set(why, FAIL_CORRUPT, NULL, "a body file is cut");
		buf_added(text, got);
	}
	buf_add(text, str_skip(buf_str(&o->text), at));
	return text->failed ? fail_set(why, FAIL_LIMIT, NULL, "too large an answer") : 0;
}

static void reply(struct ipc_packet *p, struct imap_out *out, const struct imap_guest_answer *a)
{
	struct msg_guest_piece pieces[PIECES_MAX];
	AUTO(buf) struct buf flat = BUF_INIT(TEXT_MAX);
	struct fail why = FAIL_INIT;
	struct msg_guest_reply m = {.next = (uint8_t)a->next,
				    .selected = a->selected,
				    .enabled = a->enabled,
				    .reply = buf_str(&a->reply),
				    .state = buf_str(&a->state),
				    .text = buf_str(&out->text),
				    .pieces = pieces};
	int r = out->text.failed ? -FAIL_LIMIT : 0;
	if (r == 0 && out->pieces.n > PIECES_MAX) {
		r = flatten(out, &flat, &why);
		m.text = buf_str(&flat);
	}
	if (r < 0) {
		(void)fail_set(&why, FAIL_LIMIT, NULL, "too large an answer");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	m.pieces_n = MIN(out->pieces.n, (size_t)PIECES_MAX);
	for (size_t i = 0; i < m.pieces_n; i++) {
		const struct imap_out_piece *o = &out->pieces.p[i];
		pieces[i] = (struct msg_guest_piece){o->fd, o->text_end, o->offset, o->length};
	}
	(void)ipc_reply(p, IPC_GUEST_REPLY, &m);
}

struct received {
	struct imap_external external[64];
	struct store_body bodies[PIECES_MAX];
	struct store_receipt receipt;
};

static int read_bodies(struct ipc_packet *p, const struct msg_guest *m, struct received *in,
		       struct fail *why)
{
	for (size_t i = 0; i < ARRAY_LEN(in->bodies); i++)
		in->bodies[i] = STORE_BODY_INIT;
	for (size_t i = 0; i < m->literals_n; i++)
		in->external[i] = (struct imap_external){.pos = m->literals[i].at,
							 .size = m->literals[i].size,
							 .binary = m->literals[i].binary};
	for (size_t i = 0; i < m->bodies_n; i++) {
		const struct msg_guest_body *b = &m->bodies[i];
		if (b->id.n != sizeof in->bodies[i].id || b->sha256.n != 32)
			return fail_set(why, FAIL_PEER, NULL, "a body without a name");
		in->bodies[i] = (struct store_body){
			.fd = ipc_packet_take_fd(p, b->file), .size = b->size, .sealed = true};
		memcpy(in->bodies[i].id, b->id.p, b->id.n);
		memcpy(in->bodies[i].sha256, b->sha256.p, b->sha256.n);
	}
	if (m->literals_n > m->bodies_n && m->literals_n > 0)
		return fail_set(why, FAIL_PEER, NULL, "a literal without a file");
	if (m->receipted && m->epoch.n == sizeof in->receipt.epoch) {
		memcpy(in->receipt.epoch, m->epoch.p, m->epoch.n);
		in->receipt.number = m->number;
	}
	return 0;
}

static struct imap_guest_ask ask_of(const struct msg_guest *m, struct received *in, uint64_t viewer)
{
	in->receipt.rcpt = viewer;
	return (struct imap_guest_ask){.what = (enum imap_guest_what)m->what,
				       .owner = m->owner,
				       .prefix = m->prefix,
				       .state = m->state,
				       .enabled = m->enabled,
				       .rights = m->rights,
				       .text = m->text,
				       .name = m->name,
				       .filters = m->filters,
				       .external = in->external,
				       .external_count = m->literals_n,
				       .bodies = in->bodies,
				       .n_bodies = m->bodies_n,
				       .receipt = m->receipted ? &in->receipt : NULL,
				       .count = m->count};
}

void guest_question(struct role *role, struct ipc_packet *p)
{
	unsigned from = ipc_channel_index(ipc_packet_from(p));
	AUTO(imap_out) struct imap_out out = IMAP_OUT_INIT(IMAP_OUT_WINDOW);
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	struct received *in = xcalloc(1, sizeof *in);
	struct ipc_packet *said = NULL;
	struct fail why = FAIL_INIT;
	struct msg_guest_who who;
	struct msg_guest m;
	(void)role;
	int r = msg_guest_read(p, &m);
	if (r == 0 && m.what >= IMAP_GUEST_WHAT_COUNT)
		r = fail_set(&why, FAIL_PEER, NULL, "an unknown question");
	if (r == 0)
		r = read_bodies(p, &m, in, &why);
	if (r == 0)
		r = ask_dir(m.session, m.owner, &who, &said, &why);
	if (r == 0 && (shard_of(who.account) != user.role->index || shard_of(who.viewer) != from))
		r = fail_set(&why, FAIL_PERM, NULL, "not accounts of these shards");
	if (r == 0) {
		struct imap_guest_ask ask = ask_of(&m, in, who.viewer);
		r = serve(m.session, from, &who, &ask, &out, &a, &why);
	}
	CRASH_POINT("user.guest-served");
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	else
		reply(p, &out, &a);
	for (size_t i = 0; i < ARRAY_LEN(in->bodies); i++)
		store_body_clear(&in->bodies[i]);
	free(in);
	ipc_packet_free(said);
}

void guest_ended(struct ipc_packet *p)
{
	struct msg_guest_end m;
	unsigned from = ipc_channel_index(ipc_packet_from(p));
	if (msg_guest_end_read(p, &m) == 0)
		drop_places(from, m.session, m.account);
	ipc_packet_free(p);
}

/* --- for sessions of ours
 * ----------------------------------------------------------------------------- */

/* May it be asked again, when it is not known whether it was answered? */
static bool may_repeat(const struct imap_guest_ask *ask)
{
	if (ask->what == IMAP_GUEST_RESUME)
		return false;
	if (ask->what != IMAP_GUEST_COMMAND)
		return true;
	switch ((int)imap_cmd_peek(ask->text)) {
	case IMAP_CMD_SELECT:
	case IMAP_CMD_EXAMINE:
	case IMAP_CMD_STATUS:
	case IMAP_CMD_NOOP:
	case IMAP_CMD_CHECK:
	case IMAP_CMD_FETCH:
	case IMAP_CMD_SEARCH:
	case IMAP_CMD_SORT:
	case IMAP_CMD_THREAD:
	case IMAP_CMD_IDLE:
	case IMAP_CMD_UNSELECT:
	case IMAP_CMD_GETACL:
	case IMAP_CMD_MYRIGHTS:
	case IMAP_CMD_LISTRIGHTS:
	case IMAP_CMD_KIND_COUNT: /* the line that ends IDLE */
		return true;
	default:
		return false;
	}
}

static int take_reply(struct ipc_packet *p, struct imap_out *out, struct imap_guest_answer *ret,
		      struct fail *why)
{
	struct msg_guest_reply m;
	size_t before = out->text.n;
	if (msg_guest_reply_read(p, &m) < 0 || m.next > IMAP_CLOSE)
		return fail_set(why, FAIL_PEER, NULL, "bad answer of a visit");
	ret->next = (enum imap_next)m.next;
	ret->selected = m.selected;
	ret->enabled = m.enabled;
	buf_reset(&ret->reply);
	buf_add(&ret->reply, m.reply);
	buf_reset(&ret->state);
	buf_add(&ret->state, m.state);
	size_t at = 0;
	for (size_t i = 0; i < m.pieces_n; i++) {
		const struct msg_guest_piece *piece = &m.pieces[i];
		if (piece->at < at || piece->at > m.text.n)
			return fail_set(why, FAIL_PEER, NULL, "pieces out of order");
		buf_add(&out->text, str_sub(m.text, at, (size_t)piece->at));
		at = (size_t)piece->at;
		imap_out_file(out, ipc_packet_take_fd(p, piece->file), piece->offset,
			      piece->length);
	}
	buf_add(&out->text, str_skip(m.text, at));
	CHECK(out->text.n >= before);
	return 0;
}

static int ask_there(const struct user_session *s, unsigned shard, const struct imap_guest_ask *ask,
		     struct imap_out *out, struct imap_guest_answer *ret, struct fail *why)
{
	struct msg_guest_body bodies[PIECES_MAX];
	struct msg_literal literals[64];
	struct msg_guest m = {.session = s->id.v,
			      .what = (uint8_t)ask->what,
			      .owner = ask->owner,
			      .prefix = ask->prefix,
			      .enabled = ask->enabled,
			      .rights = (uint8_t)ask->rights,
			      .state = ask->state,
			      .text = ask->text,
			      .name = ask->name,
			      .filters = ask->filters,
			      .literals = literals,
			      .literals_n = MIN(ask->external_count, ARRAY_LEN(literals)),
			      .bodies = bodies,
			      .bodies_n = MIN(ask->n_bodies, ARRAY_LEN(bodies)),
			      .receipted = ask->receipt != NULL,
			      .count = ask->count};
	if (ask->receipt) {
		m.epoch = str_make((const char *)ask->receipt->epoch, sizeof ask->receipt->epoch);
		m.number = ask->receipt->number;
	}
	for (size_t i = 0; i < m.literals_n; i++)
		literals[i] = (struct msg_literal){.at = (uint32_t)ask->external[i].pos,
						   .size = ask->external[i].size,
						   .binary = ask->external[i].binary};
	for (size_t i = 0; i < m.bodies_n; i++) {
		const struct store_body *b = &ask->bodies[i];
		bodies[i] = (struct msg_guest_body){
			.file = b->fd,
			.size = b->size,
			.id = str_make((const char *)b->id, sizeof b->id),
			.sha256 = str_make((const char *)b->sha256, sizeof b->sha256)};
	}
	struct ipc_question q = {
		.type = IPC_GUEST, .msg = &m, .want = IPC_GUEST_REPLY, .trace = s->trace};
	struct ipc_packet *p = NULL;
	int r = ipc_call(role_peer(user.role, "user", shard), &q, &p, why);
	if (r == -FAIL_PEER && may_repeat(ask)) /* it died with the question in hand */
		r = ipc_call(role_peer(user.role, "user", shard), &q, &p, why);
	if (r == 0)
		r = take_reply(p, out, ret, why);
	ipc_packet_free(p);
	return r;
}

static void end_visit(const struct user_session *s, uint64_t account)
{
	unsigned shard = shard_of(account);
	struct msg_guest_end m = {.session = s->id.v, .account = account};
	if (shard == user.role->index)
		drop_places(shard, s->id.v, account);
	else
		(void)ipc_send(role_peer(user.role, "user", shard), s->trace, IPC_GUEST_END, &m);
}

int guest_visit(void *arg, struct imap_guest_ask *ask, struct imap_out *out,
		struct imap_guest_answer *ret, struct fail *why)
{
	struct user_session *s = arg;
	struct ipc_packet *said = NULL;
	struct msg_guest_who who;
	if (ask->what == IMAP_GUEST_END) {
		if (s->visits)
			end_visit(s, s->visits);
		s->visits = 0;
		return 0;
	}
	int r = ask_dir(s->id.v, ask->owner, &who, &said, why);
	if (r == 0) {
		unsigned shard = shard_of(who.account);
		struct fail ignored = FAIL_INIT;
		r = shard == user.role->index ? serve(s->id.v, shard, &who, ask, out, ret, why)
					      : ask_there(s, shard, ask, out, ret, why);
		(void)ignored;
		if (r == 0 && ret->selected)
			s->visits = who.account;
	}
	ipc_packet_free(said);
	return r;
}

int guest_hosts(void *arg, struct buf *ret, struct fail *why)
{
	const struct user_session *s = arg;
	struct msg_hosts m = {.session = s->id.v};
	struct ipc_question q = {.type = IPC_HOSTS, .msg = &m, .want = IPC_HOSTS_REPLY};
	struct msg_hosts_reply reply_;
	struct ipc_packet *p = NULL;
	int r = ipc_call(role_peer(user.role, "dir", 0), &q, &p, why);
	if (r == -FAIL_PEER)
		r = ipc_call(role_peer(user.role, "dir", 0), &q, &p, why);
	if (r == 0 && msg_hosts_reply_read(p, &reply_) < 0)
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	if (r == 0)
		buf_add(ret, reply_.owners);
	ipc_packet_free(p);
	return r;
}

int guest_whois(struct account_id account, struct str name, struct account_id *ret,
		struct buf *ret_groups, struct fail *why)
{
	struct msg_acl_name m = {.account = account.v, .name = name, .member = name.n ? 0 : ret->v};
	struct ipc_question q = {.type = IPC_ACL_NAME, .msg = &m, .want = IPC_ACL_NAMED};
	struct msg_acl_named named;
	struct ipc_packet *p = NULL;
	if (name.n > 321)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no address");
	int r = ipc_call(role_peer(user.role, "dir", 0), &q, &p, why);
	if (r == -FAIL_PEER)
		r = ipc_call(role_peer(user.role, "dir", 0), &q, &p, why);
	if (r == 0 && msg_acl_named_read(p, &named) < 0)
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	if (r == 0) {
		ret->v = named.account;
		if (ret_groups)
			buf_add(ret_groups, named.groups);
	}
	ipc_packet_free(p);
	return r;
}

int guest_named(void *arg, struct account_id account, struct str name, struct account_id *ret,
		struct fail *why)
{
	(void)arg;
	return guest_whois(account, name, ret, NULL, why);
}

/* --- who shares with whom, for dir
 * ---------------------------------------------------------------------- */

int guest_shared(void *arg, struct account_id account, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct ipc_packet *p = NULL;
	struct store_acl acl;
	struct strmap known = {0};
	(void)arg;
	int r = store_acl_get(user.store, account, STR(""), &a, &acl, why);
	struct msg_text *with = r < 0 ? NULL : arena_array(&a, struct msg_text, acl.n + 1);
	struct msg_share m = {.account = account.v, .with = with};
	for (size_t i = 0; with && i < acl.n; i++) {
		struct str name = acl.p[i].identifier;
		if (str_starts(name, STR("-")) || !(acl.p[i].rights & IMAP_ACL_L))
			continue;
		if (str_find(name, 0, '@') == name.n) {
			m.anyone = true;
		} else if (!strmap_get(&known, name)) {
			strmap_put(&known, name, with);
			with[m.with_n++].s = name;
		}
	}
	strmap_clear(&known);
	struct ipc_question q = {.type = IPC_SHARE, .msg = &m, .want = IPC_OK};
	if (r == 0)
		r = ipc_call(role_peer(user.role, "dir", 0), &q, &p, why);
	if (r == -FAIL_PEER)
		r = ipc_call(role_peer(user.role, "dir", 0), &q, &p, why);
	ipc_packet_free(p);
	return r;
}
