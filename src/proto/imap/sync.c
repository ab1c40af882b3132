/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.c - untagged news of the selected mailbox (RFC 3501 5.2, 7.2.6, 7.3, 7.4).  [proto, imap]
 */
#include "proto/imap/notify.h"

#define VANISHED_LINE_BYTES KIB(4) /* about */

void write_flags(struct buf *b, uint64_t flags, const struct str *keywords, size_t n_keywords)
{
	char sep = '(';
	for (const struct imap_name *f = imap_flag_names; f->name; f++) {
		if (!(flags & f->bit))
			continue;
		buf_addc(b, sep);
		buf_add_c(b, f->name);
		sep = ' ';
	}
	uint64_t rest = flags >> STORE_KEYWORD_FIRST;
	for (size_t i = 0; rest && i < n_keywords; i++, rest >>= 1) {
		if (!(rest & 1))
			continue;
		buf_addc(b, sep);
		buf_add(b, keywords[i]);
		sep = ' ';
	}
	if (sep == '(')
		buf_addc(b, '(');
	buf_addc(b, ')');
}

void write_mailbox_flags(struct imap_session *s, struct imap_out *out)
{
	struct buf *b = &out->text;
	size_t n;
	const struct str *keywords = store_view_get_keywords(s->view, &n);
	buf_add(b, STR("* FLAGS "));
	write_flags(b, STORE_SYSTEM_FLAGS | ~(uint64_t)0 << STORE_KEYWORD_FIRST, keywords, n);
	buf_add(b, STR("\r\n* OK [PERMANENTFLAGS "));
	if (store_view_get_info(s->view)->read_only) {
		buf_add(b, STR("()] Read-only mailbox\r\n"));
		return;
	}
	write_flags(b,
		    (STORE_SYSTEM_FLAGS | ~(uint64_t)0 << STORE_KEYWORD_FIRST) &
			    store_view_get_may(s->view),
		    keywords, n);
	if (store_view_keywords_open(s->view)) {
		buf_cut(b, b->n - 1);
		buf_add(b, STR(" \\*)"));
	}
	buf_add(b, STR("] Flags permitted\r\n"));
}

void write_fetch_head(const struct imap_session *s, struct buf *b, uint32_t seq, struct uid uid)
{
	bool by_uid = session_is_uidonly(s);
	buf_add(b, STR("* "));
	buf_add_u64(b, by_uid ? uid.v : seq);
	buf_add_c(b, by_uid ? " UIDFETCH " : " FETCH ");
}

void write_flag_fetch(struct imap_session *s, struct imap_out *out,
		      const struct store_flag_change *c, bool with_flags)
{
	struct buf *b = &out->text;
	const char *sep = "";
	write_fetch_head(s, b, c->seq, c->uid);
	buf_addc(b, '(');
	/* RFC 3501 6.4.8; RFC 9051 7.5.2 for all; RFC 7162 3.2.4, which also servers without
	 * QRESYNC should follow. */
	if (!session_is_uidonly(s) &&
	    (s->run.cmd.uid || condstore_is_on(s) || session_is_rev2(s))) {
		buf_add(b, STR("UID "));
		buf_add_u64(b, c->uid.v);
		sep = " ";
	}
	if (with_flags) {
		size_t n;
		const struct str *keywords = store_view_get_keywords(s->view, &n);
		buf_add_c(b, sep);
		buf_add(b, STR("FLAGS "));
		write_flags(b, flags_shown(s, c->flags), keywords, n);
		sep = " ";
	}
	if (condstore_is_on(s)) {
		buf_add_c(b, sep);
		buf_add(b, STR("MODSEQ ("));
		buf_add_u64(b, c->modseq.v);
		buf_addc(b, ')');
	}
	buf_add(b, STR(")\r\n"));
}

static void write_count(struct imap_out *out, uint32_t n, const char *what)
{
	buf_addf(&out->text, "* %u %s\r\n", n, what);
}

