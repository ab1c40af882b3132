/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewritten senders: the secrets are a file of dir's, made when it is missing and read again when
 * it has changed; relay asks for senders, mta (which serves look-ups) for the secrets.
 *
 *     barid srs show | rotate [--keep N] | import SECRET | forward ADDRESS | reverse ADDRESS
 */
#include "service/srs/srs.h"
#include "base/num.h"
#include "base/text.h"
#include "roles/dir/internal.h"
#include "roles/role/scope.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/log.h"
#include <pthread.h>

#define SECRETS	     "dir/srs.secrets"
#define KEEP_DEFAULT 2u
#define COLUMNS	     2u

static const char usage[] = "Usage: srs show | rotate [--keep N] | import SECRET | forward ADDRESS "
			    "| reverse ADDRESS";

static struct {
	pthread_mutex_t lock;
	struct buf text; /* of the file */
	struct fs_stat seen;
	struct srs *srs; /* as the directory has one; NULL: nothing can be rewritten */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .text = {.max = SRS_SECRETS_BYTES}};

/* ---- the rules ---- */

/* What cannot be used rewrites nothing, and says so. Under the lock. */
static struct srs *make(const struct conf *c)
{
	struct srs_settings s = srs_settings_of(c);
	struct fail why = FAIL_INIT;
	struct srs *made = NULL;

	if (srs_make(&s, buf_str(&state.text), &made, &why) < 0)
		log_event(LOG_WARN, "srs.off", log_fail(&why));
	return made;
}

static void apply(const struct conf *c)
{
	bool on = strcmp(c->srs_forwarding, "on") == 0;

	srs_free(state.srs);
	state.srs = make(c);
	/* Addresses lead back also when none are made any more. */
	dir_srs(dir_role.dir, state.srs ? make(c) : NULL, on, (uint32_t)c->srs_return_rate);
}

static int read_secrets(struct fail *why)
{
	AUTO(buf) struct buf fresh = BUF_INIT(SRS_SECRETS_BYTES);
	struct fs_stat st;
	int r = srs_secrets_read(fs_real(), SECRETS, &fresh, why);

	if (r == 0)
		r = fs_stat(fs_real(), SECRETS, &st, why);
	if (r < 0)
		return r;
	if (state.text.p)
		explicit_bzero(state.text.p, state.text.n);
	buf_clear(&state.text);
	state.text = buf_move(&fresh);
	state.seen = st;
	return 0;
}

void srs_configure(const struct conf *c)
{
	struct fail why = FAIL_INIT;

	(void)pthread_mutex_lock(&state.lock);
	if (!state.text.n && read_secrets(&why) < 0)
		log_event(LOG_ERROR, "srs.secrets", log_fail(&why));
	apply(c);
	(void)pthread_mutex_unlock(&state.lock);
}

static bool has_changed(void)
{
	struct fs_stat now;

	return fs_stat(fs_real(), SECRETS, &now, NULL) == 0 &&
	       (now.inode != state.seen.inode || now.changed.v != state.seen.changed.v ||
		now.size != state.seen.size);
}

/* Under the lock. A file that cannot be read changes nothing. */
static int look(struct fail *why)
{
	int r = has_changed() ? read_secrets(why) : 1;

	if (r == 0) {
		const struct conf *c = role_conf_hold(dir_role.role);
		apply(c);
		conf_drop(c);
		log_event(LOG_INFO, "srs.secrets-read",
			  log_u64("n", srs_secrets_count(buf_str(&state.text))));
	}
	return MIN(r, 0);
}

void srs_look(void)
{
	struct fail why = FAIL_INIT;

	(void)pthread_mutex_lock(&state.lock);
	if (look(&why) < 0)
		log_event(LOG_WARN, "srs.secrets", log_fail(&why));
	(void)pthread_mutex_unlock(&state.lock);
}

/* ---- questions ---- */

void srs_secrets_question(struct role *role, struct ipc_packet *p)
{
	struct fail why = FAIL_INIT;

	(void)role;
	(void)pthread_mutex_lock(&state.lock);
	if (look(&why) < 0)
		log_event(LOG_WARN, "srs.secrets", log_fail(&why));
	struct msg_srs_secrets_reply m = {.text = buf_str(&state.text),
					  .changed_us = dir_routes_changed(dir_role.dir).v};
	(void)ipc_reply(p, IPC_SRS_SECRETS_REPLY, &m);
	(void)pthread_mutex_unlock(&state.lock);
}

