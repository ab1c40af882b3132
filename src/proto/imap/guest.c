/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.c - which commands concern mailboxes of other accounts, and how they get there.
 *                                                                              [proto, imap]
 */
#include "codec/imap/imap_list.h"
#include "proto/imap/guest_int.h"

/* ---- names --------------------------------------------------------------------------------- */

static struct str text_in(struct imap_session *s, const char *before, struct str middle,
			  const char *after)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(8));
	buf_addf(&b, "%s%.*s%s", before, STR_ARG(middle), after);
	return arena_str(&s->run.arena, buf_str(&b));
}

static bool is_public_name(struct str name)
{
	return str_starts(name, STR(PUBLIC_PREFIX)) || str_eq(name, STR("Public"));
}

/* "Shared/owner@domain" and below; a name without "@" there is one's own. */
static bool is_shared_name(struct str name, struct str *ret_owner)
{
	if (!str_starts(name, STR(SHARED_PREFIX)))
		return false;
	struct str rest = str_skip(name, STR(SHARED_PREFIX).n);
	*ret_owner = str_sub(rest, 0, str_find(rest, 0, IMAP_SEPARATOR));
	return str_find(*ret_owner, 0, '@') < ret_owner->n;
}

static struct str public_owner(struct imap_session *s)
{
	struct str public = str_c(s->config.public_account);
	struct str me = str_c(s->address);
	if (public.n == 0 || str_find(public, 0, '@') < public.n)
		return public;
	return text_in(s, s->config.public_account, str_skip(me, str_find(me, 0, '@')), "");
}

