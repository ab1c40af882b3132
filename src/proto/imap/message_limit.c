/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_limit.c - how many messages one command may be about (RFC 9738).      [proto, imap]
 *
 * FETCH, STORE, MOVE, UID EXPUNGE and SEARCH take the newest ones and say how far they came;
 * who wants the others asks again, for UIDs below. COPY, APPEND, SORT and THREAD take all or none.
 */
#include "proto/imap/imap_int.h"

int limit_newest(struct imap_session *s, struct store_set *set, struct fail *why)
{
	uint32_t limit = s->config.message_limit;
	if (limit == 0 || set->count <= limit)
		return 0;
	int r = set_slice(s, set, set->count - limit, limit, why);
	if (r == 0)
		s->run.limited_to = set->runs[0].first;
	return r;
}

bool limit_refuses(struct imap_session *s, size_t n, bool saves)
{
	uint32_t limit = s->config.message_limit;
	if (limit == 0 && saves)
		limit = s->config.save_limit;
	if (limit == 0 || n <= limit)
		return false;
	struct str code = arena_printf(&s->run.arena, "MESSAGELIMIT %u", limit);
	reply_no(s, code.p, "Too many messages for one command.");
	return true;
}

void limit_tell(struct imap_session *s, struct imap_out *out)
{
	struct imap_run *run = &s->run;
	if (run->limited_to.v == 0)
		return;
	struct str code = arena_printf(&run->arena, "MESSAGELIMIT %u %u", s->config.message_limit,
				       run->limited_to.v);
	if (run->reply.n == 0 && !run->tell_modseq)
		reply_ok(s, code.p, "Completed for the newest messages; ask again for others.");
	else
		buf_addf(&out->text, "* NO [%.*s] Only the newest messages were looked at.\r\n",
			 STR_ARG(code));
	run->limited_to.v = 0;
}
