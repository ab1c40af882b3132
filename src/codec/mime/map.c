/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/map.h"
#include "base/fail.h"
#include "base/num.h"
#include "base/utf8.h"

/* --- sections ---------------------------------------------------------------------------- */

static const struct mime_part *child_find(const struct mime_map *map, const struct mime_part *p,
					  uint32_t k)
{
	uint32_t c = (uint32_t)(p - map->parts) + 1;
	for (; c < p->end; c = map->parts[c].end)
		if (--k == 0)
			return &map->parts[c];
	return NULL;
}

/*
 * RFC 3501 6.4.5: numbers index the parts of a multipart; a message that is no multipart has the
 * one part 1, its body; behind a message part they go on inside the message.
 */
const struct mime_part *mime_map_part(const struct mime_map *map, const uint32_t *path, size_t n)
{
	const struct mime_part *p = &map->parts[0];
	bool message = true; /* p stands for a message, not yet for its body */
	for (size_t i = 0; i < n; i++) {
		if (path[i] == 0)
			return NULL;
		if (!message && p->flags & MIME_PART_MESSAGE) {
			p++; /* its only child */
			message = true;
		}
		if (p->flags & MIME_PART_MULTIPART)
			p = child_find(map, p, path[i]);
		else if (!message || path[i] != 1)
			return NULL;
		if (!p)
			return NULL;
		message = false;
	}
	return p;
}

int mime_map_section(const struct mime_map *map, const uint32_t *path, size_t n,
		     enum mime_section kind, struct mime_range *ret)
{
	const struct mime_part *p = mime_map_part(map, path, n);
	if (!p)
		return -FAIL_NOTFOUND;
	struct mime_range header = {p->header_off, p->header_len};
	struct mime_range body = {p->body_off, p->body_len};
	if (kind == MIME_SECTION_ALL) {
		*ret = n == 0 ? (struct mime_range){0, map->size} : body;
		return 0;
	}
	if (kind == MIME_SECTION_MIME) {
		*ret = header;
		return n == 0 ? -FAIL_NOTFOUND : 0;
	}
	if (n > 0) {
		if (!(p->flags & MIME_PART_MESSAGE))
			return -FAIL_NOTFOUND;
		p = p + 1;
		header = (struct mime_range){p->header_off, p->header_len};
		body = (struct mime_range){p->body_off, p->body_len};
	}
	*ret = kind == MIME_SECTION_HEADER ? header : body;
	return 0;
}

const struct mime_field *mime_map_field(const struct mime_map *map, struct str name, uint32_t *at)
{
	while (*at < map->n_fields) {
		const struct mime_field *f = &map->fields[(*at)++];
		if (str_eqi(f->name, name))
			return f;
	}
	return NULL;
}

/* --- rendered text ----------------------------------------------------------------------- */

/* What needs no look inside a quoted string: neither its end, nor an escape, nor forbidden. */
static bool is_plain(unsigned char b)
{
	return b < 0x80 && b != '"' && b != '\\' && b != '\0' && b != '\r' && b != '\n';
}

static bool quoted_ok(struct cursor *c)
{
	while (c->p < c->end) {
		if (is_plain(*c->p)) {
			c->p++;
			continue;
		}
		unsigned char b = *c->p++;
		if (b == '"')
			return true;
		if (b == '\\' && (c->p == c->end || (*c->p != '"' && *c->p != '\\')))
			return false;
		c->p += b == '\\';
		if (b == '\0' || b == '\r' || b == '\n' || b >= 0x80)
			return false;
	}
	return false;
}

/* "{n}" CRLF and n bytes without NUL; the cursor is behind the brace. */
static bool literal_ok(struct cursor *c)
{
	struct str rest = str_make((const char *)c->p, cursor_left(c));
	size_t close = str_find(str_sub(rest, 0, 20), 0, '}');
	uint64_t n;
	if (!num_parse_u64(str_sub(rest, 0, close), &n) ||
	    !str_starts(str_skip(rest, close), STR("}\r\n")))
		return false;
	rest = str_skip(rest, close + 3);
	if (n > rest.n || (n > 0 && memchr(rest.p, '\0', n)))
		return false;
	c->p = (const unsigned char *)rest.p + n;
	return true;
}

static bool atom_ok(struct cursor *c)
{
	const unsigned char *from = c->p;
	while (c->p < c->end && ascii_digit((char)*c->p))
		c->p++;
	if (c->p > from)
		return true;
	bool nil = cursor_left(c) >= 3 && memcmp(c->p, "NIL", 3) == 0;
	c->p += nil ? 3 : 0;
	return nil;
}

