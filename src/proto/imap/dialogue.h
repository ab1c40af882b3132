/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dialogue.h - IMAP dialogues as tables, on the memory store.             [proto, imap; tests only]
 *
 *     static const char *const rows[] = {
 *             "+ INBOX (\\Seen) " PLAIN,         put a message there first
 *             "A: a SELECT INBOX",              session A sends a command (CRLF is added)
 *             "A= * 1 EXISTS",                  the next line that A gets; ~ stands for anything
 *             "B: DONE", ...                    a second session of the same account
 *             NULL};
 *
 * Every line that a session gets must be in the table, in order. Commands go through codec/frame as
 * on the wire. Each dialogue runs plainly and in the modes below: the answers must be the same.
 */
#ifndef BARID_PROTO_IMAP_DIALOGUE_H
#define BARID_PROTO_IMAP_DIALOGUE_H

#include "base/test.h"
#include "codec/frame/frame_imap.h"
#include "codec/mime/index.h"
#include "codec/mime/preview.h"
#include "proto/imap/imap_int.h"
#include "sys/fs.h"
#include <stdatomic.h>
#include <stdio.h>

enum dialogue_mode {
	MODE_EXPORT = 1u << 0,	   /* every session is exported and imported after every command */
	MODE_TINY = 1u << 1,	   /* a window of one byte: IMAP_MORE wherever it can be */
	MODE_EXTERNAL = 1u << 2,   /* literals above 8 bytes are external */
	MODE_READ_RIGHT = 1u << 3, /* sessions without IMAP_RIGHT_WRITE */
	MODE_MAY_END = 1u << 4,	   /* an import that fails ends the session: its mailbox is gone */
};

#define PLAYERS 2
struct player {
	struct imap_session *session;
	struct frame_imap framer;
	struct store_body body[4];
	size_t n_body;
	struct buf got; /* what the server said and no row has taken */
	struct imap_out out;
	_Atomic int wakes;
	bool closed;
};
struct world {
	char folder[64];
	unsigned mode;
	struct store *store;
	struct imap_config config;
	struct store_quota quota;
	struct account_id account;
	struct frame_imap_limits limits;
	struct player player[PLAYERS];
	const char *row; /* for messages */
};

static int64_t world_read(void *ctx, uint64_t off, char *to, size_t n)
{
	const struct store_content *content = ctx;
	size_t got = 0;
	if (content->file) {
		struct fs_file file = {fs_real(), content->file->fd};
		int r = fs_pread(&file, to, n, off, &got, NULL);
		return r < 0 ? r : (int64_t)got;
	}
	struct str s = str_sub(content->bytes, (size_t)off, (size_t)off + n);
	memcpy(to, s.p, s.n);
	return (int64_t)s.n;
}

/* The index as the scan role makes it, in this process. */
static int world_scan(void *arg, const struct store_content *content, struct buf *ret_map,
		      struct fail *why)
{
	(void)arg;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, NULL, &arena);
	struct mime_map *map;
	if (content->file) {
		struct fs_file file = {fs_real(), content->file->fd};
		char block[4096];
		size_t n = 1;
		for (uint64_t at = 0; n > 0; at += n) {
			int r = fs_pread(&file, block, sizeof block, at, &n, why);
			if (r < 0)
				return r;
			mime_index_feed(ix, str_make(block, n));
		}
	} else {
		mime_index_feed(ix, content->bytes);
	}
	int r = mime_index_finish(ix, &map, why);
	struct text_source source = {world_read, (void *)(uintptr_t)content};
	if (r == 0)
		r = preview_make(map, &source, &arena);
	return r < 0 ? r : mime_map_write(map, ret_map);
}

static int world_quota(void *arg, struct store_quota *ret, struct fail *why)
{
	(void)why;
	*ret = ((struct world *)arg)->quota;
	return 0;
}

static int world_named(void *arg, struct account_id account, struct str name,
		       struct account_id *ret, struct fail *why)
{
	static const char *const names[] = {"$team@example.test", "alice@example.test",
					    "bob@example.test"};
	static const uint64_t ids[] = {0, 7, 8};
	(void)arg;
	(void)account;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(name, str_c(names[i]))) {
			ret->v = ids[i];
			return 0;
		}
	return fail_set(why, FAIL_NOTFOUND, NULL, "no such name");
}

static struct player
	*waked[PLAYERS]; /* the hook's arg is the world; any of its sessions may sleep */
static void world_wake(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < PLAYERS; i++)
		if (waked[i])
			waked[i]->wakes++;
}

/* Long searches tell of themselves so often; a test may change it. */
static int64_t world_progress_ns = 1000 * SEC_NS;

