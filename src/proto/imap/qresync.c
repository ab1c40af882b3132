/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qresync.c - a client comes back: what vanished and what changed meanwhile (RFC 7162 3.2.5, 3.2.6,
 * 3.2.10).                                                                     [proto, imap]
 *
 * The store keeps expunged UIDs for its retention time. Before that its history is short, and every
 * UID that is not in the mailbox is told; the client's match data then says up to where it needs
 * none.
 */
#include "proto/imap/imap_int.h"

/* A VANISHED line is ended after about so many bytes, and another one begun. */
#define LINE_BYTES KIB(4)

/* ---- VANISHED (EARLIER) -------------------------------------------------------------------- */

static int find(struct imap_session *s, uint64_t since, struct store_ranges known,
		struct vanished *ret, struct fail *why)
{
	ret->told = 0;
	int r = store_view_vanished(s->view, (struct modseq){since}, known, &s->run.arena,
				    &ret->ranges, why);
	return MIN(r, 0); /* how far back history reaches, nobody asks */
}

static int ranges_of(struct imap_session *s, const struct seqset *set, size_t extra,
		     struct store_range **ret, struct fail *why)
{
	*ret = arena_array(&s->run.arena, struct store_range, set->n + extra);
	if (!*ret)
		return fail_set(why, FAIL_LIMIT, "Too large a set.", "%zu ranges", set->n);
	for (size_t i = 0; i < set->n; i++)
		(*ret)[i] = (struct store_range){set->r[i].first, set->r[i].last};
	return 0;
}

int vanished_find(struct imap_session *s, uint64_t since, const struct seqset *known,
		  struct vanished *ret, struct fail *why)
{
	struct store_range *ranges;
	int r = ranges_of(s, known, 1, &ranges, why);
	return r < 0 ? r : find(s, since, (struct store_ranges){ranges, known->n}, ret, why);
}

int vanished_write(struct vanished *v, struct imap_out *out)
{
	struct buf *b = &out->text;
	while (v->told < v->ranges.n) {
		if (imap_out_full(out))
			return RUN_MORE;
		size_t start = b->n;
		char sep = ' ';
		buf_add(b, STR("* VANISHED (EARLIER)"));
		for (; v->told < v->ranges.n && b->n - start < LINE_BYTES; v->told++) {
			const struct store_range *r = &v->ranges.p[v->told];
			buf_addf(b, r->first == r->last ? "%c%u" : "%c%u:%u", sep, r->first,
				 r->last);
			sep = ',';
		}
		buf_add(b, STR("\r\n"));
		if (b->failed)
			break;
	}
	return 0;
}

/* ---- the client's match data --------------------------------------------------------------- */

/* Message numbers seq, seq + 1, ... go with the UIDs uid, uid + 1, ... */
struct match {
	uint32_t seq, uid, n;
};

/*
 * The highest UID of a match that is right, 0 when none is. UIDs grow at least as fast as numbers,
 * so `is the mailbox's UID at most the client's` is true up to some number and false behind it.
 */
static int check_match(struct imap_session *s, const struct match *m, uint32_t *ret,
		       struct fail *why)
{
	uint32_t exists = store_view_get_info(s->view)->exists;
	uint32_t low = 0, high = m->seq > exists ? 0 : MIN(m->n, exists - m->seq + 1);
	struct uid uid, last = {0};
	*ret = 0;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int r = store_view_uid(s->view, m->seq + mid, &uid, why);
		if (r < 0)
			return r;
		if (uid.v <= m->uid + mid) {
			low = mid + 1;
			last = uid;
		} else {
			high = mid;
		}
	}
	if (low > 0 && last.v == m->uid + low - 1)
		*ret = last.v;
	return 0;
}

/* Cut two sets of ranges, side by side, into matches; what is not ascending ends them. */
static size_t pair_up(const struct imap_qresync *q, struct match *matches)
{
	const struct seqset *a = &q->match_seq, *b = &q->match_uid;
	size_t n = 0, i = 0, j = 0;
	uint32_t in_a = 0, in_b = 0;
	while (i < a->n && j < b->n) {
		if (a->r[i].last < a->r[i].first || b->r[j].last < b->r[j].first)
			break;
		uint32_t left_a = a->r[i].last - a->r[i].first - in_a;
		uint32_t left_b = b->r[j].last - b->r[j].first - in_b;
		uint32_t more = MIN(left_a, left_b); /* and one */
		struct match m = {a->r[i].first + in_a, b->r[j].first + in_b, more + 1};
		if (n > 0 && (m.seq <= matches[n - 1].seq || m.uid <= matches[n - 1].uid))
			break;
		matches[n++] = m;
		in_a = left_a == more ? 0 : in_a + more + 1;
		in_b = left_b == more ? 0 : in_b + more + 1;
		i += left_a == more;
		j += left_b == more;
	}
	return n;
}

