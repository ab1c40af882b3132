/* SPDX-License-Identifier: Apache-2.0 */
/* orders_int.h - between the files order_*.c.                                   [service/policy] */
#ifndef BARID_SERVICE_POLICY_ORDERS_INT_H
#define BARID_SERVICE_POLICY_ORDERS_INT_H

#include "service/policy/orders.h"
#include "service/policy/policy_int.h"

#define ORDER_WORDS_MAX	  16u
#define ORDER_OPTIONS_MAX 24u
#define ORDER_ROWS_MAX	  50000u

/* An order under way. */
struct order {
	struct policy *p;
	const struct policy_order *o;
	struct arena *a;
	struct policy_answer *ret;
	struct fail *why;
	struct str word[ORDER_WORDS_MAX]; /* positional, the verb first */
	size_t words;
	struct {
		struct str key, value; /* without the dashes */
		bool used;
	} option[ORDER_OPTIONS_MAX];
	size_t options;
	void *context; /* of order_select's function */
};
typedef int order_fn(struct order *x);
order_fn order_test, order_greylist, order_throttle, order_wblist, order_rdns, order_what_if;

MUST_CHECK int order_usage(struct order *x);
MUST_CHECK int order_global(struct order *x); /* FAIL_PERM for all but a global administrator */
/* The value of --key; NULL: it was not said. */
struct str order_option(struct order *x, const char *key);
/* All that was said was of use. */
MUST_CHECK int order_understood(struct order *x);
/* "90", "15min", "2h"; "10MiB". Missing: *ret stays. */
MUST_CHECK int order_seconds(struct order *x, const char *key, int64_t *ret);
MUST_CHECK int order_octets(struct order *x, const char *key, int64_t *ret);
MUST_CHECK int order_number(struct order *x, const char *key, int64_t *ret);
/* A key that rows may have, normal; and may this administrator touch rows of it? */
MUST_CHECK int order_key(struct order *x, struct str text, struct str *ret);
MUST_CHECK int order_account(struct order *x, struct str text, struct str *ret);
bool order_may(const struct order *x, struct str account);

/* --- answers --- */
MUST_CHECK int order_columns(struct order *x, const char *const *names, size_t n);
void order_cell(struct order *x, struct str s);
PRINTF_LIKE(2, 3) void order_cellf(struct order *x, const char *fmt, ...);
void order_say(struct order *x, const char *text); /* translated */

/* --- rows --- */
/*
 * Run a statement with text parameters; `rows` is called for each row (NULL: there are none). The
 * table is read again when something changed. Returns the number of rows changed.
 */
typedef void order_row_fn(struct order *x, struct db_stmt *st);
MUST_CHECK int order_select(struct order *x, const char *sql, const struct str *text, size_t n,
			    order_row_fn *row);
struct order_value {
	bool is_number;
	int64_t number;
	struct str text;
};
MUST_CHECK int order_change(struct order *x, const char *sql, const struct order_value *v,
			    size_t n);

#endif
