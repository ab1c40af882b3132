/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_append.c - APPEND (RFC 3501 6.3.11; RFC 3502; RFC 3516 4.4; APPENDUID of RFC 4315).
 *                                                                              [proto, imap]
 *
 * All messages are indexed first and then stored in one call, all or none. One that holds NUL bytes
 * (a literal8) is encoded before (append_binary.c).
 */
#include "codec/imap/imap_url.h"
#include "codec/imap/seqset.h"
#include "proto/imap/acl_int.h"
#include "proto/imap/append_int.h"
#include "proto/imap/notify.h"
#include "sys/fs.h"
#include "sys/log.h"

#define MAP_MAX		STORE_MAP_MAX
#define SMALL_FILES_MAX MIB(1) /* of a command's arena; what is more stays in files */

void appending_clear(struct appending *a)
{
	store_body_clear(&a->joined);
	store_body_clear(&a->changed);
}

/* A NUL could never be sent back as a literal (RFC 3501 4.3); in a literal8 it may come. */
static int take_nul(struct appending *a, struct fail *why)
{
	a->has_nul = true;
	if (a->binary)
		return 0;
	return fail_set(why, FAIL_UNSUPPORTED,
			"The message holds a NUL byte: send it as a binary literal.",
			"NUL in APPEND");
}

static int read_map(struct imap_session *s, const struct store_content *c, struct mime_map **ret,
		    struct fail *why)
{
	arena_reset(&s->run.scratch);
	return mime_map_read(c->map, c->file ? c->file->size : c->bytes.n, &s->run.scratch, ret,
			     why);
}

/*
 * Many small messages in one command come in files, because together they are much. Each is kept as
 * one that comes alone: in a file of its own it would cost two syncs, and an open for each reading.
 */
static int take_small_file(struct imap_session *s, const struct imap_literal *literal,
			   struct store_content *content, struct fail *why)
{
	struct fs_file file = {s->config.fs ? s->config.fs : fs_real(),
			       s->run.in.body[literal->external].fd};
	size_t n;
	char *bytes = arena_alloc(&s->run.arena, literal->size + 1);
	if (!bytes)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full with %zu messages",
				s->run.cmd.append.message_count);
	int r = fs_pread(&file, bytes, literal->size + 1, 0, &n, why);
	if (r == 0 && n != literal->size)
		return fail_set(why, FAIL_CORRUPT, NULL, "body has %zu bytes, literal %llu", n,
				(unsigned long long)literal->size);
	content->bytes = str_make(bytes, n);
	return r;
}

static bool is_small(const struct imap_session *s, const struct imap_literal *literal)
{
	return literal->size <= STORE_INLINE_MAX &&
	       s->run.arena.used + literal->size <= SMALL_FILES_MAX;
}

static int take_literal(struct imap_session *s, const struct imap_literal *literal,
			struct store_content *content, struct fail *why)
{
	if (literal->size > s->config.append_max)
		return fail_set(why, FAIL_TOOBIG, "The message is too large.", "%llu bytes",
				(unsigned long long)literal->size);
	if (literal->size == 0)
		return fail_set(why, FAIL_UNSUPPORTED, "The message is empty.", "empty APPEND");
	if (literal->external == IMAP_NOT_EXTERNAL) {
		content->bytes = literal->bytes;
		return 0;
	}
	if (is_small(s, literal))
		return take_small_file(s, literal, content, why);
	struct store_body *body = &s->run.in.body[literal->external];
	int r = body->sealed ? 0 : store_body_seal(s->store, body, why);
	if (r == 0 && body->size != literal->size)
		return fail_set(why, FAIL_CORRUPT, NULL, "body has %llu bytes, literal %llu",
				(unsigned long long)body->size, (unsigned long long)literal->size);
	content->file = body;
	content->verify = true;
	return r;
}

static int take_body(struct imap_session *s, const struct imap_append_message *in,
		     struct appending *a, struct store_content *content, struct fail *why)
{
	if (in->part_count > 0)
		return append_catenate(s, in, a, content, why);
	a->binary = in->body.binary;
	int r = append_unwrap(s, &in->body, a, content, why);
	return r != 0 ? MIN(r, 0) : take_literal(s, &in->body, content, why);
}

/* The map of the content, into content->map. */
static int scan(struct imap_session *s, struct store_content *content, struct fail *why)
{
	AUTO(buf) struct buf map = BUF_INIT(MAP_MAX);
	int r = s->hooks.scan(s->hooks.arg, content, &map, why);
	if (r < 0)
		return r;
	content->map = arena_str(&s->run.arena, buf_str(&map));
	if (!content->map.p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full with the maps of %zu messages",
				s->run.cmd.append.message_count);
	return 0;
}

/* A message with NUL bytes is written anew, and scanned once more (RFC 3516 4.4). */
static int encode_nul(struct imap_session *s, const struct mime_map *map,
		      struct store_content *content, struct appending *a, struct fail *why)
{
	int r = append_binary(s, content, map, &a->changed, why);
	if (r < 0)
		return r;
	*content = (struct store_content){.file = &a->changed, .verify = true};
	return scan(s, content, why);
}

/*
 * RFC 6855 section 4 has 8-bit bytes in a header refused for clients that did not enable
 * UTF8=ACCEPT. Mail that is moved from elsewhere has had such headers for decades, and nobody else
 * refuses it: so it is the operator's choice (docs/IMAP.md).
 */
