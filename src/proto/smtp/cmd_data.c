/* SPDX-License-Identifier: Apache-2.0 */
/* DATA and BDAT: how the message comes. */
#include "proto/smtp/smtp_session_int.h"

OFFENCE(early_data, "early_data", "clients that did not wait for the answer to DATA");
OFFENCE(smuggling, "smuggling", "messages with a bare CR or LF");

bool smtp_data_refusal(const struct smtp_session *s, struct smtp_status *ret)
{
	if (smtp_gate(s, ret))
		return true;
	if (!s->t.open)
		*ret = (struct smtp_status){503, "5.5.1", "Send MAIL first"};
	else if (s->t.accepted == 0)
		*ret = (struct smtp_status){smtp_is_lmtp(s) ? 503u : 554u, "5.5.1",
					    "No valid recipients"};
	else
		return false;
	return true;
}

void smtp_cmd_data(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	struct smtp_status refusal;

	/* RFC 2920 3.1: DATA ends a group. What is there already cannot be an answer to 354: a
	 * client that does not listen, or somebody smuggling a message behind another one. */
	if (t->more && s->config->door.pipelining) {
		smtp_offence(s, &early_data, "");
		smtp_refuse(
			t,
			(struct smtp_status){503, "5.5.0",
					     "<DATA>: Data command rejected: Improper use of SMTP "
					     "command pipelining"},
			"DATA", s->t.from, NULL);
		smtp_close(t);
	} else if (smtp_data_refusal(s, &refusal)) {
		smtp_refuse(t, refusal, "DATA", s->t.from, NULL);
	} else if (s->t.bdat) {
		smtp_say(t, (struct smtp_status){503, "5.5.1", "DATA after BDAT"});
	} else if (!smtp_filter_data(t)) {
		smtp_reply(t->out, 354, NULL, STR("End data with <CR><LF>.<CR><LF>"));
		s->mode = SMTP_MODE_DATA;
		t->ret->next = SMTP_DATA;
		t->ret->octets = s->config->size_max;
	}
}

/*
 * The chunk of a refused BDAT comes all the same (RFC 3030 section 2). Nobody has to wait for
 * more of it than a message could have.
 */
static void skip_chunk(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	if (t->s->mode == SMTP_MODE_CLOSED)
		return;
	if (cmd->bdat.size / 2 > t->s->config->size_max) {
		smtp_close(t);
		return;
	}
	t->ret->next = SMTP_BDAT;
	t->ret->octets = cmd->bdat.size;
	t->ret->last = cmd->bdat.last;
	t->ret->discard = true;
}

static void refuse_chunk(struct smtp_turn *t, const struct smtp_cmd *cmd,
			 struct smtp_status refusal)
{
	smtp_refuse(t, refusal, "BDAT", t->s->t.from, NULL);
	skip_chunk(t, cmd);
}

void smtp_chunk_begin(struct smtp_turn *t, uint64_t size, bool last)
{
	struct smtp_transaction *x = &t->s->t;
	t->ret->first = !x->bdat;
	x->bdat = true;
	x->bdat_last = last;
	x->bdat_size += size;
	x->chunk = size;
	t->s->mode = SMTP_MODE_BDAT;
	t->ret->next = SMTP_BDAT;
	t->ret->octets = size;
	t->ret->last = last;
}

void smtp_cmd_bdat(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	struct smtp_session *s = t->s;
	struct smtp_transaction *x = &s->t;
	struct smtp_status refusal;
	uint64_t size = 0;

	if (smtp_data_refusal(s, &refusal)) {
		refuse_chunk(t, cmd, refusal);
		return;
	}
	if (!num_add_u64(x->bdat_size, cmd->bdat.size, &size) || size > s->config->size_max) {
		refuse_chunk(t, cmd,
			     (struct smtp_status){552, "5.3.4", "Message size exceeds the limit"});
		smtp_transaction_reset(s);
		return;
	}
	if (!x->bdat && smtp_filter_data(t)) {
		skip_chunk(t, cmd);
		return;
	}
	smtp_chunk_begin(t, cmd->bdat.size, cmd->bdat.last);
}

