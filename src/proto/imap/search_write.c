/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_write.c - what SEARCH found: counted, listed, saved, told.            [proto, imap]
 *
 * RFC 3501 7.2.5, ESEARCH of RFC 4731 and RFC 9051 7.3.4, SORT of RFC 5256 and ESORT of RFC 5267 3,
 * SAVE of RFC 5182, MODSEQ of RFC 7162 3.1.6 and 3.1.10. Only who asks for all messages makes the
 * list; for COUNT, MIN and MAX two messages and a number are kept, whatever the mailbox holds.
 */
#include "proto/imap/saved.h"
#include "proto/imap/search_int.h"

uint32_t search_returned(const struct imap_session *s)
{
	const struct imap_search *cmd = &s->run.cmd.search;
	if (cmd->extended)
		return cmd->returned;
	return session_is_rev2(s) && s->run.cmd.kind == IMAP_CMD_SEARCH ? IMAP_RETURN_ALL : 0;
}

/* RFC 9051 6.4.4.1, table 4, and RFC 9394 3.2, table 1: with MIN, MAX and PARTIAL alone only what
 * they tell is saved. */
static bool tells_some_only(uint32_t returned)
{
	return (returned & (IMAP_RETURN_MIN | IMAP_RETURN_MAX | IMAP_RETURN_PARTIAL)) &&
	       !(returned & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT));
}

static bool wants_list(const struct search_hits *h)
{
	uint32_t returned = h->returned;
	/* The ends of another order are known when all are there. */
	if (h->kind == IMAP_CMD_SORT && returned != IMAP_RETURN_COUNT)
		return true;
	if (returned == 0 || (returned & (IMAP_RETURN_ALL | IMAP_RETURN_PARTIAL |
					  IMAP_RETURN_UPDATE | IMAP_RETURN_RELEVANCY)))
		return true;
	return (returned & IMAP_RETURN_SAVE) && !tells_some_only(returned);
}

void search_hits_add(struct search_hits *h, const struct store_message *row, unsigned score)
{
	struct search_hit hit = {row->seq, row->uid, row->modseq, (uint8_t)score};
	if (h->count == 0 || row->seq < h->min.seq)
		h->min = hit;
	if (h->count == 0 || row->seq > h->max.seq)
		h->max = hit;
	h->count++;
	h->highest.v = MAX(h->highest.v, row->modseq.v);
	if (wants_list(h))
		*vec_push(&h->list) = hit;
}

static int by_seq(const void *a, const void *b)
{
	const struct search_hit *x = a, *y = b;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* The two passes bring an ascending list each. */
void search_hits_sort(struct search_hits *h)
{
	bool sorted = true;
	for (size_t i = 1; sorted && i < h->list.n; i++)
		sorted = h->list.p[i - 1].seq < h->list.p[i].seq;
	if (!sorted)
		qsort(h->list.p, h->list.n, sizeof *h->list.p, by_seq);
}

struct search_range search_partial(const struct search_hits *h)
{
	const struct imap_partial *p = &h->partial;
	size_t first = MIN(p->first, p->last), last = MIN(MAX(p->first, p->last), h->list.n);
	if (!p->given || first > h->list.n)
		return (struct search_range){0};
	size_t n = last - first + 1;
	return (struct search_range){p->from_end ? h->list.n - last : first - 1, n};
}

/* ---- saving ------------------------------------------------------------------------------ */

/* Ascending hits. */
static void save_list(struct saved_writer *w, const struct search_hit *hit, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t end = i + 1;
		while (end < n && hit[end].seq == hit[end - 1].seq + 1)
			end++;
		saved_add(w, hit[i].uid, hit[end - 1].uid);
		i = end;
	}
}

/* What MIN, MAX and PARTIAL tell, in the order of the mailbox and each once. */
static void save_some(struct saved_writer *w, const struct search_hits *h)
{
	struct search_range part = search_partial(h);
	struct search_hit *some = xcalloc(part.n + 2, sizeof *some);
	size_t n = part.n, kept = 0;
	if (n)
		memcpy(some, h->list.p + part.at, n * sizeof *some);
	if (h->count && (h->returned & IMAP_RETURN_MIN))
		some[n++] = h->min;
	if (h->count && (h->returned & IMAP_RETURN_MAX))
		some[n++] = h->max;
	if (n)
		qsort(some, n, sizeof *some, by_seq);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || some[kept - 1].seq != some[i].seq)
			some[kept++] = some[i];
	save_list(w, some, kept);
	free(some);
}

static int save(struct imap_session *s, struct search_hits *h)
{
	struct saved_writer w = {.out = &s->saved};
	buf_reset(&s->saved);
	if (tells_some_only(h->returned)) {
		save_some(&w, h);
	} else {
		search_hits_sort(h);
		save_list(&w, h->list.p, h->list.n);
	}
	if (!s->saved.failed)
		return RUN_DONE;
	buf_clear(&s->saved);
	reply_no(s, "NOTSAVED", "The result is too large to be saved.");
	return RUN_DONE;
}

/* ---- telling ------------------------------------------------------------------------------- */

static uint32_t number_of(const struct imap_session *s, struct search_hit hit)
{
	return s->run.cmd.uid ? hit.uid.v : hit.seq;
}

