/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines and states.
 *
 *   bytes ─▶ feed ─▶ body_skip      plain lines of a body: counted, never looked at again
 *                 └▶ line_feed ─▶ line_begin   the first LINE_HEAD bytes of a line decide what it
 * is └▶ line_rest    the rest of a longer line
 *
 * In state HEADER a line adds to the header block of the part `cur`; in state BODY it is nothing
 * or a delimiter. `cur` is the innermost part that is not closed; its ancestors are open too.
 * `levels` holds the multiparts among these whose close delimiter has not come yet.
 * When a limit on parts or output is reached the index is sealed: no delimiter counts any more.
 */
#include "codec/mime/index.h"
#include "base/check.h"
#include "base/vec.h"
#include "codec/mime/describe.h"
#include "codec/mime/header.h"

#define LINE_HEAD 2048 /* > BOUNDARY_MAX + "----" + blanks; longest field name */
#define LINE_SMTP 998

enum state { HEADER, BODY };

struct level {
	uint32_t part;
	uint64_t hash; /* of its boundary */
	size_t off;    /* the boundary in mime_index.boundaries */
	size_t n;
};

/* A place in the message. */
struct place {
	uint64_t off;
	uint64_t lines; /* LFs before it */
};

struct mime_index {
	struct mime_limits lim;
	struct mime_index_defaults defaults;
	struct arena *arena;
	struct arena scratch;
	struct describe describe;
	struct head head;
	struct mime_map map; /* what is known of it so far */

	VEC(struct render_part) parts;
	VEC(struct mime_field) fields;
	struct level levels[MIME_MAP_DEPTH_MAX];
	size_t n_levels;
	struct buf boundaries;

	enum state state;
	uint32_t cur;
	uint32_t flags;
	uint32_t block_fields; /* fields of this header block */
	size_t name_bytes;     /* of field names, for the output limit */
	size_t output;	       /* bytes that BODYSTRUCTURE will have */
	bool field_open;       /* the last of `fields` has no length yet */
	bool sealed;
	bool failed; /* the arena is full */

	struct place at;     /* next byte to be looked at */
	struct place line;   /* start of its line */
	unsigned line_break; /* bytes of the line break before `line` */
	unsigned char last;  /* byte before `at` */
	bool in_line;	     /* the head of the line has been looked at */
	struct buf carry;    /* a line's first bytes, when they came in pieces */
};

static struct mime_part *part_at(struct mime_index *ix, uint32_t i)
{
	return &ix->parts.p[i].part;
}

/* --- parts ------------------------------------------------------------------------------- */

static void part_open(struct mime_index *ix, uint32_t parent, uint64_t off)
{
	struct render_part *o = vec_push(&ix->parts);
	o->depth = parent == MIME_NO_PARENT ? 1 : ix->parts.p[parent].depth + 1;
	o->part.parent = parent;
	o->part.header_off = off;
	if (parent == MIME_NO_PARENT || part_at(ix, parent)->flags & MIME_PART_MESSAGE)
		o->part.flags = MIME_PART_IS_MESSAGE;
	if (parent != MIME_NO_PARENT)
		part_at(ix, parent)->children++;
	ix->cur = (uint32_t)ix->parts.n - 1;
	ix->state = HEADER;
	ix->block_fields = 0;
	head_reset(&ix->head);
}

static struct str without_blanks(struct str s)
{
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r' ||
			   s.p[s.n - 1] == '\n'))
		s.n--;
	return s;
}

static void level_push(struct mime_index *ix, struct str boundary)
{
	struct level *l = &ix->levels[ix->n_levels++];
	*l = (struct level){ix->cur, str_hash(boundary), ix->boundaries.n, boundary.n};
	(void)buf_add(&ix->boundaries, boundary);
}

/* Forget the boundaries of level n and those inside it. */
static void levels_cut(struct mime_index *ix, size_t n)
{
	if (n < ix->n_levels)
		buf_cut(&ix->boundaries, ix->levels[n].off);
	ix->n_levels = n;
}

static void field_close(struct mime_index *ix, uint64_t off)
{
	if (ix->field_open)
		ix->fields.p[ix->fields.n - 1].len = off - ix->fields.p[ix->fields.n - 1].off;
	ix->field_open = false;
	head_end(&ix->head);
}

