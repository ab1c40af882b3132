/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: their patterns, and the search. */
#include "service/access/access.h"
#include "base/check.h"
#include "base/text.h"
#include "base/vec.h"
#include "service/access/action.h"
#include "sys/regex.h"
#include <stdarg.h>
#include <stdlib.h>

#define RULES_MAX 100000u
#define IFS_MAX	  20u /* within one another */

enum kind {
	KIND_ALL,     /* "*" */
	KIND_NETWORK, /* 192.0.2.0/24 */
	KIND_REGEX,   /* /.../ */
	KIND_ADDRESS, /* user@domain */
	KIND_LOCAL,   /* user@ */
	KIND_DOMAIN,  /* domain: itself, and what is below */
	KIND_BELOW,   /* .domain: what is below */
	KIND_NULL,    /* <> */
	KIND_IF,      /* if /.../ ... endif: the rules between count when it matches */
};

struct rule {
	enum kind kind;
	bool inverse; /* !/.../ */
	unsigned line;
	struct action action;
	struct str text; /* of the pattern, lower case */
	struct netcidr net;
	struct regex *regex;
	size_t jump; /* KIND_IF: behind its endif */
};

struct access_table {
	char *name;
	char *text; /* what the rules borrow from */
	VEC(struct rule) rules;
};

void access_free(struct access_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->rules.n; i++)
		regex_free(t->rules.p[i].regex);
	vec_clear(&t->rules);
	free(t->name);
	free(t->text);
	free(t);
}

size_t access_count(const struct access_table *t)
{
	return t->rules.n;
}

/* --- reading
 * ----------------------------------------------------------------------------------------- */

struct reader {
	struct access_table *t;
	struct buf *errors;
	unsigned line;
	bool bad;
	bool content;
	unsigned joined;      /* lines that went on with the current one */
	size_t open[IFS_MAX]; /* rules of ifs that have no endif yet */
	size_t open_n;
};

static void complain(struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void complain(struct reader *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	r->bad = true;
	(void)buf_addf(r->errors, "%s:%u: ", r->t->name, r->line);
	(void)buf_vaddf(r->errors, text_of(fmt), ap);
	(void)buf_addc(r->errors, '\n');
	va_end(ap);
}

static void make_lower(struct str s)
{
	for (size_t i = 0; i < s.n; i++) /* the table's own copy */
		((char *)(uintptr_t)s.p)[i] = ascii_lower(s.p[i]);
}

/* Where the expression that begins behind the delimiter at s.p[0] ends; s.n: nowhere. */
static size_t closing(struct str s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == s.p[0])
			return i;
	}
	return s.n;
}

/* /expression/flags; *line goes on behind it. */
static bool read_regex(struct reader *r, struct rule *rule, struct str *line)
{
	struct fail why = FAIL_INIT;
	size_t end = closing(*line), at = end + 1;
	/* Letters turn around what is usual, as in Postfix. A header field may have several lines.
	 */
	unsigned flags = r->content ? REGEX_DOTALL : 0;
	if (end == line->n) {
		complain(r, "the expression has no %c at its end", line->p[0]);
		return false;
	}
	for (; at < line->n && line->p[at] != ' ' && line->p[at] != '\t'; at++) {
		static const char letters[] = "imsxAEU";
		const char *letter = strchr(letters, line->p[at]);
		if (!letter || !*letter) {
			complain(r, "/%c: there is no such flag; allowed: i, m, s, x, A, E, U",
				 line->p[at]);
			return false;
		}
		flags ^= 1u << (letter - letters);
	}
	rule->kind = KIND_REGEX;
	rule->text = str_sub(*line, 1, end);
	*line = str_skip(*line, at);
	if (regex_new(rule->text, flags, &rule->regex, &why) == 0)
		return true;
	complain(r, "/%.*s/: %s", STR_ARG(rule->text), why.detail);
	return false;
}
_Static_assert(REGEX_CASE == 1 && REGEX_MULTILINE == 2 && REGEX_DOTALL == 4 &&
		       REGEX_EXTENDED == 8 && REGEX_ANCHORED == 16 && REGEX_DOLLAR_END == 32 &&
		       REGEX_UNGREEDY == 64,
	       "in the order of the letters");

