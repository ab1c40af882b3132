/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/order/msgid.h"
#include "codec/order/order.h"

/* What a message is made of here; texts as a message map has them. */
struct mail {
	const char *subject, *from, *id, *refs, *reply_to;
	int64_t sent, arrival; /* seconds */
	uint32_t size;
};

static const uint64_t seed[2] = {1, 2};

static void add_mail(struct order_table *t, const struct mail *mail, size_t i)
{
	struct mime_map map = {.subject = str_c(mail->subject ? mail->subject : ""),
			       .message_id = str_c(mail->id ? mail->id : ""),
			       .references = str_c(mail->refs ? mail->refs : ""),
			       .in_reply_to = str_c(mail->reply_to ? mail->reply_to : ""),
			       .flags = mail->sent ? 0 : MIME_MISSING_DATE,
			       .sent = {mail->sent * SEC_US}};
	map.first_from.mailbox = str_c(mail->from ? mail->from : "");
	map.first_from.display = map.first_from.mailbox;
	struct order_message m = {.uid = (uint32_t)(10 * (i + 1)),
				  .size = mail->size,
				  .internaldate = {mail->arrival * SEC_US},
				  .map = &map};
	assert_true(order_table_add(t, &m));
}

static struct order_table *table_of(const struct mail *mail, size_t n)
{
	struct order_table *t = order_table_new(seed);
	for (size_t i = 0; i < n; i++)
		add_mail(t, &mail[i], i);
	return t;
}

#define MAIL_MAX 1000
static void numbers(uint32_t *uid, uint32_t *number, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		number[i] = (uint32_t)(i + 1);
		uid[i] = 10 * number[i];
	}
}

static const struct mail *mails; /* of assert_sorted */

static void assert_sorted(const struct order_table *t, size_t n, const struct order_by *by,
			  size_t n_by, const char *want)
{
	uint32_t uid[MAIL_MAX] = {0}, number[MAIL_MAX], order[MAIL_MAX], ranked[MAIL_MAX];
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	numbers(uid, number, n);
	order_sort(t, by, n_by, uid, n, order);
	/* The same with the texts in order, whenever that was. */
	AUTO(order_table) struct order_table *more = order_table_new(seed);
	for (size_t i = 0; i < n; i++) {
		add_mail(more, &mails[i], i);
		if (i % 3 == 1)
			order_table_rank(more);
	}
	order_table_rank(more);
	order_sort(more, by, n_by, uid, n, ranked);
	assert_memory_equal(order, ranked, n * sizeof *order);
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%s%u", i ? " " : "", number[order[i]]);
	assert_str(buf_str(&b), want);
}

static void assert_threads(const struct mail *mail, size_t n, enum order_thread how,
			   const char *want)
{
	uint32_t uid[MAIL_MAX] = {0}, number[MAIL_MAX];
	AUTO(order_table) struct order_table *t = table_of(mail, n);
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	numbers(uid, number, n);
	order_thread_write(t, how, uid, number, n, &b);
	assert_str(buf_str(&b), want);
}

static void sorting(void **state)
{
	(void)state;
	static const struct mail mail[] = {
		{.subject = "Re: beta", .from = "zoe", .sent = 30, .arrival = 5, .size = 9},
		{.subject = "alpha", .from = "Anna", .arrival = 6, .size = 8},
		{.subject = "BETA", .from = "anna", .sent = 10, .arrival = 5, .size = 9},
		{.subject = "[x] Alpha", .sent = -4, .arrival = 4, .size = 7},
		{.subject = "\xc3\xa4rger", .from = "anna2", .sent = 40, .arrival = 1, .size = 1},
		{.subject = "beta with eight letters and more", .from = "b", .sent = 41, .size = 2},
		{.subject = "beta with eight letters", .from = "B", .sent = 42, .size = 3},
	};
	size_t n = ARRAY_LEN(mail);
	AUTO(order_table) struct order_table *t = table_of(mail, n);
	struct order_by subject = {.what = ORDER_SUBJECT}, from = {.what = ORDER_FROM};
	struct order_by arrival = {.what = ORDER_ARRIVAL}, date = {.what = ORDER_DATE};
	struct order_by size_down = {ORDER_SIZE, true}, from_down = {ORDER_FROM, true};
	mails = mail;
	struct order_by two[] = {subject, date};
	struct order_by three[] = {from_down, size_down, date};
	assert_sorted(t, n, &date, 1, "4 2 3 1 5 6 7");
	assert_sorted(t, n, &arrival, 1, "6 7 5 4 1 3 2");
	assert_sorted(t, n, &size_down, 1, "1 3 2 4 7 6 5");
	/* An a with diaeresis is an A and the mark, and so behind all other A. */
	assert_sorted(t, n, &subject, 1, "2 4 5 1 3 7 6");
	assert_sorted(t, n, two, 2, "4 2 5 3 1 7 6");
	assert_sorted(t, n, &from, 1, "4 2 3 5 6 7 1");
	assert_sorted(t, n, &from_down, 1, "1 6 7 5 2 3 4");
	assert_sorted(t, n, three, 3, "1 7 6 5 3 2 4");
	assert_sorted(t, 0, &date, 1, "");
	/* More texts than are put in one by one. */
	static char words[100][8];
	static struct mail many[100];
	for (unsigned i = 0; i < 100; i++) {
		snprintf(words[i], sizeof words[i], "w%u", i * 37 % 100);
		many[i] = (struct mail){.subject = words[i], .from = words[99 - i], .sent = 1};
	}
	AUTO(order_table) struct order_table *big = table_of(many, 100);
	uint32_t uid[MAIL_MAX] = {0}, number[MAIL_MAX], plain[MAIL_MAX], ranked[MAIL_MAX];
	numbers(uid, number, 100);
	order_sort(big, &subject, 1, uid, 100, plain);
	order_table_rank(big);
	order_sort(big, &subject, 1, uid, 100, ranked);
	assert_memory_equal(plain, ranked, 100 * sizeof *plain);
	assert_int_equal(order_table_last(t), 70);
	assert_int_equal(order_table_count(t), n);
	const uint32_t some[] = {20, 70}, none[] = {20, 21}, behind[] = {80};
	assert_true(order_table_has(t, some, 2));
	assert_false(order_table_has(t, none, 2));
	assert_false(order_table_has(t, behind, 1));
	/* One that is there is left alone. */
	struct order_message again = {.uid = 70};
	assert_true(order_table_add(t, &again));
	assert_int_equal(order_table_count(t), n);
}

