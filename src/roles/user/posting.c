/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/user/posting.h"
#include "codec/imap/imap_acl.h"
#include "roles/user/user.h"
#include "service/store/store_acl.h"
#include "sys/log.h"

static bool in_public(const struct posting *p)
{
	const struct conf *c = role_conf_hold(user.role);
	bool public = imap_acl_is_public(str_c(c->public_account), p->address);
	conf_drop(c);
	return public;
}

static bool has_group(const struct store_acl *acl)
{
	for (size_t i = 0; i < acl->n; i++)
		if (str_starts(acl->p[i].identifier, STR("$")) ||
		    str_starts(acl->p[i].identifier, STR("-$")))
			return true;
	return false;
}

/* 1: yes. */
static int judge(const struct posting *p, const struct store_acl *acl, struct fail *why)
{
	AUTO(buf) struct buf groups = BUF_INIT(KIB(64));
	struct imap_acl_who who = {.account = p->sender};
	struct imap_acl_sum sum = {0};
	if (p->sender.v && has_group(acl)) {
		struct account_id sender = p->sender;
		int r = guest_whois(p->account, STR(""), &sender, &groups, why);
		if (r < 0 && r != -FAIL_NOTFOUND)
			return r;
	}
	who.groups = buf_str(&groups);
	for (size_t i = 0; i < acl->n; i++)
		imap_acl_add(&sum, &who, acl->p[i].identifier, acl->p[i].subject, acl->p[i].rights);
	if (sum.minus & IMAP_ACL_P)
		return 0;
	return (sum.plus & IMAP_ACL_P) || !in_public(p);
}

static int find(const struct posting *p, struct arena *a, struct str *ret, struct fail *why)
{
	struct store_mailboxes all;
	int r = store_mailbox_list(user.store, p->account, a, &all, why);
	*ret = STR("");
	for (size_t i = 0; r == 0 && i < all.n; i++) {
		const struct store_mailbox *box = &all.p[i];
		if (box->missing || box->noselect || !str_eqi(box->name, p->detail))
			continue;
		if (ret->n == 0 || str_eq(box->name, p->detail))
			*ret = box->name;
	}
	return r;
}

struct str posting_target(const struct posting *p, struct arena *a)
{
	struct fail why = FAIL_INIT;
	struct store_acl acl;
	struct str name;
	int r = find(p, a, &name, &why);
	if (r == -FAIL_NOTFOUND || (r == 0 && (name.n == 0 || p->sender.v == p->account.v)))
		return r < 0 ? STR("") : name;
	if (r == 0)
		r = store_acl_get(user.store, p->account, name, a, &acl, &why);
	if (r == 0)
		r = judge(p, &acl, &why);
	if (r < 0)
		log_event(LOG_WARN, "deliver.rights", log_fail(&why));
	return r > 0 ? name : STR("");
}
