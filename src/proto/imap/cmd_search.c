/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_search.c - SEARCH and UID SEARCH (RFC 3501 and RFC 9051 6.4.4, ESEARCH of RFC 4731,
 * SEARCHRES of RFC 5182, WITHIN of RFC 5032, MODSEQ of RFC 7162 3.1.5), and SORT and THREAD
 * (RFC 5256), which find the same and tell it in another order.                  [proto, imap]
 *
 * The first pass goes through the mailbox map in memory; only messages that it leaves open are
 * read in a second one.
 */
#include "codec/imap/imap_write.h"
#include "proto/imap/context.h"
#include "sys/clock.h"
#include "sys/log.h"

/* After so many messages of the second pass, or so long, the thread is given back for a moment. */
#define ROWS_AT_ONCE 256
#define MS_AT_ONCE   100

struct search_state {
	struct imap_session *s;
	struct mono_ns begun; /* this turn */
	int64_t worked_ns;    /* in the turns before */
	struct search_tree tree;
	struct set_builder open;     /* not decided by the first pass */
	struct store_reader *reader; /* of the second pass */
	struct search_hits hits;
	struct search_order *order; /* SORT, THREAD */
	bool refused;		    /* the reply says why */
	struct buf program;	    /* UPDATE: of the context */
	uint64_t modseq;	    /* the same: as of then */
	uint32_t looked_at;	    /* of open */
	int64_t told_at;	    /* mono ns: when the client last heard of us */
};

static void state_clear(void *p)
{
	struct search_state *st = p;
	store_read_end(st->reader);
	st->reader = NULL;
	search_order_free(st->order);
	st->order = NULL;
	buf_clear(&st->program);
	search_tree_clear(&st->tree);
	vec_clear(&st->hits.list);
}

/* Numbers beyond the last one name nothing. */
static struct seqset inside(struct imap_session *s, const struct seqset *set)
{
	uint32_t exists = store_view_get_info(s->view)->exists;
	struct seqset ret = {.r = arena_array(&s->run.arena, struct seqrange, set->n),
			     .resolved = true};
	for (size_t i = 0; ret.r && i < set->n && set->r[i].first <= exists; i++)
		ret.r[ret.n++] = (struct seqrange){set->r[i].first, MIN(set->r[i].last, exists)};
	return ret;
}

/* Messages that are named are few: the others need no look. All keys of the command must hold. */
static int candidates(struct search_state *st, struct store_set *ret, struct fail *why)
{
	struct imap_session *s = st->s;
	const struct imap_search_key *key = st->tree.key;
	CHECK(key->op == IMAP_SEARCH_AND);
	for (key = key->kid; key; key = key->next) {
		if (key->op != IMAP_SEARCH_UID && key->op != IMAP_SEARCH_SEQ)
			continue;
		bool by_uid = key->op == IMAP_SEARCH_UID;
		struct seqset set = by_uid ? key->set : inside(s, &key->set);
		if (!set.r && key->set.n)
			return fail_set(why, FAIL_LIMIT, "Too large a set.", "arena full");
		*ret = (struct store_set){0};
		return set.n ? set_resolve(s, &set, by_uid, ret, why) : 0;
	}
	return store_view_all(s->view, &s->run.arena, ret, why);
}

/* What memory left open, once more with what the index says. */
/* The first verdict on a message. What it is worth, only the second pass says. */
static int look_first(struct search_state *st, struct msg *m, enum search_verdict *ret,
		      struct fail *why)
{
	int r = search_eval(&st->tree, m, st->tree.key, SEARCH_MEMORY, ret, why);
	if (r == 0 && *ret == SEARCH_YES && st->tree.scored)
		*ret = SEARCH_OPEN;
	return r;
}

