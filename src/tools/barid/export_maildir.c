/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Maildir++ tree as Dovecot writes it: with dovecot-uidlist, dovecot-keywords and subscriptions,
 * so that another server goes on with the same UIDs. File names follow from the message: an export
 * that was interrupted is repeated into the same folder and writes what is missing.
 */
#include "base/check.h"
#include "base/text.h"
#include "codec/mailfile/maildir.h"
#include "sys/rand.h"
#include "tools/barid/export.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

struct folder {
	struct export *e;
	char path[3000];
	char *keywords[26];
	size_t n_keywords;
	bool too_many;
	FILE *uidlist;
	/* the file at hand */
	FILE *out;
	uint64_t size, lines;
};

static int make_folders(const char *path, struct fail *why)
{
	static const char *const subs[] = {"", "/cur", "/new", "/tmp"};
	char name[3100];
	for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
		(void)snprintf(name, sizeof name, "%s%s", path, subs[i]);
		if (mkdir(name, 0700) < 0 && errno != EEXIST)
			return fail_errno(why, FAIL_IO, "cannot make %s", name);
	}
	return 0;
}

static uint32_t keyword_bit(struct folder *f, struct str name)
{
	for (size_t i = 0; i < f->n_keywords; i++)
		if (str_eqi(str_c(f->keywords[i]), name))
			return 1u << i;
	if (f->n_keywords == ARRAY_LEN(f->keywords)) {
		f->too_many = true;
		return 0;
	}
	char *copy = xcalloc(1, name.n + 1);
	memcpy(copy, name.p, name.n);
	f->keywords[f->n_keywords] = copy;
	return 1u << f->n_keywords++;
}

static uint32_t keyword_bits(struct folder *f, struct str keywords)
{
	uint32_t bits = 0;
	struct str word;
	while (str_cut(&keywords, ' ', &word))
		if (word.n > 0)
			bits |= keyword_bit(f, word);
	return bits;
}

static int put(void *arg, struct str s, struct fail *why)
{
	struct folder *f = arg;
	if (fwrite(s.p, 1, s.n, f->out) != s.n)
		return fail_errno(why, FAIL_IO, "cannot write a message");
	f->size += s.n;
	for (size_t at = 0; (at = str_find(s, at, '\n')) < s.n; at++)
		f->lines++;
	return 0;
}

static int write_file(struct folder *f, const struct msg_box_message *m, const char *path,
		      struct fail *why)
{
	f->size = f->lines = 0;
	f->out = fopen(path, "we");
	if (!f->out)
		return fail_errno(why, FAIL_IO, "cannot write %s", path);
	int r = export_text(m, put, f, why);
	struct timeval times[2];
	times[0].tv_sec = times[1].tv_sec = (time_t)(m->internaldate_us / SEC_US);
	times[0].tv_usec = times[1].tv_usec = (suseconds_t)(m->internaldate_us % SEC_US);
	if (fflush(f->out) != 0 || futimes(fileno(f->out), times) < 0)
		r = r < 0 ? r : fail_errno(why, FAIL_IO, "cannot write %s", path);
	if (fclose(f->out) != 0 && r == 0)
		r = fail_errno(why, FAIL_IO, "cannot write %s", path);
	return r;
}

/* A message that was exported before may have other flags now: its file gets another name. */
static int put_message(void *arg, const struct msg_box_message *m, struct fail *why)
{
	struct folder *f = arg;
	struct export *e = f->e;
	char temp[3400], path[3800], unique[100];
	AUTO(buf) struct buf flags = BUF_INIT(100);
	(void)snprintf(unique, sizeof unique, "%lld.M%lldV%uU%u.barid",
		       (long long)(m->internaldate_us / SEC_US),
		       (long long)(m->internaldate_us % SEC_US), e->uidvalidity, m->uid);
	(void)snprintf(temp, sizeof temp, "%s/tmp/%s", f->path, unique);
	int r = write_file(f, m, temp, why);
	if (r < 0)
		return r;
	(void)maildir_flags_write(&flags, m->flags, false, keyword_bits(f, m->keywords));
	(void)snprintf(path, sizeof path, "%s/cur/%s,S=%llu,W=%llu%s", f->path, unique,
		       (unsigned long long)f->size, (unsigned long long)(f->size + f->lines),
		       buf_c(&flags));
	if (access(path, F_OK) == 0)
		e->present++;
	else
		e->written++;
	if (rename(temp, path) < 0)
		return fail_errno(why, FAIL_IO, "cannot name %s", path);
	if (fprintf(f->uidlist, "%u :%s,S=%llu,W=%llu\n", m->uid, unique,
		    (unsigned long long)f->size, (unsigned long long)(f->size + f->lines)) < 0)
		return fail_errno(why, FAIL_IO, "cannot write the list of UIDs");
	progress_add(&e->progress, 1);
	return 0;
}

