/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_order.c - what SORT and THREAD found, in their order (RFC 5256).       [proto, imap]
 */
#include "proto/imap/search_int.h"
#include "service/store/store_order.h"

struct search_order {
	uint32_t *uid; /* of all hits, ascending */
	struct store_order *keys;
};

void search_order_free(struct search_order *order)
{
	if (!order)
		return;
	store_order_end(order->keys);
	free(order->uid);
	free(order);
}

static bool sorts_by_text(const struct imap_session *s)
{
	const struct imap_search *cmd = &s->run.cmd.search;
	for (size_t i = 0; i < cmd->sort_count; i++)
		if (cmd->sort[i].by != IMAP_SORT_ARRIVAL && cmd->sort[i].by != IMAP_SORT_DATE &&
		    cmd->sort[i].by != IMAP_SORT_SIZE && cmd->sort[i].by != IMAP_SORT_RELEVANCY)
			return true;
	return false;
}

static int begin(struct imap_session *s, struct search_hits *h, struct search_order **ret,
		 struct fail *why)
{
	struct search_order *order = xcalloc(1, sizeof *order);
	*ret = order;
	search_hits_sort(h);
	order->uid = xcalloc(h->list.n + 1, sizeof *order->uid);
	for (size_t i = 0; i < h->list.n; i++)
		order->uid[i] = h->list.p[i].uid.v;
	if (h->list.n == 0)
		return 0;
	return store_order_begin(s->view, order->uid, h->list.n, sorts_by_text(s), &order->keys,
				 why);
}

static const enum order_criterion criteria[] = {
	[IMAP_SORT_ARRIVAL] = ORDER_ARRIVAL,
	[IMAP_SORT_CC] = ORDER_CC,
	[IMAP_SORT_DATE] = ORDER_DATE,
	[IMAP_SORT_DISPLAYFROM] = ORDER_DISPLAYFROM,
	[IMAP_SORT_DISPLAYTO] = ORDER_DISPLAYTO,
	[IMAP_SORT_FROM] = ORDER_FROM,
	[IMAP_SORT_SIZE] = ORDER_SIZE,
	[IMAP_SORT_SUBJECT] = ORDER_SUBJECT,
	[IMAP_SORT_TO] = ORDER_TO,
	[IMAP_SORT_RELEVANCY] = ORDER_RELEVANCY,
};

struct order_by *search_order_by(const struct imap_search *cmd, struct arena *arena,
				 const uint8_t *score)
{
	struct order_by *by = arena_array(arena, struct order_by, cmd->sort_count);
	for (size_t i = 0; by && i < cmd->sort_count; i++)
		by[i] = (struct order_by){criteria[cmd->sort[i].by], cmd->sort[i].reverse, score};
	return by;
}

static int sort_hits(struct imap_session *s, struct search_hits *h, struct search_order *order,
		     struct fail *why)
{
	const struct imap_search *cmd = &s->run.cmd.search;
	size_t n = h->list.n;
	AUTO_MEM uint8_t *score = xcalloc(n, sizeof *score);
	struct order_by *by = search_order_by(cmd, &s->run.arena, score);
	if (!by)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	for (size_t i = 0; i < n; i++)
		score[i] = h->list.p[i].score;
	uint32_t *index = xcalloc(n, sizeof *index);
	struct search_hit *sorted = xcalloc(n, sizeof *sorted);
	order_sort(store_order_lock(order->keys), by, cmd->sort_count, order->uid, n, index);
	store_order_unlock(order->keys);
	for (size_t i = 0; i < n; i++)
		sorted[i] = h->list.p[index[i]];
	memcpy(h->list.p, sorted, n * sizeof *sorted);
	h->min = sorted[0];
	h->max = sorted[n - 1];
	free(sorted);
	free(index);
	return RUN_DONE;
}

static const enum order_thread algorithms[] = {
	[IMAP_THREAD_ORDEREDSUBJECT] = ORDER_THREAD_ORDEREDSUBJECT,
	[IMAP_THREAD_REFERENCES] = ORDER_THREAD_REFERENCES,
	[IMAP_THREAD_REFS] = ORDER_THREAD_REFS,
};

static void write_threads(const struct imap_session *s, const struct search_hits *h,
			  struct search_order *order, struct buf *out)
{
	size_t n = h->list.n;
	if (n == 0)
		return;
	uint32_t *number = xcalloc(n, sizeof *number);
	for (size_t i = 0; i < n; i++)
		number[i] = s->run.cmd.uid ? h->list.p[i].uid.v : h->list.p[i].seq;
	(void)buf_addc(out, ' ');
	order_thread_write(store_order_lock(order->keys), algorithms[s->run.cmd.search.thread],
			   order->uid, number, n, out);
	store_order_unlock(order->keys);
	free(number);
}

int search_order_step(struct imap_session *s, struct search_hits *h, struct search_order **order,
		      struct imap_out *out, struct fail *why)
{
	bool sorts = h->kind == IMAP_CMD_SORT;
	int r = *order ? 0 : begin(s, h, order, why);
	if (r == 0 && (*order)->keys)
		r = store_order_step((*order)->keys, why);
	if (r < 0)
		return r;
	if (r > 0)
		return RUN_MORE;
	if (sorts)
		return h->list.n ? sort_hits(s, h, *order, why) : RUN_DONE;
	(void)buf_add(&out->text, STR("* THREAD"));
	write_threads(s, h, *order, &out->text);
	(void)buf_add(&out->text, STR("\r\n"));
	return RUN_DONE;
}