static int look_in_index(struct search_state *st, struct fail *why)
{
	struct search_index *x = &st->tree.index;
	int r = 0;
	search_index_ask(&st->tree, store_view_get_info(st->s->view)->account);
	for (size_t i = 0; r >= 0 && i < x->rows.n; i++) {
		const struct search_row *a = &x->rows.p[i];
		struct store_message row = {.seq = a->seq,
					    .uid = a->uid,
					    .flags = a->flags,
					    .modseq = a->modseq,
					    .id = a->id,
					    .size = a->size};
		struct msg m = {.s = st->s, .row = &row, .body = STORE_SOURCE_INIT};
		enum search_verdict verdict = SEARCH_NO;
		x->row = a;
		r = look_first(st, &m, &verdict, why);
		if (verdict == SEARCH_YES)
			search_hits_add(&st->hits, &row, 100);
		else if (verdict == SEARCH_OPEN)
			r = set_builder_add(&st->open, row.seq, row.uid, why);
	}
	x->row = NULL;
	vec_clear(&x->rows);
	return r;
}

static int look_in_memory(struct search_state *st, struct fail *why)
{
	struct imap_session *s = st->s;
	AUTO(store_reader) struct store_reader *reader = NULL;
	struct store_message row;
	struct store_set some;
	int r = candidates(st, &some, why);
	if (r == 0 && s->run.cmd.kind == IMAP_CMD_SEARCH)
		r = limit_newest(s, &some, why);
	else if (r == 0)
		st->refused = limit_refuses(s, some.count, false);
	if (st->refused)
		return 0;
	if (r < 0 || some.count == 0)
		return r;
	r = store_read_begin(s->view, &some, 0, (struct modseq){0}, &reader, why);
	while (r >= 0 && (r = store_read_next(reader, &row, why)) > 0) {
		enum search_verdict verdict = SEARCH_NO;
		struct msg m = {.s = s, .row = &row, .body = STORE_SOURCE_INIT};
		r = look_first(st, &m, &verdict, why);
		if (verdict == SEARCH_YES)
			search_hits_add(&st->hits, &row, 100);
		else if (verdict == SEARCH_OPEN && !search_index_takes(&st->tree, &row))
			r = set_builder_add(&st->open, row.seq, row.uid, why);
	}
	return r < 0 ? r : look_in_index(st, why);
}

static bool wants_scores(const struct imap_search *cmd)
{
	bool wanted = cmd->returned & IMAP_RETURN_RELEVANCY;
	for (size_t i = 0; i < cmd->sort_count; i++)
		wanted |= cmd->sort[i].by == IMAP_SORT_RELEVANCY;
	return wanted;
}

static int begin(struct search_state *st, struct imap_out *out, struct fail *why)
{
	const struct imap_search *cmd = &st->s->run.cmd.search;
	if (cmd->uses_modseq)
		condstore_enable(st->s, out);
	int r = 0;
	if (cmd->returned & IMAP_RETURN_UPDATE) {
		st->modseq = store_view_get_info(st->s->view)->highestmodseq.v;
		r = context_program(st->s, &st->program, why);
	}
	if (r == 0)
		r = search_tree_init(&st->tree, st->s, cmd->key, why);
	st->tree.scored = wants_scores(cmd);
	if (r == 0)
		r = look_in_memory(st, why);
	if (r < 0 || st->open.set.count == 0)
		return r;
	return store_read_begin(st->s->view, &st->open.set, st->tree.columns, (struct modseq){0},
				&st->reader, why);
}

/* A message that cannot be read matches nothing; a store that does not work fails the command. */
static int skip_unreadable(const struct imap_session *s, const struct store_message *row, int r,
			   const struct fail *why)
{
	if (r != -FAIL_GONE && r != -FAIL_NOTFOUND && r != -FAIL_CORRUPT && r != -FAIL_UNSUPPORTED)
		return r;
	log_event(LOG_WARN, "imap.search_skipped", log_c("user", s->address),
		  log_u64("uid", row->uid.v), log_fail(why));
	return 0;
}

