/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/managesieve/managesieve_session.h"
#include "base/check.h"
#include "base/text.h"
#include "codec/managesieve/managesieve_capability.h"
#include "codec/managesieve/managesieve_cmd.h"
#include "codec/managesieve/managesieve_write.h"
#include "sys/log.h"

#define ARENA_MAX MIB(24) /* a script, its program, and what the compiler needs */
#define TEXT_MAX  KIB(16) /* of errors and warnings */

struct call {
	const struct managesieve_session *s;
	const struct managesieve_cmd *cmd;
	struct arena *arena;
	struct buf *out;
	bool changed;
};

static void say(const struct call *c, enum managesieve_status status, const char *code,
		const char *text)
{
	managesieve_write_reply(c->out, status, str_c(code), str_c(text));
}

/* What the store would not do, for people and for their programs (RFC 5804 1.3). */
static void refuse(const struct call *c, const struct fail *why)
{
	static const char *const codes[FAIL_CODE_COUNT] = {[FAIL_NOTFOUND] = "NONEXISTENT",
							   [FAIL_EXISTS] = "ALREADYEXISTS",
							   [FAIL_CONFLICT] = "ACTIVE",
							   [FAIL_LIMIT] = "QUOTA/MAXSCRIPTS",
							   [FAIL_TOOBIG] = "QUOTA/MAXSIZE"};
	const char *code = codes[why->code];
	if (!code)
		log_event(LOG_WARN, "managesieve.failed",
			  log_c("command", managesieve_verb_name(c->cmd->verb)), log_fail(why));
	say(c, MANAGESIEVE_NO, code ? code : "TRYLATER", text_of(why->public));
}

static void answer(const struct call *c, int r, const struct fail *why, const char *done)
{
	if (r < 0)
		refuse(c, why);
	else
		say(c, MANAGESIEVE_OK, "", done);
}

/* --- scripts --- */

/* "line 2, column 5: error: ..." */
static void write_notes(struct buf *text, const struct sieve_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++) {
		const struct sieve_note *n = &notes->p[i];
		(void)buf_add(text, i ? STR("\r\n") : STR(""));
		(void)buf_addf(text, T("line %u, column %u: %s: %.*s"), (unsigned)n->line,
			       (unsigned)n->column,
			       n->severity == SIEVE_ERROR ? T("error") : T("warning"),
			       STR_ARG(n->text));
	}
}

/* False: it was answered why not. Else `text` has the warnings. */
static bool compiles(const struct call *c, struct buf *text)
{
	struct sieve_notes notes = {0};
	struct str program;
	struct fail why = FAIL_INIT;
	if (c->cmd->script.n > c->s->script_max) {
		say(c, MANAGESIEVE_NO, "QUOTA/MAXSIZE", T("The script is too large."));
		return false;
	}
	int r = sieve_compile(c->cmd->script, c->s->sieve, c->arena, &notes, &program, &why);
	write_notes(text, &notes);
	if (r == 0)
		return true;
	if (text->n == 0)
		(void)buf_add_c(text, text_of(why.public));
	managesieve_write_reply(c->out, MANAGESIEVE_NO, STR(""), buf_str(text));
	return false;
}

static struct store_script_put put_of(const struct call *c)
{
	return (struct store_script_put){.account = c->s->account,
					 .name = c->cmd->name,
					 .text = c->cmd->script,
					 .max_scripts = c->s->max_scripts,
					 .max_bytes = c->s->max_bytes};
}

static void say_stored(const struct call *c, struct str warnings, const char *done)
{
	if (warnings.n)
		managesieve_write_reply(c->out, MANAGESIEVE_OK, STR("WARNINGS"), warnings);
	else
		say(c, MANAGESIEVE_OK, "", done);
}

static void do_put(struct call *c)
{
	AUTO(buf) struct buf warnings = BUF_INIT(TEXT_MAX);
	struct store_script_put p = put_of(c);
	struct fail why = FAIL_INIT;
	if (!compiles(c, &warnings))
		return;
	if (store_script_put(c->s->store, &p, &why) < 0) {
		refuse(c, &why);
		return;
	}
	c->changed = true;
	say_stored(c, buf_str(&warnings), T("The script is stored."));
}

static void do_check(struct call *c)
{
	AUTO(buf) struct buf warnings = BUF_INIT(TEXT_MAX);
	if (compiles(c, &warnings))
		say_stored(c, buf_str(&warnings), T("The script is good."));
}

static void do_have_space(struct call *c)
{
	struct store_script_put p = put_of(c);
	struct fail why = FAIL_INIT;
	if (c->cmd->size > c->s->script_max)
		say(c, MANAGESIEVE_NO, "QUOTA/MAXSIZE", T("The script is too large."));
	else
		answer(c, store_script_fits(c->s->store, &p, c->cmd->size, &why), &why,
		       T("There is room."));
}

