/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_fuzzy.c - the search key FUZZY and how well messages fit (RFC 6203).   [proto, imap]
 *
 * Texts are cut into words, and all of them have to be in what the key names, nearly or exactly
 * (codec/mime/fuzzy.h). A day may be three days off and a size a fifth. Other keys, and whatever is
 * below a NOT, are meant as they stand.
 *
 * A score is what the best place of each word is worth, on the average of the words; of TEXT, the
 * subject counts in full, the rest of the header to 90 percent and bodies to 80. AND takes the mean
 * of its fuzzy keys, OR the best of those that match.
 */
#include "base/check.h"
#include "codec/mime/header.h"
#include "proto/imap/search_int.h"

#define PERCENT_HEADER 90
#define PERCENT_BODY   80
#define DAYS_OFF       3
#define SIZE_PART      5 /* of the size that is asked for */

/* ---- days and sizes -------------------------------------------------------------------------- */

static int64_t days_off(enum imap_search_op op, int32_t day, int32_t wanted)
{
	int64_t behind = (int64_t)day - wanted;
	if (op == IMAP_SEARCH_BEFORE || op == IMAP_SEARCH_SENTBEFORE ||
	    op == IMAP_SEARCH_SAVEDBEFORE)
		return MAX(behind + 1, (int64_t)0);
	if (op == IMAP_SEARCH_ON || op == IMAP_SEARCH_SENTON || op == IMAP_SEARCH_SAVEDON)
		return behind < 0 ? -behind : behind;
	return MAX(-behind, (int64_t)0);
}

int fuzzy_day(enum imap_search_op op, int32_t day, int32_t wanted)
{
	int64_t off = days_off(op, day, wanted);
	return off == 0 ? 0 : off <= DAYS_OFF ? (int)(100 - off * 30) : -1;
}

int fuzzy_size(const struct imap_search_key *key, uint64_t size)
{
	bool larger = key->op == IMAP_SEARCH_LARGER;
	if (larger ? size > key->number : size < key->number)
		return 0;
	uint64_t off = larger ? key->number - size : size - key->number;
	uint64_t most = key->number / SIZE_PART;
	if (!key->fuzzy || most == 0 || off >= most)
		return -1;
	return (int)MAX((most - off) * 100 / most, UINT64_C(1));
}

/* ---- texts ----------------------------------------------------------------------------------- */

struct looking {
	struct fuzzy_look look;
	unsigned percent[2]; /* enum text_place */
};

static void begin_text(void *ctx, enum text_place place)
{
	struct looking *l = ctx;
	fuzzy_look_begin(&l->look, l->percent[place]);
}

static bool take_text(void *ctx, struct str utf8)
{
	struct looking *l = ctx;
	return fuzzy_look_take(&l->look, utf8);
}

/* The fields of this name; all of them when it is empty. */
static void look_at_fields(struct looking *l, struct str block, struct str name)
{
	struct text_sink sink = {begin_text, take_text, l};
	struct header_field f;
	while (header_next(&block, &f))
		if ((name.n == 0 || str_eqi(f.name, name)) &&
		    text_field_each(&f, name.n == 0, TEXT_IN_HEADER, &sink))
			return;
}

static int look_in_header(struct msg *m, const struct imap_search_key *key, struct looking *l,
			  enum search_level level, bool *ret_open, struct fail *why)
{
	struct str text, header;
	look_at_fields(l, m->row->prefix, key->field);
	enum field_known known = search_known_field(m->map, key->field, &text);
	if (known == FIELD_ABSENT)
		return 0;
	if (known == FIELD_HERE) {
		begin_text(l, TEXT_IN_HEADER);
		(void)take_text(l, text);
		return 0;
	}
	*ret_open = level == SEARCH_ROW;
	if (*ret_open)
		return 0;
	int r = msg_load(m, 0, m->map->parts[0].header_len, &header, why);
	if (r == 0)
		look_at_fields(l, header, key->field);
	return r;
}

/* What the map holds is often enough. */
static bool look_at_map(struct looking *l, const struct mime_map *map)
{
	const struct str known[] = {map->from, map->to, map->cc};
	fuzzy_look_begin(&l->look, 100);
	bool enough = fuzzy_look_take(&l->look, map->subject);
	for (size_t i = 0; !enough && i < ARRAY_LEN(known); i++) {
		fuzzy_look_begin(&l->look, PERCENT_HEADER);
		enough = fuzzy_look_take(&l->look, known[i]);
	}
	return enough;
}

static int look_in_text(struct msg *m, bool whole, struct looking *l, enum search_level level,
			bool *ret_open, struct fail *why)
{
	struct search_reading reading = {m, why};
	struct text_source source = {search_read_body, &reading};
	struct text_sink sink = {begin_text, take_text, l};
	if (whole) {
		l->percent[TEXT_IN_HEADER] = PERCENT_HEADER;
		l->percent[TEXT_IN_BODY] = PERCENT_BODY;
		if (look_at_map(l, m->map))
			return 0;
		look_at_fields(l, m->row->prefix, STR(""));
	}
	*ret_open = level == SEARCH_ROW;
	if (*ret_open)
		return 0;
	int r = msg_body(m, why);
	if (r == 0)
		r = text_each(&source, m->map, whole ? TEXT_ALL : TEXT_BODY, &sink);
	return MIN(r, 0);
}

