/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of the front door: each reply, who is spared, what each switch does. */
#include "codec/smtp/xclient.h"
#include "proto/smtp/smtp_run.h"
#include "proto/smtp/smtp_session_int.h"
#include "sys/log.h"

static struct netcidr home = {.addr = {.family = AF_INET, .bytes = {192, 0, 2, 0}}, .bits = 24};

/* By their names: nothing.*, nullmx.*, unsure.*; all others exist. */
static enum smtp_name fake_name(void *ctx, struct str name)
{
	(void)ctx;
	return str_startsi(name, STR("nothing."))  ? SMTP_NAME_NONE
	       : str_startsi(name, STR("nullmx.")) ? SMTP_NAME_NULL_MX
	       : str_startsi(name, STR("unsure.")) ? SMTP_NAME_UNSURE
						   : SMTP_NAME_FOUND;
}

static void begin(struct run *r, unsigned variant)
{
	run_begin(r, MX, variant, false);
	r->backend.name_exists = fake_name;
	r->config.door.known_networks = (struct netcidrs){0};
}

#define TO_BOB(helo, from) "EHLO " helo "\nMAIL FROM:<" from ">\nRCPT TO:<bob@example.test>\nRSET\n"
#define TOLD(reply)	   EHLO_MX "250 2.1.0 Ok\n" reply "\n250 2.0.0 Ok\n"

struct saying {
	const char *name, *in, *out;
};

/* clang-format off */
static const struct saying sayings[] = {
	{"all is well", TO_BOB("mail.client.example", "x@client.example"), TOLD("250 2.1.5 Ok")},
	{"a short HELO", TO_BOB("client", "x@client.example"),
	 TOLD("504 5.5.2 <client>: Helo command rejected: need fully-qualified hostname")},
	{"an address literal", TO_BOB("[192.0.2.1]", "x@client.example"), TOLD("250 2.1.5 Ok")},
	{"an unknown HELO", TO_BOB("nothing.example", "x@client.example"),
	 TOLD("450 4.7.1 <nothing.example>: Helo command rejected: Host not found")},
	{"a HELO that takes no mail", TO_BOB("nullmx.example", "x@client.example"),
	 TOLD("250 2.1.5 Ok")},
	{"nobody knows", TO_BOB("unsure.example", "x@unsure.example"), TOLD("250 2.1.5 Ok")},
	{"a sender without a domain", TO_BOB("c.example", "x@localhost"),
	 TOLD("504 5.5.2 <x@localhost>: Sender address rejected: need fully-qualified address")},
	{"a sender that we should know", TO_BOB("c.example", "nobody@example.test"),
	 TOLD("550 5.1.0 <nobody@example.test>: Sender address rejected: User unknown")},
	{"one that we do know", TO_BOB("c.example", "alice@example.test"), TOLD("250 2.1.5 Ok")},
	{"a sender from nowhere", TO_BOB("c.example", "x@nothing.example"),
	 TOLD("450 4.1.8 <x@nothing.example>: Sender address rejected: Domain not found")},
	{"a sender that takes no mail", TO_BOB("c.example", "x@nullmx.example"),
	 TOLD("550 5.7.27 <x@nullmx.example>: Sender address rejected: Domain nullmx.example does "
	      "not accept mail (nullMX)")},
	{"the null sender", TO_BOB("c.example", ""), TOLD("250 2.1.5 Ok")},
	{"a sender at an address", TO_BOB("c.example", "x@[192.0.2.1]"), TOLD("250 2.1.5 Ok")},
	{"the directory is down", TO_BOB("c.example", "down@example.test"),
	 TOLD("451 4.3.0 Temporary storage failure, please try again later.")},
	{"HELO is looked at first", TO_BOB("client", "x@localhost"),
	 TOLD("504 5.5.2 <client>: Helo command rejected: need fully-qualified hostname")},
	{"the same for each recipient", "EHLO c.example\nMAIL FROM:<x@nothing.example>\n"
	 "RCPT TO:<bob@example.test>\nRCPT TO:<a@remote.example>\nDATA\n",
	 EHLO_MX "250 2.1.0 Ok\n"
	 "450 4.1.8 <x@nothing.example>: Sender address rejected: Domain not found\n"
	 "450 4.1.8 <x@nothing.example>: Sender address rejected: Domain not found\n"
	 "554 5.5.1 No valid recipients\n"},
	{"relaying comes before the form", "EHLO c.example\nMAIL FROM:<>\nRCPT TO:<x@y>\n",
	 EHLO_MX "250 2.1.0 Ok\n554 5.7.1 <x@y>: Relay access denied\n"},
};
/* clang-format on */

