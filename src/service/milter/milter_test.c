/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions with milters that are threads of this test: what they hear, and what their answers do.
 */
#include "base/test.h"
#include "codec/milter/milter.h"
#include "service/milter/milter.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FAKES 2

/* A milter: what it wants, what it answers to each command, when it breaks. */
struct fake {
	uint32_t actions, steps;
	const char *names;  /* macros at MAIL */
	struct str on[128]; /* answers by command, whole packets without length, one per '|' */
	char dies_at, hangs_at;
	unsigned deaths; /* how often it dies there */
	bool refuses;	 /* to be connected */
	bool at_work;	 /* at the end of a message, and says so for ever */
	struct buf heard;
	pthread_t threads[8];
	int fds[8];
	unsigned connections;
};

struct world {
	struct fake fake[FAKES];
	struct milters *m;
	struct buf failures;
	struct buf body;
	unsigned busy;
};
static struct world w;
static unsigned total_ms; /* of the next session */

static void put_be32(struct buf *b, uint32_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		(void)buf_put_u8(b, (uint8_t)(v >> shift));
}

static void say(int fd, struct str packet)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(128));
	put_be32(&b, (uint32_t)packet.n);
	buf_add(&b, packet);
	(void)!send(fd, b.p, b.n, MSG_NOSIGNAL); /* the session may have hung up */
}

static void say_options(const struct fake *f, int fd)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(1));
	buf_addc(&b, 'O');
	put_be32(&b, 6);
	put_be32(&b, f->actions);
	put_be32(&b, f->steps);
	if (f->names) {
		put_be32(&b, MILTER_AT_MAIL);
		buf_add(&b, (struct str){f->names, strlen(f->names) + 1});
	}
	say(fd, buf_str(&b));
}

static void note(struct fake *f, struct str packet)
{
	for (size_t i = 0; i < packet.n; i++)
		buf_addc(&f->heard, packet.p[i] == '\0' ? ' ' : packet.p[i]);
	buf_addc(&f->heard, '\n');
}

static bool read_packet(int fd, struct buf *in, struct str *ret, size_t *used)
{
	for (;;) {
		int r = milter_frame(buf_str(in), ret, used);
		if (r == 1)
			return true;
		assert_int_equal(r, 0);
		ssize_t n = recv(fd, buf_room(in, KIB(64)), KIB(64), 0);
		if (n <= 0)
			return false;
		buf_added(in, (size_t)n);
	}
}

static bool is_silent(const struct fake *f, char c)
{
	return c == 'D' || c == 'A' || c == 'Q' || (c == 'L' && f->steps & MILTER_NR_HEADER) ||
	       (c == 'B' && f->steps & MILTER_NR_BODY) || (c == 'R' && f->steps & MILTER_NR_RCPT);
}

/* False: it ends. */
static bool serve_packet(struct fake *f, int fd, struct str packet)
{
	char c = packet.p[0];
	if (c != 'O')
		note(f, packet);
	if (c == f->dies_at && f->deaths) {
		f->deaths--;
		return false;
	}
	if (c == f->hangs_at || c == 'Q')
		return c != 'Q';
	while (c == 'E' && f->at_work) {
		struct timespec moment = {.tv_nsec = 20000000};
		if (send(fd, "\0\0\0\1p", 5, MSG_NOSIGNAL) < 0)
			return false;
		(void)nanosleep(&moment, NULL);
	}
	if (c == 'O') {
		say_options(f, fd);
	} else if (!is_silent(f, c)) {
		struct str all = f->on[(int)c].n ? f->on[(int)c] : STR("c"), one;
		while (all.p && str_cut(&all, '|', &one))
			say(fd, one);
	}
	return true;
}

struct serve {
	struct fake *f;
	int fd;
};

