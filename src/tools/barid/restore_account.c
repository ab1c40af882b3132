/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mailboxes of one account, out of a backup into a running server.
 */
#include "base/check.h"
#include "base/civil.h"
#include "base/map.h"
#include "base/text.h"
#include "service/dir/dir_archive.h"
#include "service/store/archive.h"
#include "sys/sha256.h"
#include "tools/barid/feed.h"
#include "tools/barid/progress.h"
#include "tools/barid/restore.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct mailbox {
	struct store_archive_mailbox m;
	char *name;
};

struct put {
	const struct restore *o;
	struct repo *repo;
	struct repo_generation g;
	struct account_id then, now; /* the account's id in the backup, and in the server */
	struct store_archive *archive;
	struct tool_link *link;
	struct strmap bodies; /* id to its row in g */
	VEC(struct mailbox) mailboxes;
	char root[64]; /* "Restored/2026-11-22" */
	struct progress progress;
	struct feed_counts counts;
	uint64_t lost;
	/* of the mailbox at hand */
	struct feed *feed;
	struct map there; /* key to how often */
	struct fail *why;
};

/* --- what to restore
 * ------------------------------------------------------------------------------------------ */

/* Who the account was then, and who it is now; a deleted user comes back with his rows. */
static int find_account(struct put *x, struct fail *why)
{
	char copy[REPO_PATH_MAX], live[4200];
	const struct repo_file *f = repo_find(&x->g, "dir/vmail.db");
	x->then.v = x->g.account;
	(void)snprintf(live, sizeof live, "%s/dir/vmail.db", x->o->state);
	repo_temp(x->repo, "vmail.db", copy);
	int r = f ? repo_extract(x->repo, &x->g, f, copy, why) : 0;
	if (r == 0 && f)
		r = dir_archive_account(copy, str_c(x->o->account), &x->then, why);
	if (r < 0)
		return r;
	r = tool_account(x->o->state, x->o->account, &x->now, why);
	if (r != -FAIL_NOTFOUND || !f)
		return r;
	r = dir_archive_restore_user(live, copy, str_c(x->o->account), why);
	if (r > 0)
		(void)printf(T("%s was deleted: the user is back as of %s.\n"), x->o->account,
			     x->g.name);
	return r < 0 ? r : tool_account(x->o->state, x->o->account, &x->now, why);
}

static int open_archive(struct put *x, struct fail *why)
{
	char path[REPO_PATH_MAX], name[64];
	if (x->g.partitions == 0)
		return fail_set(why, FAIL_CORRUPT, NULL, "the list names no partitions");
	(void)snprintf(name, sizeof name, "store/part-%03d.db",
		       (int)store_place(x->then, x->g.partitions));
	const struct repo_file *f = repo_find(&x->g, name);
	if (!f)
		return fail_set(why, FAIL_NOTFOUND, "The backup has no mail of this account.", "%s",
				name);
	repo_temp(x->repo, "part.db", path);
	int r = repo_extract(x->repo, &x->g, f, path, why);
	return r < 0 ? r : store_archive_open(path, STORE_ARCHIVE_PRIVATE, &x->archive, why);
}

static int take_mailbox(void *arg, const struct store_archive_mailbox *m)
{
	struct put *x = arg;
	if (m->id.v == 0 || (x->o->mailbox && !str_eq(m->name, str_c(x->o->mailbox))))
		return 0;
	struct mailbox *b = vec_push(&x->mailboxes);
	b->m = *m;
	b->name = xcalloc(1, m->name.n + 1);
	memcpy(b->name, m->name.p, m->name.n);
	x->progress.total += m->exists;
	return 0;
}

static int find_mailboxes(struct put *x, struct fail *why)
{
	int r = store_archive_mailboxes(x->archive, x->then, take_mailbox, x, why);
	if (r == 0 && x->mailboxes.n == 0)
		r = fail_set(why, FAIL_NOTFOUND, "The backup has no such mailbox.", "%s",
			     x->o->mailbox ? x->o->mailbox : "none at all");
	for (size_t i = 0; i < x->g.bodies.n; i++)
		if (x->g.bodies.p[i].account == x->then.v)
			(void)strmap_put(&x->bodies,
					 str_make((const char *)x->g.bodies.p[i].id, 16),
					 &x->g.bodies.p[i]);
	return r;
}

