/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cross.c - COPY and MOVE from one account to another.                          [proto, imap]
 *
 * Two stores, so two steps for each window of messages: they are read where they are, and stored
 * where they go, under a receipt that makes a repetition harmless and says what came. MOVE removes
 * them when all are on disk; so at any moment each message is in one of the two mailboxes, or in
 * both. What cannot be finished is undone in the target, by its receipts.
 *
 * A message as bytes: u32 UID, u32 system flags, u16 and keywords between spaces, i64 date, u16
 * zone, 32 bytes SHA-256, u32 and prefix, u32 and map, u8 file or not, u64 size, the body unless it
 * is a file. Files are pieces of the output, in this order.
 */
#include "base/num.h"
#include "codec/imap/imap_write.h"
#include "codec/imap/seqset.h"
#include "codec/mime/map.h"
#include "proto/imap/guest_int.h"
#include "sys/log.h"
#include "sys/rand.h"

#define WINDOW_MESSAGES 500
#define WINDOWS_MAX	100000u
#define COPYUID_MAX	MIB(4)
#define PREFIX_MAX	KIB(64)
#define TELL_TRIES	3

/* ---- reading where they are -------------------------------------------------------------------
 */

struct take {
	struct store_set set;
	struct store_reader *reader;
	bool begun;
};

static void take_clear(void *p)
{
	struct take *t = p;
	store_read_end(t->reader);
	t->reader = NULL;
}

static int take_begin(struct imap_session *s, struct take *t, struct fail *why)
{
	uint32_t rights;
	int r = acl_selected(s, &rights, why);
	uint32_t move = IMAP_ACL_T | IMAP_ACL_E;
	bool read_only = store_view_get_info(s->view)->read_only;
	if (r == 0 && s->run.cmd.kind == IMAP_CMD_MOVE && ((rights & move) != move || read_only))
		return fail_set(why, FAIL_PERM, "You do not have the right to do this.",
				"MOVE with rights %x", rights);
	if (r == 0)
		r = set_resolve(s, &s->run.cmd.copy.set, s->run.cmd.uid, &t->set, why);
	if (r == 0 && limit_refuses(s, t->set.count, true))
		return fail_set(why, FAIL_LIMIT, "Too many messages for one command.",
				"%u messages", t->set.count);
	if (r == 0)
		r = store_read_begin(s->view, &t->set,
				     STORE_COL_DATES | STORE_COL_PREFIX | STORE_COL_MAP,
				     (struct modseq){0}, &t->reader, why);
	t->begun = true;
	return r;
}

static void put_keywords(struct imap_session *s, struct buf *b, uint64_t flags)
{
	size_t n, at = b->n;
	const struct str *names = store_view_get_keywords(s->view, &n);
	buf_put_u16(b, 0);
	size_t from = b->n;
	for (size_t i = 0; i < n; i++)
		if (flags >> (STORE_KEYWORD_FIRST + i) & 1) {
			buf_add(b, names[i]);
			buf_addc(b, ' ');
		}
	if (b->failed)
		return;
	AUTO(buf) struct buf length = BUF_INIT(8);
	buf_put_u16(&length, (uint16_t)(b->n - from));
	memcpy(b->p + at, length.p, length.n);
}

static void put_bytes(struct buf *b, struct str bytes)
{
	buf_put_u32(b, (uint32_t)bytes.n);
	buf_add(b, bytes);
}

static int take_one(struct imap_session *s, const struct store_message *m, struct imap_out *out,
		    struct fail *why)
{
	AUTO(store_source) struct store_source body = STORE_SOURCE_INIT;
	struct buf *b = &out->text;
	arena_reset(&s->run.scratch);
	int r = store_body_open(s->view, m, &s->run.scratch, &body, why);
	if (r < 0)
		return r;
	buf_put_u32(b, m->uid.v);
	buf_put_u32(b, (uint32_t)(m->flags & STORE_SYSTEM_FLAGS));
	put_keywords(s, b, m->flags);
	buf_put_u64(b, (uint64_t)m->internaldate.v);
	buf_put_u16(b, (uint16_t)m->zone_min);
	buf_add(b, str_make((const char *)m->sha256, sizeof m->sha256));
	put_bytes(b, m->prefix);
	put_bytes(b, m->map);
	buf_put_u8(b, body.fd >= 0);
	buf_put_u64(b, body.size);
	if (body.fd < 0)
		buf_add(b, body.bytes);
	else
		imap_out_file(out, TAKE_FD(body.fd), 0, body.size);
	return b->failed ? fail_set(why, FAIL_LIMIT, NULL, "a window is full") : 0;
}

