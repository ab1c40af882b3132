/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/test.h"
#include "runtime/ipc/ipc.h"
#include "runtime/ipc/wire.h"
#include "runtime/loop.h"
#include "sys/fdpass.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

/* Two loops on two threads, a channel from one to the other. The server answers `route`. */
struct side {
	struct loop *loop;
	pthread_t thread;
	struct ipc_channel *ch;
	_Atomic int messages;
	_Atomic int downs;
};
static struct side client, server;
static _Atomic bool server_mute;

static void *run_loop(void *arg)
{
	loop_run(((struct side *)arg)->loop);
	return NULL;
}

static void serve(struct ipc_channel *ch, struct ipc_packet *p)
{
	struct side *s = ipc_channel_context(ch);
	struct msg_route m;
	atomic_fetch_add(&s->messages, 1);
	if (ipc_packet_type(p) == IPC_ROUTE && msg_route_read(p, &m) == 0 &&
	    !atomic_load(&server_mute)) {
		if (str_eq(m.address, STR("fail@x"))) {
			struct fail why = FAIL_INIT;
			(void)fail_set(&why, FAIL_QUOTA, "Full.", "inside");
			(void)ipc_reply_fail(p, &why);
		} else {
			struct msg_dest d = {.account = m.session, .address = m.address};
			struct msg_route_reply reply = {
				.note = m.sender, .dests = &d, .dests_n = 1};
			(void)ipc_reply(p, IPC_ROUTE_REPLY, &reply);
		}
	}
	ipc_packet_free(p);
}

static void count_down(struct ipc_channel *ch)
{
	struct side *s = ipc_channel_context(ch);
	atomic_fetch_add(&s->downs, 1);
}

static const struct ipc_channel_ops ops = {.message = serve, .down = count_down};

struct attach {
	struct loop_task task;
	struct ipc_channel *ch;
	int fd;
	_Atomic bool done;
};
static void do_attach(struct loop_task *t)
{
	struct attach *a = CONTAINER_OF(t, struct attach, task);
	ipc_channel_attach(a->ch, a->fd);
	atomic_store(&a->done, true);
}
static void attach(struct side *s, int fd)
{
	struct attach a = {.task.run = do_attach, .ch = s->ch, .fd = fd};
	loop_post(s->loop, &a.task);
	while (!atomic_load(&a.done))
		usleep(100);
}

static void connect_both(void)
{
	int fds[2];
	assert_int_equal(fdpass_pair(fds, NULL), 0);
	attach(&client, fds[0]);
	attach(&server, fds[1]);
}

static int setup(void **state)
{
	(void)state;
	struct side *both[] = {&client, &server};
	for (size_t i = 0; i < 2; i++) {
		both[i]->loop = loop_new();
		both[i]->ch =
			ipc_channel_new(both[i]->loop, i ? "client" : "server", 0, &ops, both[i]);
		pthread_create(&both[i]->thread, NULL, run_loop, both[i]);
	}
	connect_both();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	struct side *both[] = {&client, &server};
	for (size_t i = 0; i < 2; i++) {
		loop_stop(both[i]->loop);
		pthread_join(both[i]->thread, NULL);
		ipc_channel_free(both[i]->ch);
		loop_free(both[i]->loop);
	}
	return 0;
}

static int ask(struct str address, struct str sender, unsigned deadline_ms, struct fail *why)
{
	struct msg_route m = {.address = address, .sender = sender, .session = 7};
	struct ipc_question q = {
		.type = IPC_ROUTE, .msg = &m, .want = IPC_ROUTE_REPLY, .deadline_ms = deadline_ms};
	struct ipc_packet *p = NULL;
	int r = ipc_call(client.ch, &q, &p, why);
	if (r < 0)
		return r;
	struct msg_route_reply reply;
	r = msg_route_reply_read(p, &reply);
	if (r == 0 && (!str_eq(reply.note, sender) || reply.dests_n != 1 ||
		       reply.dests[0].account != 7 || !str_eq(reply.dests[0].address, address)))
		r = -FAIL_CORRUPT;
	ipc_packet_free(p);
	return r;
}