/* Up to and with this UID the client knows of every expunge. */
static int known_up_to(struct imap_session *s, const struct imap_qresync *q, uint32_t *ret,
		       struct fail *why)
{
	*ret = 0;
	if (q->match_seq.n == 0)
		return 0;
	struct match *matches =
		arena_array(&s->run.arena, struct match, q->match_seq.n + q->match_uid.n);
	if (!matches)
		return fail_set(why, FAIL_LIMIT, "Too large a set.", "match data");
	int r = 0;
	for (size_t n = pair_up(q, matches); r == 0 && *ret == 0 && n > 0; n--)
		r = check_match(s, &matches[n - 1], ret, why);
	return r;
}

/* Only UIDs above `uid`. */
static void cut_below(struct vanished *v, uint32_t uid)
{
	struct store_range *p = v->ranges.n ? (struct store_range *)(uintptr_t)v->ranges.p : NULL;
	size_t kept = 0;
	for (size_t i = 0; i < v->ranges.n; i++)
		if (p[i].last > uid)
			p[kept++] = (struct store_range){MAX(p[i].first, uid + 1), p[i].last};
	v->ranges.n = kept;
}

/* ---- SELECT (QRESYNC ...) ------------------------------------------------------------------ */

struct qresync_state {
	struct vanished vanished;
	struct store_reader *reader;
	struct modseq highest; /* as told by this SELECT */
};

static void state_clear(void *p)
{
	struct qresync_state *st = p;
	store_read_end(st->reader);
	st->reader = NULL;
}

static int find_vanished(struct imap_session *s, const struct imap_qresync *q, struct vanished *ret,
			 struct fail *why)
{
	struct store_range *ranges;
	uint32_t known = 0;
	int r = ranges_of(s, &q->known, 1, &ranges, why);
	if (r < 0)
		return r;
	r = find(s, q->modseq, (struct store_ranges){ranges, q->known.n}, ret, why);
	if (r == 0)
		r = known_up_to(s, q, &known, why);
	if (r == 0)
		cut_below(ret, known);
	return r;
}

static int begin(struct imap_session *s, const struct imap_qresync *q, struct qresync_state *st,
		 struct fail *why)
{
	struct store_set set;
	int r = find_vanished(s, q, &st->vanished, why);
	if (r < 0)
		return r;
	if (q->known.n > 0)
		r = set_resolve(s, &q->known, true, &set, why);
	else
		r = store_view_all(s->view, &s->run.arena, &set, why);
	st->highest = store_view_get_info(s->view)->highestmodseq;
	if (r < 0 || set.count == 0)
		return r;
	return store_read_begin(s->view, &set, 0, (struct modseq){q->modseq}, &st->reader, why);
}

/* What changed after HIGHESTMODSEQ was told comes with the next sync: told here already, its MODSEQ
 * would hide changes with lower ones from a client whose connection breaks now. */
static int write_changes(struct imap_session *s, struct qresync_state *st, struct imap_out *out,
			 struct fail *why)
{
	struct store_message row;
	while (st->reader) {
		if (imap_out_full(out))
			return RUN_MORE;
		int r = store_read_next(st->reader, &row, why);
		if (r <= 0)
			return r;
		struct store_flag_change c = {row.seq, row.uid, row.flags, row.modseq};
		if (row.modseq.v <= st->highest.v)
			write_flag_fetch(s, out, &c, true);
	}
	return RUN_DONE;
}

int qresync_step(struct imap_session *s, const struct imap_qresync *q, struct imap_out *out,
		 struct fail *why)
{
	struct qresync_state *st = s->run.state;
	int r = 0;
	if (!st) {
		st = arena_new(&s->run.arena, struct qresync_state);
		if (!st)
			return fail_set(why, FAIL_LIMIT, NULL, "arena full");
		s->run.state = st;
		s->run.state_clear = state_clear;
		r = begin(s, q, st, why);
	}
	if (r == 0)
		r = vanished_write(&st->vanished, out);
	if (r == 0)
		r = write_changes(s, st, out, why);
	return r;
}
