/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/smtp_reply.h"
#include "base/utf8.h"
#include <stdio.h>

/* How much of the text goes on a line that has room for `room` octets; never inside a character. */
static size_t break_at(struct str text, size_t room)
{
	if (text.n <= room)
		return text.n;
	size_t blank = str_rfind(str_sub(text, 0, room), ' ');
	if (blank > 0 && blank < room)
		return blank;
	while (room > 1 && ((unsigned char)text.p[room] & 0xc0) == 0x80)
		room--;
	return room;
}

static void add_line(struct buf *out, const char *head, char separator, struct str text)
{
	buf_addf(out, "%.3s%c%s", head, separator, head + 4);
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		buf_addc(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
	}
	buf_add(out, STR("\r\n"));
}

int smtp_reply(struct buf *out, unsigned code, const char *enhanced, struct str text)
{
	char head[32];
	int n = snprintf(head, sizeof head, "%03u %s%s", code % 1000, enhanced ? enhanced : "",
			 enhanced ? " " : "");
	size_t room = SMTP_REPLY_LINE_MAX - 2 - (size_t)n;
	struct str rest = text.n ? text : STR(""), line;

	while (str_cut(&rest, '\n', &line)) {
		for (;;) {
			size_t cut = break_at(line, room);
			struct str tail = str_skip(line, cut);
			bool last = tail.n == 0 && !rest.p;
			add_line(out, head, last ? ' ' : '-', str_sub(line, 0, cut));
			if (tail.n == 0)
				break;
			line = tail.p[0] == ' ' && tail.n > 1 ? str_skip(tail, 1) : tail;
		}
	}
	return out->failed ? -FAIL_LIMIT : 0;
}

int smtp_replyf(struct buf *out, unsigned code, const char *enhanced, const char *fmt, ...)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(16));
	va_list ap;
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	return smtp_reply(out, code, enhanced, buf_str(&text));
}