static int write_keywords(const struct folder *f, struct fail *why)
{
	char path[3100];
	(void)snprintf(path, sizeof path, "%s/dovecot-keywords", f->path);
	FILE *out = f->n_keywords ? fopen(path, "we") : NULL;
	for (size_t i = 0; out && i < f->n_keywords; i++)
		(void)fprintf(out, "%zu %s\n", i, f->keywords[i]);
	if (f->n_keywords && (!out || fclose(out) != 0))
		return fail_errno(why, FAIL_IO, "cannot write %s", path);
	if (f->too_many)
		(void)fprintf(
			stderr,
			T("%s: Maildir has room for 26 keywords only; the others are left out.\n"),
			f->path);
	return 0;
}

/* The head needs UIDNEXT, which the first answer brings; so the entries are written behind. */
static int write_uidlist(struct folder *f, struct fail *why)
{
	char path[3100], temp[3100], piece[4096];
	unsigned char guid[16];
	(void)snprintf(path, sizeof path, "%s/dovecot-uidlist", f->path);
	(void)snprintf(temp, sizeof temp, "%s/tmp/uidlist", f->path);
	FILE *out = fopen(temp, "we");
	if (!out)
		return fail_errno(why, FAIL_IO, "cannot write %s", temp);
	rand_bytes(guid, sizeof guid);
	(void)fprintf(out, "3 V%u N%u G", f->e->uidvalidity, f->e->uidnext);
	for (size_t i = 0; i < sizeof guid; i++)
		(void)fprintf(out, "%02x", guid[i]);
	(void)fputc('\n', out);
	rewind(f->uidlist);
	for (size_t n; (n = fread(piece, 1, sizeof piece, f->uidlist)) > 0;)
		(void)fwrite(piece, 1, n, out);
	bool good = !ferror(f->uidlist) && !ferror(out);
	if (fclose(out) != 0 || !good || rename(temp, path) < 0)
		return fail_errno(why, FAIL_IO, "cannot write %s", path);
	return 0;
}

int export_maildir(struct export *e, struct fail *why)
{
	struct folder *f = xcalloc(1, sizeof *f);
	AUTO(buf) struct buf name = BUF_INIT(2000);
	f->e = e;
	int r = str_eq(e->box->name, STR("INBOX")) ? 0 : maildir_folder_write(e->box->name, &name);
	(void)snprintf(f->path, sizeof f->path, "%s%s%s", e->path, name.n ? "/" : "", buf_c(&name));
	if (r < 0)
		r = fail_set(why, FAIL_SYNTAX, NULL, "%.*s has no name in Maildir",
			     STR_ARG(e->box->name));
	if (r == 0)
		r = make_folders(f->path, why);
	f->uidlist = r == 0 ? tmpfile() : NULL;
	if (r == 0 && !f->uidlist)
		r = fail_errno(why, FAIL_IO, "cannot make a list of UIDs");
	if (r == 0)
		r = export_each(e, true, put_message, f, why);
	if (r == 0)
		r = write_keywords(f, why);
	if (r == 0)
		r = write_uidlist(f, why);
	if (r == 0 && name.n) {
		char mark[3100];
		(void)snprintf(mark, sizeof mark, "%s/maildirfolder", f->path);
		int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd >= 0)
			(void)close(fd);
	}
	if (f->uidlist)
		(void)fclose(f->uidlist);
	for (size_t i = 0; i < f->n_keywords; i++)
		free(f->keywords[i]);
	free(f);
	return r;
}

int export_subscriptions(const struct export *e, const struct msg_boxes_reply *boxes,
			 struct fail *why)
{
	char path[3100];
	(void)snprintf(path, sizeof path, "%s/subscriptions", e->path);
	FILE *out = fopen(path, "we");
	if (!out)
		return fail_errno(why, FAIL_IO, "cannot write %s", path);
	(void)fputs("V\t2\n\n", out);
	for (size_t i = 0; i < boxes->boxes_n; i++) {
		AUTO(buf) struct buf name = BUF_INIT(4000);
		if (!boxes->boxes[i].subscribed ||
		    maildir_folder_write(boxes->boxes[i].name, &name) < 0)
			continue;
		for (size_t k = 1; k < name.n; k++)
			if (name.p[k] == '.')
				name.p[k] = '\t';
		(void)fprintf(out, "%s\n", buf_c(&name) + 1);
	}
	return fclose(out) == 0 ? 0 : fail_errno(why, FAIL_IO, "cannot write %s", path);
}
