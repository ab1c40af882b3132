/* SPDX-License-Identifier: Apache-2.0 */
/* The message under a script: fields, parts and texts, read when somebody asks. */
#include "codec/mime/charset.h"
#include "codec/mime/header.h"
#include "codec/mime/transfer.h"
#include "codec/mime/word.h"
#include "codec/sieve/sieve_html.h"
#include "codec/sieve/sieve_vm.h"

#define FIELDS_MAX     10000
#define PART_HEAD_MAX  KIB(64)
#define FIELD_TEXT_MAX KIB(64)

static int push_field(struct sieve_vm *vm, struct sieve_fields *set, struct sieve_field f)
{
	if (set->n == set->cap) {
		size_t cap = set->cap ? set->cap * 2 : 32;
		struct sieve_field *more = arena_array(vm->arena, struct sieve_field, cap);
		if (!more)
			return sieve_full(vm);
		if (set->n)
			memcpy(more, set->p, set->n * sizeof *more);
		set->p = more;
		set->cap = cap;
	}
	set->p[set->n++] = f;
	return 0;
}

static int read_fields(struct sieve_vm *vm, struct str block, struct sieve_fields *set)
{
	struct header_field h;
	int r = sieve_spend(vm, block.n / 64);
	while (r == 0 && set->n < FIELDS_MAX && header_next(&block, &h))
		r = push_field(
			vm, set,
			(struct sieve_field){.name = h.name, .value = h.value, .whole = h.whole});
	return r;
}

int sieve_fields_get(struct sieve_vm *vm, struct sieve_fields **ret)
{
	struct sieve_state *s = vm->state;
	*ret = &s->fields;
	if (s->fields_read)
		return 0;
	s->fields_read = true;
	return read_fields(vm, vm->message->header, &s->fields);
}

int sieve_read(struct sieve_vm *vm, uint64_t off, uint64_t len, size_t max, struct str *ret)
{
	const struct text_source *s = &vm->message->source;
	size_t want = (size_t)MIN(len, (uint64_t)max), n = 0;
	char *to = arena_alloc(vm->arena, want + 1);
	if (!to)
		return sieve_full(vm);
	while (n < want) {
		int64_t got = s->read(s->ctx, off + n, to + n, want - n);
		if (got <= 0)
			return fail_set(vm->why, FAIL_IO, NULL, "reading the message: %lld",
					(long long)got);
		n += (size_t)got;
	}
	*ret = str_make(to, n);
	return sieve_spend(vm, n / 64);
}

int sieve_part_fields(struct sieve_vm *vm, uint32_t part, struct sieve_fields **ret)
{
	struct sieve_state *s = vm->state;
	const struct mime_map *map = vm->message->map;
	struct str block;
	if (part == 0)
		return sieve_fields_get(vm, ret);
	if (!s->part_fields) {
		s->part_fields = arena_array(vm->arena, struct sieve_fields, map->n_parts);
		s->part_read = arena_array(vm->arena, bool, map->n_parts);
		if (!s->part_fields || !s->part_read)
			return sieve_full(vm);
	}
	*ret = &s->part_fields[part];
	if (s->part_read[part])
		return 0;
	s->part_read[part] = true;
	const struct mime_part *p = &map->parts[part];
	int r = sieve_read(vm, p->header_off, p->header_len, PART_HEAD_MAX, &block);
	return r < 0 ? r : read_fields(vm, block, *ret);
}

int sieve_field_text(struct sieve_vm *vm, struct sieve_field *f, struct str *ret)
{
	if (!f->is_decoded) {
		struct str value = str_sub(f->value, 0, FIELD_TEXT_MAX);
		AUTO(buf) struct buf line = BUF_INIT(value.n * 3 + 16);
		AUTO(buf) struct buf text = BUF_INIT(value.n * 12 + 16);
		header_unfold(&line, value);
		word_decode(&text, buf_str(&line));
		f->decoded = arena_str(vm->arena, str_trim(buf_str(&text)));
		f->is_decoded = true;
		if (text.n && !f->decoded.p && str_trim(buf_str(&text)).n)
			return sieve_full(vm);
		if (!f->decoded.p)
			f->decoded = STR("");
	}
	*ret = f->decoded;
	return sieve_spend(vm, f->decoded.n / 64);
}

