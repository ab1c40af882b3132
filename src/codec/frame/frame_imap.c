/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/frame/frame_imap.h"
#include "base/check.h"
#include "base/num.h"
#include "codec/imap/imap_capability.h"

#define SESSION                                                                                    \
	.line_bytes = KIB(64), .inline_bytes = KIB(48), .external_bytes = (uint64_t)1 << 32,       \
	.literals = 128
/* A line holds an AUTHENTICATE line of RFC 4954's length. */
#define LOGIN .line_bytes = KIB(16), .inline_bytes = KIB(4), .external_bytes = 0, .literals = 16
#define MINUS .nonsync_bytes = IMAP_LITERAL_MINUS_MAX

const struct frame_imap_limits frame_imap_limits_session = {SESSION};
const struct frame_imap_limits frame_imap_limits_login = {LOGIN};
const struct frame_imap_limits frame_imap_limits_session_minus = {SESSION, MINUS};
const struct frame_imap_limits frame_imap_limits_login_minus = {LOGIN, MINUS};

#define KEEP_IDLE  KIB(8) /* memory that stays between commands */
#define TAIL	   32	  /* "~{18446744073709551615+}" CRLF fits */
#define DIGITS_MAX 20

static void forget(struct frame_imap *f)
{
	if (f->text.cap > KEEP_IDLE)
		buf_clear(&f->text);
	buf_reset(&f->text);
	/* Every line may grow by a byte, where LF becomes CRLF. */
	f->text.max = f->lim->line_bytes + f->lim->inline_bytes + f->lim->literals + TAIL;
	f->external.n = 0;
	f->state = FRAME_IMAP_STATE_LINE;
	f->line_start = f->line_bytes = f->inline_bytes = f->literals = f->tag_n = 0;
	f->left = f->drop_size = f->dropped = 0;
	f->drop = FRAME_IMAP_MORE;
	f->raw = f->taken = f->drop_unasked = false;
}

void frame_imap_init(struct frame_imap *f, const struct frame_imap_limits *lim)
{
	*f = (struct frame_imap){.lim = lim};
	forget(f);
}

void frame_imap_set_limits(struct frame_imap *f, const struct frame_imap_limits *lim)
{
	CHECK(frame_imap_is_idle(f));
	f->lim = lim;
	forget(f);
}

void frame_imap_wipe(struct frame_imap *f)
{
	if (f->text.p)
		explicit_bzero(f->text.p, f->text.cap);
	forget(f);
}

void frame_imap_clear(struct frame_imap *f)
{
	frame_imap_wipe(f);
	buf_clear(&f->text);
	vec_clear(&f->external);
}

bool frame_imap_is_idle(const struct frame_imap *f)
{
	return f->taken || (f->state == FRAME_IMAP_STATE_LINE && f->text.n == 0 &&
			    f->drop == FRAME_IMAP_MORE && !f->raw);
}

void frame_imap_expect_raw(struct frame_imap *f)
{
	CHECK(frame_imap_is_idle(f));
	forget(f);
	f->raw = true;
}

struct str frame_imap_tag(struct str text)
{
	size_t n = 0;
	while (n < text.n && text.p[n] != '+' && (imap_is_atom_char(text.p[n]) || text.p[n] == ']'))
		n++;
	bool ends = n == text.n || text.p[n] == ' ' || text.p[n] == '\r' || text.p[n] == '\n';
	size_t max = sizeof((struct frame_imap *)0)->tag;
	return ends && n > 0 && n <= max ? str_sub(text, 0, n) : STR_NULL;
}

/* From here on the command is only followed to its end. `text` holds at least its tag. */
static void drop(struct frame_imap *f, enum frame_imap_event_kind kind, uint64_t size)
{
	struct str tag = f->raw ? STR_NULL : frame_imap_tag(buf_str(&f->text));
	if (tag.n)
		memcpy(f->tag, tag.p, tag.n);
	f->tag_n = tag.n;
	f->drop = kind;
	f->drop_size = size;
	f->dropped = f->text.n;
}

