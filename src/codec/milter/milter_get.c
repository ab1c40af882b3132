/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"
#include "codec/milter/milter.h"
#include <stdio.h>

static uint32_t be32(struct cursor *c)
{
	uint32_t v = cursor_u8(c);
	v = v << 8 | cursor_u8(c);
	v = v << 8 | cursor_u8(c);
	return v << 8 | cursor_u8(c);
}

int milter_frame(struct str in, struct str *ret_packet, size_t *ret_used)
{
	struct cursor c = cursor_of(in);
	if (in.n < 4)
		return 0;
	uint32_t n = be32(&c);
	if (n == 0)
		return -FAIL_SYNTAX;
	if (n > MILTER_PACKET_MAX)
		return -FAIL_TOOBIG;
	if (in.n - 4 < n)
		return 0;
	*ret_packet = str_sub(in, 4, 4 + (size_t)n);
	*ret_used = 4 + (size_t)n;
	return 1;
}

/* Up to its NUL, which must be there. */
static bool get_text(struct cursor *c, struct str *ret)
{
	struct str rest = {(const char *)c->p, cursor_left(c)};
	size_t n = str_find(rest, 0, '\0');
	if (n == rest.n)
		return false;
	*ret = cursor_bytes(c, n);
	(void)cursor_u8(c);
	return true;
}

/* One that may be left out. */
static struct str get_more_text(struct cursor *c)
{
	struct str s = STR_NULL;
	return get_text(c, &s) ? s : STR_NULL;
}

/* Behind the numbers: for some stages the macros that the milter wants. */
static bool get_options(struct cursor *c, struct milter_reply *r)
{
	r->version = be32(c);
	r->actions = be32(c);
	r->steps = be32(c);
	while (!c->bad && cursor_left(c) > 0) {
		uint32_t stage = be32(c);
		struct str names;
		if (c->bad || !get_text(c, &names))
			return false;
		if (stage < MILTER_STAGES)
			r->macros[stage] = names;
	}
	return !c->bad;
}

static bool get_arguments(struct cursor *c, struct milter_reply *r)
{
	switch (r->says) {
	case MILTER_SAYS_OPTNEG:
		return get_options(c, r);
	case MILTER_SAYS_ADDRCPT:
	case MILTER_SAYS_DELRCPT:
	case MILTER_SAYS_REPLYCODE:
		return get_text(c, &r->name);
	case MILTER_SAYS_ADDRCPT_PAR:
	case MILTER_SAYS_CHGFROM:
		if (!get_text(c, &r->name))
			return false;
		r->value = get_more_text(c);
		return true;
	case MILTER_SAYS_QUARANTINE:
		return get_text(c, &r->value);
	case MILTER_SAYS_INSHEADER:
	case MILTER_SAYS_CHGHEADER:
		r->index = be32(c);
		return !c->bad && get_text(c, &r->name) && get_text(c, &r->value);
	case MILTER_SAYS_ADDHEADER:
		return get_text(c, &r->name) && get_text(c, &r->value);
	case MILTER_SAYS_REPLBODY:
		r->bytes = cursor_bytes(c, cursor_left(c));
		return true;
	case MILTER_SAYS_SHUTDOWN:
	case MILTER_SAYS_ACCEPT:
	case MILTER_SAYS_CONTINUE:
	case MILTER_SAYS_DISCARD:
	case MILTER_SAYS_CONN_FAIL:
	case MILTER_SAYS_PROGRESS:
	case MILTER_SAYS_REJECT:
	case MILTER_SAYS_SKIP:
	case MILTER_SAYS_TEMPFAIL:
		return true; /* what follows means nothing */
	}
	return false;
}

int milter_reply_parse(struct str packet, struct milter_reply *ret, struct fail *why)
{
	struct cursor c = cursor_of(packet);
	struct milter_reply r = {.says = (enum milter_answer)cursor_u8(&c)};
	if (c.bad)
		return fail_set(why, FAIL_SYNTAX, NULL, "an empty packet");
	if (!get_arguments(&c, &r) || c.bad)
		return fail_set(why, FAIL_SYNTAX, NULL,
				"an answer that is none: 0x%02x, %zu octets", (unsigned)r.says,
				packet.n);
	*ret = r;
	return 0;
}

/* --- reply codes --- */

static bool get_code(struct str line, unsigned *ret)
{
	uint32_t code = 0;
	if (line.n < 3 || !num_parse_u32(str_sub(line, 0, 3), &code) || code < 400 || code > 599)
		return false;
	*ret = code;
	return line.n == 3 || line.p[3] == ' ' || line.p[3] == '-';
}

/* "5.7.1" at the front, of the code's class: its length; 0: none. */
static size_t enhanced_length(struct str s, unsigned code)
{
	size_t n = 0, dots = 0, digits = 0;
	for (; n < s.n && s.p[n] != ' '; n++) {
		bool dot = s.p[n] == '.';
		if ((!dot && !ascii_digit(s.p[n])) || (dot && digits == 0) || digits > 3)
			return 0;
		dots += dot;
		digits = dot ? 0 : digits + 1;
	}
	bool fits = n >= 5 && n < 12 && dots == 2 && digits > 0 && digits <= 3;
	return fits && (unsigned)(s.p[0] - '0') == code / 100 && s.p[1] == '.' ? n : 0;
}

/* Sendmail's replies are formats: a percent sign is doubled. */
static void add_words(struct buf *text, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '%' && i + 1 < s.n && s.p[i + 1] == '%')
			i++;
		(void)buf_addc(text, (unsigned char)c < ' ' || c == 0x7f ? ' ' : c);
	}
}

int milter_code_parse(struct str reply, struct milter_code *ret, struct buf *text)
{
	struct milter_code got = {0};
	struct str rest = str_trim(reply), line;
	for (bool first = true; rest.n && str_cut(&rest, '\n', &line); first = false) {
		unsigned code = 0;
		line = str_trim(line);
		if (!get_code(line, &code) || (!first && code != got.code))
			return -FAIL_SYNTAX;
		got.code = code;
		struct str words = str_trim(str_skip(line, 4));
		size_t n = enhanced_length(words, code);
		if (first)
			(void)snprintf(got.enhanced, sizeof got.enhanced, "%.*s", (int)n, words.p);
		if (!first)
			(void)buf_addc(text, '\n');
		add_words(text, str_trim(str_skip(words, n)));
	}
	if (got.code == 0 || text->failed)
		return -FAIL_SYNTAX;
	*ret = got;
	return 0;
}
