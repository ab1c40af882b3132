/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_write.h"

static void sp_mailbox(struct buf *out, struct str name)
{
	(void)buf_addc(out, ' ');
	(void)imap_write_mailbox(out, name);
}

static void sp_astring(struct buf *out, struct str s)
{
	(void)buf_addc(out, ' ');
	(void)imap_write_astring(out, s);
}

static void sp_set(struct buf *out, const struct seqset *set)
{
	(void)buf_addc(out, ' ');
	(void)seqset_write(out, set);
}

/* "(A B)" */
static void write_names(struct buf *out, const struct imap_name *table, uint32_t bits)
{
	bool first = true;
	(void)buf_addc(out, '(');
	for (; table->name; table++) {
		if (!(bits & table->bit))
			continue;
		if (!first)
			(void)buf_addc(out, ' ');
		(void)buf_add_c(out, table->name);
		first = false;
	}
	(void)buf_addc(out, ')');
}

static void write_id(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_id *id = &cmd->id;
	(void)buf_add(out, id->pair_count > 0 ? STR(" (") : STR(" NIL"));
	for (size_t i = 0; i < id->pair_count; i++) {
		if (i > 0)
			(void)buf_addc(out, ' ');
		(void)imap_write_string(out, id->pair[i].key);
		(void)buf_addc(out, ' ');
		(void)imap_write_nstring(out, id->pair[i].value);
	}
	if (id->pair_count > 0)
		(void)buf_addc(out, ')');
}

static void write_create(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_create *c = &cmd->create;
	sp_mailbox(out, c->mailbox);
	if (c->use == 0 && !c->unknown_use)
		return;
	(void)buf_add(out, STR(" (USE "));
	write_names(out, imap_special_use_names, c->use);
	if (c->unknown_use) { /* its name is not kept */
		buf_cut(out, out->n - 1);
		(void)buf_add(out, c->use ? STR(" \\Unknown)") : STR("\\Unknown)"));
	}
	(void)buf_addc(out, ')');
}

static void write_qresync(struct buf *out, const struct imap_qresync *q)
{
	(void)buf_addf(out, "QRESYNC (%u %llu", q->uidvalidity, (unsigned long long)q->modseq);
	if (q->known.n > 0)
		sp_set(out, &q->known);
	if (q->match_seq.n > 0) {
		(void)buf_add(out, STR(" ("));
		(void)seqset_write(out, &q->match_seq);
		sp_set(out, &q->match_uid);
		(void)buf_addc(out, ')');
	}
	(void)buf_addc(out, ')');
}

static void write_select(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_select *s = &cmd->select;
	sp_mailbox(out, s->mailbox);
	if (!s->condstore && !s->qresync.given)
		return;
	(void)buf_add(out, STR(" ("));
	if (s->condstore)
		(void)buf_add(out, s->qresync.given ? STR("CONDSTORE ") : STR("CONDSTORE"));
	if (s->qresync.given)
		write_qresync(out, &s->qresync);
	(void)buf_addc(out, ')');
}

static void write_setquota(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_setquota *q = &cmd->setquota;
	sp_astring(out, q->root);
	(void)buf_add(out, STR(" ("));
	for (size_t i = 0; i < q->limit_count; i++)
		(void)buf_addf(out, "%s%.*s %llu", i ? " " : "", STR_ARG(q->limit[i].resource),
			       (unsigned long long)q->limit[i].limit);
	(void)buf_addc(out, ')');
}

static const struct imap_name list_options[] = {
	{IMAP_LIST_SUBSCRIBED, "SUBSCRIBED"},
	{IMAP_LIST_REMOTE, "REMOTE"},
	{IMAP_LIST_RECURSIVEMATCH, "RECURSIVEMATCH"},
	{IMAP_LIST_SPECIAL_USE, "SPECIAL-USE"},
	{IMAP_LIST_CHILDREN, "CHILDREN"},
	{IMAP_LIST_MYRIGHTS, "MYRIGHTS"},
	{IMAP_LIST_STATUS, "STATUS"},
	{0, NULL},
};

