/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context_update.c - what came into a context and what left it (RFC 5267 4.3).   [proto, imap]
 *
 * REMOVEFROM for expunged messages comes before they are told, when their numbers still mean them;
 * everything else after the news. Places are told for SORT only. What leaves is told from the last
 * place to the first and what comes from the first to the last, so that every place is right when
 * the client comes to it.
 */
#include "proto/imap/context.h"
#include "service/store/store_order.h"
#include "sys/clock.h"
#include "sys/log.h"

/* Changed messages of which the rows or bytes have to be read, in one update. */
#define OPEN_MAX 2000
/* They hold a thread; what is not done then ends with NOUPDATE. A search has more time, in turns.
 */
#define UPDATE_MAX_NS (5 * SEC_NS)

struct changed {
	uint32_t uid, seq;
	bool matches;
	bool was_there;
};

struct update {
	struct imap_session *s;
	int64_t deadline; /* mono ns; of all contexts together */
	struct context *c;
	struct arena arena; /* of the program */
	struct imap_cmd cmd;
	struct search_tree tree;
	uint32_t *uid; /* the list */
	size_t n;
	VEC(struct changed) changed; /* ascending by UID */
};

static void update_clear(struct update *u)
{
	search_tree_clear(&u->tree);
	vec_clear(&u->changed);
	free(u->uid);
	arena_clear(&u->arena);
}

static int update_init(struct update *u, struct imap_session *s, struct context *c,
		       struct fail *why)
{
	*u = (struct update){.s = s, .c = c, .arena = ARENA_INIT(MIB(1)), .deadline = INT64_MAX};
	struct imap_input in = {.text = buf_str(&c->program)};
	int r = imap_cmd_parse(&in, &s->config.limits, &u->arena, &u->cmd, why);
	if (r == 0 && !context_list_get(buf_str(&c->list), &u->uid, &u->n))
		r = fail_set(why, FAIL_BUG, NULL, "a context's list is broken");
	return r;
}

static bool is_sorted(const struct update *u)
{
	return u->cmd.kind == IMAP_CMD_SORT;
}

static struct changed *find(const struct update *u, uint32_t uid)
{
	size_t i = vec_lower(&u->changed, .uid, uid);
	return i < u->changed.n && u->changed.p[i].uid == uid ? &u->changed.p[i] : NULL;
}

/* ---- telling ----------------------------------------------------------------------------------
 */

static uint32_t number_of(const struct update *u, const struct changed *m)
{
	return u->cmd.uid ? m->uid : m->seq;
}

static void write_head(const struct update *u, struct buf *b)
{
	buf_addf(b, "* ESEARCH (TAG \"%.*s\")%s", STR_ARG(buf_str(&u->c->tag)),
		 u->cmd.uid ? " UID" : "");
}

/* Pairs of a place and what is there: [from, to) of a list, one run of them. */
static void write_run(const struct update *u, const uint32_t *uid, size_t from, size_t to,
		      struct buf *b)
{
	struct seqset_out set = {.out = b};
	buf_addf(b, "%s%zu ", b->p[b->n - 1] == '(' ? "" : " ", is_sorted(u) ? from + 1 : 0);
	for (size_t i = from; i < to; i++)
		seqset_out_add(&set, number_of(u, find(u, uid[i])));
	seqset_out_end(&set);
}

static bool goes(const struct update *u, uint32_t uid)
{
	const struct changed *m = find(u, uid);
	return m && m->was_there && !m->matches;
}

static bool comes(const struct update *u, uint32_t uid)
{
	const struct changed *m = find(u, uid);
	return m && !m->was_there && m->matches;
}

static void write_removed(const struct update *u, struct buf *b)
{
	buf_add(b, STR(" REMOVEFROM ("));
	for (size_t end = u->n; end > 0;) {
		size_t from = end;
		while (from > 0 && goes(u, u->uid[from - 1]))
			from--;
		if (from < end)
			write_run(u, u->uid, from, end, b);
		end = from < end ? from : end - 1;
	}
	buf_addc(b, ')');
}

static void write_added(const struct update *u, const uint32_t *uid, size_t n, struct buf *b)
{
	buf_add(b, STR(" ADDTO ("));
	for (size_t from = 0; from < n;) {
		size_t end = from;
		while (end < n && comes(u, uid[end]))
			end++;
		if (end > from)
			write_run(u, uid, from, end, b);
		from = end > from ? end : from + 1;
	}
	buf_addc(b, ')');
}

