/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Maildir++ tree: each folder's messages in the order of their UIDs, those without one behind.
 */
#include "base/check.h"
#include "base/map.h"
#include "base/text.h"
#include "tools/barid/import.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

struct found { /* a file of cur/ or new/ */
	char *name;
	bool fresh; /* in new/ */
	uint32_t uid;
	uint64_t time;
};
struct folder {
	char path[3000];
	char mailbox[1100];
	VEC(struct found) files;
	struct uidlist_head head;
	struct strmap uids; /* base name to its UID */
	struct arena names;
	char *keywords[26];
};

static void folder_clear(struct folder *f)
{
	for (size_t i = 0; i < f->files.n; i++)
		free(f->files.p[i].name);
	for (size_t i = 0; i < ARRAY_LEN(f->keywords); i++)
		free(f->keywords[i]);
	vec_clear(&f->files);
	strmap_clear(&f->uids);
	arena_clear(&f->names);
	free(f);
}

/* --- what is there
 * ------------------------------------------------------------------------------------------ */

static void read_uidlist(struct folder *f)
{
	char path[3100], line[LINE_MAX_BYTES];
	(void)snprintf(path, sizeof path, "%s/dovecot-uidlist", f->path);
	FILE *in = fopen(path, "re");
	struct uidlist_entry e;
	struct maildir_name n;
	if (!in)
		return;
	if (!fgets(line, sizeof line, in) || !uidlist_head_parse(str_c(line), &f->head))
		f->head = (struct uidlist_head){0};
	while (f->head.version && fgets(line, sizeof line, in)) {
		if (!uidlist_entry_parse(str_c(line), f->head.version, &e) ||
		    !maildir_name_parse(e.file, &n))
			continue;
		struct str key = arena_str(&f->names, n.unique);
		if (key.p)
			(void)strmap_put(&f->uids, key, (void *)(uintptr_t)e.uid);
		if (e.uid >= f->head.uidnext && e.uid < UINT32_MAX)
			f->head.uidnext = e.uid + 1;
	}
	(void)fclose(in);
}

static void read_keywords(struct folder *f)
{
	char path[3100], line[LINE_MAX_BYTES];
	unsigned i;
	struct str name;
	(void)snprintf(path, sizeof path, "%s/dovecot-keywords", f->path);
	FILE *in = fopen(path, "re");
	while (in && fgets(line, sizeof line, in))
		if (maildir_keyword_parse(str_c(line), &i, &name) && !f->keywords[i]) {
			f->keywords[i] = xcalloc(1, name.n + 1);
			memcpy(f->keywords[i], name.p, name.n);
		}
	if (in)
		(void)fclose(in);
}

static void read_names(struct folder *f, const char *sub)
{
	char path[3100];
	struct maildir_name n;
	(void)snprintf(path, sizeof path, "%s/%s", f->path, sub);
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (!maildir_name_parse(str_c(e->d_name), &n))
			continue;
		struct found *x = vec_push(&f->files);
		x->name = xstrdup(e->d_name);
		x->fresh = sub[0] == 'n';
		x->time = n.time;
		x->uid = (uint32_t)(uintptr_t)strmap_get(&f->uids, n.unique);
	}
	if (d)
		(void)closedir(d);
}

static int by_uid(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	uint32_t u = x->uid ? x->uid : UINT32_MAX, v = y->uid ? y->uid : UINT32_MAX;
	if (u != v)
		return u < v ? -1 : 1;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* --- messages
 * ------------------------------------------------------------------------------------------ */

static bool is_compressed(struct str head)
{
	return str_starts(head, STR("\x1f\x8b")) || str_starts(head, STR("\x28\xb5\x2f\xfd")) ||
	       str_starts(head, STR("BZh"));
}

/* 1 = the file is not for us (told). */
static int read_file(struct import *im, struct intake *in, const char *path, struct wall_us *date,
		     struct fail *why)
{
	char piece[KIB(32)];
	struct stat st;
	/* Users own their Maildirs: what one puts there must not lead root to other people's mail,
	 * be it by a link in place of the file, of its folder, or by a second name of a file. */
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		import_error(im, path, fd < 0 ? strerror(errno) : "not a file");
		return 1;
	}
	if (geteuid() == 0 && st.st_uid != im->owner) {
		import_error(im, path, T("it belongs to another user than its Maildir"));
		return 1;
	}
	date->v = (int64_t)st.st_mtim.tv_sec * SEC_US + st.st_mtim.tv_nsec / 1000;
	intake_begin(in, im);
	for (size_t at = 0;; at++) {
		ssize_t n = read(fd, piece, sizeof piece);
		if (n < 0 || (n > 0 && at == 0 && is_compressed(str_make(piece, (size_t)n)))) {
			import_error(im, path,
				     n < 0 ? strerror(errno) : T("the file is compressed"));
			return 1;
		}
		if (n == 0)
			return 0;
		int r = intake_add(in, str_make(piece, (size_t)n), why);
		if (r < 0)
			return r;
	}
}