/* RUN_MORE: there is more than fits into one window. */
static int take_window(struct imap_session *s, struct take *t, struct imap_out *out,
		       struct fail *why)
{
	struct store_message m;
	int r = t->begun ? 0 : take_begin(s, t, why);
	for (size_t n = 0; r == 0; n++) {
		if (imap_out_full(out) || n == WINDOW_MESSAGES)
			return RUN_MORE;
		r = store_read_next(t->reader, &m, why);
		if (r <= 0)
			return r;
		r = take_one(s, &m, out, why);
	}
	return r;
}

int cmd_take(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct take *t = s->run.state;
	if (!t) {
		t = arena_new(&s->run.arena, struct take);
		if (!t)
			return fail_set(why, FAIL_LIMIT, NULL, "arena full");
		s->run.state = t;
		s->run.state_clear = take_clear;
	}
	return take_window(s, t, out, why);
}

/* ---- storing where they go ----------------------------------------------------------------------
 */

static int read_keywords(struct str names, struct arena *a, struct store_flagset *ret)
{
	struct str *list = arena_array(a, struct str, STORE_KEYWORDS_MAX);
	struct str name;
	ret->keywords = list;
	while (list && str_cut(&names, ' ', &name))
		if (name.n && ret->n_keywords < STORE_KEYWORDS_MAX)
			list[ret->n_keywords++] = name;
	return list ? 0 : -FAIL_LIMIT;
}

struct reading {
	struct cursor c;
	struct arena *arena;
	struct store_body *bodies;
	size_t n_bodies, next_body;
};

static int read_one(struct reading *in, struct store_append_message *m, uint32_t *uid,
		    struct fail *why)
{
	struct cursor *c = &in->c;
	*m = (struct store_append_message){.keywords_if_room = true};
	*uid = cursor_u32(c);
	m->flags.bits = cursor_u32(c) & STORE_SYSTEM_FLAGS;
	if (read_keywords(cursor_bytes(c, cursor_u16(c)), in->arena, &m->flags) < 0)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	m->internaldate.v = (int64_t)cursor_u64(c);
	m->zone_min = (int16_t)cursor_u16(c);
	struct str sum = cursor_bytes(c, 32);
	m->content.prefix = cursor_bytes(c, cursor_u32(c));
	m->content.map = cursor_bytes(c, cursor_u32(c));
	bool file = cursor_u8(c) != 0;
	uint64_t size = cursor_u64(c);
	if (!file)
		m->content.bytes = cursor_bytes(c, (size_t)MIN(size, (uint64_t)UINT32_MAX));
	if (c->bad || (file && in->next_body == in->n_bodies))
		return fail_set(why, FAIL_PEER, NULL, "messages of another account are damaged");
	if (!file)
		return 0;
	struct store_body *body = &in->bodies[in->next_body++];
	if (body->size != size)
		return fail_set(why, FAIL_PEER, NULL, "a body of another account has another size");
	memcpy(body->sha256, sum.p, sizeof body->sha256);
	rand_bytes(body->id, sizeof body->id);
	body->sealed = true;
	m->content.file = body;
	m->content.verify = true;
	return 0;
}

/* Header fields, whole lines of text. */
static bool is_prefix(struct str text)
{
	struct str rest = text, line;
	if (text.n > PREFIX_MAX || str_find(text, 0, '\0') < text.n ||
	    (text.n > 0 && !str_ends(text, STR("\r\n"))))
		return false;
	for (size_t n = 0; str_cut(&rest, '\n', &line); n++) {
		if (line.n == 0 && rest.n == 0) /* behind the last one */
			break;
		bool folded = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
		size_t cr = str_find(line, 0, '\r');
		size_t colon = str_find(line, 0, ':');
		if (cr + 1 != line.n || (folded ? n == 0 || cr == 1 : colon == 0 || colon >= cr))
			return false;
	}
	return true;
}

/* The other process has made the map and the prefix, or says so: nothing in them may mislead who
 * reads them. */
static int check_content(struct imap_session *s, const struct store_content *content,
			 struct fail *why)
{
	uint64_t size = content->file ? content->file->size : content->bytes.n;
	struct mime_map *map;
	if (!is_prefix(content->prefix))
		return fail_set(why, FAIL_PEER, NULL, "a prefix of %zu bytes that is none",
				content->prefix.n);
	arena_reset(&s->run.scratch);
	return mime_map_read(content->map, size, &s->run.scratch, &map, why);
}

