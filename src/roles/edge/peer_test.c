/* SPDX-License-Identifier: Apache-2.0 */
/* Whose connection it is: the socket's, the PROXY protocol's, XCLIENT's and ID's word. */
#include "roles/edge/edge_testing.h"

#define CONF                                                                                       \
	"connections_per_address_max = 2\nlogin_timeout = 60 s\ntrusted_networks = 192.0.2.0/28\n" \
	"xclient_from = 10.0.0.1, 198.51.100.1\nxclient_login_from = 10.0.0.1\n"                   \
	"id_from = 10.0.0.2\n"                                                                     \
	"[smtp]\nproxy_protocol_from = 10.1.0.0/16\nrelay_from = 192.0.2.0/28, 10.0.0.1\n"         \
	"[submission]\nproxy_protocol_from = 10.1.0.0/16\n"                                        \
	"[imap]\nproxy_protocol_from = 10.1.0.0/16, 2001:db8::/32\n"                               \
	"[imaps]\nproxy_protocol_from = 10.1.0.0/16\n"

static int begin(void **state)
{
	(void)state;
	w_open(CONF);
	return 0;
}

static int end(void **state)
{
	(void)state;
	clock_bend_us(0);
	w_close();
	return 0;
}

static void leave(struct client *c)
{
	c_leave(c);
	fake_forget(&w.mta);
	fake_forget(&w.dir);
	fake_forget(&w.user);
}

static void at_second(int s)
{
	clock_bend_us(s * SEC_US);
	w_step();
}

static struct msg_session_open expect_open(struct fake *f)
{
	struct msg_session_open o;
	assert_int_equal(msg_session_open_read(w_expect(f, IPC_SESSION_OPEN), &o), 0);
	return o;
}

static void greeting(uint64_t session)
{
	w_done(&w.mta, &(struct msg_session_done){
			       .session = session, .out = STR("220 hello\r\n"), .state = STR("s")});
}

static void the_socket_is_believed_without_a_proxy(void **state)
{
	(void)state;
	struct client c;
	c_knock(&c, SERVICE_SMTP, "192.0.2.7:4711");
	struct msg_session_open o = expect_open(&w.mta);
	assert_str(o.peer.ip, "192.0.2.7");
	assert_int_equal(o.peer.port, 4711);
	assert_int_equal(o.peer.source, PEER_SOCKET);
	assert_int_equal(o.peer.proxy_ip.n, 0);
	assert_true(o.peer.trusted && !o.peer.may_xclient && !o.peer.tls);
	assert_true(o.peer.may_relay);
	leave(&c);
	c_knock(&c, SERVICE_SMTP, "192.0.2.17:4711");
	assert_false(expect_open(&w.mta).peer.may_relay);
	leave(&c);
	/* Who is no proxy and sends a header has said nonsense. */
	c_knock(&c, SERVICE_IMAP, "10.2.0.1:4711");
	c_expect_begin(&c, "* OK ");
	c_says(&c, "PROXY TCP4 192.0.2.7 192.0.2.8 4711 143\r\n");
	c_expect_begin(&c, "PROXY BAD ");
	leave(&c);
}

static void a_proxy_says_for_whom_it_comes(void **state)
{
	(void)state;
	struct client c;
	c_knock(&c, SERVICE_SMTP, "10.1.0.1:5555");
	assert_int_equal(edge.open, 1);
	w_expect_nothing(&w.mta); /* nothing happens before the header */
	c_says(&c, "PROXY TCP4 192.0.2.7 203.0.113");
	w_expect_nothing(&w.mta);
	c_says(&c, ".8 4711 25\r\nEHLO early\r\n");
	struct msg_session_open o = expect_open(&w.mta);
	assert_str(o.peer.ip, "192.0.2.7");
	assert_int_equal(o.peer.port, 4711);
	assert_str(o.peer.local_ip, "203.0.113.8");
	assert_int_equal(o.peer.local_port, 25);
	assert_str(o.peer.proxy_ip, "10.1.0.1");
	assert_int_equal(o.peer.source, PEER_PROXY);
	assert_true(o.peer.trusted);
	assert_int_equal(edge.open, 1);
	greeting(o.session);
	(void)w_expect(&w.mta, IPC_SESSION_COMMAND); /* what came behind the header */
	leave(&c);
	/* A health check: the proxy itself. */
	c_knock(&c, SERVICE_SMTP, "10.1.0.1:5556");
	c_says(&c, "PROXY UNKNOWN\r\n");
	o = expect_open(&w.mta);
	assert_str(o.peer.ip, "10.1.0.1");
	assert_int_equal(o.peer.source, PEER_SOCKET);
	leave(&c);
}