static void write_entries(struct buf *out, const struct str *entry, size_t n)
{
	(void)buf_addc(out, '(');
	for (size_t i = 0; i < n; i++) {
		(void)buf_add(out, i ? STR(" ") : STR(""));
		(void)imap_write_astring(out, entry[i]);
	}
	(void)buf_addc(out, ')');
}

static void write_list(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_list *l = &cmd->list;
	if (l->selection) {
		(void)buf_addc(out, ' ');
		write_names(out, list_options, l->selection);
	}
	sp_mailbox(out, l->reference);
	(void)buf_add(out, l->extended ? STR(" (") : STR(" "));
	for (size_t i = 0; i < l->pattern_count; i++) {
		if (i > 0)
			(void)buf_addc(out, ' ');
		if (l->pattern[i].p)
			(void)imap_write_mailbox(out, l->pattern[i]);
		else
			(void)buf_addc(out, '&'); /* no name holds it alone */
	}
	if (!l->extended)
		return;
	(void)buf_add(out, STR(") RETURN "));
	write_names(out, list_options, l->returned);
	if (l->status_items == 0 && l->entry_count == 0)
		return;
	buf_cut(out, out->n - 1); /* STATUS is the last of the table */
	if (l->status_items) {
		(void)buf_addc(out, ' ');
		write_names(out, imap_status_names, l->status_items);
	}
	if (l->entry_count) {
		(void)buf_add_c(out, out->p[out->n - 1] == '(' ? "METADATA " : " METADATA ");
		write_entries(out, l->entry, l->entry_count);
	}
	(void)buf_addc(out, ')');
}

static void write_getmetadata(struct buf *out, const struct imap_getmetadata *g)
{
	sp_mailbox(out, g->mailbox);
	(void)buf_add(out, g->has_maxsize || g->depth ? STR(" (") : STR(""));
	if (g->has_maxsize)
		(void)buf_addf(out, "MAXSIZE %u%s", g->maxsize, g->depth ? " " : ")");
	if (g->depth)
		(void)buf_addf(out, "DEPTH %s)", g->depth == 1 ? "1" : "infinity");
	(void)buf_addc(out, ' ');
	write_entries(out, g->entry, g->entry_count);
}

static void write_literal(struct buf *out, const struct imap_literal *l)
{
	(void)buf_add(out, l->binary ? STR("~") : STR(""));
	(void)imap_write_literal_head(out, l->size);
	(void)buf_add(out, l->bytes);
}

static void write_setmetadata(struct buf *out, const struct imap_setmetadata *m)
{
	sp_mailbox(out, m->mailbox);
	for (size_t i = 0; i < m->set_count; i++) {
		(void)buf_add(out, i ? STR(" ") : STR(" ("));
		(void)imap_write_astring(out, m->set[i].entry);
		(void)buf_addc(out, ' ');
		if (m->set[i].remove)
			(void)buf_add(out, STR("NIL"));
		else
			write_literal(out, &m->set[i].value);
	}
	(void)buf_addc(out, ')');
}

static void write_parts(struct buf *out, const struct imap_append_message *m)
{
	(void)buf_add(out, STR(" CATENATE ("));
	for (size_t i = 0; i < m->part_count; i++) {
		const struct imap_cat_part *p = &m->part[i];
		(void)buf_add(out, i ? STR(" ") : STR(""));
		if (p->url.p) {
			(void)buf_add(out, STR("URL "));
			(void)imap_write_astring(out, p->url);
			continue;
		}
		(void)buf_add(out, p->utf8 ? STR("UTF8 (") : STR("TEXT "));
		write_literal(out, &p->text);
		(void)buf_add(out, p->utf8 ? STR(")") : STR(""));
	}
	(void)buf_addc(out, ')');
}