static bool plausible(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return s.n > 0;
}

/* A pattern that is one word. */
static bool read_word(struct reader *r, struct rule *rule, struct str word)
{
	size_t at = str_rfind(word, '@');
	make_lower(word);
	rule->text = word;
	if (str_eq(word, STR("*")))
		rule->kind = KIND_ALL;
	else if (str_eq(word, STR("<>")))
		rule->kind = KIND_NULL;
	else if (netcidr_parse(word, &rule->net))
		rule->kind = KIND_NETWORK;
	else if (str_find(word, 0, '/') < word.n)
		goto bad;
	else if (at < word.n && at + 1 == word.n)
		rule->kind = KIND_LOCAL;
	else if (at < word.n && at > 0)
		rule->kind = KIND_ADDRESS;
	else if (at == 0) {
		rule->kind = KIND_DOMAIN; /* "@domain" */
		rule->text = str_skip(word, 1);
	} else if (word.p[0] == '.' && word.n > 1)
		rule->kind = KIND_BELOW;
	else
		rule->kind = KIND_DOMAIN;
	if (plausible(rule->text))
		return true;
bad:
	complain(r,
		 "\"%.*s\" is no pattern; allowed: a network, user@domain, user@, domain, .domain, "
		 "<>, *, /expression/",
		 STR_ARG(word));
	return false;
}

/* Tables of content may use another sign than the slash, for expressions that are full of them. */
static bool delimits(const struct reader *r, char c)
{
	return c == '/' || (r->content && c > ' ' && c < 0x7f && !ascii_alpha(c) &&
			    !ascii_digit(c) && c != '!' && c != '#');
}

static bool read_pattern(struct reader *r, struct rule *rule, struct str *line)
{
	rule->inverse = line->n > 1 && line->p[0] == '!' && delimits(r, line->p[1]);
	if (rule->inverse)
		*line = str_trim(str_skip(*line, 1));
	if (delimits(r, line->p[0]))
		return read_regex(r, rule, line);
	if (r->content) {
		complain(r, "what is looked for must be an expression, as in /^Subject:.*money/");
		return false;
	}
	size_t n = 0;
	while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t')
		n++;
	struct str word = str_sub(*line, 0, n);
	*line = str_skip(*line, n);
	return read_word(r, rule, word);
}

static bool says_nothing(struct str line)
{
	line = str_trim(line);
	return !line.n || line.p[0] == '#';
}

static bool begins_if(struct str line)
{
	return line.n > 3 && str_startsi(line, STR("if")) &&
	       (line.p[2] == ' ' || line.p[2] == '\t');
}

static void read_if(struct reader *r, struct str line)
{
	struct rule rule = {.line = r->line};
	line = str_trim(str_skip(line, 2));
	if (r->open_n >= IFS_MAX || r->t->rules.n >= RULES_MAX) {
		complain(r, "more rules than a table may have");
		return;
	}
	if (!read_pattern(r, &rule, &line))
		return;
	if (rule.kind != KIND_REGEX || str_trim(line).n) {
		complain(r, "if takes an expression, and nothing behind it");
		regex_free(rule.regex);
		return;
	}
	rule.kind = KIND_IF;
	r->open[r->open_n++] = r->t->rules.n;
	*vec_push(&r->t->rules) = rule;
}

static void read_endif(struct reader *r)
{
	if (r->open_n == 0) {
		complain(r, "endif without an if");
		return;
	}
	r->t->rules.p[r->open[--r->open_n]].jump = r->t->rules.n;
}

