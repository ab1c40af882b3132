/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_text.c - the search keys HEADER, BODY and TEXT (RFC 3501 6.4.4).      [proto, imap]
 *
 * The message map answers for the fields that it holds decoded, and for fields that are not there;
 * everything else is looked for in the bytes (codec/mime/text.h). The prefix is header, too.
 */
#include "codec/mime/text.h"
#include "proto/imap/search_int.h"
#include "sys/fs.h"

/* The decoded text of a field that the map holds; NULL when it holds none of this name. */
static const struct str *text_of_field(const struct mime_map *map, struct str name)
{
	const struct {
		const char *name;
		const struct str *text;
	} known[] = {
		{"subject", &map->subject},
		{"from", &map->from},
		{"sender", &map->sender},
		{"to", &map->to},
		{"cc", &map->cc},
		{"bcc", &map->bcc},
		{"message-id", &map->message_id},
		{"in-reply-to", &map->in_reply_to},
		{"references", &map->references},
	};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eqi(name, str_c(known[i].name)))
			return known[i].text;
	return NULL;
}

enum field_known search_known_field(const struct mime_map *map, struct str name, struct str *ret)
{
	const struct str *text = text_of_field(map, name);
	uint32_t at = 0;
	if (map->flags & (MIME_CUT_HEADER | MIME_CUT_TEXT))
		return FIELD_UNKNOWN;
	if (!mime_map_field(map, name, &at))
		return FIELD_ABSENT;
	if (!text)
		return FIELD_THERE;
	*ret = *text;
	return FIELD_HERE;
}

static enum search_verdict header_by_map(const struct mime_map *map,
					 const struct imap_search_key *key,
					 const struct text_needle *needle)
{
	struct str text;
	enum field_known known = search_known_field(map, key->field, &text);
	if (known == FIELD_ABSENT)
		return SEARCH_NO;
	if (known != FIELD_UNKNOWN && key->text.n == 0)
		return SEARCH_YES;
	if (known != FIELD_HERE)
		return SEARCH_OPEN;
	return text_contains(needle, text) ? SEARCH_YES : SEARCH_NO;
}

static int search_header(struct msg *m, const struct imap_search_key *key,
			 const struct text_needle *needle, enum search_level level,
			 enum search_verdict *ret, struct fail *why)
{
	struct str header;
	if (text_header_contains(m->row->prefix, key->field, needle)) {
		*ret = SEARCH_YES;
		return 0;
	}
	*ret = header_by_map(m->map, key, needle);
	if (*ret != SEARCH_OPEN || level == SEARCH_ROW)
		return 0;
	int r = msg_load(m, 0, m->map->parts[0].header_len, &header, why);
	if (r < 0)
		return r;
	*ret = text_header_contains(header, key->field, needle) ? SEARCH_YES : SEARCH_NO;
	return 0;
}

int64_t search_read_body(void *ctx, uint64_t off, char *to, size_t n)
{
	struct search_reading *reading = ctx;
	n = MIN(n, reading->m->body.size - off);
	int r = msg_read(reading->m, off, n, to, reading->why);
	return r < 0 ? r : (int64_t)n;
}

static int search_body(struct msg *m, const struct imap_search_key *key,
		       const struct text_needle *needle, enum search_level level,
		       enum search_verdict *ret, struct fail *why)
{
	bool whole = key->op == IMAP_SEARCH_TEXT;
	struct search_reading reading = {m, why};
	struct text_source source = {search_read_body, &reading};
	*ret = SEARCH_OPEN;
	if (key->text.n == 0 || (whole && text_contains(needle, m->row->prefix))) {
		*ret = SEARCH_YES;
		return 0;
	}
	if (level == SEARCH_ROW)
		return 0;
	int r = msg_body(m, why);
	if (r == 0)
		r = text_search(&source, m->map, needle, whole ? TEXT_ALL : TEXT_BODY);
	if (r < 0)
		return r;
	*ret = r ? SEARCH_YES : SEARCH_NO;
	return 0;
}

int search_text(const struct search_tree *t, struct msg *m, const struct imap_search_key *key,
		enum search_level level, enum search_verdict *ret, struct fail *why)
{
	const struct text_needle *needle = map_get(&t->needles, (uintptr_t)key);
	int r = msg_map(m, why);
	if (r < 0)
		return r;
	if (!needle)
		return search_fuzzy(t, m, key, level, ret, why);
	if (key->op == IMAP_SEARCH_HEADER)
		return search_header(m, key, needle, level, ret, why);
	return search_body(m, key, needle, level, ret, why);
}
