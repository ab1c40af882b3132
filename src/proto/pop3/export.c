/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.c - a sleeping session as bytes (docs/formats/pop3-session.md).        [proto, pop3]
 *
 *     u8  0x50, which no other session's state begins with
 *     u8  version (1)
 *     u64 account
 *     u8  UTF8 was said
 *     u8  what becomes of deleted messages (enum pop3_deleted)
 *     u8  n, n bytes   language, "en" or one of the catalogue
 *     u16 n, n bytes   mechanisms, each behind a blank
 *     u32 messages, u64 octets: as the client was told at the beginning
 *     u64 octets of what is marked as deleted
 *     three sets (marks.h): u8 form, u32 n, n bytes: hidden sequence numbers; the client's numbers
 * of deleted and of fetched messages the view, by store_view_export, to the end
 *
 * Anything unknown is refused: a session is rebuilt exactly or not at all.
 */
#include "proto/pop3/pop3_int.h"

#define EXPORT_MARK    0x50u
#define EXPORT_VERSION 1u
#define MECHANISMS_MAX 400
#define LANGUAGE_MAX   20
#define MESSAGES_MAX   (1u << 24) /* two megabytes of marks */

unsigned pop3_session_version(void)
{
	return EXPORT_VERSION;
}

int pop3_session_export(const struct pop3_session *s, struct buf *out, struct fail *why)
{
	struct str lang = str_c(text_language_name(s->choice.lang));
	struct str mechanisms = str_c(s->mechanisms);
	if (s->run != RUN_NONE || s->batch.n || !s->view)
		return fail_set(why, FAIL_BUSY, NULL, "a command is unfinished");
	buf_put_u8(out, EXPORT_MARK);
	buf_put_u8(out, EXPORT_VERSION);
	buf_put_u64(out, s->account.v);
	buf_put_u8(out, s->choice.utf8);
	buf_put_u8(out, (uint8_t)s->config.deleted);
	buf_put_u8(out, (uint8_t)lang.n);
	buf_add(out, lang);
	buf_put_u16(out, (uint16_t)mechanisms.n);
	buf_add(out, mechanisms);
	buf_put_u32(out, s->exists);
	buf_put_u64(out, s->size);
	buf_put_u64(out, s->deleted_size);
	pop3_marks_export(&s->hidden, out);
	pop3_marks_export(&s->deleted, out);
	pop3_marks_export(&s->fetched, out);
	int r = store_view_export(s->view, out, why);
	if (r == 0 && out->failed)
		r = fail_set(why, FAIL_LIMIT, NULL, "export too large");
	return r;
}

static int read_marks(struct pop3_session *s, struct cursor *c)
{
	int r = pop3_marks_import(&s->hidden, c, MESSAGES_MAX);
	if (r == 0)
		r = pop3_marks_import(&s->deleted, c, s->exists);
	return r == 0 ? pop3_marks_import(&s->fetched, c, s->exists) : r;
}

/* Everything but the view. */
static int read_fields(struct pop3_session *s, struct cursor *c)
{
	s->exists = cursor_u32(c);
	s->size = cursor_u64(c);
	s->deleted_size = cursor_u64(c);
	if (c->bad || s->exists > MESSAGES_MAX || s->deleted_size > s->size)
		return -FAIL_SYNTAX;
	return read_marks(s, c);
}

static int restore(struct pop3_session *s, struct cursor *c, struct fail *why)
{
	struct str view = {(const char *)c->p, cursor_left(c)};
	int r = store_view_restore(s->store, view, &s->view, why);
	if (r < 0)
		return r;
	const struct store_view_info *info = store_view_get_info(s->view);
	if (info->account.v != s->account.v || info->exists != s->exists + s->hidden.count)
		return fail_set(why, FAIL_CONFLICT, NULL, "another view than the session's");
	return pop3_names_read(s, why);
}

int pop3_session_import(const struct pop3_session_args *args, struct str exported,
			struct pop3_session **ret, struct fail *why)
{
	char language[LANGUAGE_MAX + 1];
	struct cursor c = cursor_of(exported);
	struct pop3_session_args a = *args;
	uint8_t mark = cursor_u8(&c), version = cursor_u8(&c);
	uint64_t account = cursor_u64(&c);
	a.choice.utf8 = cursor_u8(&c);
	uint8_t deleted = cursor_u8(&c);
	struct str lang = cursor_bytes(&c, cursor_u8(&c));
	a.mechanisms = cursor_bytes(&c, cursor_u16(&c));
	if (c.bad || mark != EXPORT_MARK || version != EXPORT_VERSION ||
	    account != args->account.v || deleted >= POP3_DELETED_COUNT || lang.n > LANGUAGE_MAX ||
	    a.mechanisms.n > MECHANISMS_MAX)
		return fail_set(why, FAIL_SYNTAX, NULL, "not the state of a POP3 session");
	(void)snprintf(language, sizeof language, "%.*s", STR_ARG(lang));
	a.choice.lang = text_find_language(language);
	AUTO(pop3_session) struct pop3_session *s = pop3_session_new(&a);
	s->config.deleted = (enum pop3_deleted)deleted;
	if (read_fields(s, &c) < 0)
		return fail_set(why, FAIL_SYNTAX, NULL, "not the state of a POP3 session");
	int r = restore(s, &c, why);
	if (r == 0)
		*ret = TAKE(s);
	return r;
}