static void read_line(struct reader *r, struct str line)
{
	struct rule rule = {.line = r->line};
	const char *problem;
	line = str_trim(line);
	if (says_nothing(line))
		return;
	if (begins_if(line)) {
		read_if(r, line);
		return;
	}
	if (str_eqi(line, STR("endif"))) {
		read_endif(r);
		return;
	}
	if (!read_pattern(r, &rule, &line))
		return;
	line = str_trim(line);
	problem = !line.n      ? T("there is no action")
		  : r->content ? action_parse_content(line, &rule.action)
			       : action_parse(line, &rule.action);
	if (!problem && r->t->rules.n >= RULES_MAX)
		problem = T("more rules than a table may have");
	if (problem) {
		complain(r, "%s", text_of(problem));
		regex_free(rule.regex);
		return;
	}
	*vec_push(&r->t->rules) = rule;
}

/*
 * A line that begins with a blank goes on with the one before it; empty ones and comments may stand
 * between.
 */
static void join_lines(struct reader *r, struct str *rest, struct str *line)
{
	struct str ahead = *rest, more;
	for (unsigned n = 1; str_cut(&ahead, '\n', &more); n++) {
		if (says_nothing(more))
			continue;
		if (more.p[0] != ' ' && more.p[0] != '\t')
			return;
		*line = str_trim(*line);
		for (char *p = (char *)(uintptr_t)line->p + line->n; p < more.p; p++)
			*p = ' '; /* the table's own copy */
		*line = str_make(line->p, (size_t)(more.p + more.n - line->p));
		*rest = ahead;
		r->joined = n;
	}
}

static void read_lines(struct reader *r, struct str rest)
{
	struct str line;
	while (str_cut(&rest, '\n', &line)) {
		r->line++;
		if (r->content && !says_nothing(line))
			join_lines(r, &rest, &line);
		read_line(r, line);
		r->line += r->joined;
		r->joined = 0;
	}
	if (r->open_n) {
		r->line = r->t->rules.p[r->open[0]].line;
		complain(r, "an if has no endif");
	}
}

static int parse(const char *name, struct str text, bool content, struct access_table **ret,
		 struct buf *errors)
{
	AUTO(access_table) struct access_table *t = xcalloc(1, sizeof *t);
	struct reader r = {.t = t, .errors = errors, .content = content};
	t->name = xstrdup(name);
	t->text = xcalloc(1, text.n + 1);
	if (text.n)
		memcpy(t->text, text.p, text.n);
	if (memchr(t->text, '\0', text.n)) {
		r.line = 1;
		complain(&r, "this is no text: it holds a NUL");
		return -FAIL_SYNTAX;
	}
	read_lines(&r, str_make(t->text, text.n));
	if (r.bad)
		return -FAIL_SYNTAX;
	*ret = TAKE(t);
	return 0;
}

int access_parse(const char *name, struct str text, struct access_table **ret, struct buf *errors)
{
	return parse(name, text, false, ret, errors);
}

int access_parse_content(const char *name, struct str text, struct access_table **ret,
			 struct buf *errors)
{
	return parse(name, text, true, ret, errors);
}

/* --- looking
 * ----------------------------------------------------------------------------------------- */

static struct str domain_of(const struct access_key *key, struct str text)
{
	return key->is_address ? str_skip(text, str_rfind(text, '@') + 1) : text;
}

static bool is_below(struct str name, struct str dotted)
{
	return name.n > dotted.n && str_endsi(name, dotted);
}

static bool in_domain(struct str name, struct str domain)
{
	return str_eqi(name, domain) || (name.n > domain.n + 1 && str_endsi(name, domain) &&
					 name.p[name.n - domain.n - 1] == '.');
}

