/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an address leads: one question, from its beginning to its verdict.
 *
 * The reference resolves in two stages, and so does this. Expansion replaces an address by the
 * forwardings of the first table that knows it, again and again, until an address names itself or
 * nothing (route_expand.c). What remains is looked up among the mailboxes, or belongs to another
 * server (route_end.c). Copies are resolved apart (route_bcc.c).
 */
#include "route_int.h"

#include "codec/smtp/nexthop.h"
#include <stdarg.h>

int route_full(struct fail *why)
{
	return fail_set(why, FAIL_LIMIT, NULL, "arena full while routing");
}

void route_note(struct expansion *e, const char *what, struct str about)
{
	if (e->note.n == 0)
		e->note = arena_printf(e->a, "%s %.*s", what, STR_ARG(about));
}

void route_tell(struct expansion *e, struct str key, const char *table, const char *fmt, ...)
{
	struct route_story *s = e->story;
	char text[1000];
	va_list ap;

	if (!s)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	*(struct dir_route_step *)vec_push(&s->steps) = (struct dir_route_step){
		.key = s->unnamed ? STR("-") : arena_str(s->a, key),
		.table = str_c(table),
		.result = s->hidden ? STR("(of a domain that is not yours to see)")
				    : arena_str(s->a, str_c(text)),
	};
}

void route_keep_secret(struct expansion *e, struct str address)
{
	if (e->story && e->story->hidden && !route_is_secret(e->story, address))
		*(struct str *)vec_push(&e->story->secret) = arena_str(e->story->a, address);
}

bool route_is_secret(const struct route_story *s, struct str address)
{
	for (size_t i = 0; i < s->secret.n; i++)
		if (str_eqi(s->secret.p[i], address))
			return true;
	return false;
}

/* ---- the verdict ---- */

/* 1 when every destination is a mailbox of ours without room for `size` more. */
static int all_full(struct dir *d, const struct expansion *e, uint64_t size, struct fail *why)
{
	for (size_t i = 0; i < e->dests.n; i++) {
		AUTO(arena) struct arena scratch = ARENA_INIT(KIB(64));
		struct dir_account acc;
		if (!destination_is_local(&e->dests.p[i]))
			return 0;
		int r = dir_find_account(d, e->dests.p[i].address, &scratch, &acc, why);
		if (r < 0)
			return r == -FAIL_NOTFOUND ? 0 : r;
		bool room = acc.used_bytes < acc.quota_bytes &&
			    size <= acc.quota_bytes - acc.used_bytes;
		if (acc.quota_bytes == 0 || room)
			return 0;
	}
	return 1;
}

/* What a client can be told: one line of it, without anything that is no text. */
static struct str clean_text(struct arena *a, struct str s)
{
	char *p = arena_c(a, str_sub(s, 0, DIR_REFUSAL_MAX));

	for (size_t i = 0; p && p[i]; i++)
		if ((unsigned char)p[i] < ' ' || (unsigned char)p[i] > '~')
			p[i] = '?';
	return p ? str_c(p) : STR_NULL;
}

/* "error:5.1.2 text" at the end of every way: the operator refuses this address. */
static bool all_refused(const struct expansion *e, struct arena *a, struct dir_route *out)
{
	struct nexthop h = {0};

	for (size_t i = 0; i < e->dests.n; i++)
		if (nexthop_parse(e->dests.p[i].transport, &h) < 0 || h.kind != NEXTHOP_ERROR)
			return false;
	out->verdict = DIR_REFUSED;
	out->status = arena_str(a, str_c(h.status));
	out->refusal = clean_text(a, h.text.n ? h.text : STR("Address is undeliverable"));
	return true;
}

static int judge(struct dir *d, struct expansion *e, uint64_t size, struct dir_route *out,
		 struct fail *why)
{
	bool too_many = e->too_many || e->addresses.n > d->c.expand_max;
	if (too_many || (e->dests.n == 0 && e->unknown == 0)) {
		out->verdict = DIR_LOOPS;
		out->note = too_many ? STR("expands to too many addresses")
				     : STR("aliases point at each other");
		return 0;
	}
	out->note = e->note;
	if (e->dests.n == 0) {
		out->verdict = DIR_UNKNOWN;
		return 0;
	}
	out->n = e->dests.n;
	out->dests = e->dests.p;
	if (all_refused(e, e->a, out))
		return out->status.p && out->refusal.p ? 0 : route_full(why);
	int r = all_full(d, e, size, why);
	if (r == 1)
		out->verdict = DIR_OVER_QUOTA;
	return MIN(r, 0);
}

/* ---- the answer ---- */

