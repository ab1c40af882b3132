/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_util.c - small things that several handlers need: sets, flags, names.  [proto, imap]
 */
#include "codec/imap/imap_list.h"
#include "codec/imap/imap_write.h"
#include "codec/mime/charset.h"
#include "proto/imap/imap_int.h"
#include "proto/imap/saved.h"

/* Flags and special uses are bit sets on both sides; the flags are even the same bits. */
_Static_assert((int)IMAP_FLAG_ANSWERED == STORE_ANSWERED &&
		       (int)IMAP_FLAG_FLAGGED == STORE_FLAGGED &&
		       (int)IMAP_FLAG_DELETED == STORE_DELETED &&
		       (int)IMAP_FLAG_SEEN == STORE_SEEN && (int)IMAP_FLAG_DRAFT == STORE_DRAFT &&
		       (int)IMAP_FLAG_RECENT == STORE_RECENT,
	       "IMAP and store flag bits are the same");
_Static_assert(SEQ_STAR == STORE_STAR, "a star is a star");

void condstore_enable(struct imap_session *s, struct imap_out *out)
{
	if (condstore_is_on(s))
		return;
	s->enabled |= IMAP_ENABLE_CONDSTORE;
	if (s->view)
		buf_addf(&out->text, "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
			 (unsigned long long)store_view_get_info(s->view)->highestmodseq.v);
}

char *session_copy(struct str text)
{
	char *copy = xcalloc(1, text.n + 1);
	if (text.n)
		memcpy(copy, text.p, text.n);
	return copy;
}

void write_name(const struct imap_session *s, struct buf *b, struct str name)
{
	AUTO(buf) struct buf whole = BUF_INIT(KIB(4));
	if (s->prefix[0]) {
		buf_add_c(&whole, s->prefix);
		buf_add(&whole, name);
		name = buf_str(&whole);
	}
	if (session_syntax(s) & IMAP_SYNTAX_UTF8)
		(void)imap_write_mailbox_utf8(b, name);
	else
		(void)imap_write_mailbox(b, name);
}

uint32_t session_syntax(const struct imap_session *s)
{
	return session_is_rev2(s) || session_is_utf8(s) ? IMAP_SYNTAX_UTF8 : 0;
}

/* Never an error for numbers that are gone: RFC 5182 2.1. */
static int resolve_saved(struct imap_session *s, struct store_set *ret, struct fail *why)
{
	struct store_ranges saved;
	int r = saved_read(buf_str(&s->saved), &s->run.arena, &saved, why);
	*ret = (struct store_set){0};
	if (r < 0 || saved.n == 0)
		return r;
	return store_view_resolve(s->view, saved.p, saved.n, true, &s->run.arena, ret, why);
}

int set_resolve(struct imap_session *s, const struct seqset *set, bool by_uid,
		struct store_set *ret, struct fail *why)
{
	if (set->saved)
		return resolve_saved(s, ret, why);
	struct store_range *ranges = arena_array(&s->run.arena, struct store_range, set->n);
	if (!ranges)
		return fail_set(why, FAIL_LIMIT, "Too large a set.", "arena full, %zu ranges",
				set->n);
	for (size_t i = 0; i < set->n; i++)
		ranges[i] = (struct store_range){set->r[i].first, set->r[i].last};
	return store_view_resolve(s->view, ranges, set->n, by_uid, &s->run.arena, ret, why);
}

static int grow(struct set_builder *b, struct fail *why)
{
	size_t cap = b->cap ? b->cap * 2 : 16;
	struct store_run *runs = arena_array(b->arena, struct store_run, cap);
	if (!runs)
		return fail_set(why, FAIL_LIMIT, "Too many messages.", "arena full, %zu runs", cap);
	if (b->set.n)
		memcpy(runs, b->set.runs, b->set.n * sizeof *runs);
	b->set.runs = runs;
	b->cap = cap;
	return 0;
}

int set_builder_add(struct set_builder *b, uint32_t seq, struct uid uid, struct fail *why)
{
	struct store_run *last = b->set.n ? &b->set.runs[b->set.n - 1] : NULL;
	if (last && last->seq + last->count == seq) {
		last->count++;
		last->last = uid;
		b->set.count++;
		return 0;
	}
	if (b->set.n == b->cap) {
		int r = grow(b, why);
		if (r < 0)
			return r;
	}
	b->set.runs[b->set.n++] = (struct store_run){seq, 1, uid, uid};
	b->set.count++;
	return 0;
}