static void a_call_is_answered(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	assert_ok(ask(STR("a@b"), STR("c@d"), 0, &why), &why);
	assert_int_equal(ask(STR("fail@x"), STR(""), 0, &why), -FAIL_QUOTA);
	assert_string_equal(why.public, "Full.");
	assert_string_equal(why.detail, "inside");
}

static void *ask_often(void *arg)
{
	int *r = arg;
	for (int i = 0; i < 500 && *r == 0; i++)
		*r = ask(STR("a@b"), STR("c@d"), 0, NULL);
	return NULL;
}

static void many_threads_share_a_channel(void **state)
{
	(void)state;
	pthread_t t[8];
	int r[8] = {0};
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, ask_often, &r[i]);
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(r[i], 0);
	}
}

static void a_large_message_travels_as_memory(void **state)
{
	(void)state;
	atomic_store(&server.messages, 0);
	size_t n = MIB(1);
	char *big = malloc(n);
	memset(big, 'x', n);
	struct msg_session_command m = {.input = str_make(big, n)};
	assert_int_equal(ipc_send(client.ch, (struct trace_id){1}, IPC_SESSION_COMMAND, &m), 0);
	m.input.n++;
	big = realloc(big, n + 1);
	m.input.p = big;
	assert_int_equal(ipc_send(client.ch, (struct trace_id){1}, IPC_SESSION_COMMAND, &m),
			 -FAIL_TOOBIG);
	free(big);
	for (int i = 0; i < 1000 && atomic_load(&server.messages) < 1; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&server.messages), 1);
}

static void notices_beyond_the_window_wait(void **state)
{
	(void)state;
	atomic_store(&server.messages, 0);
	struct msg_session_close m = {.session = 1};
	for (int i = 0; i < 5000; i++)
		assert_int_equal(ipc_send(client.ch, (struct trace_id){0}, IPC_SESSION_CLOSE, &m),
				 0);
	for (int i = 0; i < 2000 && atomic_load(&server.messages) < 5000; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&server.messages), 5000);
}

static void a_silent_peer_ends_in_a_deadline(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	atomic_store(&server_mute, true);
	assert_int_equal(ask(STR("a@b"), STR(""), 50, &why), -FAIL_DEADLINE);
	atomic_store(&server_mute, false);
	assert_ok(ask(STR("a@b"), STR(""), 0, &why), &why);
}

static void *ask_once(void *arg)
{
	*(int *)arg = ask(STR("a@b"), STR(""), 5000, NULL);
	return NULL;
}

static void who_waits_is_sent_away(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	pthread_t t;
	int r = 0, before = atomic_load(&server.messages);
	atomic_store(&server_mute, true);
	pthread_create(&t, NULL, ask_once, &r);
	while (atomic_load(&server.messages) == before)
		usleep(1000);
	ipc_channel_cancel(client.ch);
	pthread_join(t, NULL);
	assert_int_equal(r, -FAIL_CANCELLED);
	atomic_store(&server_mute, false);
	ipc_channel_cancel(client.ch); /* nobody */
	assert_ok(ask(STR("a@b"), STR(""), 0, &why), &why);
}

static void a_restart_fails_what_was_sent_and_keeps_what_waits(void **state)
{
	(void)state;
	pthread_t t;
	int r = 1;
	atomic_store(&server_mute, true);
	atomic_store(&client.downs, 0);
	pthread_create(&t, NULL, ask_once, &r);
	while (ipc_channel_load(client.ch) == 0)
		usleep(100);
	usleep(20000);
	/* The server "dies" with the question in hand. */
	int fds[2];
	assert_int_equal(fdpass_pair(fds, NULL), 0);
	close(fds[1]);
	attach(&server, fds[0]);
	pthread_join(t, NULL);
	assert_int_equal(r, -FAIL_PEER);
	/* The callback comes behind the answer. */
	for (int i = 0; i < 2000 && atomic_load(&client.downs) == 0; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&client.downs), 1);
	/* Asked while it is down: answered when it is back. */
	atomic_store(&server_mute, false);
	pthread_create(&t, NULL, ask_once, &r);
	usleep(20000);
	connect_both();
	pthread_join(t, NULL);
	assert_int_equal(r, 0);
}

