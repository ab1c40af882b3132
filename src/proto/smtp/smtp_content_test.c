/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of content: what each action does to a message, where each table looks, and what it costs.
 */
#include "proto/smtp/smtp_run.h"
#include "proto/smtp/smtp_session_int.h"
#include "sys/clock.h"
#include "sys/log.h"

static struct access_list made(const char *text)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
	struct access_list l = {.p = calloc(1, sizeof *l.p), .n = 1};
	if (access_parse_content("t", str_c(text), &l.p[0], &errors) < 0)
		fail_msg("%s", buf_c(&errors));
	return l;
}

enum table { HEADER, MIME, NESTED, BODY };

static struct access_list *table_of(struct smtp_content *c, enum table t)
{
	return t == HEADER   ? &c->header
	       : t == MIME   ? &c->mime
	       : t == NESTED ? &c->nested
			     : &c->body;
}

static void deliver(struct run *r, struct str message)
{
	run_dialogue(r,
		     r->s->service == SUB
			     ? "EHLO c\nSTARTTLS\n!tls\nEHLO c\nAUTH PLAIN\n!auth granted\n"
			       "MAIL FROM:<alice@example.test>\nRCPT TO:<bob@example.test>\nDATA\n"
			     : "EHLO c\nMAIL FROM:<x@remote.example>\nRCPT TO:<bob@example.test>\n"
			       "DATA\n");
	buf_reset(&r->text);
	send_body(r, (struct smtp_body){.bytes = message, .size = message.n});
}

#define PLAIN                                                                                      \
	"From: <x@remote.example>\r\nSubject: cheap\r\n money\r\nX-A: 1\r\n\r\nfirst\r\nsecond "   \
	"one\r\n"
#define PARTS                                                                                      \
	"From: <x@remote.example>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"     \
	"Content-Type: text/plain; name=evil.exe\r\nX-Part: 1\r\n\r\nhello\r\n--b\r\n"             \
	"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: text/x-inner\r\n\r\n" \
	"innermost\r\n--b--\r\n"
#define OK_1 "250 2.0.0 Ok: queued as 1\r\n"

static const struct {
	enum table table;
	const char *rules, *message, *reply;
	const char *find;    /* in the message that the queue got; NULL: it got none */
	const char *replace; /* by this, and the rest is as it came */
	const char *noted;   /* in the envelope or the prefix; NULL: anything */
} rows[] = {
	{HEADER, "/^Subject: cheap.*money/ REJECT", PLAIN, "550 5.7.1 message content rejected\r\n",
	 NULL, NULL, NULL},
	{HEADER, "/money/ REJECT 5.6.0 no $0", PLAIN, "550 5.6.0 no money\r\n", NULL, NULL, NULL},
	{HEADER, "/money/ REJECT 4.7.1 later", PLAIN, "450 4.7.1 later\r\n", NULL, NULL, NULL},
	{HEADER, "/money/ DISCARD", PLAIN, "250 2.0.0 Ok\r\n", NULL, NULL, NULL},
	{HEADER, "/money/ DUNNO\n/money/ REJECT", PLAIN, OK_1, "", "", NULL},
	{HEADER, "/money/ WARN\n", PLAIN, OK_1, "", "", NULL},
	{HEADER, "/money/ HOLD look", PLAIN, OK_1, "", "", "held=look filter="},
	{HEADER, "/money/ FILTER smtp:[::1]:10024", PLAIN, OK_1, "", "", "filter=smtp:[::1]:10024"},
	{HEADER, "/money/ REDIRECT alice@example.test", PLAIN, OK_1, "", "",
	 "map=1\nfor <alice@example.test>"},
	{HEADER, "/money/ BCC alice@example.test", PLAIN, OK_1, "", "", "for <alice@example.test>"},
	{HEADER, "/money/ IGNORE", PLAIN, OK_1, "Subject: cheap\r\n money\r\n", "", NULL},
	{HEADER, "/money/ STRIP", PLAIN, OK_1, "Subject: cheap\r\n money\r\n", "", NULL},
	{HEADER, "/^Subject: (.*)/ REPLACE Subject: [SPAM] $1", PLAIN, OK_1, "Subject: cheap",
	 "Subject: [SPAM] cheap", NULL},
	{HEADER, "/^X-A: (.*)/ PREPEND X-B: $1", PLAIN, OK_1, "X-A: 1", "X-B: 1\r\nX-A: 1", NULL},
	{HEADER, "/^X-A/ REPLACE no field", PLAIN, OK_1, "", "", NULL},
	{HEADER, "/^Subject/ PASS\n/^X-A/ REJECT", PLAIN, OK_1, "", "", NULL},
	{HEADER, "/^(Received: from \\S+).*/ REPLACE $1 by us", PLAIN, OK_1, "", "",
	 "Received: from c by us\r\n"},
	{HEADER, "/^Received:/ IGNORE", PLAIN, OK_1, "", "", "orcpt=\n"},
	{HEADER, "/^Received:/ PREPEND X-Ours: 1", PLAIN, OK_1, "", "", "X-Ours: 1\r\nReceived: "},
	{HEADER, "/^(X-Part|Content-Type|Subject: inner)/ REJECT", PARTS, OK_1, "", "", NULL},
	{MIME, "/^Content-Type:.*name=(\\S+\\.exe)/ REPLACE X-Was: $1", PARTS, OK_1,
	 "Content-Type: text/plain; name=evil.exe", "X-Was: evil.exe", NULL},
	{MIME, "/^X-Part/ IGNORE", PARTS, OK_1, "X-Part: 1\r\n", "", NULL},
	{MIME, "/x-inner/ REJECT inner", PARTS, "550 5.7.1 inner\r\n", NULL, NULL, NULL},
	{MIME, "/^Subject/ REJECT", PARTS, OK_1, "", "", NULL},
	{NESTED, "/^Subject: inner/ IGNORE", PARTS, OK_1, "Subject: inner\r\n", "", NULL},
	{NESTED, "/^(From|X-Part|Content)/ REJECT", PARTS, OK_1, "", "", NULL},
	{BODY, "/^second (.*)/ REPLACE 2nd $1", PLAIN, OK_1, "second one", "2nd one", NULL},
	{BODY, "/^first$/ IGNORE", PLAIN, OK_1, "first\r\n", "", NULL},
	{BODY, "/^second/ PREPEND one more", PLAIN, OK_1, "second", "one more\r\nsecond", NULL},
	{BODY, "/^innermost$/ REJECT", PARTS, "550 5.7.1 message content rejected\r\n", NULL, NULL,
	 NULL},
	{BODY, "/^(Subject|From|--b)/ REJECT", PARTS, OK_1, "", "", NULL},
	{BODY, "/./ IGNORE", PARTS, OK_1, "hello", "", NULL},
	{BODY, "/^hello/ REPLACE bye", PARTS, OK_1, "hello", "bye", NULL},
};

