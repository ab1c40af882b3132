/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of a connection on one thread: the client by hand, the server by steps of its loop.
 * Each case that makes sense with TLS runs with and without it.
 */
#include "base/check.h"
#include "base/test.h"
#include "runtime/conn/conn.h"
#include "runtime/tls/tls.h"
#include "runtime/tls/tls_testing.h"
#include "sys/clock.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct tls_ctx *ctx;
static bool over_tcp; /* a socket pair has no packets under way, and no resets */

/* What a callback does beside taking notes. */
enum act { ACT_NONE, ACT_CLOSE, ACT_FINISH, ACT_PAUSE, ACT_STARTTLS };

struct peer {
	struct loop *loop;
	struct conn *c; /* NULL once ended */
	int fd;		/* the client's end; -1 once closed */
	bool tls;
	struct tls_client client;
	struct buf in;	   /* what the server took */
	struct buf out;	   /* what the client read */
	size_t take;	   /* per call of input; 0 = everything */
	size_t stop_after; /* pause when so much was taken; 0 = never */
	enum act on_input, on_secured, on_drained, on_timeout, on_eof;
	int inputs, inputs_answered, secured, drained, timeouts, eofs, ends;
	size_t least; /* smallest value told by drained */
	bool client_eof;
	enum conn_end end;
	int end_code;
};

static void act(struct peer *p, enum act what)
{
	switch (what) {
	case ACT_NONE:
		break;
	case ACT_CLOSE:
		conn_close(p->c);
		break;
	case ACT_FINISH:
		conn_finish(p->c);
		break;
	case ACT_PAUSE:
		conn_pause(p->c);
		break;
	case ACT_STARTTLS:
		conn_write(p->c, STR("go\r\n"));
		conn_start_tls(p->c, ctx, NULL);
		break;
	}
}

static void input(struct conn *c, struct str *in)
{
	struct peer *p = c->owner;
	size_t n = p->take ? MIN(p->take, in->n) : in->n;
	p->inputs++;
	(void)buf_add(&p->in, str_sub(*in, 0, n));
	*in = str_skip(*in, n);
	if (p->stop_after && p->in.n >= p->stop_after)
		conn_pause(c);
	act(p, p->on_input);
}

static void secured(struct conn *c)
{
	struct peer *p = c->owner;
	p->secured++;
	act(p, p->on_secured);
}

static void drained(struct conn *c, size_t left)
{
	struct peer *p = c->owner;
	p->drained++;
	p->least = MIN(p->least, left);
	act(p, p->on_drained);
}

static void timeout(struct conn *c)
{
	struct peer *p = c->owner;
	p->timeouts++;
	act(p, p->on_timeout);
}

static void eof(struct conn *c)
{
	struct peer *p = c->owner;
	p->eofs++;
	act(p, p->on_eof);
}

static void ended(struct conn *c, enum conn_end end, const struct fail *why)
{
	struct peer *p = c->owner;
	p->ends++;
	p->end = end;
	p->end_code = why ? (int)why->code : 0;
	p->c = NULL;
}

static const struct conn_ops ops = {.input = input,
				    .eof = eof,
				    .secured = secured,
				    .drained = drained,
				    .timeout = timeout,
				    .ended = ended};
static const struct conn_ops ops_without_eof = {.input = input, .ended = ended};

/* --- the client ---------------------------------------------------------------------------------
 */

static void step(struct peer *p)
{
	for (int i = 0; i < 20; i++)
		loop_step(p->loop, over_tcp && i % 5 == 0 ? 1 : 0);
}

static void nonblock(int fd)
{
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
}

static void tcp_pair(int fds[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(listener, (struct sockaddr *)&a, n) == 0 && listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&a, &n) == 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(fds[0], (struct sockaddr *)&a, n) == 0);
	fds[1] = accept(listener, NULL, NULL);
	CHECK(fds[1] >= 0);
	(void)close(listener);
}

static void open_with(struct peer *p, const struct conn_ops *with)
{
	int fds[2];
	if (over_tcp)
		tcp_pair(fds);
	else
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	nonblock(fds[0]);
	nonblock(fds[1]);
	*p = (struct peer){.loop = loop_new(),
			   .fd = fds[0],
			   .in = BUF_INIT(MIB(8)),
			   .out = BUF_INIT(MIB(8)),
			   .least = SIZE_MAX};
	p->c = conn_new(p->loop, fds[1], with, p);
}