/* SEARCH: one set, in the order of the mailbox. */
static void write_plain(const struct update *u, const char *what,
			bool (*which)(const struct update *u, uint32_t uid), struct buf *b)
{
	struct seqset_out set = {.out = b};
	buf_addf(b, " %s (0 ", what);
	for (size_t i = 0; i < u->changed.n; i++)
		if (which(u, u->changed.p[i].uid))
			seqset_out_add(&set, number_of(u, &u->changed.p[i]));
	seqset_out_end(&set);
	buf_addc(b, ')');
}

/* What goes and what comes; `uid` is the list as it will be. */
static void tell(const struct update *u, const uint32_t *uid, size_t n, struct buf *b)
{
	size_t removed = 0, added = 0;
	for (size_t i = 0; i < u->changed.n; i++) {
		removed += goes(u, u->changed.p[i].uid);
		added += comes(u, u->changed.p[i].uid);
	}
	if (removed + added == 0)
		return;
	write_head(u, b);
	if (removed && is_sorted(u))
		write_removed(u, b);
	else if (removed)
		write_plain(u, "REMOVEFROM", goes, b);
	if (added && is_sorted(u))
		write_added(u, uid, n, b);
	else if (added)
		write_plain(u, "ADDTO", comes, b);
	buf_add(b, STR("\r\n"));
}

/* ---- expunged messages ------------------------------------------------------------------------
 */

/* What stays of the list. */
static size_t without_removed(const struct update *u, uint32_t *kept)
{
	size_t n = 0;
	for (size_t i = 0; i < u->n; i++)
		if (!goes(u, u->uid[i]))
			kept[n++] = u->uid[i];
	return n;
}

static int mark_members(struct update *u)
{
	int found = 0;
	for (size_t i = 0; i < u->n; i++) {
		struct changed *m = find(u, u->uid[i]);
		if (m)
			m->was_there = true;
		found += m != NULL;
	}
	return found;
}

static int expunge(struct update *u, const struct store_changes *changes, struct imap_out *out)
{
	for (size_t i = 0; i < changes->n_expunged; i++)
		*vec_push(&u->changed) = (struct changed){.uid = changes->expunged_uids[i].v,
							  .seq = changes->expunged[i]};
	if (mark_members(u) == 0)
		return 0;
	uint32_t *kept = xcalloc(u->n, sizeof *kept);
	size_t n = without_removed(u, kept);
	tell(u, kept, n, &out->text);
	bool fits = context_keep(u->s, u->c, kept, n);
	free(kept);
	return fits ? 0 : -FAIL_LIMIT;
}

void contexts_expunged(struct imap_session *s, const struct store_changes *changes,
		       struct imap_out *out)
{
	for (size_t i = s->contexts.n; changes->n_expunged && i-- > 0;) {
		struct fail why = FAIL_INIT;
		struct update u;
		int r = update_init(&u, s, &s->contexts.p[i], &why);
		if (r == 0)
			r = expunge(&u, changes, out);
		update_clear(&u);
		if (r < 0)
			context_end(s, i, out, "The result cannot be followed further.");
	}
}

/* ---- changed and new messages -----------------------------------------------------------------
 */

static int check_time(const struct update *u, struct fail *why)
{
	if (clock_mono().v < u->deadline)
		return 0;
	return fail_set(why, FAIL_LIMIT, NULL, "an update takes too long");
}

static int look_at_open(struct update *u, const struct store_set *open, struct fail *why)
{
	AUTO(store_reader) struct store_reader *reader = NULL;
	struct store_message row;
	if (open->count == 0)
		return 0;
	if (open->count > OPEN_MAX)
		return fail_set(why, FAIL_LIMIT, NULL, "%u messages to read", open->count);
	int r = store_read_begin(u->s->view, open, u->tree.columns, (struct modseq){0}, &reader,
				 why);
	while (r >= 0 && (r = store_read_next(reader, &row, why)) > 0) {
		unsigned matches = 0;
		r = check_time(u, why);
		if (r == 0)
			r = search_match(u->s, &u->tree, &row, &matches, why);
		find(u, row.uid.v)->matches = matches > 0;
	}
	return r;
}