static void write_append(struct buf *out, const struct imap_append *a)
{
	sp_mailbox(out, a->mailbox);
	for (size_t i = 0; i < a->message_count; i++) {
		const struct imap_append_message *m = &a->message[i];
		(void)buf_addc(out, ' ');
		(void)imap_write_flags(out, &m->flags);
		if (m->has_date) {
			(void)buf_addc(out, ' ');
			(void)imap_datetime_write(out, m->date);
		}
		if (m->part_count) {
			write_parts(out, m);
			continue;
		}
		(void)buf_add(out, m->utf8 ? STR(" UTF8 (") : STR(" "));
		write_literal(out, &m->body);
		(void)buf_add(out, m->utf8 ? STR(")") : STR(""));
	}
}

static void sp_fetch_atts(struct buf *out, const struct imap_fetch_att *att, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct imap_fetch_att *a = &att[i];
		(void)buf_add(out, i == 0 ? STR(" (") : STR(" "));
		if (a->kind == IMAP_FETCH_SECTION || a->kind == IMAP_FETCH_BINARY) {
			(void)buf_add_c(out, a->kind == IMAP_FETCH_SECTION ? "BODY" : "BINARY");
			(void)buf_add(out, a->peek ? STR(".PEEK") : STR(""));
			(void)imap_write_section(out, &a->section);
		} else {
			(void)imap_write_fetch_name(out, a);
		}
		if (a->partial)
			(void)buf_addf(out, "<%llu.%llu>", (unsigned long long)a->offset,
				       (unsigned long long)a->count);
		if (a->lazy)
			(void)buf_add(out, STR(" (LAZY)"));
	}
	(void)buf_addc(out, ')');
}

static void write_mailbox_filter(struct buf *out, const struct imap_notify_group *g)
{
	(void)buf_add_c(out, imap_notify_filter_name(g->filter));
	for (size_t i = 0; i < g->mailbox_count; i++) {
		(void)buf_add_c(out, i ? " " : " (");
		(void)imap_write_mailbox(out, g->mailbox[i]);
	}
	if (g->mailbox_count)
		(void)buf_addc(out, ')');
}

static void write_notify_group(struct buf *out, const struct imap_notify_group *g)
{
	const char *sep = "(";
	(void)buf_add_c(out, " (");
	write_mailbox_filter(out, g);
	(void)buf_addc(out, ' ');
	for (const struct imap_name *e = imap_notify_event_names; e->name; e++) {
		if (!(g->events & e->bit))
			continue;
		(void)buf_addf(out, "%s%s", sep, e->name);
		if (e->bit == IMAP_EVENT_MESSAGE_NEW && g->att_count)
			sp_fetch_atts(out, g->att, g->att_count);
		sep = " ";
	}
	if (g->events & IMAP_EVENT_OTHER) { /* its name is not kept */
		(void)buf_addf(out, "%sOther", sep);
		sep = " ";
	}
	(void)buf_add_c(out, *sep == '(' ? "NONE)" : "))");
}

static void write_notify(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_notify *n = &cmd->notify;
	(void)buf_add_c(out, n->group_count == 0 ? " NONE" : n->status ? " SET STATUS" : " SET");
	for (size_t i = 0; i < n->group_count; i++)
		write_notify_group(out, &n->group[i]);
}

static void write_fetch(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_fetch *f = &cmd->fetch;
	sp_set(out, &f->set);
	sp_fetch_atts(out, f->att, f->att_count);
	if (f->partial.given) {
		(void)buf_add(out, STR(" ("));
		imap_write_partial(out, &f->partial);
		if (f->has_changedsince)
			(void)buf_addf(out, " CHANGEDSINCE %llu",
				       (unsigned long long)f->changedsince);
		(void)buf_add_c(out, f->vanished ? " VANISHED)" : ")");
	} else if (f->has_changedsince)
		(void)buf_addf(out, " (CHANGEDSINCE %llu%s)", (unsigned long long)f->changedsince,
			       f->vanished ? " VANISHED" : "");
	else if (f->vanished)
		(void)buf_add(out, STR(" (VANISHED)"));
}