static void shake(struct peer *p)
{
	tls_client_open(&p->client, p->fd);
	int r = -1;
	for (int i = 0; i < 100 && (r == -1 || p->secured == 0); i++) {
		r = tls_client_shake(&p->client);
		loop_step(p->loop, 0);
	}
	assert_int_equal(r, 1);
	p->tls = true;
}

/* Connected, with TLS if so wished, and reading. */
static void open_peer(struct peer *p, bool tls)
{
	open_with(p, &ops);
	if (tls) {
		conn_start_tls(p->c, ctx, NULL);
		shake(p);
		assert_true(conn_tls_text(p->c).n > 0);
	}
	conn_resume(p->c);
}

static void client_closes(struct peer *p)
{
	if (p->tls)
		tls_client_clear(&p->client);
	p->tls = false;
	if (p->fd >= 0)
		(void)close(p->fd);
	p->fd = -1;
}

static void close_peer(struct peer *p)
{
	client_closes(p);
	if (p->c)
		conn_close(p->c);
	step(p);
	assert_int_equal(p->ends, 1);
	buf_clear(&p->in);
	buf_clear(&p->out);
	loop_free(p->loop);
}

static void client_says(struct peer *p, struct str s)
{
	for (int i = 0; i < 10000 && s.n; i++) {
		ssize_t n = p->tls ? tls_client_write(&p->client, s)
				   : send(p->fd, s.p, s.n, MSG_NOSIGNAL);
		if (n > 0)
			s = str_skip(s, (size_t)n);
		else
			loop_step(p->loop, 0);
	}
	assert_int_equal(s.n, 0);
}

/* At most max bytes; false when none are there. */
static bool client_reads(struct peer *p, size_t max)
{
	char bytes[4096];
	ssize_t n = p->tls ? tls_client_read(&p->client, bytes, MIN(max, sizeof bytes))
			   : recv(p->fd, bytes, MIN(max, sizeof bytes), 0);
	if (n == 0)
		p->client_eof = true;
	if (n > 0)
		(void)buf_add(&p->out, str_make(bytes, (size_t)n));
	return n > 0;
}

static void client_reads_all(struct peer *p)
{
	for (int quiet = 0; quiet < 5 && !p->client_eof;) {
		step(p);
		quiet = client_reads(p, 4096) ? 0 : quiet + 1;
	}
}

static int memory_file(struct str content)
{
	int fd = memfd_create("body", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, content.p, content.n) == (ssize_t)content.n);
	return fd;
}

/* Bytes that tell where they belong. */
static struct buf pattern(size_t n, unsigned seed)
{
	struct buf b = BUF_INIT(n);
	for (size_t i = 0; i < n; i++)
		(void)buf_addc(&b, (char)('A' + (i * 7 + i / 256 + seed) % 26));
	return b;
}

/* --- output
 * ----------------------------------------------------------------------------------------- */

static void output_keeps_its_order(bool tls, size_t piece)
{
	struct peer p;
	AUTO(buf) struct buf want = BUF_INIT(MIB(4));
	open_peer(&p, tls);
	for (unsigned i = 0; i < 12; i++) {
		AUTO(buf) struct buf text = pattern(i % 3 == 0 ? 100000 : 50 + i, i);
		AUTO(buf) struct buf file = pattern(70000 + i, i + 5);
		conn_write(p.c, buf_str(&text));
		(void)buf_add(&want, buf_str(&text));
		conn_write_file(p.c, memory_file(buf_str(&file)), i, 70000);
		(void)buf_add(&want, str_sub(buf_str(&file), i, 70000 + i));
		conn_write(p.c, STR("."));
		conn_write(p.c, STR("\r\n"));
		(void)buf_add(&want, STR(".\r\n"));
	}
	assert_int_equal(p.c->out_bytes, want.n);
	conn_flush(p.c);
	assert_true(p.c->out_bytes > 0); /* the client has not read yet */
	for (int quiet = 0; quiet < 20;) {
		loop_step(p.loop, 0);
		quiet = client_reads(&p, piece) ? 0 : quiet + 1;
	}
	assert_int_equal(p.out.n, want.n);
	assert_memory_equal(p.out.p, want.p, want.n);
	assert_true(p.drained > 0);
	assert_int_equal(p.least, 0);
	assert_int_equal(p.c->out_bytes, 0);
	assert_int_equal(p.c->stall.pos, 0);
	close_peer(&p);
}