/* From the last to the first, so that the numbers are right as they are (7.4.1). */
static int write_expunges(struct sync_cursor *c, struct imap_out *out)
{
	while (c->expunges < c->changes->n_expunged) {
		if (imap_out_full(out))
			return RUN_MORE;
		size_t at = c->changes->n_expunged - 1 - c->expunges++;
		write_count(out, c->changes->expunged[at], "EXPUNGE");
	}
	return 0;
}

/* VANISHED with UIDs instead, in lines of a bounded length (RFC 7162 3.2.10.2). */
static int write_vanished(struct sync_cursor *c, struct imap_out *out)
{
	while (c->expunges < c->changes->n_expunged) {
		struct seqset_out uids = {.out = &out->text};
		if (imap_out_full(out))
			return RUN_MORE;
		size_t start = out->text.n;
		buf_add(&out->text, STR("* VANISHED "));
		while (c->expunges < c->changes->n_expunged &&
		       out->text.n - start < VANISHED_LINE_BYTES)
			seqset_out_add(&uids, c->changes->expunged_uids[c->expunges++].v);
		seqset_out_end(&uids);
		buf_add(&out->text, STR("\r\n"));
	}
	return 0;
}

/* A client that takes MODSEQs of FETCH for what it knows must not count expunges that are held back
 * among it (RFC 7162 3.2 and section 6). */
static void write_held_back(struct imap_session *s, struct imap_out *out,
			    const struct store_changes *changes)
{
	if (qresync_is_on(s) && changes->expunges_pending)
		buf_addf(&out->text, "* OK [HIGHESTMODSEQ %llu] Expunges are held back\r\n",
			 (unsigned long long)changes->told.v);
}

static void write_head(struct imap_session *s, struct imap_out *out)
{
	const struct store_changes *c = s->run.sync.changes;
	if (c->exists_changed)
		write_count(out, c->exists, "EXISTS");
	if (c->recent_changed && !session_is_rev2(s))
		write_count(out, c->recent, "RECENT");
	if (c->keywords_changed)
		write_mailbox_flags(s, out);
	s->run.sync.head_written = true;
}

/* With NOTIFY they are an event of their own; the command itself tells all once more. */
static bool flags_are_told(const struct imap_session *s)
{
	return !s->notify || s->run.cmd.kind == IMAP_CMD_NOTIFY ||
	       (notify_of_selected(s->notify) & IMAP_EVENT_FLAG_CHANGE);
}

int sync_step(struct imap_session *s, struct imap_out *out, enum sync_how how, struct fail *why)
{
	struct sync_cursor *c = &s->run.sync;
	if (!s->view || how == SYNC_NONE)
		return 0;
	if (!c->changes) {
		unsigned bits = how == SYNC_ALL ? STORE_SYNC_EXPUNGE : 0;
		const struct store_changes *changes;
		uint32_t uidnext = store_view_get_info(s->view)->uidnext.v;
		if (s->notify)
			notify_selected_seen(s->notify);
		int r = store_view_sync(s->view, bits, &changes, why);
		if (r == 0)
			write_held_back(s, out, changes);
		if (r <= 0)
			return r;
		c->changes = changes;
		if (store_view_get_info(s->view)->uidnext.v > uidnext)
			c->first_new = uidnext;
	}
	if (!c->contexts_told)
		contexts_expunged(s, c->changes, out);
	c->contexts_told = true;
	/* RFC 7162 3.2.3, RFC 9586 */
	bool vanished = qresync_is_on(s) || session_is_uidonly(s);
	if ((vanished ? write_vanished(c, out) : write_expunges(c, out)) == RUN_MORE)
		return RUN_MORE;
	if (!c->head_written)
		write_head(s, out);
	while (flags_are_told(s) && c->flags < c->changes->n_flags) {
		if (imap_out_full(out))
			return RUN_MORE;
		write_flag_fetch(s, out, &c->changes->flags[c->flags++], true);
	}
	write_held_back(s, out, c->changes);
	return s->notify && s->run.cmd.kind != IMAP_CMD_NOTIFY ? notify_fetch_step(s, out, why) : 0;
}