/* Of a dropped line only the end matters: it may announce a literal. */
static void keep_tail(struct frame_imap *f, struct str piece)
{
	f->dropped += piece.n;
	if (f->text.n > TAIL)
		buf_drop(&f->text, f->text.n - TAIL);
	if (piece.n > TAIL)
		buf_reset(&f->text);
	(void)buf_add(&f->text, piece.n > TAIL ? str_skip(piece, piece.n - TAIL) : piece);
	f->line_start = 0;
}

static void keep_line(struct frame_imap *f, struct str piece)
{
	if (f->drop == FRAME_IMAP_MORE && f->line_bytes + piece.n > f->lim->line_bytes + 2) {
		size_t need = sizeof f->tag + 1;
		if (f->text.n < need) {
			struct str head = str_sub(piece, 0, need - f->text.n);
			(void)buf_add(&f->text, head);
			piece = str_skip(piece, head.n);
		}
		drop(f, FRAME_IMAP_TOO_BIG, 0);
		buf_drop(&f->text, f->line_start);
	}
	if (f->drop != FRAME_IMAP_MORE) {
		keep_tail(f, piece);
		return;
	}
	f->line_bytes += piece.n;
	(void)buf_add(&f->text, piece);
}

struct announce {
	uint64_t size; /* UINT64_MAX when the number is larger */
	bool sync;
	bool binary;
};

/* Does the line (without its end) announce a literal? */
static bool parse_announce(struct str line, struct announce *ret)
{
	if (line.n < 3 || line.p[line.n - 1] != '}')
		return false;
	size_t end = line.n - 1;
	bool plus = line.p[end - 1] == '+';
	end -= plus;
	size_t start = end;
	while (start > 0 && ascii_digit(line.p[start - 1]))
		start--;
	if (start == end || start == 0 || end - start > DIGITS_MAX || line.p[start - 1] != '{')
		return false;
	*ret = (struct announce){
		.size = UINT64_MAX, .sync = !plus, .binary = start > 1 && line.p[start - 2] == '~'};
	(void)num_parse_u64(str_sub(line, start, end), &ret->size);
	return true;
}

static void next_line(struct frame_imap *f)
{
	f->state = FRAME_IMAP_STATE_LINE;
	f->line_start = f->text.n;
}

static void skip_literal(struct frame_imap *f, struct announce a)
{
	/* A client that waits for "+" will see the tagged answer instead: nothing more comes. */
	f->state = a.sync ? FRAME_IMAP_STATE_DROPPED : FRAME_IMAP_STATE_SKIP;
	f->left = a.size;
}

/* The line that ends in text announces a literal. Returns whether the caller must decide on it. */
static bool begin_literal(struct frame_imap *f, struct announce a)
{
	bool external = a.size > f->lim->inline_bytes - f->inline_bytes;
	bool unasked = !a.sync && f->lim->nonsync_bytes && a.size > f->lim->nonsync_bytes;
	if (f->drop == FRAME_IMAP_MORE && (f->literals == f->lim->literals || unasked ||
					   (external && a.size > f->lim->external_bytes))) {
		drop(f, FRAME_IMAP_TOO_BIG, a.size);
		f->drop_unasked = unasked;
	}
	if (f->drop != FRAME_IMAP_MORE) {
		buf_reset(&f->text);
		skip_literal(f, a);
		return false;
	}
	(void)buf_add(&f->text, STR("\r\n"));
	f->literal = (struct frame_imap_event){
		.kind = FRAME_IMAP_LITERAL,
		.size = a.size,
		.sync = a.sync,
		.binary = a.binary,
		.external = external,
		.index = f->external.n,
		.number = f->literals++,
	};
	if (external)
		*vec_push(&f->external) = (struct imap_external){f->text.n, a.size, a.binary};
	else
		f->inline_bytes += (size_t)a.size;
	f->state = FRAME_IMAP_STATE_DECIDE;
	if (a.sync || external)
		return true;
	frame_imap_accept(f);
	return false;
}

static struct frame_imap_event make_event(struct frame_imap *f, enum frame_imap_event_kind kind)
{
	struct frame_imap_event e = {.kind = kind};
	if (kind == FRAME_IMAP_LITERAL)
		e = f->literal;
	e.tag = f->raw ? STR_NULL : frame_imap_tag(buf_str(&f->text));
	e.input = (struct imap_input){buf_str(&f->text), f->external.p, f->external.n};
	return e;
}

