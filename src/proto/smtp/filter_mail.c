/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Milters: a message, and what they make of it.
 *
 * What they see is the message with what barid puts in front of it, but without our own Received
 * field. New fields that stand above the message's own become part of the prefix: the body stays
 * what it was. Any other change makes a new body (header and all), which is written, hashed and
 * indexed like one that has just come in.
 */
#include "proto/smtp/smtp_draft.h"
#include "sys/log.h"
#include <errno.h>
#include <unistd.h>

#define HEADER_MAX MIB(2)
#define COPY_SIZE  KIB(64)

COUNTER(changed, "milter.changed", "messages whose header, body or envelope milters changed");
COUNTER(held, "milter.held", "messages that milters had held");

/*
 * --- a replaced body (without header) ---
 *
 * The one of an earlier milter is the message until the next one has said all of its own: it may
 * fail in the middle.
 */
struct bodies {
	struct smtp_draft taken, fresh;
};

static void body_begin(void *ctx)
{
	struct smtp_draft *d = &((struct bodies *)ctx)->fresh;
	smtp_draft_clear(d);
	d->cr = false;
}

/*
 * Lines end in CRLF and nothing else, whatever a milter sends: what we pass on must not be read by
 * others as more than one message.
 */
static int body_add(void *ctx, struct str bytes, struct fail *why)
{
	struct smtp_draft *d = &((struct bodies *)ctx)->fresh;
	AUTO(buf) struct buf clean = BUF_INIT(2 * bytes.n + 2);
	for (size_t i = 0; i < bytes.n; i++) {
		char c = bytes.p[i];
		if (d->cr && c != '\n')
			(void)buf_add(&clean, STR("\r\n"));
		if (c == '\n')
			(void)buf_addc(&clean, '\r');
		if (c != '\r')
			(void)buf_addc(&clean, c);
		d->cr = c == '\r';
	}
	return smtp_draft_add(d, buf_str(&clean), why);
}

static int body_end(void *ctx, struct milter_body *ret, struct fail *why)
{
	struct bodies *both = ctx;
	struct smtp_draft *d = &both->fresh;
	int r = d->cr ? smtp_draft_add(d, STR("\r\n"), why) : 0;
	d->cr = false;
	if (r < 0)
		return r;
	smtp_draft_clear(&both->taken);
	both->taken = *d;
	*d = smtp_draft_of(d->b);
	d = &both->taken;
	*ret = (struct milter_body){.bytes = buf_str(&d->bytes), .fd = d->fd, .size = d->size};
	return 0;
}

/* --- the message as milters see it --- */

struct edit {
	struct smtp_incoming *in;
	struct milter_mail mail;
	struct bodies body; /* replaced ones */
	struct smtp_draft whole;
	struct buf header; /* of the message, when the body is a file */
	struct str lead;   /* lines before its first field */
	bool blank_line;
	size_t originals; /* its fields */
	size_t shown;	  /* all fields, before milters had it */
};

static void edit_clear(struct edit *e)
{
	milter_mail_clear(&e->mail);
	smtp_draft_clear(&e->body.taken);
	smtp_draft_clear(&e->body.fresh);
	smtp_draft_clear(&e->whole);
	buf_clear(&e->header);
}
DEFINE_AUTO(edit, struct edit, edit_clear);

static int read_header(struct edit *e, const struct mime_map *map, struct str *ret,
		       struct fail *why)
{
	const struct smtp_incoming *in = e->in;
	size_t n = (size_t)map->parts[0].header_len;
	if (!smtp_body_is_stored(in->body)) {
		*ret = str_sub(in->body->bytes, 0, n);
		return 0;
	}
	char *room = map->parts[0].header_len <= HEADER_MAX ? buf_room(&e->header, n + 1) : NULL;
	if (!room || in->scan.view < 0)
		return fail_set(why, FAIL_LIMIT, NULL, "a header of %llu octets",
				(unsigned long long)map->parts[0].header_len);
	ssize_t got = pread(in->scan.view, room, n, 0);
	if (got < 0 || (size_t)got != n)
		return fail_errno(why, FAIL_IO, "reading a header");
	buf_added(&e->header, n);
	*ret = buf_str(&e->header);
	return 0;
}

