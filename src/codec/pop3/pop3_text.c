/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pop3/pop3_text.h"

void pop3_text_begin(struct pop3_text *t)
{
	*t = (struct pop3_text){0};
}

void pop3_text_begin_top(struct pop3_text *t, uint32_t lines)
{
	*t = (struct pop3_text){.top = true, .lines = lines, .line_empty = true};
}

/* A line of the header, or of the body, has ended. */
static void line_end(struct pop3_text *t)
{
	if (t->in_body)
		t->lines--;
	else if (t->line_empty)
		t->in_body = true;
	t->line_empty = true;
	t->ended = t->in_body && t->lines == 0;
}

size_t pop3_text_limit(struct pop3_text *t, struct str piece)
{
	size_t at = 0;
	if (!t->top)
		return piece.n;
	while (at < piece.n && !t->ended) {
		size_t lf = str_find(piece, at, '\n');
		size_t end = lf < piece.n ? lf : piece.n;
		for (size_t i = at; t->line_empty && i < end; i++)
			t->line_empty = piece.p[i] == '\r';
		at = end;
		if (lf < piece.n) {
			line_end(t);
			at++;
		}
	}
	return at;
}

size_t pop3_text_dot(const struct pop3_text *t, struct str piece)
{
	if (piece.n && !t->mid_line && piece.p[0] == '.')
		return 0;
	/* From line to line: that is faster than to look for two bytes at once. */
	for (size_t at = 0; (at = str_find(piece, at, '\n') + 1) < piece.n;)
		if (piece.p[at] == '.')
			return at;
	return SIZE_MAX;
}

void pop3_text_pass(struct pop3_text *t, struct str piece)
{
	if (piece.n == 0)
		return;
	char last = piece.p[piece.n - 1];
	t->mid_line = last != '\n';
	t->after_cr = last == '\r';
}

void pop3_text_add(struct pop3_text *t, struct str piece, struct buf *out)
{
	piece = str_sub(piece, 0, pop3_text_limit(t, piece));
	for (size_t dot; (dot = pop3_text_dot(t, piece)) != SIZE_MAX;) {
		struct str head = str_sub(piece, 0, dot + 1);
		(void)buf_add(out, str_sub(head, 0, dot));
		(void)buf_add(out, STR(".."));
		pop3_text_pass(t, head);
		piece = str_skip(piece, head.n);
	}
	(void)buf_add(out, piece);
	pop3_text_pass(t, piece);
}

void pop3_text_end(const struct pop3_text *t, struct buf *out)
{
	if (t->mid_line)
		(void)buf_add(out, t->after_cr ? STR("\n") : STR("\r\n"));
	(void)buf_add(out, STR(".\r\n"));
}
