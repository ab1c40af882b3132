/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's tables of content (Postfix: header_checks, body_checks): each header field and the
 * first lines of each part are looked for in them, in their order in the message.
 *
 * What a rule changes is kept as edits of the bytes that came; they are made when all has been
 * looked at, and the message is then indexed once more. Our own prefix (Received and what tables of
 * the front door put there) is looked at like the message's header.
 *
 * Expressions cost what their author and the sender make of them: a message has look_ms in all, and
 * one that needs more is asked to come later, with a line in the log.
 */
#include "proto/smtp/smtp_draft.h"
#include "sys/clock.h"
#include "sys/log.h"
#include <errno.h>
#include <unistd.h>

#define HEADER_MAX KIB(100) /* of one part that is looked at, as header_size_limit */
#define LINE_PIECE 2048u    /* longer lines are looked at in pieces, as line_length_limit */
#define EDITS_MAX  10000u
#define TEXTS_MAX  MIB(4) /* of all edits */
#define LOGGED_MAX 50u	  /* lines in the log for one message */
#define COPY_SIZE  KIB(64)

COUNTER(refused, "smtp.refused.content", "messages that a table of content refuses");
COUNTER(changed, "smtp.content-changed", "messages that tables of content have changed");
COUNTER(too_dear, "smtp.content-too-dear", "messages that tables of content took too long for");

/* Instead of the octets [off, off + len) of the message comes this text. */
struct edit {
	uint64_t off, len;
	struct str text; /* whole lines; empty: nothing */
};

struct look {
	struct smtp_turn *t;
	struct smtp_session *s;
	struct smtp_incoming *in;
	const struct smtp_content *tables;
	struct arena texts;
	VEC(struct edit) edits;
	struct buf prefix; /* as it becomes */
	bool prefix_changed;
	struct smtp_status refusal; /* code 0: none */
	bool over;		    /* refused, discarded or let pass: the rest is not looked at */
	unsigned logged;
	struct mono_ns until;
	struct buf piece, subject;
};

static void look_clear(struct look *l)
{
	arena_clear(&l->texts);
	vec_clear(&l->edits);
	buf_clear(&l->prefix);
	buf_clear(&l->piece);
	buf_clear(&l->subject);
}
DEFINE_AUTO(look, struct look, look_clear);

/* --- the message's bytes --- */

/* [off, off + n) of the message, valid until the next call. */
static int read_range(struct look *l, uint64_t off, size_t n, struct str *ret, struct fail *why)
{
	const struct smtp_incoming *in = l->in;
	if (!smtp_body_is_stored(in->body)) {
		*ret = str_sub(in->body->bytes, (size_t)off, (size_t)off + n);
		return 0;
	}
	buf_reset(&l->piece);
	char *room = buf_room(&l->piece, n + 1);
	if (!room)
		return -FAIL_LIMIT;
	for (size_t done = 0; done < n;) {
		ssize_t k = pread(in->scan.view, room + done, n - done, (off_t)(off + done));
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return fail_errno(why, FAIL_IO, "reading a body file");
		done += (size_t)k;
	}
	*ret = (struct str){room, n};
	return 0;
}

/* --- what a rule orders --- */

struct place {
	const char *at; /* "header", "body": for the log */
	uint64_t off, len;
	bool prefix;  /* not in the message: in what stands in front of it */
	bool unended; /* the line's end is not in it */
	bool header;
};

static void log_hit(struct look *l, const struct place *p, const struct access_hit *hit,
		    const char *action, struct str line)
{
	if (l->logged++ >= LOGGED_MAX)
		return;
	log_event(LOG_INFO, "smtp.content", log_c("at", p->at), log_c("action", action),
		  log_str("about", str_sub(line, 0, 200)), log_c("table", hit->at.file),
		  log_u64("line", hit->at.line), log_str("text", hit->text),
		  log_address("from", l->s->t.from), log_str("ip", buf_str(&l->s->ip)));
}

static bool is_field(struct str s)
{
	size_t colon = str_find(s, 0, ':'), end = colon;
	while (end > 0 && (s.p[end - 1] == ' ' || s.p[end - 1] == '\t'))
		end--; /* obsolete, and readers of mail take it (RFC 5322 4.5) */
	for (size_t i = 0; i < end; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return end > 0 && colon < s.n;
}

/* A rule's text as lines of a message; what it caught may hold line ends of a folded field. */
static struct str as_lines(struct look *l, struct str text)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(16));
	struct str line;
	for (bool first = true; text.p && str_cut(&text, '\n', &line); first = false) {
		bool blank = line.n && (line.p[0] == ' ' || line.p[0] == '\t');
		if (!first && str_trim(line).n == 0)
			continue;
		if (!first)
			(void)buf_add(&out, blank ? STR("\r\n") : STR("\r\n\t"));
		for (size_t i = 0; i < line.n; i++)
			if (line.p[i] != '\r' && line.p[i] != '\0')
				(void)buf_addc(&out, line.p[i]);
	}
	(void)buf_add(&out, STR("\r\n"));
	return out.failed ? STR_NULL : arena_str(&l->texts, buf_str(&out));
}