/* The prefix is ours: each line that does not begin with a blank begins a field. */
static int add_prefix(struct edit *e)
{
	struct str prefix = buf_str(&e->in->prefix);
	size_t from = 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i < prefix.n; i++) {
		bool ends =
			prefix.p[i] == '\n' &&
			(i + 1 == prefix.n || (prefix.p[i + 1] != ' ' && prefix.p[i + 1] != '\t'));
		if (!ends)
			continue;
		struct str field = str_sub(prefix, from, i + 1);
		bool hidden = str_startsi(field, STR("Received:"));
		r = milter_mail_add(&e->mail, field, field, true, hidden);
		from = i + 1;
	}
	return r;
}

static int add_fields(struct edit *e, const struct mime_map *map, struct str header)
{
	size_t end = header.n;
	e->blank_line = !(map->flags & MIME_NO_BLANK_LINE);
	if (e->blank_line && str_ends(header, STR("\r\n")))
		end -= 2;
	e->lead = str_sub(header, 0, map->n_fields ? (size_t)map->fields[0].off : end);
	for (uint32_t i = 0; i < map->n_fields; i++) {
		const struct mime_field *f = &map->fields[i];
		size_t next = i + 1 < map->n_fields ? (size_t)map->fields[i + 1].off : end;
		struct str text = str_sub(header, (size_t)f->off, (size_t)(f->off + f->len));
		int r = milter_mail_add(&e->mail, text, str_sub(header, (size_t)f->off, next),
					false, false);
		if (r < 0)
			return r;
		e->originals++;
	}
	return 0;
}

static int edit_begin(struct edit *e, struct fail *why)
{
	const struct smtp_incoming *in = e->in;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct mime_map *map = NULL;
	struct str header;
	int r = mime_map_read(buf_str(&in->scan.map), in->scan.size, &a, &map, why);
	if (r == 0 && map->flags & MIME_CUT_HEADER)
		r = fail_set(why, FAIL_LIMIT, NULL, "a header that is too large to be filtered");
	if (r == 0)
		r = read_header(e, map, &header, why);
	if (r < 0)
		return r;
	bool file = smtp_body_is_stored(in->body);
	uint64_t at = map->parts[0].body_off;
	e->mail.body = (struct milter_body){.bytes = file ? STR_NULL
							  : str_skip(in->body->bytes, (size_t)at),
					    .fd = file ? in->scan.view : -1,
					    .offset = file ? at : 0,
					    .size = in->scan.size - at};
	r = add_prefix(e);
	if (r == 0)
		r = add_fields(e, map, header);
	return r < 0 ? fail_set(why, FAIL_LIMIT, NULL, "a header that is too large to be filtered")
		     : 0;
}

/* --- the envelope --- */

/* "<a@b>" and parameters as the argument of MAIL or RCPT. */
static int parse_path(struct arena *a, const char *verb, struct str address, struct str params,
		      struct smtp_cmd *ret)
{
	bool bare = !(address.n && address.p[0] == '<');
	struct str line = arena_printf(a, "%s:%s%.*s%s %.*s", verb, bare ? "<" : "",
				       STR_ARG(address), bare ? ">" : "", STR_ARG(params));
	struct smtp_status unused;
	return line.p ? smtp_cmd_parse(str_trim(line), ret, &unused) : -FAIL_LIMIT;
}

static void log_ignored(const char *what, struct str address)
{
	log_event(LOG_WARN, "milter.ignored", log_c("what", what), log_address("address", address));
}

static int add_rcpt(struct smtp_session *s, const struct milter_rcpt_edit *order, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
	struct dir_route route = {0};
	struct smtp_cmd cmd;
	if (parse_path(&a, "RCPT TO", order->address, order->params, &cmd) < 0) {
		log_ignored("a recipient that is no address", order->address);
		return 0;
	}
	struct str to = smtp_addr_str(&cmd.rcpt.to);
	int r = smtp_route(s, to, 0, &a, &route, why);
	if (r < 0)
		return r;
	if ((route.verdict != DIR_OK && route.verdict != DIR_NOT_OURS) || route.n == 0) {
		log_ignored("a recipient that cannot be delivered to", to);
		return 0;
	}
	return smtp_transaction_add_rcpt(&s->t, &cmd.rcpt, to, &route);
}