static void *serve(void *arg)
{
	struct serve s = *(struct serve *)arg;
	AUTO(buf) struct buf in = BUF_INIT(MIB(2));
	struct str packet;
	size_t used;
	bool on = true;
	free(arg);
	while (on && read_packet(s.fd, &in, &packet, &used)) {
		on = serve_packet(s.f, s.fd, packet);
		buf_drop(&in, used);
	}
	close(s.fd);
	return NULL;
}

static int fake_connect(void *ctx, struct str text, unsigned timeout_ms, int *ret_fd,
			struct fail *why)
{
	struct fake *f = &w.fake[text.p[0] == 'b'];
	int pair[2];
	(void)ctx;
	(void)timeout_ms;
	if (f->refuses)
		return fail_set(why, FAIL_PEER, NULL, "nobody is there");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	struct serve *s = malloc(sizeof *s);
	*s = (struct serve){f, pair[1]};
	assert_int_equal(pthread_create(&f->threads[f->connections++], NULL, serve, s), 0);
	*ret_fd = pair[0];
	return 0;
}

static bool fake_macro(void *ctx, struct str name, struct buf *out)
{
	(void)ctx;
	if (str_eq(name, STR("i")))
		return buf_add(out, STR("1f")) == 0;
	if (str_eq(name, STR("j")))
		return buf_add(out, STR("mx")) == 0;
	return false;
}

static bool fake_enter(void *ctx, struct str text)
{
	(void)ctx;
	(void)text;
	return w.busy == 0;
}

static void fake_leave(void *ctx, struct str text)
{
	(void)ctx;
	(void)text;
}

static void fake_failed(void *ctx, struct str name, enum milter_default otherwise,
			const struct fail *why)
{
	(void)ctx;
	buf_addf(&w.failures, "%.*s %d %s\n", STR_ARG(name), (int)otherwise, fail_name(why->code));
}

/* `n` milters, called a and b. */
static void begin(size_t n, enum milter_default otherwise)
{
	const struct milter_times times = {2000, 300, 300, total_ms};
	const struct milter_ops ops = {.connect = fake_connect,
				       .enter = fake_enter,
				       .leave = fake_leave,
				       .macro = fake_macro,
				       .failed = fake_failed};
	const struct milter_spec specs[] = {{STR("a=inet:127.0.0.1:1"), otherwise},
					    {STR("b=inet:127.0.0.1:2"), otherwise}};
	memset(&w, 0, sizeof w);
	w.failures = BUF_INIT(KIB(4));
	w.body = BUF_INIT(MIB(1));
	for (size_t i = 0; i < FAKES; i++) {
		w.fake[i].actions = MILTER_ACT_ALL & ~MILTER_ACT_SETSYMLIST;
		w.fake[i].heard = BUF_INIT(MIB(1));
	}
	w.m = milters_new(specs, n, &times, &ops);
	milters_client(w.m, STR("[192.0.2.1]"), STR("192.0.2.1"), 0x2121);
}

/* All is said; what did milter number i hear? */
static void finish(void)
{
	milters_free(w.m);
	w.m = NULL;
	for (size_t i = 0; i < FAKES; i++)
		for (unsigned k = 0; k < w.fake[i].connections; k++)
			assert_int_equal(pthread_join(w.fake[i].threads[k], NULL), 0);
}

static void end(void)
{
	if (w.m)
		finish();
	for (size_t i = 0; i < FAKES; i++)
		buf_clear(&w.fake[i].heard);
	buf_clear(&w.failures);
	buf_clear(&w.body);
}

static const struct str mail_args[] = {STR("<s@c>"), STR("SIZE=9")};
static const struct str rcpt_args[] = {STR("<r@b>")};

/* "go", "discard", "550 5.7.1 text", "421 4.7.1 text close". */
static const char *outcome_text(const struct milter_outcome *o)
{
	static char text[MILTER_TEXT_MAX + 60];
	if (o->verdict == MILTER_GO)
		return "go";
	if (o->verdict == MILTER_DISCARD)
		return "discard";
	(void)snprintf(text, sizeof text, "%u %s %s%s", o->code, o->enhanced, o->text,
		       o->close ? " close" : "");
	return text;
}

