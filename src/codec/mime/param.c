/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/param.h"
#include "base/num.h"
#include "codec/mime/charset.h"

static bool not_semicolon(char c)
{
	return c != ';';
}

/* value = token / quoted-string; what is neither reaches to the semicolon ("name=my file.txt"). */
static void value_take(struct lex *x, struct buf *out)
{
	lex_cfws(x, NULL);
	if (lex_at(x, "\"")) {
		lex_quoted(x, out);
		return;
	}
	struct lex mark = *x;
	struct str v = lex_run(x, lex_is_token);
	lex_cfws(x, NULL);
	if (!lex_end(x) && !lex_at(x, ";")) {
		*x = mark;
		v = str_trim(lex_run(x, not_semicolon));
	}
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] != '\r' && v.p[i] != '\n')
			(void)buf_addc(out, v.p[i]);
}

/* Split "name*3*" into its parts. What begins with the star is no name with parts: it stays. */
static void name_split(struct param *p)
{
	size_t star = str_find(p->name, 0, '*');
	struct str tail = str_skip(p->name, star);
	if (tail.n == 0 || star == 0)
		return;
	bool extended = tail.n > 1 ? str_ends(tail, STR("*")) : true;
	struct str number = str_sub(tail, 1, tail.n - (extended && tail.n > 1));
	bool numbered = number.n > 0;
	if (numbered && (number.n > 4 || !num_parse_u32(number, &p->section)))
		return;
	p->name = str_sub(p->name, 0, star);
	p->extended = extended;
	p->numbered = numbered;
}

static bool param_take(struct lex *x, struct arena *arena, struct param *ret)
{
	*ret = (struct param){0};
	while (lex_cfws(x, NULL), lex_at(x, ";"))
		x->at++;
	ret->name = lex_run(x, lex_is_token);
	lex_cfws(x, NULL);
	if (ret->name.n == 0 || !lex_at(x, "=")) {
		(void)lex_run(x, not_semicolon);
		return false;
	}
	x->at++;
	AUTO(buf) struct buf value = BUF_INIT(PARAM_VALUE_MAX);
	value_take(x, &value);
	ret->name = arena_str(arena, ret->name);
	ret->value = arena_str(arena, buf_str(&value));
	name_split(ret);
	return ret->name.p != NULL && (ret->value.p != NULL || value.n == 0);
}

static int hex_digit(char c)
{
	if (ascii_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void percent_decode(struct buf *out, struct str v)
{
	for (size_t i = 0; i < v.n; i++) {
		int hi = v.p[i] == '%' && i + 2 < v.n ? hex_digit(v.p[i + 1]) : -1;
		int lo = hi >= 0 ? hex_digit(v.p[i + 2]) : -1;
		if (lo >= 0) {
			(void)buf_addc(out, (char)(hi * 16 + lo));
			i += 2;
		} else {
			(void)buf_addc(out, v.p[i]);
		}
	}
}

/* Cut "charset'language'" off an extended value; an empty charset when it is not there. */
static struct str charset_cut(struct str *value)
{
	size_t first = str_find(*value, 0, '\'');
	size_t second = str_find(*value, first + 1, '\'');
	if (second >= value->n)
		return STR_NULL;
	struct str charset = str_sub(*value, 0, first);
	*value = str_skip(*value, second + 1);
	return charset;
}

static const struct param *section_find(const struct params *all, const struct param *like,
					uint32_t section)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct param *p = &all->p[i];
		if (p->numbered && p->section == section && str_eqi(p->name, like->name))
			return p;
	}
	return NULL;
}

/* Join the sections of a parameter (or take its only one) and decode it. */
static void join(const struct params *all, const struct param *first, struct arena *arena,
		 struct param *ret)
{
	AUTO(buf) struct buf raw = BUF_INIT(PARAM_VALUE_MAX);
	AUTO(buf) struct buf text = BUF_INIT(PARAM_VALUE_MAX);
	struct str charset = STR_NULL;
	uint32_t section = 0;
	for (const struct param *p = first; p; p = section_find(all, first, ++section)) {
		struct str v = p->value;
		if (p->extended && p == first)
			charset = charset_cut(&v);
		if (p->extended)
			percent_decode(&raw, v);
		else
			(void)buf_add(&raw, v);
		if (!p->numbered)
			break;
	}
	if (charset.n > 0)
		charset_to_utf8(&text, charset, buf_str(&raw));
	*ret = (struct param){.name = first->name};
	ret->value = arena_str(arena, charset.n > 0 ? buf_str(&text) : buf_str(&raw));
}

void params_parse(struct lex *x, struct arena *arena, struct params *ret)
{
	struct params raw = {.p = arena_array(arena, struct param, PARAM_COUNT_MAX)};
	*ret = (struct params){.p = arena_array(arena, struct param, PARAM_COUNT_MAX)};
	if (!raw.p || !ret->p)
		return;
	(void)lex_run(x, not_semicolon);
	while (!lex_end(x) && raw.n < PARAM_COUNT_MAX)
		if (param_take(x, arena, &raw.p[raw.n]))
			raw.n++;
	/* Plain ones first: they win over RFC 2231 forms of the same name. */
	for (size_t i = 0; i < raw.n; i++)
		if (!raw.p[i].extended && !raw.p[i].numbered && !params_find(ret, raw.p[i].name).p)
			ret->p[ret->n++] = raw.p[i];
	for (size_t i = 0; i < raw.n; i++) {
		const struct param *p = &raw.p[i];
		bool first = p->numbered ? p->section == 0 : p->extended;
		if (first && !params_find(ret, p->name).p)
			join(&raw, p, arena, &ret->p[ret->n++]);
	}
}

struct str params_find(const struct params *p, struct str name)
{
	for (size_t i = 0; i < p->n; i++)
		if (str_eqi(p->p[i].name, name))
			return p->p[i].value.p ? p->p[i].value : STR("");
	return STR_NULL;
}
