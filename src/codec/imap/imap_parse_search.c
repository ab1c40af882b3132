/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_parse.h"

/* What follows the name of a key. */
enum argument {
	ARG_NONE,
	ARG_TEXT,
	ARG_FIELD_TEXT,
	ARG_ATOM,
	ARG_DATE,
	ARG_NUMBER,
	ARG_SECONDS,
	ARG_UIDS,
	ARG_MODSEQ,
	ARG_OBJECTID,
	ARG_FILTER,
	ARG_UIDS_AFTER,
	ARG_UIDS_BEFORE
};

/* RFC 3501 section 6.4.4, RFC 5032; `negate` makes NOT(op). */
static const struct key_name {
	const char *name;
	enum imap_search_op op;
	enum argument argument;
	uint32_t flag; /* of IMAP_SEARCH_FLAG */
	bool negate;
	const char *field; /* of IMAP_SEARCH_HEADER */
} key_names[] = {
	{.name = "ALL", .op = IMAP_SEARCH_ALL},
	{.name = "ANSWERED", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_ANSWERED},
	{.name = "DELETED", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_DELETED},
	{.name = "DRAFT", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_DRAFT},
	{.name = "FLAGGED", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_FLAGGED},
	{.name = "RECENT", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_RECENT},
	{.name = "SEEN", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_SEEN},
	{.name = "OLD", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_RECENT, .negate = true},
	{.name = "UNANSWERED", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_ANSWERED, .negate = true},
	{.name = "UNDELETED", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_DELETED, .negate = true},
	{.name = "UNDRAFT", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_DRAFT, .negate = true},
	{.name = "UNFLAGGED", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_FLAGGED, .negate = true},
	{.name = "UNSEEN", .op = IMAP_SEARCH_FLAG, .flag = IMAP_FLAG_SEEN, .negate = true},
	{.name = "KEYWORD", .op = IMAP_SEARCH_KEYWORD, .argument = ARG_ATOM},
	{.name = "UNKEYWORD", .op = IMAP_SEARCH_KEYWORD, .argument = ARG_ATOM, .negate = true},
	{.name = "BEFORE", .op = IMAP_SEARCH_BEFORE, .argument = ARG_DATE},
	{.name = "ON", .op = IMAP_SEARCH_ON, .argument = ARG_DATE},
	{.name = "SINCE", .op = IMAP_SEARCH_SINCE, .argument = ARG_DATE},
	{.name = "SENTBEFORE", .op = IMAP_SEARCH_SENTBEFORE, .argument = ARG_DATE},
	{.name = "SENTON", .op = IMAP_SEARCH_SENTON, .argument = ARG_DATE},
	{.name = "SENTSINCE", .op = IMAP_SEARCH_SENTSINCE, .argument = ARG_DATE},
	{.name = "LARGER", .op = IMAP_SEARCH_LARGER, .argument = ARG_NUMBER},
	{.name = "SMALLER", .op = IMAP_SEARCH_SMALLER, .argument = ARG_NUMBER},
	{.name = "BCC", .op = IMAP_SEARCH_HEADER, .argument = ARG_TEXT, .field = "Bcc"},
	{.name = "CC", .op = IMAP_SEARCH_HEADER, .argument = ARG_TEXT, .field = "Cc"},
	{.name = "FROM", .op = IMAP_SEARCH_HEADER, .argument = ARG_TEXT, .field = "From"},
	{.name = "SUBJECT", .op = IMAP_SEARCH_HEADER, .argument = ARG_TEXT, .field = "Subject"},
	{.name = "TO", .op = IMAP_SEARCH_HEADER, .argument = ARG_TEXT, .field = "To"},
	{.name = "HEADER", .op = IMAP_SEARCH_HEADER, .argument = ARG_FIELD_TEXT},
	{.name = "BODY", .op = IMAP_SEARCH_BODY, .argument = ARG_TEXT},
	{.name = "TEXT", .op = IMAP_SEARCH_TEXT, .argument = ARG_TEXT},
	{.name = "UID", .op = IMAP_SEARCH_UID, .argument = ARG_UIDS},
	{.name = "UIDAFTER", .op = IMAP_SEARCH_UID, .argument = ARG_UIDS_AFTER},
	{.name = "UIDBEFORE", .op = IMAP_SEARCH_UID, .argument = ARG_UIDS_BEFORE},
	{.name = "MODSEQ", .op = IMAP_SEARCH_MODSEQ, .argument = ARG_MODSEQ},
	{.name = "OLDER", .op = IMAP_SEARCH_OLDER, .argument = ARG_SECONDS},
	{.name = "YOUNGER", .op = IMAP_SEARCH_YOUNGER, .argument = ARG_SECONDS},
	{.name = "SAVEDBEFORE", .op = IMAP_SEARCH_SAVEDBEFORE, .argument = ARG_DATE},
	{.name = "SAVEDON", .op = IMAP_SEARCH_SAVEDON, .argument = ARG_DATE},
	{.name = "SAVEDSINCE", .op = IMAP_SEARCH_SAVEDSINCE, .argument = ARG_DATE},
	{.name = "SAVEDATESUPPORTED", .op = IMAP_SEARCH_ALL},
	{.name = "EMAILID", .op = IMAP_SEARCH_EMAILID, .argument = ARG_OBJECTID},
	{.name = "THREADID", .op = IMAP_SEARCH_THREADID, .argument = ARG_OBJECTID},
	{.name = "FILTER", .op = IMAP_SEARCH_FILTER, .argument = ARG_FILTER},
};