static void a_slow_reader_gets_all_in_order(void **state)
{
	(void)state;
	output_keeps_its_order(false, 1000);
	output_keeps_its_order(true, 1000);
	output_keeps_its_order(false, 4096);
	output_keeps_its_order(true, 4096);
}

static void nothing_and_empty_ranges_are_harmless(void **state)
{
	(void)state;
	struct peer p;
	open_peer(&p, false);
	conn_write(p.c, STR(""));
	conn_write_file(p.c, memory_file(STR("x")), 0, 0);
	assert_int_equal(p.c->out_bytes, 0);
	conn_flush(p.c);
	assert_int_equal(p.drained, 0);
	close_peer(&p);
}

static void a_file_that_is_too_short_ends_the_connection(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct peer p;
		open_peer(&p, tls);
		conn_write_file(p.c, memory_file(STR("short")), 0, 6);
		conn_flush(p.c);
		assert_int_equal(p.ends, 1);
		assert_int_equal(p.end_code, FAIL_CORRUPT);
		close_peer(&p);
	}
}

static void fill_the_socket(struct peer *p)
{
	AUTO(buf) struct buf much = pattern(MIB(6), 1);
	AUTO(buf) struct buf file = pattern(1000, 1);
	conn_write(p->c, buf_str(&much));
	conn_write_file(p->c, memory_file(buf_str(&file)), 0, 1000);
	conn_flush(p->c);
	step(p);
	assert_true(p->c->out_bytes > 1000);
}

static void a_client_that_does_not_read_is_given_up(void **state)
{
	(void)state;
	struct peer p;
	open_peer(&p, false);
	fill_the_socket(&p);
	clock_bend_us(119 * SEC_US);
	step(&p);
	assert_int_equal(p.ends, 0);
	while (client_reads(&p, 4096)) /* progress counts */
		;
	step(&p);
	clock_bend_us(200 * SEC_US);
	step(&p);
	assert_int_equal(p.ends, 0);
	clock_bend_us(400 * SEC_US);
	step(&p);
	assert_int_equal(p.ends, 1);
	assert_int_equal(p.end, CONN_END_STALLED);
	clock_bend_us(0);
	close_peer(&p);
}

static void a_reset_while_output_waits_ends(void **state)
{
	(void)state;
	over_tcp = true;
	struct peer p;
	open_peer(&p, false);
	fill_the_socket(&p);
	conn_pause(p.c);
	client_closes(&p); /* with unread input: a reset */
	step(&p);
	assert_int_equal(p.ends, 1);
	assert_int_equal(p.end, CONN_END_PEER);
	close_peer(&p);
	over_tcp = false;
}

/* --- input
 * ------------------------------------------------------------------------------------------ */

static void what_is_left_is_offered_again(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct peer p;
		AUTO(buf) struct buf want = pattern(100000, 3);
		open_peer(&p, tls);
		p.take = 1000;
		client_says(&p, buf_str(&want));
		step(&p);
		assert_int_equal(p.in.n, 1000); /* the rest paused it */
		assert_true(p.c->paused);
		for (int i = 0; i < 300 && p.in.n < want.n; i++) {
			size_t before = p.in.n;
			conn_resume(p.c);
			step(&p);
			assert_true(p.in.n - before <=
				    2000); /* the end of one piece and the begin of the next */
			assert_true(p.c->kept.n <= CONN_READ_SIZE);
		}
		assert_int_equal(p.in.n, want.n);
		assert_memory_equal(p.in.p, want.p, want.n);
		assert_int_equal(p.c->kept.cap, 0); /* an idle connection keeps no buffer */
		close_peer(&p);
	}
}

