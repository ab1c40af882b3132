/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "roles/mta/door.h"
#include "roles/mta/mta.h"
#include "roles/mta/rules.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/log.h"
#include <unistd.h>

/* Ask once more when the peer died under the question: these questions change nothing. */
static int ask_again(struct ipc_channel *(*peer)(void), const struct ipc_question *q,
		     struct ipc_packet **ret, struct fail *why)
{
	int r = ipc_call(peer(), q, ret, why);
	return r == -FAIL_PEER ? ipc_call(peer(), q, ret, why) : r;
}

static struct ipc_channel *dir_peer(void)
{
	return role_peer(mta.role, "dir", 0);
}

static struct ipc_channel *queue_peer(void)
{
	return role_peer(mta.role, "queue", 0);
}

static int copy_dests(const struct msg_dest *from, size_t n, struct arena *a,
		      struct destination **ret, struct fail *why)
{
	*ret = arena_array(a, struct destination, n);
	if (!*ret)
		return fail_set(why, FAIL_LIMIT, NULL, "too many destinations");
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = (struct destination){
			.account = {from[i].account},
			.address = arena_str(a, from[i].address),
			.detail = from[i].detail.n ? arena_str(a, from[i].detail) : STR_NULL,
			.transport = arena_str(a, from[i].transport)};
	return 0;
}

static int copy_route(const struct msg_route_reply *m, struct arena *a, struct dir_route *ret,
		      struct fail *why)
{
	*ret = (struct dir_route){.verdict = (enum dir_verdict)m->verdict,
				  .n = m->dests_n,
				  .n_copies = m->copies_n,
				  .note = arena_str(a, m->note),
				  .status = arena_str(a, m->status),
				  .refusal = arena_str(a, m->refusal),
				  .sender_unknown = m->sender_unknown,
				  .sender_note = arena_str(a, m->sender_note)};
	int r = copy_dests(m->dests, m->dests_n, a, &ret->dests, why);
	return r < 0 ? r : copy_dests(m->copies, m->copies_n, a, &ret->copies, why);
}

static int route(void *ctx, const struct dir_rcpt *rcpt, struct arena *a, struct dir_route *ret,
		 struct fail *why)
{
	struct mta_session *s = ctx;
	struct msg_route m = {.address = rcpt->address,
			      .sender = rcpt->sender,
			      .size = rcpt->size,
			      .session = s->id.v,
			      .mapping = (uint8_t)rcpt->mapping,
			      .sender_too = rcpt->sender_too};
	struct ipc_question q = {
		.type = IPC_ROUTE, .msg = &m, .want = IPC_ROUTE_REPLY, .trace = s->trace};
	struct msg_route_reply reply;
	struct ipc_packet *p = NULL;
	int r = ask_again(dir_peer, &q, &p, why);
	if (r == 0 && (msg_route_reply_read(p, &reply) < 0 || reply.verdict >= DIR_VERDICTS))
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	if (r == 0)
		r = copy_route(&reply, a, ret, why);
	CRASH_POINT("mta.routed");
	ipc_packet_free(p);
	return r;
}

static int sender_allowed(void *ctx, struct account_id account, struct str address,
			  struct fail *why)
{
	struct mta_session *s = ctx;
	struct msg_sender_allowed m = {.account = account.v,
				       .credential = smtp_session_credential(s->smtp),
				       .address = address};
	struct ipc_question q = {
		.type = IPC_SENDER_ALLOWED, .msg = &m, .want = IPC_OK, .trace = s->trace};
	struct ipc_packet *p = NULL;
	int r = ask_again(dir_peer, &q, &p, why);
	ipc_packet_free(p);
	return r == 0 ? 1 : r == -FAIL_PERM ? 0 : r;
}

