/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_eval.c - the search keys, by level (search_int.h).                    [proto, imap]
 *
 * Dates as RFC 3501 6.4.4 has them: the time and the zone are disregarded, so the day is that of
 * the zone in which INTERNALDATE was given and is shown, or of the Date field; save dates are in
 * UTC.
 */
#include "base/utf8.h"
#include "codec/imap/imap_date.h"
#include "codec/mime/text.h"
#include "proto/imap/saved.h"
#include "proto/imap/search_int.h"
#include "sys/clock.h"

/* "$" means messages, whatever the numbers of this command are. All keys share one set. */
static int prepare_saved(struct search_tree *t, struct imap_session *s, struct imap_search_key *key,
			 struct fail *why)
{
	key->op = IMAP_SEARCH_UID;
	if (t->saved.resolved) {
		key->set = t->saved;
		return 0;
	}
	struct store_ranges saved;
	int r = saved_read(buf_str(&s->saved), &s->run.arena, &saved, why);
	if (r < 0)
		return r;
	struct seqrange *ranges = arena_array(&s->run.arena, struct seqrange, saved.n);
	if (!ranges && saved.n)
		return fail_set(why, FAIL_LIMIT, "Too large a set.", "arena full, %zu ranges",
				saved.n);
	for (size_t i = 0; i < saved.n; i++)
		ranges[i] = (struct seqrange){saved.p[i].first, saved.p[i].last};
	t->saved = (struct seqset){.r = ranges, .n = saved.n};
	seqset_resolve(&t->saved, 0);
	key->set = t->saved;
	return 0;
}

static int prepare_set(struct search_tree *t, struct imap_session *s, struct imap_search_key *key,
		       struct fail *why)
{
	if (key->set.saved)
		return prepare_saved(t, s, key, why);
	uint32_t exists = store_view_get_info(s->view)->exists;
	struct uid last = {0};
	if (key->op == IMAP_SEARCH_SEQ) {
		seqset_resolve(&key->set, exists);
		return 0;
	}
	if (exists && seqset_has_star(&key->set)) {
		int r = store_view_uid(s->view, exists, &last, why);
		if (r < 0)
			return r;
	}
	seqset_resolve(&key->set, last.v);
	return 0;
}

/* What the row level needs for one key; text keys may need the bytes as well. */
static unsigned columns_of(enum imap_search_op op)
{
	switch (op) {
	case IMAP_SEARCH_BEFORE:
	case IMAP_SEARCH_ON:
	case IMAP_SEARCH_SINCE:
	case IMAP_SEARCH_OLDER:
	case IMAP_SEARCH_YOUNGER:
	case IMAP_SEARCH_THREADID:
		return STORE_COL_DATES;
	case IMAP_SEARCH_SAVEDBEFORE:
	case IMAP_SEARCH_SAVEDON:
	case IMAP_SEARCH_SAVEDSINCE:
		return STORE_COL_SAVED;
	case IMAP_SEARCH_SENTBEFORE:
	case IMAP_SEARCH_SENTON:
	case IMAP_SEARCH_SENTSINCE:
		return STORE_COL_MAP;
	case IMAP_SEARCH_HEADER:
	case IMAP_SEARCH_BODY:
	case IMAP_SEARCH_TEXT:
		return STORE_COL_MAP | STORE_COL_PREFIX;
	case IMAP_SEARCH_ALL:
	case IMAP_SEARCH_AND:
	case IMAP_SEARCH_OR:
	case IMAP_SEARCH_NOT:
	case IMAP_SEARCH_SEQ:
	case IMAP_SEARCH_UID:
	case IMAP_SEARCH_FLAG:
	case IMAP_SEARCH_KEYWORD:
	case IMAP_SEARCH_LARGER:
	case IMAP_SEARCH_SMALLER:
	case IMAP_SEARCH_MODSEQ:
	case IMAP_SEARCH_EMAILID:
	case IMAP_SEARCH_FUZZY:
	case IMAP_SEARCH_FILTER: /* search_filter.c has put its keys in its place */
		break;
	}
	return 0;
}