static void a_paused_connection_reads_nothing(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct peer p;
		open_peer(&p, tls);
		p.stop_after = 1;
		client_says(&p, STR("first"));
		step(&p);
		assert_int_equal(p.in.n, 5);
		client_says(&p, STR("second"));
		step(&p);
		assert_int_equal(p.in.n, 5);
		p.stop_after = 0;
		conn_resume(p.c);
		conn_resume(p.c);
		step(&p);
		assert_str(buf_str(&p.in), "firstsecond");
		conn_resume(p.c); /* and a pause right behind counts */
		conn_pause(p.c);
		client_says(&p, STR("third"));
		step(&p);
		assert_str(buf_str(&p.in), "firstsecond");
		close_peer(&p);
	}
}

/* TLS decrypts a record as a whole: what it holds does not show in epoll. */
/* Each command has a large answer, and the client reads none of them. */
static void who_does_not_read_is_not_listened_to(void **state)
{
	static char answer[KIB(256)];
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct peer p;
		size_t said = 0;
		memset(answer, 'a', sizeof answer);
		open_peer(&p, tls);
		for (int i = 0; i < 40; i++) {
			client_says(&p, STR("more\r\n"));
			said += 6;
			for (int k = 0; k < 3; k++)
				step(&p);
			for (; p.in.n > (size_t)p.inputs_answered * 6; p.inputs_answered++)
				conn_write(p.c, str_make(answer, sizeof answer));
			conn_flush(p.c);
		}
		assert_true(p.c->out_bytes >= MIB(2) && p.c->out_bytes < MIB(3));
		assert_true(p.in.n < said);
		client_reads_all(&p);
		for (int i = 0; i < 20; i++)
			step(&p);
		assert_int_equal(p.in.n, said); /* the rest is heard now */
		assert_int_equal(p.c->held, 0);
		close_peer(&p);
	}
}

static void nothing_is_forgotten_inside_of_tls(void **state)
{
	(void)state;
	struct peer p;
	AUTO(buf) struct buf want = pattern(60000, 9);
	open_peer(&p, true);
	p.stop_after = 1;
	client_says(&p, buf_str(&want));
	for (int i = 0; i < 100 && p.in.n < want.n; i++) {
		conn_resume(p.c);
		step(&p);
	}
	assert_int_equal(p.in.n, want.n);
	close_peer(&p);
}

/* --- TLS
 * ---------------------------------------------------------------------------------------------- */

static void starttls_drops_what_came_behind_it(void **state)
{
	(void)state;
	/* Inside the callback: what is left, and what the callback had not been offered yet. */
	struct peer p;
	open_with(&p, &ops);
	conn_resume(p.c);
	p.take = 10;
	p.on_input = ACT_STARTTLS;
	client_says(&p, STR("STARTTLS\r\nevil command\r\n"));
	step(&p);
	p.on_input = ACT_NONE;
	p.take = 0;
	assert_true(client_reads(&p, 4));
	assert_str(buf_str(&p.out), "go\r\n");
	shake(&p);
	client_says(&p, STR("good"));
	step(&p);
	assert_str(buf_str(&p.in), "STARTTLS\r\ngood");
	close_peer(&p);

	/* Inside the callback, offered from what was kept. */
	open_with(&p, &ops);
	conn_resume(p.c);
	p.take = 2;
	client_says(&p, STR("a\nSTARTTLS\r\nevil command\r\n"));
	step(&p);
	p.take = 10;
	p.on_input = ACT_STARTTLS;
	conn_resume(p.c);
	step(&p);
	p.on_input = ACT_NONE;
	assert_int_equal(p.c->kept.n, 0);
	assert_true(client_reads(&p, 4));
	shake(&p);
	client_says(&p, STR("good"));
	conn_resume(p.c);
	step(&p);
	assert_str(buf_str(&p.in), "a\nSTARTTLS\r\ngood");
	close_peer(&p);

	/* Later, while it is paused with input kept: the answer of another role says so. */
	open_with(&p, &ops);
	conn_resume(p.c);
	p.take = 10;
	client_says(&p, STR("STARTTLS\r\nevil command\r\n"));
	step(&p);
	assert_true(p.c->kept.n > 0);
	p.take = 0;
	act(&p, ACT_STARTTLS);
	assert_int_equal(p.c->kept.n, 0);
	assert_true(client_reads(&p, 4));
	shake(&p);
	client_says(&p, STR("good"));
	conn_resume(p.c);
	step(&p);
	assert_str(buf_str(&p.in), "STARTTLS\r\ngood");
	close_peer(&p);
}