static void write_store(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_store *s = &cmd->store;
	sp_set(out, &s->set);
	if (s->has_unchangedsince)
		(void)buf_addf(out, " (UNCHANGEDSINCE %llu)",
			       (unsigned long long)s->unchangedsince);
	(void)buf_addf(out, " %sFLAGS%s ",
		       s->mode == IMAP_STORE_ADD      ? "+"
		       : s->mode == IMAP_STORE_REMOVE ? "-"
						      : "",
		       s->silent ? ".SILENT" : "");
	(void)imap_write_flags(out, &s->flags);
}

static const char *search_name(enum imap_search_op op)
{
	static const char *const names[] = {
		[IMAP_SEARCH_ALL] = "ALL",
		[IMAP_SEARCH_AND] = "",
		[IMAP_SEARCH_OR] = "OR",
		[IMAP_SEARCH_NOT] = "NOT",
		[IMAP_SEARCH_SEQ] = "",
		[IMAP_SEARCH_UID] = "UID",
		[IMAP_SEARCH_FLAG] = "",
		[IMAP_SEARCH_KEYWORD] = "KEYWORD",
		[IMAP_SEARCH_BEFORE] = "BEFORE",
		[IMAP_SEARCH_ON] = "ON",
		[IMAP_SEARCH_SINCE] = "SINCE",
		[IMAP_SEARCH_SENTBEFORE] = "SENTBEFORE",
		[IMAP_SEARCH_SENTON] = "SENTON",
		[IMAP_SEARCH_SENTSINCE] = "SENTSINCE",
		[IMAP_SEARCH_LARGER] = "LARGER",
		[IMAP_SEARCH_SMALLER] = "SMALLER",
		[IMAP_SEARCH_HEADER] = "HEADER",
		[IMAP_SEARCH_BODY] = "BODY",
		[IMAP_SEARCH_TEXT] = "TEXT",
		[IMAP_SEARCH_MODSEQ] = "MODSEQ",
		[IMAP_SEARCH_OLDER] = "OLDER",
		[IMAP_SEARCH_YOUNGER] = "YOUNGER",
		[IMAP_SEARCH_SAVEDBEFORE] = "SAVEDBEFORE",
		[IMAP_SEARCH_SAVEDON] = "SAVEDON",
		[IMAP_SEARCH_SAVEDSINCE] = "SAVEDSINCE",
		[IMAP_SEARCH_EMAILID] = "EMAILID",
		[IMAP_SEARCH_THREADID] = "THREADID",
		[IMAP_SEARCH_FILTER] = "FILTER",
		[IMAP_SEARCH_FUZZY] = "FUZZY",
	};
	return names[op];
}

static void write_day(struct buf *out, int32_t day)
{
	struct imap_datetime t = {.at = {day * (86400 * SEC_US)}};
	char text[40];
	struct buf b = {.p = text, .cap = sizeof text, .max = sizeof text - 1};
	(void)imap_datetime_write(&b, t);
	/* "dd-Mon-yyyy ..." in its quotes: the date, without a leading blank */
	(void)buf_addc(out, ' ');
	(void)buf_add(out, str_trim(str_make(text + 1, 11)));
}

static void write_key(struct buf *out, const struct imap_search_key *key);

/* AND's kids are separated by blanks, those of OR, NOT and FUZZY follow the name. */
static void write_kids(struct buf *out, const struct imap_search_key *key)
{
	bool group = key->op == IMAP_SEARCH_AND;
	if (group)
		(void)buf_addc(out, '(');
	for (const struct imap_search_key *k = key->kid; k; k = k->next) {
		if (!group || k != key->kid)
			(void)buf_addc(out, ' ');
		write_key(out, k);
	}
	if (group)
		(void)buf_addc(out, ')');
}

