/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mbox file (mboxrd) for each mailbox, with the fields that mail programs keep state in.
 */
#include "base/check.h"
#include "base/civil.h"
#include "base/text.h"
#include "codec/mailfile/maildir.h"
#include "codec/mailfile/mbox.h"
#include "tools/barid/export.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES KIB(64)

struct file {
	struct export *e;
	FILE *out;
	struct buf line;	/* not complete yet */
	bool in_header, middle; /* of a line that was too long to keep */
	const struct msg_box_message *m;
	bool first;
};

static void write_state(struct file *f)
{
	const struct msg_box_message *m = f->m;
	uint32_t x = m->flags;
	if (f->first)
		(void)fprintf(f->out, "X-IMAPbase: %u %010u\n", f->e->uidvalidity,
			      f->e->uidnext ? f->e->uidnext - 1 : 0);
	(void)fprintf(f->out, "X-UID: %u\nStatus: %sO\n", m->uid, x & MAILFILE_SEEN ? "R" : "");
	if (x & ~(uint32_t)MAILFILE_SEEN)
		(void)fprintf(f->out, "X-Status: %s%s%s%s\n", x & MAILFILE_ANSWERED ? "A" : "",
			      x & MAILFILE_FLAGGED ? "F" : "", x & MAILFILE_DRAFT ? "T" : "",
			      x & MAILFILE_DELETED ? "D" : "");
	if (m->keywords.n)
		(void)fprintf(f->out, "X-Keywords: %.*s\n", STR_ARG(m->keywords));
	f->first = false;
}

/* Fields of state that the message itself brought would be taken for ours. */
static bool is_state(struct str line)
{
	struct mbox_state unused;
	mbox_state_init(&unused);
	return mbox_state_line(&unused, line);
}

static void write_line(struct file *f, struct str line)
{
	if (f->in_header && line.n == 1) {
		write_state(f);
		f->in_header = false;
	} else if (f->in_header && is_state(line)) {
		return;
	}
	if (mbox_needs_quote(line))
		(void)fputc('>', f->out);
	(void)fwrite(line.p, 1, line.n, f->out);
}

static int put(void *arg, struct str s, struct fail *why)
{
	struct file *f = arg;
	while (s.n > 0) {
		size_t lf = str_find(s, 0, '\n');
		struct str piece = str_sub(s, 0, MIN(lf + 1, s.n));
		s = str_skip(s, piece.n);
		bool ends = piece.p[piece.n - 1] == '\n';
		if (f->middle) {
			(void)fwrite(piece.p, 1, piece.n, f->out);
			f->middle = !ends;
			continue;
		}
		if (f->line.n + piece.n > LINE_MAX_BYTES) {
			write_line(f, buf_str(&f->line));
			buf_reset(&f->line);
			(void)fwrite(piece.p, 1, piece.n, f->out);
			f->middle = !ends;
			continue;
		}
		(void)buf_add(&f->line, piece);
		if (ends) {
			write_line(f, buf_str(&f->line));
			buf_reset(&f->line);
		}
	}
	return ferror(f->out) ? fail_errno(why, FAIL_IO, "cannot write an mbox file") : 0;
}

static int put_message(void *arg, const struct msg_box_message *m, struct fail *why)
{
	struct file *f = arg;
	struct civil c;
	civil_from_us((struct wall_us){m->internaldate_us}, &c);
	(void)fprintf(f->out, "From MAILER-DAEMON %s %s %2u %02u:%02u:%02u %04d\n",
		      civil_weekday_name(c.weekday), civil_month_name(c.month), (unsigned)c.day,
		      (unsigned)c.hour, (unsigned)c.minute, (unsigned)c.second, (int)c.year);
	f->m = m;
	f->in_header = true;
	f->middle = false;
	buf_reset(&f->line);
	int r = export_text(m, put, f, why);
	if (f->line.n || f->middle) { /* without an end of line */
		if (f->line.n)
			write_line(f, buf_str(&f->line));
		(void)fputc('\n', f->out);
	}
	if (f->in_header) { /* no body */
		write_state(f);
		(void)fputc('\n', f->out);
	}
	(void)fputc('\n', f->out);
	f->e->written++;
	progress_add(&f->e->progress, 1);
	return r;
}

/* "Work/2026" is the file PATH/Work.2026.mbox: folders and files would have one name. */
static int file_name(const struct export *e, char path[4000], struct fail *why)
{
	AUTO(buf) struct buf name = BUF_INIT(2000);
	if (maildir_folder_write(e->box->name, &name) < 0 || name.n > 240)
		return fail_set(why, FAIL_SYNTAX, NULL, "%.*s has no file name",
				STR_ARG(e->box->name));
	(void)snprintf(path, 4000, "%s/%s.mbox", e->path, buf_c(&name) + 1);
	return 0;
}

int export_mbox(struct export *e, struct fail *why)
{
	char path[4000], temp[4010];
	struct file f = {.e = e, .line = BUF_INIT(LINE_MAX_BYTES + 1), .first = true};
	int r = file_name(e, path, why);
	if (r < 0)
		return r;
	(void)snprintf(temp, sizeof temp, "%s.part", path);
	f.out = fopen(temp, "we");
	if (!f.out)
		return fail_errno(why, FAIL_IO, "cannot write %s", temp);
	r = export_each(e, true, put_message, &f, why);
	bool good = fflush(f.out) == 0 && fsync(fileno(f.out)) == 0;
	if (fclose(f.out) != 0 || !good)
		r = r < 0 ? r : fail_errno(why, FAIL_IO, "cannot write %s", temp);
	buf_clear(&f.line);
	if (r == 0 && rename(temp, path) < 0)
		r = fail_errno(why, FAIL_IO, "cannot name %s", path);
	return r;
}
