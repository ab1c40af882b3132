/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An mbox file, whatever its size: one pass, a line (or a piece of a long one) in memory.
 *
 * A message ends where a From_ line follows an empty line, or where its Content-Length says, when
 * a From_ line or the end of the file is there (mboxcl2; then nothing in it is quoted). A wrong
 * Content-Length is passed over.
 */
#include "base/check.h"
#include "base/map.h"
#include "codec/mailfile/mbox.h"
#include "sys/sha256.h"
#include "tools/barid/import.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define WINDOW KIB(64)

struct mbox {
	struct import *im;
	const char *mailbox;
	FILE *in;
	off_t size;
	char line[WINDOW];
	size_t n;
	bool at_start, whole; /* the piece begins a line, ends one */
	/* the message at hand */
	struct intake intake;
	struct mbox_state state;
	struct sha256 *sum;
	struct wall_us date;
	bool in_header, blank;
	bool loose;    /* a Content-Length ended just here */
	uint64_t left; /* of a Content-Length that was believed; 0 = lines decide */
	uint64_t number;
	struct map same; /* part of a message's hash to how often it came: equal ones are several */
	uint32_t uidvalidity;
	bool begun; /* the mailbox: its UIDVALIDITY stands in the first message */
};

/* The next line, or 64 KiB of one. False: the end. */
static bool next_piece(struct mbox *b)
{
	size_t n = 0;
	int c = EOF;
	b->at_start = b->whole;
	while (n < WINDOW && (c = getc_unlocked(b->in)) != EOF) {
		b->line[n++] = (char)c;
		if (c == '\n')
			break;
	}
	b->n = n;
	b->whole = c == '\n' || c == EOF;
	return n > 0;
}

static bool is_empty(struct str s)
{
	return str_eq(s, STR("\n")) || str_eq(s, STR("\r\n"));
}

/* Does a Content-Length lead to the beginning of a message, or to the end of the file? */
static bool length_is_right(struct mbox *b)
{
	char text[1024];
	off_t here = ftello(b->in);
	uint64_t n = b->state.content_length;
	if (here < 0 || n == UINT64_MAX || n > INT64_MAX / 2 ||
	    fseeko(b->in, (off_t)n, SEEK_CUR) < 0)
		return false;
	size_t got = fread(text, 1, sizeof text, b->in);
	bool end = got == 0 && ftello(b->in) == here + (off_t)n;
	struct str rest = str_make(text, got), line;
	while (str_cut(&rest, '\n', &line) && str_trim(line).n == 0)
		continue;
	(void)fseeko(b->in, here, SEEK_SET);
	end = end && b->size == here + (off_t)n;
	return end || (got > 0 && (mbox_is_from(line, NULL) ||
				   (str_trim(line).n == 0 && b->size <= here + (off_t)n + 2)));
}

/* --- one message
 * ------------------------------------------------------------------------------------------ */

static void begin(struct mbox *b, struct wall_us date)
{
	intake_begin(&b->intake, b->im);
	mbox_state_init(&b->state);
	b->sum = sha256_begin();
	b->date = date;
	b->in_header = true;
	b->blank = b->loose = false;
	b->left = 0;
	b->number++;
}

static int begin_mailbox(struct mbox *b, struct fail *why)
{
	if (b->begun)
		return 0;
	b->begun = true;
	b->uidvalidity = b->state.uidvalidity;
	uint32_t next = b->state.uidlast < UINT32_MAX - 1 ? b->state.uidlast + 1 : 0;
	return import_begin(b->im, b->mailbox, b->uidvalidity, b->uidvalidity ? next : 0, true,
			    why);
}

/* The second of two equal messages has another key than the first. */
static void count_same(struct mbox *b, unsigned char sum[SHA256_LEN])
{
	uint64_t part;
	memcpy(&part, sum, sizeof part);
	uintptr_t n = (uintptr_t)map_get(&b->same, part);
	(void)map_put(&b->same, part, (void *)(n + 1));
	for (size_t i = 0; i < sizeof n; i++)
		sum[i] = (unsigned char)(sum[i] ^ (n >> (8 * i)));
}