static int read_all(struct imap_session *s, const struct imap_guest_ask *ask,
		    struct store_append *append, struct fail *why)
{
	struct store_append_message *all =
		arena_array(&s->run.arena, struct store_append_message, WINDOW_MESSAGES);
	struct reading in = {.c = cursor_of(ask->text),
			     .arena = &s->run.arena,
			     .bodies = ask->bodies,
			     .n_bodies = ask->n_bodies};
	int r = all ? 0 : fail_set(why, FAIL_LIMIT, NULL, "arena full");
	uint32_t uid;
	while (r == 0 && cursor_left(&in.c) > 0) {
		if (append->n == WINDOW_MESSAGES)
			return fail_set(why, FAIL_PEER, NULL, "too many messages");
		r = read_one(&in, &all[append->n], &uid, why);
		if (r == 0)
			r = check_content(s, &all[append->n++].content, why);
	}
	append->messages = all;
	return r;
}

/* The name as the account has it, and the right to put messages there. */
static int find_target(struct imap_session *s, struct str *name, uint32_t *rights, struct fail *why)
{
	if (s->guest && !guest_strip_name(s, name))
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "another account");
	int r = acl_rights_of(s, *name, rights, why);
	if (r < 0)
		return r;
	if (*rights & IMAP_ACL_I)
		return 0;
	if (!(*rights & IMAP_ACL_L))
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no right to look");
	return fail_set(why, FAIL_PERM, "You do not have the right to do this.", "rights %x",
			*rights);
}

int cross_put(struct imap_session *s, const struct imap_guest_ask *ask, struct buf *reply,
	      struct fail *why)
{
	struct store_append a = {
		.account = s->account, .receipt = ask->receipt, .mailbox = ask->name};
	struct store_append_result result = {0};
	uint32_t rights;
	bool left;
	int r = find_target(s, &a.mailbox, &rights, why);
	if (r == 0)
		r = quota_get(s, &a.quota, why);
	if (r == 0)
		r = read_all(s, ask, &a, why);
	if (s->guest)
		a.viewer = s->viewer_id;
	struct store_append_message *messages = (void *)(uintptr_t)a.messages;
	for (size_t i = 0; r == 0 && i < a.n; i++)
		messages[i].flags = acl_filter(messages[i].flags, rights, &left);
	if (r == 0 && a.n > 0)
		r = store_append(s->store, &a, &result, why);
	if (r == 0)
		buf_addf(reply, "%u %u", result.uidvalidity, result.first.v);
	if (s->guest)
		arena_clear(&s->run.arena);
	return r;
}

int cross_receipts(struct imap_session *s, const struct imap_guest_ask *ask, struct fail *why)
{
	bool undo = ask->what == IMAP_GUEST_UNDO;
	int r = 0;
	/* Who asks may be lying: a receipt has the viewer's own id, so it is something he brought.
	 */
	if (!ask->receipt || ask->count > WINDOWS_MAX)
		return fail_set(why, FAIL_PEER, NULL, "receipts 0 to %u", ask->count);
	struct store_receipt receipt = *ask->receipt;
	for (uint32_t i = 0; r == 0 && i < ask->count; i++) {
		receipt.number = i;
		r = undo ? store_receipt_undo(s->store, s->account, &receipt, why)
			 : store_receipt_drop(s->store, s->account, &receipt, 1, why);
	}
	return r;
}

/* ---- at home
 * ---------------------------------------------------------------------------------------- */

struct stored {
	uint32_t first; /* UID in the target */
	size_t n;
};
struct cross {
	struct take take;	  /* own messages */
	struct str owner, prefix; /* of the target; empty: this account */
	struct store_receipt receipt;
	uint32_t windows; /* that were sent there */
	uint32_t validity;
	VEC(uint32_t) uids; /* in the source */
	VEC(struct stored) to;
	struct imap_out window;
	bool taken_some, done;
};

static void cross_clear(void *p)
{
	struct cross *c = p;
	take_clear(&c->take);
	vec_clear(&c->uids);
	vec_clear(&c->to);
	imap_out_clear(&c->window);
}

/* The next window of the source. RUN_MORE: there is more. */
static int get_window(struct imap_session *s, struct cross *c, struct fail *why)
{
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	imap_out_reset(&c->window);
	c->window.pieces_max = IMAP_GUEST_BODIES;
	if (!s->host)
		return take_window(s, &c->take, &c->window, why);
	struct imap_guest_ask ask = {.what = c->taken_some ? IMAP_GUEST_RESUME : IMAP_GUEST_TAKE,
				     .owner = str_c(s->host),
				     .text = s->run.in.cmd.text};
	int r = guest_ask(s, &ask, &c->window, &a, why);
	c->taken_some = true;
	if (r < 0)
		return r;
	if (a.next == IMAP_MORE)
		return RUN_MORE;
	if (str_starts(buf_str(&a.reply), STR("OK")))
		return 0;
	buf_reset(&s->run.reply);
	buf_add(&s->run.reply, buf_str(&a.reply));
	return RUN_CLOSE; /* refused, and said so */
}