/* Also without what stands behind a plus: user+folder@domain is user@domain. */
static bool same_mailbox(struct str address, struct str pattern, bool local_only)
{
	size_t at = str_rfind(address, '@'), plus = str_find(address, 0, '+');
	size_t pat = str_rfind(pattern, '@');
	struct str domain = str_skip(address, at), whole = str_sub(address, 0, at);
	if (!local_only && !str_eqi(domain, str_skip(pattern, pat)))
		return false;
	return str_eqi(whole, str_sub(pattern, 0, pat)) ||
	       (plus > 0 && plus < at &&
		str_eqi(str_sub(address, 0, plus), str_sub(pattern, 0, pat)));
}

static bool text_matches(const struct rule *rule, const struct access_key *key, struct str text,
			 struct regex_groups *groups)
{
	bool address = key->is_address && text.n;
	switch (rule->kind) {
	case KIND_REGEX:
	case KIND_IF:
		/* One that is given up on matches nothing, neither way. */
		return regex_match(rule->regex, text, groups) == (rule->inverse ? 0 : 1);
	case KIND_DOMAIN:
		return text.n && in_domain(domain_of(key, text), rule->text);
	case KIND_BELOW:
		return text.n && is_below(domain_of(key, text), rule->text);
	case KIND_ADDRESS:
		return address && same_mailbox(text, rule->text, false);
	case KIND_LOCAL:
		return address && same_mailbox(text, rule->text, true);
	case KIND_NULL:
		return key->is_address && text.n == 0;
	case KIND_ALL:
		return true;
	case KIND_NETWORK:
		break;
	}
	return false;
}

static bool rule_matches(const struct rule *rule, const struct access_key *key,
			 struct regex_groups *groups)
{
	if (rule->kind == KIND_NETWORK)
		return key->addr.family && netcidr_has(&rule->net, &key->addr);
	for (size_t i = 0; i < ARRAY_LEN(key->texts); i++)
		if (key->texts[i].p && text_matches(rule, key, key->texts[i], groups))
			return true;
	return false;
}

/* The number behind a dollar, as $1, ${1} or $(1); -1: it is no such thing. */
static int group_at(struct str s, size_t at, size_t *ret_used)
{
	bool braces = at + 3 < s.n && ((s.p[at + 1] == '{' && s.p[at + 3] == '}') ||
				       (s.p[at + 1] == '(' && s.p[at + 3] == ')'));
	size_t digit = at + (braces ? 2 : 1);
	*ret_used = braces ? 4 : 2;
	return digit < s.n && ascii_digit(s.p[digit]) ? s.p[digit] - '0' : -1;
}

static struct str fill_in(const struct rule *rule, const struct regex_groups *groups,
			  struct arena *a)
{
	struct str s = rule->action.text;
	AUTO(buf) struct buf out = BUF_INIT(KIB(4));
	if (rule->kind != KIND_REGEX || rule->inverse || str_find(s, 0, '$') == s.n)
		return s;
	for (size_t i = 0, used = 1; i < s.n; i += used) {
		int group = s.p[i] == '$' ? group_at(s, i, &used) : -1;
		if (group >= 0) {
			(void)buf_add(&out, str_sub(groups->p[group], 0, 255));
		} else {
			used = s.p[i] == '$' && i + 1 < s.n && s.p[i + 1] == '$' ? 2 : 1;
			(void)buf_addc(&out, s.p[i]);
		}
	}
	return out.n ? arena_str(a, buf_str(&out)) : STR("");
}

bool access_find(const struct access_table *t, const struct access_key *key, struct arena *a,
		 struct access_hit *ret)
{
	struct regex_groups groups = {0};
	for (size_t i = 0; t && i < t->rules.n; i++) {
		const struct rule *rule = &t->rules.p[i];
		bool matches = rule_matches(rule, key, &groups);
		if (rule->kind == KIND_IF && !matches)
			i = rule->jump - 1;
		if (rule->kind == KIND_IF || !matches)
			continue;
		*ret = (struct access_hit){.act = rule->action.act,
					   .code = rule->action.code,
					   .status = rule->action.status,
					   .text = fill_in(rule, &groups, a),
					   .at = {t->name, rule->line}};
		return true;
	}
	return false;
}
