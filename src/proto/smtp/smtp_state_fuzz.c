/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a session, damaged. Input: a byte that chooses how far the dialogue has come, one
 * that says how much of the state's end is missing, then edits of three bytes: place (u16) and what
 * is changed there; 0xff 0xff 0xff ends them, and commands follow. What is taken nevertheless says
 * the same state again, and goes on.
 */
#include "base/check.h"
#include "codec/smtp/smtp_batch.h"
#include "proto/smtp/smtp_fake.h"
#include "sys/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const dialogue[] = {
	"EHLO client.example\n",
	"MAIL FROM:<a@client.example> SIZE=10 ENVID=x RET=HDRS\n",
	"RCPT TO:<alice@example.test> NOTIFY=FAILURE ORCPT=rfc822;x\n",
	"RCPT TO:<list@example.test>\n",
	"DATA\n",
};

struct world {
	struct fake fake;
	struct smtp_config config;
	struct smtp_backend backend;
};

static void say(struct smtp_session *s, struct str lines)
{
	AUTO(buf) struct buf batch = BUF_INIT(KIB(64)), out = BUF_INIT(MIB(1));
	struct smtp_result res = {0};
	struct str line;
	while (lines.n && str_cut(&lines, '\n', &line))
		(void)smtp_batch_add(&batch, SMTP_LINE_OK, line);
	smtp_session_lines(s, buf_str(&batch), false, &out, &res);
	CHECK(out.n == 0 || str_ends(buf_str(&out), STR("\r\n")));
}

static void say_body(struct smtp_session *s, struct str bytes)
{
	AUTO(buf) struct buf out = BUF_INIT(MIB(1));
	struct smtp_body body = {.bytes = bytes, .size = bytes.n};
	struct smtp_result res = {0};
	smtp_session_body(s, &body, &out, &res);
	CHECK(out.n == 0 || str_ends(buf_str(&out), STR("\r\n")));
}

static void make_state(struct world *w, unsigned how, struct buf *state)
{
	struct smtp_peer peer = {.trace = {1}, .ip = STR("192.0.2.1"), .trusted = how & 0x80};
	struct smtp_session *s = smtp_session_new(&w->config, &w->backend,
						  how & 0x40   ? SMTP_SERVICE_SUBMISSION
						  : how & 0x20 ? SMTP_SERVICE_LMTP
							       : SMTP_SERVICE_MX,
						  &peer);
	for (size_t i = 0; i < how % (ARRAY_LEN(dialogue) + 1); i++)
		say(s, str_c(dialogue[i]));
	CHECK(smtp_session_export(s, state) == 0);
	smtp_session_free(s);
}

/* Returns what follows the edits. */
static struct str edit(struct buf *state, struct str how)
{
	buf_cut(state, state->n - MIN(state->n, (size_t)(unsigned char)how.p[0] / 8));
	for (how = str_skip(how, 1); how.n >= 3 && state->n; how = str_skip(how, 3)) {
		if (str_starts(how, STR("\xff\xff\xff")))
			return str_skip(how, 3);
		size_t at = (unsigned char)how.p[0] | (size_t)(unsigned char)how.p[1] << 8;
		state->p[at % state->n] = (char)(state->p[at % state->n] ^ how.p[2]);
	}
	return STR_NULL;
}

static void take(struct world *w, struct str state, struct str rest)
{
	AUTO(buf) struct buf first = BUF_INIT(MIB(1)), second = BUF_INIT(MIB(1));
	struct smtp_session *s = NULL, *again = NULL;
	if (smtp_session_import(&w->config, &w->backend, state, &s, NULL) < 0)
		return;
	CHECK(smtp_session_export(s, &first) == 0);
	CHECK(smtp_session_import(&w->config, &w->backend, buf_str(&first), &again, NULL) == 0);
	CHECK(smtp_session_export(again, &second) == 0);
	CHECK(str_eq(buf_str(&first), buf_str(&second)));
	say_body(s, rest);
	say(again, rest);
	smtp_session_free(s);
	smtp_session_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {.fake = {.last = BUF_INIT(MIB(1))}, .config = fake_config()};
	AUTO(buf) struct buf state = BUF_INIT(KIB(64));
	if (size < 2 || size > KIB(4))
		return 0;
	log_set_level(LOG_ERROR);
	w.backend = fake_backend(&w.fake);
	make_state(&w, data[0], &state);
	struct str rest = edit(&state, str_make((const char *)data + 1, size - 1));
	take(&w, buf_str(&state), rest);
	take(&w, str_make((const char *)data, size), rest);
	buf_clear(&w.fake.last);
	return 0;
}
