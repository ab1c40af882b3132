/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_copy.c - COPY, MOVE, EXPUNGE and their UID forms (RFC 3501 6.4.3, 6.4.7; RFC 4315; RFC 6851).
 *                                                                              [proto, imap]
 */
#include "proto/imap/acl_int.h"
#include "proto/imap/notify.h"

#define COPYUID_MAX MIB(2)

/* "COPYUID validity from to" (RFC 4315 section 3). */
static void write_copyuid(struct buf *b, const struct store_copy_result *result)
{
	struct seqset_out set = {.out = b};
	buf_addf(b, "COPYUID %u ", result->uidvalidity);
	for (size_t i = 0; i < result->n; i++)
		seqset_out_add(&set, result->from[i].v);
	seqset_out_end(&set);
	buf_addc(b, ' ');
	set = (struct seqset_out){.out = b};
	for (size_t i = 0; i < result->n; i++)
		seqset_out_add(&set, result->first.v + (uint32_t)i);
	seqset_out_end(&set);
}

/* Nothing was there to copy: 0 messages by UID are fine (6.4.8), by number they are gone. */
static void reply_nothing(struct imap_session *s, const struct store_copy_result *result)
{
	if (result->gone && !s->run.cmd.uid)
		reply_no(s, "EXPUNGEISSUED", "The messages no longer exist.");
	else
		reply_ok(s, NULL, "No matching messages.");
}

/* What may be set in the mailbox that the messages go to (RFC 4314 section 4). */
static int flags_of_target(struct imap_session *s, uint64_t *ret, struct fail *why)
{
	uint32_t rights;
	int r = acl_rights_of(s, s->run.cmd.copy.mailbox, &rights, why);
	if (r == 0)
		*ret = acl_flags_of(rights);
	return r;
}

/*
 * What was copied stays copied although others of the set had been expunged meanwhile: COPYUID says
 * which. NO would have the client copy them once more.
 */
int cmd_copy(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)out;
	const struct imap_copy *cmd = &s->run.cmd.copy;
	AUTO(store_copy_result) struct store_copy_result result = STORE_COPY_RESULT_INIT;
	AUTO(buf) struct buf code = BUF_INIT(COPYUID_MAX);
	struct store_quota quota;
	struct store_set set;
	struct store_copying how = {.target = cmd->mailbox, .quota = &quota};
	int r = set_resolve(s, &cmd->set, s->run.cmd.uid, &set, why);
	if (r == 0)
		r = quota_get(s, &quota, why);
	if (r < 0 || limit_refuses(s, set.count, true))
		return r;
	r = flags_of_target(s, &how.may, why);
	if (r == 0)
		r = store_view_copy_as(s->view, &set, &how, &result, why);
	if (r < 0)
		return reply_target(s, r, why);
	if (result.n == 0) {
		reply_nothing(s, &result);
		return RUN_DONE;
	}
	notify_own(s, result.uidvalidity, result.first, result.n);
	write_copyuid(&code, &result);
	reply_ok(s, code.failed ? NULL : buf_c(&code), "Copy completed.");
	return RUN_DONE;
}

/* RFC 6851 4.3: COPYUID in an untagged OK, before the EXPUNGE responses that the sync tells. */
int cmd_move(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_copy *cmd = &s->run.cmd.copy;
	AUTO(store_copy_result) struct store_copy_result result = STORE_COPY_RESULT_INIT;
	AUTO(buf) struct buf code = BUF_INIT(COPYUID_MAX);
	struct store_set set;
	struct store_copying how = {.target = cmd->mailbox, .move = true};
	int r = set_resolve(s, &cmd->set, s->run.cmd.uid, &set, why);
	if (r == 0)
		r = limit_newest(s, &set, why);
	if (r < 0)
		return r;
	r = flags_of_target(s, &how.may, why);
	if (r == 0)
		r = store_view_copy_as(s->view, &set, &how, &result, why);
	if (r < 0)
		return reply_target(s, r, why);
	if (result.n == 0) {
		reply_nothing(s, &result);
		return RUN_DONE;
	}
	write_copyuid(&code, &result);
	if (!code.failed)
		buf_addf(&out->text, "* OK [%s] Moved\r\n", buf_c(&code));
	s->run.tell_modseq = qresync_is_on(s);
	return RUN_DONE;
}

/* Only those that will go count. */
static int limit_deleted(struct imap_session *s, struct store_set *set, struct fail *why)
{
	struct set_builder deleted = {.arena = &s->run.arena};
	AUTO(store_reader) struct store_reader *reader = NULL;
	struct store_message row;
	if (set->count == 0)
		return 0;
	int r = store_read_begin(s->view, set, 0, (struct modseq){0}, &reader, why);
	while (r >= 0 && (r = store_read_next(reader, &row, why)) > 0)
		if (row.flags & STORE_DELETED)
			r = set_builder_add(&deleted, row.seq, row.uid, why);
	*set = deleted.set;
	return r < 0 ? r : limit_newest(s, set, why);
}

int cmd_expunge(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)out;
	struct store_set set;
	struct modseq modseq = {0};
	int r = s->run.cmd.uid ? set_resolve(s, &s->run.cmd.expunge, true, &set, why) : 0;
	if (r == 0 && s->run.cmd.uid && s->config.message_limit)
		r = limit_deleted(s, &set, why);
	if (r == 0)
		r = store_view_expunge(s->view, s->run.cmd.uid ? &set : NULL, &modseq, why);
	s->run.tell_modseq = r == 0 && modseq.v && qresync_is_on(s);
	return r;
}
