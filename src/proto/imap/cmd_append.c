/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_append.c - APPEND (RFC 3501 6.3.11; RFC 3502; APPENDUID of RFC 4315).      [proto, imap]
 *
 * All messages are indexed first and then stored in one call, all or none.
 */
#include "codec/imap/seqset.h"
#include "codec/mime/map.h"
#include "proto/imap/imap_int.h"
#include "sys/log.h"

#define MAP_MAX STORE_MAP_MAX

/* A NUL could never be sent back as a literal (RFC 3501 4.3). */
static int refuse_nul(struct fail *why)
{
	return fail_set(why, FAIL_UNSUPPORTED, "The message holds a NUL byte.", "NUL in APPEND");
}

static bool map_has_nul(struct imap_session *s, struct str map, uint64_t size)
{
	struct mime_map *m;
	arena_reset(&s->run.scratch);
	return mime_map_read(map, size, &s->run.scratch, &m, NULL) == 0 &&
	       (m->flags & MIME_HAS_NUL);
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
		return memchr(literal->bytes.p, 0, literal->bytes.n) ? refuse_nul(why) : 0;
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

static int prepare(struct imap_session *s, const struct imap_append_message *in,
		   struct store_append_message *ret, struct fail *why)
{
	AUTO(buf) struct buf map = BUF_INIT(MAP_MAX);
	*ret = (struct store_append_message){.flags = flagset_of(&in->flags)};
	if (in->has_date)
		ret->internaldate = in->date.at;
	int r = take_body(s, &in->body, &ret->content, why);
	if (r < 0)
		return r;
	r = s->hooks.scan(s->hooks.arg, &ret->content, &map, why);
	if (r < 0)
		return r;
	if (ret->content.file && map_has_nul(s, buf_str(&map), in->body.size))
		return refuse_nul(why);
	ret->content.map = arena_str(&s->run.arena, buf_str(&map));
	if (!ret->content.map.p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full with the maps of %zu messages",
				s->run.cmd.append.message_count);
	return 0;
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

int cmd_append(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)out;
	const struct imap_append *cmd = &s->run.cmd.append;
	struct store_append append = {.account = s->account, .mailbox = cmd->mailbox};
	struct store_append_message *messages =
		arena_array(&s->run.arena, struct store_append_message, cmd->message_count);
	if (!messages)
		return fail_set(why, FAIL_LIMIT, NULL, "%zu messages", cmd->message_count);
	int r = check_target(s, why);
	if (r < 0)
		return reply_target(s, r, why);
	r = quota_get(s, &append.quota, why);
	for (size_t i = 0; r == 0 && i < cmd->message_count; i++)
		r = prepare(s, &cmd->message[i], &messages[i], why);
	if (r < 0)
		return r;
	append.messages = messages;
	append.n = cmd->message_count;
	struct store_append_result result;
	r = store_append(s->store, &append, &result, why);
	if (r < 0)
		return reply_target(s, r, why);
	log_event(LOG_INFO, "imap.append", log_address("user", str_c(s->address)),
		  log_str("mailbox", cmd->mailbox), log_u64("uid", result.first.v),
		  log_u64("messages", append.n));
	reply_appended(s, &result, append.n);
	return RUN_DONE;
}
