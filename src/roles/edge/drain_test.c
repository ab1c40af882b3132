/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/edge/edge_testing.h"

static int begin(void **state)
{
	(void)state;
	w_open("trusted_networks = 127.0.0.0/8\n");
	return 0;
}

static int end(void **state)
{
	(void)state;
	clock_bend_us(0);
	w_close();
	return 0;
}

static void smtp_done(const struct client *c, enum session_next next, const char *out)
{
	w_done(&w.mta, &(struct msg_session_done){.session = c->session,
						  .next = (uint8_t)next,
						  .out = str_c(out),
						  .state = STR("state")});
}

static void connect_smtp(struct client *c)
{
	c_connect(c, SERVICE_SMTP);
	(void)w_expect(&w.mta, IPC_SESSION_OPEN);
	smtp_done(c, NEXT_CONTINUE, "220 hello\r\n");
	c_expect(c, "220 hello\r\n");
}

static void drain(uint32_t grace_ms, uint32_t deadline_ms)
{
	edge_role_ops.drain(&w.role, grace_ms, deadline_ms);
	w_step();
}

static void at_second(int s)
{
	clock_bend_us(s * SEC_US);
	w_step();
}

static void who_is_silent_goes_after_the_grace(void **state)
{
	(void)state;
	struct client smtp, imap;
	connect_smtp(&smtp);
	c_connect(&imap, SERVICE_IMAP);
	c_expect_begin(&imap, "* OK ");
	drain(5000, 60000);
	at_second(3);
	c_says(&imap, "a NOOP\r\n"); /* its time begins anew */
	c_expect(&imap, "a OK Nothing done.\r\n");
	at_second(6);
	c_expect_begin(&smtp, "421 4.3.2 ");
	c_expect_end(&smtp);
	c_expect(&imap, "");
	at_second(9);
	c_expect_begin(&imap, "* BYE ");
	c_expect_end(&imap);
	c_leave(&smtp);
	c_leave(&imap);
}

static void who_waits_for_an_answer_gets_it(void **state)
{
	(void)state;
	struct client c;
	connect_smtp(&c);
	drain(1000, 60000);
	c_says(&c, "NOOP\r\n");
	(void)w_expect(&w.mta, IPC_SESSION_COMMAND);
	at_second(30);
	c_expect(&c, "");
	smtp_done(&c, NEXT_CONTINUE, "250 ok\r\n");
	at_second(32);
	c_expect_begin(&c, "250 ok\r\n421 4.3.2 ");
	c_expect_end(&c);
	c_leave(&c);
}

/* Between the lines of a message nobody is sent away; the deadline is for all. */
static void the_deadline_ends_what_is_left(void **state)
{
	(void)state;
	struct client c;
	connect_smtp(&c);
	c_says(&c, "DATA\r\n");
	(void)w_expect(&w.mta, IPC_SESSION_COMMAND);
	w_done(&w.mta, &(struct msg_session_done){.session = c.session,
						  .next = NEXT_DATA,
						  .arg = 1000,
						  .out = STR("354\r\n")});
	c_expect(&c, "354\r\n");
	drain(1000, 60000);
	at_second(50);
	c_expect(&c, "");
	at_second(61);
	c_expect_begin(&c, "421 4.3.2 ");
	c_expect_end(&c);
	c_leave(&c);
}

static void nobody_is_accepted_any_more(void **state)
{
	(void)state;
	struct netaddr a;
	int fd, client;
	CHECK(netaddr_parse(STR("127.0.0.1:0"), &a));
	assert_int_equal(sock_listen(&a, 8, &fd, NULL), 0);
	assert_int_equal(sock_local(fd, &a, NULL), 0);
	edge_role_ops.listener(&w.role, STR("imap"), STR("127.0.0.1:0"), fd);
	assert_int_equal(edge.listeners.n, 1);
	drain(1000, 60000);
	assert_int_equal(edge.listeners.n, 0);
	int r = sock_connect(&a, &client, NULL);
	assert_true(r < 0 || sock_error(client) != 0);
	if (r >= 0)
		(void)close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_is_silent_goes_after_the_grace, begin, end),
		cmocka_unit_test_setup_teardown(who_waits_for_an_answer_gets_it, begin, end),
		cmocka_unit_test_setup_teardown(the_deadline_ends_what_is_left, begin, end),
		cmocka_unit_test_setup_teardown(nobody_is_accepted_any_more, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
