/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.c - what the index keeps of one message.
 *
 * The grams of all that SEARCH may look at: the fields as the map has them decoded, the prefix raw
 * and by fields, and every text of the message (codec/mime/text.h). No MIME parser runs here: where
 * the parts lie is in the map of scan.
 */
#include "base/check.h"
#include "codec/mime/header.h"
#include "service/search/search_int.h"
#include <unistd.h>

#define MAP_ARENA MIB(16)

_Static_assert(GRAMS_MAX <= FILTER_GRAMS_MAX, "every text that is not full has a filter");
_Static_assert(TEXT_IN_HEADER == 0 && TEXT_IN_BODY == 1, "places are these");

struct signing {
	struct grams *grams; /* PLACES of them */
	struct grams *now;
	uint64_t bytes;
	bool all[PLACES]; /* not everything was looked at */
};

static void begin(void *ctx, enum text_place place)
{
	struct signing *s = ctx;
	s->now = &s->grams[place];
	grams_begin(s->now);
}

static bool take(void *ctx, struct str utf8)
{
	struct signing *s = ctx;
	s->bytes += utf8.n;
	if (s->bytes > TEXT_BYTES_MAX) {
		s->all[0] = s->all[1] = true;
		return true;
	}
	grams_add(s->now, utf8);
	return s->grams[0].full && s->grams[1].full;
}

static int64_t read_source(void *ctx, uint64_t off, char *to, size_t n)
{
	const struct store_source *src = ctx;
	if (off >= src->size)
		return -FAIL_CORRUPT;
	n = (size_t)MIN(n, src->size - off);
	if (src->fd < 0) {
		memcpy(to, src->bytes.p + off, n);
		return (int64_t)n;
	}
	ssize_t got = pread(src->fd, to, n, (off_t)(src->offset + off));
	return got > 0 ? got : -FAIL_IO;
}

static void take_prefix(struct signing *s, struct str prefix, const struct text_sink *sink)
{
	struct header_field f;
	struct str rest = prefix;
	begin(s, TEXT_IN_HEADER);
	(void)take(s, prefix);
	while (header_next(&rest, &f))
		(void)text_field_each(&f, true, TEXT_IN_HEADER, sink);
}

static void take_known(struct signing *s, const struct mime_map *m)
{
	const struct str known[] = {m->subject, m->from,       m->sender,      m->to,	     m->cc,
				    m->bcc,	m->message_id, m->in_reply_to, m->references};
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		begin(s, TEXT_IN_HEADER);
		(void)take(s, known[i]);
	}
}

static void collect(struct signing *s, const struct store_text *m)
{
	AUTO(arena) struct arena a = ARENA_INIT(MAP_ARENA);
	struct store_source body = m->body;
	struct text_source source = {read_source, &body};
	struct text_sink sink = {begin, take, s};
	struct mime_map *map = NULL;
	int r = m->unreadable ? -FAIL_CORRUPT : mime_map_read(m->map, m->body.size, &a, &map, NULL);
	if (r == 0) {
		take_prefix(s, m->prefix, &sink);
		take_known(s, map);
		r = text_each(&source, map, TEXT_ALL, &sink);
		s->all[TEXT_IN_HEADER] |= map->parts[0].header_len > TEXT_HEADER_MAX;
	}
	if (r < 0)
		s->all[0] = s->all[1] = true;
}

static uint8_t sig_of(const struct signing *s, unsigned place)
{
	const struct grams *g = &s->grams[place];
	if (s->all[place] || g->full)
		return SIG_ALL;
	return g->n == 0 ? SIG_EMPTY : (uint8_t)(SIG_CLASS + filter_class(g->n));
}

void sign_message(struct search *x, const struct store_text *m, bool poison, struct buf *out)
{
	struct signing s = {.grams = x->grams};
	struct tail_record r = {.id = m->id.v, .size = m->size};
	AUTO(buf) struct buf arrays = BUF_INIT(PLACES * filter_bits(FILTER_CLASSES - 1) / 8 + 16);
	if (poison)
		s.all[0] = s.all[1] = true;
	else
		collect(&s, m);
	for (unsigned place = 0; place < PLACES; place++) {
		r.sig[place] = sig_of(&s, place);
		size_t n = sig_bytes(r.sig[place]);
		char *to = n ? buf_room(&arrays, n) : NULL;
		if (!to)
			continue;
		memset(to, 0, n);
		filter_fill((uint8_t *)to, r.sig[place] - SIG_CLASS, x->grams[place].gram,
			    x->grams[place].n);
		buf_added(&arrays, n);
	}
	tail_record_put(out, &r, buf_str(&arrays));
	for (unsigned place = 0; place < PLACES; place++)
		grams_reset(&x->grams[place]);
}
