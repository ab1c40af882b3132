/* SPDX-License-Identifier: Apache-2.0 */
/* A client's bytes through framer and dialogue: in any chunks the same replies, all whole lines. */
#include "base/check.h"
#include "codec/frame/frame_line.h"
#include "proto/login/login_pop3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct login_offer offer = {SASL_OFFER_SCRAM_256 | SASL_OFFER_OAUTH, true, true};

static bool handle(struct login_pop3 *l, struct frame_line *framer, struct str line, bool bad,
		   struct buf *out)
{
	enum login_pop3_action a = login_pop3_line(l, line, bad, out);
	if (a == LOGIN_POP3_STLS) {
		frame_line_wipe(framer);
		login_pop3_tls_started(l, &offer);
	}
	if (a == LOGIN_POP3_VERIFY) {
		const struct login_sasl *x = &l->sasl;
		CHECK(x->relayed || (x->credentials.user.n > 0 && x->credentials.password.n > 0));
		size_t n = x->relayed ? x->message.n : x->credentials.user.n;
		struct login_answer answer = {.verdict = (enum login_verdict)(n % 4),
					      .more = x->relayed && n % 3 == 0,
					      .challenge = n % 5 ? STR("challenge") : STR("")};
		a = login_pop3_answer(l, &answer, out);
	}
	return a != LOGIN_POP3_DONE && a != LOGIN_POP3_CLOSE;
}

static void run(struct str in, size_t chunk, bool tls, struct buf *out)
{
	struct login_pop3_config config = {.stls = true, .usual = "de"};
	AUTO(frame_line) struct frame_line framer = FRAME_LINE_INIT(LOGIN_SASL_LINE_MAX);
	struct login_pop3 l;
	bool on = true;
	if (tls)
		config.offer = offer;
	login_pop3_init(&l, &config, tls);
	for (size_t at = 0; at < in.n && on; at += chunk) {
		struct str piece = str_sub(in, at, at + chunk), line = STR("");
		enum frame_line_event e = FRAME_LINE_READY;
		while (on && (e = frame_line_feed(&framer, &piece, &line)) != FRAME_LINE_MORE)
			on = handle(&l, &framer, line, e != FRAME_LINE_READY, out);
	}
	login_pop3_clear(&l);
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