/* `message` with the first `find` replaced; the last row takes out both bodies. */
static void expect(struct buf *out, const char *message, const char *find, const char *replace)
{
	const char *at = strstr(message, find);
	assert_non_null(at);
	(void)buf_add(out, str_make(message, (size_t)(at - message)));
	(void)buf_add_c(out, replace);
	(void)buf_add_c(out, at + strlen(find));
}

static void check_row(size_t i, enum smtp_service service, unsigned variant)
{
	struct run r;
	AUTO(buf) struct buf want = BUF_INIT(KIB(64)), both = BUF_INIT(KIB(64));
	run_begin(&r, service, variant, false);
	*table_of(&r.config.content, rows[i].table) = made(rows[i].rules);
	deliver(&r, str_c(rows[i].message));
	if (strcmp(buf_c(&r.text), rows[i].reply) != 0)
		print_error("%s: %s", rows[i].rules, buf_c(&r.text));
	assert_string_equal(buf_c(&r.text), rows[i].reply);
	assert_int_equal(r.fake.submitted, rows[i].find != NULL);
	if (rows[i].find) {
		expect(&want, rows[i].message, rows[i].find, rows[i].replace);
		if (strcmp(rows[i].rules, "/./ IGNORE") == 0) {
			expect(&both, buf_c(&want), "innermost", "");
			buf_reset(&want);
			(void)buf_add(&want, buf_str(&both));
		}
		assert_string_equal(buf_c(&r.fake.body), buf_c(&want));
	}
	if (rows[i].noted && !strstr(buf_c(&r.fake.last), rows[i].noted))
		fail_msg("%s: %s", rows[i].rules, buf_c(&r.fake.last));
	access_list_clear(table_of(&r.config.content, rows[i].table));
	run_end(&r);
}

static void test_actions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (unsigned variant = 0; variant < RUN_VARIANTS; variant++)
			check_row(i, MX, variant);
	check_row(0, SUB, 0);
	check_row(0, SMTP_SERVICE_LOCAL, 0);
}