bool mime_map_text_ok(struct str text)
{
	struct cursor c = cursor_of(text);
	size_t depth = 0;
	if (text.n == 0 || text.p[0] != '(')
		return false;
	while (c.p < c.end) {
		unsigned char b = *c.p++;
		if (b == '(' && ++depth > 4 * MIME_MAP_DEPTH_MAX)
			return false;
		if (b == ')' && --depth == 0)
			return c.p == c.end;
		if (b == '(' || b == ')' || b == ' ')
			continue;
		c.p -= b != '"' && b != '{';
		if (!(b == '"' ? quoted_ok(&c) : b == '{' ? literal_ok(&c) : atom_ok(&c)))
			return false;
	}
	return false;
}

/* --- binary form ------------------------------------------------------------------------- */

#define MAP_MAGIC   'M'
#define MAP_VERSION 2 /* 1 has no preview */
#define PREVIEW_MAX 1024

/* Of a part. */
#define PART_NUMBERS 8
#define PART_STRINGS 4

static void put_num(struct buf *out, uint64_t v)
{
	while (v >= 0x80) {
		(void)buf_put_u8(out, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	(void)buf_put_u8(out, (uint8_t)v);
}

static void put_str(struct buf *out, struct str s)
{
	put_num(out, s.n);
	(void)buf_add(out, s);
}

/* Small absolute values are short: 0, -1, 1, -2, ... */
static void put_signed(struct buf *out, int64_t v)
{
	put_num(out, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

/* The strings of a map in their order in the binary form. */
#define MAP_TEXTS   3
#define MAP_STRINGS 18
static void strings_of(struct mime_map *m, struct str *ret[MAP_STRINGS])
{
	struct str *all[MAP_STRINGS] = {
		&m->envelope,
		&m->body,
		&m->bodystructure,
		&m->subject,
		&m->from,
		&m->sender,
		&m->to,
		&m->cc,
		&m->bcc,
		&m->message_id,
		&m->in_reply_to,
		&m->references,
		&m->first_from.mailbox,
		&m->first_from.display,
		&m->first_to.mailbox,
		&m->first_to.display,
		&m->first_cc.mailbox,
		&m->first_cc.display,
	};
	memcpy(ret, all, sizeof all);
}

int mime_map_write(const struct mime_map *map, struct buf *out)
{
	struct mime_map copy = *map;
	struct str *strings[MAP_STRINGS];
	uint64_t field_end = 0;
	(void)buf_put_u8(out, MAP_MAGIC);
	(void)buf_put_u8(out, MAP_VERSION);
	put_num(out, map->flags);
	put_num(out, map->size);
	put_num(out, map->lines);
	put_signed(out, map->sent.v);
	put_signed(out, map->zone_min);
	put_num(out, map->n_parts);
	for (uint32_t i = 0; i < map->n_parts; i++) {
		const struct mime_part *p = &map->parts[i];
		uint64_t base = i == 0 ? 0 : map->parts[p->parent].body_off;
		put_num(out, i == 0 ? 0 : i - p->parent);
		put_num(out, p->flags);
		put_num(out, p->header_off - base);
		put_num(out, p->header_len);
		put_num(out, p->body_len);
		put_num(out, p->lines);
		put_num(out, p->encoding);
		put_num(out, p->disposition);
		put_str(out, p->type);
		put_str(out, p->subtype);
		put_str(out, p->charset);
		put_str(out, p->filename);
	}
	put_num(out, map->n_fields);
	for (uint32_t i = 0; i < map->n_fields; i++) {
		put_num(out, map->fields[i].off - field_end);
		put_num(out, map->fields[i].len);
		put_str(out, map->fields[i].name);
		field_end = map->fields[i].off + map->fields[i].len;
	}
	strings_of(&copy, strings);
	for (size_t i = 0; i < MAP_STRINGS; i++)
		put_str(out, *strings[i]);
	put_num(out, map->has_preview ? map->preview.n + 1 : 0);
	if (map->has_preview)
		(void)buf_add(out, map->preview);
	return out->failed ? -FAIL_LIMIT : 0;
}

static uint64_t get_num(struct cursor *c)
{
	uint64_t v = 0;
	if (c->p < c->end && *c->p < 0x80) /* most are */
		return *c->p++;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = cursor_u8(c);
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return v;
	}
	c->bad = true;
	return 0;
}

/* A number of at most max. */
static uint64_t get_max(struct cursor *c, uint64_t max)
{
	uint64_t v = get_num(c);
	if (v > max)
		c->bad = true;
	return c->bad ? 0 : v;
}

static int64_t get_signed(struct cursor *c)
{
	uint64_t v = get_num(c);
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static struct str get_str(struct cursor *c)
{
	size_t n = (size_t)get_max(c, cursor_left(c));
	return cursor_bytes(c, n);
}

static bool text_valid(struct str s)
{
	return utf8_valid(s) && (s.n == 0 || !memchr(s.p, '\0', s.n));
}

static bool name_valid(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 32 || s.p[i] >= 127 || s.p[i] == ':')
			return false;
	return s.n > 0;
}

/*
 * Attach part i to the tree: its parent must be open, which is the part before it or an
 * ancestor of that. Gives the offset that the part may begin at and the one it must end at.
 */
static bool part_attach(struct mime_part *parts, uint32_t i, uint64_t *ret_from, uint64_t *ret_to)
{
	struct mime_part *p = &parts[i];
	struct mime_part *parent = &parts[p->parent];
	bool message = parent->flags & MIME_PART_MESSAGE;
	uint32_t at = i - 1;
	*ret_from = parent->body_off;
	*ret_to = parent->body_off + parent->body_len;
	while (at != p->parent) {
		*ret_from = parts[at].body_off + parts[at].body_len;
		parts[at].end = i;
		at = parts[at].parent;
		if (at == MIME_NO_PARENT)
			return false;
	}
	parent->children++;
	if (!(parent->flags & (MIME_PART_MESSAGE | MIME_PART_MULTIPART)) ||
	    (message && parent->children > 1))
		return false;
	return message == (bool)(p->flags & MIME_PART_IS_MESSAGE) &&
	       (!message || p->header_off == *ret_from);
}

static bool part_flags_ok(uint32_t i, uint32_t flags)
{
	uint32_t kinds = flags & (MIME_PART_MULTIPART | MIME_PART_MESSAGE | MIME_PART_TEXT |
				  MIME_PART_OPAQUE);
	return (kinds & (kinds - 1)) == 0 && (i > 0 || flags & MIME_PART_IS_MESSAGE);
}

static bool part_read(struct cursor *c, struct mime_map *map, uint32_t i)
{
	struct mime_part *p = &map->parts[i];
	uint64_t back = get_max(c, i);
	uint64_t from = 0;
	uint64_t to = map->size;
	p->parent = i == 0 ? MIME_NO_PARENT : i - (uint32_t)back;
	p->flags = (uint32_t)get_max(c, MIME_PART_FLAGS_ALL);
	uint64_t off = get_max(c, map->size);
	p->header_len = get_max(c, map->size);
	p->body_len = get_max(c, map->size);
	p->lines = get_max(c, p->body_len);
	p->encoding = (enum mime_encoding)get_max(c, MIME_ENC_COUNT - 1);
	p->disposition = (enum mime_disposition)get_max(c, MIME_DISP_COUNT - 1);
	p->type = get_str(c);
	p->subtype = get_str(c);
	p->charset = get_str(c);
	p->filename = get_str(c);
	if (c->bad || (i > 0) != (back > 0) || !text_valid(p->filename) ||
	    !part_flags_ok(i, p->flags))
		return false;
	/* Each term is at most size, which is below 2^62: no sum overflows. */
	p->header_off = (i > 0 ? map->parts[p->parent].body_off : 0) + off;
	p->body_off = p->header_off + p->header_len;
	if (i > 0 && !part_attach(map->parts, i, &from, &to))
		return false;
	uint64_t end = p->body_off + p->body_len;
	return p->header_off >= from && end <= to && (i > 0 || (off == 0 && end == map->size));
}

static bool parts_finish(struct mime_map *map)
{
	for (uint32_t i = 0; i < map->n_parts; i++) {
		struct mime_part *p = &map->parts[i];
		if (p->end == 0)
			p->end = map->n_parts;
		if (p->flags & MIME_PART_MESSAGE && p->children != 1)
			return false;
	}
	return true;
}

static bool fields_read(struct cursor *c, struct mime_map *map)
{
	uint64_t end = 0;
	for (uint32_t i = 0; i < map->n_fields; i++) {
		struct mime_field *f = &map->fields[i];
		uint64_t room = map->parts[0].header_len - end;
		uint64_t gap = get_max(c, room);
		f->off = end + gap;
		f->len = get_max(c, room - gap);
		f->name = get_str(c);
		if (c->bad || !name_valid(f->name))
			return false;
		end = f->off + f->len;
	}
	return true;
}

static bool strings_read(struct cursor *c, struct mime_map *map)
{
	struct str *strings[MAP_STRINGS];
	strings_of(map, strings);
	for (size_t i = 0; i < MAP_STRINGS; i++) {
		*strings[i] = get_str(c);
		if (c->bad ||
		    !(i < MAP_TEXTS ? mime_map_text_ok(*strings[i]) : text_valid(*strings[i])))
			return false;
	}
	return true;
}

static bool preview_read(struct cursor *c, struct mime_map *map)
{
	size_t n = (size_t)get_max(c, PREVIEW_MAX + 1);
	map->has_preview = n > 0;
	map->preview = n > 1 ? cursor_bytes(c, n - 1) : STR("");
	return !c->bad && text_valid(map->preview);
}

/* --- one text ------------------------------------------------------------------------------ */

/* As get_num, without the numbers. */
static void skip_nums(struct cursor *c, uint64_t n)
{
	while (n > 0 && c->p < c->end)
		n -= *c->p++ < 0x80;
	c->bad |= n > 0;
}

static void skip_strs(struct cursor *c, unsigned n)
{
	while (n-- > 0 && !c->bad)
		(void)get_str(c);
}

/* Behind the head up to the texts. */
static void skip_to_texts(struct cursor *c)
{
	uint64_t parts = get_max(c, MIN(cursor_left(c), MIME_MAP_PARTS_MAX));
	for (uint64_t i = 0; i < parts && !c->bad; i++) {
		skip_nums(c, PART_NUMBERS);
		skip_strs(c, PART_STRINGS);
	}
	uint64_t fields = get_max(c, MIN(cursor_left(c), MIME_MAP_FIELDS_MAX));
	for (uint64_t i = 0; i < fields && !c->bad; i++) {
		skip_nums(c, 2);
		skip_strs(c, 1);
	}
}

int mime_map_text(struct str in, uint64_t size, enum mime_text which, struct str *ret,
		  struct fail *why)
{
	struct cursor c = cursor_of(in);
	bool ok = cursor_u8(&c) == MAP_MAGIC;
	uint8_t version = cursor_u8(&c);
	if (!ok || version == 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "not a message map");
	if (version > MAP_VERSION)
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "message map of version %u", version);
	skip_nums(&c, 1);
	uint64_t of_size = get_num(&c);
	skip_nums(&c, 3);
	skip_to_texts(&c);
	skip_strs(&c, which);
	struct str text = get_str(&c);
	if (c.bad || of_size != size || !mime_map_text_ok(text))
		return fail_set(why, FAIL_CORRUPT, NULL, "message map of %zu bytes: text %d", in.n,
				(int)which);
	*ret = text;
	return 0;
}

int mime_map_read(struct str in, uint64_t size, struct arena *arena, struct mime_map **ret,
		  struct fail *why)
{
	struct cursor c = cursor_of(in);
	struct mime_map *map = arena_new(arena, struct mime_map);
	bool ok = cursor_u8(&c) == MAP_MAGIC;
	uint8_t version = cursor_u8(&c);
	if (!map)
		return fail_set(why, FAIL_LIMIT, NULL, "no room for a message map");
	if (!ok || version == 0 || size > UINT64_MAX / 4)
		return fail_set(why, FAIL_CORRUPT, NULL, "not a message map");
	if (version > MAP_VERSION)
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "message map of version %u", version);
	map->flags = (uint32_t)get_max(&c, MIME_FLAGS_ALL);
	map->size = get_num(&c);
	map->lines = get_max(&c, map->size);
	map->sent.v = get_signed(&c);
	int64_t zone = get_signed(&c);
	map->zone_min = (int)zone;
	map->n_parts = (uint32_t)get_max(&c, MIN(cursor_left(&c), MIME_MAP_PARTS_MAX));
	if (c.bad || map->n_parts == 0 || map->size != size || zone < -24 * 60 || zone > 24 * 60)
		return fail_set(why, FAIL_CORRUPT, NULL, "message map of %zu bytes: head", in.n);
	map->parts = arena_array(arena, struct mime_part, map->n_parts);
	if (!map->parts)
		return fail_set(why, FAIL_LIMIT, NULL, "no room for a message map");
	for (uint32_t i = 0; i < map->n_parts; i++)
		if (!part_read(&c, map, i))
			return fail_set(why, FAIL_CORRUPT, NULL, "message map: part %u", i);
	map->n_fields = (uint32_t)get_max(&c, MIN(cursor_left(&c), MIME_MAP_FIELDS_MAX));
	map->fields = arena_array(arena, struct mime_field, MAX(map->n_fields, 1));
	if (!map->fields)
		return fail_set(why, FAIL_LIMIT, NULL, "no room for a message map");
	if (!parts_finish(map) || !fields_read(&c, map) || !strings_read(&c, map) ||
	    (version > 1 && !preview_read(&c, map)) || cursor_left(&c) > 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "message map of %zu bytes", in.n);
	*ret = map;
	return 0;
}