static void test_sayings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sayings); i++)
		for (unsigned variant = 0; variant < RUN_VARIANTS; variant++) {
			struct run r;
			begin(&r, variant);
			run_dialogue(&r, sayings[i].in);
			assert_text(&r, sayings[i].name, sayings[i].out);
			run_end(&r);
		}
}

/* Who is known is asked for less; who may relay also for no login. */
static void test_networks(void **state)
{
	(void)state;
	struct run r;
	begin(&r, 0);
	r.config.door.known_networks = (struct netcidrs){&home, 1};
	run_dialogue(&r, TO_BOB("client", "x@nothing.example") TO_BOB("c", "nobody@example.test"));
	assert_text(
		&r, "known",
		TOLD("250 2.1.5 Ok") TOLD(
			"550 5.1.0 <nobody@example.test>: Sender address rejected: User unknown"));
	run_dialogue(&r, "MAIL FROM:<>\nRCPT TO:<a@remote.example>\nRSET\n");
	assert_text(&r, "does not relay",
		    "250 2.1.0 Ok\n554 5.7.1 <a@remote.example>: Relay access denied\n"
		    "250 2.0.0 Ok\n");
	run_end(&r);
	begin(&r, 0);
	r.s->may_relay = true;
	run_dialogue(&r, "HELO c\nMAIL FROM:<x@nothing.example>\nRCPT TO:<a@remote.example>\n"
			 "RCPT TO:<nobody@example.test>\nRCPT TO:<x@y>\n");
	assert_text(&r, "relays",
		    "250 mx.example.test\n250 2.1.0 Ok\n250 2.1.5 Ok\n"
		    "550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown\n"
		    "504 5.5.2 <x@y>: Recipient address rejected: need fully-qualified address\n");
	run_end(&r);
}

static void test_switches(void **state)
{
	(void)state;
	struct run r;
	begin(&r, 0);
	r.config.door = (struct smtp_door){0};
	run_dialogue(&r, "MAIL FROM:<x@nothing.example>\nRCPT TO:<bob@example.test>\nRSET\n");
	assert_text(&r, "no HELO", "250 2.1.0 Ok\n250 2.1.5 Ok\n250 2.0.0 Ok\n");
	run_dialogue(&r, TO_BOB("client", "x@y") TO_BOB("nothing.example", "nobody@example.test"));
	assert_text(&r, "all off", TOLD("250 2.1.5 Ok") TOLD("250 2.1.5 Ok"));
	run_dialogue(&r, "MAIL FROM:<>\nRCPT TO:<a@remote.example>\n");
	assert_text(&r, "relaying has no switch",
		    "250 2.1.0 Ok\n554 5.7.1 <a@remote.example>: Relay access denied\n");
	run_end(&r);
}

/* One table with one line, for each class. */
struct tabled {
	const char *name;
	size_t list; /* offset in struct smtp_door */
	const char *table, *in, *out;
};
#define LIST(which) offsetof(struct smtp_door, which)