static int note_uids(struct imap_session *s, struct cross *c, size_t *ret_n, struct fail *why)
{
	struct reading in = {.c = cursor_of(buf_str(&c->window.text)), .arena = &s->run.scratch};
	struct store_body bodies[IMAP_GUEST_BODIES + 4];
	in.bodies = bodies;
	in.n_bodies = MIN(c->window.pieces.n, ARRAY_LEN(bodies));
	for (size_t i = 0; i < in.n_bodies; i++)
		bodies[i] = (struct store_body){.fd = -1, .size = c->window.pieces.p[i].length};
	*ret_n = 0;
	while (cursor_left(&in.c) > 0) {
		struct store_append_message m;
		uint32_t uid;
		arena_reset(&s->run.scratch);
		int r = read_one(&in, &m, &uid, why);
		if (r < 0)
			return r;
		*vec_push(&c->uids) = uid;
		++*ret_n;
	}
	return 0;
}

static int put_window(struct imap_session *s, struct cross *c, size_t n, struct fail *why)
{
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	AUTO(imap_out) struct imap_out none = IMAP_OUT_INIT(IMAP_OUT_WINDOW);
	struct store_body bodies[IMAP_GUEST_BODIES + 4];
	struct imap_guest_ask ask = {.what = IMAP_GUEST_PUT,
				     .owner = c->owner,
				     .prefix = c->prefix,
				     .name = s->run.cmd.copy.mailbox,
				     .text = buf_str(&c->window.text),
				     .bodies = bodies,
				     .n_bodies = MIN(c->window.pieces.n, ARRAY_LEN(bodies)),
				     .receipt = &c->receipt};
	struct stored stored = {0, n};
	for (size_t i = 0; i < ask.n_bodies; i++)
		bodies[i] = (struct store_body){.fd = c->window.pieces.p[i].fd,
						.size = c->window.pieces.p[i].length,
						.sealed = true};
	c->receipt.number = c->windows++; /* what fails may have been done all the same */
	int r = c->owner.n ? guest_ask(s, &ask, &none, &a, why) : cross_put(s, &ask, &a.reply, why);
	if (r < 0)
		return r;
	struct str text = buf_str(&a.reply), number;
	str_cut(&text, ' ', &number);
	if (!num_parse_u32(number, &c->validity) || !num_parse_u32(text, &stored.first))
		return fail_set(why, FAIL_PEER, NULL, "bad answer of a visit");
	*vec_push(&c->to) = stored;
	return 0;
}

/* IMAP_GUEST_UNDO or IMAP_GUEST_FORGET. */
static void tell_target(struct imap_session *s, struct cross *c, enum imap_guest_what what)
{
	struct fail why = FAIL_INIT;
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	AUTO(imap_out) struct imap_out none = IMAP_OUT_INIT(0);
	struct imap_guest_ask ask = {.what = what,
				     .owner = c->owner,
				     .prefix = c->prefix,
				     .receipt = &c->receipt,
				     .count = c->windows};
	int r = -FAIL_PEER;
	if (c->windows == 0)
		return;
	/* Where there is no such account, nothing came. */
	for (int i = 0; r < 0 && r != -FAIL_NOTFOUND && i < TELL_TRIES; i++)
		r = c->owner.n ? guest_ask(s, &ask, &none, &a, &why)
			       : cross_receipts(s, &ask, &why);
	if (r < 0 && r != -FAIL_NOTFOUND)
		log_event(LOG_WARN, "imap.cross", log_c("user", s->viewer), log_fail(&why));
}

/* ---- MOVE: the source, when the target has all of it
 * -------------------------------------------------- */

static void write_uids(const struct cross *c, struct buf *b)
{
	struct seqset_out set = {.out = b};
	for (size_t i = 0; i < c->uids.n; i++)
		seqset_out_add(&set, c->uids.p[i]);
	seqset_out_end(&set);
}

