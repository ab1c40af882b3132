/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_parse.h"
#include "codec/imap/imap_quirks.h"

static int sp_mailbox(struct imap_lex *lex, struct str *ret)
{
	int r = imap_lex_sp(lex);
	return r < 0 ? r : imap_lex_mailbox(lex, ret);
}

/* SP "(" follows: a list of parameters (RFC 4466 section 2.1). */
static bool try_parameters(struct imap_lex *lex)
{
	struct str rest = str_skip(lex->in.text, lex->pos);
	if (!str_starts(rest, STR(" (")))
		return false;
	lex->pos++;
	return true;
}

static int select_parameter(struct imap_lex *lex, void *arg)
{
	struct imap_select *s = arg;
	if (imap_lex_try_word(lex, "QRESYNC"))
		return imap_parse_qresync(lex, &s->qresync);
	if (!imap_lex_try_word(lex, "CONDSTORE"))
		return imap_lex_expected(lex, "CONDSTORE or QRESYNC");
	s->condstore = true;
	return 0;
}

int imap_parse_select(struct imap_lex *lex, struct imap_cmd *cmd)
{
	int r = sp_mailbox(lex, &cmd->select.mailbox);
	if (r < 0 || !try_parameters(lex))
		return r;
	return imap_parse_items(lex, "parameters", false, select_parameter, &cmd->select);
}

static int special_use(struct imap_lex *lex, void *arg)
{
	struct imap_create *c = arg;
	size_t start = lex->pos;
	struct str name;
	int r = imap_lex_char(lex, '\\', "a special use such as \\Sent");
	if (r == 0)
		r = imap_lex_atom(lex, "a special use such as \\Sent", &name);
	if (r < 0)
		return r;
	uint32_t use =
		imap_name_find(imap_special_use_names, str_sub(lex->in.text, start, lex->pos));
	c->use |= use;
	c->unknown_use |= use == 0;
	return 0;
}

static int create_parameter(struct imap_lex *lex, void *arg)
{
	if (!imap_lex_try_word(lex, "USE"))
		return imap_lex_expected(lex, "USE (no other parameter is offered)");
	int r = imap_lex_sp(lex);
	return r < 0 ? r : imap_parse_items(lex, "special uses", true, special_use, arg);
}

int imap_parse_create(struct imap_lex *lex, struct imap_cmd *cmd)
{
	int r = sp_mailbox(lex, &cmd->create.mailbox);
	if (r < 0 || !try_parameters(lex))
		return r;
	return imap_parse_items(lex, "parameters", false, create_parameter, &cmd->create);
}

int imap_parse_rename(struct imap_lex *lex, struct imap_cmd *cmd)
{
	int r = sp_mailbox(lex, &cmd->rename.from);
	return r < 0 ? r : sp_mailbox(lex, &cmd->rename.to);
}

int imap_parse_mailbox_only(struct imap_lex *lex, struct imap_cmd *cmd)
{
	return sp_mailbox(lex, &cmd->mailbox);
}

int imap_parse_quota(struct imap_lex *lex, struct imap_cmd *cmd)
{
	int r = imap_lex_sp(lex);
	return r < 0 ? r : imap_lex_astring(lex, "a quota root", &cmd->quota_root);
}

struct limit_builder {
	struct imap_quota_limit *limit;
	size_t n;
};

/* resource-name SP resource-limit */
static int quota_limit(struct imap_lex *lex, void *arg)
{
	struct limit_builder *b = arg;
	int r = IMAP_GROW(lex, &b->limit, b->n, lex->lim->id_pairs, "resources");
	if (r == 0)
		r = imap_lex_atom(lex, "the name of a resource", &b->limit[b->n].resource);
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_lex_u64(lex, "a limit", &b->limit[b->n].limit);
	if (r == 0)
		b->n++;
	return r;
}

int imap_parse_setquota(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct limit_builder b = {0};
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_lex_astring(lex, "a quota root", &cmd->setquota.root);
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_parse_items(lex, "resources", true, quota_limit, &b);
	cmd->setquota.limit = b.limit;
	cmd->setquota.limit_count = b.n;
	return r;
}

/* ---- RFC 4314 section 7 ---- */

int imap_parse_acl(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct imap_acl *acl = &cmd->acl;
	int r = sp_mailbox(lex, &acl->mailbox);
	if (r == 0)
		r = imap_lex_sp(lex);
	size_t start = lex->pos;
	if (r == 0)
		r = imap_lex_astring(lex, "an identifier", &acl->identifier);
	if (r == 0 && !imap_acl_identifier_ok(acl->identifier)) {
		lex->pos = start;
		return imap_lex_expected(lex, "an identifier");
	}
	return r;
}

int imap_parse_setacl(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct imap_acl *acl = &cmd->acl;
	struct str rights = STR_NULL;
	int r = imap_parse_acl(lex, cmd);
	if (r == 0)
		r = imap_lex_sp(lex);
	size_t start = lex->pos;
	if (r == 0)
		r = imap_lex_astring(lex, "rights", &rights);
	if (r < 0)
		return r;
	acl->how = str_starts(rights, STR("+"))	  ? IMAP_ACL_ADD
		   : str_starts(rights, STR("-")) ? IMAP_ACL_REMOVE
						  : IMAP_ACL_SET;
	if (acl->how != IMAP_ACL_SET)
		rights = str_skip(rights, 1);
	if (imap_rights_parse(rights, &acl->rights) < 0) {
		lex->pos = start;
		return imap_lex_expected(lex, "rights out of lrswipkxtecda");
	}
	return 0;
}