static void by_subject(void **state)
{
	(void)state;
	static const struct mail mail[] = {
		{.subject = "b", .sent = 20},	  {.subject = "a", .sent = 30},
		{.subject = "Re: b", .sent = 10}, {.subject = "B", .sent = 40},
		{.subject = "c", .sent = 5},	  {.subject = "re: a", .sent = 31},
	};
	assert_threads(mail, ARRAY_LEN(mail), ORDER_THREAD_ORDEREDSUBJECT, "(5)(3 (1)(4))(2 6)");
	assert_threads(mail, 0, ORDER_THREAD_ORDEREDSUBJECT, "");
}

static void references(void **state)
{
	(void)state;
	static const struct mail chain[] = {
		{.subject = "x", .id = "<a@x>", .sent = 1},
		{.subject = "Re: x", .id = "<\"b\"@x>", .refs = "<a@x>", .sent = 2},
		{.subject = "y", .id = "<c@x>", .refs = "<a@x> <b@x>", .sent = 4},
		{.subject = "z", .id = "<d@x>", .reply_to = "text <b@x> <zz@x>", .sent = 3},
	};
	assert_threads(chain, 4, ORDER_THREAD_REFERENCES, "(1 2 (4)(3))");
	assert_threads(chain, 4, ORDER_THREAD_REFS, "(1 2 (4)(3))");
	/* A parent that nobody has: its children stay together; one alone is a thread. */
	static const struct mail orphans[] = {
		{.subject = "p", .id = "<1@x>", .refs = "<gone@x>", .sent = 9},
		{.subject = "q", .id = "<2@x>", .refs = "<gone@x>", .sent = 2},
		{.subject = "r", .id = "<3@x>", .refs = "<far@x> <lone@x>", .sent = 5},
	};
	assert_threads(orphans, 3, ORDER_THREAD_REFERENCES, "((2)(1))(3)");
	assert_threads(orphans, 3, ORDER_THREAD_REFS, "(3)((2)(1))");
	/* Loops are not made, not even with oneself; of equal ids the first counts. */
	static const struct mail loops[] = {
		{.subject = "p", .id = "<1@x>", .refs = "<2@x>", .sent = 1},
		{.subject = "q", .id = "<2@x>", .refs = "<1@x>", .sent = 2},
		{.subject = "r", .id = "<3@x>", .refs = "<3@x>", .sent = 3},
		{.subject = "s", .id = "<1@x>", .refs = "<3@x>", .sent = 4},
		{.subject = "t", .id = "<4@x>", .refs = "<1@x>", .sent = 5},
	};
	assert_threads(loops, 5, ORDER_THREAD_REFERENCES, "(2 1 5)(3 4)");
}

