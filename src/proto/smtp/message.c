/* SPDX-License-Identifier: Apache-2.0 */
/* A complete message: scanned, given its trace header, handed to the queue, answered. */
#include "base/utf8.h"
#include "codec/mime/map.h"
#include "codec/smtp/received.h"
#include "codec/smtp/xclient.h"
#include "proto/smtp/smtp_message.h"
#include "sys/counter.h"
#include "sys/log.h"
#include <unistd.h>

#define RECIPIENTS_SHOWN 10u
#define MESSAGE_ID_SHOWN 400u
#define HELD_SHOWN	 190u

COUNTER(accepted, "smtp.accepted", "messages answered with 250");
COUNTER(accepted_bytes, "smtp.accepted-bytes", "their size");

/* "1f", and "1f-2" for the second message of a connection, as in the log. */
void smtp_trace_write(struct buf *out, const struct smtp_session *s)
{
	unsigned number = s->messages + !s->t.arrived;
	buf_addf(out, "%llx", (unsigned long long)s->trace.v);
	if (number > 1)
		buf_addf(out, "-%u", number);
}

static void incoming_clear(struct smtp_incoming *in)
{
	buf_clear(&in->date);
	buf_clear(&in->message_id);
	buf_clear(&in->scan.map);
	buf_clear(&in->prefix);
	buf_clear(&in->sent_id);
	buf_clear(&in->bytes);
	buf_clear(&in->held);
	if (in->scan.view >= 0)
		(void)close(in->scan.view);
}
DEFINE_AUTO(incoming, struct smtp_incoming, incoming_clear);

/* However long a reason is: without one the message would not wait. */
void smtp_message_hold(struct buf *held, struct str reason)
{
	buf_reset(held);
	for (size_t i = 0; i < reason.n && held->n + 1 < HELD_SHOWN; i++) {
		unsigned char c = (unsigned char)reason.p[i];
		(void)buf_addc(held, c < ' ' || c == 0x7f ? ' ' : (char)c);
	}
	if (!held->n)
		(void)buf_addc(held, '?');
}

/* RFC 6409 8: a submission without Date or Message-ID gets them; mail that passes does not. */
static void make_defaults(struct smtp_incoming *in)
{
	const struct smtp_session *s = in->s;
	if (s->service != SMTP_SERVICE_SUBMISSION && s->service != SMTP_SERVICE_LOCAL)
		return;
	rfc5322_date_write(&in->date, in->now);
	buf_addf(&in->message_id, "<%llx.", (unsigned long long)in->now.v);
	smtp_trace_write(&in->message_id, s);
	buf_addf(&in->message_id, "@%s>", s->config->hostname);
}

int smtp_message_scan(struct smtp_incoming *in, struct fail *why)
{
	const struct smtp_backend *b = in->s->backend;
	struct smtp_scan_defaults defaults = {buf_str(&in->date), buf_str(&in->message_id)};
	return b->scan(b->ctx, in->body, &defaults, &in->scan, why);
}

static int write_received(struct smtp_incoming *in)
{
	smtp_learn_client(in->s);
	const struct smtp_session *s = in->s;
	AUTO(buf) struct buf id = BUF_INIT(64);
	struct str tls = buf_str(&s->tls), only = STR_NULL;
	size_t blank = str_find(tls, 0, ' ');

	if (s->t.accepted == 1)
		only = s->t.rcpts.p[0].original;
	/* An address that is not ASCII may stand in the header of an SMTPUTF8 message only. */
	if (!s->t.smtputf8 && !str_is_ascii(only))
		only = STR_NULL;
	smtp_trace_write(&id, s);
	struct received r = {
		.helo = buf_str(&s->helo),
		.rdns = buf_str(&s->rdns),
		.ip = buf_str(&s->ip),
		.by = str_c(s->config->hostname),
		.id = buf_str(&id),
		.rcpt = only,
		.tls_version = str_sub(tls, 0, blank),
		.tls_cipher = str_skip(tls, blank + 1),
		.user = buf_str(&s->user),
		.hidden = s->account.v && s->config->hide_client,
		.esmtp = s->esmtp,
		.lmtp = smtp_is_lmtp(s),
		.authenticated = s->account.v != 0,
		.utf8 = s->t.smtputf8,
		.when = in->now,
	};
	return received_write(&in->prefix, &r);
}

#define TLS_REQUIRED_MAX 200 /* of a field that says "No", folded as one likes */

/* "TLS-Required: No" (RFC 8689 section 3). */
static bool asks_for_no_tls(const struct smtp_incoming *in, const struct mime_map *map)
{
	uint32_t at = 0;
	char room[TLS_REQUIRED_MAX];
	const struct mime_field *f = mime_map_field(map, STR("TLS-Required"), &at);
	if (!f || in->s->t.wish.requiretls || f->len > sizeof room)
		return false;
	struct str field = str_sub(in->body->bytes, f->off, f->off + f->len);
	if (smtp_body_is_stored(in->body)) {
		ssize_t n = pread(in->scan.view, room, f->len, (off_t)f->off);
		field = (struct str){room, n > 0 ? (size_t)n : 0};
	}
	return field.n == f->len &&
	       str_eqi(str_trim(str_skip(field, str_find(field, 0, ':') + 1)), STR("No"));
}