static int add_edit(struct look *l, const struct place *p, uint64_t len, struct str text,
		    struct fail *why)
{
	if (p->prefix) {
		l->prefix_changed = true;
		return buf_add(&l->prefix, text);
	}
	if (l->edits.n >= EDITS_MAX)
		return fail_set(why, FAIL_LIMIT, NULL, "tables of content change too much");
	*vec_push(&l->edits) = (struct edit){p->off, len, text};
	return 0;
}

/* PREPEND and REPLACE. In a header only a field can stand. */
static int put_text(struct look *l, const struct place *p, const struct access_hit *hit,
		    struct str line, struct fail *why)
{
	bool replace = hit->act == ACCESS_REPLACE;
	if (p->header && !is_field(hit->text)) {
		log_hit(l, p, hit, "ignored: not a header field", line);
		return p->prefix ? 1 : 0;
	}
	log_hit(l, p, hit, replace ? "REPLACE" : "PREPEND", line);
	struct str text = as_lines(l, hit->text);
	if (!text.p)
		return fail_set(why, FAIL_LIMIT, NULL, "tables of content change too much");
	if (replace && p->unended)
		text = str_sub(text, 0, text.n - 2);
	int r = add_edit(l, p, replace ? p->len : 0, text, why);
	return r < 0 ? r : !replace && p->prefix;
}

static int take_out(struct look *l, const struct place *p, const struct access_hit *hit,
		    struct str line, struct fail *why)
{
	if (hit->act == ACCESS_STRIP)
		log_hit(l, p, hit, "STRIP", line);
	return add_edit(l, p, p->len, STR(""), why);
}

static void refuse(struct look *l, const struct place *p, const struct access_hit *hit,
		   struct str line)
{
	struct arena *a = &l->s->t.arena;
	log_hit(l, p, hit, "REJECT", line);
	const char *text = hit->text.n ? arena_c(a, str_sub(hit->text, 0, 1000)) : NULL;
	const char *status = arena_c(a, str_c(hit->status));
	l->refusal = (struct smtp_status){hit->code,
					  status	    ? status
					  : hit->code < 500 ? "4.7.1"
							    : "5.7.1",
					  text ? text : "message content rejected"};
	l->t->rule = arena_printf(a, "%s, line %u", hit->at.file, hit->at.line);
	l->over = true;
}

/* 1: the line stays (of the prefix). 0, or a negative fail code. */
static int obey(struct look *l, const struct place *p, const struct access_hit *hit,
		struct str line, struct fail *why)
{
	struct smtp_orders *orders = &l->s->t.orders;
	struct arena *a = &l->s->t.arena;
	switch (hit->act) {
	case ACCESS_REFUSE:
		refuse(l, p, hit, line);
		return 1;
	case ACCESS_PREPEND:
	case ACCESS_REPLACE:
		return put_text(l, p, hit, line, why);
	case ACCESS_IGNORE:
	case ACCESS_STRIP:
		return take_out(l, p, hit, line, why);
	case ACCESS_DISCARD:
		log_hit(l, p, hit, "DISCARD", line);
		orders->discard = l->over = true;
		return 1;
	case ACCESS_PASS:
		log_hit(l, p, hit, "PASS", line);
		l->in->pass = l->over = true;
		return 1;
	case ACCESS_HOLD:
		log_hit(l, p, hit, "HOLD", line);
		orders->held = arena_str(a, hit->text.n ? str_sub(hit->text, 0, 180)
							: STR("a table of content says HOLD"));
		return 1;
	case ACCESS_REDIRECT:
		log_hit(l, p, hit, "REDIRECT", line);
		orders->redirect = arena_str(a, hit->text);
		return 1;
	case ACCESS_BCC:
		log_hit(l, p, hit, "BCC", line);
		orders->bcc = arena_str(a, hit->text);
		return 1;
	case ACCESS_FILTER:
		log_hit(l, p, hit, "FILTER", line);
		orders->filter = arena_str(a, str_sub(hit->text, 0, 330));
		return 1;
	case ACCESS_WARN:
		log_hit(l, p, hit, "WARN", line);
		return 1;
	case ACCESS_DUNNO:
	case ACCESS_OK:
		break;
	}
	return 1;
}

/* --- looking --- */

