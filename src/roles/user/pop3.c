/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POP3 sessions: what is different from IMAP's. One at a time has an account's mailbox (RFC 1939
 * section 3); the lock is in memory, and goes with the session or with this process.
 */
#include "base/text.h"
#include "proto/pop3/pop3_session.h"
#include "roles/user/imap_state.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/log.h"

HISTOGRAM(command_time, "user.pop3-command",
	  "POP3 commands (pipelined ones together), to their first answer");
COUNTER(pop3_sessions, "user.pop3-sessions", "POP3 sessions opened by a login");
COUNTER(pop3_batches, "user.pop3-commands",
	"POP3 commands carried out (pipelined ones count once)");
COUNTER(pop3_in_use, "user.pop3-in-use",
	"POP3 logins refused: another POP3 session has the mailbox");

#define LAST_MAX 20000 /* accounts whose last login is remembered */

/* --- the lock, and the pause between logins --- */

/* NULL: it is ours; else the code and, in *text, the reason why not. user.lock is held. */
static const char *refusal(const struct user_session *s, uint64_t delay_ms, const char **text)
{
	uintptr_t last = (uintptr_t)map_get(&user.pop3_last, s->grant.account);
	uint64_t now = (uint64_t)(clock_mono().v / MS_NS);
	if (map_get(&user.pop3, s->grant.account)) {
		*text = TX("Another POP3 session has the mailbox.");
		return "IN-USE";
	}
	if (last && now - last < delay_ms) {
		*text = TX("The last login was a moment ago.");
		return "LOGIN-DELAY";
	}
	return NULL;
}

/* Those that could come in again anyway need not be known. */
static void remember(uint64_t account, uint64_t delay_ms)
{
	uint64_t now = (uint64_t)(clock_mono().v / MS_NS);
	if (!delay_ms)
		return;
	if (user.pop3_last.n >= LAST_MAX)
		map_clear(&user.pop3_last);
	(void)map_put(&user.pop3_last, account, (void *)(uintptr_t)now);
}

static const char *lock(const struct user_session *s, uint64_t delay_ms, const char **text)
{
	pthread_mutex_lock(&user.lock);
	const char *code = refusal(s, delay_ms, text);
	if (!code) {
		(void)map_put(&user.pop3, s->grant.account, (void *)(uintptr_t)s->id.v);
		remember(s->grant.account, delay_ms);
	}
	pthread_mutex_unlock(&user.lock);
	return code;
}

void pop3_unlock(const struct user_session *s)
{
	if (!atomic_load(&s->granted))
		return;
	pthread_mutex_lock(&user.lock);
	if ((uintptr_t)map_get(&user.pop3, s->grant.account) == s->id.v)
		(void)map_remove(&user.pop3, s->grant.account);
	pthread_mutex_unlock(&user.lock);
}

/* --- the session, on the lane --- */

static void to_file(void *arg, int fd, uint64_t offset, uint64_t length)
{
	imap_out_file(arg, fd, offset, length);
}

static bool is_full(const void *arg)
{
	return imap_out_full(arg);
}

static struct pop3_out out_of(struct user_session *s)
{
	return (struct pop3_out){
		.text = &s->out.text, .arg = &s->out, .file = to_file, .full = is_full};
}

static struct pop3_config config_of(const struct conf *c)
{
	struct pop3_config p = {
		.login_delay_s = (uint32_t)(c->pop3_login_delay_ms / 1000),
		.deleted = pop3_deleted_find(str_c(c->pop3_deleted)),
		.utf8_only = str_eq(str_c(c->pop3_headers_utf8), STR("UTF8")),
	};
	(void)snprintf(p.usual, sizeof p.usual, "%s", c->language);
	(void)snprintf(p.uidl_format, sizeof p.uidl_format, "%s", c->pop3_uidl_format);
	return p;
}

