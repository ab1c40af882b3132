/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pop3/pop3_cmd.h"
#include "base/num.h"

enum shape {
	SHAPE_NONE,
	SHAPE_TEXT,	  /* the rest of the line, as it is */
	SHAPE_WORD,	  /* one word */
	SHAPE_WORD_OPT,	  /* one word or none */
	SHAPE_AUTH,	  /* a word or none, and another one */
	SHAPE_NUMBER,	  /* a message */
	SHAPE_NUMBER_OPT, /* a message or none */
	SHAPE_TOP,	  /* a message and a number of lines */
};

static const struct {
	const char *name;
	enum shape shape;
} commands[POP3_KINDS] = {
	[POP3_USER] = {"USER", SHAPE_WORD},	  [POP3_PASS] = {"PASS", SHAPE_TEXT},
	[POP3_AUTH] = {"AUTH", SHAPE_AUTH},	  [POP3_CAPA] = {"CAPA", SHAPE_NONE},
	[POP3_STLS] = {"STLS", SHAPE_NONE},	  [POP3_UTF8] = {"UTF8", SHAPE_NONE},
	[POP3_LANG] = {"LANG", SHAPE_WORD_OPT},	  [POP3_QUIT] = {"QUIT", SHAPE_NONE},
	[POP3_STAT] = {"STAT", SHAPE_NONE},	  [POP3_LIST] = {"LIST", SHAPE_NUMBER_OPT},
	[POP3_UIDL] = {"UIDL", SHAPE_NUMBER_OPT}, [POP3_RETR] = {"RETR", SHAPE_NUMBER},
	[POP3_TOP] = {"TOP", SHAPE_TOP},	  [POP3_DELE] = {"DELE", SHAPE_NUMBER},
	[POP3_NOOP] = {"NOOP", SHAPE_NONE},	  [POP3_RSET] = {"RSET", SHAPE_NONE},
};

const char *pop3_cmd_name(enum pop3_kind kind)
{
	return commands[kind].name;
}

static struct str without_blanks_behind(struct str s)
{
	while (s.n && s.p[s.n - 1] == ' ')
		s.n--;
	return s;
}

/* Digits only; more than fit are the largest number. */
static bool number(struct str s, uint32_t *ret)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	if (s.n && !num_parse_u32(s, ret))
		*ret = UINT32_MAX;
	return s.n > 0;
}

/* The next word; blanks before it go. */
static struct str word(struct str *rest)
{
	struct str w = STR("");
	while (rest->n && rest->p[0] == ' ')
		*rest = str_skip(*rest, 1);
	(void)str_cut(rest, ' ', &w);
	return w;
}

static bool message(struct str *rest, struct pop3_cmd *ret)
{
	return number(word(rest), &ret->number) && ret->number > 0;
}

static bool read_args(struct str rest, enum shape shape, struct pop3_cmd *ret)
{
	if (shape == SHAPE_TEXT) {
		ret->arg = rest;
		return rest.n > 0;
	}
	rest = without_blanks_behind(rest);
	if (shape == SHAPE_NONE || (shape == SHAPE_NUMBER_OPT && rest.n == 0))
		return rest.n == 0;
	if (shape == SHAPE_TOP)
		return message(&rest, ret) && number(word(&rest), &ret->lines) && rest.n == 0;
	if (shape == SHAPE_NUMBER || shape == SHAPE_NUMBER_OPT)
		return message(&rest, ret) && rest.n == 0;
	ret->arg = word(&rest);
	if (shape == SHAPE_AUTH && rest.n) {
		ret->initial = word(&rest);
		return ret->arg.n && rest.n == 0;
	}
	return rest.n == 0 && (ret->arg.n > 0 || shape != SHAPE_WORD);
}

int pop3_cmd_parse(struct str line, struct pop3_cmd *ret)
{
	struct str rest = line, name = STR("");
	(void)str_cut(&rest, ' ', &name);
	*ret = (struct pop3_cmd){.kind = POP3_KINDS, .arg = STR(""), .initial = STR_NULL};
	for (unsigned i = 0; i < POP3_KINDS; i++) {
		if (!str_eqi(name, str_c(commands[i].name)))
			continue;
		ret->kind = (enum pop3_kind)i;
		return read_args(rest, commands[i].shape, ret) ? 0 : -FAIL_SYNTAX;
	}
	return -FAIL_UNSUPPORTED;
}