/* How many descriptors this process may have from now on. */
static void may_open(rlim_t n)
{
	struct rlimit l;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
	l.rlim_cur = MIN(n, l.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
}

/* A datagram with a descriptor, to which the server has no room. */
static void send_without_room(int peer, uint32_t request)
{
	char datagram[IPC_HEAD_SIZE];
	struct iovec iov = {datagram, sizeof datagram};
	struct ipc_head head = {.type = IPC_BODY_FILE, .fds = 1, .request = request};
	int lowest = dup(peer);
	ipc_head_write(&head, (unsigned char *)datagram);
	(void)close(lowest);
	may_open((rlim_t)lowest);
	assert_int_equal(fdpass_send(peer, &iov, 1, &peer, 1, NULL), 0);
}

static void without_descriptors_who_asks_is_told(void **state)
{
	(void)state;
	int fds[2];
	char answer[IPC_DATAGRAM_MAX];
	struct fdpass_in in;
	struct msg_fail m;
	assert_int_equal(fdpass_pair(fds, NULL), 0);
	attach(&server, fds[1]); /* the client's connection goes */
	int downs = atomic_load(&server.downs);

	send_without_room(fds[0], 7);
	assert_int_equal(fdpass_recv(fds[0], answer, sizeof answer, &in, NULL), 1);
	may_open(RLIM_INFINITY);
	struct ipc_packet *p = ipc_packet_make((struct str){answer, in.n}, in.fds, in.n_fds);
	assert_non_null(p);
	assert_int_equal(ipc_packet_type(p), IPC_FAIL);
	assert_int_equal(msg_fail_read(p, &m), 0);
	assert_int_equal(m.code, FAIL_LIMIT);
	ipc_packet_free(p);
	assert_int_equal(atomic_load(&server.downs), downs);

	/* A notice nobody can take back: what it was about would be wrong from then on. */
	send_without_room(fds[0], 0);
	for (int i = 0; i < 5000 && atomic_load(&server.downs) == downs; i++)
		usleep(1000);
	may_open(RLIM_INFINITY);
	assert_int_equal(atomic_load(&server.downs), downs + 1);
	(void)close(fds[0]);
	connect_both();
}

static void broken_datagrams_are_refused(void **state)
{
	(void)state;
	struct msg_route m = {.address = STR("a@b"), .sender = STR("c@d"), .session = 9};
	struct ipc_out out = {.body = BUF_INIT(1000)};
	ipc_kinds[IPC_ROUTE].put(&m, &out);
	char datagram[1000];
	struct ipc_head head = {.type = IPC_ROUTE};
	ipc_head_write(&head, (unsigned char *)datagram);
	memcpy(datagram + IPC_HEAD_SIZE, out.body.p, out.body.n);
	size_t n = IPC_HEAD_SIZE + out.body.n;
	struct msg_route back;
	for (size_t cut = 0; cut <= n + 1; cut++) {
		struct ipc_packet *p =
			ipc_packet_make((struct str){datagram, MIN(cut, n + 1)}, NULL, 0);
		assert_true((p != NULL) == (cut >= IPC_HEAD_SIZE));
		if (p)
			assert_int_equal(msg_route_read(p, &back), cut == n ? 0 : -FAIL_PEER);
		ipc_packet_free(p);
	}
	head.type = IPC_TYPE_COUNT;
	ipc_head_write(&head, (unsigned char *)datagram);
	assert_null(ipc_packet_make((struct str){datagram, n}, NULL, 0));
	head = (struct ipc_head){.type = IPC_ROUTE, .fds = 1};
	ipc_head_write(&head, (unsigned char *)datagram);
	assert_null(ipc_packet_make((struct str){datagram, n}, NULL, 0));
	head = (struct ipc_head){.type = IPC_ROUTE, .flags = IPC_SPILLED};
	ipc_head_write(&head, (unsigned char *)datagram);
	assert_null(ipc_packet_make((struct str){datagram, n}, NULL, 0));
	buf_clear(&out.body);
}

/* How a message lies on the wire, in hexadecimal; NUL-terminated. */
static void wire_of(enum ipc_type type, const void *msg, char *hex, size_t room)
{
	struct ipc_out out = {.body = BUF_INIT(1000)};
	ipc_kinds[type].put(msg, &out);
	assert_true(out.body.n * 2 < room);
	for (size_t i = 0; i < out.body.n; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)out.body.p[i]);
	buf_clear(&out.body);
}

