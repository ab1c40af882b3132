/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pop3/pop3_session.h"
#include "base/check.h"
#include "codec/pop3/pop3_capa.h"
#include "codec/smtp/smtp_batch.h"
#include "proto/pop3/pop3_int.h"
#include "sys/log.h"

#define ARENA_MAX  MIB(4)
#define AHEAD	   32 /* messages */
#define OPEN_TRIES 4

/* --- replies --- */

void pop3_say_ok(const struct pop3_out *out, const char *text)
{
	(void)buf_addf(out->text, "+OK %s\r\n", text);
}

void pop3_say_count(const struct pop3_session *s, const struct pop3_out *out)
{
	uint32_t n = s->exists - s->deleted.count;
	(void)buf_add(out->text, STR("+OK "));
	(void)buf_addf(out->text, TN("%u message, %llu octets.", "%u messages, %llu octets.", n), n,
		       (unsigned long long)(s->size - s->deleted_size));
	(void)buf_add(out->text, STR("\r\n"));
}

void pop3_say_err(const struct pop3_out *out, const char *code, const char *text)
{
	(void)buf_addf(out->text, "-ERR %s%s\r\n", code, text);
}

void pop3_refuse(struct buf *out, const struct pop3_choice *choice, const char *code,
		 const char *text)
{
	(void)buf_addf(out, "-ERR %s%s%s%s\r\n", code[0] ? "[" : "", code, code[0] ? "] " : "",
		       text_in(choice->lang, text));
}

enum pop3_next pop3_say_failure(struct pop3_session *s, const struct pop3_out *out, int r,
				const struct fail *why)
{
	(void)s;
	if (r == -FAIL_GONE || r == -FAIL_NOTFOUND) {
		pop3_say_err(out, "[SYS/PERM] ", T("The mailbox was deleted."));
		return POP3_CLOSE;
	}
	log_event(LOG_ERROR, "pop3.failed", log_fail(why));
	if (r == -FAIL_CORRUPT)
		pop3_say_err(out, "[SYS/PERM] ", T("The message is damaged."));
	else if (r == -FAIL_LIMIT)
		pop3_say_err(out, "[SYS/PERM] ",
			     T("That is more than this server can do at once."));
	else
		pop3_say_err(out, "[SYS/TEMP] ", T("The mailbox cannot be read now, try later."));
	return POP3_DONE;
}

/* --- life --- */

struct pop3_session *pop3_session_new(const struct pop3_session_args *args)
{
	struct pop3_session *s = xcalloc(1, sizeof *s);
	s->config = *args->config;
	s->store = args->store;
	s->account = args->account;
	s->choice = args->choice;
	s->mechanisms = xcalloc(1, args->mechanisms.n + 1);
	if (args->mechanisms.n)
		memcpy(s->mechanisms, args->mechanisms.p, args->mechanisms.n);
	s->arena = ARENA_INIT(ARENA_MAX);
	s->body = STORE_SOURCE_INIT;
	return s;
}

static void forget_ahead(struct pop3_session *s)
{
	store_read_end(TAKE(s->ahead));
}

static void forget_run(struct pop3_session *s)
{
	store_read_end(TAKE(s->reader));
	store_source_clear(&s->body);
	arena_reset(&s->arena);
	s->run = RUN_NONE;
}

void pop3_session_free(struct pop3_session *s)
{
	if (!s)
		return;
	forget_run(s);
	forget_ahead(s);
	arena_clear(&s->arena);
	pop3_marks_clear(&s->hidden);
	pop3_marks_clear(&s->deleted);
	pop3_marks_clear(&s->fetched);
	store_view_close(s->view);
	free(s->mechanisms);
	free(s);
}

void pop3_session_configure(struct pop3_session *s, const struct pop3_config *c)
{
	enum pop3_deleted deleted = s->config.deleted; /* decided at the beginning */
	s->config = *c;
	s->config.deleted = deleted;
}

bool pop3_session_changed(struct pop3_session *s)
{
	bool changed = s->changed;
	s->changed = false;
	return changed;
}

