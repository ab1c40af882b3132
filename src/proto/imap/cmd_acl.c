/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_acl.c - GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (RFC 4314 section 3).  [proto, imap]
 */
#include "codec/imap/imap_write.h"
#include "proto/imap/acl_int.h"
#include "sys/log.h"

/* ---- identifiers ----------------------------------------------------------------------------- */

static bool is_owner(const struct imap_session *s, struct str identifier)
{
	return str_eqi(identifier, str_c(s->address));
}

static int canonical(struct imap_session *s, struct str identifier, struct str *ret,
		     struct fail *why)
{
	char *p = arena_alloc(&s->run.arena, identifier.n + 1);
	if (!p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	if (imap_acl_canonical(identifier, p, ret) == 0)
		return 0;
	return fail_set(why, FAIL_UNSUPPORTED,
			"Rights are given to an address, to $ and the address of an alias, to "
			"anyone or to authenticated.",
			"identifier %.*s", STR_ARG(identifier));
}

/* Whose the address is now: who gets it later gets no rights with it. */
static int find_subject(struct imap_session *s, struct store_acl_change *c, struct fail *why)
{
	bool gives = c->how == STORE_ACL_SET || c->how == STORE_ACL_ADD;
	struct str name = str_skip(c->identifier, str_starts(c->identifier, STR("-")));
	if (imap_acl_is_everybody(name) || c->how == STORE_ACL_DELETE)
		return 0;
	int r = s->hooks.named ? s->hooks.named(s->hooks.arg, s->account, name, &c->subject, why)
			       : fail_set(why, FAIL_NOTFOUND, NULL, "nobody has an address");
	if (r != -FAIL_NOTFOUND)
		return r;
	return gives ? fail_set(why, FAIL_UNSUPPORTED, "There is no such user or alias.",
				"identifier %.*s", STR_ARG(name))
		     : 0;
}

/* To everybody only where the operator lets it be. To take from everybody is always fine. */
static int check_everybody(const struct imap_session *s, struct str identifier, struct fail *why)
{
	if (!imap_acl_is_everybody(identifier) || str_starts(identifier, STR("-")) ||
	    s->config.share_with_anyone || s->is_public)
		return 0;
	return fail_set(why, FAIL_PERM, "Mailboxes cannot be shared with everybody here.",
			"imap.share_with_anyone");
}

/* ---- changing ----------------------------------------------------------------------------------
 */

static int changed(struct imap_session *s, const struct store_acl_change *c, struct fail *why)
{
	AUTO(buf) struct buf rights = BUF_INIT(64);
	static const char *const how[] = {[STORE_ACL_SET] = "set",
					  [STORE_ACL_ADD] = "add",
					  [STORE_ACL_REMOVE] = "remove",
					  [STORE_ACL_DELETE] = "delete"};
	imap_rights_write(&rights, c->rights);
	log_event(LOG_INFO, "imap.acl", log_address("user", str_c(s->viewer)),
		  log_address("owner", str_c(s->address)), log_str("mailbox", c->mailbox),
		  log_address("identifier", c->identifier), log_c("how", how[c->how]),
		  log_str("rights", buf_str(&rights)));
	s->rights_known = false;
	return s->hooks.shared ? s->hooks.shared(s->hooks.arg, s->account, why) : 0;
}

static int change(struct imap_session *s, enum store_acl_how how, struct fail *why)
{
	const struct imap_acl *cmd = &s->run.cmd.acl;
	struct store_acl_change c = {.account = s->account,
				     .mailbox = cmd->mailbox,
				     .how = how,
				     .rights = how == STORE_ACL_DELETE ? 0 : cmd->rights};
	int r = canonical(s, cmd->identifier, &c.identifier, why);
	if (r == 0 && (how == STORE_ACL_SET || how == STORE_ACL_ADD))
		r = check_everybody(s, c.identifier, why);
	if (r == 0)
		r = find_subject(s, &c, why);
	if (r == 0)
		r = store_acl_change(s->store, &c, why);
	return r < 0 ? r : changed(s, &c, why);
}

int cmd_setacl(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	static const enum store_acl_how how[] = {[IMAP_ACL_SET] = STORE_ACL_SET,
						 [IMAP_ACL_ADD] = STORE_ACL_ADD,
						 [IMAP_ACL_REMOVE] = STORE_ACL_REMOVE};
	(void)out;
	return change(s, how[s->run.cmd.acl.how], why);
}

int cmd_deleteacl(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	(void)out;
	return change(s, STORE_ACL_DELETE, why);
}

/* ---- telling ------------------------------------------------------------------------------------
 */

static void write_pair(struct buf *b, struct str identifier, uint32_t rights)
{
	buf_addc(b, ' ');
	imap_write_astring(b, identifier);
	buf_addc(b, ' ');
	imap_rights_write_all(b, rights);
}

/* The owner has his rights also without an entry. */
int cmd_getacl(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct str mailbox = s->run.cmd.mailbox;
	struct buf *b = &out->text;
	struct store_acl acl;
	bool owner = false;
	int r = store_acl_get(s->store, s->account, mailbox, &s->run.arena, &acl, why);
	if (r < 0)
		return r;
	for (size_t i = 0; i < acl.n; i++)
		owner |= is_owner(s, acl.p[i].identifier);
	buf_add(b, STR("* ACL "));
	write_name(s, b, mailbox);
	if (!owner)
		write_pair(b, str_c(s->address), IMAP_ACL_ALL);
	for (size_t i = 0; i < acl.n; i++)
		write_pair(
			b, acl.p[i].identifier,
			acl.p[i].rights |
				(is_owner(s, acl.p[i].identifier) ? IMAP_ACL_L | IMAP_ACL_A : 0u));
	buf_add(b, STR("\r\n"));
	return RUN_DONE;
}

/* None is tied to another one. "c" and "d" are of their own (2.1.1). */
static void write_optional(struct buf *b, uint32_t always)
{
	for (uint32_t bit = 1; bit & IMAP_ACL_ALL; bit <<= 1) {
		AUTO(buf) struct buf one = BUF_INIT(8);
		imap_rights_write(&one, bit);
		if (!(bit & always))
			buf_addf(b, " %s", buf_c(&one));
	}
	buf_add(b, STR(" c d"));
}

int cmd_listrights(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_acl *cmd = &s->run.cmd.acl;
	struct buf *b = &out->text;
	struct store_acl acl;
	struct str identifier;
	int r = store_acl_get(s->store, s->account, cmd->mailbox, &s->run.arena, &acl, why);
	if (r == 0)
		r = canonical(s, cmd->identifier, &identifier, why);
	if (r < 0)
		return r;
	uint32_t always = is_owner(s, identifier) ? IMAP_ACL_L | IMAP_ACL_A : 0;
	buf_add(b, STR("* LISTRIGHTS "));
	write_name(s, b, cmd->mailbox);
	buf_addc(b, ' ');
	imap_write_astring(b, cmd->identifier);
	buf_addc(b, ' ');
	imap_rights_write(b, always);
	if (check_everybody(s, identifier, NULL) == 0)
		write_optional(b, always);
	buf_add(b, STR("\r\n"));
	return RUN_DONE;
}

void write_myrights(const struct imap_session *s, struct imap_out *out, struct str name,
		    uint32_t rights)
{
	buf_add(&out->text, STR("* MYRIGHTS "));
	write_name(s, &out->text, name);
	buf_addc(&out->text, ' ');
	imap_rights_write_all(&out->text, rights);
	buf_add(&out->text, STR("\r\n"));
}

int cmd_myrights(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	uint32_t rights;
	int r = acl_rights_of(s, s->run.cmd.mailbox, &rights, why);
	if (r == 0)
		write_myrights(s, out, s->run.cmd.mailbox, rights);
	return r;
}
