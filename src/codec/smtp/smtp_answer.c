/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/smtp_answer.h"
#include "base/utf8.h"

static bool read_code(struct str line, unsigned *ret)
{
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5')
		return false;
	for (size_t i = 1; i < 3; i++)
		if (!ascii_digit(line.p[i]))
			return false;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return false;
	*ret = (unsigned)(line.p[0] - '0') * 100 + (unsigned)(line.p[1] - '0') * 10 +
	       (unsigned)(line.p[2] - '0');
	return true;
}

/* "5.1.1" at the front of a text, of the class of its code. 0: there is none. */
static size_t enhanced_length(struct str text, unsigned class)
{
	size_t n = 0, dots = 0, digits = 0;
	if (text.n < 5 || text.p[0] != (char)('0' + class) || text.p[1] != '.')
		return 0;
	for (n = 2, dots = 1; n < text.n && text.p[n] != ' '; n++) {
		if (text.p[n] == '.') {
			if (digits == 0 || ++dots > 2)
				return 0;
			digits = 0;
		} else if (!ascii_digit(text.p[n]) || ++digits > 3) {
			return 0;
		}
	}
	return dots == 2 && digits > 0 ? n : 0;
}

static void keep(struct smtp_answer *a, struct str s)
{
	size_t room = SMTP_ANSWER_TEXT_MAX - a->n;
	size_t from = a->n;
	bool cut = s.n > room;
	s = str_sub(s, 0, room);
	if (s.n)
		memcpy(a->text + a->n, s.p, s.n);
	a->n += s.n;
	/* Not in the middle of a character. */
	while (cut && a->n > from && ((unsigned char)a->text[a->n - 1] & 0xc0) == 0x80)
		a->n--;
	if (cut && a->n > from && (unsigned char)a->text[a->n - 1] >= 0xc0)
		a->n--;
	bool utf8 = utf8_valid((struct str){a->text + from, a->n - from});
	for (size_t i = from; i < a->n; i++) {
		unsigned char c = (unsigned char)a->text[i];
		if (c == '\t')
			a->text[i] = ' ';
		else if (c < ' ' || c == 0x7f || (c >= 0x80 && !utf8))
			a->text[i] = '?';
	}
	a->text[a->n] = '\0';
}

int smtp_answer_line(struct smtp_answer *a, struct str line, struct str *ret_text)
{
	unsigned code = 0;
	if (!read_code(line, &code) || (a->lines > 0 && code != a->code))
		return -FAIL_SYNTAX;
	if (a->lines == SMTP_ANSWER_LINES)
		return -FAIL_LIMIT;
	struct str text = str_trim(str_skip(line, 4));
	size_t n = enhanced_length(text, code / 100);
	a->code = code;
	/* The same status on every line is said once. */
	bool again = n > 0 && str_eq(str_sub(text, 0, n), str_c(a->enhanced));
	if (n > 0 && a->enhanced[0] == '\0')
		memcpy(a->enhanced, text.p, n);
	if (a->lines == 0)
		keep(a, str_trim(str_sub(line, 0, 3)));
	struct str said = again ? str_trim(str_skip(text, n)) : text;
	if (said.n > 0 && a->n > 0)
		keep(a, STR(" "));
	keep(a, said);
	a->lines++;
	if (ret_text)
		*ret_text = text;
	return line.n > 3 && line.p[3] == '-' ? SMTP_ANSWER_MORE : SMTP_ANSWER_DONE;
}

void smtp_answer_own(struct smtp_answer *a, const char *enhanced, struct str text)
{
	*a = (struct smtp_answer){0};
	struct str status = str_sub(str_c(enhanced), 0, sizeof a->enhanced - 1);
	memcpy(a->enhanced, status.p, status.n);
	keep(a, text);
}