static struct pop3_config config_now(uint64_t *ret_delay_ms)
{
	const struct conf *c = role_conf_hold(user.role);
	struct pop3_config p = config_of(c);
	if (ret_delay_ms)
		*ret_delay_ms = c->pop3_login_delay_ms;
	conf_drop(c);
	return p;
}

static struct pop3_choice choice_of(const struct msg_session_open *m)
{
	char language[21];
	(void)snprintf(language, sizeof language, "%.*s", STR_ARG(m->language));
	return (struct pop3_choice){.utf8 = m->utf8, .lang = text_find_language(language)};
}

static enum imap_next next_of(enum pop3_next next)
{
	return next == POP3_MORE ? IMAP_MORE : next == POP3_CLOSE ? IMAP_CLOSE : IMAP_DONE;
}

static int begin(struct user_session *s, const struct msg_session_open *m, enum imap_next *next,
		 struct fail *why)
{
	const char *text;
	uint64_t delay_ms;
	struct pop3_config config = config_now(&delay_ms);
	struct pop3_session_args args = {.config = &config,
					 .store = user.store,
					 .account = {s->grant.account},
					 .mechanisms = m->mechanisms,
					 .choice = choice_of(m)};
	struct pop3_out out = out_of(s);
	const char *code = lock(s, delay_ms, &text);
	(void)why;
	s->pop3 = pop3_session_new(&args);
	if (!code) {
		*next = next_of(pop3_session_open(s->pop3, &out));
		counter_add(&pop3_sessions, 1);
		return 0;
	}
	counter_add(&pop3_in_use, 1);
	log_event(LOG_INFO, "pop3.refused", log_c("code", code));
	pop3_refuse(&s->out.text, &args.choice, code, text);
	*next = IMAP_CLOSE;
	return 0;
}

/* Somebody else may have come in before it. */
static int import(struct user_session *s, struct str state, struct fail *why)
{
	const char *text;
	struct pop3_config config = config_now(NULL);
	struct pop3_session_args args = {
		.config = &config, .store = user.store, .account = {s->grant.account}};
	if (lock(s, 0, &text))
		return fail_set(why, FAIL_BUSY, NULL, "another POP3 session has the mailbox");
	return pop3_session_import(&args, state, &s->pop3, why);
}

static int export(const struct user_session *s, struct buf *out, struct fail *why)
{
	return pop3_session_export(s->pop3, out, why);
}

/* A client that has been told of QUIT may come back at once. */
static enum imap_next after(struct user_session *s, enum pop3_next next)
{
	if (next == POP3_CLOSE)
		pop3_unlock(s);
	return next_of(next);
}

static bool command(struct user_session *s, const struct msg_session_command *m,
		    enum imap_next *next)
{
	struct pop3_config config = config_now(NULL);
	struct pop3_out out = out_of(s);
	struct mono_ns begun = clock_mono();
	pop3_session_configure(s->pop3, &config);
	counter_add(&pop3_batches, 1);
	*next = after(s, pop3_session_lines(s->pop3, m->input, &out));
	histogram_add(command_time, (uint64_t)(clock_mono().v - begun.v) / 1000);
	return pop3_session_changed(s->pop3);
}

static enum imap_next resume(struct user_session *s)
{
	struct pop3_out out = out_of(s);
	enum imap_next next = after(s, pop3_session_resume(s->pop3, &out));
	if (pop3_session_changed(s->pop3))
		user_usage_changed((struct account_id){s->grant.account});
	return next;
}

static void rest(struct user_session *s)
{
	pop3_session_rest(s->pop3);
}

static void end(struct user_session *s)
{
	pop3_session_free(TAKE(s->pop3));
	s->at_work = false;
	pop3_unlock(s);
}

const struct session_kind pop3_kind = {
	.begin = begin,
	.import = import,
	.export = export,
	.command = command,
	.resume = resume,
	.rest = rest,
	.end = end,
	.cannot_open =
		"-ERR [SYS/TEMP] The mailbox cannot be opened now, please connect again.\r\n",
	.over = "-ERR [AUTH] Your access has changed, please log in again.\r\n",
};
