/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append_catenate.c - a message out of literals and of parts of others (RFC 4469).  [proto, imap]
 *
 * Bytes are copied as they are. Up to STORE_INLINE_MAX they stay in memory, else they go into a
 * file; either way the whole is scanned as any message is. URLs are relative (and may be partial,
 * URL-PARTIAL of RFC 5550): what they name is read as the session's user, as it is now.
 */
#include "codec/imap/imap_url.h"
#include "proto/imap/append_int.h"
#include "proto/imap/guest_int.h"
#include "proto/imap/url_int.h"
#include "sys/fs.h"

#define PIECE KIB(64)

struct joining {
	struct imap_session *s;
	struct appending *a;
	struct buf small; /* until the file begins */
	bool in_file;
	uint64_t size;
	struct buf piece;
};

static struct fs *fs_of(const struct joining *j)
{
	return j->s->config.fs ? j->s->config.fs : fs_real();
}

static int write_file(struct joining *j, struct str bytes, uint64_t at, struct fail *why)
{
	struct fs_file file = {fs_of(j), j->a->joined.fd};
	return bytes.n ? fs_pwrite(&file, bytes.p, bytes.n, at, why) : 0;
}

static int add(struct joining *j, struct str bytes, struct fail *why)
{
	int r = 0;
	if (bytes.n > j->s->config.append_max - j->size)
		return fail_set(why, FAIL_TOOBIG, "The message is too large.", "CATENATE");
	if (!j->in_file && j->size + bytes.n <= STORE_INLINE_MAX) {
		buf_add(&j->small, bytes);
		j->size += bytes.n;
		return 0;
	}
	if (!j->in_file) {
		r = store_body_create(j->s->store, 0, &j->a->joined, why);
		if (r == 0)
			r = write_file(j, buf_str(&j->small), 0, why);
		j->in_file = true;
	}
	if (r == 0)
		r = write_file(j, bytes, j->size, why);
	j->size += bytes.n;
	return r;
}

static int add_range(struct joining *j, int fd, uint64_t off, uint64_t n, struct fail *why)
{
	struct fs_file file = {fs_of(j), fd};
	int r = 0;
	if (n > j->s->config.append_max - j->size)
		return fail_set(why, FAIL_TOOBIG, "The message is too large.", "CATENATE");
	for (uint64_t done = 0; r == 0 && done < n;) {
		size_t want = (size_t)MIN(n - done, (uint64_t)PIECE), got = 0;
		buf_reset(&j->piece);
		char *room = buf_room(&j->piece, want);
		CHECK(room);
		r = fs_pread(&file, room, want, off + done, &got, why);
		if (r == 0 && got != want)
			r = fail_set(why, FAIL_CORRUPT, NULL, "a body is cut");
		if (r == 0)
			r = add(j, str_make(room, want), why);
		done += want;
	}
	return r;
}

static int add_literal(struct joining *j, const struct imap_literal *l, struct fail *why)
{
	j->a->binary |= l->binary;
	if (l->external == IMAP_NOT_EXTERNAL)
		return add(j, l->bytes, why);
	return add_range(j, j->s->run.in.body[l->external].fd, 0, l->size, why);
}

/* What was read of a message, in order. */
static int add_answer(struct joining *j, const struct imap_out *o, struct fail *why)
{
	size_t text = 0;
	int r = o->text.failed ? fail_set(why, FAIL_LIMIT, NULL, "a part is too large") : 0;
	for (size_t i = 0; r == 0 && i < o->pieces.n; i++) {
		const struct imap_out_piece *p = &o->pieces.p[i];
		r = add(j, str_sub(buf_str(&o->text), text, p->text_end), why);
		if (r == 0)
			r = add_range(j, p->fd, p->offset, p->length, why);
		text = p->text_end;
	}
	return r < 0 ? r : add(j, str_skip(buf_str(&o->text), text), why);
}

