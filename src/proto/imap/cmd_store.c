/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_store.c - STORE and UID STORE (RFC 3501 6.4.6, UNCHANGEDSINCE of RFC 7162 3.1.3).
 *                                                                              [proto, imap]
 *
 * One call to the store for the whole set; then the rows are told, window by window.
 */
#include "proto/imap/acl_int.h"

struct store_state {
	struct store_flags_result result;
	size_t at; /* next row to tell */
};

static void state_clear(void *p)
{
	struct store_state *st = p;
	store_flags_result_clear(&st->result);
}

/* RFC 4314 section 4: what may not be changed is left out, and only when that is all there is the
 * command fails. */
static int flags_allowed(struct imap_session *s, struct store_flagset *ret, struct fail *why)
{
	uint32_t rights;
	bool left;
	int r = acl_selected(s, &rights, why);
	if (r < 0)
		return r;
	*ret = acl_filter(flagset_of(&s->run.cmd.store.flags), rights, &left);
	if (!left || !(rights & (IMAP_ACL_S | IMAP_ACL_W | IMAP_ACL_T)))
		return fail_set(why, FAIL_PERM, "You do not have the right to change these flags.",
				"rights %x", rights);
	return 0;
}

static int store_all(struct imap_session *s, struct imap_out *out, struct store_state *st,
		     struct fail *why)
{
	static const enum store_flags_how how[] = {
		[IMAP_STORE_REPLACE] = STORE_FLAGS_REPLACE,
		[IMAP_STORE_ADD] = STORE_FLAGS_ADD,
		[IMAP_STORE_REMOVE] = STORE_FLAGS_REMOVE,
	};
	const struct imap_store *cmd = &s->run.cmd.store;
	struct store_flagset flags;
	struct modseq since = {cmd->unchangedsince};
	struct store_set set;
	size_t before, after;
	int r = set_resolve(s, &cmd->set, s->run.cmd.uid, &set, why);
	if (r == 0)
		r = limit_newest(s, &set, why);
	if (r == 0)
		r = flags_allowed(s, &flags, why);
	if (r < 0)
		return r;
	if (cmd->has_unchangedsince)
		condstore_enable(s, out);
	if (set.count == 0)
		return 0;
	(void)store_view_get_keywords(s->view, &before);
	r = store_view_store(s->view, &set, how[cmd->mode], &flags,
			     cmd->has_unchangedsince ? &since : NULL, &st->result, why);
	if (r < 0)
		return r;
	(void)store_view_get_keywords(s->view, &after);
	if (after != before)
		write_mailbox_flags(s, out);
	return 0;
}

static int tell_rows(struct imap_session *s, struct imap_out *out, struct store_state *st)
{
	bool silent = s->run.cmd.store.silent;
	for (; st->at < st->result.n; st->at++) {
		const struct store_flag_row *row = &st->result.rows[st->at];
		bool with_flags = !silent || row->unexpected;
		if (imap_out_full(out))
			return RUN_MORE;
		/* RFC 7162 3.1.3: a CONDSTORE-aware client needs the MODSEQ even of .SILENT. */
		if (with_flags || condstore_is_on(s))
			write_flag_fetch(s, out, &row->now, with_flags);
	}
	return 0;
}

/* [MODIFIED set], in numbers or UIDs as the command has it (RFC 7162 3.1.3). */
static int reply_modified(struct imap_session *s, const struct store_flags_result *result,
			  struct fail *why)
{
	AUTO(buf) struct buf code = BUF_INIT(MIB(4));
	struct seqset_out numbers = {.out = &code};
	buf_add(&code, STR("MODIFIED "));
	for (size_t i = 0; i < result->n_modified; i++) {
		uint32_t number = result->modified[i].v;
		int r = s->run.cmd.uid ? 0
				       : store_view_seq(s->view, result->modified[i], &number, why);
		if (r < 0)
			return r;
		seqset_out_add(&numbers, number);
	}
	seqset_out_end(&numbers);
	if (result->gone)
		reply_no(s, buf_c(&code), "Some messages have changed, some no longer exist.");
	else
		reply_ok(s, buf_c(&code), "Conditional STORE failed for some messages.");
	return 0;
}

int cmd_store(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct store_state *st = s->run.state;
	int r = 0;
	if (!st) {
		st = arena_new(&s->run.arena, struct store_state);
		if (!st)
			return fail_set(why, FAIL_LIMIT, NULL, "arena full");
		s->run.state = st;
		s->run.state_clear = state_clear;
		r = store_all(s, out, st, why);
	}
	if (r == 0)
		r = tell_rows(s, out, st);
	if (r != 0)
		return r;
	if (st->result.n_modified)
		return reply_modified(s, &st->result, why);
	/* UIDs that do not exist are no error (RFC 3501 6.4.8). */
	if (st->result.gone && !s->run.cmd.uid)
		reply_no(s, "EXPUNGEISSUED", "Some of the messages no longer exist.");
	return RUN_DONE;
}