int sieve_fields_add(struct sieve_vm *vm, struct sieve_fields *set, struct str name,
		     struct str value, bool last)
{
	AUTO(buf) struct buf line = BUF_INIT(value.n * 3 + 16);
	AUTO(buf) struct buf raw = BUF_INIT(value.n * 12 + 256);
	header_unfold(&line, value);
	(void)word_encode(&raw, buf_str(&line), name.n + 2);
	struct str whole =
		arena_printf(vm->arena, "%.*s: %.*s\r\n", STR_ARG(name), STR_ARG(buf_str(&raw)));
	if (!whole.p || raw.failed)
		return sieve_full(vm);
	struct sieve_field f = {.name = str_sub(whole, 0, name.n),
				.value = str_sub(whole, name.n + 1, whole.n - 2),
				.whole = whole};
	int r = push_field(vm, set, f);
	if (r == 0 && !last) {
		memmove(&set->p[1], &set->p[0], (set->n - 1) * sizeof set->p[0]);
		set->p[0] = f;
	}
	return r;
}

int sieve_header_now(struct sieve_vm *vm, struct str *ret)
{
	struct sieve_state *s = vm->state;
	*ret = STR_NULL;
	if (!s->edited)
		return 0;
	if (!s->edited_header.p) {
		AUTO(buf) struct buf b = BUF_INIT(MIB(16));
		for (size_t i = 0; i < s->fields.n; i++) {
			(void)buf_add(&b, s->fields.p[i].whole);
			if (!str_ends(s->fields.p[i].whole, STR("\n")))
				(void)buf_add(&b, STR("\r\n"));
		}
		(void)buf_add(&b, STR("\r\n"));
		s->edited_header = arena_str(vm->arena, buf_str(&b));
		if (b.failed || !s->edited_header.p)
			return sieve_full(vm);
	}
	*ret = s->edited_header;
	return 0;
}

bool sieve_part_is_text(const struct mime_part *p)
{
	bool xhtml = str_eq(p->type, STR("application")) && str_eq(p->subtype, STR("xhtml+xml"));
	return (p->flags & MIME_PART_TEXT || xhtml) && p->encoding != MIME_ENC_OTHER;
}

static int decode(struct sieve_vm *vm, const struct mime_part *p, bool plain, struct str raw,
		  struct str *ret)
{
	AUTO(buf) struct buf bytes = BUF_INIT(raw.n + 1024);
	AUTO(buf) struct buf text = BUF_INIT(vm->limits.body_bytes * 2);
	AUTO(buf) struct buf words = BUF_INIT(vm->limits.body_bytes * 2);
	struct transfer t = transfer_of(p->encoding);
	transfer_decode(&t, raw, &bytes);
	transfer_decode_end(&t, &bytes);
	struct str s = buf_str(&bytes);
	bool html = str_eq(p->subtype, STR("html")) || str_eq(p->subtype, STR("xhtml+xml"));
	if (sieve_part_is_text(p)) {
		charset_to_utf8(&text, p->charset, s);
		s = buf_str(&text);
	}
	if (plain && html) {
		sieve_html_words(&words, s);
		s = buf_str(&words);
	}
	*ret = arena_str(vm->arena, s);
	if (s.n && !ret->p)
		return sieve_full(vm);
	return sieve_spend(vm, s.n / 64);
}

int sieve_part_text(struct sieve_vm *vm, uint32_t part, bool plain, struct str *ret)
{
	struct sieve_state *s = vm->state;
	const struct mime_map *map = vm->message->map;
	struct str raw;
	if (!s->part_text)
		s->part_text = arena_array(vm->arena, struct str, (size_t)map->n_parts * 2);
	if (!s->part_text)
		return sieve_full(vm);
	struct str *known = &s->part_text[(size_t)part * 2 + plain];
	if (!known->p) {
		const struct mime_part *p = &map->parts[part];
		int r = sieve_read(vm, p->body_off, p->body_len, vm->limits.body_bytes, &raw);
		r = r < 0 ? r : decode(vm, p, plain, raw, known);
		if (r < 0)
			return r;
		if (!known->p)
			*known = STR("");
	}
	*ret = *known;
	return 0;
}

bool sieve_address_part(struct sieve_vm *vm, uint8_t part, struct str local, struct str domain,
			struct str all, struct str *ret)
{
	char delimiter = vm->host->delimiter ? vm->host->delimiter : '+';
	size_t at = str_find(local, 0, delimiter);
	switch (part) {
	case PART_LOCAL:
		*ret = local;
		return true;
	case PART_DOMAIN:
		*ret = domain;
		return true;
	case PART_USER:
		*ret = str_sub(local, 0, at);
		return true;
	case PART_DETAIL:
		*ret = str_skip(local, at + 1);
		return at < local.n;
	default:
		*ret = all;
		return true;
	}
}
