/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random dialogues: each line of the input is a command line, or with a first byte below 0x10 an
 * act of edge (right or wrong for the moment). After every call the session moves to another
 * process; the copy must be exact, the replies complete lines.
 */
#include "base/check.h"
#include "codec/smtp/smtp_batch.h"
#include "codec/smtp/smtp_reply.h"
#include "proto/smtp/smtp_fake.h"
#include "sys/log.h"

/* What tables of content do to what comes. */
static struct access_list content_table(void)
{
	static struct access_table *t;
	static struct access_list l = {&t, 1};
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
	if (!t)
		CHECK(access_parse_content("t",
					   STR("/^a(.*)/ REPLACE b: $1\n/^c/ IGNORE\n/^d(.*)/ "
					       "PREPEND e: $1\n/^f/ REJECT $0\n/^g/ DISCARD\n"
					       "/^h/ HOLD $0\n/^i/ BCC alice@example.test\n"
					       "/^j/ REDIRECT bob@example.test\n/^k/ PASS\n"),
					   &t, &errors) == 0);
	return l;
}

struct world {
	struct fake fake;
	struct smtp_backend backend;
	struct smtp_config config;
	struct smtp_session *s;
	struct buf out;
	struct smtp_result res;
};

static void move(struct world *w)
{
	AUTO(buf) struct buf state = BUF_INIT(MIB(8)), again = BUF_INIT(MIB(8));
	struct smtp_session *s = NULL;
	CHECK(smtp_session_export(w->s, &state) == 0);
	CHECK(smtp_session_import(&w->config, &w->backend, buf_str(&state), &s, NULL) == 0);
	CHECK(smtp_session_export(s, &again) == 0 && str_eq(buf_str(&state), buf_str(&again)));
	smtp_session_free(w->s);
	w->s = s;
}

static void check_replies(struct world *w)
{
	struct str rest = buf_str(&w->out), line;
	while (rest.n && str_cut(&rest, '\n', &line)) {
		CHECK(line.n >= 4 && line.n < SMTP_REPLY_LINE_MAX && str_ends(line, STR("\r")));
		CHECK(ascii_digit(line.p[0]) && (line.p[3] == ' ' || line.p[3] == '-'));
		CHECK(str_find(line, 0, '\r') == line.n - 1);
	}
	CHECK(w->out.n == 0 || str_ends(buf_str(&w->out), STR("\r\n")));
	buf_reset(&w->out);
	move(w);
}

static void act(struct world *w, struct str line)
{
	unsigned what = (unsigned char)line.p[0];
	struct str rest = str_skip(line, 1);
	struct smtp_body body = {.bytes = rest, .size = rest.n, .flags = what >> 1 & 3u};
	struct smtp_auth_result a = {.outcome = (enum smtp_auth)(rest.n % 8),
				     .account = {1},
				     .login = STR("alice@example.test")};
	switch (what % 4) {
	case 0:
		if (what & 8) {
			body.id.b[0] = 1;
			smtp_session_body_opened(w->s, body.id);
			w->fake.stored = rest;
		}
		smtp_session_body(w->s, &body, &w->out, &w->res);
		break;
	case 1:
		smtp_session_auth_done(w->s, &a, &w->out, &w->res);
		break;
	case 2:
		smtp_session_tls_done(w->s, rest, &w->res);
		break;
	default:
		w->fake.submit_result = rest.n % 2 ? -FAIL_LIMIT : 0;
		w->fake.scan_result = rest.n % 3 ? 0 : -FAIL_PEER;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make((const char *)data, size), line;
	struct smtp_peer peer = {.trace = {1}, .ip = STR("192.0.2.1")};
	AUTO(buf) struct buf batch = BUF_INIT(MIB(1));
	struct world w = {.out = BUF_INIT(MIB(4)), .config = fake_config()};

	if (size == 0)
		return 0;
	log_set_level(LOG_ERROR);
	peer.trusted = data[0] & 1;
	w.fake.last = BUF_INIT(MIB(1));
	w.backend = fake_backend(&w.fake);
	w.config.errors_hard = 1000;
	w.config.content.header = w.config.content.mime = w.config.content.nested =
		w.config.content.body = content_table();
	w.s = smtp_session_new(
		&w.config, &w.backend,
		(enum smtp_service)(SMTP_SERVICE_MX + (data[0] >> 1) % (SMTP_SERVICES - 1)), &peer);
	while (rest.n && str_cut(&rest, '\n', &line)) {
		if (line.n && (unsigned char)line.p[0] < 0x10) {
			act(&w, line);
		} else {
			smtp_batch_add(&batch, SMTP_LINE_OK, line);
			if (line.n % 3 && rest.n && !smtp_batch_ends(SMTP_LINE_OK, line))
				continue;
			smtp_session_lines(w.s, buf_str(&batch), false, &w.out, &w.res);
			buf_reset(&batch);
		}
		check_replies(&w);
	}
	smtp_session_free(w.s);
	buf_clear(&w.out);
	buf_clear(&w.fake.last);
	return 0;
}
