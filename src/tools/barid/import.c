/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid import --account A maildir PATH | mbox FILE [--mailbox M] [--dry-run]
 * barid import --all maildir [BASE] [--dry-run]
 */
#include "tools/barid/import.h"
#include "base/check.h"
#include "base/text.h"
#include "service/dir/dir_archive.h"
#include "sys/sha256.h"
#include "tools/barid/options.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void import_error(struct import *im, const char *name, const char *why)
{
	if (im->errors.n >= IMPORT_ERRORS_MAX) {
		im->more_errors++;
		return;
	}
	struct import_error *e = vec_push(&im->errors);
	e->name = xstrdup(name);
	e->why = xstrdup(why);
}

void import_refused(void *im, const char *name, const char *why)
{
	import_error(im, name, why);
}

void import_key(const struct import *im, unsigned char key[32], const char *kind,
		const char *mailbox, struct str what)
{
	struct sha256 *h = sha256_begin();
	char account[24];
	int n = snprintf(account, sizeof account, "%llu", (unsigned long long)im->account.v);
	sha256_add(h, str_make(account, (size_t)n + 1));
	sha256_add(h, str_make(kind, strlen(kind) + 1));
	sha256_add(h, str_make(mailbox, strlen(mailbox) + 1));
	sha256_add(h, what);
	sha256_end(h, key);
}

/* --- a mailbox
 * ------------------------------------------------------------------------------------------ */

static unsigned use_of(const char *mailbox)
{
	static const struct {
		const char *name;
		unsigned use;
	} uses[] = {{"Sent", 1u << 4},
		    {"Drafts", 1u << 1},
		    {"Junk", 1u << 3},
		    {"Trash", 1u << 5},
		    {"Archive", 1u << 0}};
	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		if (strcmp(uses[i].name, mailbox) == 0)
			return uses[i].use;
	return 0;
}

static int box_make(struct import *im, const char *mailbox, bool subscribe, bool name_only,
		    struct fail *why)
{
	struct msg_box_make m = {.account = im->account.v,
				 .name = str_c(mailbox),
				 .use = use_of(mailbox),
				 .subscribe = subscribe,
				 .name_only = name_only};
	if (im->dry_run)
		return 0;
	int r = tool_ask(im->link, IPC_BOX_MAKE, &m, IPC_OK, NULL, why);
	return r < 0 ? fail_wrap(why, r, "mailbox %s", mailbox) : 0;
}

int import_subscribe(struct import *im, const char *mailbox, struct fail *why)
{
	return box_make(im, mailbox, true, true, why);
}

int import_begin(struct import *im, const char *mailbox, uint32_t uidvalidity, uint32_t uidnext,
		 bool subscribe, struct fail *why)
{
	(void)snprintf(im->mailbox, sizeof im->mailbox, "%s", mailbox);
	int r = box_make(im, mailbox, subscribe, false, why);
	if (r < 0 || im->dry_run)
		return r;
	struct feed_target t = {.account = im->account,
				.mailbox = im->mailbox,
				.uidvalidity = uidvalidity,
				.uidnext = uidnext,
				.refused = import_refused,
				.arg = im};
	im->feed = feed_new(im->link, &t);
	return 0;
}

int import_end(struct import *im, uint32_t uidvalidity, struct fail *why)
{
	struct feed_counts n = {0};
	bool adopted = false;
	if (im->dry_run)
		return 0;
	int r = feed_end(im->feed, &n, &adopted, why);
	feed_free(im->feed);
	im->feed = NULL;
	im->counts.added += n.added;
	im->counts.present += n.present;
	im->counts.refused += n.refused;
	progress_end(&im->progress);
	if (r == 0)
		(void)printf(T("%s: %llu imported, %llu were imported before%s\n"), im->mailbox,
			     (unsigned long long)n.added, (unsigned long long)n.present,
			     uidvalidity == 0 ? T("; the source has no UIDs")
			     : adopted	      ? "; UIDs kept"
					      : T("; new UIDs: the mailbox was in use already"));
	return r;
}

/* --- one message
 * ------------------------------------------------------------------------------------------ */

void intake_begin(struct intake *in, struct import *im)
{
	if (!in->b.max)
		in->b = BUF_INIT(KIB(256));
	buf_reset(&in->b);
	in->im = im;
	in->size = 0;
	in->cr = false;
	in->fd = -1;
}