/* Every message that changed since, and whether it matches now. */
static int look(struct update *u, struct fail *why)
{
	struct imap_session *s = u->s;
	struct set_builder open = {.arena = &u->arena};
	AUTO(store_reader) struct store_reader *reader = NULL;
	struct store_message row;
	struct store_set all;
	int r = store_view_all(s->view, &u->arena, &all, why);
	if (r < 0 || all.count == 0)
		return r;
	r = store_read_begin(s->view, &all, 0, (struct modseq){u->c->modseq}, &reader, why);
	while (r >= 0 && (r = store_read_next(reader, &row, why)) > 0) {
		enum search_verdict verdict = SEARCH_NO;
		struct msg m = {.s = s, .row = &row, .body = STORE_SOURCE_INIT};
		r = search_eval(&u->tree, &m, u->tree.key, SEARCH_MEMORY, &verdict, why);
		*vec_push(&u->changed) = (struct changed){
			.uid = row.uid.v, .seq = row.seq, .matches = verdict == SEARCH_YES};
		if (r >= 0 && verdict == SEARCH_OPEN)
			r = set_builder_add(&open, row.seq, row.uid, why);
	}
	return r < 0 ? r : look_at_open(u, &open.set, why);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* In the order that the command asks for; the UIDs are ascending. */
static int put_in_order(struct update *u, uint32_t *uid, size_t n, struct fail *why)
{
	AUTO(store_order) struct store_order *keys = NULL;
	const struct imap_search *cmd = &u->cmd.search;
	if (!is_sorted(u) || n == 0)
		return 0;
	int r = store_order_begin(u->s->view, uid, n, false, &keys, why);
	while (r == 0 && (r = store_order_step(keys, why)) > 0)
		r = check_time(u, why);
	if (r < 0)
		return r;
	struct order_by *by = search_order_by(cmd, &u->arena, NULL);
	if (!by)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	uint32_t *index = xcalloc(n, sizeof *index), *sorted = xcalloc(n, sizeof *sorted);
	order_sort(store_order_lock(keys), by, cmd->sort_count, uid, n, index);
	store_order_unlock(keys);
	for (size_t i = 0; i < n; i++)
		sorted[i] = uid[index[i]];
	memcpy(uid, sorted, n * sizeof *uid);
	free(index);
	free(sorted);
	return 0;
}

static int apply(struct update *u, struct imap_out *out, struct fail *why)
{
	(void)mark_members(u);
	uint32_t *uid = xcalloc(u->n + u->changed.n + 1, sizeof *uid);
	size_t n = without_removed(u, uid), before = n;
	for (size_t i = 0; i < u->changed.n; i++)
		if (comes(u, u->changed.p[i].uid))
			uid[n++] = u->changed.p[i].uid;
	int r = 0;
	if (n != before || n != u->n) {
		qsort(uid, n, sizeof *uid, by_number);
		r = put_in_order(u, uid, n, why);
		if (r == 0)
			tell(u, uid, n, &out->text);
		if (r == 0 && !context_keep(u->s, u->c, uid, n))
			r = fail_set(why, FAIL_LIMIT, NULL, "a context has grown too large");
	}
	free(uid);
	return r;
}

static int update_one(struct imap_session *s, struct context *c, int64_t deadline,
		      struct imap_out *out, struct fail *why)
{
	struct update u;
	int r = update_init(&u, s, c, why);
	u.deadline = deadline;
	if (r == 0)
		r = search_tree_init(&u.tree, s, u.cmd.search.key, why);
	if (r == 0)
		r = look(&u, why);
	if (r == 0)
		r = apply(&u, out, why);
	update_clear(&u);
	return r;
}

void contexts_update(struct imap_session *s, struct imap_out *out)
{
	int64_t deadline = clock_mono().v + UPDATE_MAX_NS;
	if (s->config.search_max_ms && s->config.search_max_ms < UPDATE_MAX_NS / MS_NS)
		deadline = clock_mono().v + (int64_t)s->config.search_max_ms * MS_NS;
	for (size_t i = s->contexts.n; s->view && i-- > 0;) {
		struct context *c = &s->contexts.p[i];
		uint64_t now = store_view_get_info(s->view)->highestmodseq.v;
		struct fail why = FAIL_INIT;
		if (now <= c->modseq)
			continue;
		int r = update_one(s, c, deadline, out, &why);
		c->modseq = now;
		if (r >= 0)
			continue;
		log_event(LOG_INFO, "imap.context_ended", log_c("user", s->address),
			  log_fail(&why));
		context_end(s, i, out, "The result cannot be followed further.");
	}
}
