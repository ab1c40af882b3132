/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 7208 4.6 and 12: the text of a record. All of it is read before any of it counts. */
#include "base/num.h"
#include "codec/spf/spf_int.h"
#include <arpa/inet.h>

const char *spf_result_name(enum spf_result r)
{
	static const char *const names[SPF_RESULTS] = {"none",	   "neutral",	"pass",	    "fail",
						       "softfail", "temperror", "permerror"};
	return names[r];
}

bool spf_is_record(struct str txt)
{
	return str_startsi(txt, STR("v=spf1")) && (txt.n == 6 || txt.p[6] == ' ');
}

static bool alnum(char c)
{
	return ascii_alpha(c) || ascii_digit(c);
}

/* Behind "%": how long is the macro? 0: it is none. */
static size_t macro_length(struct str s, bool in_exp)
{
	if (s.n == 0)
		return 0;
	if (s.p[0] == '%' || s.p[0] == '_' || s.p[0] == '-')
		return 1;
	size_t end = str_find(s, 0, '}');
	if (s.p[0] != '{' || end == s.n || end < 2)
		return 0;
	char letter = ascii_lower(s.p[1]);
	if (!memchr(in_exp ? "slodiphcrtv" : "slodiphv", letter, in_exp ? 11 : 8))
		return 0;
	size_t at = 2;
	unsigned value = 0;
	while (ascii_digit(s.p[at]) && value < 1000)
		value = value * 10 + (unsigned)(s.p[at++] - '0');
	while (ascii_digit(s.p[at]))
		at++;
	if (at > 2 && value == 0)
		return 0; /* 7.3: at least one */
	if (ascii_lower(s.p[at]) == 'r')
		at++;
	while (at < end && memchr(".-+,/_=", s.p[at], 7))
		at++;
	return at == end ? end + 1 : 0;
}

bool spf_macro_ok(struct str s, bool in_exp)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c > 0x7e || c < 0x20 || (c == ' ' && !in_exp))
			return false;
		if (c != '%')
			continue;
		size_t n = macro_length(str_skip(s, i + 1), in_exp);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

/* The last label of a name that is written out: letters, digits and inner hyphens, not all digits.
 */
static bool top_label(struct str label)
{
	bool digits_only = true;
	for (size_t i = 0; i < label.n; i++) {
		if (!alnum(label.p[i]) && label.p[i] != '-')
			return false;
		digits_only = digits_only && ascii_digit(label.p[i]);
	}
	return label.n > 0 && !digits_only && alnum(label.p[0]) && alnum(label.p[label.n - 1]);
}

/* Where the last macro of a macro-string ends; 0: there is none. */
static size_t last_macro_end(struct str s)
{
	size_t last = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%')
			continue;
		i += macro_length(str_skip(s, i + 1), true);
		last = i + 1;
	}
	return last;
}

bool spf_domain_spec_ok(struct str s)
{
	if (s.n == 0 || !spf_macro_ok(s, false))
		return false;
	size_t macro = last_macro_end(s);
	if (macro == s.n)
		return true;
	struct str tail = str_skip(s, macro);
	if (str_ends(tail, STR(".")))
		tail.n--;
	size_t dot = str_rfind(tail, '.');
	return dot < tail.n && top_label(str_skip(tail, dot + 1));
}

/* Cut "/NUMBER" off the end. 1: done, 0: there is none, -1: there is one that cannot be. */
static int cut_length(struct str *text, const char *slash, unsigned max, unsigned *ret)
{
	size_t at = text->n;
	while (at > 0 && ascii_digit(text->p[at - 1]))
		at--;
	size_t n = strlen(slash);
	if (at == text->n || at < n || memcmp(text->p + at - n, slash, n) != 0)
		return 0;
	struct str digits = str_skip(*text, at);
	uint32_t value;
	if (digits.n > 3 || (digits.n > 1 && digits.p[0] == '0') ||
	    !num_parse_u32(digits, &value) || value > max)
		return -1;
	*ret = value;
	text->n = at - n;
	return 1;
}

bool spf_cut_cidr(struct str *text, unsigned *ret_bits4, unsigned *ret_bits6)
{
	*ret_bits4 = 32;
	*ret_bits6 = 128;
	if (cut_length(text, "//", 128, ret_bits6) < 0)
		return false;
	return cut_length(text, "/", 32, ret_bits4) >= 0;
}