void intake_clear(struct intake *in)
{
	if (in->fd >= 0)
		(void)close(in->fd);
	in->fd = -1;
	buf_clear(&in->b);
}

static int flush(struct intake *in, struct fail *why)
{
	struct str left = buf_str(&in->b);
	int r = in->fd < 0 ? feed_file(in->im->feed, in->id, &in->fd, why) : 0;
	while (r == 0 && left.n > 0) {
		ssize_t n = write(in->fd, left.p, left.n);
		if (n < 0 && errno != EINTR)
			return fail_errno(why, errno == ENOSPC ? FAIL_LIMIT : FAIL_IO,
					  "writing a large message");
		left = str_skip(left, n < 0 ? 0 : (size_t)n);
	}
	buf_reset(&in->b);
	return r;
}

/* At most 64 KiB of input, hence 128 KiB of output. */
static void convert(struct intake *in, struct str s)
{
	while (s.n > 0) {
		size_t lf = str_find(s, 0, '\n');
		bool bare = lf < s.n && (lf > 0 ? s.p[lf - 1] != '\r' : !in->cr);
		(void)buf_add(&in->b, str_sub(s, 0, lf));
		if (lf == s.n) {
			in->cr = s.p[s.n - 1] == '\r';
			return;
		}
		(void)buf_add_c(&in->b, bare ? "\r\n" : "\n");
		in->cr = false;
		s = str_skip(s, lf + 1);
	}
}