static void message_describe(struct mime_index *ix, struct render_part *o)
{
	static const struct mime_index_defaults none;
	bool top = o->part.parent == MIME_NO_PARENT;
	size_t room = top ? ix->lim.output_bytes / 2 : ix->describe.room;
	struct str *envelope = top ? &ix->map.envelope : &o->text.envelope;
	bool cut = describe_envelope(ix->arena, &ix->head, top ? &ix->defaults : &none, room,
				     envelope);
	if (top)
		cut |= describe_message(ix->arena, &ix->head, &ix->defaults,
					ix->lim.output_bytes / 64, &ix->map);
	else
		ix->describe.room -= MIN(envelope->n, ix->describe.room);
	if (cut)
		ix->flags |= MIME_CUT_TEXT;
	ix->failed |= envelope->p == NULL;
}

/* What the header block of `cur` says goes into the part; the body begins at `body`. */
static enum describe_kind header_describe(struct mime_index *ix)
{
	struct render_part *o = &ix->parts.p[ix->cur];
	struct mime_part *p = &o->part;
	struct describe *d = &ix->describe;
	enum describe_kind kind;
	size_t spent = ix->output + DESCRIBE_LEAST;
	d->room = ix->lim.output_bytes - MIN(ix->lim.output_bytes, spent);
	size_t room = d->room;
	d->in_digest = p->parent != MIME_NO_PARENT &&
		       part_at(ix, p->parent)->flags & MIME_PART_MULTIPART &&
		       str_eq(part_at(ix, p->parent)->subtype, STR("digest"));
	bool parts_full = ix->parts.n >= ix->lim.parts;
	d->closed = ix->sealed || parts_full || o->depth >= ix->lim.depth;
	if (p->flags & MIME_PART_IS_MESSAGE)
		message_describe(ix, o);
	if (describe_part(d, &ix->head, p, &o->text, &kind) < 0) {
		ix->flags |= MIME_CUT_OUTPUT;
		ix->sealed = true;
	}
	/* Parentheses, spaces, and size and line count of up to ten digits. */
	ix->output += room - d->room + o->text.front.n + o->text.back.n + 24;
	if (d->closed && p->flags & MIME_PART_OPAQUE && !ix->sealed)
		ix->flags |= parts_full ? MIME_CUT_PARTS : MIME_CUT_DEPTH;
	ix->failed |= !o->text.front.p || !o->text.back.p || !p->type.p;
	return kind;
}

/* The header block of `cur` ends before `body`. Afterwards the state tells what comes there. */
static void header_end(struct mime_index *ix, struct place body)
{
	field_close(ix, body.off);
	if (ix->head.cut)
		ix->flags |= MIME_CUT_HEADER;
	ix->head.cut = false;
	enum describe_kind kind = header_describe(ix);
	struct render_part *o = &ix->parts.p[ix->cur];
	o->part.header_len = body.off - o->part.header_off;
	o->part.body_off = body.off;
	o->lines_before = body.lines;
	ix->state = BODY;
	if (kind == DESCRIBE_MULTIPART)
		level_push(ix, buf_str(&ix->describe.boundary));
	if (kind == DESCRIBE_MESSAGE)
		part_open(ix, ix->cur, body.off);
}

/*
 * Close `cur` and its ancestors up to, not including, `stop`. Their bodies end at `end`, but not
 * before their own start nor before the end of what they contain.
 */
static void parts_close(struct mime_index *ix, uint32_t stop, struct place end)
{
	while (ix->cur != stop) {
		struct render_part *o = &ix->parts.p[ix->cur];
		struct mime_part *p = &o->part;
		if (end.off < p->body_off)
			end = (struct place){p->body_off, o->lines_before};
		p->body_len = end.off - p->body_off;
		p->lines = end.lines - o->lines_before;
		p->end = (uint32_t)ix->parts.n;
		ix->cur = p->parent;
	}
}

/* A header block that meets a delimiter or the end of the message ends there. */
static void headers_end(struct mime_index *ix, struct place where)
{
	while (ix->state == HEADER) {
		ix->flags |= MIME_NO_BLANK_LINE;
		header_end(ix, where);
	}
}

/* --- lines ------------------------------------------------------------------------------- */

/*
 * Is the line a delimiter? Returns the number of the innermost level that it fits plus one, 0 when
 * none. RFC 2046 5.1.1: "--" boundary ["--"] and transport padding. Hashes keep a body of lines
 * that are nearly delimiters from costing a comparison per line and level.
 */
