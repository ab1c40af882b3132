/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Export and import of a session.
 *
 * Little-endian; text = u32 length and bytes. A new field goes to the end of its section with a
 * new STATE_VERSION, and import reads the older versions.
 */
#include "base/num.h"
#include "proto/smtp/smtp_session_int.h"

#define STATE_MAGIC 0x534d5442u /* "BTMS" in the bytes */
/* 2: mechanisms; 3: credential; 4: xclient, xclient_login; 5: may_relay; 6: said; 7: wishes; 8:
 * orders; 9: port, auth_type; 10: user; 11: forward; 12: early, local_ip, local_port; 13:
 * cert_subject, cert_issuer */
#define STATE_VERSION 13

static void put_text(struct buf *out, struct str s)
{
	buf_put_u32(out, (uint32_t)s.n);
	buf_add(out, s);
}

static void put_bool(struct buf *out, bool b)
{
	buf_put_u8(out, b);
}

static void put_rcpt(struct buf *out, const struct spool_rcpt *r)
{
	buf_put_u64(out, r->to.account.v);
	put_text(out, r->to.address);
	put_text(out, r->to.detail);
	put_text(out, r->to.transport);
	put_text(out, r->original);
	put_text(out, r->orcpt);
	buf_put_u32(out, r->notify);
}

static void put_transaction(struct buf *out, const struct smtp_transaction *t)
{
	put_bool(out, t->open);
	put_bool(out, t->bdat);
	put_bool(out, t->bdat_last);
	put_bool(out, t->smtputf8);
	buf_put_u8(out, (uint8_t)t->body);
	buf_put_u8(out, (uint8_t)t->ret);
	buf_put_u32(out, t->accepted);
	buf_put_u64(out, t->size);
	buf_put_u64(out, t->chunk);
	buf_put_u64(out, t->bdat_size);
	buf_add(out, str_make((const char *)t->body_id.b, sizeof t->body_id.b));
	put_text(out, t->from);
	put_text(out, t->envid);
	buf_put_u32(out, (uint32_t)t->rcpts.n);
	for (size_t i = 0; i < t->rcpts.n; i++)
		put_rcpt(out, &t->rcpts.p[i]);
}

static void put_wish(struct buf *out, const struct spool_wishes *w)
{
	buf_put_u64(out, (uint64_t)w->hold_until.v);
	buf_put_u64(out, (uint64_t)w->deliver_by.v);
	buf_put_u8(out, (uint8_t)w->by);
	buf_put_u8(out, (uint8_t)(w->priority + SPOOL_PRIORITY_MAX));
	put_bool(out, w->requiretls);
}

static void put_orders(struct buf *out, const struct smtp_orders *o)
{
	put_bool(out, o->discard);
	put_text(out, o->held);
	put_text(out, o->filter);
	put_text(out, o->prepend);
	put_text(out, o->redirect);
	put_text(out, o->bcc);
}

struct account_id smtp_session_account(const struct smtp_session *s)
{
	return s->account;
}

unsigned smtp_session_version(void)
{
	return STATE_VERSION;
}