int intake_add(struct intake *in, struct str bytes, struct fail *why)
{
	while (bytes.n > 0) {
		struct str piece = str_sub(bytes, 0, KIB(64));
		bytes = str_skip(bytes, piece.n);
		size_t before = in->b.n;
		convert(in, piece);
		in->size += in->b.n - before;
		if (in->im->dry_run) {
			buf_reset(&in->b);
			continue;
		}
		int r = in->b.n > FEED_INLINE_MAX ? flush(in, why) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int intake_end(struct intake *in, struct feed_message *m, struct fail *why)
{
	progress_add(&in->im->progress, 1);
	if (in->im->dry_run) {
		in->im->counts.added++;
		return 0;
	}
	m->size = in->size;
	m->body = buf_str(&in->b);
	if (in->fd >= 0) {
		int r = flush(in, why);
		if (r < 0)
			return r;
		(void)close(in->fd);
		in->fd = -1;
		m->body = STR("");
		m->body_id = str_make(in->id, sizeof in->id);
	}
	if (!m->body.p)
		m->body = STR("");
	return feed_add(in->im->feed, m, why);
}

/* --- the command
 * ------------------------------------------------------------------------------------------ */

struct command {
	struct import im;
	const char *account, *mailbox, *format, *path;
	bool all;
	size_t found; /* of --all: users with a folder */
};

static int open_account(struct import *im, const char *address, struct fail *why)
{
	struct msg_boxes m = {.make = true};
	int r = tool_account(im->state, address, &im->account, why);
	if (r < 0 || im->dry_run)
		return r;
	m.account = im->account.v;
	r = tool_connect_account(im->state, im->account, &im->link, why);
	return r < 0 ? r : tool_ask(im->link, IPC_BOXES, &m, IPC_BOXES_REPLY, NULL, why);
}

static int import_account(struct command *c, const char *address, const char *path,
			  struct fail *why)
{
	struct import *im = &c->im;
	int r = open_account(im, address, why);
	if (r == 0 && strcmp(c->format, "maildir") == 0)
		r = import_maildir(im, path, why);
	else if (r == 0)
		r = import_mbox(im, path, c->mailbox ? c->mailbox : "INBOX", why);
	feed_free(im->feed);
	im->feed = NULL;
	tool_close(im->link);
	im->link = NULL;
	return r;
}

/* The reference keeps the Maildir in a folder of this name; other servers at the path itself. */
static bool find_maildir(const char *folder, char ret[4100])
{
	struct stat st;
	(void)snprintf(ret, 4100, "%s/Maildir", folder);
	if (stat(ret, &st) == 0)
		return true;
	(void)snprintf(ret, 4100, "%s", folder);
	return stat(ret, &st) == 0;
}

static int take_user(void *arg, struct str address, struct str base, struct str maildir)
{
	struct command *c = arg;
	char name[400], path[4000], other[4000], found[4100];
	struct fail why = FAIL_INIT;
	size_t at = str_find(address, 0, '@');
	(void)snprintf(name, sizeof name, "%.*s", STR_ARG(address));
	(void)snprintf(path, sizeof path, "%.*s/%.*s", c->path ? (int)strlen(c->path) : (int)base.n,
		       c->path ? c->path : base.p, STR_ARG(maildir));
	/* A user who was made here has a folder of our own in the directory. */
	(void)snprintf(other, sizeof other, "%s/%.*s/%.*s", c->path ? c->path : "",
		       STR_ARG(str_skip(address, MIN(at + 1, address.n))),
		       STR_ARG(str_sub(address, 0, at)));
	if (!find_maildir(path, found) && !(c->path && find_maildir(other, found))) {
		(void)printf(T("%s: no folder %s\n"), name, path);
		return 0;
	}
	c->found++;
	(void)printf("%s:\n", name);
	int r = import_account(c, name, found, &why);
	if (r < 0)
		import_error(&c->im, name, why.public[0] ? why.public : why.detail);
	return r == -FAIL_PEER ? r : 0; /* one user's trouble is not the others' */
}

static int report(const struct import *im)
{
	char seconds[40];
	(void)snprintf(seconds, sizeof seconds, "%.1f s, %.0f/s", progress_seconds(&im->progress),
		       (double)im->counts.added / progress_seconds(&im->progress));
	if (im->dry_run)
		(void)printf(T("%llu messages would be looked at.\n"),
			     (unsigned long long)im->counts.added);
	else
		(void)printf(T("%llu messages imported, %llu were imported before; %s.\n"),
			     (unsigned long long)im->counts.added,
			     (unsigned long long)im->counts.present, seconds);
	for (size_t i = 0; i < im->errors.n; i++)
		(void)fprintf(stderr, T("not imported: %s: %s\n"), im->errors.p[i].name,
			      im->errors.p[i].why);
	if (im->more_errors)
		(void)fprintf(stderr, "... and %zu more.\n", im->more_errors);
	return im->errors.n ? EXIT_INCOMPLETE : EXIT_DONE;
}

static int run(struct command *c)
{
	struct fail why = FAIL_INIT;
	char vmail[4200];
	int r;
	progress_begin(&c->im.progress, "messages", 0);
	if (c->all) {
		(void)snprintf(vmail, sizeof vmail, "%s/dir/vmail.db", c->im.state);
		r = dir_archive_users(vmail, take_user, c, &why);
	} else {
		r = import_account(c, c->account, c->path, &why);
	}
	progress_end(&c->im.progress);
	int code = report(&c->im);
	for (size_t i = 0; i < c->im.errors.n; i++) {
		free(c->im.errors.p[i].name);
		free(c->im.errors.p[i].why);
	}
	vec_clear(&c->im.errors);
	if (r == -FAIL_NOTFOUND && cli_connect(c->im.state) < 0) {
		(void)tool_complain(&why);
		return EXIT_NOT_RUNNING;
	}
	if (r == 0 && c->all && !c->found) {
		(void)fputs(T("No user's folder was found. Name the folder that holds them: barid "
			      "import --all maildir FOLDER\n"),
			    stderr);
		return EXIT_FAILED;
	}
	return r < 0 ? tool_complain(&why) : code;
}

int cli_import(const struct cli *cli)
{
	struct command c = {0};
	const char *words[2] = {0};
	size_t n;
	const struct option options[] = {{"--account", .text = &c.account},
					 {"--mailbox", .text = &c.mailbox},
					 {"--all", .flag = &c.all},
					 {"--dry-run", .flag = &c.im.dry_run}};
	if (!options_take(cli, options, ARRAY_LEN(options), words, 2, &n) || n == 0)
		return cli_usage("import");
	c.format = words[0];
	c.path = words[1];
	bool maildir = strcmp(c.format, "maildir") == 0, mbox = strcmp(c.format, "mbox") == 0;
	if ((!maildir && !mbox) || c.all == (c.account != NULL) || (c.all && mbox) ||
	    (!c.all && !c.path) || (maildir && c.mailbox))
		return cli_usage("import");
	c.im.state = cli_state_dir(cli);
	return c.im.state ? run(&c) : EXIT_FAILED;
}