static int guard(void *ctx, const struct smtp_guard_case *c, struct arena *a,
		 struct smtp_guarded *ret, struct fail *why)
{
	struct mta_session *s = ctx;
	struct msg_text *rcpts = arena_array(a, struct msg_text, c->n);
	struct msg_guarded reply;
	char ip[NETADDR_TEXT_MAX];
	struct ipc_packet *p = NULL;
	if (!rcpts)
		return fail_set(why, FAIL_LIMIT, NULL, "too many recipients");
	for (size_t i = 0; i < c->n; i++)
		rcpts[i].s = c->rcpts[i];
	struct msg_guard m = {.account = c->account.v,
			      .login = c->login,
			      .all = c->all,
			      .failed = c->failed,
			      .ip = netaddr_text(&s->client, false, ip),
			      .rcpts = rcpts,
			      .rcpts_n = c->n};
	struct ipc_question q = {
		.type = IPC_GUARD, .msg = &m, .want = IPC_GUARDED, .trace = s->trace};
	int r = ask_again(dir_peer, &q, &p, why);
	if (r == 0 && (msg_guarded_read(p, &reply) < 0 || reply.verdict > SMTP_GUARD_RATE))
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	if (r == 0)
		*ret = (struct smtp_guarded){.verdict = (enum smtp_guard_verdict)reply.verdict,
					     .fresh = reply.fresh,
					     .reason = arena_str(a, reply.reason)};
	ipc_packet_free(p);
	return r;
}

/* --- the message
 * ------------------------------------------------------------------------------------------------
 */

static struct str id_str(const struct spool_body_id *id)
{
	return (struct str){(const char *)id->b, sizeof id->b};
}

/* A body file is sealed by its owner, who gives back its size, its hash and a read-only view. */
static int seal_file(struct mta_session *s, const struct smtp_body *body,
		     struct msg_body_sealed *ret, struct ipc_packet **ret_p, struct fail *why)
{
	struct msg_body_seal m = {.body_id = id_str(&body->id)};
	struct ipc_question q = {
		.type = IPC_BODY_SEAL, .msg = &m, .want = IPC_BODY_SEALED, .trace = s->trace};
	int r = ipc_call(queue_peer(), &q, ret_p, why);
	if (r < 0)
		return r;
	if (msg_body_sealed_read(*ret_p, ret) < 0 || ret->file < 0 ||
	    ret->sha256.n != SPOOL_HASH_LEN)
		return fail_set(why, FAIL_PEER, NULL, "bad answer of queue");
	if (ret->size != body->size)
		return fail_set(why, FAIL_IO, NULL, "the body file has %llu of %llu bytes",
				(unsigned long long)ret->size, (unsigned long long)body->size);
	return 0;
}

static int scan(void *ctx, const struct smtp_body *body, const struct smtp_scan_defaults *defaults,
		struct smtp_scan *ret, struct fail *why)
{
	struct mta_session *s = ctx;
	struct msg_scan m = {.body = body->bytes,
			     .file = -1,
			     .size = body->size,
			     .default_date = defaults->date,
			     .default_message_id = defaults->message_id};
	struct msg_body_sealed sealed = {0};
	struct ipc_packet *file = NULL, *p = NULL;
	struct msg_scan_reply reply = {0};
	int r = 0;
	if (smtp_body_is_stored(body)) {
		r = seal_file(s, body, &sealed, &file, why);
		CRASH_POINT("mta.body-sealed");
		m.body = STR("");
		m.file = sealed.file;
		m.size = sealed.size;
		m.hashed = sealed.still;
	}
	if (r == 0)
		r = role_ask_scan(mta.role, &m, s->trace, &p, why);
	if (r == 0 && msg_scan_reply_read(p, &reply) == 0 && m.hashed)
		reply.sha256 = sealed.sha256;
	if (r == 0 && reply.sha256.n != SPOOL_HASH_LEN)
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of scan");
	if (r == 0 && sealed.sha256.n && !str_eq(sealed.sha256, reply.sha256))
		r = fail_set(why, FAIL_CORRUPT, NULL, "the body file changed after it was sealed");
	if (r == 0 && buf_add(&ret->map, reply.map) < 0)
		r = fail_set(why, FAIL_LIMIT, NULL, "the message map is too large");
	if (r == 0) {
		memcpy(ret->sha256, reply.sha256.p, SPOOL_HASH_LEN);
		ret->size = m.size;
		if (file)
			ret->view = ipc_packet_take_fd(file, sealed.file);
	}
	ipc_packet_free(p);
	ipc_packet_free(file);
	return r;
}