static int look_at_clock(struct look *l, struct fail *why)
{
	if (mono_before(clock_mono(), l->until))
		return 0;
	counter_add(&too_dear, 1);
	log_event(LOG_ERROR, "smtp.content-too-dear", log_address("from", l->s->t.from),
		  log_u64("size", l->in->scan.size), log_u64("ms", l->tables->look_ms));
	return fail_set(why, FAIL_TEMP, NULL, "tables of content need more than %u ms",
			l->tables->look_ms);
}

/* One line, or one field: 1 when it stays as it is (of the prefix). */
static int look_up(struct look *l, const struct access_list *tables, const struct place *p,
		   struct str line, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct access_key key = {.texts = {line.n ? line : STR("")}};
	struct access_hit hit;
	int r = look_at_clock(l, why);
	if (r < 0)
		return r;
	if (l->over || !tables->n || !access_list_find(tables, &key, &a, &hit))
		return 1;
	return obey(l, p, &hit, line, why);
}

/* Content-Type and its kind have a table of their own, wherever they stand. */
static bool is_mime(struct str field)
{
	static const char *const names[] = {"MIME-Version",	   "Content-Type",
					    "Content-Disposition", "Content-Transfer-Encoding",
					    "Content-Description", "Content-ID"};
	struct str name = str_trim(str_sub(field, 0, str_find(field, 0, ':')));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eqi(name, str_c(names[i])))
			return true;
	return false;
}

/* Lines between LF, without CR and without the last line end: as expressions are written. */
static struct str unix_lines(struct look *l, struct str field)
{
	buf_reset(&l->subject);
	for (size_t i = 0; i < field.n; i++)
		if (field.p[i] != '\r')
			(void)buf_addc(&l->subject, field.p[i]);
	struct str s = l->subject.n ? buf_str(&l->subject) : STR("");
	return str_ends(s, STR("\n")) ? str_sub(s, 0, s.n - 1) : s;
}

/* The end of the field, or the line, that begins at `at`. */
static size_t field_end(struct str header, size_t at)
{
	do
		at = MIN(str_find(header, at, '\n') + 1, header.n);
	while (at < header.n && (header.p[at] == ' ' || header.p[at] == '\t'));
	return at;
}

/* The fields of one header, or of our prefix; others than MIME's are looked for in `tables`. */
static int look_at_header(struct look *l, const struct access_list *tables, struct str header,
			  struct place where, struct fail *why)
{
	uint64_t off = where.off;
	int r = 0;
	for (size_t at = 0, end; r >= 0 && at < header.n && !(l->over && !where.prefix); at = end) {
		end = field_end(header, at);
		if (end == header.n && where.len > header.n) /* it goes on behind what was read */
			break;
		struct str raw = str_sub(header, at, end);
		struct place field = where;
		field.off = off + at;
		field.len = end - at;
		r = 1;
		if (is_field(raw))
			r = look_up(l, is_mime(raw) ? &l->tables->mime : tables, &field,
				    unix_lines(l, raw), why);
		if (r == 1 && where.prefix && buf_add(&l->prefix, raw) < 0)
			r = -FAIL_LIMIT;
	}
	return MIN(r, 0);
}

static int look_at_part_header(struct look *l, const struct mime_map *map, uint32_t i,
			       struct fail *why)
{
	const struct mime_part *part = &map->parts[i];
	const struct access_list *tables = i == 0				? &l->tables->header
					   : part->flags & MIME_PART_IS_MESSAGE ? &l->tables->nested
										: &l->tables->mime;
	struct place where = {
		.at = "header", .off = part->header_off, .len = part->header_len, .header = true};
	struct str header;
	size_t n = (size_t)MIN(part->header_len, (uint64_t)HEADER_MAX);
	if (!tables->n && !l->tables->mime.n)
		return 0;
	int r = read_range(l, part->header_off, n, &header, why);
	return r < 0 ? r : look_at_header(l, tables, header, where, why);
}

/* The first lines of a part that holds no others. */
static int look_at_body(struct look *l, const struct mime_part *part, struct fail *why)
{
	struct place where = {.at = "body"};
	struct str text;
	size_t n = (size_t)MIN(part->body_len, l->tables->body_max);
	if (!l->tables->body.n || part->children)
		return 0;
	int r = read_range(l, part->body_off, n, &text, why);
	for (size_t at = 0; r >= 0 && at < text.n && !l->over;) {
		size_t eol = MIN(str_find(text, at, '\n') + 1, text.n);
		size_t end = MIN(eol, at + LINE_PIECE);
		/* A line is taken out or replaced with its end; a piece of one leaves it there. */
		struct str line = str_sub(text, at, end);
		struct str seen = end == eol ? unix_lines(l, line) : line;
		where.off = part->body_off + at;
		where.len = end - at;
		where.unended = !str_ends(line, STR("\n"));
		r = look_up(l, &l->tables->body, &where, seen, why);
		at = end;
	}
	return MIN(r, 0);
}