/* text ends with a complete line. Returns true with an event. */
static bool end_line(struct frame_imap *f, struct frame_imap_event *ret)
{
	struct str line = str_skip(buf_str(&f->text), f->line_start);
	line.n -= str_ends(line, STR("\r\n")) ? 2 : 1;
	struct announce a;
	bool literal = !f->raw && parse_announce(line, &a);
	if (f->drop == FRAME_IMAP_MORE &&
	    (str_find(line, 0, '\r') < line.n || str_find(line, 0, '\0') < line.n))
		drop(f, FRAME_IMAP_MALFORMED, 0);
	buf_cut(&f->text, f->line_start + line.n);
	if (literal) {
		if (!begin_literal(f, a))
			return false;
		*ret = f->literal = make_event(f, FRAME_IMAP_LITERAL);
		return true;
	}
	if (f->drop != FRAME_IMAP_MORE) {
		f->state = FRAME_IMAP_STATE_DROPPED;
		return false;
	}
	*ret = make_event(f, FRAME_IMAP_COMMAND);
	f->taken = true;
	return true;
}

/* Take up to `left` bytes of a literal. */
static struct str take_literal(struct frame_imap *f, struct str *in)
{
	struct str s = str_sub(*in, 0, (size_t)MIN((uint64_t)in->n, f->left));
	*in = str_skip(*in, s.n);
	f->left -= s.n;
	return s;
}

static bool feed_line(struct frame_imap *f, struct str *in, struct frame_imap_event *ret)
{
	size_t lf = str_find(*in, 0, '\n');
	bool ends = lf < in->n;
	struct str piece = str_sub(*in, 0, ends ? lf + 1 : lf);
	*in = str_skip(*in, piece.n);
	keep_line(f, piece);
	return ends && end_line(f, ret);
}

static bool feed_literal(struct frame_imap *f, struct str *in, struct frame_imap_event *ret)
{
	struct str s = take_literal(f, in);
	enum frame_imap_state state = f->state;
	if (state == FRAME_IMAP_STATE_INLINE)
		(void)buf_add(&f->text, s);
	if (state == FRAME_IMAP_STATE_SKIP)
		f->dropped += s.n;
	if (f->left == 0)
		next_line(f);
	if (state != FRAME_IMAP_STATE_EXTERNAL)
		return false;
	*ret = (struct frame_imap_event){
		.kind = FRAME_IMAP_DATA,
		.data = s,
		.index = f->literal.index,
		.external = true,
		.last = f->left == 0,
	};
	return true;
}

static struct frame_imap_event end_dropped(struct frame_imap *f)
{
	struct frame_imap_event e = {
		.kind = f->drop,
		.tag = str_make(f->tag, f->tag_n),
		.size = f->drop_size,
		.unasked = f->drop_unasked,
	};
	f->state = FRAME_IMAP_STATE_LINE;
	f->taken = true;
	return e;
}

struct frame_imap_event frame_imap_feed(struct frame_imap *f, struct str *in)
{
	struct frame_imap_event e;
	if (f->taken)
		forget(f);
	CHECK(f->state != FRAME_IMAP_STATE_DECIDE);
	for (;;) {
		if (f->state == FRAME_IMAP_STATE_DROPPED)
			return end_dropped(f);
		bool in_line = f->state == FRAME_IMAP_STATE_LINE;
		if (in->n == 0 && (in_line || f->left > 0))
			return (struct frame_imap_event){.kind = FRAME_IMAP_MORE};
		if (in_line ? feed_line(f, in, &e) : feed_literal(f, in, &e))
			return e;
	}
}

void frame_imap_accept(struct frame_imap *f)
{
	CHECK(f->state == FRAME_IMAP_STATE_DECIDE);
	f->left = f->literal.size;
	f->state = f->literal.external ? FRAME_IMAP_STATE_EXTERNAL : FRAME_IMAP_STATE_INLINE;
}

void frame_imap_refuse(struct frame_imap *f)
{
	CHECK(f->state == FRAME_IMAP_STATE_DECIDE);
	drop(f, FRAME_IMAP_REFUSED, f->literal.size);
	buf_reset(&f->text);
	skip_literal(f, (struct announce){.size = f->literal.size, .sync = f->literal.sync});
}