/*
 * The command of a new version gives its first order, `barid upgrade`, to the server of an old
 * one. Whoever has to change these lines takes that away from the operators of every version
 * before: add a message instead.
 */
static void orders_stay_as_they_were_released(void **state)
{
	(void)state;
	char hex[400];
	struct msg_text args[] = {{STR("upgrade")}, {STR("x")}}, cells[] = {{STR("c")}};
	struct msg_admin order = {
		.by = STR("a"), .language = STR("de"), .scope = 1, .args = args, .args_n = 2};
	struct msg_admin_reply reply = {.code = 2, .text = STR("t"), .cells = cells, .cells_n = 1};
	struct msg_fail fail = {.code = 3, .public = STR("p"), .detail = STR("d")};
	assert_int_equal(IPC_FAIL, 2);
	assert_int_equal(IPC_ADMIN, 3);
	assert_int_equal(IPC_ADMIN_REPLY, 4);
	wire_of(IPC_ADMIN, &order, hex, sizeof hex);
	assert_string_equal(
		hex, "010000006102000000646501000000000200000007000000757067726164650100000078");
	wire_of(IPC_ADMIN_REPLY, &reply, hex, sizeof hex);
	assert_string_equal(hex, "0200010000007400000000010000000100000063");
	wire_of(IPC_FAIL, &fail, hex, sizeof hex);
	assert_string_equal(hex, "030001000000700100000064");
}

/* --- on one thread: both ends step by hand
 * --------------------------------------------------------- */

struct pair {
	struct loop *loop;
	struct ipc_channel *a, *b;
	struct ipc_packet *got[2000]; /* by b */
	size_t n;
};

static void keep(struct ipc_channel *ch, struct ipc_packet *p)
{
	struct pair *x = ipc_channel_context(ch);
	x->got[x->n++] = p;
}
static const struct ipc_channel_ops keeping = {.message = keep};

static void pair_open(struct pair *x)
{
	int fds[2];
	x->loop = loop_new();
	x->a = ipc_channel_new(x->loop, "b", 0, &keeping, x);
	x->b = ipc_channel_new(x->loop, "a", 0, &keeping, x);
	assert_int_equal(fdpass_pair(fds, NULL), 0);
	ipc_channel_attach(x->a, fds[0]);
	ipc_channel_attach(x->b, fds[1]);
}

static void pair_step(struct pair *x)
{
	for (int i = 0; i < 50; i++)
		loop_step(x->loop, 0);
}

static void pair_close(struct pair *x)
{
	for (size_t i = 0; i < x->n; i++)
		ipc_packet_free(x->got[i]);
	x->n = 0;
	ipc_channel_free(x->a);
	ipc_channel_free(x->b);
	pair_step(x);
	loop_free(x->loop);
}

struct noted {
	struct ipc_ask ask;
	int calls;
	int r;
};

static void note_answer(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct noted *n = CONTAINER_OF(a, struct noted, ask);
	(void)why;
	n->calls++;
	n->r = r;
	ipc_packet_free(p);
}