static size_t delimiter_match(const struct mime_index *ix, struct str head, bool *ret_close)
{
	if (ix->n_levels == 0 || !str_starts(head, STR("--")))
		return 0;
	struct str line = str_skip(without_blanks(head), 2);
	bool dashes = str_ends(line, STR("--")); /* which may also be part of a boundary */
	struct str inner = str_sub(line, 0, line.n - (dashes ? 2 : 0));
	uint64_t line_hash = str_hash(line);
	uint64_t inner_hash = dashes ? str_hash(inner) : line_hash;
	for (size_t i = ix->n_levels; i > 0; i--) {
		const struct level *l = &ix->levels[i - 1];
		if (l->hash != line_hash && l->hash != inner_hash)
			continue;
		struct str boundary = str_sub(buf_str(&ix->boundaries), l->off, l->off + l->n);
		*ret_close = dashes && str_eq(boundary, inner);
		if (*ret_close || str_eq(boundary, line))
			return i;
	}
	return 0;
}

/* The line at ix->line is a delimiter of level n-1 and ends before `next`. */
static bool delimiter_take(struct mime_index *ix, size_t n, bool close, struct place next)
{
	uint32_t multipart = ix->levels[n - 1].part;
	struct place end = ix->line;
	headers_end(ix, ix->line);
	if (!close && ix->parts.n >= ix->lim.parts) {
		ix->flags |= MIME_CUT_PARTS;
		ix->sealed = true;
	}
	if (ix->sealed)
		return false;
	end.off -= ix->line_break;
	end.lines -= ix->line_break > 0;
	if (n < ix->n_levels)
		ix->flags |= MIME_UNCLOSED;
	parts_close(ix, multipart, end);
	levels_cut(ix, close ? n - 1 : n);
	ix->state = BODY;
	if (!close)
		part_open(ix, multipart, next.off);
	return true;
}

static void field_begin(struct mime_index *ix, struct str head, size_t name_n)
{
	struct str name = str_sub(head, 0, name_n);
	field_close(ix, ix->line.off);
	if (++ix->block_fields > ix->lim.fields) {
		ix->flags |= MIME_CUT_HEADER;
		return;
	}
	head_begin(&ix->head, name);
	if (ix->cur != 0)
		return;
	ix->name_bytes += name.n;
	if (ix->name_bytes > ix->lim.output_bytes / 4) {
		ix->flags |= MIME_CUT_HEADER;
		return;
	}
	struct mime_field *f = vec_push(&ix->fields);
	f->name = arena_str(ix->arena, name);
	f->off = ix->line.off;
	ix->field_open = true;
	ix->failed |= f->name.p == NULL;
}

/* A line of a header block. False: it is not one, the block ended before it. */
static bool header_line(struct mime_index *ix, struct str line, struct str head, struct place next)
{
	size_t value;
	size_t name_n = header_name(head, &value);
	if (str_eq(line, STR("\r\n")) || str_eq(line, STR("\n"))) {
		field_close(ix, ix->line.off);
		header_end(ix, next);
	} else if (head.p[0] == ' ' || head.p[0] == '\t') {
		head_add(&ix->head, line);
	} else if (name_n > 0) {
		field_begin(ix, head, name_n);
		head_add(&ix->head, str_skip(line, value));
	} else if (part_at(ix, ix->cur)->flags & MIME_PART_IS_MESSAGE && ix->block_fields == 0 &&
		   (str_starts(head, STR("From ")) || str_starts(head, STR(">From ")))) {
		return true;
	} else {
		ix->flags |= MIME_NO_BLANK_LINE;
		header_end(ix, ix->line);
		return false;
	}
	return true;
}

/* Bytes that eight-byte steps see at once: any above 127? */
static bool has_8bit(struct str s)
{
	uint64_t all = 0;
	size_t i = 0;
	for (; i + 32 <= s.n; i += 32) {
		uint64_t w[4];
		memcpy(w, s.p + i, sizeof w);
		all |= (w[0] | w[1]) | (w[2] | w[3]);
	}
	for (; i < s.n; i++)
		all |= (uint64_t)(unsigned char)s.p[i];
	return all & UINT64_C(0x8080808080808080);
}