/* What the map says in the message's stead must stand in front of it. */
static void write_defaults(struct smtp_incoming *in, const struct mime_map *map)
{
	if (map->flags & MIME_DEFAULT_DATE && !in->dated)
		buf_addf(&in->prefix, "Date: %s\r\n", buf_c(&in->date));
	if (map->flags & MIME_DEFAULT_MESSAGE_ID && !in->identified)
		buf_addf(&in->prefix, "Message-ID: %s\r\n", buf_c(&in->message_id));
	in->dated |= map->flags & MIME_DEFAULT_DATE;
	in->identified |= map->flags & MIME_DEFAULT_MESSAGE_ID;
}

int smtp_message_rescan(struct smtp_incoming *in, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct mime_map *map = NULL;
	int r = smtp_message_scan(in, why);
	if (r == 0)
		r = mime_map_read(buf_str(&in->scan.map), in->scan.size, &a, &map, why);
	if (r == 0)
		write_defaults(in, map);
	return in->prefix.failed ? -FAIL_LIMIT : r;
}

/* The map is checked, not trusted. Counts hops; writes the fields that go before the body. */
static int read_map(struct smtp_incoming *in, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct mime_map *map = NULL;
	uint32_t at = 0;
	int r = mime_map_read(buf_str(&in->scan.map), in->scan.size, &a, &map, why);
	if (r < 0)
		return r;
	while (mime_map_field(map, STR("Received"), &at))
		in->hops++;
	buf_add(&in->sent_id, str_sub(map->message_id, 0, MESSAGE_ID_SHOWN));
	r = write_received(in);
	buf_add(&in->prefix, in->s->t.orders.prepend);
	write_defaults(in, map);
	in->tls_optional = asks_for_no_tls(in, map);
	return in->prefix.failed ? -FAIL_LIMIT : r;
}

/* What a filter of ours gives back keeps the trace id of what it was given. */
static struct trace_id message_trace(const struct smtp_session *s)
{
	struct xclient x;
	bool known = smtp_is_filter(s) && smtp_forwarded(s, &x) && x.ident;
	return known ? (struct trace_id){x.ident} : s->trace;
}

static int submit(struct smtp_incoming *in, struct fail *why)
{
	struct smtp_session *s = in->s;
	const struct smtp_transaction *x = &s->t;
	struct spool_message m = {
		.trace = message_trace(s),
		.sender = x->from,
		.envid = x->envid,
		.ret = (enum spool_ret)x->ret,
		.smtputf8 = x->smtputf8,
		.eightbit = x->body == SMTP_BODY_8BITMIME,
		.auth_account = s->account,
		.wish = x->wish,
		.prefix = buf_str(&in->prefix),
		.body = in->body->bytes,
		.body_id = in->body->id,
		.body_size = in->scan.size,
		.map = buf_str(&in->scan.map),
		.arrival = in->now,
		.rcpts = x->rcpts.p,
		.n_rcpts = x->rcpts.n,
	};
	m.wish.tls_optional = in->tls_optional;
	m.wish.login = buf_str(&s->login);
	m.wish.held = x->orders.held.n ? x->orders.held : buf_str(&in->held);
	if (s->config->filters[s->service].next)
		m.wish.filter = str_c(s->config->filters[s->service].next);
	if (x->orders.filter.n)
		m.wish.filter = x->orders.filter;
	if (m.wish.filter.n)
		m.wish.client = (struct spool_client){.ip = buf_str(&s->ip),
						      .port = s->port,
						      .name = buf_str(&s->rdns),
						      .helo = buf_str(&s->helo),
						      .esmtp = s->esmtp};
	memcpy(m.sha256, in->scan.sha256, sizeof m.sha256);
	if (smtp_body_is_stored(in->body))
		s->t.body_id = (struct spool_body_id){{0}}; /* the queue's now */
	return s->backend->submit(s->backend->ctx, &m, buf_str(&s->login), &in->number, why);
}

_Static_assert((int)SMTP_RET_FULL == (int)SPOOL_RET_FULL &&
		       (int)SMTP_RET_HDRS == (int)SPOOL_RET_HDRS,
	       "RET travels as it is");
_Static_assert((int)SMTP_NOTIFY_NEVER == (int)SPOOL_NOTIFY_NEVER &&
		       (int)SMTP_NOTIFY_SUCCESS == (int)SPOOL_NOTIFY_SUCCESS &&
		       (int)SMTP_NOTIFY_FAILURE == (int)SPOOL_NOTIFY_FAILURE &&
		       (int)SMTP_NOTIFY_DELAY == (int)SPOOL_NOTIFY_DELAY,
	       "NOTIFY travels as it is");

/* True when the message is refused for what it is; *ret is the reply. */
static bool content_refusal(const struct smtp_incoming *in, struct smtp_status *ret)
{
	const struct smtp_config *c = in->s->config;
	if (in->scan.size > c->size_max)
		*ret = (struct smtp_status){552, "5.3.4", "Message size exceeds the limit"};
	else if (in->hops > c->hops_max)
		*ret = (struct smtp_status){554, "5.4.6", "Too many hops, the mail seems to loop"};
	else
		return false;
	return true;
}

