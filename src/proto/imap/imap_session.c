/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_session.c - life of a session, and a command's way through its stages.   [proto, imap]
 *
 *            command()                    wake()
 *               |                           |
 *     NONE -> HANDLER ------> SYNC <------ NONE (parked)
 *               | \             | \
 *          MORE/resume \   MORE/resume \
 *                       PARK            tagged line, NONE   (parked: NONE without a line)
 */
#include "codec/imap/imap_acl.h"
#include "codec/imap/imap_quirks.h"
#include "codec/imap/imap_write.h"
#include "proto/imap/guest_int.h"
#include "proto/imap/notify.h"
#include "proto/imap/saved.h"
#include "sys/log.h"

#define TAG_MAX	    KIB(8) /* below 2^16 for the export */
#define REPLY_MAX   MIB(8)
#define SCRATCH_MAX MIB(64)

struct imap_config imap_config_default(void)
{
	return (struct imap_config){
		.limits = imap_limits_default,
		.append_max = MIB(64),
		.arena_max = MIB(64),
		.bad_commands_max = 20,
		.progress_ns = 10 * SEC_NS,
	};
}

struct imap_session *imap_session_new(const struct imap_session_args *args)
{
	struct imap_session *s = xcalloc(1, sizeof *s);
	s->config = *args->config;
	s->store = args->store;
	s->search = args->search;
	s->account = args->account;
	s->address = session_copy(args->address);
	s->guest = args->guest != NULL;
	s->is_public = imap_acl_is_public(str_c(s->config.public_account), args->address);
	s->viewer = session_copy(s->guest ? args->guest->address : args->address);
	s->viewer_id = s->guest ? args->guest->account : args->account;
	s->groups = session_copy(s->guest ? args->guest->groups : STR(""));
	s->prefix = session_copy(s->guest ? args->guest->prefix : STR(""));
	s->rights = args->rights;
	s->hooks = args->hooks;
	s->run.tag = BUF_INIT(TAG_MAX);
	s->run.reply = BUF_INIT(REPLY_MAX);
	s->saved = BUF_INIT(SAVED_MAX);
	s->told_reply = BUF_INIT(REPLY_MAX);
	s->host_state = BUF_INIT(IMAP_GUEST_STATE);
	s->run.arena = ARENA_INIT(args->config->arena_max);
	s->run.scratch = ARENA_INIT(SCRATCH_MAX);
	return s;
}

static void run_state_clear(struct imap_run *run)
{
	if (run->state && run->state_clear)
		run->state_clear(run->state);
	run->state = NULL;
	run->state_clear = NULL;
}

/* Back to "between commands". The tag stays: IDLE needs it. */
static void run_end(struct imap_session *s)
{
	struct imap_run *run = &s->run;
	run_state_clear(run);
	esearch_end(run);
	run->of.name = STR_NULL;
	arena_clear(&run->scratch);
	arena_clear(&run->arena);
	buf_clear(&run->reply);
	run->cmd = (struct imap_cmd){0};
	run->in = (struct imap_session_input){0};
	notify_fetch_end(&run->sync);
	run->sync = (struct sync_cursor){0};
	run->row = NULL;
	run->tell_modseq = false;
	run->limited_to.v = 0;
	run->stage = RUN_STAGE_NONE;
}

void imap_session_configure(struct imap_session *s, const struct imap_config *c)
{
	s->config = *c;
}

void imap_session_free(struct imap_session *s)
{
	if (!s)
		return;
	store_watch_remove(s->watch);
	notify_free(s->notify);
	s->notify = NULL;
	run_end(s);
	buf_clear(&s->run.tag);
	store_view_close(s->view);
	guest_leave(s);
	buf_clear(&s->host_state);
	buf_clear(&s->told_reply);
	buf_clear(&s->saved);
	contexts_clear(s);
	free(s->address);
	free(s->viewer);
	free(s->groups);
	free(s->prefix);
	free(s);
}

bool imap_session_is_parked(const struct imap_session *s)
{
	return s->parked;
}

void imap_session_rest(struct imap_session *s)
{
	if (s->run.stage == RUN_STAGE_NONE && s->view)
		store_view_park(s->view);
}

/* ---- the end of a command ------------------------------------------------------------------ */