/* --- one mailbox
 * ------------------------------------------------------------------------------------------ */

static void target_name(const struct put *x, const struct mailbox *b, char name[2100])
{
	if (x->o->in_place)
		(void)snprintf(name, 2100, "%s", b->name);
	else if (x->o->into && x->o->mailbox)
		(void)snprintf(name, 2100, "%s", x->o->into);
	else
		(void)snprintf(name, 2100, "%s/%s", x->o->into ? x->o->into : x->root, b->name);
}

/* The same message: body, internal date, sizes. */
static uint64_t message_key(struct str sha256, int64_t date, uint64_t body_size)
{
	char text[48] = {0};
	memcpy(text, sha256.p, MIN(sha256.n, (size_t)32));
	memcpy(text + 32, &date, 8);
	memcpy(text + 40, &body_size, 8);
	return str_hash(str_make(text, sizeof text)) | 1;
}

static void count_there(struct put *x, const struct msg_box_message *m)
{
	uint64_t key = message_key(m->sha256, m->internaldate_us, m->body_size);
	uintptr_t n = (uintptr_t)map_get(&x->there, key);
	(void)map_put(&x->there, key, (void *)(n + 1));
}

static int read_there(struct put *x, const char *name, struct fail *why)
{
	uint32_t uid = 1;
	while (uid) {
		struct msg_box_read ask = {
			.account = x->now.v, .name = str_c(name), .uid = uid, .max = 1000};
		struct ipc_packet *p = NULL;
		struct msg_box_read_reply m;
		int r = tool_ask(x->link, IPC_BOX_READ, &ask, IPC_BOX_READ_REPLY, &p, why);
		if (r < 0)
			return r;
		if (msg_box_read_reply_read(p, &m) < 0) {
			ipc_packet_free(p);
			return fail_set(why, FAIL_PEER, NULL, "bad list of messages");
		}
		for (size_t i = 0; i < m.messages_n; i++)
			count_there(x, &m.messages[i]);
		uid = m.next;
		ipc_packet_free(p);
	}
	return 0;
}

static bool is_there(struct put *x, const struct store_archive_message *m)
{
	uint64_t key =
		message_key(str_make((const char *)m->sha256, 32), m->internaldate.v, m->body_size);
	uintptr_t n = (uintptr_t)map_get(&x->there, key);
	if (n == 0)
		return false;
	if (n > 1)
		(void)map_put(&x->there, key, (void *)(n - 1));
	else
		(void)map_remove(&x->there, key);
	return true;
}