/* *ret: 0 or the score; open: the next level knows. */
static int look(const struct search_tree *t, struct msg *m, const struct imap_search_key *key,
		enum search_level level, bool *ret_open, unsigned *ret, struct fail *why)
{
	const struct fuzzy *fuzzy = map_get(&t->fuzzies, (uintptr_t)key);
	AUTO_MEM struct looking *l = xcalloc(1, sizeof *l);
	CHECK(fuzzy);
	*ret_open = false;
	l->percent[TEXT_IN_HEADER] = l->percent[TEXT_IN_BODY] = 100;
	/* Level BYTES is the last one for a verdict; only who weighs needs the best place. */
	fuzzy_look_init(&l->look, fuzzy, t->scored && level == SEARCH_BYTES);
	int r = key->op == IMAP_SEARCH_HEADER
			? look_in_header(m, key, l, level, ret_open, why)
			: look_in_text(m, key->op == IMAP_SEARCH_TEXT, l, level, ret_open, why);
	*ret = fuzzy_look_end(&l->look);
	return r;
}

int search_fuzzy(const struct search_tree *t, struct msg *m, const struct imap_search_key *key,
		 enum search_level level, enum search_verdict *ret, struct fail *why)
{
	unsigned score = 0;
	bool open = false;
	int r = look(t, m, key, level, &open, &score, why);
	*ret = score ? SEARCH_YES : open ? SEARCH_OPEN : SEARCH_NO;
	return r;
}

/* ---- scores ---------------------------------------------------------------------------------- */

static int score_of(const struct search_tree *t, struct msg *m, const struct imap_search_key *key,
		    unsigned *ret, struct fail *why);

/* Of a key that matches; 0: it has no say. */
static int score_kids(const struct search_tree *t, struct msg *m, const struct imap_search_key *key,
		      unsigned *ret, struct fail *why)
{
	unsigned sum = 0, n = 0, best = 0;
	int r = 0;
	for (const struct imap_search_key *kid = key->kid; r == 0 && kid; kid = kid->next) {
		enum search_verdict verdict = SEARCH_YES;
		unsigned one = 0;
		if (key->op == IMAP_SEARCH_OR)
			r = search_eval(t, m, kid, SEARCH_BYTES, &verdict, why);
		if (r == 0 && verdict == SEARCH_YES)
			r = score_of(t, m, kid, &one, why);
		best = MAX(best, one);
		sum += one;
		n += one > 0;
	}
	*ret = key->op == IMAP_SEARCH_OR ? best : n ? sum / n : 0;
	return r;
}

static unsigned score_day(struct msg *m, const struct imap_search_key *key)
{
	struct imap_datetime at = {m->row->internaldate, m->row->zone_min};
	enum imap_search_op op = key->op;
	if (op == IMAP_SEARCH_SAVEDBEFORE || op == IMAP_SEARCH_SAVEDON ||
	    op == IMAP_SEARCH_SAVEDSINCE)
		at = (struct imap_datetime){.at = m->row->saved};
	if (op == IMAP_SEARCH_SENTBEFORE || op == IMAP_SEARCH_SENTON || op == IMAP_SEARCH_SENTSINCE)
		at = (struct imap_datetime){m->map->sent, (int16_t)m->map->zone_min};
	int fits = fuzzy_day(op, imap_day_of(at), key->day);
	return fits > 0 ? (unsigned)fits : 100;
}

static int score_of(const struct search_tree *t, struct msg *m, const struct imap_search_key *key,
		    unsigned *ret, struct fail *why)
{
	bool open = false;
	*ret = key->fuzzy ? 100 : 0;
	switch (key->op) {
	case IMAP_SEARCH_AND:
	case IMAP_SEARCH_OR:
	case IMAP_SEARCH_FUZZY:
		return score_kids(t, m, key, ret, why);
	case IMAP_SEARCH_NOT:
		*ret = 0;
		return 0;
	case IMAP_SEARCH_BEFORE:
	case IMAP_SEARCH_ON:
	case IMAP_SEARCH_SINCE:
	case IMAP_SEARCH_SENTBEFORE:
	case IMAP_SEARCH_SENTON:
	case IMAP_SEARCH_SENTSINCE:
	case IMAP_SEARCH_SAVEDBEFORE:
	case IMAP_SEARCH_SAVEDON:
	case IMAP_SEARCH_SAVEDSINCE:
		*ret = key->fuzzy ? score_day(m, key) : 0;
		return 0;
	case IMAP_SEARCH_LARGER:
	case IMAP_SEARCH_SMALLER:
		if (key->fuzzy && fuzzy_size(key, m->row->size) > 0)
			*ret = (unsigned)fuzzy_size(key, m->row->size);
		return 0;
	case IMAP_SEARCH_HEADER:
	case IMAP_SEARCH_BODY:
	case IMAP_SEARCH_TEXT:
		return map_get(&t->fuzzies, (uintptr_t)key)
			       ? look(t, m, key, SEARCH_BYTES, &open, ret, why)
			       : 0;
	case IMAP_SEARCH_ALL:
	case IMAP_SEARCH_SEQ:
	case IMAP_SEARCH_UID:
	case IMAP_SEARCH_FLAG:
	case IMAP_SEARCH_KEYWORD:
	case IMAP_SEARCH_MODSEQ:
	case IMAP_SEARCH_OLDER:
	case IMAP_SEARCH_YOUNGER:
	case IMAP_SEARCH_EMAILID:
	case IMAP_SEARCH_THREADID:
	case IMAP_SEARCH_FILTER:
		break;
	}
	return 0;
}

int search_score(const struct search_tree *t, struct msg *m, unsigned *ret, struct fail *why)
{
	unsigned score = 0;
	int r = t->columns & STORE_COL_MAP ? msg_map(m, why) : 0;
	if (r == 0)
		r = score_of(t, m, t->key, &score, why);
	*ret = MAX(score, 1u);
	return r;
}
