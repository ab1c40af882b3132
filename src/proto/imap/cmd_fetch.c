/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_fetch.c - FETCH and UID FETCH (RFC 3501 6.4.5, CHANGEDSINCE of RFC 7162 3.1.4.1).
 *                                                                              [proto, imap]
 *
 * One reader over the whole set; after each message the window is looked at, and a full one leaves
 * with the reader as cursor. \Seen is set for all messages in one call before the first is
 * answered, so that each one's answer shows it. A message that cannot be read is left out, and
 * the tagged line says NO; the others are answered.
 */
#include "proto/imap/fetch_int.h"
#include "sys/log.h"

struct fetch_state {
	unsigned columns;
	bool sets_seen;
	bool has_uid, has_flags, has_modseq; /* asked for by name */
	struct store_set set;
	struct store_set seen; /* got \Seen by this command */
	struct vanished vanished;
	struct store_reader *reader;
	uint32_t gone;
	bool unknown_cte;
	int failed; /* first failure of another kind */
	struct fail why;
};

static const struct imap_fetch_att att_uid = {.kind = IMAP_FETCH_UID};
static const struct imap_fetch_att att_flags = {.kind = IMAP_FETCH_FLAGS};
static const struct imap_fetch_att att_modseq = {.kind = IMAP_FETCH_MODSEQ};

static void state_clear(void *p)
{
	struct fetch_state *st = p;
	store_read_end(st->reader);
	st->reader = NULL;
}

static void plan(struct fetch_state *st, const struct imap_fetch *cmd)
{
	for (size_t i = 0; i < cmd->att_count; i++) {
		const struct imap_fetch_att *att = &cmd->att[i];
		st->columns |= fetch_item_columns(att);
		st->sets_seen |= fetch_item_sets_seen(att);
		st->has_uid |= att->kind == IMAP_FETCH_UID;
		st->has_flags |= att->kind == IMAP_FETCH_FLAGS;
		st->has_modseq |= att->kind == IMAP_FETCH_MODSEQ;
	}
}

static struct modseq since_of(const struct imap_session *s)
{
	const struct imap_fetch *cmd = &s->run.cmd.fetch;
	return (struct modseq){cmd->has_changedsince ? cmd->changedsince : 0};
}

/* Narrow st->set to CHANGEDSINCE, before \Seen gives new MODSEQs, and find those without \Seen:
 * cheap, flags are in memory. */
static int look_ahead(struct imap_session *s, struct fetch_state *st, struct fail *why)
{
	struct set_builder chosen = {.arena = &s->run.arena};
	struct set_builder unseen = {.arena = &s->run.arena};
	AUTO(store_reader) struct store_reader *reader = NULL;
	struct store_message row;
	int r = store_read_begin(s->view, &st->set, 0, since_of(s), &reader, why);
	if (r < 0)
		return r;
	while ((r = store_read_next(reader, &row, why)) > 0) {
		r = set_builder_add(&chosen, row.seq, row.uid, why);
		if (r == 0 && !(row.flags & STORE_SEEN))
			r = set_builder_add(&unseen, row.seq, row.uid, why);
		if (r < 0)
			return r;
	}
	st->set = chosen.set;
	st->seen = unseen.set;
	return r;
}

/* Mail stays readable when the flag cannot be stored, as on a full disk. */
static int set_seen(struct imap_session *s, struct fetch_state *st, struct fail *why)
{
	AUTO(store_flags_result) struct store_flags_result result = STORE_FLAGS_RESULT_INIT;
	struct store_flagset seen = {.bits = STORE_SEEN};
	int r = look_ahead(s, st, why);
	if (r < 0 || st->seen.count == 0)
		return r;
	r = store_view_store(s->view, &st->seen, STORE_FLAGS_ADD, &seen, NULL, &result, why);
	if (r < 0 && r != -FAIL_GONE) {
		log_event(LOG_WARN, "imap.seen_not_stored", log_c("user", s->address),
			  log_fail(why));
		st->seen = (struct store_set){0};
		r = 0;
	}
	return r;
}

/* RFC 7162 3.2.6. */
static int find_vanished(struct imap_session *s, struct fetch_state *st, struct fail *why)
{
	const struct imap_fetch *cmd = &s->run.cmd.fetch;
	if (!qresync_is_on(s))
		return fail_set(why, FAIL_SYNTAX, "VANISHED needs QRESYNC.", "vanished");
	if (!s->run.cmd.uid || !cmd->has_changedsince)
		return fail_set(why, FAIL_SYNTAX, "VANISHED goes with UID FETCH and CHANGEDSINCE.",
				"vanished");
	/* What is expunged is no longer in "$". */
	if (cmd->set.saved)
		return 0;
	return vanished_find(s, cmd->changedsince, &cmd->set, &st->vanished, why);
}

/* RFC 9394 3.3: of the messages that are named, those at these places. */
static int narrow_to_partial(struct imap_session *s, struct fetch_state *st, struct fail *why)
{
	const struct imap_partial *p = &s->run.cmd.fetch.partial;
	uint32_t first = MIN(p->first, p->last), last = MIN(MAX(p->first, p->last), st->set.count);
	if (!p->given)
		return 0;
	if (!s->run.cmd.uid)
		return fail_set(why, FAIL_SYNTAX, "PARTIAL goes with UID FETCH.", "partial");
	if (first > last) {
		st->set = (struct store_set){0};
		return 0;
	}
	if (p->from_end)
		return set_slice(s, &st->set, st->set.count - last, last - first + 1, why);
	return set_slice(s, &st->set, first - 1, last - first + 1, why);
}