void pop3_session_rest(struct pop3_session *s)
{
	forget_ahead(s);
	if (s->view && s->run == RUN_NONE)
		store_view_park(s->view);
	arena_clear(&s->arena);
}

/* --- opening --- */

enum pop3_deleted pop3_deleted_find(struct str word)
{
	static const char *const words[POP3_DELETED_COUNT] = {"expunge", "keep", "trash",
							      "archive"};
	unsigned i = 0;
	while (i < POP3_DELETED_COUNT && !str_eqi(word, str_c(words[i])))
		i++;
	return (enum pop3_deleted)i;
}

/* The account's own choice comes before the operator's. */
static int read_choice(struct pop3_session *s, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(8));
	struct store_notes notes;
	int r = store_annotations(s->store, s->account, STR(""), s->account, &a, &notes, why);
	for (size_t i = 0; r == 0 && i < notes.n; i++) {
		enum pop3_deleted d = pop3_deleted_find(notes.p[i].value);
		if (str_eq(notes.p[i].entry, STR(POP3_DELETED_ENTRY)) && d < POP3_DELETED_COUNT)
			s->config.deleted = d;
	}
	return r;
}

/* What the view holds, by the mailbox's counters: they must be of one moment. */
static int open_view(struct pop3_session *s, struct fail *why)
{
	struct store_mailbox box;
	int r = 0;
	for (unsigned i = 0; i < OPEN_TRIES; i++) {
		AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
		store_view_close(TAKE(s->view));
		r = store_view_open(s->store, s->account, STR("INBOX"), false, &s->view, why);
		if (r == 0)
			r = store_mailbox_find(s->store, s->account, STR("INBOX"), &a, &box, why);
		if (r < 0)
			return r;
		const struct store_view_info *info = store_view_get_info(s->view);
		s->exists = info->exists;
		s->size = box.counters.size;
		if (info->exists == box.counters.exists &&
		    info->uidnext.v == box.counters.uidnext.v)
			return 0;
	}
	return 1; /* mail comes in all the time */
}

/* Go through all: what is not shown, and the sum of the others. */
static int look_at_all(struct pop3_session *s, uint64_t hide, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	AUTO(store_reader) struct store_reader *reader = NULL;
	struct store_message m;
	struct store_set all;
	int r = store_view_all(s->view, &a, &all, why);
	if (r == 0)
		r = store_read_begin(s->view, &all, 0, (struct modseq){0}, &reader, why);
	s->size = 0;
	while (r == 0 && (r = store_read_next(reader, &m, why)) == 1) {
		r = 0;
		if (m.flags & hide)
			pop3_marks_add(&s->hidden, m.seq);
		else
			s->size += m.size;
		if (m.seq == s->exists)
			break;
	}
	s->exists -= s->hidden.count;
	return r < 0 ? r : 0;
}

/* The bit of the keyword of messages that POP3 does not show again; 0 = there is none. */
static uint64_t keep_bit(const struct pop3_session *s)
{
	size_t n;
	const struct str *names = store_view_get_keywords(s->view, &n);
	for (size_t i = 0; i < n; i++)
		if (str_eqi(names[i], STR(POP3_KEEP_KEYWORD)))
			return UINT64_C(1) << (STORE_KEYWORD_FIRST + i);
	return 0;
}

enum pop3_next pop3_session_open(struct pop3_session *s, const struct pop3_out *out)
{
	struct fail why = FAIL_INIT;
	const struct text_language *spoken = text_speak(s->choice.lang);
	int r = open_view(s, &why);
	uint64_t hide = r >= 0 ? keep_bit(s) : 0;
	if (r > 0 || hide)
		r = look_at_all(s, hide, &why);
	if (r == 0)
		r = read_choice(s, &why);
	if (r == 0)
		r = pop3_names_read(s, &why);
	if (r < 0)
		(void)pop3_say_failure(s, out, r, &why);
	else
		pop3_say_count(s, out);
	(void)text_speak(spoken);
	return r < 0 ? POP3_CLOSE : POP3_DONE;
}