static struct imap_session_args world_args(struct world *w)
{
	return (struct imap_session_args){
		.config = &w->config,
		.store = w->store,
		.account = w->account,
		.address = STR("alice@example.test"),
		.rights = w->mode & MODE_READ_RIGHT ? 0 : IMAP_RIGHT_WRITE,
		.hooks = {.arg = w,
			  .scan = world_scan,
			  .quota = world_quota,
			  .wake = world_wake,
			  .named = world_named},
	};
}

static void world_open(struct world *w, unsigned mode)
{
	struct fail why = FAIL_INIT;
	*w = (struct world){.mode = mode, .config = imap_config_default(), .account = {7}};
	w->config.progress_ns = world_progress_ns;
	w->limits = frame_imap_limits_session;
	if (mode & MODE_EXTERNAL)
		w->limits.inline_bytes = 8;
	snprintf(w->folder, sizeof w->folder, "/tmp/barid-imap-XXXXXX");
	if (!mkdtemp(w->folder))
		abort();
	struct store_options o = {.engine = STORE_MEMORY, .root = w->folder, .no_background = true};
	AUTO(buf) struct buf blobs = BUF_INIT(128);
	buf_addf(&blobs, "%s/blob", w->folder);
	o.blobs = buf_c(&blobs);
	assert_ok(store_open(&o, &w->store, &why), &why);
	assert_ok(store_account_ensure(w->store, w->account, store_default_folders, &why), &why);
	for (size_t i = 0; i < PLAYERS; i++) {
		struct player *p = &w->player[i];
		struct imap_session_args args = world_args(w);
		p->session = imap_session_new(&args);
		p->out = IMAP_OUT_INIT(mode & MODE_TINY ? 1 : IMAP_OUT_WINDOW);
		p->got = BUF_INIT(MIB(64));
		frame_imap_init(&p->framer, &w->limits);
		waked[i] = p;
	}
}

static int remove_one(void *folder, const char *name, enum fs_kind kind)
{
	AUTO(buf) struct buf path = BUF_INIT(512);
	int r = 0;
	(void)buf_addf(&path, "%s/%s", (const char *)folder, name);
	if (kind == FS_KIND_FOLDER)
		r = fs_list(fs_real(), buf_c(&path), remove_one, path.p, NULL);
	return r < 0 ? r : remove(buf_c(&path));
}

static void world_remove_files(struct world *w)
{
	assert_int_equal(fs_list(fs_real(), w->folder, remove_one, w->folder, NULL), 0);
	assert_int_equal(remove(w->folder), 0);
}

static void world_close(struct world *w)
{
	for (size_t i = 0; i < PLAYERS; i++) {
		struct player *p = &w->player[i];
		imap_session_free(p->session);
		waked[i] = NULL;
		imap_out_clear(&p->out);
		buf_clear(&p->got);
		frame_imap_clear(&p->framer);
		for (size_t j = 0; j < p->n_body; j++)
			store_body_clear(&p->body[j]);
	}
	store_close(w->store);
	world_remove_files(w);
}

/* ---- output -------------------------------------------------------------------------------- */

static void take_file(struct buf *got, const struct imap_out_piece *piece)
{
	struct fs_file file = {fs_real(), piece->fd};
	size_t n = 0;
	char *room = buf_room(got, piece->length);
	assert_non_null(room);
	assert_int_equal(fs_pread(&file, room, piece->length, piece->offset, &n, NULL), 0);
	assert_int_equal(n, piece->length);
	buf_added(got, n);
}

/* What the edge would send. */
static void player_drain(struct player *p)
{
	size_t from = 0;
	assert_false(p->out.text.failed);
	for (size_t i = 0; i < p->out.pieces.n; i++) {
		const struct imap_out_piece *piece = &p->out.pieces.p[i];
		buf_add(&p->got, str_sub(buf_str(&p->out.text), from, piece->text_end));
		take_file(&p->got, piece);
		from = piece->text_end;
	}
	buf_add(&p->got, str_skip(buf_str(&p->out.text), from));
	imap_out_reset(&p->out);
}

static void player_settle(struct player *p, enum imap_next next)
{
	player_drain(p);
	while (next == IMAP_MORE) {
		next = imap_session_resume(p->session, &p->out);
		player_drain(p);
	}
	p->closed |= next == IMAP_CLOSE;
	assert_int_equal(imap_session_is_parked(p->session), next == IMAP_PARK);
}

/* ---- input --------------------------------------------------------------------------------- */