static int check_header(const struct imap_session *s, const struct imap_append_message *in,
			const struct mime_map *map, struct fail *why)
{
	if (!s->config.strict_headers || session_is_utf8(s) || in->utf8 ||
	    !(map->flags & MIME_HEADER_8BIT))
		return 0;
	return fail_set(why, FAIL_UNSUPPORTED,
			"The header has 8-bit bytes: this takes UTF8=ACCEPT.", "8-bit header");
}

int append_prepare(struct imap_session *s, const struct imap_append_message *in,
		   struct store_append_message *ret, struct appending *a, struct fail *why)
{
	struct mime_map *map;
	*ret = (struct store_append_message){.flags = flagset_of(&in->flags)};
	if (in->has_date) {
		ret->internaldate = in->date.at;
		ret->zone_min = in->date.zone_min;
	}
	int r = take_body(s, in, a, &ret->content, why);
	if (r == 0)
		r = scan(s, &ret->content, why);
	if (r == 0)
		r = read_map(s, &ret->content, &map, why);
	if (r == 0)
		r = check_header(s, in, map, why);
	if (r < 0 || !(map->flags & MIME_HAS_NUL))
		return r;
	r = take_nul(a, why);
	return r < 0 ? r : encode_nul(s, map, &ret->content, a, why);
}

int append_target(struct imap_session *s, struct str mailbox, struct fail *why)
{
	struct store_mailbox box;
	int r = store_mailbox_find(s->store, s->account, mailbox, &s->run.arena, &box, why);
	if (r == 0 && box.noselect)
		return fail_set(why, FAIL_NOTFOUND, "The mailbox cannot hold messages.",
				"noselect");
	return r;
}

int append_as(struct imap_session *s, struct store_append *a, struct store_append_message *messages,
	      struct fail *why)
{
	uint32_t rights;
	bool left;
	int r = acl_rights_of(s, a->mailbox, &rights, why);
	for (size_t i = 0; r == 0 && i < a->n; i++)
		messages[i].flags = acl_filter(messages[i].flags, rights, &left);
	if (s->guest)
		a->viewer = s->viewer_id;
	return r;
}

void append_write_uids(struct buf *b, const struct store_append_result *result, size_t n)
{
	struct seqset_out uids = {.out = b};
	buf_addf(b, "APPENDUID %u ", result->uidvalidity);
	for (size_t i = 0; i < n; i++)
		seqset_out_add(&uids, result->first.v + (uint32_t)i);
	seqset_out_end(&uids);
}

/* RFC 4469 section 4.1: the URL as it was given, but for what cannot stand there. */
static void reply_badurl(struct imap_session *s, struct str url)
{
	AUTO(buf) struct buf code = BUF_INIT(4 * IMAP_URL_MAX);
	buf_add(&code, STR("BADURL "));
	for (size_t i = 0; i < MIN(url.n, (size_t)IMAP_URL_MAX); i++) {
		unsigned char c = (unsigned char)url.p[i];
		if (c <= ' ' || c >= 0x7f || c == ']' || c == '\\')
			buf_addf(&code, "%%%02X", c);
		else
			buf_addc(&code, (char)c);
	}
	reply_no(s, buf_c(&code), "The URL names no message that can be read.");
}

int append_refused(struct imap_session *s, int r, const struct appending *a, const struct fail *why)
{
	if (a->bad_url.p && r == -FAIL_NOTFOUND) {
		reply_badurl(s, a->bad_url);
		return RUN_DONE;
	}
	/* A body that cannot be encoded (RFC 3516 4.4). */
	if (r == -FAIL_UNSUPPORTED && a->has_nul && a->binary) {
		reply_no(s, "UNKNOWN-CTE", why->public);
		return RUN_DONE;
	}
	return r;
}

static int store_all(struct imap_session *s, struct store_append *append, struct fail *why)
{
	AUTO(buf) struct buf code = BUF_INIT(128);
	struct store_append_result result;
	int r = store_append(s->store, append, &result, why);
	if (r < 0)
		return reply_target(s, r, why);
	log_event(LOG_INFO, "imap.append", log_address("user", str_c(s->address)),
		  log_str("mailbox", append->mailbox), log_u64("uid", result.first.v),
		  log_u64("messages", append->n));
	notify_own(s, result.uidvalidity, result.first, append->n);
	append_write_uids(&code, &result, append->n);
	reply_ok(s, buf_c(&code), "Message stored.");
	return RUN_DONE;
}

int cmd_append(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)out;
	const struct imap_append *cmd = &s->run.cmd.append;
	size_t n = cmd->message_count, done = 0;
	struct store_append append = {.account = s->account, .mailbox = cmd->mailbox, .n = n};
	struct store_append_message *messages =
		arena_array(&s->run.arena, struct store_append_message, n);
	struct appending *a = arena_array(&s->run.arena, struct appending, n);
	if (limit_refuses(s, n, true))
		return RUN_DONE;
	if (!messages || !a)
		return fail_set(why, FAIL_LIMIT, NULL, "%zu messages", n);
	int r = append_target(s, cmd->mailbox, why);
	if (r < 0)
		return reply_target(s, r, why);
	r = quota_get(s, &append.quota, why);
	for (; r == 0 && done < n; done++) {
		a[done] = APPENDING_INIT;
		r = append_prepare(s, &cmd->message[done], &messages[done], &a[done], why);
	}
	if (r == 0)
		r = append_as(s, &append, messages, why);
	append.messages = messages;
	if (r == 0)
		r = store_all(s, &append, why);
	else if (done > 0)
		r = append_refused(s, r, &a[done - 1], why);
	while (done-- > 0)
		appending_clear(&a[done]);
	return r;
}