struct parser {
	struct imap_lex *lex;
	struct imap_search *search;
	size_t keys;
	size_t depth;
	bool fuzzy;
};

static int parse_key(struct parser *p, struct imap_search_key **ret);

static int new_key(struct parser *p, enum imap_search_op op, struct imap_search_key **ret)
{
	if (p->keys++ == p->lex->lim->search_keys)
		return imap_lex_too_many(p->lex, "search keys");
	*ret = arena_new(p->lex->arena, struct imap_search_key);
	if (!*ret)
		return imap_lex_too_many(p->lex, "search keys");
	(*ret)->op = op;
	(*ret)->fuzzy = p->fuzzy;
	return 0;
}

/* A key above `kid`. */
static int wrap_key(struct parser *p, enum imap_search_op op, struct imap_search_key *kid,
		    struct imap_search_key **ret)
{
	int r = new_key(p, op, ret);
	if (r == 0)
		(*ret)->kid = kid;
	return r;
}

static int parse_date(struct imap_lex *lex, int32_t *ret_day)
{
	size_t start = lex->pos;
	struct str s;
	int r = imap_lex_astring(lex, "a date", &s);
	if (r == 0 && imap_day_parse(s, ret_day) < 0) {
		lex->pos = start;
		r = imap_lex_expected(lex, "a date like 1-Feb-1994");
	}
	return r;
}

/* RFC 7162 section 3.1.5: [entry-name SP entry-type-req SP] mod-sequence-valzer. barid has one
 * mod-sequence for all flags, so the entry makes no difference. */
static int parse_modseq(struct imap_lex *lex, uint64_t *ret)
{
	struct str entry;
	if (imap_lex_peek(lex) == '"') {
		int r = imap_lex_string(lex, "a flag entry", &entry);
		if (r == 0)
			r = imap_lex_sp(lex);
		if (r == 0 && !imap_lex_try_word(lex, "PRIV") &&
		    !imap_lex_try_word(lex, "SHARED") && !imap_lex_try_word(lex, "ALL"))
			r = imap_lex_expected(lex, "priv, shared or all");
		if (r == 0)
			r = imap_lex_sp(lex);
		if (r < 0)
			return r;
	}
	return imap_lex_u64(lex, "a mod-sequence", ret);
}

/* nz-number */
static int parse_seconds(struct imap_lex *lex, uint64_t *ret)
{
	size_t start = lex->pos;
	uint32_t n = 0;
	int r = imap_lex_u32(lex, "a number of seconds", &n);
	if (r == 0 && n == 0) {
		lex->pos = start;
		return imap_lex_expected(lex, "a number of seconds from 1 on");
	}
	*ret = n;
	return r;
}

/* RFC 5466 section 4: an atom without "/" */
static int parse_filter(struct parser *p, struct str *ret)
{
	size_t start = p->lex->pos;
	int r = imap_lex_atom(p->lex, "the name of a filter", ret);
	if (r == 0 && str_find(*ret, 0, '/') < ret->n) {
		p->lex->pos = start;
		return imap_lex_expected(p->lex, "the name of a filter");
	}
	p->search->uses_filters = true;
	return r;
}