static void player_reborn(struct world *w, struct player *p)
{
	struct fail why = FAIL_INIT;
	struct imap_session_args args = world_args(w);
	struct imap_session *again = NULL;
	AUTO(buf) struct buf bytes = BUF_INIT(MIB(1)), second = BUF_INIT(MIB(1));
	assert_ok(imap_session_export(p->session, &bytes, &why), &why);
	imap_session_free(p->session);
	p->session = NULL;
	int r = imap_session_import(&args, buf_str(&bytes), &again, &why);
	if (r == -FAIL_CONFLICT && (w->mode & MODE_MAY_END)) {
		p->closed = true;
		return;
	}
	assert_ok(r, &why);
	p->session = again;
	assert_ok(imap_session_export(again, &second, &why), &why);
	assert_true(str_eq(buf_str(&bytes), buf_str(&second)));
}

static void player_command(struct player *p, const struct frame_imap_event *e)
{
	struct imap_session_input in = {e->input, p->body};
	player_settle(p, imap_session_command(p->session, &in, &p->out));
	for (size_t i = 0; i < p->n_body; i++)
		store_body_clear(&p->body[i]);
	p->n_body = 0;
}

/* The edge's part: literals to their files, refusals. */
static bool player_event(struct player *p, const struct frame_imap_event *e)
{
	struct fail why = FAIL_INIT;
	int r = 0;
	switch (e->kind) {
	case FRAME_IMAP_MORE:
		return false;
	case FRAME_IMAP_LITERAL:
		if (p->n_body == ARRAY_LEN(p->body))
			r = fail_set(&why, FAIL_LIMIT, NULL, "test bodies");
		else if (e->external)
			r = imap_session_literal(p->session, e->input.text, e->size,
						 &p->body[p->n_body], &why);
		if (r < 0) {
			imap_write_refusal(&p->got, e->tag, r, &why);
			frame_imap_refuse(&p->framer);
			return true;
		}
		p->n_body += e->external;
		frame_imap_accept(&p->framer);
		return true;
	case FRAME_IMAP_DATA:
		assert_int_equal(write(p->body[e->index].fd, e->data.p, e->data.n),
				 (ssize_t)e->data.n);
		return true;
	case FRAME_IMAP_COMMAND:
		player_command(p, e);
		return true;
	case FRAME_IMAP_TOO_BIG:
	case FRAME_IMAP_MALFORMED:
		buf_addf(&p->got, "%.*s BAD framing\r\n", STR_ARG(e->tag));
		return true;
	case FRAME_IMAP_REFUSED:
		return true;
	}
	return false;
}

static void player_wake(struct player *p)
{
	enum imap_next next = imap_session_wake(p->session, &p->out);
	if (next != IMAP_QUIET)
		player_settle(p, next);
}

/* Feed bytes; then wake who sleeps, and in MODE_EXPORT move every session to a new object. */
static void world_send(struct world *w, struct player *p, struct str bytes)
{
	if (imap_session_is_parked(p->session))
		frame_imap_expect_raw(&p->framer);
	for (bool more = true; more && !p->closed;) {
		struct frame_imap_event e = frame_imap_feed(&p->framer, &bytes);
		more = player_event(p, &e);
	}
	for (size_t i = 0; i < PLAYERS; i++) {
		struct player *other = &w->player[i];
		if (other->closed)
			continue;
		if (w->mode & MODE_EXPORT)
			player_reborn(w, other);
		if (!other->closed)
			player_wake(other);
	}
}

/* ---- the table ----------------------------------------------------------------------------- */

/* `~` in the pattern stands for any bytes. */
static bool line_fits(struct str pattern, struct str line)
{
	size_t star = str_find(pattern, 0, '~');
	if (star == pattern.n)
		return str_eq(pattern, line);
	if (!str_starts(line, str_sub(pattern, 0, star)))
		return false;
	for (size_t skip = star; skip <= line.n; skip++)
		if (line_fits(str_skip(pattern, star + 1), str_skip(line, skip)))
			return true;
	return false;
}

/* Every SELECT says it; only a row that asks for it looks at it. */
static void skip_urlmech(struct player *p, struct str pattern)
{
	struct str said = STR("* OK [URLMECH "), got = buf_str(&p->got);
	if (str_starts(got, said) && !str_starts(pattern, said))
		buf_drop(&p->got, MIN(str_find_str(got, 0, STR("\r\n")) + 2, got.n));
}