static void count_bad(struct imap_session *s, struct imap_out *out)
{
	if (!str_starts(buf_str(&s->run.reply), STR("BAD"))) {
		s->bad_commands = 0;
		return;
	}
	if (++s->bad_commands >= s->config.bad_commands_max && !s->run.close)
		reply_bye(s, out, "Too many bad commands.");
}

/* What a handler that left no reply gets. */
static void write_usual_ok(struct imap_session *s, struct buf *b)
{
	buf_add(b, STR("OK "));
	if (s->run.tell_modseq && s->view)
		buf_addf(b, "[HIGHESTMODSEQ %llu] ",
			 (unsigned long long)store_view_get_info(s->view)->highestmodseq.v);
	buf_addf(b, "%s%s completed.", s->run.cmd.uid ? "UID " : "",
		 imap_cmd_name(s->run.cmd.kind));
}

static void write_tagged(struct imap_session *s, struct imap_out *out)
{
	struct imap_run *run = &s->run;
	limit_tell(s, out);
	if (run->reply.n == 0)
		write_usual_ok(s, &run->reply);
	if (s->guest) {
		buf_reset(&s->told_reply);
		buf_add(&s->told_reply, buf_str(&run->reply));
		return;
	}
	log_event(LOG_DEBUG, "imap.out", log_str("tag", buf_str(&run->tag)),
		  log_str("reply", buf_str(&run->reply)));
	buf_add(&out->text, run->tag.n ? buf_str(&run->tag) : STR("*"));
	buf_addc(&out->text, ' ');
	buf_add(&out->text, buf_str(&run->reply));
	buf_add(&out->text, STR("\r\n"));
	count_bad(s, out);
}

static enum imap_next finish(struct imap_session *s, struct imap_out *out)
{
	bool parked = s->parked;
	if (!parked && !s->woken)
		write_tagged(s, out);
	s->woken = false;
	notify_select(s);
	bool close = s->run.close;
	if (out->text.failed || s->run.reply.failed) {
		log_event(LOG_ERROR, "imap.answer_too_large", log_c("user", s->address));
		close = true;
	}
	run_end(s);
	if (close)
		return IMAP_CLOSE;
	return parked ? IMAP_PARK : IMAP_DONE;
}

/* ---- the stages ---------------------------------------------------------------------------- */

/* With NOTIFY only what was asked for; but what a command itself removes is its answer. */
static enum sync_how restrained(const struct imap_session *s, enum sync_how how)
{
	enum imap_cmd_kind kind = s->run.cmd.kind;
	if (!s->notify || notify_of_selected(s->notify))
		return how;
	bool removes = s->run.row && (kind == IMAP_CMD_EXPUNGE || kind == IMAP_CMD_MOVE ||
				      kind == IMAP_CMD_REPLACE || kind == IMAP_CMD_NOTIFY);
	return removes ? how : SYNC_NONE;
}

static enum sync_how sync_how_of(const struct imap_session *s)
{
	if (s->parked)
		return restrained(s, SYNC_ALL);
	if (s->woken)
		return restrained(s, s->notify->selected && s->notify->selected->filter ==
								    IMAP_NOTIFY_SELECTED
					     ? SYNC_ALL
					     : SYNC_NO_EXPUNGE);
	/* A command that was not understood may have been FETCH, STORE or SEARCH. */
	if (!s->run.row)
		return SYNC_NONE;
	/* RFC 7162 3.2.10.2: numbers in UID SEARCH count as those of SEARCH. */
	enum imap_cmd_kind kind = s->run.cmd.kind;
	bool searches = kind == IMAP_CMD_SEARCH || kind == IMAP_CMD_SORT || kind == IMAP_CMD_THREAD;
	bool by_uid = s->run.cmd.uid && !(searches && s->run.cmd.search.uses_numbers);
	return restrained(s, by_uid ? s->run.row->sync_uid : s->run.row->sync);
}

/* What happened elsewhere in the account. */
static void tell_others(struct imap_session *s, struct imap_out *out)
{
	struct fail why = FAIL_INIT;
	if (s->notify && !s->run.close && notify_tell(s, out, &why) < 0)
		log_event(LOG_ERROR, "imap.notify", log_c("user", s->address), log_fail(&why));
}

