/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_uidbatches.c - UIDBATCHES (draft-ietf-mailmaint-imap-uidbatches): ranges of UIDs that hold
 * the same number of messages each, from the newest ones on.                    [proto, imap]
 *
 * The ranges touch and the last one ends with UID 1, so every UID up to the last message's is in
 * one of them. Each costs one look at the mailbox map.
 */
#include "proto/imap/imap_int.h"

#define SIZE_LEAST 500

/* The UID that a batch ends with, counted from 1 on: its oldest message, or 1 for the last one. */
static int end_of(struct imap_session *s, uint64_t batch, uint32_t *ret, struct fail *why)
{
	uint32_t exists = store_view_get_info(s->view)->exists;
	uint64_t newer = batch * s->run.cmd.uidbatches.size;
	struct uid uid = {1};
	int r = 0;
	if (newer < exists)
		r = store_view_uid(s->view, exists - (uint32_t)newer + 1, &uid, why);
	*ret = uid.v;
	return r;
}

static int write_batches(struct imap_session *s, uint64_t first, uint64_t last, struct buf *b,
			 struct fail *why)
{
	uint32_t exists = store_view_get_info(s->view)->exists, end;
	struct uid newest;
	int r = store_view_uid(s->view, exists, &newest, why);
	uint32_t from = newest.v;
	if (r == 0 && first > 1) {
		r = end_of(s, first - 1, &end, why);
		from = end - 1;
	}
	for (uint64_t i = first; r == 0 && i <= last; i++) {
		r = end_of(s, i, &end, why);
		buf_addf(b, "%s%u:%u", i == first ? " " : ",", from, end);
		from = end - 1;
	}
	return r;
}

int cmd_uidbatches(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_uidbatches *cmd = &s->run.cmd.uidbatches;
	uint32_t exists = store_view_get_info(s->view)->exists;
	uint64_t n = ((uint64_t)exists + cmd->size - 1) / cmd->size;
	uint64_t first = cmd->range.given ? MIN(cmd->range.first, cmd->range.last) : 1;
	uint64_t last = cmd->range.given ? MIN(MAX(cmd->range.first, cmd->range.last), n) : n;
	int r = 0;
	if (cmd->size < SIZE_LEAST) {
		reply_no(s, "TOOSMALL", "A batch has at least 500 messages.");
		return RUN_DONE;
	}
	buf_addf(&out->text, "* UIDBATCHES (TAG \"%.*s\")", STR_ARG(buf_str(&s->run.tag)));
	if (first <= last)
		r = write_batches(s, first, last, &out->text, why);
	buf_add(&out->text, STR("\r\n"));
	return r;
}
