/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "tools/barid/trace.h"

/* A connection with two messages, another that was refused, an order; times in seconds. */
static const char text[] =
	"2026-11-22T00:00:01Z info edge[1] event=session.begin trace=a1 session=1 service=smtp "
	"peer=192.0.2.1:4000\n"
	"x\n\n"
	"2026-11-22T00:00:02Z info mta[2] event=smtp.expanded trace=a1 rcpt=team@x.test "
	"to=ann@x.test,ben@x.test destinations=2\n"
	"2026-11-22T00:00:03Z info mta[2] event=smtp.accepted trace=a1 number=7 from=s@y.test "
	"to=team@x.test rcpts=1 size=10 message-id=<M.1@y> login=\"\"\n"
	"2026-11-22T00:00:05Z info mta[2] event=smtp.accepted trace=a1 number=8 from=s@y.test "
	"to=zoe@x.test rcpts=1 size=10 message-id=<M.2@y>\n"
	"2026-11-22T00:00:04Z info user[3] event=deliver trace=a1 number=7 from=s@y.test "
	"to=ann@x.test uid=3 size=10\n"
	"2026-11-22T00:00:06Z info user[3] event=deliver trace=a1 number=8 from=s@y.test "
	"to=zoe@x.test uid=1 size=10\n"
	"2026-11-22T00:00:07Z info queue[4] event=queue.deferred trace=a1 number=7 to=ben@x.test "
	"status=4.3.0 text=\"disk full\" attempts=1 next=2026-11-22T00:05:07Z\n"
	"2026-11-22T01:00:00Z info mta[2] event=smtp.refused trace=b2b2b2 at=RCPT "
	"about=zoe@x.test code=552 status=5.2.2 text=\"Mailbox is full\" from=q@y.test\n"
	"2026-11-22T02:00:00Z info dir[5] event=admin.order by=operator noun=user verb=set "
	"name=zoe@x.test result=ok\n"
	"2026-11-21T01:00:01Z info queue[4] event=queue.accepted trace=c3 number=12 from=s@y.test "
	"rcpts=1 size=10\n"
	"2026-11-21T01:00:02Z info user[3] event=deliver trace=c3 number=12 from=s@y.test "
	"to=quick@z.test uid=9 size=10\n"
	"2026-11-21T01:00:03Z info mta[2] event=smtp.accepted trace=c3 number=12 from=s@y.test "
	"to=quick@z.test rcpts=1 size=10 message-id=<M.3@y>\n";

static size_t search(const char *key, struct trace_found *found, struct trace_query *q,
		     struct arena *a)
{
	AUTO(trace_files) struct trace_files f = TRACE_FILES_INIT;
	static char copy[sizeof text]; /* lines borrow from it */
	memcpy(copy, text, sizeof text);
	*vec_push(&f.v) = (struct trace_file){.bytes = {copy, sizeof text - 1}, .mapped = false};
	*q = trace_query_make(str_c(key), a);
	trace_search(&f, q, found);
	f.v.n = 0; /* not ours to free */
	return found->v.n;
}

static void keys_lead_to_traces(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		size_t traces;
		uint64_t newest;
	} cases[] = {
		{"7", 1, 0xa1},
		{"8", 1, 0xa1},
		{"9", 0, 0},
		{"ann@x.test", 1, 0xa1},
		{"Ben@X.test", 1, 0xa1},
		{"zoe@x.test", 3, 0xb2b2b2},
		{"<M.1@y>", 1, 0xa1},
		{"M.2@y", 1, 0xa1},
		{"m.2@y", 0, 0},
		{"192.0.2.1", 1, 0xa1},
		{"192.0.2", 0, 0},
		{"b2b2b2", 1, 0xb2b2b2},
		{"b2b2b2-2", 1, 0xb2b2b2},
		{"@x.test", 3, 0xb2b2b2},
		{"e@x.test", 0, 0},
		{"disk full", 0, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
		AUTO(trace_found) struct trace_found found = {0};
		struct trace_query q;
		assert_int_equal(search(cases[i].key, &found, &q, &a), cases[i].traces);
		if (cases[i].traces)
			assert_int_equal(found.v.p[0]->id, cases[i].newest);
	}
}

static void tell(const char *key, size_t which, bool all, struct trace_story *s, size_t *ret_shown)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	AUTO(trace_found) struct trace_found found = {0};
	struct trace_query q;
	assert_true(search(key, &found, &q, &a) > which);
	struct trace *t = found.v.p[which];
	trace_tell(&q, t, all, s);
	*ret_shown = t->lines.n - s->hidden;
}

static void stories_end(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		size_t which;
		enum trace_end end;
		const char *begins;
		size_t shown, hidden;
	} cases[] = {
		{"ann@x.test", 0, TRACE_END_WAITING, "Waiting: delivery to ben@x.test was put off",
		 5, 2},
		{"zoe@x.test", 0, TRACE_END_REFUSED,
		 "Refused: 552 5.2.2 Mailbox is full, for zoe@x.test (", 1, 0},
		{"zoe@x.test", 1, TRACE_END_DELIVERED, "Delivered to zoe@x.test: UID 1 (", 3, 4},
		/* mta said that it was accepted when it had been delivered already */
		{"quick@z.test", 0, TRACE_END_DELIVERED, "Delivered to quick@z.test: UID 9 (", 3,
		 0},
		{"a1a1a1", 0, TRACE_END_NONE, "", 0, 0},
	};
	for (size_t i = 0; i + 1 < ARRAY_LEN(cases); i++) {
		AUTO(trace_story) struct trace_story s = TRACE_STORY_INIT;
		size_t shown;
		tell(cases[i].key, cases[i].which, false, &s, &shown);
		assert_int_equal(s.end, cases[i].end);
		assert_true(str_starts(buf_str(&s.summary), str_c(cases[i].begins)));
		assert_int_equal(s.hidden, cases[i].hidden);
		assert_int_equal(shown, cases[i].shown);
	}
	AUTO(trace_story) struct trace_story s = TRACE_STORY_INIT;
	size_t shown;
	tell("zoe@x.test", 0, false, &s, &shown);
	assert_true(str_find_str(buf_str(&s.hint), 0, STR("barid user set zoe@x.test --quota")) <
		    s.hint.n);
	trace_story_clear(&s);
	s = TRACE_STORY_INIT;
	tell("ann@x.test", 0, true, &s, &shown);
	assert_int_equal(shown, 7);
}

static void sentences_are_filled(void **state)
{
	(void)state;
	struct logfmt l;
	AUTO(buf) struct buf b = BUF_INIT(4096);
	assert_true(logfmt_parse(STR("2026-11-22T00:00:01Z info q[1] event=e a=1 none=\"\" "
				     "odd=\"x\\x1b[2J\" text=\"two words\""),
				 &l));
	trace_fill("{a}[ b {b}][ n {none}][ t {text}].", &l, &b);
	assert_str(buf_str(&b), "1 t two words.");
	buf_reset(&b);
	trace_fill("{odd}", &l, &b); /* a terminal sees no escape */
	assert_str(buf_str(&b), "\"x\\x1b[2J\"");
	buf_reset(&b);
	trace_sentence(&l, &b); /* an event without a sentence */
	assert_true(str_starts(buf_str(&b), STR("e a=1 none=\"\" odd=")));
	buf_reset(&b);
	trace_fill("{none:sender}", &l, &b);
	assert_true(str_starts(buf_str(&b), STR("<>")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_lead_to_traces),
		cmocka_unit_test(stories_end),
		cmocka_unit_test(sentences_are_filled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