int set_slice(struct imap_session *s, struct store_set *set, uint32_t skip, uint32_t n,
	      struct fail *why)
{
	struct store_set kept = {.runs = set->runs, .count = n};
	int r = 0;
	for (size_t i = 0; r == 0 && i < set->n && n > 0; i++) {
		struct store_run run = set->runs[i];
		uint32_t here = MIN(skip, run.count);
		skip -= here;
		run.seq += here;
		run.count = MIN(run.count - here, n);
		if (run.count == 0)
			continue;
		n -= run.count;
		if (here)
			r = store_view_uid(s->view, run.seq, &run.first, why);
		if (r == 0 && run.seq + run.count < set->runs[i].seq + set->runs[i].count)
			r = store_view_uid(s->view, run.seq + run.count - 1, &run.last, why);
		kept.runs[kept.n++] = run;
	}
	*set = kept;
	return r;
}

bool set_has(const struct store_set *set, uint32_t seq)
{
	size_t low = 0, high = set->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct store_run *run = &set->runs[mid];
		if (seq < run->seq)
			high = mid;
		else if (seq - run->seq >= run->count)
			low = mid + 1;
		else
			return true;
	}
	return false;
}

struct store_flagset flagset_of(const struct imap_flags *flags)
{
	return (struct store_flagset){flags->bits & STORE_SYSTEM_FLAGS, flags->keyword,
				      flags->keyword_count};
}

int quota_get(struct imap_session *s, struct store_quota *ret, struct fail *why)
{
	*ret = (struct store_quota){0};
	return s->hooks.quota ? s->hooks.quota(s->hooks.arg, ret, why) : 0;
}

static const struct {
	uint32_t imap;
	unsigned store;
} uses[] = {
	{IMAP_USE_ALL, STORE_USE_ALL},	     {IMAP_USE_ARCHIVE, STORE_USE_ARCHIVE},
	{IMAP_USE_DRAFTS, STORE_USE_DRAFTS}, {IMAP_USE_FLAGGED, STORE_USE_FLAGGED},
	{IMAP_USE_JUNK, STORE_USE_JUNK},     {IMAP_USE_SENT, STORE_USE_SENT},
	{IMAP_USE_TRASH, STORE_USE_TRASH},
};

uint32_t use_to_imap(unsigned use)
{
	uint32_t bits = 0;
	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		if (use & uses[i].store)
			bits |= uses[i].imap;
	return bits;
}

unsigned use_to_store(uint32_t use)
{
	unsigned bits = 0;
	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		if (use & uses[i].imap)
			bits |= uses[i].store;
	return bits;
}

#define COMPONENT_MAX 255

/*
 * Beyond what the store asks of a name: '*' and '%' could not be listed by their own name
 * (RFC 3501 5.1.1), and 255 bytes is what a level may have when mail is exported to files.
 */
int mailbox_name_check(const struct imap_session *s, struct str name, struct fail *why)
{
	struct str rest = name, level;
	if (str_ends(rest, STR("/")))
		rest.n--;
	if (str_find(name, 0, '*') < name.n || str_find(name, 0, '%') < name.n)
		return fail_set(why, FAIL_UNSUPPORTED, "A mailbox name cannot hold * or %.",
				"name=%.*s", STR_ARG(name));
	if (rest.n == 0)
		return fail_set(why, FAIL_UNSUPPORTED, "A mailbox needs a name.", "empty name");
	/* RFC 9051 5.1: 8-bit names are Net-Unicode. In modified UTF-7 clients have always sent
	 * what they liked. */
	if ((session_syntax(s) & IMAP_SYNTAX_UTF8) && !charset_is_nfc(name))
		return fail_set(why, FAIL_UNSUPPORTED,
				"A mailbox name has to be in Unicode normalization form C.",
				"name=%.*s", STR_ARG(name));
	if (rest.n > STORE_NAME_MAX)
		return fail_set(why, FAIL_LIMIT, "The mailbox name is too long.", "%zu bytes",
				rest.n);
	while (str_cut(&rest, IMAP_SEPARATOR, &level)) {
		if (level.n == 0)
			return fail_set(why, FAIL_UNSUPPORTED,
					"A level of a mailbox name cannot be empty.", "name=%.*s",
					STR_ARG(name));
		if (level.n > COMPONENT_MAX)
			return fail_set(why, FAIL_LIMIT, "A level of the mailbox name is too long.",
					"%zu bytes", level.n);
	}
	return 0;
}

void session_deselect(struct imap_session *s)
{
	store_view_close(s->view);
	s->view = NULL;
	s->rights_known = false;
	buf_clear(&s->saved);
	contexts_clear(s);
}