static void write_key(struct buf *out, const struct imap_search_key *key)
{
	(void)buf_add_c(out, search_name(key->op));
	switch (key->op) {
	case IMAP_SEARCH_ALL:
		break;
	case IMAP_SEARCH_AND:
	case IMAP_SEARCH_OR:
	case IMAP_SEARCH_NOT:
	case IMAP_SEARCH_FUZZY:
		write_kids(out, key);
		break;
	case IMAP_SEARCH_SEQ:
		(void)seqset_write(out, &key->set);
		break;
	case IMAP_SEARCH_UID:
		sp_set(out, &key->set);
		break;
	case IMAP_SEARCH_FLAG: /* the names of the keys are those of the flags */
		for (const char *c = imap_name_of(imap_flag_names, key->flag) + 1; *c; c++)
			(void)buf_addc(out, ascii_upper(*c));
		break;
	case IMAP_SEARCH_BEFORE:
	case IMAP_SEARCH_ON:
	case IMAP_SEARCH_SINCE:
	case IMAP_SEARCH_SENTBEFORE:
	case IMAP_SEARCH_SENTON:
	case IMAP_SEARCH_SENTSINCE:
	case IMAP_SEARCH_SAVEDBEFORE:
	case IMAP_SEARCH_SAVEDON:
	case IMAP_SEARCH_SAVEDSINCE:
		write_day(out, key->day);
		break;
	case IMAP_SEARCH_LARGER:
	case IMAP_SEARCH_SMALLER:
	case IMAP_SEARCH_MODSEQ:
	case IMAP_SEARCH_OLDER:
	case IMAP_SEARCH_YOUNGER:
		(void)buf_addf(out, " %llu", (unsigned long long)key->number);
		break;
	case IMAP_SEARCH_HEADER:
		sp_astring(out, key->field);
		sp_astring(out, key->text);
		break;
	case IMAP_SEARCH_KEYWORD: /* an atom, whatever it says */
	case IMAP_SEARCH_EMAILID:
	case IMAP_SEARCH_THREADID:
	case IMAP_SEARCH_FILTER:
		(void)buf_addc(out, ' ');
		(void)buf_add(out, key->text);
		break;
	case IMAP_SEARCH_BODY:
	case IMAP_SEARCH_TEXT:
		sp_astring(out, key->text);
		break;
	}
}

/* What stands between the command and its keys: RETURN, criteria or algorithm, charset. */
static void write_search_head(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_search *s = &cmd->search;
	for (size_t i = 0; i < s->source_count; i++) {
		(void)buf_add_c(out, i ? " " : " IN (");
		write_mailbox_filter(out, &s->source[i]);
	}
	if (s->source_count)
		(void)buf_addc(out, ')');
	if (s->extended) {
		(void)buf_add(out, STR(" RETURN "));
		write_names(out, imap_return_names, s->returned);
		if (s->partial.given) {
			buf_cut(out, out->n - 1);
			(void)buf_add_c(out, s->returned == IMAP_RETURN_PARTIAL ? "" : " ");
			imap_write_partial(out, &s->partial);
			(void)buf_addc(out, ')');
		}
	}
	for (size_t i = 0; i < s->sort_count; i++)
		(void)buf_addf(out, "%s%s%s", i ? " " : " (", s->sort[i].reverse ? "REVERSE " : "",
			       imap_name_of(imap_sort_names, 1u << s->sort[i].by));
	if (cmd->kind == IMAP_CMD_SORT)
		(void)buf_addc(out, ')');
	else if (cmd->kind == IMAP_CMD_THREAD)
		(void)buf_addf(out, " %s", imap_name_of(imap_thread_names, 1u << s->thread));
	else if (s->charset.n > 0)
		(void)buf_add(out, STR(" CHARSET"));
	if (cmd->kind == IMAP_CMD_SORT || cmd->kind == IMAP_CMD_THREAD || s->charset.n > 0)
		sp_astring(out, s->charset);
}

static void write_search(struct buf *out, const struct imap_cmd *cmd)
{
	write_search_head(out, cmd);
	for (const struct imap_search_key *k = cmd->search.key->kid; k; k = k->next) {
		(void)buf_addc(out, ' ');
		write_key(out, k);
	}
}

static void write_login(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_authenticate *a = &cmd->authenticate;
	if (cmd->kind == IMAP_CMD_LOGIN) {
		sp_astring(out, cmd->login.user);
		sp_astring(out, cmd->login.password);
		return;
	}
	(void)buf_addf(out, " %.*s%s%.*s", STR_ARG(a->mechanism), a->has_initial ? " " : "",
		       STR_ARG(a->initial));
}

