/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify_fetch.c - MessageNew with attributes (RFC 5465 5.2): a FETCH of each message that has just
 * been announced by EXISTS.                                                    [proto, imap]
 *
 * A message that cannot be read is left out: nobody has asked for it, and the client can.
 */
#include "proto/imap/fetch_int.h"
#include "proto/imap/notify.h"
#include "sys/log.h"

struct notify_fetch {
	struct store_set set;
	struct store_reader *reader;
};

static const struct imap_fetch_att uid_item = {.kind = IMAP_FETCH_UID};

static int begin(struct imap_session *s, struct notify_fetch *f, struct fail *why)
{
	const struct imap_notify_group *g = s->notify->selected;
	struct store_range range = {s->run.sync.first_new,
				    store_view_get_info(s->view)->uidnext.v - 1};
	unsigned columns = 0;
	for (size_t i = 0; i < g->att_count; i++)
		columns |= fetch_item_columns(&g->att[i]);
	int r = store_view_resolve(s->view, &range, 1, true, &s->run.arena, &f->set, why);
	if (r < 0 || f->set.count == 0)
		return r;
	return store_read_begin(s->view, &f->set, columns, (struct modseq){0}, &f->reader, why);
}

static int write_items(struct msg *m, const struct imap_notify_group *g, struct imap_out *out,
		       struct fail *why)
{
	bool has_uid = session_is_uidonly(m->s); /* or need not */
	int r = 0;
	for (size_t i = 0; i < g->att_count; i++)
		has_uid |= g->att[i].kind == IMAP_FETCH_UID;
	buf_addc(&out->text, '(');
	if (!has_uid)
		r = fetch_item_write(m, &uid_item, out, why);
	for (size_t i = 0; r == 0 && i < g->att_count; i++) {
		if (i || !has_uid)
			buf_addc(&out->text, ' ');
		r = fetch_item_write(m, &g->att[i], out, why);
	}
	return r;
}

static void write_message(struct imap_session *s, const struct store_message *row,
			  struct imap_out *out)
{
	struct imap_out_mark mark = imap_out_mark(out);
	struct fail why = FAIL_INIT;
	struct msg m;
	msg_begin(&m, s, row);
	write_fetch_head(s, &out->text, row->seq, row->uid);
	int r = write_items(&m, s->notify->selected, out, &why);
	buf_add(&out->text, STR(")\r\n"));
	if (r < 0 || out->text.failed) {
		log_event(LOG_WARN, "imap.notify", log_c("user", s->address), log_fail(&why));
		imap_out_rollback(out, mark);
	}
	msg_end(&m);
}

static bool is_own(const struct notify *n, struct uid uid)
{
	return uid.v >= n->own.first && uid.v <= n->own.last;
}

/* 1: go on later. */
static int write_all(struct imap_session *s, struct notify_fetch *f, struct imap_out *out,
		     struct fail *why)
{
	struct store_message row;
	while (f->reader) {
		if (imap_out_full(out))
			return RUN_MORE;
		int r = store_read_next(f->reader, &row, why);
		if (r <= 0)
			return r;
		if (!is_own(s->notify, row.uid))
			write_message(s, &row, out);
	}
	return 0;
}

void notify_fetch_end(struct sync_cursor *c)
{
	if (c->fetch)
		store_read_end(c->fetch->reader);
	c->fetch = NULL;
	c->first_new = 0;
}

int notify_fetch_step(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct sync_cursor *c = &s->run.sync;
	int r = 0;
	if (!c->first_new || !s->notify || !s->notify->selected ||
	    s->notify->selected->att_count == 0)
		return 0;
	if (!c->fetch) {
		c->fetch = arena_new(&s->run.arena, struct notify_fetch);
		if (!c->fetch)
			return fail_set(why, FAIL_LIMIT, NULL, "arena full");
		r = begin(s, c->fetch, why);
	}
	if (r == 0)
		r = write_all(s, c->fetch, out, why);
	if (r != RUN_MORE)
		notify_fetch_end(c);
	return r;
}