/* clang-format off */
static const struct tabled tabled[] = {
	{"client by address", LIST(client_access), "192.0.2.0/24 REJECT your network",
	 TO_BOB("c.example", ""),
	 TOLD("554 5.7.1 <client.example[192.0.2.1]>: Client host rejected: your network")},
	{"client by name", LIST(client_access), "example DEFER", TO_BOB("c.example", ""),
	 TOLD("450 4.7.1 <client.example[192.0.2.1]>: Client host rejected: Access denied")},
	{"HELO", LIST(helo_access), "/^c\\.(.*)$/ 550 5.7.9 not at $1", TO_BOB("c.example", ""),
	 TOLD("550 5.7.9 <c.example>: Helo command rejected: not at example")},
	{"HELO OK spares its form", LIST(helo_access), "short OK", TO_BOB("short", ""),
	 TOLD("250 2.1.5 Ok")},
	{"sender", LIST(sender_access), "x@ REJECT", TO_BOB("c.example", "x@client.example"),
	 TOLD("554 5.7.1 <x@client.example>: Sender address rejected: Access denied")},
	{"sender OK spares the look at its domain", LIST(sender_access), "nothing.example OK",
	 TO_BOB("c.example", "x@nothing.example"), TOLD("250 2.1.5 Ok")},
	{"sender OK opens no relay", LIST(sender_access), "* OK",
	 "EHLO c.example\nMAIL FROM:<>\nRCPT TO:<x@remote.example>\n",
	 EHLO_MX "250 2.1.0 Ok\n554 5.7.1 <x@remote.example>: Relay access denied\n"},
	{"null sender", LIST(sender_access), "<> 450 no bounces", TO_BOB("c.example", ""),
	 TOLD("450 4.7.1 <>: Sender address rejected: no bounces")},
	{"recipient", LIST(recipient_access), "bob@example.test REJECT 5.2.1 on leave",
	 TO_BOB("c.example", ""),
	 TOLD("554 5.2.1 <bob@example.test>: Recipient address rejected: on leave")},
	{"unknown recipients first", LIST(recipient_access), "* REJECT",
	 "EHLO c.example\nMAIL FROM:<>\nRCPT TO:<nobody@example.test>\n",
	 EHLO_MX "250 2.1.0 Ok\n"
	 "550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown\n"},
};
/* clang-format on */

static struct access_list made(const char *text)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
	struct access_list l = {.p = xcalloc(1, sizeof *l.p), .n = 1};
	assert_int_equal(access_parse("table", str_c(text), &l.p[0], &errors), 0);
	return l;
}

static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tabled); i++)
		for (unsigned variant = 0; variant < RUN_VARIANTS; variant++) {
			struct run r;
			struct access_list l = made(tabled[i].table);
			begin(&r, variant);
			memcpy((char *)&r.config.door + tabled[i].list, &l, sizeof l);
			run_dialogue(&r, tabled[i].in);
			assert_text(&r, tabled[i].name, tabled[i].out);
			run_end(&r);
			access_list_clear(&l);
		}
}

/* A refusal of the first recipient is said to the second when its table has gone by a reload. */
static void test_table_goes(void **state)
{
	(void)state;
	struct run r;
	struct access_list l = made("192.0.2.0/24 550 5.7.42 not you");
	begin(&r, 0);
	r.config.door.client_access = l;
	run_dialogue(&r, "EHLO c.example\nMAIL FROM:<>\nRCPT TO:<bob@example.test>\n");
	assert_non_null(strstr(buf_c(&r.text), "550 5.7.42 "));
	buf_reset(&r.text);
	access_list_clear(&l);
	r.config.door.client_access = (struct access_list){0};
	run_dialogue(&r, "RCPT TO:<alice@example.test>\n");
	assert_non_null(strstr(buf_c(&r.text), "550 5.7.42 "));
	run_end(&r);
}

static const struct {
	const char *action, *reply;
	const char *submitted; /* stands in what the queue got; NULL: it got nothing */
} orders[] = {
	{"HOLD look at this", "250 2.0.0 Ok: queued as 1\n", "held=look at this filter=\n"},
	{"FILTER smtp:[127.0.0.1]:10024", "250 2.0.0 Ok: queued as 1\n",
	 "held= filter=smtp:[127.0.0.1]:10024\n"},
	{"PREPEND X-Seen: at the door", "250 2.0.0 Ok: queued as 1\n", "\nX-Seen: at the door\r\n"},
	{"REDIRECT alice@example.test", "250 2.0.0 Ok: queued as 1\n",
	 "\nfor <alice@example.test> (1 alice@example.test+) notify=1 orcpt=\nReceived"},
	{"BCC alice@example.test", "250 2.0.0 Ok: queued as 1\n",
	 "\nfor <bob@example.test> (2 bob@example.test+) notify=0 orcpt=\n"
	 "for <alice@example.test> (1 alice@example.test+) notify=1 orcpt=\nReceived"},
	{"BCC nowhere@example.test", "451 4.3.0 Temporary failure, please try again later.\n",
	 NULL},
	{"DISCARD", "250 2.0.0 Ok\n", NULL},
	{"WARN look", "250 2.0.0 Ok: queued as 1\n", "orcpt=\nReceived"},
};