static void words_with_the_handshake_are_heard(void **state)
{
	(void)state;
	struct peer p;
	open_with(&p, &ops);
	conn_start_tls(p.c, ctx, NULL);
	conn_resume(p.c); /* takes effect behind the handshake */
	tls_client_open(&p.client, p.fd);
	p.tls = true;
	while (tls_client_shake(&p.client) != 1)
		loop_step(p.loop, 0);
	assert_int_equal(p.secured, 0); /* the client is ahead by half a round */
	client_says(&p, STR("early"));
	step(&p);
	assert_int_equal(p.secured, 1);
	assert_str(buf_str(&p.in), "early");
	close_peer(&p);
}

static void starttls_for_a_client_that_left(void **state)
{
	(void)state;
	over_tcp = true;
	struct peer p;
	open_with(&p, &ops);
	client_closes(&p);
	conn_write(p.c, STR("a")); /* answered by a reset */
	conn_flush(p.c);
	usleep(1000);
	act(&p, ACT_STARTTLS); /* its own flush finds out */
	step(&p);
	assert_int_equal(p.ends, 1);
	close_peer(&p);
	over_tcp = false;
}

static void starttls_never_overtakes_plain_text(void **state)
{
	(void)state;
	struct peer p;
	open_with(&p, &ops);
	fill_the_socket(&p);
	act(&p, ACT_STARTTLS);
	assert_int_equal(p.ends, 1);
	assert_int_equal(p.end, CONN_END_STALLED);
	close_peer(&p);
}

static void garbage_instead_of_a_handshake(void **state)
{
	(void)state;
	struct peer p;
	open_with(&p, &ops);
	conn_start_tls(p.c, ctx, NULL);
	client_says(&p, STR("EHLO I am no TLS client\r\n"));
	step(&p);
	assert_int_equal(p.ends, 1);
	assert_int_equal(p.end, CONN_END_TLS);
	assert_int_equal(p.secured, 0);
	close_peer(&p);
}

/* --- ends
 * -----------------------------------------------------------------------------------------------
 */

static void close_inside_of_every_callback(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++)
		for (int which = 0; which < 4; which++)
			for (enum act how = ACT_CLOSE; how <= ACT_FINISH; how++) {
				struct peer p;
				open_peer(&p, tls);
				enum act *on[] = {&p.on_input, &p.on_drained, &p.on_timeout,
						  &p.on_eof};
				*on[which] = how;
				conn_timeout(p.c, which == 2 ? 1 : 0);
				if (which == 0)
					client_says(&p, STR("hello"));
				if (which == 1) {
					conn_write(p.c, STR("hello"));
					conn_flush(p.c);
				}
				usleep(2000);
				if (which == 3 && tls)
					tls_client_shut(&p.client);
				else if (which == 3)
					(void)shutdown(p.fd, SHUT_WR);
				step(&p);
				assert_int_equal(p.ends, 1);
				assert_int_equal(p.end, CONN_END_OURS);
				close_peer(&p);
			}
	struct peer p;
	open_with(&p, &ops);
	p.on_secured = ACT_CLOSE;
	conn_start_tls(p.c, ctx, NULL);
	tls_client_open(&p.client, p.fd);
	p.tls = true;
	for (int i = 0; i < 50; i++) {
		(void)tls_client_shake(&p.client);
		loop_step(p.loop, 0);
	}
	assert_int_equal(p.secured, 1);
	assert_int_equal(p.ends, 1);
	close_peer(&p);
}

