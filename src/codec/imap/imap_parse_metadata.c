/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_parse_metadata.c - GETMETADATA and SETMETADATA (RFC 5464), METADATA of LIST (RFC 9590).
 *                                                                              [codec, private]
 */
#include "codec/imap/imap_parse.h"

#define VENDOR_LEVELS 4 /* "/shared/vendor/token/name" (RFC 5464 section 3.2) */

struct name_builder {
	struct str *entry;
	size_t n;
};

static size_t count_levels(struct str name)
{
	size_t n = 0;
	for (size_t i = 0; i < name.n; i++)
		n += name.p[i] == '/';
	return n;
}

/* In lower case: names do not differ by case. */
static bool normal_entry(struct imap_lex *lex, struct str in, struct str *ret)
{
	char *p = arena_alloc(lex->arena, in.n + 1);
	if (!p || in.n == 0 || in.p[in.n - 1] == '/')
		return false;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (c <= 0x19 || c == 0x7f || c == '*' || c == '%' ||
		    (c == '/' && i + 1 < in.n && in.p[i + 1] == '/'))
			return false;
		p[i] = ascii_lower(c);
	}
	*ret = str_make(p, in.n);
	struct str scope = str_sub(*ret, 0, str_find(*ret, 1, '/'));
	return str_eq(scope, STR("/private")) || str_eq(scope, STR("/shared"));
}

static int parse_entry(struct imap_lex *lex, struct str *ret)
{
	size_t start = lex->pos;
	struct str raw;
	int r = imap_lex_astring(lex, "the name of an entry", &raw);
	if (r == 0 && raw.n > lex->lim->mailbox_bytes)
		r = imap_lex_too_many(lex, "bytes in the name of an entry");
	if (r == 0 && !normal_entry(lex, raw, ret)) {
		lex->pos = start;
		r = imap_lex_expected(lex, "an entry of /private or /shared");
	}
	return r;
}

static int add_entry(struct imap_lex *lex, void *arg)
{
	struct name_builder *b = arg;
	int r = IMAP_GROW(lex, &b->entry, b->n, lex->lim->entries, "entries");
	if (r == 0)
		r = parse_entry(lex, &b->entry[b->n]);
	if (r == 0)
		b->n++;
	return r;
}

int imap_parse_entries(struct imap_lex *lex, const struct str **ret, size_t *ret_n)
{
	struct name_builder b = {0};
	int r = imap_parse_items(lex, "entries", false, add_entry, &b);
	*ret = b.entry;
	*ret_n = b.n;
	return r;
}

/* ---- GETMETADATA --------------------------------------------------------------------------- */

static int option(struct imap_lex *lex, void *arg)
{
	struct imap_getmetadata *g = arg;
	int r;
	if (imap_lex_try_word(lex, "MAXSIZE")) {
		g->has_maxsize = true;
		r = imap_lex_sp(lex);
		return r < 0 ? r : imap_lex_u32(lex, "a size", &g->maxsize);
	}
	if (!imap_lex_try_word(lex, "DEPTH"))
		return imap_lex_expected(lex, "MAXSIZE or DEPTH");
	r = imap_lex_sp(lex);
	if (r < 0)
		return r;
	if (imap_lex_try_word(lex, "0"))
		g->depth = 0;
	else if (imap_lex_try_word(lex, "1"))
		g->depth = 1;
	else if (imap_lex_try_word(lex, "INFINITY"))
		g->depth = UINT32_MAX;
	else
		return imap_lex_expected(lex, "0, 1 or infinity");
	return 0;
}

/* "(" of options, not of entries: those begin with a slash, perhaps in quotes or a literal. */
static bool options_follow(const struct imap_lex *lex)
{
	struct str rest = str_skip(lex->in.text, lex->pos);
	if (!str_starts(rest, STR("(")))
		return false;
	do
		rest = str_skip(rest, 1);
	while (str_starts(rest, STR(" ")));
	return rest.n > 0 && ascii_alpha(rest.p[0]);
}

static int parse_options(struct imap_lex *lex, struct imap_getmetadata *g)
{
	if (!options_follow(lex))
		return 0;
	int r = imap_parse_items(lex, "options", false, option, g);
	return r < 0 ? r : imap_lex_sp(lex);
}

/*
 * The grammar has the options before the mailbox, all examples behind it: both are understood. So
 * are several entries without parentheses, which an example has.
 */
int imap_parse_getmetadata(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct imap_getmetadata *g = &cmd->getmetadata;
	struct name_builder b = {0};
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = parse_options(lex, g);
	if (r == 0)
		r = imap_lex_mailbox(lex, &g->mailbox);
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r == 0)
		r = parse_options(lex, g);
	if (r < 0)
		return r;
	if (imap_lex_peek(lex) == '(')
		return imap_parse_entries(lex, &g->entry, &g->entry_count);
	r = add_entry(lex, &b);
	while (r == 0 && imap_lex_more(lex)) {
		r = imap_lex_sp(lex);
		if (r == 0)
			r = add_entry(lex, &b);
	}
	g->entry = b.entry;
	g->entry_count = b.n;
	return r;
}

/* ---- SETMETADATA --------------------------------------------------------------------------- */

/* nstring / literal8 */
static int parse_value(struct imap_lex *lex, struct imap_metadata_set *ret)
{
	struct str s;
	if (imap_lex_peek(lex) == '~' || imap_lex_peek(lex) == '{')
		return imap_lex_literal(lex, &ret->value);
	int r = imap_lex_nstring(lex, "a value", &s);
	if (r < 0)
		return r;
	ret->remove = s.p == NULL;
	ret->value = (struct imap_literal){.bytes = s, .external = IMAP_NOT_EXTERNAL, .size = s.n};
	return 0;
}

struct set_builder {
	struct imap_metadata_set *set;
	size_t n;
};

static int set_item(struct imap_lex *lex, void *arg)
{
	struct set_builder *b = arg;
	int r = IMAP_GROW(lex, &b->set, b->n, lex->lim->entries, "entries");
	if (r < 0)
		return r;
	size_t start = lex->pos;
	struct imap_metadata_set *one = &b->set[b->n];
	*one = (struct imap_metadata_set){0};
	r = parse_entry(lex, &one->entry);
	if (r < 0)
		return r;
	bool vendor = str_starts(one->entry, STR("/private/vendor/")) ||
		      str_starts(one->entry, STR("/shared/vendor/"));
	if (count_levels(one->entry) < (vendor ? VENDOR_LEVELS : 2)) {
		lex->pos = start;
		return imap_lex_expected(lex, "the whole name of an entry");
	}
	r = imap_lex_sp(lex);
	if (r == 0)
		r = parse_value(lex, one);
	if (r == 0)
		b->n++;
	return r;
}

int imap_parse_setmetadata(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct imap_setmetadata *m = &cmd->setmetadata;
	struct set_builder b = {0};
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_lex_mailbox(lex, &m->mailbox);
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_parse_items(lex, "entries and values", false, set_item, &b);
	m->set = b.set;
	m->set_count = b.n;
	return r;
}