/* Where mail comes back from a filter, or goes into a mailbox, nobody looks again. */
static void test_other_ports(void **state)
{
	(void)state;
	static const enum smtp_service services[] = {SMTP_SERVICE_REINJECT,
						     SMTP_SERVICE_REINJECT_LISTS};
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		struct run r;
		run_begin(&r, services[i], 0, false);
		r.config.content.header = made("/./ REJECT");
		deliver(&r, STR(PLAIN));
		assert_string_equal(buf_c(&r.text), OK_1);
		access_list_clear(&r.config.content.header);
		run_end(&r);
	}
}

/* RFC 6409 8: a submission gets what it lacks; mail that passes does not. */
static void test_from_is_added(void **state)
{
	(void)state;
	struct run r;
	run_begin(&r, SUB, 0, false);
	deliver(&r, STR("Subject: no sender\r\n\r\nhello\r\n"));
	assert_string_equal(buf_c(&r.text), OK_1);
	assert_string_equal(buf_c(&r.fake.body),
			    "From: <alice@example.test>\r\nSubject: no sender\r\n\r\nhello\r\n");
	assert_non_null(strstr(buf_c(&r.fake.last), "\r\nDate: "));
	assert_non_null(strstr(buf_c(&r.fake.last), "\r\nMessage-ID: <"));
	run_end(&r);
	run_begin(&r, MX, 0, false);
	deliver(&r, STR("Subject: no sender\r\n\r\nhello\r\n"));
	assert_string_equal(buf_c(&r.fake.body), "Subject: no sender\r\n\r\nhello\r\n");
	run_end(&r);
	/* Who takes Date away gets another one: what IMAP says of a message stands in it. */
	run_begin(&r, SUB, 0, false);
	r.config.content.header = made("/^Date:/ IGNORE");
	deliver(&r, STR("From: <a@b.example>\r\nDate: yesterday\r\n\r\nhello\r\n"));
	assert_string_equal(buf_c(&r.fake.body), "From: <a@b.example>\r\n\r\nhello\r\n");
	assert_non_null(strstr(buf_c(&r.fake.last), "\r\nDate: Fri, 21 Nov 2025"));
	access_list_clear(&r.config.content.header);
	run_end(&r);
}

static void test_only_the_first_of_a_part(void **state)
{
	(void)state;
	struct run r;
	for (uint64_t max = 0; max <= 12; max += 12) {
		run_begin(&r, MX, 0, false);
		r.config.content.body = made("/^line/ REJECT");
		r.config.content.body_max = max;
		deliver(&r, STR("A: b\r\n\r\n1234\r\nline\r\n"));
		assert_string_equal(buf_c(&r.text),
				    max ? "550 5.7.1 message content rejected\r\n" : OK_1);
		access_list_clear(&r.config.content.body);
		run_end(&r);
	}
	/* A line without end is looked at in pieces. */
	AUTO(buf) struct buf text = BUF_INIT(KIB(64));
	buf_add(&text, STR("A: b\r\n\r\n"));
	for (size_t i = 0; i < 4096; i++)
		buf_addc(&text, i < 2048 ? 'x' : 'y');
	run_begin(&r, MX, 0, false);
	r.config.size_max = KIB(64);
	r.config.content.body = made("/^y+$/ REJECT\n/xy/ DISCARD");
	deliver(&r, buf_str(&text));
	assert_string_equal(buf_c(&r.text), "550 5.7.1 message content rejected\r\n");
	access_list_clear(&r.config.content.body);
	run_end(&r);
}

/* An expression that never ends, and a message made for it: the client is asked to come later. */
static void test_cost_has_an_end(void **state)
{
	(void)state;
	struct run r;
	AUTO(buf) struct buf text = BUF_INIT(MIB(1)), rules = BUF_INIT(KIB(64));
	buf_add(&text, STR("A: b\r\n\r\n"));
	for (size_t i = 0; i < 1000; i++)
		buf_add(&text, STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\r\n"));
	for (size_t i = 0; i < 60; i++)
		buf_add(&rules, STR("/^(a+)+$/ DUNNO\n"));
	run_begin(&r, MX, 0, false);
	r.config.size_max = MIB(1);
	r.config.content.body = made(buf_c(&rules));
	r.config.content.look_ms = 100;
	struct mono_ns begun = clock_mono();
	deliver(&r, buf_str(&text));
	int64_t took_ms = (clock_mono().v - begun.v) / MS_NS;
	assert_true(took_ms < 30000);
	assert_true(str_starts(buf_str(&r.text), STR("451 4.3.0 ")));
	access_list_clear(&r.config.content.body);
	run_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_other_ports),
		cmocka_unit_test(test_from_is_added),
		cmocka_unit_test(test_only_the_first_of_a_part),
		cmocka_unit_test(test_cost_has_an_end),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