static void a_wrong_header_closes(void **state)
{
	(void)state;
	static const char *const wrong[] = {"EHLO client.example\r\n", "PROXY TCP4 192.0.2.7\r\n",
					    "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", "\r\n\r\nx"};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct client c;
		c_knock(&c, SERVICE_SMTP, "10.1.0.1:5555");
		c_say(&c, str_c(wrong[i]));
		c_expect(&c, "");
		c_expect_end(&c);
		leave(&c);
	}
	w_expect_nothing(&w.mta);
	assert_int_equal(edge.open, 0);
}

static void the_header_has_the_time_of_a_login(void **state)
{
	(void)state;
	struct client c;
	c_knock(&c, SERVICE_IMAP, "[2001:db8::1]:5555");
	at_second(59);
	c_says(&c, "PROXY ");
	c_expect(&c, "");
	assert_false(c.eof);
	at_second(61);
	c_expect_end(&c);
	leave(&c);
	at_second(0);
	/* The rest of it is for the login. */
	c_knock(&c, SERVICE_IMAP, "10.1.0.1:5555");
	at_second(50);
	c_says(&c, "PROXY TCP4 192.0.2.7 192.0.2.8 4711 143\r\n");
	c_expect_begin(&c, "* OK ");
	at_second(59);
	c_expect(&c, "");
	at_second(61);
	c_expect_begin(&c, "* BYE ");
	c_expect_end(&c);
	leave(&c);
}

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4  "\xc0\x00\x02\x81\xc6\x33\x64\x02\xdc\x04\x00\x19" /* 192.0.2.129 to 198.51.100.2 */

/* TLS that ended at the proxy protects passwords; the handshake may also come behind the header. */
static void tls_at_the_proxy(void **state)
{
	(void)state;
	struct client c;
	struct msg_login m;
	c_knock(&c, SERVICE_IMAP, "10.1.0.1:5555");
	c_say(&c, STR(SIG "\x21\x11\x00\x40" V4 "\x02\x00\x06"
			  "mx.tld"
			  "\x20\x00\x28\x01\x00\x00\x00\x00\x21\x00\x07"
			  "TLSv1.3"
			  "\x23\x00\x16TLS_AES_256_GCM_SHA384"));
	c_listen(&c);
	assert_true(str_find_str(buf_str(&c.heard), 0, STR("STARTTLS")) == c.heard.n);
	assert_true(str_find_str(buf_str(&c.heard), 0, STR("LOGINDISABLED")) == c.heard.n);
	buf_reset(&c.heard);
	c_says(&c, "a LOGIN alice secret\r\n");
	assert_int_equal(msg_login_read(w_expect(&w.dir, IPC_LOGIN), &m), 0);
	assert_str(m.peer.ip, "192.0.2.129");
	assert_true(m.peer.tls && m.peer.tls_at_proxy && !m.peer.ems && !m.peer.certificate);
	assert_str(m.peer.tls_text, "TLSv1.3 TLS_AES_256_GCM_SHA384");
	assert_str(m.peer.sni, "mx.tld");
	leave(&c);
	/* No TLS at the proxy: as without one. */
	c_knock(&c, SERVICE_IMAP, "10.1.0.1:5555");
	c_say(&c, STR(SIG "\x21\x11\x00\x0c" V4));
	c_listen(&c);
	assert_true(str_find_str(buf_str(&c.heard), 0, STR("LOGINDISABLED")) < c.heard.n);
	leave(&c);
	/* The client's own handshake, sent with the header. */
	c_knock(&c, SERVICE_IMAPS, "10.1.0.1:5555");
	c_say(&c, STR(SIG "\x21\x11\x00\x0c" V4));
	c_shake(&c);
	c_expect_begin(&c, "* OK ");
	leave(&c);
	/* A browser that agreed with the proxy on HTTP. */
	c_knock(&c, SERVICE_IMAP, "10.1.0.1:5555");
	c_say(&c, STR(SIG "\x21\x11\x00\x11" V4 "\x01\x00\x02"
			  "h2"));
	c_expect(&c, "");
	c_expect_end(&c);
	leave(&c);
}