static enum imap_next step_sync(struct imap_session *s, struct imap_out *out)
{
	struct fail why = FAIL_INIT;
	int r = s->parked && s->host ? guest_news(s, out, &why)
				     : sync_step(s, out, sync_how_of(s), &why);
	if (r == RUN_MORE)
		return IMAP_MORE;
	notify_fetch_end(&s->run.sync);
	if (r == -FAIL_GONE) {
		reply_bye(s, out, "The selected mailbox was deleted.");
		session_deselect(s);
		guest_leave(s);
	} else if (r < 0) {
		/* The command itself stands; the news come with a later one. */
		log_event(LOG_ERROR, "imap.sync", log_c("user", s->address), log_fail(&why));
	} else if ((s->parked || s->woken) && s->run.sync.changes) {
		/* A wake may have come while the window was full: look until nothing is new. */
		s->run.sync = (struct sync_cursor){0};
		return step_sync(s, out);
	}
	if (r == 0)
		contexts_update(s, out);
	tell_others(s, out);
	return finish(s, out);
}

static enum imap_next step_handler(struct imap_session *s, struct imap_out *out)
{
	struct fail why = FAIL_INIT;
	int r = s->run.row->run(s, out, &why);
	if (r == RUN_MORE)
		return IMAP_MORE;
	if (r < 0)
		reply_failed(s, r, &why);
	if (r == RUN_PARK)
		s->parked = true;
	if (r == RUN_CLOSE)
		s->run.close = true;
	s->run.stage = RUN_STAGE_SYNC;
	return step_sync(s, out);
}

static enum imap_next step(struct imap_session *s, struct imap_out *out)
{
	if (s->run.stage == RUN_STAGE_HANDLER)
		return step_handler(s, out);
	return step_sync(s, out);
}

enum imap_next imap_session_resume(struct imap_session *s, struct imap_out *out)
{
	CHECK(s->run.stage != RUN_STAGE_NONE);
	return step(s, out);
}

enum imap_next imap_session_wake(struct imap_session *s, struct imap_out *out)
{
	if (s->notify ? !notify_has_news(s->notify) : !s->parked)
		return IMAP_QUIET;
	if (s->run.stage != RUN_STAGE_NONE)
		return IMAP_MORE;
	s->woken = !s->parked;
	s->run.stage = RUN_STAGE_SYNC;
	return step_sync(s, out);
}

/* ---- the beginning ------------------------------------------------------------------------- */

/* RFC 9586: commands by message number. What is in search keys, cmd_search looks at. */
static bool needs_uid(const struct imap_session *s)
{
	switch ((int)s->run.cmd.kind) {
	case IMAP_CMD_FETCH:
	case IMAP_CMD_STORE:
	case IMAP_CMD_SEARCH:
	case IMAP_CMD_SORT:
	case IMAP_CMD_THREAD:
	case IMAP_CMD_COPY:
	case IMAP_CMD_MOVE:
	case IMAP_CMD_REPLACE:
		return session_is_uidonly(s) && !s->run.cmd.uid;
	default:
		return false;
	}
}

/* The state rules; a reply is set when the command may not run. */
static const struct dispatch *admit(struct imap_session *s)
{
	const struct dispatch *row = dispatch_find(s->run.cmd.kind);
	if (!row) {
		reply_bad(s, "You are logged in already.");
		return NULL;
	}
	if ((row->needs & NEEDS_SELECTED) && !s->view) {
		reply_bad(s, "No mailbox is selected.");
		return NULL;
	}
	if ((row->needs & NEEDS_RIGHT) && !(s->rights & IMAP_RIGHT_WRITE)) {
		reply_no(s, "NOPERM", "This login may only read.");
		return NULL;
	}
	if ((row->needs & NEEDS_WRITABLE) && store_view_get_info(s->view)->read_only) {
		reply_no(s, "READ-ONLY", "The mailbox is selected read-only.");
		return NULL;
	}
	return row;
}

/* As far as rights go; a reply is set when not. */
static bool may_run(struct imap_session *s)
{
	struct fail why = FAIL_INIT;
	int r = acl_admit(s, &why);
	if (r < 0)
		reply_failed(s, r, &why);
	return r == 0;
}