static int add_url(struct joining *j, struct str url, struct fail *why)
{
	struct imap_session *s = j->s;
	AUTO(imap_out) struct imap_out out = IMAP_OUT_INIT(IMAP_OUT_WINDOW);
	struct imap_url u;
	int r = imap_url_parse_relative(url, &s->run.arena, &u, why);
	/* Names are the session's own, so one's own mailboxes are not here, for a guest. */
	if (r == 0 && s->guest && u.mailbox.p && !guest_strip_name(s, &u.mailbox))
		r = fail_set(why, FAIL_NOTFOUND, NULL, "a mailbox of another account");
	if (r == 0)
		r = url_message_read(s, &u, s->config.append_max - j->size, &out, why);
	if (r == -FAIL_SYNTAX || r == -FAIL_LIMIT || r == -FAIL_NOTFOUND || r == -FAIL_GONE) {
		j->a->bad_url = url;
		return fail_set(why, FAIL_NOTFOUND, NULL, "BADURL");
	}
	j->a->binary = true;
	return r < 0 ? r : add_answer(j, &out, why);
}

static int join(struct joining *j, const struct imap_append_message *in, struct fail *why)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < in->part_count; i++) {
		const struct imap_cat_part *p = &in->part[i];
		r = p->url.p ? add_url(j, p->url, why) : add_literal(j, &p->text, why);
	}
	if (r == 0 && j->size == 0)
		r = fail_set(why, FAIL_UNSUPPORTED, "The message is empty.", "empty APPEND");
	return r;
}

static void joining_init(struct joining *j, struct imap_session *s, struct appending *a)
{
	*j = (struct joining){
		.s = s, .a = a, .small = BUF_INIT(STORE_INLINE_MAX), .piece = BUF_INIT(PIECE)};
}

/* What was joined becomes the content, unless r < 0. */
static int finish(struct joining *j, int r, struct store_content *ret, struct fail *why)
{
	struct imap_session *s = j->s;
	if (r == 0 && j->in_file) {
		r = store_body_seal(s->store, &j->a->joined, why);
		ret->file = &j->a->joined;
		ret->verify = true;
	} else if (r == 0) {
		ret->bytes = arena_str(&s->run.arena, buf_str(&j->small));
		if (!ret->bytes.p)
			r = fail_set(why, FAIL_LIMIT, NULL, "arena full");
	}
	buf_clear(&j->small);
	buf_clear(&j->piece);
	return r;
}

int append_catenate(struct imap_session *s, const struct imap_append_message *in,
		    struct appending *a, struct store_content *ret, struct fail *why)
{
	struct joining j;
	joining_init(&j, s, a);
	return finish(&j, join(&j, in, why), ret, why);
}

#define WRAP_HEAD STR("UTF8 (")
#define WRAP_TAIL STR(")")

/* Bytes [off, off + n) of a literal. */
static int peek(const struct joining *j, const struct imap_literal *l, uint64_t off, size_t n,
		char into[8], struct fail *why)
{
	size_t got = 0;
	if (l->external == IMAP_NOT_EXTERNAL) {
		memcpy(into, l->bytes.p + off, n);
		return 0;
	}
	struct fs_file file = {fs_of(j), j->s->run.in.body[l->external].fd};
	int r = fs_pread(&file, into, n, off, &got, why);
	return r == 0 && got != n ? fail_set(why, FAIL_CORRUPT, NULL, "a body is cut") : r;
}

int append_unwrap(struct imap_session *s, const struct imap_literal *literal, struct appending *a,
		  struct store_content *ret, struct fail *why)
{
	struct joining j = {.s = s, .a = a};
	size_t head = WRAP_HEAD.n, around = head + WRAP_TAIL.n;
	char first[8], last[8];
	if (!session_is_utf8(s) || literal->binary || literal->size <= around)
		return 0;
	int r = peek(&j, literal, 0, head, first, why);
	if (r == 0)
		r = peek(&j, literal, literal->size - 1, 1, last, why);
	if (r < 0 || !str_eq(str_make(first, head), WRAP_HEAD) || last[0] != ')')
		return r;
	uint64_t size = literal->size - around;
	joining_init(&j, s, a);
	if (literal->external == IMAP_NOT_EXTERNAL)
		r = add(&j, str_sub(literal->bytes, head, head + (size_t)size), why);
	else
		r = add_range(&j, s->run.in.body[literal->external].fd, head, size, why);
	r = finish(&j, r, ret, why);
	return r < 0 ? r : 1;
}