static struct msg_recipient *copy_recipients(const struct spool_message *m, struct arena *a)
{
	struct msg_recipient *to = arena_array(a, struct msg_recipient, m->n_rcpts);
	for (size_t i = 0; to && i < m->n_rcpts; i++) {
		const struct spool_rcpt *from = &m->rcpts[i];
		to[i] = (struct msg_recipient){.to = {.account = from->to.account.v,
						      .address = from->to.address,
						      .detail = from->to.detail,
						      .transport = from->to.transport},
					       .original = from->original,
					       .orcpt = from->orcpt,
					       .notify = (uint8_t)from->notify};
	}
	return to;
}

static int submit(void *ctx, const struct spool_message *m, struct str login, uint64_t *ret_number,
		  struct fail *why)
{
	struct mta_session *s = ctx;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	struct msg_recipient *rcpts = copy_recipients(m, &a);
	struct ipc_packet *p = NULL;
	struct msg_submitted done;
	static const struct spool_body_id none;
	bool has_file = memcmp(&m->body_id, &none, sizeof none) != 0;
	(void)login;
	if (!rcpts)
		return fail_set(why, FAIL_LIMIT, NULL, "too many recipients");
	struct msg_submit msg = {.sender = m->sender,
				 .smtputf8 = m->smtputf8,
				 .eightbit = m->eightbit,
				 .auth_account = m->auth_account.v,
				 .language =
					 m->auth_account.v ? str_c(s->granted_language) : STR(""),
				 .ret = (uint8_t)m->ret,
				 .envid = m->envid,
				 .hold_until_us = m->wish.hold_until.v,
				 .deliver_by_us = m->wish.deliver_by.v,
				 .deliver_by_mode = (uint8_t)m->wish.by,
				 .priority = (uint8_t)(m->wish.priority + SPOOL_PRIORITY_MAX),
				 .requiretls = m->wish.requiretls,
				 .tls_optional = m->wish.tls_optional,
				 .login = m->wish.login,
				 .held = m->wish.held,
				 .filter = m->wish.filter,
				 .client = {.ip = m->wish.client.ip,
					    .port = m->wish.client.port,
					    .rdns = m->wish.client.name,
					    .helo = m->wish.client.helo,
					    .esmtp = m->wish.client.esmtp},
				 .recipients = rcpts,
				 .recipients_n = m->n_rcpts,
				 .prefix = m->prefix,
				 .body = m->body,
				 .body_id = has_file ? id_str(&m->body_id) : STR(""),
				 .size = m->body_size,
				 .sha256 = {(const char *)m->sha256, SPOOL_HASH_LEN},
				 .map = m->map,
				 .arrival_us = m->arrival.v};
	struct ipc_question q = {
		.type = IPC_SUBMIT, .msg = &msg, .want = IPC_SUBMITTED, .trace = m->trace};
	CRASH_POINT("mta.before-submit");
	int r = ipc_call(queue_peer(), &q, &p, why);
	CRASH_POINT("mta.submitted");
	if (r == 0)
		r = msg_submitted_read(p, &done);
	if (r == 0)
		*ret_number = done.number;
	/* Neither yes nor no: the client must not hear either. */
	if (r == -FAIL_PEER || r == -FAIL_DEADLINE)
		s->outcome_unknown = true;
	ipc_packet_free(p);
	return r;
}

static int body_create(void *ctx, struct spool_body_id *ret_id, int *ret_fd, struct fail *why)
{
	struct mta_session *s = ctx;
	struct msg_body_open m = {.session = s->id.v};
	struct ipc_question q = {
		.type = IPC_BODY_OPEN, .msg = &m, .want = IPC_BODY_FILE, .trace = s->trace};
	struct msg_body_file reply;
	struct ipc_packet *p = NULL;
	int r = ipc_call(queue_peer(), &q, &p, why);
	if (r == 0 && (msg_body_file_read(p, &reply) < 0 || reply.file < 0 ||
		       reply.body_id.n != sizeof ret_id->b))
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of queue");
	if (r == 0) {
		memcpy(ret_id->b, reply.body_id.p, sizeof ret_id->b);
		*ret_fd = ipc_packet_take_fd(p, reply.file);
	}
	ipc_packet_free(p);
	return r;
}

