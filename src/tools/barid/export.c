/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid export --account A [--mailbox M] maildir|mbox PATH
 */
#include "tools/barid/export.h"
#include "base/check.h"
#include "base/text.h"
#include "tools/barid/options.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int export_each(struct export *e, bool bodies,
		int (*fn)(void *arg, const struct msg_box_message *m, struct fail *why), void *arg,
		struct fail *why)
{
	uint32_t uid = 1;
	int r = 0;
	while (r == 0 && uid) {
		struct msg_box_read ask = {.account = e->id.v,
					   .name = e->box->name,
					   .uid = uid,
					   .max = bodies ? 200 : 1000,
					   .bodies = bodies};
		struct ipc_packet *p = NULL;
		struct msg_box_read_reply m;
		r = tool_ask(e->link, IPC_BOX_READ, &ask, IPC_BOX_READ_REPLY, &p, why);
		if (r < 0)
			return r;
		if (msg_box_read_reply_read(p, &m) < 0)
			r = fail_set(why, FAIL_PEER, NULL, "bad list of messages");
		e->uidvalidity = r < 0 ? 0 : m.uidvalidity;
		e->uidnext = r < 0 ? 0 : m.uidnext;
		for (size_t i = 0; r == 0 && i < m.messages_n; i++)
			r = fn(arg, &m.messages[i], why);
		uid = r < 0 ? 0 : m.next;
		ipc_packet_free(p);
	}
	return r;
}

/* Text of a message: a CR goes when LF follows. */
struct text {
	int (*put)(void *arg, struct str s, struct fail *why);
	void *arg;
	bool cr; /* held back */
};

static int put_text(struct text *t, struct str s, struct fail *why)
{
	int r = 0;
	if (t->cr && s.n > 0 && s.p[0] != '\n')
		r = t->put(t->arg, STR("\r"), why);
	if (s.n > 0)
		t->cr = false;
	while (r == 0 && s.n > 0) {
		size_t cr = str_find(s, 0, '\r');
		if (cr > 0)
			r = t->put(t->arg, str_sub(s, 0, cr), why);
		if (cr + 1 == s.n)
			t->cr = true;
		else if (cr < s.n && s.p[cr + 1] != '\n' && r == 0)
			r = t->put(t->arg, STR("\r"), why);
		s = str_skip(s, cr + 1);
	}
	return r;
}

int export_text(const struct msg_box_message *m,
		int (*put)(void *arg, struct str s, struct fail *why), void *arg, struct fail *why)
{
	struct text t = {.put = put, .arg = arg};
	int r = put_text(&t, m->prefix, why);
	if (r == 0 && m->file < 0)
		r = put_text(&t, m->body, why);
	char piece[KIB(32)];
	off_t at = 0;
	for (ssize_t n = 1; r == 0 && m->file >= 0 && n > 0; at += n) {
		n = pread(m->file, piece, sizeof piece, at);
		if (n < 0)
			return fail_errno(why, FAIL_IO, "cannot read a message");
		r = put_text(&t, str_make(piece, (size_t)n), why);
	}
	return r == 0 && t.cr ? put(arg, STR("\r"), why) : r;
}

/* --- the command
 * ------------------------------------------------------------------------------------------ */

static bool is_wanted(const struct export *e, const struct msg_box *b)
{
	return !b->missing && !b->noselect && (!e->mailbox || str_eq(b->name, str_c(e->mailbox)));
}

static int each_box(struct export *e, const struct msg_boxes_reply *m, struct fail *why)
{
	bool maildir = strcmp(e->format, "maildir") == 0, any = false;
	int r = 0;
	for (size_t i = 0; i < m->boxes_n; i++)
		e->progress.total += is_wanted(e, &m->boxes[i]) ? m->boxes[i].exists : 0;
	for (size_t i = 0; r == 0 && i < m->boxes_n; i++) {
		if (!is_wanted(e, &m->boxes[i]))
			continue;
		any = true;
		e->box = &m->boxes[i];
		r = maildir ? export_maildir(e, why) : export_mbox(e, why);
	}
	if (r == 0 && !any)
		r = fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "nothing to export");
	return r == 0 && maildir && !e->mailbox ? export_subscriptions(e, m, why) : r;
}

static int run(struct export *e, struct fail *why)
{
	struct msg_boxes ask = {0};
	struct ipc_packet *p = NULL;
	struct msg_boxes_reply m;
	int r = tool_account(e->state, e->account, &e->id, why);
	if (r < 0 || (r = tool_connect_account(e->state, e->id, &e->link, why)) < 0)
		return r;
	ask.account = e->id.v;
	if (mkdir(e->path, 0700) < 0 && errno != EEXIST)
		return fail_set(
			why, FAIL_IO,
			"The folder for the export cannot be made; the one above must be there.",
			"%s: %s", e->path, strerror(errno));
	r = tool_ask(e->link, IPC_BOXES, &ask, IPC_BOXES_REPLY, &p, why);
	if (r < 0)
		return r;
	if (msg_boxes_reply_read(p, &m) < 0)
		r = fail_set(why, FAIL_PEER, NULL, "bad list of mailboxes");
	progress_begin(&e->progress, "messages", 0);
	if (r == 0)
		r = each_box(e, &m, why);
	progress_end(&e->progress);
	ipc_packet_free(p);
	return r;
}

int cli_export(const struct cli *c)
{
	struct export e = {0};
	struct fail why = FAIL_INIT;
	const char *words[2];
	size_t n;
	const struct option options[] = {{"--account", .text = &e.account},
					 {"--mailbox", .text = &e.mailbox}};
	if (!options_take(c, options, ARRAY_LEN(options), words, 2, &n) || n != 2 || !e.account ||
	    (strcmp(words[0], "maildir") != 0 && strcmp(words[0], "mbox") != 0))
		return cli_usage("export");
	e.format = words[0];
	e.path = words[1];
	(void)umask(077);
	e.state = cli_state_dir(c);
	if (!e.state)
		return EXIT_FAILED;
	int r = run(&e, &why);
	tool_close(e.link);
	if (r == 0)
		(void)printf(T("%llu messages exported, %llu were there; %.1f s.\n"),
			     (unsigned long long)e.written, (unsigned long long)e.present,
			     progress_seconds(&e.progress));
	if (r == -FAIL_NOTFOUND && cli_connect(e.state) < 0) {
		(void)tool_complain(&why);
		return EXIT_NOT_RUNNING;
	}
	return r < 0 ? tool_complain(&why) : EXIT_DONE;
}
