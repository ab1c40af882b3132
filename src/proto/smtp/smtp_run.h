/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_run.h - dialogues as text, for the tests of this folder.                [tests only]
 *
 * A line goes to the session as a command (TOO LONG and MALFORMED as such lines); a line that
 * begins with '!' is what edge does:
 *
 *     !tls                !auth granted|refused|malformed|cancelled|unknown|unavailable
 *     !body TEXT          !chunk SIZE        !stored TEXT      !flags N TEXT (a body with flags)
 *     !end timeout|shutdown
 *
 * The result is every reply, with [what edge does next] where that is not "read on". Variants run
 * it line by line or in batches, and with an export and import after every call; all must say the
 * same.
 */
#ifndef BARID_PROTO_SMTP_SMTP_RUN_H
#define BARID_PROTO_SMTP_SMTP_RUN_H

#include "base/num.h"
#include "base/test.h"
#include "codec/smtp/smtp_batch.h"
#include "proto/smtp/smtp_fake.h"
#include "proto/smtp/smtp_session.h"

enum { RUN_BATCHES = 1u << 0, RUN_EXPORT = 1u << 1, RUN_VARIANTS = 4 };

struct run {
	unsigned variant;
	struct fake fake;
	struct smtp_backend backend;
	struct smtp_config config;
	struct smtp_session *s;
	struct buf text; /* the replies */
	uint32_t delay_ms;
	uint64_t body_so_far;
};

static inline void run_begin_as(struct run *r, enum smtp_service service, unsigned variant,
				const struct smtp_peer *peer)
{
	*r = (struct run){.variant = variant, .text = BUF_INIT(MIB(1))};
	r->fake.last = BUF_INIT(MIB(1));
	r->fake.body = BUF_INIT(MIB(1));
	r->backend = fake_backend(&r->fake);
	r->config = fake_config();
	r->s = smtp_session_new(&r->config, &r->backend, service, peer);
}

static inline void run_begin(struct run *r, enum smtp_service service, unsigned variant,
			     bool trusted)
{
	struct smtp_peer peer = {.trace = {0x1f},
				 .ip = STR("192.0.2.1"),
				 .rdns = STR("client.example"),
				 .trusted = trusted};
	run_begin_as(r, service, variant, &peer);
}

static inline void run_end(struct run *r)
{
	smtp_session_free(r->s);
	buf_clear(&r->text);
	buf_clear(&r->fake.last);
	buf_clear(&r->fake.body);
}

/* The session as another process would continue it. */
static inline void move(struct run *r)
{
	AUTO(buf) struct buf state = BUF_INIT(MIB(4)), again = BUF_INIT(MIB(4));
	struct fail why = FAIL_INIT;
	struct smtp_session *s = NULL;
	assert_int_equal(smtp_session_export(r->s, &state), 0);
	assert_ok(smtp_session_import(&r->config, &r->backend, buf_str(&state), &s, &why), &why);
	assert_int_equal(smtp_session_export(s, &again), 0);
	assert_true(str_eq(buf_str(&state), buf_str(&again)));
	smtp_session_free(r->s);
	r->s = s;
}

static inline void note_next(struct run *r, const struct smtp_result *res)
{
	static const char *const names[] = {NULL,   "data",    "bdat", "starttls",
					    "auth", "xclient", "wait", "close"};
	if (res->next != SMTP_CONTINUE) {
		buf_addf(&r->text, "[%s", names[res->next]);
		if (res->next == SMTP_DATA || res->next == SMTP_BDAT)
			buf_addf(&r->text, " %llu", (unsigned long long)res->octets);
		if (res->next == SMTP_XCLIENT)
			buf_addf(&r->text, " %.*s", STR_ARG(res->xclient));
		if (res->next == SMTP_AUTH)
			buf_addf(&r->text, " %.*s %.*s", STR_ARG(res->mechanism),
				 STR_ARG(res->initial));
		buf_addf(&r->text, "%s%s]\n", res->last ? " last" : "",
			 res->discard ? " discard" : "");
	}
	r->delay_ms += res->delay_ms;
	if (r->variant & RUN_EXPORT)
		move(r);
}

static inline void send_batch(struct run *r, struct buf *batch, bool more)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(256));
	struct smtp_result res;
	if (batch->n == 0)
		return;
	smtp_session_lines(r->s, buf_str(batch), more, &out, &res);
	buf_add(&r->text, buf_str(&out));
	note_next(r, &res);
	buf_reset(batch);
}

static inline void send_body(struct run *r, struct smtp_body body)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(64));
	struct smtp_result res;
	smtp_session_body(r->s, &body, &out, &res);
	buf_add(&r->text, buf_str(&out));
	note_next(r, &res);
}

static inline void send_auth(struct run *r, struct str word)
{
	static const char *const words[] = {"granted",	 "refused", "malformed",
					    "cancelled", "unknown", "unavailable"};
	AUTO(buf) struct buf out = BUF_INIT(KIB(64));
	struct smtp_result res;
	struct smtp_auth_result a = {.account = {1}, .login = STR("alice@example.test")};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq(word, str_c(words[i])))
			a.outcome = (enum smtp_auth)i;
	smtp_session_auth_done(r->s, &a, &out, &res);
	buf_add(&r->text, buf_str(&out));
	note_next(r, &res);
}

