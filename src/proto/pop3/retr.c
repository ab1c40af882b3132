/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retr.c - the text of a message: RETR and TOP.                           [proto, pop3]
 *
 * A body that lies in a file stays there: it is read once, to find the lines that begin with a dot,
 * and what lies between them is sent as ranges of the file. Where such lines are close together the
 * bytes are copied, so that a message of nothing but dots does not become a million ranges. A few
 * megabytes at a time; the rest when those have been sent.
 */
#include "codec/mime/map.h"
#include "proto/pop3/pop3_int.h"
#include "sys/fs.h"
#include <unistd.h>

#define LOOK	  KIB(64) /* read at once */
#define RANGE_MIN KIB(64) /* a shorter range is copied */
#define ROOM_MORE KIB(1)  /* lines around a message, and some dots */
#define STEP_MAX  MIB(4)  /* of a file, before others have their turn */

static enum pop3_next end(struct pop3_session *s)
{
	store_read_end(TAKE(s->reader));
	store_source_clear(&s->body);
	arena_reset(&s->arena);
	s->run = RUN_NONE;
	return POP3_DONE;
}

static enum pop3_next end_text(struct pop3_session *s, const struct pop3_out *out)
{
	pop3_text_end(&s->text, out->text);
	return end(s);
}

/* A part of the message is out. */
static enum pop3_next cut(struct pop3_session *s, const struct pop3_out *out, int r,
			  const struct fail *why)
{
	(void)out;
	AUTO(buf) struct buf nowhere = BUF_INIT(KIB(1));
	struct pop3_out log_only = {.text = &nowhere};
	(void)pop3_say_failure(s, &log_only, r, why);
	(void)end(s);
	return POP3_CLOSE;
}

/* --- files --- */

/* Bytes [from, to) of the file behind what was said: as a range, or copied when they are few. */
static int put_range(struct pop3_session *s, uint64_t from, uint64_t to, const struct pop3_out *out,
		     struct fail *why)
{
	struct fs_file file = {s->config.fs ? s->config.fs : fs_real(), s->body.fd};
	size_t n;
	if (to - from >= RANGE_MIN) {
		int fd = dup(s->body.fd);
		if (fd < 0)
			return fail_set(why, FAIL_LIMIT, NULL, "no descriptor for a range");
		out->file(out->arg, fd, s->body.offset + from, to - from);
		return 0;
	}
	char *room = buf_room(out->text, to - from);
	if (!room)
		return fail_set(why, FAIL_LIMIT, NULL, "answer too large");
	int r = fs_pread(&file, room, to - from, s->body.offset + from, &n, why);
	if (r < 0)
		return r;
	if (n != to - from)
		return fail_set(why, FAIL_CORRUPT, NULL, "body file is cut");
	buf_added(out->text, n);
	return 0;
}

/* A piece of the file, of which [*from, at) was looked at and not yet sent. */
static int put_piece(struct pop3_session *s, struct str piece, uint64_t *from,
		     const struct pop3_out *out, struct fail *why)
{
	uint64_t at = s->body_at;
	for (size_t dot; (dot = pop3_text_dot(&s->text, piece)) != SIZE_MAX;) {
		int r = put_range(s, *from, at + dot, out, why);
		if (r < 0)
			return r;
		(void)buf_addc(out->text, '.');
		*from = at + dot;
		pop3_text_pass(&s->text, str_sub(piece, 0, dot + 1));
		piece = str_skip(piece, dot + 1);
		at += dot + 1;
	}
	pop3_text_pass(&s->text, piece);
	s->body_at = at + piece.n;
	return 0;
}

static int put_some(struct pop3_session *s, const struct pop3_out *out, struct fail *why)
{
	struct fs_file file = {s->config.fs ? s->config.fs : fs_real(), s->body.fd};
	uint64_t from = s->body_at, stop = MIN(s->body.size, from + STEP_MAX);
	char *look = arena_alloc(&s->arena, LOOK);
	size_t n;
	int r = look ? 0 : fail_set(why, FAIL_LIMIT, NULL, "arena full");
	while (r == 0 && s->body_at < stop && !s->text.ended) {
		size_t want = (size_t)MIN((uint64_t)LOOK, stop - s->body_at);
		r = fs_pread(&file, look, want, s->body.offset + s->body_at, &n, why);
		if (r == 0 && n != want)
			r = fail_set(why, FAIL_CORRUPT, NULL, "body file is cut");
		struct str piece = str_make(look, want);
		if (r == 0)
			r = put_piece(s, str_sub(piece, 0, pop3_text_limit(&s->text, piece)), &from,
				      out, why);
	}
	return r < 0 ? r : put_range(s, from, s->body_at, out, why);
}

enum pop3_next pop3_retr_resume(struct pop3_session *s, const struct pop3_out *out)
{
	struct fail why = FAIL_INIT;
	arena_reset(&s->arena);
	int r = put_some(s, out, &why);
	if (r < 0)
		return cut(s, out, r, &why);
	if (s->body_at == s->body.size || s->text.ended)
		return end_text(s, out);
	return POP3_MORE;
}

/* --- beginning --- */

/* RFC 6856 2.1. */
static bool needs_utf8(const struct pop3_session *s, const struct store_message *m)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(8));
	struct mime_map *map;
	return s->config.utf8_only && !s->choice.utf8 &&
	       mime_map_read(m->map, m->body_size, &a, &map, NULL) == 0 &&
	       (map->flags & MIME_HEADER_8BIT);
}

static enum pop3_next begin_text(struct pop3_session *s, const struct pop3_cmd *cmd,
				 const struct store_message *m, const struct pop3_out *out)
{
	struct fail why = FAIL_INIT;
	int r = store_body_open(s->view, m, &s->arena, &s->body, &why);
	if (r < 0) {
		(void)end(s);
		return pop3_say_failure(s, out, r, &why);
	}
	if (cmd->kind == POP3_TOP) {
		pop3_text_begin_top(&s->text, cmd->lines);
		(void)buf_addf(out->text, "+OK %s\r\n", T("Here it begins."));
	} else {
		pop3_text_begin(&s->text);
		(void)buf_add(out->text, STR("+OK "));
		(void)buf_addf(out->text, T("%u octets."), m->size);
		(void)buf_add(out->text, STR("\r\n"));
		pop3_marks_add(&s->fetched, cmd->number);
	}
	if (s->body.fd < 0) /* once, and not in steps */
		(void)buf_room(out->text, m->prefix.n + s->body.bytes.n + ROOM_MORE);
	pop3_text_add(&s->text, m->prefix, out->text);
	if (s->body.fd < 0) {
		pop3_text_add(&s->text, s->body.bytes, out->text);
		return end_text(s, out);
	}
	s->run = RUN_TEXT;
	s->body_at = 0;
	return pop3_retr_resume(s, out);
}

enum pop3_next pop3_cmd_retr(struct pop3_session *s, const struct pop3_cmd *cmd,
			     const struct pop3_out *out)
{
	struct store_message m;
	unsigned columns = STORE_COL_PREFIX;
	if (s->config.utf8_only && !s->choice.utf8)
		columns |= STORE_COL_MAP;
	if (!pop3_message_find(s, cmd->number, columns, &m, out))
		return end(s);
	if (needs_utf8(s, &m)) {
		pop3_say_err(out, "[UTF8] ", T("The message needs a client that says UTF8."));
		return end(s);
	}
	return begin_text(s, cmd, &m, out);
}