/* UIDAFTER and UIDBEFORE of RFC 9738: as a set; beyond the ends there is none, that is NOT ALL. */
static int parse_uids_beside(struct parser *p, bool after, struct imap_search_key *key)
{
	uint32_t uid = 0;
	size_t start = p->lex->pos;
	int r = imap_lex_u32(p->lex, "a UID", &uid);
	if (r < 0 || uid == 0) {
		p->lex->pos = start;
		return imap_lex_expected(p->lex, "a UID");
	}
	if (uid == (after ? UINT32_MAX : 1)) {
		key->op = IMAP_SEARCH_NOT;
		return new_key(p, IMAP_SEARCH_ALL, &key->kid);
	}
	struct seqrange *range = arena_new(p->lex->arena, struct seqrange);
	if (!range)
		return imap_lex_too_many(p->lex, "search keys");
	*range = after ? (struct seqrange){uid + 1, UINT32_MAX} : (struct seqrange){1, uid - 1};
	key->set = (struct seqset){.r = range, .n = 1};
	return 0;
}

static int parse_argument(struct parser *p, enum argument argument, struct imap_search_key *key)
{
	struct imap_lex *lex = p->lex;
	int r = argument == ARG_NONE ? 0 : imap_lex_sp(lex);
	if (r < 0)
		return r;
	switch (argument) {
	case ARG_NONE:
		return 0;
	case ARG_TEXT:
		return imap_lex_astring(lex, "a text to search for", &key->text);
	case ARG_FIELD_TEXT:
		r = imap_lex_astring(lex, "the name of a header field", &key->field);
		if (r == 0)
			r = imap_lex_sp(lex);
		return r < 0 ? r : imap_lex_astring(lex, "a text to search for", &key->text);
	case ARG_ATOM:
		return imap_lex_atom(lex, "a keyword", &key->text);
	case ARG_DATE:
		return parse_date(lex, &key->day);
	case ARG_NUMBER:
		return imap_lex_u64(lex, "a number", &key->number);
	case ARG_SECONDS:
		return parse_seconds(lex, &key->number);
	case ARG_UIDS:
		return imap_parse_set(lex, &key->set);
	case ARG_MODSEQ:
		p->search->uses_modseq = true;
		return parse_modseq(lex, &key->number);
	case ARG_OBJECTID:
		return imap_lex_atom(lex, "an object id", &key->text);
	case ARG_FILTER:
		return parse_filter(p, &key->text);
	case ARG_UIDS_AFTER:
	case ARG_UIDS_BEFORE:
		return parse_uids_beside(p, argument == ARG_UIDS_AFTER, key);
	}
	return 0;
}

static int parse_named(struct parser *p, const struct key_name *k, struct imap_search_key **ret)
{
	int r = new_key(p, k->op, ret);
	if (r < 0)
		return r;
	(*ret)->flag = k->flag;
	(*ret)->field = str_c(k->field);
	r = parse_argument(p, k->argument, *ret);
	return r < 0 || !k->negate ? r : wrap_key(p, IMAP_SEARCH_NOT, *ret, ret);
}

/* NEW is (RECENT UNSEEN). */
static int make_new(struct parser *p, struct imap_search_key **ret)
{
	struct imap_search_key *recent;
	struct imap_search_key *seen;
	int r = new_key(p, IMAP_SEARCH_FLAG, &recent);
	if (r == 0)
		r = new_key(p, IMAP_SEARCH_FLAG, &seen);
	if (r < 0)
		return r;
	recent->flag = IMAP_FLAG_RECENT;
	seen->flag = IMAP_FLAG_SEEN;
	r = wrap_key(p, IMAP_SEARCH_NOT, seen, &recent->next);
	return r < 0 ? r : wrap_key(p, IMAP_SEARCH_AND, recent, ret);
}

static int sp_key(struct parser *p, struct imap_search_key **ret)
{
	int r = imap_lex_sp(p->lex);
	return r < 0 ? r : parse_key(p, ret);
}

static int parse_or(struct parser *p, struct imap_search_key **ret)
{
	struct imap_search_key *first;
	int r = sp_key(p, &first);
	if (r == 0)
		r = sp_key(p, &first->next);
	return r < 0 ? r : wrap_key(p, IMAP_SEARCH_OR, first, ret);
}