static int remove_own(struct imap_session *s, const struct cross *c, struct fail *why)
{
	struct store_flagset deleted = {.bits = STORE_DELETED};
	AUTO(store_flags_result) struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	int r = store_view_store(s->view, &c->take.set, STORE_FLAGS_ADD, &deleted, NULL, &res, why);
	return r < 0 ? r : store_view_expunge(s->view, &c->take.set, NULL, why);
}

static int remove_theirs(struct imap_session *s, const struct cross *c, const char *before,
			 const char *after, struct imap_out *out, struct fail *why)
{
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	AUTO(buf) struct buf line = BUF_INIT(COPYUID_MAX);
	buf_add_c(&line, before);
	write_uids(c, &line);
	buf_add_c(&line, after);
	struct imap_guest_ask ask = {
		.what = IMAP_GUEST_COMMAND, .owner = str_c(s->host), .text = buf_str(&line)};
	int r = guest_ask(s, &ask, out, &a, why);
	while (r == 0 && a.next == IMAP_MORE) {
		ask.what = IMAP_GUEST_RESUME;
		r = guest_ask(s, &ask, out, &a, why);
	}
	if (r == 0 && !str_starts(buf_str(&a.reply), STR("OK")))
		return fail_set(why, FAIL_TEMP, "The messages were copied, but not removed.", "%s",
				buf_c(&a.reply));
	return r;
}

static int remove_source(struct imap_session *s, const struct cross *c, struct imap_out *out,
			 struct fail *why)
{
	if (!s->host)
		return remove_own(s, c, why);
	int r = remove_theirs(s, c, "x UID STORE ", " +FLAGS.SILENT (\\Deleted)", out, why);
	return r < 0 ? r : remove_theirs(s, c, "x UID EXPUNGE ", "", out, why);
}

/* ---- the command
 * ----------------------------------------------------------------------------------------- */

static void write_copyuid(const struct cross *c, struct buf *b)
{
	struct seqset_out set = {.out = b};
	buf_addf(b, "COPYUID %u ", c->validity);
	write_uids(c, b);
	buf_addc(b, ' ');
	for (size_t i = 0; i < c->to.n; i++)
		for (size_t k = 0; k < c->to.p[i].n; k++)
			seqset_out_add(&set, c->to.p[i].first + (uint32_t)k);
	seqset_out_end(&set);
}

static int finish_cross(struct imap_session *s, struct cross *c, struct imap_out *out,
			struct fail *why)
{
	AUTO(buf) struct buf code = BUF_INIT(COPYUID_MAX);
	bool move = s->run.cmd.kind == IMAP_CMD_MOVE;
	if (c->uids.n == 0) {
		reply_ok(s, NULL, "No matching messages.");
		return RUN_DONE;
	}
	write_copyuid(c, &code);
	bool tell = !code.failed;
	tell_target(s, c, IMAP_GUEST_FORGET);
	log_event(LOG_INFO, "imap.cross-copy", log_address("user", str_c(s->viewer)),
		  log_str("mailbox", s->run.cmd.copy.mailbox), log_u64("messages", c->uids.n));
	if (!move) {
		reply_ok(s, tell ? buf_c(&code) : NULL, "Copy completed.");
		return RUN_DONE;
	}
	if (tell)
		buf_addf(&out->text, "* OK [%s] Moved\r\n", buf_c(&code));
	s->run.tell_modseq = s->view && qresync_is_on(s);
	return remove_source(s, c, out, why);
}

static struct cross *cross_begin(struct imap_session *s)
{
	struct cross *c = arena_new(&s->run.arena, struct cross);
	if (!c)
		return NULL;
	*c = (struct cross){.window = IMAP_OUT_INIT(IMAP_OUT_WINDOW)};
	(void)guest_of_name(s, s->run.cmd.copy.mailbox, &c->owner, &c->prefix);
	rand_bytes(c->receipt.epoch, sizeof c->receipt.epoch);
	c->receipt.rcpt = s->account.v;
	s->run.state = c;
	s->run.state_clear = cross_clear;
	return c;
}

int cmd_cross(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct cross *c = s->run.state ? s->run.state : cross_begin(s);
	size_t n;
	if (!c)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	int more = get_window(s, c, why);
	if (more == RUN_CLOSE) {
		tell_target(s, c, IMAP_GUEST_UNDO);
		return RUN_DONE;
	}
	int r = more < 0 ? more : note_uids(s, c, &n, why);
	if (r == 0 && n > 0)
		r = put_window(s, c, n, why);
	if (r < 0) {
		tell_target(s, c, IMAP_GUEST_UNDO);
		return reply_target(s, r, why);
	}
	return more == RUN_MORE ? RUN_MORE : finish_cross(s, c, out, why);
}
