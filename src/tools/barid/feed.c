/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/barid/feed.h"
#include "base/check.h"
#include <stdio.h>

#define GROUP_COUNT 200
#define GROUP_BYTES MIB(2)
#define GROUP_FILES 32

struct group {
	struct arena arena;
	struct msg_import_message messages[GROUP_COUNT];
	const char *names[GROUP_COUNT];
	size_t n, bytes, files;
	struct tool_pending pending;
};

struct feed {
	struct tool_link *link;
	struct feed_target t;
	struct group groups[2]; /* one is filled while the other is under way */
	unsigned now;
	struct feed_counts counts;
	bool adopted;
};

struct feed *feed_new(struct tool_link *l, const struct feed_target *t)
{
	struct feed *f = xcalloc(1, sizeof *f);
	f->link = l;
	f->t = *t;
	for (size_t i = 0; i < 2; i++)
		f->groups[i].arena = ARENA_INIT(MIB(64));
	return f;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < 2; i++) {
		struct group *g = &f->groups[i];
		if (g->pending.asked && tool_finish(f->link, &g->pending, NULL, NULL) < 0)
			g->n = 0; /* given up: nobody wants to know */
		arena_clear(&g->arena);
	}
	free(f);
}

static int take_answer(struct feed *f, struct group *g, struct fail *why)
{
	struct ipc_packet *p = NULL;
	struct msg_box_import_reply m;
	if (!g->pending.asked)
		return 0;
	int r = tool_finish(f->link, &g->pending, &p, why);
	if (r < 0)
		return r;
	if (msg_box_import_reply_read(p, &m) < 0 || m.results_n != g->n) {
		ipc_packet_free(p);
		return fail_set(why, FAIL_PEER, NULL, "bad answer to an import");
	}
	f->adopted = m.adopted;
	for (size_t i = 0; i < g->n; i++) {
		const struct msg_import_result *x = &m.results[i];
		f->counts.added += x->uid > 0;
		f->counts.present += x->uid == 0 && x->code == 0;
		f->counts.refused += x->code != 0;
		if (x->code && f->t.refused)
			f->t.refused(f->t.arg, g->names[i],
				     fail_public_default((enum fail_code)x->code));
	}
	ipc_packet_free(p);
	g->n = g->bytes = g->files = 0;
	arena_reset(&g->arena);
	return 0;
}

static void send_group(struct feed *f, struct group *g)
{
	struct msg_box_import m = {.account = f->t.account.v,
				   .name = str_c(f->t.mailbox),
				   .uidvalidity = f->t.uidvalidity,
				   .messages = g->messages,
				   .messages_n = g->n};
	tool_begin(f->link, &g->pending, IPC_BOX_IMPORT, &m, IPC_BOX_IMPORT_REPLY);
}

static int turn(struct feed *f, struct fail *why)
{
	struct group *g = &f->groups[f->now];
	send_group(f, g);
	f->now ^= 1;
	return take_answer(f, &f->groups[f->now], why);
}

int feed_add(struct feed *f, const struct feed_message *m, struct fail *why)
{
	struct group *g = &f->groups[f->now];
	struct msg_import_message *x = &g->messages[g->n];
	*x = (struct msg_import_message){.uid = m->uid,
					 .flags = m->flags,
					 .keywords = arena_str(&g->arena, m->keywords),
					 .internaldate_us = m->internaldate.v,
					 .key = arena_str(&g->arena, m->key),
					 .prefix = arena_str(&g->arena, m->prefix),
					 .body = arena_str(&g->arena, m->body),
					 .body_id = arena_str(&g->arena, m->body_id),
					 .body_size = m->size};
	struct str name = arena_str(&g->arena, str_c(m->name ? m->name : ""));
	g->names[g->n] = arena_c(&g->arena, name);
	if (!x->body.p || !g->names[g->n])
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at a group of messages");
	g->n++;
	g->bytes += m->prefix.n + m->body.n;
	g->files += m->body_id.n > 0;
	return g->n == GROUP_COUNT || g->bytes >= GROUP_BYTES || g->files == GROUP_FILES
		       ? turn(f, why)
		       : 0;
}

int feed_file(struct feed *f, char id[16], int *ret_fd, struct fail *why)
{
	struct msg_body_open m = {0};
	struct msg_body_file file;
	struct ipc_packet *p = NULL;
	int r = tool_ask(f->link, IPC_BODY_OPEN, &m, IPC_BODY_FILE, &p, why);
	if (r < 0)
		return r;
	if (msg_body_file_read(p, &file) < 0 || file.body_id.n != 16 || file.file < 0) {
		ipc_packet_free(p);
		return fail_set(why, FAIL_PEER, NULL, "no file came for a large message");
	}
	memcpy(id, file.body_id.p, 16);
	*ret_fd = ipc_packet_take_fd(p, file.file);
	ipc_packet_free(p);
	return 0;
}

int feed_end(struct feed *f, struct feed_counts *counts, bool *adopted, struct fail *why)
{
	int r = f->groups[f->now].n > 0 ? turn(f, why) : 0;
	if (r == 0)
		r = take_answer(f, &f->groups[f->now ^ 1], why);
	if (r == 0)
		r = take_answer(f, &f->groups[f->now], why);
	if (r == 0 && f->t.uidnext) {
		struct msg_box_import m = {.account = f->t.account.v,
					   .name = str_c(f->t.mailbox),
					   .uidvalidity = f->t.uidvalidity,
					   .uidnext = f->t.uidnext};
		struct group *g = &f->groups[f->now];
		tool_begin(f->link, &g->pending, IPC_BOX_IMPORT, &m, IPC_BOX_IMPORT_REPLY);
		r = take_answer(f, g, why);
	}
	if (counts)
		*counts = f->counts;
	if (adopted)
		*adopted = f->adopted;
	return r;
}