static void expect_line(struct world *w, struct player *p, struct str pattern)
{
	skip_urlmech(p, pattern);
	struct str got = buf_str(&p->got);
	size_t end = str_find_str(got, 0, STR("\r\n"));
	struct str line = str_sub(got, 0, end);
	if (got.n == 0)
		fail_msg("mode %u, row \"%s\": nothing came", w->mode, w->row);
	if (!line_fits(pattern, line))
		fail_msg("mode %u, row \"%s\": got \"%.*s\"", w->mode, w->row, STR_ARG(line));
	buf_drop(&p->got, MIN(end + 2, p->got.n));
}

static void expect_silence(struct world *w)
{
	for (size_t i = 0; i < PLAYERS; i++)
		if (w->player[i].got.n)
			fail_msg("mode %u, before row \"%s\": %c also got \"%s\"", w->mode, w->row,
				 'A' + (int)i, buf_c(&w->player[i].got));
}

UNUSED static void world_append(struct world *w, struct str mailbox, unsigned flags,
				struct str prefix, struct str bytes)
{
	struct fail why = FAIL_INIT;
	AUTO(buf) struct buf map = BUF_INIT(MIB(4));
	struct store_append_message m = {
		.content = {.prefix = prefix, .bytes = bytes},
		.flags = {.bits = flags},
		.internaldate = {INT64_C(1000000000) * SEC_US}, /* 9-Sep-2001 01:46:40 */
	};
	struct store_append a = {.account = w->account, .mailbox = mailbox, .messages = &m, .n = 1};
	struct store_append_result result;
	assert_ok(world_scan(NULL, &m.content, &map, &why), &why);
	m.content.map = buf_str(&map);
	assert_ok(store_append(w->store, &a, &result, &why), &why);
}

/* "+ MAILBOX [(\Seen)] bytes" */
static void row_append(struct world *w, struct str row)
{
	struct str mailbox;
	unsigned flags = 0;
	str_cut(&row, ' ', &mailbox);
	if (str_starts(row, STR("(\\Seen) "))) {
		flags = STORE_SEEN;
		row = str_skip(row, 8);
	}
	world_append(w, mailbox, flags, STR_NULL, row);
}

static void world_row(struct world *w, const char *row)
{
	struct str s = str_c(row);
	struct player *p = &w->player[row[0] == 'B'];
	w->row = row;
	if (row[0] == '+') {
		row_append(w, str_skip(s, 2));
		return;
	}
	if (row[1] == '=') {
		expect_line(w, p, str_skip(s, 3));
		return;
	}
	expect_silence(w);
	AUTO(buf) struct buf bytes = BUF_INIT(MIB(8));
	buf_add(&bytes, str_skip(s, 3));
	buf_add(&bytes, STR("\r\n"));
	world_send(w, p, buf_str(&bytes));
}

static void dialogue_in_mode(const char *const *rows, unsigned mode)
{
	struct world w;
	world_open(&w, mode);
	for (; *rows; rows++)
		world_row(&w, *rows);
	w.row = "end";
	expect_silence(&w);
	world_close(&w);
}

UNUSED static void dialogue(const char *const *rows)
{
	dialogue_in_mode(rows, 0);
	dialogue_in_mode(rows, MODE_EXPORT);
	dialogue_in_mode(rows, MODE_TINY);
	dialogue_in_mode(rows, MODE_EXPORT | MODE_TINY);
}

/* Rows of "P: sel SELECT INBOX" and its answer for a mailbox with n messages. */
#define OPENED(p) p "= * FLAGS ~", p "= * OK [PERMANENTFLAGS ~"
#define OPENED_END(p)                                                                              \
	p "= * OK [UIDVALIDITY ~", p "= * OK [UIDNEXT ~", p "= * OK [HIGHESTMODSEQ ~",             \
		p "= * OK [MAILBOXID ~", p "= sel OK [READ-WRITE] ~"
#define SELECT_SEEN(p, n, recent)                                                                  \
	p ": sel SELECT INBOX", OPENED(p), p "= * " #n " EXISTS", p "= * " #recent " RECENT",      \
		OPENED_END(p)
#define SELECT_UNSEEN(p, n, recent, unseen)                                                        \
	p ": sel SELECT INBOX", OPENED(p), p "= * " #n " EXISTS", p "= * " #recent " RECENT",      \
		p "= * OK [UNSEEN " #unseen "] ~", OPENED_END(p)

#define PLAIN                                                                                      \
	"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n"                                                 \
	"From: Fred Foobar <foobar@Blurdybloop.COM>\r\n"                                           \
	"Subject: afternoon meeting\r\n"                                                           \
	"To: mooch@owatagu.siam.edu\r\n"                                                           \
	"Message-Id: <B27397-0100000@Blurdybloop.COM>\r\n"                                         \
	"\r\n"                                                                                     \
	"Hello Joe\r\n"

#endif
