/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_append.c - APPEND (RFC 3501 6.3.11; RFC 3502; RFC 3516 4.4; APPENDUID of RFC 4315).
 *                                                                              [proto, imap]
 *
 * All messages are indexed first and then stored in one call, all or none. One that holds NUL bytes
 * (a literal8) is encoded before (append_binary.c).
 */
#include "codec/imap/seqset.h"
#include "proto/imap/append_int.h"
#include "sys/log.h"

#define MAP_MAX STORE_MAP_MAX

/* One message on its way into the store. */
struct appending {
	struct store_body changed; /* written anew because of NUL bytes */
	bool has_nul;
};

static void appending_clear(struct appending *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		store_body_clear(&a[i].changed);
}

/* A NUL could never be sent back as a literal (RFC 3501 4.3); in a literal8 it may come. */
static int take_nul(const struct imap_literal *literal, struct appending *a, struct fail *why)
{
	a->has_nul = true;
	if (literal->binary)
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

static int take_body(struct imap_session *s, const struct imap_literal *literal,
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
	struct store_body *body = &s->run.in.body[literal->external];
	int r = body->sealed ? 0 : store_body_seal(s->store, body, why);
	if (r == 0 && body->size != literal->size)
		return fail_set(why, FAIL_CORRUPT, NULL, "body has %llu bytes, literal %llu",
				(unsigned long long)body->size, (unsigned long long)literal->size);
	content->file = body;
	content->verify = true;
	return r;
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

static int prepare(struct imap_session *s, const struct imap_append_message *in,
		   struct store_append_message *ret, struct appending *a, struct fail *why)
{
	struct mime_map *map;
	*ret = (struct store_append_message){.flags = flagset_of(&in->flags)};
	if (in->has_date) {
		ret->internaldate = in->date.at;
		ret->zone_min = in->date.zone_min;
	}
	int r = take_body(s, &in->body, &ret->content, why);
	if (r == 0)
		r = scan(s, &ret->content, why);
	if (r == 0)
		r = read_map(s, &ret->content, &map, why);
	if (r < 0 || !(map->flags & MIME_HAS_NUL))
		return r;
	r = take_nul(&in->body, a, why);
	return r < 0 ? r : encode_nul(s, map, &ret->content, a, why);
}

/* Before the bodies are scanned: is there such a mailbox at all? */
static int check_target(struct imap_session *s, struct fail *why)
{
	struct store_mailbox box;
	int r = store_mailbox_find(s->store, s->account, s->run.cmd.append.mailbox, &s->run.arena,
				   &box, why);
	if (r == 0 && box.noselect)
		return fail_set(why, FAIL_NOTFOUND, "The mailbox cannot hold messages.",
				"noselect");
	return r;
}

static void reply_appended(struct imap_session *s, const struct store_append_result *result,
			   size_t n)
{
	AUTO(buf) struct buf code = BUF_INIT(128);
	struct seqset_out uids = {.out = &code};
	buf_addf(&code, "APPENDUID %u ", result->uidvalidity);
	for (size_t i = 0; i < n; i++)
		seqset_out_add(&uids, result->first.v + (uint32_t)i);
	seqset_out_end(&uids);
	reply_ok(s, buf_c(&code), "Message stored.");
}

/* A body that cannot be encoded has a code of its own (RFC 3516 4.4). */
static int reply_unknown_cte(struct imap_session *s, const struct imap_append_message *in, int r,
			     const struct appending *a, const struct fail *why)
{
	if (r != -FAIL_UNSUPPORTED || !a->has_nul || !in->body.binary)
		return r;
	reply_no(s, "UNKNOWN-CTE", why->public);
	return RUN_DONE;
}

static int store_all(struct imap_session *s, struct store_append *append, struct fail *why)
{
	struct store_append_result result;
	int r = store_append(s->store, append, &result, why);
	if (r < 0)
		return reply_target(s, r, why);
	log_event(LOG_INFO, "imap.append", log_address("user", str_c(s->address)),
		  log_str("mailbox", append->mailbox), log_u64("uid", result.first.v),
		  log_u64("messages", append->n));
	reply_appended(s, &result, append->n);
	return RUN_DONE;
}

int cmd_append(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)out;
	const struct imap_append *cmd = &s->run.cmd.append;
	size_t n = cmd->message_count;
	struct store_append append = {.account = s->account, .mailbox = cmd->mailbox, .n = n};
	struct store_append_message *messages =
		arena_array(&s->run.arena, struct store_append_message, n);
	struct appending *a = arena_array(&s->run.arena, struct appending, n);
	if (!messages || !a)
		return fail_set(why, FAIL_LIMIT, NULL, "%zu messages", n);
	int r = check_target(s, why);
	if (r < 0)
		return reply_target(s, r, why);
	r = quota_get(s, &append.quota, why);
	size_t done = 0;
	for (; done < n; done++)
		a[done] = (struct appending){.changed = STORE_BODY_INIT};
	for (done = 0; r == 0 && done < n; done++)
		r = prepare(s, &cmd->message[done], &messages[done], &a[done], why);
	append.messages = messages;
	if (r == 0)
		r = store_all(s, &append, why);
	else if (done > 0)
		r = reply_unknown_cte(s, &cmd->message[done - 1], r, &a[done - 1], why);
	appending_clear(a, n);
	return r;
}
