/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ManageSieve sessions: what is different from IMAP's. Nothing of them lasts from one command to
 * the next but what they were opened with.
 */
#include "proto/managesieve/managesieve_session.h"
#include "roles/user/imap_state.h"
#include "service/sieve/sieve_regex.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/log.h"

HISTOGRAM(command_time, "user.managesieve-command", "ManageSieve commands");
COUNTER(managesieve_sessions, "user.managesieve-sessions",
	"ManageSieve sessions opened by a login");
COUNTER(managesieve_commands, "user.managesieve-commands", "ManageSieve commands carried out");

#define OUT_MAX (MIB(1) + KIB(64))
#define STATE	STR("managesieve 1 ") /* a state of another protocol is none */

static int begin(struct user_session *s, const struct msg_session_open *m, enum imap_next *next,
		 struct fail *why)
{
	(void)why;
	s->mechanisms = BUF_INIT(KIB(1));
	(void)buf_add(&s->mechanisms, m->mechanisms);
	counter_add(&managesieve_sessions, 1);
	*next = IMAP_DONE;
	return 0;
}

static int import(struct user_session *s, struct str state, struct fail *why)
{
	s->mechanisms = BUF_INIT(KIB(1));
	if (!str_starts(state, STATE) || buf_add(&s->mechanisms, str_skip(state, STATE.n)) < 0)
		return fail_set(why, FAIL_SYNTAX, NULL, "bad state of a ManageSieve session");
	return 0;
}

static int export(const struct user_session *s, struct buf *out, struct fail *why)
{
	(void)why;
	(void)buf_add(out, STATE);
	return buf_add(out, buf_str(&s->mechanisms));
}

static bool command(struct user_session *s, const struct msg_session_command *m,
		    enum imap_next *next)
{
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);
	const struct conf *c = role_conf_hold(user.role);
	struct sieve_options options = {.regex = &sieve_regex};
	struct managesieve_session session = {.store = user.store,
					      .account = {s->grant.account},
					      .owner = str_c(s->grant.address),
					      .mechanisms = buf_str(&s->mechanisms),
					      .language = str_c(c->language),
					      .sieve = &options,
					      .max_scripts = c->sieve_scripts,
					      .max_bytes = c->sieve_size_max,
					      .script_max = c->sieve_script_max};
	struct mono_ns begun = clock_mono();
	bool changed;
	counter_add(&managesieve_commands, 1);
	bool close = managesieve_command(&session, m->input, &out, &changed) == MANAGESIEVE_CLOSE;
	conf_drop(c);
	(void)buf_add(&s->out.text, buf_str(&out));
	*next = close ? IMAP_CLOSE : IMAP_DONE;
	histogram_add(command_time, (uint64_t)(clock_mono().v - begun.v) / 1000);
	return false;
}

static enum imap_next resume(struct user_session *s)
{
	(void)s;
	return IMAP_DONE;
}

static void rest(struct user_session *s)
{
	(void)s;
}

static void end(struct user_session *s)
{
	buf_clear(&s->mechanisms);
	s->at_work = false;
}

const struct session_kind managesieve_kind = {
	.begin = begin,
	.import = import,
	.export = export,
	.command = command,
	.resume = resume,
	.rest = rest,
	.end = end,
	.cannot_open = "BYE (TRYLATER) \"The session could not be continued, please connect "
		       "again.\"\r\n",
	.over = "BYE \"Your access has changed, please log in again.\"\r\n",
};