static int flush(void *ctx, struct str domain, uint64_t *ret_n, struct fail *why)
{
	struct mta_session *s = ctx;
	struct msg_flush_domain m = {.domain = domain};
	struct ipc_question q = {
		.type = IPC_FLUSH_DOMAIN, .msg = &m, .want = IPC_FLUSHED, .trace = s->trace};
	struct msg_flushed done;
	struct ipc_packet *p = NULL;
	int r = ask_again(queue_peer, &q, &p, why);
	if (r == 0 && msg_flushed_read(p, &done) < 0)
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of queue");
	if (r == 0)
		*ret_n = done.recipients;
	ipc_packet_free(p);
	return r;
}

/* dir says whose mailbox it is; that account's process judges the URL. */
static int url_owner(struct mta_session *s, struct str owner, uint64_t *ret, struct fail *why)
{
	struct msg_url_ask m = {.session = s->id.v, .owner = owner};
	struct ipc_question q = {
		.type = IPC_URL_ASK, .msg = &m, .want = IPC_URL_WHO, .trace = s->trace};
	struct msg_url_who who;
	struct ipc_packet *p = NULL;
	if (owner.n > 320)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no such user");
	int r = ask_again(dir_peer, &q, &p, why);
	if (r == 0 && msg_url_who_read(p, &who) < 0)
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of dir");
	if (r == 0)
		*ret = who.account;
	ipc_packet_free(p);
	return r;
}

static int burl(void *ctx, const struct smtp_burl *b, int *ret_fd, uint64_t *ret_size,
		struct fail *why)
{
	struct mta_session *s = ctx;
	struct msg_url_read m = {.session = s->id.v, .url = b->url, .max = b->max};
	struct ipc_question q = {
		.type = IPC_URL_READ, .msg = &m, .want = IPC_URL_DATA, .trace = s->trace};
	struct msg_url_data data;
	struct ipc_packet *p = NULL;
	int r = url_owner(s, b->owner, &m.account, why);
	if (r == -FAIL_NOTFOUND) /* a mailbox of another server */
		return -FAIL_AUTH;
	if (r < 0)
		return r;
	struct account_id owner = {m.account};
	r = ipc_call(role_user_of(mta.role, owner), &q, &p, why);
	if (r == -FAIL_PEER) /* it died under the question, which changes nothing */
		r = ipc_call(role_user_of(mta.role, owner), &q, &p, why);
	if (r == 0 && (msg_url_data_read(p, &data) < 0 || data.file < 0))
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of user");
	if (r == 0) {
		*ret_fd = ipc_packet_take_fd(p, data.file);
		*ret_size = data.size;
	}
	ipc_packet_free(p);
	return r;
}

static void body_drop(void *ctx, struct spool_body_id id)
{
	struct mta_session *s = ctx;
	struct msg_body_drop m = {.body_id = id_str(&id)};
	(void)ipc_send(queue_peer(), s->trace, IPC_BODY_DROP, &m);
}

static struct wall_us now(void *ctx)
{
	(void)ctx;
	return clock_wall();
}

struct smtp_backend mta_backend(struct mta_session *s)
{
	return (struct smtp_backend){.ctx = s,
				     .route = route,
				     .name_exists = door_name_exists,
				     .flush = flush,
				     .client = door_client,
				     .too_often = door_too_often,
				     .sender_allowed = sender_allowed,
				     .guard = guard,
				     .scan = scan,
				     .policy = rules_judge,
				     .submit = submit,
				     .body_create = body_create,
				     .burl = burl,
				     .body_drop = body_drop,
				     .milter_connect = mta_milter_connect,
				     .milter_enter = mta_milter_enter,
				     .milter_leave = mta_milter_leave,
				     .now = now};
}