/* All RCPTs of this address, in whatever case. */
static void delete_rcpt(struct smtp_session *s, const struct milter_rcpt_edit *order)
{
	struct str address = str_trim(order->address);
	if (address.n > 1 && address.p[0] == '<')
		address = str_sub(address, 1, address.n - 1);
	for (size_t i = 0; i < s->t.rcpts.n;) {
		struct str original = s->t.rcpts.p[i].original;
		if (!str_eqi(original, address)) {
			i++;
			continue;
		}
		smtp_transaction_forget(&s->t, original);
		i = 0;
	}
}

static void change_from(struct smtp_session *s, const struct milter_mail *mail)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct smtp_cmd cmd;
	if (parse_path(&a, "MAIL FROM", mail->from, mail->from_params, &cmd) < 0) {
		log_ignored("a sender that is no address", mail->from);
		return;
	}
	struct str from = arena_str(&s->t.arena, smtp_addr_str(&cmd.mail.from));
	if (from.p || smtp_addr_is_null(&cmd.mail.from))
		s->t.from = from;
}

static int change_envelope(struct edit *e, struct fail *why)
{
	struct smtp_session *s = e->in->s;
	const struct milter_mail *mail = &e->mail;
	int r = 0;
	if (mail->from_changed)
		change_from(s, mail);
	for (size_t i = 0; r >= 0 && i < mail->rcpts.n; i++)
		if (mail->rcpts.p[i].add)
			r = add_rcpt(s, &mail->rcpts.p[i], why);
		else
			delete_rcpt(s, &mail->rcpts.p[i]);
	return MIN(r, 0);
}

/* --- header and body --- */

/* What the map is made of must stand in the body, not in the prefix. */
static bool is_indexed(struct str name)
{
	static const char *const names[] = {
		"Subject", "From", "Sender",	 "Reply-To",   "To",	      "Cc",
		"Bcc",	   "Date", "Message-ID", "References", "In-Reply-To", "MIME-Version"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eqi(name, str_c(names[i])))
			return true;
	return str_startsi(name, STR("Content-"));
}

static bool is_new(const struct milter_field *f)
{
	return !f->raw.p;
}

static size_t first_original(const struct milter_mail *mail)
{
	size_t i = 0;
	while (i < mail->fields.n && !mail->fields.p[i].theirs)
		i++;
	return i;
}

/* Must the body be written anew? */
static bool needs_new_body(const struct edit *e)
{
	const struct milter_mail *mail = &e->mail;
	size_t first = first_original(mail), originals = 0;
	for (size_t i = 0; i < mail->fields.n; i++) {
		const struct milter_field *f = &mail->fields.p[i];
		if (is_new(f) && (i >= first || is_indexed(f->name)))
			return true;
		originals += f->theirs;
	}
	return mail->body_changed || originals != e->originals;
}

/* The fields above the message's own. */
static int make_prefix(const struct edit *e, bool all)
{
	struct buf *prefix = &e->in->prefix;
	AUTO(buf) struct buf fresh = BUF_INIT(prefix->max);
	size_t first = first_original(&e->mail);
	for (size_t i = 0; i < first; i++) {
		const struct milter_field *f = &e->mail.fields.p[i];
		if (all || !is_new(f) || !is_indexed(f->name))
			(void)milter_field_write(f, &fresh);
	}
	if (fresh.failed)
		return -FAIL_LIMIT;
	buf_clear(prefix);
	*prefix = buf_move(&fresh);
	return 0;
}

static int write_header(struct edit *e, struct fail *why)
{
	AUTO(buf) struct buf text = BUF_INIT(HEADER_MAX + KIB(512));
	size_t first = first_original(&e->mail);
	(void)buf_add(&text, e->lead);
	for (size_t i = 0; i < e->mail.fields.n; i++) {
		const struct milter_field *f = &e->mail.fields.p[i];
		if (i >= first || (is_new(f) && is_indexed(f->name)))
			(void)milter_field_write(f, &text);
	}
	if (e->blank_line || e->mail.body.size)
		(void)buf_add(&text, STR("\r\n"));
	return text.failed ? -FAIL_LIMIT : smtp_draft_add(&e->whole, buf_str(&text), why);
}