/* The last reply. */
static void assert_said(struct run *r, const char *name, const char *reply)
{
	AUTO(buf) struct buf plain = BUF_INIT(KIB(64));
	for (size_t i = 0; i < r->text.n; i++)
		if (r->text.p[i] != '\r')
			(void)buf_addc(&plain, r->text.p[i]);
	if (!str_ends(buf_str(&plain), str_c(reply)))
		print_error("%s:\n%s", name, buf_c(&plain));
	assert_true(str_ends(buf_str(&plain), str_c(reply)));
}

/* LMTP: the message was refused to each of its recipients, so there is nothing to send elsewhere.
 */
static void test_orders_for_nobody(void **state)
{
	(void)state;
	struct run r;
	struct access_list l = made("small@example.test REDIRECT bob@example.test");
	run_begin(&r, SMTP_SERVICE_LMTP, 0, false);
	r.config.door.recipient_access = l;
	run_dialogue(&r, "LHLO c\nMAIL FROM:<>\nRCPT TO:<small@example.test>\nBDAT 60 LAST\n"
			 "!body A: b                       more than small has room for");
	assert_said(&r, "nobody", "552 5.2.2 Mailbox is full\n");
	assert_int_equal(r.fake.submitted, 0);
	run_end(&r);
	access_list_clear(&l);
}

static void test_orders(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		for (unsigned variant = 0; variant < RUN_VARIANTS; variant++) {
			struct run r;
			AUTO(buf) struct buf text = BUF_INIT(KIB(1));
			(void)buf_addf(&text, "bob@example.test %s", orders[i].action);
			struct access_list l = made(buf_c(&text));
			begin(&r, variant);
			r.config.door.recipient_access = l;
			run_dialogue(&r,
				     "EHLO c.example\nMAIL FROM:<>\nRCPT TO:<bob@example.test>\n"
				     "DATA\n!body A: b");
			/* As CRLF on the wire, as LF in the texts here. */
			assert_said(&r, orders[i].action, orders[i].reply);
			if (orders[i].submitted)
				assert_true(str_find_str(buf_str(&r.fake.last), 0,
							 str_c(orders[i].submitted)) <
					    r.fake.last.n);
			else
				assert_int_equal(r.fake.submitted, 0);
			run_end(&r);
			access_list_clear(&l);
		}
}

static int fake_flush(void *ctx, struct str domain, uint64_t *ret_n, struct fail *why)
{
	(void)ctx;
	if (str_eq(domain, STR("down.example")))
		return fail_set(why, FAIL_BUSY, NULL, "the fake queue is busy");
	*ret_n = str_eq(domain, STR("full.example")) ? 3 : 0;
	return 0;
}

/* Names below .example are backup-MX domains, others are not ours. */
static int backup_route(void *ctx, const struct dir_rcpt *rcpt, struct arena *a,
			struct dir_route *ret, struct fail *why)
{
	int r = fake_route(ctx, rcpt, a, ret, why);
	if (r == 0 && str_endsi(rcpt->address, STR(".example")))
		ret->verdict = DIR_OK;
	return r;
}