static int status_item(struct imap_lex *lex, void *arg)
{
	uint32_t *items = arg;
	size_t start = lex->pos;
	struct str name;
	int r = imap_lex_atom(lex, "a STATUS item", &name);
	if (r < 0)
		return r;
	uint32_t bit = imap_name_find(imap_status_names, name);
	if (bit == 0) {
		lex->pos = start;
		return imap_lex_expected(lex, "a STATUS item");
	}
	*items |= bit;
	return 0;
}

int imap_parse_status(struct imap_lex *lex, struct imap_cmd *cmd)
{
	int r = sp_mailbox(lex, &cmd->status.mailbox);
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r == 0 && imap_lex_peek(lex) != '(' && imap_bends(IMAP_QUIRK_BARE_STATUS))
		return status_item(lex, &cmd->status.items);
	return r < 0 ? r
		     : imap_parse_items(lex, "STATUS items", false, status_item,
					&cmd->status.items);
}

/* ---- LIST (RFC 3501 6.3.8, RFC 5258 section 6) ---- */

static const struct imap_name selections[] = {
	{IMAP_LIST_SUBSCRIBED, "SUBSCRIBED"},
	{IMAP_LIST_REMOTE, "REMOTE"},
	{IMAP_LIST_RECURSIVEMATCH, "RECURSIVEMATCH"},
	{IMAP_LIST_SPECIAL_USE, "SPECIAL-USE"},
	{0, NULL},
};
static const struct imap_name returns[] = {
	{IMAP_LIST_SUBSCRIBED, "SUBSCRIBED"},
	{IMAP_LIST_CHILDREN, "CHILDREN"},
	{IMAP_LIST_SPECIAL_USE, "SPECIAL-USE"},
	{IMAP_LIST_STATUS, "STATUS"},
	{IMAP_LIST_MYRIGHTS, "MYRIGHTS"},
	{IMAP_LIST_METADATA, "METADATA"},
	{0, NULL},
};

static int list_option(struct imap_lex *lex, const struct imap_name *table, const char *what,
		       uint32_t *bits, uint32_t *ret_bit)
{
	size_t start = lex->pos;
	struct str name;
	int r = imap_lex_atom(lex, what, &name);
	if (r < 0)
		return r;
	*ret_bit = imap_name_find(table, name);
	if (*ret_bit == 0) {
		lex->pos = start;
		return imap_lex_expected(lex, what);
	}
	*bits |= *ret_bit;
	return 0;
}

static int selection_option(struct imap_lex *lex, void *arg)
{
	struct imap_list *l = arg;
	uint32_t bit;
	return list_option(lex, selections, "a LIST selection option", &l->selection, &bit);
}

static int return_option(struct imap_lex *lex, void *arg)
{
	struct imap_list *l = arg;
	uint32_t bit;
	int r = list_option(lex, returns, "a LIST return option", &l->returned, &bit);
	if (r < 0 || (bit != IMAP_LIST_STATUS && bit != IMAP_LIST_METADATA))
		return r;
	r = imap_lex_sp(lex);
	if (r < 0)
		return r;
	return bit == IMAP_LIST_STATUS
		       ? imap_parse_items(lex, "STATUS items", false, status_item, &l->status_items)
		       : imap_parse_entries(lex, &l->entry, &l->entry_count);
}

struct pattern_builder {
	struct str *pattern;
	size_t n;
};

static int list_pattern(struct imap_lex *lex, void *arg)
{
	struct pattern_builder *b = arg;
	int r = IMAP_GROW(lex, &b->pattern, b->n, lex->lim->list_patterns, "patterns");
	if (r == 0)
		r = imap_lex_list_mailbox(lex, &b->pattern[b->n]);
	if (r == 0)
		b->n++;
	return r;
}

static int parse_selection(struct imap_lex *lex, struct imap_list *l)
{
	if (imap_lex_peek(lex) != '(')
		return 0;
	l->extended = true;
	int r = imap_parse_items(lex, "LIST selection options", true, selection_option, l);
	/* RFC 5258 section 3.1: RECURSIVEMATCH must come with something to match. */
	if (r == 0 && (l->selection & IMAP_LIST_RECURSIVEMATCH) &&
	    !(l->selection & (IMAP_LIST_SUBSCRIBED | IMAP_LIST_SPECIAL_USE)))
		return imap_lex_expected(lex, "an option besides RECURSIVEMATCH");
	return r < 0 ? r : imap_lex_sp(lex);
}

int imap_parse_list(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct imap_list *l = &cmd->list;
	struct pattern_builder b = {0};
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = parse_selection(lex, l);
	if (r == 0)
		r = imap_lex_mailbox(lex, &l->reference);
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r < 0)
		return r;
	if (imap_lex_peek(lex) == '(') {
		l->extended = true;
		r = imap_parse_items(lex, "patterns", false, list_pattern, &b);
	} else {
		r = list_pattern(lex, &b);
	}
	l->pattern = b.pattern;
	l->pattern_count = b.n;
	if (r < 0 || !imap_lex_try_word(lex, " RETURN"))
		return r;
	l->extended = true;
	r = imap_lex_sp(lex);
	return r < 0 ? r : imap_parse_items(lex, "LIST return options", true, return_option, l);
}

int imap_parse_lsub(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct pattern_builder b = {0};
	int r = sp_mailbox(lex, &cmd->list.reference);
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r == 0)
		r = list_pattern(lex, &b);
	cmd->list.pattern = b.pattern;
	cmd->list.pattern_count = b.n;
	return r;
}