static void finish_writes_everything_first(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct peer p;
		AUTO(buf) struct buf much = pattern(MIB(6), 1);
		open_peer(&p, tls);
		conn_write(p.c, buf_str(&much));
		conn_finish(p.c);
		conn_finish(p.c);
		conn_write(p.c, STR("too late"));
		conn_write_file(p.c, memory_file(STR("too late")), 0, 8);
		conn_timeout(p.c, 1);
		assert_int_equal(p.ends, 0);
		client_says(&p, STR("not heard"));
		client_reads_all(&p);
		assert_true(p.client_eof);
		assert_int_equal(p.out.n, much.n);
		assert_memory_equal(p.out.p, much.p, much.n);
		assert_int_equal(p.inputs, 0);
		assert_int_equal(p.timeouts, 0);
		client_closes(&p);
		step(&p);
		assert_int_equal(p.end, CONN_END_OURS);
		close_peer(&p);
	}
}

static void finish_does_not_wait_for_a_handshake(void **state)
{
	(void)state;
	struct peer p;
	open_with(&p, &ops);
	conn_start_tls(p.c, ctx, NULL);
	conn_write(p.c, STR("bye"));
	conn_finish(p.c);
	assert_int_equal(p.ends, 1);
	close_peer(&p);
}

/* A client that is still sending hears our last words all the same. */
static void unread_input_does_not_destroy_the_last_words(void **state)
{
	(void)state;
	over_tcp = true;
	for (int tls = 0; tls < 2; tls++) {
		struct peer p;
		AUTO(buf) struct buf body = pattern(200000, 1);
		open_peer(&p, tls);
		p.on_input = ACT_PAUSE;
		client_says(&p, STR("DATA"));
		step(&p);
		client_says(&p, str_sub(buf_str(&body), 0, 100000));
		conn_write(p.c, STR("550 no\r\n"));
		conn_finish(p.c);
		assert_int_equal(p.ends, 0); /* lingers */
		client_says(&p, str_skip(buf_str(&body), 100000));
		step(&p);
		client_reads_all(&p);
		assert_str(buf_str(&p.out), "550 no\r\n");
		assert_true(p.client_eof);
		assert_int_equal(p.ends, 0);
		client_closes(&p);
		step(&p);
		assert_int_equal(p.ends, 1);
		assert_int_equal(p.end, CONN_END_OURS);
		close_peer(&p);
	}
	over_tcp = false;
}

static void lingering_is_short(void **state)
{
	(void)state;
	over_tcp = true;
	/* In time ... */
	struct peer p;
	open_peer(&p, false);
	conn_pause(p.c);
	client_says(&p, STR("more"));
	step(&p);
	conn_finish(p.c);
	step(&p);
	assert_int_equal(p.ends, 0);
	clock_bend_us(3 * SEC_US);
	step(&p);
	assert_int_equal(p.ends, 1);
	clock_bend_us(0);
	close_peer(&p);
	/* ... and in bytes. */
	AUTO(buf) struct buf much = pattern(MIB(2), 1);
	open_peer(&p, false);
	conn_pause(p.c);
	client_says(&p, STR("more"));
	step(&p);
	conn_finish(p.c);
	struct str left = buf_str(&much);
	for (int i = 0; i < 1000 && p.ends == 0 && left.n; i++) {
		ssize_t n = send(p.fd, left.p, left.n, MSG_NOSIGNAL);
		left = str_skip(left, n > 0 ? (size_t)n : 0);
		loop_step(p.loop, 0);
	}
	assert_int_equal(p.ends, 1);
	close_peer(&p);
	over_tcp = false;
}

static void a_half_closed_client_is_answered(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct peer p;
		open_peer(&p, tls);
		p.take = 2;
		client_says(&p, STR("abcdef"));
		if (tls)
			tls_client_shut(&p.client);
		else
			(void)shutdown(p.fd, SHUT_WR);
		step(&p);
		assert_int_equal(p.eofs, 0); /* not before everything was taken */
		for (int i = 0; i < 3; i++) {
			conn_resume(p.c);
			step(&p);
		}
		assert_str(buf_str(&p.in), "abcdef");
		assert_int_equal(p.eofs, 1);
		assert_int_equal(p.ends, 0);
		conn_resume(p.c);
		step(&p);
		assert_int_equal(p.eofs, 1);
		conn_write(p.c, STR("answer"));
		conn_flush(p.c);
		conn_finish(p.c);
		client_reads_all(&p);
		assert_str(buf_str(&p.out), "answer");
		assert_int_equal(p.ends, 1);
		close_peer(&p);
	}
}

