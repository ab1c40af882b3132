/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_filter.c - the search key FILTER: keys that the user has stored (RFC 5466).  [proto, imap]
 *
 * A filter is a server annotation of METADATA. It may name others; what goes deeper than DEPTH_MAX,
 * as a filter that names itself does, is undefined like one that is not there or is not made of
 * search keys.
 */
#include "base/num.h"
#include "proto/imap/guest_int.h"
#include "proto/imap/search_int.h"

#define DEPTH_MAX   8
#define FILTERS_MAX 64 /* in one command, however nested */

struct filters {
	struct imap_session *s;
	struct store_notes notes;
	size_t n;
};

static const struct str *value_of(const struct filters *f, const char *kind, struct str name)
{
	struct str entry =
		arena_printf(&f->s->run.arena, "/%s/filters/values/%.*s", kind, STR_ARG(name));
	for (size_t i = 0; i < f->notes.n; i++)
		if (str_eqi(f->notes.p[i].entry, entry))
			return &f->notes.p[i].value;
	return NULL;
}

static void undefined(struct imap_session *s, struct str name)
{
	struct str code = arena_printf(&s->run.arena, "UNDEFINED-FILTER %.*s", STR_ARG(name));
	reply_no(s, code.p, "There is no such filter.");
}

static int expand(struct filters *f, struct imap_search_key *key, unsigned depth);

/* A FILTER below FUZZY; what is excluded is not. */
static void make_fuzzy(struct imap_search_key *key)
{
	for (; key; key = key->next) {
		key->fuzzy = true;
		if (key->op != IMAP_SEARCH_NOT)
			make_fuzzy(key->kid);
	}
}

static int expand_one(struct filters *f, struct imap_search_key *key, unsigned depth)
{
	struct imap_session *s = f->s;
	struct imap_search inside;
	const struct str *value = value_of(f, "private", key->text);
	if (!value)
		value = value_of(f, "shared", key->text);
	if (!value || depth == DEPTH_MAX || f->n++ == FILTERS_MAX ||
	    imap_search_parse(*value, &s->config.limits, &s->run.arena, &inside) < 0) {
		undefined(s, key->text);
		return RUN_CLOSE;
	}
	s->run.cmd.search.uses_modseq |= inside.uses_modseq;
	s->run.cmd.search.uses_numbers |= inside.uses_numbers;
	s->run.cmd.search.uses_fuzzy |= inside.uses_fuzzy;
	key->op = IMAP_SEARCH_AND;
	key->kid = inside.key->kid;
	if (key->fuzzy)
		make_fuzzy(key->kid);
	return expand(f, key->kid, depth + 1);
}

/* A key, its siblings, and what is below. */
static int expand(struct filters *f, struct imap_search_key *key, unsigned depth)
{
	int r = RUN_DONE;
	for (; r == RUN_DONE && key; key = key->next)
		r = key->op == IMAP_SEARCH_FILTER ? expand_one(f, key, depth)
						  : expand(f, key->kid, depth);
	return r;
}

static bool is_filter(struct str entry)
{
	return str_starts(entry, STR("/private/filters/values/")) ||
	       str_starts(entry, STR("/shared/filters/values/"));
}

int search_filters_write(struct imap_session *s, struct buf *out, struct fail *why)
{
	struct store_notes notes;
	int r = store_annotations(s->store, s->account, STR(""), s->viewer_id, &s->run.arena,
				  &notes, why);
	for (size_t i = 0; r == 0 && i < notes.n; i++) {
		const struct store_annotation *n = &notes.p[i];
		if (!is_filter(n->entry))
			continue;
		buf_put_u16(out, (uint16_t)n->entry.n);
		buf_add(out, n->entry);
		buf_put_u32(out, (uint32_t)n->value.n);
		buf_add(out, n->value);
	}
	return r == 0 && out->failed ? fail_set(why, FAIL_LIMIT, "There are too many filters.",
						"filters of more than %zu bytes", out->n)
				     : r;
}

/* A guest's filters are in his own account, and came along. */
static int read_filters(struct imap_session *s, struct store_notes *ret, struct fail *why)
{
	struct cursor c = cursor_of(s->filters);
	size_t max = s->filters.n / 6;
	*ret = (struct store_notes){
		.p = arena_array(&s->run.arena, struct store_annotation, max + 1)};
	if (!ret->p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	while (!c.bad && cursor_left(&c) && ret->n < max) {
		struct store_annotation *n = &ret->p[ret->n++];
		n->entry = cursor_bytes(&c, cursor_u16(&c));
		n->value = cursor_bytes(&c, cursor_u32(&c));
	}
	return c.bad ? fail_set(why, FAIL_PEER, NULL, "filters of a guest are damaged") : 0;
}

int search_filters(struct imap_session *s, struct fail *why)
{
	struct filters f = {.s = s};
	int r = s->guest ? read_filters(s, &f.notes, why)
			 : store_annotations(s->store, s->account, STR(""), s->viewer_id,
					     &s->run.arena, &f.notes, why);
	if (r < 0)
		return r;
	s->run.cmd.search.uses_filters = false;
	return expand(&f, s->run.cmd.search.key, 0);
}
