/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of rights for a command: what they are, changing them, and what they give to somebody.
 */
#include "codec/imap/imap_acl.h"
#include "roles/user/tool.h"
#include "service/store/store_acl.h"
#include "sys/log.h"

#define ROWS_MAX 50000

struct look {
	struct arena arena;
	struct store_mailboxes boxes;
	struct store_acl acl;
	struct imap_acl_who who;
	struct buf groups;
	struct msg_acl_lists reply;
};

static void look_clear(struct look *l)
{
	arena_clear(&l->arena);
	buf_clear(&l->groups);
}
DEFINE_AUTO(look, struct look, look_clear);

static int change(struct account_id account, const struct msg_acl_order *m, struct fail *why)
{
	char text[STORE_IDENTIFIER_MAX + 16];
	struct store_acl_change c = {.account = account,
				     .mailbox = m->mailbox,
				     .how = (enum store_acl_how)(m->how - 1),
				     .rights = m->rights & IMAP_ACL_ALL};
	if (m->how > STORE_ACL_DELETE + 1 || m->identifier.n > STORE_IDENTIFIER_MAX ||
	    imap_acl_canonical(m->identifier, text, &c.identifier) < 0)
		return fail_set(why, FAIL_SYNTAX,
				"Rights are given to an address, to $ and the address of an alias, "
				"to anyone or to authenticated.",
				"order %u", m->how);
	struct str name = str_skip(c.identifier, str_starts(c.identifier, STR("-")));
	int r = 0;
	if (!imap_acl_is_everybody(name) && c.how != STORE_ACL_DELETE)
		r = guest_whois(account, name, &c.subject, NULL, why);
	if (r == -FAIL_NOTFOUND)
		return fail_set(why, FAIL_NOTFOUND, "There is no such user or alias.", "%.*s",
				STR_ARG(name));
	if (r == 0)
		r = store_acl_change(user.store, &c, why);
	return r < 0 ? r : guest_shared(NULL, account, why);
}

static int find_who(struct look *l, struct account_id account, struct str who, struct fail *why)
{
	if (who.n == 0 || str_eqi(who, STR("anyone")))
		return 0;
	int r = guest_whois(account, who, &l->who.account, &l->groups, why);
	if (r == -FAIL_NOTFOUND || (r == 0 && l->who.account.v == 0))
		return fail_set(why, FAIL_NOTFOUND, "There is no such user.", "%.*s", STR_ARG(who));
	l->who.owner = l->who.account.v == account.v;
	l->who.groups = buf_str(&l->groups);
	return r;
}

/* Both lists are in order: mailboxes by name, entries by the mailbox's number. */
static void write_box(struct look *l, const struct store_mailbox *box, struct msg_acl_box *boxes,
		      struct msg_acl_row *rows)
{
	struct imap_acl_sum sum = {0};
	for (size_t i = 0; i < l->acl.n; i++) {
		const struct store_acl_entry *e = &l->acl.p[i];
		if (e->mailbox.v != box->id.v)
			continue;
		imap_acl_add(&sum, &l->who, e->identifier, e->subject, e->rights);
		rows[l->reply.rows_n++] = (struct msg_acl_row){
			.mailbox = box->name,
			.identifier = e->identifier,
			.rights = e->rights,
			.meant = imap_acl_is_meant(&l->who, e->identifier, e->subject)};
	}
	boxes[l->reply.boxes_n++] = (struct msg_acl_box){.mailbox = box->name,
							 .rights = imap_acl_result(&sum, &l->who)};
}

static int read_lists(struct look *l, struct account_id account, struct str mailbox,
		      struct fail *why)
{
	int r = store_acl_get(user.store, account, mailbox, &l->arena, &l->acl, why);
	if (r == 0)
		r = store_mailbox_list(user.store, account, &l->arena, &l->boxes, why);
	if (r < 0)
		return r;
	struct msg_acl_box *boxes = arena_array(&l->arena, struct msg_acl_box, l->boxes.n + 1);
	struct msg_acl_row *rows = arena_array(&l->arena, struct msg_acl_row, l->acl.n + 1);
	if (!boxes || !rows || l->acl.n > ROWS_MAX)
		return fail_set(why, FAIL_LIMIT, NULL, "%zu entries", l->acl.n);
	l->reply.boxes = boxes;
	l->reply.rows = rows;
	struct mailbox_id only = {mailbox.n && l->acl.n ? l->acl.p[0].mailbox.v : 0};
	for (size_t i = 0; i < l->boxes.n; i++) {
		const struct store_mailbox *box = &l->boxes.p[i];
		bool named = mailbox.n == 0 || box->id.v == only.v || str_eq(box->name, mailbox) ||
			     (str_eqi(mailbox, STR("INBOX")) && str_eqi(box->name, mailbox));
		if (named && !box->missing)
			write_box(l, box, boxes, rows);
	}
	return 0;
}

void tool_acl(struct tool *t, struct ipc_packet *p)
{
	AUTO(look) struct look l = {.arena = ARENA_INIT(MIB(64)), .groups = BUF_INIT(KIB(64))};
	struct msg_acl_order m;
	struct fail why = FAIL_INIT;
	(void)t;
	int r = msg_acl_order_read(p, &m);
	struct account_id account = {r < 0 ? 0 : m.account};
	if (r == 0)
		r = store_account_ensure(user.store, account, store_default_folders, &why);
	if (r == 0 && m.how > 0)
		r = change(account, &m, &why);
	if (r == 0)
		r = find_who(&l, account, m.who, &why);
	if (r == 0)
		r = read_lists(&l, account, m.mailbox, &why);
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	else
		(void)ipc_reply(p, IPC_ACL_LISTS, &l.reply);
}