static struct milter_outcome envelope(void)
{
	struct milter_outcome o;
	milters_helo(w.m, STR("client"), &o);
	if (o.verdict == MILTER_GO)
		milters_mail(w.m, mail_args, 2, &o);
	if (o.verdict == MILTER_GO)
		milters_rcpt(w.m, rcpt_args, 1, &o);
	if (o.verdict == MILTER_GO)
		milters_data(w.m, &o);
	return o;
}

static void sink_begin(void *ctx)
{
	(void)ctx;
	buf_reset(&w.body);
}
static int sink_add(void *ctx, struct str bytes, struct fail *why)
{
	(void)ctx;
	return str_eq(bytes, STR("full")) ? fail_set(why, FAIL_IO, NULL, "disk full")
					  : buf_add(&w.body, bytes);
}
static int sink_end(void *ctx, struct milter_body *ret, struct fail *why)
{
	(void)ctx;
	(void)why;
	*ret = (struct milter_body){.bytes = buf_str(&w.body), .fd = -1, .size = w.body.n};
	return 0;
}

static struct milter_mail make_mail(struct str body)
{
	struct milter_mail m = {.arena = ARENA_INIT(MILTER_MAIL_MAX),
				.body = {.bytes = body, .fd = -1, .size = body.n},
				.body_max = MIB(1),
				.body_begin = sink_begin,
				.body_add = sink_add,
				.body_end = sink_end};
	assert_int_equal(milter_mail_add(&m, STR("Received: by us\r\n"), STR("Received: by us\r\n"),
					 true, true),
			 0);
	assert_int_equal(
		milter_mail_add(&m, STR("Date: now\r\n"), STR("Date: now\r\n"), true, false), 0);
	assert_int_equal(milter_mail_add(&m, STR("Subject: a\r\n b\r\n"),
					 STR("Subject: a\r\n b\r\n"), false, false),
			 0);
	assert_int_equal(milter_mail_add(&m, STR("X: 1\r\n"), STR("X: 1\r\n"), false, false), 0);
	assert_int_equal(milter_mail_add(&m, STR("X:2\r\n"), STR("X:2\r\n"), false, false), 0);
	return m;
}

static void assert_header(const struct milter_mail *m, const char *want)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(64)), plain = BUF_INIT(KIB(64));
	for (size_t i = 0; i < m->fields.n; i++)
		(void)milter_field_write(&m->fields.p[i], &out);
	for (size_t i = 0; i < out.n; i++)
		if (out.p[i] != '\r')
			buf_addc(&plain, out.p[i]);
	assert_string_equal(buf_c(&plain), want);
}

/* --- what is heard --- */

static void all_events_are_told(void **state)
{
	(void)state;
	begin(1, MILTER_DEFAULT_TEMPFAIL);
	struct milter_outcome o = envelope();
	assert_string_equal(outcome_text(&o), "go");
	milters_unknown(w.m, STR("XYZZY"), &o);
	AUTO(milter_mail) struct milter_mail m = make_mail(STR("body\r\n"));
	milters_message(w.m, &m, &o);
	assert_string_equal(outcome_text(&o), "go");
	milters_mail(w.m, mail_args, 1, &o);
	milters_abort(w.m);
	finish();
	assert_string_equal(buf_c(&w.fake[0].heard),
			    "DCj mx \nC[192.0.2.1] 4!!192.0.2.1 \nDH\nHclient \nDMi 1f \n"
			    "M<s@c> SIZE=9 \nDRi 1f \nR<r@b> \nDTi 1f \nT\nUXYZZY \n"
			    "LDate now \nLSubject a\n b \nLX 1 \nLX 2 \nDNi 1f \nN\n"
			    "Bbody\r\n\nDEi 1f \nE\nDMi 1f \nM<s@c> \nA\nQ\n");
	end();
}

