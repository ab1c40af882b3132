/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/order/order_int.h"

struct item {
	uint64_t head; /* of the first criterion; it decides most comparisons */
	uint32_t row;
	uint32_t index;
};

struct sorting {
	const struct order_table *t;
	const struct order_by *by;
	size_t n_by;
};

static uint32_t text_number(const struct order_row *r, enum order_criterion what)
{
	switch (what) {
	case ORDER_CC:
		return r->cc;
	case ORDER_DISPLAYFROM:
		return r->display_from;
	case ORDER_DISPLAYTO:
		return r->display_to;
	case ORDER_FROM:
		return r->from;
	case ORDER_SUBJECT:
		return r->subject;
	case ORDER_TO:
		return r->to;
	case ORDER_ARRIVAL:
	case ORDER_DATE:
	case ORDER_SIZE:
	case ORDER_RELEVANCY:
	case ORDER_CRITERION_COUNT:
		break;
	}
	return 0;
}

static bool is_number(enum order_criterion what)
{
	return what == ORDER_ARRIVAL || what == ORDER_DATE || what == ORDER_SIZE ||
	       what == ORDER_RELEVANCY;
}

/* Does the head say all of this criterion? */
static bool head_is_all(const struct order_table *t, enum order_criterion what)
{
	return is_number(what) || order_is_ranked(t);
}

/* A number that grows with the message's place by this criterion. */
static uint64_t head_of(const struct order_table *t, const struct item *item,
			const struct order_by *by)
{
	const struct order_row *r = &t->rows.p[item->row];
	uint64_t head = 0;
	if (by->what == ORDER_RELEVANCY)
		head = UINT8_MAX - by->score[item->index];
	else if (by->what == ORDER_SIZE)
		head = r->size;
	else if (is_number(by->what))
		head = (uint64_t)(by->what == ORDER_DATE ? r->sent : r->arrival) ^ UINT64_C(1)
											   << 63;
	else if (order_is_ranked(t))
		head = t->rank.p[text_number(r, by->what)];
	else
		head = t->texts.p[text_number(r, by->what)].head;
	return by->reverse ? ~head : head;
}

static int by_criterion(const struct order_table *t, const struct item *x, const struct item *y,
			const struct order_by *by)
{
	const struct order_row *rows = t->rows.p;
	if (head_is_all(t, by->what)) {
		uint64_t a = head_of(t, x, by), b = head_of(t, y, by);
		return (a > b) - (a < b);
	}
	int c = order_text_cmp(t, text_number(&rows[x->row], by->what),
			       text_number(&rows[y->row], by->what));
	return by->reverse ? -c : c;
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct item *x = a, *y = b;
	const struct sorting *s = arg;
	if (x->head != y->head)
		return x->head < y->head ? -1 : 1;
	for (size_t i = head_is_all(s->t, s->by[0].what); i < s->n_by; i++) {
		int c = by_criterion(s->t, x, y, &s->by[i]);
		if (c)
			return c;
	}
	return (x->index > y->index) - (x->index < y->index);
}

/* ---- ranks --------------------------------------------------------------------------------- */

/* So many new texts are put in one by one; more are sorted with all others. */
#define ONE_BY_ONE 32

static int compare_texts(const void *a, const void *b, void *arg)
{
	return order_text_cmp(arg, *(const uint32_t *)a, *(const uint32_t *)b);
}

static void insert_text(struct order_table *t, uint32_t number)
{
	size_t low = 0, high = t->ranked.n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (order_text_cmp(t, t->ranked.p[mid], number) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	(void)vec_push(&t->ranked);
	memmove(&t->ranked.p[low + 1], &t->ranked.p[low],
		(t->ranked.n - 1 - low) * sizeof *t->ranked.p);
	t->ranked.p[low] = number;
}

void order_table_rank(struct order_table *t)
{
	size_t known = t->ranked.n, n = t->texts.n;
	if (known == n)
		return;
	vec_reserve(&t->ranked, n);
	vec_reserve(&t->rank, n);
	for (size_t i = known; i < n; i++) {
		if (n - known <= ONE_BY_ONE)
			insert_text(t, (uint32_t)i);
		else
			*vec_push(&t->ranked) = (uint32_t)i;
	}
	if (n - known > ONE_BY_ONE)
		qsort_r(t->ranked.p, n, sizeof *t->ranked.p, compare_texts, t);
	for (size_t i = 0; i < n; i++)
		t->rank.p[t->ranked.p[i]] = (uint32_t)i;
	t->rank.n = n;
}

/* ---- messages ------------------------------------------------------------------------------ */

void order_sort(const struct order_table *t, const struct order_by *by, size_t n_by,
		const uint32_t *uid, size_t n, uint32_t *ret)
{
	struct sorting s = {t, by, n_by};
	if (n == 0)
		return;
	CHECK(n_by > 0 && n <= UINT32_MAX);
	struct item *items = xcalloc(n, sizeof *items);
	order_rows_find(t, uid, n, ret);
	for (size_t i = 0; i < n; i++) {
		items[i] = (struct item){.row = ret[i], .index = (uint32_t)i};
		items[i].head = head_of(t, &items[i], by);
	}
	qsort_r(items, n, sizeof *items, compare, &s);
	for (size_t i = 0; i < n; i++)
		ret[i] = items[i].index;
	free(items);
}
