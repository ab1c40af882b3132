/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c - how many, how large, and by which names: STAT, LIST, UIDL.     [proto, pop3]
 */
#include "codec/pop3/pop3_uidl.h"
#include "proto/pop3/pop3_int.h"

enum pop3_next pop3_cmd_stat(struct pop3_session *s, const struct pop3_out *out)
{
	(void)buf_addf(out->text, "+OK %u %llu\r\n", s->exists - s->deleted.count,
		       (unsigned long long)(s->size - s->deleted_size));
	return POP3_DONE;
}

static void write_one(const struct pop3_session *s, uint32_t number, const struct store_message *m,
		      bool uidl, struct buf *out)
{
	(void)buf_add_u64(out, number);
	(void)buf_addc(out, ' ');
	if (uidl)
		pop3_uidl_write(out, str_c(s->config.uidl_format), m->uid.v,
				pop3_validity_of(s, m->uid));
	else
		(void)buf_add_u64(out, m->size);
	(void)buf_add(out, STR("\r\n"));
}

static enum pop3_next end(struct pop3_session *s)
{
	store_read_end(TAKE(s->reader));
	arena_reset(&s->arena);
	s->run = RUN_NONE;
	return POP3_DONE;
}

/* The greeting line is out: what fails now can only be told by ending. */
static enum pop3_next cut(struct pop3_session *s, const struct pop3_out *out, int r,
			  const struct fail *why)
{
	(void)end(s);
	(void)pop3_say_failure(s, out, r, why);
	return POP3_CLOSE;
}

enum pop3_next pop3_list_resume(struct pop3_session *s, const struct pop3_out *out)
{
	struct fail why = FAIL_INIT;
	struct store_message m;
	int r = 0;
	while (s->number < s->exists && (r = store_read_next(s->reader, &m, &why)) == 1) {
		if (s->hidden.count && pop3_marks_have(&s->hidden, m.seq))
			continue;
		s->number++;
		if (!pop3_marks_have(&s->deleted, s->number))
			write_one(s, s->number, &m, s->run == RUN_UIDL, out->text);
		if (s->number % 64 == 0 && out->full(out->arg))
			return POP3_MORE;
	}
	if (r < 0)
		return cut(s, out, r, &why);
	(void)buf_add(out->text, STR(".\r\n"));
	return end(s);
}

static enum pop3_next list_all(struct pop3_session *s, const struct pop3_out *out)
{
	struct fail why = FAIL_INIT;
	int r = store_view_all(s->view, &s->arena, &s->set, &why);
	if (r == 0)
		r = store_read_begin(s->view, &s->set, 0, (struct modseq){0}, &s->reader, &why);
	if (r < 0) {
		(void)end(s);
		return pop3_say_failure(s, out, r, &why);
	}
	s->number = 0;
	pop3_say_count(s, out);
	return pop3_list_resume(s, out);
}

enum pop3_next pop3_cmd_list(struct pop3_session *s, const struct pop3_cmd *cmd,
			     const struct pop3_out *out)
{
	struct store_message m;
	s->run = cmd->kind == POP3_UIDL ? RUN_UIDL : RUN_LIST;
	if (cmd->number == 0)
		return list_all(s, out);
	if (pop3_message_find(s, cmd->number, 0, &m, out)) {
		(void)buf_add(out->text, STR("+OK "));
		write_one(s, cmd->number, &m, s->run == RUN_UIDL, out->text);
	}
	return end(s);
}