static int end(struct mbox *b, struct fail *why)
{
	unsigned char sum[SHA256_LEN], key[32];
	char name[64];
	if (!b->sum)
		return 0;
	sha256_end(TAKE(b->sum), sum);
	count_same(b, sum);
	import_key(b->im, key, "mbox", b->mailbox, str_make((const char *)sum, sizeof sum));
	(void)snprintf(name, sizeof name, "message %llu", (unsigned long long)b->number);
	struct feed_message m = {.uid = b->uidvalidity ? b->state.uid : 0,
				 .flags = b->state.flags,
				 .keywords = str_c(b->state.keywords),
				 .internaldate = b->date,
				 .key = str_make((const char *)key, sizeof key),
				 .name = name};
	return intake_end(&b->intake, &m, why);
}

/* The header is over: now its state is known, and with the first message the mailbox begins. */
static int header_ends(struct mbox *b, struct fail *why)
{
	b->in_header = false;
	int r = begin_mailbox(b, why);
	b->left = r == 0 && length_is_right(b) ? b->state.content_length : 0;
	return r;
}

static int add(struct mbox *b, struct str s, struct fail *why)
{
	sha256_add(b->sum, s);
	return intake_add(&b->intake, s, why);
}

static int header_piece(struct mbox *b, struct str s, struct fail *why)
{
	if (b->at_start && b->whole && mbox_state_line(&b->state, s))
		return 0;
	/* Not before the mailbox has begun: a header of some KiB waits in the intake. */
	int r = b->intake.b.n + 2 * s.n > FEED_INLINE_MAX ? begin_mailbox(b, why) : 0;
	if (r == 0)
		r = add(b, s, why);
	return r == 0 && b->at_start && is_empty(s) ? header_ends(b, why) : r;
}

/* An empty line belongs to the body when another line of it follows. */
static int body_piece(struct mbox *b, struct str s, struct fail *why)
{
	if (b->loose && b->at_start && is_empty(s))
		return 0; /* between the messages */
	int r = b->blank ? add(b, STR("\n"), why) : 0;
	b->blank = b->loose = false;
	if (r < 0)
		return r;
	if (b->at_start && is_empty(s)) {
		b->blank = true;
		return 0;
	}
	return add(b, b->at_start ? str_skip(s, mbox_unquote(s)) : s, why);
}

/* Bytes that a Content-Length covers. */
static int counted(struct mbox *b, struct fail *why)
{
	while (b->left > 0) {
		size_t n = fread(b->line, 1, (size_t)MIN(b->left, (uint64_t)WINDOW), b->in);
		if (n == 0)
			break;
		b->left -= n;
		int r = add(b, str_make(b->line, n), why);
		if (r < 0)
			return r;
	}
	b->left = 0;
	b->whole = b->loose = true;
	return 0;
}

static int take_piece(struct mbox *b, struct fail *why)
{
	struct str s = str_make(b->line, b->n);
	struct wall_us date;
	bool may_begin = b->at_start && b->whole && (!b->sum || b->blank || b->loose);
	if (may_begin && mbox_is_from(s, &date)) {
		int r = end(b, why);
		begin(b, date);
		return r;
	}
	if (!b->sum)
		return is_empty(s) ? 0
				   : fail_set(why, FAIL_SYNTAX,
					      "That is no mbox file: it does not begin with a "
					      "\"From \" line.",
					      "first line");
	int r = b->in_header ? header_piece(b, s, why) : body_piece(b, s, why);
	return r == 0 && b->left > 0 ? counted(b, why) : r;
}

int import_mbox(struct import *im, const char *path, const char *mailbox, struct fail *why)
{
	struct mbox *b = xcalloc(1, sizeof *b);
	b->im = im;
	b->mailbox = mailbox;
	b->whole = true;
	b->intake.fd = -1;
	b->in = fopen(path, "re");
	int r = b->in ? 0 : fail_errno(why, FAIL_NOTFOUND, "cannot open %s", path);
	if (r == 0 && fseeko(b->in, 0, SEEK_END) == 0) {
		b->size = ftello(b->in);
		rewind(b->in);
	}
	while (r == 0 && next_piece(b))
		r = take_piece(b, why);
	if (r == 0 && ferror(b->in))
		r = fail_errno(why, FAIL_IO, "cannot read %s", path);
	if (r == 0 && b->sum && b->in_header)
		r = header_ends(b, why);
	if (r == 0)
		r = end(b, why);
	if (r == 0)
		r = begin_mailbox(b, why);
	if (r == 0)
		r = import_end(im, b->uidvalidity, why);
	if (b->sum) {
		unsigned char unused[SHA256_LEN];
		sha256_end(b->sum, unused);
	}
	intake_clear(&b->intake);
	map_clear(&b->same);
	if (b->in)
		(void)fclose(b->in);
	free(b);
	return r;
}
