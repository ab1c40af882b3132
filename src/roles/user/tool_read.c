/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mailboxes for a command: their list, making one, reading messages in pieces.
 */
#include "base/check.h"
#include "roles/user/tool.h"
#include <stdlib.h>
#include <unistd.h>

#define FILES_MAX    14	    /* descriptors of one answer */
#define BYTES_MAX    MIB(4) /* of one answer, about */
#define MESSAGES_MAX 1000

void tool_boxes(struct tool *t, struct ipc_packet *p)
{
	struct msg_boxes m;
	struct fail why = FAIL_INIT;
	struct store_mailboxes list = {0};
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	(void)t;
	int r = msg_boxes_read(p, &m);
	struct account_id account = {m.account};
	if (r == 0 && m.make)
		r = store_account_ensure(user.store, account, store_default_folders, &why);
	if (r == 0)
		r = store_mailbox_list(user.store, account, &a, &list, &why);
	struct msg_box *boxes = arena_array(&a, struct msg_box, list.n + 1);
	if (r == 0 && !boxes)
		r = fail_set(&why, FAIL_LIMIT, NULL, "too many mailboxes");
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	for (size_t i = 0; i < list.n; i++) {
		const struct store_mailbox *b = &list.p[i];
		boxes[i] = (struct msg_box){.name = b->name,
					    .use = b->use,
					    .missing = b->missing,
					    .noselect = b->noselect,
					    .subscribed = b->subscribed,
					    .uidvalidity = b->counters.uidvalidity,
					    .uidnext = b->counters.uidnext.v,
					    .exists = b->counters.exists,
					    .size = b->counters.size};
	}
	struct msg_boxes_reply reply = {.boxes = boxes, .boxes_n = list.n};
	(void)ipc_reply(p, IPC_BOXES_REPLY, &reply);
}

void tool_box_make(struct tool *t, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_box_make m;
	struct fail why = FAIL_INIT;
	struct mailbox_id id;
	(void)t;
	int r = msg_box_make_read(p, &m);
	struct account_id account = {m.account};
	if (r == 0 && !m.name_only)
		r = store_mailbox_create(user.store, account, m.name, m.use, &id, &why);
	if (r == -FAIL_EXISTS)
		r = 0;
	if (r == 0 && m.subscribe)
		r = store_subscribe(user.store, account, m.name, true, &why);
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	else
		(void)ipc_reply(p, IPC_OK, &ok);
}

/* --- reading messages
 * ------------------------------------------------------------------------------------------ */

/* The view stays open between two questions about the same mailbox: one state of it is read. */
static int look_at(struct tool *t, const struct msg_box_read *m, struct fail *why)
{
	if (t->view && t->account.v == m->account && str_eq(str_c(t->mailbox), m->name) &&
	    m->uid > 1)
		return 0;
	store_view_close(t->view);
	t->view = NULL;
	free(t->mailbox);
	t->mailbox = xcalloc(1, m->name.n + 1);
	memcpy(t->mailbox, m->name.p, m->name.n);
	t->account.v = m->account;
	return store_view_open(user.store, t->account, m->name, true, &t->view, why);
}

struct piece {
	struct tool *t;
	const struct msg_box_read *ask;
	struct arena arena;
	struct msg_box_message *messages;
	size_t n, max, files, bytes;
	uint32_t next;
	int fds[FILES_MAX];
};

static struct str keywords(struct piece *x, uint64_t flags)
{
	size_t n;
	const struct str *names = store_view_get_keywords(x->t->view, &n);
	AUTO(buf) struct buf text = BUF_INIT(8192);
	for (size_t i = 0; i < n; i++)
		if (flags & (UINT64_C(1) << (STORE_KEYWORD_FIRST + i)))
			(void)buf_addf(&text, "%s%.*s", text.n ? " " : "", STR_ARG(names[i]));
	return arena_str(&x->arena, buf_str(&text));
}

static int add_body(struct piece *x, const struct store_message *m, struct msg_box_message *out,
		    struct fail *why)
{
	struct store_source src = STORE_SOURCE_INIT;
	int r = store_body_open(x->t->view, m, &x->arena, &src, why);
	if (r < 0)
		return r;
	if (src.fd >= 0) {
		x->fds[x->files++] = src.fd;
		out->file = src.fd;
	} else {
		out->body = src.bytes;
		x->bytes += src.bytes.n;
	}
	return 0;
}