static int copy_dests(const struct destination *from, size_t n, struct arena *a,
		      struct destination **ret, struct fail *why)
{
	*ret = arena_array(a, struct destination, n);
	if (!*ret)
		return route_full(why);
	for (size_t i = 0; i < n; i++) {
		struct destination *to = &(*ret)[i];
		*to = from[i];
		to->address = arena_str(a, to->address);
		to->detail = arena_str(a, to->detail);
		to->transport = arena_str(a, to->transport);
		if (!to->address.p || !to->detail.p || !to->transport.p)
			return route_full(why);
	}
	return 0;
}

/* Copy the outcome from the expansion's memory into the caller's. */
static int copy_out(const struct dir_route *from, struct arena *a, struct dir_route *ret,
		    struct fail *why)
{
	struct dir_route out = *from;

	out.note = arena_str(a, from->note);
	out.status = arena_str(a, from->status);
	out.refusal = arena_str(a, from->refusal);
	if (!out.note.p || !out.status.p || !out.refusal.p)
		return route_full(why);
	int r = copy_dests(from->dests, from->n, a, &out.dests, why);
	if (r == 0)
		r = copy_dests(from->copies, from->n_copies, a, &out.copies, why);
	if (r == 0)
		*ret = out;
	return r;
}

static bool will_be_taken(enum dir_verdict v)
{
	return v == DIR_OK || v == DIR_NOT_OURS;
}

static int route_one(struct expansion *e, struct expansion *bcc, const struct dir_rcpt *rcpt,
		     const struct addr *x, struct dir_route *out, struct fail *why)
{
	struct domain_info dom;
	int r = dir_domain(e->d, x->domain, e->a, &dom, why);

	if (r < 0)
		return r;
	expansion_add(e, x->full, false);
	r = expansion_run(e, why);
	if (r == 0)
		r = judge(e->d, e, rcpt->size, out, why);
	if (dom.kind == DOMAIN_FOREIGN && out->verdict != DIR_REFUSED)
		out->verdict = DIR_NOT_OURS;
	if (r == 0 && will_be_taken(out->verdict) && e->mapping == DIR_EXPAND) {
		r = route_copies(bcc, x, &dom, why);
		out->copies = bcc->dests.p;
		out->n_copies = bcc->dests.n;
	}
	return r;
}

int route_ask(struct dir *d, const struct dir_rcpt *rcpt, struct route_story *story,
	      struct arena *ret_arena, struct dir_route *ret, struct fail *why)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(MIB(4));
	struct str address = rcpt->address;
	struct dir_route out = {.verdict = DIR_OK};
	struct expansion e = {.d = d,
			      .a = &scratch,
			      .sender = rcpt->sender,
			      .mapping = rcpt->mapping,
			      .story = story};
	struct expansion bcc = e;
	struct addr x;

	/* "postmaster" alone must be accepted (RFC 5321 4.5.1). */
	if (str_rfind(address, '@') == address.n && route_is_local_name(address))
		address = arena_printf(&scratch, "%.*s@localhost", STR_ARG(address));
	int r = addr_parse(address, d->c.delimiter, &scratch, &x, why);
	if (r == -FAIL_SYNTAX) {
		*ret = (struct dir_route){.verdict = DIR_BAD_ADDRESS,
					  .note = STR("not an address")};
		return 0;
	}
	if (r == 0)
		r = route_return(&e, rcpt, &out, why);
	if (r == 1)
		r = out.verdict == DIR_REFUSED ? 0 : judge(d, &e, rcpt->size, &out, why);
	else if (r == 0)
		r = route_one(&e, &bcc, rcpt, &x, &out, why);
	if (r == 0)
		r = copy_out(&out, ret_arena, ret, why);
	expansion_clear(&e);
	expansion_clear(&bcc);
	return r;
}

static int ask_both(struct dir *d, const struct dir_rcpt *rcpt, struct arena *a,
		    struct dir_route *ret, struct fail *why)
{
	struct dir_route sender = {0};
	int r = route_ask(d, rcpt, NULL, a, ret, why);
	if (r < 0 || !rcpt->sender_too)
		return r;
	r = route_ask(d, &(struct dir_rcpt){.address = rcpt->sender}, NULL, a, &sender, why);
	ret->sender_unknown = sender.verdict == DIR_UNKNOWN;
	ret->sender_note = sender.note;
	return r;
}

int dir_route(struct dir *d, const struct dir_rcpt *rcpt, struct arena *a, struct dir_route *ret,
	      struct fail *why)
{
	DIR_LOCKED(d);
	/* Many small statements: one snapshot takes the file's lock once for all of them. */
	int r = db_snapshot(d->db, why);
	if (r == 0) {
		r = ask_both(d, rcpt, a, ret, why);
		db_snapshot_end(d->db);
	}
	/* An id had to be made while another program wrote: the next look sees both. */
	return r == -FAIL_BUSY ? ask_both(d, rcpt, a, ret, why) : r;
}