static void write_keywords(const struct folder *f, const struct maildir_name *n, struct buf *out)
{
	if (n->passed)
		(void)buf_add_c(out, "$Forwarded");
	for (unsigned i = 0; i < ARRAY_LEN(f->keywords); i++)
		if ((n->keywords & (1u << i)) && f->keywords[i] &&
		    !(n->passed && strcmp(f->keywords[i], "$Forwarded") == 0))
			(void)buf_addf(out, "%s%s", out->n ? " " : "", f->keywords[i]);
}

static int put_file(struct import *im, const struct folder *f, const struct found *x,
		    struct intake *in, struct fail *why)
{
	char path[3600];
	unsigned char key[32];
	struct maildir_name n;
	struct feed_message m = {.uid = x->uid, .name = x->name};
	AUTO(buf) struct buf keywords = BUF_INIT(8000);
	(void)snprintf(path, sizeof path, "%s/%s/%s", f->path, x->fresh ? "new" : "cur", x->name);
	int r = read_file(im, in, path, &m.internaldate, why);
	if (r != 0)
		return r < 0 ? r : 0;
	(void)maildir_name_parse(str_c(x->name), &n);
	import_key(im, key, "maildir", f->mailbox, n.unique);
	write_keywords(f, &n, &keywords);
	m.flags = n.flags;
	m.keywords = buf_str(&keywords);
	m.key = str_make((const char *)key, sizeof key);
	return intake_end(in, &m, why);
}

static int put_folder(struct import *im, const char *path, const char *mailbox, struct fail *why)
{
	struct folder *f = xcalloc(1, sizeof *f);
	struct intake in = {.fd = -1};
	f->names = ARENA_INIT(MIB(1024));
	(void)snprintf(f->path, sizeof f->path, "%s", path);
	(void)snprintf(f->mailbox, sizeof f->mailbox, "%s", mailbox);
	read_uidlist(f);
	read_keywords(f);
	read_names(f, "cur");
	read_names(f, "new");
	if (f->files.n > 1)
		qsort(f->files.p, f->files.n, sizeof *f->files.p, by_uid);
	im->progress.total += f->files.n;
	int r = import_begin(im, mailbox, f->head.uidvalidity, f->head.uidnext, false, why);
	for (size_t i = 0; r == 0 && i < f->files.n; i++)
		r = put_file(im, f, &f->files.p[i], &in, why);
	intake_clear(&in);
	if (r == 0)
		r = import_end(im, f->head.uidvalidity, why);
	folder_clear(f);
	return r;
}

/* --- the tree
 * ------------------------------------------------------------------------------------------ */

static int put_subscriptions(struct import *im, const char *root, struct fail *why)
{
	char path[3100], line[LINE_MAX_BYTES];
	bool v2 = false;
	int r = 0;
	(void)snprintf(path, sizeof path, "%s/subscriptions", root);
	FILE *in = fopen(path, "re");
	for (size_t n = 0; r == 0 && in && fgets(line, sizeof line, in); n++) {
		AUTO(buf) struct buf name = BUF_INIT(1000);
		if (n == 0 && str_starts(str_c(line), STR("V\t2"))) {
			v2 = true;
			continue;
		}
		if (maildir_subscription_parse(str_c(line), v2, &name))
			r = import_subscribe(im, buf_c(&name), why);
		if (r == -FAIL_SYNTAX || r == -FAIL_LIMIT) {
			import_error(im, line, T("not a name of a mailbox"));
			r = 0;
		}
	}
	if (in)
		(void)fclose(in);
	return r;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int put_subfolder(struct import *im, const char *root, const char *folder, struct fail *why)
{
	char path[3000];
	struct stat st;
	AUTO(buf) struct buf name = BUF_INIT(1000);
	(void)snprintf(path, sizeof path, "%s/%s/cur", root, folder);
	if (stat(path, &st) < 0)
		return 0; /* not a mailbox */
	(void)snprintf(path, sizeof path, "%s/%s", root, folder);
	if (!maildir_folder_name(str_c(folder), &name)) {
		import_error(im, path, T("its name cannot be a mailbox's"));
		return 0;
	}
	return put_folder(im, path, buf_c(&name), why);
}

int import_maildir(struct import *im, const char *root, struct fail *why)
{
	VEC(char *) folders = {0};
	char cur[3100];
	struct stat st;
	(void)snprintf(cur, sizeof cur, "%s/cur", root);
	DIR *d = access(cur, F_OK) == 0 ? opendir(root) : NULL;
	if (!d || fstat(dirfd(d), &st) < 0)
		return fail_set(why, FAIL_NOTFOUND, "That is no Maildir: it has no folder cur.",
				"%s", root);
	im->owner = st.st_uid;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] == '.' && e->d_name[1] && strcmp(e->d_name, "..") != 0)
			*(char **)vec_push(&folders) = xstrdup(e->d_name);
	(void)closedir(d);
	if (folders.n > 1)
		qsort(folders.p, folders.n, sizeof *folders.p, by_text);
	int r = put_folder(im, root, "INBOX", why);
	for (size_t i = 0; i < folders.n; i++) {
		if (r == 0)
			r = put_subfolder(im, root, folders.p[i], why);
		free(folders.p[i]);
	}
	vec_clear(&folders);
	return r == 0 ? put_subscriptions(im, root, why) : r;
}
