/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever the server says and whatever the message holds: we end, what we sent has no CR or LF
 * alone, the end of a message stands in it once per message, and success needs a reply of class 2
 * behind it. Input: one byte of choices, then the message up to a NUL, then the server.
 */
#include "base/check.h"
#include "proto/smtp_client/fake_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void lines_are_whole(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		CHECK(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
		CHECK(s.p[i] != '\r' || i + 1 == s.n || s.p[i + 1] == '\n');
	}
}

static void talk(struct smtp_client *c, struct smtp_client_message *m, struct fake_wire *f)
{
	bool unsure = false;
	int r = smtp_client_greeting(c);
	if (r == 0)
		r = smtp_client_hello(c, STR("me.example"));
	for (int i = 0; i < 2 && r == 0 && !c->broken; i++) {
		r = smtp_client_send(c, m, &unsure);
		CHECK(!(unsure && c->answer.code >= 400));
		for (size_t k = 0; k < m->n; k++) {
			struct smtp_client_rcpt *rcpt = &m->rcpts[k];
			CHECK(r < 0 || rcpt->sent != SMTP_SENT_NOTHING);
			CHECK(rcpt->sent != SMTP_SENT || smtp_answer_class(&rcpt->answer) == 2);
			CHECK(rcpt->sent != SMTP_SENT_REFUSED ||
			      smtp_answer_class(&rcpt->answer) == 5);
		}
	}
	CHECK(strlen(c->answer.text) == c->answer.n && c->answer.n <= SMTP_ANSWER_TEXT_MAX);
	smtp_client_quit(c);
	lines_are_whole(buf_str(&f->client));
	size_t ends = 0;
	for (size_t at = 0;
	     (at = str_find_str(buf_str(&f->client), at, STR("\r\n.\r\n"))) < f->client.n; at++)
		ends++;
	CHECK(ends <= 2 || (c->offers & SMTP_OFFERS_CHUNKING));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct str in = {(const char *)data + 1, size - 1};
	size_t cut = str_find(in, 0, '\0');
	struct str message = str_sub(in, 0, cut), server = str_skip(in, cut + 1);
	struct smtp_client_times times = smtp_client_times_default();
	struct fake_wire f;
	struct smtp_client c;
	fake_init(&f, server, data[0] & 1 ? 1 : 100000);
	f.silent = data[0] & 2;
	smtp_client_init(&c, &f.wire, data[0] & 4, &times);
	struct smtp_client_rcpt rcpts[3] = {
		{.address = STR("b@example.net")},
		{.address = str_sub(message, 0, 40), .notify = data[0]},
		{.address = STR("d@example.net"), .orcpt = str_sub(message, 0, 20)}};
	struct smtp_client_message m = {.sender = STR("a@example.org"),
					.body = message,
					.size = message.n,
					.file = -1,
					.eightbit = data[0] & 8,
					.rcpts = rcpts,
					.n = data[0] & 16 ? 1 : 3};
	talk(&c, &m, &f);
	smtp_client_clear(&c);
	buf_clear(&f.client);
	return 0;
}
