/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/managesieve/managesieve_cmd.h"
#include "base/utf8.h"

/* What stands behind a verb, in this order. */
enum argument { END, NAME, ANY_NAME, TO, SCRIPT, SIZE, MECHANISM, MAYBE_SCRIPT, MAYBE_TEXT };
#define ARGUMENTS_MAX 3

static const struct {
	const char *name;
	enum argument argument[ARGUMENTS_MAX];
} verbs[MANAGESIEVE_VERBS] = {
	[MANAGESIEVE_AUTHENTICATE] = {"AUTHENTICATE", {MECHANISM, MAYBE_SCRIPT}},
	[MANAGESIEVE_CAPABILITY] = {"CAPABILITY", {END}},
	[MANAGESIEVE_CHECKSCRIPT] = {"CHECKSCRIPT", {SCRIPT}},
	[MANAGESIEVE_DELETESCRIPT] = {"DELETESCRIPT", {NAME}},
	[MANAGESIEVE_GETSCRIPT] = {"GETSCRIPT", {NAME}},
	[MANAGESIEVE_HAVESPACE] = {"HAVESPACE", {NAME, SIZE}},
	[MANAGESIEVE_LISTSCRIPTS] = {"LISTSCRIPTS", {END}},
	[MANAGESIEVE_LOGOUT] = {"LOGOUT", {END}},
	[MANAGESIEVE_NOOP] = {"NOOP", {MAYBE_TEXT}},
	[MANAGESIEVE_PUTSCRIPT] = {"PUTSCRIPT", {NAME, SCRIPT}},
	[MANAGESIEVE_RENAMESCRIPT] = {"RENAMESCRIPT", {NAME, TO}},
	[MANAGESIEVE_SETACTIVE] = {"SETACTIVE", {ANY_NAME}},
	[MANAGESIEVE_STARTTLS] = {"STARTTLS", {END}},
	[MANAGESIEVE_UNAUTHENTICATE] = {"UNAUTHENTICATE", {END}},
};

const char *managesieve_verb_name(enum managesieve_verb v)
{
	return verbs[v].name;
}

/* U+0000 to U+001F, U+007F to U+009F, U+2028 and U+2029 stand in no name. */
bool managesieve_name_is_good(struct str name)
{
	if (name.n == 0 || name.n > MANAGESIEVE_NAME_MAX || !utf8_valid(name))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		struct str rest = str_skip(name, i);
		if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)rest.p[1] < 0xa0) ||
		    str_starts(rest, STR("\xe2\x80\xa8")) || str_starts(rest, STR("\xe2\x80\xa9")))
			return false;
	}
	return true;
}

static int take_name(struct imap_lex *lex, bool may_be_empty, struct str *ret)
{
	int r = imap_lex_string(lex, "the name of a script", ret);
	if (r < 0 || (may_be_empty && ret->n == 0) || managesieve_name_is_good(*ret))
		return r;
	return fail_set(lex->why, FAIL_SYNTAX, "Not a name for a script", "bad script name");
}

static int take_argument(struct imap_lex *lex, enum argument what, struct managesieve_cmd *c)
{
	switch (what) {
	case NAME:
	case ANY_NAME:
		return take_name(lex, what == ANY_NAME, &c->name);
	case TO:
		return take_name(lex, false, &c->to);
	case SCRIPT:
		return imap_lex_string(lex, "a script", &c->script);
	case MAYBE_SCRIPT:
		return imap_lex_string(lex, "an initial response", &c->script);
	case SIZE:
		return imap_lex_u32(lex, "a number of octets", &c->size);
	case MECHANISM:
		return imap_lex_string(lex, "a mechanism", &c->text);
	case MAYBE_TEXT:
		return imap_lex_string(lex, "a text", &c->text);
	case END:
	default:
		return 0;
	}
}

static int take_arguments(struct imap_lex *lex, struct managesieve_cmd *c)
{
	for (size_t i = 0; i < ARGUMENTS_MAX; i++) {
		enum argument what = verbs[c->verb].argument[i];
		bool maybe = what == MAYBE_SCRIPT || what == MAYBE_TEXT;
		if (what == END || (maybe && !imap_lex_more(lex)))
			break;
		int r = imap_lex_sp(lex);
		if (r == 0)
			r = take_argument(lex, what, c);
		if (r < 0)
			return r;
	}
	return imap_lex_end(lex);
}

static struct imap_lex begin(const struct imap_input *in, struct arena *a, struct fail *why)
{
	return (struct imap_lex){.in = *in, .arena = a, .lim = &imap_limits_default, .why = why};
}

int managesieve_parse(const struct imap_input *in, struct arena *a, struct managesieve_cmd *ret,
		      struct fail *why)
{
	struct imap_lex lex = begin(in, a, why);
	struct managesieve_cmd c = {0};
	for (size_t i = 0; i < MANAGESIEVE_VERBS; i++) {
		if (!imap_lex_try_word(&lex, verbs[i].name))
			continue;
		c.verb = (enum managesieve_verb)i;
		int r = take_arguments(&lex, &c);
		if (r == 0)
			*ret = c;
		return r;
	}
	return fail_set(why, FAIL_UNSUPPORTED, "Unknown command", "unknown command");
}

int managesieve_parse_string(const struct imap_input *in, struct arena *a, struct str *ret,
			     struct fail *why)
{
	struct imap_lex lex = begin(in, a, why);
	int r = imap_lex_string(&lex, "a string", ret);
	return r < 0 ? r : imap_lex_end(&lex);
}