static inline void do_event(struct run *r, struct str line)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(64));
	struct smtp_result res;
	struct str word, rest = str_skip(line, 1);
	uint64_t n = 0;
	str_cut(&rest, ' ', &word);
	if (str_eq(word, STR("tls"))) {
		smtp_session_tls_done(r->s, STR("TLSv1.3 TLS_AES_256_GCM_SHA384"), &res);
		note_next(r, &res);
	} else if (str_eq(word, STR("auth"))) {
		send_auth(r, rest);
	} else if (str_eq(word, STR("body"))) {
		send_body(r, (struct smtp_body){.bytes = rest, .size = rest.n});
	} else if (str_eq(word, STR("stored"))) {
		r->fake.stored = rest;
		smtp_session_body_opened(r->s, (struct spool_body_id){{9}});
		send_body(r, (struct smtp_body){.id = {{9}}, .size = rest.n});
	} else if (str_eq(word, STR("chunk"))) {
		assert_true(num_parse_u64(rest, &n));
		r->body_so_far += n;
		send_body(r, (struct smtp_body){.size = r->body_so_far});
	} else if (str_eq(word, STR("flags"))) {
		str_cut(&rest, ' ', &word);
		assert_true(num_parse_u64(word, &n));
		send_body(r,
			  (struct smtp_body){.bytes = rest, .size = rest.n, .flags = (unsigned)n});
	} else if (str_eq(word, STR("end"))) {
		smtp_session_end(
			r->s, str_eq(rest, STR("timeout")) ? SMTP_END_TIMEOUT : SMTP_END_SHUTDOWN,
			&out);
		buf_add(&r->text, buf_str(&out));
	} else {
		fail_msg("unknown event %.*s", STR_ARG(line));
	}
}

static inline void run_dialogue(struct run *r, const char *input)
{
	AUTO(buf) struct buf batch = BUF_INIT(MIB(1));
	struct str rest = str_c(input), line;
	while (rest.n && str_cut(&rest, '\n', &line)) {
		if (line.n && line.p[0] == '!') {
			send_batch(r, &batch, false);
			do_event(r, line);
			continue;
		}
		enum smtp_line_kind kind = str_eq(line, STR("TOO LONG"))    ? SMTP_LINE_TOO_LONG
					   : str_eq(line, STR("MALFORMED")) ? SMTP_LINE_MALFORMED
									    : SMTP_LINE_OK;
		smtp_batch_add(&batch, kind, line);
		if (!(r->variant & RUN_BATCHES) || smtp_batch_ends(kind, line))
			send_batch(r, &batch, false);
	}
	send_batch(r, &batch, false);
}

/* Replies without CR, so that they read well in the tables. */
static inline void assert_text(struct run *r, const char *name, const char *want)
{
	AUTO(buf) struct buf plain = BUF_INIT(MIB(1));
	for (size_t i = 0; i < r->text.n; i++)
		if (r->text.p[i] != '\r')
			buf_addc(&plain, r->text.p[i]);
	if (!str_eq(buf_str(&plain), str_c(want)))
		fail_msg("%s (variant %u):\n%s\nis not\n%s", name, r->variant, buf_c(&plain), want);
	buf_reset(&r->text);
}

/* clang-format off */
#define MX  SMTP_SERVICE_MX
#define SUB SMTP_SERVICE_SUBMISSION

#define EHLO_TAIL "250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250-DSN\n250-SMTPUTF8\n250 CHUNKING\n"
#define EHLO_MX	  "250-mx.example.test\n250-PIPELINING\n250-SIZE 1000\n250-STARTTLS\n" EHLO_TAIL
#define EHLO_XFORWARD "250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\n"
#define EHLO_HEAD "250-mx.example.test\n250-PIPELINING\n250-SIZE 1000\n"
#define EHLO_IN	  EHLO_HEAD EHLO_XFORWARD EHLO_TAIL /* the ports of the machine itself */
#define EHLO_TLS  EHLO_HEAD "250-REQUIRETLS\n" EHLO_TAIL
#define WISHES                                                                                     \
	"250-FUTURERELEASE 2592000 2025-12-21T10:00:00Z\n250-DELIVERBY\n250-MT-PRIORITY MIXER\n"
#define EHLO_USER EHLO_HEAD "250-REQUIRETLS\n" WISHES EHLO_TAIL
#define EHLO_AUTH EHLO_HEAD "250-AUTH PLAIN LOGIN\n250-REQUIRETLS\n" WISHES EHLO_TAIL
/* Of a trusted peer: without TLS. */
#define EHLO_BARE EHLO_HEAD "250-AUTH PLAIN LOGIN\n" WISHES EHLO_TAIL
#define OPEN	 "HELO c\nMAIL FROM:<x@remote.example>\n"
#define OPEN_OK	 "250 mx.example.test\n250 2.1.0 Ok\n"
#define READY	 OPEN "RCPT TO:<bob@example.test>\n"
#define READY_OK OPEN_OK "250 2.1.5 Ok\n"
#define GO	 "354 End data with <CR><LF>.<CR><LF>\n[data 1000]\n"
#define LOGIN	 "EHLO c\nSTARTTLS\n!tls\nEHLO c\nAUTH PLAIN\n!auth granted\n"
#define LOGIN_OK                                                                                   \
	EHLO_MX "220 2.0.0 Ready to start TLS\n[starttls]\n" EHLO_AUTH                             \
		"[auth PLAIN ]\n235 2.7.0 Authentication successful\n"
/* clang-format on */

#endif
