/* SPDX-License-Identifier: Apache-2.0 */
/* A client's bytes through framer and dialogue: in any chunks the same replies, all whole lines. */
#include "base/check.h"
#include "proto/login/login_imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer {
	struct login_imap login;
	struct frame_imap framer;
	struct buf *out;
	bool over;
};

static const struct login_offer offer = {SASL_OFFER_SCRAM_256 | SASL_OFFER_OAUTH, true, true};

static void handle(struct peer *p, struct frame_imap_event e)
{
	enum login_action a;
	if (e.kind == FRAME_IMAP_LITERAL) {
		frame_imap_accept(&p->framer);
		return;
	}
	if (e.kind != FRAME_IMAP_COMMAND)
		a = login_imap_dropped(&p->login, e.kind, e.tag, p->out);
	else if (p->login.in_sasl)
		a = login_imap_line(&p->login, e.input.text, p->out);
	else
		a = login_imap_command(&p->login, &e.input, p->out);
	if (a == LOGIN_ACTION_LINE)
		frame_imap_expect_raw(&p->framer);
	if (a == LOGIN_ACTION_STARTTLS) {
		frame_imap_wipe(&p->framer);
		login_imap_tls_started(&p->login, &offer);
	}
	if (a == LOGIN_ACTION_VERIFY) {
		const struct login_sasl *x = login_imap_sasl(&p->login);
		const struct sasl_credentials *c = &x->credentials;
		CHECK(x->relayed || (c->user.n > 0 && c->password.n > 0));
		size_t n = x->relayed ? x->message.n : c->user.n;
		struct login_answer answer = {.verdict = (enum login_verdict)(n % 4),
					      .more = x->relayed && n % 3 == 0,
					      .challenge = n % 5 ? STR("challenge") : STR("")};
		a = login_imap_answer(&p->login, &answer, p->out);
	}
	p->over = a == LOGIN_ACTION_DONE || a == LOGIN_ACTION_CLOSE;
}

static void run(struct str in, size_t chunk, bool tls, struct buf *out)
{
	struct login_imap_config config = {.starttls = true, .version = "1"};
	if (tls)
		config.offer = offer;
	struct peer p = {.out = out};
	login_imap_init(&p.login, &config, tls);
	frame_imap_init(&p.framer, &frame_imap_limits_login);
	for (size_t at = 0; at < in.n && !p.over; at += chunk) {
		struct str piece = str_sub(in, at, at + chunk);
		while (!p.over) {
			struct frame_imap_event e = frame_imap_feed(&p.framer, &piece);
			if (e.kind == FRAME_IMAP_MORE)
				break;
			handle(&p, e);
		}
	}
	frame_imap_clear(&p.framer);
	login_imap_clear(&p.login);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct str in = {(const char *)data + 1, size - 1};
	AUTO(buf) struct buf whole = BUF_INIT(MIB(4));
	AUTO(buf) struct buf cut = BUF_INIT(MIB(4));
	run(in, size, data[0] & 1, &whole);
	run(in, 1 + data[0] / 2 % 8, data[0] & 1, &cut);
	CHECK(str_eq(buf_str(&whole), buf_str(&cut)));
	CHECK(whole.n == 0 || str_ends(buf_str(&whole), STR("\r\n")));
	return 0;
}