/* As many as the log shows; those of one RCPT stand together. */
static void write_recipients(struct buf *out, const struct smtp_transaction *x)
{
	struct str last = STR_NULL;
	size_t shown = 0;
	for (size_t i = 0; i < x->rcpts.n && shown < RECIPIENTS_SHOWN; i++) {
		struct str to = x->rcpts.p[i].original;
		if (last.n && str_eq(last, to))
			continue;
		if (buf_addf(out, "%s%.*s", shown ? "," : "", STR_ARG(to)) < 0)
			return;
		last = to;
		shown++;
	}
}

/* Behind a filter the log tells whose mail it was. */
static void log_forwarded(const struct smtp_session *s, uint64_t number)
{
	struct xclient x;
	struct netaddr a = {0};
	char ip[NETADDR_TEXT_MAX];
	AUTO(buf) struct buf ident = BUF_INIT(32);
	if (!smtp_forwarded(s, &x))
		return;
	if (x.ident)
		(void)buf_addf(&ident, "%llx", (unsigned long long)x.ident);
	a.family = x.addr.family == ENDPOINT_V4 ? AF_INET : x.addr.family ? AF_INET6 : 0;
	memcpy(a.bytes, x.addr.bytes, a.family == AF_INET ? 4 : 16);
	log_event(LOG_INFO, "smtp.forwarded", log_u64("number", number),
		  log_address("from", s->t.from), log_str("ip", netaddr_text(&a, false, ip)),
		  log_c("name", x.name), log_c("helo", x.helo), log_str("ident", buf_str(&ident)));
}

static void say_accepted(struct smtp_turn *t, const struct smtp_incoming *in)
{
	struct smtp_session *s = t->s;
	AUTO(buf) struct buf to = BUF_INIT(KIB(1));
	counter_add(&accepted, 1);
	counter_add(&accepted_bytes, in->scan.size);
	write_recipients(&to, &s->t);
	log_event(LOG_INFO, "smtp.accepted", log_u64("number", in->number),
		  log_address("from", s->t.from), log_address("to", buf_str(&to)),
		  log_u64("rcpts", s->t.accepted), log_u64("size", in->scan.size),
		  log_str("message-id", buf_str(&in->sent_id)), log_str("ip", buf_str(&s->ip)),
		  log_str("name", buf_str(&s->rdns)), log_str("helo", buf_str(&s->helo)),
		  log_str("tls", buf_str(&s->tls)), log_address("login", buf_str(&s->login)),
		  log_str("user", buf_str(&s->user)));
	log_forwarded(s, in->number);
	s->errors = 0;
	s->junk = 0;
	if (!smtp_is_lmtp(s))
		smtp_sayf(t, 250, "2.0.0", "Ok: queued as %llu", (unsigned long long)in->number);
}

void smtp_message(struct smtp_turn *t, const struct smtp_body *body)
{
	struct smtp_session *s = t->s;
	struct smtp_status refusal = {0};
	struct fail why = FAIL_INIT;
	AUTO(incoming)
	struct smtp_incoming in = {
		.s = s,
		.body = body,
		.now = s->backend->now(s->backend->ctx),
		.date = BUF_INIT(64),
		.message_id = BUF_INIT(KIB(1)),
		.scan = {.map = BUF_INIT(SMTP_MAP_MAX), .size = body->size, .view = -1},
		.prefix = BUF_INIT(KIB(60)),
		.sent_id = BUF_INIT(MESSAGE_ID_SHOWN + 1),
		.bytes = BUF_INIT(KIB(60)),
		.held = BUF_INIT(HELD_SHOWN),
	};

	make_defaults(&in);
	int r = smtp_message_scan(&in, &why);
	if (r >= 0)
		r = read_map(&in, &why);
	if (r >= 0 && !content_refusal(&in, &refusal)) {
		r = smtp_content_check(t, &in, &why);
		if (r > 0 || (r == 0 && smtp_orders_discard(t)))
			return;
		if (r == 0 && !in.pass)
			r = smtp_filter_message(t, &in, &why);
		if (r > 0)
			return;
		if (r == 0)
			r = smtp_lmtp_judge(t, in.scan.size, &why);
		if (r >= 0 && smtp_policy_message(t, in.scan.size))
			return;
		if (r >= 0)
			r = smtp_orders_apply(s, &why);
		if (r >= 0)
			r = smtp_guard(t, &in.held, &why);
		if (r > 0)
			return;
		if (r >= 0 && s->t.rcpts.n)
			r = submit(&in, &why);
		if (r >= 0) {
			if (s->t.rcpts.n)
				say_accepted(t, &in);
			if (smtp_is_lmtp(s))
				smtp_lmtp_answer(t, in.number);
			return;
		}
	}
	if (r < 0)
		smtp_refuse_fail(t, r, "message", s->t.from, &why);
	else
		smtp_refuse(t, refusal, "message", s->t.from, NULL);
}
