/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_search.c - SEARCH and UID SEARCH (RFC 3501 6.4.4, MODSEQ of RFC 7162 3.1.5).  [proto, imap]
 *
 * The first pass goes through the mailbox map in memory; only messages that it leaves open are
 * read in a second one.
 */
#include "base/vec.h"
#include "proto/imap/search_int.h"
#include "sys/log.h"

struct hit {
	uint32_t seq;
	struct uid uid;
	struct modseq modseq;
};

struct search {
	struct imap_session *s;
	struct search_tree tree;
	struct set_builder open; /* not decided by the first pass */
	VEC(struct hit) hits;
};

static void add_hit(struct search *x, const struct store_message *row)
{
	*vec_push(&x->hits) = (struct hit){row->seq, row->uid, row->modseq};
}

static int look_in_memory(struct search *x, struct fail *why)
{
	struct imap_session *s = x->s;
	AUTO(store_reader) struct store_reader *reader = NULL;
	struct store_message row;
	struct store_set all;
	int r = store_view_all(s->view, &s->run.arena, &all, why);
	if (r < 0 || all.count == 0)
		return r;
	r = store_read_begin(s->view, &all, 0, (struct modseq){0}, &reader, why);
	while (r >= 0 && (r = store_read_next(reader, &row, why)) > 0) {
		enum search_verdict verdict = SEARCH_NO;
		struct msg m = {.s = s, .row = &row, .body = STORE_SOURCE_INIT};
		r = search_eval(&x->tree, &m, x->tree.key, SEARCH_MEMORY, &verdict, why);
		if (verdict == SEARCH_YES)
			add_hit(x, &row);
		else if (verdict == SEARCH_OPEN)
			r = set_builder_add(&x->open, row.seq, row.uid, why);
	}
	return r;
}

/* A message that cannot be read matches nothing; a store that does not work fails the command. */
static int is_unreadable(const struct search *x, const struct store_message *row, int r,
			 const struct fail *why)
{
	if (r != -FAIL_GONE && r != -FAIL_NOTFOUND && r != -FAIL_CORRUPT && r != -FAIL_UNSUPPORTED)
		return r;
	log_event(LOG_WARN, "imap.search_skipped", log_c("user", x->s->address),
		  log_u64("uid", row->uid.v), log_fail(why));
	return 0;
}

static int look_at(struct search *x, const struct store_message *row, struct fail *why)
{
	enum search_verdict verdict = SEARCH_OPEN;
	struct msg m;
	msg_begin(&m, x->s, row);
	int r = search_eval(&x->tree, &m, x->tree.key, SEARCH_ROW, &verdict, why);
	if (r == 0 && verdict == SEARCH_OPEN)
		r = search_eval(&x->tree, &m, x->tree.key, SEARCH_BYTES, &verdict, why);
	msg_end(&m);
	if (r < 0)
		return is_unreadable(x, row, r, why);
	if (verdict == SEARCH_YES)
		add_hit(x, row);
	return 0;
}

static int look_at_rows(struct search *x, struct fail *why)
{
	AUTO(store_reader) struct store_reader *reader = NULL;
	struct store_message row;
	if (x->open.set.count == 0)
		return 0;
	int r = store_read_begin(x->s->view, &x->open.set, x->tree.columns, (struct modseq){0},
				 &reader, why);
	while (r >= 0 && (r = store_read_next(reader, &row, why)) > 0)
		r = look_at(x, &row, why);
	return r;
}

static int by_seq(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

static void write_hits(struct search *x, struct imap_out *out)
{
	struct modseq highest = {0};
	if (x->hits.n)
		qsort(x->hits.p, x->hits.n, sizeof *x->hits.p, by_seq);
	buf_add(&out->text, STR("* SEARCH"));
	for (size_t i = 0; i < x->hits.n; i++) {
		const struct hit *hit = &x->hits.p[i];
		buf_addc(&out->text, ' ');
		buf_add_u64(&out->text, x->s->run.cmd.uid ? hit->uid.v : hit->seq);
		highest.v = MAX(highest.v, hit->modseq.v);
	}
	if (x->s->run.cmd.search.uses_modseq && x->hits.n)
		buf_addf(&out->text, " (MODSEQ %llu)", (unsigned long long)highest.v);
	buf_add(&out->text, STR("\r\n"));
}

static bool charset_is_known(struct str charset)
{
	return charset.n == 0 || str_eqi(charset, STR("US-ASCII")) ||
	       str_eqi(charset, STR("ASCII")) || str_eqi(charset, STR("UTF-8"));
}

int cmd_search(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_search *cmd = &s->run.cmd.search;
	struct search x = {.s = s, .open = {.arena = &s->run.arena}};
	if (!charset_is_known(cmd->charset)) {
		reply_no(s, "BADCHARSET (US-ASCII UTF-8)", "Unknown charset.");
		return RUN_DONE;
	}
	if (cmd->uses_modseq)
		condstore_enable(s, out);
	int r = search_tree_init(&x.tree, s, cmd->key, why);
	if (r == 0)
		r = look_in_memory(&x, why);
	if (r == 0)
		r = look_at_rows(&x, why);
	if (r == 0)
		write_hits(&x, out);
	search_tree_clear(&x.tree);
	vec_clear(&x.hits);
	return r;
}