static enum imap_next idle_end(struct imap_session *s, const struct imap_session_input *in,
			       struct imap_out *out)
{
	struct fail why = FAIL_INIT;
	int r;
	store_watch_remove(s->watch);
	s->watch = NULL;
	s->parked = false;
	s->host_more = false;
	s->run.cmd.kind = IMAP_CMD_IDLE;
	s->run.row = dispatch_find(IMAP_CMD_IDLE);
	if (!str_eqi(str_trim(in->cmd.text), STR("DONE")))
		reply_bad(s, "Expected DONE.");
	s->run.stage = RUN_STAGE_SYNC;
	if (s->host && (r = guest_idle_end(s, in->cmd.text, out, &why)) < 0) {
		reply_failed(s, r, &why);
		s->run.close = true;
	}
	return step_sync(s, out);
}

/* Who carries it out; NULL: it may not be, and a reply is set. */
static const struct dispatch *choose(struct imap_session *s, struct imap_out *out)
{
	static const struct dispatch take = {cmd_take, NEEDS_SELECTED, SYNC_NONE, SYNC_NONE};
	struct fail why = FAIL_INIT;
	if (needs_uid(s)) {
		reply_uid_required(s);
		return NULL;
	}
	int r = guest_route(s, out, &why);
	if (r == 1)
		return s->run.row;
	if (r == 0 && s->guest && !guest_strip(s))
		r = fail_set(&why, FAIL_NOTFOUND, "No such mailbox.", "not of this account");
	if (r < 0) {
		reply_failed(s, r, &why);
		return NULL;
	}
	if (s->taking && s->view &&
	    (s->run.cmd.kind == IMAP_CMD_COPY || s->run.cmd.kind == IMAP_CMD_MOVE))
		return &take;
	const struct dispatch *row = admit(s);
	s->run.row = row; /* for the log */
	return row && may_run(s) ? row : NULL;
}

enum imap_next imap_session_command(struct imap_session *s, const struct imap_session_input *in,
				    struct imap_out *out)
{
	CHECK(s->run.stage == RUN_STAGE_NONE);
	if (str_trim(in->cmd.text).n == 0 && imap_bends(IMAP_QUIRK_EMPTY_LINE))
		return s->parked ? IMAP_PARK : IMAP_DONE;
	if (s->parked)
		return idle_end(s, in, out);
	struct imap_run *run = &s->run;
	struct fail why = FAIL_INIT;
	run->in = *in;
	run->in.cmd.syntax = session_syntax(s);
	int r = imap_cmd_parse(&run->in.cmd, &s->config.limits, &run->arena, &run->cmd, &why);
	buf_reset(&run->tag);
	buf_add(&run->tag, run->cmd.tag);
	if (r == -FAIL_UNSUPPORTED)
		reply_bad(s, why.public);
	else if (r < 0)
		reply_failed(s, r, &why);
	else if (run->tag.failed)
		reply_bad(s, "The tag is too long.");
	else
		run->row = choose(s, out);
	if (!run->row)
		return finish(s, out);
	run->stage = RUN_STAGE_HANDLER;
	return step_handler(s, out);
}

int imap_session_literal(struct imap_session *s, struct str text, uint64_t size,
			 struct store_body *ret, struct fail *why)
{
	enum imap_cmd_kind kind = imap_cmd_peek(text);
	if (kind != IMAP_CMD_APPEND && kind != IMAP_CMD_REPLACE && kind != IMAP_CMD_SETMETADATA)
		return fail_set(why, FAIL_SYNTAX, "Too large a literal for this command.",
				"%llu bytes", (unsigned long long)size);
	if (!(s->rights & IMAP_RIGHT_WRITE))
		return fail_set(why, FAIL_PERM, "This login may only read.", "no right to write");
	if (size > s->config.append_max)
		return fail_set(why, FAIL_TOOBIG, "The message is too large.", "%llu bytes",
				(unsigned long long)size);
	struct store_quota quota;
	int r = quota_get(s, &quota, why);
	if (r < 0)
		return r;
	if (quota.bytes && size > quota.bytes)
		return fail_set(why, FAIL_QUOTA, NULL, "%llu bytes", (unsigned long long)size);
	return store_body_create(s->store, size, ret, why);
}