/* NOT and FUZZY. What is excluded is meant as it stands, else FUZZY would find less than the same
 * keys without it. */
static int parse_around(struct parser *p, enum imap_search_op op, struct imap_search_key **ret)
{
	struct imap_search_key *kid;
	bool fuzzy = p->fuzzy;
	p->fuzzy = op == IMAP_SEARCH_FUZZY;
	p->search->uses_fuzzy |= p->fuzzy;
	int r = sp_key(p, &kid);
	p->fuzzy = fuzzy;
	return r < 0 ? r : wrap_key(p, op, kid, ret);
}

struct group {
	struct parser *p;
	struct imap_search_key *first;
	struct imap_search_key **end;
};

static int group_item(struct imap_lex *lex, void *arg)
{
	struct group *g = arg;
	(void)lex;
	int r = parse_key(g->p, g->end);
	if (r == 0)
		g->end = &(*g->end)->next;
	return r;
}

/* "(" key *(SP key) ")": one key alone needs no AND around it. */
static int parse_group(struct parser *p, struct imap_search_key **ret)
{
	struct group g = {.p = p};
	g.end = &g.first;
	int r = imap_parse_items(p->lex, "search keys", false, group_item, &g);
	if (r < 0)
		return r;
	if (!g.first->next) {
		*ret = g.first;
		return 0;
	}
	return wrap_key(p, IMAP_SEARCH_AND, g.first, ret);
}

static int parse_sequence(struct parser *p, struct imap_search_key **ret)
{
	p->search->uses_numbers = true;
	int r = new_key(p, IMAP_SEARCH_SEQ, ret);
	return r < 0 ? r : imap_parse_set(p->lex, &(*ret)->set);
}

static int parse_key_inside(struct parser *p, struct imap_search_key **ret)
{
	struct imap_lex *lex = p->lex;
	size_t start = lex->pos;
	char c = imap_lex_peek(lex);
	struct str name;
	if (c == '(')
		return parse_group(p, ret);
	if (ascii_digit(c) || c == '*' || c == '$')
		return parse_sequence(p, ret);
	int r = imap_lex_atom(lex, "a search key", &name);
	if (r < 0)
		return r;
	if (str_eqi(name, STR("NOT")))
		return parse_around(p, IMAP_SEARCH_NOT, ret);
	if (str_eqi(name, STR("FUZZY")))
		return parse_around(p, IMAP_SEARCH_FUZZY, ret);
	if (str_eqi(name, STR("OR")))
		return parse_or(p, ret);
	if (str_eqi(name, STR("NEW")))
		return make_new(p, ret);
	for (size_t i = 0; i < ARRAY_LEN(key_names); i++)
		if (str_eqi(name, str_c(key_names[i].name)))
			return parse_named(p, &key_names[i], ret);
	lex->pos = start;
	return imap_lex_expected(lex, "a search key");
}

static int parse_key(struct parser *p, struct imap_search_key **ret)
{
	if (p->depth == p->lex->lim->search_depth)
		return imap_lex_too_many(p->lex, "nested search keys");
	p->depth++;
	int r = parse_key_inside(p, ret);
	p->depth--;
	return r;
}

static int partial_number(struct imap_lex *lex, bool from_end, uint32_t *ret)
{
	size_t start = lex->pos;
	int r = from_end ? imap_lex_char(lex, '-', "a number below 0") : 0;
	if (r == 0)
		r = imap_lex_u32(lex, "a number", ret);
	if (r == 0 && *ret == 0) {
		lex->pos = start;
		return imap_lex_expected(lex, "a number from 1 on");
	}
	return r;
}

int imap_parse_partial(struct imap_lex *lex, struct imap_partial *ret)
{
	*ret = (struct imap_partial){.given = true};
	int r = imap_lex_sp(lex);
	ret->from_end = imap_lex_peek(lex) == '-';
	if (r == 0)
		r = partial_number(lex, ret->from_end, &ret->first);
	if (r == 0)
		r = imap_lex_char(lex, ':', "a colon");
	return r < 0 ? r : partial_number(lex, ret->from_end, &ret->last);
}