static void prepare_text(struct search_tree *t, const struct imap_search_key *key)
{
	struct fuzzy *fuzzy = key->fuzzy ? fuzzy_new(key->text) : NULL;
	if (fuzzy && fuzzy_count(fuzzy) == 0) { /* it is punctuation: looked for as it stands */
		fuzzy_free(fuzzy);
		fuzzy = NULL;
	}
	if (fuzzy)
		map_put(&t->fuzzies, (uintptr_t)key, fuzzy);
	else
		map_put(&t->needles, (uintptr_t)key, text_needle_new(key->text));
	search_index_key(t, key, fuzzy);
}

static int prepare(struct search_tree *t, struct imap_session *s, struct imap_search_key *key,
		   struct fail *why)
{
	int r = 0;
	t->columns |= columns_of(key->op);
	if (key->op == IMAP_SEARCH_SEQ || key->op == IMAP_SEARCH_UID)
		r = prepare_set(t, s, key, why);
	if (!utf8_valid(key->text))
		return fail_set(why, FAIL_UNSUPPORTED, "The text is not UTF-8.", "search text");
	if (columns_of(key->op) & STORE_COL_PREFIX)
		prepare_text(t, key);
	for (struct imap_search_key *kid = key->kid; r == 0 && kid; kid = kid->next)
		r = prepare(t, s, kid, why);
	return r;
}

int search_tree_init(struct search_tree *t, struct imap_session *s, struct imap_search_key *key,
		     struct fail *why)
{
	*t = (struct search_tree){.key = key, .now = clock_wall(), .index.search = s->search};
	return prepare(t, s, key, why);
}

void search_tree_clear(struct search_tree *t)
{
	MAP_EACH (&t->needles, i)
		text_needle_free(t->needles.slots[i].value);
	map_clear(&t->needles);
	MAP_EACH (&t->fuzzies, i)
		fuzzy_free(t->fuzzies.slots[i].value);
	map_clear(&t->fuzzies);
	search_index_clear(&t->index);
}

/* ---- leaves -------------------------------------------------------------------------------- */

static bool has_keyword(struct msg *m, struct str name)
{
	size_t n;
	const struct str *keywords = store_view_get_keywords(m->s->view, &n);
	for (size_t i = 0; i < n; i++)
		if (str_eqi(keywords[i], name))
			return m->row->flags >> (STORE_KEYWORD_FIRST + i) & 1;
	return false;
}

static bool day_fits(const struct imap_search_key *key, int32_t day)
{
	int fits = fuzzy_day(key->op, day, key->day);
	return fits == 0 || (key->fuzzy && fits > 0);
}

static enum search_verdict verdict_of(bool yes)
{
	return yes ? SEARCH_YES : SEARCH_NO;
}

static int eval_sent(struct msg *m, const struct imap_search_key *key, enum search_verdict *ret,
		     struct fail *why)
{
	int r = msg_map(m, why);
	if (r < 0)
		return r;
	struct imap_datetime sent = {m->map->sent, (int16_t)m->map->zone_min};
	*ret = verdict_of(sent.at.v != 0 && day_fits(key, imap_day_of(sent)));
	return 0;
}

/* RFC 5032: INTERNALDATE against the moment so many seconds ago, both in whole seconds. */
static bool age_fits(const struct search_tree *t, const struct imap_search_key *key,
		     struct wall_us received)
{
	int64_t then = t->now.v / SEC_US - (int64_t)key->number;
	int64_t at = received.v / SEC_US;
	return key->op == IMAP_SEARCH_OLDER ? at <= then : at >= then;
}

static int eval_row(const struct search_tree *t, struct msg *m, const struct imap_search_key *key,
		    enum search_level level, enum search_verdict *ret, struct fail *why)
{
	struct imap_datetime received = {m->row->internaldate, m->row->zone_min};
	struct imap_datetime saved = {.at = m->row->saved};
	if (level == SEARCH_MEMORY) {
		*ret = search_index_excludes(t, key) ? SEARCH_NO : SEARCH_OPEN;
		return 0;
	}
	if (key->op == IMAP_SEARCH_OLDER || key->op == IMAP_SEARCH_YOUNGER) {
		*ret = verdict_of(age_fits(t, key, m->row->internaldate));
		return 0;
	}
	if (key->op == IMAP_SEARCH_THREADID) {
		*ret = verdict_of(is_threadid(key->text, m->row->thread));
		return 0;
	}
	if (columns_of(key->op) == STORE_COL_SAVED) {
		*ret = verdict_of(day_fits(key, imap_day_of(saved)));
		return 0;
	}
	if (columns_of(key->op) == STORE_COL_DATES) {
		*ret = verdict_of(day_fits(key, imap_day_of(received)));
		return 0;
	}
	if (columns_of(key->op) == STORE_COL_MAP)
		return eval_sent(m, key, ret, why);
	return search_text(t, m, key, level, ret, why);
}