static void test_etrn(void **state)
{
	(void)state;
	struct run r;
	begin(&r, 0);
	run_dialogue(&r, "ETRN full.example\n");
	assert_text(&r, "nobody flushes", "459 4.7.1 ETRN is not offered to you\n");
	r.backend.flush = fake_flush;
	r.backend.route = backup_route;
	run_dialogue(&r, "ETRN full.example\n");
	assert_text(&r, "not this client", "459 4.7.1 ETRN is not offered to you\n");
	r.config.door.etrn_from = (struct netcidrs){&home, 1};
	run_dialogue(&r,
		     "ETRN full.example\nETRN @Empty.example\nETRN down.example\nETRN other.test\n"
		     "ETRN x\nETRN\nETRN a b\nETRN *.example\n");
	assert_text(&r, "etrn",
		    "253 2.0.0 OK, 3 pending messages for node full.example started\n"
		    "251 2.0.0 OK, no messages waiting for node empty.example\n"
		    "458 4.3.0 Unable to queue messages for node down.example\n"
		    "459 4.7.1 <other.test>: this server keeps no mail for it\n"
		    "501 5.5.4 Syntax: ETRN domain\n501 5.5.4 Syntax: ETRN domain\n"
		    "501 5.5.4 Syntax: ETRN domain\n501 5.5.4 Syntax: ETRN domain\n");
	run_end(&r);
}

static void test_xforward(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < RUN_VARIANTS; variant++) {
		struct run r;
		struct xclient x;
		begin(&r, variant);
		run_dialogue(&r, "XFORWARD ADDR=198.51.100.7\n");
		assert_text(&r, "not offered", "550 5.7.0 XFORWARD is not offered to you\n");
		r.config.door.xforward_from = (struct netcidrs){&home, 1};
		run_dialogue(&r, "XFORWARD ADDR=198.51.100.7 NAME=c.example PORT=4711\n"
				 "XFORWARD HELO=c.example PROTO=ESMTP IDENT=4bQ SOURCE=REMOTE\n"
				 "XFORWARD\nXFORWARD FOO=1\nXFORWARD LOGIN=x\nXFORWARD ADDR=x\n");
		assert_text(&r, "xforward",
			    "250 2.0.0 Ok\n250 2.0.0 Ok\n"
			    "501 5.5.4 Syntax: XFORWARD attribute=value ...\n"
			    "501 5.5.4 XFORWARD has no such attribute\n"
			    "501 5.5.4 XFORWARD has no such attribute\n"
			    "501 5.5.4 XFORWARD attribute has a bad value\n");
		assert_true(smtp_forwarded(r.s, &x));
		assert_string_equal(x.name, "c.example");
		assert_int_equal(x.port, 4711);
		assert_true(x.esmtp);
		run_dialogue(&r, "RSET\n");
		assert_false(smtp_forwarded(r.s, &x));
		run_end(&r);
	}
}

/* Who could not wait is refused, also by the process that goes on with the session. */
static void test_early_talker(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < RUN_VARIANTS; variant++) {
		struct run r;
		begin(&r, variant);
		smtp_session_early_talker(r.s);
		run_dialogue(&r, TO_BOB("mail.client.example", "x@client.example"));
		assert_text(&r, "an early talker", TOLD("550 5.5.1 Protocol error"));
		r.config.door.known_networks = (struct netcidrs){&home, 1};
		run_dialogue(&r, TO_BOB("mail.client.example", "x@client.example"));
		assert_text(&r, "of a known network", TOLD("250 2.1.5 Ok"));
		run_end(&r);
	}
}

/* Who calls sendmail is anybody of this machine: no filter, and no teller of trace ids. */
static void test_xforward_of_programs(void **state)
{
	(void)state;
	struct run r;
	run_begin(&r, SMTP_SERVICE_LOCAL, 0, false);
	run_dialogue(&r, "XFORWARD IDENT=4b SOURCE=LOCAL\n");
	assert_text(&r, "a program's", "550 5.7.0 XFORWARD is not offered to you\n");
	run_end(&r);
	run_begin(&r, SMTP_SERVICE_REINJECT, 0, false);
	run_dialogue(&r, "XFORWARD IDENT=4b SOURCE=LOCAL\n");
	assert_text(&r, "a filter's", "250 2.0.0 Ok\n");
	run_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_sayings),
					   cmocka_unit_test(test_networks),
					   cmocka_unit_test(test_switches),
					   cmocka_unit_test(test_tables),
					   cmocka_unit_test(test_table_goes),
					   cmocka_unit_test(test_orders),
					   cmocka_unit_test(test_orders_for_nobody),
					   cmocka_unit_test(test_early_talker),
					   cmocka_unit_test(test_etrn),
					   cmocka_unit_test(test_xforward),
					   cmocka_unit_test(test_xforward_of_programs)};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