/* --- messages --- */

/* Hidden ones are few, or the client sees few: a walk over runs. */
uint32_t pop3_seq_of(const struct pop3_session *s, uint32_t number)
{
	uint32_t first, last, at = 1, seq = number;
	while (s->hidden.count && pop3_marks_run(&s->hidden, at, &first, &last) && first <= seq) {
		seq += last - first + 1;
		at = last + 1;
	}
	return seq;
}

struct store_set pop3_set_of_one(struct store_run *room, uint32_t seq, struct uid uid)
{
	*room = (struct store_run){.seq = seq, .count = 1, .first = uid, .last = uid};
	return (struct store_set){.runs = room, .n = 1, .count = 1};
}

/* A reader that begins with this message; with some more when one is asked for after the other. */
static int begin_ahead(struct pop3_session *s, uint32_t number, unsigned columns, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	uint32_t seq = pop3_seq_of(s, number);
	bool more = number == s->asked + 1 && !s->hidden.count;
	struct store_range range = {seq, more ? MIN(seq + AHEAD - 1, s->exists) : seq};
	struct store_set set;
	int r = store_view_resolve(s->view, &range, 1, false, &a, &set, why);
	if (r == 0 && set.n > ARRAY_LEN(s->ahead_runs)) /* there are gaps in it */
		set = pop3_set_of_one(s->ahead_runs, seq, set.runs[0].first);
	else if (r == 0)
		memcpy(s->ahead_runs, set.runs, set.n * sizeof *set.runs);
	set.runs = s->ahead_runs;
	s->ahead_number = number;
	s->ahead_columns = columns;
	return r < 0 ? r
		     : store_read_begin(s->view, &set, columns, (struct modseq){0}, &s->ahead, why);
}

static int read_message(struct pop3_session *s, uint32_t number, unsigned columns,
			struct store_message *ret, struct fail *why)
{
	int r = 0;
	bool fits = s->ahead && s->ahead_number == number && s->ahead_columns == columns;
	if (fits)
		r = store_read_next(s->ahead, ret, why);
	if (r == 0) {
		forget_ahead(s);
		r = begin_ahead(s, number, columns, why);
		if (r == 0)
			r = store_read_next(s->ahead, ret, why);
	}
	s->ahead_number = s->asked = number;
	s->ahead_number++;
	return r;
}

bool pop3_message_find(struct pop3_session *s, uint32_t number, unsigned columns,
		       struct store_message *ret, const struct pop3_out *out)
{
	struct fail why = FAIL_INIT;
	if (number > s->exists || pop3_marks_have(&s->deleted, number)) {
		pop3_say_err(out, "", T("There is no such message."));
		return false;
	}
	int r = read_message(s, number, columns, ret, &why);
	if (r == 1 && ret->seq == pop3_seq_of(s, number))
		return true;
	forget_ahead(s);
	if (r >= 0)
		pop3_say_err(out, "", T("There is no such message any more."));
	else
		(void)pop3_say_failure(s, out, r, &why);
	return false;
}

/* --- commands --- */

static enum pop3_next cmd_dele(struct pop3_session *s, uint32_t number, const struct pop3_out *out)
{
	struct store_message m;
	if (!pop3_message_find(s, number, 0, &m, out))
		return POP3_DONE;
	pop3_marks_add(&s->deleted, number);
	s->deleted_size += m.size;
	pop3_say_ok(out, T("Marked to be deleted."));
	return POP3_DONE;
}

static enum pop3_next cmd_rset(struct pop3_session *s, const struct pop3_out *out)
{
	pop3_marks_clear(&s->deleted);
	s->deleted_size = 0;
	pop3_say_ok(out, T("Nothing is marked."));
	return POP3_DONE;
}

static enum pop3_next cmd_capa(const struct pop3_session *s, const struct pop3_out *out)
{
	struct pop3_capa c = {.login = true, .login_delay_s = s->config.login_delay_s};
	pop3_capa_write(out->text, &c, str_c(s->mechanisms), T("This is what I can do."));
	return POP3_DONE;
}