static void ask_route(struct ipc_channel *ch, struct noted *n, bool only_while_up)
{
	struct msg_route m = {.address = STR("a@b")};
	struct ipc_question q = {.type = IPC_ROUTE,
				 .msg = &m,
				 .want = IPC_ROUTE_REPLY,
				 .deadline_ms = 5000,
				 .only_while_up = only_while_up};
	*n = (struct noted){.ask.done = note_answer};
	ipc_ask(ch, &q, &n->ask);
}

/* The successor's questions have the same numbers as its predecessor's: an old answer must not
 * reach it. */
static void a_reply_to_a_dead_peer_does_not_reach_the_next(void **state)
{
	(void)state;
	struct pair x = {0};
	struct noted first, second;
	struct msg_route_reply reply = {.note = STR("old")};
	int fds[2];
	pair_open(&x);
	ask_route(x.a, &first, false);
	pair_step(&x);
	assert_int_equal(x.n, 1);
	ipc_channel_free(x.a);
	assert_int_equal(first.calls, 1);
	assert_int_equal(first.r, -FAIL_PEER);
	x.a = ipc_channel_new(x.loop, "b", 0, &keeping, &x);
	assert_int_equal(fdpass_pair(fds, NULL), 0);
	ipc_channel_attach(x.a, fds[0]);
	ipc_channel_attach(x.b, fds[1]);
	ask_route(x.a, &second, false);
	assert_int_equal(ipc_reply(x.got[0], IPC_ROUTE_REPLY, &reply), -FAIL_PEER);
	pair_step(&x);
	assert_int_equal(second.calls, 0);
	assert_int_equal(x.n, 2);
	assert_int_equal(ipc_reply(x.got[1], IPC_ROUTE_REPLY, &reply), 0);
	pair_step(&x);
	assert_int_equal(second.calls, 1);
	assert_int_equal(second.r, 0);
	pair_close(&x);
}

static void a_question_may_refuse_to_wait(void **state)
{
	(void)state;
	struct pair x = {0};
	struct noted waits, refuses, full;
	struct msg_session_close m = {.session = 1};
	int fds[2];
	pair_open(&x);
	/* Behind a full window both stay here; the peer's death fails the one that refuses to wait.
	 */
	for (unsigned i = 0; i < IPC_WINDOW; i++)
		assert_int_equal(ipc_send(x.a, (struct trace_id){0}, IPC_SESSION_CLOSE, &m), 0);
	ask_route(x.a, &waits, false);
	ask_route(x.a, &full, true);
	ipc_channel_free(x.b);
	pair_step(&x);
	assert_int_equal(waits.calls, 0);
	assert_int_equal(full.calls, 1);
	assert_int_equal(full.r, -FAIL_PEER);
	/* And while it is down: not inside of the call, but soon. */
	ask_route(x.a, &refuses, true);
	assert_int_equal(refuses.calls, 0);
	pair_step(&x);
	assert_int_equal(refuses.calls, 1);
	assert_int_equal(refuses.r, -FAIL_PEER);
	x.b = ipc_channel_new(x.loop, "a", 0, &keeping, &x);
	assert_int_equal(fdpass_pair(fds, NULL), 0);
	ipc_channel_attach(x.a, fds[0]);
	ipc_channel_attach(x.b, fds[1]);
	pair_step(&x);
	assert_int_equal(ipc_packet_type(x.got[x.n - 1]), IPC_ROUTE);
	pair_close(&x); /* fails what waits still */
	assert_int_equal(waits.calls, 1);
}

static void what_is_kept_but_accepted_takes_no_credit(void **state)
{
	(void)state;
	struct pair x = {0};
	struct msg_session_close m = {.session = 1};
	pair_open(&x);
	for (unsigned i = 0; i < 2 * IPC_WINDOW; i++)
		assert_int_equal(ipc_send(x.a, (struct trace_id){0}, IPC_SESSION_CLOSE, &m), 0);
	pair_step(&x);
	assert_int_equal(x.n, IPC_WINDOW);
	for (size_t i = 0; i < IPC_WINDOW / 2; i++)
		ipc_packet_accept(x.got[i]);
	pair_step(&x);
	assert_int_equal(x.n, IPC_WINDOW + IPC_WINDOW / 2);
	ipc_packet_accept(x.got[0]); /* once is enough */
	for (size_t i = 0; i < IPC_WINDOW; i++) {
		ipc_packet_free(x.got[i]);
		x.got[i] = NULL;
	}
	pair_step(&x);
	assert_int_equal(x.n, 2 * IPC_WINDOW);
	pair_close(&x);
	for (size_t i = 0; i < ARRAY_LEN(x.got); i++)
		x.got[i] = NULL;
}