void smtp_cmd_bdat_broken(struct smtp_turn *t, struct smtp_status refusal)
{
	smtp_say(t, refusal);
	if (t->s->mode != SMTP_MODE_CLOSED)
		smtp_close(t);
}

/* True when the message is refused for how it came; *ret is the reply. */
static bool body_refusal(const struct smtp_session *s, const struct smtp_body *body,
			 struct smtp_status *ret)
{
	if (body->flags & SMTP_BODY_BARE)
		*ret = (struct smtp_status){
			550, "5.5.2", "Message holds a bare CR or LF (RFC 5321 2.3.8), closing"};
	else if ((body->flags & SMTP_BODY_TOO_BIG) || body->size > s->config->size_max)
		*ret = (struct smtp_status){552, "5.3.4", "Message size exceeds the limit"};
	else if (body->flags & SMTP_BODY_LOST)
		*ret = (struct smtp_status){452, "4.3.1", "Insufficient system storage"};
	else
		return false;
	return true;
}

void smtp_session_body_opened(struct smtp_session *s, struct spool_body_id id)
{
	if (spool_body_id_equal(s->t.body_id, id))
		return;
	bool expected = s->mode == SMTP_MODE_DATA || s->mode == SMTP_MODE_BDAT;
	struct spool_body_id unwanted = expected ? s->t.body_id : id;
	if (!spool_body_id_equal(unwanted, (struct spool_body_id){{0}}))
		s->backend->body_drop(s->backend->ctx, unwanted);
	if (expected)
		s->t.body_id = id;
}

static bool has_file(const struct smtp_session *s)
{
	return !spool_body_id_equal(s->t.body_id, (struct spool_body_id){{0}});
}

/* Edge may say only what fits the session: bytes of the size told, or the one body file. */
static bool is_plausible(const struct smtp_session *s, const struct smtp_body *body)
{
	if (s->mode != SMTP_MODE_DATA && s->mode != SMTP_MODE_BDAT)
		return false;
	if (smtp_body_is_stored(body))
		return spool_body_id_equal(body->id, s->t.body_id) || !has_file(s);
	bool more_comes = s->mode == SMTP_MODE_BDAT && !s->t.bdat_last;
	return body->flags || more_comes || body->bytes.n == body->size;
}

void smtp_session_body(struct smtp_session *s, const struct smtp_body *body, struct buf *out,
		       struct smtp_result *ret)
{
	struct smtp_turn t = smtp_turn_begin(s, out, ret);
	struct smtp_status refusal;

	if (smtp_wrong_mode(&t, is_plausible(s, body)))
		return;
	if (smtp_body_is_stored(body))
		s->t.body_id = body->id;
	bool last = s->mode == SMTP_MODE_DATA || s->t.bdat_last;
	t.replies = last ? s->t.said.n : 0;
	s->mode = SMTP_MODE_LINES;
	if (body->flags & SMTP_BODY_ABORTED) {
		smtp_session_end(s, SMTP_END_LOST, out);
		ret->next = SMTP_CLOSE;
	} else if (body_refusal(s, body, &refusal)) {
		s->messages++;
		smtp_refuse(&t, refusal, "message", s->t.from, NULL);
		smtp_transaction_reset(s);
		if (body->flags & SMTP_BODY_BARE) {
			smtp_offence(s, &smuggling, "a bare CR or LF in a message");
			smtp_close(&t);
		}
	} else if (last) {
		s->messages++;
		s->t.arrived = true;
		smtp_message(&t, body);
		smtp_transaction_reset(s);
		buf_reset(&s->forward);
	} else {
		smtp_sayf(&t, 250, "2.0.0", "%llu octets received", (unsigned long long)s->t.chunk);
	}
}