/* Step 5: threads of one subject come together. */
static void merging(void **state)
{
	(void)state;
	static const struct mail replies[] = {
		{.subject = "Re: x", .id = "<1@x>", .sent = 1},
		{.subject = "x", .id = "<2@x>", .sent = 2},
		{.subject = "Fwd: X", .id = "<3@x>", .sent = 3},
		{.subject = "", .id = "<4@x>", .sent = 4},
		{.subject = "", .id = "<5@x>", .sent = 5},
	};
	assert_threads(replies, 5, ORDER_THREAD_REFERENCES, "(2 (1)(3))(4)(5)");
	assert_threads(replies, 5, ORDER_THREAD_REFS, "(1)(2)(3)(4)(5)");
	static const struct mail equals[] = {
		{.subject = "x", .id = "<1@x>", .sent = 1},
		{.subject = "x", .id = "<2@x>", .sent = 2},
		{.subject = "x", .id = "<3@x>", .sent = 3},
		{.subject = "Re: x", .id = "<4@x>", .sent = 0, .arrival = 7},
	};
	assert_threads(equals, 4, ORDER_THREAD_REFERENCES, "((1)(2)(3)(4))");
	static const struct mail dummies[] = {
		{.subject = "x", .id = "<1@x>", .refs = "<g@x>", .sent = 1},
		{.subject = "y", .id = "<2@x>", .refs = "<g@x>", .sent = 2},
		{.subject = "x", .id = "<3@x>", .refs = "<h@x>", .sent = 3},
		{.subject = "z", .id = "<4@x>", .refs = "<h@x>", .sent = 4},
		{.subject = "x", .id = "<5@x>", .sent = 5},
	};
	assert_threads(dummies, 5, ORDER_THREAD_REFERENCES, "((1)(2)(3)(4)(5))");
}

static void ids(void **state)
{
	(void)state;
	static const struct {
		const char *in, *want;
	} rows[] = {
		{"<a@b>", "a@b "},
		{" x <a@b> , <c@d>y", "a@b c@d "},
		{"<a@b", ""},
		{"<ab> <c@d>", "c@d "},
		{"<\"a b\"@c>", "a b@c "},
		{"<\"a\\\"b\"@c>", "a\"b@c "},
		{"<a@b(c (d)) >", "a@b "},
		{"<a@[1.2.3.4]>", "a@[1.2.3.4] "},
		{"<a@[1.2.3.4> <e@f>", "e@f "},
		{"<a <b@c>", "b@c "},
		{"<(<b@c>", "b@c "},
		{"<<<<", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf scratch = BUF_INIT(KIB(2)), out = BUF_INIT(KIB(1));
		struct str rest = str_c(rows[i].in), id;
		while (msgid_next(&rest, &scratch, &id)) {
			buf_add(&out, id);
			buf_addc(&out, ' ');
		}
		assert_str(buf_str(&out), rows[i].want);
	}
}

/* Of a thousand references the first and the last ones are kept, in their order. */
static void many_references(void **state)
{
	(void)state;
	AUTO(buf) struct buf refs = BUF_INIT(KIB(64));
	for (unsigned i = 0; i < 1000; i++)
		buf_addf(&refs, "<%u@x> ", i);
	const struct mail mail[] = {
		{.subject = "first", .id = "<0@x>", .sent = 1},
		{.subject = "last", .id = "<999@x>", .refs = "<998@x>", .sent = 2},
		{.subject = "before", .id = "<998@x>", .refs = "<900@x>", .sent = 2},
		{.subject = "reply", .id = "<1000@x>", .refs = buf_c(&refs), .sent = 3},
	};
	assert_threads(mail, 4, ORDER_THREAD_REFERENCES, "(1 3 2 4)");
}

/* A thread as deep as it is long, from both ends. */
static void deep(void **state)
{
	(void)state;
	static char text[MAIL_MAX][2][24];
	static struct mail mail[MAIL_MAX];
	AUTO(buf) struct buf up = BUF_INIT(KIB(16)), down = BUF_INIT(KIB(16));
	for (int turn = 0; turn < 2; turn++) {
		struct buf *want = turn ? &down : &up;
		for (unsigned i = 0; i < MAIL_MAX; i++) {
			unsigned id = turn ? MAIL_MAX - i : i + 1;
			snprintf(text[i][0], sizeof text[i][0], "<%u@x>", id);
			snprintf(text[i][1], sizeof text[i][1], "<%u@x>", id - 1);
			mail[i] = (struct mail){.id = text[i][0],
						.refs = id > 1 ? text[i][1] : NULL,
						.sent = (int64_t)id};
		}
		for (unsigned i = 0; i < MAIL_MAX; i++)
			buf_addf(want, "%s%u", i ? " " : "(", turn ? MAIL_MAX - i : i + 1);
		buf_addc(want, ')');
		assert_threads(mail, MAIL_MAX, ORDER_THREAD_REFERENCES, buf_c(want));
		assert_threads(mail, MAIL_MAX, ORDER_THREAD_REFS, buf_c(want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorting),    cmocka_unit_test(by_subject),
		cmocka_unit_test(references), cmocka_unit_test(merging),
		cmocka_unit_test(ids),	      cmocka_unit_test(many_references),
		cmocka_unit_test(deep),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