static void limits_go_by_the_real_address(void **state)
{
	(void)state;
	struct client c[4];
	for (size_t i = 0; i < 4; i++) {
		c_knock(&c[i], SERVICE_SMTP, "10.1.0.1:5555");
		if (i < 3)
			c_says(&c[i], "PROXY TCP4 192.0.2.7 192.0.2.8 4711 25\r\n");
		else
			c_says(&c[i], "PROXY TCP4 192.0.2.99 192.0.2.8 4711 25\r\n");
	}
	c_expect_begin(&c[2], "421 4.7.0 Too many connections");
	c_expect_end(&c[2]);
	c_expect(&c[3], "");
	assert_false(c[3].eof);
	for (size_t i = 0; i < 4; i++)
		leave(&c[i]);
	assert_int_equal(edge.per_address.n, 0);
}

/* --- XCLIENT
 * ------------------------------------------------------------------------------------------------
 */

static struct msg_session_open begin_again(struct client *c, const char *from, const char *args)
{
	struct msg_session_open o;
	c_knock(c, SERVICE_SUBMISSION, from);
	o = expect_open(&w.mta);
	uint64_t session = o.session;
	greeting(session);
	c_expect(c, "220 hello\r\n");
	c_says(c, "XCLIENT any\r\n");
	(void)w_expect(&w.mta, IPC_SESSION_COMMAND);
	w_done(&w.mta, &(struct msg_session_done){.session = session,
						  .seq = 1,
						  .next = NEXT_XCLIENT,
						  .text = str_c(args),
						  .state = STR("old")});
	return o;
}

static void xclient_begins_again_with_another_peer(void **state)
{
	(void)state;
	struct client c;
	struct msg_session_open o =
		begin_again(&c, "198.51.100.1:4711",
			    "ADDR=192.0.2.7 PORT=99 NAME=c.example HELO=helo.example PROTO=ESMTP "
			    "DESTADDR=192.0.2.8 DESTPORT=587");
	assert_true(o.peer.may_xclient && !o.peer.may_xclient_login);
	(void)w_expect(&w.mta, IPC_SESSION_CLOSE);
	o = expect_open(&w.mta);
	assert_int_equal(o.state.n, 0); /* nothing of the old session */
	assert_str(o.peer.ip, "192.0.2.7");
	assert_int_equal(o.peer.port, 99);
	assert_str(o.peer.local_ip, "192.0.2.8");
	assert_int_equal(o.peer.local_port, 587);
	assert_str(o.peer.proxy_ip, "198.51.100.1");
	assert_int_equal(o.peer.source, PEER_XCLIENT);
	assert_str(o.peer.rdns, "c.example");
	assert_str(o.peer.helo, "helo.example");
	assert_true(o.peer.esmtp && o.peer.trusted);
	c_expect(&c, "");
	greeting(o.session);
	c_expect(&c, "220 hello\r\n");
	/* Once: a proxy may pass on what its client says, XCLIENT too. */
	assert_false(o.peer.may_xclient || o.peer.may_xclient_login);
	c_says(&c, "XCLIENT LOGIN=bob@example.test\r\n");
	(void)w_expect(&w.mta, IPC_SESSION_COMMAND);
	w_done(&w.mta, &(struct msg_session_done){.session = o.session,
						  .seq = 1,
						  .next = NEXT_XCLIENT,
						  .text = STR("LOGIN=bob@example.test")});
	c_expect_end(&c);
	leave(&c);
	/* mta may be wrong, or worse: edge knows itself who may. */
	(void)begin_again(&c, "203.0.113.1:4711", "ADDR=192.0.2.7");
	c_expect_end(&c);
	leave(&c);
}

static void what_the_front_end_may_send_its_client_may_not(void **state)
{
	(void)state;
	struct client c;
	assert_true(begin_again(&c, "10.0.0.1:4711", "ADDR=203.0.113.7").peer.may_relay);
	(void)w_expect(&w.mta, IPC_SESSION_CLOSE);
	assert_false(expect_open(&w.mta).peer.may_relay);
	leave(&c);
	assert_true(begin_again(&c, "10.0.0.1:4711", "ADDR=192.0.2.7").peer.may_relay);
	(void)w_expect(&w.mta, IPC_SESSION_CLOSE);
	assert_true(expect_open(&w.mta).peer.may_relay);
	leave(&c);
}