int search_match(struct imap_session *s, const struct search_tree *tree,
		 const struct store_message *row, unsigned *ret, struct fail *why)
{
	enum search_verdict verdict = SEARCH_OPEN;
	struct msg m;
	msg_begin(&m, s, row);
	int r = search_eval(tree, &m, tree->key, SEARCH_ROW, &verdict, why);
	if (r == 0 && verdict == SEARCH_OPEN)
		r = search_eval(tree, &m, tree->key, SEARCH_BYTES, &verdict, why);
	*ret = r == 0 && verdict == SEARCH_YES ? 100 : 0;
	if (*ret && tree->scored)
		r = search_score(tree, &m, ret, why);
	msg_end(&m);
	*ret = r == 0 ? *ret : 0;
	return r < 0 ? skip_unreadable(s, row, r, why) : 0;
}

static int look_at(struct search_state *st, const struct store_message *row, struct fail *why)
{
	unsigned found = 0;
	int r = search_match(st->s, &st->tree, row, &found, why);
	if (found)
		search_hits_add(&st->hits, row, found);
	return r;
}

/* MIN alone: rows come in order, so the first hit among them, or before them, is the last word. */
static bool is_decided(const struct search_state *st, const struct store_message *row)
{
	uint32_t aside = IMAP_RETURN_SAVE | IMAP_RETURN_CONTEXT;
	uint32_t returned = st->hits.returned & ~aside;
	return st->hits.kind == IMAP_CMD_SEARCH && returned == IMAP_RETURN_MIN && st->hits.count &&
	       st->hits.min.seq < row->seq;
}

static int64_t turn_ns(const struct search_state *st)
{
	return clock_mono().v - st->begun.v;
}

/* Nobody's search may go on for ever. */
static int end_turn(struct search_state *st, int r, struct fail *why)
{
	const struct imap_config *c = &st->s->config;
	st->worked_ns += turn_ns(st);
	if (r != RUN_MORE || c->search_max_ms == 0 ||
	    st->worked_ns < (int64_t)c->search_max_ms * MS_NS)
		return r;
	log_event(LOG_WARN, "imap.search_too_long", log_c("user", st->s->address));
	return fail_set(why, FAIL_LIMIT, "The search takes too long.", "%lld ms",
			(long long)(st->worked_ns / MS_NS));
}

static int look_at_rows(struct search_state *st, struct fail *why)
{
	struct store_message row;
	if (!st->reader)
		return RUN_DONE;
	for (unsigned i = 0; i < ROWS_AT_ONCE; i++) {
		int r = store_read_next(st->reader, &row, why);
		if (r == 0 || (r > 0 && is_decided(st, &row)))
			return RUN_DONE;
		st->looked_at++;
		if (r > 0)
			r = look_at(st, &row, why);
		if (r < 0)
			return r;
		if (turn_ns(st) > MS_AT_ONCE * MS_NS)
			break;
	}
	return RUN_MORE;
}

static bool charset_is_known(struct str charset)
{
	return charset.n == 0 || str_eqi(charset, STR("US-ASCII")) ||
	       str_eqi(charset, STR("ASCII")) || str_eqi(charset, STR("UTF-8"));
}

/* RFC 5182 2.1: a NO to SAVE leaves the empty set; a BAD leaves what was there. */
static void forget_saved(struct imap_session *s, int r)
{
	if ((s->run.cmd.search.returned & IMAP_RETURN_SAVE) && r != -FAIL_SYNTAX)
		buf_clear(&s->saved);
}

/* RFC 9585: a long search says that it goes on, and how far it is where that is known. */
static void tell_progress(struct search_state *st, struct imap_out *out)
{
	int64_t now = clock_mono().v;
	uint32_t goal = st->open.set.count;
	if (now - st->told_at < st->s->config.progress_ns)
		return;
	st->told_at = now;
	buf_add(&out->text, STR("* OK [INPROGRESS ("));
	(void)imap_write_string(&out->text, buf_str(&st->s->run.tag));
	if (st->order || goal == 0)
		buf_add(&out->text, STR(" NIL NIL"));
	else
		buf_addf(&out->text, " %u %u", MIN(st->looked_at, goal), goal);
	buf_add(&out->text, STR(")] Still searching.\r\n"));
}

