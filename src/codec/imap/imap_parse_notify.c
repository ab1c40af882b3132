/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_parse_notify.c - NOTIFY (RFC 5465 section 8).                           [codec, pure]
 */
#include "codec/imap/imap_parse.h"

const struct imap_name imap_notify_event_names[] = {
	{IMAP_EVENT_MESSAGE_NEW, "MessageNew"},
	{IMAP_EVENT_MESSAGE_EXPUNGE, "MessageExpunge"},
	{IMAP_EVENT_FLAG_CHANGE, "FlagChange"},
	{IMAP_EVENT_ANNOTATION_CHANGE, "AnnotationChange"},
	{IMAP_EVENT_MAILBOX_NAME, "MailboxName"},
	{IMAP_EVENT_SUBSCRIPTION_CHANGE, "SubscriptionChange"},
	{IMAP_EVENT_MAILBOX_METADATA_CHANGE, "MailboxMetadataChange"},
	{IMAP_EVENT_SERVER_METADATA_CHANGE, "ServerMetadataChange"},
	{0, NULL},
};

static const struct {
	const char *name;
	enum imap_notify_filter filter;
	bool has_names;
} filters[] = {
	{"SELECTED", IMAP_NOTIFY_SELECTED, false},
	{"SELECTED-DELAYED", IMAP_NOTIFY_SELECTED_DELAYED, false},
	{"INBOXES", IMAP_NOTIFY_INBOXES, false},
	{"PERSONAL", IMAP_NOTIFY_PERSONAL, false},
	{"SUBSCRIBED", IMAP_NOTIFY_SUBSCRIBED, false},
	{"SUBTREE", IMAP_NOTIFY_SUBTREE, true},
	{"MAILBOXES", IMAP_NOTIFY_MAILBOXES, true},
	{"SUBTREE-ONE", IMAP_NOTIFY_SUBTREE_ONE, true},
};

static bool of_selected(const struct imap_notify_group *g)
{
	return g->filter == IMAP_NOTIFY_SELECTED || g->filter == IMAP_NOTIFY_SELECTED_DELAYED;
}

/* ---- events ---- */

static int event(struct imap_lex *lex, void *arg)
{
	struct imap_notify_group *g = arg;
	struct str name;
	int r = imap_lex_atom(lex, "an event", &name);
	if (r < 0)
		return r;
	uint32_t bit = imap_name_find(imap_notify_event_names, name);
	g->events |= bit ? bit : IMAP_EVENT_OTHER;
	if (bit != IMAP_EVENT_MESSAGE_NEW || !of_selected(g) ||
	    !str_starts(str_skip(lex->in.text, lex->pos), STR(" (")))
		return 0;
	lex->pos++;
	return imap_parse_fetch_atts(lex, &g->att, &g->att_count);
}

static int events(struct imap_lex *lex, struct imap_notify_group *g)
{
	if (imap_lex_try_word(lex, "NONE"))
		return 0;
	int r = imap_parse_items(lex, "events", false, event, g);
	uint32_t both = IMAP_EVENT_MESSAGE_NEW | IMAP_EVENT_MESSAGE_EXPUNGE;
	if (r == 0 && (g->events & IMAP_EVENTS_OF_MESSAGES) && (g->events & both) != both)
		return imap_lex_expected(lex, "MessageNew and MessageExpunge together");
	if (r == 0 && of_selected(g) && (g->events & ~(uint32_t)IMAP_EVENTS_OF_MESSAGES))
		return imap_lex_expected(lex, "events of messages for the selected mailbox");
	return r;
}

/* ---- groups ---- */

struct name_builder {
	struct str *name;
	size_t n;
};

static int name(struct imap_lex *lex, void *arg)
{
	struct name_builder *b = arg;
	int r = IMAP_GROW(lex, &b->name, b->n, lex->lim->notify_names, "mailboxes");
	if (r == 0)
		r = imap_lex_mailbox(lex, &b->name[b->n]);
	if (r == 0)
		b->n++;
	return r;
}

static int names(struct imap_lex *lex, struct imap_notify_group *g)
{
	struct name_builder b = {0};
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_lex_peek(lex) == '(' ? imap_parse_items(lex, "mailboxes", false, name, &b)
					      : name(lex, &b);
	g->mailbox = b.name;
	g->mailbox_count = b.n;
	return r;
}

int imap_parse_mailbox_filter(struct imap_lex *lex, struct imap_notify_group *g)
{
	struct str word;
	size_t i = 0, start = lex->pos;
	int r = imap_lex_atom(lex, "which mailboxes", &word);
	if (r < 0)
		return r;
	while (i < ARRAY_LEN(filters) && !str_eqi(word, str_c(filters[i].name)))
		i++;
	if (i == ARRAY_LEN(filters)) {
		lex->pos = start;
		return imap_lex_expected(lex, "which mailboxes");
	}
	g->filter = filters[i].filter;
	return filters[i].has_names ? names(lex, g) : 0;
}

struct group_builder {
	struct imap_notify_group *group;
	size_t n;
	bool selected; /* one of them is about it */
};

static int group(struct imap_lex *lex, struct group_builder *b)
{
	int r = IMAP_GROW(lex, &b->group, b->n, lex->lim->notify_groups, "groups of events");
	if (r < 0)
		return r;
	struct imap_notify_group *g = &b->group[b->n];
	*g = (struct imap_notify_group){0};
	r = imap_lex_char(lex, '(', "a group of events");
	size_t start = lex->pos;
	if (r == 0)
		r = imap_parse_mailbox_filter(lex, g);
	if (r == 0 && g->filter == IMAP_NOTIFY_SUBTREE_ONE) {
		lex->pos = start;
		return imap_lex_expected(lex, "which mailboxes");
	}
	if (r == 0 && of_selected(g) && b->selected)
		return imap_lex_expected(lex, "one group for the selected mailbox");
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r == 0)
		r = events(lex, g);
	if (r == 0)
		r = imap_lex_char(lex, ')', "\")\"");
	b->selected |= of_selected(g);
	b->n++;
	return r;
}

int imap_parse_notify(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct group_builder b = {0};
	int r = imap_lex_sp(lex);
	if (r < 0 || imap_lex_try_word(lex, "NONE"))
		return r;
	if (!imap_lex_try_word(lex, "SET"))
		return imap_lex_expected(lex, "SET or NONE");
	cmd->notify.status = imap_lex_try_word(lex, " STATUS");
	do {
		r = imap_lex_sp(lex);
		if (r == 0)
			r = group(lex, &b);
		if (r < 0)
			return r;
	} while (imap_lex_more(lex));
	cmd->notify.group = b.group;
	cmd->notify.group_count = b.n;
	return 0;
}

/* ---- writing ---- */

const char *imap_notify_filter_name(enum imap_notify_filter filter)
{
	return filters[filter].name;
}
