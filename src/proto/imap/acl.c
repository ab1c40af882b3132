/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acl.c - what a session may do: the lists of mailboxes, for who looks at them.  [proto, imap]
 */
#include "codec/imap/imap_list.h"
#include "proto/imap/acl_int.h"

/* Entries [first, end) are those of one mailbox. */
static uint32_t rights_from(const struct imap_session *s, const struct store_acl_entry *first,
			    const struct store_acl_entry *end)
{
	struct imap_acl_who who = {
		.owner = !s->guest, .account = s->viewer_id, .groups = str_c(s->groups)};
	struct imap_acl_sum sum = {0};
	for (const struct store_acl_entry *e = first; e < end; e++)
		imap_acl_add(&sum, &who, e->identifier, e->subject, e->rights);
	return imap_acl_result(&sum, &who);
}

uint32_t acl_rights_in(const struct imap_session *s, const struct store_acl *acl,
		       struct mailbox_id mailbox)
{
	size_t lo = 0, hi = acl->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (acl->p[mid].mailbox.v < mailbox.v)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (hi = lo; hi < acl->n && acl->p[hi].mailbox.v == mailbox.v;)
		hi++;
	return rights_from(s, acl->p + lo, acl->p + hi);
}

int acl_rights_of(struct imap_session *s, struct str mailbox, uint32_t *ret, struct fail *why)
{
	struct store_acl acl;
	if (mailbox.n == 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no name");
	int r = store_acl_get(s->store, s->account, mailbox, &s->run.arena, &acl, why);
	if (r == 0)
		*ret = rights_from(s, acl.p, acl.p + acl.n);
	return r;
}

int acl_selected(struct imap_session *s, uint32_t *ret, struct fail *why)
{
	struct store_acl acl;
	int r = 0;
	if (!s->rights_known) {
		r = store_acl_of(s->store, s->account, store_view_get_info(s->view)->mailbox,
				 &s->run.arena, &acl, why);
		if (r < 0)
			return r;
		s->selected_rights = rights_from(s, acl.p, acl.p + acl.n);
		s->rights_known = true;
	}
	*ret = s->selected_rights;
	return r;
}

int acl_refresh(struct imap_session *s, struct fail *why)
{
	uint32_t rights = 0;
	s->rights_known = false;
	int r = acl_selected(s, &rights, why);
	if (r == 0)
		store_view_set_may(s->view, acl_flags_of(rights),
				   store_view_get_info(s->view)->read_only);
	return r;
}

/* ---- flags --------------------------------------------------------------------------------- */

uint64_t acl_flags_of(uint32_t rights)
{
	uint64_t own = STORE_SEEN | STORE_DELETED;
	uint64_t flags = rights & IMAP_ACL_W ? ~own : 0;
	if (rights & IMAP_ACL_S)
		flags |= STORE_SEEN;
	if (rights & IMAP_ACL_T)
		flags |= STORE_DELETED;
	return flags;
}

struct store_flagset acl_filter(struct store_flagset flags, uint32_t rights, bool *ret_left)
{
	bool any = flags.bits || flags.n_keywords;
	flags.bits &= (uint32_t)acl_flags_of(rights);
	if (!(rights & IMAP_ACL_W))
		flags.n_keywords = 0;
	*ret_left = flags.bits || flags.n_keywords || !any;
	return flags;
}

#define CHANGING (IMAP_ACL_S | IMAP_ACL_W | IMAP_ACL_T | IMAP_ACL_E)

struct store_view_as acl_view_as(const struct imap_session *s, uint32_t rights, bool examine)
{
	return (struct store_view_as){
		.read_only = examine || !(s->rights & IMAP_RIGHT_WRITE) || !(rights & CHANGING),
		.viewer = s->guest ? s->viewer_id : (struct account_id){0},
		.may = acl_flags_of(rights),
	};
}

/* A viewer's \Seen is nobody else's, so it does not count. */
bool acl_is_read_write(const struct imap_session *s, uint32_t rights)
{
	/* A view that would be open for changes, but is not: EXAMINE, or a mailbox of the past. */
	if (store_view_get_info(s->view)->read_only && (rights & CHANGING))
		return false;
	uint32_t counts = IMAP_ACL_I | IMAP_ACL_E | IMAP_ACL_W | IMAP_ACL_T;
	if (!s->guest)
		counts |= IMAP_ACL_S;
	return (s->rights & IMAP_RIGHT_WRITE) && (rights & counts);
}

/* ---- before a command ---------------------------------------------------------------------- */

struct str *acl_name_in(struct imap_cmd *cmd)
{
	switch ((int)cmd->kind) {
	case IMAP_CMD_SELECT:
	case IMAP_CMD_EXAMINE:
		return &cmd->select.mailbox;
	case IMAP_CMD_CREATE:
		return &cmd->create.mailbox;
	case IMAP_CMD_RENAME:
		return &cmd->rename.from;
	case IMAP_CMD_STATUS:
		return &cmd->status.mailbox;
	case IMAP_CMD_APPEND:
		return &cmd->append.mailbox;
	case IMAP_CMD_COPY:
	case IMAP_CMD_MOVE:
		return &cmd->copy.mailbox;
	case IMAP_CMD_REPLACE:
		return &cmd->replace.append.mailbox;
	case IMAP_CMD_GETMETADATA:
		return &cmd->getmetadata.mailbox;
	case IMAP_CMD_SETMETADATA:
		return &cmd->setmetadata.mailbox;
	case IMAP_CMD_SETACL:
	case IMAP_CMD_DELETEACL:
	case IMAP_CMD_LISTRIGHTS:
		return &cmd->acl.mailbox;
	case IMAP_CMD_DELETE:
	case IMAP_CMD_GETQUOTAROOT:
	case IMAP_CMD_GETACL:
	case IMAP_CMD_MYRIGHTS:
		return &cmd->mailbox;
	default:
		return NULL;
	}
}

/* Of the nearest mailbox above that there is. Where there is none, only the owner may. */
static int rights_above(struct imap_session *s, struct str name, uint32_t *ret, struct fail *why)
{
	struct str rest = name;
	if (str_ends(rest, STR("/")))
		rest.n--;
	for (;;) {
		size_t end = rest.n;
		while (end > 0 && rest.p[end - 1] != IMAP_SEPARATOR)
			end--;
		if (end == 0)
			break;
		rest.n = end - 1;
		int r = acl_rights_of(s, rest, ret, why);
		if (r != -FAIL_NOTFOUND)
			return r;
	}
	*ret = s->guest ? 0 : IMAP_ACL_ALL;
	return 0;
}

static int rights_for(struct imap_session *s, enum acl_of of, uint32_t *ret, struct fail *why)
{
	struct imap_cmd *cmd = &s->run.cmd;
	switch (of) {
	case ACL_OF_SELECTED:
		return acl_selected(s, ret, why);
	case ACL_OF_PARENT:
		return rights_above(
			s, cmd->kind == IMAP_CMD_RENAME ? cmd->rename.to : *acl_name_in(cmd), ret,
			why);
	case ACL_OF_MAILBOX:
	case ACL_OF_TARGET:
		break;
	}
	return acl_rights_of(s, *acl_name_in(cmd), ret, why);
}

static int check(struct imap_session *s, const struct acl_rule *rule, struct fail *why)
{
	uint32_t rights;
	int r = rights_for(s, rule->of, &rights, why);
	if (r == -FAIL_NOTFOUND)
		return 0; /* the command says so in its own way */
	if (r < 0)
		return r;
	if ((rights & rule->all) == rule->all && (rule->any == 0 || (rights & rule->any)))
		return 0;
	/* Section 6: what may not be seen is not there. */
	if (rule->of != ACL_OF_SELECTED && !(rights & IMAP_ACL_L))
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no right to look");
	return fail_set(why, FAIL_PERM, "You do not have the right to do this.",
			"rights %x, needed %x", rights, rule->all);
}

int acl_admit(struct imap_session *s, struct fail *why)
{
	size_t n;
	const struct acl_rule *rules = acl_rules(s->run.cmd.kind, &n);
	for (size_t i = 0; i < n; i++) {
		int r = check(s, &rules[i], why);
		if (r == -FAIL_NOTFOUND && rules[i].of == ACL_OF_TARGET)
			return reply_target(s, r, why) == RUN_DONE ? 1 : r;
		if (r < 0)
			return r;
	}
	return 0;
}
