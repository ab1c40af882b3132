/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_esearch.c - ESEARCH: one search in several mailboxes (RFC 7377).          [proto, imap]
 *
 * Each mailbox but the selected one is searched by a session beside this one, which lives as long
 * as the search in its mailbox: it reads the command anew, because sets of messages mean something
 * else in each, and its view is read-only. All mailboxes together have the time of one SEARCH.
 *
 * Only mailboxes of the session's own account are searched. Those of others (Shared/, Public/) are
 * passed over like those that are not there, unless one is selected and asked for alone.
 */
#include "codec/imap/imap_list.h"
#include "proto/imap/acl_int.h"
#include "sys/clock.h"

#define TARGETS_MAX 5000
/* After so many mailboxes, or so long, the thread is given back for a moment. */
#define TARGETS_AT_ONCE 50
#define MS_AT_ONCE	100

struct target {
	struct str name;
	struct mailbox_id id;
	uint32_t uidvalidity;
};
struct esearch {
	struct target *target;
	size_t n, at;
	struct mailbox_id selected; /* {0}: none */
	bool in_selected;	    /* the search of this session itself is under way */
	struct imap_session *beside;
	int64_t worked_ns;
	int64_t done_ns; /* ... for mailboxes that are done: a search counts its own */
};

void esearch_end(struct imap_run *run)
{
	if (run->esearch)
		imap_session_free(run->esearch->beside);
	run->esearch = NULL;
}

/* ---- which mailboxes ------------------------------------------------------------------------- */

static bool is_below(struct str name, struct str top, bool directly)
{
	if (name.n <= top.n || !str_starts(name, top) || name.p[top.n] != IMAP_SEPARATOR)
		return false;
	return !directly || str_find(name, top.n + 1, IMAP_SEPARATOR) == name.n;
}

static bool is_named(const struct imap_notify_group *g, struct str name, bool *ret_itself)
{
	bool subtree = g->filter == IMAP_NOTIFY_SUBTREE, one = g->filter == IMAP_NOTIFY_SUBTREE_ONE;
	for (size_t i = 0; i < g->mailbox_count; i++) {
		*ret_itself = str_eq(g->mailbox[i], name);
		if (*ret_itself || ((subtree || one) && is_below(name, g->mailbox[i], one)))
			return true;
	}
	return false;
}

/* *ret_named: by its own name, so that it need not be visible in lists. */
static bool is_source(const struct imap_notify_group *g, const struct store_mailbox *box,
		      struct mailbox_id selected, bool *ret_named)
{
	*ret_named = false;
	switch (g->filter) {
	case IMAP_NOTIFY_SELECTED:
	case IMAP_NOTIFY_SELECTED_DELAYED:
		*ret_named = true;
		return box->id.v == selected.v;
	case IMAP_NOTIFY_INBOXES: /* as in NOTIFY: mail may be delivered into any of them */
	case IMAP_NOTIFY_PERSONAL:
		return true;
	case IMAP_NOTIFY_SUBSCRIBED:
		return box->subscribed;
	case IMAP_NOTIFY_SUBTREE:
	case IMAP_NOTIFY_SUBTREE_ONE:
	case IMAP_NOTIFY_MAILBOXES:
		return is_named(g, box->name, ret_named);
	}
	return false;
}

static bool is_wanted(const struct imap_search *cmd, const struct store_mailbox *box,
		      struct mailbox_id selected, bool *ret_named)
{
	bool wanted = false, named = false;
	if (box->missing || box->noselect)
		return false;
	if (cmd->source_count == 0)
		return *ret_named = box->id.v == selected.v;
	*ret_named = false;
	for (size_t i = 0; i < cmd->source_count; i++) {
		if (!is_source(&cmd->source[i], box, selected, &named))
			continue;
		wanted = true;
		*ret_named |= named;
	}
	return wanted;
}

/* Is it about the selected mailbox: at all, or alone? */
static bool wants_selected(const struct imap_search *cmd, bool *ret_alone)
{
	bool wanted = cmd->source_count == 0;
	*ret_alone = true;
	for (size_t i = 0; i < cmd->source_count; i++) {
		bool it = cmd->source[i].filter == IMAP_NOTIFY_SELECTED;
		wanted |= it;
		*ret_alone &= it;
	}
	return wanted;
}

static int add_target(struct imap_session *s, struct esearch *e, const struct store_mailbox *box,
		      bool named, struct fail *why)
{
	uint32_t rights, needed = IMAP_ACL_R | (named ? 0u : IMAP_ACL_L);
	int r = acl_rights_of(s, box->name, &rights, why);
	if (r == -FAIL_NOTFOUND || (r == 0 && (rights & needed) != needed))
		return 0;
	if (r < 0)
		return r;
	if (e->n == TARGETS_MAX)
		return fail_set(why, FAIL_LIMIT, "Too many mailboxes to search.", "%u",
				TARGETS_MAX);
	e->target[e->n++] = (struct target){box->name, box->id, box->counters.uidvalidity};
	return 0;
}

static int find_targets(struct imap_session *s, struct esearch *e, struct fail *why)
{
	struct store_mailboxes boxes;
	int r = store_mailbox_list(s->store, s->account, &s->run.arena, &boxes, why);
	if (r < 0)
		return r;
	e->target = arena_array(&s->run.arena, struct target, MIN(boxes.n, (size_t)TARGETS_MAX));
	if (!e->target)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	for (size_t i = 0; r == 0 && i < boxes.n; i++) {
		bool named;
		if (is_wanted(&s->run.cmd.search, &boxes.p[i], e->selected, &named))
			r = add_target(s, e, &boxes.p[i], named, why);
	}
	return r;
}