static void bytes_note(struct mime_index *ix, struct str s, bool header)
{
	uint32_t eight =
		(header ? MIME_HEADER_8BIT : 0) | (!header || ix->cur != 0 ? MIME_BODY_8BIT : 0);
	if ((ix->flags & eight) != eight && has_8bit(s))
		ix->flags |= eight;
	if (!(ix->flags & MIME_HAS_NUL) && s.n > 0 && memchr(s.p, '\0', s.n))
		ix->flags |= MIME_HAS_NUL;
}

/* Move behind these bytes, which end at the end of the line at the latest. */
static void bytes_pass(struct mime_index *ix, struct str s)
{
	bool ends = s.p[s.n - 1] == '\n';
	if (ends) {
		unsigned char before = s.n > 1 ? (unsigned char)s.p[s.n - 2] : ix->last;
		bool crlf = before == '\r' && ix->at.off + s.n - ix->line.off > 1;
		ix->line_break = crlf ? 2 : 1;
		if (!crlf)
			ix->flags |= MIME_BARE_LF;
	}
	ix->at.off += s.n;
	ix->at.lines += ends;
	ix->last = (unsigned char)s.p[s.n - 1];
	if (ends && ix->at.off - ix->line.off > LINE_SMTP + ix->line_break)
		ix->flags |= MIME_LONG_LINE;
	ix->in_line = !ends;
	if (ends)
		ix->line = ix->at;
}

/* The line at ix->line begins with these bytes: all of it, or at least LINE_HEAD. */
static void line_begin(struct mime_index *ix, struct str line)
{
	struct place next = {ix->at.off + line.n, ix->at.lines + (line.p[line.n - 1] == '\n')};
	struct str head = str_sub(line, 0, LINE_HEAD);
	bool delimiter = false;
	while (true) {
		bool close = false;
		/* A delimiter has to be seen whole. */
		size_t n = ix->sealed || line.n > LINE_HEAD ? 0 : delimiter_match(ix, head, &close);
		delimiter = n > 0 && delimiter_take(ix, n, close, next);
		if (delimiter || ix->state == BODY || header_line(ix, line, head, next))
			break;
	}
	bytes_note(ix, line, ix->state == HEADER && !delimiter);
	bytes_pass(ix, line);
}

static void line_rest(struct mime_index *ix, struct str piece)
{
	bytes_note(ix, piece, ix->state == HEADER);
	if (ix->state == HEADER)
		head_add(&ix->head, piece);
	bytes_pass(ix, piece);
}

/* Up to one line; returns how many bytes were used. */
static size_t line_feed(struct mime_index *ix, struct str s)
{
	size_t end = str_find(s, 0, '\n');
	struct str piece = str_sub(s, 0, end + 1);
	bool whole = end < s.n;
	if (ix->in_line) {
		line_rest(ix, piece);
		return piece.n;
	}
	if (ix->carry.n == 0 && (whole || piece.n > LINE_HEAD)) {
		line_begin(ix, piece);
		return piece.n;
	}
	piece = str_sub(piece, 0, LINE_HEAD + 1 - ix->carry.n);
	(void)buf_add(&ix->carry, piece);
	if (ix->carry.p[ix->carry.n - 1] == '\n' || ix->carry.n > LINE_HEAD) {
		line_begin(ix, buf_str(&ix->carry));
		buf_reset(&ix->carry);
	}
	return piece.n;
}

/*
 * Pass over the lines of a body that cannot be delimiters, and over the start of one that is not
 * complete. Returns how many bytes these were. This loop sees nearly all bytes of all mail.
 */
static size_t body_skip(struct mime_index *ix, struct str s)
{
	const char *p = s.p;
	const char *end = s.p + s.n;
	bool watch = ix->n_levels > 0 && !ix->sealed;
	uint64_t lines = 0;
	uint32_t flags = 0;
	while (p < end && !(watch && *p == '-')) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			break;
		bool crlf = nl > p && nl[-1] == '\r';
		flags |= crlf ? 0 : MIME_BARE_LF;
		flags |= nl - p > LINE_SMTP + crlf ? MIME_LONG_LINE : 0;
		ix->line_break = 1u + crlf;
		lines++;
		p = nl + 1;
	}
	size_t n = (size_t)(p - s.p);
	ix->flags |= flags;
	if (n > 0) {
		bytes_note(ix, str_sub(s, 0, n), false);
		ix->at.off += n;
		ix->at.lines += lines;
		ix->line = ix->at;
		ix->last = '\n';
	}
	if (p < end && !(watch && *p == '-')) {
		ix->in_line = true;
		line_rest(ix, str_skip(s, n));
		n = s.n;
	}
	return n;
}