void srs_sender_question(struct role *role, struct ipc_packet *p)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct fail why = FAIL_INIT;
	struct msg_srs_sender m;
	struct msg_srs_sender_reply reply = {.sender = STR("")};
	int r = msg_srs_sender_read(p, &m);

	(void)role;
	if (r == 0)
		r = dir_srs_sender(dir_role.dir, m.sender, m.rcpt, &a, &reply.sender, &why);
	if (r < 0) {
		log_event(LOG_WARN, "srs.sender", log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	(void)ipc_reply(p, IPC_SRS_SENDER_REPLY, &reply);
}

void srs_domain_question(struct role *role, struct ipc_packet *p)
{
	struct fail why = FAIL_INIT;
	struct msg_domain_ours m;
	int r = msg_domain_ours_read(p, &m);

	(void)role;
	if (r == 0)
		r = dir_domain_is_ours(dir_role.dir, m.domain, &why);
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	(void)ipc_reply(p, IPC_DOMAIN_OURS_REPLY, &(struct msg_domain_ours_reply){.ours = r == 1});
}

/* ---- orders ---- */

static void say(struct ipc_packet *p, const char *text)
{
	struct msg_admin_reply m = {.text = str_c(text)};

	(void)ipc_reply(p, IPC_ADMIN_REPLY, &m);
}

static int show(struct ipc_packet *p, const struct conf *c)
{
	char n[20];
	struct msg_text columns[COLUMNS] = {{STR("setting")}, {STR("value")}};
	(void)snprintf(n, sizeof n, "%zu", srs_secrets_count(buf_str(&state.text)));
	struct msg_text cells[] = {
		{STR("domain")},     {state.srs ? srs_domain(state.srs) : STR("-")},
		{STR("forwarding")}, {state.srs ? str_c(c->srs_forwarding) : STR("off")},
		{STR("secrets")},    {str_c(n)},
		{STR("file")},	     {STR(SECRETS)},
	};
	struct msg_admin_reply m = {
		.text = state.srs ? STR("")
				  : str_c(T("Nothing is rewritten: srs.domain, or the hostname, is "
					    "no full domain name, or there is no secret.")),
		.columns = columns,
		.columns_n = COLUMNS,
		.cells = cells,
		.cells_n = ARRAY_LEN(cells)};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &m);
	return 0;
}

static int change(struct ipc_packet *p, const struct msg_admin *m, struct str secret, size_t keep,
		  struct fail *why)
{
	int r = srs_secrets_add(fs_real(), SECRETS, secret, keep, why);

	if (r == 0)
		r = look(why);
	if (r < 0)
		return r;
	log_event(LOG_INFO, "srs.rotated", log_str("by", m->by.n ? m->by : STR("operator")),
		  log_u64("n", srs_secrets_count(buf_str(&state.text))));
	say(p,
	    T("The new secret signs from now on; addresses of the others that are kept still lead "
	      "back."));
	return 0;
}

static int rotate(struct ipc_packet *p, const struct msg_admin *m, struct fail *why)
{
	uint32_t keep = KEEP_DEFAULT;

	if (m->args_n > 2 && (m->args_n != 4 || !str_eq(m->args[2].s, STR("--keep")) ||
			      !num_parse_u32(m->args[3].s, &keep) || keep >= SRS_SECRETS_MAX))
		return fail_set(why, FAIL_SYNTAX, usage, "srs rotate");
	return change(p, m, STR(""), keep, why);
}

static int ours(void *ctx, struct str domain, struct fail *why)
{
	(void)ctx;
	return dir_domain_is_ours(dir_role.dir, domain, why);
}

static int turn(struct ipc_packet *p, struct str address, bool back, struct fail *why)
{
	struct smtp_addr a, out;
	const char *reason = "";
	struct srs_ours all = {ours, NULL};

	if (!state.srs || smtp_mailbox_parse(address, &a) < 0)
		return fail_set(why, FAIL_SYNTAX, "That is not a mail address.", "srs order");
	int r = back ? srs_restore(state.srs, &a, srs_today(), &out, &reason)
		     : srs_rewrite(state.srs, &a, &all, srs_today(), &out, &reason);
	struct msg_text columns[COLUMNS] = {{STR("address")}, {STR("reason")}};
	struct msg_text cells[] = {{r == 1 ? smtp_addr_str(&out) : STR("-")},
				   {r == 1 ? STR("") : str_c(reason)}};
	struct msg_admin_reply m = {
		.columns = columns, .columns_n = COLUMNS, .cells = cells, .cells_n = COLUMNS};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &m);
	return 0;
}

static int carry_out(struct role *role, struct ipc_packet *p, const struct msg_admin *m,
		     struct fail *why)
{
	struct str verb = m->args_n > 1 ? m->args[1].s : STR("");
	int r;

	if (str_eq(verb, STR("rotate")))
		return rotate(p, m, why);
	if (str_eq(verb, STR("show")) && m->args_n == 2) {
		const struct conf *c = role_conf_hold(role);
		r = show(p, c);
		conf_drop(c);
		return r;
	}
	if (m->args_n != 3)
		return fail_set(why, FAIL_SYNTAX, usage, "srs order");
	if (str_eq(verb, STR("import")))
		return change(p, m, m->args[2].s, SRS_SECRETS_MAX - 1, why);
	if (str_eq(verb, STR("forward")) || str_eq(verb, STR("reverse")))
		return turn(p, m->args[2].s, str_eq(verb, STR("reverse")), why);
	return fail_set(why, FAIL_SYNTAX, usage, "srs order");
}

bool srs_is_order(const struct msg_admin *m)
{
	return m->args_n > 0 && str_eq(m->args[0].s, STR("srs"));
}

void srs_order(struct role *role, struct ipc_packet *p)
{
	struct msg_admin m;
	struct fail why = FAIL_INIT;
	int r = msg_admin_read(p, &m);

	role_speak(r == 0 ? &m : NULL);
	if (r == 0 && m.scope != DIR_SCOPE_GLOBAL)
		r = fail_set(&why, FAIL_PERM, "Only a global administrator may do this.",
			     "srs order by somebody else");
	(void)pthread_mutex_lock(&state.lock);
	if (r == 0)
		r = carry_out(role, p, &m, &why);
	(void)pthread_mutex_unlock(&state.lock);
	role_speak(NULL);
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
}
