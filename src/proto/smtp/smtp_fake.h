/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_fake.h - a small world for the SMTP dialogue: directory, scan, queue.   [tests only]
 *
 * Addresses at example.test: alice (account 1), bob (2), postmaster (alice), list (alice, bob, a
 * remote one; an alias: only where aliases count), small (bob's, with room for 40 octets), moved
 * (refuses more), full, loop, nowhere, down (the directory cannot answer). All other domains are
 * foreign. Account 1 may send as alice.
 */
#ifndef BARID_PROTO_SMTP_SMTP_FAKE_H
#define BARID_PROTO_SMTP_SMTP_FAKE_H

#include "codec/mime/index.h"
#include "proto/smtp/smtp_session.h"

struct fake {
	struct str stored; /* content of every stored body */
	int scan_result;
	int submit_result;
	uint64_t submitted; /* how many; also the last number */
	uint64_t dropped;
	struct buf last; /* the last submitted message, as text */
	struct buf body; /* its bytes, when they were small */
};

static inline struct str fake_local(struct str address, struct str *ret_detail)
{
	struct str local = str_sub(address, 0, str_rfind(address, '@'));
	size_t plus = str_find(local, 0, '+');
	*ret_detail = str_skip(local, plus + 1);
	return str_sub(local, 0, plus);
}

static inline void fake_dest(struct arena *a, struct dir_route *r, uint64_t account,
			     const char *address, struct str detail)
{
	if (!r->dests)
		r->dests = arena_array(a, struct destination, 3);
	r->dests[r->n++] = (struct destination){
		.account = {account}, .address = str_c(address), .detail = arena_str(a, detail)};
}

static inline int fake_route_one(void *ctx, const struct dir_rcpt *rcpt, struct arena *a,
				 struct dir_route *ret, struct fail *why)
{
	struct str address = rcpt->address;
	struct str detail, local = fake_local(address, &detail);
	(void)ctx;
	if (!str_endsi(address, STR("@example.test"))) {
		ret->verdict = DIR_NOT_OURS;
		fake_dest(a, ret, 0, arena_c(a, address), STR_NULL);
	} else if (str_eqi(local, STR("down"))) {
		return fail_set(why, FAIL_IO, NULL, "the fake directory is down");
	} else if (str_eqi(local, STR("alice")) || str_eqi(local, STR("postmaster"))) {
		fake_dest(a, ret, 1, "alice@example.test", detail);
	} else if (str_eqi(local, STR("bob")) || str_eqi(local, STR("j\xc3\xbc"))) {
		fake_dest(a, ret, 2, "bob@example.test", detail);
	} else if (str_eqi(local, STR("small"))) {
		fake_dest(a, ret, 2, "small@example.test", detail);
		ret->verdict = rcpt->size > 40 ? DIR_OVER_QUOTA : DIR_OK;
	} else if (str_eqi(local, STR("moved"))) {
		fake_dest(a, ret, 2, "moved@example.test", detail);
		ret->verdict = rcpt->size > 40 ? DIR_REFUSED : DIR_OK;
		ret->status = arena_str(a, STR("5.1.6"));
		ret->refusal = arena_str(a, STR("moved away"));
	} else if (str_eqi(local, STR("list")) && rcpt->mapping == DIR_EXPAND) {
		fake_dest(a, ret, 1, "alice@example.test", STR_NULL);
		fake_dest(a, ret, 2, "bob@example.test", STR_NULL);
		fake_dest(a, ret, 0, "carol@remote.example", STR_NULL);
	} else if (str_eqi(local, STR("full"))) {
		ret->verdict = DIR_OVER_QUOTA;
	} else if (str_eqi(local, STR("loop"))) {
		ret->verdict = DIR_LOOPS;
	} else if (str_eqi(local, STR("bad"))) {
		ret->verdict = DIR_BAD_ADDRESS;
	} else if (!str_eqi(local, STR("nowhere"))) {
		ret->verdict = DIR_UNKNOWN;
	}
	return 0;
}

static inline int fake_route(void *ctx, const struct dir_rcpt *rcpt, struct arena *a,
			     struct dir_route *ret, struct fail *why)
{
	struct dir_route sender = {0};
	int r = fake_route_one(ctx, rcpt, a, ret, why);
	if (r < 0 || !rcpt->sender_too)
		return r;
	r = fake_route_one(ctx, &(struct dir_rcpt){.address = rcpt->sender}, a, &sender, why);
	ret->sender_unknown = sender.verdict == DIR_UNKNOWN;
	return r;
}

static inline int fake_sender_allowed(void *ctx, struct account_id account, struct str address,
				      struct fail *why)
{
	struct str detail, local = fake_local(address, &detail);
	(void)ctx;
	if (str_eqi(local, STR("down")))
		return fail_set(why, FAIL_BUSY, NULL, "the fake directory is locked");
	return account.v == 1 && str_endsi(address, STR("@example.test")) &&
	       str_eqi(local, STR("alice"));
}

static inline int fake_scan(void *ctx, const struct smtp_body *body,
			    const struct smtp_scan_defaults *defaults, struct smtp_scan *ret,
			    struct fail *why)
{
	struct fake *f = ctx;
	struct str bytes = smtp_body_is_stored(body) ? f->stored : body->bytes;
	struct mime_index_defaults d = {defaults->date, defaults->message_id};
	AUTO(arena) struct arena a = ARENA_INIT(MIB(8));
	struct mime_map *map = NULL;

	if (f->scan_result < 0)
		return fail_set(why, (enum fail_code) - f->scan_result, NULL,
				"the fake scan fails");
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, &d, &a);
	mime_index_feed(ix, bytes);
	int r = mime_index_finish(ix, &map, why);
	ret->size = bytes.n;
	memset(ret->sha256, 7, sizeof ret->sha256);
	return r < 0 ? r : mime_map_write(map, &ret->map);
}