static int begin(struct imap_session *s, struct imap_out *out, struct fetch_state *st,
		 struct fail *why)
{
	const struct imap_fetch *cmd = &s->run.cmd.fetch;
	int r = cmd->vanished ? find_vanished(s, st, why) : 0;
	if (r == 0)
		r = set_resolve(s, &cmd->set, s->run.cmd.uid, &st->set, why);
	if (r == 0)
		r = narrow_to_partial(s, st, why);
	if (r == 0)
		r = limit_newest(s, &st->set, why);
	if (r < 0)
		return r;
	plan(st, cmd);
	if (cmd->has_changedsince || st->has_modseq)
		condstore_enable(s, out);
	if (st->set.count && st->sets_seen && !store_view_get_info(s->view)->read_only &&
	    (store_view_get_may(s->view) & STORE_SEEN))
		r = set_seen(s, st, why);
	if (r < 0 || st->set.count == 0)
		return r;
	return store_read_begin(s->view, &st->set, st->columns, since_of(s), &st->reader, why);
}

/* "(item item ...)": what was asked for, and what the command adds by itself. */
static int write_items(struct msg *m, struct fetch_state *st, struct imap_out *out,
		       struct fail *why)
{
	const struct imap_cmd *cmd = &m->s->run.cmd;
	const struct imap_fetch *fetch = &cmd->fetch;
	bool seen_now = set_has(&st->seen, m->row->seq);
	bool tell_modseq = seen_now && condstore_is_on(m->s);
	const struct imap_fetch_att *extra[3];
	size_t n_extra = 0;
	int r = 0;
	if ((cmd->uid || tell_modseq) && !st->has_uid && !session_is_uidonly(m->s))
		extra[n_extra++] = &att_uid;
	if (seen_now && !st->has_flags)
		extra[n_extra++] = &att_flags;
	if ((tell_modseq || fetch->has_changedsince) && !st->has_modseq)
		extra[n_extra++] = &att_modseq;
	for (size_t i = 0; r == 0 && i < n_extra + fetch->att_count; i++) {
		buf_addc(&out->text, i ? ' ' : '(');
		r = fetch_item_write(m, i < n_extra ? extra[i] : &fetch->att[i - n_extra], out,
				     why);
	}
	return r;
}

static int write_message(struct imap_session *s, struct fetch_state *st,
			 const struct store_message *row, struct imap_out *out, struct fail *why)
{
	struct imap_out_mark mark = imap_out_mark(out);
	struct msg m;
	msg_begin(&m, s, row);
	write_fetch_head(s, &out->text, row->seq, row->uid);
	int r = write_items(&m, st, out, why);
	buf_add(&out->text, STR(")\r\n"));
	if (r == 0 && out->text.failed)
		r = fail_set(why, FAIL_LIMIT, "The answer is too large.", "uid=%u", row->uid.v);
	if (r < 0)
		imap_out_rollback(out, mark);
	st->unknown_cte |= m.unknown_cte;
	msg_end(&m);
	return r;
}

static void note_failure(struct fetch_state *st, const struct store_message *row, int r,
			 struct fail *why)
{
	if (r == -FAIL_GONE || r == -FAIL_NOTFOUND) {
		st->gone++;
		return;
	}
	(void)fail_wrap(why, r, "uid=%u", row->uid.v);
	if (st->failed)
		return;
	st->failed = r;
	st->why = *why;
}

static int write_messages(struct imap_session *s, struct fetch_state *st, struct imap_out *out,
			  struct fail *why)
{
	struct store_message row;
	while (st->reader) {
		if (imap_out_full(out))
			return RUN_MORE;
		int r = store_read_next(st->reader, &row, why);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		struct fail broken = FAIL_INIT;
		r = write_message(s, st, &row, out, &broken);
		if (r < 0)
			note_failure(st, &row, r, &broken);
	}
	return RUN_DONE;
}

int cmd_fetch(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct fetch_state *st = s->run.state;
	int r = 0;
	if (!st) {
		st = arena_new(&s->run.arena, struct fetch_state);
		if (!st)
			return fail_set(why, FAIL_LIMIT, NULL, "arena full");
		s->run.state = st;
		s->run.state_clear = state_clear;
		r = begin(s, out, st, why);
	}
	if (r == 0)
		r = vanished_write(&st->vanished, out);
	if (r == 0)
		r = write_messages(s, st, out, why);
	if (r != RUN_MORE)
		state_clear(st); /* before the sync that may tell expunges */
	if (r != RUN_DONE)
		return r;
	if (st->unknown_cte)
		reply_no(s, "UNKNOWN-CTE",
			 "Some parts have an encoding that this server does not know.");
	else if (st->failed)
		reply_failed(s, st->failed, &st->why);
	else if (st->gone)
		reply_no(s, "EXPUNGEISSUED", "Some of the messages no longer exist.");
	return RUN_DONE;
}