static void write_tags(struct buf *out, const struct imap_cancelupdate *c)
{
	for (size_t i = 0; i < c->tag_count; i++) {
		(void)buf_addc(out, ' ');
		(void)imap_write_string(out, c->tag[i]);
	}
}

static void write_batches(struct buf *out, const struct imap_uidbatches *u)
{
	(void)buf_addf(out, " %u", u->size);
	if (u->range.given)
		(void)buf_addf(out, " %u:%u", u->range.first, u->range.last);
}

/* SEARCH and what belongs to it. */
static void write_searching(struct buf *out, const struct imap_cmd *cmd)
{
	if (cmd->kind == IMAP_CMD_CANCELUPDATE)
		write_tags(out, &cmd->cancelupdate);
	else if (cmd->kind == IMAP_CMD_UIDBATCHES)
		write_batches(out, &cmd->uidbatches);
	else if (cmd->kind == IMAP_CMD_COMPARATOR)
		for (size_t i = 0; i < cmd->comparator.wanted_count; i++)
			sp_astring(out, cmd->comparator.wanted[i]);
	else
		write_search(out, cmd);
}

static void write_enable(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_enable *e = &cmd->enable;
	for (size_t i = 0; i < e->capability_count; i++)
		(void)buf_addf(out, " %.*s", STR_ARG(e->capability[i]));
}

static void write_status(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_status *s = &cmd->status;
	sp_mailbox(out, s->mailbox);
	(void)buf_addc(out, ' ');
	write_names(out, imap_status_names, s->items);
}

static void write_copy(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_copy *c = &cmd->copy;
	sp_set(out, &c->set);
	sp_mailbox(out, c->mailbox);
}

static void write_urls(struct buf *out, const struct imap_cmd *cmd)
{
	for (size_t i = 0; i < cmd->urls.n; i++) {
		sp_astring(out, cmd->urls.ask[i].url);
		if (cmd->kind == IMAP_CMD_GENURLAUTH)
			(void)buf_addf(out, " %.*s", STR_ARG(cmd->urls.ask[i].mechanism));
	}
}

static void write_resetkey(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_resetkey *k = &cmd->resetkey;
	if (k->named)
		sp_mailbox(out, k->mailbox);
	for (size_t i = 0; i < k->mechanism_count; i++)
		(void)buf_addf(out, " %.*s", STR_ARG(k->mechanism[i]));
}

static void write_acl(struct buf *out, const struct imap_cmd *cmd)
{
	static const char how[] = {
		[IMAP_ACL_SET] = 0, [IMAP_ACL_ADD] = '+', [IMAP_ACL_REMOVE] = '-'};
	sp_mailbox(out, cmd->acl.mailbox);
	sp_astring(out, cmd->acl.identifier);
	if (cmd->kind != IMAP_CMD_SETACL)
		return;
	(void)buf_addc(out, ' ');
	if (how[cmd->acl.how])
		(void)buf_addc(out, how[cmd->acl.how]);
	if (cmd->acl.rights || !how[cmd->acl.how])
		imap_rights_write(out, cmd->acl.rights);
}

/* Those with nothing but a name. */
static void write_name_argument(struct buf *out, const struct imap_cmd *cmd)
{
	if (cmd->kind == IMAP_CMD_GETQUOTA)
		sp_astring(out, cmd->quota_root);
	else if (cmd->kind == IMAP_CMD_COMPRESS)
		(void)buf_addf(out, " %.*s", STR_ARG(cmd->compress));
	else
		sp_mailbox(out, cmd->mailbox);
}

static void write_metadata(struct buf *out, const struct imap_cmd *cmd)
{
	if (cmd->kind == IMAP_CMD_GETMETADATA)
		write_getmetadata(out, &cmd->getmetadata);
	else
		write_setmetadata(out, &cmd->setmetadata);
}