/* "for <a@b> (1 alice@example.test+detail) notify=2 orcpt=..." */
static inline void fake_note_rcpt(struct buf *out, const struct spool_rcpt *r)
{
	buf_addf(out, "for <%.*s> (%llu %.*s+%.*s) notify=%u orcpt=%.*s\n", STR_ARG(r->original),
		 (unsigned long long)r->to.account.v, STR_ARG(r->to.address), STR_ARG(r->to.detail),
		 r->notify, STR_ARG(r->orcpt));
}

static inline int fake_submit(void *ctx, const struct spool_message *m, struct str login,
			      uint64_t *ret_number, struct fail *why)
{
	struct fake *f = ctx;
	if (f->submit_result < 0)
		return fail_set(why, (enum fail_code) - f->submit_result, NULL,
				"the fake disk is full");
	buf_reset(&f->last);
	buf_addf(&f->last,
		 "from <%.*s> envid=%.*s ret=%d utf8=%d 8bit=%d login=%.*s account=%llu "
		 "size=%llu sha=%d map=%d\n",
		 STR_ARG(m->sender), STR_ARG(m->envid), (int)m->ret, m->smtputf8, m->eightbit,
		 STR_ARG(login), (unsigned long long)m->auth_account.v,
		 (unsigned long long)m->body_size, m->sha256[0], m->map.n > 0);
	const struct spool_wishes *w = &m->wish;
	if (w->tls_optional)
		buf_addf(&f->last, "tls is optional\n");
	if (w->hold_until.v || w->by || w->priority || w->requiretls)
		buf_addf(&f->last, "hold=%lld by=%lld mode=%u priority=%d requiretls=%d\n",
			 (long long)w->hold_until.v / SEC_US, (long long)w->deliver_by.v / SEC_US,
			 w->by, w->priority, w->requiretls);
	for (size_t i = 0; i < m->n_rcpts; i++)
		fake_note_rcpt(&f->last, &m->rcpts[i]);
	if (m->wish.held.n || m->wish.filter.n)
		buf_addf(&f->last, "held=%.*s filter=%.*s\n", STR_ARG(m->wish.held),
			 STR_ARG(m->wish.filter));
	buf_add(&f->last, m->prefix);
	buf_reset(&f->body);
	buf_add(&f->body, m->body);
	*ret_number = ++f->submitted;
	return 0;
}

static inline void fake_body_drop(void *ctx, struct spool_body_id id)
{
	struct fake *f = ctx;
	(void)id;
	f->dropped++;
}

static inline struct wall_us fake_now(void *ctx)
{
	(void)ctx;
	return (struct wall_us){INT64_C(1763719200) * SEC_US};
}

static inline struct smtp_backend fake_backend(struct fake *f)
{
	return (struct smtp_backend){.ctx = f,
				     .route = fake_route,
				     .sender_allowed = fake_sender_allowed,
				     .scan = fake_scan,
				     .submit = fake_submit,
				     .body_drop = fake_body_drop,
				     .now = fake_now};
}

static inline struct smtp_config fake_config(void)
{
	struct smtp_config c = smtp_config_default();
	c.hostname = "mx.example.test";
	c.postmaster_domain = "example.test";
	c.starttls = true;
	c.size_max = 1000;
	/* The dialogues call themselves `c`: what the front door asks has dialogues of its own. */
	static struct netcidr known = {.addr = {.family = AF_INET, .bytes = {192, 0, 2, 0}},
				       .bits = 24};
	c.door.known_networks = (struct netcidrs){&known, 1};
	return c;
}

#endif