static int begin(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct imap_search *cmd = &s->run.cmd.search;
	struct esearch *e = arena_new(&s->run.arena, struct esearch);
	bool alone, selected = wants_selected(cmd, &alone);
	if (!e)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	s->run.esearch = e;
	if (selected && s->host) {
		reply_no(s, "CANNOT", "A mailbox of another account is searched alone.");
		return RUN_DONE;
	}
	if (!s->view && (selected || (cmd->returned & IMAP_RETURN_UPDATE)))
		return fail_set(why, FAIL_SYNTAX, "No mailbox is selected.", "ESEARCH");
	if ((cmd->returned & IMAP_RETURN_SAVE) && !alone)
		return fail_set(why, FAIL_SYNTAX, "SAVE is for the selected mailbox alone.",
				"ESEARCH");
	if (s->view)
		e->selected = store_view_get_info(s->view)->mailbox;
	if (cmd->uses_modseq)
		condstore_enable(s, out);
	s->run.cmd.kind = IMAP_CMD_SEARCH;
	s->run.cmd.uid = true;
	return find_targets(s, e, why);
}

/* ---- one mailbox ----------------------------------------------------------------------------- */

/* Milliseconds that the other mailboxes leave of the time for one search; 0: no bound. */
static uint64_t time_left(const struct imap_session *s, const struct esearch *e)
{
	uint64_t worked = (uint64_t)(e->done_ns / MS_NS), max = s->config.search_max_ms;
	return max == 0 ? 0 : worked >= max ? 1 : max - worked;
}

static int search_selected(struct imap_session *s, struct esearch *e, struct imap_out *out,
			   struct fail *why)
{
	uint64_t max = s->config.search_max_ms;
	s->config.search_max_ms = time_left(s, e);
	e->in_selected = true;
	int r = cmd_search(s, out, why);
	s->config.search_max_ms = max;
	if (r == RUN_MORE)
		return r;
	e->in_selected = false;
	s->run.state = NULL;
	s->run.state_clear = NULL;
	return r;
}

static int open_beside(struct imap_session *s, struct esearch *e, const struct target *t,
		       struct fail *why)
{
	const struct imap_session_args args = {.config = &s->config,
					       .store = s->store,
					       .search = s->search,
					       .account = s->account,
					       .address = str_c(s->address),
					       .rights = s->rights,
					       .hooks = s->hooks};
	struct imap_session *b = imap_session_new(&args);
	struct imap_run *run = &b->run;
	uint32_t rights;
	e->beside = b;
	b->config.message_limit = 0; /* what bounds it is time */
	b->enabled = s->enabled | IMAP_ENABLE_CONDSTORE;
	run->in = s->run.in;
	buf_add(&run->tag, buf_str(&s->run.tag));
	run->of.name = t->name;
	run->of.uidvalidity = t->uidvalidity;
	int r = imap_cmd_parse(&run->in.cmd, &b->config.limits, &run->arena, &run->cmd, why);
	run->cmd.kind = IMAP_CMD_SEARCH;
	run->cmd.uid = true;
	run->cmd.search.returned &= ~(uint32_t)IMAP_RETURN_UPDATE;
	if (r == 0)
		r = acl_rights_of(b, t->name, &rights, why);
	if (r < 0)
		return r;
	struct store_view_as as = acl_view_as(b, rights, true);
	return store_view_open_as(b->store, b->account, t->name, &as, &b->view, why);
}

static int search_beside(struct imap_session *s, struct esearch *e, const struct target *t,
			 struct imap_out *out, struct fail *why)
{
	int r = e->beside ? 0 : open_beside(s, e, t, why);
	if (r == 0) {
		e->beside->config.search_max_ms = time_left(s, e);
		r = cmd_search(e->beside, out, why);
	}
	if (r == RUN_MORE)
		return r;
	if (r == RUN_DONE)
		buf_add(&s->run.reply, buf_str(&e->beside->run.reply));
	imap_session_free(TAKE(e->beside));
	/* It was deleted meanwhile. */
	return r == -FAIL_NOTFOUND || r == -FAIL_GONE ? RUN_DONE : r;
}

static int search_next(struct imap_session *s, struct esearch *e, struct imap_out *out,
		       struct fail *why)
{
	const struct target *t = &e->target[e->at];
	int64_t begun = clock_mono().v;
	s->run.of.name = t->name;
	s->run.of.uidvalidity = t->uidvalidity;
	int r = t->id.v == e->selected.v ? search_selected(s, e, out, why)
					 : search_beside(s, e, t, out, why);
	e->worked_ns += clock_mono().v - begun;
	if (r == RUN_DONE) {
		e->at++;
		e->done_ns = e->worked_ns;
	}
	return r;
}

int cmd_esearch(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	int64_t turn = clock_mono().v + MS_AT_ONCE * MS_NS;
	int r = s->run.esearch ? 0 : begin(s, out, why);
	struct esearch *e = s->run.esearch;
	for (size_t i = 0; r == 0 && s->run.reply.n == 0 && e->at < e->n; i++) {
		if (imap_out_full(out) || i == TARGETS_AT_ONCE || clock_mono().v > turn)
			return RUN_MORE;
		r = search_next(s, e, out, why);
		if (r == 0 && e->at < e->n && s->config.search_max_ms &&
		    e->worked_ns > (int64_t)s->config.search_max_ms * MS_NS)
			r = fail_set(why, FAIL_LIMIT, "The search takes too long.", "%zu of %zu",
				     e->at, e->n);
	}
	if (r == RUN_DONE && s->run.reply.n == 0)
		reply_ok(s, NULL, "ESEARCH completed.");
	return r;
}