static void write_append_or_replace(struct buf *out, const struct imap_cmd *cmd)
{
	bool append = cmd->kind == IMAP_CMD_APPEND;
	if (!append)
		sp_set(out, &cmd->replace.set);
	write_append(out, append ? &cmd->append : &cmd->replace.append);
}

static void write_rename(struct buf *out, const struct imap_cmd *cmd)
{
	const struct imap_rename *r = &cmd->rename;
	sp_mailbox(out, r->from);
	sp_mailbox(out, r->to);
}

static void write_expunge(struct buf *out, const struct imap_cmd *cmd)
{
	if (cmd->uid)
		sp_set(out, &cmd->expunge);
}

/* What stands behind the name; NULL: nothing. */
static void (*const arguments[IMAP_CMD_KIND_COUNT])(struct buf *out, const struct imap_cmd *cmd) = {
	[IMAP_CMD_ID] = write_id,
	[IMAP_CMD_LOGIN] = write_login,
	[IMAP_CMD_AUTHENTICATE] = write_login,
	[IMAP_CMD_ENABLE] = write_enable,
	[IMAP_CMD_SELECT] = write_select,
	[IMAP_CMD_EXAMINE] = write_select,
	[IMAP_CMD_CREATE] = write_create,
	[IMAP_CMD_RENAME] = write_rename,
	[IMAP_CMD_DELETE] = write_name_argument,
	[IMAP_CMD_SUBSCRIBE] = write_name_argument,
	[IMAP_CMD_UNSUBSCRIBE] = write_name_argument,
	[IMAP_CMD_GETQUOTAROOT] = write_name_argument,
	[IMAP_CMD_GETACL] = write_name_argument,
	[IMAP_CMD_MYRIGHTS] = write_name_argument,
	[IMAP_CMD_GETQUOTA] = write_name_argument,
	[IMAP_CMD_COMPRESS] = write_name_argument,
	[IMAP_CMD_SETQUOTA] = write_setquota,
	[IMAP_CMD_GENURLAUTH] = write_urls,
	[IMAP_CMD_URLFETCH] = write_urls,
	[IMAP_CMD_GETMETADATA] = write_metadata,
	[IMAP_CMD_SETMETADATA] = write_metadata,
	[IMAP_CMD_RESETKEY] = write_resetkey,
	[IMAP_CMD_SETACL] = write_acl,
	[IMAP_CMD_DELETEACL] = write_acl,
	[IMAP_CMD_LISTRIGHTS] = write_acl,
	[IMAP_CMD_LIST] = write_list,
	[IMAP_CMD_LSUB] = write_list,
	[IMAP_CMD_XLIST] = write_list,
	[IMAP_CMD_STATUS] = write_status,
	[IMAP_CMD_APPEND] = write_append_or_replace,
	[IMAP_CMD_REPLACE] = write_append_or_replace,
	[IMAP_CMD_EXPUNGE] = write_expunge,
	[IMAP_CMD_SEARCH] = write_searching,
	[IMAP_CMD_ESEARCH] = write_searching,
	[IMAP_CMD_SORT] = write_searching,
	[IMAP_CMD_THREAD] = write_searching,
	[IMAP_CMD_CANCELUPDATE] = write_searching,
	[IMAP_CMD_UIDBATCHES] = write_searching,
	[IMAP_CMD_COMPARATOR] = write_searching,
	[IMAP_CMD_FETCH] = write_fetch,
	[IMAP_CMD_NOTIFY] = write_notify,
	[IMAP_CMD_STORE] = write_store,
	[IMAP_CMD_COPY] = write_copy,
	[IMAP_CMD_MOVE] = write_copy,
};

int imap_write_cmd(struct buf *out, const struct imap_cmd *cmd)
{
	if (cmd->uid)
		(void)buf_add(out, STR("UID "));
	(void)buf_add_c(out, imap_cmd_name(cmd->kind));
	if (cmd->kind < IMAP_CMD_KIND_COUNT && arguments[cmd->kind])
		arguments[cmd->kind](out, cmd);
	return out->failed ? -FAIL_LIMIT : 0;
}