static bool read_address(struct str text, struct spf_term *t)
{
	char c[64];
	unsigned *bits = t->kind == SPF_IP4 ? &t->bits4 : &t->bits6;
	t->bits4 = 32;
	t->bits6 = 128;
	if (cut_length(&text, "/", *bits, bits) < 0 || text.n == 0 || text.n >= sizeof(c))
		return false;
	memcpy(c, text.p, text.n);
	c[text.n] = '\0';
	return inet_pton(t->kind == SPF_IP4 ? AF_INET : AF_INET6, c, t->net) == 1;
}

/* ":domain/24//64" behind the name of a mechanism. */
static bool read_argument(struct str rest, struct spf_term *t)
{
	bool colon = rest.n > 0 && rest.p[0] == ':';
	switch (t->kind) {
	case SPF_ALL:
		return rest.n == 0;
	case SPF_INCLUDE:
	case SPF_EXISTS:
		t->domain = str_skip(rest, 1);
		return colon && spf_domain_spec_ok(t->domain);
	case SPF_PTR:
		t->domain = str_skip(rest, 1);
		return rest.n == 0 || (colon && spf_domain_spec_ok(t->domain));
	case SPF_IP4:
	case SPF_IP6:
		return colon && read_address(str_skip(rest, 1), t);
	case SPF_A:
	case SPF_MX:
		if (!spf_cut_cidr(&rest, &t->bits4, &t->bits6))
			return false;
		t->domain = str_skip(rest, 1);
		return rest.n == 0 || (colon && spf_domain_spec_ok(t->domain));
	}
	return false;
}

static bool read_mechanism(struct str text, struct spf_term *t)
{
	static const struct {
		const char *name;
		enum spf_kind kind;
	} kinds[] = {{"all", SPF_ALL}, {"include", SPF_INCLUDE}, {"a", SPF_A},
		     {"mx", SPF_MX},   {"ptr", SPF_PTR},	 {"ip4", SPF_IP4},
		     {"ip6", SPF_IP6}, {"exists", SPF_EXISTS}};
	*t = (struct spf_term){.text = text, .then = SPF_PASS};
	static const char signs[] = "+-~?";
	static const enum spf_result then[] = {SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_NEUTRAL};
	const char *sign = text.n ? memchr(signs, text.p[0], 4) : NULL;
	if (sign) {
		t->then = then[sign - signs];
		text = str_skip(text, 1);
	}
	size_t end = 0;
	while (end < text.n && text.p[end] != ':' && text.p[end] != '/')
		end++;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!str_eqi(str_sub(text, 0, end), str_c(kinds[i].name)))
			continue;
		t->kind = kinds[i].kind;
		return read_argument(str_skip(text, end), t);
	}
	return false;
}

/* name=value; -1: it is a mechanism. */
static int read_modifier(struct str text, struct spf_record *r)
{
	size_t eq = 0;
	while (eq < text.n && (alnum(text.p[eq]) || memchr("-_.", text.p[eq], 3)))
		eq++;
	if (eq == 0 || eq == text.n || text.p[eq] != '=' || !ascii_alpha(text.p[0]))
		return -1;
	struct str name = str_sub(text, 0, eq), value = str_skip(text, eq + 1);
	struct str *into = str_eqi(name, STR("redirect")) ? &r->redirect
			   : str_eqi(name, STR("exp"))	  ? &r->exp
							  : NULL;
	if (!into)
		return spf_macro_ok(value, true);
	if (into->n || !spf_domain_spec_ok(value))
		return false; /* 6: these two at most once */
	*into = value;
	return true;
}

int spf_record_parse(struct str txt, struct arena *a, struct spf_record *ret, struct fail *why)
{
	struct spf_record r = {0};
	struct str rest = str_skip(txt, 6), word;
	size_t room = 0;
	if (!spf_is_record(txt))
		return fail_set(why, FAIL_SYNTAX, NULL, "no SPF record");
	for (size_t i = 0; i < txt.n; i++)
		room += txt.p[i] == ' ';
	if (room > 0 && !(r.terms = arena_array(a, struct spf_term, MIN(room, SPF_TERMS_MAX))))
		return fail_set(why, FAIL_LIMIT, NULL, "SPF record too large");
	while (str_cut(&rest, ' ', &word)) {
		if (word.n == 0)
			continue;
		int modifier = read_modifier(word, &r);
		if (modifier > 0)
			continue;
		if (r.n == SPF_TERMS_MAX)
			return fail_set(why, FAIL_LIMIT, NULL, "more than %d terms", SPF_TERMS_MAX);
		if (modifier == 0 || !read_mechanism(word, &r.terms[r.n]))
			return fail_set(why, FAIL_SYNTAX, NULL, "not understood: %.*s",
					STR_ARG(str_sub(word, 0, 100)));
		r.n++;
	}
	*ret = r;
	return 0;
}