bool guest_of_name(struct imap_session *s, struct str name, struct str *ret_owner,
		   struct str *ret_prefix)
{
	if (s->guest || !s->hooks.guest)
		return false;
	if (s->config.public_account[0] && is_public_name(name)) {
		*ret_owner = public_owner(s);
		*ret_prefix = STR(PUBLIC_PREFIX);
		return true;
	}
	if (!is_shared_name(name, ret_owner))
		return false;
	*ret_prefix = text_in(s, SHARED_PREFIX, *ret_owner, "/");
	return true;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static struct str or_empty(const char *text)
{
	return text ? str_c(text) : STR("");
}

static void keep(char **place, struct str text)
{
	char *copy = session_copy(text);
	free(*place);
	*place = copy;
}

void guest_leave(struct imap_session *s)
{
	if (!s->host)
		return;
	struct imap_guest_ask ask = {.what = IMAP_GUEST_END, .owner = str_c(s->host)};
	AUTO(imap_out) struct imap_out none = IMAP_OUT_INIT(0);
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	(void)s->hooks.guest(s->hooks.arg, &ask, &none, &a, NULL);
	free(s->host);
	free(s->host_prefix);
	s->host = s->host_prefix = NULL;
	buf_clear(&s->host_state);
}

static bool is_host(const struct imap_session *s, struct str owner)
{
	return s->host && str_eqi(owner, str_c(s->host));
}

/* What is selected there from now on. */
static void take_answer(struct imap_session *s, const struct imap_guest_ask *ask,
			const struct imap_guest_answer *a)
{
	s->enabled |= a->enabled;
	if (a->selected) {
		if (!is_host(s, ask->owner)) {
			keep(&s->host, ask->owner);
			keep(&s->host_prefix, ask->prefix);
		}
		if (a->next != IMAP_MORE) {
			buf_reset(&s->host_state);
			buf_add(&s->host_state, buf_str(&a->state));
		}
	} else if (is_host(s, ask->owner) && a->next != IMAP_MORE) {
		free(s->host);
		free(s->host_prefix);
		s->host = s->host_prefix = NULL;
		buf_clear(&s->host_state);
	}
}

int guest_ask(struct imap_session *s, struct imap_guest_ask *ask, struct imap_out *out,
	      struct imap_guest_answer *ret, struct fail *why)
{
	bool here = is_host(s, ask->owner);
	ask->enabled = s->enabled;
	ask->rights = s->rights;
	if (here) {
		ask->state = buf_str(&s->host_state);
		ask->prefix = or_empty(s->host_prefix);
	}
	int r = s->hooks.guest(s->hooks.arg, ask, out, ret, why);
	if (r == 0 && (ask->what <= IMAP_GUEST_WAKE || ask->what == IMAP_GUEST_TAKE))
		take_answer(s, ask, ret);
	return r;
}

/* ---- passing a command on ---------------------------------------------------------------------
 */

struct pass_state {
	struct str owner, prefix;
	bool begun;
};

static int seal_bodies(struct imap_session *s, size_t n, struct fail *why)
{
	int r = 0;
	if (n > IMAP_GUEST_BODIES)
		return fail_set(why, FAIL_LIMIT, "Too many large messages at once.", "%zu files",
				n);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (!s->run.in.body[i].sealed)
			r = store_body_seal(s->store, &s->run.in.body[i], why);
	return r;
}

/* A visit that cannot go on where it was: what the client knows of the mailbox is not true. */
static int lost(struct imap_session *s, struct imap_out *out)
{
	reply_bye(s, out, "The mailbox of another account cannot be continued.");
	return RUN_CLOSE;
}

static bool uses_filters(const struct imap_cmd *cmd)
{
	bool searches = cmd->kind == IMAP_CMD_SEARCH || cmd->kind == IMAP_CMD_SORT ||
			cmd->kind == IMAP_CMD_THREAD;
	return searches && cmd->search.uses_filters;
}

static int cmd_pass(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct pass_state *st = s->run.state;
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	const struct imap_input *in = &s->run.in.cmd;
	struct imap_guest_ask ask = {.what = st->begun ? IMAP_GUEST_RESUME : IMAP_GUEST_COMMAND,
				     .owner = st->owner,
				     .prefix = st->prefix};
	AUTO(buf) struct buf filters = BUF_INIT(IMAP_GUEST_NOTES);
	int r = 0;
	if (!st->begun) {
		ask.text = in->text;
		ask.external = in->external;
		ask.external_count = ask.n_bodies = in->external_count;
		ask.bodies = s->run.in.body;
		r = seal_bodies(s, ask.n_bodies, why);
		if (r == 0 && uses_filters(&s->run.cmd))
			r = search_filters_write(s, &filters, why);
		ask.filters = buf_str(&filters);
	}
	if (r == 0)
		r = guest_ask(s, &ask, out, &a, why);
	if (r == -FAIL_CONFLICT || (r < 0 && st->begun))
		return lost(s, out);
	if (r < 0)
		return r;
	st->begun = true;
	if (a.next == IMAP_MORE)
		return RUN_MORE;
	buf_reset(&s->run.reply);
	buf_add(&s->run.reply, buf_str(&a.reply));
	return a.next == IMAP_PARK ? RUN_PARK : a.next == IMAP_CLOSE ? RUN_CLOSE : RUN_DONE;
}

static const struct dispatch pass_row = {cmd_pass, 0, SYNC_ALL, SYNC_ALL};
static const struct dispatch cross_row = {cmd_cross, 0, SYNC_NO_EXPUNGE, SYNC_ALL};
static const struct dispatch cross_move_row = {cmd_cross, 0, SYNC_ALL, SYNC_ALL};

static int pass_to(struct imap_session *s, struct str owner, struct str prefix, struct fail *why)
{
	struct pass_state *st = arena_new(&s->run.arena, struct pass_state);
	if (!st)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	*st = (struct pass_state){owner, prefix, false};
	s->run.state = st;
	s->run.row = &pass_row;
	return 1;
}

/* ---- which way --------------------------------------------------------------------------------
 */

static int route_select(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct str owner, prefix;
	bool other = guest_of_name(s, s->run.cmd.select.mailbox, &owner, &prefix);
	if (s->host && (!other || !is_host(s, owner))) {
		guest_leave(s);
		buf_add(&out->text, STR("* OK [CLOSED] Previous mailbox closed\r\n"));
	}
	if (!other)
		return 0;
	if (s->view) {
		session_deselect(s);
		buf_add(&out->text, STR("* OK [CLOSED] Previous mailbox closed\r\n"));
	}
	return pass_to(s, owner, prefix, why);
}

/* COPY, MOVE, REPLACE: two mailboxes, the selected one and the target. */
static int route_copy(struct imap_session *s, struct str target, struct fail *why)
{
	struct str owner = STR_NULL, prefix;
	bool other = guest_of_name(s, target, &owner, &prefix);
	if (!s->host && !other)
		return 0;
	if (!s->host && !s->view)
		return 0; /* refused as without others */
	if (s->host && other && is_host(s, owner))
		return pass_to(s, owner, prefix, why);
	if (s->run.cmd.kind == IMAP_CMD_REPLACE)
		return fail_set(why, FAIL_UNSUPPORTED,
				"A message is replaced in a mailbox of the same account only.",
				"REPLACE across accounts");
	if (!(s->rights & IMAP_RIGHT_WRITE))
		return fail_set(why, FAIL_PERM, "This login may only read.", "no right to write");
	s->run.row = s->run.cmd.kind == IMAP_CMD_MOVE ? &cross_move_row : &cross_row;
	return 1;
}

static int route_rename(struct imap_session *s, struct fail *why)
{
	struct str from, to, prefix = STR_NULL, prefix_to = STR_NULL;
	bool a = guest_of_name(s, s->run.cmd.rename.from, &from, &prefix);
	bool b = guest_of_name(s, s->run.cmd.rename.to, &to, &prefix_to);
	if (!a && !b)
		return 0;
	if (a != b || !str_eqi(from, to))
		return fail_set(why, FAIL_UNSUPPORTED,
				"A mailbox cannot be moved to another account.", "RENAME");
	return pass_to(s, from, prefix, why);
}

static bool esearch_selected_only(const struct imap_cmd *cmd)
{
	for (size_t i = 0; i < cmd->search.source_count; i++)
		if (cmd->search.source[i].filter != IMAP_NOTIFY_SELECTED)
			return false;
	return true;
}

int guest_route(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct imap_cmd *cmd = &s->run.cmd;
	const struct dispatch *row = dispatch_find(cmd->kind);
	struct str owner, prefix;
	if (s->guest || !s->hooks.guest || !row)
		return 0;
	switch ((int)cmd->kind) {
	case IMAP_CMD_SELECT:
	case IMAP_CMD_EXAMINE:
		return route_select(s, out, why);
	case IMAP_CMD_COPY:
	case IMAP_CMD_MOVE:
		return route_copy(s, cmd->copy.mailbox, why);
	case IMAP_CMD_REPLACE:
		return route_copy(s, cmd->replace.append.mailbox, why);
	case IMAP_CMD_RENAME:
		return route_rename(s, why);
	case IMAP_CMD_CREATE:
	case IMAP_CMD_DELETE:
	case IMAP_CMD_STATUS:
	case IMAP_CMD_APPEND:
	case IMAP_CMD_GETQUOTAROOT:
	case IMAP_CMD_GETACL:
	case IMAP_CMD_SETACL:
	case IMAP_CMD_DELETEACL:
	case IMAP_CMD_LISTRIGHTS:
	case IMAP_CMD_MYRIGHTS:
	case IMAP_CMD_GETMETADATA:
	case IMAP_CMD_SETMETADATA:
		return guest_of_name(s, *acl_name_in(cmd), &owner, &prefix)
			       ? pass_to(s, owner, prefix, why)
			       : 0;
	default:
		break;
	}
	if (cmd->kind == IMAP_CMD_ESEARCH && !esearch_selected_only(cmd))
		return 0;
	bool there = (row->needs & NEEDS_SELECTED) || cmd->kind == IMAP_CMD_ESEARCH ||
		     cmd->kind == IMAP_CMD_NOOP || cmd->kind == IMAP_CMD_IDLE;
	return s->host && there ? pass_to(s, str_c(s->host), str_c(s->host_prefix), why) : 0;
}

/* ---- IDLE --------------------------------------------------------------------------------------
 */

int guest_news(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	struct imap_guest_ask ask = {.what = s->host_more ? IMAP_GUEST_RESUME : IMAP_GUEST_WAKE,
				     .owner = str_c(s->host)};
	int r = guest_ask(s, &ask, out, &a, why);
	s->host_more = r == 0 && a.next == IMAP_MORE;
	if (r == -FAIL_CONFLICT || (r == 0 && (a.next == IMAP_CLOSE || !a.selected)))
		return -FAIL_GONE;
	return r < 0 ? r : s->host_more ? RUN_MORE : 0;
}

int guest_idle_end(struct imap_session *s, struct str line, struct imap_out *out, struct fail *why)
{
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	struct imap_guest_ask ask = {
		.what = IMAP_GUEST_COMMAND, .owner = str_c(s->host), .text = line};
	int r = guest_ask(s, &ask, out, &a, why);
	while (r == 0 && a.next == IMAP_MORE) {
		ask.what = IMAP_GUEST_RESUME;
		r = guest_ask(s, &ask, out, &a, why);
	}
	if (r == 0) {
		buf_reset(&s->run.reply);
		buf_add(&s->run.reply, buf_str(&a.reply));
	}
	return r;
}

/* ---- at the owner's
 * ------------------------------------------------------------------------------ */

bool guest_strip_name(const struct imap_session *s, struct str *name)
{
	struct str prefix = str_c(s->prefix);
	if (!str_starts(*name, prefix) || name->n == prefix.n)
		return false;
	*name = str_skip(*name, prefix.n);
	return true;
}

bool guest_strip(struct imap_session *s)
{
	struct imap_cmd *cmd = &s->run.cmd;
	struct str *name = acl_name_in(cmd);
	if (!name || s->taking)
		return true;
	return guest_strip_name(s, name) &&
	       (cmd->kind != IMAP_CMD_RENAME || guest_strip_name(s, &cmd->rename.to));
}