static void only_what_it_wants(void **state)
{
	(void)state;
	begin(1, MILTER_DEFAULT_TEMPFAIL);
	w.fake[0].steps = MILTER_NO_CONNECT | MILTER_NO_HELO | MILTER_NO_DATA | MILTER_NO_EOH |
			  MILTER_NO_UNKNOWN | MILTER_NR_HEADER | MILTER_NR_RCPT | MILTER_NR_BODY |
			  MILTER_LEADING_SPACE;
	w.fake[0].names = "j, {absent}\ti";
	struct milter_outcome o = envelope();
	assert_string_equal(outcome_text(&o), "go");
	milters_unknown(w.m, STR("XYZZY"), &o);
	AUTO(milter_mail) struct milter_mail m = make_mail(STR("body\r\n"));
	milters_message(w.m, &m, &o);
	assert_string_equal(outcome_text(&o), "go");
	finish();
	assert_string_equal(buf_c(&w.fake[0].heard),
			    "DCj mx \nDH\nDMj mx i 1f \nM<s@c> SIZE=9 \nDRi 1f \nR<r@b> \nDTi 1f \n"
			    "LDate  now \nLSubject  a\n b \nLX  1 \nLX 2 \nDNi 1f \n"
			    "Bbody\r\n\nDEi 1f \nE\nQ\n");
	end();
}

static void a_long_body_comes_in_chunks(void **state)
{
	(void)state;
	AUTO(buf) struct buf body = BUF_INIT(KIB(300));
	for (int i = 0; i < 200000; i++)
		buf_addc(&body, 'x');
	for (int skip = 0; skip < 2; skip++) {
		begin(1, MILTER_DEFAULT_TEMPFAIL);
		if (skip)
			w.fake[0].on['B'] = STR("s");
		struct milter_outcome o = envelope();
		AUTO(milter_mail) struct milter_mail m = make_mail(buf_str(&body));
		milters_message(w.m, &m, &o);
		assert_string_equal(outcome_text(&o), "go");
		finish();
		size_t chunks = 0, octets = 0;
		struct str rest = buf_str(&w.fake[0].heard), line;
		while (str_cut(&rest, '\n', &line))
			if (str_starts(line, STR("Bx"))) {
				chunks++;
				octets += line.n - 1;
			}
		assert_int_equal(chunks, skip ? 1 : 4);
		assert_int_equal(octets, skip ? 65535 : 200000);
		end();
	}
}

/* --- what answers do --- */