static int add_message(struct piece *x, const struct store_message *m, struct fail *why)
{
	struct msg_box_message *out = &x->messages[x->n];
	*out = (struct msg_box_message){
		.uid = m->uid.v,
		.flags = (uint32_t)m->flags & STORE_SYSTEM_FLAGS,
		.keywords = keywords(x, m->flags),
		.internaldate_us = m->internaldate.v,
		.sha256 = arena_str(&x->arena,
				    (struct str){(const char *)m->sha256, sizeof m->sha256}),
		.body_size = m->body_size,
		.file = -1};
	if (x->ask->bodies) {
		out->prefix = arena_str(&x->arena, m->prefix);
		x->bytes += m->prefix.n;
	}
	int r = x->ask->bodies ? add_body(x, m, out, why) : 0;
	x->n++;
	return r;
}

static int fill(struct piece *x, struct fail *why)
{
	struct store_set set;
	struct store_range range = {x->ask->uid, UINT32_MAX};
	AUTO(store_reader) struct store_reader *reader = NULL;
	struct store_message m;
	int r = store_view_resolve(x->t->view, &range, 1, true, &x->arena, &set, why);
	if (r < 0 || set.count == 0)
		return r;
	r = store_read_begin(x->t->view, &set,
			     x->ask->bodies ? STORE_COL_DATES | STORE_COL_PREFIX : STORE_COL_DATES,
			     (struct modseq){0}, &reader, why);
	while (r == 0 && (r = store_read_next(reader, &m, why)) > 0) {
		if (x->n == x->max || x->files == FILES_MAX || x->bytes >= BYTES_MAX) {
			x->next = m.uid.v;
			return 0;
		}
		r = add_message(x, &m, why);
	}
	return r;
}

void tool_box_read(struct tool *t, struct ipc_packet *p)
{
	struct msg_box_read m;
	struct fail why = FAIL_INIT;
	int r = msg_box_read_read(p, &m);
	if (r == 0 && m.uid == 0)
		m.uid = 1;
	if (r == 0)
		r = look_at(t, &m, &why);
	struct piece x = {.t = t, .ask = &m, .arena = ARENA_INIT(MIB(64))};
	x.max = MIN(m.max ? m.max : MESSAGES_MAX, (size_t)MESSAGES_MAX);
	x.messages = arena_array(&x.arena, struct msg_box_message, x.max);
	if (r == 0)
		r = x.messages ? fill(&x, &why) : fail_set(&why, FAIL_LIMIT, NULL, "arena");
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
	} else {
		const struct store_view_info *info = store_view_get_info(t->view);
		struct msg_box_read_reply reply = {.uidvalidity = info->uidvalidity,
						   .uidnext = info->uidnext.v,
						   .next = x.next,
						   .messages = x.messages,
						   .messages_n = x.n};
		(void)ipc_reply(p, IPC_BOX_READ_REPLY, &reply);
	}
	for (size_t i = 0; i < x.files; i++)
		(void)close(x.fds[i]);
	arena_clear(&x.arena);
}

/* --- what was deleted
 * ------------------------------------------------------------------------------------------ */

void tool_lost(struct tool *t, struct ipc_packet *p)
{
	struct msg_box_lost m;
	struct fail why = FAIL_INIT;
	struct store_lost *all = NULL;
	size_t n = 0;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	(void)t;
	int r = msg_box_lost_read(p, &m);
	if (r == 0)
		r = store_lost_list(
			user.store, (struct account_id){m.account},
			&(struct store_lost_when){.since = {m.since_us}, .came = {m.came_us}}, &a,
			&all, &n, &why);
	struct msg_lost_box *boxes = arena_array(&a, struct msg_lost_box, n + 1);
	if (r == 0 && !boxes)
		r = fail_set(&why, FAIL_LIMIT, NULL, "too many mailboxes");
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	for (size_t i = 0; i < n; i++)
		boxes[i] = (struct msg_lost_box){.mailbox = all[i].mailbox.v,
						 .name = all[i].name,
						 .messages = all[i].messages,
						 .first_us = all[i].first.v,
						 .last_us = all[i].last.v};
	struct msg_box_lost_reply reply = {.boxes = boxes, .boxes_n = n};
	(void)ipc_reply(p, IPC_BOX_LOST_REPLY, &reply);
}

void tool_undelete(struct tool *t, struct ipc_packet *p)
{
	struct msg_undelete m;
	struct fail why = FAIL_INIT;
	uint32_t n = 0;
	(void)t;
	int r = msg_undelete_read(p, &m);
	struct store_undelete u = {.account = {m.account},
				   .mailbox = {m.mailbox},
				   .when = {.since = {m.since_us}, .came = {m.came_us}},
				   .target = m.target};
	if (r == 0)
		r = store_undelete(user.store, &u, &n, &why);
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_undelete_reply reply = {.messages = n};
	(void)ipc_reply(p, IPC_UNDELETE_REPLY, &reply);
	if (n)
		user_usage_changed(u.account);
}