static int tell(struct search_state *st, struct imap_out *out)
{
	struct imap_session *s = st->s;
	if (s->run.cmd.search.returned & IMAP_RETURN_UPDATE) {
		if (st->hits.kind == IMAP_CMD_SEARCH)
			search_hits_sort(&st->hits);
		bool whole = !st->program.failed;
		context_begin(s, &st->hits, whole ? buf_str(&st->program) : STR_NULL, st->modseq,
			      out);
	}
	return search_tell(s, &st->hits, out);
}

/* Reading what orders them is a part of the search's work. */
static int put_in_order(struct search_state *st, struct imap_out *out, struct fail *why)
{
	st->begun = clock_mono();
	return end_turn(st, search_order_step(st->s, &st->hits, &st->order, out, why), why);
}

static int search(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct search_state *st = s->run.state;
	int r = 0;
	if (!st) {
		st = arena_new(&s->run.arena, struct search_state);
		if (!st)
			return fail_set(why, FAIL_LIMIT, NULL, "arena full");
		*st = (struct search_state){.s = s,
					    .told_at = clock_mono().v,
					    .open = {.arena = &s->run.arena},
					    .hits = {.kind = s->run.cmd.kind,
						     .returned = search_returned(s),
						     .partial = s->run.cmd.search.partial}};
		s->run.state = st;
		s->run.state_clear = state_clear;
		st->begun = clock_mono();
		r = begin(st, out, why);
	}
	if (st->refused) {
		state_clear(st);
		return RUN_DONE;
	}
	if (r == 0 && st->worked_ns > 0)
		st->begun = clock_mono();
	if (r == 0)
		r = end_turn(st, look_at_rows(st, why), why);
	if (r == RUN_DONE && s->run.cmd.kind != IMAP_CMD_SEARCH)
		r = put_in_order(st, out, why);
	if (r == RUN_DONE && s->run.cmd.kind != IMAP_CMD_THREAD)
		r = tell(st, out);
	if (r == RUN_MORE)
		tell_progress(st, out);
	else
		state_clear(st); /* before the sync that may tell expunges */
	return r;
}

static bool has_numbers(const struct imap_search_key *key)
{
	for (; key; key = key->next)
		if ((key->op == IMAP_SEARCH_SEQ && !key->set.saved) || has_numbers(key->kid))
			return true;
	return false;
}

int cmd_search(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	/* RFC 6855 section 3; SORT and THREAD always have one. */
	if (session_is_utf8(s) && s->run.cmd.kind == IMAP_CMD_SEARCH &&
	    s->run.cmd.search.charset.n > 0)
		return fail_set(why, FAIL_SYNTAX, "After UTF8=ACCEPT there is no charset.",
				"CHARSET");
	if (!charset_is_known(s->run.cmd.search.charset)) {
		forget_saved(s, -FAIL_UNSUPPORTED);
		reply_no(s, "BADCHARSET (US-ASCII UTF-8)", "Unknown charset.");
		return RUN_DONE;
	}
	if (s->run.cmd.search.uses_filters) {
		int f = search_filters(s, why);
		if (f != RUN_DONE) {
			forget_saved(s, f < 0 ? f : -FAIL_NOTFOUND);
			return f < 0 ? f : RUN_DONE;
		}
	}
	if (wants_scores(&s->run.cmd.search) && !s->run.cmd.search.uses_fuzzy)
		return fail_set(why, FAIL_SYNTAX, "RELEVANCY is for searches with FUZZY.",
				"RELEVANCY");
	if (session_is_uidonly(s) && has_numbers(s->run.cmd.search.key)) {
		reply_uid_required(s);
		return RUN_DONE;
	}
	if (!s->run.state && (s->run.cmd.search.returned & IMAP_RETURN_UPDATE) &&
	    context_exists(s, buf_str(&s->run.tag)))
		return fail_set(why, FAIL_SYNTAX, "A search with updates has this tag.", "tag");
	int r = search(s, out, why);
	if (r < 0)
		forget_saved(s, r);
	return r;
}