int smtp_session_export(const struct smtp_session *s, struct buf *out)
{
	buf_put_u32(out, STATE_MAGIC);
	buf_put_u16(out, STATE_VERSION);
	buf_put_u8(out, (uint8_t)s->service);
	buf_put_u8(out, (uint8_t)s->mode);
	buf_put_u64(out, s->trace.v);
	put_bool(out, s->trusted);
	put_bool(out, s->esmtp);
	buf_put_u64(out, s->account.v);
	buf_put_u32(out, s->errors);
	buf_put_u32(out, s->junk);
	buf_put_u32(out, s->messages);
	put_text(out, buf_str(&s->ip));
	put_text(out, buf_str(&s->rdns));
	put_text(out, buf_str(&s->tls));
	put_text(out, buf_str(&s->helo));
	put_text(out, buf_str(&s->login));
	put_transaction(out, &s->t);
	put_text(out, buf_str(&s->mechanisms)); /* 2 */
	buf_put_u64(out, s->credential);	/* 3 */
	put_bool(out, s->xclient);
	put_bool(out, s->xclient_login);
	put_bool(out, s->may_relay);		 /* 5 */
	buf_put_u32(out, (uint32_t)s->t.said.n); /* 6 */
	for (size_t i = 0; i < s->t.said.n; i++)
		put_text(out, s->t.said.p[i].address);
	put_wish(out, &s->t.wish);     /* 7 */
	put_orders(out, &s->t.orders); /* 8 */
	buf_put_u16(out, s->port);     /* 9 */
	put_text(out, buf_str(&s->auth_type));
	put_text(out, buf_str(&s->user));    /* 10 */
	put_text(out, buf_str(&s->forward)); /* 11 */
	put_bool(out, s->early);	     /* 12 */
	put_text(out, buf_str(&s->local_ip));
	buf_put_u16(out, s->local_port);
	put_text(out, buf_str(&s->cert_subject)); /* 13 */
	put_text(out, buf_str(&s->cert_issuer));
	return out->failed ? -FAIL_LIMIT : 0;
}

static struct str get_text(struct cursor *c)
{
	return cursor_bytes(c, cursor_u32(c));
}

static bool get_bool(struct cursor *c)
{
	uint8_t v = cursor_u8(c);
	c->bad = c->bad || v > 1;
	return v;
}

/* A value of an enum: first to last. */
static int get_enum(struct cursor *c, int first, int last)
{
	int v = cursor_u8(c);
	if (v >= first && v <= last)
		return v;
	c->bad = true;
	return first;
}

static void get_session_text(struct cursor *c, struct buf *into)
{
	struct str s = get_text(c);
	c->bad = c->bad || s.n >= SMTP_TEXT_MAX;
	smtp_keep(into, s);
}

static void get_rcpt(struct cursor *c, struct smtp_transaction *t)
{
	struct spool_rcpt r = {0};
	r.to.account.v = cursor_u64(c);
	r.to.address = get_text(c);
	r.to.detail = get_text(c);
	r.to.transport = get_text(c);
	r.original = get_text(c);
	r.orcpt = get_text(c);
	r.notify = cursor_u32(c);
	if (!c->bad && smtp_transaction_add(t, &r) != 1)
		c->bad = true;
}

static void get_transaction(struct cursor *c, struct smtp_transaction *t)
{
	t->open = get_bool(c);
	t->bdat = get_bool(c);
	t->bdat_last = get_bool(c);
	t->smtputf8 = get_bool(c);
	t->body = (enum smtp_body_type)get_enum(c, SMTP_BODY_UNSPECIFIED, SMTP_BODY_8BITMIME);
	t->ret = (enum smtp_ret)get_enum(c, SMTP_RET_UNSPECIFIED, SMTP_RET_HDRS);
	t->accepted = cursor_u32(c);
	t->size = cursor_u64(c);
	t->chunk = cursor_u64(c);
	t->bdat_size = cursor_u64(c);
	struct str id = cursor_bytes(c, sizeof t->body_id.b);
	if (id.n == sizeof t->body_id.b)
		memcpy(t->body_id.b, id.p, id.n);
	t->from = arena_str(&t->arena, get_text(c));
	t->envid = arena_str(&t->arena, get_text(c));
	uint32_t count = cursor_u32(c);
	for (uint32_t i = 0; i < count && !c->bad; i++)
		get_rcpt(c, t);
	/* What the handlers rely on. */
	c->bad = c->bad || (t->accepted > 0) != (t->rcpts.n > 0) || (t->accepted && !t->open) ||
		 (t->bdat && !t->accepted);
}

static void get_said(struct cursor *c, struct smtp_transaction *t)
{
	uint32_t count = cursor_u32(c);
	for (uint32_t i = 0; i < count && !c->bad; i++) {
		struct str address = arena_str(&t->arena, get_text(c));
		c->bad = c->bad || !address.p;
		*vec_push(&t->said) = (struct smtp_said){.address = address};
	}
}

