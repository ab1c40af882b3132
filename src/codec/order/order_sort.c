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
	case ORDER_CRITERION_COUNT:
		break;
	}
	return 0;
}

/* Does the head say all of this criterion? */
static bool is_number(enum order_criterion what)
{
	return what == ORDER_ARRIVAL || what == ORDER_DATE || what == ORDER_SIZE;
}

/* A number that grows with the message's place by this criterion. */
static uint64_t head_of(const struct order_table *t, const struct order_row *r,
			const struct order_by *by)
{
	uint64_t head = 0;
	if (by->what == ORDER_SIZE)
		head = r->size;
	else if (is_number(by->what))
		head = (uint64_t)(by->what == ORDER_DATE ? r->sent : r->arrival) ^ UINT64_C(1)
											   << 63;
	else
		head = t->texts.p[text_number(r, by->what)].head;
	return by->reverse ? ~head : head;
}

static int by_criterion(const struct order_table *t, const struct order_row *x,
			const struct order_row *y, const struct order_by *by)
{
	if (is_number(by->what)) {
		uint64_t a = head_of(t, x, by), b = head_of(t, y, by);
		return (a > b) - (a < b);
	}
	int c = order_text_cmp(t, text_number(x, by->what), text_number(y, by->what));
	return by->reverse ? -c : c;
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct item *x = a, *y = b;
	const struct sorting *s = arg;
	if (x->head != y->head)
		return x->head < y->head ? -1 : 1;
	for (size_t i = is_number(s->by[0].what); i < s->n_by; i++) {
		int c = by_criterion(s->t, &s->t->rows.p[x->row], &s->t->rows.p[y->row], &s->by[i]);
		if (c)
			return c;
	}
	return (x->index > y->index) - (x->index < y->index);
}

void order_sort(const struct order_table *t, const struct order_by *by, size_t n_by,
		const uint32_t *uid, size_t n, uint32_t *ret)
{
	struct sorting s = {t, by, n_by};
	if (n == 0)
		return;
	CHECK(n_by > 0 && n <= UINT32_MAX);
	struct item *items = xcalloc(n, sizeof *items);
	order_rows_find(t, uid, n, ret);
	for (size_t i = 0; i < n; i++)
		items[i] = (struct item){head_of(t, &t->rows.p[ret[i]], by), ret[i], (uint32_t)i};
	qsort_r(items, n, sizeof *items, compare, &s);
	for (size_t i = 0; i < n; i++)
		ret[i] = items[i].index;
	free(items);
}