static void do_list(struct call *c)
{
	struct store_scripts all;
	struct fail why = FAIL_INIT;
	int r = store_scripts(c->s->store, c->s->account, c->arena, &all, &why);
	for (size_t i = 0; r == 0 && i < all.n; i++)
		managesieve_write_listed(c->out, all.p[i].name, all.p[i].active);
	answer(c, r, &why, "");
}

static void do_get(struct call *c)
{
	struct store_script one;
	struct fail why = FAIL_INIT;
	int r = store_script_get(c->s->store, c->s->account, c->cmd->name, c->arena, &one, &why);
	if (r < 0) {
		refuse(c, &why);
	} else if (r == 0) {
		say(c, MANAGESIEVE_NO, "NONEXISTENT", T("There is no script of that name."));
	} else {
		managesieve_write_string(c->out, one.text);
		(void)buf_add(c->out, STR("\r\n"));
		say(c, MANAGESIEVE_OK, "", "");
	}
}

static void do_activate(struct call *c)
{
	struct fail why = FAIL_INIT;
	int r = store_script_activate(c->s->store, c->s->account, c->cmd->name, &why);
	c->changed = r == 0;
	answer(c, r, &why, c->cmd->name.n ? T("The script is active.") : T("No script is active."));
}

static void do_delete(struct call *c)
{
	struct fail why = FAIL_INIT;
	int r = store_script_delete(c->s->store, c->s->account, c->cmd->name, &why);
	answer(c, r, &why, T("The script is gone."));
}

static void do_rename(struct call *c)
{
	struct fail why = FAIL_INIT;
	int r = store_script_rename(c->s->store, c->s->account, c->cmd->name, c->cmd->to, &why);
	answer(c, r, &why, T("The script has a new name."));
}

static void do_capability(struct call *c)
{
	AUTO(buf) struct buf extensions = BUF_INIT(KIB(4));
	sieve_extensions_write(c->s->sieve->without, &extensions);
	struct sieve_limits limits =
		c->s->sieve->limits ? *c->s->sieve->limits : SIEVE_LIMITS_DEFAULT;
	struct managesieve_capability m = {.mechanisms = c->s->mechanisms,
					   .sieve = buf_str(&extensions),
					   .redirects = limits.redirects,
					   .language = c->s->language,
					   .owner = c->s->owner,
					   .unauthenticate = true};
	managesieve_capability_write(c->out, &m);
	say(c, MANAGESIEVE_OK, "", "");
}

static enum managesieve_next dispatch(struct call *c)
{
	switch (c->cmd->verb) {
	case MANAGESIEVE_CAPABILITY:
		do_capability(c);
		break;
	case MANAGESIEVE_CHECKSCRIPT:
		do_check(c);
		break;
	case MANAGESIEVE_DELETESCRIPT:
		do_delete(c);
		break;
	case MANAGESIEVE_GETSCRIPT:
		do_get(c);
		break;
	case MANAGESIEVE_HAVESPACE:
		do_have_space(c);
		break;
	case MANAGESIEVE_LISTSCRIPTS:
		do_list(c);
		break;
	case MANAGESIEVE_NOOP:
		managesieve_write_noop(c->out, c->cmd->text, T("Done."));
		break;
	case MANAGESIEVE_PUTSCRIPT:
		do_put(c);
		break;
	case MANAGESIEVE_RENAMESCRIPT:
		do_rename(c);
		break;
	case MANAGESIEVE_SETACTIVE:
		do_activate(c);
		break;
	case MANAGESIEVE_LOGOUT:
		say(c, MANAGESIEVE_OK, "", T("Until next time."));
		return MANAGESIEVE_CLOSE;
	case MANAGESIEVE_AUTHENTICATE:
	case MANAGESIEVE_STARTTLS:
	case MANAGESIEVE_UNAUTHENTICATE: /* edge's; it comes here when edge cannot */
	case MANAGESIEVE_VERBS:
	default:
		say(c, MANAGESIEVE_NO, "", T("This is not possible after the login."));
		break;
	}
	return MANAGESIEVE_DONE;
}

enum managesieve_next managesieve_command(const struct managesieve_session *s, struct str input,
					  struct buf *out, bool *ret_changed)
{
	AUTO(arena) struct arena a = ARENA_INIT(ARENA_MAX);
	struct imap_input in = {.text = input};
	struct managesieve_cmd cmd;
	struct fail why = FAIL_INIT;
	struct call c = {.s = s, .cmd = &cmd, .arena = &a, .out = out};
	*ret_changed = false;
	if (managesieve_parse(&in, &a, &cmd, &why) < 0) {
		say(&c, MANAGESIEVE_NO, "", text_of(why.public));
		return MANAGESIEVE_DONE;
	}
	enum managesieve_next next = dispatch(&c);
	*ret_changed = c.changed;
	return next;
}