static void write_search(const struct imap_session *s, const struct search_hits *h, struct buf *b)
{
	buf_add_c(b, h->kind == IMAP_CMD_SORT ? "* SORT" : "* SEARCH");
	for (size_t i = 0; i < h->list.n; i++) {
		buf_addc(b, ' ');
		buf_add_u64(b, number_of(s, h->list.p[i]));
	}
	if (s->run.cmd.search.uses_modseq && h->count)
		buf_addf(b, " (MODSEQ %llu)", (unsigned long long)h->highest.v);
	buf_add(b, STR("\r\n"));
}

static void write_set(const struct imap_session *s, const struct search_hit *hit, size_t n,
		      struct buf *b)
{
	struct seqset_out set = {.out = b};
	for (size_t i = 0; i < n; i++)
		seqset_out_add(&set, number_of(s, hit[i]));
	seqset_out_end(&set);
}

static void write_all(const struct imap_session *s, const struct search_hits *h, struct buf *b)
{
	buf_add(b, STR(" ALL "));
	write_set(s, h->list.p, h->list.n, b);
}

/* RFC 9394 3.1: the range as it was asked for, and NIL where nothing is. */
static void write_partial(const struct imap_session *s, const struct search_hits *h, struct buf *b)
{
	const char *sign = h->partial.from_end ? "-" : "";
	struct search_range part = search_partial(h);
	buf_addf(b, " PARTIAL (%s%u:%s%u ", sign, h->partial.first, sign, h->partial.last);
	if (part.n)
		write_set(s, h->list.p + part.at, part.n, b);
	else
		buf_add(b, STR("NIL"));
	buf_addc(b, ')');
}

/* RFC 6203 section 4: of what is told, in its order; of all when that is only their number. */
static void write_relevancy(const struct search_hits *h, struct buf *b)
{
	struct search_range of = {0, h->list.n};
	buf_add(b, STR(" RELEVANCY ("));
	if (h->returned & IMAP_RETURN_PARTIAL) {
		of = search_partial(h);
	} else if (tells_some_only(h->returned)) {
		of.n = 0;
		if (h->returned & IMAP_RETURN_MIN)
			buf_addf(b, "%u%s", h->min.score, h->returned & IMAP_RETURN_MAX ? " " : "");
		if (h->returned & IMAP_RETURN_MAX)
			buf_addf(b, "%u", h->max.score);
	}
	for (size_t i = 0; i < of.n; i++)
		buf_addf(b, "%s%u", i ? " " : "", h->list.p[of.at + i].score);
	buf_addc(b, ')');
}

/* RFC 7162 3.1.10: of what is told; of all messages when all or their number are. */
static uint64_t modseq_of(const struct search_hits *h)
{
	struct search_range part = search_partial(h);
	if (!tells_some_only(h->returned))
		return h->highest.v;
	uint64_t min = h->returned & IMAP_RETURN_MIN ? h->min.modseq.v : 0;
	uint64_t max = h->returned & IMAP_RETURN_MAX ? h->max.modseq.v : 0;
	uint64_t highest = MAX(min, max);
	for (size_t i = part.at; i < part.at + part.n; i++)
		highest = MAX(highest, h->list.p[i].modseq.v);
	return highest;
}

static void write_esearch(const struct imap_session *s, const struct search_hits *h, struct buf *b)
{
	buf_addf(b, "* ESEARCH (TAG \"%.*s\"", STR_ARG(buf_str(&s->run.tag)));
	if (s->run.of.name.p) {
		buf_add(b, STR(" MAILBOX "));
		write_name(s, b, s->run.of.name);
		buf_addf(b, " UIDVALIDITY %u", s->run.of.uidvalidity);
	}
	buf_add_c(b, s->run.cmd.uid ? ") UID" : ")");
	if (h->count && (h->returned & IMAP_RETURN_MIN))
		buf_addf(b, " MIN %u", number_of(s, h->min));
	if (h->count && (h->returned & IMAP_RETURN_MAX))
		buf_addf(b, " MAX %u", number_of(s, h->max));
	if (h->count && (h->returned & IMAP_RETURN_ALL))
		write_all(s, h, b);
	if (h->returned & IMAP_RETURN_PARTIAL)
		write_partial(s, h, b);
	if (h->returned & IMAP_RETURN_COUNT)
		buf_addf(b, " COUNT %u", h->count);
	if (h->count && (h->returned & IMAP_RETURN_RELEVANCY))
		write_relevancy(h, b);
	if (h->count && s->run.cmd.search.uses_modseq)
		buf_addf(b, " MODSEQ %llu", (unsigned long long)modseq_of(h));
	buf_add(b, STR("\r\n"));
}

int search_tell(struct imap_session *s, struct search_hits *h, struct imap_out *out)
{
	if (h->kind == IMAP_CMD_SEARCH)
		search_hits_sort(h);
	if (h->returned == 0)
		write_search(s, h, &out->text);
	else if (h->returned != IMAP_RETURN_SAVE && (h->count || !s->run.of.name.p))
		write_esearch(s, h, &out->text);
	return h->returned & IMAP_RETURN_SAVE ? save(s, h) : RUN_DONE;
}