static void xclient_counts_for_the_client(void **state)
{
	(void)state;
	struct client c[5];
	/* The proxy itself is not limited; three clients of one address are one too many. */
	for (size_t i = 0; i < 3; i++) {
		(void)begin_again(&c[i], "10.0.0.1:4711", "ADDR=192.0.2.7");
		(void)w_expect(&w.mta, IPC_SESSION_CLOSE);
		if (i < 2)
			(void)w_expect(&w.mta, IPC_SESSION_OPEN);
	}
	for (size_t i = 3; i < 5; i++) {
		c_knock(&c[i], SERVICE_SUBMISSION, "10.0.0.1:4711");
		c_expect(&c[i], "");
		assert_false(c[i].eof);
	}
	assert_false(c[1].eof);
	c_expect_begin(&c[2], "421 4.7.0 Too many connections");
	for (size_t i = 0; i < 5; i++)
		leave(&c[i]);
	assert_int_equal(edge.per_address.n, 0);
}

static void xclient_login_is_dirs_to_allow(void **state)
{
	(void)state;
	for (int granted = 1; granted >= 0; granted--) {
		struct client c;
		struct msg_login m;
		struct msg_session_auth a;
		(void)begin_again(&c, "10.0.0.1:4711", "ADDR=192.0.2.7 LOGIN=alice@example.test");
		(void)w_expect(&w.mta, IPC_SESSION_CLOSE);
		struct msg_session_open o = expect_open(&w.mta);
		greeting(o.session);
		c_expect(&c, ""); /* held back until dir has spoken */
		struct ipc_packet *p = w_expect(&w.dir, IPC_LOGIN);
		assert_int_equal(msg_login_read(p, &m), 0);
		assert_true(m.claimed);
		assert_str(m.username, "alice@example.test");
		assert_str(m.mechanism, "XCLIENT");
		assert_int_equal(m.password.n, 0);
		assert_str(m.peer.proxy_ip, "10.0.0.1");
		struct msg_login_reply r = {.granted = granted};
		assert_int_equal(ipc_reply(p, IPC_LOGIN_REPLY, &r), 0);
		w_step();
		if (granted) {
			assert_int_equal(
				msg_session_auth_read(w_expect(&w.mta, IPC_SESSION_AUTH), &a), 0);
			assert_int_equal(a.outcome, AUTH_CLAIMED);
			w_done(&w.mta, &(struct msg_session_done){.session = o.session, .seq = 2});
			c_expect(&c, "220 hello\r\n");
		} else {
			c_expect_begin(&c, "220 hello\r\n421 4.7.0 The user that XCLIENT names");
			c_expect_end(&c);
		}
		leave(&c);
	}
}

/* --- ID
 * -----------------------------------------------------------------------------------------------------
 */

static void id_is_believed_of_front_ends(void **state)
{
	(void)state;
	static const struct {
		const char *from, *ip;
		unsigned source;
	} rows[] = {{"10.0.0.2:4711", "192.0.2.7", PEER_ID},
		    {"192.0.2.1:4711", "192.0.2.1", PEER_SOCKET}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct client c;
		struct msg_login m;
		c_knock(&c, SERVICE_IMAPS, rows[i].from);
		c_shake(&c);
		c_expect_begin(&c, "* OK ");
		c_says(&c, "a ID (\"x-originating-ip\" \"192.0.2.7\")\r\n");
		c_expect_begin(&c, "* ID ");
		c_says(&c, "b LOGIN alice secret\r\n");
		assert_int_equal(msg_login_read(w_expect(&w.dir, IPC_LOGIN), &m), 0);
		assert_str(m.peer.ip, rows[i].ip);
		assert_int_equal(m.peer.source, rows[i].source);
		leave(&c);
	}
}

static void a_stop_drops_who_waits(void **state)
{
	(void)state;
	struct client c;
	c_knock(&c, SERVICE_SMTP, "10.1.0.1:5555");
	edge_role_ops.stop(&w.role);
	c_expect_end(&c);
	leave(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define EACH(f) cmocka_unit_test_setup_teardown(f, begin, end)
		EACH(the_socket_is_believed_without_a_proxy),
		EACH(a_proxy_says_for_whom_it_comes),
		EACH(a_wrong_header_closes),
		EACH(the_header_has_the_time_of_a_login),
		EACH(tls_at_the_proxy),
		EACH(limits_go_by_the_real_address),
		EACH(xclient_begins_again_with_another_peer),
		EACH(what_the_front_end_may_send_its_client_may_not),
		EACH(xclient_counts_for_the_client),
		EACH(xclient_login_is_dirs_to_allow),
		EACH(id_is_believed_of_front_ends),
		EACH(a_stop_drops_who_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
