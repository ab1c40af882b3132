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

/* RFC 9051 6.4.4.1, table 4: with MIN and MAX alone only these are saved. */
static bool saves_ends_only(uint32_t returned)
{
	return (returned & (IMAP_RETURN_MIN | IMAP_RETURN_MAX)) &&
	       !(returned & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT));
}

static bool wants_list(const struct search_hits *h)
{
	uint32_t returned = h->returned;
	/* The ends of another order are known when all are there. */
	if (h->kind == IMAP_CMD_SORT && returned != IMAP_RETURN_COUNT)
		return true;
	if (returned == 0 || (returned & IMAP_RETURN_ALL))
		return true;
	return (returned & IMAP_RETURN_SAVE) && !saves_ends_only(returned);
}

void search_hits_add(struct search_hits *h, const struct store_message *row)
{
	struct search_hit hit = {row->seq, row->uid, row->modseq};
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

/* ---- saving ------------------------------------------------------------------------------ */

static void save_list(struct saved_writer *w, struct search_hits *h)
{
	search_hits_sort(h);
	for (size_t i = 0; i < h->list.n;) {
		size_t end = i + 1;
		while (end < h->list.n && h->list.p[end].seq == h->list.p[end - 1].seq + 1)
			end++;
		saved_add(w, h->list.p[i].uid, h->list.p[end - 1].uid);
		i = end;
	}
}

static void save_ends(struct saved_writer *w, const struct search_hits *h)
{
	struct uid min = h->returned & IMAP_RETURN_MIN ? h->min.uid : h->max.uid;
	struct uid max = h->returned & IMAP_RETURN_MAX ? h->max.uid : h->min.uid;
	if (h->count == 0)
		return;
	/* In the order of SORT the first one may come later in the mailbox. */
	saved_add(w, (struct uid){MIN(min.v, max.v)}, (struct uid){MIN(min.v, max.v)});
	if (min.v != max.v)
		saved_add(w, (struct uid){MAX(min.v, max.v)}, (struct uid){MAX(min.v, max.v)});
}

static int save(struct imap_session *s, struct search_hits *h)
{
	struct saved_writer w = {.out = &s->saved};
	buf_reset(&s->saved);
	if (saves_ends_only(h->returned))
		save_ends(&w, h);
	else
		save_list(&w, h);
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

static void write_all(const struct imap_session *s, const struct search_hits *h, struct buf *b)
{
	struct seqset_out set = {.out = b};
	buf_add(b, STR(" ALL "));
	for (size_t i = 0; i < h->list.n; i++)
		seqset_out_add(&set, number_of(s, h->list.p[i]));
	seqset_out_end(&set);
}

/* RFC 7162 3.1.10: of what is told; of all messages when all or their number are. */
static uint64_t modseq_of(const struct search_hits *h)
{
	if (!saves_ends_only(h->returned))
		return h->highest.v;
	uint64_t min = h->returned & IMAP_RETURN_MIN ? h->min.modseq.v : 0;
	uint64_t max = h->returned & IMAP_RETURN_MAX ? h->max.modseq.v : 0;
	return MAX(min, max);
}

static void write_esearch(const struct imap_session *s, const struct search_hits *h, struct buf *b)
{
	buf_addf(b, "* ESEARCH (TAG \"%.*s\")%s", STR_ARG(buf_str(&s->run.tag)),
		 s->run.cmd.uid ? " UID" : "");
	if (h->count && (h->returned & IMAP_RETURN_MIN))
		buf_addf(b, " MIN %u", number_of(s, h->min));
	if (h->count && (h->returned & IMAP_RETURN_MAX))
		buf_addf(b, " MAX %u", number_of(s, h->max));
	if (h->count && (h->returned & IMAP_RETURN_ALL))
		write_all(s, h, b);
	if (h->returned & IMAP_RETURN_COUNT)
		buf_addf(b, " COUNT %u", h->count);
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
	else if (h->returned != IMAP_RETURN_SAVE)
		write_esearch(s, h, &out->text);
	return h->returned & IMAP_RETURN_SAVE ? save(s, h) : RUN_DONE;
}