static void an_answer_that_is_too_large_is_a_failure_at_once(void **state)
{
	(void)state;
	struct pair x = {0};
	struct noted asked;
	char note[200];
	memset(note, 'x', sizeof note);
	struct msg_route_reply reply = {.note = str_make(note, sizeof note)}; /* at most 160 */
	pair_open(&x);
	ask_route(x.a, &asked, false);
	pair_step(&x);
	assert_int_equal(ipc_reply(x.got[0], IPC_ROUTE_REPLY, &reply), -FAIL_TOOBIG);
	pair_step(&x);
	assert_int_equal(asked.calls, 1);
	assert_int_equal(asked.r, -FAIL_TOOBIG);
	pair_close(&x);
}

struct sender {
	struct pair *x;
	_Atomic int sent;
};

static void *send_very_many(void *arg)
{
	struct sender *s = arg;
	struct msg_session_close m = {.session = 1};
	for (int i = 0;
	     i < 70000 && ipc_send_wait(s->x->a, (struct trace_id){0}, IPC_SESSION_CLOSE, &m) == 0;
	     i++)
		atomic_fetch_add(&s->sent, 1);
	return NULL;
}

static void drop(struct ipc_channel *ch, struct ipc_packet *p)
{
	struct pair *x = ipc_channel_context(ch);
	x->n++;
	ipc_packet_free(p);
}
static const struct ipc_channel_ops dropping = {.message = drop};

/* The queue holds 65536: the rest waits for room, none is lost. */
static void a_sender_may_wait_for_room(void **state)
{
	(void)state;
	struct pair x = {0};
	struct sender s = {.x = &x};
	pthread_t t;
	int fds[2];
	x.loop = loop_new();
	x.a = ipc_channel_new(x.loop, "b", 0, &dropping, &x);
	x.b = ipc_channel_new(x.loop, "a", 0, &dropping, &x);
	assert_int_equal(fdpass_pair(fds, NULL), 0);
	ipc_channel_attach(x.a, fds[0]);
	ipc_channel_attach(x.b, fds[1]);
	pthread_create(&t, NULL, send_very_many, &s);
	while (atomic_load(&s.sent) < 65536)
		usleep(1000);
	usleep(10000);
	assert_true(atomic_load(&s.sent) < 70000);
	for (int i = 0; i < 100000 && x.n < 70000; i++)
		loop_step(x.loop, 1);
	pthread_join(t, NULL);
	assert_int_equal(x.n, 70000);
	x.n = 0;
	pair_close(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_answered),
		cmocka_unit_test(many_threads_share_a_channel),
		cmocka_unit_test(a_large_message_travels_as_memory),
		cmocka_unit_test(notices_beyond_the_window_wait),
		cmocka_unit_test(a_silent_peer_ends_in_a_deadline),
		cmocka_unit_test(who_waits_is_sent_away),
		cmocka_unit_test(a_restart_fails_what_was_sent_and_keeps_what_waits),
		cmocka_unit_test(without_descriptors_who_asks_is_told),
		cmocka_unit_test(broken_datagrams_are_refused),
		cmocka_unit_test(orders_stay_as_they_were_released),
		cmocka_unit_test(a_reply_to_a_dead_peer_does_not_reach_the_next),
		cmocka_unit_test(a_question_may_refuse_to_wait),
		cmocka_unit_test(what_is_kept_but_accepted_takes_no_credit),
		cmocka_unit_test(an_answer_that_is_too_large_is_a_failure_at_once),
		cmocka_unit_test(a_sender_may_wait_for_room),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