/* ---- the tree ------------------------------------------------------------------------------ */

/* AND of all kids; OR is the same with yes and no exchanged. */
static int eval_list(const struct search_tree *t, struct msg *m, const struct imap_search_key *key,
		     enum search_level level, enum search_verdict *ret, struct fail *why)
{
	enum search_verdict decides = key->op == IMAP_SEARCH_OR ? SEARCH_YES : SEARCH_NO;
	enum search_verdict all = key->op == IMAP_SEARCH_OR ? SEARCH_NO : SEARCH_YES;
	for (const struct imap_search_key *kid = key->kid; kid; kid = kid->next) {
		enum search_verdict one = SEARCH_NO;
		int r = search_eval(t, m, kid, level, &one, why);
		if (r < 0)
			return r;
		if (one == decides) {
			*ret = decides;
			return 0;
		}
		if (one == SEARCH_OPEN)
			all = SEARCH_OPEN;
	}
	*ret = all;
	return 0;
}

static int eval_not(const struct search_tree *t, struct msg *m, const struct imap_search_key *key,
		    enum search_level level, enum search_verdict *ret, struct fail *why)
{
	enum search_verdict one = SEARCH_NO;
	int r = search_eval(t, m, key->kid, level, &one, why);
	*ret = one == SEARCH_OPEN ? SEARCH_OPEN : verdict_of(one == SEARCH_NO);
	return r;
}

int search_eval(const struct search_tree *t, struct msg *m, const struct imap_search_key *key,
		enum search_level level, enum search_verdict *ret, struct fail *why)
{
	const struct store_message *row = m->row;
	switch (key->op) {
	case IMAP_SEARCH_FUZZY:
		return search_eval(t, m, key->kid, level, ret, why);
	case IMAP_SEARCH_AND:
	case IMAP_SEARCH_OR:
		return eval_list(t, m, key, level, ret, why);
	case IMAP_SEARCH_NOT:
		return eval_not(t, m, key, level, ret, why);
	case IMAP_SEARCH_ALL:
		*ret = SEARCH_YES;
		return 0;
	case IMAP_SEARCH_SEQ:
		*ret = verdict_of(seqset_contains(&key->set, row->seq));
		return 0;
	case IMAP_SEARCH_UID:
		*ret = verdict_of(seqset_contains(&key->set, row->uid.v));
		return 0;
	case IMAP_SEARCH_FLAG:
		*ret = verdict_of(flags_shown(m->s, row->flags) & key->flag);
		return 0;
	case IMAP_SEARCH_KEYWORD:
		*ret = verdict_of(has_keyword(m, key->text));
		return 0;
	case IMAP_SEARCH_LARGER:
		*ret = verdict_of(fuzzy_size(key, row->size) >= 0);
		return 0;
	case IMAP_SEARCH_SMALLER:
		*ret = verdict_of(fuzzy_size(key, row->size) >= 0);
		return 0;
	case IMAP_SEARCH_MODSEQ:
		*ret = verdict_of(row->modseq.v >= key->number);
		return 0;
	case IMAP_SEARCH_EMAILID:
		*ret = verdict_of(is_emailid(key->text, row->id));
		return 0;
	case IMAP_SEARCH_THREADID:
	case IMAP_SEARCH_SAVEDBEFORE:
	case IMAP_SEARCH_SAVEDON:
	case IMAP_SEARCH_SAVEDSINCE:
	case IMAP_SEARCH_BEFORE:
	case IMAP_SEARCH_ON:
	case IMAP_SEARCH_SINCE:
	case IMAP_SEARCH_OLDER:
	case IMAP_SEARCH_YOUNGER:
	case IMAP_SEARCH_SENTBEFORE:
	case IMAP_SEARCH_SENTON:
	case IMAP_SEARCH_SENTSINCE:
	case IMAP_SEARCH_HEADER:
	case IMAP_SEARCH_BODY:
	case IMAP_SEARCH_TEXT:
	case IMAP_SEARCH_FILTER:
		break;
	}
	return eval_row(t, m, key, level, ret, why);
}