static enum pop3_next dispatch(struct pop3_session *s, const struct pop3_cmd *cmd,
			       const struct pop3_out *out)
{
	switch (cmd->kind) {
	case POP3_STAT:
		return pop3_cmd_stat(s, out);
	case POP3_LIST:
	case POP3_UIDL:
		return pop3_cmd_list(s, cmd, out);
	case POP3_RETR:
	case POP3_TOP:
		return pop3_cmd_retr(s, cmd, out);
	case POP3_DELE:
		return cmd_dele(s, cmd->number, out);
	case POP3_RSET:
		return cmd_rset(s, out);
	case POP3_CAPA:
		return cmd_capa(s, out);
	case POP3_QUIT:
		return pop3_cmd_quit(s, out);
	case POP3_NOOP:
		pop3_say_ok(out, T("Nothing done."));
		return POP3_DONE;
	case POP3_LANG:
		(void)pop3_lang(out->text, cmd->arg, s->config.usual, &s->choice.lang);
		return POP3_DONE;
	case POP3_USER:
	case POP3_PASS:
	case POP3_AUTH:
	case POP3_STLS:
	case POP3_UTF8:
	case POP3_KINDS:
		break;
	}
	pop3_say_err(out, "", T("That comes before the login."));
	return POP3_DONE;
}

/* A late PASS holds a password. */
static void log_line(const struct pop3_cmd *cmd)
{
	if (log_wants(LOG_DEBUG))
		log_event(LOG_DEBUG, "pop3.in",
			  log_c("command", cmd->kind < POP3_KINDS ? pop3_cmd_name(cmd->kind) : "?"),
			  log_u64("number", cmd->number));
}

static enum pop3_next one_line(struct pop3_session *s, enum smtp_line_kind kind, struct str line,
			       const struct pop3_out *out)
{
	struct pop3_cmd cmd;
	if (kind != SMTP_LINE_OK) {
		pop3_say_err(out, "", T("The line is too long, or holds a bare CR or a NUL."));
		return POP3_DONE;
	}
	int r = pop3_cmd_parse(line, &cmd);
	log_line(&cmd);
	if (r == 0)
		return dispatch(s, &cmd, out);
	pop3_say_err(out, "",
		     r == -FAIL_UNSUPPORTED ? T("There is no such command.")
					    : T("The arguments of the command are wrong."));
	return POP3_DONE;
}

/* Lines until one is not finished, or there is enough to send. */
static enum pop3_next go_on(struct pop3_session *s, const struct pop3_out *out)
{
	const struct text_language *spoken = text_speak(s->choice.lang);
	enum pop3_next next = POP3_DONE;
	enum smtp_line_kind kind;
	struct str line;
	while (next == POP3_DONE) {
		if (out->full(out->arg) && s->batch.n) {
			next = POP3_MORE;
			break;
		}
		if (!smtp_batch_next(&s->batch, &kind, &line))
			break;
		next = one_line(s, kind, line, out);
		(void)text_speak(s->choice.lang);
	}
	if (next != POP3_MORE)
		s->batch = STR_NULL;
	(void)text_speak(spoken);
	return next;
}

enum pop3_next pop3_session_lines(struct pop3_session *s, struct str batch,
				  const struct pop3_out *out)
{
	CHECK(s->run == RUN_NONE && s->batch.n == 0);
	if (!s->view) /* it was refused: only an edge that lies goes on */
		return POP3_CLOSE;
	s->batch = batch;
	return go_on(s, out);
}

enum pop3_next pop3_session_resume(struct pop3_session *s, const struct pop3_out *out)
{
	enum pop3_next next = POP3_DONE;
	const struct text_language *spoken = text_speak(s->choice.lang);
	if (s->run == RUN_TEXT)
		next = pop3_retr_resume(s, out);
	else if (s->run != RUN_NONE)
		next = pop3_list_resume(s, out);
	(void)text_speak(spoken);
	return next == POP3_DONE ? go_on(s, out) : next;
}