static void refusals_at_every_phase(void **state)
{
	(void)state;
	static const struct {
		char at;
		struct str answer;
		const char *want;
	} rows[] = {
		{'C', STR("r"), "550 5.7.1 Refused by a filter"},
		{'C', STR("t"), "451 4.7.1 A filter asks to try again later"},
		{'H', STR("r"), "550 5.7.1 Refused by a filter"},
		{'M', STR("y554 5.7.9 no such day\0"), "554 5.7.9 no such day"},
		{'M', STR("d"), "discard"},
		{'R', STR("y450 later\0"), "450 4.7.1 later"},
		{'R', STR("r"), "550 5.7.1 Refused by a filter"},
		{'R', STR("y421 4.3.2 bye\0"), "421 4.3.2 bye close"},
		{'T', STR("t"), "451 4.7.1 A filter asks to try again later"},
		{'T', STR("4"), "421 4.7.1 Refused by a filter, closing close"},
		{'L', STR("r"), "550 5.7.1 Refused by a filter"},
		{'N', STR("r"), "550 5.7.1 Refused by a filter"},
		{'B', STR("d"), "discard"},
		{'E', STR("p|p|r"), "550 5.7.1 Refused by a filter"},
		{'E', STR("y554-5.7.1 a\r\n554 5.7.1 b\0"), "554 5.7.1 a\nb"},
		{'E', STR("a"), "go"},
		{'B', STR("a"), "go"},
		{'M', STR("a"), "go"},
		{'C', STR("a"), "go"},
		{'T', STR("yfine\0"), "451 4.3.0 A filter does not work, please try again later"},
		{'E', STR("s"), "451 4.3.0 A filter does not work, please try again later"},
		{'E', STR("X"), "451 4.3.0 A filter does not work, please try again later"},
		{'R', STR("hX\0y\0"), "451 4.3.0 A filter does not work, please try again later"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin(2, MILTER_DEFAULT_TEMPFAIL);
		w.fake[0].on[(int)rows[i].at] = rows[i].answer;
		struct milter_outcome o = envelope();
		AUTO(milter_mail) struct milter_mail m = make_mail(STR("body\r\n"));
		if (o.verdict == MILTER_GO)
			milters_message(w.m, &m, &o);
		if (strcmp(outcome_text(&o), rows[i].want) != 0)
			fail_msg("%zu: %c: %s", i, rows[i].at, outcome_text(&o));
		finish();
		/* The second is asked only when the first has nothing against it. */
		bool second = str_find_str(buf_str(&w.fake[1].heard), 0, STR("\nE\n")) <
			      w.fake[1].heard.n;
		assert_int_equal(second, strcmp(rows[i].want, "go") == 0);
		end();
	}
}

static void one_recipient_of_several(void **state)
{
	(void)state;
	const struct str other[] = {STR("<other@b>")};
	struct milter_outcome o;
	begin(2, MILTER_DEFAULT_TEMPFAIL);
	w.fake[1].steps = MILTER_RCPT_REJECTED;
	milters_helo(w.m, STR("client"), &o);
	milters_mail(w.m, mail_args, 1, &o);
	w.fake[1].on['R'] = STR("r");
	milters_rcpt(w.m, rcpt_args, 1, &o);
	assert_string_equal(outcome_text(&o), "550 5.7.1 Refused by a filter");
	w.fake[1].on['R'] = STR("c");
	milters_rcpt_refused(w.m, rcpt_args, 1);
	milters_rcpt(w.m, other, 1, &o);
	assert_string_equal(outcome_text(&o), "go");
	finish();
	assert_true(str_ends(buf_str(&w.fake[1].heard),
			     STR("DRi 1f \nR<r@b> \nDRi 1f \nR<r@b> \nDRi 1f \nR<other@b> \nQ\n")));
	end();
}

static void orders_change_the_message(void **state)
{
	(void)state;
	static const struct {
		struct str orders;
		const char *header;
	} rows[] = {
		{STR("hNew\0v\0|c"),
		 "Received: by us\nDate: now\nNew: v\nSubject: a\n b\nX: 1\nX:2\n"},
		{STR("i\0\0\0\0New\0v\n\tw\0|c"),
		 "New: v\n\tw\nReceived: by us\nDate: now\nSubject: a\n b\nX: 1\nX:2\n"},
		{STR("i\0\0\0\1New\0v\r\nw\0|c"),
		 "Received: by us\nNew: v\n\tw\nDate: now\nSubject: a\n b\nX: 1\nX:2\n"},
		{STR("i\0\0\1\0New\0v\0|c"),
		 "Received: by us\nDate: now\nSubject: a\n b\nX: 1\nX:2\nNew: v\n"},
		{STR("m\0\0\0\2X\0changed\0|c"),
		 "Received: by us\nDate: now\nSubject: a\n b\nX: 1\nX: changed\n"},
		{STR("m\0\0\0\1x\0\0|m\0\0\0\1Subject\0\0|m\0\0\0\5X\0\0|c"),
		 "Received: by us\nDate: now\nX:2\n"},
		{STR("m\0\0\0\1Absent\0there\n\n now\0|c"),
		 "Received: by us\nDate: now\nAbsent: there\n now\nSubject: a\n b\nX: 1\nX:2\n"},
		{STR("m\0\0\0\1Received\0forged\0|c"),
		 "Received: by us\nDate: now\nReceived: forged\nSubject: a\n b\nX: 1\nX:2\n"},
		{STR("hBad name\0v\0|c"), NULL},
		{STR("h\0v\0|c"), NULL},
		{STR("hA:b\0v\0|c"), NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin(1, MILTER_DEFAULT_TEMPFAIL);
		w.fake[0].on['E'] = rows[i].orders;
		struct milter_outcome o = envelope();
		AUTO(milter_mail) struct milter_mail m = make_mail(STR("body\r\n"));
		milters_message(w.m, &m, &o);
		assert_int_equal(o.verdict, rows[i].header ? MILTER_GO : MILTER_REFUSE);
		assert_header(&m,
			      rows[i].header
				      ? rows[i].header
				      : "Received: by us\nDate: now\nSubject: a\n b\nX: 1\nX:2\n");
		end();
	}
}

static void orders_change_envelope_and_body(void **state)
{
	(void)state;
	begin(2, MILTER_DEFAULT_TEMPFAIL);
	w.fake[0].on['E'] = STR("+<n@b>\0|2<p@b>\0NOTIFY=NEVER\0|-<r@b>\0|e<new@c>\0|bone |btwo|"
				"qwhy not\0|p|c");
	struct milter_outcome o = envelope();
	AUTO(milter_mail) struct milter_mail m = make_mail(STR("body\r\n"));
	milters_message(w.m, &m, &o);
	assert_string_equal(outcome_text(&o), "go");
	assert_int_equal(m.rcpts.n, 3);
	assert_true(m.rcpts.p[1].add);
	assert_str(m.rcpts.p[1].params, "NOTIFY=NEVER");
	assert_false(m.rcpts.p[2].add);
	assert_str(m.rcpts.p[2].address, "<r@b>");
	assert_true(m.from_changed);
	assert_str(m.from, "<new@c>");
	assert_true(m.hold);
	assert_str(m.hold_reason, "why not");
	assert_true(m.body_changed);
	assert_str(m.body.bytes, "one two");
	finish(); /* the second sees what the first made */
	assert_true(str_find_str(buf_str(&w.fake[1].heard), 0, STR("\nBone two\n")) <
		    w.fake[1].heard.n);
	end();
}

static void what_was_not_negotiated_is_not_obeyed(void **state)
{
	(void)state;
	begin(1, MILTER_DEFAULT_ACCEPT);
	w.fake[0].actions = MILTER_ACT_ADDHDRS;
	w.fake[0].on['E'] = STR("hNew\0v\0|-<r@b>\0|c");
	struct milter_outcome o = envelope();
	AUTO(milter_mail) struct milter_mail m = make_mail(STR("body\r\n"));
	milters_message(w.m, &m, &o);
	assert_string_equal(outcome_text(&o), "go");
	assert_int_equal(m.rcpts.n, 0);
	assert_header(&m, "Received: by us\nDate: now\nSubject: a\n b\nX: 1\nX:2\n");
	assert_string_equal(buf_c(&w.failures), "a 1 SYNTAX\n");
	end();
}

/* --- when it breaks --- */

static void defaults(void **state)
{
	(void)state;
	static const struct {
		enum milter_default otherwise;
		const char *want;
		bool hold;
	} rows[] = {
		{MILTER_DEFAULT_ACCEPT, "go", false},
		{MILTER_DEFAULT_QUARANTINE, "go", true},
		{MILTER_DEFAULT_REJECT, "550 5.3.0 A filter does not work", false},
		{MILTER_DEFAULT_TEMPFAIL,
		 "451 4.3.0 A filter does not work, please try again later", false},
	};
	static const char ways[] = "refuse hang-C hang-M hang-E die-C die-E busy";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str rest = str_c(ways), way;
		while (str_cut(&rest, ' ', &way)) {
			begin(1, rows[i].otherwise);
			w.fake[0].refuses = str_eq(way, STR("refuse"));
			w.busy = str_eq(way, STR("busy"));
			if (str_starts(way, STR("hang")))
				w.fake[0].hangs_at = way.p[5];
			if (str_starts(way, STR("die")))
				w.fake[0].dies_at = way.p[4];
			w.fake[0].deaths = 100;
			struct milter_outcome o = envelope();
			AUTO(milter_mail) struct milter_mail m = make_mail(STR("body\r\n"));
			if (o.verdict == MILTER_GO)
				milters_message(w.m, &m, &o);
			if (strcmp(outcome_text(&o), rows[i].want) != 0 || m.hold != rows[i].hold)
				fail_msg("%zu %.*s: %s", i, STR_ARG(way), outcome_text(&o));
			assert_true(w.failures.n > 0);
			end();
		}
	}
}

static void a_restart_between_commands_is_not_noticed(void **state)
{
	(void)state;
	static const char at[] = "MRTLNBE";
	for (const char *c = at; *c; c++) {
		begin(1, MILTER_DEFAULT_TEMPFAIL);
		w.fake[0].dies_at = *c;
		w.fake[0].deaths = *c == 'M' ? 0 : 1;
		struct milter_outcome o;
		milters_helo(w.m, STR("client"), &o);
		if (*c == 'M')
			w.fake[0].deaths = 1;
		milters_mail(w.m, mail_args, 1, &o);
		assert_string_equal(outcome_text(&o), "go");
		milters_rcpt(w.m, rcpt_args, 1, &o);
		assert_string_equal(outcome_text(&o), "go");
		milters_data(w.m, &o);
		assert_string_equal(outcome_text(&o), "go");
		AUTO(milter_mail) struct milter_mail m = make_mail(STR("body\r\n"));
		milters_message(w.m, &m, &o);
		assert_string_equal(outcome_text(&o), "go");
		assert_int_equal(w.fake[0].connections, 2);
		assert_int_equal(w.failures.n, 0);
		end();
	}
}

static void half_of_its_orders_change_nothing(void **state)
{
	(void)state;
	begin(1, MILTER_DEFAULT_ACCEPT);
	w.fake[0].on['E'] = STR("hNew\0v\0|bnew body|-<r@b>\0|p");
	struct milter_outcome o = envelope();
	AUTO(milter_mail) struct milter_mail m = make_mail(STR("body\r\n"));
	milters_message(w.m, &m, &o);
	assert_string_equal(outcome_text(&o), "go");
	assert_int_equal(m.rcpts.n, 0);
	assert_false(m.body_changed);
	assert_header(&m, "Received: by us\nDate: now\nSubject: a\n b\nX: 1\nX:2\n");
	end();
	begin(1, MILTER_DEFAULT_ACCEPT);
	w.fake[0].on['E'] = STR("bfull|c"); /* our disk, not its fault */
	o = envelope();
	AUTO(milter_mail) struct milter_mail again = make_mail(STR("body\r\n"));
	milters_message(w.m, &again, &o);
	assert_string_equal(outcome_text(&o), "452 4.3.1 Insufficient system storage");
	end();
}

/* A milter that puts off recipients (greylisting), and a client that names them without end. */
static void recipients_without_end(void **state)
{
	(void)state;
	char address[1000] = "<";
	struct str arg = {address, sizeof address};
	struct milter_outcome o;
	unsigned n = 0;
	memset(address + 1, 'a', sizeof address - 2);
	address[sizeof address - 1] = '>';
	begin(1, MILTER_DEFAULT_ACCEPT);
	w.fake[0].heard = BUF_INIT(MIB(16));
	w.fake[0].on['R'] = STR("t");
	milters_mail(w.m, mail_args, 1, &o);
	do
		milters_rcpt(w.m, &arg, 1, &o);
	while (o.code == 451 && ++n < 10000);
	assert_string_equal(outcome_text(&o), "452 4.5.3 Too many recipients");
	assert_true(n > 1000);
	milters_mail(w.m, mail_args, 1, &o); /* the next transaction has it all again */
	milters_rcpt(w.m, &arg, 1, &o);
	assert_int_equal(o.code, 451);
	end();
}

static void at_work_for_ever_has_an_end(void **state)
{
	(void)state;
	total_ms = 700;
	begin(1, MILTER_DEFAULT_TEMPFAIL);
	w.fake[0].at_work = true;
	struct milter_outcome o = envelope();
	assert_string_equal(outcome_text(&o), "go");
	AUTO(milter_mail) struct milter_mail m = make_mail(STR("body\r\n"));
	milters_message(w.m, &m, &o);
	assert_string_equal(outcome_text(&o),
			    "451 4.3.0 A filter does not work, please try again later");
	assert_string_equal(buf_c(&w.failures), "a 2 DEADLINE\n");
	end();
	total_ms = 0;
}

static void a_new_body_has_a_bound(void **state)
{
	(void)state;
	begin(1, MILTER_DEFAULT_ACCEPT);
	w.fake[0].on['E'] = STR("bnew body|c");
	struct milter_outcome o = envelope();
	AUTO(milter_mail) struct milter_mail m = make_mail(STR("body\r\n"));
	m.body_max = 7;
	milters_message(w.m, &m, &o);
	assert_string_equal(outcome_text(&o), "go");
	assert_false(m.body_changed);
	assert_string_equal(buf_c(&w.failures), "a 1 SYNTAX\n");
	end();
	begin(1, MILTER_DEFAULT_ACCEPT);
	w.fake[0].on['E'] = STR("bnew body|c");
	o = envelope();
	AUTO(milter_mail) struct milter_mail fits = make_mail(STR("body\r\n"));
	fits.body_max = 8;
	milters_message(w.m, &fits, &o);
	assert_true(fits.body_changed);
	end();
}

static void a_session_is_continued_elsewhere(void **state)
{
	(void)state;
	struct milter_outcome o;
	begin(1, MILTER_DEFAULT_TEMPFAIL);
	milters_restore_helo(w.m, STR("client"));
	milters_restore_mail(w.m, STR("<s@c>"));
	milters_restore_rcpt(w.m, STR("<r1@b>"));
	milters_restore_rcpt(w.m, STR("<r2@b>"));
	w.fake[0].on['R'] = STR("r"); /* the client has its 250 */
	milters_data(w.m, &o);
	assert_string_equal(outcome_text(&o), "go");
	finish();
	assert_string_equal(buf_c(&w.fake[0].heard),
			    "DCj mx \nC[192.0.2.1] 4!!192.0.2.1 \nDH\nHclient \nDMi 1f \nM<s@c> \n"
			    "DRi 1f \nR<r1@b> \nDRi 1f \nR<r2@b> \nDTi 1f \nT\nQ\n");
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_events_are_told),
		cmocka_unit_test(only_what_it_wants),
		cmocka_unit_test(a_long_body_comes_in_chunks),
		cmocka_unit_test(refusals_at_every_phase),
		cmocka_unit_test(one_recipient_of_several),
		cmocka_unit_test(orders_change_the_message),
		cmocka_unit_test(orders_change_envelope_and_body),
		cmocka_unit_test(what_was_not_negotiated_is_not_obeyed),
		cmocka_unit_test(defaults),
		cmocka_unit_test(a_restart_between_commands_is_not_noticed),
		cmocka_unit_test(half_of_its_orders_change_nothing),
		cmocka_unit_test(recipients_without_end),
		cmocka_unit_test(at_work_for_ever_has_an_end),
		cmocka_unit_test(a_new_body_has_a_bound),
		cmocka_unit_test(a_session_is_continued_elsewhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