static int return_option(struct imap_lex *lex, void *arg)
{
	struct imap_search *s = arg;
	size_t start = lex->pos;
	struct str name;
	if (!s->partial.given && imap_lex_try_word(lex, "PARTIAL")) {
		s->returned |= IMAP_RETURN_PARTIAL;
		return imap_parse_partial(lex, &s->partial);
	}
	int r = imap_lex_atom(lex, "a result option of SEARCH", &name);
	if (r < 0)
		return r;
	uint32_t bit = imap_name_find(imap_return_names, name);
	if (bit == 0) {
		lex->pos = start;
		return imap_lex_expected(lex, "a result option of SEARCH");
	}
	s->returned |= bit;
	return 0;
}

/* [SP "RETURN" SP "(" [option *(SP option)] ")"], RFC 4731 section 3.2 */
static int parse_return(struct imap_lex *lex, struct imap_search *s)
{
	if (!imap_lex_try_word(lex, " RETURN"))
		return 0;
	s->extended = true;
	size_t start = lex->pos;
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_parse_items(lex, "result options", true, return_option, s);
	if (s->returned == 0)
		s->returned = IMAP_RETURN_ALL;
	if (r == 0 && (s->returned & IMAP_RETURN_PARTIAL) && (s->returned & IMAP_RETURN_ALL)) {
		lex->pos = start;
		return imap_lex_expected(lex, "PARTIAL or ALL");
	}
	return r;
}

/* search-key *(SP search-key), behind what the command has before them */
static int parse_program(struct imap_lex *lex, struct imap_search *search)
{
	struct parser p = {.lex = lex, .search = search};
	struct imap_search_key **end;
	int r = new_key(&p, IMAP_SEARCH_AND, &search->key);
	if (r < 0)
		return r;
	end = &search->key->kid;
	do {
		r = sp_key(&p, end);
		if (r < 0)
			return r;
		end = &(*end)->next;
	} while (imap_lex_more(lex));
	return 0;
}

static int sp_charset(struct imap_lex *lex, struct imap_search *search)
{
	int r = imap_lex_sp(lex);
	return r < 0 ? r : imap_lex_astring(lex, "a charset", &search->charset);
}

int imap_parse_search(struct imap_lex *lex, struct imap_cmd *cmd)
{
	int r = parse_return(lex, &cmd->search);
	if (r == 0 && imap_lex_try_word(lex, " CHARSET"))
		r = sp_charset(lex, &cmd->search);
	return r < 0 ? r : parse_program(lex, &cmd->search);
}

struct source_builder {
	struct imap_notify_group *source;
	size_t n;
};

static int source(struct imap_lex *lex, void *arg)
{
	struct source_builder *b = arg;
	size_t start = lex->pos;
	int r = IMAP_GROW(lex, &b->source, b->n, lex->lim->notify_groups, "sources");
	if (r < 0)
		return r;
	b->source[b->n] = (struct imap_notify_group){0};
	r = imap_parse_mailbox_filter(lex, &b->source[b->n]);
	if (r == 0 && b->source[b->n].filter == IMAP_NOTIFY_SELECTED_DELAYED) {
		lex->pos = start;
		return imap_lex_expected(lex, "which mailboxes");
	}
	b->n += r == 0;
	return r;
}

/* ["IN" SP "(" source *(SP source) ")"] [return] program; no scope options are defined */
int imap_parse_esearch(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct source_builder b = {0};
	int r = 0;
	if (imap_lex_try_word(lex, " IN")) {
		r = imap_lex_sp(lex);
		if (r == 0)
			r = imap_parse_items(lex, "mailboxes", false, source, &b);
		cmd->search.source = b.source;
		cmd->search.source_count = b.n;
	}
	if (r == 0)
		r = imap_parse_search(lex, cmd);
	cmd->search.extended = true;
	if (cmd->search.returned == 0)
		cmd->search.returned = IMAP_RETURN_ALL;
	return r;
}

/* The place of a name's bit in its table, for enums that are no sets. */
static int parse_name(struct imap_lex *lex, const struct imap_name *table, const char *what,
		      unsigned *ret)
{
	size_t start = lex->pos;
	struct str name;
	int r = imap_lex_atom(lex, what, &name);
	if (r < 0)
		return r;
	uint32_t bit = imap_name_find(table, name);
	if (bit == 0) {
		lex->pos = start;
		return imap_lex_expected(lex, what);
	}
	for (*ret = 0; bit > 1; bit >>= 1)
		++*ret;
	return 0;
}