static int copy_body(struct edit *e, struct fail *why)
{
	const struct milter_body *b = &e->mail.body;
	AUTO(buf) struct buf piece = BUF_INIT(COPY_SIZE);
	if (b->fd < 0)
		return smtp_draft_add(&e->whole, b->bytes, why);
	char *room = buf_room(&piece, COPY_SIZE);
	for (uint64_t at = 0; at < b->size;) {
		size_t want = (size_t)MIN(b->size - at, (uint64_t)COPY_SIZE);
		ssize_t n = pread(b->fd, room, want, (off_t)(b->offset + at));
		if (n <= 0)
			return fail_errno(why, FAIL_IO, "reading a body file");
		int r = smtp_draft_add(&e->whole, (struct str){room, (size_t)n}, why);
		if (r < 0)
			return r;
		at += (size_t)n;
	}
	return 0;
}

static int change_content(struct edit *e, struct fail *why)
{
	bool anew = needs_new_body(e);
	int r = 0;
	if (anew) {
		r = write_header(e, why);
		if (r >= 0)
			r = copy_body(e, why);
	}
	if (r >= 0)
		r = make_prefix(e, !anew);
	return anew && r >= 0 ? smtp_draft_take(&e->whole, e->in, why) : r;
}

static int make_changes(struct edit *e, struct fail *why)
{
	const struct milter_mail *mail = &e->mail;
	bool header = mail->fields.n != e->shown;
	for (size_t i = 0; i < mail->fields.n && !header; i++)
		header = is_new(&mail->fields.p[i]);
	bool any = header || mail->body_changed || mail->from_changed || mail->rcpts.n;
	if (mail->hold) {
		counter_add(&held, 1);
		smtp_message_hold(&e->in->held, mail->hold_reason.n ? mail->hold_reason
								    : STR("a milter asked for it"));
	}
	if (!any)
		return 0;
	counter_add(&changed, 1);
	int r = change_envelope(e, why);
	return r < 0 || !(header || mail->body_changed) ? r : change_content(e, why);
}

/* Accepted, and forgotten: 250 without a message. */
static int say_discarded(struct smtp_turn *t)
{
	smtp_say(t, (struct smtp_status){250, "2.0.0", "Ok"});
	return 1;
}

int smtp_filter_message(struct smtp_turn *t, struct smtp_incoming *in, struct fail *why)
{
	struct smtp_session *s = t->s;
	struct milters *m = s->t.discarded ? NULL : smtp_milters(s);
	struct milter_outcome o;
	if (!m)
		return s->t.discarded ? say_discarded(t) : 0;
	AUTO(edit)
	struct edit e = {
		.in = in,
		.mail = {.arena = ARENA_INIT(MILTER_MAIL_MAX),
			 .body_max = 2 * s->config->size_max,
			 .body_begin = body_begin,
			 .body_add = body_add,
			 .body_end = body_end},
		.body = {.taken = smtp_draft_of(s->backend), .fresh = smtp_draft_of(s->backend)},
		.whole = smtp_draft_of(s->backend),
		.header = BUF_INIT(HEADER_MAX + 2)};
	e.mail.ctx = &e.body;
	int r = edit_begin(&e, why);
	if (r < 0)
		return r;
	e.shown = e.mail.fields.n;
	milters_message(m, &e.mail, &o);
	if (smtp_filter_settle(t, &o, "message", s->t.from))
		return 1;
	if (s->t.discarded)
		return say_discarded(t);
	r = make_changes(&e, why);
	if (r == 0 && s->t.rcpts.n == 0) { /* all of them deleted */
		log_event(LOG_INFO, "smtp.discarded", log_c("at", "message"),
			  log_c("milter", "no recipient is left"), log_address("from", s->t.from));
		return say_discarded(t);
	}
	return MIN(r, 0);
}