static int copy_file(struct put *x, const struct store_archive_message *m, char id[16],
		     struct fail *why)
{
	char path[REPO_PATH_MAX];
	AUTO_FD int out = -1;
	const struct repo_body *b =
		strmap_get(&x->bodies, str_make((const char *)m->file, sizeof m->file));
	int r = b ? repo_check_body(x->repo, &b->hash, b->size, why)
		  : fail_set(why, FAIL_NOTFOUND, NULL, "not in the backup's list");
	if (r < 0 || (r = repo_body_path(x->repo, &b->hash, path, why)) < 0)
		return r;
	AUTO_FD int in = open(path, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return fail_errno(why, FAIL_IO, "%s", path);
	r = feed_file(x->feed, id, &out, why);
	return r < 0 ? r : repo_copy(in, out, why);
}

static int put_message(void *arg, const struct store_archive_message *m)
{
	struct put *x = arg;
	char id[16], name[40];
	unsigned char sum[SHA256_LEN];
	progress_add(&x->progress, 1);
	if (is_there(x, m)) {
		x->counts.present++;
		return 0;
	}
	(void)snprintf(name, sizeof name, "UID %u", m->uid);
	struct feed_message f = {.flags = m->flags,
				 .keywords = m->keywords,
				 .internaldate = m->internaldate,
				 .prefix = m->prefix,
				 .body = m->bytes,
				 .size = m->body_size,
				 .name = name};
	int r = 0;
	if (m->is_file) {
		r = copy_file(x, m, id, x->why);
		f.body = STR("");
		f.body_id = str_make(id, sizeof id);
	} else {
		sha256_of(m->bytes, sum);
		if (memcmp(sum, m->sha256, sizeof sum) != 0)
			r = fail_set(x->why, FAIL_CORRUPT, NULL, "not what was stored");
	}
	if (r == -FAIL_NOTFOUND || r == -FAIL_CORRUPT) {
		progress_end(&x->progress);
		(void)fprintf(stderr, T("%s: damaged in the backup: %s\n"), name, x->why->detail);
		x->lost++;
		return 0;
	}
	return r < 0 ? r : feed_add(x->feed, &f, x->why);
}

static int make_target(struct put *x, const struct mailbox *b, const char *name, struct fail *why)
{
	struct msg_box_make make = {.account = x->now.v,
				    .name = str_c(name),
				    .use = x->o->in_place ? b->m.use : 0,
				    .subscribe = !x->o->in_place || b->m.subscribed};
	return tool_ask(x->link, IPC_BOX_MAKE, &make, IPC_OK, NULL, why);
}

static int put_mailbox(struct put *x, const struct mailbox *b, struct fail *why)
{
	char name[2100];
	struct feed_counts n = {0};
	target_name(x, b, name);
	int r = make_target(x, b, name, why);
	if (r < 0 || b->m.noselect || (r = read_there(x, name, why)) < 0)
		return r < 0 ? fail_wrap(why, r, "%s", name) : 0;
	struct feed_target t = {.account = x->now, .mailbox = name};
	x->feed = feed_new(x->link, &t);
	x->why = why;
	uint64_t before = x->counts.present;
	r = store_archive_messages(x->archive, x->then, b->m.id, put_message, x, why);
	if (r == 0)
		r = feed_end(x->feed, &n, NULL, why);
	feed_free(x->feed);
	map_clear(&x->there);
	x->counts.added += n.added;
	x->counts.refused += n.refused;
	progress_end(&x->progress);
	if (r == 0)
		(void)printf(T("%s: %llu restored, %llu were there.\n"), name,
			     (unsigned long long)n.added,
			     (unsigned long long)(x->counts.present - before));
	return r < 0 ? fail_wrap(why, r, "%s", name) : 0;
}

/* --- the account
 * ------------------------------------------------------------------------------------------ */

static int ensure_account(struct put *x, struct fail *why)
{
	struct msg_boxes m = {.account = x->now.v, .make = true};
	int r = tool_connect_account(x->o->state, x->now, &x->link, why);
	return r < 0 ? r : tool_ask(x->link, IPC_BOXES, &m, IPC_BOXES_REPLY, NULL, why);
}

static int put_account(struct put *x, struct fail *why)
{
	struct civil c;
	int r = find_account(x, why);
	if (r < 0 || (r = open_archive(x, why)) < 0 || (r = find_mailboxes(x, why)) < 0 ||
	    (r = ensure_account(x, why)) < 0)
		return r;
	civil_from_us(x->g.taken, &c);
	(void)snprintf(x->root, sizeof x->root, "Restored/%04d-%02u-%02u", (int)c.year,
		       (unsigned)c.month, (unsigned)c.day);
	uint64_t total = x->progress.total;
	progress_begin(&x->progress, "messages", total);
	for (size_t i = 0; r == 0 && i < x->mailboxes.n; i++)
		r = put_mailbox(x, &x->mailboxes.p[i], why);
	return r;
}

int restore_account(const struct restore *o)
{
	struct fail why = FAIL_INIT;
	struct put x = {.o = o};
	int r = repo_open(o->dir, false, false, &x.repo, &why);
	if (r == 0)
		r = backup_choose(x.repo, o->generation, o->account, &x.g, &why);
	if (r == 0)
		r = put_account(&x, &why);
	progress_end(&x.progress);
	if (r == 0)
		(void)printf(T("Generation %s: %llu messages restored, %llu were there.\n"),
			     x.g.name, (unsigned long long)x.counts.added,
			     (unsigned long long)x.counts.present);
	uint64_t lost = x.lost + x.counts.refused;
	for (size_t i = 0; i < x.mailboxes.n; i++)
		free(x.mailboxes.p[i].name);
	vec_clear(&x.mailboxes);
	strmap_clear(&x.bodies);
	store_archive_close(x.archive);
	tool_close(x.link);
	repo_generation_clear(&x.g);
	repo_close(x.repo);
	return r < 0 ? tool_complain(&why) : lost ? EXIT_INCOMPLETE : EXIT_DONE;
}