#define SORT_KEYS_MAX 16

struct sort_builder {
	struct imap_sort_key *key;
	size_t n;
};

/* ["REVERSE" SP] sort-key, RFC 5256 section 5 */
static int sort_key(struct imap_lex *lex, void *arg)
{
	struct sort_builder *b = arg;
	unsigned by;
	int r = IMAP_GROW(lex, &b->key, b->n, SORT_KEYS_MAX, "sort criteria");
	if (r < 0)
		return r;
	bool reverse = imap_lex_try_word(lex, "REVERSE");
	if (reverse)
		r = imap_lex_sp(lex);
	if (r == 0)
		r = parse_name(lex, imap_sort_names, "a sort criterion", &by);
	if (r == 0)
		b->key[b->n++] = (struct imap_sort_key){(enum imap_sort_by)by, reverse};
	return r;
}

int imap_parse_sort(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct sort_builder b = {0};
	int r = parse_return(lex, &cmd->search);
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_parse_items(lex, "sort criteria", false, sort_key, &b);
	if (r == 0)
		r = sp_charset(lex, &cmd->search);
	cmd->search.sort = b.key;
	cmd->search.sort_count = b.n;
	return r < 0 ? r : parse_program(lex, &cmd->search);
}

int imap_parse_thread(struct imap_lex *lex, struct imap_cmd *cmd)
{
	unsigned algorithm;
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = parse_name(lex, imap_thread_names, "a threading algorithm", &algorithm);
	if (r == 0)
		r = sp_charset(lex, &cmd->search);
	if (r < 0)
		return r;
	cmd->search.thread = (enum imap_thread_algorithm)algorithm;
	return parse_program(lex, &cmd->search);
}

int imap_parse_cancelupdate(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct str *tags = NULL;
	size_t n = 0;
	do {
		int r = imap_lex_sp(lex);
		if (r == 0)
			r = IMAP_GROW(lex, &tags, n, lex->lim->keywords, "tags");
		if (r == 0)
			r = imap_lex_string(lex, "a tag in quotes", &tags[n]);
		if (r < 0)
			return r;
		n++;
	} while (imap_lex_more(lex));
	cmd->cancelupdate = (struct imap_cancelupdate){.tag = tags, .tag_count = n};
	return 0;
}

int imap_search_parse(struct str text, const struct imap_limits *lim, struct arena *arena,
		      struct imap_search *ret)
{
	*ret = (struct imap_search){0};
	/* The keys of a command stand behind a blank. */
	struct str spaced = arena_printf(arena, " %.*s", STR_ARG(text));
	if (!spaced.p)
		return -FAIL_LIMIT;
	struct imap_lex lex = {.in = {.text = spaced}, .arena = arena, .lim = lim};
	int r = parse_program(&lex, ret);
	return r < 0 ? r : imap_lex_end(&lex);
}

/* SP nz-number [SP nz-number ":" nz-number] */
int imap_parse_uidbatches(struct imap_lex *lex, struct imap_cmd *cmd)
{
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = partial_number(lex, false, &cmd->uidbatches.size);
	if (r < 0 || imap_lex_peek(lex) != ' ' || lex->pos + 1 >= lex->in.text.n)
		return r;
	r = imap_parse_partial(lex, &cmd->uidbatches.range);
	return r == 0 && cmd->uidbatches.range.from_end
		       ? imap_lex_expected(lex, "a range of batches")
		       : r;
}

/* *(SP comp-order-quoted) */
int imap_parse_comparator(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct str *wanted = NULL;
	size_t n = 0;
	while (imap_lex_peek(lex) == ' ' && lex->pos + 1 < lex->in.text.n) {
		int r = imap_lex_sp(lex);
		if (r == 0)
			r = IMAP_GROW(lex, &wanted, n, lex->lim->keywords, "comparators");
		if (r == 0)
			r = imap_lex_astring(lex, "a comparator", &wanted[n]);
		if (r < 0)
			return r;
		n++;
	}
	cmd->comparator = (struct imap_comparator){.wanted = wanted, .wanted_count = n};
	return 0;
}