static void without_eof_callback_it_ends(void **state)
{
	(void)state;
	struct peer p;
	open_with(&p, &ops_without_eof);
	conn_resume(p.c);
	client_says(&p, STR("x"));
	(void)shutdown(p.fd, SHUT_WR);
	step(&p);
	assert_int_equal(p.in.n, 1);
	assert_int_equal(p.ends, 1);
	assert_int_equal(p.end, CONN_END_PEER);
	close_peer(&p);
}

static void a_client_that_leaves_during_the_handshake(void **state)
{
	(void)state;
	struct peer p;
	open_with(&p, &ops);
	conn_start_tls(p.c, ctx, NULL);
	step(&p);
	client_closes(&p);
	step(&p);
	assert_int_equal(p.ends, 1);
	assert_int_equal(p.end, CONN_END_TLS);
	close_peer(&p);
}

static void timeouts(void **state)
{
	(void)state;
	struct peer p;
	open_peer(&p, false);
	conn_timeout(p.c, 1000);
	clock_bend_us(900 * 1000);
	conn_timeout(p.c, 1000); /* again: from now on */
	clock_bend_us(1800 * 1000);
	step(&p);
	assert_int_equal(p.timeouts, 0);
	clock_bend_us(2000 * 1000);
	step(&p);
	assert_int_equal(p.timeouts, 1);
	clock_bend_us(9000 * 1000);
	step(&p);
	assert_int_equal(p.timeouts, 1); /* once */
	conn_timeout(p.c, 1000);
	conn_timeout(p.c, 0);
	clock_bend_us(20000 * 1000LL);
	step(&p);
	assert_int_equal(p.timeouts, 1);
	/* A goodbye that is not taken has its time, too, however slowly the client reads. */
	fill_the_socket(&p);
	conn_finish(p.c);
	for (int64_t s = 60; s < 1000 && p.ends == 0; s += 60) {
		clock_bend_us((20 + s) * SEC_US);
		(void)client_reads(&p, 1000);
		step(&p);
	}
	assert_int_equal(p.ends, 1);
	assert_int_equal(p.end, CONN_END_STALLED);
	assert_int_equal(p.timeouts, 1);
	clock_bend_us(0);
	close_peer(&p);
}

static int begin(void **state)
{
	(void)state;
	tls_init();
	ctx = one_ctx("DNS:mx.example");
	return 0;
}

static int finish(void **state)
{
	(void)state;
	tls_ctx_unref(ctx);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_reader_gets_all_in_order),
		cmocka_unit_test(nothing_and_empty_ranges_are_harmless),
		cmocka_unit_test(a_file_that_is_too_short_ends_the_connection),
		cmocka_unit_test(a_client_that_does_not_read_is_given_up),
		cmocka_unit_test(a_reset_while_output_waits_ends),
		cmocka_unit_test(what_is_left_is_offered_again),
		cmocka_unit_test(a_paused_connection_reads_nothing),
		cmocka_unit_test(who_does_not_read_is_not_listened_to),
		cmocka_unit_test(nothing_is_forgotten_inside_of_tls),
		cmocka_unit_test(starttls_drops_what_came_behind_it),
		cmocka_unit_test(words_with_the_handshake_are_heard),
		cmocka_unit_test(starttls_for_a_client_that_left),
		cmocka_unit_test(starttls_never_overtakes_plain_text),
		cmocka_unit_test(garbage_instead_of_a_handshake),
		cmocka_unit_test(close_inside_of_every_callback),
		cmocka_unit_test(finish_writes_everything_first),
		cmocka_unit_test(finish_does_not_wait_for_a_handshake),
		cmocka_unit_test(unread_input_does_not_destroy_the_last_words),
		cmocka_unit_test(lingering_is_short),
		cmocka_unit_test(a_half_closed_client_is_answered),
		cmocka_unit_test(without_eof_callback_it_ends),
		cmocka_unit_test(a_client_that_leaves_during_the_handshake),
		cmocka_unit_test(timeouts),
	};
	return cmocka_run_group_tests(tests, begin, finish);
}
