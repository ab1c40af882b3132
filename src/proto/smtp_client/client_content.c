/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a message: prefix, then body or file, encoded and sent in pieces.
 */
#include "base/check.h"
#include "codec/smtp/smtp_encode.h"
#include "proto/smtp_client/smtp_client_int.h"
#include <errno.h>
#include <unistd.h>

#define PIECE	KIB(16) /* read of a file at a time */
#define SEND_AT KIB(64) /* and sent when so much has come together */

/* Our own file fails: it is not the server's fault, but it must not see an end of the message. */
static int unreadable(struct smtp_client *c)
{
	smtp_answer_own(&c->answer, "4.3.0", STR("The message could not be read."));
	c->broken = true;
	return -FAIL_IO;
}

/* Sends when much has come together; a piece may take c->times.data_block. */
static int pass_on(struct smtp_client *c, bool send)
{
	return send && c->out.n >= SEND_AT ? client_flush(c, c->times.data_block) : 0;
}

static int add_text(struct smtp_client *c, struct smtp_encoder *e, struct str s, bool send)
{
	int r = 0;
	while (r == 0 && s.n > 0) {
		struct str piece = str_sub(s, 0, PIECE);
		if (smtp_encode(e, piece, &c->out) < 0)
			return client_lost(c, FAIL_LIMIT, "the message grew too long");
		s = str_skip(s, PIECE);
		r = pass_on(c, send);
	}
	return r;
}

static int add_file(struct smtp_client *c, struct smtp_encoder *e,
		    const struct smtp_client_message *m, bool send)
{
	AUTO_MEM char *piece = xcalloc(1, PIECE);
	uint64_t at = 0;
	int r = 0;
	while (r == 0 && at < m->size) {
		ssize_t n = pread(m->file, piece, MIN(PIECE, m->size - at), (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return unreadable(c);
		at += (uint64_t)n;
		r = add_text(c, e, (struct str){piece, (size_t)n}, send);
	}
	return r;
}

static int add_message(struct smtp_client *c, struct smtp_encoder *e,
		       const struct smtp_client_message *m, bool send)
{
	int r = add_text(c, e, m->prefix, send);
	if (r == 0)
		r = m->file >= 0 ? add_file(c, e, m, send) : add_text(c, e, m->body, send);
	if (r == 0 && smtp_encode_end(e, &c->out) < 0)
		r = client_lost(c, FAIL_LIMIT, "the message grew too long");
	return r;
}

int client_data(struct smtp_client *c, const struct smtp_client_message *m)
{
	struct smtp_encoder e = {.dots = true};
	c->phase = "sending the message";
	int r = add_message(c, &e, m, true);
	return r < 0 ? r : client_flush(c, c->times.data_block);
}

int client_bdat(struct smtp_client *c, const struct smtp_client_message *m)
{
	struct smtp_encoder e = {.dots = false};
	struct buf before = buf_move(&c->out);
	int r = add_message(c, &e, m, false);
	struct buf content = buf_move(&c->out);
	c->out = before;
	if (r == 0) {
		buf_addf(&c->out, "BDAT %zu LAST\r\n", content.n);
		buf_add(&c->out, buf_str(&content));
	}
	buf_clear(&content);
	return r;
}