static int look_at_message(struct look *l, const struct mime_map *map, struct fail *why)
{
	struct place ours = {.at = "header", .prefix = true, .header = true};
	int r = look_at_header(l, &l->tables->header, buf_str(&l->in->prefix), ours, why);
	for (uint32_t i = 0; r == 0 && i < map->n_parts && !l->over; i++) {
		r = look_at_part_header(l, map, i, why);
		if (r == 0 && !l->over)
			r = look_at_body(l, &map->parts[i], why);
	}
	return r;
}

/* --- making the changes --- */

static int copy_range(struct look *l, struct smtp_draft *d, uint64_t from, uint64_t to,
		      struct fail *why)
{
	int r = 0;
	while (r == 0 && from < to) {
		struct str bytes;
		size_t n = (size_t)MIN(to - from, (uint64_t)COPY_SIZE);
		r = read_range(l, from, n, &bytes, why);
		if (r == 0)
			r = smtp_draft_add(d, bytes, why);
		from += n;
	}
	return r;
}

static int make_edits(struct look *l, struct fail *why)
{
	struct smtp_incoming *in = l->in;
	AUTO(smtp_draft) struct smtp_draft d = smtp_draft_of(l->s->backend);
	uint64_t at = 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i < l->edits.n; i++) {
		const struct edit *e = &l->edits.p[i];
		if (e->off < at) /* the map is scan's word */
			return fail_set(why, FAIL_PEER, NULL, "parts that are not in order");
		r = copy_range(l, &d, at, e->off, why);
		if (r == 0)
			r = smtp_draft_add(&d, e->text, why);
		at = e->off + e->len;
	}
	if (r == 0)
		r = copy_range(l, &d, at, in->scan.size, why);
	return r < 0 ? r : smtp_draft_take(&d, in, why);
}

/* RFC 6409 section 8: who sends is known, and may be said where the program forgot to. */
static int add_from(struct look *l, const struct mime_map *map, struct fail *why)
{
	const struct smtp_session *s = l->s;
	struct str from = s->t.from.n ? s->t.from : buf_str(&s->login);
	uint32_t at = 0;
	if (s->service != SMTP_SERVICE_SUBMISSION || mime_map_field(map, STR("From"), &at))
		return 0;
	struct str text = arena_printf(&l->texts, "From: <%.*s>\r\n", STR_ARG(from));
	struct place front = {0};
	return text.p ? add_edit(l, &front, 0, text, why) : -FAIL_LIMIT;
}

static bool has_tables(const struct smtp_session *s)
{
	const struct smtp_content *c = &s->config->content;
	bool looked_at = s->service == SMTP_SERVICE_MX || s->service == SMTP_SERVICE_SUBMISSION ||
			 s->service == SMTP_SERVICE_LOCAL;
	return looked_at && (c->header.n || c->mime.n || c->nested.n || c->body.n);
}

static int look(struct look *l, const struct mime_map *map, struct fail *why)
{
	int r = add_from(l, map, why);
	if (r == 0 && has_tables(l->s))
		r = look_at_message(l, map, why);
	if (r < 0 || l->refusal.code || l->s->t.orders.discard)
		return r;
	if (l->prefix_changed) {
		buf_reset(&l->in->prefix);
		r = buf_add(&l->in->prefix, buf_str(&l->prefix));
	}
	if (l->edits.n || l->prefix_changed)
		counter_add(&changed, 1);
	return r == 0 && l->edits.n ? make_edits(l, why) : r;
}

int smtp_content_check(struct smtp_turn *t, struct smtp_incoming *in, struct fail *why)
{
	struct smtp_session *s = t->s;
	if (!has_tables(s) && s->service != SMTP_SERVICE_SUBMISSION)
		return 0;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct mime_map *map = NULL;
	AUTO(look)
	struct look l = {
		.t = t,
		.s = s,
		.in = in,
		.tables = &s->config->content,
		.texts = ARENA_INIT(TEXTS_MAX),
		.prefix = BUF_INIT(in->prefix.max),
		.piece = BUF_INIT(MAX((size_t)KIB(256), (size_t)s->config->content.body_max + 1)),
		.subject = BUF_INIT(MAX((size_t)KIB(128), (size_t)s->config->content.body_max + 1)),
		.until = mono_add_ms(clock_mono(), s->config->content.look_ms)};
	int r = mime_map_read(buf_str(&in->scan.map), in->scan.size, &a, &map, why);
	if (r == 0)
		r = look(&l, map, why);
	if (r < 0 || !l.refusal.code)
		return r;
	t->counter = &refused;
	smtp_refuse(t, l.refusal, "message", s->t.from, NULL);
	return 1;
}
