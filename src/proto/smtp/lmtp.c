/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMTP (RFC 2033): a message has a verdict and a reply for each recipient.
 *
 * 250 means that this recipient's copy is in the spool, on disk; it reaches the mailbox whatever
 * dies then. What RCPT could not know is asked again here: whether the message, which may be larger
 * than was announced, still fits into the mailbox.
 */
#include "proto/smtp/smtp_session_int.h"

/* The operator's own words live with the answer of the directory; the reply comes later. */
static void keep_words(struct smtp_session *s, struct smtp_status *verdict)
{
	const char *enhanced = arena_c(&s->t.arena, str_c(verdict->enhanced));
	const char *text = arena_c(&s->t.arena, str_c(verdict->text));
	verdict->enhanced = enhanced ? enhanced : verdict->code < 500 ? "4.3.0" : "5.3.0";
	verdict->text = text ? text : "Recipient address rejected";
}

int smtp_lmtp_judge(struct smtp_turn *t, uint64_t size, struct fail *why)
{
	struct smtp_session *s = t->s;
	for (size_t i = 0; i < s->t.said.n && size > s->t.size; i++) {
		struct smtp_said *said = &s->t.said.p[i];
		AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
		struct dir_route route = {0};
		int r = smtp_route(s, said->address, size, &a, &route, why);
		if (r < 0)
			return r;
		said->verdict = smtp_verdict_reply(s, &route);
		if (said->verdict.code) {
			keep_words(s, &said->verdict);
			smtp_transaction_forget(&s->t, said->address);
		} else { /* a copy that it shared with one who was refused is its own now */
			const struct smtp_rcpt none = {0};
			r = smtp_transaction_add_rcpt(&s->t, &none, said->address, &route);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

void smtp_lmtp_answer(struct smtp_turn *t, uint64_t number)
{
	const struct smtp_session *s = t->s;
	t->replies = 0;
	for (size_t i = 0; i < s->t.said.n; i++) {
		const struct smtp_said *said = &s->t.said.p[i];
		if (said->verdict.code)
			smtp_refuse(t, said->verdict, "message", said->address, NULL);
		else
			smtp_sayf(t, 250, "2.0.0", "<%.*s> Ok: queued as %llu",
				  STR_ARG(said->address), (unsigned long long)number);
	}
}