static void get_wish(struct cursor *c, struct spool_wishes *w)
{
	w->hold_until.v = (int64_t)cursor_u64(c);
	w->deliver_by.v = (int64_t)cursor_u64(c);
	w->by = cursor_u8(c);
	w->priority = (int)cursor_u8(c) - SPOOL_PRIORITY_MAX;
	w->requiretls = get_bool(c);
	c->bad = c->bad || (w->by & ~(unsigned)SPOOL_BY_TRACE) > SPOOL_BY_NOTIFY ||
		 w->priority > SPOOL_PRIORITY_MAX;
}

static void get_orders(struct cursor *c, struct smtp_transaction *t)
{
	struct str *texts[] = {&t->orders.held, &t->orders.filter, &t->orders.prepend,
			       &t->orders.redirect, &t->orders.bcc};
	t->orders.discard = get_bool(c);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		*texts[i] = arena_str(&t->arena, get_text(c));
}

static void get_session(struct cursor *c, uint16_t version, struct smtp_session *s)
{
	s->service = (enum smtp_service)get_enum(c, SMTP_SERVICE_MX, SMTP_SERVICE_LOCAL);
	s->mode = (enum smtp_mode)get_enum(c, SMTP_MODE_LINES, SMTP_MODE_CLOSED);
	s->trace.v = cursor_u64(c);
	s->trusted = get_bool(c);
	s->esmtp = get_bool(c);
	s->account.v = cursor_u64(c);
	s->errors = cursor_u32(c);
	s->junk = cursor_u32(c);
	s->messages = cursor_u32(c);
	get_session_text(c, &s->ip);
	get_session_text(c, &s->rdns);
	get_session_text(c, &s->tls);
	get_session_text(c, &s->helo);
	get_session_text(c, &s->login);
	get_transaction(c, &s->t);
	if (version >= 2)
		get_session_text(c, &s->mechanisms);
	else
		smtp_session_offer(s, STR(""));
	if (version >= 3)
		s->credential = cursor_u64(c);
	if (version >= 4) {
		s->xclient = get_bool(c);
		s->xclient_login = get_bool(c);
	}
	if (version >= 5)
		s->may_relay = get_bool(c);
	if (version >= 6)
		get_said(c, &s->t);
	if (version >= 7)
		get_wish(c, &s->t.wish);
	if (version >= 8)
		get_orders(c, &s->t);
	if (version >= 9) {
		s->port = cursor_u16(c);
		get_session_text(c, &s->auth_type);
	}
	if (version >= 10)
		get_session_text(c, &s->user);
	if (version >= 11)
		get_session_text(c, &s->forward);
	if (version >= 12) {
		s->early = get_bool(c);
		get_session_text(c, &s->local_ip);
		s->local_port = cursor_u16(c);
	}
	if (version >= 13) {
		get_session_text(c, &s->cert_subject);
		get_session_text(c, &s->cert_issuer);
	}
	c->bad = c->bad || s->t.said.n != (smtp_is_lmtp(s) ? s->t.accepted : 0);
	c->bad = c->bad || cursor_left(c) > 0 ||
		 ((s->mode == SMTP_MODE_DATA || s->mode == SMTP_MODE_BDAT) && !s->t.accepted);
}

int smtp_session_import(const struct smtp_config *config, const struct smtp_backend *b,
			struct str state, struct smtp_session **ret, struct fail *why)
{
	struct cursor c = cursor_of(state);
	uint32_t magic = cursor_u32(&c);
	uint16_t version = cursor_u16(&c);

	if (magic == STATE_MAGIC && version > STATE_VERSION)
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "SMTP session state version %u > %u",
				version, STATE_VERSION);
	if (magic != STATE_MAGIC || version == 0 || c.bad)
		return fail_set(why, FAIL_CORRUPT, NULL, "not an SMTP session state");
	AUTO(smtp_session) struct smtp_session *s = smtp_session_alloc(config, b);
	get_session(&c, version, s);
	if (c.bad)
		return fail_set(why, FAIL_CORRUPT, NULL, "SMTP session state is damaged at %zu",
				state.n - cursor_left(&c));
	*ret = TAKE(s);
	return 0;
}