/* --- interface --------------------------------------------------------------------------- */

struct mime_index *mime_index_new(const struct mime_limits *limits,
				  const struct mime_index_defaults *defaults, struct arena *arena)
{
	struct mime_index *ix = xcalloc(1, sizeof *ix);
	ix->lim = limits ? *limits : MIME_LIMITS_DEFAULT;
	ix->lim.depth = MIN(MAX(ix->lim.depth, 1), MIME_MAP_DEPTH_MAX);
	ix->lim.parts = MIN(MAX(ix->lim.parts, 1), MIME_MAP_PARTS_MAX);
	ix->lim.fields = MIN(ix->lim.fields, MIME_MAP_FIELDS_MAX);
	ix->arena = arena;
	if (defaults) {
		ix->defaults.date = arena_str(arena, defaults->date);
		ix->defaults.message_id = arena_str(arena, defaults->message_id);
	}
	ix->scratch = ARENA_INIT(MIB(4));
	ix->describe = (struct describe){
		.arena = arena, .scratch = &ix->scratch, .boundary = BUF_INIT(BOUNDARY_MAX)};
	head_init(&ix->head, ix->lim.header_bytes, ix->lim.field_bytes);
	ix->boundaries = BUF_INIT((size_t)MIME_MAP_DEPTH_MAX * BOUNDARY_MAX);
	ix->carry = BUF_INIT(LINE_HEAD + 1);
	part_open(ix, MIME_NO_PARENT, 0);
	return ix;
}

void mime_index_free(struct mime_index *ix)
{
	if (!ix)
		return;
	arena_clear(&ix->scratch);
	buf_clear(&ix->describe.boundary);
	head_clear(&ix->head);
	vec_clear(&ix->parts);
	vec_clear(&ix->fields);
	buf_clear(&ix->boundaries);
	buf_clear(&ix->carry);
	free(ix);
}

void mime_index_feed(struct mime_index *ix, struct str bytes)
{
	while (bytes.n > 0) {
		size_t used = 0;
		if (ix->state == BODY && !ix->in_line && ix->carry.n == 0)
			used = body_skip(ix, bytes);
		if (used < bytes.n)
			used += line_feed(ix, str_skip(bytes, used));
		bytes = str_skip(bytes, used);
	}
}

static void structure_render(struct mime_index *ix, bool extended, struct str *ret)
{
	AUTO(buf) struct buf out = BUF_INIT(ix->lim.output_bytes + MIB(1));
	render_structure(&out, ix->parts.p, extended);
	*ret = arena_str(ix->arena, buf_str(&out));
	ix->failed |= !ret->p || out.failed;
}

int mime_index_finish(struct mime_index *ix, struct mime_map **ret, struct fail *why)
{
	if (ix->carry.n > 0)
		line_begin(ix, buf_str(&ix->carry));
	headers_end(ix, ix->at);
	parts_close(ix, MIME_NO_PARENT, ix->at);
	if (ix->at.off - ix->line.off > LINE_SMTP)
		ix->flags |= MIME_LONG_LINE;
	if (ix->n_levels > 0)
		ix->flags |= MIME_UNCLOSED;
	struct mime_map *map = arena_new(ix->arena, struct mime_map);
	ix->map.size = ix->at.off;
	ix->map.lines = ix->at.lines;
	ix->map.flags |= ix->flags;
	ix->map.n_parts = (uint32_t)ix->parts.n;
	ix->map.n_fields = (uint32_t)ix->fields.n;
	ix->map.parts = arena_array(ix->arena, struct mime_part, ix->parts.n);
	ix->map.fields = arena_array(ix->arena, struct mime_field, MAX(ix->fields.n, 1));
	structure_render(ix, false, &ix->map.body);
	structure_render(ix, true, &ix->map.bodystructure);
	if (ix->failed || !map || !ix->map.parts || !ix->map.fields)
		return fail_set(why, FAIL_LIMIT, NULL, "message map larger than its arena (%zu)",
				ix->arena->max);
	for (size_t i = 0; i < ix->parts.n; i++)
		ix->map.parts[i] = ix->parts.p[i].part;
	if (ix->fields.n > 0)
		memcpy(ix->map.fields, ix->fields.p, ix->fields.n * sizeof *ix->fields.p);
	*map = ix->map;
	*ret = map;
	return 0;
}
