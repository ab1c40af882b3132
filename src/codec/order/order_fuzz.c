/* SPDX-License-Identifier: Apache-2.0 */
/* A mailbox from bytes: each line is a message (its fields separated by "|"). Every order is a
 * permutation, and every thread response names each message once, with its parentheses in pairs. */
#include "base/check.h"
#include "codec/order/order.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAIL_MAX 2000

static void add(struct order_table *t, struct str line, uint32_t uid)
{
	struct mime_map map = {0};
	struct str *const fields[] = {&map.subject, &map.message_id, &map.references,
				      &map.in_reply_to, &map.first_from.mailbox};
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		(void)str_cut(&line, '|', fields[i]);
	map.sent.v = (int64_t)map.subject.n * SEC_US;
	map.flags = map.subject.n % 3 ? 0 : MIME_MISSING_DATE;
	struct order_message m = {.uid = uid, .map = map.message_id.n % 7 == 6 ? NULL : &map};
	CHECK(order_table_add(t, &m));
}

static void check_threads(struct str text, size_t n)
{
	bool seen[MAIL_MAX + 1] = {false};
	size_t depth = 0, count = 0;
	for (size_t i = 0; i < text.n;) {
		size_t number = 0;
		depth += text.p[i] == '(';
		CHECK(depth > 0);
		depth -= text.p[i] == ')';
		if (!ascii_digit(text.p[i])) {
			i++;
			continue;
		}
		for (; i < text.n && ascii_digit(text.p[i]); i++)
			number = number * 10 + (size_t)(text.p[i] - '0');
		CHECK(number >= 1 && number <= n && !seen[number]);
		seen[number] = true;
		count++;
	}
	CHECK(depth == 0 && count == n);
}

static void check_order(const uint32_t *order, size_t n)
{
	bool seen[MAIL_MAX] = {false};
	for (size_t i = 0; i < n; i++) {
		CHECK(order[i] < n && !seen[order[i]]);
		seen[order[i]] = true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t seed[2] = {3, 4};
	AUTO(order_table) struct order_table *t = order_table_new(seed);
	struct str rest = str_make((const char *)data, size), line;
	uint32_t uid[MAIL_MAX] = {0}, number[MAIL_MAX], order[MAIL_MAX];
	uint8_t score[MAIL_MAX] = {0};
	size_t n = 0;
	while (n < MAIL_MAX && str_cut(&rest, '\n', &line)) {
		number[n] = (uint32_t)n + 1;
		score[n] = line.n ? (uint8_t)line.p[0] : 0;
		uid[n] = 2 * number[n];
		add(t, line, uid[n]);
		n++;
	}
	if (size % 4 == 0)
		order_table_rank(t);
	for (int what = 0; what < ORDER_CRITERION_COUNT; what++) {
		struct order_by by[] = {{(enum order_criterion)what, size % 2, score},
					{ORDER_SUBJECT, false}};
		order_sort(t, by, 2, uid, n, order);
		check_order(order, n);
	}
	for (int how = ORDER_THREAD_ORDEREDSUBJECT; how <= ORDER_THREAD_REFS; how++) {
		AUTO(buf) struct buf out = BUF_INIT(MIB(1));
		order_thread_write(t, (enum order_thread)how, uid, number, n, &out);
		check_threads(buf_str(&out), n);
	}
	return 0;
}
